-- SPDX-License-Identifier: MIT
-- load() with anything but a table for the chunk's globals would leave it the real ones: io, debug, ffi.

local owasp = require "tests.attack.support.owasp"

owasp.wall("what an app loads lives in the app's world:", owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
local TEXT = "return rawget(_G, 'io') or rawget(_G, 'debug') or rawget(_G, 'package')"
app:get("/load", function(req)
  local out = demilune.array {}
  local worlds = { 1, true, "text", function() end, coroutine.create(function() end), req, demilune.null, 5LL, settings.JWT_SECRET }
  for _, load_it in ipairs { load, loadstring } do
    for index = 1, 9 do
      local ok, chunk = pcall(load_it, TEXT, "name", "t", worlds[index])
      if ok and chunk then out[#out + 1] = tostring(worlds[index]) .. " gave " .. tostring(chunk()) end
    end
  end
  return out
end)
app:get("/own", function()
  local chunk = load("value = 7 return value, io", "name", "t", {})
  local value, reached = chunk()
  return { value = value, reached = reached, plain = load("return 1 + 1")(), none = load("return 3", "name", "t", nil)() }
end)
return app]], function(world)
  it("globals that are no table are refused", function()
    local response = world:ask("GET", "/load")
    assert.equal(200, response.status, response.body)
    assert.equal("[]", response.body)
  end)

  it("a table of its own is what it sees, and all that it sees", function()
    assert.same({ value = 7, plain = 2, none = 3 }, world:ask("GET", "/own").json)
  end)
end)
