-- SPDX-License-Identifier: MIT
-- Runs inside the server: demilune test apps/users

local client = require("demilune.test").client()

local count = 0

-- A new user's fields, with an e-mail address that no other spec has.
local function somebody(changes)
  count = count + 1
  local fields = { email = ("somebody%d@example.com"):format(count), name = "Ada Lovelace", role = "user", age = 36 }
  for name, value in pairs(changes or {}) do fields[name] = value end
  return fields
end

local function create(changes) return client:post("/users", { json = somebody(changes) }).json() end

-- The place and type of every error in a 422.
local function errors_of(reply)
  assert.equal(422, reply.status)
  local found = {}
  for index, problem in ipairs(reply.json().detail) do found[index] = table.concat(problem.loc, ".") .. " " .. problem.type end
  table.sort(found)
  return found
end

describe("creating a user", function()
  it("gives the user back with a number", function()
    local fields = somebody { name = "Grace Hopper", role = "editor", age = 85 }
    local reply = client:post("/users", { json = fields })
    assert.equal(201, reply.status)
    local user = reply.json()
    assert.is_true(user.id >= 1)
    fields.id = user.id
    assert.same(fields, user)
  end)

  it("refuses an e-mail address that another user has, in any case", function()
    local fields = somebody()
    assert.equal(201, client:post("/users", { json = fields }).status)
    fields.email = fields.email:upper()
    local reply = client:post("/users", { json = fields })
    assert.equal(409, reply.status)
    assert.same({ detail = "Another user has this e-mail address" }, reply.json())
  end)

  it("tells everything that is wrong at once", function()
    local reply = client:post("/users", { json = { email = "nobody", name = "R2-D2", role = "admin", age = "36" } })
    assert.same({ "body.age int_type", "body.email value_error", "body.name string_pattern_mismatch", "body.role literal_error" }, errors_of(reply))
  end)

  it("refuses fields that are missing and fields that nobody declared", function()
    local reply = client:post("/users", { json = { email = "a@example.com", name = "A", role = "user", is_admin = true } })
    assert.same({ "body.age missing", "body.is_admin extra_forbidden" }, errors_of(reply))
  end)

  it("refuses a body that is no JSON", function()
    local reply = client:post("/users", { body = "{", headers = { ["Content-Type"] = "application/json" } })
    assert.same({ "body json_invalid" }, errors_of(reply))
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
