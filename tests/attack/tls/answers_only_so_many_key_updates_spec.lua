-- SPDX-License-Identifier: MIT
-- RFC 8446 4.6.3: a peer may ask for new keys whenever it likes, and each time is owed an answer. One that asks and never reads would have the
-- server keep answers without end; one that reads would have it work without a request that a limit counts.

local certificates = require "spec.support.certificates"
local http = require "spec.support.http"
local server = require "spec.support.server"
local tls = require "tests.attack.support.tls"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { idle_timeout = "5m", header_timeout = "5m" } }
app:get("/", function() return "hello" end)
app:post("/count", { body = demilune.model.raw() }, function(req) return { bytes = #req.body } end)
return app
]]

local REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
local MANY = 4000

describe("answers only so many key updates:", function()
  local files, running

  setup(function()
    files = certificates.new()
    local flags = files:make("server", { names = "DNS:localhost" })
    flags[#flags + 1] = "--http-redirect=0"
    running = server.start(APP, { flags = flags })
  end)

  teardown(function()
    local status, log = running:stop()
    files:remove()
    assert.equal(0, status, log)
  end)

  local function answered(client)
    client:send(REQUEST)
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
    local client = tls.client(http.connect(running.port), { version = "tlsv1_3" })
    for _ = 1, 20 do
      client.connection:send(client:key_updates(1))
      assert.truthy(answered(client))
    end
    client:close()
  end)

  it("a flood ends the connection, and nobody else's", function()
    local other = assert(tls.client(http.connect(running.port)))
    assert.is_true(ends(tls.client(http.connect(running.port, 10), { version = "tlsv1_3" })))
    assert.is_true(ends(tls.client(http.connect_narrow(running.port, 10), { version = "tlsv1_3" })))
    assert.truthy(answered(other))
    other:close()
  end)

  it("so does a flood in the middle of a body", function()
    local client = tls.client(http.connect(running.port, 10), { version = "tlsv1_3" })
    client:send "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n12345"
    assert.is_true(ends(client))
  end)
end)
