-- SPDX-License-Identifier: MIT
-- What goes into a statement, what comes out, and what is refused.

local core = require "demilune.core"
local demilune = require "demilune"
local store = require "store"
local test = require "demilune.test"

local client = test.client()

-- What pcall gives inside a task: the problem, or nil.
local function problem_of(method, statement, ...)
  local arguments = { ... }
  return test.run(function()
    local ok, problem = pcall(statement[method], statement, unpack(arguments))
    return not ok and problem or nil
  end)
end

local function emails(params, call)
  local found = {}
  params.limit = params.limit or 10
  for _, row in ipairs(test.run(function() return store.list:many(params, call) end)) do found[#found + 1] = row.email:match("^%w+") end
  return table.concat(found, " ")
end

describe("a statement", function()
  before_each(function()
    test.run(function()
      store.clear:run()
      store.add:one { email = "ada@example.com", role = "editor", age = 36, team = 1 }
      store.add:one { email = "bob@example.com", age = 20 }
      store.add:one { email = "eve@example.com", age = 50 }
    end)
  end)

  it("gives a row as a table: NULL as an absent field, BOOLEAN columns as booleans", function()
    local row = test.run(function() return store.add:one { email = "new@example.com" } end)
    assert.same({ id = 4, email = "new@example.com", role = "user", active = true }, row)
  end)

  it("gives each kind of value back as it went in", function()
    local cases = {
      { "h\195\169", "text" }, { "", "text" }, { 3, "integer" }, { 3.5, "real" }, { 9007199254740993LL, "integer" }, { -1LL, "integer" },
    }
    for _, case in ipairs(cases) do
      local row = test.run(function() return store.echo:one { value = case[1] } end)
      assert.equal(case[2], row.type)
      assert.is_true(row.value == case[1], tostring(case[1]))
    end
    assert.same({ value = 1, type = "integer" }, test.run(function() return store.echo:one { value = true } end))
    assert.same({ type = "null" }, test.run(function() return store.echo:one { value = demilune.null } end))
    assert.same({ value = "\0\255", type = "blob" }, test.run(function() return store.photo:one { photo = "\0\255" } end))
    local row = test.run(function() return store.wide:one() end)
    assert.equal("cdata", type(row.wide))
    assert.is_true(row.wide == 9007199254740993LL)
    assert.equal(9007199254740991, row.safe)
  end)

  it("gives nil for no row, an array for none of many, and counts what it changed", function()
    assert.is_nil(test.run(function() return store.list:one { role = "nobody", limit = 1 } end))
    assert.is_nil(test.run(function() return store.list:value { role = "nobody", limit = 1 } end))
    local none = test.run(function() return store.list:many { role = "nobody", limit = 1 } end)
    assert.equal("[]", core.json_encode(none))
    local changes, last_id = test.run(function() return store.plain_add:run { email = "new@example.com" } end)
    assert.same({ 1, 4 }, { changes, last_id })
    assert.equal(4, (test.run(function() return store.clear:run() end)))
  end)

  it("applies the filters whose parameters are given, and the order that is chosen", function()
    assert.equal("ada bob eve", emails {})
    assert.equal("eve bob ada", emails({}, { order = "newest" }))
    assert.equal("ada", emails { role = "editor" })
    assert.equal("ada bob", emails { from = 10, to = 40 })
    assert.equal("bob", emails { from = 10, to = 40, role = "user" })
    assert.equal("ada eve", emails { ids = { 1, 3, 99 } })
    assert.equal("", emails { ids = {} })
    assert.equal("bob", (test.run(function() return store.all_but:one { ids = { 1, 3 } } end)).email:match("^%w+"))
    assert.equal(3, #test.run(function() return store.all_but:many { ids = {} } end))
  end)

  it("never takes text of a call as SQL", function()
    local problem = problem_of("many", store.list, { limit = 1 }, { order = "id; DROP TABLE users" })
    assert.equal("bad_parameter", problem.kind)
    assert.equal("", emails { role = "' OR 1 = 1 --" })
    local ok, message = pcall(store.db.statement, store.db, "SELECT 1")
    assert.is_false(ok)
    assert.matches("statement_spec%.lua:%d+: statements are sealed while the app loads", message)
  end)

  it("names what is missing, unknown or no value", function()
    local cases = {
      { problem_of("run", store.plain_add), "'email' is missing" },
      { problem_of("run", store.plain_add, { email = "a", emial = "b" }), "no parameter 'emial'; it has email" },
      { problem_of("run", store.clear, { id = 1 }), "no parameter 'id'; it has none" },
      { problem_of("run", store.plain_add, { email = { 1 } }), "'email' is a table" },
      { problem_of("run", store.plain_add, { email = print }), "'email' cannot be stored: a function" },
      { problem_of("run", store.plain_add, { email = core.secret("hidden") }), "'email' is a secret" },
      { problem_of("run", store.plain_add, { email = "\255" }), "'email' is not text" },
      { problem_of("many", store.list, { limit = 1, from = 3 }), "'to' is missing: the filter 'age'" },
    }
    for _, case in ipairs(cases) do
      assert.equal("bad_parameter", case[1].kind)
      assert.matches("store%.lua:%d+: ", case[1].message)
      assert.matches(case[2], tostring(case[1]), 1, true)
    end
  end)

  it("says at the caller's line how it is called", function()
    local function refusal(call)
      local ok, message = test.run(function() return pcall(call) end)
      assert.is_false(ok)
      return message
    end
    for sentence, call in pairs {
      ["a statement is called with a colon; write find:value { ... }, not find.value { ... }"] = function() return (store.count.value {}) end,
      ["statement:run takes its parameters by name, not 5; write statement:run { id = 1 }"] = function() return (store.clear:run(5)) end,
      ["statement:many takes a table behind its parameters, such as { max = 10 }, not 5"] = function() return (store.list:many({ limit = 1 }, 5)) end,
      ['statement:many: there is no option "maxx"; behind its parameters it takes max and order'] = function()
        return (store.list:many({ limit = 1 }, { maxx = 1 }))
      end,
      ['statement:one: there is no option "max"; behind its parameters it takes order'] = function() return (store.count:one({}, { max = 1 })) end,
      ['statement:value: there is no option "max"; behind its parameters it takes order'] = function()
        return (store.count:value({}, { max = 1 }))
      end,
      ['statement:run: there is no option "order"; behind its parameters it takes nothing'] = function()
        return (store.clear:run({}, { order = "name" }))
      end,
    } do
      assert.matches("^%S*statement_spec%.lua:%d+: ", refusal(call))
      assert.matches(sentence, refusal(call), 1, true)
    end
  end)

  it("bounds what it gives", function()
    assert.equal("too_much", problem_of("many", store.numbers, { count = 1001 }).kind)
    assert.is_nil(problem_of("many", store.numbers, { count = 1001 }, { max = 1001 }))
    assert.equal("too_much", problem_of("one", store.numbers, { count = 2 }).kind)
    assert.equal("too_much", problem_of("value", store.add, { email = "new@example.com" }).kind)
    assert.equal(3, test.run(function() return store.count:value() end))
    assert.matches("max = ... } from 1 to 1,000,000", problem_of("many", store.numbers, { count = 1 }, { max = 0 }), 1, true)
  end)

  it("tells constraints apart, and answers 409 where the statement says so", function()
    local problem = problem_of("run", store.plain_add, { email = "ada@example.com" })
    assert.same({ "unique_violation", "users.email" }, { problem.kind, problem.constraint })
    assert.equal("check_violation", problem_of("one", store.add, { email = "new@example.com", age = -1 }).kind)
    local conflict = problem_of("one", store.add, { email = "ada@example.com" })
    assert.same({ 409, "This e-mail address is taken" }, { conflict.status, conflict.detail })
    conflict = problem_of("one", store.add, { email = "new@example.com", team = 99 })
    assert.same({ 409, "There is no such team" }, { conflict.status, conflict.detail })
    local response = client:post("/users", { json = { email = "ada@example.com" } })
    assert.equal(409, response.status)
    assert.same({ detail = "This e-mail address is taken" }, response.json())
    assert.equal(500, client:post("/twice").status)
  end)

  it("has no other ways, and says which there are", function()
    for hint, call in pairs {
      ["there is no db:query; write local find = db:statement"] = function() return store.db:query "SELECT 1" end,
      ["there is no statement:all; write statement:many"] = function() return store.count:all() end,
      ["there is no statement:valeu; did you mean statement:value?"] = function() return store.count:valeu() end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.truthy(message:find(hint, 1, true), message)
      assert.matches("statement_spec%.lua:%d+: ", message)
    end
  end)

  it("waits only inside a task", function()
    local ok, message = pcall(store.count.value, store.count)
    assert.is_false(ok)
    assert.matches("can wait only inside a handler", message)
    local inner = test.run(function() return select(2, pcall(coroutine.wrap(function() return store.count:value() end))) end)
    assert.matches("cannot wait inside a coroutine of the app's own, resumed at [%w_/]*statement_spec%.lua:%d+", inner)
    assert.equal(3, test.run(function() return store.count:value() end))
  end)
end)
