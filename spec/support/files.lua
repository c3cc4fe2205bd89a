-- SPDX-License-Identifier: MIT
-- Whole files, as specs and their support read and write them.

local files = {}

--- All of a file, or nil when there is none.
---@return string?
function files.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

function files.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

return files
