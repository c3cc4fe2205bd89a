-- SPDX-License-Identifier: MIT
-- The app: a router with a title, limits, databases and what runs at start and
-- stop. app.lua of an app returns one.

local cors = require "demilune.cors"
local dependency = require "demilune.dependency"
local errors = require "demilune.errors"
local guard = require "demilune.guard"
local idempotency = require "demilune.idempotency"
local limit = require "demilune.limit"
local limit_store = require "demilune.limit_store"
local options = require "demilune.options"
local route = require "demilune.route"
local router = require "demilune.router"
local units = require "demilune.units"

---@class demilune.AppOptions
---@field title? string
---@field version? string
---@field description? string
---@field docs? boolean /openapi.json and /docs: on in dev, off in production unless true
---@field guard? demilune.Guard for routes that name none, nor their router
---@field strict? boolean false lets JSON bodies convert as Pydantic's lax mode does
---@field extra? "forbid"|"ignore"|"allow" for models that do not say
---@field allowed_hosts? string[] { "example.com", "*.example.com" }
---@field trusted_proxies? string[] who may say for whom they speak: { "10.0.0.0/8", "unix" }
---@field limits? demilune.Limits
---@field limit? demilune.Limit of all routes together
---@field limit_store? string|userdata|demilune.LimitStoreOptions the Redis that counts limits for all machines
---@field cors? demilune.Cors|false
---@field needs? table<string, demilune.Dependency|demilune.Guard> of all routes, besides their own
---@field headers? table<string, string> of every response a route gives; of a Cache-Control, refusals and failures make no-store
---@field tags? (string|{ name: string, description: string? })[] their order and meaning in the documentation
---@field servers? (string|{ url: string, description: string? })[]
---@field contact? { name: string?, url: string?, email: string? }
---@field license? string|{ name: string, url: string?, identifier: string? }

---@class demilune.Limits
---@field max_body? integer|string
---@field max_head? integer|string
---@field max_target? integer|string
---@field max_headers? integer
---@field max_depth? integer nesting of JSON
---@field max_connections? integer
---@field max_connections_per_client? integer
---@field max_requests? integer in handlers at a time, in each worker
---@field max_queue? integer that wait for their turn beyond these
---@field queue_timeout? number|string how long they wait at most
---@field header_timeout? number|string
---@field body_timeout? number|string
---@field idle_timeout? number|string
---@field send_timeout? number|string
---@field handler_timeout? number|string
---@field min_body_rate? integer|string bytes a second that a body keeps up, over body_timeout

---@class demilune.App : demilune.Router
---@field given demilune.AppOptions
---@field limits table<string, number> in bytes and seconds
---@field databases table[]
---@field idempotent? demilune.Idempotency
---@field starts function[]
---@field stops function[]
local App = setmetatable({ is_router = true }, { __index = router.Router })
App.__index = App
App.__tostring = function() return "app" end

local app = { App = App }

local OPTIONS = {
  title = "string", version = "string", description = "string", docs = "boolean", guard = "any", strict = "boolean", extra = "string",
  allowed_hosts = "strings", limits = "table", headers = "table", tags = "list", servers = "list", contact = "table", license = "any",
  cors = "cors", limit = "limit", limit_store = "any", trusted_proxies = "strings", needs = "table",
}
local LIMITS = {
  max_body = "size", max_head = "size", max_target = "size", max_depth = "count", max_connections = "count",
  max_connections_per_client = "count", max_headers = "count", max_requests = "count", max_queue = "count", queue_timeout = "duration",
  header_timeout = "duration", body_timeout = "duration",
  idle_timeout = "duration", send_timeout = "duration", handler_timeout = "duration", min_body_rate = "size",
}
local MEASURES = { size = units.bytes, duration = units.seconds, count = tonumber }
local EXAMPLES = { size = '"1MiB"', duration = '"30s"', count = "100" }
-- A head is read in one piece of 32 KiB, which its body still passes through.
local MOST = { max_head = 30720, max_target = 30720, max_headers = 1000, max_depth = 1000 }
local MOST_OF_ALL = 2 ^ 31 - 1
-- With 0 of these no request could be answered; of the others 0 says something: no body at all, nobody waits, no bound.
local NEVER_NOTHING = { max_head = true, max_target = true, max_headers = true, max_depth = true }
local EXTRA = { forbid = true, ignore = true, allow = true }

local function read_limits(place, given)
  options.check(place, "demilune.app: limits", given, LIMITS)
  local limits = {}
  for name, value in pairs(given or {}) do
    local sort = LIMITS[name]
    limits[name] = MEASURES[sort](value)
    if not limits[name] then
      errors.raise(place, "demilune.app: limits.%s is %s; write %s = %s", name, errors.show(value), name, EXAMPLES[sort])
    end
    local most, never_nothing = MOST[name] or MOST_OF_ALL, sort == "duration" or NEVER_NOTHING[name]
    if limits[name] > most or never_nothing and limits[name] <= 0 then
      errors.raise(place, "demilune.app: limits.%s is %s, which cannot be kept; it is %sat most %d", name, errors.show(value),
        never_nothing and "more than 0 and " or "", most)
    end
  end
  return limits
