-- SPDX-License-Identifier: MIT
-- Models: named sets of fields, and the constructors of fields. `model "User"
-- { ... }` names one; extend, partial, pick and omit make others from it. These are
-- descriptions: the core compiles them and does all checking.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local field = require "demilune.field"
local options = require "demilune.options"
local strict = require("demilune.names").strict

---@class demilune.Model : demilune.Field
---@field name? string
---@field fields { name: string, schema: demilune.Field }[] in the order they were written
---@field extra? "forbid"|"ignore"|"allow"
local Model = { is_field = true }
Model.__index = Model
Model.__tostring = function(self) return "model " .. (self.name or "(unnamed)") end
Model.__call = function(self)
  local name = self.name or "User"
  errors.raise(errors.where(), '%s has its fields already; write %s:extend "%sMore" { ... } for one with more', tostring(self), name, name)
end

---@class demilune.model
---@overload fun(name: string, options?: demilune.ModelOptions): fun(fields: table<string, demilune.Field>): demilune.Model
local model = {}

---@class demilune.ModelOptions
---@field extra? "forbid"|"ignore"|"allow" what happens to fields that the model does not name
---@field strict? boolean
---@field check? fun(value: table): any?, string?
---@field title? string
---@field description? string
---@field example? any
---@field deprecated? boolean

local OPTIONS = {
  extra = "string", strict = "boolean", check = "function", title = "string", description = "string", example = "any", deprecated = "boolean",
}
local EXTRA = { forbid = true, ignore = true, allow = true }
local WRAP = { default = "any", description = "string", example = "any", title = "string", alias = "string", deprecated = "boolean",
  read_only = "boolean", write_only = "boolean", visible_to = "names" }

local function check_name(place, what, name)
  if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
    errors.raise(place, '%s needs a name of letters, digits and underscores, not %s; write %s "CreateUser"', what, errors.show(name), what)
  end
end

local function check_field(place, what, name, value)
  if field.is(value) then return field.refuse_whole_body(place, ("%s: %s"):format(what, name), value) end
  local hint = "; write model.string() or another kind"
  if type(value) == "table" then hint = "; write model.object { ... } for fields inside a field" end
  for kind, constructor in pairs(model) do
    if value == constructor then hint = ("; write model.%s() with its parentheses"):format(kind) end
  end
  return errors.raise(place, "%s: %s must be a field, not %s%s", what, name, errors.show(value), hint)
end

-- Fields made inside the braces keep the order in which they were written; models
-- and fields made before, which a bare name brings in, follow them.
local function in_order(fields, opened)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    local first, second = fields[a], fields[b]
    local first_is_new, second_is_new = first._order > opened, second._order > opened
    if first_is_new ~= second_is_new then return first_is_new end
    if first._order ~= second._order then return first._order < second._order end
    return a < b
  end)
  return names
end

local function list_fields(place, what, fields, opened)
  if type(fields) ~= "table" or field.is(fields) then
    errors.raise(place, "%s takes a table of fields, not %s; write { email = model.email(), ... }", what, errors.show(fields))
  end
  for name, value in pairs(fields) do
    if type(name) ~= "string" then errors.raise(place, "%s: every field needs a name; write { name = model.string() }", what) end
    check_field(place, what, name, value)
  end
  local list = {}
  for index, name in ipairs(in_order(fields, opened)) do list[index] = { name = name, schema = fields[name] } end
  return list
end

local function refuse_shared_aliases(place, what, list)
  local seen = {}
  for _, entry in ipairs(list) do
    local wire = entry.schema.alias or entry.name
    if seen[wire] then
      errors.raise(place, "%s: %s and %s have the same name on the wire, %q; change one alias", what, seen[wire], entry.name, wire)
    end
    seen[wire] = entry.name
  end
end

-- The one place where a model's description is made.
local function build(place, name, list, given)
  local what = name and "model " .. name or "model.object"
  if core.has_loaded() and not errors.in_file() then -- what it is compiled to is kept as long as the app; a file runs once
    errors.raise(place, "%s is declared after the app has loaded, and what it takes of memory would not be given back; "
      .. "declare it beside functions, not in one", what)
  end
  refuse_shared_aliases(place, what, list)
  if given.extra and not EXTRA[given.extra] then
    errors.raise(place, '%s: extra is %s; write "forbid", "ignore" or "allow"', what, errors.show(given.extra))
  end
  local description = { kind = "model", name = name, fields = list, source = place }
  for option in pairs(OPTIONS) do description[option] = given[option] end
  return field.seal(description, Model)
