-- SPDX-License-Identifier: MIT
-- Schema descriptions (model.lua) as JSON Schema 2020-12, the dialect of OpenAPI
-- 3.1. A collection first surveys every description of a plan, then names its
-- models, then writes schemas; named and recursive models become components.

local core = require "demilune.core"
local base64_pattern = require "demilune.base64_pattern"
local ecmascript = require "demilune.ecmascript"
local ordered = require "demilune.ordered"
local wire = require "demilune.wire"

local json_schema = {}

---@alias demilune.direction "input"|"output" what a client sends, or what it is sent

---@class demilune.json_schema.entry one model, whatever copies of its description there are
---@field desc table
---@field name string|nil component name of the form that leaves the server
---@field input_name string|nil component name of the form that comes in, when that is another
---@field input boolean|nil used for what comes in
---@field output boolean|nil used for what goes out
---@field recursive boolean|nil
---@field differs boolean|nil has a read_only or write_only field, itself or below
---@field children demilune.json_schema.entry[]

---@class demilune.json_schema.collection
---@field entries demilune.json_schema.entry[] in the order they were met
---@field by_fields table<table, demilune.json_schema.entry>
---@field taken table<string, true>
local Collection = {}
Collection.__index = Collection

-- JSON type and format of each kind that is a single value. A double-int lies between
-- -2^53 + 1 and 2^53 - 1, by OpenAPI's registry of formats; were that a minimum, the
-- documentation page would show it as the example of every integer.
local TYPES = {
  string = { "string" },
  integer = { "integer", "double-int" },
  int64 = { "integer", "int64" },
  number = { "number" },
  decimal = { "string", "decimal" },
  boolean = { "boolean" },
  email = { "string", "email" },
  url = { "string", "uri" },
  uuid = { "string", "uuid" },
  date = { "string", "date" },
  time = { "string", "time" },
  datetime = { "string", "date-time" },
  duration = { "string", "duration" },
  ipv4 = { "string", "ipv4" },
  ipv6 = { "string", "ipv6" },
  cidr = { "string", "cidr" },
  bytes = { "string" },
  secret = { "string", "password" },
  file = { "string", "binary" },
  any = {},
  json = {},
}

local LENGTHS = { { "min_length", "minLength" }, { "max_length", "maxLength" } }
local BOUNDS = {
  { "ge", "minimum" }, { "gt", "exclusiveMinimum" }, { "le", "maximum" }, { "lt", "exclusiveMaximum" }, { "multiple_of", "multipleOf" },
}
-- JSON Schema has no bound for numbers and times that travel as text.
local TEXT_BOUNDS = {
  { "ge", "x-minimum" }, { "gt", "x-exclusive-minimum" }, { "le", "x-maximum" }, { "lt", "x-exclusive-maximum" },
  { "multiple_of", "x-multiple-of" },
}
local MAX_ITEMS = 10000 -- where nobody says otherwise, as in core/model/schema_internal.h
local ITEMS = { { "min_items", "minItems" }, { "max_items", "maxItems", MAX_ITEMS }, { "unique_items", "uniqueItems" } }
local PROPERTIES = { { "min_items", "minProperties" }, { "max_items", "maxProperties", MAX_ITEMS } }

local CONSTRAINTS = {
  string = LENGTHS, email = LENGTHS, url = LENGTHS, secret = LENGTHS,
  integer = BOUNDS, int64 = BOUNDS, number = BOUNDS,
  decimal = TEXT_BOUNDS, date = TEXT_BOUNDS, time = TEXT_BOUNDS, datetime = TEXT_BOUNDS, duration = TEXT_BOUNDS,
  array = ITEMS, map = PROPERTIES,
}

---@param desc table
---@return table desc the description itself, behind any number of refs
local function resolve(desc)
  while desc.kind == "ref" do desc = desc.get() end
  return desc
end

local function copy_keywords(rows, desc, out)
  for _, row in ipairs(rows or {}) do
    local value = desc[row[1]] or row[3]
    out:set(row[2], desc.kind == "duration" and wire.value(desc, value) or value)
  end
end

-- Whether a description has the option, or one that it refers to: the core takes them together.
local function has(desc, option)
  while desc.kind == "ref" and desc[option] == nil do desc = desc.get() end
  return desc[option] ~= nil
end

-- The same of an option that is true or false, and counts where it is true.
local function is(desc, option)
  while desc.kind == "ref" and not desc[option] do desc = desc.get() end
  return desc[option] == true
end

-- Whether a field must be there.
---@param desc table
---@return boolean
function json_schema.is_required(desc)
  return not (is(desc, "optional") or has(desc, "default") or has(desc, "default_factory"))
end

-- A client does not send what is read_only, and is not sent what is write_only.
local function is_shown(desc, direction) return not is(desc, direction == "input" and "read_only" or "write_only") end

---@return demilune.json_schema.collection
function json_schema.collection()
  return setmetatable({ entries = {}, by_fields = {}, taken = {} }, Collection)
