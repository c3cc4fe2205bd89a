-- SPDX-License-Identifier: MIT
-- Bytes as JSON Schema can tell of them: a pattern of their base64 that counts them.
-- Lengths alone would be wrong by up to two bytes, for three make four characters.
-- Called by json_schema.lua alone.

local base64_pattern = {}

local GROUP = "[A-Za-z0-9+/]{4}"
-- What stands behind the groups for no more bytes, one and two; its last character has no stray bits.
local ENDS = { [0] = "", "[A-Za-z0-9+/][AQgw]==", "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=" }
local MOST = 1000 -- Go's regular expressions count no further

-- From least to most groups; most is nil where there may be any number.
local function groups(least, most)
  if least == 0 and not most then return "(?:" .. GROUP .. ")*" end
  if most == 0 then return "" end
  return ("(?:%s){%d,%s}"):format(GROUP, least, most or "")
end

---@param min_length integer? bytes
---@param max_length integer? bytes
---@return string pattern
function base64_pattern.of(min_length, max_length)
  local least, most = min_length or 0, max_length
  if least > 3 * MOST then least = 0 end -- the text's length has to do
  if most and most > 3 * MOST then most = nil end
  if least == 0 and not most then return "^" .. groups(0) .. "(?:" .. ENDS[1] .. "|" .. ENDS[2] .. ")?$" end
  local out = {}
  for rest = 0, 2 do
    local from, to = math.max(0, math.ceil((least - rest) / 3)), most and math.floor((most - rest) / 3)
    if not to or to >= from then out[#out + 1] = groups(from, to) .. ENDS[rest] end
  end
  return "^(?:" .. table.concat(out, "|") .. ")$"
end

---How many characters so many bytes are.
---@param bytes integer?
---@return integer?
function base64_pattern.length(bytes) return bytes and 4 * math.ceil(bytes / 3) end

return base64_pattern
