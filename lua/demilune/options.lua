-- SPDX-License-Identifier: MIT
-- Options tables, checked. Whatever a constructor or a route takes is a row in a
-- table of the option's name and its sort; a sort says what a value must be and
-- shows one that would do. An unknown option names the nearest known one.

local errors = require "demilune.errors"
local names = require "demilune.names"

local function is(wanted)
  return function(value) return type(value) == wanted end
end

local function is_whole(value) return type(value) == "number" and value % 1 == 0 end

local function is_list_of(check)
  return function(value)
    if type(value) ~= "table" then return false end
    local count = 0
    for _ in pairs(value) do count = count + 1 end
    for index = 1, count do
      if value[index] == nil or not check(value[index]) then return false end
    end
    return true
  end
end

local is_string = is("string")

---@class demilune.Sort
---@field is fun(value: any): boolean
---@field say string what the value must be
---@field example string

---@type table<string, demilune.Sort>
local sorts = {
  any = { is = function(value) return value ~= nil end, say = "any value", example = "" },
  boolean = { is = is("boolean"), say = "true or false", example = "true" },
  string = { is = is_string, say = "a string", example = '"text"' },
  strings = { is = is_list_of(is_string), say = "a list of strings", example = '{ "one", "two" }' },
  names = {
    is = function(value) return is_string(value) or is_list_of(is_string)(value) end,
    say = "a name or a list of names",
    example = '"admin"',
  },
  list = { is = is_list_of(function() return true end), say = "a list", example = "{ ... }" },
  count = { is = function(value) return is_whole(value) and value >= 0 end, say = "a whole number of 0 or more", example = "10" },
  number = {
    is = function(value) return type(value) == "number" or type(value) == "cdata" end,
    say = "a number",
    example = "10",
  },
  bound = {
    is = function(value) return type(value) == "number" or type(value) == "cdata" or is_string(value) end,
    say = "a number or a string",
    example = '10 or "10.50"',
  },
  ["function"] = { is = is("function"), say = "a function", example = "function(value) ... end" },
  asker = { is = is("function"), say = "a function", example = "function(req, need) ... end" },
  table = { is = is("table"), say = "a table", example = "{ ... }" },
  schema = { is = is("table"), say = "a field, a model or a table of fields", example = "{ name = model.string() }" },
  status = {
    is = function(value) return is_whole(value) and value >= 200 and value <= 599 end,
    say = "a status from 200 to 599",
    example = "201",
  },
  limit = {
    is = function(value) return is_string(value) or type(value) == "table" end,
    say = "text, a table or a list of them",
    example = '"5/minute"',
  },
  cors = {
    is = function(value) return value == false or type(value) == "table" end,
    say = "a table, or false",
    example = '{ origins = { "https://app.example" } }',
  },
  duration = {
    is = function(value) return type(value) == "number" and value > 0 or is_string(value) end,
    say = "a number of seconds or a duration",
    example = '"30s"',
  },
  size = {
    is = function(value) return is_whole(value) and value >= 0 or is_string(value) end,
    say = "a number of bytes or a size",
    example = '"1MiB"',
  },
}

local options = {}

---The names of a table of options, sorted, as a message lists them.
---@param allowed table<string, string>
---@return string[]
function options.names(allowed)
  local list = {}
  for name in pairs(allowed) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function refuse_unknown(place, what, name, allowed)
  local known = options.names(allowed)
  local meant, nearest = names.option(name, allowed), errors.nearest(name, known)
  local hint = meant and meant .. "; " or nearest and ("did you mean %s? "):format(nearest) or ""
  errors.raise(place, "%s: there is no option %s; %sit takes %s", what, errors.show(name), hint, table.concat(known, ", "))
end

---Checks that every option is known and of its sort.
---@param place string
---@param what string whose options these are: "model.string"
---@param given table?
---@param allowed table<string, string> option name to the name of its sort
---@return table given
function options.check(place, what, given, allowed)
  if given == nil then return {} end
  if type(given) ~= "table" then
    local call = what:find(":", 1, true) and "" or what .. " " -- what stands in another's options has no name to call
    errors.raise(place, "%s takes a table of options, not %s; write %s{ name = value }", what, errors.show(given), call)
  end
  for name, value in pairs(given) do
    if allowed[name] == nil then refuse_unknown(place, what, name, allowed) end
    local sort = sorts[allowed[name]]
    if not sort.is(value) then
      errors.raise(place, "%s: %s must be %s, not %s; write %s = %s", what, name, sort.say, errors.show(value), name, sort.example)
    end
  end
  return given
end

---Checks that a table is a list and nothing besides: ipairs passes over what has a name, and over all that stands behind a nil.
---@param place string
---@param what string whose list it is: "guard.role"
---@param given table
---@param mend string what to write
---@return table given
function options.list(place, what, given, mend)
  local count, last = 0, table.maxn(given)
  for key in pairs(given) do
    if type(key) ~= "number" or key % 1 ~= 0 or key < 1 then errors.raise(place, "%s: %s stands in a list; %s", what, tostring(key), mend) end
    count = count + 1
  end
  if count == last then return given end
  local hole = 1
  while given[hole] ~= nil do hole = hole + 1 end
  return errors.raise(place, "%s: number %d of the list is nil, as a name is that is not there yet; %s", what, hole, mend)
end

---Several tables of options as one.
---@return table<string, string>
function options.join(...)
  local joined = {}
  for _, part in ipairs { ... } do
    for name, sort in pairs(part) do joined[name] = sort end
  end
  return joined
end

return options
