-- SPDX-License-Identifier: MIT
-- The benchmark's endpoints. No database: what is measured is the server.
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }

-- One client makes all connections here.
local app = demilune.app { title = "Benchmark", version = "1.0.0", limits = { max_connections = 20000, max_connections_per_client = 20000 } }

local CreateUser = model "CreateUser" {
  email = model.email(),
  name = model.string { min_length = 1, max_length = 100, pattern = [[^[a-zA-Z\s]+$]] },
  role = model.literal { "user", "editor" },
  age = model.integer { ge = 0, le = 150 },
}
local User = CreateUser:extend "User" { id = model.integer() }

app:get("/plain", { guard = guard.public }, function() return "Hello, world!\n" end)

app:post("/users", { guard = guard.public, body = CreateUser, returns = User, status = 201 }, function(req)
  local user = req.body
  user.id = 1
  return user
end)

app:post("/users/bulk", { guard = guard.public, body = model.array(CreateUser), returns = model.array(User), status = 201 }, function(req)
  local users = req.body
  for index = 1, #users do users[index].id = index end
  return users
end)

-- Who it is: by a token, by none; who may not; how often. A token lasts as long as a run.
local users = { ["7"] = { id = 7, email = "ada@example.com", name = "Ada Lovelace", role = "editor", age = 36 } }
local bearer = guard.bearer { secret = settings.JWT_SECRET, algorithms = { "HS256" }, lifetime = "24h", allow_long_lived = true }

local current_user = app:dependency({ principal = bearer }, function(_, need)
  return users[need.principal.subject] or demilune.abort(401, "User not found")
end)

app:get("/me", { guard = bearer, needs = { user = current_user }, returns = User }, function(_, need) return need.user end)
app:get("/admin", { guard = guard.role("admin", bearer), returns = User }, function() return users["7"] end)
app:get("/hello", { guard = bearer }, function() return "Hello, world!\n" end)
app:get("/counted", { guard = guard.public, limit = "1000000/second" }, function() return "Hello, world!\n" end)
app:get("/limited", { guard = guard.public, limit = "1/day" }, function() return "Hello, world!\n" end)

return app
