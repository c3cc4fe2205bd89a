-- SPDX-License-Identifier: MIT
-- The same bytes through a real proxy: whatever nginx takes for a request is one request to Demilune too, and each response goes to the
-- request that it answers.

local cases = require "tests.attack.framing.cases"
local framing = require "tests.attack.support.framing"
local http = require "spec.support.http"
local nginx = require "tests.attack.support.nginx"
local server = require "spec.support.server"

describe("agrees with nginx on where a request ends:", function()
  local running, front

  setup(function()
    running = server.start(framing.APP)
    front = nginx.start(running)
  end)
  teardown(function()
    front:stop()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  --- Requests that Demilune has logged, without the ones of the spec itself.
  local function logged()
    local count = 0
    for line in running:log():gmatch('"message":"request"([^\n]*)\n') do
      if not line:find('"path":"/seen"', 1, true) then count = count + 1 end
    end
    return count
  end

  --- Sends bytes on a connection of its own: the responses, when the front has closed.
  local function exchange(path, bytes)
    local connection = http.connect_unix(path)
    connection:send(bytes)
    connection:shutdown()
    local received, ending = connection:read_rest()
    connection:close()
    assert.equal("closed", ending)
    return framing.replies(received, true)
  end

  --- How many handlers answered; each answer has the number of the request it went out for.
  local function count_served(replies, numbers)
    local served = 0
    for _, reply in ipairs(replies) do
      if reply.status == 200 then
        local sent, answered = reply.head:match("\r\nx%-front: (%x+)"), reply.body:match('"id":"(%x+)"')
        if sent and answered then assert.equal(sent, answered) end -- HEAD has no body, and a response to HTTP/0.9 no head
        assert.is_nil(numbers[sent or answered], "one request has two responses")
        numbers[sent or answered] = true
        served = served + 1
      end
    end
    return served
  end

  local numbers = {}
  for group, list in pairs(cases) do
    it(group, function()
      for _, case in ipairs(list) do
        local seen = framing.seen(running)
        local served = 0
        for _, path in ipairs(front.sockets) do
          for _, bytes in ipairs { case.bytes, framing.GOOD .. case.bytes .. framing.LAST } do
            if not case.unfinished then served = served + count_served(exchange(path, bytes), numbers) end
          end
        end
        assert.equal(served, framing.seen(running) - seen, case.name .. ": requests that handlers saw")
        -- Both write their lines a moment after the response.
        server.wait_until(10, function() return front:forwarded() == logged() end)
        assert.equal(front:forwarded(), logged(), case.name .. ": requests that were forwarded, and that arrived, so far")
      end
    end)
  end
end)
