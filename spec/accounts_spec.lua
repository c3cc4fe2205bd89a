-- SPDX-License-Identifier: MIT
-- demilune.accounts as an app declares it: what it needs, and what would be passed over.

local core = require("spec.support.core").install()
local demilune = require "demilune"

local function find() end

local bearer = demilune.guard.bearer { secret = core.secret "7f2c9b61e0d4835aa1c6f09e42b87d53", lifetime = "15m" }
local store = { begin = find, look_up = find, rotate = find, revoke = find, finish_all = find }

-- demilune.accounts with all it needs, and with these options changed.
local function refusal(changes)
  local given = { bearer = bearer, find = find, find_by_id = find, store = store }
  for name, value in pairs(changes) do given[name] = value or nil end
  local ok, message = pcall(function() return (demilune.accounts(given)) end)
  assert.is_false(ok, "it was not refused")
  assert.matches("^%S*accounts_spec%.lua:%d+: demilune%.accounts", message)
  return (message:gsub("^%S+ ", "", 1))
end

describe("demilune.accounts", function()
  it("says what it needs", function()
    assert.matches("has no bearer; write bearer = guard.bearer", refusal { bearer = false })
    assert.matches("has no find; write find = function%(username%)", refusal { find = false })
    assert.matches("has no find_by_id; write find_by_id = function%(subject%)", refusal { find_by_id = false })
    assert.matches("bearer must be a guard.bearer", refusal { bearer = demilune.guard.public })
  end)

  it("keeps refresh tokens in one place", function()
    assert.matches("keeps refresh tokens in one place; write database = db, or store = ", refusal { store = false })
    assert.matches("store%.revoke must be a function; a store has begin, look_up, rotate, revoke and finish_all",
      refusal { store = { begin = find, look_up = find, rotate = find, finish_all = find } })
    assert.equal("demilune.accounts: table names one of a database; write database = db in place of store", refusal { table = "tokens" })
  end)
end)
