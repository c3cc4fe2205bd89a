-- SPDX-License-Identifier: MIT
-- Fields: what each kind of core/model/kind.h takes as options, and the
-- description tables that the core compiles. A field remembers the line that
-- declared it and its place in the order of making, because Lua tables forget
-- the order of their keys and an API's documentation should not.

local core = require "demilune.core"
local errors = require "demilune.errors"
local options = require "demilune.options"
local units = require "demilune.units"

---@class demilune.Field a field of a model, as the core reads it
---@field kind string
---@field default? any used when the field was not sent
---@field default_factory? fun(): any makes the value when the field was not sent
---@field optional? boolean the field may be left out
---@field nullable? boolean null is a value too
---@field alias? string the name on the wire
---@field strict? boolean false converts as Pydantic's lax mode does
---@field check? fun(value: any): any?, string?
---@field description? string
---@field example? any
---@field title? string
---@field deprecated? boolean
---@field read_only? boolean shown, never accepted
---@field write_only? boolean accepted, never shown
---@field visible_to? string|string[] roles that a response shows it to
---@field source string where it was declared
---@field _order integer in which it was made
local Field = {}
Field.__index = Field
Field.__tostring = function(self) return "model." .. self.kind end

local field = {}

local COMMON = {
  default = "any", default_factory = "function", optional = "boolean", nullable = "boolean", alias = "string",
  strict = "boolean", check = "function", description = "string", example = "any", title = "string",
  deprecated = "boolean", read_only = "boolean", write_only = "boolean", visible_to = "names",
}
local TEXT = { min_length = "count", max_length = "count", pattern = "string", strip = "boolean", lower = "boolean" }
local TRIM = { strip = "boolean", lower = "boolean" }
local RANGE = { ge = "number", gt = "number", le = "number", lt = "number", multiple_of = "number" }
local EXACT = { ge = "bound", gt = "bound", le = "bound", lt = "bound", multiple_of = "bound" }
local MOMENT = { ge = "string", gt = "string", le = "string", lt = "string" }
local SPAN = { ge = "duration", gt = "duration", le = "duration", lt = "duration" }
local SIZE = { min_length = "count", max_length = "count" }
local ITEMS = { min_items = "count", max_items = "count" }

-- What a default of the kind must be in Lua. Kinds that are missing take any value.
local DEFAULTS = {
  string = "string", email = "string", url = "string", uuid = "string", date = "string", time = "string", datetime = "string",
  ipv4 = "string", ipv6 = "string", cidr = "string", bytes = "string", decimal = "string",
  integer = "number", number = "number", duration = "number", boolean = "boolean", array = "table", map = "table", model = "table",
}

---What each kind takes besides the common options.
---@type table<string, table<string, string>>
field.kinds = {
  string = TEXT, email = TEXT, url = TEXT,
  integer = RANGE, int64 = RANGE, number = RANGE, decimal = EXACT,
  boolean = {}, uuid = TRIM, ipv4 = TRIM, ipv6 = TRIM, cidr = TRIM, any = {}, json = {},
  date = MOMENT, time = MOMENT, datetime = options.join(MOMENT, { utc = "boolean" }), duration = SPAN,
  bytes = SIZE, file = { max_length = "count" }, secret = { min_bytes = "count", max_length = "count" },
  literal = {}, ref = {}, model = {}, union = {},
  array = options.join(ITEMS, { unique_items = "boolean" }), map = options.join(ITEMS, { keys = "any" }),
}

-- Kinds with their common options joined in, made once.
local allowed = {}
for kind, own in pairs(field.kinds) do allowed[kind] = options.join(COMMON, own) end
allowed.ref.check = nil -- what is referred to has its own

local made = 0

---How many fields were made so far: what is made later has a higher order.
---@return integer
function field.count() return made end

---@param value any
---@return boolean
function field.is(value) return type(value) == "table" and getmetatable(value) ~= nil and getmetatable(value).is_field == true end
Field.is_field = true

---What a field describes, behind any references.
---@param description demilune.Field
---@return demilune.Field
function field.resolve(description)
  local current, steps = description, 0
  while current.kind == "ref" do
    local target = current.get()
    if not field.is(target) then
      errors.raise(current.source, "model.ref: the function gave %s, not a model; return the model from it", errors.show(target))
    end
    current, steps = target, steps + 1
    if steps > 100 then errors.raise(description.source, "model.ref: this reference leads back to itself; let it give a model") end
  end
  return current
end

