-- SPDX-License-Identifier: MIT
-- Passwords: Argon2id strings to keep in place of them. Both calls take milliseconds
-- on the core's thread pool, a bounded number at once, while other requests go on.

local core = require "demilune.core"
local log = require "demilune.log"
local names = require "demilune.names"
local secrets = require "demilune.secrets"

---@class demilune.password
local password = {}

local function check(what, part, given)
  if type(given) ~= "string" and not secrets.is(given) then
    error(("%s takes %s as a string or a secret, not a %s"):format(what, part, type(given)), 3)
  end
  return given
end

---What to store for a password. Waits.
---@param given any a string or a secret
---@return string phc "$argon2id$..."
function password.hash(given) return core.password_hash(check("password.hash", "the password", given)) end

---Whether it is the password. Waits, and as long for nil: who does not exist must not
---be told from who mistyped, nor who has no password. What is stored and is none of
---password.hash's is nobody's password, and an error in the log.
---@param stored string? what password.hash gave; nil for an unknown user, nil or "" for one without a password
---@param given any a string or a secret
---@return boolean is_right
---@return boolean outdated that it should be hashed anew, when it is right
function password.verify(stored, given)
  if stored == core.null then stored = nil end
  if stored ~= nil then check("password.verify", "what password.hash gave", stored) end
  local is_right, outdated, malformed = core.password_verify(stored, check("password.verify", "the password", given))
  if malformed then log.error "a stored password is no Argon2id string, so nobody can log in by it; password.hash makes them" end
  return is_right, outdated
end

return names.strict("password.", password, {
  check = "write password.verify", compare = "write password.verify",
})
