-- SPDX-License-Identifier: MIT
-- A session that is resumed spares a client its proof of who it is, and us the keys: each resumption gives the next ticket, so that without an
-- end to the whole of it one theft of a session would be good for ever (RFC 8446 4.6.1). The clock is tests/clock/jumping_clock.c.

local certificates = require "spec.support.certificates"
local ffi = require "ffi"
local http = require "spec.support.http"
local server = require "spec.support.server"
local tls = require "tests.attack.support.tls"

local APP = [[
local demilune = require "demilune"
local guard = demilune.guard
local app = demilune.app { guard = guard.public }
app:get("/now", function() return ("%d"):format(demilune.now()) end)
app:get("/machine", { guard = guard.client_certificate {} }, function(req) return req.principal.subject end)
return app
]]

local CLOCK = (server.program:match("^(.*)/") or ".") .. "/tests/jumping_clock.so"
local HOUR, PATIENCE = 3600, 60 -- seconds
local VERSIONS = { "tlsv1_2", "tlsv1_3" }

describe("a session is resumed for twelve hours at most:", function()
  local files, running, path, ahead

  before_each(function()
    files, ahead = certificates.new(), 0
    files:make("authority", { authority = true })
    files:make("worker-7", { issuer = "authority" })
    path = files:path "clock"
    local file = assert(io.open(path, "wb"))
    file:write(("\0"):rep(8))
    file:close()
    local flags = files:make("server", { names = "DNS:localhost" })
    flags[#flags + 1] = "--tls-client-ca=" .. files:path "authority.pem"
    running = server.start(APP, { flags = flags, env = { JUMPING_CLOCK = path, LD_PRELOAD = CLOCK, ASAN_OPTIONS = "verify_asan_link_order=0" } })
  end)

  after_each(function()
    local status, log = running:stop()
    files:remove()
    assert.equal(0, status, log)
  end)

  local function connect(given) return assert(tls.client(http.connect(running.port), given)) end

  local function ask(client, target)
    client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(target))
    return client:read_until(function(text) return text:find "\r\n\r\n." end):match "\r\n\r\n(.*)$"
  end

  -- The server reads its clock once in each turn of its loop, hence a look at it.
  local function forward(seconds)
    ahead = ahead + seconds
    local file = assert(io.open(path, "r+b"))
    file:write(ffi.string(ffi.new("int64_t[1]", ahead), 8))
    file:close()
    local client = connect {}
    assert.is_true(math.abs(tonumber(ask(client, "/now")) - os.time() - ahead) < PATIENCE)
    client:close()
  end

  -- Who a client with that session is there, whether it was resumed, and the session it goes on with.
  local function go_on(version, session, certificate)
    local client = connect {
      version = version, session = session, certificate = certificate and files:path(certificate .. ".pem"),
      key = certificate and files:path(certificate .. ".key"),
    }
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
