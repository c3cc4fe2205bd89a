-- SPDX-License-Identifier: MIT
-- Lists in declarations. What stands in one under a name, and all that stands behind
-- a nil, would be passed over without a word: a limit that counts by something else, a
-- role that is not asked for.

local core = require("spec.support.core").install()
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local function handler() end

local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok, "it was not refused")
  assert.matches("^%S*lists_spec%.lua:%d+: ", message)
  return (message:gsub("^%S+ ", "", 1))
end

local app = demilune.app { guard = guard.public }
local bearer = guard.bearer {
  secret = core.secret "7f2c9b61e0d4835aa1c6f09e42b87d53", lifetime = "15m", roles = { "admin", "editor" }, scopes = { "read", "write" },
}
local Cat, Dog = model "Cat" { type = model.literal { "cat" } }, model "Dog" { type = model.literal { "dog" } }

describe("a list in a declaration", function()
  it("takes nothing with a name", function()
    local limit = 'stands in a list; write { rate = "5/minute", by = "principal" } in place of a text that needs more than itself'
    assert.equal("GET /: limit: by " .. limit,
      refusal(function() app:get("/", { guard = bearer, limit = { "5/minute", by = "principal" } }, handler) end))
    assert.equal("demilune.router: limit: cost " .. limit, refusal(function() demilune.router { limit = { "5/minute", cost = 2 } } end))
    assert.equal('guard.role: all stands in a list; write guard.role({ "admin", "editor" }, bearer, { all = true }); options come last',
      refusal(function() guard.role({ "admin", "editor", all = true }, bearer) end))
    assert.matches("^guard%.scope: all stands in a list; ", refusal(function() guard.scope({ "read", "write", all = true }, bearer) end))
    assert.equal("guard.any: all stands in a list; write guard.any { bearer, api_key }", refusal(function() guard.any { bearer, all = true } end))
    assert.equal("model.union: optional stands in a list; write model.union({ Cat, Dog }, { optional = true }); options come last",
      refusal(function() model.union { Cat, Dog, optional = true } end))
    assert.matches('^model%.tagged: default stands in a list; write model%.tagged%("type", { Cat, Dog }, ',
      refusal(function() model.tagged("type", { Cat, Dog, default = 1 }) end))
    assert.equal('pick: type stands in a list; write pick "Tom" { "id", "name" }', refusal(function() return Cat:pick "Tom" { type = true } end))
    assert.matches("^omit: type stands in a list; ", refusal(function() return Cat:omit "Tom" { type = true } end))
    assert.matches("^route: GET stands in a list; ", refusal(function() app:route({ "POST", GET = true }, "/", handler) end))
  end)

  it("has no holes, as a name leaves that is not there yet", function()
    local missing = nil
    local hole = "number 2 of the list is nil, as a name is that is not there yet; "
    assert.equal("model.literal: " .. hole .. 'write model.literal { "user", "editor" }', refusal(function() model.literal { "a", missing, "c" } end))
    assert.matches("^model%.union: number 1 of the list is nil", refusal(function() model.union { missing, Dog } end))
    assert.equal("GET /: limit: " .. hole, refusal(function() app:get("/", { limit = { "5/minute", missing, "9/hour" } }, handler) end)
      :sub(1, #"GET /: limit: " + #hole))
    assert.matches("^GET /: limit: number 1 of the list is nil", refusal(function() app:get("/", { limit = { missing, "9/hour" } }, handler) end))
    assert.matches("^guard%.role: number 2 of the list is nil", refusal(function() guard.role({ "admin", missing, "editor" }, bearer) end))
    assert.matches("^guard%.role: number 1 of the list is nil", refusal(function() guard.role({ missing, "editor" }, bearer) end))
    assert.matches("^route: number 1 of the list is nil", refusal(function() app:route({ missing, "GET" }, "/", handler) end))
  end)

  it("is not what is written one behind the other", function()
    assert.equal('model.literal takes its values in one table; write model.literal { "user", "editor" }',
      refusal(function() model.literal("user", "editor") end))
    assert.same({ "user" }, model.literal("user").values)
  end)

  it("names something to pick", function()
    assert.equal('pick names no field; write pick "Tom" { "id", "name" }', refusal(function() return Cat:pick "Tom" {} end))
  end)
end)
