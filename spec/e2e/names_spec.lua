-- SPDX-License-Identifier: MIT
-- What a handler asks of its request by the names of other frameworks.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/of-others/{name}", function(req) return { value = req[req.path.name] } end)
return app
]]

describe("a request", function()
  it("says what others call by another name, and gives nil for what nobody has set", function()
    local running = server.start(APP)
    for name, instead in pairs { headers = "req.header.name", params = "req.path.name", json = "req.body", cookies = "req.cookie.name" } do
      assert.equal(500, running:request("GET", "/of-others/" .. name).status)
      assert.truthy(running:log_line(("there is no req.%s; write %s"):format(name, instead), '"source":"app.lua:'))
    end
    assert.equal("{}", running:request("GET", "/of-others/mine").body)
    assert.equal(0, (running:stop()))
  end)
end)
