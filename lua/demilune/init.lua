-- SPDX-License-Identifier: MIT
-- require "demilune": everything an app may use, by the words of the design.

local core = require "demilune.core"
local errors = require "demilune.errors"
local names = require "demilune.names"
local units = require "demilune.units"
local response = require "demilune.response"

---@class demilune
local demilune = {
  app = require("demilune.app").new,
  router = require("demilune.router").new,
  dependency = require("demilune.dependency").new,
  settings = require("demilune.settings").new,
  accounts = require "demilune.accounts", -- a function, and accounts.migration
  model = require "demilune.model",
  guard = require "demilune.guard",
  json = require "demilune.json",
  log = require "demilune.log",
  password = require "demilune.password",
  random = require "demilune.random",
  hmac = require "demilune.hmac",
  time = require "demilune.time",
  idempotency_migration = require("demilune.idempotency").migration,
  abort = response.abort,
  response = response.new,
  stream = response.stream,
  null = core.null, -- JSON's null: a value, unlike nil
  spawn = require("demilune.database").spawn, -- runs a function in a task of its own
  now = core.now, -- seconds since 1970; tests move it
}

---Marks a table as an array, so that it is [] in JSON even when it is empty.
---@generic T
---@param items T[]
---@return T[]
function demilune.array(items)
  if type(items) ~= "table" then error(("demilune.array takes a table, not %s; write demilune.array { value }"):format(errors.show(items)), 2) end
  return setmetatable(items, core.array_type)
end

---Waits, while other requests go on; 0 waits only until the others had their turn, as a long computation does well to do now and then.
---@param duration number|string seconds, or "500ms"; in whole milliseconds, rounded up
function demilune.sleep(duration)
  local seconds = units.seconds(duration)
  if not seconds or not (seconds >= 0 and seconds <= 86400) then
    error(("demilune.sleep: %s is no duration from 0 to a day; write \"500ms\" or 0.5"):format(tostring(duration)), 2)
  end
  core.sleep(seconds)
end

local NO_CLIENT = "an app has no HTTP client; write a row, for a program beside the server that reads it and sends"
local SPAWN = "write demilune.spawn(function() ... end), or req:after_response(function(ok) ... end) for what follows an answer"
return names.strict("demilune.", demilune, {
  http = NO_CLIENT, fetch = NO_CLIENT, background = SPAWN, BackgroundTasks = SPAWN, env = "write demilune.settings { NAME = model.string() }",
  HTTPException = 'write demilune.abort(404, "There is no such user")', Depends = "write app:dependency(function(req) ... end)",
  uuid = "write demilune.random.uuid()", hash = "write demilune.password.hash", jwt = "write guard.bearer, whose bearer:issue signs a token",
  redirect = 'write demilune.response { status = 303, headers = { Location = "/things/1" } }', error = "write demilune.abort(404, detail)",
  html = 'write demilune.response { headers = { ["Content-Type"] = "text/html; charset=utf-8" }, body = text }',
  now_ms = "demilune.now() gives seconds, with a fraction", Response = "write demilune.response", Router = "write demilune.router",
})
