-- SPDX-License-Identifier: MIT
-- A default or an example, written in a description as a handler would see the
-- value, in the form it has in JSON: bytes as base64, durations as ISO 8601,
-- models in the order of their fields. For documents only; responses are
-- serialised in C.

local core = require "demilune.core"
local ordered = require "demilune.ordered"

local wire = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local group = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 3, 0, -1 do
      local index = math.floor(group / 64 ^ shift) % 64 + 1
      out[#out + 1] = ALPHABET:sub(index, index)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

local UNITS = { { "D", 86400, "" }, { "H", 3600, "T" }, { "M", 60, "T" } }

local function iso_duration(seconds)
  local out, clock = { seconds < 0 and "-P" or "P" }, false
  seconds = math.abs(seconds)
  local function add(amount, letter, is_clock)
    if is_clock and not clock then out[#out + 1], clock = "T", true end
    out[#out + 1] = ("%.14g%s"):format(amount, letter)
  end
  for _, unit in ipairs(UNITS) do
    local amount = math.floor(seconds / unit[2])
    if amount > 0 then add(amount, unit[1], unit[3] == "T") end
    seconds = seconds - amount * unit[2]
  end
  if seconds > 0 or #out == 1 then add(seconds, "S", true) end
  return table.concat(out)
end

local KINDS = {}

function KINDS.bytes(_, value)
  return type(value) == "string" and base64(value) or value
end

function KINDS.duration(_, value)
  return type(value) == "number" and iso_duration(value) or value
end

-- A secret is never part of a document, not even as an example.
function KINDS.secret()
  return nil
end

function KINDS.array(desc, value)
  local out = ordered.list()
  for _, item in ipairs(value) do out:add(wire.value(desc.items or {}, item)) end
  return out
end

function KINDS.map(desc, value)
  local names, out = {}, ordered.object()
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do out:set(name, wire.value(desc.values or {}, value[name])) end
  return out
end

function KINDS.model(desc, value)
  local out = ordered.object()
  for _, field in ipairs(desc.fields) do
    if value[field.name] ~= nil then out:set(field.schema.alias or field.name, wire.value(field.schema, value[field.name])) end
  end
  return out
end

local COMPOUND = { array = true, map = true, model = true }

---@param desc table
---@param value any
---@return any # what ordered.encode writes; nil when it must not be shown
function wire.value(desc, value)
  while desc.kind == "ref" do desc = desc.get() end
  local convert = KINDS[desc.kind]
  if value == core.null or not convert then return value end
  if COMPOUND[desc.kind] and type(value) ~= "table" then return value end
  return convert(desc, value)
end

return wire
