-- SPDX-License-Identifier: MIT
-- Streams: a body written piece by piece, to clients that read, that do not, and that go away.

local files = require "spec.support.files"
local http = require "spec.support.http"
local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE = 30 -- seconds
local MIB = 1024 * 1024

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { send_timeout = "1s", handler_timeout = "1s" } }
local ended, kept = {}, nil
local function stream(path, fn, given, timeout)
  app:get(path, { timeout = timeout }, function(req) return demilune.stream(function(write) return fn(write, req) end, given) end)
end
local turns = 0 -- that streams were given; they wait for one where they call this
app:get("/turn", function() turns = turns + 1 return "given" end)
local function wait_for_turn()
  while turns == 0 do demilune.sleep("5ms") end
  turns = turns - 1
end
local function watched(name, fn)
  return function(write, req)
    local ok, why = pcall(fn, write, req)
    ended[#ended + 1] = name .. ": " .. (ok and "whole" or tostring(why))
    if not ok then error(why, 0) end
  end
end

app:get("/", function() return "root" end)
app:get("/ended", function() local last = ended[#ended] ended = {} return last or "" end)
stream("/count", function(write)
  for n = 1, 5 do write(n .. "\n") end
end, { headers = { ["Content-Type"] = "text/plain", ["X-A"] = "a" }, status = 206 })
stream("/none", function() end)
stream("/empty-pieces", function(write) write("a") write("") write("b") end)
stream("/binary", function(write) write("a\0b\r\n0\r\n\r\n") write("\255") end)
stream("/numbers", function(write) write(1) write(2.5) end)
stream("/waits-first", function(write) wait_for_turn() write("late") end, nil, "5m")
app:get("/waits-before", { timeout = "5m" }, function()
  demilune.sleep("10ms")
  return demilune.stream(function(write) wait_for_turn() write("late") end)
end)
stream("/in-turns", function(write) for n = 1, 5 do write("piece " .. n) wait_for_turn() end end, nil, "5m")
stream("/slowly", function(write) for n = 1, 20 do write(tostring(n % 10)) demilune.sleep("100ms") end end)
stream("/stuck", watched("stuck", function(write) write("some") demilune.sleep(60) end))
stream("/catches", function(write)
  for n = 1, 2 do write(n .. " " .. tostring(select(2, pcall(demilune.sleep, 60))) .. ";") end
end)
stream("/stubborn", function(write, req)
  req:after_response(function(ok) ended[#ended + 1] = "stubborn: " .. tostring(ok) end)
  write("some")
  while true do pcall(demilune.sleep, 60) end
end)
stream("/large", watched("large", function(write, req)
  local piece = ("x"):rep(tonumber(req.query.piece))
  for _ = 1, tonumber(req.query.count) do write(piece) end
end))
stream("/endless", watched("endless", function(write)
  local piece = ("x"):rep(16384)
  while true do write(piece) end
end))
stream("/fails", function(write) write("some") error("midway") end)
stream("/fails-first", function() error("before the first byte of the body") end)
stream("/aborts", function(write) write("some") demilune.abort(409, "too late") end)
stream("/nothing", function(write) write("some") write() end)
stream("/wrong", function(write) write("some") write({}) end)
stream("/keeps", function(write) kept = write write("kept") end)
app:get("/use-kept", function() return tostring(select(2, pcall(kept, "other"))) end)
app:get("/after", function(req)
  local own
  req:after_response(function() ended[#ended + 1] = tostring(select(2, pcall(own, "more"))) end)
  return demilune.stream(function(write) own = write write("whole") end)
end)
stream("/elsewhere", function(write)
  local said
  demilune.spawn(function() said = tostring(select(2, pcall(write, "from elsewhere"))) end)
  demilune.sleep("50ms")
  write(said)
end)
stream("/generator", function(write)
  local co = coroutine.wrap(function() return tostring(select(2, pcall(write, "from inside"))) end)
  write(co())
end)
app:get("/no-body", function(req)
  return demilune.stream(function(write) write("x") end, { status = tonumber(req.query.status) })
end)
app:get("/declared-204", { status = 204 }, function() return demilune.stream(function(write) write("x") end) end)
return app
]]

describe("a stream", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function get(target) return running:request("GET", target) end

  local function ended()
    return server.wait_until(PATIENCE, function()
      local text = get("/ended").body
      return text ~= "" and text
    end)
  end

  it("goes out in chunks, and the connection goes on", function()
    local connection = running:connect()
    local response = connection:request("GET", "/count")
    assert.equal(206, response.status)
    assert.equal("1\n2\n3\n4\n5\n", response.body)
    assert.equal("chunked", response.headers["transfer-encoding"])
    assert.is_nil(response.headers["content-length"])
    assert.equal("text/plain", response.headers["content-type"])
    assert.equal("a", response.headers["x-a"])
    assert.equal("", connection:request("GET", "/none").body)
    assert.equal("application/octet-stream", connection:request("GET", "/none").headers["content-type"])
    assert.equal("ab", connection:request("GET", "/empty-pieces").body)
    assert.equal("a\0b\r\n0\r\n\r\n\255", connection:request("GET", "/binary").body)
    assert.equal("12.5", connection:request("GET", "/numbers").body)
    assert.equal("root", connection:request("GET", "/").body)
    connection:close()
  end)

  it("keeps its place among pipelined requests", function()
    local connection = running:connect()
    connection:send(("GET /count HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(50))
    for _ = 1, 50 do
      assert.equal("1\n2\n3\n4\n5\n", connection:receive().body)
      assert.equal("root", connection:receive().body)
    end
    connection:close()
  end)

  it("ends with the connection for an HTTP/1.0 client, who is never sent a chunk", function()
    local connection = running:connect()
    connection:send("GET /count HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    local response = connection:receive()
    assert.equal("1\n2\n3\n4\n5\n", response.body)
    assert.is_nil(response.headers["transfer-encoding"])
    assert.is_nil(response.headers["content-length"])
    assert.equal("close", response.headers.connection)
    connection:close()
  end)

  it("sends its head before it waits for its first piece", function()
    for _, target in ipairs { "/waits-first", "/waits-before" } do
      local connection = running:connect(PATIENCE)
      connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      local head = connection:read_until "\r\n\r\n"
      assert.truthy(head:find "^HTTP/1.1 200 OK\r\n", target .. ": " .. head)
      connection.buffer = head .. connection.buffer
      assert.equal("given", get("/turn").body)
      assert.equal("late", connection:receive().body)
      connection:close()
    end
  end)

  it("sends each piece when it is written", function()
    local connection = running:connect(PATIENCE)
    connection:send("GET /in-turns HTTP/1.1\r\nHost: a\r\n\r\n")
    for n = 1, 5 do
      assert(connection:read_until("piece " .. n))
      assert.equal("given", get("/turn").body)
    end
    assert.equal("\r\n0\r\n\r\n", connection:read_until "\r\n0\r\n\r\n")
    connection:close()
  end)

  it("may last longer than a handler's deadline as long as it goes on", function()
    local began = socket.gettime()
    assert.equal(20, #get("/slowly").body)
    assert.is_true(socket.gettime() - began > 1.5)
  end)

  local function is_cut_off(target, said)
    local connection = running:connect(PATIENCE)
    connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    local bytes, why = connection:read_rest()
    assert.equal("closed", why)
    assert.truthy(bytes:find("\r\n4\r\nsome\r\n$"))
    assert.equal(said, ended())
    connection:close()
  end

  it("that stops going on is cut off without its last chunk", function()
    is_cut_off("/stuck", "stuck: the request's deadline passed")
  end)

  it("that catches its deadline and writes has as long again, and is told of it again", function()
    assert.equal("1 the request's deadline passed;2 the request's deadline passed;", get("/catches").body)
  end)

  it("that goes on waiting past its deadline is cut off, and what runs after it is told so", function()
    is_cut_off("/stubborn", "stubborn: false")
  end)

  it("that fails is cut off without its last chunk, and the log says why", function()
    for target, reason in pairs {
      ["/fails"] = "midway", ["/fails-first"] = "before the first byte of the body", ["/aborts"] = "a stream failed",
      ["/nothing"] = ": write takes a piece of the body as text, not nothing; ",
      ["/wrong"] = ": write takes a piece of the body as text, not table; write(demilune.json.encode(value)) sends a value",
    } do
      local connection = running:connect(PATIENCE)
      connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
      local bytes, why = connection:read_rest()
      assert.equal("closed", why)
      assert.truthy(bytes:find "^HTTP/1.1 200 OK\r\n", target)
      assert.is_nil(bytes:find("\r\n0\r\n\r\n", 1, true), target)
      assert.is_nil(bytes:find("root", 1, true), target)
      assert.is_nil(bytes:find("too late", 1, true), target)
      assert.truthy(running:log_line('"level":"error"', reason, target), target)
      connection:close()
    end
    assert.matches("app%.lua:%d+: write takes", running:log())
  end)

  it("that fails is cut off by a reset where the connection's end would be the body's, for HTTP/1.0", function()
    for target, whole in pairs { ["/fails"] = false, ["/fails-first"] = false, ["/stubborn"] = false, ["/count"] = true } do
      local connection = running:connect(PATIENCE)
      connection:send("GET " .. target .. " HTTP/1.0\r\n\r\n")
      local bytes = connection.tcp:receive "*a" -- all, where it ended in order
      assert.equal(whole, bytes ~= nil, target)
      connection:close()
    end
    assert.equal("stubborn: false", ended())
  end)

  it("whose end waits for a client that does not read is cut off so, too", function()
    local function send(line, count)
      local connection = http.connect_narrow(running.port, PATIENCE)
      connection:send(("GET /large?piece=8192&count=%d %s\r\n\r\n"):format(count, line))
      return connection
    end
    local taken = send("HTTP/1.1\r\nHost: a", 100000) -- as much as the system takes for one
    socket.sleep(3.5)
    local first = math.floor(#taken:read_rest() / 8192)
    taken:close()
    local connections = {}
    for n = 1, 10 do connections[n] = send("HTTP/1.0", first + n - 2) end
    socket.sleep(3.5)
    for n, connection in ipairs(connections) do
      local bytes = connection.tcp:receive "*a"
      assert(not bytes or #bytes:match "\r\n\r\n(.*)" == (first + n - 2) * 8192, "a part passed for the whole")
      connection:close()
    end
    ended()
  end)

  it("answers HEAD with its head alone, and does not write for it", function()
    local connection = running:connect(PATIENCE)
    for _, target in ipairs { "/count", "/endless", "/slowly" } do
      assert.equal(target == "/count" and 206 or 200, connection:request("HEAD", target).status)
      assert.equal("root", connection:request("GET", "/").body)
    end
    connection:close()
  end)

  it("with a status that has no body is a 500", function()
    for _, target in ipairs { "/no-body?status=204", "/no-body?status=205", "/no-body?status=304", "/declared-204" } do
      local connection = running:connect()
      assert.equal(500, connection:request("GET", target).status, target)
      assert.equal("root", connection:request("GET", "/").body)
      connection:close()
    end
  end)

  it("cannot be written to when it is over, nor from elsewhere", function()
    assert.equal("kept", get("/keeps").body)
    for _ = 1, 3 do assert.truthy(get("/use-kept").body:find("write was called after its stream ended", 1, true)) end
    assert.truthy(get("/elsewhere").body:find("^[^x]*write can be called only by its stream's own function"))
    assert.truthy(get("/generator").body:find("^[^x]*write can be called only by its stream's own function"))
    local connection = running:connect()
    for _ = 1, 3 do -- what runs after the response does so in the stream's own coroutine: its bytes would be the next answer's
      assert.equal("whole", connection:request("GET", "/after").body)
      assert.truthy(ended():find("write was called after its stream ended", 1, true))
      assert.equal("root", connection:request("GET", "/").body)
    end
    connection:close()
  end)

  it("waits for a client that does not read, and takes no memory meanwhile", function()
    get("/large?piece=16384&count=100")
    ended()
    local connections, before = {}, running:resident_bytes()
    for n = 1, 10 do
      connections[n] = http.connect_narrow(running.port, PATIENCE)
      connections[n]:send("GET /large?piece=16384&count=10000 HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    socket.sleep(0.7)
    local grown = running:resident_bytes() - before
    assert.equal("root", get("/").body)
    for _, connection in ipairs(connections) do connection:close(true) end
    -- What is written goes to the system and 64 KiB to us; all of it would be 1.6 GB. A sanitizer keeps freed memory for a while.
    assert.is_true(grown < 100 * MIB, grown / MIB .. " MiB")
    assert.truthy(ended():find("the client went away", 1, true))
  end)

  it("is cut off when the client has not read for long", function()
    local connection = http.connect_narrow(running.port, PATIENCE)
    connection:send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("endless: the client went away before the stream ended", ended())
    connection:close()
  end)

  it("gives all to a client that reads slowly, whatever a handler's deadline", function()
    local size, last, longest
    local function read_slowly()
      local connection = http.connect_narrow(running.port, PATIENCE)
      connection:send("GET /large?piece=1000000&count=12 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      local began, read_at = socket.gettime(), socket.gettime()
      size, last, longest = 0, "", 0
      repeat
        local bytes, why = connection:read()
        size, last = size + #bytes, (last .. bytes):sub(-7)
        longest, read_at = math.max(longest, socket.gettime() - read_at), socket.gettime()
        local ahead = size / 12000000 * 4 - (read_at - began)
        if ahead > 0 then socket.sleep(ahead) end
      until why
      connection:close()
      return ended()
    end
    local how
    assert(server.wait_until(2 * PATIENCE, function() -- where we were kept from reading for long, it says nothing
      how = read_slowly()
      return how == "large: whole" or longest < 0.8
    end))
    assert.equal("large: whole", how)
    assert.equal("\r\n0\r\n\r\n", last)
    assert.is_true(size > 12000000)
  end)

  it("without end leaves the worker to others, also when its client reads as fast as it can", function()
    local folder = server.make_folder()
    local reader = process.start(folder, ("curl -s -D %s/head -o /dev/null http://127.0.0.1:%d/endless"):format(folder, running.port))
    assert.truthy(server.wait_until(PATIENCE, function() return (files.read(folder .. "/head") or ""):find("200 OK", 1, true) end))
    local began = socket.gettime()
    repeat assert.equal("root", get("/").body) until socket.gettime() - began > 3 -- longer than a handler may keep its worker here
    assert.is_nil(reader:exit_status())
    reader:stop()
    server.remove_folder(folder)
    assert.truthy(ended():find("the client went away", 1, true))
  end)

  it("ends when its client goes away, at whatever point", function()
    for pause = 0, 5 do
      local connection = running:connect(PATIENCE)
      connection:send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
      socket.sleep(pause / 100)
      connection:close(pause % 2 == 0)
      assert.truthy(ended():find("the client went away", 1, true))
    end
    assert.equal("root", get("/").body)
  end)
end)
