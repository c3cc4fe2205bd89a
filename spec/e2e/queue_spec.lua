-- SPDX-License-Identifier: MIT
-- Back-pressure: so many handlers at a time, so many requests that wait for their turn, and 503 beyond.

local front = require "spec.support.front"
local http = require "spec.support.http"
local json = require "dkjson"
local mime = require "mime"
local server = require "spec.support.server"

-- What a spec says while all handlers are busy is said in a check, which runs before the queue.
local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public, limits = { %s } }
local released, running, most, order = false, 0, 0, {}
local Say = { go = model.boolean { check = function(value) released = value return true end } }
app:get("/hold/{n}", { path = { n = model.integer() } }, function(req)
  running = running + 1
  most = math.max(most, running)
  order[#order + 1] = req.path.n
  while not released do demilune.sleep(0.005) end
  running = running - 1
  return { order = order, most = most }
end)
app:get("/release", { query = Say }, function() return "released" end)
app:post("/release", { form = Say }, function() return "released" end)
app:get("/short", function() demilune.sleep(0.1) return "fine" end)
app:get("/quick", function() return "fine" end)
local Number = { n = model.integer { default = 0 } }
app:get("/computes", { query = Number }, function(req)
  order[#order + 1] = req.query.n
  local ends = os.clock() + 0.1
  while os.clock() < ends do end
  return "computed"
end)
local step = "none"
app:get("/step", function() return step end)
app:get("/stubborn", function(req)
  req:release(function() step = "release" demilune.sleep(0.9) end)
  req:after_response(function() step = "after" end)
  while true do pcall(demilune.sleep, 60) end
end)
app:get("/limited", { limit = "1/minute" }, function() return "fine" end)
app:get("/stream", function()
  return demilune.stream(function(write)
    write("begun")
    while not released do demilune.sleep(0.005) end
  end)
end)
return app
]]

local running
local function start(limits, options) running = server.start(APP:format(limits), options) end

after_each(function()
  if running then running:stop() end
  running = nil
end)

-- Everything that was sent before is with its server. Two answers say so: in one turn of its loop it may look at this connection before others.
local function settle(control)
  for _ = 1, 2 do assert.equal(404, control:request("GET", "/nothing").status) end
end

