-- SPDX-License-Identifier: MIT
-- math.random is no source of secrets, and yet somebody makes a code with it: CWE-335. LuaJIT's own seed is a constant.

local owasp = require "tests.attack.support.owasp"
local server = require "spec.support.server"

local APP = owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
local at_load = math.random(2 ^ 31)
app:get("/numbers", function() return { at_load, math.random(2 ^ 31), math.random(2 ^ 31) } end)
return app]]

describe("math.random", function()
  it("begins elsewhere in every process", function()
    local seen = {}
    for _ = 1, 3 do
      local running = server.start(APP, { env = { JWT_SECRET = ("0123456789abcdeffedcba9876543210-x7") } })
      local body = running:request("GET", "/numbers").body
      running:stop()
      assert.truthy(body:find("^%[%d+,%d+,%d+%]$"), body)
      assert.is_nil(seen[body], body)
      seen[body] = true
    end
  end)
end)
