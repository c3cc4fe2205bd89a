-- SPDX-License-Identifier: MIT
-- demilune.time and demilune.sleep as they are called wrongly: what came from outside is no error, what the app wrote is, at its line.

local core = require("spec.support.core").install()
local demilune = require "demilune"
local time = require "demilune.time"

describe("demilune.time", function()
  it("reads nothing from what is no text", function()
    for _, none in ipairs { false, 5, {} } do
      local seconds, problem = time.seconds(none)
      assert.is_nil(seconds)
      assert.matches("should be a date and time", problem)
    end
  end)

  it("writes only seconds that are within its years", function()
    core.time_text = function() return nil end
    for shown, given in pairs { ["2030%-01%-01T00:00:00Z"] = "2030-01-01T00:00:00Z", ["1e%+300"] = 1e300 } do
      local ok, message = pcall(function() return (time.text(given)) end)
      assert.is_false(ok)
      assert.matches("^%S*time_spec.lua:%d+: time.text takes seconds since 1970 within the years 1 to 9999, .*, not " .. shown .. "$", message)
    end
  end)

  it("says what its functions are called", function()
    local ok, message = pcall(function() return time.parse end)
    assert.is_false(ok)
    assert.matches("there is no time.parse; write time.seconds", message)
  end)
end)

describe("demilune.sleep", function()
  it("takes a duration from 0 to a day", function()
    demilune.sleep "500ms"
    assert.equal(0.5, core.slept)
    for _, none in ipairs { -1, "2d", 0 / 0, 1e300, "soon", true } do
      local ok, message = pcall(function() demilune.sleep(none) end)
      assert.is_false(ok)
      assert.matches('^%S*time_spec.lua:%d+: demilune.sleep: .* is no duration from 0 to a day; write "500ms" or 0.5$', message)
    end
  end)
end)
