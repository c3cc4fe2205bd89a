-- SPDX-License-Identifier: MIT
-- API3:2023 broken object property level authorization: what may be sent, and who may see what.

local cjson = require "cjson"
local owasp = require "tests.attack.support.owasp"

local HEAD = owasp.HEAD:gsub('"user", "admin"', '"user", "admin", "auditor"')

owasp.wall("fields are each for somebody:", HEAD .. [[
local app = demilune.app { title = "users", version = "1", guard = bearer }
local Card = model "Card" { number = model.string(), limit = model.integer { visible_to = { "admin", "auditor" } } }
local User = model "User" {
  id = model.integer { read_only = true },
  name = model.string(),
  role = model.string { read_only = true, default = "user" },
  note = model.optional(model.string(), { visible_to = "admin" }),
  password = model.string { write_only = true },
  pin = model.optional(model.string { write_only = true }),
  old = model.optional(model.array(model.string()), { write_only = true }),
  cards = model.array(Card, { default = {} }),
}
local row = { id = 1, name = "ada", role = "user", note = "owes us", password = "hunter2", pin = "hunter2", old = { "hunter2" }, salary = 5,
  cards = { { number = "1", limit = 9 } } }
app:post("/users", { limit = "100/minute", body = User, returns = User, status = 201 }, function(req)
  req.body.id = 7
  return req.body
end)
app:get("/me", { returns = User }, function() return row end)
app:get("/all", { returns = model.array(User) }, function() return { row, row } end)
app:get("/accepted", { returns = User }, function() return demilune.response { status = 202, body = row } end)
-- What finishes makes the response be written before it leaves, and only once.
local held = app:dependency(function() return 1, function() end end)
local constant = demilune.response { status = 203, body = row, headers = { ["X-Constant"] = "yes" } }
app:get("/held", { needs = { held = held }, returns = User }, function() return row end)
app:get("/held-accepted", { needs = { held = held }, returns = User }, function() return demilune.response { status = 202, body = row } end)
app:get("/held-constant", { needs = { held = held }, returns = User }, function() return constant end)
app:get("/nested", { returns = model.object { user = User, by = model.map(Card) } }, function() return { user = row, by = { a = row.cards[1] } } end)
app:get("/either", { returns = model.union { User, Card } }, function() return row end)
app:get("/public", { guard = guard.public, returns = User }, function() return row end)
-- Who ada and root are today, whatever their tokens say.
local current = app:dependency({ who = bearer }, function(_, need)
  return { roles = need.who.subject == "root" and { "user", "admin" } or { "user" } }
end)
app:get("/today", { guard = guard.role({ "user", "admin" }, bearer, { of = current }), returns = User }, function(req)
  row.name = "ada " .. table.concat(req.principal.roles, "+")
  return row
end)
return app]], function(world)
  local ADA, ROOT = owasp.as("ada", "user"), owasp.as("root", "admin")

  it("what is read_only or unknown cannot be assigned", function()
    for _, more in ipairs { { role = "admin" }, { id = 1 }, { is_admin = true }, { salary = 1 }, { __proto__ = { role = "admin" } },
      { Role = "admin" } } do
      more.name, more.password = "ada", "hunter2"
      local response = world:ask("POST", "/users", ADA, more)
      assert.equal(422, response.status, cjson.encode(more))
    end
    assert.equal(201, world:ask("POST", "/users", ADA, { name = "ada", password = "hunter2" }).status)
    assert.equal(422, world:ask("POST", "/users", ADA, '{"name":"ada","password":"x","password":"y"}').status)
  end)

  it("what no model names, and what is write_only, leaves by no way", function()
    for _, path in ipairs { "/me", "/all", "/accepted", "/held", "/held-accepted", "/held-constant", "/nested", "/either", "/public" } do
      for _, who in ipairs { ADA, ROOT } do
        local body = world:ask("GET", path, who).body
        assert.is_nil(body:find("hunter2", 1, true), path .. body)
        assert.is_nil(body:find("salary", 1, true), path .. body)
        assert.truthy(body:find("ada", 1, true), path .. body)
      end
    end
  end)

  it("what is visible to a role is so to that role alone, at any depth", function()
    for _, path in ipairs { "/me", "/all", "/accepted", "/held", "/held-accepted", "/held-constant", "/nested", "/either" } do
      local roots_before = world:ask("GET", path, ROOT).body -- what one was shown is not shown to the next
      assert.truthy(roots_before:find('"note"', 1, true), path .. roots_before)
      local hers, roots = world:ask("GET", path, ADA).body, world:ask("GET", path, ROOT).body
      for _, name in ipairs { '"note"', '"limit"' } do
        assert.is_nil(hers:find(name, 1, true), path .. hers)
        assert.truthy(roots:find(name, 1, true), path .. roots)
      end
    end
    for _, roles in ipairs { {}, { "Admin", "admin ", "adm" } } do
      local eves = world:ask("GET", "/me", owasp.as("eve", unpack(roles)))
      assert.equal(200, eves.status)
      assert.is_nil(eves.body:find("note", 1, true))
    end
    local auditor = world:ask("GET", "/me", owasp.as("eve", "user", "auditor")).body
    assert.truthy(auditor:find('"limit"', 1, true))
    assert.is_nil(auditor:find('"note"', 1, true))
  end)

  it("by the roles that somebody has today, where the guard asks for those of a user", function()
    local demoted, promoted = world:ask("GET", "/today", owasp.as("ada", "user", "admin")), world:ask("GET", "/today", owasp.as("root", "user"))
    assert.same({ "ada user", nil }, { demoted.json.name, demoted.json.note })
    assert.same({ "ada user+admin", "owes us" }, { promoted.json.name, promoted.json.note })
  end)

  it("and to nobody where no guard looked, though a token is shown", function()
    local response = world:ask("GET", "/public", ROOT)
    assert.equal(200, response.status)
    assert.is_nil(response.body:find("note", 1, true))
  end)
end)

