-- SPDX-License-Identifier: MIT
-- Whose a token, a session or a login is: an account's id, as the text that tokens
-- and tables hold.

local subject = {}

-- What to write where a subject is none.
subject.MEND = "as text or a whole number; write subject = user.id, or where ids are bytes that are no UTF-8, their hexadecimal digits"

local EXACT = 2 ^ 53 -- beyond it two ids may be one number

-- Characters of more than one byte (RFC 3629 4), as patterns.
local CHARACTERS = {
  "[\194-\223][\128-\191]", "\224[\160-\191][\128-\191]", "[\225-\236\238\239][\128-\191][\128-\191]", "\237[\128-\159][\128-\191]",
  "\240[\144-\191][\128-\191][\128-\191]", "[\241-\243][\128-\191][\128-\191][\128-\191]", "\244[\128-\143][\128-\191][\128-\191]",
}
local OTHER = "[%z\128-\255]"

-- Bytes that are none, as of an id in a BLOB, would be others in a token: of two accounts the same, or of nobody.
local function is_text(id)
  for index = 1, id:find(OTHER) and #CHARACTERS or 0 do id = id:gsub(CHARACTERS[index], ".") end
  return not id:find(OTHER)
end

---The text of an id; nil for what is none.
---@param id any text in UTF-8 without NUL, a whole number or an int64
---@return string?
function subject.text(id)
  if type(id) == "string" then return id ~= "" and is_text(id) and id or nil end
  if type(id) == "number" then return id % 1 == 0 and math.abs(id) <= EXACT and ("%d"):format(id) or nil end
  return type(id) == "cdata" and tostring(id):match "^(%-?%d+)U?LL$" or nil
end

return subject
