-- SPDX-License-Identifier: MIT
-- A handler that waits goes on when what it waits for is there: resumed by somebody else it would
-- leave a timer or a statement behind that wakes it out of a later wait, or after it is gone.

local cjson = require "cjson"
local owasp = require "tests.attack.support.owasp"

owasp.wall("nobody but what it waits for resumes a handler:", owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
local db = app:database("sqlite::memory:", { migrations = false })
local one = db:statement "SELECT 1 AS one"
local waiting, told
local function resume(co) told = { coroutine.resume(co) } end

app:get("/sleep", function()
  waiting = coroutine.running()
  demilune.spawn(function() resume(waiting) end)
  local ok, problem = pcall(demilune.sleep, "50ms")
  return { ok = ok, problem = problem, told = told }
end)
app:get("/statement", function()
  waiting, told = coroutine.running(), nil
  demilune.spawn(function() resume(waiting) end)
  local value = one:value()
  return { value = value, told = told and told[1] }
end)
app:get("/itself", function() return { coroutine.resume(coroutine.running()) } end)
app:get("/own", function()
  local made = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
  local _, first = coroutine.resume(made, 1)
  local _, second = coroutine.resume(made, 5)
  return { first, second, coroutine.status(made), (coroutine.resume(made)) }
end)
return app]], function(world)
  it("one that sleeps, or asks a database", function()
    local slept = world:ask("GET", "/sleep").json
    assert.is_true(slept.ok, cjson.encode(slept))
    assert.is_false(slept.told[1])
    assert.truthy(slept.told[2]:find("a handler's own coroutine cannot be resumed", 1, true), slept.told[2])
    for _ = 1, 20 do assert.same({ value = 1, told = false }, world:ask("GET", "/statement").json) end
  end)

  it("nor itself, while its own coroutines are its own", function()
    assert.is_false(world:ask("GET", "/itself").json[1])
    assert.same({ 2, 10, "dead", false }, world:ask("GET", "/own").json)
  end)
end)