end

local function inherit(base, given)
  local merged = {}
  for option in pairs(OPTIONS) do merged[option] = base[option] end
  merged.title, merged.description, merged.example = nil, nil, nil
  for option, value in pairs(given) do merged[option] = value end
  return merged
end

setmetatable(model, {
  __call = function(_, name, given)
    local place = errors.where()
    check_name(place, "model", name)
    local what, opened = "model " .. name, field.count()
    given = options.check(place, what, given, OPTIONS)
    return function(fields)
      place = errors.where()
      return build(place, name, list_fields(place, what, fields, opened), given)
    end
  end,
})

---Names a model with this one's fields and more; a field of the same name replaces.
---@param name string
---@param given demilune.ModelOptions?
---@return fun(fields: table<string, demilune.Field>): demilune.Model
function Model:extend(name, given)
  local place = errors.where()
  check_name(place, "extend", name)
  local what, opened = "model " .. name, field.count()
  given = inherit(self, options.check(place, what, given, OPTIONS))
  return function(fields)
    place = errors.where()
    local list, at = {}, {}
    for index, entry in ipairs(self.fields) do
      list[index], at[entry.name] = entry, index
    end
    for _, entry in ipairs(list_fields(place, what, fields, opened)) do list[at[entry.name] or #list + 1] = entry end
    return build(place, name, list, given)
  end
end

local bare = {} -- fields to what they are without a default

-- A field without what fills it in. What a reference gives has its own, and may not be declared yet: it is asked for when the reference is
-- followed. Of one field comes one copy, so that references which lead back to themselves still do.
local function without_default(original, place)
  if not field.is(original) or original.kind == "model" then return original end
  local copy = bare[original]
  if copy then return copy end
  copy = field.vary(original, {}, place)
  copy.default, copy.default_factory = nil, nil
  if copy.kind == "ref" then copy.get = function() return without_default(original.get(), place) end end
  bare[original] = copy
  return copy
end

---A model with the same fields, all of which may be left out: for PATCH. Defaults
---are dropped, so that what was not sent stays unchanged; so is the model's check.
---Models inside it stay whole: what is sent of one has its defaults filled in.
---@param name string
---@param given demilune.ModelOptions?
---@return demilune.Model
function Model:partial(name, given)
  local place = errors.where()
  check_name(place, "partial", name)
  given = inherit(self, options.check(place, "model " .. name, given, OPTIONS))
  if given.check == self.check then given.check = nil end
  local list = {}
  for index, entry in ipairs(self.fields) do
    local schema = without_default(entry.schema, place)
    list[index] = { name = entry.name, schema = field.vary(schema, { optional = true, alias = schema.alias }, place) }
  end
  return build(place, name, list, given)
end

-- pick and omit: the entries whose being named is what keep says.
local function choose(self, word, name, given, keep)
  local place = errors.where()
  check_name(place, word, name)
  given = inherit(self, options.check(place, "model " .. name, given, OPTIONS))
  if given.check == self.check then given.check = nil end
  return function(names)
    place = errors.where()
    local wanted, list_of = {}, type(names) == "table" and names or { names }
    options.list(place, word, list_of, ('write %s "%s" { "id", "name" }'):format(word, name))
    if word == "pick" and #list_of == 0 then errors.raise(place, 'pick names no field; write pick "%s" { "id", "name" }', name) end
    for _, wanted_name in ipairs(list_of) do wanted[wanted_name] = true end
    local list, known = {}, {}
    for _, entry in ipairs(self.fields) do
      if (wanted[entry.name] or false) == keep then list[#list + 1] = entry end
      known[#known + 1] = entry.name
      wanted[entry.name] = nil
    end
    local unknown = next(wanted)
    if unknown ~= nil then
      errors.raise(place, "model %s: %s has no field %s; it has %s", name, tostring(self), errors.show(unknown), table.concat(known, ", "))
    end
    return build(place, name, list, given)
  end
end

---A model with only the named fields of this one: User:pick "Card" { "id", "name" }.
---@param name string
---@param given demilune.ModelOptions?
---@return fun(names: string[]): demilune.Model
function Model:pick(name, given) return choose(self, "pick", name, given, true) end

---A model without the named fields of this one: User:omit "Public" { "email" }.
---@param name string
---@param given demilune.ModelOptions?
---@return fun(names: string[]): demilune.Model
function Model:omit(name, given) return choose(self, "omit", name, given, false) end

local VALIDATE, MODES = { mode = "string" }, { strict = true, lax = true, text = true }

local function check_validate(place, given)
  options.check(place, "validate", given, VALIDATE)
  if given.mode and not MODES[given.mode] then
    errors.raise(place, 'validate: mode is %s; write "strict", "lax" or "text"', errors.show(given.mode))
  end
end

-- Models to their compiled schemas, for validate.
local schemas = setmetatable({}, { __mode = "k" })

-- By the app's words where the model has none, as its routes' are. Of a model that is asked while the app loads nobody knows them yet.
local function schema_of(self, app)
  local schema = schemas[self]
  if schema then return schema end
  field.each(self, {}, function(desc)
    if desc.kind == "model" then desc.extra = desc.extra or app.extra end
  end)
  schemas[self] = core.schema_compile(self)
  return schemas[self]
end

---Checks a value that did not come with a request (a queue's message, a file).
---@param value any
---@param given? { mode?: "strict"|"lax"|"text" } as JSON bodies are when left out: strict, unless the app says strict = false
---@return table? value converted, or nil
---@return table[]? errors as in the "detail" of a 422
function Model:validate(value, given)
  if getmetatable(self) ~= Model then
    errors.raise(errors.where(), "validate is called with a colon, so that it knows by which model; write User:validate(value)")
  end
  if given then check_validate(errors.where(), given) end
  local app = context.plan or {}
  local mode = given and given.mode or app.strict == false and "lax" or "strict"
  return schema_of(self, app):validate(value, { mode = mode, source = self.name or "value" })
end

-- One constructor for each kind that needs nothing but options.
for _, kind in ipairs {
  "string", "integer", "int64", "number", "decimal", "boolean", "email", "url", "uuid", "date", "time", "datetime", "duration",
  "ipv4", "ipv6", "cidr", "bytes", "secret", "file", "any", "json",
} do
  model[kind] = function(given) return field.new(kind, given, errors.where()) end
end

---A route's body that is text as it came, not JSON.
---@param given? { min_length?: integer, max_length?: integer, pattern?: string, strip?: boolean, lower?: boolean }
function model.text(given)
  local description = field.new("string", given, errors.where(), "model.text")
  description._body_kind = "text"
  return description
end

---A route's body that is bytes as they came.
---@param given? { min_length?: integer, max_length?: integer }
function model.raw(given)
  local description = field.new("bytes", given, errors.where(), "model.raw")
  description._body_kind = "bytes"
  return description
end

---One of the values in the list: model.literal { "user", "editor", default = "user" }.
---@param given table
function model.literal(given, ...)
  local place, mend = errors.where(), 'write model.literal { "user", "editor" }'
  if select("#", ...) > 0 then errors.raise(place, "model.literal takes its values in one table; %s", mend) end
  local values, rest = {}, {}
  for key, value in pairs(type(given) == "table" and given or { given }) do
    if type(key) ~= "number" then rest[key] = value else values[key] = value end
  end
  if next(values) == nil then errors.raise(place, "model.literal needs its values; %s", mend) end
  for _, value in ipairs(options.list(place, "model.literal", values, mend)) do
    if type(value) == "table" or type(value) == "function" then
      errors.raise(place, "model.literal: a value must be a string, number or boolean, not %s", errors.show(value))
    end
  end
  local description = field.new("literal", rest, place)
  description.values = values
  return description
end

local function need_field(place, what, value)
  if not field.is(value) then
    errors.raise(place, "%s takes a field or a model first, not %s; write %s(model.string())", what, errors.show(value), what)
  end
  return value
end

---A list of values of one field: model.array(model.string(), { max_items = 10 }).
---@param items demilune.Field
---@param given table?
function model.array(items, given)
  local place = errors.where()
  field.refuse_whole_body(place, "model.array", need_field(place, "model.array", items))
  local description = field.new("array", given, place)
  description.items = items
  return description
end

local function read_keys(place, keys)
  if field.is(keys) then return keys end
  return errors.raise(place, "model.map: keys must be a field, not %s; write keys = model.string { max_length = 10 }", errors.show(keys))
end

---Any names, values of one field: model.map(model.integer(), { keys = model.string { max_length = 10 } }).
---@param values demilune.Field
---@param given table?
function model.map(values, given)
  local place = errors.where()
  field.refuse_whole_body(place, "model.map", need_field(place, "model.map", values))
  local description = field.new("map", given, place)
  description.values = values
  description.keys = description.keys and read_keys(place, description.keys) or field.new("string", nil, place)
  return description
end

local function members_of(place, what, members, example)
  if type(members) ~= "table" or field.is(members) or next(members) == nil then
    errors.raise(place, "%s takes a list of fields or models, not %s; write { Cat, Dog }", what, errors.show(members))
  end
  options.list(place, what, members, ("write %s; options come last"):format(example))
  local list = {}
  for index, member in ipairs(members) do list[index] = check_field(place, what, index, member) end
  return list
end

---The first of the members that fits: model.union { model.integer(), model.string() }.
---@param members demilune.Field[]
---@param given table?
function model.union(members, given)
  local place = errors.where()
  local list = members_of(place, "model.union", members, "model.union({ Cat, Dog }, { optional = true })")
  local description = field.new("union", given, place)
  description.members = list
  return description
end

---The member whose literal field of the given name has the value that was sent.
---@param discriminator string
---@param members demilune.Model[]
---@param given table?
function model.tagged(discriminator, members, given)
  local place = errors.where()
  if type(discriminator) ~= "string" then
    errors.raise(place, 'model.tagged takes the telling field first; write model.tagged("type", { Cat, Dog })')
  end
  local list = members_of(place, "model.tagged", members, 'model.tagged("type", { Cat, Dog }, { optional = true })')
  for _, member in ipairs(list) do
    local found
    for _, entry in ipairs(member.fields or {}) do found = found or entry.name == discriminator and entry.schema.kind == "literal" end
    if not found and member.kind ~= "ref" then
      errors.raise(place, '%s needs a field %s = model.literal { "..." } to be told from the others', tostring(member), discriminator)
    end
  end
  local description = field.new("union", given, place, "model.tagged")
  description.members, description.discriminator = list, discriminator
  return description
end

local function varied(what, value, given, changes)
  local place = errors.where()
  need_field(place, what, value)
  for name, option in pairs(options.check(place, what, given, WRAP)) do changes[name] = option end
  field.check_visibility(place, what, changes)
  return field.vary(value, changes, place)
end

---The same field, which may be left out.
---@param value demilune.Field
---@param given table?
function model.optional(value, given) return varied("model.optional", value, given, { optional = true }) end

---The same field, where null is a value too.
---@param value demilune.Field
---@param given table?
function model.nullable(value, given) return varied("model.nullable", value, given, { nullable = true }) end

---A model used before it is declared, as a tree's nodes are:
---model.ref(function() return Node end). Also gives a model options as a field.
---@param target demilune.Model|fun(): demilune.Model
---@param given table?
function model.ref(target, given)
  local place = errors.where()
  local description = field.new("ref", given, place)
  if field.is(target) then
    description.get = function() return target end
  elseif type(target) == "function" then
    description.get = target
  else
    errors.raise(place, "model.ref takes a function that gives the model, not %s; write model.ref(function() return Node end)", errors.show(target))
  end
  return description
end

---Fields inside a field, without a name of their own.
---@param fields table<string, demilune.Field>
---@param given demilune.ModelOptions?
---@return demilune.Model
function model.object(fields, given)
  local place = errors.where()
  return build(place, nil, list_fields(place, "model.object", fields, 0), options.check(place, "model.object", given, OPTIONS))
end

return strict("model.", model, {
  int = "write model.integer()", str = "write model.string()", text = "write model.string()", bool = "write model.boolean()",
  float = "write model.number()", enum = 'write model.literal { "one", "other" }', list = "write model.array(model.string())",
  dict = "write model.map(model.string())", timestamp = "write model.datetime()", password = "write model.secret()",
  money = "write model.decimal()", upload = "write body = model.raw { ... }: the file is the whole body",
})
