-- SPDX-License-Identifier: MIT
-- What ends a login: a logout, a new password, the end of the account (OWASP ASVS 3.3; RFC 9700 4.14.2). Who changes a password does so
-- because somebody else may know it, or have a login by it.

local logins = require "tests.attack.support.logins"

local OTHER = "a better one than before"

describe("a login ends with what it began by:", function()
  local world
  setup(function() world = logins.start() end)
  teardown(function() world:stop() end)

  local function change_password(login, password)
    assert.equal(204, world:as(login, "POST", "/password", { password = password }))
  end

  it("a new password ends all logins by the old one, and those that came from them", function()
    world:register "ada"
    local thief, phone, laptop = world:log_in "ada", world:log_in "ada", world:log_in "ada"
    thief = world:refresh(thief.refresh)
    change_password(laptop, OTHER)
    for _, login in ipairs { thief, phone, laptop } do
      assert.same({ nil, 401 }, { world:refresh(login.refresh) })
      assert.same({ nil, 401 }, { world:refresh(login.refresh) })
    end
    assert.same({ families = 0, unused = 0 }, world:tokens())
    assert.same({ nil, 401 }, { world:log_in "ada" })
    local login = world:log_in("ada", OTHER)
    for _ = 1, 3 do login = assert(world:refresh(login.refresh)) end
  end)

  it("also the same password anew: that it is the same is not told", function()
    world:register "bob"
    local login = world:log_in "bob"
    change_password(login, logins.PASSWORD)
    assert.same({ nil, 401 }, { world:refresh(login.refresh) })
    assert.truthy(world:log_in "bob")
  end)

  it("somebody else's password ends nothing", function()
    world:register "cid"
    world:register "dan"
    local cid, dan = world:log_in "cid", world:log_in "dan"
    change_password(dan, OTHER)
    assert.truthy(world:refresh(cid.refresh))
  end)

  it("no part of a token makes one of an ended login good again", function()
    world:register "eve"
    local old = world:log_in "eve"
    change_password(old, OTHER)
    local new = world:log_in("eve", OTHER)
    local function mixed(secret, proof) return secret.refresh:match("^[^.]*") .. proof end
    for _, token in ipairs {
      mixed(old, ""), mixed(old, new.refresh:match("%..*$") or ".0"), mixed(old, "."), mixed(old, "." .. ("0"):rep(64)), old.refresh .. ".",
    } do
      assert.same({ nil, 401 }, { world:refresh(token) })
    end
    assert.truthy(world:refresh(new.refresh))
  end)

  it("an account that lost its password, as one that nobody may use", function()
    world:register "fay"
    local login = world:log_in "fay"
    assert.equal(204, world:as(login, "POST", "/disable"))
    assert.same({ nil, 401 }, { world:refresh(login.refresh) })
  end)

  it("a logout ends what came from that login, also against a copy of a token from before", function()
    world:register "gil"
    local first, other = world:log_in "gil", world:log_in "gil"
    local second = world:refresh(first.refresh)
    assert.equal(204, world:log_out(first.refresh))
    for _, token in ipairs { first.refresh, second.refresh } do assert.same({ nil, 401 }, { world:refresh(token) }) end
    assert.truthy(world:refresh(other.refresh))
    assert.equal(204, world:log_out(second.refresh)) -- no mistake twice
  end)

  it("a logout whose cookie somebody doubled ends them all", function()
    world:register "hal"
    local mine, planted = world:log_in "hal", world:log_in "hal"
    local pair = logins.COOKIE .. "=%s; " .. logins.COOKIE .. "=%s"
    assert.equal(204, world:send("/logout", pair:format(planted.refresh, mine.refresh)).status)
    for _, login in ipairs { mine, planted } do assert.same({ nil, 401 }, { world:refresh(login.refresh) }) end
  end)

  it("an access token lives on for its minutes, as is written", function()
    world:register "ira"
    local login = world:log_in "ira"
    change_password(login, OTHER)
    assert.equal(204, world:log_out(login.refresh))
    assert.equal(200, world:as(login, "GET", "/me"))
  end)
end)
