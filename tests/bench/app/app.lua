-- SPDX-License-Identifier: MIT
-- The benchmark's endpoints. No database: what is measured is the server.
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

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

return app
