-- SPDX-License-Identifier: MIT
-- The master and its workers: connections spread over them, what one loses no other notices, and limits count for all.

local clock = require "spec.support.clock"
local files = require "spec.support.files"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE = 30 -- seconds

local function app(body)
  return ([[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Workers", version = "1", guard = guard.public, limits = { handler_timeout = "1s" } }
app:get("/who", function(req) return req.id:sub(1, 8) end) -- a request's id begins with its worker's
app:get("/wait", { timeout = "20s" }, function() demilune.log.warning "waits" demilune.sleep("3s") return "waited" end)
%s
return app
]]):format(body or "")
end

local APP = app [[
local function spin() while true do end end
app:get("/stuck/{where}", function(req) if req.path.where == "handler" then spin() end return "no" end)
app:get("/told", { timeout = "10s" }, function()
  demilune.log.warning "and now for ever" -- which is written at once
  spin()
end)
app:post("/stuck", { body = { x = model.string { check = function() spin() end } } }, function() return "no" end)
local nowhere = { add = spin, find = spin, list = spin, finish = spin, finish_all = spin }
app:get("/asked", { guard = guard.api_key { store = nowhere, lifetime = "1d" } }, function() return "no" end)
app:get("/spawn", function() demilune.spawn(spin) return "spawned" end)
app:get("/limited", { limit = "5/minute" }, function() return "admitted" end)
]]

local SLOW = app [[
app:on_start(function() demilune.log.warning "starts slowly" demilune.sleep("2s") demilune.log.warning "has started" end)
]]

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

