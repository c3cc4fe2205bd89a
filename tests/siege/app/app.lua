-- SPDX-License-Identifier: MIT
-- What is besieged: a route that is answered at once, one that reads a database, one that counts, and room for many slow clients.
local demilune = require "demilune"
local guard, model = demilune.guard, demilune.model

local app = demilune.app {
  title = "Siege", version = "1", guard = guard.public,
  limits = { max_connections = 16384, max_connections_per_client = 16384, header_timeout = "10m" },
}

local db = app:database "sqlite:siege.db"
local count = db:statement "SELECT count(*) FROM sieges"

app:get("/who", function(req) return req.id:sub(1, 8) end)
app:get("/count", { returns = { count = model.integer() } }, function() return { count = count:value() } end)
app:get("/limited", { limit = "5/day" }, function() return "admitted" end)

return app
