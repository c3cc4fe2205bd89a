-- SPDX-License-Identifier: MIT
-- HMAC-SHA256 (RFC 2104): how senders of webhooks sign what they send. An app makes
-- such signatures and compares them here, in constant time, and never by ==.

local core = require "demilune.core"
local names = require "demilune.names"
local secrets = require "demilune.secrets"

---@class demilune.hmac
local hmac = {}

local function check(what, key, text)
  local is_secret = secrets.is(key)
  local is_empty = key == "" or is_secret and key:length() == 0
  if is_empty or not is_secret and type(key) ~= "string" then
    error(("%s takes the key first, a secret of demilune.settings, not %s"):format(what, is_empty and "an empty one" or "a " .. type(key)), 3)
  elseif type(text) ~= "string" then
    error(("%s takes second what is signed, such as req.body of a route without body, not a %s"):format(what, type(text)), 3)
  end
  local place = secrets.signer(key)
  if place then
    error(("%s was given the secret by which the guard of %s signs, so that whose text is signed here could have a token or a session; declare one "
      .. "for this alone, such as HOOK_SECRET, in demilune.settings"):format(what, place), 3)
  end
end

---The signature of a text in 64 hexadecimal digits.
---@param key any a secret, or a string
---@param text string
---@return string
function hmac.hex(key, text)
  check("hmac.hex", key, text)
  return core.hmac_hex(key, text)
end

---Whether that is the signature of the text. What is no text is none.
---@param key any a secret, or a string
---@param text string
---@param signature any what came: 64 hexadecimal digits
---@return boolean
function hmac.verify(key, text, signature)
  check("hmac.verify", key, text)
  return type(signature) == "string" and core.hmac_is(key, text, signature)
end

return names.strict("hmac.", hmac, {
  sign = "write hmac.hex", digest = "write hmac.hex", sha256 = "write hmac.hex", compare = "write hmac.verify",
})
