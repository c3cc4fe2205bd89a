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

owasp.wall("a handler cannot let a page of another origin read:", owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
app:get("/", function(req)
  return demilune.response { body = "secret", headers = { ["access-Control-Allow-Origin"] = req:get_header("Origin") } }
end)
return app]], function(world)
  it("whatever it writes: cors is where origins are named", function()
    local response = world:ask("GET", "/", { Origin = "https://evil.example" })
    assert.equal(500, response.status)
    assert.is_nil(response.headers["access-control-allow-origin"])
    assert.truthy(world.running:log_line("for the origins that cors names"))
  end)
end)

describe("what would be unsafe", function()
  -- A second Content-Length or a Transfer-Encoding makes two responses of one for whoever stands between.
  for _, name in ipairs { "Content-Length", "Transfer-Encoding", "transfer-encoding", "Connection", "Keep-Alive", "Date", "Trailer", "Upgrade",
    "Content-Type", "Access-Control-Allow-Origin", "access-control-allow-credentials" } do
    it("does not load: declaring the field " .. name, function()
      for _, text in ipairs {
        'local app = demilune.app { guard = guard.public }\napp:get("/", { headers = { ["%s"] = "1" } }, function() return 1 end)\nreturn app',
        'local app = demilune.app { guard = guard.public, headers = { ["%s"] = "1" } }\napp:get("/", function() return 1 end)\nreturn app',
      } do
        local why = owasp.refusal(owasp.HEAD .. text:format(name))
        assert.truthy(why and why:find("the header field " .. name .. " is not for headers", 1, true), why)
      end
    end)
  end

  for name, case in pairs {
    ["credentials for every origin"] = {
      'cors = { origins = { "*" }, credentials = true }', 'with origins = { "*" } and credentials, every page of the web' },
    ["an origin that is none"] = { 'cors = { origins = { "evil" } }', 'the origin "evil" has no scheme' },
    ["an option that is mistyped"] = { "gaurd = guard.public", 'there is no option "gaurd"; did you mean guard?' },
  } do
    it("does not load: " .. name, function()
      local text = "local app = demilune.app { guard = guard.public, %s }\napp:get('/', function() return 1 end)\nreturn app"
      local why = owasp.refusal(owasp.HEAD .. text:format(case[1]))
      assert.truthy(why and why:find(case[2], 1, true), why)
    end)
  end
end)
