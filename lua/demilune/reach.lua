-- SPDX-License-Identifier: MIT
-- What a function of an app can reach: the values that it and the functions below it
-- hold, and the names that stand in their source. For the lint, at load; nothing is
-- called.

local debug_upvalue, getinfo = debug.getupvalue, debug.getinfo
local constant = require("jit.util").funck

---@class demilune.Reach
---@field values table<any, true> tables and userdata held
---@field names table<string, true> fields and other strings that the source names
---@field seen table<any, true> the values, and functions

local reach = {}

local own = getinfo(1, "S").source:match("^(.*)reach")
local DEEPEST = 6

-- Strings of a function and of those that it makes.
local function add_names(found, prototype)
  local index = -1
  while true do
    local ok, value = pcall(constant, prototype, index)
    if not ok or value == nil then return end
    if type(value) == "string" then found.names[value] = true end
    if type(value) == "proto" then add_names(found, value) end
    index = index - 1
  end
end

local add_value

local function add_function(found, fn, depth)
  local source = getinfo(fn, "S").source
  if source == "=[C]" or source:sub(1, #own) == own then return end
  add_names(found, fn)
  for index = 1, 250 do
    local name, value = debug_upvalue(fn, index)
    if not name then break end
    add_value(found, value, depth)
  end
end

add_value = function(found, value, depth)
  local sort = type(value)
  if depth > DEEPEST or found.seen[value] or sort ~= "function" and sort ~= "table" then return end
  found.seen[value] = true
  if sort == "function" then return add_function(found, value, depth + 1) end
  found.values[value] = true
  -- Modules of the app are plain tables; what has a metatable is an object of ours or a class.
  if getmetatable(value) == nil and not found.opaque[value] then
    for _, item in pairs(value) do add_value(found, item, depth + 1) end
  end
end

---@param functions function[]
---@param opaque? table<table, true> tables that are noted but not looked into
---@return demilune.Reach
function reach.of(functions, opaque)
  local found = { values = {}, names = {}, seen = {}, opaque = opaque or {} }
  for _, fn in ipairs(functions) do add_value(found, fn, 0) end
  return found
end

return reach
