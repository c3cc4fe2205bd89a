-- SPDX-License-Identifier: MIT
-- Routes: method, path, options and handler, checked where they are declared.
-- What is inherited from routers and the app is joined later, in plan.lua.

local core = require "demilune.core"
local dependency = require "demilune.dependency"
local errors = require "demilune.errors"
local field = require "demilune.field"
local guard = require "demilune.guard"
local idempotency = require "demilune.idempotency"
local lifecycle = require "demilune.lifecycle"
local limit = require "demilune.limit"
local model = require "demilune.model"
local options = require "demilune.options"
local units = require "demilune.units"

---What a handler and a dependency get. Made by the core; of no use once the request is over.
---@class demilune.Trace
---@field id string 32 hexadecimal digits
---@field span_id string 16 of them: this request
---@field parent_id? string the caller's, when the request brought a valid traceparent
---@field sampled boolean whether the caller records it
---@field traceparent string for calls that this request leads to
---@field tracestate? string likewise, when the request brought a valid one

---@class demilune.Request
---@field body any by the route's model; raw bytes without one; nil when an optional one was not sent
---@field path table<string, any>
---@field query table<string, any>
---@field header table<string, any>
---@field cookie table<string, any>
---@field form table<string, any>
---@field id string in the log and in a 500
---@field client string the client's address, as trusted proxies say, else the connection's
---@field scheme "http"|"https" likewise
---@field host string what the client asked for, likewise; with a port when it gave one
---@field trace demilune.Trace the W3C trace that the request belongs to
---@field principal? demilune.Principal who the guard found; nil on public routes
---@field method string
---@field target string as the client wrote it
---@field route string the path as declared: "/users/{user_id}"
---@field get_header fun(self: demilune.Request, name: string): string?
---@field after_response fun(self: demilune.Request, fn: fun(ok: boolean)) runs after the last byte
---@field release fun(self: demilune.Request, fn: fun(ok: boolean)) runs after the last byte, the newest first, before after_response
---@field precondition fun(self: demilune.Request, etag: string?) 412 where If-Match or If-None-Match asks for another version than this, or than none

---@alias demilune.Handler fun(req: demilune.Request, need: table<string, any>): any

---@class demilune.RouteOptions
---@field guard? demilune.Guard who may call it; without one, the router's or the app's
---@field limit? demilune.Limit how often, besides its router's and the app's
---@field owner? fun(req: demilune.Request, need: table<string, any>): boolean? whose object it is: false answers 404
---@field shared? boolean true: everybody whom the guard lets pass may see every such object
---@field idempotent? boolean|"optional" true: an Idempotency-Key is answered once, and then with the same again
---@field needs? table<string, demilune.Dependency|demilune.Guard>
---@field path? table<string, demilune.Field>
---@field query? table<string, demilune.Field>|demilune.Model
---@field header? table<string, demilune.Field>|demilune.Model user_agent means user-agent
---@field cookie? table<string, demilune.Field>|demilune.Model
---@field form? table<string, demilune.Field>|demilune.Model an URL-encoded body
---@field body? demilune.Field|table<string, demilune.Field> a JSON body, or model.text(), or model.raw()
---@field body_kind? "json"|"text"|"bytes"
---@field returns? demilune.Field|table<string, demilune.Field> filters and checks what the handler gives
---@field status? integer of a handler that simply returns: 200
---@field responses? table<integer, string|demilune.Field|demilune.ResponseNote> for the documentation: others, and what its own is called
---@field summary? string
---@field description? string
---@field tags? string[]
---@field name? string operation id in the documentation
---@field operation_id? string the same
---@field deprecated? boolean|string true, or since when, which clients are told: "2030-01-31"
---@field sunset? string when it goes away
---@field timeout? number|string deadline of the handler
---@field max_body? integer|string
---@field headers? table<string, string> of every response the route gives; of a Cache-Control, refusals and failures make no-store

---@class demilune.ResponseNote what the documentation says of a response
---@field description? string
---@field returns? demilune.Field|table<string, demilune.Field>
---@field content_type? string of what is no JSON: "text/event-stream"

---@class demilune.Route : demilune.RouteOptions
---@field method string
---@field counted_as? string all methods of one router:route, whose limit counts them together
---@field handler demilune.Handler
---@field source string

