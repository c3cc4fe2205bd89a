-- SPDX-License-Identifier: MIT
-- What demilune.spawn runs when its app is loaded anew or stops: it is left where it stands, and says nothing about it.

local files = require "spec.support.files"
local server = require "spec.support.server"

local APP = {
  ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local db = app:database "sqlite:spawned.db"
local add = db:statement "INSERT INTO pairs (half) VALUES (:half)"
local halves = db:statement "SELECT count(*) FROM pairs WHERE half = :half"
local lonely = db:statement "SELECT count(*) FILTER (WHERE half = 1) - count(*) FILTER (WHERE half = 2) FROM pairs"
local function forever(what, pause, fn)
  demilune.spawn(function()
    while true do
      local ok, problem = pcall(fn)
      if not ok then demilune.log.error(what .. " failed", { problem = type(problem) == "table" and problem.message or tostring(problem) }) end
      if pause then demilune.sleep(pause) end
    end
  end)
end
local function pair()
  db:transaction(function()
    add:run { half = 1 }
    demilune.sleep "3ms"
    add:run { half = 2 }
  end)
end
app:on_start(function()
  forever("a job", "2ms", function() halves:value { half = 1 } end)
  forever("a job without a pause", nil, function() halves:value { half = 2 } end)
  forever("a job that writes", "1ms", pair)
  demilune.spawn(function() while true do halves:value { half = 3 } end end)
end)
app:on_stop(function() halves:value { half = 1 } demilune.sleep "20ms" end)
app:get("/pairs", function() return { halves:value { half = 1 } > 0, lonely:value() } end)
return app
]],
  ["migrations/0001_pairs.sql"] = "CREATE TABLE pairs (half INTEGER NOT NULL);\n",
}

describe("a spawned function that goes on for ever", function()
  it("is left where it stands by a reload and by the end, and what it wrote is whole", function()
    local folder, data = server.write_app(APP), server.make_folder()
    local running = server.start(folder, { workers = 2, data = data, flags = { "--access-log=off" } })
    local function writes_whole_pairs()
      return server.wait_until(30, function() return running:request("GET", "/pairs").body == "[true,0]" end)
    end
    for round = 1, 4 do
      files.write(folder .. "/app.lua", APP["app.lua"] .. ("-- %d\n"):format(round))
      local status, said = server.run { "reload", folder, "--pid=" .. running.pid }
      assert.equal(0, status, said)
      assert.is_true(writes_whole_pairs())
    end
    local status, log = running:stop()
    assert.equal(0, status, log)
    for _, words in ipairs { "failed", "stopped", '"level":"error"' } do assert.is_nil(log:find(words, 1, true), log:sub(1, 4000)) end
    running = server.start(folder, { data = data })
    assert.is_true(writes_whole_pairs())
    assert.equal(0, (running:stop()))
    server.remove_folder(folder)
    server.remove_folder(data)
  end)

  it("begins no transaction in a database that has closed, while another one is still closing", function()
    local running = server.start([[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local slow, closed = app:database("sqlite:slow.db", { statement_ms = 1500 }), app:database "sqlite:closed.db"
local count = slow:statement "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
local one = closed:statement "SELECT 1"
app:on_stop(function() demilune.spawn(function() pcall(count.value, count) end) demilune.sleep "50ms" end)
app:on_start(function()
  demilune.spawn(function()
    while true do
      demilune.sleep "10ms"
      closed:transaction(function() demilune.log.warning "inside" end)
    end
  end)
  demilune.spawn(function()
    for _ = 1, 100 do
      demilune.sleep "10ms"
      local _, problem = coroutine.wrap(function() return pcall(one.value, one) end)() -- which cannot be left where it stands
      demilune.log.warning("told", { problem = type(problem) == "table" and problem.status or type(problem) })
    end
  end)
end)
app:get("/", function() return 1 end)
return app
]])
    assert.equal(200, running:request("GET", "/").status)
    local status, log = running:stop()
    assert.equal(0, status, log)
    local begun = select(2, log:gsub('"inside"', ""))
    assert.truthy(log:find('"problem":503', 1, true), log)
    assert.is_nil(log:find('"problem":"nil"', 1, true), log)
    assert.is_true(begun < 60, begun .. " transactions") -- the other database closes after 150 times such a pause
  end)
end)
