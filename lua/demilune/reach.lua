-- SPDX-License-Identifier: MIT
-- What a function of an app can reach: the values that it and the functions below it
-- hold, and the names that stand in their source. For the lint, at load; nothing is
-- called. Whether something may be in use is asked by reach.of, whether it is by reach.used.

local bit = require "bit"
local util = require "jit.util"

local band, rshift = bit.band, bit.rshift
local debug_upvalue, getinfo, getmetatable = debug.getupvalue, debug.getinfo, debug.getmetatable -- whatever __metatable says
local constant, bytecode = util.funck, util.funcbc

---@class demilune.Reach
---@field values table<any, true> tables and userdata held
---@field names table<string, true> fields and other strings that the source names
---@field calls table<string, true> methods that it calls: of keys:issue { ... }, issue
---@field seen table<any, true> the values, and functions
---@field veiled? boolean of reach.used: a class of the app's is held, whose methods were not looked into

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

-- What is held is taken, then its field of whatever name; and it is given to a function, whose answer is what one gives.
local function example_of_held(name) return own[name], (name(own)), 1 end
local HELD, INDEX, CALL = operation(bytecode(example_of_held, 1)), operation(bytecode(example_of_held, 2)), operation(bytecode(example_of_held, 5))
local function example_of_tail(name) return name(own) end
local TAIL = operation(bytecode(example_of_tail, 3))

local function gets_method(before, instruction)
  return operation(instruction) == GET and operation(before) == COPY and part_a(before) == part_a(instruction) + BEHIND
    and part_d(before) == part_b(instruction)
end

local function add_calls(found, prototype)
  local before = bytecode(prototype, 0)
  for number = 1, math.huge do
    local instruction = bytecode(prototype, number)
    if not instruction then return end
    if gets_method(before, instruction) then found.calls[constant(prototype, -1 - part_c(instruction))] = true end
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

local function is_plain(value) return type(value) == "table" and getmetatable(value) == nil end

-- Notes the tables of which a function takes a field by a name that is no constant, and those that it gives to others, as to pairs.
-- Registers are followed from where they get what is held; whose method is called is not given to anybody.
local function add_opened(found, prototype, held)
  local at = {}
  local function open(value)
    if is_plain(value) then found.opened[value] = true end
  end
  for number = 1, math.huge do
    local instruction = bytecode(prototype, number)
    if not instruction then break end
    local kind, a, d = operation(instruction), part_a(instruction), part_d(instruction)
    local value
    if kind == HELD then value = held[util.funcuvname(prototype, d)]
    elseif kind == COPY and not gets_method(instruction, bytecode(prototype, number + 1) or 0) then value = at[d]
    elseif kind == GET and is_plain(at[part_b(instruction)]) then value = at[part_b(instruction)][constant(prototype, -1 - part_c(instruction))]
    elseif kind == INDEX then open(at[part_b(instruction)])
    elseif kind == CALL or kind == TAIL then
      for register = a + BEHIND, a + BEHIND + (kind == CALL and part_c(instruction) or d) - 2 do open(at[register]) end
    end
    at[a] = value
  end
  for index = -1, -math.huge, -1 do
    local ok, below = pcall(constant, prototype, index)
    if not ok or below == nil then return end
    if type(below) == "proto" then add_opened(found, below, held) end
  end
end

local add_value

local function add_function(found, fn, depth)
  local source = getinfo(fn, "S").source
  if source == "=[C]" or source:sub(1, #own) == own then return end
  add_names(found, fn)
  local held = {}
  for index = 1, 250 do
    local name, value = debug_upvalue(fn, index)
    if not name then break end
    held[name] = value
    if found.held and type(value) == "string" then found.names[value] = true end
    add_value(found, value, depth)
  end
  if found.opened then add_opened(found, fn, held) end
end

-- Of ours, such as a statement, or of a class that the app has made.
local function is_ours(metatable)
  for _, value in pairs(metatable) do
    if type(value) == "function" and getinfo(value, "S").source:sub(1, #own) == own then return true end
  end
  return false
end

add_value = function(found, value, depth)
  local sort = type(value)
  if depth > DEEPEST or found.seen[value] or sort ~= "function" and sort ~= "table" then return end
  found.seen[value], found.grown = true, true
  if sort == "function" then return add_function(found, value, depth + 1) end
  found.values[value] = true
  -- Modules of the app are plain tables; what has a metatable is an object of ours or a class.
  local metatable = getmetatable(value)
  if metatable ~= nil then found.veiled = found.veiled or not is_ours(metatable)
  elseif found.held then found.held[#found.held + 1] = value
  elseif not found.opaque[value] then
    for _, item in pairs(value) do add_value(found, item, depth + 1) end
  end
end

-- Names are added to while these are gone through.
local function copy_of(names)
  local copy = {}
  for name in pairs(names) do copy[name] = true end
  return copy
end

local unnamed = setmetatable({}, { __mode = "k" })

-- What a table has under keys that are no names, as a list has: looked for once, for a module may be large, and many handlers hold it.
local function unnamed_in(held)
  if unnamed[held] then return unnamed[held] end
  local items = {}
  for key, item in pairs(held) do
    if type(key) ~= "string" then items[#items + 1] = item end
  end
  unnamed[held] = items
  return items
end

local function add_named(found, held)
  if found.opened[held] then
    for _, item in pairs(held) do add_value(found, item, 0) end
    return
  end
  for _, item in ipairs(unnamed_in(held)) do add_value(found, item, 0) end
  for name in pairs(found.spoken) do add_value(found, held[name], 0) end
end

---@param functions function[]
---@param opaque? table<table, true> tables that are noted but not looked into
---@return demilune.Reach
function reach.of(functions, opaque)
  local found = { values = {}, names = {}, calls = {}, seen = {}, opaque = opaque or {} }
  for _, fn in ipairs(functions) do add_value(found, fn, 0) end
  return found
end

---Likewise, but of a table only the fields that the functions name, or all where they take one by a name that is made up while they run: a module
---that holds every statement of the app lends a handler only those of which it speaks.
---@param functions function[]
---@return demilune.Reach
function reach.used(functions)
  local found = { values = {}, names = {}, calls = {}, seen = {}, held = {}, opened = {}, spoken = {} }
  for _, fn in ipairs(functions) do add_value(found, fn, 0) end
  repeat -- what is found here may be a function that speaks of more
    found.grown, found.spoken = false, copy_of(found.names)
    local index = 1
    while found.held[index] do
      add_named(found, found.held[index])
      index = index + 1
    end
  until not found.grown
  return found
end

return reach