local function hold(control, number)
  local connection = running:connect()
  settle(control) -- it is accepted
  connection:send(("GET /hold/%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(number))
  settle(control)
  return connection
end

local function release(control) control:send("GET /release?go=true HTTP/1.1\r\nHost: a\r\n\r\n") end

local function answer(connection)
  local response = assert(connection:receive())
  connection:close()
  return response
end

local function order_of(response) return json.decode(response.body).order end

describe("handlers at a time", function()
  it("are as many as max_requests says, and a client's that wait come in their order", function()
    start "max_requests = 3, max_queue = 20"
    local control, held = running:connect(), {}
    for number = 1, 15 do held[number] = hold(control, number) end
    release(control)
    local last
    for number = 1, 15 do
      last = answer(held[number])
      assert.equal(200, last.status)
    end
    assert.equal(3, json.decode(last.body).most)
    local expected = {}
    for number = 1, 15 do expected[number] = number end
    assert.same(expected, order_of(last))
    assert.equal(200, control:receive().status)
    control:close()
  end)

  it("beyond the queue find a 503 at once, which says when to come back", function()
    start "max_requests = 2, max_queue = 3"
    local control, held = running:connect(), {}
    for number = 1, 5 do held[number] = hold(control, number) end
    for _ = 1, 10 do
      local refused = control:request("GET", "/quick")
      assert.equal(503, refused.status)
      assert.equal("5", refused.headers["retry-after"])
      assert.equal('{"detail":"The server is busy; try again in a moment"}', refused.body)
    end
    assert.truthy(running:log_line("more requests came than handlers could take", '"refused":1'))
    control:request("GET", "/release?go=true")
    for number = 1, 5 do assert.equal(200, answer(held[number]).status) end
    assert.truthy(server.wait_until(20, function() return control:request("GET", "/quick").status == 200 end))
    control:close()
  end)

  it("are begun for one client after the other, however many one of them sends", function()
    start "max_requests = 1, max_queue = 20"
    local control, held = running:connect(), {}
    local function hold_from(address, number)
      held[number] = front.connect_from(address, running.port)
      settle(control)
      held[number]:send(("GET /hold/%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(number))
      settle(control)
    end
    for number = 10, 15 do hold_from("127.0.0.2", number) end
    for number = 20, 21 do hold_from("127.0.0.3", number) end
    hold_from("127.0.0.4", 30)
    release(control)
    local whole
    for _, connection in pairs(held) do
      local order = order_of(answer(connection))
      if #order == 9 then whole = order end
    end
    assert.same({ 10, 11, 20, 30, 12, 21, 13, 14, 15 }, whole)
    control:close()
  end)

  it("are not refused for the many of another client: its last gives way", function()
    start "max_requests = 1, max_queue = 3"
    local control, held = running:connect(), {}
    for number = 1, 4 do held[number] = hold(control, number) end
    local other = front.connect_from("127.0.0.2", running.port)
    settle(control)
    other:send("GET /hold/5 HTTP/1.1\r\nHost: a\r\n\r\nGET /hold/6 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(503, answer(held[4]).status)
    local same = running:connect()
    assert.equal(503, same:request("GET", "/quick").status)
    same:close()
    release(control)
    for number = 1, 3 do assert.equal(200, answer(held[number]).status) end
    assert.equal(200, other:receive().status)
    assert.equal(200, other:receive().status)
    other:close()
    control:close()
  end)

  it("do not keep back what is refused before them", function()
    start "max_requests = 1, max_queue = 0"
    local control = running:connect()
    assert.equal(200, control:request("GET", "/limited").status)
    local held = hold(control, 1)
    assert.equal(429, control:request("GET", "/limited").status)
    assert.equal(422, control:request("GET", "/hold/x").status)
    assert.equal(405, control:request("POST", "/quick").status)
    assert.equal(503, control:request("GET", "/quick").status)
    release(control)
    assert.equal(200, answer(held).status)
    control:close()
  end)

  it("wait no longer than queue_timeout says", function()
    start [[max_requests = 1, queue_timeout = "300ms"]]
    local control = running:connect()
    local first, second = hold(control, 1), hold(control, 2)
    local refused = answer(second)
    assert.equal(503, refused.status)
    assert.equal("1", refused.headers["retry-after"])
    release(control)
    assert.same({ 1 }, order_of(answer(first)))
    control:close()
  end)

  it("are not taken by streams that have begun", function()
    start "max_requests = 1, max_queue = 0"
    local stream, control = running:connect(), running:connect()
    stream:send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    assert(stream:read_until "begun")
    assert.equal(200, control:request("GET", "/quick").status)
    assert.equal(200, control:request("GET", "/release?go=true").status)
    stream:close()
    control:close()
  end)

  it("are not taken by a handler that was left where it stood, while what follows its answer runs", function()
    start [[max_requests = 1, handler_timeout = "1s", queue_timeout = "30s"]]
    local control, stubborn = running:connect(), running:connect()
    stubborn:send("GET /stubborn HTTP/1.1\r\nHost: a\r\n\r\n")
    settle(control)
    assert.equal("release", control:request("GET", "/step").body)
    assert.equal(504, answer(stubborn).status)
    control:close()
  end)

  it("are without a cap when max_requests is 0", function()
    start "max_requests = 0, max_queue = 0"
    local control, held = running:connect(), {}
    for number = 1, 30 do held[number] = hold(control, number) end
    release(control)
    for number = 1, 30 do assert.equal(200, answer(held[number]).status) end
    control:close()
  end)
end)

describe("a client that waits for its turn", function()
  for name, leave in pairs {
    ["and goes"] = function(connection) connection:close() end,
    ["and resets its connection"] = function(connection)
      connection.tcp:setoption("linger", { on = true, timeout = 0 })
      connection:close()
    end,
  } do
    it(name .. " leaves its place to others", function()
      start [[max_requests = 1, max_queue = 2, queue_timeout = "60s"]]
      local control = running:connect()
      local first, second, third = hold(control, 1), hold(control, 2), hold(control, 3)
      assert.equal(503, control:request("GET", "/quick").status)
      leave(second)
      settle(control)
      local fourth = hold(control, 4)
      release(control)
      assert.equal(200, answer(first).status)
      assert.equal(200, answer(third).status)
      assert.same({ 1, 3, 4 }, order_of(answer(fourth)))
      control:close()
    end)
  end

  it("and says that it sends no more is told to come back", function()
    start [[max_requests = 1, queue_timeout = "60s"]]
    local control = running:connect()
    local first, second = hold(control, 1), hold(control, 2)
    second.tcp:shutdown("send")
    assert.equal(503, answer(second).status)
    release(control)
    assert.equal(200, answer(first).status)
    control:close()
  end)

  it("may have sent more requests, which are answered in their order", function()
    start "max_requests = 1"
    local control, pipelined = running:connect(), running:connect()
    local first = hold(control, 1)
    pipelined:send(("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"):rep(50))
    settle(control)
    release(control)
    assert.equal(200, answer(first).status)
    for _ = 1, 50 do assert.equal("fine", assert(pipelined:receive()).body) end
    pipelined:close()
    control:close()
  end)
end)

describe("a stop", function()
  it("waits for those who wait for their turn", function()
    start [[max_requests = 1, queue_timeout = "60s"]]
    local control, opener, held = running:connect(), running:connect(), {}
    for number = 1, 5 do held[number] = hold(control, number) end
    opener:send "POST /release HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ngo=tru"
    settle(control)
    running:signal("TERM")
    assert.is_true(control:is_closed()) -- as it asks nothing: from now on answers say that they are the last
    opener:send "e"
    for number = 1, 5 do
      local response = answer(held[number])
      assert.equal(200, response.status)
      assert.equal("close", response.headers.connection)
    end
    assert.equal("released", answer(opener).body)
    control:close()
    assert.equal(0, server.wait_until(20, function() return running:exit_status() end))
  end)

  it("that is hurried does not", function()
    start [[max_requests = 1, queue_timeout = "60s"]]
    local control, held = running:connect(), {}
    for number = 1, 5 do held[number] = hold(control, number) end
    running:signal("TERM")
    assert.truthy(running:log_line("stopping"))
    running:signal("TERM")
    for number = 1, 5 do held[number]:read_rest() end
    assert.equal(1, server.wait_until(20, function() return running:exit_status() end))
  end)
end)

describe("a crowd over the cap", function()
  it("is answered whole, with 200 or 503", function()
    start [[max_requests = 4, max_queue = 8, queue_timeout = "60s", max_connections_per_client = 1000]]
    local connections, seen = {}, {}
    for index = 1, 64 do connections[index] = http.connect(running.port) end
    for _ = 1, 10 do
      for _, connection in ipairs(connections) do connection:send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n") end
      for _, connection in ipairs(connections) do
        local status = assert(connection:receive()).status
        seen[status] = (seen[status] or 0) + 1
      end
    end
    for _, connection in ipairs(connections) do connection:close() end
    assert.equal(640, seen[200] + (seen[503] or 0))
    assert.truthy(seen[200] >= 10 * 12)
    assert.equal(0, (running:stop()))
  end)
end)

describe("requests that waited and then compute", function()
  it("are not overtaken by who comes while one of them ends and the next has not begun", function()
    start [[max_requests = 1, queue_timeout = "60s"]]
    local control, waiting = running:connect(30), {}
    local late = running:connect(30)
    local holder = hold(control, 1)
    local function compute(connection, number) connection:send(("GET /computes?n=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(number)) end
    for n = 2, 8 do
      waiting[n] = running:connect(30)
      compute(waiting[n], n)
      settle(control)
    end
    release(control)
    assert.equal(200, answer(holder).status)
    assert.equal("computed", waiting[2]:receive().body)
    compute(late, 9)
    for n = 3, 8 do assert.equal("computed", waiting[n]:receive().body) end
    assert.equal("computed", late:receive().body)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order_of(late:request("GET", "/hold/10")))
    for n = 2, 8 do waiting[n]:close() end
    late:close()
    control:close()
  end)

  it("leave others their turn in between", function()
    start [[max_requests = 1, queue_timeout = "60s"]]
    local control, other, waiting = running:connect(30), running:connect(30), {}
    local holder = hold(control, 1)
    for n = 1, 40 do
      waiting[n] = running:connect(30)
      waiting[n]:send("GET /computes HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    settle(control)
    release(control)
    assert.equal(200, answer(holder).status)
    assert.equal("computed", waiting[1]:receive().body)
    assert.equal(404, other:request("GET", "/nothing").status) -- which waits for no handler
    local computed = 1
    for n = 2, #waiting do
      if waiting[n]:read(0) ~= "" then computed = computed + 1 end
      waiting[n]:close()
    end
    assert.is_true(computed < #waiting)
  end)
end)

describe("passwords that wait to be verified", function()
  local ASKED = 258 -- two at a time, and 256 that wait
  local GUARDED = [[
local demilune = require "demilune"
local settings = demilune.settings { ADA_HASH = demilune.model.string() }
local app = demilune.app { guard = demilune.guard.basic { users = { ada = settings.ADA_HASH } }, limit = "100000/minute" }
app:get("/", function() return "ada" end)
return app
]]

  local function hash_of(password)
    local pipe = assert(io.popen(("echo %s | '%s' hash"):format(password, server.program)))
    local hash = pipe:read()
    pipe:close()
    return hash
  end

  local function ask(connection, password)
    connection:send(("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic %s\r\n\r\n"):format(mime.b64("ada:" .. password)))
  end

  -- How often which status was answered to so many wrong passwords of one address, and to the right one of another that came behind them.
  local function ask_all()
    local worker, guesses, statuses = running:workers()[1], {}, {}
    for n = 1, ASKED do guesses[n] = front.connect_from("127.0.0.2", running.port) end
    local user = front.connect_from("127.0.0.3", running.port)
    settle(user)
    assert(os.execute("kill -STOP " .. worker))
    for n = 1, ASKED do ask(guesses[n], "wrong") end
    ask(user, "right")
    assert(os.execute("kill -CONT " .. worker))
    for n = 1, ASKED do
      local status = answer(guesses[n]).status
      statuses[status] = (statuses[status] or 0) + 1
    end
    return statuses, answer(user).status
  end

  it("make room for another client's", function()
    running = server.start(GUARDED, { env = { ADA_HASH = hash_of "right" } })
    local statuses, of_user
    for _ = 1, 5 do -- where the machine is slow, some are through before all have come
      statuses, of_user = ask_all()
      assert.equal(200, of_user)
      if statuses[503] then break end
    end
    assert.same({ [401] = ASKED - 1, [503] = 1 }, statuses)
  end)
end)

describe("calls that wait for a database", function()
  local READS = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, trusted_proxies = { "127.0.0.1" } }
local db = app:database("sqlite:test.db", { readers = 1, queue_ms = 60000 })
local count = db:statement "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 50000) SELECT count(*) FROM n"
local answered = 0
app:get("/", function()
  local before = answered
  assert(count:value() == 50000)
  answered = answered + 1
  return { before = before, after = answered }
end)
return app
]]

  it("are begun for one client after the other, whom a trusted proxy may name", function()
    running = server.start(READS)
    local control = running:connect()
    local function ask_for(address)
      local connection = running:connect(60)
      connection:send(("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n"):format(address))
      return connection
    end
    local function came_before()
      local many = {}
      for n = 1, 30 do many[n] = ask_for "198.51.100.1" end
      settle(control)
      local other = json.decode(answer(ask_for "198.51.100.2").body)
      for n = 1, 30 do assert.equal(200, answer(many[n]).status) end
      return other.after - other.before - 1
    end
    -- A loop that the machine keeps waiting hears late of reads that had ended before the other came; not so each time.
    local least = came_before()
    for _ = 2, 5 do least = math.min(least, came_before()) end
    assert.is_true(least <= 3, ("%d came before it"):format(least))
    control:close()
  end)
end)
