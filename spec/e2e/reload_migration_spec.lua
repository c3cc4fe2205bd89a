-- SPDX-License-Identifier: MIT
-- A reload that is given up after its minute while a migration runs: what is told is true, the migration is carried through beside the code from
-- before, and the next reload finds it done.

local clock = require "spec.support.clock"
local files = require "spec.support.files"
local front = require "spec.support.front"
local server = require "spec.support.server"

local PATIENCE = 120 -- seconds; the migration computes, and a sanitized program on a busy machine is slow

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local db = app:database "sqlite:notes.db"
local tables = db:statement "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE name IN ('notes', 'sums') ORDER BY name)"
app:get("/", function() return "%s " .. tables:value() end)
return app
]]

-- Some seconds of work.
local SLOW = [[
CREATE TABLE sums AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000000) SELECT sum(i) AS sum FROM n;
]]

describe("a reload that migrates", function()
  it("is given up after a minute, says what goes on, and leaves it whole", function()
    local world = server.make_folder()
    local app = server.write_app { ["app.lua"] = APP:format "one", ["migrations/0001_notes.sql"] = "CREATE TABLE notes (text TEXT NOT NULL);" }
    local time = clock.new(world)
    local running = server.start(app, { data = world .. "/data", env = time:environment() })
    assert.equal("one notes", running:request("GET", "/").body)
    files.write(app .. "/migrations/0002_sums.sql", SLOW)
    files.write(app .. "/app.lua", APP:format "two")
    local asked = io.popen(("%s reload %s 2>&1; echo status $?"):format(server.program, app))
    assert(server.wait_until(PATIENCE, function() -- it has the lock
      return front.run(("sqlite3 %s/data/notes.db 'BEGIN IMMEDIATE'"):format(world)) ~= 0
    end), running:log())
    time:set(0, 61)
    local told = asked:read("*a")
    asked:close()
    assert.truthy(told:find("not reloaded: a database was still being opened after a minute, where a migration may be under way", 1, true), told)
    assert.truthy(told:find("status 1", 1, true), told)
    assert.equal("one notes", running:request("GET", "/").body)
    local function applied() return select(2, running:log():gsub("migrations applied: 0002_sums.sql", "")) end
    assert(server.wait_until(PATIENCE, function() return applied() == 1 end), running:log())
    assert.equal("one notes,sums", running:request("GET", "/").body)
    assert.equal(0, (server.run { "reload", app }))
    assert.equal("two notes,sums", running:request("GET", "/").body)
    assert.equal(1, applied())
    assert.equal(0, (running:stop()))
    server.remove_folder(app)
    server.remove_folder(world)
  end)
end)