local route = {}

route.methods = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }

local METHODS = {}
for _, method in ipairs(route.methods) do METHODS[method] = true end

-- Checked here by sort; sections and guards have checks of their own.
local OPTIONS = {
  guard = "any", needs = "table", path = "table", query = "table", header = "table", cookie = "table", form = "table", body = "schema",
  body_kind = "string", returns = "schema", status = "status", responses = "table", summary = "string", description = "string",
  tags = "strings", name = "string", operation_id = "string",
  deprecated = "any", sunset = "string", timeout = "duration", max_body = "size", headers = "table",
  limit = "limit", owner = "asker", shared = "boolean", idempotent = "any",
}

-- Kinds that text cannot bring.
local SCALAR_SOURCES = { path = "a path parameter", query = "a query parameter", header = "a header field", cookie = "a cookie" }
local TOKENS = { header = true, cookie = true } -- whose names are tokens (RFC 9110 5.6.2)
local TOLERANT = { query = true, header = true, cookie = true }
local STRUCTURES = { model = true, map = true, file = true }
local BODY_KINDS = { json = true, text = true, bytes = true }
local WITHOUT_BODY = { GET = true, HEAD = true }

-- A section of a route as a model: one that was given, or one from a table of fields.
local function section(place, what, name, given)
  if not field.is(given) then
    for key, value in pairs(given) do
      if type(key) ~= "string" or not field.is(value) then
        errors.raise(place, "%s: %s.%s must be a field, not %s; write %s = { name = model.string() }",
          what, name, tostring(key), errors.show(value), name)
      end
    end
    return model.object(given)
  end
  if given.kind ~= "model" and given.kind ~= "ref" then
    errors.raise(place, "%s: %s must be a model or a table of fields, not %s; write %s = { name = %s() }",
      what, name, tostring(given), name, tostring(given))
  end
  field.refuse_visibility(given, name)
  return field.resolve(given)
end

local function check_scalars(place, what, name, section_model)
  for _, entry in ipairs(section_model.fields) do
    local desc = field.resolve(entry.schema)
    local inner = desc.kind == "array" and field.resolve(desc.items) or desc
    if STRUCTURES[inner.kind] then
      errors.raise(place, "%s: %s.%s is a %s, which %s cannot carry; use a single value, an array of them, or model.json()",
        what, name, entry.name, inner.kind, SCALAR_SOURCES[name] or "a form")
    end
    local wire = desc.alias or entry.name
    if TOKENS[name] and not wire:find("^[%w!#$%%&'*+%-.^_`|~]+$") then
      errors.raise(place, "%s: %s: no client can send %s with the name %s; write one of letters, digits, - and _", what, name, SCALAR_SOURCES[name],
        errors.show(wire))
    end
  end
end

-- Names in Lua have no hyphens, those of header fields no underscores. A model
-- keeps its own names, so the hyphens go into a copy.
local function with_wire_names(headers)
  local copy = {}
  for name, value in pairs(headers) do copy[name] = value end
  copy.fields = {}
  for index, entry in ipairs(headers.fields) do
    local schema = entry.schema
    if not schema.alias and entry.name:find("_", 1, true) then
      schema = field.vary(schema, { alias = (entry.name:gsub("_", "-")) }, schema.source)
    end
    copy.fields[index] = { name = entry.name, schema = schema }
  end
  return setmetatable(copy, getmetatable(headers))
end

