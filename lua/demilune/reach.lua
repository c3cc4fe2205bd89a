-- SPDX-License-Identifier: MIT
-- What a function of an app can reach: the values that it and the functions below it
-- hold, and the names that stand in their source. For the lint, at load; nothing is
-- called.

local bit = require "bit"
local util = require "jit.util"

local band, rshift = bit.band, bit.rshift
local debug_upvalue, getinfo = debug.getupvalue, debug.getinfo
local constant, bytecode = util.funck, util.funcbc

---@class demilune.Reach
---@field values table<any, true> tables and userdata held
---@field names table<string, true> fields and other strings that the source names
---@field calls table<string, true> methods that it calls: of keys:issue { ... }, issue
---@field seen table<any, true> the values, and functions

local reach = {}

local own = getinfo(1, "S").source:match("^(.*)reach")
local DEEPEST = 6

-- Parts of an instruction of LuaJIT's: its operation, its register A, C, B, and C and B in one.
local function operation(instruction) return band(instruction, 255) end
local function part_a(instruction) return band(rshift(instruction, 8), 255) end
local function part_c(instruction) return band(rshift(instruction, 16), 255) end
local function part_b(instruction) return rshift(instruction, 24) end
local function part_d(instruction) return rshift(instruction, 16) end

-- A method call first copies its object to where the argument goes, then gets the field: as here.
local function example(object) return object:method() end
local COPY, GET = operation(bytecode(example, 1)), operation(bytecode(example, 2))
local BEHIND = part_a(bytecode(example, 1)) - part_a(bytecode(example, 2))

local function add_calls(found, prototype)
  local before = bytecode(prototype, 0)
  for number = 1, math.huge do
    local instruction = bytecode(prototype, number)
    if not instruction then return end
    local is_method = operation(instruction) == GET and operation(before) == COPY and part_a(before) == part_a(instruction) + BEHIND
      and part_d(before) == part_b(instruction)
    if is_method then found.calls[constant(prototype, -1 - part_c(instruction))] = true end
    before = instruction
  end
end

-- Strings of a function and of those that it makes, and what they call.
local function add_names(found, prototype)
  local index = -1
  add_calls(found, prototype)
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
  local found = { values = {}, names = {}, calls = {}, seen = {}, opaque = opaque or {} }
  for _, fn in ipairs(functions) do add_value(found, fn, 0) end
  return found
end

return reach
