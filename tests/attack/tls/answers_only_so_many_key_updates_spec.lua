-- SPDX-License-Identifier: MIT
-- RFC 8446 4.6.3: a peer may ask for new keys whenever it likes, and each time is owed an answer. One that asks and never reads would have the
-- server keep answers without end; one that reads would have it work without a request that a limit counts.

local http = require "spec.support.http"
local tls = require "tests.attack.support.tls"
local tls_server = require "tests.attack.support.tls_server"

local MANY = 4000

describe("answers only so many key updates:", function()
  local server

  setup(function() server = tls_server.start(tls_server.HELLO, { flags = { "--http-redirect=0" } }) end)

  teardown(function() server:stop() end)

  local function answered(client)
    client:send(tls_server.REQUEST)
    return client:read_until(function(text) return text:find("hello", 1, true) end):find("hello", 1, true)
  end

  --- Whether the server ends the connection of a client that asks so often.
  local function ends(client)
    client.connection:send(client:key_updates(MANY)) -- fails when the server has closed
    local _, ending = client.connection:read_rest()
    client:close()
    return ending == "closed"
  end

  it("some are what a client does that means well", function()
    local client = server:client { version = "tlsv1_3" }
    for _ = 1, 20 do
      client.connection:send(client:key_updates(1))
      assert.truthy(answered(client))
    end
    client:close()
  end)

  it("a flood ends the connection, and nobody else's", function()
    local other = assert(server:client())
    assert.is_true(ends(tls.client(http.connect(server.port, 10), { version = "tlsv1_3" })))
    assert.is_true(ends(tls.client(http.connect_narrow(server.port, 10), { version = "tlsv1_3" })))
    assert.truthy(answered(other))
    other:close()
  end)

  it("so does a flood in the middle of a body", function()
    local client = tls.client(http.connect(server.port, 10), { version = "tlsv1_3" })
    client:send "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n12345"
    assert.is_true(ends(client))
  end)
end)