---The parameters of a pattern in order: "/files/{path:path}" has one, path.
---@param place string
---@param what string
---@param path string
---@return string[] names
---@return table<string, true> seen
function route.parameters(place, what, path)
  local names, seen = {}, {}
  for segment in path:gmatch("[^/]+") do
    local name = segment:match("^{([%a_][%w_]*)}$") or segment:match("^{([%a_][%w_]*):path}$")
    if name then
      if seen[name] then errors.raise(place, "%s: the path names {%s} twice; give each parameter its own name", what, name) end
      names[#names + 1], seen[name] = name, true
    elseif segment:find("^[:*]") or segment:find("^<.*>$") then -- as others write parameters; here it would be that text
      local said = segment:match("[%a_][%w_]*") or "rest"
      errors.raise(place, "%s: %q would be a path with that text; write {%s} for a parameter, or {%s:path} at the end for all that follows", what,
        segment, said, said)
    elseif segment:find("[{}]") then
      errors.raise(place, "%s: %q is neither text nor a parameter; write {name} between two slashes, or {name:path} at the end", what, segment)
    end
  end
  return names, seen
end

-- A request that reaches the route has each parameter of its path once, by the name that the path gives it.
local IN_NO_PATH = {
  optional = "a path parameter is always there", default = "a path parameter is always there", default_factory = "a path parameter is always there",
  alias = "the path itself names it", read_only = "it would be refused whenever it is sent", write_only = "no response has it",
  visible_to = "no response has it",
}

local function check_parameter(place, what, name, schema)
  for option, reason in pairs(IN_NO_PATH) do
    if schema[option] ~= nil and schema[option] ~= false then
      errors.raise(place, "%s: path.%s has the option %s, and %s; take it out", what, name, option, reason)
    end
  end
  if field.resolve(schema).kind == "array" then
    errors.raise(place, "%s: path.%s is an array, and a path parameter is one value; write model.string() and take it apart in the handler",
      what, name)
  end
end

-- What is declared of the parameters, by their names: the route's own goes before its routers'.
local function declared_parameters(what, declarations, names, seen)
  local declared = {}
  for _, declaration in ipairs(declarations) do
    for _, entry in ipairs(declaration.path and declaration.path.fields or {}) do
      if not seen[entry.name] then
        local nearest = errors.nearest(entry.name, names)
        errors.raise(declaration.source, "%s: path.%s is not in the path; %s", what, entry.name,
          nearest and ("did you mean {" .. nearest .. "}?") or ("write {" .. entry.name .. "} there, or take it out"))
      end
      check_parameter(declaration.source, what, entry.name, entry.schema)
      declared[entry.name] = entry.schema
    end
  end
  return declared
end

---The path as a model: one field for every parameter, prefixes' included; those
---that are not declared are strings. Nil when the path has none.
---@param made demilune.Route
---@param pattern string with all prefixes
---@param routers demilune.Router[] that it is on, the outermost first
---@return demilune.Model?
function route.path_section(made, pattern, routers)
  local place, what = made.source, made.method .. " " .. pattern
  local names, seen = route.parameters(place, what, pattern)
  local declarations, fields = { unpack(routers) }, {}
  declarations[#declarations + 1] = made
  local declared = declared_parameters(what, declarations, names, seen)
  if #names == 0 then return nil end
  for index, name in ipairs(names) do fields[index] = { name = name, schema = declared[name] or field.new("string", nil, place) } end
  local path = model.object({})
  path.fields = fields
  return path
end

---A path option: fields for parameters, checked as those of a route.
---@param place string
---@param what string
---@param given? table<string, demilune.Field>
---@return demilune.Model?
function route.read_path(place, what, given)
  if not given then return nil end
  local made = section(place, what, "path", given)
  check_scalars(place, what, "path", made)
  if made.check then
    errors.raise(place, "%s: path takes fields, and a model's check would be passed over; check a parameter by its field, or in the handler", what)
  end
  return made
end

-- Every client sends Host (RFC 9112 3.2), so that a model which neither has nor ignores it lets no request in.
local function check_header_extra(place, what, headers)
  if headers.extra ~= "forbid" then return end
  for _, entry in ipairs(headers.fields) do
    if (entry.schema.alias or entry.name):lower() == "host" then return end
  end
  errors.raise(place, '%s: header: extra is "forbid", and every request brings other fields than those declared, as Host, so that none would pass; '
    .. 'leave extra out of that model, or write extra = "ignore"', what)
end

-- What a client may send beside the declared fields: a browser adds cookies,
-- header fields and campaign parameters of its own, but nothing to a body.
local function tolerant(section_model)
  if section_model.extra then return section_model end
  local copy = {}
  for name, value in pairs(section_model) do copy[name] = value end
  copy.extra = "ignore"
  return setmetatable(copy, getmetatable(section_model))
end

local WITHOUT_CONTENT = { [204] = true, [205] = true, [304] = true }

local function check_status(place, what, made)
  if made.returns and WITHOUT_CONTENT[made.status] then
    errors.raise(place, "%s: status %d has no body, so there is nothing to return; take out returns or change status", what, made.status)
  end
end

local function check_body(place, what, made)
  if made.body and made.form then errors.raise(place, "%s has both body and form, but a request has one body; keep one of them", what) end
  if made.body_kind and not BODY_KINDS[made.body_kind] then
    errors.raise(place, '%s: body_kind is %s; write "json", "text" or "bytes"', what, errors.show(made.body_kind))
  end
  if (made.body or made.form or made.body_kind) and WITHOUT_BODY[made.method] then
    errors.raise(place, "%s: a %s request has no body; declare query = { ... } or use POST", what, made.method)
  end
  if made.body_kind and made.form then errors.raise(place, "%s: a form has no body_kind; take it out", what) end
end

local function as_schema(place, what, name, given)
  if field.is(given) and name == "returns" then return field.refuse_whole_body(place, what .. ": returns", given) end
  if field.is(given) then return given end
  return section(place, what, name, given)
end

-- What a body is read as is for its field to say: another word beside it would make every request fail, or be passed over.
local function body_kind_of(place, what, body, said)
  local kind = body._body_kind
  if said and said ~= (kind or "json") then
    errors.raise(place, "%s: body_kind is %s, and its body is read as %s; take body_kind out, or write body = model.text { ... } for text and "
      .. "body = model.raw { ... } for bytes", what, errors.show(said), kind or "json")
  end
  return kind
end

local function read_sections(place, what, made, given)
  made.path = route.read_path(place, what, given.path)
  for _, name in ipairs { "query", "header", "cookie", "form" } do
    if given[name] then
      local made_section = section(place, what, name, given[name])
      check_scalars(place, what, name, made_section)
      if name == "header" then
        made_section = with_wire_names(made_section)
        check_header_extra(place, what, made_section)
      end
      made[name] = TOLERANT[name] and tolerant(made_section) or made_section
    end
  end
  for _, name in ipairs { "body", "returns" } do
    if given[name] then made[name] = as_schema(place, what, name, given[name]) end
  end
  if made.body then made.body_kind = body_kind_of(place, what, made.body, given.body_kind) end
end

local MOST = 2 ^ 31 - 1 -- seconds or bytes, as of the app's limits

local function measured(place, what, name, value, measure, example)
  if value == nil then return nil end
  local number = measure(value)
  if not number then errors.raise(place, "%s: %s is %s; write %s = %s", what, name, errors.show(value), name, example) end
  if number > MOST or name == "timeout" and number <= 0 then
    errors.raise(place, "%s: %s is %s, which cannot be kept; it is %sat most %d", what, name, errors.show(value),
      name == "timeout" and "more than 0 and " or "", MOST)
  end
  return number
end

-- Whose these fields are: a second one would end the body elsewhere, or be another type, for some of those who read it.
local WRITTEN = {
  ["content-length"] = "the server writes it; leave it out", ["transfer-encoding"] = "the server writes it; leave it out",
  connection = "the server writes it; leave it out", ["keep-alive"] = "the server writes it; leave it out",
  date = "the server writes it; leave it out", trailer = "the server writes it; leave it out", upgrade = "the server writes it; leave it out",
  ["content-type"] = 'what is answered decides it; write demilune.response { headers = { ["Content-Type"] = "text/csv" } } in the handler',
}

local function written_by(name)
  if name:find("^access%-control%-") then return 'cors decides it, origin by origin; write cors = { origins = { "https://app.example.com" } }' end
  return WRITTEN[name]
end

---Checks fixed header fields: names are tokens and nobody else's, values cannot start another line, an ETag or a date is one.
---@param place string
---@param what string
---@param headers? table<string, string>
function route.check_headers(place, what, headers)
  local spelled = {}
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" or not name:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
      errors.raise(place, "%s: %s is no name of a header field; write headers = { [\"X-Name\"] = \"value\" }", what, errors.show(name))
    elseif type(value) ~= "string" or value:find("%c") then
      errors.raise(place, "%s: the header field %s must be a string without line breaks", what, name)
    end
    local fault = core.field_fault(name, value)
    if fault then errors.raise(place, "%s: %s", what, fault) end
    local written = written_by(name:lower())
    if written then errors.raise(place, "%s: the header field %s is not for headers: %s", what, name, written) end
    if spelled[name:lower()] then
      errors.raise(place, "%s: the header field %s is there twice, in other capitals; keep one of the two", what, name:lower())
    end
    spelled[name:lower()] = true
  end
  return headers
end

local RESPONSE_OPTIONS = { description = "string", returns = "schema", content_type = "string" }

local function read_response(place, what, made, status, said)
  what = ("%s: responses[%d]"):format(what, status)
  if type(said) == "string" then said = { description = said } elseif field.is(said) then said = { returns = said } end
  options.check(place, what, said, RESPONSE_OPTIONS)
  if (said.returns or said.content_type) and WITHOUT_CONTENT[status] then
    errors.raise(place, "%s: a response with status %d has no body; write what it means, as text", what, status)
  elseif said.returns and made.returns and status == (made.status or 200) then
    errors.raise(place, "%s: what comes with status %d is what the route returns; take one of the two out", what, status)
  end
  return {
    description = said.description, content_type = said.content_type, returns = said.returns and as_schema(place, what, "returns", said.returns),
  }
end

local function read_responses(place, what, made, responses)
  local read = {}
  for status, said in pairs(responses or {}) do
    if type(status) ~= "number" or status % 1 ~= 0 or status < 200 or status > 599 then
      errors.raise(place, '%s: responses are named by status; write responses = { [404] = "No such user" }', what)
    elseif type(said) ~= "string" and type(said) ~= "table" then
      errors.raise(place, "%s: responses[%d] must be a sentence, a model or { description = ..., returns = ..., content_type = ... }", what, status)
    end
    read[status] = read_response(place, what, made, status, said)
  end
  return read
end

-- Two words for one thing, for those who know it by the one or by the other.
local function read_name(place, what, given)
  if given.name and given.operation_id then errors.raise(place, "%s: name and operation_id are the same; keep one of them", what) end
  local name = given.name or given.operation_id
  if name == "" then errors.raise(place, '%s: its name is empty; write name = "list_users", or leave it out', what) end
  return name
end

---A route from what app:get and its siblings were given.
---@param method string
---@param path string
---@param given? demilune.RouteOptions|function
---@param handler? function
---@return demilune.Route
function route.new(method, path, given, handler)
  local place = errors.where()
  if handler == nil and type(given) == "function" then given, handler = nil, given end
  if type(path) ~= "string" then
    errors.raise(place, '%s: the path must be a string, not %s; write app:get("/users", ...)', method, errors.show(path))
  end
  local what = method .. " " .. path
  if path:sub(1, 1) ~= "/" then errors.raise(place, '%s: a path begins with a slash; write "/%s"', what, path) end
  route.parameters(place, what, path)
  if not METHODS[method] then
    errors.raise(place, "%s: there is no method %s; write one of %s", what, errors.show(method), table.concat(route.methods, ", "))
  end
  if type(given) ~= "table" and given ~= nil then
    errors.raise(place, '%s: the options, a table, come before the handler; write app:%s("%s", { guard = ... }, function(req) ... end)', what,
      method:lower(), path)
  end
  given = options.check(place, what, given, OPTIONS)
  if type(handler) ~= "function" then
    errors.raise(place, "%s: the handler must be a function, not %s; write function(req) ... end after the options", what, errors.show(handler))
  end
  guard.check(place, what, given.guard)
  dependency.check_needs(place, what, given.needs or {})
  local made = {
    method = method, pattern = path, handler = handler, source = place, guard = given.guard, needs = given.needs, status = given.status,
    summary = given.summary, description = given.description, tags = given.tags or {}, operation_id = read_name(place, what, given),
    deprecated = given.deprecated and true or nil, sunset = given.sunset, lifecycle = lifecycle.headers(place, what, given),
    body_kind = given.body_kind,
    timeout = measured(place, what, "timeout", given.timeout, units.seconds, '"30s"'),
    max_body = measured(place, what, "max_body", given.max_body, units.bytes, '"1MiB"'),
    limit = limit.read(place, what, given.limit), owner = given.owner, shared = given.shared,
    idempotent = idempotency.read(place, what, method, given.idempotent),
    headers = route.check_headers(place, what, given.headers),
  }
  read_sections(place, what, made, given)
  check_body(place, what, made)
  check_status(place, what, made)
  made.responses = read_responses(place, what, made, given.responses)
  return made
end

return route
