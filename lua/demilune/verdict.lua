-- SPDX-License-Identifier: MIT
-- Yes or no of a function of an app's that says who may pass. To Lua all but nil and
-- false is true: the 0 of SQL's EXISTS and COUNT, an empty list and null with it.

local errors = require "demilune.errors"

local verdict = {}

---Whether it was yes: true, or what was found, such as a row. Raises what is neither yes nor no.
---@param value any what the function gave
---@param what string whose it is, for the error
---@return boolean
function verdict.is_yes(value, what)
  if value == nil or type(value) == "boolean" then return value == true end
  if type(value) == "table" then return next(value) ~= nil end
  return error(("%s gave %s, which is no verdict; give true or false, such as by == 1"):format(what, errors.show(value)), 0)
end

return verdict
