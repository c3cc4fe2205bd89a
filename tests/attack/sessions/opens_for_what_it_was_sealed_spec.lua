-- SPDX-License-Identifier: MIT
-- A sealed cookie opens under the secret and for the purpose it was sealed with (CWE-565): not as another cookie of the same secret, not for
-- another service, and nothing else that we give out is one.

local sessions = require "tests.attack.support.sessions"

local NAMES = { sealed = "__Host-session", kept = "__Host-kept", other = "__Host-csrf" }
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

describe("a session opens for what it was sealed:", function()
  local world, elsewhere
  setup(function()
    world = sessions.start()
    elsewhere = sessions.start { SECRET = sessions.OTHER_SECRET }
  end)
  teardown(function()
    world:stop()
    elsewhere:stop()
  end)

  it("one cookie's value is none of another's, though the secret is the same", function()
    for from, own in pairs(NAMES) do
      local value = world:log_in(from, "mallory"):sub(#own + 2)
      for to, name in pairs(NAMES) do
        local who, status = world:who(to, name .. "=" .. value)
        if from == to then assert.equal("mallory", who) else assert.same({ nil, 401 }, { who, status }, from .. " as " .. to) end
      end
    end
  end)

  it("what is no session of ours is none: tokens, secrets, ids", function()
    local token = world:ask("POST", "/token").body
    local sealed = world:log_in("sealed", "ada"):match "=(.*)"
    for _, value in ipairs { token, token:match "[^.]*$", sessions.SECRET, ("0"):rep(64), "null", "{}", "eyJzdWIiOiJhZGEifQ" } do
      for kind, name in pairs(NAMES) do assert.same({ nil, 401 }, { world:who(kind, name .. "=" .. value) }) end
    end
    local response = world.running:request("GET", "/bearer", { headers = { Authorization = "Bearer " .. sealed } })
    assert.equal(401, response.status)
  end)

  it("another service's is none, whatever its secret and name", function()
    for kind in pairs(NAMES) do
      assert.same({ nil, 401 }, { elsewhere:who(kind, world:log_in(kind, "ada")) })
      assert.same({ nil, 401 }, { world:who(kind, elsewhere:log_in(kind, "ada")) })
    end
    local twin = sessions.start() -- the same secret: what only the cookie knows is shared then, what a table knows is not
    assert.equal("ada", (twin:who("sealed", world:log_in("sealed", "ada"))))
    assert.same({ nil, 401 }, { twin:who("kept", world:log_in("kept", "ada")) })
    twin:stop()
  end)

  it("an older secret opens while it is named, and not after", function()
    local old = elsewhere:log_in("sealed", "ada")
    local between = sessions.start { OLD_SECRET = sessions.OTHER_SECRET }
    assert.equal("ada", (between:who("sealed", old)))
    local new = between:log_in("sealed", "ada")
    assert.same({ nil, 401 }, { elsewhere:who("sealed", new) }) -- the newest one seals
    between:stop()
    assert.same({ nil, 401 }, { world:who("sealed", old) })
    assert.equal("ada", (world:who("sealed", new)))
  end)

  it("no character of it may change", function()
    local cookie = world:log_in("sealed", "ada")
    local first = #NAMES.sealed + 2
    for at = first, #cookie do
      local index = ALPHABET:find(cookie:sub(at, at), 1, true)
      local other = ALPHABET:sub(index % 64 + 1, index % 64 + 1)
      assert.same({ nil, 401 }, { world:who("sealed", cookie:sub(1, at - 1) .. other .. cookie:sub(at + 1)) }, at)
    end
    for _, more in ipairs { "=", "==", ".", "A" } do assert.same({ nil, 401 }, { world:who("sealed", cookie .. more) }) end
    assert.equal("ada", (world:who("sealed", cookie)))
  end)
end)
