-- SPDX-License-Identifier: MIT
-- Users in SQLite, over sockets: created, read, listed, changed, deleted, kept over restarts, and not one that was
-- acknowledged lost when the server is killed while many write.

local server = require "spec.support.server"
local socket = require "socket"
local cjson = require "cjson"

local PATIENCE = 30 -- seconds

-- The seed service, apps/users, with its routes open: who may call them is guard_spec's subject.
local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public }
local CreateUser = model "CreateUser" {
  email = model.email { max_length = 254 }, name = model.string { min_length = 1, max_length = 100, pattern = "^[a-zA-Z ]+$" },
  role = model.literal { "user", "editor" }, age = model.integer { ge = 0, le = 150 },
}
local User = CreateUser:extend "User" { id = model.integer() }
local ChangeUser = CreateUser:partial "ChangeUser"
local user_id = { user_id = model.integer { ge = 1 } }
local page = { limit = model.integer { ge = 1, le = 100, default = 20 }, offset = model.integer { ge = 0, le = 1000000, default = 0 } }

local TAKEN = { unique = "Another user has this e-mail address" }
local db = app:database "sqlite:users.db"
local list_users = db:statement "SELECT id, email, name, role, age FROM users ORDER BY id LIMIT :limit OFFSET :offset"
local find_user = db:statement "SELECT id, email, name, role, age FROM users WHERE id = :id"
local add_user = db:statement([=[
  INSERT INTO users (email, name, role, age) VALUES (:email, :name, :role, :age) RETURNING id, email, name, role, age]=], TAKEN)
local change_user = db:statement([=[
  UPDATE users SET email = coalesce(:email?, email), name = coalesce(:name?, name), role = coalesce(:role?, role), age = coalesce(:age?, age)
  WHERE id = :id RETURNING id, email, name, role, age]=], TAKEN)
local remove_user = db:statement "DELETE FROM users WHERE id = :id"

local found = app:dependency(function(req) return find_user:one { id = req.path.user_id } or demilune.abort(404, "There is no such user") end)
local function change(req, need)
  req.body.id = need.user.id
  return change_user:one(req.body)
end
app:get("/users", { query = page, returns = model.array(User) }, function(req) return list_users:many(req.query) end)
app:post("/users", { body = CreateUser, returns = User, status = 201 }, function(req) return add_user:one(req.body) end)
app:get("/users/{user_id}", { path = user_id, needs = { user = found }, returns = User }, function(_, need) return need.user end)
app:put("/users/{user_id}", { path = user_id, needs = { user = found }, body = CreateUser, returns = User }, change)
app:patch("/users/{user_id}", { path = user_id, needs = { user = found }, body = ChangeUser, returns = User }, change)
app:delete("/users/{user_id}", { path = user_id, needs = { user = found }, status = 204 }, function(_, need)
  remove_user:run { id = need.user.id }
end)
return app
]]
local TABLE = [[
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL, age INTEGER NOT NULL
) STRICT;
]]

local function start(data, flags)
  return server.start({ ["app.lua"] = APP, ["migrations/0001_users.sql"] = TABLE }, { data = data, flags = flags })
end

local function json_request(running, method, target, value)
  local options = value and { headers = { ["Content-Type"] = "application/json" }, body = cjson.encode(value) }
  local response = running:request(method, target, options)
  return response.status, response.body ~= "" and cjson.decode(response.body) or nil
end

local function somebody(email, more)
  local user = { email = email, name = "Ada Lovelace", role = "editor", age = 36 }
  for name, value in pairs(more or {}) do user[name] = value end
  return user
end

