-- SPDX-License-Identifier: MIT
-- The master and its workers: connections spread over them, what one loses no other notices, and limits count for all.

local http = require "spec.support.http"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds

local function app(body)
  return ([[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Workers", version = "1", guard = guard.public, limits = { handler_timeout = "1s" } }
app:get("/who", function(req) return req.id:sub(1, 8) end) -- a request's id begins with its worker's
app:get("/wait", { timeout = "20s" }, function() demilune.sleep("3s") return "waited" end)
%s
return app
]]):format(body or "")
end

local APP = app [[
local function spin() while true do end end
app:get("/stuck/{where}", function(req) if req.path.where == "handler" then spin() end return "no" end)
app:get("/told", { timeout = "4s" }, function()
  demilune.log.info "and now for ever"
  for _ = 1, 2 do demilune.sleep "10ms" end -- between them the line is written
  spin()
end)
app:post("/stuck", { body = { x = model.string { check = function() spin() end } } }, function() return "no" end)
app:get("/spawn", function() demilune.spawn(spin) return "spawned" end)
app:get("/limited", { limit = "5/minute" }, function() return "admitted" end)
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

  -- An open connection to each worker: { [pid's id prefix] = connection }.
  local function reach_all(count)
    local reached, found = {}, 0
    local deadline = os.time() + PATIENCE
    while found < count and os.time() < deadline do
      local connection = running:connect(PATIENCE)
      local response = connection:request("GET", "/who")
      if response and not reached[response.body] then
        reached[response.body], found = connection, found + 1
      else
        connection:close()
      end
    end
    assert.equal(count, found)
    return reached
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
    local open = reach_all(2)
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
    reach_all(2)
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
    server.wait_until(0.5, function() end)
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
    } do
      local stuck = running:connect(PATIENCE)
      stuck:send(case[1])
      assert.is_nil(stuck:receive())
      assert.truthy(running:log_line("was stuck for", case[2], "is replaced"), running:log())
      wait_for_workers(2)
      reach_all(2)
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
    local reached = reach_all(2)
    assert.equal("spawned", select(2, next(reached)):request("GET", "/spawn").body)
    local served = 0
    assert.truthy(server.wait_until(60, function()
      for id, connection in pairs(reached) do
        if connection.timeout ~= 0.2 then connection.timeout = 0.2 connection.tcp:settimeout(0.2) end
        local response = id ~= next(reached) and connection:request("GET", "/who")
        if response and response.body == id then served = served + 1 end
      end
      return running:log():find("was stuck for", 1, true)
    end), running:log())
    assert.is_true(served > 10)
    assert.truthy(running:log_line("was stuck for", "a function of the app"))
  end)

  it("count limits together: exactly as many are admitted as the limit says, also while workers die", function()
    for _, workers in ipairs { 2, 4 } do
      start(workers)
      local finish = running:besiege("--connections=64", "--seconds=2", "--path=/limited", "--each=20")
      local counts = finish()
      assert.same({ 5, 0 }, { counts.status[200], counts.failed })
      assert.equal(counts.answered - 5, counts.status[429])
      running:stop()
      start(workers)
      finish = running:besiege("--connections=64", "--seconds=3", "--path=/limited", "--each=20")
      for _ = 1, 10 do
        server.wait_until(0.2, function() end)
        local pids = running:workers()
        if pids[1] then os.execute("kill -9 " .. pids[math.random(#pids)]) end
      end
      counts = finish()
      -- One that was admitted may have lost its answer with its worker.
      assert.is_true(counts.status[200] <= 5 and counts.status[200] + counts.failed >= 5, tostring(counts.status[200]))
      assert.equal(0, counts.refused)
      assert.is_true(counts.status[429] > 100)
      running:stop()
    end
  end)

  it("that crash in a loop are tried again with pauses, and serve once they can", function()
    local source = app [[
local db = app:database("sqlite:crash.db")
local add = db:statement "INSERT INTO broken VALUES (:till)"
local till = db:statement "SELECT max(till) FROM broken"
app:on_start(function()
  if demilune.now() < (till:value() or 0) then error("broken on purpose") end
end)
app:get("/break", function() add:run { till = demilune.now() + 3 } return "broken" end)]]
    start(2, { ["app.lua"] = source, ["migrations/0001_broken.sql"] = "CREATE TABLE broken (till REAL);" })
    assert.equal("broken", running:request("GET", "/break").body)
    for _, pid in ipairs(running:workers()) do os.execute("kill -9 " .. pid) end
    assert.equal(200, running:request("GET", "/who").status) -- it waited in the queue
    wait_for_workers(2)
    assert.truthy(running:log():find("could not start: app.lua", 1, true), running:log())
    local tries = select(2, running:log():gsub("could not start", ""))
    assert.is_true(tries >= 2 and tries < 30, tries .. " tries\n" .. running:log())
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

describe("ending a server of several workers", function()
  local running
  before_each(function() running = server.start(APP, { workers = 3, flags = { "--access-log=off" } }) end)
  after_each(function() running:stop("KILL") end)

  local function wait_end() return server.wait_until(PATIENCE, function() return running:exit_status() end) end

  it("by SIGTERM loses no request of clients that keep their connections, and refuses new ones", function()
    local finish = running:besiege("--connections=64", "--seconds=3", "--path=/who")
    server.wait_until(0.7, function() end)
    running:signal("TERM")
    local counts = finish()
    assert.equal(0, wait_end(), running:log())
    assert.same({ 0, 0, 0, 0 }, { counts.cut, counts.reset, counts.late, counts.odd })
    assert.is_true(counts.answered > 100)
    assert.is_true(counts.refused > 0)
  end)

  it("by SIGINT to all of its processes, as a terminal sends it, or SIGTERM, as a service manager, is orderly", function()
    for _, signal in ipairs { "INT", "TERM" } do
      local busy = running:connect(PATIENCE)
      busy:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
      server.wait_until(0.3, function() end)
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
    server.wait_until(0.3, function() end)
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
