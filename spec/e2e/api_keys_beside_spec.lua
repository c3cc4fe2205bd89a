-- SPDX-License-Identifier: MIT
-- API keys that a store knows, beside other guards, limits, idempotent routes and pages of other origins: what a request waits for comes one
-- after the other, each is asked once, and nothing of one question is left for the next.

local redis = require "spec.support.redis"
local server = require "spec.support.server"
local socket = require "socket"

local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"
local BILLING = "a key of the service, long enough: 0123"
local STRANGER = "key_of_nobody_0123456789"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local secret = model.secret()
local settings = demilune.settings { SECRET = secret, BILLING = secret, EVE = model.string(), REDIS = model.string() }
local app = demilune.app { title = "Beside", limit_store = { url = settings.REDIS, on_store_failure = "closed", timeout = "5s" } }
local counts, wait, lives, kept = { keys = 0, sessions = 0, handled = 0 }, 0.001, true, {}
local store = { list = function() return {} end, finish = function() end, finish_all = function() end }
function store.add(key)
  if key.name ~= "" then key.id = key.name end
  kept[key.digest] = key
end
function store.find(digest)
  counts.keys = counts.keys + 1
  demilune.sleep(wait)
  return kept[digest]
end
local function lives_still()
  counts.sessions = counts.sessions + 1
  demilune.sleep(wait)
  return lives
end
local keys = guard.api_key { store = store, lifetime = "1d", roles = { "user", "writer" } }
local cookie_keys = guard.api_key { store = store, lifetime = "1d", cookie = "__Host-key", roles = { "user", "writer" } }
local given = guard.api_key { keys = { billing = settings.BILLING }, header = "X-Billing" }
local bearer = guard.bearer { secret = settings.SECRET, lifetime = "15m", leeway = "0s", roles = { "user" } }
local basic = guard.basic { users = { eve = settings.EVE } }
local session = guard.session {
  secret = settings.SECRET, lifetime = "1h",
  store = { begin = function() return "1" end, lives = lives_still, finish = function() end, finish_all = function() end },
}
app:idempotency { database = app:database "sqlite:beside.db" }

local Key = model "Key" { subject = model.string(), name = model.string { default = "" }, roles = model.array(model.string(), { default = {} }) }
app:post("/keys", { guard = guard.public, limit = "10000/minute", body = Key }, function(req) return keys:issue(req.body) end)
app:post("/login", { guard = guard.public, limit = "10000/minute" }, function()
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = "ada" } } }
end)
app:post("/token/{after}", { guard = guard.public, limit = "10000/minute", path = { after = model.integer() } }, function(req)
  return bearer:issue { subject = "grace", claims = { nbf = os.time() + req.path.after } }
end)
app:get("/set/{wait}/{lives}", { guard = guard.public, path = { wait = model.number(), lives = model.boolean() } }, function(req)
  wait, lives = req.path.wait, req.path.lives
end)
app:get("/counts", { guard = guard.public }, function() return counts end)

local function who(req)
  counts.handled = counts.handled + 1
  return req.principal.guard .. " " .. (req.principal.subject or req.principal.name)
end
app:get("/session", { guard = guard.any { keys, session } }, who)
app:get("/session-first", { guard = guard.any { session, keys } }, who)
local often = "10000/minute"
app:get("/basic", { guard = guard.any { keys, basic }, limit = often }, who)
app:get("/basic-first", { guard = guard.any { basic, keys }, limit = often }, who)
app:get("/token", { guard = guard.any { bearer, keys }, timeout = "3s" }, function(req)
  counts.handled = counts.handled + 1
  if req:get_header "X-Long" then demilune.sleep(30) end
  return req.principal.guard
end)
app:post("/slow", { guard = keys, timeout = "300ms", body = { text = model.string() } }, who)
app:post("/page", { guard = cookie_keys }, who)
app:post("/once", { guard = keys, idempotent = true }, who)
local both = { { rate = "5/minute", by = "principal" }, { rate = "3/minute", by = "api_key" } }
app:get("/counted", { guard = guard.any { keys, given }, limit = both }, who)
app:get("/each", { guard = guard.any { keys, given }, limit = { rate = "2/minute", by = "api_key" } }, who)
return app
]]