-- What clients call otherwise than Lua does, in models that keep what they do not know.
owasp.wall("fields have the name that clients call them by, and no other:", HEAD .. [[
local app = demilune.app { title = "accounts", version = "1", guard = bearer }
local Open = model("Open", { extra = "allow" }) {
  name = model.string { max_length = 5, alias = "userName" },
  is_admin = model.boolean { read_only = true, alias = "isAdmin" },
  age = model.optional(model.string { pattern = "^[0-9]+$", alias = "userAge" }),
}
local function got(value) return { name = value.name, is_admin = value.is_admin, age = value.age, tenant = value.x_tenant, more = value.more } end
app:post("/body", { limit = "1000/minute", body = Open }, function(req) return got(req.body) end)
app:post("/form", { limit = "1000/minute", form = Open }, function(req) return got(req.form) end)
app:get("/query", { query = Open }, function(req) return got(req.query) end)
app:get("/cookie", { cookie = Open }, function(req) return got(req.cookie) end)
app:get("/header", { header = model("Tenant", { extra = "allow" }) { x_tenant = model.string { max_length = 5 } } }, function(req)
  return got(req.header)
end)
local Nested = model.object { list = model.array(Open), by = model.map(model.union { Open, model.integer() }) }
app:post("/nested", { limit = "1000/minute", body = Nested }, function(req)
  return { got(req.body.list[1]), got(req.body.by.a) }
end)
app:post("/validated", { limit = "1000/minute", body = model.any() }, function(req)
  local value, errors = Open:validate(req.body)
  return value and got(value) or demilune.abort(422, errors)
end)
return app]], function(world)
  local ADA = owasp.as("ada", "user")
  local TAKEN = { is_admin = true, name = "much too long a name", age = "not a number" }

  local function with(headers)
    for name, value in pairs(ADA) do headers[name] = value end
    return headers
  end

  it("not in a JSON body, however deep", function()
    for _, path in ipairs { "/body", "/validated" } do
      local taken = world:ask("POST", path, ADA, { userName = "ada", more = "kept" })
      assert.same({ 200, { name = "ada", more = "kept" } }, { taken.status, taken.json })
      for name, value in pairs(TAKEN) do
        local response = world:ask("POST", path, ADA, { userName = "ada", userAge = "5", [name] = value })
        assert.equal(422, response.status, path .. " " .. name .. response.body)
        assert.equal(422, world:ask("POST", path, ADA, { [name] = value }).status)
      end
    end
    local good = { userName = "ada" }
    assert.equal(200, world:ask("POST", "/nested", ADA, { list = { good }, by = { a = good } }).status)
    for name, value in pairs(TAKEN) do
      local bad = { userName = "ada", [name] = value }
      assert.equal(422, world:ask("POST", "/nested", ADA, { list = { bad }, by = { a = good } }).status, name)
      assert.equal(422, world:ask("POST", "/nested", ADA, { list = { good }, by = { a = bad } }).status, name)
    end
  end)

  it("not in a form, a query or cookies", function()
    local function sent(more)
      return world.running:request("POST", "/form",
        { headers = with { ["Content-Type"] = "application/x-www-form-urlencoded" }, body = "userName=ada" .. more }).status,
        world:ask("GET", "/query?userName=ada" .. more, ADA).status,
        world:ask("GET", "/cookie", with { Cookie = "userName=ada" .. more:gsub("&", "; ") }).status
    end
    assert.same({ 200, 200, 200 }, { sent "&more=kept" })
    for _, more in ipairs { "&is_admin=true", "&name=eve", "&age=x", "&name=eve&name=adam" } do
      assert.same({ 422, 422, 422 }, { sent(more) }, more)
    end
  end)

  it("not among header fields, whose hyphens no alias had to name", function()
    local taken = world:ask("GET", "/header", with { ["X-Tenant"] = "a" })
    assert.same({ 200, "a" }, { taken.status, taken.json.tenant })
    for _, headers in ipairs { { ["X-Tenant"] = "a", x_tenant = "much too long" }, { x_tenant = "b" } } do
      assert.equal(422, world:ask("GET", "/header", with(headers)).status)
    end
  end)
end)