describe("workers", function()
  local running
  local function start(workers, source) running = server.start(source or APP, { workers = workers, flags = { "--access-log=off" } }) end
  after_each(function()
    if running then running:stop("KILL") end
    running = nil
  end)

  -- Waits until as many workers serve as there should be, `gone` not among them.
  local function wait_for_workers(count, gone)
    local workers = server.wait_until(PATIENCE, function()
      local pids = running:workers()
      return #pids == count and not set_of(pids)[gone] and pids
    end)
    assert.truthy(workers, running:log())
    return workers
  end

  it("are as many as were asked for, and share the connections evenly", function()
    start(4)
    assert.equal(4, #running:workers())
    local counts = running:besiege("--connections=32", "--requests=4000", "--each=1", "--seconds=60", "--path=/who", "--tally")()
    assert.same({ 4000, 0 }, { counts.answered, counts.failed })
    local found = 0
    for _, count in pairs(counts.body) do
      found = found + 1
      assert.is_true(count > 700 and count < 1300, tostring(count)) -- 1,000 each; the kernel spreads by hash: ten deviations and more
    end
    assert.equal(4, found)
  end)

  it("are replaced when they are killed, and the others never notice", function()
    start(2)
    local open = running:reach_workers(2)
    local before = running:workers()
    os.execute("kill -9 " .. before[1])
    wait_for_workers(2, before[1])
    assert.truthy(running:log_line("ended by signal 9", "is replaced"))
    local alive = 0
    for id, connection in pairs(open) do
      local response = connection:request("GET", "/who")
      if response then
        alive = alive + 1
        assert.equal(id, response.body)
      end
    end
    assert.equal(1, alive)
    running:reach_workers(2)
  end)

  it("are replaced, and waited for at the end, also where who started the server ignores the end of its children", function()
    running = server.start(APP, { workers = 2, through = "env --ignore-signal=CHLD" })
    local first = running:workers()[1]
    os.execute("kill -9 " .. first)
    wait_for_workers(2, first)
    assert.equal(0, (running:stop()))
  end)

  it("leave no connection behind: the next one takes what waits in a dead one's queue", function()
    start(1)
    local first = running:workers()[1]
    os.execute("kill -STOP " .. first)
    local waiting = {}
    for n = 1, 20 do
      waiting[n] = running:connect(PATIENCE)
      waiting[n]:send("GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    os.execute("kill -9 " .. first)
    for n = 1, 20 do assert.equal(200, waiting[n]:receive().status) end
  end)

  it("finish what they have when they are sent SIGTERM, and are replaced", function()
    start(2)
    local before = running:workers()
    local connections = {}
    for n = 1, 16 do
      connections[n] = running:connect(PATIENCE)
      connections[n]:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    assert.truthy(server.wait_until(PATIENCE, function() return select(2, running:log():gsub('"waits"', "")) == 16 end), running:log())
    os.execute("kill -TERM " .. before[1])
    for n = 1, 16 do assert.equal("waited", connections[n]:receive().body) end
    wait_for_workers(2, before[1])
    assert.equal(200, running:request("GET", "/who").status)
  end)

  it("that are stuck are replaced, and the log names the route", function()
    start(2)
    for _, case in ipairs {
      { "GET /stuck/handler HTTP/1.1\r\nHost: a\r\n\r\n", "GET /stuck/{where}" },
      { 'POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"x":"y"}', "POST /stuck" },
      { "GET /asked HTTP/1.1\r\nHost: a\r\nX-API-Key: 0123456789abcdef\r\n\r\n", "GET /asked" },
    } do
      local stuck = running:connect(PATIENCE)
      stuck:send(case[1])
      assert.is_nil(stuck:receive())
      assert.truthy(running:log_line("was stuck for", case[2], "is replaced"), running:log())
      wait_for_workers(2)
      running:reach_workers(2)
    end
  end)

  it("that only wait are not stuck", function()
    start(1)
    local worker = running:workers()[1]
    assert.equal("waited", running:request("GET", "/wait").body)
    assert.same({ worker }, running:workers())
    assert.is_nil(running:log():find("stuck", 1, true))
  end)

  it("stuck in a function that belongs to no request are replaced too, and meanwhile the others serve", function()
    start(2)
    local reached = running:reach_workers(2)
    local first, stuck = next(reached)
    local id, other = next(reached, first)
    assert.equal("spawned", stuck:request("GET", "/spawn").body)
    assert.truthy(server.wait_until(60, function()
      assert.equal(id, other:request("GET", "/who").body)
      return running:log():find("was stuck for", 1, true)
    end), running:log())
    assert.truthy(running:log_line("was stuck for", "a function of the app"))
  end)

  it("count limits together: exactly as many are admitted as the limit says, also while workers die", function()
    for _, workers in ipairs { 2, 4 } do
      start(workers)
      local counts = running:besiege("--connections=64", "--requests=2000", "--seconds=60", "--path=/limited", "--each=20")()
      assert.same({ 5, 0 }, { counts.status[200], counts.failed })
      assert.equal(counts.answered - 5, counts.status[429])
      running:stop()
      start(workers)
      local finish, hurry = running:besiege("--connections=64", "--seconds=60", "--path=/limited", "--each=20")
      for _ = 1, 10 do
        server.wait_until(0.2, function() end)
        local pids = running:workers()
        if pids[1] then os.execute("kill -9 " .. pids[math.random(#pids)]) end
      end
      wait_for_workers(workers)
      hurry()
      counts = finish()
      -- One that was admitted may have lost its answer with its worker.
      assert.is_true(counts.status[200] <= 5 and counts.status[200] + counts.failed >= 5, tostring(counts.status[200]))
      assert.equal(0, counts.refused)
      assert.is_true(counts.status[429] > 0)
      running:stop()
    end
  end)

  it("that crash in a loop are tried again with pauses, and serve once they can", function()
    local DATABASE = [[
local db = app:database("sqlite:crash.db", { migrations = %s })
local set, is_broken = db:statement "UPDATE state SET broken = :broken", db:statement "SELECT broken FROM state"
app:get("/%s", function() set:run { broken = %d } return "done" end)]]
    local source = app(DATABASE:format('"migrations"', "break", 1) .. [[
app:on_start(function() if is_broken:value() == 1 then error("broken on purpose") end end)]])
    start(2, { ["app.lua"] = source, ["migrations/0001_state.sql"] = "CREATE TABLE state (broken INTEGER); INSERT INTO state VALUES (0);" })
    local mender = server.start(app(DATABASE:format("false", "mend", 0)), { data = running.data }) -- on the same database
    assert.equal("done", running:request("GET", "/break").body)
    for _, pid in ipairs(running:workers()) do os.execute("kill -9 " .. pid) end
    local waiting = running:connect(PATIENCE)
    waiting:send("GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
    local began = socket.gettime()
    local function tries() return select(2, running:log():gsub("could not start: app.lua", "")) end
    assert.truthy(server.wait_until(PATIENCE, function() return tries() >= 8 end), running:log())
    assert.is_true(socket.gettime() - began > 0.5, running:log()) -- four of one worker have pauses of 0.1, 0.2 and 0.4 s between them
    assert.equal("done", mender:request("GET", "/mend").body)
    assert.equal(200, waiting:receive().status) -- it waited in the queue
    wait_for_workers(2)
    assert.equal(0, (mender:stop()))
  end)

  it("refuse a second server on their port, by name", function()
    start(2)
    local folder = server.write_app(APP)
    local status, _, err = server.run { "serve", folder, "--port=" .. running.port }
    assert.equal(1, status)
    assert.truthy(err:find("address already in use", 1, true), err)
    for _ = 1, 20 do assert.equal(200, running:request("GET", "/who").status) end
    server.remove_folder(folder)
  end)
end)

describe("a master that starts or stops", function()
  local ffi = require "ffi"
  ffi.cdef "int socket(int, int, int); int connect(int, const char *, unsigned); int close(int);"
  local sockets, running = {}, nil
  after_each(function()
    for _, fd in ipairs(sockets) do ffi.C.close(fd) end
    sockets = {}
    if running then running:stop("KILL") end
    running = nil
  end)

  -- Connects to the socket that `demilune reload` asks, and says nothing.
  local function visit(master)
    local AF_UNIX, SOCK_SEQPACKET = 1, 5
    local name = ("\1\0\0demilune.%s.%d"):format(io.popen("id -u"):read("*n"), master.pid)
    local fd = ffi.C.socket(AF_UNIX, SOCK_SEQPACKET, 0)
    assert.equal(0, ffi.C.connect(fd, name, #name))
    sockets[#sockets + 1] = fd
  end

  -- Hundredths of a second that it has used.
  local function ticks(master)
    local user, system = files.read("/proc/" .. master.pid .. "/stat"):match("%) %S+" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
    return user + system
  end

  it("sleeps, whoever comes to the socket of its reloads meanwhile, and is reloaded later", function()
    local before, at_end
    running = server.start(SLOW, { meanwhile = function(starting)
      if not before and starting:log():find("starts slowly", 1, true) then
        before = ticks(starting)
        visit(starting)
      elseif before and not at_end and starting:log():find("has started", 1, true) then
        at_end = ticks(starting)
      end
    end })
    at_end = at_end or ticks(running)
    assert.is_true(at_end - before < 50, at_end - before) -- of 200
    assert.equal(0, (server.run { "reload", running.app }))
    local busy = running:connect(PATIENCE)
    busy:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(running:log_line('"waits"'), running:log())
    visit(running)
    running:signal("TERM")
    assert.truthy(running:log_line "stopping: no new connections", running:log())
    before = ticks(running)
    assert.equal("waited", busy:receive().body)
    assert.is_true(ticks(running) - before < 75) -- of 300
  end)

  it("says that it ignores SIGHUP", function()
    local told
    running = server.start(SLOW, { meanwhile = function(starting)
      if told or not starting:log():find("starts slowly", 1, true) then return end
      starting:signal("HUP")
      told = true
    end })
    assert.truthy(running:log_line("SIGHUP came while the server starts, and is ignored", "send it again"), running:log())
  end)
end)

describe("a start that takes more than 90 seconds", function()
  local folder, time
  before_each(function()
    folder = server.make_folder()
    time = clock.new(folder)
  end)
  after_each(function() server.remove_folder(folder) end)

  local DATABASE = [[
local count = app:database("sqlite:slow.db"):statement "SELECT count(*) FROM numbers"
app:get("/rows", function() return tostring(count:value()) end)
]]
  local function files_of(body, migration) return { ["app.lua"] = app(DATABASE .. body), ["migrations/0001_numbers.sql"] = migration } end

  -- Starts it, and lets 100 seconds pass as soon as `ready`.
  local function start(source, ready)
    return pcall(server.start, source, { data = folder, env = time:environment(), meanwhile = function(starting)
      if ready(starting) then time:set(0, 100) end
    end })
  end

  it("is waited for while a database migrates", function()
    local started, running = start(files_of("", [[
CREATE TABLE numbers AS WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n LIMIT 6000000)
SELECT number FROM n WHERE number % 1000000 = 0;]]), function() return files.read(folder .. "/slow.db-wal") end)
    assert.is_true(started, running)
    assert.equal("6", running:request("GET", "/rows").body)
    assert.equal(0, (running:stop()))
  end)

  for name, body in pairs { ["waits for ever"] = 'demilune.sleep("20m")', ["never comes back"] = "while true do end" } do
    it("is ended when a function of on_start " .. name .. ", also behind a migration, and is told why", function()
      local source = files_of(('app:on_start(function() demilune.log.warning "begins" %s end)'):format(body), "CREATE TABLE numbers (number);")
      local started, message = start(source, function(starting) return starting:log():find("begins", 1, true) end)
      assert.is_false(started)
      assert.truthy(message:find("demilune: the app did not come to serve within 90 s: its files, or a function of app:on_start", 1, true), message)
    end)
  end
end)

describe("ending a server of several workers", function()
  local running
  before_each(function() running = server.start(APP, { workers = 3, visible = true, flags = { "--access-log=off" } }) end)
  after_each(function() running:stop("KILL") end)

  local function wait_end() return server.wait_until(PATIENCE, function() return running:exit_status() end) end

  it("by SIGTERM loses no request of clients that keep their connections, and refuses new ones", function()
    local idle = running:holdings()
    local finish, hurry = running:besiege("--connections=64", "--seconds=60", "--path=/who")
    assert.truthy(server.wait_until(PATIENCE, function() return running:holdings() >= idle + 64 end))
    for _ = 1, 100 do assert.equal(200, running:request("GET", "/who").status) end
    running:signal("TERM")
    assert.equal(0, wait_end(), running:log())
    hurry()
    local counts = finish()
    assert.same({ 0, 0, 0, 0 }, { counts.cut, counts.reset, counts.late, counts.odd })
    assert.is_true(counts.answered >= 64)
    assert.is_true(counts.refused > 0)
  end)

  it("by SIGTERM while it starts is in order, and it never says that it listens", function()
    local told
    local started, message = pcall(server.start, SLOW, { meanwhile = function(starting)
      if told or not starting:log():find("starts slowly", 1, true) then return end
      starting:signal("TERM")
      told = true
    end })
    assert.is_false(started)
    assert.truthy(message:find("the server did not start (status 0)", 1, true) and message:find("has started", 1, true), message)
    assert.is_nil(message:find("listening on", 1, true))
  end)

  it("by SIGINT to all of its processes, as a terminal sends it, or SIGTERM, as a service manager, is orderly", function()
    for _, signal in ipairs { "INT", "TERM" } do
      local busy = running:connect(PATIENCE)
      busy:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.truthy(running:log_line('"waits"'), running:log())
      os.execute(("kill -%s %d %s"):format(signal, running.pid, table.concat(running:workers(), " ")))
      assert.equal("waited", busy:receive().body)
      assert.equal(0, wait_end(), running:log())
      running:stop()
      running = server.start(APP, { workers = 3, flags = { "--access-log=off" } })
    end
  end)

  it("by killing its master lets workers finish and end, and frees the port", function()
    local busy = running:connect(PATIENCE)
    busy:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(running:log_line('"waits"'), running:log())
    local workers = running:workers()
    os.execute("kill -9 " .. running.pid)
    assert.equal("waited", busy:receive().body)
    for _, pid in ipairs(workers) do assert.truthy(server.wait_until(PATIENCE, function() return not server.runs(pid) end)) end
    assert.is_false((pcall(http.connect, running.port)))
  end)

  it("by killing its master ends a worker that is stuck in Lua, too", function()
    local workers = running:workers()
    local stuck = running:connect(PATIENCE)
    stuck:send("GET /told HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(running:log_line "and now for ever", running:log())
    os.execute("kill -9 " .. running.pid)
    assert.is_nil(running:log():find("was stuck", 1, true))
    for _, pid in ipairs(workers) do assert.truthy(server.wait_until(PATIENCE, function() return not server.runs(pid) end)) end
    assert.is_false((pcall(http.connect, running.port)))
  end)
end)

describe("a worker that serves the documentation", function()
  local DOCUMENTED = [[
local demilune = require "demilune"
local app = demilune.app { title = "Shown", version = "1", guard = demilune.guard.public, docs = true }
app:get("/who", function(req) return req.id:sub(1, 8) end)
return app]]

  it("says of it what every other one says, so that who has it need not load it again", function()
    local running = server.start(DOCUMENTED, { workers = 2 })
    local tag
    for _, connection in pairs(running:reach_workers(2)) do
      tag = tag or connection:request("GET", "/openapi.json").headers.etag
      assert.equal(304, connection:request("GET", "/openapi.json", { headers = { ["If-None-Match"] = tag } }).status)
      connection:close()
    end
    assert.equal(0, (running:stop()))
  end)

  it("is not taken for one that is stuck, whenever its master looks", function()
    local running = server.start(DOCUMENTED, { workers = 1, flags = { "--access-log=off" } })
    local workers, connection, began = running:workers(), running:connect(PATIENCE), socket.gettime()
    repeat
      connection:send(("GET /docs/swagger-ui.css HTTP/1.1\r\nHost: a\r\n\r\n"):rep(20))
      for _ = 1, 20 do assert.equal(200, connection:receive().status) end
    until socket.gettime() - began > 3
    connection:close()
    assert.same(workers, running:workers())
    assert.equal(0, (running:stop()))
  end)
end)
