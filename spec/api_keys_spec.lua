-- SPDX-License-Identifier: MIT
-- API keys that an app makes while it runs: what their guard refuses at load, what a key is made of, who may make which,
-- and what a store of the app's own may answer.

local core = require("spec.support.core").install()
local context = require "demilune.context"
local demilune = require "demilune"
local api_key_store = require "demilune.api_key_store"
local rows = require "spec.support.rows"
local refusal = require "spec.support.refusal"

local guard = demilune.guard

local function new_store(changes)
  local store = { kept = {} }
  function store.add(key, most)
    if #store.kept >= most then return false end
    store.kept[#store.kept + 1] = key
    return true
  end
  function store.find() return store.kept[1] end
  function store.list() return store.kept end
  function store.finish() return true end
  function store.finish_all() end
  for name, value in pairs(changes or {}) do store[name] = value or nil end
  return store
end

local function stored(changes)
  local given = { store = new_store(), lifetime = "30d" }
  for name, value in pairs(changes or {}) do given[name] = value or nil end
  return guard.api_key(given)
end

before_each(function()
  context.mode, context.findings, core.caller = "test", {}, nil
end)

describe("a guard whose API keys are made while the app runs", function()
  it("has one store, a lifetime, and nothing that is of keys given at load", function()
    assert.matches("given at load or made while the app runs; make two guards and write guard.any", refusal(stored, { keys = {} }))
    assert.matches("keeps keys in one place", refusal(stored, { database = {} }))
    assert.matches("table names one of a database", refusal(stored, { table = "keys" }))
    assert.matches("store.list must be a function; a store has add, find, list, finish and finish_all",
      refusal(stored, { store = new_store { list = false } }))
    assert.matches('can be stolen for ever; write lifetime = "365d"', refusal(stored, { lifetime = false }))
    for _, lifetime in ipairs { 0.5, math.huge } do assert.matches('write lifetime = "365d"', refusal(stored, { lifetime = lifetime })) end
    assert.matches("database must be what app:database gave", refusal(stored, { store = false, database = {} }))
    assert.matches('"a b" is no name of a table', refusal(stored, { store = false, database = {}, table = "a b" }))
    assert.matches("most is 0", refusal(stored, { most = 0 }))
    for _, prefix in ipairs { "", "1a", "a b", "a-b", ("a"):rep(33) } do assert.matches("up to 32 letters", refusal(stored, { prefix = prefix })) end
    local KEY = core.secret("d41d8cd98f00b204e9800998ecf8427e")
    for name, value in pairs { lifetime = "1d", roles = { "a" }, scopes = { "a" }, prefix = "a", most = 5, table = "a" } do
      assert.matches(name .. " is of keys that are made while the app runs; write database = db",
        refusal(guard.api_key, { keys = { a = KEY }, [name] = value }))
    end
    assert.matches("api_key:issue is of keys that a store keeps", refusal(function() guard.api_key({ keys = { a = KEY } }):issue { subject = 1 } end))
  end)

  it("is a place of its own, by the field and its turn", function()
    local one, other = stored(), stored { header = "X-Other" }
    assert.matches("^X%-API%-Key/%d+$", one.place)
    assert.equal("X-Other/1", other.place)
    assert.is_nil(one.keys)
  end)

  it("finds roles that nobody can have", function()
    guard.role("amdin", stored { roles = { "admin" } })
    assert.equal("guard.role: nobody can have the role amdin that it asks for", context.findings[1].message)
    assert.equal("did you mean admin?", context.findings[1].mend)
  end)
end)

describe("api_key:issue", function()
  it("gives a key once, keeps its digest alone, and says its id in the key", function()
    local made = stored { prefix = "shop", roles = { "user" }, scopes = { "read" } }
    local issued = made:issue { subject = 7, name = "ci", roles = { "user" }, scopes = { "read" }, lifetime = "1d" }
    local kept = made.store.kept[1]
    assert.equal("shop_" .. issued.id .. "_" .. ("72"):rep(24), issued.key)
    assert.equal(16, #issued.id)
    assert.same({ core.seconds + 86400, "ci" }, { issued.expires, issued.name })
    assert.same({
      id = issued.id, digest = core.sha256_hex(issued.key), subject = "7", name = "ci", roles = { "user" }, scopes = { "read" },
      created = core.seconds, expires = core.seconds + 86400,
    }, kept)
    assert.same({ core.seconds + 30 * 86400, "" }, { made:issue({ subject = "7" }).expires, made.store.kept[2].name })
  end)

  it("refuses what would be another key than was meant", function()
    local made = stored { roles = { "user" } }
    local function problem(given) return refusal(made.issue, made, given) end
    assert.matches("subject says whose key it is", problem {})
    assert.matches("subject says whose key it is", problem { subject = 1.5 })
    assert.matches("there is no option role; it takes subject, name, roles, scopes, lifetime and beyond_issuer",
      problem { subject = 1, role = "user" })
    assert.matches('"admin" is not among the guard\'s roles', problem { subject = 1, roles = { "admin" } })
    assert.matches("name is text, not 5", problem { subject = 1, name = 5 })
    assert.matches('lifetime is "31d", and must be from 1 to the guard\'s own 2592000 seconds', problem { subject = 1, lifetime = "31d" })
    for _, wrong in ipairs { 0, -1, 0 / 0, "soon", {} } do assert.matches("lifetime is ", problem { subject = 1, lifetime = wrong }) end
    assert.matches("it takes a table", problem(7))
    assert.same({}, made.store.kept)
  end)

  local function status_of(made, given)
    local ok, answer = pcall(made.issue, made, given)
    return ok and 201 or type(answer) == "table" and answer.status or answer
  end

  it("gives nobody roles that they have not", function()
    local made = stored { roles = { "user", "admin" }, scopes = { "read", "write" } }
    local function as(caller, given)
      core.caller, given.subject = caller, 7
      return status_of(made, given)
    end
    local ada = { guard = "session", roles = { "user" }, scopes = {} }
    assert.same({ 201, 201, 403, 403 }, {
      as(ada, {}), as(ada, { roles = { "user" } }), as(ada, { roles = { "admin" } }), as(ada, { roles = { "user", "admin" } }),
    })
    assert.equal(201, as(ada, { roles = { "admin" }, beyond_issuer = true }))
    assert.equal(403, as(ada, { roles = { "admin" }, beyond_issuer = false }))
    assert.equal(201, as(ada, { scopes = { "write" } })) -- a person, whose keys may less than they
    local reader = { guard = "bearer", roles = {}, scopes = { "read" } }
    assert.same({ 201, 403 }, { as(reader, { scopes = { "read" } }), as(reader, { scopes = { "read", "write" } }) })
    local key = { guard = "api_key", roles = {}, scopes = {} }
    assert.same({ 201, 403, 403 }, { as(key, {}), as(key, { scopes = { "read" } }), as(key, { roles = { "user" } }) })
    assert.equal(201, as(nil, { roles = { "admin" } })) -- outside requests, or where nobody was asked who they are
  end)

  it("gives nobody more keys than the guard lets them have", function()
    local made = stored { most = 2 }
    assert.same({ 201, 201, 409 }, { status_of(made, { subject = 1 }), status_of(made, { subject = 1 }), status_of(made, { subject = 1 }) })
  end)
end)

describe("a store of API keys", function()
  local function found(key)
    local made = stored { store = new_store { find = function(digest) return digest == "d" and key or nil end } }
    return { made.find "d" }
  end
  local function key(changes)
    local row = { id = "1a", subject = "ada", roles = { "user" }, scopes = {}, expires = core.seconds + 1 }
    for name, value in pairs(changes) do row[name] = value or nil end
    return row
  end

  it("says whose a key is until it expires", function()
    assert.same({ "1a", "ada", { "user" }, {} }, found(key {}))
    assert.same({ "1a", "7", {}, {} }, found(key { subject = 7, roles = false, scopes = false, expires = false }))
    assert.same({}, found(nil))
    for _, past in ipairs { core.seconds, 0, 0 / 0 } do assert.same({}, found(key { expires = past })) end
  end)

  it("of an app's own is told what is wrong with its answer, and lets nobody in by it", function()
    for _, wrong in ipairs {
      true, "ada", {}, key { id = 5 }, key { id = "" }, key { subject = "" }, key { subject = {} }, key { roles = "admin" }, key { scopes = { 5 } },
      key { roles = { "" } }, key { expires = "2030-01-01T00:00:00Z" },
    } do
      assert.matches("store.find gave what is no key; give what add was given, or nil", refusal(found, wrong))
    end
  end)

  it("lists what its owner may see, and no digest", function()
    local made = stored()
    made:issue { subject = 7, name = "ci" }
    local listed = made:list(7)[1]
    assert.same({ "ci", nil }, { listed.name, listed.digest })
    assert.equal(core.array_type, getmetatable(listed.roles))
    assert.equal(core.array_type, getmetatable(made.store.kept[1].scopes))
    made.store.kept[2] = { id = "2b", expires = core.seconds }
    assert.equal(1, #made:list(7))
    assert.matches("api_key:list takes whose key it is", refusal(made.list, made, nil))
    assert.matches("api_key:finish takes a subject and the id", refusal(made.finish, made, "1a"))
    assert.matches("api_key:finish_all takes whose key it is", refusal(made.finish_all, made))
  end)

  it("is told when what it gives is no list", function()
    for _, wrong in ipairs { "none", false } do
      local made = stored { store = new_store { list = function() return wrong or nil end } }
      assert.matches("api_keys_spec.lua:%d+: guard.api_key: store.list gave .*; give a list, which may be empty", refusal(made.list, made, 7))
    end
  end)

  it("is asked with a colon", function()
    local made = stored()
    for _, name in ipairs { "issue", "list", "finish", "finish_all" } do
      assert.matches(("write keys:%s%%(...%%) with a colon, not keys.%s"):format(name, name), refusal(made[name], { subject = 7 }))
      assert.matches("with a colon", refusal(made[name], 7))
    end
  end)

  it("notes that a key was seen once for however many requests ask while that waits, and again when it could not be", function()
    local spawned, fails, noted = {}, true, 0
    local database = {}
    function database.statement(_, sql)
      return {
        one = function() return { id = "1a", subject = "ada", roles = "[]", scopes = "[]", expires = core.seconds + 1 } end,
        run = function()
          if fails then error "locked" end
          noted = noted + (sql:find "SET used" and 1 or 0)
        end,
      }
    end
    local spawn = core.spawn
    core.spawn = function(fn) spawned[#spawned + 1] = fn end
    finally(function() core.spawn = spawn end)
    local store = api_key_store.new("spec", database, "api_keys")
    for _ = 1, 3 do assert.equal("ada", store.find("d").subject) end
    assert.equal(1, #spawned)
    spawned[1]()
    fails = false
    for _ = 1, 3 do store.find "d" end
    assert.equal(2, #spawned)
    spawned[2]()
    assert.equal(1, noted)
  end)

  it("ends all of a subject in writes that are bounded", function()
    local database, writes = rows.deleting(1200)
    api_key_store.new("spec", database, "api_keys").finish_all "ada"
    assert.same({ "ada 500", "ada 500", "ada 200" }, writes)
  end)
end)
