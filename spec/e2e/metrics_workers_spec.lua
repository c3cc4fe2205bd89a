-- SPDX-License-Identifier: MIT
-- What is counted when several workers serve, die, are replaced and reloaded; and that the admin listener outlives them all.

local files = require "spec.support.files"
local http = require "spec.support.http"
local redis = require "spec.support.redis"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local REQUESTS = "demilune_http_requests_total"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "Many", version = "1", guard = demilune.guard.public }
app:get("/", function() return "root" end)
app:get("/who", function(req) return req.id:sub(1, 8) end)
app:get("/stuck", { timeout = "5m" }, function()
  demilune.log.warning "and now for ever" -- which is written at once
  while true do end
end)
return app
]]

local running

after_each(function()
  if running then
    for _, pid in ipairs(select(2, server.processes(running.app))) do os.execute("kill -KILL " .. pid) end -- a new program's too
    running:stop("KILL")
  end
  running = nil
  redis.remove_all()
end)

local function start(options)
  options.flags = { "--admin=0", unpack(options.flags or {}) }
  running = server.start(APP, options)
end

local function metrics_when(fits) return running:metrics_when(fits) end

local function ask(times)
  for _ = 1, times do assert.are.equal(200, running:request("GET", "/").status) end
end

describe("several workers", function()
  it("are added up, and keep their numbers when they are killed and replaced", function()
    start { workers = 3 }
    local asked = 0
    for round = 1, 3 do
      ask(60)
      asked = asked + 60
      local page = metrics_when(function(page) return page:sum(REQUESTS) == asked end)
      assert.are.equal(asked, page:sum(REQUESTS, { route = "/", status = "200" }))
      assert.are.same({ "0", "1", "2" }, page:label_values("demilune_generations", "worker"))
      os.execute("kill -KILL " .. running:workers()[1])
      page = metrics_when(function(later) return later:sum "demilune_workers_replaced_total" == round end)
      assert.are.equal(round, page:sum "demilune_workers_died_total")
      assert.are.equal(round, page:sum "demilune_workers_replaced_total")
      assert.are.equal(asked, page:sum(REQUESTS))
    end
  end)

  it("count a route in the same place before and after a reload, and reloads by their outcome", function()
    start { workers = 2 }
    ask(10)
    local source = running.app .. "/app.lua"
    for _ = 1, 3 do assert.are.equal(0, (server.run { "reload", running.app, "--pid=" .. running.pid })) end
    files.write(source, APP:gsub("return app", 'app:get("/new", function() return "new" end)\nreturn app'))
    assert.are.equal(0, (server.run { "reload", running.app, "--pid=" .. running.pid }))
    files.write(source, "this is no Lua")
    assert.are.equal(1, (server.run { "reload", running.app, "--pid=" .. running.pid }))
    ask(10)
    assert.are.equal(200, running:request("GET", "/new").status)
    local page = metrics_when(function(page) return page:sum(REQUESTS) == 21 and page:sum "demilune_generations" == 2 end)
    assert.are.equal(20, page:sum(REQUESTS, { route = "/" }))
    assert.are.equal(1, page:sum(REQUESTS, { route = "/new" }))
    assert.are.equal(4, page:sum("demilune_reloads_total", { outcome = "ok" }))
    assert.are.equal(1, page:sum("demilune_reloads_total", { outcome = "failed" }))
    assert.are.equal(2, page:sum "demilune_generations")
    assert.are.equal(0, page:sum "demilune_workers_died_total")
  end)
end)

