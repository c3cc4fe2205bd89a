-- SPDX-License-Identifier: MIT
-- db:transaction: all or nothing, whatever ends it.

local core = require "demilune.core"
local demilune = require "demilune"
local store = require "store"
local test = require "demilune.test"

local client = test.client()
local db = store.db

local function count() return test.run(function() return store.count:value() end) end

-- Whether the transaction gave something, and what it gave or raised.
local function transact(fn)
  return test.run(function() return pcall(db.transaction, db, fn) end)
end

describe("db:transaction", function()
  before_each(function()
    test.run(function() store.clear:run() end)
  end)

  it("gives what its function gives, and commits", function()
    local ok, a, b = transact(function()
      store.plain_add:run { email = "a" }
      return store.count:value(), "second"
    end)
    assert.same({ true, 1, "second" }, { ok, a, b })
    assert.equal(1, count())
  end)

  it("rolls back on an error and raises it as it was", function()
    local mark = {}
    local ok, problem = transact(function()
      store.plain_add:run { email = "a" }
      error(mark)
    end)
    assert.is_false(ok)
    assert.equal(mark, problem)
    assert.equal(0, count())
  end)

  it("rolls back on abort, which stays an abort", function()
    local _, problem = transact(function()
      store.plain_add:run { email = "a" }
      demilune.abort(418, "no")
    end)
    assert.equal(418, problem.status)
    assert.equal(0, count())
  end)

  it("undoes a failed statement alone when its error is caught", function()
    local ok = transact(function()
      store.plain_add:run { email = "a" }
      pcall(store.plain_add.run, store.plain_add, { email = "a" })
      store.plain_add:run { email = "b" }
    end)
    assert.is_true(ok)
    assert.equal(2, count())
  end)

  it("is rolled back at once when its request's deadline passes", function()
    assert.equal(504, client:post("/abandon").status)
    test.run(function() store.patient_add:run { email = "after" } end)
    assert.equal(1, test.run(function() return store.patient_count:value() end))
  end)

  it("is rolled back past its deadline, which the next statement or the commit tells", function()
    local ok, problem = transact(function()
      store.plain_add:run { email = "a" }
      demilune.sleep "1200ms"
      store.plain_add:run { email = "b" }
    end)
    assert.is_false(ok)
    assert.equal("transaction_ended", problem.kind)
    ok, problem = transact(function()
      store.plain_add:run { email = "a" }
      demilune.sleep "1200ms"
    end)
    assert.is_false(ok)
    assert.equal("transaction_ended", problem.kind)
    assert.equal(0, count())
  end)

  it("does not nest", function()
    local _, problem = transact(function() db:transaction(print) end)
    assert.matches("inside db:transaction", problem)
  end)

  it("is its task's alone: what others write meanwhile waits for it", function()
    local order = {}
    test.run(function()
      db:transaction(function()
        store.plain_add:run { email = "inside" }
        core.spawn(function()
          store.plain_add:run { email = "outside" }
          order[#order + 1] = "outside"
        end)
        demilune.sleep "50ms"
        assert.equal(1, store.count:value())
      end)
      order[#order + 1] = "committed"
      while #order < 2 do demilune.sleep "5ms" end
    end)
    assert.same({ "committed", "outside" }, order)
    assert.equal(2, count())
  end)

  it("makes writes that find no room wait, and then answers 503 with Retry-After", function()
    local waiting = test.run(function()
      local statuses = {}
      db:transaction(function()
        for _ = 1, 12 do
          core.spawn(function()
            local ok, problem = pcall(store.plain_add.run, store.plain_add, { email = tostring(#statuses) .. tostring({}) })
            statuses[#statuses + 1] = ok and 200 or problem.status
            if not ok then assert(problem.headers["Retry-After"]) end
          end)
        end
        demilune.sleep "50ms"
      end)
      while #statuses < 12 do demilune.sleep "5ms" end
      return statuses
    end)
    table.sort(waiting)
    assert.same({ 200, 200, 200, 200, 200, 200, 200, 200, 503, 503, 503, 503 }, waiting)
  end)
end)
