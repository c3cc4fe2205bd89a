-- SPDX-License-Identifier: MIT
-- A second handshake inside a connection (RFC 5246 7.4.1.1): cheap to ask for and dear to do (CVE-2011-1473), and the way by which what
-- somebody else sent before it became a victim's (CVE-2009-3555). TLS 1.3 has none.

local http = require "spec.support.http"
local tls12 = require "tests.attack.support.tls12"
local tls_server = require "tests.attack.support.tls_server"

local CLIENT_HELLO = "\1\0\0\41\3\3" .. ("r"):rep(32) .. "\0\0\2\192\43\1\0"
local NO_RENEGOTIATION = "\1\100" -- a warning (RFC 5246 7.2)
local MANY = 4000

describe("renegotiates nothing:", function()
  local server

  setup(function() server = tls_server.start(tls_server.HELLO, { flags = { "--http-redirect=0" } }) end)

  teardown(function() server:stop() end)

  local function ask(channel, count)
    local records = {}
    for index = 1, count do records[index] = channel:record(tls12.HANDSHAKE, CLIENT_HELLO) end
    return channel.connection:send(table.concat(records)) -- fails when the server has closed
  end

  local function answered(channel)
    channel.connection:send(channel:record(tls12.DATA, tls_server.REQUEST))
    local text = ""
    for kind, payload in function() return channel:receive() end do
      assert.equal(tls12.DATA, kind)
      text = text .. payload
      if text:find("hello", 1, true) then return true end
    end
    return false
  end

  it("who asks is told no, and goes on under the keys that there are", function()
    local channel = tls12.channel(http.connect(server.port))
    for _ = 1, 20 do
      ask(channel, 1)
      assert.same({ tls12.ALERT, NO_RENEGOTIATION }, { channel:receive() })
      assert.is_true(answered(channel))
    end
    channel:close()
  end)

  it("a program that insists is told no", function()
    local text = server.files:output(("timeout 20 openssl s_client -tls1_2 -connect 127.0.0.1:%d"):format(server.port), "R\nR\n")
    assert.truthy(text:find("\nRENEGOTIATING\n", 1, true), text)
    assert.truthy(text:find("no renegotiation", 1, true), text)
  end)

  it("a flood ends the connection, and nobody else's", function()
    local other = tls12.channel(http.connect(server.port))
    for _, connect in ipairs { http.connect, http.connect_narrow } do
      local channel = tls12.channel(connect(server.port, 10))
      ask(channel, MANY)
      local _, ending = channel.connection:read_rest()
      assert.equal("closed", ending)
      channel:close()
    end
    assert.is_true(answered(other))
    other:close()
  end)

  it("so does one in the middle of a body, and the body does not count", function()
    local channel = tls12.channel(http.connect(server.port, 10))
    channel.connection:send(channel:record(tls12.DATA, "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n12345"))
    ask(channel, MANY)
    local bytes, ending = channel.connection:read_rest()
    assert.equal("closed", ending)
    assert.is_nil(bytes:find(string.char(tls12.DATA) .. "\3\3", 1, true)) -- no record of plaintext: no response
    channel:close()
  end)
end)
