-- SPDX-License-Identifier: MIT
-- A refresh token that is copied must not become two logins (RFC 9700 4.14.2). Whoever uses it again, at once or later, by whatever worker,
-- ends what came from it.

local http = require "spec.support.http"
local logins = require "tests.attack.support.logins"

local AT_ONCE, ROUNDS = 50, 4

describe("refreshes a token once:", function()
  local world
  setup(function() world = logins.start() end)
  teardown(function() world:stop() end)

  -- The same bytes on so many connections, before any answer is read.
  local function at_once(count, target_of, token)
    local connections, responses = {}, {}
    for index = 1, count do connections[index] = http.connect(world.running.port) end
    for index, connection in ipairs(connections) do
      connection:send(("POST %s HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\n\r\n"):format(target_of(index), logins.COOKIE, token))
    end
    for index, connection in ipairs(connections) do
      responses[index] = assert(connection:receive("POST"))
      connection:close()
    end
    return responses
  end

  local function statuses(responses)
    local counts = {}
    for _, response in ipairs(responses) do counts[response.status] = (counts[response.status] or 0) + 1 end
    return counts
  end

  it("of fifty at once over all workers one wins, and what it won has ended with the family", function()
    for round = 1, ROUNDS do
      world:register("racer" .. round)
      local login = world:log_in("racer" .. round)
      local responses = at_once(AT_ONCE, function() return "/refresh" end, login.refresh)
      assert.same({ [200] = 1, [401] = AT_ONCE - 1 }, statuses(responses))
      for _, response in ipairs(responses) do
        local token = logins.cookie_of(response)
        if response.status == 401 then assert.equal("", token)
        else assert.same({ nil, 401 }, { world:refresh(token) }) end
      end
      assert.same({ families = 0, unused = 0 }, world:tokens())
    end
  end)

  it("one that came back later ends the copy's descendants too", function()
    world:register "victim"
    local stolen = world:log_in "victim"
    local thief = stolen
    for _ = 1, 5 do thief = world:refresh(thief.refresh) end
    assert.same({ nil, 401 }, { world:refresh(stolen.refresh) }) -- the victim, who does not know
    assert.same({ nil, 401 }, { world:refresh(thief.refresh) })
    assert.same({ families = 0, unused = 0 }, world:tokens())
  end)

  it("a refresh and a logout at once leave nothing that lives", function()
    for round = 1, ROUNDS do
      world:register("leaver" .. round)
      local login = world:log_in("leaver" .. round)
      local responses = at_once(AT_ONCE, function(index) return index % 2 == 0 and "/refresh" or "/logout" end, login.refresh)
      local counts = statuses(responses)
      assert.equal(AT_ONCE / 2, counts[204])
      assert.is_true((counts[200] or 0) <= 1)
      assert.same({ families = 0, unused = 0 }, world:tokens())
      for _, response in ipairs(responses) do
        if response.status == 200 then assert.same({ nil, 401 }, { world:refresh(logins.cookie_of(response)) }) end
      end
    end
  end)

  it("somebody else's login is not concerned", function()
    world:register "other"
    world:register "careless"
    local other, careless = world:log_in "other", world:log_in "careless"
    local again = world:log_in "careless" -- of the same account, at another machine
    world:refresh(careless.refresh)
    world:refresh(careless.refresh)
    assert.same({ families = 2, unused = 2 }, world:tokens())
    assert.truthy(world:refresh(other.refresh))
    assert.truthy(world:refresh(again.refresh))
  end)
end)
