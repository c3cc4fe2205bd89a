-- SPDX-License-Identifier: MIT
-- The test client: the bytes it sends, the responses it reads, its cookies and
-- its clock. The server here is a list of answers.

local core = require("spec.support.core").install()
local test = require "demilune.test"
local test_reply = require "demilune.test_reply"
local units = require "demilune.units"

local sent, deadlines, answers, connections, client

-- Gives the answer in pieces of the given size, then the end of the connection.
local function pieces(answer, size)
  local at = 1
  return function()
    if at > #answer then return nil end
    local piece = answer:sub(at, at + size - 1)
    at = at + size
    return piece
  end
end

local function read(answer, method, size) return test_reply.reader(pieces(answer, size or #answer)):next(method or "GET") end

function core.test_connect()
  connections = connections + 1
  local waiting = {}
  local connection = {}
  function connection.send(_, bytes, asked, seconds)
    sent[#sent + 1], deadlines[#deadlines + 1] = bytes, asked .. ": " .. seconds
    local answer = table.remove(answers, 1)
    waiting[#waiting + 1] = answer
  end
  function connection.receive() return table.remove(waiting, 1) end
  function connection.close() end
  return connection
end

before_each(function()
  sent, deadlines, answers, connections = {}, {}, {}, 0
  core.seconds = 1893456000
  client = test.client()
end)

describe("a response", function()
  it("is read however its bytes arrive", function()
    local answer = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":1}"
    for size = 1, #answer do
      local reply = read(answer, "POST", size)
      assert.same({ 201, "Created", '{"id":1}', "application/json" }, { reply.status, reply.reason, reply.body, reply.headers["content-type"] })
      assert.same({ id = 1 }, reply.json())
    end
  end)

  it("has header fields by name in any case, several as one", function()
    local reply = read("HTTP/1.1 200 OK\r\nVary: a\r\nX-Id:  7 \r\nvary: b\r\nContent-Length: 0\r\n\r\n")
    assert.same({ "a, b", "7" }, { reply.headers.Vary, reply.headers["x-ID"] })
    assert.is_nil(reply.headers.absent)
  end)

  it("may come in chunks, with a trailer", function()
    local answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, chunked!\r\n0\r\nX-Sum: 1\r\n\r\n"
    for size = 1, #answer do assert.equal("hello, chunked!", read(answer, "GET", size).body) end
  end)

  it("has no body after HEAD, with 204 and with 304", function()
    assert.equal("", read("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", "HEAD").body)
    assert.equal("", read("HTTP/1.1 204 No Content\r\n\r\n").body)
    assert.equal("", read("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").body)
  end)

  it("may end with the connection", function()
    assert.equal("all of it", read("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", "GET", 3).body)
  end)

  it("comes after interim ones", function()
    assert.equal(200, read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").status)
  end)

  it("is nil when the server closed before its first byte", function() assert.is_nil(read("")) end)

  it("raises when it is none, or cut short", function()
    assert.has_error(function() read("220 smtp\r\n\r\n") end, 'the server answered "220 smtp" instead of a status line')
    assert.has_error(function() read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc") end, "the server closed the connection within a body")
    assert.has_error(function() read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n") end, 'a chunk began with "x" instead of its size')
  end)

  it("raises when its body is asked for as JSON and is none", function()
    local reply = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    assert.error_matches(function() reply.json() end, "the body is no JSON %(expected a value%): hi")
  end)
end)

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

describe("a request", function()
  it("is written with what it needs and no more", function()
    answers = { OK }
    client:get("/users")
    assert.equal("GET /users HTTP/1.1\r\nhost: localhost\r\n\r\n", sent[1])
  end)

  it("has a query, percent-encoded", function()
    answers = { OK, OK }
    client:get("/users", { query = { name = "Ada & Co", tag = { "x", "y" } } })
    client:get("/users?a=1", { query = { b = true } })
    assert.equal("GET /users?name=Ada%20%26%20Co&tag=x&tag=y HTTP/1.1", sent[1]:match("^[^\r]+"))
    assert.equal("GET /users?a=1&b=true HTTP/1.1", sent[2]:match("^[^\r]+"))
  end)

  it("has a body of JSON, a form or bytes", function()
    answers = { OK, OK, OK }
    client:post("/a", { json = { name = "Ada" } })
    client:put("/b", { form = { a = "1 2", b = "=" } })
    client:patch("/c", { body = "raw", headers = { ["Content-Type"] = "text/plain" } })
    assert.equal('POST /a HTTP/1.1\r\ncontent-length: 14\r\ncontent-type: application/json\r\nhost: localhost\r\n\r\n{"name":"Ada"}', sent[1])
    assert.matches("content-type: application/x-www-form-urlencoded\r\nhost: localhost\r\n\r\na=1%202&b=%3D", sent[2], 1, true)
    assert.matches("content-length: 3\r\ncontent-type: text/plain\r\nhost: localhost\r\n\r\nraw", sent[3], 1, true)
  end)

  it("may have false as its JSON", function()
    answers = { OK }
    client:post("/a", { json = false })
    assert.matches("\r\n\r\nfalse$", sent[1])
  end)

  it("may have an idempotency key, which is written as a string of RFC 9651", function()
    answers = { OK }
    client:post("/a", { idempotency_key = [[a "b" \]] })
    assert.equal('POST /a HTTP/1.1\r\nhost: localhost\r\nidempotency-key: "a \\"b\\" \\\\"\r\n\r\n', sent[1])
  end)

  it("has one body and known options", function()
    assert.has_error(function() client:post("/a", { json = {}, form = {} }) end, "a request has one body: give json, form or body, not two of them")
    assert.error_matches(function() client:get("/a", { params = {} }) end, 'client:get: there is no option "params"; it takes body')
  end)

  it("is refused at the spec's line where it cannot be meant", function()
    for sentence, call in pairs {
      ['client:get takes a path, which begins with a slash, not "a"; write client:get("/users")'] = function() return (client:get "a") end,
      ['client:put takes a path, which begins with a slash, not nil; write client:put("/users")'] = function() return (client:put()) end,
      ['client:get is called with a colon; write client:get("/path"), not client.get(...)'] = function() return (client.get "/a") end,
      ['client:get: headers must be a table, not "a"; write headers = { ... }'] = function() return (client:get("/a", { headers = "a" })) end,
      ["client:post: query must be a table, not 5; write query = { ... }"] = function() return (client:post("/a", { query = 5 })) end,
      ['test.client: there is no option "base"; it takes headers, host'] = function() return (test.client { base = "/v1" }) end,
      ["test.run takes a function, not 5; write test.run(function() ... end)"] = function() return (test.run(5)) end,
      ['client:matrix: the principal ada: roles must be a list of strings, not "admin"; write roles = { "one", "two" }'] = function()
        return (client:matrix { principals = { ada = { roles = "admin" } } })
      end,
      ['client:matrix: the principal ada: there is no option "header"; did you mean headers?'] = function()
        return (client:matrix { principals = { ada = { header = {} } } })
      end,
      ['client:matrix: the principal ada: there is no guard "apikey"; write one of bearer, api_key, session, basic, client_certificate'] = function()
        return (client:matrix { principals = { ada = { guard = "apikey" } } })
      end,
      ["client:matrix: principals have names; write principals ="] = function() return (client:matrix { principals = { "ada", bob = {} } }) end,
      ['client:matrix: public must be a list of strings, not "GET /"'] = function()
        return (client:matrix { principals = { ada = {} }, public = "GET /" })
      end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok, sentence)
      assert.matches("^%S*test_client_spec%.lua:%d+: ", message)
      assert.matches(sentence, message, 1, true)
    end
    assert.same({}, sent)
  end)

  it("goes over the same connection until the server closes it", function()
    answers = { OK, OK, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", OK }
    for _ = 1, 4 do client:get("/") end
    assert.equal(2, connections)
  end)

  it("is sent again when the idle connection was closed meanwhile", function()
    answers = { OK, nil }
    client:get("/")
    local again
    answers = {}
    local connect = core.test_connect
    core.test_connect = function()
      answers = { OK }
      again = true
      return connect()
    end
    assert.equal(200, client:get("/").status)
    core.test_connect = connect
    assert.is_true(again)
  end)

  it("raises when there is no answer at all", function()
    assert.error_matches(function() client:get("/") end, "GET /: the server closed the connection without an answer")
  end)
end)

describe("cookies", function()
  local function setting(...)
    local lines = { "HTTP/1.1 200 OK" }
    for _, cookie in ipairs { ... } do lines[#lines + 1] = "Set-Cookie: " .. cookie end
    return table.concat(lines, "\r\n") .. "\r\nContent-Length: 0\r\n\r\n"
  end

  local function sent_cookies() return sent[#sent]:match("\r\ncookie: ([^\r]*)") end

  it("are kept and sent back, beside a request's own", function()
    answers = { setting("a=1; Path=/; HttpOnly", "b=2"), OK, OK }
    client:get("/")
    client:get("/x")
    assert.equal("a=1; b=2", sent_cookies())
    client:get("/x", { cookies = { b = "3", c = "4" } })
    assert.equal("a=1; b=3; c=4", sent_cookies())
  end)

  it("go only below their path", function()
    answers = { setting("a=1; Path=/users"), OK, OK, OK }
    client:get("/")
    client:get("/users/1?x=y")
    assert.equal("a=1", sent_cookies())
    client:get("/users?x")
    assert.equal("a=1", sent_cookies())
    client:get("/users2")
    assert.is_nil(sent_cookies())
  end)

  it("end by the server's clock", function()
    answers = { setting("a=1; Max-Age=60", "b=2; Expires=Tue, 01 Jan 2030 00:01:40 GMT"), OK, OK, OK }
    client:get("/")
    client:forward("59s")
    client:get("/")
    assert.equal("a=1; b=2", sent_cookies())
    client:forward("2s")
    client:get("/")
    assert.equal("b=2", sent_cookies())
    client:at("2030-01-01T00:01:41Z")
    client:get("/")
    assert.is_nil(sent_cookies())
  end)

  it("are forgotten when the server says so", function()
    answers = { setting("a=1"), setting("a=; Max-Age=0"), OK }
    for _ = 1, 3 do client:get("/") end
    assert.is_nil(sent_cookies())
  end)

  it("belong to one client", function()
    answers = { setting("a=1"), OK }
    client:get("/")
    test.client():get("/")
    assert.is_nil(sent_cookies())
  end)
end)

describe("the clock", function()
  it("is set and moved", function()
    client:at("2031-02-03T04:05:06Z")
    assert.equal(units.epoch("2031-02-03T04:05:06Z"), core.now())
    client:forward("90m")
    assert.equal(units.epoch("2031-02-03T05:35:06Z"), core.now())
    assert.error_matches(function() client:at(1893456000) end, 'at: 1893456000 is no moment; write "2030%-01%-01T00:00:00Z"')
    assert.error_matches(function() client:at("tomorrow") end, 'at: tomorrow is no moment; write "2030%-01%-01T00:00:00Z"')
    assert.error_matches(function() client:forward("a while") end, 'forward: a while is no duration')
  end)
end)

describe("units", function()
  it("read moments with their offsets", function()
    assert.equal(0, units.epoch("1970-01-01T00:00:00Z"))
    assert.equal(1709200800.5, units.epoch("2024-02-29T12:00:00.5+02:00"))
    assert.equal(951782400, units.epoch("2000-02-29T00:00:00Z"))
    assert.equal(-86400, units.epoch("1969-12-31T00:00:00Z"))
    assert.is_nil(units.epoch("2030-01-01"))
    assert.equal(units.epoch("2028-03-01T00:00:00Z") - 86400, units.epoch("2028-02-29T00:00:00Z"))
    assert.equal(units.epoch("2031-01-01T00:00:00Z") - 86400, units.epoch("2030-12-31T00:00:00Z"))
    for _, none in ipairs { "2030-02-29T00:00:00Z", "2030-13-01T00:00:00Z", "2030-00-01T00:00:00Z", "2030-01-00T00:00:00Z", "2030-04-31T00:00:00Z",
      "2030-01-01T24:00:00Z", "2030-01-01T00:60:00Z", "2030-01-01T00:00:61Z", "2030-01-01T00:00:00+24:00", "2030-01-01T00:00:00+00:60" } do
      assert.is_nil(units.epoch(none), none)
    end
  end)

  it("read durations and sizes, and refuse what is none", function()
    assert.same({ 0.5, 61, 900, 7200, 172800, 604800, 2.5 }, {
      units.seconds "500ms", units.seconds "61s", units.seconds "15m", units.seconds "2h", units.seconds "2d", units.seconds "1w", units.seconds(2.5),
    })
    assert.same({ 10, 1000, 65536, 1048576 }, { units.bytes(10), units.bytes "1KB", units.bytes "64KiB", units.bytes "1MiB" })
    assert.is_nil(units.seconds "soon")
    assert.is_nil(units.bytes "1 heap")
  end)
end)

describe("a deadline", function()
  local FINE = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

  it("is the client's, or the request's own", function()
    local patient = test.client { timeout = "2m" }
    answers = { FINE, FINE, FINE, FINE, FINE }
    local options = { timeout = "500ms" }
    client:get("/a", { query = { x = 1 } })
    patient:post("/b")
    patient:get("/c", options)
    patient:raw("nonsense")
    patient:raw("nonsense", "GET", "5m")
    assert.same({ "GET /a?x=1: 60", "POST /b: 120", "GET /c: 0.5", "what was sent: 120", "what was sent: 300" }, deadlines)
    assert.same({ timeout = "500ms" }, options)
  end)

  it("ends the request at the spec's line, and the next one has a connection of its own", function()
    answers = { false, FINE }
    local ok, problem = pcall(client.get, client, "/slow")
    assert.is_false(ok)
    assert.matches("GET /slow: no whole answer came within 60 seconds; if it takes longer, say so", problem, 1, true)
    assert.equal(200, client:get("/").status)
    assert.equal(2, connections)
  end)

  it("has to be a duration", function()
    assert.has_error(function() test.client { timeout = "soon" } end)
    assert.has_error(function() client:get("/", { timeout = "0s" }) end)
    assert.error_matches(function() client:raw("nonsense", "GET", "soon") end, 'client:raw: timeout = "soon" is no duration; write timeout = "5m"')
    assert.same({}, sent)
  end)
end)
