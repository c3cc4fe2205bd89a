-- SPDX-License-Identifier: MIT
-- Handlers that wait, and handlers that answer more than a client takes at once: what others see of them meanwhile.

local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
app:get("/", function() return "root" end)
app:post("/raw", { body = model.raw() }, function(req) return req.body end)
local held = true
app:get("/held", function() while held do demilune.sleep("10ms") end return "let go" end)
app:get("/let-go", function() held = false return "soon" end)
app:get("/wait", function(req) demilune.sleep(tonumber(req.query.s)) return req.query.say end)
app:get("/late", function()
  local ends = os.clock() + 0.7
  while os.clock() < ends do end
  demilune.sleep(0.5)
  return "late"
end)
app:get("/until", function()
  local ends, rounds = demilune.now() + 0.05, 0
  repeat rounds = rounds + 1 until demilune.now() >= ends or rounds == 2e7
  return rounds < 2e7
end)
local row = app:database("sqlite::memory:"):statement "SELECT 1"
app:get("/wrapped", function()
  local ok, problem = pcall(coroutine.wrap(demilune.sleep), "1ms") -- WRAPPED
  return problem
end)
app:get("/created", function()
  local ok, problem = coroutine.resume(coroutine.create(row.value), row) -- CREATED
  return problem
end)
app:get("/inside", function()
  local ok, problem = coroutine.resume(coroutine.create(function()
    demilune.sleep "1ms" -- INSIDE
  end))
  return problem
end)
app:get("/tail", function() return coroutine.wrap(function() return row:value() end)() end) -- TAIL
app:get("/huge", function(req) return req.query.say:rep(tonumber(req.query.n)) end)
return app
]]

describe("a handler", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function get(target) return running:request("GET", target) end

  describe("that waits", function()
    it("waits as long as it says, whatever its worker did before", function()
      local began = socket.gettime()
      assert.equal("late", get("/late").body)
      assert.is_true(socket.gettime() - began >= 1.2)
    end)

    it("sees the time pass while it computes", function() assert.equal("true", get("/until").body) end)

    it("inside a coroutine of its own is told where, and what to write", function()
      local lines = {}
      for line in (APP .. "\n"):gmatch "(.-)\n" do
        lines[#lines + 1] = true
        local way = line:match "%-%- (%u+)$"
        if way then lines[way:lower()] = #lines end
      end
      local instead = "; call it outside, in the handler itself, or let demilune.spawn(function() ... end) do beside it what waits"
      assert.equal(("demilune.sleep cannot wait inside a coroutine of the app's own, resumed at app.lua:%d"):format(lines.wrapped) .. instead,
        get("/wrapped").body)
      assert.equal(("a database cannot wait inside a coroutine of the app's own, resumed at app.lua:%d"):format(lines.created) .. instead,
        get("/created").body)
      assert.equal(("app.lua:%d: demilune.sleep cannot wait inside a coroutine of the app's own"):format(lines.inside) .. instead,
        get("/inside").body)
      assert.equal(500, get("/tail").status)
      assert.truthy(running:log_line(('"error":"a database cannot wait inside a coroutine of the app\'s own, in the handler at app.lua:%d')
        :format(lines.tail) .. instead))
    end)

    it("lets other connections through meanwhile", function()
      local slow, fast = running:connect(PATIENCE), running:connect(PATIENCE)
      slow:send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
      for _ = 1, 20 do assert.equal("root", fast:request("GET", "/").body) end
      assert.equal("", (slow:read(0)))
      assert.equal("soon", fast:request("GET", "/let-go").body)
      assert.equal("let go", slow:receive().body)
      slow:close()
      fast:close()
    end)

    it("is answered before what was pipelined behind it", function()
      local connection = running:connect(PATIENCE)
      local bytes = {}
      for n = 1, 300 do
        bytes[n] = ("GET /wait?s=%s&say=%d HTTP/1.1\r\nHost: a\r\nX-Padding: %s\r\n\r\n"):format(n % 50 == 1 and 0.05 or 0, n, ("x"):rep(300))
      end
      connection:send(table.concat(bytes))
      for n = 1, 300 do assert.equal(tostring(n), connection:receive().body) end
      connection:close()
    end)

    it("keeps its body while more bytes arrive behind it", function()
      local connection = running:connect(PATIENCE)
      local body = ("b"):rep(10000)
      connection:send("POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" .. body)
      connection:send("GET /wait?s=0.3&say=x HTTP/1.1\r\nHost: a\r\n\r\n")
      connection:send(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3000))
      assert.equal(body, connection:receive().body)
      assert.equal("x", connection:receive().body)
      for _ = 1, 3000 do assert.equal("root", connection:receive().body) end
      connection:close()
    end)

    it("is answered although the client has said that it will send no more", function()
      local connection = running:connect(PATIENCE)
      connection:send("GET /wait?s=0.3&say=still HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP")
      connection:shutdown()
      assert.equal("still", connection:receive().body)
      assert.is_true(connection:is_closed())
    end)

    it("may outlive its client", function()
      for _ = 1, 20 do
        local connection = running:connect()
        connection:send("GET /wait?s=0.2&say=gone HTTP/1.1\r\nHost: a\r\n\r\n")
        connection:close(true)
      end
      assert.equal("there", get("/wait?s=0.5&say=there").body)
    end)
  end)

  describe("with a huge response", function()
    it("sends all of it to a client that reads late, in order with what is pipelined", function()
      local connection = running:connect(PATIENCE)
      for n = 1, 6 do connection:send(("GET /huge?n=3000000&say=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(n)) end
      connection:send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      socket.sleep(0.5)
      for n = 1, 6 do assert.equal(tostring(n):rep(3000000), connection:receive().body) end
      assert.equal("root", connection:receive().body)
      assert.is_true(connection:is_closed())
    end)

    it("survives clients that leave in the middle", function()
      for _ = 1, 10 do
        local connection = running:connect()
        connection:send("GET /huge?n=20000000&say=x HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection:read()
        connection:close(true)
      end
      assert.equal("root", get("/").body)
    end)
  end)
end)
