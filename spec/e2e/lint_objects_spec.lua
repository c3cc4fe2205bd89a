-- SPDX-License-Identifier: MIT
-- Whose object a route is asked for: what does not tell that although it looks as if.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local HEAD = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }
local app = demilune.app {}
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", roles = { "admin" } }
local db = app:database "sqlite:notes.db"
local any = db:statement "SELECT id, owner FROM notes WHERE id = :id"
local mine = db:statement "SELECT id, owner FROM notes WHERE id = :id AND owner = :principal_subject"
local me = db:statement "SELECT id FROM users WHERE name = :principal_subject"
local note = app:dependency(function(req) return any:one { id = req.path.id } end)
local own_note = app:dependency(function(req) return mine:one { id = req.path.id } end)
local user = app:dependency({ who = bearer }, function(_, need) return { name = need.who.subject } end)
local id = { id = model.integer() }
local function handler() return 1 end
]]
local TABLES = [[
CREATE TABLE notes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, team INTEGER);
CREATE TABLE members (team INTEGER NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL);
CREATE TABLE comments (note INTEGER NOT NULL, author TEXT NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);]]
local ENV = { JWT_SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53" }
local NOBODY = "error: GET /notes/{id}: everybody whom its guard lets pass can name any {id}, and nothing says whose that is"
local BLIND = "error: GET /notes/{id}: its owner does not look at who asks, so that everybody has any {id} that there is"

local function found(lines)
  local folder = server.write_app { ["app.lua"] = HEAD .. lines .. "\nreturn app\n", ["migrations/0001_notes.sql"] = TABLES }
  local _, out, err = server.run({ "check", folder, "--json" }, { env = ENV })
  server.remove_folder(folder)
  local list = assert(dkjson.decode(out), out .. err).findings
  assert.is_true(#list < 2, out)
  return list[1] and list[1].severity .. ": " .. list[1].message or "nothing", list[1] and list[1].mend
end

-- What is found of a route with an identifier, whose handler is this one.
local function of(body, before)
  return (found((before or "") .. ('\napp:get("/notes/{id}", { guard = bearer, path = id }, function(req) %s end)'):format(body)))
end

-- And of one with this owner.
local function owned(owner, options, before)
  local route = 'app:get("/notes/{id}", { %s, path = id, owner = %s }, function() return 1 end)'
  return (found((before or "") .. "\n" .. route:format(options or "guard = bearer", owner)))
end

describe("a module that holds all statements", function()
  local MODULE = "local notes = { any = any, mine = mine, get = function(key) return mine:one { id = key } end, "
    .. "peek = function(key) return any:one { id = key } end } local store = { notes = notes }"

  it("lends a handler only those of which it speaks", function()
    assert.equal(NOBODY, of("return store.notes.any:one { id = req.path.id }", MODULE))
    assert.equal(NOBODY, of("return notes.peek(req.path.id)", MODULE))
    assert.equal(NOBODY, of("if ({ a = 1 })[req.query.a] then return notes.peek(req.path.id) end", MODULE))
    assert.equal("nothing", of("return store.notes.mine:one { id = req.path.id }", MODULE))
    assert.equal("nothing", of("return notes.get(req.path.id)", MODULE))
    assert.equal("nothing", of("return db:transaction(function() return notes.get(req.path.id) end)", MODULE))
  end)

  it("lends all where the handler chooses while it runs", function()
    for _, body in ipairs {
      "return notes[req.query.which]:one { id = 1 }", "return store.notes[req.query.which]:one { id = 1 }",
      "local chosen = notes local which = chosen[req.query.which] return which:one { id = 1 }",
      "return db:transaction(function() return notes[req.query.which]:one { id = 1 } end)",
      "for _, each in pairs(store.notes) do each:one { id = 1 } end", "return pick(notes, req.query.which):one { id = 1 }",
      "return pick(notes, req.query.which)", "return list[2]:one { id = 1 }", "return notes[wanted]:one { id = 1 }",
    } do
      local before = MODULE .. " local list, wanted = { any, mine }, 'mine' local function pick(from, which) return from[which] end"
      assert.equal("nothing", of(body, before), body)
    end
  end)

  it("may be one whose functions are its methods", function()
    local before = "local store = { any = any, mine = mine } function store:get(key) return self.%s:one { id = key } end"
    assert.equal(NOBODY, of("return store:get(req.path.id)", before:format "any"))
    assert.equal("nothing", of("return store:get(req.path.id)", before:format "mine"))
  end)
end)

describe("a statement with :principal_subject", function()
  local function with(sql) return of("return said:one { id = req.path.id }", "local said = db:statement [[" .. sql .. "]]") end

  it("says nothing of the identifier where it has no other parameter: it finds who asks", function()
    assert.equal(NOBODY, of("return { me:one(), any:one { id = req.path.id } }"))
    assert.equal("nothing", with "SELECT 1 FROM notes WHERE owner = :principal_subject AND id = :id")
  end)

  it("nor where it only writes who asks into a row, whatever that is added to or whosesoever it was", function()
    assert.equal(NOBODY, with "UPDATE notes SET owner = :principal_subject WHERE id = :id")
    assert.equal(NOBODY, with "INSERT INTO comments (note, author) SELECT id, :principal_subject FROM notes WHERE id = :id")
    assert.equal(NOBODY, with "INSERT INTO comments (note, author) VALUES (:id, :principal_subject)")
    assert.equal("nothing", with "INSERT INTO comments (note, author) SELECT id, owner FROM notes WHERE id = :id AND owner = :principal_subject")
    assert.equal("nothing", with "INSERT INTO notes (id, owner) VALUES (:id, :principal_subject) ON CONFLICT DO NOTHING")
    assert.equal("nothing", with "INSERT OR REPLACE INTO notes (id, owner) VALUES (:id, :principal_subject)")
  end)
end)

describe("what stands below another thing in the path", function()
  local MEMBER = 'local role = db:statement "SELECT role FROM members WHERE team = :team AND name = :principal_subject" '
    .. "local member = app:dependency(function(req) return role:one { team = req.path.team_id } or demilune.abort(404) end) "
    .. 'local within = db:statement "SELECT id FROM notes WHERE id = :id AND team = :team" '
    .. 'local comments = db:statement "SELECT note FROM comments WHERE note = :note" '
    .. "local note_within = app:dependency(function(req) return within:one { id = req.path.note_id, team = req.path.team_id } end) "
  local function below(body, needs, path)
    local route = ('app:get("%s", { guard = bearer, needs = { %s } }, function(req, need) %s end)'):format(
      path or "/teams/{team_id}/notes/{note_id}", needs or "member = member", body)
    return (found(MEMBER .. route:gsub("{ guard = bearer", '{ path = { %%s }, guard = bearer', 1):format(
      "team_id = model.integer(), note_id = model.integer()")))
  end

  it("is told of where it is found by itself", function()
    assert.equal("warning: GET /teams/{team_id}/notes/{note_id}: {note_id} is looked for by itself, whatever {team_id} it belongs to",
      below "return any:one { id = req.path.note_id }")
  end)

  it("is not where it is found with that, compared, or found so by a dependency", function()
    assert.equal("nothing", below "return within:one { id = req.path.note_id, team = req.path.team_id }")
    assert.equal("nothing", below "return any:one { id = req.path.note_id }.team_id == need.member.team and 1")
    assert.equal("nothing", below("return comments:many { note = req.path.note_id }", "member = member, note = note_within"))
    assert.equal("nothing", below("return comments:many { note = need.note.id }", "member = member, note = note_within"))
    assert.equal("nothing", below("return mine:one { id = req.path.note_id }"))
    assert.equal("nothing", below("return { req.path.note_id }"))
  end)
end)

describe("an owner", function()
  it("that does not look at who asks lets everybody have everything", function()
    for _, owner in ipairs { "function() return true end", "function(req) return any:one { id = req.path.id } end" } do
      assert.equal(BLIND, owned(owner))
      assert.equal(BLIND, owned(owner, 'guard = guard.owner(function(req) return req.principal.subject == "ada" end, bearer)'))
    end
    assert.equal(BLIND, owned("function(_, need) return need.note end", "guard = bearer, needs = { note = note }"))
    assert.equal(BLIND, owned("function(_, need) return need.note end", "guard = bearer, needs = { note = note, user = user }"))
  end)

  it("looks by the principal, by a statement, by its needs, by a secret that was brought, or by what cannot be looked into", function()
    for _, owner in ipairs {
      "function(req) return any:one { id = req.path.id }.owner == req.principal.subject end",
      "function(req) return mine:one { id = req.path.id } end",
      "function(req) return may(req) end", "function(req) return policy:may(req) end",
      "function(req) return settings.JWT_SECRET:equal(req.header.x_secret) end",
    } do
      local before = "local function may(req) return req.principal.roles end\nlocal Policy = {} Policy.__index = Policy "
        .. "function Policy:may(req) return req.principal end local policy = setmetatable({}, Policy)"
      assert.equal("nothing", owned(owner, nil, before), owner)
    end
    assert.equal("nothing", owned("function(_, need) return need.note end", "guard = bearer, needs = { note = own_note }"))
    assert.equal("nothing", owned("function(_, need) return need.note.owner == need.user.name end",
      "guard = bearer, needs = { note = note, user = user }"))
    assert.equal("nothing", owned("function(_, need) return need.who.subject == 'ada' end", "guard = bearer, needs = { who = bearer }"))
    assert.equal("nothing", owned("owned_by 'note'", "guard = bearer, needs = { note = own_note }",
      "local function owned_by(name) return function(_, need) return need[name] end end"))
  end)

  it("may look for the object alone where a role was asked for", function()
    assert.equal("nothing", owned("function(req) return any:one { id = req.path.id } end", 'guard = guard.role("admin", bearer)'))
  end)
end)

describe("an identifier outside the path", function()
  local function of_field(options, body)
    return (found(('app:post("/notes", { guard = bearer, %s }, function(req) %s end)'):format(options, body)))
  end
  local MESSAGE = "warning: POST /notes: everybody whom its guard lets pass can name any %s in its %s, and nothing looks at who asks"

  it("is told of where nothing looks at who asks", function()
    for options, words in pairs {
      ["body = { note_id = model.integer() }"] = { "note_id", "body" }, ["body = { noteId = model.uuid() }"] = { "noteId", "body" },
      ["query = { id = model.integer() }"] = { "id", "query" }, ["header = { x_team_id = model.integer() }"] = { "x_team_id", "header" },
      ["form = { ids = model.array(model.integer()) }"] = { "ids", "form" },
    } do
      assert.equal(MESSAGE:format(words[1], words[2]), of_field(options, "return any:one { id = 1 }"))
      assert.equal(MESSAGE:format(words[1], words[2]), of_field(options .. ", needs = { user = user }", "return any:one { id = 1 }"))
    end
  end)

  it("is not told of where something does, where it is shared, or where it is none", function()
    local field = "body = { note_id = model.integer() }"
    assert.equal("nothing", of_field(field, "return mine:one { id = req.body.note_id }"))
    assert.equal("nothing", of_field(field, "return { req.principal.subject }"))
    local needed = "function(req, need) return need.user.name end)"
    assert.equal("nothing", (found('app:post("/notes", { guard = bearer, needs = { user = user }, ' .. field .. " }, " .. needed)))
    local member = "local member = app:dependency({ user = user }, function(req, need) "
      .. "if need.user.name ~= req.body.note_id then demilune.abort(404) end end) "
    assert.equal("nothing", (found(member .. 'app:post("/notes", { guard = bearer, needs = { member = member }, ' .. field .. " }, handler)")))
    assert.equal("nothing", of_field(field .. ", shared = true", "return 1"))
    assert.equal("nothing", of_field(field .. ', guard = guard.role("admin", bearer)', "return 1"))
    assert.equal("nothing", of_field(field .. ", guard = guard.public", "return 1"))
    assert.equal("nothing", of_field("body = { paid = model.integer(), valid = model.integer(), kind_id = model.literal { 'a' } }", "return 1"))
    assert.equal("nothing", of_field("body = { id = model.integer { read_only = true } }", "return 1"))
  end)
end)
