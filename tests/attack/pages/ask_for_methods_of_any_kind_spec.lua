-- SPDX-License-Identifier: MIT
-- A preflight names the method that its page wants to use (Fetch Standard 4.8, CORS-preflight fetch). Who is no browser writes there what they like,
-- and the core looks for the route that such a request would reach.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "Pages", version = "1", docs = true, guard = demilune.guard.public,
  cors = { origins = { "https://front.example" }, methods = { "GET", "POST" } } }
local closed = demilune.router { prefix = "/closed", cors = false }
local own = demilune.router { prefix = "/own", cors = { origins = { "*" } } }
closed:get("/read", function() return 1 end)
own:get("/read", function() return 1 end)
app:mount(closed)
app:mount(own)
app:get("/", function() return 1 end)
app:get("/read", function() return 1 end)
app:post("/read", function() return 1 end)
app:get("/items/{id}", function() return 1 end)
app:get("/files/{rest:path}", function() return 1 end)
return app]]

local METHODS = { "TRACE", "CONNECT", "PROPFIND", "get", "GE", "GETS", "*", "\195\169", ("x"):rep(2000), "GET, POST", "OPTIONS" }
local PATHS = { "/", "/read", "/items/1", "/files/a/b", "/closed/read", "/own/read", "/docs", "/openapi.json", "/nothing", "/items/" }

describe("a preflight that asks for a method of any kind", function()
  it("is refused, or told nothing, and the worker that answers goes on", function()
    local running = server.start(APP)
    local connection = running:connect(10)
    for _, path in ipairs(PATHS) do
      for _, method in ipairs(METHODS) do
        for _, origin in ipairs { "https://front.example", "https://evil.example" } do
          local response = connection:request("OPTIONS", path, { headers = { Origin = origin, ["Access-Control-Request-Method"] = method } })
          assert.truthy(response, method .. " " .. path)
          assert.truthy(response.status == 403 or response.status == 204 or response.status == 404, path .. " " .. response.status)
          assert.is_nil(response.headers["access-control-allow-methods"])
        end
      end
    end
    connection:close()
    assert.equal(200, running:request("GET", "/read").status)
    local status, log = running:stop()
    assert.equal(0, status)
    assert.is_nil(log:find("is replaced", 1, true), log)
  end)
end)