end

-- Keeps a component name for the document's own use.
---@param name string
function Collection:reserve(name)
  self.taken[name] = true
end

local function survey_model(self, desc, direction, parent, open)
  local entry = self.by_fields[desc.fields]
  if not entry then
    entry = { desc = desc, children = {} }
    self.by_fields[desc.fields] = entry
    self.entries[#self.entries + 1] = entry
  end
  if parent then parent.children[#parent.children + 1] = entry end
  if open[entry] then entry.recursive = true end
  if entry[direction] then return end
  entry[direction], open[entry] = true, true
  for _, field in ipairs(desc.fields) do
    if is(field.schema, "read_only") or is(field.schema, "write_only") or has(field.schema, "visible_to") then entry.differs = true end
    if is_shown(field.schema, direction) then self:survey(field.schema, direction, entry, open) end
  end
  open[entry] = nil
end

-- Meets every model that desc leads to. All surveys come before the first schema.
---@param desc table
---@param direction demilune.direction
---@param parent demilune.json_schema.entry|nil
---@param open table|nil the models that the walk is inside of
function Collection:survey(desc, direction, parent, open)
  desc, open = resolve(desc), open or {}
  if desc.kind == "model" then return survey_model(self, desc, direction, parent, open) end
  if desc.kind == "array" and desc.items then self:survey(desc.items, direction, parent, open) end
  if desc.kind == "map" and desc.values then self:survey(desc.values, direction, parent, open) end
  for _, member in ipairs(desc.kind == "union" and desc.members or {}) do self:survey(member, direction, parent, open) end
end

local function spread_differences(entries)
  local changed = true
  while changed do
    changed = false
    for _, entry in ipairs(entries) do
      for _, child in ipairs(entry.differs and {} or entry.children) do
        if child.differs then entry.differs, changed = true, true end
      end
    end
  end
end

-- Component names may hold letters, digits, dots, hyphens and underscores; a name
-- that is taken, by a model of another app file for one, gets a number.
local function free_name(taken, wanted)
  local base = wanted:gsub("[^%w._-]", "_")
  local name, number = base, 1
  while taken[name] do
    number = number + 1
    name = base .. "_" .. number
  end
  taken[name] = true
  return name
end

-- Names what becomes a component. A model has two forms only where read_only or
-- write_only make them differ and both are used: "User" goes out, "UserInput" comes in.
function Collection:name_models()
  spread_differences(self.entries)
  for _, entry in ipairs(self.entries) do
    if entry.desc.name or entry.recursive then
      local wanted = entry.desc.name or "Model"
      entry.name = free_name(self.taken, wanted)
      local two_forms = entry.differs and entry.input and entry.output
      entry.input_name = two_forms and free_name(self.taken, wanted .. "Input") or entry.name
    end
  end
end

local BUILD = {}

function BUILD.array(self, desc, direction, out)
  out:set("type", "array"):set("items", desc.items and self:schema(desc.items, direction))
end

-- Keys are text: those of a literal are what its values are as JSON.
local function key_schema(self, desc, direction)
  local target = resolve(desc)
  if target.kind ~= "literal" then return self:schema(desc, direction) end
  local texts = ordered.list()
  for _, value in ipairs(target.values) do texts:add(type(value) == "string" and value or ordered.encode(value)) end
  return ordered.object():set("enum", texts)
end

function BUILD.map(self, desc, direction, out)
  out:set("type", "object"):set("additionalProperties", desc.values and self:schema(desc.values, direction) or true)
  local keys = desc.keys and key_schema(self, desc.keys, direction)
  if keys and (#keys.names > 1 or keys:get("type") ~= "string") then out:set("propertyNames", keys) end
end

function BUILD.literal(_, desc, _, out)
  local first = type(desc.values[1])
  local same = first
  for _, value in ipairs(desc.values) do
    if type(value) ~= first then same = nil end
  end
  out:set("type", ({ string = "string", boolean = "boolean", number = "number" })[same])
  if #desc.values == 1 then
    out:set("const", desc.values[1])
  else
    out:set("enum", ordered.list { unpack(desc.values) })
  end
end

-- The name on the wire of the field that tells a tagged union's members apart, its values, and whether the member itself asks for it.
local function tag_field(member, name)
  for _, field in ipairs(member.fields or {}) do
    if field.name == name then return field.schema.alias or field.name, resolve(field.schema).values or {}, json_schema.is_required(field.schema) end
  end
  return name, {}, false
end

-- Where a member does without its tag, as with a default for it, the union has to ask for it: here nothing stands for a tag that is missing.
local function ask_for_tag(desc, out)
  local name, every_tag, required = nil, ordered.list(), true
  for _, item in ipairs(desc.members) do
    local wire_name, tags, is_required = tag_field(resolve(item), desc.discriminator)
    name, required = wire_name, required and is_required
    for _, tag in ipairs(tags) do every_tag:add(tag) end
  end
  if required then return end
  out:set("properties", ordered.object():set(name, ordered.object():set("enum", every_tag))):set("required", ordered.list { name })
end

function BUILD.union(self, desc, direction, out)
  local members, mapping, property = ordered.list(), ordered.object(), desc.discriminator
  for _, item in ipairs(desc.members) do
    local schema = self:schema(item, direction)
    members:add(schema)
    if desc.discriminator then
      local wire_name, tags = tag_field(resolve(item), desc.discriminator)
      property = wire_name
      for _, tag in ipairs(tags) do mapping:set(tostring(tag), schema:get("$ref")) end
    end
  end
  -- Members of an untagged union may overlap; the first that fits is taken.
  out:set(desc.discriminator and "oneOf" or "anyOf", members)
  if desc.discriminator then
    ask_for_tag(desc, out)
    out:set("discriminator", ordered.object():set("propertyName", property):set("mapping", not mapping:empty() and mapping or nil))
  end
end

function BUILD.model(self, desc, direction, out)
  local properties, required = ordered.object(), ordered.list()
  for _, field in ipairs(desc.fields) do
    if is_shown(field.schema, direction) then
      local name = field.schema.alias or field.name
      properties:set(name, self:schema(field.schema, direction))
      local hidden = direction == "output" and has(field.schema, "visible_to") -- from some
      if json_schema.is_required(field.schema) and not hidden then required:add(name) end
    end
  end
  out:set("type", "object"):set("properties", properties):set("required", #required > 0 and required or nil)
  if (desc.extra or "forbid") == "forbid" then out:set("additionalProperties", false) end
end

function BUILD.bytes(_, desc, _, out)
  out:set("type", "string"):set("contentEncoding", "base64"):set("pattern", base64_pattern.of(desc.min_length, desc.max_length))
  out:set("minLength", base64_pattern.length(desc.min_length)):set("maxLength", base64_pattern.length(desc.max_length))
end

local function build_scalar(desc, out)
  local row = TYPES[desc.kind] or error("openapi: no JSON Schema for the kind " .. tostring(desc.kind))
  out:set("type", row[1]):set("format", row[2])
  local portable = desc.pattern and ecmascript.pattern(desc.pattern)
  out:set(portable and "pattern" or "x-pcre2-pattern", portable or desc.pattern)
  -- As many characters are as many bytes at least.
  out:set("minLength", desc.min_bytes):set("x-minimum-bytes", desc.min_bytes)
end

local function null_schema()
  return ordered.object():set("type", "null")
end

local function allow_null(out)
  local constant = out:get("const")
  if out:get("type") then out:set("type", ordered.list { out:get("type"), "null" }) end
  if constant ~= nil then
    local values = ordered.list { constant, core.null }
    out:remove("const"):set("enum", values)
  elseif out:get("enum") then
    out:get("enum"):add(core.null)
  elseif out:get("anyOf") then
    out:get("anyOf"):add(null_schema())
  elseif out:get("$ref") or out:get("oneOf") then
    return ordered.object():set("anyOf", ordered.list { out, null_schema() })
  end
  return out
end

-- What a description says beside its rules.
local function annotate(desc, out)
  out:set("title", desc.title):set("description", desc.description)
  if desc.default ~= nil then out:set("default", wire.value(desc, desc.default)) end
  if desc.example ~= nil then out:set("examples", ordered.list { wire.value(desc, desc.example) }) end
  if desc.visible_to then out:set("x-visible-to", ordered.list { unpack(desc.visible_to) }) end
  return out:set("deprecated", desc.deprecated or nil):set("readOnly", desc.read_only or nil):set("writeOnly", desc.write_only or nil)
end

local function build(self, desc, direction)
  local out = ordered.object()
  if BUILD[desc.kind] then BUILD[desc.kind](self, desc, direction, out) else build_scalar(desc, out) end
  copy_keywords(CONSTRAINTS[desc.kind], desc, out)
  return out
end

-- The schema of a description: a $ref where it is a component.
---@param desc table
---@param direction demilune.direction
---@return demilune.ordered.object
function Collection:schema(desc, direction)
  local target = resolve(desc)
  local entry = self.by_fields[target.fields]
  local out
  if entry and entry.name then
    out = ordered.object():set("$ref", "#/components/schemas/" .. (direction == "input" and entry.input_name or entry.name))
  else
    out = annotate(target, build(self, target, direction))
  end
  if is(desc, "nullable") then out = allow_null(out) end
  return target ~= desc and annotate(desc, out) or out
end

local function define(self, entry, name, direction, out)
  out:set(name, annotate(entry.desc, build(self, entry.desc, direction)))
end

-- All components, in the order their models were met.
---@return demilune.ordered.object
function Collection:components()
  local out = ordered.object()
  for _, entry in ipairs(self.entries) do
    if entry.name then define(self, entry, entry.name, entry.output and "output" or "input", out) end
    if entry.input_name ~= entry.name then define(self, entry, entry.input_name, "input", out) end
  end
  return out
end

return json_schema
