-- SPDX-License-Identifier: MIT
-- A login, an API key and a token, for the timing test over the socket. Limits so high that they count and never refuse.
local demilune = require "demilune"
local model, guard, password = demilune.model, demilune.guard, demilune.password

local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 }, SERVICE_KEY = model.secret { min_bytes = 32 } }
local app = demilune.app { title = "Timing", version = "1.0.0" }

local users = {}
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "24h", allow_long_lived = true, token_url = "/token" }
local service = guard.api_key { keys = { service = settings.SERVICE_KEY } }
local nothing = {
  begin = function() return "x" end, look_up = function() return nil end, rotate = function() return nil end, revoke = function() end,
  finish_all = function() end,
}

app:on_start(function() users.ada = { id = 1, password = password.hash "correct horse" } end)
app:mount(demilune.accounts {
  bearer = bearer, store = nothing, limit = "1000000/minute",
  find = function(name) return users[name] end, find_by_id = function() return users.ada end,
})
app:get("/me", { guard = bearer }, function(req) return req.principal.subject end)
app:get("/service", { guard = service }, function(req) return req.principal.name end)

return app