local function list_all(running)
  local all, offset = {}, 0
  repeat
    local status, page = json_request(running, "GET", "/users?limit=100&offset=" .. offset)
    assert.equal(200, status)
    for _, user in ipairs(page) do all[#all + 1] = user end
    offset = offset + 100
  until #page < 100
  return all
end

describe("users", function()
  local data, running
  before_each(function()
    data = server.make_folder()
    running = start(data)
  end)
  after_each(function()
    local status, log = running:stop()
    server.remove_folder(data)
    assert(status == 0, log)
  end)

  it("are created, read, listed, changed, replaced and deleted", function()
    local status, made = json_request(running, "POST", "/users", somebody "ada@example.com")
    assert.equal(201, status)
    assert.same(somebody("ada@example.com", { id = made.id }), made)
    local target = "/users/" .. made.id
    assert.same({ 200, made }, { json_request(running, "GET", target) })
    assert.same({ 200, { made } }, { json_request(running, "GET", "/users") })
    made.age = 37
    assert.same({ 200, made }, { json_request(running, "PATCH", target, { age = 37 }) })
    local other = somebody("lovelace@example.com", { role = "user", id = made.id })
    assert.same({ 200, other }, { json_request(running, "PUT", target, somebody("lovelace@example.com", { role = "user" })) })
    assert.same({ 200, other }, { json_request(running, "GET", target) })
    assert.same({ 204 }, { json_request(running, "DELETE", target) })
    for _, method in ipairs { "GET", "DELETE" } do assert.equal(404, (json_request(running, method, target))) end
    assert.equal(404, (json_request(running, "PATCH", target, { age = 1 })))
    assert.same({ 200, {} }, { json_request(running, "GET", "/users") })
  end)

  it("have addresses of their own: 409 for a second one, which changes nothing", function()
    local _, first = json_request(running, "POST", "/users", somebody "a@example.com")
    local _, second = json_request(running, "POST", "/users", somebody "b@example.com")
    local status, answer = json_request(running, "POST", "/users", somebody "a@example.com")
    assert.same({ 409, "Another user has this e-mail address" }, { status, answer.detail })
    assert.equal(409, (json_request(running, "PATCH", "/users/" .. second.id, { email = "a@example.com", name = "Mallory" })))
    assert.equal(409, (json_request(running, "PUT", "/users/" .. second.id, somebody "a@example.com")))
    assert.same({ first, second }, list_all(running))
  end)

  it("are stored as text, whatever they hold", function()
    local status = json_request(running, "POST", "/users", somebody("o'brien+x@example.com", { name = "x" }))
    assert.equal(201, status)
    assert.equal(422, (json_request(running, "POST", "/users", somebody("x@example.com", { name = "'); DROP TABLE users; --" }))))
    assert.equal("o'brien+x@example.com", list_all(running)[1].email)
    for _, target in ipairs { "/users/1%20OR%201=1", "/users/1;DROP", "/users/0", "/users/-1", "/users/99999999999999999999" } do
      assert.equal(422, (json_request(running, "GET", target)), target)
    end
    assert.equal(422, (json_request(running, "GET", "/users?limit=1000000")))
  end)

  it("are the same after a restart", function()
    for n = 1, 30 do assert.equal(201, (json_request(running, "POST", "/users", somebody("user" .. n .. "@example.com", { age = n })))) end
    json_request(running, "DELETE", "/users/3")
    json_request(running, "PATCH", "/users/4", { age = 99 })
    local before = list_all(running)
    assert.equal(0, (running:stop()))
    running = start(data)
    assert.same(before, list_all(running))
    local _, made = json_request(running, "POST", "/users", somebody "later@example.com")
    assert.equal(31, made.id)
  end)

  it("are consistent under many writers at once", function()
    local connections = {}
    for n = 1, 20 do connections[n] = running:connect(PATIENCE) end
    for round = 1, 10 do
      for n, connection in ipairs(connections) do
        local body = cjson.encode(somebody(("same%d@example.com"):format(round), { age = n }))
        connection:send(("POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
      end
      local statuses = {}
      for _, connection in ipairs(connections) do
        local status = connection:receive().status
        statuses[status] = (statuses[status] or 0) + 1
      end
      assert.same({ [201] = 1, [409] = 19 }, statuses)
    end
    assert.equal(10, #list_all(running))
    for _, connection in ipairs(connections) do connection:close() end
  end)
end)

describe("a server that is killed while many write", function()
  local WRITERS, ROUNDS = 16, 6

  -- One user after the other on a connection of its own; `acknowledged` gets each that was answered 201.
  local function writer(running, number, acknowledged)
    local self = { connection = running:connect(PATIENCE), count = 0 }
    function self.send()
      self.count = self.count + 1
      self.email = ("w%d.%d.%d@example.com"):format(running.port, number, self.count)
      local body = cjson.encode(somebody(self.email))
      self.connection:send(("POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    end
    function self.step()
      local response = self.connection:receive()
      if not response then return false end
      assert.equal(201, response.status)
      acknowledged[self.email] = cjson.decode(response.body).id
      self.send()
      return true
    end
    self.send()
    return self
  end

  -- Writes until the server is killed behind so many answers, and all that it had answered has been read.
  local function write_and_kill(running, answers, acknowledged)
    local by_socket, sockets = {}, {}
    for number = 1, WRITERS do
      local made = writer(running, number, acknowledged)
      sockets[number], by_socket[made.connection.tcp] = made.connection.tcp, made
    end
    while #sockets > 0 do
      for _, ready in ipairs((socket.select(sockets, nil, PATIENCE))) do
        if by_socket[ready].step() then
          answers = answers - 1
          if answers == 0 then running:signal("KILL") end
        else
          by_socket[ready].connection:close()
          for index, other in ipairs(sockets) do
            if other == ready then table.remove(sockets, index) end
          end
        end
      end
    end
  end

  it("has every user that it acknowledged when it starts again, and each of them once", function()
    local data, acknowledged = server.make_folder(), {}
    for round = 1, ROUNDS do
      local running = start(data, { "--access-log=off" })
      write_and_kill(running, 37 * round, acknowledged)
      running:stop("KILL")
    end
    local running = start(data)
    local stored, twice = {}, 0
    for _, user in ipairs(list_all(running)) do
      if stored[user.email] then twice = twice + 1 end
      stored[user.email] = user.id
    end
    local count, lost = 0, {}
    for email, id in pairs(acknowledged) do
      count = count + 1
      if stored[email] ~= id then lost[#lost + 1] = email end
    end
    assert.equal(0, (running:stop()))
    server.remove_folder(data)
    assert.same({}, lost)
    assert.equal(0, twice)
    assert.is_true(count >= 37 * ROUNDS, "only " .. count .. " users were acknowledged, which shows little")
  end)
end)

describe("statements over HTTP", function()
  local NOTES = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
local db = app:database("sqlite:notes.db", { statement_ms = 500, queue_max = 4, queue_ms = 60000 })
local add = db:statement([=[INSERT INTO notes (slug, text) VALUES (:slug, :text?) RETURNING id]=], { unique = "taken" })
local raw = db:statement [=[INSERT INTO notes (slug) VALUES (:slug)]=]
local child = db:statement([=[INSERT INTO links (note) VALUES (:note)]=], { foreign_key = "no such note" })
local all = db:statement [=[SELECT slug FROM notes ORDER BY id]=]
local count = db:statement [=[SELECT count(*) FROM notes]=]
local one = db:statement [=[SELECT slug FROM notes WHERE id = :id]=]
local some = db:statement [=[SELECT slug FROM notes WHERE id IN (:ids*)]=]
local halves = db:statement [=[SELECT count(*) FROM notes AS first WHERE slug LIKE '% one' AND
  NOT EXISTS (SELECT 1 FROM notes WHERE slug = replace(first.slug, ' one', ' two'))]=]
local slow = db:statement [=[WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT count(*) FROM n]=]

app:get("/count", function() return count:value() end)
app:get("/halves", function() return halves:value() end)
app:post("/notes", function(req) return add:one { slug = req.body, text = "x" } end)
app:post("/raw", function(req) return raw:run { slug = req.body } end)
app:post("/child", function() return child:run { note = 12345 } end)
app:post("/transfer", function(req)
  return db:transaction(function()
    add:one { slug = req.body .. " one" }
    demilune.sleep("20ms")
    if req.query.fail == "error" then error("in the middle") end
    if req.query.fail == "abort" then demilune.abort(402, "in the middle") end
    if req.query.fail == "yield" then coroutine.yield() end
    add:one { slug = req.body .. " two" }
    return { seen = count:value() }
  end)
end)
app:post("/nested", function() return db:transaction(function() return db:transaction(function() end) end) end)
app:get("/bad/{what}", function(req)
  local what = req.path.what
  if what == "missing" then return one:one {} end
  if what == "unknown" then return one:one { id = 1, other = 2 } end
  if what == "function" then return one:one { id = print } end
  if what == "table" then return one:one { id = { 1 } } end
  if what == "holed" then return one:one { id = { 1, nil, 3 } } end
  if what == "holes" then return some:many { ids = { 1, nil, 3 } } end
  if what == "many" then return all:one() end
  if what == "too-many" then return all:many({}, { max = 1 }) end
  if what == "slow" then return slow:value() end
  if what == "load" then return db:statement "SELECT 1" end
end)
app:get("/caught", function()
  local ok, problem = pcall(raw.run, raw, { slug = "taken twice" })
  ok, problem = pcall(raw.run, raw, { slug = "taken twice" })
  return { ok = ok, kind = problem.kind, constraint = problem.constraint }
end)
return app
]]
  local running
  setup(function()
    running = server.start {
      ["app.lua"] = NOTES,
      ["migrations/0001_notes.sql"] = "CREATE TABLE notes (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, text TEXT);",
      ["migrations/0002_links.sql"] = "CREATE TABLE links (note INTEGER NOT NULL REFERENCES notes (id));",
    }
  end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function post(target, text) return running:request("POST", target, { body = text or "" }) end
  local function stored() return tonumber(running:request("GET", "/count").body) end

  it("answer a conflict that was foreseen with 409, and one that was not with 500", function()
    assert.equal(200, post("/notes", "slug").status)
    local response = post("/notes", "slug")
    assert.same({ 409, '{"detail":"taken"}' }, { response.status, response.body })
    assert.equal(500, post("/raw", "slug").status)
    assert.truthy(running:log_line('"level":"error"', "notes.slug"))
    response = post("/child")
    assert.same({ 409, '{"detail":"no such note"}' }, { response.status, response.body })
  end)

  it("in a transaction are all kept, or none whatever ends it", function()
    local before = stored()
    assert.equal(200, post("/transfer", "kept").status)
    assert.equal(before + 2, stored())
    for _, how in ipairs { "error", "abort", "yield" } do
      assert.equal(how == "abort" and 402 or 500, post("/transfer?fail=" .. how, "lost").status)
      assert.equal(before + 2, stored())
    end
    assert.equal(409, post("/transfer", "kept").status)
    assert.equal(500, post("/nested").status)
    assert.equal(before + 2, stored())
  end)

  it("in a transaction of a client that went away are kept or not, but never half", function()
    local before = stored()
    for n = 1, 5 do
      local connection = running:connect()
      connection:send(("POST /transfer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ngone%d"):format(n))
      connection:close(true)
    end
    -- It has to wait for theirs, and where it finds no place it comes again.
    assert.is_true(server.wait_until(PATIENCE, function() return post("/transfer", "after").status == 200 end))
    for _ = 1, 20 do assert.equal("0", running:request("GET", "/halves").body) end
    assert.is_true(stored() >= before + 2)
  end)

  it("that are used wrongly are a 500 that says how in the log", function()
    for what, reason in pairs {
      missing = "id", unknown = "other", ["function"] = "cannot be stored", table = "is a table", holed = "is a table",
      holes = "leave out what is nil",
      many = "more than one row", ["too-many"] = "more than 1 rows",
      slow = "time limit", load = "sealed while the app loads",
    } do
      local response = running:request("GET", "/bad/" .. what)
      assert.equal(500, response.status, what)
      assert.truthy(running:log_line('"level":"error"', cjson.decode(response.body).request_id, reason), what)
    end
  end)

  it("that fail may be caught", function()
    assert.same({ ok = false, kind = "unique_violation", constraint = "notes.slug" }, cjson.decode(running:request("GET", "/caught").body))
  end)

  it("are refused with 503 when too many wait, and served again afterwards", function()
    local connections, statuses = {}, {}
    for n = 1, 30 do
      connections[n] = running:connect(PATIENCE)
      connections[n]:send("GET /bad/slow HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    for _, connection in ipairs(connections) do
      local response = connection:receive()
      statuses[response.status] = (statuses[response.status] or 0) + 1
      if response.status == 503 then assert.equal("1", response.headers["retry-after"]) end
      connection:close()
    end
    assert.is_true((statuses[503] or 0) > 0 and (statuses[500] or 0) > 0)
    assert.equal(30, statuses[503] + statuses[500])
    assert.is_true(stored() > 0)
  end)
end)
