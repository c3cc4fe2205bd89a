-- SPDX-License-Identifier: MIT
-- What demilune.log is given besides its text: nothing of it is lost, whatever sort of value it is.

local cjson = require "cjson"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public }
app:get("/log/{id}", { path = { id = model.int64() } }, function(req)
  demilune.log.warning("one", {
    id = req.path.id, none = demilune.null, part = 0.5, count = 4, nothing = 0 / 0, text = "x", is = false, list = { req.path.id },
  })
  demilune.log.warning("two", "a text")
  demilune.log.warning("three", { "first", "second", name = "third" })
  demilune.log.warning("four", req.path.id)
  demilune.log.warning("five", nil)
end)
return app
]]

describe("a line of the log", function()
  it("has all that an app gives it", function()
    local running = server.start(APP)
    running:request("GET", "/log/9223372036854775807")
    local _, log = running:stop()
    local found = {}
    for line in log:gmatch "[^\n]+" do
      local message = line:match '"message":"(%l+)"'
      if message and line:find('"warning"', 1, true) then found[message] = line end
    end
    assert.truthy(found.one:find('"id":9223372036854775807', 1, true), found.one)
    assert.truthy(found.one:find('"list":[9223372036854775807]', 1, true), found.one)
    local one, three = cjson.decode(found.one), cjson.decode(found.three)
    assert.same({ cjson.null, 0.5, 4, "x", false }, { one.none, one.part, one.count, one.text, one.is })
    assert.matches("nan", one.nothing)
    assert.equal("a text", cjson.decode(found.two).value)
    assert.same({ "first", "second", "third" }, { three["1"], three["2"], three.name })
    assert.truthy(found.four:find('"value":9223372036854775807', 1, true), found.four)
    assert.is_nil(cjson.decode(found.five).value)
  end)
end)