describe("an API key that a store knows", function()
  local folder, running, limits, cookie

  setup(function()
    folder = server.write_app(APP)
    assert.equal(0, (server.run { "migration", "idempotency", folder }))
    limits = redis.new()
    local pipe = assert(io.popen(("echo 'a word of eve' | %s hash"):format(server.program)))
    local hash = pipe:read "*l"
    pipe:close()
    running = server.start(folder, { env = { SECRET = SECRET, BILLING = BILLING, EVE = hash, REDIS = limits.url } })
    cookie = running:request("POST", "/login").headers["set-cookie"]:match "^[^;]+"
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    limits:remove()
    assert.equal(0, status, log)
  end)

  local function set(wait, lives) assert.equal(200, running:request("GET", ("/set/%s/%s"):format(wait, tostring(lives))).status) end
  before_each(function() set(0.001, true) end)

  local function issue(body)
    local reply = running:request("POST", "/keys", { headers = { ["Content-Type"] = "application/json" }, body = body })
    return assert(reply.body:match '"key":"([^"]+)"', reply.body)
  end
  local function ask(target, headers, method)
    local reply = running:request(method or "GET", target, { headers = headers })
    return reply.status, reply.body
  end
  local function counts()
    local body = running:request("GET", "/counts").body
    return { keys = tonumber(body:match '"keys":(%d+)'), sessions = tonumber(body:match '"sessions":(%d+)'),
             handled = tonumber(body:match '"handled":(%d+)') }
  end
  -- How often each was asked meanwhile.
  local function asked(before)
    local after = counts()
    return { after.keys - before.keys, after.sessions - before.sessions, after.handled - before.handled }
  end

  it("is asked for before whether a session lives, in one request and each once, at once or after a while", function()
    local key = issue '{"subject":"ada"}'
    for _, wait in ipairs { 0, 0.02 } do
      for _, target in ipairs { "/session", "/session-first" } do
        set(wait, true)
        local before = counts()
        assert.same({ 200, "session ada" }, { ask(target, { Cookie = cookie, ["X-API-Key"] = STRANGER }) })
        assert.same({ target == "/session" and 1 or 0, 1, 1 }, asked(before))
        before = counts()
        local is_first = target == "/session"
        assert.same({ 200, is_first and "api_key ada" or "session ada" }, { ask(target, { Cookie = cookie, ["X-API-Key"] = key }) })
        assert.same({ is_first and 1 or 0, is_first and 0 or 1, 1 }, asked(before))
        set(wait, false)
        assert.equal(401, (ask(target, { Cookie = cookie, ["X-API-Key"] = STRANGER })))
      end
    end
  end)

  it("is waited for before and behind a password", function()
    local key, eve = issue '{"subject":"ada"}', "Basic ZXZlOmEgd29yZCBvZiBldmU="
    for _, target in ipairs { "/basic", "/basic-first" } do
      local before = counts()
      assert.same({ 200, "basic eve" }, { ask(target, { Authorization = eve, ["X-API-Key"] = STRANGER }) })
      assert.same({ 200, "api_key ada" }, { ask(target, { Authorization = "Basic ZXZlOndyb25n", ["X-API-Key"] = key }) })
      assert.equal(401, (ask(target, { Authorization = "Basic ZXZlOndyb25n", ["X-API-Key"] = STRANGER })))
      assert.same({ target == "/basic" and 3 or 2, 0, 2 }, asked(before))
    end
  end)

  it("is not in the way of a guard before its own that lets pass once it has been asked for", function()
    local key = issue '{"subject":"ada"}'
    for _, kind in ipairs { "X-Short", "X-Long" } do
      set(2.2, true)
      local before = counts()
      local token = running:request("POST", "/token/2").body
      local status = ask("/token", { Authorization = "Bearer " .. token, ["X-API-Key"] = key, [kind] = "yes" })
      assert.equal(kind == "X-Long" and 504 or 200, status)
      assert.same({ 1, 0, 1 }, asked(before))
    end
  end)

  it("is no longer waited for once it was told whose it is, however long the body takes", function()
    local connection = running:connect()
    connection:send(("POST /slow HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n")
      :format(issue '{"subject":"ada"}'))
    socket.sleep(0.5)
    connection:send '{"text":"late"'
    connection:send "}"
    assert.equal("api_key ada", connection:receive().body)
    connection:close()
  end)

  it("in a cookie is no key for the pages of others", function()
    local key = "__Host-key=" .. issue '{"subject":"ada"}'
    assert.same({ 200, "api_key ada" }, { ask("/page", { Cookie = key }, "POST") })
    assert.equal(403, (ask("/page", { Cookie = key, Origin = "https://evil.example" }, "POST")))
    assert.equal(403, (ask("/page", { Cookie = key, ["Sec-Fetch-Site"] = "cross-site" }, "POST")))
  end)

  it("has its owner's idempotency keys, and is told no answer that was made for other roles", function()
    local one, other = issue '{"subject":"ida","roles":["user"]}', issue '{"subject":"ida","roles":["user"]}'
    local writer, stranger = issue '{"subject":"ida","roles":["user","writer"]}', issue '{"subject":"eva","roles":["user"]}'
    local function send(key)
      return ask("/once", { ["X-API-Key"] = key, ["Idempotency-Key"] = '"1"' }, "POST")
    end
    local before = counts()
    for _, key in ipairs { one, other } do assert.same({ 200, "api_key ida" }, { send(key) }) end
    assert.equal(422, (send(writer)))
    assert.same({ 200, "api_key eva" }, { send(stranger) })
    assert.equal(2, asked(before)[3])
  end)

  it("is counted once by its owner and once by itself, also where a Redis counts", function()
    local one, other = issue '{"subject":"kim"}', issue '{"subject":"kim"}'
    local left = {}
    for index, key in ipairs { one, one, other, one, one, other } do
      local reply = running:request("GET", "/counted", { headers = { ["X-API-Key"] = key } })
      left[index] = reply.status .. " " .. reply.headers.ratelimit:gsub(";t=%d+", ""):gsub('%s?"(%l)%S+ %S+;r=', "%1")
    end
    assert.same({ "200 p4,a2", "200 p3,a1", "200 p2,a2", "200 p1,a0", "429 p0,a0", "429 p0" }, left)
  end)

  it("is not counted as a key of the app's own that has its id as its name", function()
    local key = issue '{"subject":"kay","name":"billing"}'
    for _, status in ipairs { 200, 200, 429 } do assert.equal(status, (ask("/each", { ["X-API-Key"] = key }))) end
    assert.same({ 200, "api_key billing" }, { ask("/each", { ["X-Billing"] = BILLING }) })
  end)
end)
