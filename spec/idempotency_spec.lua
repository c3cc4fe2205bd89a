-- SPDX-License-Identifier: MIT
-- Idempotent routes as they are declared, and what stands before their handlers. The table is one of Lua's here; what SQLite and the core
-- make of it is shown over sockets (spec/e2e/idempotency_spec.lua).

local core = require("spec.support.core").install()
local commands = require "demilune.commands"
local context = require "demilune.context"
local demilune = require "demilune"
local idempotency = require "demilune.idempotency"
local plan = require "demilune.plan"
local guard = demilune.guard

local bearer
local function handler() return "done" end

local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  assert.matches("^%S*idempotency_spec%.lua:%d+: ", message)
  return (message:gsub("^%S+ ", "", 1))
end

-- Seals statements and notes them.
local function new_database()
  local database = { sealed = {} }
  function database:statement(sql, given)
    self.sealed[#self.sealed + 1] = { sql = sql, given = given }
    return {}
  end
  return database
end

local function compile(declare, options)
  options = options or {}
  options.guard = options.guard or bearer
  local app = demilune.app(options)
  declare(app)
  context.findings = {}
  return plan.compile(app)
end

local function with(options, given)
  return function()
    compile(function(app)
      app:idempotency(given or { database = new_database() })
      app:post("/orders", options, handler)
    end)
  end
end

before_each(function()
  context.mode = "check"
  bearer = guard.bearer { secret = core.secret(("s"):rep(32)), lifetime = "15m" }
end)

describe("the declaration of an idempotent route", function()
  it("tells the core whether the key may be missing, and people that there is one", function()
    local made = compile(function(app)
      app:idempotency { database = new_database() }
      app:post("/orders", { idempotent = true }, handler)
      app:patch("/orders", { idempotent = "optional" }, handler)
      app:put("/orders", { idempotent = false }, handler)
    end)
    assert.same({ "required", "optional", nil }, { made.routes[1].idempotent, made.routes[2].idempotent, made.routes[3].idempotent })
    local text = commands.run("routes", made, {})
    assert.matches("POST +/orders[^\n]* idempotency key  ", text)
    assert.matches("PATCH +/orders[^\n]* idempotency key %(optional%)  ", text)
    assert.is_nil(text:match("PUT[^\n]*"):find("idempotency key", 1, true))
  end)

  it("leaves the handler of every other route as it is", function()
    local made = compile(function(app)
      app:idempotency { database = new_database() }
      app:post("/orders", handler)
    end)
    assert.equal(handler, made.routes[1].run)
  end)

  it("takes true and optional, on methods that do something each time", function()
    assert.matches('POST /orders: idempotent is "yes"; write true, or "optional"', refusal(with { idempotent = "yes" }))
    for _, method in ipairs { "GET", "HEAD", "PUT", "DELETE", "OPTIONS" } do
      assert.matches(("^%s /x: a %s may be sent again by itself"):format(method, method), refusal(function()
        demilune.router():route(method, "/x", { idempotent = true }, handler)
      end))
    end
  end)

  it("wants to know whose the key is", function()
    local message = refusal(with { idempotent = true, guard = guard.public })
    assert.matches("^POST /orders is idempotent, but guard.public finds nobody whose key it could be", message)
    assert.matches("give the route another guard$", message)
  end)

  it("wants a place for the answers, for longer than a handler may take", function()
    assert.matches("nothing says where its answers are kept; write app:idempotency { database = db }$", refusal(function()
      compile(function(app) app:post("/orders", { idempotent = true }, handler) end)
    end))
    assert.matches("may take 600 s, and its answers are kept for 300 s; keep them longer",
      refusal(with({ idempotent = true, timeout = "10m" }, { database = new_database(), keep = "5m" })))
    assert.matches("may take 241 s, and its answers are kept for 300 s", -- with a minute to spare
      refusal(with({ idempotent = true, timeout = 241 }, { database = new_database(), keep = "5m" })))
  end)

  it("says once where answers are kept, in words that mean something", function()
    local app = demilune.app { guard = bearer }
    local function declared(given) return refusal(function() app:idempotency(given) end) end
    assert.matches("write app:idempotency { database = db }$", declared {})
    assert.matches("database must be what app:database gave", declared { database = {} })
    assert.matches('"a b" is no name of a table', declared { database = new_database(), table = "a b" })
    for _, keep in ipairs { "1m", "2000d", "long" } do assert.matches("a time from", declared { database = new_database(), keep = keep }) end
    app:idempotency { database = new_database(), table = "kept", keep = 86400 }
    assert.matches("has said at %S+ where answers are kept; take one of the two app:idempotency out", declared { database = new_database() })
  end)

  it("uses the table that it names, with answers as bytes", function()
    local database = new_database()
    demilune.app { guard = bearer }:idempotency { database = database, table = "kept" }
    local bytes = 0
    for _, sealed in ipairs(database.sealed) do
      assert.is_nil(sealed.sql:find "TABLE")
      assert.truthy(sealed.sql:find "%f[%w_]kept%f[^%w_]")
      bytes = bytes + (sealed.given and #sealed.given.bytes or 0)
    end
    assert.equal(5, bytes)
  end)
end)

describe("the migration", function()
  it("forgets once a minute, and goes on to where the clock was set back", function()
    local store = require("demilune.idempotency_store").new("spec", new_database(), "kept", 86400)
    local before, due = core.seconds, {}
    for _, passed in ipairs { 0, 0, 59, 1, -3600, 1 } do
      core.seconds = core.seconds + passed
      due[#due + 1] = store.is_due()
    end
    core.seconds = before
    assert.same({ true, false, false, true, true, false }, due)
  end)

  it("stands in the documentation as apps get it", function()
    local file = assert(io.open "lua/README.md")
    local text = file:read "*a"
    file:close()
    assert.truthy(text:find("```sql migrations/0002_idempotency_keys.sql\n" .. demilune.idempotency_migration .. "```", 1, true))
  end)
end)

describe("an idempotent handler", function()
  local store, kept, ran, run

  -- The core, in as many words as are asked for here.
  local function ask(key, request)
    function core.idempotency_of() if key then return "digest " .. key, request or "request", 40 end end
    kept = nil
    function core.keep_answer(_, fn) kept = fn end
    local ok, result = pcall(run, {})
    if ok then
      if kept then kept(200, "X-A: b\r\n", result) end
      return result
    end
    return result
  end

  before_each(function()
    ran = 0
    local rows = {}
    store = { forgotten = 0, lost = {} }
    function store.claim(digest, fingerprint, attempt, longest)
      if rows[digest] then return false end
      rows[digest] = { fingerprint = fingerprint, attempt = attempt, ends = core.now() + longest }
      return true
    end
    function store.find(digest) return rows[digest] end
    function store.keep(digest, attempt, status, fields, body)
      assert(rows[digest].attempt == attempt)
      rows[digest].status, rows[digest].fields, rows[digest].body = status, fields, body
    end
    function store.forgo(digest) store.lost[#store.lost + 1] = digest end
    function store.is_due() return true end
    function store.forget() store.forgotten = store.forgotten + 1 end
    run = idempotency.once({ store = store }, function() ran = ran + 1 return "answer " .. ran end)
  end)

  it("runs once for a key, and what was kept is raised again", function()
    assert.equal("answer 1", ask "a")
    for _ = 1, 2 do
      local again = ask "a"
      assert.equal(core.replay_type, getmetatable(again))
      assert.same({ 200, "X-A: b\r\n", "answer 1" }, { again.status, again.fields, again.body })
      assert.is_nil(kept)
    end
    assert.equal("answer 2", ask "b")
    assert.equal("answer 3", ask(nil))
    assert.equal(3, ran)
    assert.equal(2, store.forgotten)
  end)

  it("is not run for another request, nor while the first has no answer, nor when it will never have one", function()
    function core.idempotency_of() return "digest a", "request", 40 end
    function core.keep_answer() error "killed" end
    pcall(run, {})
    local busy = ask "a"
    assert.same({ 409, { ["Retry-After"] = "1" } }, { busy.status, busy.headers })
    assert.equal(422, ask("a", "another").status)
    core.clock_move(41000)
    local unknown = ask "a"
    assert.same({ 409 }, { unknown.status, unknown.headers })
    assert.matches("did not finish", unknown.detail)
    assert.equal(0, ran)
  end)

  it("is not run when the claim fails, and takes the claim back", function()
    local claim = store.claim
    function store.claim() error "no disk" end
    local refused = ask "a"
    assert.same({ 503, { ["Retry-After"] = "1" } }, { refused.status, refused.headers })
    assert.same({ "digest a" }, store.lost)
    store.claim = claim
    assert.equal("answer 1", ask "a")
    function store.find() error "no disk" end
    assert.equal(503, ask("a").status)
    function store.find() return nil end -- taken back between the two
    assert.equal(409, ask("a").status)
    assert.equal(1, ran)
  end)

  it("passes on that the database is busy", function()
    function store.claim() demilune.abort(503, "busy") end
    assert.equal("busy", ask("a").detail)
    assert.same({}, store.lost)
  end)
end)
