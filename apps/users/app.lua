-- SPDX-License-Identifier: MIT
-- A service for users: created, listed, read, changed and deleted, each by a model
-- that says what may come in and what may go out. Every route is open to
-- everybody, and says so with guard.public.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local settings = demilune.settings {
  DATABASE_URL = model.string { default = "sqlite:users.db" },
}

local app = demilune.app { title = "Users", version = "1.0.0", description = "Users, kept in SQLite." }

-- Models ------------------------------------------------------------------------------

local CreateUser = model "CreateUser" {
  email = model.email { max_length = 254, example = "ada@example.com" },
  name = model.string { min_length = 1, max_length = 100, pattern = [[^[a-zA-Z\s]+$]], example = "Ada Lovelace" },
  role = model.literal { "user", "editor", example = "editor" },
  age = model.integer { ge = 0, le = 150, example = 36 },
}
local User = CreateUser:extend "User" { id = model.integer { example = 1 } }
local ChangeUser = CreateUser:partial "ChangeUser" -- what is not sent stays as it is

local user_id = model.integer { ge = 1, description = "The number that creating the user gave" }
local page = {
  limit = model.integer { ge = 1, le = 100, default = 20, description = "How many users at most" },
  offset = model.integer { ge = 0, le = 1000000, default = 0, description = "How many to pass over" },
}

-- Statements --------------------------------------------------------------------------

local NOT_FOUND, TAKEN = "There is no such user", "Another user has this e-mail address"

local db = app:database(settings.DATABASE_URL)

local list_users = db:statement [[SELECT id, email, name, role, age FROM users ORDER BY id LIMIT :limit OFFSET :offset]]
local find_user = db:statement [[SELECT id, email, name, role, age FROM users WHERE id = :id]]
local add_user = db:statement([[
  INSERT INTO users (email, name, role, age) VALUES (:email, :name, :role, :age)
  RETURNING id, email, name, role, age]], { unique = TAKEN })
local change_user = db:statement([[
  UPDATE users SET email = coalesce(:email?, email), name = coalesce(:name?, name),
    role = coalesce(:role?, role), age = coalesce(:age?, age)
  WHERE id = :id RETURNING id, email, name, role, age]], { unique = TAKEN })
local remove_user = db:statement [[DELETE FROM users WHERE id = :id]]

-- Routes ------------------------------------------------------------------------------

local user = app:dependency(function(req) return find_user:one { id = req.path.user_id } or demilune.abort(404, NOT_FOUND) end)

local function change(req, need)
  req.body.id = need.user.id
  return change_user:one(req.body)
end

app:get("/users", { guard = guard.public, query = page, returns = model.array(User), summary = "List users", tags = { "users" } },
  function(req) return list_users:many(req.query) end)

app:post("/users", {
  guard = guard.public, body = CreateUser, returns = User, status = 201, responses = { [409] = TAKEN },
  summary = "Create a user", tags = { "users" },
}, function(req) return add_user:one(req.body) end)

app:get("/users/{user_id}", {
  guard = guard.public, path = { user_id = user_id }, needs = { user = user }, returns = User, responses = { [404] = NOT_FOUND },
  summary = "Read a user", tags = { "users" },
}, function(_, need) return need.user end)

app:put("/users/{user_id}", {
  guard = guard.public, path = { user_id = user_id }, needs = { user = user }, body = CreateUser, returns = User,
  responses = { [404] = NOT_FOUND, [409] = TAKEN }, summary = "Replace a user", tags = { "users" },
}, change)

app:patch("/users/{user_id}", {
  guard = guard.public, path = { user_id = user_id }, needs = { user = user }, body = ChangeUser, returns = User,
  responses = { [404] = NOT_FOUND, [409] = TAKEN }, summary = "Change some fields of a user", tags = { "users" },
}, change)

app:delete("/users/{user_id}", {
  guard = guard.public, path = { user_id = user_id }, needs = { user = user }, status = 204, responses = { [404] = NOT_FOUND },
  summary = "Delete a user", tags = { "users" },
}, function(_, need) remove_user:run { id = need.user.id } end)

return app
