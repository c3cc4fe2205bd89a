-- SPDX-License-Identifier: MIT
-- API8:2023 security misconfiguration.

local owasp = require "tests.attack.support.owasp"

owasp.wall("an app as it is started tells nothing and lets nobody in:", owasp.HEAD .. [[
local app = demilune.app { title = "plain", version = "1", guard = guard.public }
app:get("/", function() return { ok = true } end)
app:get("/mine", { guard = bearer }, function() return { ok = true } end)
app:get("/broken", function() error("the password is hunter2") end)
return app]], function(world)
  it("no trace of a failure, no version, no documentation", function()
    local broken = world:ask("GET", "/broken")
    assert.equal(500, broken.status)
    assert.equal("Internal server error", broken.json.detail)
    for _, word in ipairs { "hunter2", "app.lua", "traceback", "Lua" } do assert.is_nil(broken.body:find(word, 1, true)) end
    for _, path in ipairs { "/docs", "/openapi.json", "/redoc", "/metrics", "/.env", "/.git/config", "/app.lua", "/debug", "/livez" } do
      assert.equal(404, world:ask("GET", path).status, path)
    end
    for _, name in ipairs { "server", "x-powered-by", "via" } do assert.is_nil(world:ask("GET", "/").headers[name]) end
  end)

  it("the fields that keep browsers from guessing, on every answer", function()
    for _, path in ipairs { "/", "/mine", "/broken", "/nothing" } do
      local headers = world:ask("GET", path).headers
      assert.equal("nosniff", headers["x-content-type-options"], path)
      assert.equal("no-referrer", headers["referrer-policy"], path)
      assert.truthy(headers["content-security-policy"]:find("default-src 'none'", 1, true), path)
    end
    assert.equal("no-store", world:ask("GET", "/mine", owasp.as("ada")).headers["cache-control"])
  end)

  it("no origin but the app's own", function()
    for _, origin in ipairs { "https://evil.example", "null", "http://localhost", "https://127.0.0.1" } do
      local headers = world:ask("GET", "/", { Origin = origin }).headers
      assert.is_nil(headers["access-control-allow-origin"], origin)
      assert.is_nil(headers["access-control-allow-credentials"], origin)
    end
  end)

  it("no method that nobody declared", function()
    for _, method in ipairs { "TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND" } do assert.equal(501, world:ask(method, "/").status, method) end
  end)
end)

describe("what would be unsafe", function()
  for name, options in pairs {
    ["credentials for every origin"] = 'cors = { origins = { "*" }, credentials = true }',
    ["an origin that is none"] = 'cors = { origins = { "evil" } }',
    ["an option that is mistyped"] = 'gaurd = guard.public',
  } do
    it("does not load: " .. name, function()
      assert.truthy(owasp.refusal(owasp.HEAD .. "local app = demilune.app { guard = guard.public, " .. options .. " }\nreturn app"))
    end)
  end
end)
