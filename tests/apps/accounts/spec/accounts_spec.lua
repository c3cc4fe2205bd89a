-- SPDX-License-Identifier: MIT
-- What demilune.accounts promises: who gets in, what a refresh token is good for and
-- how often, and what ends a login.

local core = require "demilune.core"
local demilune = require "demilune"
local store = require "store"
local test = require "demilune.test"

local PASSWORD, COOKIE = "correct horse", "__Host-refresh"
-- PASSWORD, by parameters that are too weak today.
local OUTDATED = "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlcyAuLg$Lvwb53ryS6oUns47HGl1ElrPeiqVFypBo/kVnCtjEVs"
local client

local function log_in(more)
  local form = { grant_type = "password", username = "ada@example.com", password = PASSWORD }
  for name, value in pairs(more or {}) do form[name] = value end
  return client:post("/token", { form = form })
end

local function cookie_of(reply, name) return (reply.cookies[1] or ""):match("^" .. (name or COOKIE):gsub("%-", "%%-") .. "=([^;]*)") end

-- The store's token in a cookie: a proof of the password stands behind it.
local function stored_of(value) return (value:match("^(.+)%.%x+$")) end

-- A refresh with this token, whatever the client keeps.
local function refresh(token) return test.client():post("/refresh", { cookies = { [COOKIE] = token } }) end

local function me(reply) return client:get("/me", { headers = { Authorization = "Bearer " .. reply.json().access_token } }) end

-- Of a wrong password, in seconds of processor time.
local function cost(username)
  local before = os.clock()
  log_in { username = username, password = "wrong horse" }
  return os.clock() - before
end

local function tokens() return test.run(function() return store.tokens:many() end) end

local function set_up()
  client = test.client()
  client:forward("2m") -- past the limits of the spec before
  test.run(function()
    store.release:run()
    store.clear:run()
    store.remove:run { email = "ada@example.com" }
    store.add:run { email = "ada@example.com", role = "user", password = demilune.password.hash(PASSWORD) }
  end)
end

