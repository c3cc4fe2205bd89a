-- SPDX-License-Identifier: MIT
-- API7:2023 server side request forgery: an app has no way out but those that it declares, and a URL that a client sends is only text.

local owasp = require "tests.attack.support.owasp"

owasp.wall("an app reaches nowhere that it does not name:", owasp.HEAD .. [[
local app = demilune.app { title = "fetch", version = "1", guard = guard.public }
app:post("/hook", { body = { url = model.url() } }, function(req) return req.body.url end)
app:get("/way/{name}", { path = { name = model.string() } }, function(req)
  return { required = (pcall(require, req.path.name)), opened = (pcall(function() return io.open("/etc/passwd") end)),
    executed = (pcall(function() return os.execute("true") end)), loaded = (pcall(function() return package.loadlib("libc.so.6", "*") end)) }
end)
return app]], function(world)
  it("no module of the system's can be required, nor a file be opened", function()
    for _, name in ipairs { "socket", "socket.http", "ffi", "io", "os", "debug", "package", "jit", "luv", "ssl", "cjson", "lfs", "posix" } do
      local ways = world:ask("GET", "/way/" .. name).json
      assert.same({ required = false, opened = false, executed = false, loaded = false }, ways, name)
    end
  end)

  it("what looks like a URL and is none is refused, before anybody could fetch it", function()
    for _, url in ipairs { "file:///etc/passwd", "gopher://127.0.0.1/", "http://", "javascript:alert(1)", "//127.0.0.1", "http://a\\@b/",
      "http://a b/",
      "http://[::1", "http://127.0.0.1:99999/", "http://a#@b/\n", "http:///x" } do
      assert.equal(422, world:ask("POST", "/hook", nil, { url = url }).status, url)
    end
  end)
end)
