-- SPDX-License-Identifier: MIT
-- An app with sessions of several kinds, and browsers whose Cookie fields are bytes of the spec's choice.

local server = require "spec.support.server"

local sessions = { SECRET = ("s3cr3t-"):rep(6), OTHER_SECRET = ("0ther-"):rep(7) }

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local secret = model.secret { min_bytes = 32 }
local settings = demilune.settings { SECRET = secret, OLD_SECRET = model.optional(secret), JWT_SECRET = secret }
local app = demilune.app { title = "Sessions", version = "1" }
local db = app:database "sqlite:sessions.db"
local list = { settings.SECRET, settings.OLD_SECRET }
local kinds = {
  sealed = guard.session { secrets = list, lifetime = "1h" },
  kept = guard.session { secrets = list, lifetime = "1h", cookie = "__Host-kept", database = db },
  other = guard.session { secrets = list, lifetime = "1h", cookie = "__Host-csrf" },
  staff = guard.session { secrets = list, lifetime = "1h", cookie = "__Host-staff", database = db },
}
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m" }
local handled = 0
local function answer(cookie) return demilune.response { status = 204, headers = { ["Set-Cookie"] = cookie } } end
for name, session in pairs(kinds) do
  -- A real one checks a password first. Somebody who has not logged in has a session too, and a cart in it.
  app:post("/" .. name .. "/login", { guard = guard.public, limit = "10000/minute", form = { name = model.string() } },
    function(req) return answer(session:issue { subject = req.form.name }) end)
  app:post("/" .. name .. "/anonymous", { guard = guard.public, limit = "10000/minute" },
    function() return answer(session:issue { subject = "anonymous", claims = { cart = "a book" } }) end)
  app:post("/" .. name .. "/logout", { guard = session }, function(req) return answer(session:clear(req)) end)
  app:get("/" .. name .. "/me", { guard = session }, function(req)
    handled = handled + 1
    return { subject = req.principal.subject, cart = req.principal.claims.cart }
  end)
end
app:post("/kept/leave", { guard = guard.public }, function(req) return answer(kinds.kept:clear(req)) end)
app:post("/kept/leave-by-either", { guard = guard.any { bearer, kinds.kept } }, function(req) return answer(kinds.kept:clear(req)) end)
app:post("/kept/leave-with-a-theme", { guard = guard.public, cookie = { theme = model.optional(model.string()) } },
  function(req) return answer(kinds.kept:clear(req)) end)
app:post("/kept/leave-as-staff", { guard = kinds.staff }, function(req) return answer(kinds.kept:clear(req)) end)
app:post("/kept/logout-everywhere", { guard = kinds.kept }, function(req)
  kinds.kept:finish_all(req.principal.subject)
  return answer(kinds.kept:clear(req))
end)
app:post("/token", { guard = guard.public, limit = "10000/minute" }, function() return bearer:issue { subject = "ada" } end)
app:get("/bearer", { guard = bearer }, function(req) return req.principal.subject end)
app:get("/handled", { guard = guard.public }, function() return { handled = handled } end)
return app
]]

local MIGRATION = [[
CREATE TABLE sessions (digest TEXT PRIMARY KEY, subject TEXT NOT NULL, expires INTEGER NOT NULL);
]]

---@class attack.Sessions
---@field running server.Running
local World = {}
World.__index = World

local FORM = "application/x-www-form-urlencoded"

--- A request with that Cookie field, if there is one.
function World:ask(method, target, cookie, form, more)
  local headers = { Cookie = cookie, ["Content-Type"] = form and FORM }
  for name, value in pairs(more or {}) do headers[name] = value end
  return self.running:request(method, target, { headers = headers, body = form })
end

--- NAME=VALUE of the cookie that a response sets.
function sessions.cookie_of(response) return (response.headers["set-cookie"]:match "^[^;]+") end

--- A new session of that kind, by a browser that has `cookie` already.
function World:log_in(kind, name, cookie) return sessions.cookie_of(self:ask("POST", ("/%s/login"):format(kind), cookie, "name=" .. name)) end

--- Whose session that Cookie field is, or nil; and the status.
function World:who(kind, cookie)
  local response = self:ask("GET", ("/%s/me"):format(kind), cookie)
  return response.status == 200 and response.body:match '"subject":"([^"]*)"' or nil, response.status
end

function World:stop()
  local status, log = self.running:stop()
  server.remove_folder(self.app)
  assert(status == 0, log)
end

---@param secrets? table<string, string>
---@return attack.Sessions
function sessions.start(secrets)
  local self = setmetatable({}, World)
  local env = { SECRET = sessions.SECRET, JWT_SECRET = ("jwt-s3cret-"):rep(4) }
  for name, value in pairs(secrets or {}) do env[name] = value end
  self.app = server.write_app { ["app.lua"] = APP, ["migrations/0001_sessions.sql"] = MIGRATION }
  self.running = server.start(self.app, { env = env })
  return self
end

return sessions
