-- SPDX-License-Identifier: MIT
-- Routers: routes that share a prefix, tags and a guard; routers in routers. The
-- app is one too. Nothing is joined here, so that what is added after mounting
-- counts like what was there before.

local context = require "demilune.context"
local cors = require "demilune.cors"
local dependency = require "demilune.dependency"
local errors = require "demilune.errors"
local guard = require "demilune.guard"
local limit = require "demilune.limit"
local options = require "demilune.options"
local route = require "demilune.route"

---@class demilune.RouterOptions
---@field prefix? string "/users"
---@field tags? string[] in the documentation, for all routes
---@field guard? demilune.Guard for routes that name none
---@field limit? demilune.Limit of all its routes together
---@field cors? demilune.Cors|false in place of the app's
---@field path? table<string, demilune.Field> the parameters of its prefix, for routes that do not say
---@field needs? table<string, demilune.Dependency|demilune.Guard> of all its routes, besides their own
---@field headers? table<string, string> of every response a route of it gives, where the route names no other

---@class demilune.Router
---@field prefix string
---@field tags string[]
---@field guard? demilune.Guard
---@field path? demilune.Model
---@field needs? table<string, demilune.Dependency|demilune.Guard>
---@field headers? table<string, string>
---@field entries { route: demilune.Route?, router: demilune.Router?, prefix: string }[] in the order of their declaration
---@field source string
---@field is_mounted? boolean
---@field get fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
---@field head fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
---@field post fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
---@field put fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
---@field patch fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
---@field delete fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
---@field options fun(self, path: string, options: demilune.RouteOptions|demilune.Handler, handler?: demilune.Handler)
local Router = {}
Router.__index = Router
Router.__tostring = function(self) return "router " .. self.source end

local router = { Router = Router }

local OPTIONS = {
  prefix = "string", tags = "strings", guard = "any", limit = "limit", cors = "cors", path = "table", needs = "table", headers = "table",
}

local function check_prefix(place, what, prefix)
  if prefix ~= "" and (prefix:sub(1, 1) ~= "/" or prefix:sub(-1) == "/") then
    errors.raise(place, '%s: a prefix begins with a slash and does not end with one, unlike %s; write "/users"', what, errors.show(prefix))
  end
  route.parameters(place, what, prefix)
  return prefix
end

---@param given? demilune.RouterOptions
---@return demilune.Router
function router.new(given)
  local place = errors.where()
  given = options.check(place, "demilune.router", given, OPTIONS)
  guard.check(place, "demilune.router", given.guard)
  dependency.check_needs(place, "demilune.router", given.needs or {})
  local prefix = check_prefix(place, "demilune.router", given.prefix or "")
  local made = setmetatable({
    prefix = prefix, tags = given.tags or {}, guard = given.guard, entries = {}, source = place,
    cors = cors.read(place, "demilune.router", given.cors), limit = limit.read(place, "demilune.router", given.limit),
    path = route.read_path(place, "demilune.router", given.path), needs = given.needs,
    headers = route.check_headers(place, "demilune.router", given.headers),
  }, Router)
  context.routers[#context.routers + 1] = made
  return made
end

---@param value any
---@return boolean
function router.is(value)
  local metatable = getmetatable(value)
  return metatable == Router or type(metatable) == "table" and rawget(metatable, "is_router") == true
end

---Refuses app.get(...), whose first argument is then taken for the app, and what a handler declares, which no request would find.
---@param self any
---@param name string the method's: "get"
function router.check_self(self, name)
  if context.plan then
    errors.raise(errors.where(), "app:%s declares, which is over once the app is loaded; write it beside the others, not in a handler", name)
  end
  if router.is(self) then return end
  errors.raise(errors.where(), "%s is called with a colon, so that it knows whose it is; write app:%s(...), not app.%s(...)", name, name, name)
end

local function add(self, method, path, given, handler)
  local made = route.new(method, path, given, handler)
  self.entries[#self.entries + 1] = { route = made, prefix = "" }
  return made
end

---A route for one method or several: app:route({ "GET", "POST" }, "/echo", { ... }, handler).
---@param methods string|string[]
---@param path string
---@param given demilune.RouteOptions|demilune.Handler
---@param handler? demilune.Handler
function Router:route(methods, path, given, handler)
  router.check_self(self, "route")
  local list = type(methods) == "table" and methods or { methods }
  if #list == 0 then
    errors.raise(errors.where(),
      'route takes a list of methods first, not %s; write app:route({ "GET", "POST" }, "/echo", ...)', errors.show(methods))
  end
  options.list(errors.where(), "route", list, 'write app:route({ "GET", "POST" }, "/echo", ...)')
  local named = {}
  for index, method in ipairs(list) do named[index] = type(method) == "string" and method:upper() or tostring(method) end
  -- Whoever declares a limit once means one limit, not one for each method.
  for _, method in ipairs(named) do add(self, method, path, given, handler).counted_as = table.concat(named, ", ") end
end

-- app:get, app:post, app:put, app:patch, app:delete, app:head, app:options.
for _, method in ipairs(route.methods) do
  local name = method:lower()
  Router[name] = function(self, path, given, handler)
    router.check_self(self, name)
    add(self, method, path, given, handler)
  end
end

---Puts a router's routes below this one, and below a prefix when one is given.
---@param prefix string|demilune.Router
---@param mounted? demilune.Router
function Router:mount(prefix, mounted)
  router.check_self(self, "mount")
  local place = errors.where()
  if mounted == nil then prefix, mounted = "", prefix end
  if getmetatable(mounted) ~= Router then
    errors.raise(place, "mount takes a router, not %s; write app:mount(users) with local users = demilune.router { ... }", errors.show(mounted))
  end
  if type(prefix) ~= "string" then errors.raise(place, 'mount: the prefix must be a string; write app:mount("/v1", users)') end
  mounted.is_mounted = true
  self.entries[#self.entries + 1] = { router = mounted, prefix = check_prefix(place, "mount", prefix), source = place }
end

---A dependency: app:dependency(function(req) ... end), or with what it needs first.
---@param needs table<string, demilune.Dependency>|fun(req: demilune.Request): any
---@param resolve? fun(req: demilune.Request, need: table<string, any>): any
---@return demilune.Dependency
function Router:dependency(needs, resolve)
  router.check_self(self, "dependency")
  return (dependency.new(needs, resolve))
end

return router
