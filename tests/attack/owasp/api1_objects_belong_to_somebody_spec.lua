-- SPDX-License-Identifier: MIT
-- API1:2023 broken object level authorization.

local owasp = require "tests.attack.support.owasp"

local MIGRATIONS = { ["migrations/0001_notes.sql"] = [[
CREATE TABLE notes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, text TEXT NOT NULL);
INSERT INTO notes (owner, text) VALUES ('ada', 'hers'), ('bob', 'his');]] }

local function app(route)
  local files = { ["app.lua"] = owasp.HEAD .. [[
local app = demilune.app { title = "notes", version = "1", guard = bearer }
local db = app:database "sqlite:notes.db"
local any_note = db:statement "SELECT id, owner, text FROM notes WHERE id = :id"
local own_note = db:statement "SELECT id, owner, text FROM notes WHERE id = :id AND owner = :principal_subject"
local note = app:dependency(function(req) return any_note:one { id = req.path.id } or demilune.abort(404) end)
local id = { id = model.integer { ge = 1 } }
]] .. route .. "\nreturn app" }
  for name, text in pairs(MIGRATIONS) do files[name] = text end
  return files
end

owasp.wall("somebody else's object is not there:", app [[
app:get("/owned/{id}", { path = id, needs = { note = note }, owner = function(req, need) return need.note.owner == req.principal.subject end },
  function(_, need) return need.note end)
local owns = db:statement "SELECT EXISTS (SELECT 1 FROM notes WHERE id = :id AND owner = :principal_subject)"
local found = db:statement "SELECT id FROM notes WHERE id = :id AND owner = :principal_subject"
local function text(req) return any_note:one { id = req.path.id } end
app:get("/counted/{id}", { path = id, owner = function(req) return owns:value { id = req.path.id } end }, text)
app:get("/listed/{id}", { path = id, owner = function(req) return found:many { id = req.path.id } end }, text)
app:get("/found/{id}", { path = id, owner = function(req) return found:one { id = req.path.id } end }, text)
app:get("/bound/{id}", { path = id }, function(req) return own_note:one { id = req.path.id } or demilune.abort(404) end)
app:get("/claimed/{id}", { path = id, query = { who = model.string() } }, function(req)
  return own_note:one { id = req.path.id, principal_subject = req.query.who } or demilune.abort(404)
end)
app:get("/open/{id}", { path = id, guard = guard.public }, function(req) return own_note:one { id = req.path.id } or demilune.abort(404) end)
app:on_start(function() assert(own_note:one { id = 1, principal_subject = "ada" }.text == "hers") end)
app:get("/role/{id}", { path = id, guard = guard.role("admin", bearer) }, function(req) return any_note:one { id = req.path.id } end)
]], function(world)
  it("one's own is", function()
    for _, path in ipairs { "/owned/1", "/bound/1", "/listed/1", "/found/1" } do
      assert.equal("hers", world:ask("GET", path, owasp.as("ada")).json.text)
    end
  end)

  it("and a neighbour's answers as one that never was", function()
    for _, path in ipairs { "/owned/", "/bound/", "/listed/", "/found/" } do
      local theirs, missing = world:ask("GET", path .. 2, owasp.as("ada")), world:ask("GET", path .. 999, owasp.as("ada"))
      assert.equal(404, theirs.status)
      assert.equal(missing.status, theirs.status)
      assert.equal(missing.body, theirs.body)
    end
  end)

  it("an owner that gives what only Lua takes for a yes, as the 0 of SQL, lets nobody pass", function()
    for _, path in ipairs { "/counted/1", "/counted/2" } do assert.equal(500, world:ask("GET", path, owasp.as("ada")).status) end
    assert.truthy(world.running:log_line("owner gave 0, which is no verdict"))
  end)

  it("nor can a handler name another owner to a statement that binds the subject, or have none", function()
    assert.equal(500, world:ask("GET", "/claimed/2?who=bob", owasp.as("ada")).status)
    assert.equal(500, world:ask("GET", "/claimed/1?who=ada", owasp.as("ada")).status)
    assert.truthy(world.running:log_line("is filled in by the core"))
    assert.equal(500, world:ask("GET", "/open/1").status)
    assert.equal(500, world:ask("GET", "/open/1", owasp.as("ada")).status)
    assert.truthy(world.running:log_line("give it req.principal.name"))
  end)

  it("however the number is written", function()
    for status, ids in pairs { [404] = { "02", "+2", "2.0", "%32", "2%20", "2/" }, [400] = { "2%00" },
      [422] = { "2e0", "0x2", "2;", "1,2", "-1", "9007199254740993", "2.json" } } do
      for _, id in ipairs(ids) do assert.equal(status, world:ask("GET", "/owned/" .. id, owasp.as("ada")).status, id) end
    end
    assert.equal("his", world:ask("GET", "/owned/02", owasp.as("bob")).json.text) -- the same number
  end)

  it("a role is asked before the object", function()
    assert.equal(403, world:ask("GET", "/role/2", owasp.as("ada", "user")).status)
    assert.equal(403, world:ask("GET", "/role/999", owasp.as("ada", "user")).status)
    assert.equal(200, world:ask("GET", "/role/2", owasp.as("root", "admin")).status)
  end)
end)

describe("a statement that asks whose rows only in a filter, which applies to calls that give its parameters,", function()
  it("does not load", function()
    local why = owasp.refusal(app [[
db:statement("SELECT text FROM notes WHERE {filters}", { filters = { mine = "owner = :principal_subject", text = "text = :text" } })]])
    assert.truthy(why and why:find("write the condition into the statement itself", 1, true), why)
  end)
end)

describe("a need that is an owner, where the route's guard asks for none,", function()
  it("does not load", function()
    local why = owasp.refusal(app [[
app:get("/mine", { needs = { who = guard.owner(function() return false end, bearer) } }, function(_, need) return need.who.subject end)]])
    assert.truthy(why and why:find("lets others pass too; give the route that guard", 1, true), why)
  end)
end)

describe("a route that says nothing of whose object it is", function()
  it("does not load", function()
    local why = owasp.refusal(app [[app:get("/notes/{id}", { path = id }, function(req) return any_note:one { id = req.path.id } end)]])
    assert.truthy(why and why:find("nothing says whose that is", 1, true), why)
  end)

  it("nor where an owner, a dependency or a module only looks as if it did", function()
    for route, said in pairs {
      [ [[app:get("/notes/{id}", { path = id, owner = function(req) return any_note:one { id = req.path.id } end }, function() return 1 end)]] ] =
        "its owner does not look at who asks",
      [ [[local me = db:statement "SELECT owner FROM notes WHERE owner = :principal_subject LIMIT 1"
          local user = app:dependency(function() return me:one() end)
          app:get("/notes/{id}", { path = id, needs = { user = user } }, function(req) return any_note:one { id = req.path.id } end)]] ] =
        "nothing says whose that is",
      [ [[local notes = { any = any_note, own = own_note }
          app:get("/notes/{id}", { path = id }, function(req) return notes.any:one { id = req.path.id } end)]] ] = "nothing says whose that is",
    } do
      local why = owasp.refusal(app(route))
      assert.truthy(why and why:find(said, 1, true), why)
    end
  end)
end)
