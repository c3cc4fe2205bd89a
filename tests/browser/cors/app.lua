-- SPDX-License-Identifier: MIT
-- What cors.mjs asks from pages of three origins: ORIGIN may read and act, with credentials; no other may.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local settings = demilune.settings {
  JWT_SECRET = model.secret { min_bytes = 32 }, SESSION_SECRET = model.secret { min_bytes = 32 }, ORIGIN = model.string(),
}
local session = guard.session { secret = settings.SESSION_SECRET, lifetime = "1h" }
local bearer = guard.bearer { secret = settings.JWT_SECRET, algorithms = { "HS256" }, lifetime = "15m" }
local app = demilune.app {
  title = "Origins", version = "1.0.0", guard = bearer,
  cors = { origins = { settings.ORIGIN }, credentials = true, headers = { "Authorization" } },
}
local notes = 0

app:get("/open", { guard = guard.public }, function() return { open = true } end)

app:post("/token", { guard = guard.public, limit = "5/minute" }, function() return { access_token = bearer:issue { subject = "ada" } } end)

app:get("/me", { cookie = { visit = model.string { optional = true } } }, function(req)
  return { subject = req.principal.subject, visit = req.cookie.visit, notes = notes }
end)

app:post("/notes", { body = model "Note" { text = model.string() }, status = 201 }, function(req)
  notes = notes + 1
  return { text = req.body.text }
end)

-- What a form of a page can send, with a session that the browser adds.
app:post("/visit", { guard = guard.public, limit = "20/minute" }, function()
  return demilune.response { body = "begun", headers = { ["Set-Cookie"] = session:issue { subject = "ada" } } }
end)

app:post("/note", { guard = session }, function(req)
  notes = notes + 1
  return "noted for " .. req.principal.subject
end)

return app
