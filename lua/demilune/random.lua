-- SPDX-License-Identifier: MIT
-- Randomness that nobody can foresee, from the system's own source.

local core = require "demilune.core"
local names = require "demilune.names"

---@class demilune.random
local random = {}

local function check(what, bytes, most)
  if type(bytes) ~= "number" or bytes % 1 ~= 0 or bytes < 1 or bytes > most then
    error(("%s takes a number of bytes from 1 to %d, not %s"):format(what, most, tostring(bytes)), 3)
  end
  return bytes
end

---@param bytes integer
---@return string
function random.bytes(bytes) return core.random(check("random.bytes", bytes, 4096)) end

---Twice as many hexadecimal digits: random.hex(16) names something that cannot be guessed.
---@param bytes integer
---@return string
function random.hex(bytes)
  return (core.random(check("random.hex", bytes, 4096)):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---A UUID of version 4 (RFC 9562, 5.4): 122 bits that nobody can foresee.
---@return string "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1"
function random.uuid()
  local digits = random.hex(16)
  local variant = ("%x"):format(8 + tonumber(digits:sub(17, 17), 16) % 4)
  return ("%s-%s-4%s-%s%s-%s"):format(digits:sub(1, 8), digits:sub(9, 12), digits:sub(14, 16), variant, digits:sub(18, 20), digits:sub(21, 32))
end

return names.strict("random.", random, {
  token = "write random.hex(16)", token_hex = "write random.hex", uuid4 = "write random.uuid",
})
