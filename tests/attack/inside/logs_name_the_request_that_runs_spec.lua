-- SPDX-License-Identifier: MIT
-- A coroutine that an app keeps from one request to another belongs to whoever resumes it: its log lines
-- named the request that made it, or one that came after on the same task, or memory of one that was over.

local owasp = require "tests.attack.support.owasp"

owasp.wall("a log line names the request that runs:", owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
local kept, released
app:get("/make", function(req)
  kept = coroutine.create(function() while true do demilune.log.info("from the kept one") coroutine.yield() end end)
  return req.id
end)
app:get("/wait", function(req) demilune.log.info("waits") while not released do demilune.sleep("5ms") end return req.id end)
app:get("/resume", function(req) coroutine.resume(kept) return req.id end)
app:post("/outside", function() released = true demilune.spawn(function() coroutine.resume(kept) demilune.log.info("spawned") end) end)
return app]], function(world)
  it("whoever made the coroutine, and whoever has its task now", function()
    world:ask("GET", "/make")
    local waits = world.running:connect() -- on the task on which the coroutine was made
    waits:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(world.running:log_line("waits"))
    local id = world:ask("GET", "/resume").body
    local line = assert(world.running:log_line("from the kept one"))
    assert.truthy(line:find(('"request_id":"%s"'):format(id), 1, true), line .. id)
    waits:close()
  end)

  it("and none where none runs", function()
    world:ask("GET", "/make")
    assert.equal(200, world:ask("POST", "/outside").status)
    assert.truthy(world.running:log_line("spawned"))
    local last
    for line in world.running:log():gmatch("[^\n]+") do
      if line:find("from the kept one", 1, true) then last = line end
    end
    assert.is_nil(last:find("request_id", 1, true), last)
  end)
end)
