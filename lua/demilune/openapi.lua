-- SPDX-License-Identifier: MIT
-- The plan as an OpenAPI 3.1 document, and the files of the docs page that shows
-- it. plan.lua calls both once a load; nothing here runs for a request. The same
-- plan always gives the same bytes.

local core = require "demilune.core"
local guard_type = require "demilune.guard_type"
local json_schema = require "demilune.json_schema"
local openapi_responses = require "demilune.openapi_responses"
local openapi_security = require "demilune.openapi_security"
local ordered = require "demilune.ordered"
local wire = require "demilune.wire"

local openapi = {}

-- The sources whose fields are parameters, in the order they are listed.
local PARAMETER_SOURCES = { "path", "query", "header", "cookie" }

-- Header fields that OpenAPI says elsewhere: as media types and as security.
local SAID_ELSEWHERE = { accept = true, ["content-type"] = true, authorization = true }

-- Of each kind of body the usual one, and what more the core lets through; JSON's other names, which end in +json, have no range.
local MEDIA_TYPES = {
  json = { "application/json" }, form = { "application/x-www-form-urlencoded" }, text = { "text/plain", "text/*" },
  bytes = { "application/octet-stream", "*/*" },
}

---@class demilune.openapi.document what is gathered while operations are written
---@field schemas demilune.json_schema.collection
---@field traits demilune.openapi.traits of any of the operations
---@field ids table<string, true>
---@field paths demilune.ordered.object
---@field shapes table<string, { item: demilune.ordered.object, names: string[] }>
---@field security demilune.openapi_security.collection

local function fields_of(desc)
  while desc and desc.kind == "ref" do desc = desc.get() end
  return desc and desc.fields or {}
end

local function wire_name(field)
  return field.schema.alias or field.name
end

