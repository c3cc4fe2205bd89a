-- SPDX-License-Identifier: MIT
-- The store of limits as an app declares it: what is refused at load, and what reaches the core.

local core = require("spec.support.core").install()
local context = require "demilune.context"
local demilune = require "demilune"
local plan = require "demilune.plan"

local function store_of(given, title)
  local app = demilune.app { guard = demilune.guard.public, title = title, limit_store = given }
  app:get("/", {}, function() end)
  return plan.compile(app).limit_store
end

local function refusal(given)
  local ok, message = pcall(store_of, given)
  assert.is_false(ok, "it was not refused")
  return message
end

before_each(function() context.mode, context.findings = "test", {} end)

describe("a store of limits", function()
  it("may be an address, a secret, or a table with either", function()
    local secret = core.secret "redis://:password@127.0.0.1"
    assert.equal("redis://a", store_of("redis://a").url)
    assert.equal(secret, store_of(secret).url)
    assert.equal(secret, store_of({ url = secret }).url)
    assert.is_nil(store_of(nil).url)
    assert.is_nil(store_of({ on_store_failure = "open" }).url)
  end)

  it("has defaults, and keys that are the app's own", function()
    local store = store_of("redis://a", "Shop")
    assert.same({ "local", 0.05, "demilune:Shop" }, { store.on_store_failure, store.timeout, store.prefix })
    assert.equal("demilune", store_of(nil).prefix)
    assert.equal(64, #store_of("redis://a", ("x"):rep(200)).prefix)
    store = store_of { url = "redis://a", prefix = "shop", timeout = "10ms", on_store_failure = "closed" }
    assert.same({ "closed", 0.01, "shop" }, { store.on_store_failure, store.timeout, store.prefix })
  end)

  it("keeps apps apart whose titles look alike in a key", function()
    local first, second = store_of("redis://a", "用户").prefix, store_of("redis://a", "订单").prefix
    assert.matches("^demilune:______:%x+$", first)
    assert.not_equal(first, second)
    assert.not_equal(store_of("redis://a", "My shop").prefix, store_of("redis://a", "My_shop").prefix)
    assert.not_equal(store_of("redis://a", ("x"):rep(200)).prefix, store_of("redis://a", ("x"):rep(201)).prefix)
  end)

  it("is refused with what to write instead", function()
    for message, given in pairs {
      ['on_store_failure is "fail"; write "local"'] = { on_store_failure = "fail" },
      ['prefix is "a b"; write up to 64'] = { prefix = "a b" },
      ['timeout is "soon"; write "50ms"'] = { timeout = "soon" },
      ['timeout is "1m"; write "50ms"'] = { timeout = "1m" },
      ['timeout is 0.0001; write "50ms"'] = { timeout = 0.0001 },
      ['url is text or a secret, not 5; write'] = { url = 5 },
      ['url is empty; write'] = "",
      ['limit_store is a table, an address or a secret, not true'] = true,
      ['there is no option "on_failure"'] = { on_failure = "open" },
    } do
      local said = refusal(given)
      assert.matches("^spec/limit_store_spec%.lua:%d+: ", said)
      assert.truthy(said:find(message, 1, true), said)
    end
  end)
end)
