-- SPDX-License-Identifier: MIT
-- What a declaration is refused with.

---Calls what has to raise an error, and gives that.
---@param fn function
---@param ... any its arguments
---@return any
return function(fn, ...)
  local ok, message = pcall(fn, ...)
  assert(not ok, "it was not refused")
  return message
end
