-- SPDX-License-Identifier: MIT
-- Statements of every sort, for the specs beside this file and for spec/e2e/database_spec.lua.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local app = demilune.app { title = "Database", version = "1.0.0", guard = guard.public }
local store = require("store").open(app)

app:post("/users", { body = { email = model.string() }, status = 201 }, function(req) return store.add:one(req.body) end)
app:post("/twice", {}, function()
  store.plain_add:run { email = "uncaught@example.com" }
  store.plain_add:run { email = "uncaught@example.com" }
end)
app:post("/abandon", { timeout = "100ms" }, function()
  store.patient:transaction(function()
    store.patient_add:run { email = "abandoned@example.com" }
    demilune.sleep "60s"
  end)
end)
app:get("/count", {}, function() return { count = store.count:value() } end)

return app
