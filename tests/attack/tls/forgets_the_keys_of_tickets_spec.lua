-- SPDX-License-Identifier: MIT
-- Who takes a server's ticket key opens every session that was sealed with it, also those that he recorded long before (RFC 5077 5.5,
-- RFC 9325 3.4): so no key lives for long. The master makes one each twelve hours, for all workers, and a day later it is gone. The clock is
-- tests/clock/jumping_clock.c, which here says that the machine has run for longer.

local certificates = require "spec.support.certificates"
local ffi = require "ffi"
local http = require "spec.support.http"
local server = require "spec.support.server"
local tls = require "tests.attack.support.tls"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/", function() return "hello" end)
return app
]]

local CLOCK = (server.program:match("^(.*)/") or ".") .. "/tests/jumping_clock.so"
local PERIOD, PATIENCE = 12 * 3600, 30 -- seconds
local WORKERS, TRIES = 2, 6

describe("forgets the keys of tickets:", function()
  local files, running, path

  before_each(function()
    files = certificates.new()
    path = files:path "clock"
    local file = assert(io.open(path, "wb"))
    file:write(("\0"):rep(16))
    file:close()
    local flags = files:make("server", { names = "DNS:localhost" })
    running = server.start(APP, {
      workers = WORKERS, flags = flags, env = { JUMPING_CLOCK = path, LD_PRELOAD = CLOCK, ASAN_OPTIONS = "verify_asan_link_order=0" },
    })
  end)

  after_each(function()
    local status, log = running:stop()
    files:remove()
    assert.equal(0, status, log)
  end)

  local function go_on(version, session)
    local client = tls.client(http.connect(running.port), { version = version, session = session })
    if not client then return nil end
    client:send "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    local answered = client:read_until(function(text) return text:find("hello", 1, true) end):find("hello", 1, true)
    local resumed, next_session = client:is_resumed(), client:session()
    client:close()
    return answered and next_session, resumed
  end

  -- Lets so many seconds pass, and waits for the key that follows from that.
  local function let_pass(seconds, key)
    local file = assert(io.open(path, "r+b"))
    file:write(ffi.string(ffi.new("int64_t[2]", 0, seconds), 16))
    file:close()
    return assert(server.wait_until(PATIENCE, function()
      local session = go_on "tlsv1_3"
      local now = session and tls.ticket_key(session)
      return now ~= key and now
    end), "the master goes on with its key")
  end

  for _, version in ipairs { "tlsv1_2", "tlsv1_3" } do
    it("a ticket opens under its key and while the next one is used, at any worker, and never after: " .. version, function()
      local session = go_on(version)
      local first = tls.ticket_key(session)
      assert.is_true((select(2, go_on(version, session))))
      local second = let_pass(PERIOD + 60, first)
      local renewed, resumed = go_on(version, session)
      assert.is_true(resumed)
      assert.equal(second, tls.ticket_key(renewed)) -- whoever comes in time goes on by the newest
      let_pass(2 * PERIOD + 120, second)
      for _ = 1, TRIES do
        assert.is_false((select(2, go_on(version, session))))
        assert.is_true((select(2, go_on(version, renewed))))
      end
    end)
  end
end)
