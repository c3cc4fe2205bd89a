-- SPDX-License-Identifier: MIT
-- HTTP/1.1 over a socket: what a request may look like, and what comes back for one that may not.

local http = require "spec.support.http"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "http", version = "1", guard = guard.public,
  limits = { max_body = 100000, max_target = 2000, max_head = 8000 } }
app:get("/", {}, function() return "root" end)
app:get("/long", {}, function() return ("y"):rep(20000000) end)
app:get("/items/{id}", { path = { id = model.string() } }, function(req) return { id = req.path.id } end)
app:post("/echo", { body = model.raw() }, function(req) return req.body end)
app:post("/json", { body = model "Thing" { name = model.string() } }, function(req) return req.body end)
return app
]]

local GOOD = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("HTTP/1.1", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function answer(bytes, method)
    local connection = running:connect()
    connection:send(bytes)
    local response, why = connection:receive(method)
    return response or { status = why }, connection
  end

  it("keeps the connection and answers pipelined requests in order", function()
    local connection = running:connect()
    connection:send("GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /items/2 HTTP/1.1\r\nHost: a\r\n\r\nGET /items/3 HTTP/1.1\r\nHost: a\r\n\r\n")
    for id = 1, 3 do assert.equal(('{"id":"%d"}'):format(id), connection:receive().body) end
    connection:send(GOOD)
    assert.equal("root", connection:receive().body)
    connection:close()
  end)

  -- The server reads 32 KiB at a time.
  it("reads a body whose head ends where the bytes that were read at once end", function()
    local function padded(line, length)
      local head = line .. "\r\nHost: a\r\nX-Padding: "
      return head .. ("x"):rep(length - #head - 4) .. "\r\n\r\n"
    end
    local body = ("y"):rep(50000)
    for _, ends in ipairs { 32768, 32767, 32000 } do
      local connection = running:connect()
      local before = padded("GET / HTTP/1.1", 7000):rep(4)
      connection:send(before .. padded("POST /echo HTTP/1.1\r\nContent-Length: " .. #body, ends - #before) .. body)
      for _ = 1, 4 do assert.equal("root", connection:receive().body) end
      assert.is_true(connection:receive().body == body)
      connection:close()
    end
  end)

  it("answers a request that comes byte by byte", function()
    local connection = running:connect()
    for byte in ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\nhello"):gmatch(".") do
      connection:send(byte)
    end
    assert.equal("hello", connection:receive().body)
    connection:close()
  end)

  it("closes after Connection: close and reads nothing behind it", function()
    local response, connection = answer("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" .. GOOD)
    assert.equal(200, response.status)
    assert.equal("close", response.headers.connection)
    assert.is_true(connection:is_closed())
  end)

  it("closes after an HTTP/1.0 request unless that asks to stay", function()
    local response, connection = answer("GET / HTTP/1.0\r\n\r\n")
    assert.equal(200, response.status)
    assert.is_true(connection:is_closed())
    response, connection = answer("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.equal("keep-alive", response.headers.connection)
    connection:send(GOOD)
    assert.equal("root", connection:receive().body)
  end)

  it("answers HEAD with the head of GET and no body", function()
    local connection = running:connect()
    local response = connection:request("HEAD", "/")
    assert.equal(200, response.status)
    assert.equal("4", response.headers["content-length"])
    assert.equal("root", connection:request("GET", "/").body)
  end)

  it("answers HEAD without a body where it is refused, too", function()
    for bytes, status in pairs {
      ["HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] = 400, ["HEAD /a//b HTTP/1.1\r\nHost: a\r\n\r\n"] = 400,
      ["HEAD / HTTP/1.1\r\nHost: a\r\nA: \n"] = 400, ["HEAD / HTTP/1.1\r\n" .. ("A: b\r\n"):rep(200)] = 431,
      ["HEAD / HTTP/1.1\r\nA: " .. ("b"):rep(9000)] = 431, ["HEAD / HTTP/1.1\r\nHost: a\r\nExpect: b\r\n\r\n"] = 417,
      ["HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"] = 400,
      ["HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx"] = 400,
      ["HEAD /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"] = 404,
    } do
      local response, connection = answer("GET / HTTP/1.1\r\nHost: a\r\n\r\n" .. bytes)
      assert.equal("root", response.body)
      response = connection:receive("HEAD")
      assert.equal(status, response.status, bytes:sub(1, 60))
      assert.truthy(tonumber(response.headers["content-length"]) > 0)
      assert.is_true(connection:is_closed(), bytes:sub(1, 60))
      connection:close()
    end
    assert.truthy(#answer("HEADER / HTTP/1.1\r\nHost: a\r\n\r\n").body > 0)
  end)

  it("answers OPTIONS and 405 with Allow, and 404", function()
    local options = running:request("OPTIONS", "/")
    assert.equal(204, options.status)
    assert.equal("GET, HEAD, OPTIONS", options.headers.allow)
    local wrong = running:request("DELETE", "/")
    assert.equal(405, wrong.status)
    assert.equal("GET, HEAD, OPTIONS", wrong.headers.allow)
    assert.equal(404, running:request("GET", "/nothing").status)
  end)

  it("sends 100 Continue before it reads the body that waits for it", function()
    local connection = running:connect()
    connection:send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n")
    assert.equal(100, connection:receive().status)
    connection:send("hi")
    assert.equal("hi", connection:receive().body)
  end)

  it("refuses before the body when it would refuse anyway, and closes", function()
    local response, connection = answer("POST /nothing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert.equal(404, response.status)
    assert.is_true(connection:is_closed())
  end)

  it("drops the short body of a refused request and goes on", function()
    local connection = running:connect()
    connection:send("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" .. GOOD)
    assert.equal(404, connection:receive().status)
    assert.equal("root", connection:receive().body)
  end)

  it("takes chunked bodies, extensions and trailers included", function()
    local connection = running:connect()
    connection:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\nContent-Length: 9\r\n\r\n" .. GOOD)
    assert.equal("hello", connection:receive().body)
    assert.equal("root", connection:receive().body)
  end)

  it("takes a body that is larger than its read buffer", function()
    local body = ("x"):rep(99999)
    local response = running:request("POST", "/echo", { body = body, headers = { ["Content-Type"] = "application/octet-stream" } })
    assert.equal(200, response.status)
    assert.equal(body, response.body)
  end)

  it("refuses what is too large: 413, 414, 431", function()
    assert.equal(413, (answer("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n")).status)
    assert.equal(413, (answer("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999\r\n\r\n")).status)
    local chunk = "8000\r\n" .. ("x"):rep(0x8000) .. "\r\n"
    local chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert.equal(413, (answer(chunked .. chunk:rep(4))).status)
    assert.equal(414, (answer("GET /" .. ("a"):rep(2100) .. " HTTP/1.1\r\nHost: a\r\n\r\n")).status)
    assert.equal(431, (answer("GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("a"):rep(9000) .. "\r\n\r\n")).status)
    assert.equal(431, (answer("GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: a\r\n"):rep(200) .. "\r\n")).status)
    assert.equal(431, (answer("GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("a"):rep(60000))).status)
  end)

  it("decodes a path once and plays no tricks with it", function()
    assert.equal('{"id":"a b%41"}', running:request("GET", "/items/a%20b%2541").body)
    assert.equal('{"id":"%2e%2e%2fa"}', running:request("GET", "/items/%252e%252e%252fa").body) -- twice is not decoded
    assert.equal('{"id":"1;a=b"}', running:request("GET", "/items/1;a=b").body) -- nor is ";" anything but a letter
    assert.equal('{"id":"..;"}', running:request("GET", "/items/..;").body)
    for _, target in ipairs { "/items//1", "/items/%2f", "/items/a%2Fb", "/items/%00", "/items/../items/1", "/items/%2e%2e", "/items/.", "/items/%",
      "/items/%zz", "/items/%ff", "/items/a#b", "/items/%c0%ae%c0%ae", "/items/%c0%af", "/items/%e0%80%af", "/items/%ed%a0%80", "/items/%f4%90%80%80",
      "/items/%5c", "/items/..%5c", "/items/%0d%0a", "/items/%7f", "/items/.%2e", "/items/%u002e", "/%2e/items/1", "//items/1", "/items/1//" } do
      assert.equal(400, running:request("GET", target).status, target)
    end
  end)

  local refused = {
    ["a bare LF after the request line"] = { "GET / HTTP/1.1\nHost: a\r\n\r\n", 400 },
    ["a bare LF after a header"] = { "GET / HTTP/1.1\r\nHost: a\n\r\n", 400 },
    ["a bare CR in a header"] = { "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400 },
    ["an obs-fold"] = { "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 400 },
    ["a space before the colon"] = { "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
    ["an empty header name"] = { "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400 },
    ["two spaces in the request line"] = { "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    ["no version"] = { "GET /\r\nHost: a\r\n\r\n", 400 },
    ["HTTP/2.0 in the line"] = { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
    ["no Host"] = { "GET / HTTP/1.1\r\n\r\n", 400 },
    ["two Hosts"] = { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
    ["both framings"] = { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    ["two Content-Lengths"] = { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400 },
    ["a signed Content-Length"] = { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400 },
    ["Transfer-Encoding in HTTP/1.0"] = { "POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    ["an unknown method"] = { "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
    ["CONNECT"] = { "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501 },
    ["a chunk size that is not hexadecimal"] = { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
    ["a chunk without CRLF behind it"] = { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxZZ0\r\n\r\n", 400 },
    ["a NUL in a header"] = { "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400 },
    ["a TLS handshake on the plain port"] = { "\22\3\1\2\0\1\0\1\252\3\3" .. ("x"):rep(80) .. "\r\n\r\n", 400 },
  }
  for what, case in pairs(refused) do
    it("refuses " .. what .. " and closes", function()
      local response, connection = answer(case[1] .. GOOD)
      assert.equal(case[2], response.status)
      assert.equal("close", response.headers.connection)
      assert.is_true(connection:is_closed())
    end)
  end

  it("answers a client that says it will send no more", function()
    local connection = running:connect()
    connection:send(GOOD)
    connection:shutdown()
    assert.equal("root", connection:receive().body)
    assert.is_true(connection:is_closed())
  end)

  it("sends all of a long answer to a client that says so, also where the connection ends behind it", function()
    for _, head in ipairs { "HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", "HTTP/1.0\r\n" } do
      for _, reads_first in ipairs { false, true } do
        local connection = http.connect_narrow(running.port)
        connection:send("GET /long " .. head .. "\r\n")
        local first = reads_first and connection:read() or ""
        connection:shutdown()
        assert.equal(20000000, #(first .. connection:read_rest()):match("\r\n\r\n(.*)"))
        connection:close()
      end
    end
  end)

  it("answers 400 when the client ends in the middle of a body", function()
    local connection = running:connect()
    connection:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    connection:shutdown()
    assert.equal(400, connection:receive().status)
  end)

  it("outlives clients that reset in every state", function()
    for _, bytes in ipairs { "", "GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", GOOD:rep(200) } do
      for _ = 1, 5 do
        local connection = running:connect()
        connection:send(bytes)
        connection:close(true)
      end
    end
    assert.equal("root", running:request("GET", "/").body)
  end)

  it("says what is wrong with a head also after a request that wants no body", function()
    for _ = 1, 3 do
      assert.equal("", running:request("HEAD", "/").body)
      local connection = running:connect()
      connection:send("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
      local response = connection:receive()
      assert.equal(400, response.status)
      assert.truthy(response.body:find('"detail"', 1, true), response.body)
      connection:close()
    end
  end)

  it("logs of what reached no route that it reached none, whatever came before", function()
    for index = 1, 3 do
      assert.equal(200, running:request("GET", "/").status)
      assert.equal(404, running:request("GET", "/nowhere-" .. index).status)
      assert.truthy(running:log_line(('"path":"/nowhere-%d","route":"","status":404'):format(index)))
    end
  end)

  it("refuses bodies under the wrong name, or compressed", function()
    local function post(content_type, encoding)
      local headers = { ["Content-Type"] = content_type, ["Content-Encoding"] = encoding }
      return running:request("POST", "/json", { body = '{"name":"a"}', headers = headers }).status
    end
    assert.equal(200, post("application/json"))
    assert.equal(200, post("Application/JSON; charset=UTF-8"))
    assert.equal(415, post("text/plain"))
    assert.equal(415, post("application/x-www-form-urlencoded"))
    assert.equal(415, post("application/json; charset=utf-16"))
    assert.equal(415, post(nil))
    assert.equal(415, post("application/json", "gzip"))
    assert.equal(415, post("application/json", "identity\r\nContent-Encoding: gzip"))
    assert.equal(200, post("application/json", "identity"))
  end)

  it("answers 422 for every JSON document that two parsers could read differently", function()
    for _, body in ipairs { '{"name":"a","name":"b"}', '{"name":"a"',
      '{"name":"\255"}', '{"name":"a\\u0000"}', '{"name":"\\ud800"}', '{"name":"a"}x', "\239\187\191{}",
      '{"name":1e999}', '{"name":99999999999999999999}', ("["):rep(200), "" } do
      local response = running:request("POST", "/json", { body = body, headers = { ["Content-Type"] = "application/json" } })
      assert.equal(422, response.status, body)
    end
  end)

  it("sends the fields that keep browsers from guessing", function()
    for _, target in ipairs { "/", "/nothing" } do
      local headers = running:request("GET", target).headers
      assert.equal("nosniff", headers["x-content-type-options"])
      assert.equal("no-referrer", headers["referrer-policy"])
      assert.truthy(headers["content-security-policy"]:find("default-src 'none'", 1, true))
      assert.is_nil(headers.server)
    end
  end)
end)