describe("visible_to a role that nobody can have", function()
  it("does not load", function()
    local app = owasp.HEAD .. 'local app = demilune.app { guard = bearer }\n'
      .. 'app:get("/", { returns = model.array(model.object { a = model.string { visible_to = "amdin" } }) }, function() return {} end)\nreturn app'
    local why = owasp.refusal(app)
    assert.truthy(why and why:find("nobody can have the role amdin that the field a is visible to; did you mean admin?", 1, true), why)
  end)
end)

describe("what is for some alone, where nothing could be left out,", function()
  local function refused(declared, said)
    local status, words = owasp.check(owasp.HEAD .. 'local app = demilune.app { guard = bearer }\napp:post("/", { limit = "9/minute", ' .. declared
      .. " }, function() return 1 end)\nreturn app")
    assert.equal(1, status)
    assert.truthy(words:find(said, 1, true), words)
  end

  for _, word in ipairs { 'visible_to = "admin"', "write_only = true", "read_only = true" } do
    for shape, said in pairs {
      ["model.array(%s)"] = "an array's items; write it at the field that holds the array",
      ["model.object { list = model.array(model.array(%s)) }"] = "an array's items",
      ["model.map(%s)"] = "a map's values; write it at the field that holds the map",
      ["model.map(model.integer(), { keys = %s })"] = "a map's keys",
      ["model.union { %s, model.integer() }"] = "a member of a union; write it at the field that holds the union",
      ["model.array(model.optional(%s))"] = "an array's items",
      ["model.array(model.ref(function() return %s end))"] = "an array's items",
      ["%s"] = "the whole SECTION",
      ["model.optional(%s)"] = "the whole SECTION",
      ["model.ref(function() return %s end)"] = "the whole SECTION",
    } do
      local given = shape:gsub("%%s", function() return "model.string { " .. word .. " }" end)
      it("does not load: " .. given, function()
        local name = word:match "^%S+"
        for _, section in ipairs { "returns", "body" } do
          refused(section .. " = " .. given, name .. " is for fields of a model, and this is " .. said:gsub("SECTION", section))
        end
      end)
    end
  end

  it("does not load as a whole form or query either", function()
    for _, section in ipairs { "form", "query", "header", "cookie" } do
      refused(section .. " = model.ref(model.object { a = model.string() }, { read_only = true })",
        "read_only is for fields of a model, and this is the whole " .. section)
    end
    refused("query = { tags = model.array(model.string { read_only = true }) }", "read_only is for fields of a model, and this is an array's items")
  end)

  for declared, said in pairs {
    ["model.object { a = model.string { visible_to = {} } }"] = "visible_to names no role, so that nobody would see it",
    ['model.object { a = model.string { visible_to = "admin", write_only = true } }'] = "is write_only, so that no role sees it",
  } do
    it("does not load: " .. declared, function() refused("returns = " .. declared, said) end)
  end
end)
