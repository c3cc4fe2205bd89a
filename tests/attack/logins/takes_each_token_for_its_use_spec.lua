-- SPDX-License-Identifier: MIT
-- Access tokens are shown to services and live for minutes, refresh tokens to one place and live for days: neither is good for the other's use
-- (RFC 9700 4.14.2, RFC 8725 3.11), and a cookie that two readers could read differently is nobody's.

local logins = require "tests.attack.support.logins"

describe("takes each token for its use:", function()
  local world, login
  setup(function()
    world = logins.start()
    world:register "ada"
  end)
  teardown(function() world:stop() end)
  before_each(function() login = world:log_in "ada" end)

  it("an access token refreshes nothing", function()
    for _, token in ipairs { login.access, "Bearer " .. login.access, login.access:match("[^.]*$"), login.access:match("^[^.]*") } do
      assert.same({ nil, 401 }, { world:refresh(token) })
    end
    assert.equal(401, world.running:request("POST", "/refresh", { headers = { Authorization = "Bearer " .. login.access } }).status)
    assert.truthy(world:refresh(login.refresh))
  end)

  it("a refresh token is no access token, in whatever place", function()
    assert.equal(401, world:as({ access = login.refresh }, "GET", "/me"))
    for _, name in ipairs { logins.COOKIE, "access_token", "__Host-session" } do
      local headers = { Cookie = name .. "=" .. login.refresh }
      assert.equal(401, world.running:request("GET", "/me", { headers = headers }).status)
    end
    assert.truthy(world:refresh(login.refresh)) -- that was no use of it
  end)

  it("a refresh token comes in its cookie, and nowhere else", function()
    local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }
    for _, given in ipairs {
      { "/refresh?" .. logins.COOKIE .. "=" .. login.refresh, {} },
      { "/refresh?refresh_token=" .. login.refresh, {} },
      { "/refresh", { headers = form, body = "grant_type=refresh_token&refresh_token=" .. login.refresh } },
      { "/refresh", { headers = { Authorization = "Bearer " .. login.refresh } } },
      { "/refresh", { headers = { Cookie = logins.COOKIE:lower() .. "=" .. login.refresh } } },
      { "/refresh", { headers = { Cookie = "$Version=1,__Host-refresh=" .. login.refresh } } },
    } do
      assert.equal(401, world.running:request("POST", given[1], given[2]).status)
    end
    assert.equal(422, world.running:request("POST", "/token", {
      headers = form, body = "grant_type=refresh_token&username=ada&password=x&refresh_token=" .. login.refresh }).status)
    assert.truthy(world:refresh(login.refresh))
  end)

  it("two cookies of its name are none", function()
    local other = world:log_in "ada"
    local two = logins.COOKIE .. "=%s; " .. logins.COOKIE .. "=%s"
    for _, pair in ipairs { { login.refresh, other.refresh }, { login.refresh, login.refresh }, { "", login.refresh }, { login.refresh, "" } } do
      assert.equal(401, world:send("/refresh", two:format(pair[1], pair[2])).status)
    end
    assert.truthy(world:refresh(login.refresh))
  end)

  it("a field of cookies that cannot be read is a mistake of the client's, and no error of ours", function()
    local good = logins.COOKIE .. "=" .. login.refresh
    for _, cookie in ipairs { "nameless", good .. "; nameless", good .. "; a b=c", good .. ';; b=1', good .. '; a="b', good .. "; a=\\" } do
      for _, target in ipairs { "/refresh", "/logout" } do assert.equal(400, world:send(target, cookie).status, cookie) end
    end
    assert.is_nil(world.running:log():find('"level":"error"', 1, true))
    assert.truthy(world:refresh(login.refresh))
  end)

  it("bytes of all lengths are refused alike", function()
    local mine = login.refresh
    for _, token in ipairs { "0", ("0"):rep(64), ("a"):rep(8000), mine:upper() .. "0", mine .. "0", mine:sub(1, -2), mine .. ".", "." } do
      local response = world:send("/refresh", logins.COOKIE .. "=" .. token)
      assert.same({ 401, '{"detail":"The login has ended; log in again"}' }, { response.status, response.body })
    end
    assert.truthy(world:refresh(login.refresh))
  end)
end)
