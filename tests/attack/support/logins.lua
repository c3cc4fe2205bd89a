-- SPDX-License-Identifier: MIT
-- An app with logins by demilune.accounts, over several workers, and who has logged in there: for whoever attacks what keeps a login going.

local cjson = require "cjson"
local mime = require "mime"
local server = require "spec.support.server"

local logins = { PASSWORD = "correct horse battery staple", COOKIE = "__Host-refresh", WORKERS = 3, HOST = "shop.example" }

local APP = [[
local demilune = require "demilune"
local model, guard, password = demilune.model, demilune.guard, demilune.password
local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }
local app = demilune.app { title = "Logins", version = "1",
  cors = { origins = { "https://front.example" }, credentials = true, methods = { "POST" } } }
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", token_url = "/token" }

local db = app:database "sqlite:logins.db"
local add = db:statement "INSERT INTO users (name, password) VALUES (:name, :password)"
local by_name = db:statement "SELECT id, password FROM users WHERE name = :name"
local by_id = db:statement "SELECT id, password FROM users WHERE id = :id"
local change = db:statement "UPDATE users SET password = :password? WHERE id = :id"
local tokens = db:statement("SELECT family, used FROM refresh_tokens ORDER BY rowid", {})
local function account(row) return row and { id = row.id, password = row.password } end

app:mount(demilune.accounts {
  database = db, bearer = bearer, limit = "100000/minute", refresh_limit = "100000/minute",
  find = function(name) return account(by_name:one { name = name }) end,
  find_by_id = function(subject) return account(by_id:one { id = tonumber(subject) }) end,
  rehash = function(found, phc) change:run { id = found.id, password = phc } end,
})
app:post("/users", { guard = guard.public, limit = "1000/minute", body = { name = model.string(), password = model.secret() }, status = 204 },
  function(req) add:run { name = req.body.name, password = password.hash(req.body.password) } end)
app:post("/password", { guard = bearer, limit = "1000/minute", body = { password = model.secret() }, status = 204 },
  function(req) change:run { id = tonumber(req.principal.subject), password = password.hash(req.body.password) } end)
app:post("/disable", { guard = bearer, status = 204 }, function(req) change:run { id = tonumber(req.principal.subject) } end)
app:get("/me", { guard = bearer }, function(req) return req.principal.subject end)
app:get("/tokens", { guard = guard.public }, function() return demilune.array(tokens:many()) end)
return app
]]

local USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, password TEXT) STRICT;"

-- What accounts.migration is, as its own spec shows.
local function migration()
  local file = assert(io.open "tests/apps/accounts/migrations/0002_refresh_tokens.sql")
  local text = file:read "*a"
  file:close()
  return text
end

---@class attack.Logins
---@field running server.Running
local World = {}
World.__index = World

local function json(value) return { headers = { ["Content-Type"] = "application/json" }, body = cjson.encode(value) } end

--- The refresh token that a response sets; "" when it ends the cookie, nil when it says nothing of it.
function logins.cookie_of(response)
  return (response.headers["set-cookie"] or ""):match("^" .. logins.COOKIE:gsub("%-", "%%-") .. "=([^;]*)")
end

---@class attack.Login
---@field access string
---@field refresh string

local function login_of(response)
  if response.status ~= 200 then return nil, response.status end
  return { access = cjson.decode(response.body).access_token, refresh = logins.cookie_of(response) }
end

--- Somebody new with the password logins.PASSWORD.
function World:register(name)
  local response = self.running:request("POST", "/users", json { name = name, password = logins.PASSWORD })
  assert(response.status == 204, response.body)
end

--- A login as a form, with what a browser adds to it.
function World:send_form(name, password, added)
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  for field, value in pairs(added or {}) do headers[field] = value end
  local form = ("username=%s&password=%s"):format(name, (password or logins.PASSWORD):gsub(" ", "+"))
  return self.running:request("POST", "/token", { host = logins.HOST, headers = headers, body = form })
end

---@return attack.Login? login, integer? status
function World:log_in(name, password) return login_of(self:send_form(name, password)) end

--- A request to /refresh or /logout with that Cookie field, as it is, or none, and with what a browser adds to it.
function World:send(target, cookie, added)
  local headers = { Cookie = cookie }
  for field, value in pairs(added or {}) do headers[field] = value end
  return self.running:request("POST", target, { host = logins.HOST, headers = headers })
end

---@return attack.Login? login, integer? status
function World:refresh(token) return login_of(self:send("/refresh", logins.COOKIE .. "=" .. token)) end

function World:log_out(token) return self:send("/logout", logins.COOKIE .. "=" .. token).status end

function World:as(login, method, target, value)
  local options = value and json(value) or { headers = {} }
  options.headers.Authorization = "Bearer " .. login.access
  return self.running:request(method, target, options).status
end

--- Rows of the table: those of each family, and those of them that were not used.
function World:tokens()
  local rows, families, unused = cjson.decode(self.running:request("GET", "/tokens").body), {}, 0
  local count = 0
  for _, row in ipairs(rows) do
    if not families[row.family] then count = count + 1 end
    families[row.family] = true
    if row.used == 0 then unused = unused + 1 end
  end
  return { families = count, unused = unused }
end

function World:stop()
  local status, log = self.running:stop()
  server.remove_folder(self.app)
  assert(status == 0, log)
end

function logins.start()
  local self = setmetatable({}, World)
  self.app = server.write_app { ["app.lua"] = APP, ["migrations/0001_users.sql"] = USERS, ["migrations/0002_tokens.sql"] = migration() }
  self.running = server.start(self.app, { workers = logins.WORKERS, env = { JWT_SECRET = mime.b64(("s3cret-"):rep(6)) } })
  return self
end

return logins
