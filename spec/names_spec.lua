-- SPDX-License-Identifier: MIT
-- Names that there are not: mistyped ones, and those of other frameworks.

require("spec.support.core").install()
local boot_names = require "demilune.names"
local demilune = require "demilune"

local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  return message
end

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

  it("adds to Lua's own words where a method of the app is called", function()
    local methods = require("demilune.app").methods()
    local function explained(name) return boot_names.explain(("app.lua:3: attempt to call method '%s' (a nil value)"):format(name), methods) end
    assert.matches("; did you mean delete%?$", explained "delet")
    assert.matches("; write app:on_start", explained "on_startup")
    assert.matches("; there is no middleware: write guard", explained "use")
    assert.matches("nil value%)$", explained "wholly_unlike")
    assert.equal("something else", boot_names.explain("something else", methods))
  end)
end)
