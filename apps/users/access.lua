-- SPDX-License-Identifier: MIT
-- Who may come: people with a token from POST /token, services with an API key.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local settings = demilune.settings {
  JWT_SECRET = model.secret { min_bytes = 32 },
  SERVICE_KEY = model.secret { min_bytes = 32 },
}

local bearer = guard.bearer {
  secret = settings.JWT_SECRET, algorithms = { "HS256" }, lifetime = "15m", roles = { "user", "editor", "admin" }, token_url = "/token",
}
local service = guard.api_key { keys = { service = { secret = settings.SERVICE_KEY, roles = { "admin" } } } }
local anyone = guard.any { bearer, service }

-- People see and change themselves; admins see and change all.
local function is_own(req)
  return guard.has_role(req.principal, "admin") or req.principal.subject == tostring(req.path.user_id)
end

return { bearer = bearer, admin = guard.role("admin", anyone), own = guard.owner(is_own, anyone) }
