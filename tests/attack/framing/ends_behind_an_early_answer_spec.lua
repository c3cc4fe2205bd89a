-- SPDX-License-Identifier: MIT
-- A request that is answered before its body has come. A front that takes that answer for the end of the exchange sends somebody else's
-- request where the body was to be (Traffic Server 9.2): it is told that the connection ends, and nothing behind the answer is a request.

local framing = require "tests.attack.support.framing"
local server = require "spec.support.server"

local BODY = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
local NEXT = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("ends behind an early answer:", function()
  local running

  setup(function() running = server.start(framing.APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function chunks(body) return ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) end
  local length = "Content-Length: " .. #BODY
  local requests = {
    { 404, "POST /nothing", length, BODY }, { 404, "POST /nothing", "Transfer-Encoding: chunked", chunks(BODY) },
    { 405, "DELETE /", length, BODY }, { 415, "POST /echo", "Content-Encoding: gzip\r\n" .. length, BODY },
    { 204, "OPTIONS /echo", length, BODY }, { 404, "HEAD /nothing", length, BODY },
  }

  local function head_of(line, fields) return line .. " HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n\r\n" end

  for _, case in ipairs(requests) do
    local status, line, fields, body = unpack(case)
    local name = line .. " (" .. fields:match("^[^:\r]+") .. ", " .. status .. ")"

    it(name .. " says so where the body has not come, and reads that and no request", function()
      for cut = 0, #body - 1, math.ceil(#body / 40) do
        local seen = framing.seen(running)
        local connection = running:connect()
        connection:send(head_of(line, fields) .. body:sub(1, cut))
        local response = assert(connection:receive(line:match("%u+")))
        assert.same({ status, "close" }, { response.status, response.headers.connection })
        connection:send(body:sub(cut + 1) .. NEXT)
        assert.same({ "", "closed" }, { connection:read_rest() })
        connection:close()
        assert.equal(seen, (framing.seen(running)))
      end
    end)
  end

  it("but goes on where the whole body came with its head", function()
    for _, case in ipairs(requests) do
      local status, line, fields, body = unpack(case)
      if fields:find("Content-Length", 1, true) then
        local connection = running:connect()
        connection:send(head_of(line, fields) .. body .. NEXT)
        local response = assert(connection:receive(line:match("%u+")))
        assert.same({ status, nil }, { response.status, response.headers.connection })
        assert.equal(200, connection:receive().status)
        connection:close()
      end
    end
  end)

  it("but not where its client says that it waits to be told to send it", function()
    local connection = running:connect()
    connection:send(head_of("POST /nothing", "Expect: 100-continue\r\n" .. length) .. BODY .. NEXT)
    local response = assert(connection:receive())
    assert.same({ 404, "close" }, { response.status, response.headers.connection })
    assert.same({ "", "closed" }, { connection:read_rest() })
    connection:close()
  end)

  it("closes also where the body never comes", function()
    local connection = running:connect()
    connection:send(head_of("POST /nothing", length))
    assert.equal("close", connection:receive().headers.connection)
    connection:shutdown()
    assert.is_true(connection:is_closed())
    connection:close()
  end)
end)
