-- SPDX-License-Identifier: MIT
-- Handles of the core are native memory: an app that could end one, or pass one off as another, would be out of its world.

local owasp = require "tests.attack.support.owasp"

owasp.wall("an app reaches no handle of the core:", owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
local db = app:database("sqlite::memory:", { migrations = false })
local one = db:statement "SELECT 1 AS one"
local session = guard.session { secret = settings.JWT_SECRET, lifetime = "15m" }
-- Every name that leads to native code or to what is under it, asked of all that an app holds.
local NAMES = { "__gc", "__index", "__newindex", "__metatable", "handle", "transactions", "draft", "pool" }
app:get("/names", function(req)
  local found = demilune.array {}
  local function try(what, value)
    for _, name in ipairs(NAMES) do
      local ok, got = pcall(function() return value[name] end)
      if ok and (type(got) == "userdata" or name == "__gc" and got ~= nil) then found[#found + 1] = what .. "." .. name end
    end
  end
  try("db", db) try("statement", one) try("req", req) try("secret", settings.JWT_SECRET) try("sealer", session.sealer) try("keys", bearer.keys)
  return found
end)
app:post("/methods", { body = { text = model.secret { min_bytes = 1 } } }, function(req)
  local said = demilune.array {}
  for _, other in ipairs { req.body.text, session.sealer, bearer.keys, demilune.null, {}, "text", 5 } do
    for _, call in ipairs {
      function() return req.get_header(other, "host") end,
      function() return req.after_response(other, function() end) end,
      function() return req.release(other, function() end) end,
      function() return req.body.text.length(other == req.body.text and req or other) end,
      function() return session.sealer.seal(other == session.sealer and req or other, "a", "b") end,
      function() return bearer.keys.sign(other == bearer.keys and req or other, {}) end,
    } do
      local ok, problem = pcall(call)
      if ok then said[#said + 1] = "taken: " .. tostring(other) .. tostring(problem) end
    end
  end
  return said
end)
app:get("/alive", function() return one:value() end)
return app]], function(world)
  it("no name leads to one of a database's, nor to what frees one", function()
    local response = world:ask("GET", "/names")
    assert.equal(200, response.status, response.body)
    assert.equal("[]", response.body)
  end)

  it("no method takes another for its own", function()
    -- The secret's bytes are the client's: read as a request they would be pointers of its choice.
    local response = world:ask("POST", "/methods", nil, { text = ("A"):rep(512) })
    assert.equal(200, response.status, response.body)
    assert.equal("[]", response.body)
    assert.equal("1", world:ask("GET", "/alive").body)
    assert.equal(1, #world.running:workers())
  end)
end)