describe("what a worker holds up", function()
  it("shows requests that wait for their handlers, and those that found no place", function()
    running = server.start([[
local demilune = require "demilune"
local app = demilune.app { title = "Narrow", version = "1", guard = demilune.guard.public, limits = { max_requests = 1, max_queue = 2 } }
app:get("/", function() demilune.sleep(20) return "late" end)
return app
]], { flags = { "--admin=0" } })
    local held = {}
    for i = 1, 5 do
      held[i] = running:connect()
      held[i]:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    local page = metrics_when(function(page)
      return page:sum "demilune_queue_refusals_total" == 2 and page:sum "demilune_http_requests_queued" == 2
    end)
    assert.are.equal(2, page:sum "demilune_queue_refusals_total")
    assert.are.equal(2, page:sum "demilune_http_requests_queued")
    assert.are.equal(3, page:sum "demilune_http_requests_in_flight")
    assert.are.equal(2, page:sum(REQUESTS, { status = "503" }))
    for _, connection in ipairs(held) do connection:close() end
  end)

  it("goes on counting what Redis was asked when a reload brings another connection to it", function()
    if not redis.is_installed() then pending "redis-server is not installed" return end
    local store = redis.new()
    running = server.start([[
local demilune = require "demilune"
local app = demilune.app { title = "Stored", version = "1", guard = demilune.guard.public, limit = "1000/hour" }
app:get("/", function() return "root" end)
return app
]], { flags = { "--admin=0", "--redis=" .. store.url } })
    local checks = "demilune_limit_store_checks_total"
    ask(5)
    metrics_when(function(page) return page:sum(checks, { result = "answered" }) == 5 end)
    assert.are.equal(0, (server.run { "reload", running.app, "--pid=" .. running.pid }))
    ask(7)
    local page = metrics_when(function(page) return page:sum(checks, { result = "answered" }) == 12 end)
    assert.are.equal(12, page:sum(checks, { result = "answered" }))
    assert.are.equal(2, page:sum "demilune_limit_store_connections_total")
    store:stop()
    ask(3)
    page = metrics_when(function(later) return later:sum(checks) == 15 end)
    assert.are.equal(15, page:sum(checks))
    assert.are.equal(12, page:sum(checks, { result = "answered" }))
  end)

  it("goes on counting what requests that a reload left behind ask of Redis", function()
    if not redis.is_installed() then pending "redis-server is not installed" return end
    local store = redis.new()
    running = server.start({ ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { title = "Held", version = "1", guard = demilune.guard.public }
local db = app:database "sqlite:held.db"
local add, count = db:statement "INSERT INTO released DEFAULT VALUES", db:statement "SELECT count(*) FROM released"
local held = app:dependency(function()
  while count:value() == 0 do demilune.sleep "10ms" end
  return "whoever"
end)
local limit = { rate = "1000/hour", by = function(_, need) return need.held end }
app:get("/held", { needs = { held = held }, limit = limit }, function() return "held" end)
app:post("/release", function() add:run {} return "released" end)
return app
]], ["migrations/0001_released.sql"] = "CREATE TABLE released (id INTEGER PRIMARY KEY);" }, { flags = { "--admin=0", "--redis=" .. store.url } })
    local left_behind = running:connect()
    left_behind:send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
    metrics_when(function(page) return page:sum "demilune_http_requests_in_flight" == 1 end)
    assert.are.equal(0, (server.run { "reload", running.app, "--pid=" .. running.pid }))
    assert.are.equal(200, running:request("POST", "/release").status)
    assert.are.equal(200, left_behind:receive().status)
    left_behind:close()
    local page = metrics_when(function(page)
      return page:sum "demilune_generations" == 1 and page:sum("demilune_limit_store_checks_total", { result = "answered" }) == 1
    end)
    assert.are.equal(1, page:sum("demilune_limit_store_checks_total", { result = "answered" }))
  end)
end)

describe("the admin process", function()
  it("answers while every worker is stuck in Lua", function()
    start { workers = 2 }
    local held = running:reach_workers(2)
    for _, connection in pairs(held) do connection:send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n") end
    assert(server.wait_until(PATIENCE, function() return select(2, running:log():gsub("and now for ever", "")) == 2 end), running:log())
    local waiting = running:connect()
    waiting:send("GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ = 1, 20 do
      assert.are.equal(200, running:admin("GET", "/livez").status)
      running:metrics()
    end
    assert.are.equal("", (waiting:read(0)))
    waiting:close()
    for _, connection in pairs(held) do connection:close() end
  end)

  it("is replaced when it ends, on the same port", function()
    start { workers = 1 }
    ask(3)
    for _ = 1, 2 do
      local before = running:children("demilune-admin")[1]
      os.execute("kill -KILL " .. before)
      assert(server.wait_until(PATIENCE, function() return (running:children("demilune-admin")[1] or before) ~= before end))
      assert.are.equal(3, metrics_when(function(page) return page:sum(REQUESTS) == 3 end):sum(REQUESTS))
    end
    assert.is_nil(running:exit_status())
  end)

  it("ends with its master, whatever ended that", function()
    start { workers = 1 }
    local admin = running:children("demilune-admin")[1]
    os.execute("kill -KILL " .. running.pid)
    assert(server.wait_until(PATIENCE, function() return not server.runs(admin) end))
  end)

  it("says ready all the time while the program is replaced on its sockets", function()
    start { workers = 2 }
    local port = running:admin_port()
    local function ready()
      local connection = http.connect(port)
      local response = connection:request("GET", "/readyz")
      connection:close()
      return response and response.status
    end
    ask(5)
    running:signal("USR2")
    local successor
    local unready = 0
    assert(server.wait_until(PATIENCE, function()
      for _, pid in ipairs((server.processes(running.app))) do
        if pid ~= running.pid then successor = pid end
      end
      local status = ready()
      if status == 503 then unready = unready + 1 end -- none at all: a visit that the old process took with it
      return running:exit_status()
    end))
    assert.are.equal(0, running:exit_status())
    assert.are.equal(0, unready)
    running.pid = successor
    assert.are.equal(200, ready())
    assert.are.equal(0, running:metrics():sum(REQUESTS))
    running:signal("TERM")
    assert(server.wait_until(PATIENCE, function() return not server.runs(successor) end))
  end)
end)
