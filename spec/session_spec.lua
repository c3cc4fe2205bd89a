-- SPDX-License-Identifier: MIT
-- guard.session as an app declares it: what it refuses, the cookie that it seals, and what it asks a store.

local core = require("spec.support.core").install()
local context = require "demilune.context"
local demilune = require "demilune"
local plan = require "demilune.plan"
local refusal = require "spec.support.refusal"

local guard = demilune.guard

local SECRET = core.secret("7f2c9b61e0d4835aa1c6f09e42b87d53")

local function handler() end

before_each(function()
  context.mode, context.findings = "test", {}
end)

describe("guard.session", function()
  it("seals who it is into a cookie that scripts and other sites cannot use", function()
    local made = guard.session { secret = SECRET, lifetime = "8h" }
    local field = made:issue { subject = 7, roles = { "admin" }, claims = { theme = "dark" } }
    assert.equal('__Host-session=__Host-session sealed {"exp":1893484800,"roles":["admin"],"scopes":[],"sub":"7","theme":"dark"}'
      .. "; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Strict", field)
    assert.equal("__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict", made:clear())
  end)

  it("leaves out nothing that it is given", function()
    local made = guard.session { secret = SECRET, lifetime = "8h", roles = { "admin" }, scopes = { "read" } }
    local function of(more)
      more.subject = 7
      return refusal(function() made:issue(more) end)
    end
    assert.matches("session_spec%.lua:%d+: session:issue: there is no option lifetime; it takes subject, roles, scopes and claims",
      of { lifetime = "5m" })
    assert.matches("there is no option role;", of { role = "admin" })
    assert.matches('"admni" is not among', of { roles = { "admni" } })
    assert.matches('"write" is not among', of { scopes = { "write" } })
    assert.matches("7 is no role", of { roles = { "admin", 7 } })
    assert.matches('write roles = { "admin" }', of { roles = "admin" })
    for _, name in ipairs { "sub", "roles", "scopes", "exp", "sid" } do
      assert.matches("the claim " .. name .. " is the guard's own to write", of { claims = { [name] = "x" } })
    end
  end)

  it("makes none that a browser would drop", function()
    local made = guard.session { secret = SECRET, lifetime = "8h" }
    assert.matches("session_spec%.lua:%d+: session:issue: the cookie has %d+ bytes, and browsers take none over 4096",
      refusal(function() made:issue { subject = 7, claims = { cart = ("x"):rep(4096) } } end))
  end)

  it("refuses sessions without an end and cookies for every page", function()
    assert.matches("can be stolen for ever", refusal(guard.session, { secret = SECRET }))
    assert.matches("every page of the web", refusal(guard.session, { secret = SECRET, lifetime = "1h", same_site = "None" }))
    assert.matches("can be stolen for ever", refusal(guard.session, { secret = SECRET, lifetime = 0.5 }))
    assert.matches("takes secret = settings.SESSION_SECRET", refusal(guard.session, { lifetime = "1h" }))
    assert.matches("takes secret = settings.SESSION_SECRET", refusal(guard.session, { secret = SECRET, secrets = { SECRET }, lifetime = "1h" }))
    assert.matches("guard.session: secret has 31 bytes", refusal(guard.session, { secret = core.secret(("a1b"):rep(10) .. "c"), lifetime = "1h" }))
  end)

  it("finds a cookie that other hosts may set", function()
    guard.session { secret = SECRET, lifetime = "1h", cookie = "sid" }
    assert.equal('write cookie = "__Host-sid"', context.findings[1].mend)
  end)
end)

