-- SPDX-License-Identifier: MIT
-- Runs inside the server: demilune test apps/users

local test = require "demilune.test"
local access = require "access"

local client, stranger = test.client(), test.client()
local PASSWORD = "correct horse"

-- A token for 15 minutes from the clock's now.
local function token(subject, role) return "Bearer " .. access.bearer:issue { subject = subject, roles = { role } } end

before_each(function()
  client:forward("10m") -- past the limits of registering and logging in
  client.headers.Authorization = token("0", "admin")
end)

local count = 0

-- A new user's fields, with an e-mail address that no other spec has.
local function somebody(changes)
  count = count + 1
  local fields = { email = ("somebody%d@example.com"):format(count), name = "Ada Lovelace", role = "user", age = 36 }
  for name, value in pairs(changes or {}) do fields[name] = value end
  return fields
end

-- What creates one: the fields and a password.
local function registration(fields)
  local sent = { password = PASSWORD }
  for name, value in pairs(fields) do sent[name] = value end
  return sent
end

local function create(changes)
  client:forward("15s")
  client.headers.Authorization = token("0", "admin")
  return client:post("/users", { json = registration(somebody(changes)) }).json()
end

local function log_in(user, secret) return client:post("/token", { form = { username = user.email, password = secret or PASSWORD } }) end

-- The place and type of every error in a 422.
local function errors_of(reply)
  assert.equal(422, reply.status)
  local found = {}
  for index, problem in ipairs(reply.json().detail) do found[index] = table.concat(problem.loc, ".") .. " " .. problem.type end
  table.sort(found)
  return found
end

describe("logging in", function()
  it("takes what clients of the OAuth2 password flow send beside the password", function()
    client:forward("1m")
    local fields = somebody()
    assert.equal(201, client:post("/users", { json = registration(fields) }).status)
    local form = { username = fields.email, password = PASSWORD, grant_type = "password", scope = "", client_id = "" }
    assert.equal(200, client:post("/token", { form = form }).status)
  end)
end)

describe("creating a user", function()
  it("gives the user back with a number", function()
    local fields = somebody { name = "Grace Hopper", role = "editor", age = 85 }
    local reply = client:post("/users", { json = registration(fields) })
    assert.equal(201, reply.status)
    local user = reply.json()
    assert.is_true(user.id >= 1)
    fields.id = user.id
    assert.same(fields, user)
  end)

  it("refuses an e-mail address that another user has, in any case", function()
    local fields = somebody()
    assert.equal(201, client:post("/users", { json = registration(fields) }).status)
    fields.email = fields.email:upper()
    local reply = client:post("/users", { json = registration(fields) })
    assert.equal(409, reply.status)
    assert.same({ detail = "Another user has this e-mail address" }, reply.json())
  end)

  it("tells everything that is wrong at once", function()
    local reply = client:post("/users", { json = { email = "nobody", name = "R2-D2", role = "admin", age = "36", password = "short" } })
    assert.same({
      "body.age int_type", "body.email value_error", "body.name string_pattern_mismatch", "body.password string_too_short", "body.role literal_error",
    }, errors_of(reply))
  end)

  it("refuses fields that are missing and fields that nobody declared", function()
    local reply = client:post("/users", { json = { email = "a@example.com", name = "A", role = "user", is_admin = true } })
    assert.same({ "body.age missing", "body.is_admin extra_forbidden", "body.password missing" }, errors_of(reply))
  end)

  it("refuses a body that is no JSON", function()
    local reply = client:post("/users", { body = "{", headers = { ["Content-Type"] = "application/json" } })
    assert.same({ "body json_invalid" }, errors_of(reply))
  end)
end)

describe("logging in", function()
  it("gives a token that says who it is", function()
    local user = create { role = "editor" }
    local reply = log_in(user)
    assert.equal(200, reply.status)
    assert.same({ "bearer", 900 }, { reply.json().token_type, reply.json().expires_in })
    local mine = { headers = { Authorization = "Bearer " .. reply.json().access_token } }
    assert.same(user, client:get("/me", mine).json())
    client:forward("16m")
    assert.equal(401, client:get("/me", mine).status)
  end)

  it("says the same of a wrong password and an unknown address", function()
    local user = create()
    local wrong, unknown = log_in(user, "incorrect horse"), log_in { email = "unknown@example.com" }
    assert.same({ 401, 401, wrong.body }, { wrong.status, unknown.status, unknown.body })
  end)

  it("can be tried five times a minute", function()
    local statuses = {}
    for index = 1, 6 do statuses[index] = log_in({ email = "unknown@example.com" }).status end
    assert.same({ 401, 401, 401, 401, 401, 429 }, statuses)
  end)
end)

