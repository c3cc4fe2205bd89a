-- SPDX-License-Identifier: MIT
-- Whose a token, a session or a login is: an account's id, as the text that tokens
-- and tables hold.

local subject = {}

local EXACT = 2 ^ 53 -- beyond it two ids may be one number

---The text of an id; nil for what is none.
---@param id any text, a whole number or an int64
---@return string?
function subject.text(id)
  if type(id) == "string" then return id ~= "" and id or nil end
  if type(id) == "number" then return id % 1 == 0 and math.abs(id) <= EXACT and ("%d"):format(id) or nil end
  return type(id) == "cdata" and tostring(id):match "^(%-?%d+)U?LL$" or nil
end

return subject