describe("a login", function()
  before_each(set_up)

  it("gives an access token in the body and a refresh token in a cookie that only the server reads", function()
    local reply = log_in()
    assert.equal(200, reply.status, reply.body)
    local body = reply.json()
    assert.same({ "bearer", 900 }, { body.token_type, body.expires_in })
    assert.is_nil(body.refresh_token)
    assert.equal("no-store", reply.headers["Cache-Control"])
    assert.equal(1, #reply.cookies)
    assert.matches("^__Host%-refresh=%x+%.%x+; Path=/; Max%-Age=2592000; HttpOnly; Secure; SameSite=Strict$", reply.cookies[1])
    assert.equal(64 + 1 + 64, #cookie_of(reply))
    assert.same({ "user" }, me(reply).json().roles)
  end)

  it("needs no grant_type, takes no other one, and ignores what OAuth clients add", function()
    assert.equal(200, client:post("/token", { form = { username = "ada@example.com", password = PASSWORD, client_id = "docs" } }).status)
    assert.equal(422, log_in({ grant_type = "client_credentials" }).status)
    assert.equal(422, client:post("/token", { form = { username = "ada@example.com" } }).status)
  end)

  it("answers a wrong password and an unknown user in the same words, and hashes for both", function()
    local wrong, unknown = log_in { password = "wrong horse" }, log_in { username = "eve@example.com" }
    assert.same({ 401, 401 }, { wrong.status, unknown.status })
    assert.equal(wrong.body, unknown.body)
    assert.same({ {}, {} }, { wrong.cookies, unknown.cookies })
    assert.same({}, tokens())
    assert.is_true(cost "eve@example.com" > cost "ada@example.com" / 3)
  end)

  it("answers an account that has no password, or none that could be verified, in the same words and as late", function()
    local known = cost "ada@example.com"
    for _, stored in ipairs { "", "!", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=19456,t=2,p=1$" } do
      test.run(function() store.change:run { email = "ada@example.com", password = stored } end)
      for _, given in ipairs { PASSWORD, stored } do
        if given ~= "" then
          local reply = log_in { password = given }
          assert.same({ 401, '{"detail":"The name or the password is wrong"}' }, { reply.status, reply.body })
        end
      end
      assert.is_true(cost "ada@example.com" > known / 3, stored)
      client:forward "2m"
    end
    assert.same({}, tokens())
  end)

  it("gives the scopes asked for, all when none are, and refuses others", function()
    assert.same({ "read", "write" }, me(log_in()).json().scopes)
    local reply = log_in { scope = "read" }
    assert.same({ "read" }, me(reply).json().scopes)
    for _ = 1, 2 do -- as often as it is refreshed
      reply = refresh(cookie_of(reply))
      assert.same({ "read" }, me(reply).json().scopes)
    end
    assert.equal(400, log_in({ scope = "read everything" }).status)
  end)

  it("is kept by no cache, and neither is what a refresh or a logout answers, whatever that is", function()
    local token = cookie_of(log_in())
    local replies = {
      log_in { password = "wrong horse" }, log_in { scope = "everything" }, refresh(token), refresh(token), refresh "guessed",
      client:post("/token", { form = {} }), client:post "/logout", client:post("/logout", { headers = { Origin = "https://evil.example" } }),
    }
    local statuses = {}
    for index, reply in ipairs(replies) do
      statuses[index] = reply.status
      assert.equal("no-store", reply.headers["Cache-Control"], index)
    end
    assert.same({ 401, 400, 200, 401, 401, 422, 204, 403 }, statuses)
  end)

  it("may be tried 10 times a minute", function()
    local statuses = {}
    for index = 1, 11 do statuses[index] = log_in({ password = "wrong" }).status end
    assert.same({ 401, 429 }, { statuses[10], statuses[11] })
  end)

  it("may be refreshed and ended 30 times a minute each", function()
    for _, target in ipairs { "/refresh", "/logout" } do
      local statuses = {}
      for index = 1, 31 do statuses[index] = client:post(target).status end
      assert.same({ target == "/refresh" and 401 or 204, 429 }, { statuses[30], statuses[31] })
    end
  end)

  it("keeps no token, only its digest", function()
    local token = cookie_of(log_in())
    local rows = tokens()
    assert.equal(1, #rows)
    assert.equal(core.sha256_hex(stored_of(token)), rows[1].digest)
    assert.is_nil(core.json_encode(rows):find(stored_of(token), 1, true))
  end)
end)

describe("a refresh token", function()
  before_each(set_up)

  it("gives an access token and the next refresh token, in the same family", function()
    local first = cookie_of(log_in())
    client:forward("16m")
    local reply = client:post("/refresh")
    assert.equal(200, reply.status, reply.body)
    assert.equal(200, me(reply).status)
    assert.is_true(first ~= cookie_of(reply))
    local rows = tokens()
    assert.same({ 2, 1, 0 }, { #rows, rows[1].used, rows[2].used })
    assert.equal(rows[1].family, rows[2].family)
    assert.equal(200, client:post("/refresh").status)
  end)

  it("that comes back ends its family and no other", function()
    local first, other = cookie_of(log_in()), cookie_of(log_in())
    local second = cookie_of(refresh(first))
    local reply = refresh(first)
    assert.equal(401, reply.status)
    assert.equal("", cookie_of(reply))
    assert.matches("Max%-Age=0", reply.cookies[1])
    assert.equal(401, refresh(second).status)
    assert.equal(200, refresh(other).status)
  end)

  it("that is none is refused: missing, empty, guessed, oversized", function()
    log_in()
    assert.equal(401, test.client():post("/refresh").status)
    for _, token in ipairs { "", "guessed", ("a"):rep(64), ("a"):rep(4000), tokens()[1].digest } do
      assert.equal(401, refresh(token).status)
    end
    assert.equal(1, #tokens())
  end)

  it("ends with the login's lifetime, however often it was refreshed, and is forgotten then", function()
    local token = cookie_of(log_in())
    client:forward("29d")
    local reply = refresh(token)
    assert.equal(200, reply.status)
    assert.is_true(tonumber(reply.cookies[1]:match("Max%-Age=(%d+)")) <= 86400)
    client:forward("24h")
    assert.equal(401, refresh(cookie_of(reply)).status)
    log_in()
    assert.equal(1, #tokens())
  end)

  it("is forgotten with few others at a time, so that nobody waits until many are", function()
    test.run(function() store.add_expired:run { count = 250 } end)
    local function left() return test.run(function() return store.count_expired:value() end) end
    assert.equal(200, log_in().status)
    assert.equal(150, left())
    assert.equal(200, client:post("/refresh").status)
    assert.equal(50, left())
    assert.equal(200, log_in().status)
    assert.equal(0, left())
  end)

  it("carries today's roles, and nothing for who is gone", function()
    local token = cookie_of(log_in())
    test.run(function() store.promote:run { email = "ada@example.com" } end)
    local reply = refresh(token)
    assert.same({ "admin" }, me(reply).json().roles)
    test.run(function() store.remove:run { email = "ada@example.com" } end)
    assert.equal(401, refresh(cookie_of(reply)).status)
    assert.same({}, tokens())
  end)

  it("ends when its account lost a scope that the login asked for, and not by one that it did not", function()
    local narrow, wide = cookie_of(log_in { scope = "read" }), cookie_of(log_in { scope = "read write" })
    store.scopes = { "read" }
    local replies = { refresh(narrow), refresh(wide) }
    store.scopes = { "read", "write" }
    assert.same({ 200, 401 }, { replies[1].status, replies[2].status })
    assert.same({ "read" }, me(replies[1]).json().scopes)
    assert.equal(401, refresh(wide).status)
  end)

  it("is not used up where the account cannot be looked up, or no access token be made", function()
    local token = cookie_of(log_in())
    store.fails = true
    local replies = { refresh(token), refresh(token) }
    store.fails = false
    assert.same({ 503, 503 }, { replies[1].status, replies[2].status })
    assert.same({}, replies[1].cookies)
    assert.equal(200, refresh(token).status)
    assert.equal(401, refresh(token).status) -- and once only

    local own = cookie_of(client:post("/own/login", { form = { username = "robot1", password = "x" } }), "__Host-own")
    local before = #store.rotated
    store.fails = true
    local reply = test.client():post("/own/again", { cookies = { ["__Host-own"] = own } })
    store.fails = false
    assert.equal(500, reply.status)
    assert.equal(before, #store.rotated)
    assert.equal(200, test.client():post("/own/again", { cookies = { ["__Host-own"] = own } }).status)
    assert.equal(before + 1, #store.rotated)
  end)

  it("works once when it comes 8 times at once", function()
    local token = cookie_of(log_in())
    local bytes = ("POST /refresh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: %s=%s\r\n\r\n"):format(COOKIE, token)
    local connections, counts = {}, {}
    for index = 1, 8 do connections[index] = core.test_connect() end
    for _, connection in ipairs(connections) do connection:send(bytes, "POST /refresh", 60) end
    for _, connection in ipairs(connections) do
      local reply = {}
      for chunk in function() return connection:receive() end do reply[#reply + 1] = chunk end
      local status = table.concat(reply):match("^HTTP/1%.1 (%d+)")
      counts[status] = (counts[status] or 0) + 1
      connection:close()
    end
    assert.same({ ["200"] = 1, ["401"] = 7 }, counts)
    assert.same({}, tokens())
  end)
end)

describe("a changed password", function()
  before_each(set_up)

  local function change(given) test.run(function() store.change:run { email = "ada@example.com", password = demilune.password.hash(given) } end) end

  it("ends the logins by the one before", function()
    local token = cookie_of(log_in())
    change "better horse"
    assert.equal(401, refresh(token).status)
    assert.same({}, tokens())
    assert.equal(200, refresh(cookie_of(log_in { password = "better horse" })).status)
  end)

  it("that a login hashed anew, since its parameters are outdated, does not end that login", function()
    test.run(function() store.change:run { email = "ada@example.com", password = OUTDATED } end)
    local before, after = cookie_of(log_in()), cookie_of(log_in())
    assert.equal(200, refresh(before).status)
    assert.equal(200, refresh(after).status)
    assert.is_true(OUTDATED ~= test.run(function() return store.find:one { email = "ada@example.com" } end).password)
  end)
end)

describe("a logout", function()
  before_each(set_up)

  it("ends the family and the cookie, and is no mistake twice", function()
    local other = cookie_of(log_in())
    local first = cookie_of(log_in())
    local second = cookie_of(client:post("/refresh"))
    local reply = client:post("/logout")
    assert.equal(204, reply.status)
    assert.matches("^__Host%-refresh=; Path=/; Max%-Age=0; HttpOnly; Secure; SameSite=Strict$", reply.cookies[1])
    assert.is_nil(client.cookies.kept[COOKIE])
    assert.same({ 401, 401, 200 }, { refresh(first).status, refresh(second).status, refresh(other).status })
    assert.equal(204, client:post("/logout").status)
  end)

  it("by a token that was used already, as another tab has it, ends the family too", function()
    local first = cookie_of(log_in())
    local second = cookie_of(refresh(first))
    assert.equal(204, test.client():post("/logout", { cookies = { [COOKIE] = first } }).status)
    assert.equal(401, refresh(second).status)
  end)
end)

describe("all logins of an account", function()
  before_each(set_up)

  it("end at once when it asks for it, and nobody else's", function()
    test.run(function()
      store.remove:run { email = "eve@example.com" }
      store.add:run { email = "eve@example.com", role = "user", password = demilune.password.hash(PASSWORD) }
    end)
    local other = cookie_of(log_in { username = "eve@example.com" })
    local first, reply = cookie_of(log_in()), log_in()
    local second = cookie_of(refresh(first))
    assert.equal(204, client:delete("/logins", { headers = { Authorization = "Bearer " .. reply.json().access_token } }).status)
    assert.equal(1, #tokens())
    for _, token in ipairs { first, second, cookie_of(reply) } do assert.equal(401, refresh(token).status) end
    assert.same({ 200, 200 }, { refresh(other).status, refresh(cookie_of(log_in())).status })
  end)
end)

describe("a login that was refreshed very often", function()
  before_each(set_up)

  local function set_up_login()
    local first = cookie_of(log_in())
    local reply = refresh(first)
    test.run(function() store.add_used:run() end)
    return first, cookie_of(reply), reply.json().access_token
  end

  local function ends(status, second)
    assert.equal(500, status) -- not all of its tokens could be deleted
    assert.equal(401, refresh(second).status)
  end

  it("ends at once when a used token comes back, whatever becomes of the old ones", function()
    local first, second = set_up_login()
    ends(refresh(first).status, second)
  end)

  it("ends at once by a logout", function()
    local _, second = set_up_login()
    ends(test.client():post("/logout", { cookies = { [COOKIE] = second } }).status, second)
  end)

  it("ends at once with all logins of its account", function()
    local _, second, access = set_up_login()
    ends(client:delete("/logins", { headers = { Authorization = "Bearer " .. access } }).status, second)
  end)
end)

describe("parts of one's own", function()
  before_each(set_up)

  it("take the place of ours", function()
    local reply = client:post("/own/login", { form = { username = "robot", password = "anything" } })
    assert.equal("token-of-robot", reply.json().access_token)
    assert.equal("secret(redacted)", store.given) -- so that no log and no error shows what was typed
    assert.equal("first-robot", stored_of(cookie_of(reply, "__Host-own")))
    assert.matches("Max%-Age=3600", reply.cookies[1])
    assert.equal(401, client:post("/own/login", { form = { username = "eve", password = "anything" } }).status)
    assert.equal(429, client:post("/own/login", { form = { username = "robot", password = "anything" } }).status)
    assert.equal("next-robot", stored_of(cookie_of(client:post("/own/again"), "__Host-own")))
    assert.equal(204, client:post("/own/out").status)
    assert.equal(204, client:delete("/own/logins/7").status)
    assert.same({ "next-robot", "all of 7" }, store.revoked)
  end)

  it("say yes or no, and let in neither by what only Lua takes for a yes nor who is not found", function()
    local function log_in_with(verdict, name)
      client:forward "2m"
      store.verdict = verdict
      local reply = client:post("/own/login", { form = { username = name, password = "anything" } })
      store.verdict = nil
      return reply.status
    end
    assert.same({ 200, 200 }, { log_in_with(true, "robot"), log_in_with({ id = 1 }, "robot") })
    assert.same({ 500, 500, 401, 401 },
      { log_in_with(0, "robot"), log_in_with("no", "robot"), log_in_with({}, "robot"), log_in_with(false, "robot") })
    assert.equal(401, log_in_with(true, "eve"))
  end)

  it("keep nothing of a password that is no hash in the cookie, where it could be guessed", function()
    client:forward "2m"
    store.own_password = "1234"
    local value = cookie_of(client:post("/own/login", { form = { username = "robot", password = "1234" } }), "__Host-own")
    store.own_password = nil
    assert.equal("first-robot." .. core.sha256_hex "demilune login 1\nfirst-robot\n", value)
  end)

  it("take names that are no text", function()
    local function log_in_as(name) return client:post("/numbered/token", { form = { username = name, password = "anything" } }).status end
    assert.same({ 200, 401, 422 }, { log_in_as "7", log_in_as "8", log_in_as "ada" })
  end)

  it("keep the whole of an id that is text, however it ends", function()
    for _, name in ipairs { "robotLL", "robotULL" } do
      client:forward "2m"
      local reply = client:post("/own/login", { form = { username = name, password = "anything" } })
      assert.equal("token-of-" .. name, reply.json().access_token)
      assert.equal("token-of-" .. name, client:post("/own/again").json().access_token)
    end
  end)
end)

describe("demilune.accounts", function()
  it("gives its table as a migration, the one of this app", function()
    local file = assert(io.open("tests/apps/accounts/migrations/0002_refresh_tokens.sql"))
    local text = file:read("*a")
    file:close()
    assert.equal(text, demilune.accounts.migration)
  end)

  it("says what is missing and what to write", function()
    local bearer = demilune.guard.bearer { secret = core.secret(("s3cret-"):rep(8)), lifetime = "15m" }
    local function nobody() return nil end
    local cases = {
      { {}, "has no bearer; write bearer = guard.bearer { ... }" },
      { { bearer = bearer, find_by_id = nobody }, "has no find; write find = function(username)" },
      { { bearer = bearer, find = nobody }, "has no find_by_id; write find_by_id = function(subject)" },
      { { bearer = demilune.guard.public, find = nobody, find_by_id = nobody }, "bearer must be a guard.bearer" },
      { { bearer = bearer, find = nobody, find_by_id = nobody }, "write database = db, or store =" },
      { { bearer = bearer, find = nobody, find_by_id = nobody, store = {} }, "store.begin must be a function" },
      { { bearer = bearer, find = nobody, find_by_id = nobody, database = {}, table = "a b" }, '"a b" is no name of a table' },
      { { bearer = bearer, find = nobody, find_by_id = nobody, database = {}, cookie = "refresh" }, 'write cookie = "__Host-refresh"' },
      { { bearer = bearer, find = nobody, find_by_id = nobody, database = {}, lifetime = "soon" }, 'write lifetime = "30d"' },
      { { baerer = bearer }, "did you mean bearer?" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(demilune.accounts, case[1])
      assert.is_false(ok)
      assert.matches("accounts_spec%.lua:%d+: demilune%.accounts", message)
      assert.truthy(message:find(case[2], 1, true), message)
    end
  end)
end)
