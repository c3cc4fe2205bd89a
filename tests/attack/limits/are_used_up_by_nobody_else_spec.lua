-- SPDX-License-Identifier: MIT
-- A limit by principal keeps somebody from asking too often. Whoever can make it count for another keeps that one from asking at all.

local sessions = require "tests.attack.support.sessions"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local secret = model.secret { min_bytes = 32 }
local settings = demilune.settings { SECRET = secret, ADMIN_SECRET = secret }
local app = demilune.app { title = "Counted", version = "1", limits = { max_body = "1KiB" } }
local kept = guard.session { secret = settings.SECRET, lifetime = "1h", cookie = "__Host-kept", database = app:database "sqlite:counted.db" }
local users = guard.session { secret = settings.SECRET, lifetime = "1h" }
local admins = guard.session { secret = settings.ADMIN_SECRET, lifetime = "1h", cookie = "__Host-admin" }
local people = guard.bearer { secret = settings.SECRET, lifetime = "15m" }
local partners = guard.bearer { secret = settings.ADMIN_SECRET, lifetime = "15m" }
local limited = demilune.router { limit = { rate = "5/minute", by = "principal" } }
local done = 0
local function fine(req)
  done = done + 1
  return { done = done }
end
limited:get("/user", { guard = users }, fine)
limited:get("/admin", { guard = admins }, fine)
limited:get("/people", { guard = people }, fine)
limited:get("/partners", { guard = partners }, fine)
limited:get("/each", { guard = guard.any { admins, partners, people, users } }, fine)
limited:get("/ruled", { guard = guard.role("user", guard.any { people, users }) }, fine)
limited:get("/kept", { guard = kept }, fine)
limited:get("/kept/admin", { guard = guard.role("admin", kept) }, fine)
limited:post("/kept", { guard = kept, body = { text = model.string() } }, fine)
app:post("/logout-everywhere", { guard = kept, status = 204 }, function(req) kept:finish_all(req.principal.subject) end)
app:mount(limited)
local names = { partners = partners, people = people, users = users, admins = admins, kept = kept }
app:post("/login/{kind}/{subject}", { guard = guard.public, limit = "10000/minute" }, function(req)
  local roles = { "user" }
  local made = names[req.path.kind]
  local issued = made:issue { subject = req.path.subject, roles = roles }
  return made.kind == "bearer" and issued or demilune.response { status = 204, headers = { ["Set-Cookie"] = issued } }
end)
return app
]]

local MIGRATION = "CREATE TABLE sessions (digest TEXT PRIMARY KEY, subject TEXT NOT NULL, expires INTEGER NOT NULL);"

describe("a limit is used up by nobody else:", function()
  local world
  setup(function()
    local app = server.write_app { ["app.lua"] = APP, ["migrations/0001_sessions.sql"] = MIGRATION }
    local running = server.start(app, { workers = 2, env = { SECRET = sessions.SECRET, ADMIN_SECRET = sessions.OTHER_SECRET } })
    world = { app = app, running = running }
  end)
  teardown(function()
    local status, log = world.running:stop()
    server.remove_folder(world.app)
    assert(status == 0, log)
  end)

  -- Fields by which that subject of that guard asks.
  local function as(kind, subject)
    local response = world.running:request("POST", ("/login/%s/%s"):format(kind, subject))
    if response.status == 204 then return { Cookie = sessions.cookie_of(response) } end
    return { Authorization = "Bearer " .. response.body }
  end

  local function ask(target, who) return world.running:request("GET", target, { headers = who }).status end

  local function passes(times, target, who)
    for _ = 1, times do assert.equal(200, ask(target, who)) end
  end

  local KINDS = { users = "/user", admins = "/admin", people = "/people", partners = "/partners" }

  it("the same subject of another guard", function()
    for kind, target in pairs(KINDS) do -- whoever comes first, the next have all of theirs
      local who = as(kind, "1")
      passes(5, target, who)
      assert.equal(429, ask(target, who))
    end
  end)

  it("but who passes one guard is one, alone and among others, also after a reload", function()
    for kind, target in pairs(KINDS) do
      local who = as(kind, "2")
      passes(2, target, who)
      passes(1, "/each", who)
      assert.equal(0, (server.run { "reload", world.app }))
      passes(1, target, who)
      passes(1, "/each", who)
      assert.equal(429, ask(target, who))
      assert.equal(429, ask("/each", who))
    end
    for kind, target in pairs { users = "/user", people = "/people" } do
      local who = as(kind, "3")
      passes(3, "/ruled", who)
      passes(2, target, who)
      assert.equal(429, ask("/ruled", who))
    end
  end)

  it("a session that has ended", function()
    local stolen, other = as("kept", "ada"), as("kept", "ada")
    passes(3, "/kept", stolen)
    passes(2, "/kept", other) -- of living ones there is one count
    assert.equal(429, ask("/kept", stolen))
    stolen = as("kept", "bob")
    passes(1, "/kept", stolen)
    assert.equal(204, world.running:request("POST", "/logout-everywhere", { headers = stolen }).status)
    for _ = 1, 10 do
      assert.equal(401, ask("/kept", stolen))
      assert.equal(401, ask("/kept/admin", stolen))
      assert.equal(401, world.running:request("POST", "/kept", { headers = stolen, body = "{}" }).status)
      assert.equal(401, world.running:request("POST", "/kept", { headers = stolen, body = ("a"):rep(2000) }).status)
    end
    local mine = as("kept", "bob")
    passes(3, "/kept", mine)
    assert.equal(403, ask("/kept/admin", mine)) -- trying doors is counted
    assert.equal(429, ask("/kept", mine))
  end)
end)
