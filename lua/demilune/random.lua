-- SPDX-License-Identifier: MIT
-- Randomness that nobody can foresee, from the system's own source.

local core = require "demilune.core"

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

return random