describe("who may come", function()
  it("is nobody without a token, and nobody with a spoilt one", function()
    for _, path in ipairs { "/me", "/users", "/users/1" } do
      assert.equal(401, stranger:get(path).status)
      assert.equal(401, stranger:get(path, { headers = { Authorization = token("1", "admin") .. "x" } }).status)
      assert.equal(401, stranger:get(path, { headers = { ["X-API-Key"] = "guessed" } }).status)
    end
  end)

  it("sees itself and nobody else", function()
    local ada, grace = create(), create { name = "Grace Hopper" }
    client.headers.Authorization = token(ada.id, "user")
    assert.same(ada, client:get("/users/" .. ada.id).json())
    assert.equal(37, client:patch("/users/" .. ada.id, { json = { age = 37 } }).json().age)
    local other, nobody = client:get("/users/" .. grace.id), client:get("/users/999999")
    assert.same({ 404, 404, nobody.body }, { other.status, nobody.status, other.body })
    assert.equal(404, client:patch("/users/" .. grace.id, { json = { age = 37 } }).status)
    assert.equal(403, client:get("/users").status)
    assert.equal(403, client:delete("/users/" .. ada.id).status)
  end)
end)

describe("reading users", function()
  it("finds a user by number", function()
    local user = create()
    local reply = client:get("/users/" .. user.id)
    assert.equal(200, reply.status)
    assert.same(user, reply.json())
  end)

  it("answers 404 for a number that nobody has", function()
    local reply = client:get("/users/999999")
    assert.equal(404, reply.status)
    assert.same({ detail = "There is no such user" }, reply.json())
  end)

  it("answers 422 for what is no number", function()
    assert.same({ "path.user_id int_parsing" }, errors_of(client:get("/users/ada")))
    assert.same({ "path.user_id greater_than_equal" }, errors_of(client:get("/users/0")))
  end)

  it("lists them page by page, oldest first", function()
    for _ = 1, 3 do create() end
    local first = client:get("/users", { query = { limit = 2 } }).json()
    local second = client:get("/users", { query = { limit = 2, offset = 2 } }).json()
    assert.equal(2, #first)
    assert.is_true(first[1].id < first[2].id and first[2].id < second[1].id)
    assert.same({}, client:get("/users", { query = { offset = 1000000 } }).json())
  end)

  it("lists no more than a hundred at once", function()
    assert.same({ "query.limit less_than_equal" }, errors_of(client:get("/users?limit=101")))
    assert.same({ "query.limit int_parsing", "query.offset greater_than_equal" }, errors_of(client:get("/users?limit=all&offset=-1")))
  end)
end)

describe("changing a user", function()
  it("changes what was sent and nothing else", function()
    local user = create()
    local reply = client:patch("/users/" .. user.id, { json = { age = 37 } })
    assert.equal(200, reply.status)
    user.age = 37
    assert.same(user, reply.json())
    assert.same(user, client:get("/users/" .. user.id).json())
  end)

  it("changes nothing when nothing was sent", function()
    local user = create()
    assert.same(user, client:patch("/users/" .. user.id, { json = {} }).json())
  end)

  it("checks what was sent as creating does", function()
    local reply = client:patch("/users/" .. create().id, { json = { age = 151, id = 5 } })
    assert.same({ "body.age less_than_equal", "body.id extra_forbidden" }, errors_of(reply))
  end)

  it("replaces all of it by PUT, and wants all of it", function()
    local user = create()
    local fields = somebody { name = "Alan Turing", role = "editor" }
    local reply = client:put("/users/" .. user.id, { json = fields })
    assert.equal(200, reply.status)
    fields.id = user.id
    assert.same(fields, reply.json())
    fields.id, fields.age = nil, nil
    assert.same({ "body.age missing" }, errors_of(client:put("/users/" .. user.id, { json = fields })))
  end)

  it("refuses another user's e-mail address", function()
    local one, two = create(), create()
    local reply = client:patch("/users/" .. two.id, { json = { email = one.email } })
    assert.equal(409, reply.status)
    assert.same(two, client:get("/users/" .. two.id).json())
  end)

  it("answers 404 for a number that nobody has", function()
    assert.equal(404, client:patch("/users/999999", { json = { age = 1 } }).status)
    assert.equal(404, client:put("/users/999999", { json = somebody() }).status)
  end)
end)

describe("deleting a user", function()
  it("answers 204, and 404 from then on", function()
    local user = create()
    local reply = client:delete("/users/" .. user.id)
    assert.equal(204, reply.status)
    assert.equal("", reply.body)
    assert.equal(404, client:get("/users/" .. user.id).status)
    assert.equal(404, client:delete("/users/" .. user.id).status)
  end)

  it("gives the number to nobody else", function()
    local user = create()
    client:delete("/users/" .. user.id)
    assert.is_true(create().id > user.id)
  end)
end)

describe("the documentation", function()
  it("has every route", function()
    local document = client:get("/openapi.json").json()
    assert.equal("Users", document.info.title)
    assert.truthy(document.paths["/users"].post and document.paths["/users/{user_id}"].patch)
  end)
end)
