-- SPDX-License-Identifier: MIT
-- Keys that an app gives its guards: whether they are long enough, whether the world
-- knows them, and whether they stand in the source. Values are compared inside the
-- secret and never become strings of Lua's.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"

local secrets = {}

-- What tutorials and debuggers show, and what people type instead of thinking.
local EXAMPLES = {
  "your-256-bit-secret", "your-384-bit-secret", "your-512-bit-secret", "a-string-secret-at-least-256-bits-long",
  "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
  "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "your-secret-key-change-in-production",
  "your-secret-key-change-this-in-production", "your-super-secret-key-change-in-production", "your-secret-key-here-change-in-production",
  "change-this-secret-key-in-production", "django-insecure-change-me-in-production", "this-is-a-very-secret-key-please-change-it",
  "my-super-secret-key-that-nobody-knows", "supersecretkeythatshouldbechanged",
}
-- Repeated until they are long enough.
local REPEATED = {
  "secret", "changeme", "change-me", "password", "example", "test", "demo", "default", "supersecret", "super-secret", "jwt-secret", "secret-key",
  "your-secret-key", "mysecret", "my-secret", "abc", "xyz", "ab", "01", "123", "1234", "12345678", "123456789", "1234567890", "0123456789",
  "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz", "deadbeef", "cafebabe",
}

local MEND = "declare it in demilune.settings { %s = model.secret { min_bytes = 32 } }, and set it to what `demilune secret` prints"

local function is_known(secret, length)
  for _, text in ipairs(EXAMPLES) do
    if secret:equal(text) then return true end
  end
  local function repeats(text) return secret:equal(text:rep(math.ceil(length / #text)):sub(1, length)) end
  for _, text in ipairs(REPEATED) do
    if repeats(text) or repeats(text:upper()) or repeats(text .. "-") or repeats(text .. "_") then return true end
  end
  for byte = 0, 255 do
    if repeats(string.char(byte)) then return true end
  end
  return false
end

---@param value any
---@return boolean
function secrets.is(value)
  return (type(value) == "userdata" or type(value) == "table") and tostring(value) == "secret(redacted)"
end

---A secret that an app gave, checked; a string becomes one, and is noted as a finding.
---@param place string
---@param what string whose it is: "guard.bearer: secret"
---@param value any
---@param min_bytes integer
---@param setting string what it might be called in settings
---@return any secret
function secrets.read(place, what, value, min_bytes, setting)
  local mend = MEND:format(setting)
  if type(value) == "string" then
    context.note("error", place, what .. " is a plain string, so that it stands in the source, or prints where strings print", mend)
    value = core.secret(value)
  elseif not secrets.is(value) then
    errors.raise(place, "%s must be a secret, not %s; %s", what, errors.show(value), mend)
  end
  local length = value:length()
  if length < min_bytes then
    errors.raise(place, "%s has %d bytes, and less than %d can be guessed; set it to what `demilune secret %d` prints", what, length, min_bytes,
      math.max(min_bytes, 32))
  end
  if is_known(value, length) then
    context.note("error", place, what .. " is a value that examples use or that repeats itself, so that everybody knows it",
      "set it to what `demilune secret` prints")
  end
  return value
end

local signing = {} -- { secret =, place = } of the guards that sign by one

---The secret by which a guard signs what lets people in.
---@param place string
---@param what string
---@param value any
---@param min_bytes integer
---@param setting string
---@return any secret
function secrets.read_signing(place, what, value, min_bytes, setting)
  local secret = secrets.read(place, what, value, min_bytes, setting)
  signing[#signing + 1] = { secret = secret, place = place }
  return secret
end

---The place of the guard that signs by this key, if one does: what anything else signs with it could pass for a token or open sessions.
---@param key any a secret, or a string
---@return string?
function secrets.signer(key)
  for _, each in ipairs(signing) do
    if each.secret:equal(key) then return each.place end
  end
  return nil
end

---What a spec sends as a credential: inside `demilune test` a secret of the settings is its text.
---@param value any
---@return any
function secrets.sent(value)
  if type(value) == "userdata" and core.test_connect then return core.secret_reveal(value) end
  return value
end

return secrets
