-- SPDX-License-Identifier: MIT
-- A service for users: who registers logs in with a password, gets a token for 15
-- minutes, and sees and changes itself; admins and services see and change all.
-- Models say what may come in and what may go out, guards say who may come.

local demilune = require "demilune"
local model, guard, password = demilune.model, demilune.guard, demilune.password
local access = require "access"

local settings = demilune.settings {
  DATABASE_URL = model.string { default = "sqlite:users.db" },
}

local app = demilune.app { title = "Users", version = "1.0.0", description = "Users, kept in SQLite.", limit = "600/minute" }

-- Models ------------------------------------------------------------------------------

local Profile = model "Profile" {
  email = model.email { max_length = 254, example = "ada@example.com" },
  name = model.string { min_length = 1, max_length = 100, pattern = [[^[a-zA-Z\s]+$]], example = "Ada Lovelace" },
  role = model.literal { "user", "editor", example = "editor" },
  age = model.integer { ge = 0, le = 150, example = 36 },
}
local CreateUser = Profile:extend "CreateUser" { password = model.secret { min_bytes = 8, max_length = 200, example = "correct horse" } }
local User = Profile:extend "User" { id = model.integer { example = 1 } }
local ChangeUser = Profile:partial "ChangeUser" -- what is not sent stays as it is

-- Clients of OAuth2 send grant_type and more, which a server passes over (RFC 6749, 3.2).
local Login = model("Login", { extra = "ignore" }) { username = model.email(), password = model.secret { max_length = 200 } }
local Token = model "Token" { access_token = model.string(), token_type = model.string(), expires_in = model.integer() }

local user_id = model.integer { ge = 1, description = "The number that creating the user gave" }
local page = {
  limit = model.integer { ge = 1, le = 100, default = 20, description = "How many users at most" },
  offset = model.integer { ge = 0, le = 1000000, default = 0, description = "How many to pass over" },
}

-- Statements --------------------------------------------------------------------------

local NOT_FOUND, TAKEN, WRONG = "There is no such user", "Another user has this e-mail address", "The e-mail address or the password is wrong"

local db = app:database(settings.DATABASE_URL)

local list_users = db:statement [[SELECT id, email, name, role, age FROM users ORDER BY id LIMIT :limit OFFSET :offset]]
local find_user = db:statement [[SELECT id, email, name, role, age FROM users WHERE id = :id]]
local find_login = db:statement [[SELECT id, role, password FROM users WHERE email = :email]]
local add_user = db:statement([[
  INSERT INTO users (email, name, role, age, password) VALUES (:email, :name, :role, :age, :password)
  RETURNING id, email, name, role, age]], { unique = TAKEN })
local change_user = db:statement([[
  UPDATE users SET email = coalesce(:email?, email), name = coalesce(:name?, name),
    role = coalesce(:role?, role), age = coalesce(:age?, age)
  WHERE id = :id RETURNING id, email, name, role, age]], { unique = TAKEN })
local remove_user = db:statement [[DELETE FROM users WHERE id = :id]]

-- Routes ------------------------------------------------------------------------------

local user = app:dependency(function(req) return find_user:one { id = req.path.user_id } or demilune.abort(404, NOT_FOUND) end)

local current_user = app:dependency({ principal = access.bearer }, function(_, need)
  return find_user:one { id = tonumber(need.principal.subject) } or demilune.abort(401, NOT_FOUND)
end)

local function change(req, need)
  req.body.id = need.user.id
  return change_user:one(req.body)
end

app:post("/token", {
  guard = guard.public, limit = "5/minute", form = Login, returns = Token, responses = { [401] = WRONG }, summary = "Log in", tags = { "login" },
}, function(req)
  local found = find_login:one { email = req.form.username } or {}
  if not password.verify(found.password, req.form.password) then demilune.abort(401, WRONG) end
  return { access_token = access.bearer:issue { subject = found.id, roles = { found.role } }, token_type = "bearer", expires_in = 900 }
end)

app:get("/me", { guard = access.bearer, needs = { user = current_user }, returns = User, summary = "Read yourself", tags = { "login" } },
  function(_, need) return need.user end)

app:get("/users", { guard = access.admin, query = page, returns = model.array(User), summary = "List users", tags = { "users" } },
  function(req) return list_users:many(req.query) end)

app:post("/users", {
  guard = guard.public, limit = "5/minute", body = CreateUser, returns = User, status = 201, responses = { [409] = TAKEN },
  summary = "Create a user", tags = { "users" },
}, function(req)
  req.body.password = password.hash(req.body.password)
  return add_user:one(req.body)
end)

app:get("/users/{user_id}", {
  guard = access.own, path = { user_id = user_id }, needs = { user = user }, returns = User, responses = { [404] = NOT_FOUND },
  summary = "Read a user", tags = { "users" },
}, function(_, need) return need.user end)

app:put("/users/{user_id}", {
  guard = access.own, path = { user_id = user_id }, needs = { user = user }, body = Profile, returns = User,
  responses = { [404] = NOT_FOUND, [409] = TAKEN }, summary = "Replace a user", tags = { "users" },
}, change)

app:patch("/users/{user_id}", {
  guard = access.own, path = { user_id = user_id }, needs = { user = user }, body = ChangeUser, returns = User,
  responses = { [404] = NOT_FOUND, [409] = TAKEN }, summary = "Change some fields of a user", tags = { "users" },
}, change)

app:delete("/users/{user_id}", {
  guard = access.admin, path = { user_id = user_id }, needs = { user = user }, status = 204, responses = { [404] = NOT_FOUND },
  summary = "Delete a user", tags = { "users" },
}, function(_, need) remove_user:run { id = need.user.id } end)

return app
