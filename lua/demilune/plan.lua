-- SPDX-License-Identifier: MIT
-- The plan: all that an app declared, joined and compiled into the one table that
-- the core makes immutable. What a route inherits is decided here, and nowhere
-- else; nothing of it is decided at run time.

local context = require "demilune.context"
local core = require "demilune.core"
local dependency = require "demilune.dependency"
local errors = require "demilune.errors"
local examples = require "demilune.examples"
local field = require "demilune.field"
local guard_type = require "demilune.guard_type"
local idempotency = require "demilune.idempotency"
local limit = require "demilune.limit"
local lint = require "demilune.lint"
local resource = require "demilune.resource"
local route = require "demilune.route"
local session = require "demilune.session"

local plan = {}

-- --- joining ---------------------------------------------------------------------

local function append(list, more)
  local joined, seen = {}, {}
  for _, part in ipairs { list, more } do
    for _, item in ipairs(part) do
      if not seen[item] then joined[#joined + 1], seen[item] = item, true end
    end
  end
  return joined
end

-- "/users" and "/" make "/users"; a prefix alone never ends in a slash.
local function join_path(prefix, path)
  if prefix ~= "" and path == "/" then return prefix end
  return prefix .. path
end

-- What the limits of a router count together. Two routers below one prefix count apart.
local function scope_of(router, prefix, out)
  if not router.limit then return nil end
  if router.databases then return "app" end
  out.scopes = out.scopes or {}
  out.scopes[prefix] = (out.scopes[prefix] or 0) + 1
  return out.scopes[prefix] == 1 and "router " .. prefix or ("router %s (%d)"):format(prefix, out.scopes[prefix])
end

-- The needs of routers and of the route itself, whose names go before.
local function join_needs(routers, declared)
  local needs
  for index = 1, #routers + 1 do
    for name, needed in pairs((routers[index] or declared).needs or {}) do
      needs = needs or {}
      needs[name] = needed
    end
  end
  return needs
end

-- Every route with what its routers and the app add to it, in order of declaration.
local function flatten(router, inherited, open, out)
  if open[router] then errors.raise(router.source, "this router is mounted inside itself; take one of the mounts out") end
  open[router] = true
  local prefix = inherited.prefix .. router.prefix
  local tags, guard, cors = append(inherited.tags, router.tags), router.guard or inherited.guard, router.cors
  if cors == nil then cors = inherited.cors end
  local limits = append(inherited.limits, limit.named(router.limit, scope_of(router, prefix, out)))
  local routers = { unpack(inherited.routers) }
  routers[#routers + 1] = router
  for _, entry in ipairs(router.entries) do
    if entry.router then
      local outside = { prefix = prefix .. entry.prefix, tags = tags, guard = guard, limits = limits, cors = cors, routers = routers }
      flatten(entry.router, outside, open, out)
    else
      local declared, pattern = entry.route, join_path(prefix, entry.route.pattern)
      out[#out + 1] = {
        declared = declared, pattern = pattern, tags = append(tags, declared.tags), guard = declared.guard or guard, cors = cors,
        routers = routers, needs = join_needs(routers, declared),
        limits = append(limits, limit.named(declared.limit, (declared.counted_as or declared.method) .. " " .. pattern)),
      }
    end
  end
  open[router] = nil
  return out
end

local function require_guard(joined, what)
  if joined.guard then return joined.guard end
  return errors.raise(joined.declared.source,
    "%s has no guard; write guard = guard.public if everybody may call it, or give its router or demilune.app a guard for all", what)
end

-- What the core decides of a guard, and what is left to Lua.
local function split_guard(joined, what)
  local guard, late = guard_type.split(require_guard(joined, what))
  local declared, owners, roles, sessions = joined.declared, {}, {}, {}
  for _, part in ipairs(late) do
    if part.of then roles[#roles + 1] = part else owners[#owners + 1] = part.decide end
  end
  for _, leaf in ipairs(guard_type.leaves(guard)) do
    if leaf.kind == "session" and leaf.store then sessions[#sessions + 1] = leaf end
  end
  if declared.owner then owners[#owners + 1] = declared.owner end
  if declared.shared and #owners > 0 then
    errors.raise(declared.source, "%s is shared, so that whoever passes its guard may see every such object, and has an owner, whose alone it is; "
      .. "keep one of them", what)
  end
  if #owners > 0 and guard_type.is_public(guard) then
    errors.raise(declared.source, "%s has an owner, but guard.public finds nobody who could be it; give the route another guard", what)
  end
  limit.check_guard(declared.source, what, joined.limits, guard)
  return guard, { guard = joined.guard, owners = owners, roles = roles }, sessions
end

-- --- models ----------------------------------------------------------------------

local SECTIONS = { "path", "query", "header", "cookie", "form", "body" }

-- Looks at every model of the app once: two of one name would be one in the
-- documentation, and models that do not say take the app's extra.
local function survey(app, routes)
  local seen, named = {}, {}
  local function visit(desc)
    if desc.kind == "file" then
      errors.raise(desc.source, "model.file: files arrive in multipart forms, which this version does not read; take model.raw() as the whole body")
    end
    if desc.kind ~= "model" then return end
    desc.extra = desc.extra or app.given.extra
    if not desc.name then return end
    local first = named[desc.name]
    if first and first.fields ~= desc.fields then
      errors.raise(desc.source, "there are two models %s, the other one at %s; give one of them another name", desc.name, first.source)
    end
    named[desc.name] = first or desc
  end
  for _, joined in ipairs(routes) do
    for _, section in ipairs { "form", "body", "returns" } do
      local desc = joined.declared[section]
      if desc then
        field.refuse_visibility(desc, section)
        field.each(desc, seen, visit)
      end
    end
  end
end

local function check_examples(routes)
  local seen = {}
  for _, joined in ipairs(routes) do
    if joined.path then field.each(joined.path, seen, examples.check) end
    for _, section in ipairs { "query", "header", "cookie", "form", "body", "returns" } do
      local desc = joined.declared[section]
      if desc then field.each(desc, seen, examples.check) end
    end
  end
end

-- With strict = false for the app, a body that does not say is read laxly.
local function with_strictness(app, desc)
  if app.given.strict == nil or field.resolve(desc).strict ~= nil then return desc end
  return field.vary(desc, { strict = app.given.strict }, desc.source)
end

local function compile_schema(desc, source, what, section)
  local ok, result = pcall(core.schema_compile, desc)
  if ok then return result end
  local place, message = tostring(result):match("^(%S+:%d+): (.*)$")
  if not place then return errors.raise(desc.source or source, "%s: %s: %s", what, section, tostring(result)) end
  -- A model without a name is known by where it stands: ".size: ge is above le".
  if message:sub(1, 1) == "." then message = ("%s: %s%s"):format(what, section, message) end
  return errors.raise(place, message)
end

-- --- routes ----------------------------------------------------------------------

-- The route's own replace its routers', and theirs the app's, in whatever case they are written.
local function join_headers(joined)
  local declared, headers, spelled, parts = joined.declared, nil, {}, {}
  for _, router in ipairs(joined.routers) do parts[#parts + 1] = router.headers or {} end
  parts[#parts + 1] = declared.lifecycle
  parts[#parts + 1] = declared.headers
  for _, part in ipairs(parts) do
    for name, value in pairs(part) do
      local before = spelled[name:lower()]
      headers, spelled[name:lower()] = headers or {}, name
      if before then headers[before] = nil end
      headers[name] = value
    end
  end
  return headers
end

-- What a parameter tells that is a secret, as a link in a mail does, is for no log.
local function hides_path(joined)
  for _, entry in ipairs(joined.path and joined.path.fields or {}) do
    if field.resolve(entry.schema).kind == "secret" then return true end
  end
  return nil
end

local function compile_route(app, joined)
  local declared = joined.declared
  local what = declared.method .. " " .. joined.pattern
  local guard, asked, sessions = split_guard(joined, what)
  asked.limits = joined.limits
  if declared.idempotent then
    idempotency.check(app, declared, what, guard)
    asked.idempotency = app.idempotent
  end
  local compiled = {
    method = declared.method, pattern = joined.pattern, name = declared.source, source = declared.source,
    guard = guard, run = dependency.compile(declared.handler, joined.needs, declared.source, what, asked),
    lives = session.asker(sessions),
    limits = joined.limits[1] and joined.limits or nil, cors = joined.cors or nil,
    status = declared.status or 200, timeout = declared.timeout, max_body = declared.max_body, headers = join_headers(joined),
    idempotent = declared.idempotent, deprecated = declared.deprecated, body_optional = declared.body and declared.body.optional or nil,
    body_kind = declared.form and "form" or declared.body_kind or declared.body and "json" or nil, hides_path = hides_path(joined),
  }
  for _, section in ipairs(SECTIONS) do
    local desc = section == "path" and joined.path or declared[section]
    if desc then compiled[section] = compile_schema(section == "body" and with_strictness(app, desc) or desc, declared.source, what, section) end
  end
  if declared.returns then compiled.returns = compile_schema(declared.returns, declared.source, what, "returns") end
  return compiled
end

-- What documentation, `check` and `routes` read.
local function describe(joined)
  local declared = joined.declared
  local description = {
    summary = declared.summary, description = declared.description, tags = joined.tags[1] and joined.tags or nil, guard = joined.guard,
    operation_id = declared.operation_id, responses = declared.responses, deprecated = declared.deprecated, status = declared.status or 200,
    sunset = declared.sunset, returns = declared.returns, source = declared.source, needs = joined.needs, owner = declared.owner,
    shared = declared.shared, idempotent = declared.idempotent, headers = join_headers(joined),
    handler = declared.handler, limits = joined.limits, method = declared.method, pattern = joined.pattern,
  }
  for _, section in ipairs(SECTIONS) do description[section] = declared[section] end
  description.path = joined.path
  return description
end

local function refuse_shared_names(routes)
  local seen = {}
  for _, joined in ipairs(routes) do
    local id = joined.declared.operation_id
    if id and seen[id] and seen[id] ~= joined.declared.source then
      errors.raise(joined.declared.source, "the name %s is taken by the route at %s; give each route its own", errors.show(id), seen[id])
    end
    if id then seen[id] = joined.declared.source end
  end
end

-- --- files, start and stop ---------------------------------------------------------

local function add_docs(made)
  if not made.docs then return end
  local openapi = require "demilune.openapi"
  made.files[1] = { path = "/openapi.json", content_type = "application/json", body = openapi.document(made) }
  for _, file in ipairs(openapi.docs_files(made)) do made.files[#made.files + 1] = file end
end

-- What bearer guards say of the resource they stand before, one file for each.
local function add_resources(made)
  local bodies = {}
  for _, description in ipairs(made.descriptions.routes) do
    for _, leaf in ipairs(guard_type.leaves(description.guard)) do
      local described = leaf.resource
      local body = described and resource.document(described, leaf.known_scopes, made.title)
      local other = described and bodies[described.path]
      if other and other ~= body then
        errors.raise(leaf.source, "two bearer guards name the resource %s and differ in its authorization_servers or scopes; give both the same",
          described.url)
      elseif body and not other then
        bodies[described.path] = body
        made.files[#made.files + 1] = { path = described.path, content_type = "application/json", body = body }
      end
    end
  end
end

local function add_files(made)
  add_docs(made)
  local docs = #made.files
  add_resources(made)
  local owners = {}
  for index, file in ipairs(made.files) do
    owners[file.path] = index <= docs and "belongs to the documentation; use another path, or docs = false in demilune.app"
      or "tells who gives out tokens, as the bearer's resource says; use another path"
  end
  for _, compiled in ipairs(made.routes) do
    local owner = compiled.method == "GET" and owners[compiled.pattern]
    if owner then errors.raise(compiled.source, "GET %s %s", compiled.pattern, owner) end
  end
end

local function starter(app)
  return function()
    for _, database in ipairs(app.databases) do database:start() end
    for _, start in ipairs(app.starts) do start() end
  end
end

-- Every part is stopped, whatever fails; the first failure is told at the end.
local function stopper(app)
  return function()
    local failure
    local function attempt(fn, ...)
      local ok, problem = pcall(fn, ...)
      if not ok then failure = failure or problem end
    end
    for index = #app.stops, 1, -1 do attempt(app.stops[index]) end
    for index = #app.databases, 1, -1 do attempt(app.databases[index].stop, app.databases[index]) end
    if failure then error(failure, 0) end
  end
end

---Compiles an app.
---@param app demilune.App
---@return table plan
function plan.compile(app)
  local given, docs = app.given, app.given.docs
  if docs == nil then docs = context.is_relaxed() end
  local made = {
    title = given.title or "Demilune", version = given.version or "0.1.0", description = given.description, mode = context.mode, docs = docs,
    allowed_hosts = given.allowed_hosts, limits = app.limits, tags = app.tag_list, servers = app.server_list, contact = given.contact,
    trusted_proxies = given.trusted_proxies, source = app.source, extra = given.extra, strict = given.strict,
    license = app.license, cors = app.cors or nil, routes = {}, files = {}, descriptions = { routes = {} }, start = starter(app), stop = stopper(app),
    limit_store = app.limit_store, databases = app.databases,
  }
  local routes = flatten(app, { prefix = "", tags = {}, guard = nil, limits = {}, cors = nil, routers = {} }, {}, {})
  if #routes == 0 then errors.raise(app.source, "the app has no routes; write app:get(\"/\", { guard = guard.public }, function(req) ... end)") end
  survey(app, routes)
  refuse_shared_names(routes)
  for index, joined in ipairs(routes) do
    joined.path = route.path_section(joined.declared, joined.pattern, joined.routers)
    made.routes[index] = compile_route(app, joined)
    made.descriptions.routes[index] = describe(joined)
  end
  check_examples(routes)
  made.findings = lint.run(made)
  add_files(made)
  return made
end

return plan
