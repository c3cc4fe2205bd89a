-- SPDX-License-Identifier: MIT
-- JSON whose names come out in the order they were set, so that the same plan
-- always gives the same bytes: a document that people diff and cache. Used by
-- openapi.lua and json_schema.lua; a handler's answers never pass here.

local core = require "demilune.core"

local ordered = {}

---@class demilune.ordered.object
---@field names string[]
---@field values table<string, any>
local Object = {}
Object.__index = Object

---@class demilune.ordered.list
local List = {}
List.__index = List

---@return demilune.ordered.object
function ordered.object()
  return setmetatable({ names = {}, values = {} }, Object)
end

---@param items any[]|nil
---@return demilune.ordered.list
function ordered.list(items)
  return setmetatable(items or {}, List)
end

-- Sets a name, at the end when it is new; nil leaves the object as it was.
---@param name string
---@param value any
---@return demilune.ordered.object self
function Object:set(name, value)
  if value == nil then return self end
  if self.values[name] == nil then self.names[#self.names + 1] = name end
  self.values[name] = value
  return self
end

---@param name string
function Object:get(name)
  return self.values[name]
end

---@param name string
---@return demilune.ordered.object self
function Object:remove(name)
  for index, known in ipairs(self.names) do
    if known == name then table.remove(self.names, index) end
  end
  self.values[name] = nil
  return self
end

---@return boolean
function Object:empty()
  return #self.names == 0
end

---@param item any
---@return demilune.ordered.list self
function List:add(item)
  self[#self + 1] = item
  return self
end

local encode

local function encode_list(value, out)
  out[#out + 1] = "["
  for index, item in ipairs(value) do
    if index > 1 then out[#out + 1] = "," end
    encode(item, out)
  end
  out[#out + 1] = "]"
end

local function encode_members(names, values, out)
  out[#out + 1] = "{"
  for index, name in ipairs(names) do
    if index > 1 then out[#out + 1] = "," end
    out[#out + 1] = core.json_encode(name)
    out[#out + 1] = ":"
    encode(values[name], out)
  end
  out[#out + 1] = "}"
end

-- A table that an app wrote (a default, an example): pairs() has no order, so
-- names are sorted. An empty one is an object unless it is marked as an array.
local function encode_plain(value, out)
  if #value > 0 or getmetatable(value) == core.array_type then return encode_list(value, out) end
  local names, values = {}, {}
  for name, item in pairs(value) do
    local text = tostring(name)
    names[#names + 1], values[text] = text, item
  end
  table.sort(names)
  encode_members(names, values, out)
end

function encode(value, out)
  local kind = type(value)
  if kind == "cdata" then
    out[#out + 1] = tostring(value):gsub("U?LL$", "")
  elseif kind ~= "table" then
    out[#out + 1] = core.json_encode(value)
  elseif getmetatable(value) == Object then
    encode_members(value.names, value.values, out)
  elseif getmetatable(value) == List then
    encode_list(value, out)
  else
    encode_plain(value, out)
  end
end

---@param value any
---@return string json
function ordered.encode(value)
  local out = {}
  encode(value, out)
  return table.concat(out)
end

return ordered
