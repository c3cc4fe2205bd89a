-- SPDX-License-Identifier: MIT
-- What is asked of this layer and is not there: told with the name that it has here, whether it was mistyped or is what other frameworks call it.

local errors = require "demilune.errors"

local names = {}

local DECLARED = "there is no middleware: write guard, limit, needs or headers at the app, a router or a route, and cors at the app or a router"
local NO_WEBSOCKET = "this version has no WebSocket; demilune.stream sends as it goes"
local STARTED = "`demilune serve` starts the app; end app.lua with return app"

-- Methods of other frameworks' apps, and what there is instead.
local OF_OTHERS = {
  use = DECLARED, middleware = DECLARED, websocket = NO_WEBSOCKET, ws = NO_WEBSOCKET,
  static = "files are for the server in front; an app answers requests",
  every = "write a loop with demilune.sleep in demilune.spawn, from app:on_start",
  on_startup = "write app:on_start(function() ... end)",
  on_shutdown = "write app:on_stop(function() ... end)", listen = STARTED, run = STARTED,
  include_router = "write app:mount(router)", register = "write app:mount(router)",
}

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
