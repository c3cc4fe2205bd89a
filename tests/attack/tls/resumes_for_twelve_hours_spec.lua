-- SPDX-License-Identifier: MIT
-- A session that is resumed spares a client its proof of who it is, and us the keys: each resumption gives the next ticket, so that without an
-- end to the whole of it one theft of a session would be good for ever (RFC 8446 4.6.1). The clock is tests/clock/jumping_clock.c.

local certificates = require "spec.support.certificates"
local clock = require "spec.support.clock"
local tls_server = require "tests.attack.support.tls_server"

local APP = [[
local demilune = require "demilune"
local guard = demilune.guard
local app = demilune.app { guard = guard.public }
app:get("/now", function() return ("%d"):format(demilune.now()) end)
app:get("/machine", { guard = guard.client_certificate {} }, function(req) return req.principal.subject end)
return app
]]

local HOUR = 3600 -- seconds
local VERSIONS = { "tlsv1_2", "tlsv1_3" }

describe("a session is resumed for twelve hours at most:", function()
  local server, time, ahead

  before_each(function()
    local files = certificates.new()
    time, ahead = clock.new(files.folder), 0
    files:make("authority", { authority = true })
    files:make("worker-7", { issuer = "authority" })
    server = tls_server.start(APP, { flags = { "--tls-client-ca=" .. files:path "authority.pem" }, env = time:environment() }, files)
  end)

  after_each(function() server:stop() end)

  local function ask(client, target)
    client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(target))
    return client:read_until(function(text) return text:find "\r\n\r\n." end):match "\r\n\r\n(.*)$"
  end

  local function now()
    local client = assert(server:client())
    local text = ask(client, "/now")
    client:close()
    return text
  end

  local function forward(seconds)
    ahead = ahead + seconds
    time:jump(ahead, now)
  end

  -- Who a client with that session is there, whether it was resumed, and the session it goes on with.
  local function go_on(version, session, certificate)
    local path = certificate and server.files:path(certificate)
    local proof = path and { certificate = path .. ".pem", key = path .. ".key" } or {}
    local client = assert(server:client { version = version, session = session, certificate = proof.certificate, key = proof.key })
    local who, resumed = ask(client, "/machine"), client:is_resumed()
    local next_session = client:session()
    client:close()
    return who, resumed, next_session
  end

  for _, version in ipairs(VERSIONS) do
    it("however often it was, by whoever has it and no key of the client's: " .. version, function()
      local who, resumed, session = go_on(version, nil, "worker-7")
      assert.same({ "worker-7", false }, { who, resumed })
      for _ = 1, 2 do
        forward(5 * HOUR)
        who, resumed, session = go_on(version, session)
        assert.same({ "worker-7", true }, { who, resumed })
      end
      forward(3 * HOUR) -- 13 since somebody proved anything
      who, resumed = go_on(version, session)
      assert.same({ '{"detail":"Not authenticated"}', false }, { who, resumed })
    end)

    it("and then a client proves itself anew: " .. version, function()
      local _, _, session = go_on(version, nil, "worker-7")
      forward(13 * HOUR)
      local who, resumed = go_on(version, session, "worker-7")
      assert.same({ "worker-7", false }, { who, resumed })
    end)
  end
end)
