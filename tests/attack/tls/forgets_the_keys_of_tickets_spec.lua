-- SPDX-License-Identifier: MIT
-- Who takes a server's ticket key opens every session that was sealed with it, also those that he recorded long before (RFC 5077 5.5,
-- RFC 9325 3.4): so no key lives for long. The master makes one each twelve hours, for all workers, and a day later it is gone. The clock is
-- tests/clock/jumping_clock.c, which here says that the machine has run for longer.

local certificates = require "spec.support.certificates"
local clock = require "spec.support.clock"
local wait_until = require("spec.support.server").wait_until
local tls = require "tests.attack.support.tls"
local tls_server = require "tests.attack.support.tls_server"

local PERIOD, PATIENCE = 12 * 3600, 30 -- seconds
local WORKERS, TRIES = 2, 6

describe("forgets the keys of tickets:", function()
  local server, time

  before_each(function()
    local files = certificates.new()
    time = clock.new(files.folder)
    server = tls_server.start(tls_server.HELLO, { workers = WORKERS, env = time:environment() }, files)
  end)

  after_each(function() server:stop() end)

  local function go_on(version, session)
    local client = server:client { version = version, session = session }
    if not client then return nil end
    client:send(tls_server.REQUEST)
    local answered = client:read_until(function(text) return text:find("hello", 1, true) end):find("hello", 1, true)
    local resumed, next_session = client:is_resumed(), client:session()
    client:close()
    return answered and next_session, resumed
  end

  -- Lets so many seconds pass, and waits for the key that follows from that.
  local function let_pass(seconds, key)
    time:set(0, seconds)
    return assert(wait_until(PATIENCE, function()
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