end

local function check_hosts(place, hosts)
  for _, host in ipairs(hosts or {}) do
    local name = host:gsub("^%*%.", "")
    local is_name = name:match("^[%w.-]+$") and not ("." .. name):find("..", 1, true) -- what begins with a dot would be nobody's
    if not is_name and not host:match("^%[[%x:.]+%]$") then
      errors.raise(place, 'demilune.app: %s in allowed_hosts is no host; write "example.com" or "*.example.com", without scheme, port or path',
        errors.show(host))
    end
  end
  if hosts and #hosts == 0 then
    errors.raise(place, "demilune.app: allowed_hosts is empty, so nobody could call the app; name hosts or take it out")
  end
end

-- What the documentation says of the app, by the words of OpenAPI: one of another name would be lost, or make it no document.
local TAG, SERVER = { name = "string", description = "string" }, { url = "string", description = "string" }
local CONTACT, LICENSE = { name = "string", url = "string", email = "string" }, { name = "string", url = "string", identifier = "string" }

-- "text" as { name = "text" }: how tags and servers may be written short.
local function long_form(place, what, list, key, allowed)
  local long, seen = {}, {}
  for index, item in ipairs(list or {}) do
    local one = type(item) == "string" and { [key] = item } or item
    if type(one) ~= "table" or type(one[key]) ~= "string" then
      errors.raise(place, 'demilune.app: %s: each is a string or a table with { %s = "..." }', what, key)
    end
    options.check(place, "demilune.app: " .. what, one, allowed)
    if seen[one[key]] then errors.raise(place, "demilune.app: %s: %s is there twice; take one out", what, errors.show(one[key])) end
    long[index], seen[one[key]] = one, true
  end
  return list and long
end

local function read_license(place, given)
  if given == nil then return nil end
  local license = long_form(place, "license", { given }, "name", LICENSE)[1]
  if license.url and license.identifier then
    errors.raise(place, "demilune.app: license: url and identifier say the same, and OpenAPI takes one of them; take the other out")
  end
  return license
end

---@param given? demilune.AppOptions
---@return demilune.App
function app.new(given)
  local place = errors.where()
  given = options.check(place, "demilune.app", given, OPTIONS)
  guard.check(place, "demilune.app", given.guard)
  dependency.check_needs(place, "demilune.app", given.needs or {})
  check_hosts(place, given.allowed_hosts)
  options.check(place, "demilune.app: contact", given.contact, CONTACT)
  if given.extra and not EXTRA[given.extra] then
    errors.raise(place, 'demilune.app: extra is %s; write "forbid", "ignore" or "allow"', errors.show(given.extra))
  end
  local made = {
    prefix = "", tags = {}, guard = given.guard, entries = {}, source = place, given = given, limits = read_limits(place, given.limits),
    tag_list = long_form(place, "tags", given.tags, "name", TAG), server_list = long_form(place, "servers", given.servers, "url", SERVER),
    headers = route.check_headers(place, "demilune.app", given.headers), needs = given.needs,
    cors = cors.read(place, "demilune.app", given.cors), limit = limit.read(place, "demilune.app", given.limit),
    limit_store = limit_store.read(place, given.limit_store, given.title),
    license = read_license(place, given.license),
    databases = {}, starts = {}, stops = {},
  }
  return setmetatable(made, App)
end

---@param value any
---@return boolean
function app.is(value) return getmetatable(value) == App end

local function need_function(self, what, fn)
  router.check_self(self, what)
  if type(fn) ~= "function" then
    errors.raise(errors.where(), "app:%s takes a function, not %s; write app:%s(function() ... end)", what, errors.show(fn), what)
  end
end

---Runs before the first request is answered, after databases are open. May wait.
---@param fn fun()
function App:on_start(fn)
  need_function(self, "on_start", fn)
  self.starts[#self.starts + 1] = fn
end

---Runs once the last request is answered, the newest first. May wait.
---@param fn fun()
function App:on_stop(fn)
  need_function(self, "on_stop", fn)
  self.stops[#self.stops + 1] = fn
end

---Where the answers of routes with idempotent = true are kept: app:idempotency { database = db }.
---@param given demilune.IdempotencyOptions
function App:idempotency(given)
  router.check_self(self, "idempotency")
  if self.idempotent then
    errors.raise(errors.where(), "the app has said at %s where answers are kept; take one of the two app:idempotency out", self.idempotent.source)
  end
  self.idempotent = idempotency.new(given)
end

---A database, opened when the app starts: app:database("sqlite:users.db").
---@param url string
---@param given? table
function App:database(url, given)
  router.check_self(self, "database")
  local database = require("demilune.database").new(url, given)
  self.databases[#self.databases + 1] = database
  return database
end

---Its methods, those of routers among them.
---@return table<string, function>
function app.methods()
  local methods = {}
  for _, class in ipairs { router.Router, App } do
    for name, value in pairs(class) do
      if type(value) == "function" and name:sub(1, 2) ~= "__" then methods[name] = value end
    end
  end
  return methods
end

return app