-- "/files/{path:path}" as OpenAPI writes it, and the names of its parameters.
local function template(pattern)
  local names = {}
  local text = pattern:gsub("{([^}:]+)[^}]*}", function(name)
    names[#names + 1] = name
    return "{" .. name .. "}"
  end)
  return text, names
end

-- Two paths that differ only in their parameters' names are one path in OpenAPI:
-- the first one's names count, and later operations are told under these.
---@return demilune.ordered.object item
---@return string[] names as the pattern has them
---@return table<string, string> shown_as
local function path_item(document, pattern)
  local text, names = template(pattern)
  local shape = text:gsub("{[^}]+}", "{}")
  local known = document.shapes[shape]
  if not known then
    known = { item = ordered.object(), names = names }
    document.shapes[shape] = known
    document.paths:set(text, known.item)
  end
  local shown_as = {}
  for index, name in ipairs(names) do shown_as[name] = known.names[index] end
  return known.item, names, shown_as
end

-- What a parameter says about itself stands beside its schema, not in it.
local function parameter(document, source, field)
  local desc, schema = field.schema, document.schemas:schema(field.schema, "input")
  local required = source == "path" or json_schema.is_required(desc)
  for _, keyword in ipairs { "description", "deprecated", "examples" } do schema:remove(keyword) end
  local out = ordered.object():set("name", wire_name(field)):set("in", source):set("description", desc.description)
    :set("required", required or nil):set("deprecated", desc.deprecated or nil):set("schema", schema)
  if desc.example ~= nil then out:set("example", wire.value(desc, desc.example)) end
  return out
end

-- 1 to 255 visible characters, as they are or as a string of RFC 9651.
local KEY = [==[^(?:[!#-+\-.-:<-\[\]-~]{1,255}|"(?:[ !#-\[\]-~]|\\["\\]){1,255}")$]==]

-- What an idempotent route asks for beside its own parameters.
local function idempotency_key(route)
  local schema = ordered.object():set("type", "string"):set("pattern", KEY)
  return ordered.object():set("name", "Idempotency-Key"):set("in", "header")
    :set("description", "New for each thing to be done, and the same when it is sent again: it is done once, and answered alike")
    :set("required", route.idempotent == "required" or nil):set("schema", schema):set("example", "8e03978e-40d5-43e8-bc93-6894a57f9324")
end

-- Header fields that are told by other means than the section that names them.
local function is_said_elsewhere(route, name) return SAID_ELSEWHERE[name] or route.idempotent and name == "idempotency-key" end

local function parameters(document, route, names, shown_as)
  local out, in_path = ordered.list(), {}
  for _, field in ipairs(fields_of(route.path)) do in_path[wire_name(field)] = field end
  for _, name in ipairs(names) do
    local field = in_path[name] or { name = name, schema = { kind = "string" } }
    out:add(parameter(document, "path", field):set("name", shown_as[name]))
  end
  for index = 2, #PARAMETER_SOURCES do
    local source = PARAMETER_SOURCES[index]
    for _, field in ipairs(fields_of(route[source])) do
      if source ~= "header" or not is_said_elsewhere(route, wire_name(field):lower()) then out:add(parameter(document, source, field)) end
    end
  end
  if route.idempotent then out:add(idempotency_key(route)) end
  return #out > 0 and out or nil
end

local function request_body(document, route, compiled)
  local desc, kind = route.form or route.body, compiled.body_kind
  if not kind then return nil end -- whatever comes is the handler's to read
  local schema = desc and kind ~= "bytes" and document.schemas:schema(desc, "input")
    or ordered.object():set("type", kind == "text" and "string" or nil)
  -- Bytes as they are have no type, for base64 is for bytes inside JSON; lengths of theirs are in bytes.
  if desc and kind == "bytes" then schema:set("minLength", desc.min_length):set("maxLength", desc.max_length) end
  local content = ordered.object()
  for _, media_type in ipairs(MEDIA_TYPES[kind]) do content:set(media_type, ordered.object():set("schema", schema)) end
  return ordered.object():set("description", desc and desc.description):set("content", content)
    :set("required", desc and not compiled.body_optional or nil)
end

-- Any text is a string: a path whose parameters are no more than that refuses none.
local function takes_anything(route)
  for _, field in ipairs(fields_of(route.path)) do
    local desc = field.schema
    if desc.kind ~= "string" or desc.min_length or desc.max_length or desc.pattern or desc.check then return false end
  end
  return not (route.query or route.header or route.cookie or route.form or route.body)
end

local function traits_of(route)
  local idempotent = route.idempotent ~= nil
  return {
    validated = idempotent or not takes_anything(route), guarded = not guard_type.is_public(route.guard), limited = (route.limits or {})[1] ~= nil,
    idempotent = idempotent,
  }
end

-- The route's own, or the method and the path: "get_users_user_id".
local function operation_id(document, route, compiled)
  local own = route.operation_id
  if own and not document.told[own] then
    document.told[own] = true
    return own
  end
  -- A route of several methods is as many operations; the first has its name.
  local method = compiled.method:lower()
  local words = own and own .. "_" .. method or (method .. template(compiled.pattern):lower()):gsub("[^%w]+", "_"):gsub("_$", "")
  local id, number = words, 1
  while document.ids[id] do
    number = number + 1
    id = words .. "_" .. number
  end
  document.ids[id] = true
  return id
end

local function operation(document, route, compiled, names, shown_as)
  local traits = traits_of(route)
  return ordered.object()
    :set("tags", route.tags and ordered.list { unpack(route.tags) })
    :set("summary", route.summary)
    :set("description", route.description)
    :set("operationId", operation_id(document, route, compiled))
    :set("parameters", parameters(document, route, names, shown_as))
    :set("requestBody", request_body(document, route, compiled))
    :set("responses", openapi_responses.of(document.schemas, route, traits))
    :set("deprecated", route.deprecated or nil):set("x-sunset", route.sunset)
    :set("security", traits.guarded and document.security:requirements(route.guard) or ordered.list())
end

local function survey_responses(schemas, route)
  local statuses = {}
  for status in pairs(route.responses or {}) do statuses[#statuses + 1] = status end
  table.sort(statuses)
  for _, status in ipairs(statuses) do
    local returns = route.responses[status].returns
    if returns then schemas:survey(returns, "output") end
  end
end

local function survey(document, route)
  for _, source in ipairs(PARAMETER_SOURCES) do
    for _, field in ipairs(fields_of(route[source])) do document.schemas:survey(field.schema, "input") end
  end
  local body = route.form or route.body
  if body then document.schemas:survey(body, "input") end
  if route.returns then document.schemas:survey(route.returns, "output") end
  survey_responses(document.schemas, route)
  if route.operation_id then document.ids[route.operation_id] = true end
  local traits = traits_of(route)
  document.traits.validated = document.traits.validated or traits.validated
  document.traits.guarded = document.traits.guarded or traits.guarded
  document.traits.limited = document.traits.limited or traits.limited
  document.traits.idempotent = document.traits.idempotent or traits.idempotent
end

local function components(document)
  local schemas = document.schemas:components()
  openapi_responses.add_schemas(schemas, document.traits)
  return ordered.object():set("schemas", schemas):set("responses", openapi_responses.shared(document.traits))
    :set("securitySchemes", document.security:schemes())
end

-- { { name =, description = } } in a fixed order of names.
local function described_list(items, key)
  local out = ordered.list()
  for _, item in ipairs(items or {}) do out:add(ordered.object():set(key, item[key]):set("description", item.description)) end
  return out
end

-- The app's own tags first, then others in the order of their use.
local function tags(plan)
  local out, known = described_list(plan.tags, "name"), {}
  for _, tag in ipairs(plan.tags or {}) do known[tag.name] = true end
  for _, route in ipairs(plan.descriptions.routes) do
    for _, tag in ipairs(route.tags or {}) do
      if not known[tag] then out:add(ordered.object():set("name", tag)) end
      known[tag] = true
    end
  end
  return #out > 0 and out or nil
end

local function new_document()
  local document = {
    schemas = json_schema.collection(), traits = { validated = false, guarded = false, limited = false, idempotent = false }, ids = {}, told = {},
    paths = ordered.object(), shapes = {},
    security = openapi_security.collection(),
  }
  for _, name in ipairs(openapi_responses.reserved) do document.schemas:reserve(name) end
  return document
end

-- The OpenAPI document of a plan.
---@param plan table
---@return string json
function openapi.document(plan)
  local document, routes = new_document(), plan.descriptions.routes
  for _, route in ipairs(routes) do survey(document, route) end
  document.schemas:name_models()
  for index, route in ipairs(routes) do
    local compiled = plan.routes[index]
    local item, names, shown_as = path_item(document, compiled.pattern)
    -- OpenAPI has no parameter of several segments. Where it would be another route's only one, that goes before, as it does in the core.
    local hidden = compiled.pattern:find ":path}" and item:get(compiled.method:lower())
    if not hidden then item:set(compiled.method:lower(), operation(document, route, compiled, names, shown_as)) end
  end
  local info = ordered.object():set("title", plan.title):set("description", plan.description):set("contact", plan.contact)
    :set("license", plan.license):set("version", plan.version)
  return ordered.encode(ordered.object():set("openapi", "3.1.0"):set("info", info):set("x-demilune-reload", openapi.reload_path(plan))
    :set("servers", plan.servers and described_list(plan.servers, "url")):set("paths", document.paths)
    :set("components", components(document)):set("tags", tags(plan)))
end

---Where a page learns that the app was loaded anew, or why it was not: in dev alone.
---@param plan table
---@return string?
function openapi.reload_path(plan) return plan.mode == "dev" and "docs/reload.json" or nil end

-- The page runs no inline script and reaches nothing but this server.
local PAGE_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " ..
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

-- Path below the server, name in the binary (".gz" is compressed there), media type.
local PAGE_FILES = {
  { "/docs", "index.html", "text/html", policy = PAGE_POLICY },
  { "/docs/page.js", "page.js", "text/javascript" },
  { "/docs/page.css", "page.css", "text/css" },
  { "/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js.gz", "text/javascript" },
  { "/docs/swagger-ui.css", "swagger-ui.css.gz", "text/css" },
  { "/docs/licences.txt", "licences.txt", "text/plain" },
}

-- The docs page's files, as they lie in the binary. None is read for a plan
-- without docs.
---@param plan table
---@return table[] files for plan.files
function openapi.docs_files(plan)
  local files = {}
  for index, file in ipairs(plan.docs and PAGE_FILES or {}) do
    files[index] = {
      path = file[1], content_type = file[3] .. "; charset=utf-8", encoding = file[2]:match "%.gz$" and "gzip", body = core.embedded_docs(file[2]),
      headers = file.policy and { ["Content-Security-Policy"] = file.policy },
    }
  end
  local reload = plan.docs and openapi.reload_path(plan)
  if reload then files[#files + 1] = { path = "/" .. reload, content_type = "application/json", body = "", live = true } end
  return files
end

return openapi
