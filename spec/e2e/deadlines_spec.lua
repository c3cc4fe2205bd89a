-- SPDX-License-Identifier: MIT
-- Deadlines and caps: what a client that is slow, silent or too many meets. Every bound from above is far away, since a machine may
-- be busy; what must not happen too early is held against what the app declares.

local clock = require "spec.support.clock"
local front = require "spec.support.front"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE = 30 -- seconds

local function app(limits, routes)
  return ([[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public, limits = { %s } }
local events = {}
local function note(what) return function(ok) events[#events + 1] = what .. (ok and " ok" or " failed") end end
app:get("/", function() return "root" end)
app:post("/echo", function(req) return req.body end)
app:get("/big", function() return ("x"):rep(20000000) end)
app:get("/held", function(req) req:release(note "release") return ("x"):rep(20000000) end)
app:get("/ten", function() return ("x"):rep(10000) end)
app:get("/events", function() return table.concat(events, ", ") end)
%s
return app
]]):format(limits, routes or "")
end

local function events(running)
  local text
  server.wait_until(PATIENCE, function()
    text = running:request("GET", "/events").body
    return text ~= ""
  end)
  return text
end

describe("the deadline of a head", function()
  local running
  setup(function() running = server.start(app 'header_timeout = "500ms"') end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function expect_408(connection)
    local response, why = connection:receive()
    assert.equal(408, response and response.status, why)
    assert.equal("close", response.headers.connection)
    assert.is_true(connection:is_closed())
    connection:close()
  end

  it("answers 408 and closes", function()
    local connection = running:connect(PATIENCE)
    local began = socket.gettime()
    connection:send("GET / HT")
    expect_408(connection)
    assert.is_true(socket.gettime() - began > 0.4)
  end)

  it("is not moved by a byte now and then", function()
    local connection = running:connect(0.05)
    connection:send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
    local answered = server.wait_until(PATIENCE, function()
      connection:send("x")
      local bytes, why = connection:read()
      connection.buffer = connection.buffer .. bytes
      return #bytes > 0 or why == "closed"
    end)
    assert.is_true(answered)
    assert.truthy(connection.buffer:find("^HTTP/1.1 408 "))
    connection:close()
  end)

  it("begins anew for each request of a connection", function()
    local connection = running:connect(PATIENCE)
    for _ = 1, 4 do
      socket.sleep(0.3)
      assert.equal("root", connection:request("GET", "/").body)
    end
    connection:send("GET / HT")
    expect_408(connection)
  end)

  it("holds for a head that began behind responses which were read late", function()
    local connection = http.connect_narrow(running.port, PATIENCE)
    connection:send(("GET /ten HTTP/1.1\r\nHost: a\r\n\r\n"):rep(700) .. "GET / HT")
    socket.sleep(1.5)
    for _ = 1, 700 do assert.equal(10000, #connection:receive().body) end
    expect_408(connection)
  end)

  it("logs nothing of an earlier request with the 408", function()
    local connection = running:connect(PATIENCE)
    connection:request("GET", "/?secret=1")
    connection:send("GET / HT")
    expect_408(connection)
    assert.truthy(running:log_line('"status":408', '"client":"127.0.0.1"', '"method":"","path":"","route":""'))
    for line in running:log():gmatch("[^\n]+") do assert.is_nil(line:match('"method":"GET".*"status":408')) end
  end)
end)

describe("the deadline of a body", function()
  local running
  setup(function() running = server.start(app 'body_timeout = "700ms", min_body_rate = 100') end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local HEAD = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"

  it("answers 408 to a sender that stops, and closes", function()
    for _, head in ipairs { HEAD:format(10), "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" } do
      local connection = running:connect(PATIENCE)
      connection:send(head .. "abc")
      local response, why = connection:receive()
      assert.equal(408, response and response.status, why)
      assert.is_true(connection:is_closed())
      connection:close()
    end
  end)

  it("answers 408 to a sender that stops or drips, however fast it was before", function()
    for _, drip in ipairs { "", "x" } do
      local connection = running:connect(0.1)
      connection:send(HEAD:format(100000) .. ("x"):rep(90000)) -- worth 900 seconds
      assert.is_true(server.wait_until(PATIENCE, function()
        connection:send(drip)
        connection.buffer = connection.buffer .. connection:read()
        return connection.buffer:find("^HTTP/1.1 408 ") and true
      end))
      connection:close()
    end
  end)

  it("answers 408 to a sender that drips", function()
    local connection = running:connect(0.1)
    connection:send(HEAD:format(100000))
    assert.is_true(server.wait_until(PATIENCE, function()
      connection:send("x")
      connection.buffer = connection.buffer .. connection:read()
      return connection.buffer:find("^HTTP/1.1 408 ") and true
    end))
    connection:close()
  end)

  it("waits for a sender that keeps up the rate, however long it takes", function()
    local connection = running:connect(PATIENCE)
    local piece = ("x"):rep(2000)
    connection:send(HEAD:format(20 * #piece) .. piece)
    for _ = 2, 20 do
      socket.sleep(0.1)
      connection:send(piece)
    end
    assert.equal(20 * #piece, #connection:receive().body)
    connection:close()
  end)

  it("gives a refused request's body the same time, and the connection ends behind it", function()
    local connection = running:connect(PATIENCE)
    connection:send("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 10005\r\n\r\n" .. ("x"):rep(10000)) -- worth 100 seconds
    assert.equal(404, connection:receive().status)
    assert.same({ "", "timeout" }, { connection:read(1.2) })
    connection:send("world")
    assert.is_true(connection:is_closed())
    connection:close()
  end)

  it("closes on a refused request's body that never comes", function()
    local connection = running:connect(PATIENCE)
    connection:send("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    assert.equal(404, connection:receive().status)
    assert.is_true(connection:is_closed())
    connection:close()
  end)
end)

describe("a body without a least rate", function()
  it("may take as long as it likes, but for pauses", function()
    local running = server.start(app 'body_timeout = "3s", min_body_rate = 0')
    local connection = running:connect(PATIENCE)
    connection:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 41\r\n\r\n")
    for _ = 1, 40 do
      connection:send("x")
      socket.sleep(0.1)
    end
    connection:send("x")
    local response, why = connection:receive()
    assert.equal(("x"):rep(41), response and response.body, why)
    connection:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 41\r\n\r\nx")
    assert.equal(408, connection:receive().status)
    connection:close()
    assert.equal(0, (running:stop()))
  end)
end)

-- How much a unix socket takes is known but for a few KiB: one of these leaves just so much room that what is sent before the body does not fit.
describe("a body behind answers that nobody reads", function()
  it("has no longer for dripping than they have", function()
    local folder = server.make_folder()
    local sized = [[app:get("/sized/{size}", { path = { size = model.integer() } }, function(req) return ("x"):rep(req.path.size) end)]]
    local running = server.start(app('body_timeout = "500ms", send_timeout = "500ms"', sized), { flags = { "--unix=" .. folder .. "/s" } })
    local connections = {}
    for size = 140000, 240000, 10000 do
      local connection = http.connect_unix(folder .. "/s")
      connection:send(("GET /sized/%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(size))
      connections[#connections + 1] = connection
    end
    socket.sleep(0.3)
    for _, connection in ipairs(connections) do
      connection:send(("GET /sized/16000 HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3) .. "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    end
    assert.truthy(server.wait_until(PATIENCE, function()
      local open = 0
      for _, connection in ipairs(connections) do open = open + (connection:send "x" and 1 or 0) end
      socket.sleep(0.1)
      return open == 0
    end))
    for _, connection in ipairs(connections) do connection:close() end
    assert.equal(0, (running:stop()))
    server.remove_folder(folder)
  end)
end)

describe("an idle connection", function()
  local running
  setup(function()
    running = server.start(app('idle_timeout = "600ms"', [[app:get("/slow", function() demilune.sleep("1500ms") return "slow" end)]]))
  end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  it("is closed without a word, used or not", function()
    local began = socket.gettime()
    local fresh, used = running:connect(PATIENCE), nil
    assert(server.wait_until(PATIENCE, function() -- we may be the slow one: then it is idle before it is used
      used = running:connect(PATIENCE)
      return used:request("GET", "/")
    end))
    assert.is_true(fresh:is_closed())
    assert.is_true(used:is_closed())
    assert.is_true(socket.gettime() - began > 0.5)
  end)

  it("is not one whose handler works", function()
    local response = server.wait_until(PATIENCE, function() return (running:connect(PATIENCE):request("GET", "/slow")) end)
    assert.equal("slow", response.body)
  end)
end)

describe("the deadline of a handler", function()
  local running
  setup(function()
    running = server.start { ["migrations/0001_t.sql"] = "CREATE TABLE t (x);", ["app.lua"] = app('handler_timeout = "400ms"', [[
local db = app:database("sqlite:t.db", { statement_ms = 60000, readers = 1 })
local count = db:statement "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT count(*) FROM n"
local add, all = db:statement "INSERT INTO t VALUES (:x)", db:statement "SELECT count(*) FROM t"
local held = app:dependency(function() return "held", { finish = note "finish", release = note "release" } end)
app:get("/sleep", { needs = { held = held } }, function() demilune.sleep(60) return "never" end)
app:get("/sql", { needs = { held = held } }, function() return count:value() end)
app:get("/catches", function() pcall(demilune.sleep, 60) return "as if nothing had been" end)
app:get("/stubborn", { needs = { held = held } }, function() while true do pcall(demilune.sleep, 60) end end)
app:get("/own", { timeout = "30s" }, function() demilune.sleep("900ms") return "in time" end)
app:get("/transaction", function()
  return db:transaction(function() add:run { x = 1 } demilune.sleep(60) end)
end)
app:get("/add", { timeout = "30s" }, function() return (add:run { x = 2 }) end)
app:get("/rows", { timeout = "30s" }, function() return all:value() end)
app:get("/forget", function() events = {} end)
app:get("/release", function(req)
  req:release(note "last")
  req:release(function() demilune.sleep(60) end)
  req:release(note "first")
  return "answered"
end)]]) }
  end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)
  before_each(function() running:request("GET", "/forget") end)

  local function expect_504(target)
    local connection = running:connect(PATIENCE)
    local began = socket.gettime()
    local response = connection:request("GET", target)
    assert.equal(504, response.status)
    assert.equal('{"detail":"The handler took too long"}', response.body)
    assert.is_true(socket.gettime() - began > 0.3)
    assert.equal("root", connection:request("GET", "/").body)
    connection:close()
  end

  it("cancels a sleep, answers 504, and tells finish and release that it failed", function()
    expect_504 "/sleep"
    assert.equal("finish failed, release failed", events(running))
  end)

  it("cancels a wait for a statement, which stops and gives its connection back", function()
    expect_504 "/sql"
    assert.equal("finish failed, release failed", events(running))
    assert.is_true(server.wait_until(PATIENCE, function() return running:request("GET", "/rows").status == 200 end))
  end)

  it("rolls back the transaction that it cancels", function()
    expect_504 "/transaction"
    assert.is_true(server.wait_until(PATIENCE, function() return running:request("GET", "/rows").body == "0" end))
    assert.equal("1", running:request("GET", "/add").body)
  end)

  it("answers 504 whatever a handler says that catches the cancellation", function() expect_504 "/catches" end)

  it("leaves a handler that goes on waiting where it stands, and still releases", function()
    expect_504 "/stubborn"
    assert.equal("release failed", events(running))
  end)

  it("is the route's own where it has one", function() assert.equal("in time", running:request("GET", "/own").body) end)

  it("holds for each function after the response", function()
    assert.equal("answered", running:request("GET", "/release").body)
    assert.is_true(server.wait_until(PATIENCE, function() return events(running) == "first ok, last ok" end))
  end)

  it("is told in the log with the request's id", function()
    expect_504 "/sleep"
    local line = assert(running:log_line("/sleep took longer than its deadline"), running:log())
    assert.truthy(line:match("/sleep took longer than its deadline; request %x+ was cancelled"), line)
  end)
end)

describe("a client that does not read", function()
  local running
  setup(function() running = server.start(app 'send_timeout = "700ms"') end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function get(target, extra)
    local connection = http.connect_narrow(running.port, PATIENCE)
    connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n" .. (extra or "") .. "\r\n")
    return connection
  end

  it("is cut off, and what its request held is released", function()
    local connection = get "/held"
    assert.equal("release ok", events(running))
    local response, why = connection:receive()
    assert.is_nil(response)
    assert.equal("closed", why)
    connection:close()
  end)

  -- How much it gets when it takes four seconds and more to read it.
  local function read_slowly(connection)
    local began, size = socket.gettime(), 0
    repeat
      local bytes, why = connection:read()
      size = size + #bytes
      local ahead = size / 20000000 * 4 - (socket.gettime() - began)
      if ahead > 0 then socket.sleep(ahead) end
    until why or size > 20000000
    connection:close()
    return size
  end

  it("gets everything as long as it goes on reading, also when the connection closes behind it", function()
    for _, extra in ipairs { "", "Connection: close\r\n" } do
      local size = 0
      -- Where a busy machine keeps it from reading for long it is cut off with right, and tries again.
      assert.is_true(server.wait_until(2 * PATIENCE, function()
        size = read_slowly(get("/big", extra))
        return size > 20000000
      end), "after " .. size .. " bytes")
    end
  end)
end)

describe("the cap on connections", function()
  local running
  before_each(function()
    running = server.start(app("max_connections = 6, max_connections_per_client = 4", [[
local held = 0
app:get("/hold", function()
  held = held + 1
  demilune.sleep "5s"
  return "held"
end)
app:get("/holding", function() return held end)]]), { workers = 1 })
  end)
  after_each(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function is_served(connection, path, body)
    local response = connection:request("GET", path or "/")
    return response ~= nil and response.body == (body or "root")
  end

  local function connect(address) return front.connect_from(address, running.port) end

  local function close_all(open)
    for _, connection in ipairs(open) do connection:close() end
  end

  -- One client more than there may be connections of it is told so at once.
  local function fill(open, address, count)
    for _ = 1, count do
      open[#open + 1] = connect(address)
      if not is_served(open[#open]) then return false end
    end
    return true
  end

  -- Until those of the test before have been seen to leave.
  local function fill_four(address)
    local open
    assert.is_true(server.wait_until(PATIENCE, function()
      open = {}
      if fill(open, address, 4) then return true end
      close_all(open)
    end))
    return open
  end

  it("counts each client, and forgets those that left", function()
    for _ = 1, 3 do
      local open = fill_four "127.0.0.2"
      assert.is_false(fill(open, "127.0.0.2", 1))
      for index = 1, 4 do assert.is_true(is_served(open[index])) end
      close_all(open)
    end
  end)

  it("lets who has been silent for longest give way to who comes, be it between requests, in a head or in a body", function()
    local open = fill_four "127.0.0.4"
    open[5], open[6] = connect "127.0.0.5", connect "127.0.0.5"
    assert.is_true(is_served(open[5]))
    open[6]:send "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"
    for _ = 1, 2 do assert.is_true(is_served(open[1])) end -- in one turn of its loop the server may look at it before the last one
    open[2]:send "GET / HT"
    for _, index in ipairs { 3, 3, 4, 5 } do assert.is_true(is_served(open[index])) end
    local order, newcomers = { 6, 1, 2, 3, 4, 5 }, {}
    for n, silent in ipairs(order) do
      newcomers[n] = connect("127.0.0." .. (5 + math.ceil(n / 2)))
      assert.is_true(is_served(newcomers[n]), n)
      assert.is_true(open[silent]:is_closed(), n)
    end
    for _, newcomer in ipairs(newcomers) do assert.is_true(is_served(newcomer)) end
    close_all(open)
    close_all(newcomers)
  end)

  it("closes who comes where all others have asked and wait for their answers", function()
    local open, HOLD = fill_four "127.0.0.2", "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
    open[5], open[6] = connect "127.0.0.3", connect "127.0.0.3"
    for index = 1, 5 do open[index]:send(HOLD) end
    assert.is_true(server.wait_until(PATIENCE, function() return is_served(open[6], "/holding", "5") end))
    open[6]:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" .. HOLD)
    assert.equal("root", open[6]:receive().body)
    assert.is_true(connect("127.0.0.4"):is_closed())
    for index = 1, 6 do assert.equal("held", open[index]:receive().body) end
    close_all(open)
  end)
end)

describe("a worker that is kept busy for longer than clients may take", function()
  local running
  setup(function()
    running = server.start(app('idle_timeout = "1s", body_timeout = "1s", header_timeout = "1s"', [[
app:get("/busy", function()
  local ends = os.time() + 3 -- not of the processor's time, of which a busy machine gives little
  while os.time() < ends do end
  return "over"
end)]]), { workers = 1 })
  end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  for what, sent in pairs {
    ["the next request"] = { "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["the rest of a head"] = { "GET / HT", "TP/1.1\r\nHost: a\r\n\r\n" },
    ["the rest of a body"] = { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nro", "ot" },
  } do
    it("answers who sent " .. what .. " meanwhile", function()
      local connection, busy = running:connect(PATIENCE), running:connect(PATIENCE)
      connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(200, connection:receive().status)
      connection:send(sent[1])
      socket.sleep(0.1)
      busy:send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
      socket.sleep(0.3)
      connection:send(sent[2])
      local response, why = connection:receive()
      assert.equal(200, response and response.status, why)
      assert.equal("over", busy:receive().body)
      connection:close()
      busy:close()
    end)
  end
end)

describe("a handler that kept its worker for long", function()
  local folder, time, running
  before_each(function()
    folder = server.make_folder()
    time = clock.new(folder)
    running = server.start(app('handler_timeout = "2m", idle_timeout = "2m"', [[
local gone_on = false
local function take_long()
  local began = os.time()
  demilune.log.warning "handler begins"
  while os.time() < began + 1000 do end
  return "over"
end
app:get("/go-on", function() gone_on = true return "" end)
app:get("/long", function(req)
  req:after_response(function()
    demilune.log.warning "after begins"
    while not gone_on do demilune.sleep("10ms") end
    demilune.log.warning "after ends"
  end)
  return take_long()
end)
app:get("/long-alone", take_long)]]), { workers = 1, env = time:environment() })
  end)
  after_each(function()
    running:stop("KILL")
    server.remove_folder(folder)
  end)

  local function take_long(path)
    local connection = running:connect(PATIENCE)
    connection:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(running:log_line '"handler begins"')
    time:set(1000, 110) -- it took 110 s of its two minutes
    assert.equal("over", connection:receive().body)
    -- When another has its answer the worker has come back from that turn, whose length its master measures by the clock.
    assert.equal(200, running:request("GET", "/").status)
    return connection
  end

  it("leaves what runs after the response as long as that may take", function()
    local connection = take_long "/long"
    assert.truthy(running:log_line '"after begins"')
    time:set(1000, 170)
    socket.sleep(1) -- in which deadlines are judged
    assert.equal(200, running:request("GET", "/go-on").status)
    assert.truthy(running:log_line '"after ends"', running:log())
    connection:close()
  end)

  it("leaves the connection open as long as it may be idle", function()
    local connection = take_long "/long-alone"
    time:set(1000, 170)
    socket.sleep(1)
    assert.equal("root", connection:request("GET", "/").body)
    connection:close()
  end)
end)
