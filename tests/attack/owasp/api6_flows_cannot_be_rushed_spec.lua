-- SPDX-License-Identifier: MIT
-- API6:2023 unrestricted access to sensitive business flows: what one account may do, from wherever and however often.

local owasp = require "tests.attack.support.owasp"

owasp.wall("a flow cannot be rushed:", owasp.HEAD .. [[
local app = demilune.app { title = "tickets", version = "1", guard = bearer }
local sold = 0
app:post("/tickets", { limit = { { rate = "2/minute", by = "principal" }, "50/hour" }, status = 201 }, function()
  sold = sold + 1
  return { sold = sold }
end)
return app]], function(world)
  it("an account buys two, whatever it calls itself", function()
    for _ = 1, 2 do assert.equal(201, world:ask("POST", "/tickets", owasp.as("eve", "user")).status) end
    for _, roles in ipairs { {}, { "user" }, { "admin" } } do
      assert.equal(429, world:ask("POST", "/tickets", owasp.as("eve", unpack(roles))).status)
    end
    local headers = owasp.as("eve")
    headers["X-Forwarded-For"] = "192.0.2.9"
    assert.equal(429, world:ask("POST", "/tickets", headers).status)
    assert.equal(201, world:ask("POST", "/tickets", owasp.as("ada")).status)
  end)

  it("and all at once do not buy more", function()
    local connections, sent, bought = {}, owasp.as("mallory").Authorization, 0
    for index = 1, 20 do
      connections[index] = world.running:connect()
      connections[index]:send("POST /tickets HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAuthorization: " .. sent .. "\r\n\r\n")
    end
    for _, connection in ipairs(connections) do
      bought = bought + (connection:receive().status == 201 and 1 or 0)
      connection:close()
    end
    assert.equal(2, bought)
  end)
end)