describe("guard.session with a store", function()
  local lives, finished
  local STORE = {
    begin = function(subject, expires) return ("id of %s until %d"):format(subject, expires) end,
    lives = function(id) return lives[id] end,
    finish = function(id) finished[#finished + 1] = id end,
    finish_all = function(subject) finished[#finished + 1] = "all of " .. subject end,
  }
  local function with_cookie(value, found) return { principal = found, get_header = function() return value end } end
  local function principal(claims) return { guard = "session", subject = "7", claims = claims } end
  before_each(function() lives, finished = {}, {} end)

  it("seals the store's id, asks the store for it, and ends it there", function()
    local made = guard.session { secret = SECRET, lifetime = "1h", store = STORE }
    core.place = made.place
    assert.matches('"sid":"id of 7 until 1893459600"', made:issue { subject = 7 })
    assert.is_false((made:lives(principal { sid = "a" })))
    lives.a = true
    assert.is_true((made:lives(principal { sid = "a" })))
    lives.a = 0
    assert.matches("store.lives gave 0, which is no verdict", refusal(made.lives, made, principal { sid = "a" }))
    assert.is_false((made:lives(principal {})), "a cookie sealed before there was a store")
    assert.is_true((made:lives { guard = "bearer", claims = { sid = "b" } }))
    assert.equal("__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict", made:clear { principal = principal { sid = "a" } })
    made.sealer.unseal = function(_, _, value)
      local id = value:match "^sealed%-(.+)$"
      return id and ('{"sid":"%s"}'):format(id)
    end
    made:clear(with_cookie '__Host-session=sealed-c; theme=dark') -- behind another guard
    made:clear(with_cookie 'theme=dark;__Host-session="sealed-d" ; __Host-session=sealed-e')
    for _, cookie in ipairs { "", "__Host-session=made-up", "a=__Host-session=sealed-f", "__Host-session", "=;" } do
      made:clear(with_cookie(cookie))
    end
    made:clear(with_cookie(nil))
    made:finish_all(7)
    made:finish_all "SMALL"
    assert.same({ "a", "c", "d", "e", "all of 7", "all of SMALL" }, finished)
    assert.matches("session_spec%.lua:%d+: session:finish_all takes the subject whose sessions end", refusal(function() made:finish_all(nil) end))
  end)

  it("answers 401 with a challenge for a session that has ended, before the handler and what it needs", function()
    local made = guard.session { secret = SECRET, lifetime = "1h", store = STORE }
    local app = demilune.app {}
    app:get("/notes/{id}", { guard = made, owner = function() error "asked" end }, handler)
    local asker = plan.compile(app).routes[1].lives
    local ok, problem = pcall(asker, { principal = principal { sid = "a" } })
    assert.same({ false, 401, 'Cookie cookie-name="__Host-session"' }, { ok, problem.status, problem.headers["WWW-Authenticate"] })
    lives.a = true
    asker { principal = principal { sid = "a" } }
  end)

  it("asks each store that may have it, and answers 401 when none has", function()
    local others = {}
    local function stored_in(kept) return guard.session {
      secret = SECRET, lifetime = "1h",
      store = { begin = handler, lives = function(id) return kept[id] end, finish = handler, finish_all = handler },
    } end
    local app = demilune.app {}
    app:get("/notes", { guard = guard.any { stored_in(lives), stored_in(others) } }, handler)
    local asker = plan.compile(app).routes[1].lives
    local request = { principal = principal { sid = "a" } }
    local ok, problem = pcall(asker, request)
    assert.same({ false, 401 }, { ok, problem.status })
    others.a = true
    asker(request)
    lives.a, others.a = true, nil
    asker(request)
  end)

  it("leaves to another session what that one found", function()
    local made = guard.session { secret = SECRET, lifetime = "1h", store = STORE }
    core.place = guard.session({ secret = SECRET, lifetime = "1h", store = STORE }).place
    made.sealer = { unseal = function(_, _, value) return '{"sid":"' .. value .. '"}' end }
    made:clear(with_cookie("__Host-session=b", principal { sid = "a" }))
    made:clear(with_cookie(nil, principal { sid = "a" }))
    assert.same({ "b" }, finished)
  end)

  it("refuses half a store, and a store that can be gone round", function()
    assert.matches("store.lives must be a function", refusal(guard.session, { secret = SECRET, lifetime = "1h", store = { begin = handler } }))
    local part = { begin = handler, lives = handler, finish = handler }
    assert.matches("store.finish_all must be a function", refusal(guard.session, { secret = SECRET, lifetime = "1h", store = part }))
    local database = { statement = handler }
    assert.matches('"a; b" is no name of a table', refusal(guard.session, { secret = SECRET, lifetime = "1h", database = database, table = "a; b" }))
    assert.matches("table names one of a database", refusal(guard.session, { secret = SECRET, lifetime = "1h", table = "x" }))
    local stored, plain = guard.session { secret = SECRET, lifetime = "1h", store = STORE }, guard.session { secret = SECRET, lifetime = "1h" }
    assert.matches("give both a store, or neither", refusal(guard.any, { stored, guard.role("admin", plain) }))
    assert.matches("session:finish_all ends what a store keeps", refusal(plain.finish_all, plain, 7))
    assert.matches("write session:clear%(req%)", refusal(stored.clear, stored))
    assert.matches("write session:clear%(req%)", refusal(stored.clear, stored, 7))
  end)
end)
