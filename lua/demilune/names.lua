-- SPDX-License-Identifier: MIT
-- What is asked of this layer and is not there: told with the name that it has here, whether it was mistyped or is what other frameworks call it.

local errors = require "demilune.errors"

local names = {}

local DECLARED = "there is no middleware: write guard, limit, needs or headers at the app, a router or a route, and cors at the app or a router"
local NO_WEBSOCKET = "this version has no WebSocket; demilune.stream sends as it goes"
local STARTED = "`demilune serve` starts the app; end app.lua with return app"
local BY_ROLE, BY_SCOPE = 'write guard = guard.role("admin", bearer)', 'write guard = guard.scope("read", bearer)'
local GUARDED = "write guard = bearer, with local bearer = guard.bearer { ... }"
local LOOP = "write a loop with demilune.sleep in demilune.spawn, from app:on_start"
local FAILED = "write demilune.abort(404, \"There is no such user\") where it is found; what nobody caught is a 500, and in the log"

-- Methods of other frameworks' apps, and what there is instead.
local OF_OTHERS = {
  use = DECLARED, middleware = DECLARED, websocket = NO_WEBSOCKET, ws = NO_WEBSOCKET,
  static = "files are for the server in front; an app answers requests",
  every = LOOP,
  on_startup = "write app:on_start(function() ... end)",
  add_middleware = DECLARED, hook = DECLARED, addHook = DECLARED, on_event = "write app:on_start(function() ... end) or app:on_stop", schedule = LOOP,
  cron = LOOP, cors = "write cors = { origins = { ... } } in demilune.app or demilune.router",
  group = 'write demilune.router { prefix = "/v1" }, and app:mount(router)', exception_handler = FAILED, error_handler = FAILED,
  on_shutdown = "write app:on_stop(function() ... end)", listen = STARTED, run = STARTED,
  include_router = "write app:mount(router)", register = "write app:mount(router)",
}

-- Options of other frameworks' routes, and what there is instead.
local OF_ROUTES = {
  response_model = "write returns = User", status_code = "write status = 201", params = "write path = { id = model.integer() }",
  dependencies = "write needs = { user = current_user }", depends = "write needs = { user = current_user }", roles = BY_ROLE, role = BY_ROLE,
  scopes = BY_SCOPE, scope = BY_SCOPE, auth = GUARDED, security = GUARDED, public = "write guard = guard.public",
  rate_limit = 'write limit = "5/minute"', cors = "write cors at its router or at demilune.app",
  etag = 'write demilune.response { headers = { ETag = ... } } in the handler', cache = 'write headers = { ["Cache-Control"] = "max-age=60" }',
}

-- And of their fields, by those that there are.
local OF_FIELDS = { max = { "max_length", "le", "max_items" }, min = { "min_length", "ge", "min_items" } }

---What to write in place of an option that there is not, where others call it so.
---@param name any
---@param allowed table<string, any> those that there are
---@return string?
function names.option(name, allowed)
  if allowed.returns and allowed.guard and OF_ROUTES[name] then return OF_ROUTES[name] end
  if name == "required" and allowed.optional then return "leave it out: a field is required unless it is optional or has a default" end
  for _, ours in ipairs(OF_FIELDS[name] or {}) do
    if allowed[ours] then return "write " .. ours end
  end
  return nil
end

---Makes it an error to read a name that the table has not, told at the app's line.
---@param label string what stands before the name: "demilune."
---@param contents table whose metatable this becomes, or changes
---@param others? table<string, string> names that others use, and what to write instead
---@return table contents
function names.strict(label, contents, others)
  local metatable = getmetatable(contents) or {}
  metatable.__index = function(_, name)
    local hint = others and others[name]
    if not hint then
      local known = {}
      for key in pairs(contents) do known[#known + 1] = tostring(key) end
      local nearest = errors.nearest(name, known)
      hint = nearest and ("did you mean %s%s?"):format(label, nearest)
    end
    return errors.raise(errors.where(), "there is no %s%s%s", label, tostring(name), hint and "; " .. hint or "")
  end
  return setmetatable(contents, metatable)
end

---Adds to Lua's own words for a method that there is not what was probably meant.
---@param message string
---@param methods table<string, any> those that there are
---@return string
function names.explain(message, methods)
  local name = message:match "attempt to call method '([%w_]+)' %(a nil value%)"
  if not name then return message end
  local known = {}
  for key in pairs(methods) do known[#known + 1] = key end
  local nearest = errors.nearest(name, known)
  local hint = OF_OTHERS[name] or nearest and ("did you mean %s?"):format(nearest)
  return hint and message .. "; " .. hint or message
end

return names
