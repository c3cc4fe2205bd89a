-- SPDX-License-Identifier: MIT
-- A database's file that is deleted or put in another's place while the server runs: who takes another worker's place begins no empty one and serves
-- no other, says so, and the service is not ready until somebody has put it right.

local files = require "spec.support.files"
local http = require "spec.support.http"
local server = require "spec.support.server"

local PATIENCE = 40 -- seconds; a worker that cannot start is tried again every ten

local APP = {
  ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local db = app:database "sqlite:notes.db"
local add = db:statement "INSERT INTO notes (text) VALUES (:text)"
local count = db:statement "SELECT count(*) FROM notes"
app:post("/notes", { body = { text = demilune.model.string() }, status = 204 }, function(req) add:run(req.body) end)
app:get("/count", function() return count:value() end)
app:get("/who", function(req) return req.id:sub(1, 8) end)
return app
]],
  ["migrations/0001_notes.sql"] = "CREATE TABLE notes (text TEXT NOT NULL);",
}

describe("a database's file that is gone", function()
  local world, app, running, file
  before_each(function()
    world, app = server.make_folder(), server.write_app(APP)
    assert(os.execute("mkdir " .. world .. "/data") == 0)
    file = world .. "/data/notes.db"
  end)
  after_each(function()
    if running then running:stop("KILL") end
    running = nil
    server.remove_folder(app)
    server.remove_folder(world)
  end)

  local function shell(format, ...) assert.equal(0, os.execute(format:format(...))) end
  local function start(workers, command)
    running = server.start(app, { workers = workers, command = command, data = world .. "/data", flags = { "--admin=unix:" .. world .. "/admin" } })
  end
  local function write(times)
    for _ = 1, times do
      assert.equal(204, running:request("POST", "/notes", { headers = { ["Content-Type"] = "application/json" }, body = '{"text":"kept"}' }).status)
    end
  end
  local function readiness()
    local visit = http.connect_unix(world .. "/admin")
    local response = assert(visit:request("GET", "/readyz"))
    visit:close()
    return response.body
  end
  local function await_readiness(text)
    local seen
    assert(server.wait_until(PATIENCE, function()
      seen = readiness()
      return seen:find(text, 1, true)
    end), seen)
  end
  local function counts()
    for _, connection in pairs(running:reach_workers(2)) do
      assert.equal("3", connection:request("GET", "/count").body)
      connection:close()
    end
  end
  local function kill_one() shell("kill -KILL %d", running:workers()[1]) end

  it("is not begun anew by who takes a worker's place, and found again when it is put back", function()
    start(2)
    write(3)
    shell("mkdir %s/away && mv %s* %s/away", world, file, world)
    kill_one()
    assert(running:log_line("could not start: the database's file " .. file .. " is gone", "put that one back", "demilune reload"), running:log())
    await_readiness "a database's file is not the one that the server started with"
    assert.is_nil(files.read(file))
    shell("mv %s/away/* %s/data", world, world)
    await_readiness '"ready":true'
    counts()
    assert.equal(0, (running:stop()))
  end)

  it("is not taken for a copy in its place until a reload changes all workers to that", function()
    start(2)
    write(3)
    shell("sqlite3 %s \"VACUUM INTO '%s/copy.db'\"", file, world)
    write(1)
    shell("mkdir %s/away && mv %s* %s/away && cp %s/copy.db %s", world, file, world, world, file)
    kill_one()
    assert(running:log_line("could not start: the database's file " .. file .. " is another one by now"), running:log())
    await_readiness "a database's file is not the one that the server started with"
    local status, out, err = server.run { "reload", app }
    assert.equal(0, status, out .. err)
    await_readiness '"ready":true'
    counts()
    local old = running:workers()[1]
    kill_one() -- who takes its place has the copy as well
    assert(server.wait_until(PATIENCE, function()
      local now = running:workers()
      return #now == 2 and now[1] ~= old and now[2] ~= old
    end))
    counts()
    assert.equal(0, (running:stop()))
  end)

  it("makes the service not ready while no worker ends and nobody asks, until it is put back", function()
    start(2)
    write(3)
    await_readiness '"ready":true'
    shell("mkdir %s/away && mv %s* %s/away", world, file, world)
    await_readiness "a database's file is not the one that the server started with"
    shell("mv %s/away/* %s/data", world, world)
    await_readiness '"ready":true'
    counts()
    assert.equal(0, (running:stop()))
  end)

  it("is not begun anew by a reload either, but in dev", function()
    start(1)
    write(3)
    shell("mkdir %s/away && mv %s* %s/away", world, file, world)
    local status, _, err = server.run { "reload", app }
    assert.equal(1, status)
    assert.truthy(err:find("not reloaded: the database's file " .. file .. " is gone, and no reload or new program", 1, true), err)
    assert.is_nil(files.read(file))
    shell("mv %s/away/* %s/data", world, world)
    assert.equal("3", running:request("GET", "/count").body)
    assert.equal(0, (server.run { "reload", app }))
    assert.equal("3", running:request("GET", "/count").body)
    assert.equal(0, (running:stop()))
    start(1, "dev")
    shell("rm %s*", file)
    assert.equal(0, (server.run { "reload", app }))
    assert.equal("0", running:request("GET", "/count").body)
    assert.equal(0, (running:stop()))
  end)

  it("is not begun anew by a new program on the same sockets", function()
    start(1)
    write(3)
    shell("mkdir %s/away && mv %s* %s/away", world, file, world)
    running:signal "USR2"
    assert(running:log_line("the new program did not start; this one goes on"), running:log())
    assert.truthy(running:log():find("demilune: the database's file " .. file .. " is gone, and no reload or new program", 1, true), running:log())
    assert.is_nil(files.read(file))
    shell("mv %s/away/* %s/data", world, world)
    assert.equal("3", running:request("GET", "/count").body)
    assert.equal(0, (running:stop()))
  end)

  it("fails a reload that opened what another one then took the place of, since workers might have two", function()
    start(2)
    write(3)
    shell("sqlite3 %s \"VACUUM INTO '%s/copy.db'\"", file, world)
    local gate = world .. "/data/gate.db"
    local text = files.read(app .. "/app.lua")
    files.write(app .. "/app.lua", (text:gsub("return app\n$", [[
local gate = app:database("sqlite:gate.db", { migrations = false })
local is_open = gate:statement "SELECT count(*) FROM sqlite_schema"
app:on_start(function()
  demilune.log.info "at the gate"
  while is_open:value() == 0 do demilune.sleep "20ms" end
end)
return app
]])))
    shell("%s reload %s >%s/out 2>&1 &", server.program, app, world)
    assert(server.wait_until(PATIENCE, function() return select(2, running:log():gsub("at the gate", "")) == 2 end), running:log())
    shell("mkdir %s/away && mv %s* %s/away && cp %s/copy.db %s", world, file, world, world, file)
    shell("sqlite3 %s 'CREATE TABLE open (id INTEGER)'", gate)
    local said
    assert(server.wait_until(PATIENCE, function()
      said = files.read(world .. "/out") or ""
      return said:find("\n", 1, true)
    end), running:log())
    assert.truthy(said:find("file " .. file .. " was moved, deleted or replaced while the workers opened it: reload again", 1, true), said)
    assert.equal(0, (server.run { "reload", app }))
    await_readiness '"ready":true'
    counts()
    assert.equal(0, (running:stop()))
  end)

  it("is noticed of 64 databases, and the log says once that there are more", function()
    local text = files.read(app .. "/app.lua")
    files.write(app .. "/app.lua", (text:gsub("return app\n$",
      'for i = 1, 64 do app:database("sqlite:" .. i .. ".db", { migrations = false, readers = 1 }) end\nreturn app\n')))
    start(2)
    assert.equal(0, (server.run { "reload", app }))
    local status, log = running:stop()
    assert.same({ 0, 1 }, { status, select(2, log:gsub("more than 64 databases are open", "")) }, log)
  end)

  it("is begun at a first start, and by a reload that brings the database", function()
    start(2)
    local text = files.read(app .. "/app.lua")
    files.write(app .. "/app.lua", (text:gsub('return app\n$', 'app:database("sqlite:second.db", { migrations = false })\nreturn app\n')))
    local status, out, err = server.run { "reload", app }
    assert.equal(0, status, out .. err)
    assert.truthy(files.read(world .. "/data/second.db"))
    write(3)
    counts()
    assert.equal(0, (running:stop()))
  end)
end)
