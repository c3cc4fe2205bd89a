-- SPDX-License-Identifier: MIT
-- Session fixation (CWE-384; OWASP ASVS 3.2): an attacker plants a cookie in a victim's browser, from another host of the domain or on a shared
-- machine, and waits for the victim to log in by it.

local sessions = require "tests.attack.support.sessions"

local KINDS = { "sealed", "kept" } -- by the cookie alone, and with a table

describe("a session is whose login it was:", function()
  local world
  setup(function() world = sessions.start() end)
  teardown(function() world:stop() end)

  local function anonymous(kind) return sessions.cookie_of(world:ask("POST", "/" .. kind .. "/anonymous")) end

  for _, kind in ipairs(KINDS) do
    local name = kind == "sealed" and "__Host-session" or "__Host-kept"

    local function planted()
      local ended = world:log_in(kind, "mallory")
      assert.equal(204, world:ask("POST", "/" .. kind .. "/logout", ended).status)
      return {
        { "the attacker's own", world:log_in(kind, "mallory"), "mallory" },
        { "nobody's, with a cart", anonymous(kind), "anonymous" },
        { "one that has ended", ended, kind == "sealed" and "mallory" or nil }, -- a copy of a sealed one lives on, as is written
        { "one made up", name .. "=attackers-choice", nil },
        { "an empty one", name .. "=", nil },
      }
    end

    it("what was planted is not what a login makes: " .. kind, function()
      for _, case in ipairs(planted()) do
        local mine = world:log_in(kind, "victim", case[2])
        assert.is_true(mine ~= case[2], case[1])
        assert.equal("victim", (world:who(kind, mine)))
        assert.equal(case[3], (world:who(kind, case[2])), case[1]) -- as before: nothing of the login went into it
      end
    end)

    it("each login is another, also of the same subject: " .. kind, function()
      local seen = {}
      for _ = 1, 20 do
        local cookie = world:log_in(kind, "ada", (next(seen)))
        assert.is_nil(seen[cookie])
        seen[cookie] = true
        assert.equal("ada", (world:who(kind, cookie)))
      end
    end)

    it("what an anonymous session held is not in the login's: " .. kind, function()
      local before = anonymous(kind)
      assert.truthy(world:ask("GET", "/" .. kind .. "/me", before).body:find("a book", 1, true))
      assert.is_nil(world:ask("GET", "/" .. kind .. "/me", world:log_in(kind, "ada", before)).body:find("a book", 1, true))
    end)

    it("two cookies of its name are nobody's, in either order: " .. kind, function()
      local mine, attackers = world:log_in(kind, "victim"), world:log_in(kind, "mallory")
      local handled = world:ask("GET", "/handled").body
      for _, pair in ipairs { { mine, attackers }, { attackers, mine }, { mine, mine }, { mine, name .. "=" }, { name .. '=""', mine } } do
        for _, between in ipairs { "; ", ";", "; a=1; " } do
          assert.same({ nil, 400 }, { world:who(kind, pair[1] .. between .. pair[2]) })
        end
        local twice = world.running:connect()
        -- RFC 6265 5.4 has one field.
        twice:send(("GET /%s/me HTTP/1.1\r\nHost: a\r\nCookie: %s\r\nCookie: %s\r\n\r\n"):format(kind, pair[1], pair[2]))
        assert.equal(400, twice:receive("GET").status)
        twice:close()
      end
      assert.equal(handled, world:ask("GET", "/handled").body)
    end)

    it("a cookie that only looks like it, to one reader or another, is none: " .. kind, function()
      local attackers = world:log_in(kind, "mallory")
      local value = attackers:match "=(.*)"
      local bare = name:gsub("^__Host%-", "")
      local odd = {
        name:lower() .. "=" .. value, name:upper() .. "=" .. value, "__Secure-" .. bare .. "=" .. value, bare .. "=" .. value,
        "\194\160" .. attackers, "\226\128\128" .. attackers, "\11" .. attackers, "\12" .. attackers, -- blanks that some strip
        name .. " =" .. value, name .. "\t=" .. value, "=" .. attackers, "a=" .. attackers, "a=1&" .. attackers, "a=1," .. attackers,
        "a=1 " .. attackers, "$Version=1," .. attackers, '$Version="1", ' .. attackers, "a=\"x; " .. attackers .. "; b=\"",
        name .. "[0]=" .. value, name .. "%3D" .. value, (attackers:gsub("^__Host", "%%5F_Host")), name .. "==" .. value,
        name .. "=\"" .. value, name .. "=" .. value .. "\"", name .. "='" .. value .. "'", name .. "=\\\"" .. value .. "\\\"",
      }
      for _, cookie in ipairs(odd) do
        local who, status = world:who(kind, cookie)
        assert.is_nil(who, cookie)
        assert.is_true(status == 400 or status == 401, status .. " " .. cookie)
      end
      assert.equal("mallory", (world:who(kind, attackers .. " "))) -- blanks around a pair are trimmed
      assert.equal("mallory", (world:who(kind, name .. '="' .. value .. '"'))) -- quotes around all of it are the grammar's (RFC 6265 4.1.1)
      assert.equal("mallory", (world:who(kind, "$Version=1; " .. attackers .. "; $Path=/")))
    end)

    it("one of any length is refused alike: " .. kind, function()
      local value = world:log_in(kind, "mallory"):match "=(.*)"
      local longer, shorter = { value:rep(2), value .. ("A"):rep(8000), ("A"):rep(15000) }, { value:sub(1, -2), value:sub(1, 4) }
      for _, given in ipairs { longer[1], longer[2], longer[3], shorter[1], shorter[2], value .. "A" } do
        assert.same({ nil, 401 }, { world:who(kind, name .. "=" .. given) })
      end
      assert.same({ nil, 431 }, { world:who(kind, name .. "=" .. ("A"):rep(100000)) })
    end)
  end

  it("a logout is the end of its session alone, and of copies of it", function()
    local first, second = world:log_in("kept", "ada"), world:log_in("kept", "ada")
    local response = world:ask("POST", "/kept/logout", first)
    assert.equal(204, response.status)
    assert.equal("__Host-kept=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict", response.headers["set-cookie"])
    assert.same({ nil, 401 }, { world:who("kept", first) })
    assert.equal("ada", (world:who("kept", second)))
    assert.equal(401, world:ask("POST", "/kept/logout", first).status)
  end)

  it("a logout ends the session of its cookie, whatever let the request pass, and not for another origin's page", function()
    local mine, other = world:log_in("kept", "ada"), world:log_in("kept", "ada")
    assert.equal(403, world:ask("POST", "/kept/leave", mine, nil, { ["Sec-Fetch-Site"] = "same-site" }).status)
    assert.equal("ada", (world:who("kept", mine)))
    assert.equal(204, world:ask("POST", "/kept/leave", mine).status)
    assert.same({ nil, 401 }, { world:who("kept", mine) })
    assert.equal(204, world:ask("POST", "/kept/leave", mine).status) -- no mistake twice
    assert.equal(204, world:ask("POST", "/kept/leave", "__Host-kept=made-up").status)
    local token = { Authorization = "Bearer " .. world:ask("POST", "/token").body }
    assert.equal(204, world:ask("POST", "/kept/leave-by-either", other, nil, token).status)
    assert.same({ nil, 401 }, { world:who("kept", other) })
  end)

  it("a logout ends it also where the route declares other cookies, and all that there are of its name", function()
    local first, second = world:log_in("kept", "ada"), world:log_in("kept", "ada")
    assert.equal(204, world:ask("POST", "/kept/leave-with-a-theme", "theme=dark; " .. first .. ";" .. second).status)
    for _, cookie in ipairs { first, second } do assert.same({ nil, 401 }, { world:who("kept", cookie) }) end
  end)

  it("a logout behind another session ends its own, and not the other", function()
    local mine, staff = world:log_in("kept", "ada"), world:log_in("staff", "grace")
    assert.equal(204, world:ask("POST", "/kept/leave-as-staff", staff).status)
    assert.equal("grace", (world:who("staff", staff)))
    assert.equal(204, world:ask("POST", "/kept/leave-as-staff", staff .. "; " .. mine).status)
    assert.same({ nil, 401 }, { world:who("kept", mine) })
    assert.equal("grace", (world:who("staff", staff)))
  end)

  it("one logout may be for all that a subject has, and for nobody else", function()
    local mine, other, somebodys = world:log_in("kept", "eve"), world:log_in("kept", "eve"), world:log_in("kept", "evelyn")
    assert.equal(204, world:ask("POST", "/kept/logout-everywhere", mine).status)
    for _, cookie in ipairs { mine, other } do assert.same({ nil, 401 }, { world:who("kept", cookie) }) end
    assert.equal("evelyn", (world:who("kept", somebodys)))
    assert.equal("eve", (world:who("kept", world:log_in("kept", "eve", mine))))
  end)
end)
