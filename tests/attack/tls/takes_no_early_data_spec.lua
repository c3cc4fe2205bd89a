-- SPDX-License-Identifier: MIT
-- Early data (RFC 8446 2.3, 8; RFC 8470): a request in the first flight of a resumed session, which whoever has recorded it can send again. No
-- ticket of ours allows it; here it is sent all the same.

local http = require "spec.support.http"
local tls_server = require "tests.attack.support.tls_server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local counts = { early = 0, late = 0 }
app:post("/early", function() counts.early = counts.early + 1 return counts end)
app:get("/late", function() counts.late = counts.late + 1 return counts end)
return app
]]

local EARLY = "POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
local LATE = "GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n"

describe("takes no early data:", function()
  local server, late

  setup(function() server, late = tls_server.start(APP), 0 end)

  teardown(function() server:stop() end)

  -- How many requests of each kind have been handled, as a request after the handshake is told.
  local function ask(client)
    late = late + 1
    client:send(LATE)
    local text = client:read_until(function(text) return text:find("}", 1, true) end)
    assert.equal(late, tonumber(text:match('"late":(%d+)')), text)
    return tonumber(text:match('"early":(%d+)'))
  end

  local function session()
    local client = assert(server:client { version = "tlsv1_3" })
    ask(client)
    local made = client:session()
    client:close()
    return made
  end

  it("no ticket allows it", function()
    local path = server.files:path "session"
    local command = "timeout 20 openssl s_client -tls1_3 -connect 127.0.0.1:" .. server.port
    late = late + 1
    server.files:output(command .. " -ign_eof -sess_out " .. path, (LATE:gsub("\r\n\r\n$", "\r\nConnection: close\r\n\r\n")))
    local text = server.files:output("openssl sess_id -noout -text -in " .. path)
    assert.truthy(text:find("Max Early Data: 0", 1, true), text)
  end)

  it("a request in it is never handled, and the handshake goes on", function()
    for _ = 1, 3 do
      local client = assert(server:client { version = "tlsv1_3", session = session(), early = EARLY })
      assert.is_true(client:is_resumed())
      assert.is_false(client:is_early_data_taken())
      assert.equal(0, ask(client))
      client:close()
    end
  end)

  it("more of it than could be passed over ends the connection", function()
    local client = server:client { version = "tlsv1_3", session = session(), early = EARLY:rep(2000) }
    if client then -- it is done before the server has seen all of it
      client:send(LATE)
      assert.equal("", client:read_until(function() return false end))
    end
    assert.equal(0, ask(assert(server:client())))
  end)

  it("the first flight, recorded and sent again, does nothing", function()
    local first = server:client { version = "tlsv1_3", session = session(), early = EARLY }
    local again = http.connect(server.port)
    again:send(first.first_flight)
    assert.truthy((again:read()):find("\22\3\3", 1, true)) -- a ServerHello, to which only the first client has the keys
    again:close()
    assert.equal(0, ask(first))
    first:close()
  end)
end)
