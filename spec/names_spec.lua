-- SPDX-License-Identifier: MIT
-- Names that there are not: mistyped ones, and those of other frameworks.

require("spec.support.core").install()
local boot_names = require "demilune.names"
local demilune = require "demilune"
local refusal = require "spec.support.refusal"

describe("a name that there is not", function()
  it("is refused at the app's line, with the nearest or what there is instead", function()
    local app = demilune.app { guard = demilune.guard.public }
    for hint, read in pairs {
      ["there is no demilune.routr; did you mean demilune.router?"] = function() return demilune.routr end,
      ["there is no demilune.http; an app has no HTTP client; write a row"] = function() return demilune.http.get end,
      ["there is no demilune.Depends; write app:dependency(function(req) ... end)"] = function() return demilune.Depends end,
      ["there is no json.parse; write json.decode"] = function() return demilune.json.parse "1" end,
      ["there is no random.hexx; did you mean random.hex?"] = function() return demilune.random.hexx(1) end,
      ["there is no password.check; write password.verify"] = function() return demilune.password.check() end,
      ["there is no hmac.sign; write hmac.hex"] = function() return demilune.hmac.sign() end,
      ["there is no log.warn; write log.warning"] = function() demilune.log.warn "x" end,
      ["there is no model.int; write model.integer()"] = function() return demilune.model.int() end,
      ["there is no model.emial; did you mean model.email?"] = function() return demilune.model.emial() end,
      ["there is no model.wholly_unlike"] = function() return demilune.model.wholly_unlike end,
    } do
      local message = refusal(read)
      assert.matches("^[%w_./]*names_spec%.lua:%d+: there is no", message)
      assert.truthy(message:find(hint, 1, true), message)
    end
    assert.is_nil(app.nowhere) -- what an app has not said is nil
  end)

  it("is refused as an option with what others' routes and fields are told by", function()
    local app, model, guard = demilune.app { guard = demilune.guard.public }, demilune.model, demilune.guard
    local function route(options) return function() app:get("/x", options, function() end) end end
    for hint, declare in pairs {
      ['GET /x: there is no option "response_model"; write returns = User; it takes body'] = route { response_model = {} },
      ['"dependencies"; write needs = { user = current_user }'] = route { dependencies = {} },
      ['"roles"; write guard = guard.role("admin", bearer)'] = route { roles = { "admin" } },
      ['"cors"; write cors at its router or at demilune.app'] = route { cors = {} },
      ['"gaurd"; did you mean guard?'] = route { gaurd = guard.public },
      ['model.string: there is no option "max"; write max_length'] = function() model.string { max = 5 } end,
      ['model.integer: there is no option "min"; write ge'] = function() model.integer { min = 5 } end,
      ['model.array: there is no option "max"; write max_items'] = function() model.array(model.string(), { max = 5 }) end,
      ['"required"; leave it out: a field is required unless'] = function() model.string { required = true } end,
      ['guard.basic: there is no option "role"; did you mean roles?'] = function() guard.basic { role = { "admin" } } end,
      ["guard must be a guard, not a list of them; write guard = guard.any { bearer, session }"] = route { guard = { guard.public, guard.public } },
      ['guard must be a guard, not "bearer"; write guard = bearer, with local bearer = guard.bearer { ... }'] = route { guard = "bearer" },
      ["there is no guard.jwt; write guard.bearer"] = function() return guard.jwt end,
      ["there is no demilune.redirect; write demilune.response { status = 303"] = function() return demilune.redirect end,
    } do
      local message = refusal(declare)
      assert.truthy(message:find(hint, 1, true), message)
    end
  end)

  it("adds to Lua's own words where a method of the app is called", function()
    local methods = require("demilune.app").methods()
    local function explained(name) return boot_names.explain(("app.lua:3: attempt to call method '%s' (a nil value)"):format(name), methods) end
    assert.matches("; did you mean delete%?$", explained "delet")
    assert.matches("; write app:on_start", explained "on_startup")
    assert.matches("; there is no middleware: write guard", explained "use")
    assert.matches("; write cors = { origins = { ... } } in demilune.app", explained "cors")
    assert.matches("nil value%)$", explained "wholly_unlike")
    assert.equal("something else", boot_names.explain("something else", methods))
  end)
end)