---Calls visit once for each description that desc leads to.
---@param desc demilune.Field
---@param seen table<demilune.Field, boolean> those that were visited
---@param visit fun(desc: demilune.Field)
function field.each(desc, seen, visit)
  desc = field.resolve(desc)
  if seen[desc] then return end
  seen[desc] = true
  visit(desc)
  for _, entry in ipairs(desc.fields or {}) do field.each(entry.schema, seen, visit) end
  for _, member in ipairs(desc.members or {}) do field.each(member, seen, visit) end
  if desc.items then field.each(desc.items, seen, visit) end
  if desc.kind == "map" then field.each(desc.values, seen, visit) end
end

---Gives a description its order and its metatable.
---@generic T
---@param description T
---@param metatable table?
---@return T
function field.seal(description, metatable)
  made = made + 1
  description._order = made
  return setmetatable(description, metatable or Field)
end

local function check_default(place, what, kind, given)
  local default = given.default
  if default == nil then return end
  if given.default_factory then
    errors.raise(place, "%s has both default and default_factory; write one of them", what)
  elseif kind == "secret" then
    errors.raise(place, "%s: a secret's default would be written in the source; leave default out and set it in the environment", what)
  elseif default == core.null then
    if not given.nullable then errors.raise(place, "%s: default is null but null is not allowed; write nullable = true beside it", what) end
  elseif DEFAULTS[kind] and type(default) ~= DEFAULTS[kind] then
    errors.raise(place, "%s: default must be a %s, not %s", what, DEFAULTS[kind], errors.show(default))
  end
end

-- Durations may bound themselves as people write them: { le = "15m" }.
local function convert_spans(place, what, given)
  for name in pairs(SPAN) do
    if given[name] ~= nil then
      local seconds = units.seconds(given[name])
      if not seconds then errors.raise(place, '%s: %s is not a duration; write %s = "15m"', what, errors.show(given[name]), name) end
      given[name] = seconds
    end
  end
end

---One role becomes a list of one.
---@param place string
---@param what string
---@param given table options of a field
function field.check_visibility(place, what, given)
  if given.visible_to == nil then return end
  if type(given.visible_to) == "string" then given.visible_to = { given.visible_to } end
  if #given.visible_to == 0 then
    errors.raise(place, '%s: visible_to names no role, so that nobody would see it; write visible_to = "admin", or write_only = true', what)
  elseif given.write_only then
    errors.raise(place, "%s is write_only, so that no role sees it; take visible_to or write_only out", what)
  end
end

---A model can leave a field out; the whole of a body cannot be left out. The core
---refuses other such places as it compiles them.
---@param description demilune.Field
---@param section string
function field.refuse_visibility(description, section)
  field.resolve(description) -- so that the references end
  local current = description
  while current do
    for _, word in ipairs { "write_only", "read_only", "visible_to" } do
      if current[word] then
        errors.raise(current.source, "%s is for fields of a model, and this is the whole %s; put it into a model's field", word, section)
      end
    end
    current = current.kind == "ref" and current.get() or nil
  end
end

local WHOLE_BODIES = { text = { "model.text", "model.string" }, bytes = { "model.raw", "model.bytes" } }

---Refuses model.text and model.raw where they would be a string, or base64, in JSON.
---@param place string
---@param what string
---@param description demilune.Field
---@return demilune.Field description
function field.refuse_whole_body(place, what, description)
  local names = WHOLE_BODIES[description._body_kind]
  if not names then return description end
  return errors.raise(place, "%s: %s is the whole body of a request; write %s() for what stands in JSON", what, names[1], names[2])
end

---Makes a field's description from a kind and checked options.
---@param kind string
---@param given table?
---@param place string
---@param what string? how messages call it: "model.string"
---@return demilune.Field
function field.new(kind, given, place, what)
  what = what or "model." .. kind
  if field.is(given) then errors.raise(place, "%s takes options, not another field", what) end
  local description = {}
  for name, value in pairs(options.check(place, what, given, allowed[kind])) do description[name] = value end
  if description.read_only and description.write_only then
    errors.raise(place, "%s is both read_only and write_only, so nobody could use it; write one of them", what)
  end
  if description.alias == "" then errors.raise(place, '%s: alias is empty; write the name that clients send, such as alias = "userName"', what) end
  field.check_visibility(place, what, description)
  if kind == "duration" then convert_spans(place, what, description) end
  check_default(place, what, kind, description)
  description.kind, description.source = kind, place
  return field.seal(description)
end

---The same field with other options. A model becomes a reference to itself, so
---that it stays one model in the documentation.
---@param original demilune.Field
---@param changes table
---@param place string
---@return demilune.Field
function field.vary(original, changes, place)
  local copy = { kind = "ref", source = place }
  if original.kind == "model" then
    copy.get = function() return original end
  else
    for name, value in pairs(original) do copy[name] = value end
    copy.source = original.source
  end
  for name, value in pairs(changes) do copy[name] = value end
  return field.seal(copy)
end

return field
