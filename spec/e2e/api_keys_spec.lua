-- SPDX-License-Identifier: MIT
-- API keys that an app makes while it runs, over sockets: their store is asked with the head alone, may take its time, may fail, and may be
-- asked about a key whose client has left. In a database they are one table for all workers.

local server = require "spec.support.server"

local PATIENCE = 20 -- seconds
local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"
local KEY = "key_of_ada_0123456789"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret() }
local app = demilune.app { title = "Keys", limits = { max_body = "1KiB", max_requests = 1, max_queue = 0 } }
local asked, given_up, handled, held, how = 0, 0, 0, true, "knows"
local store = { add = function() end, list = function() return {} end, finish = function() end, finish_all = function() end }
function store.find(digest)
  asked = asked + 1
  if how == "waits" then
    held = true
    local ok, problem = pcall(function() while held do demilune.sleep("5ms") end end)
    if not ok then
      given_up = given_up + 1
      error(problem, 0)
    end
  elseif how == "stubborn" then
    while true do pcall(demilune.sleep, 60) end
  elseif how == "fails" then
    error "the store is broken"
  elseif how == "aborts" then
    demilune.abort(503, "later", { ["Retry-After"] = "7" })
  elseif how == "lies" then
    return { id = "1a" }
  elseif how == "logs" then
    demilune.log.info("asked for", { digest = digest })
  end
  return how ~= "forgets" and { id = "1a", subject = "ada", roles = { "user" }, scopes = { "read" } } or nil
end
local keys = guard.api_key { store = store, lifetime = "1d", roles = { "user", "admin" }, scopes = { "read", "write" } }
local session = guard.session { secret = settings.SECRET, lifetime = "1h" }
local either = guard.any { keys, session }
app:post("/login", { guard = guard.public, limit = "10000/minute" }, function()
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = "ada", roles = { "user" } } } }
end)
local function me(req)
  handled = handled + 1
  return req.principal.guard .. " " .. req.principal.subject
end
app:get("/me", { guard = keys, timeout = "300ms" }, me)
app:post("/me", { guard = keys, timeout = "10s", body = { text = model.string() } }, function(req) return me(req) .. " " .. req.body.text end)
app:get("/either", { guard = either }, me)
app:get("/admin", { guard = guard.role("admin", either) }, me)
app:get("/read", { guard = guard.scope("read", keys) }, me)
app:get("/how/{how}", { guard = guard.public }, function(req) how, held = req.path.how, false end)
app:get("/counts", { guard = guard.public }, function() return { asked = asked, given_up = given_up, handled = handled } end)
return app
]]

describe("an API key that a store knows", function()
  local folder, running, cookie

  setup(function()
    folder = server.write_app(APP)
    running = server.start(folder, { env = { SECRET = SECRET } })
    cookie = running:request("POST", "/login").headers["set-cookie"]:match "^[^;]+"
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    assert.equal(0, status, log)
  end)

  local function counts(how)
    if how then assert.equal(200, running:request("GET", "/how/" .. how).status) end
    local body = running:request("GET", "/counts").body
    return { asked = tonumber(body:match '"asked":(%d+)'), given_up = tonumber(body:match '"given_up":(%d+)'),
             handled = tonumber(body:match '"handled":(%d+)') }
  end

  local function ask(method, target, headers, body)
    headers = headers or {}
    headers["X-API-Key"] = headers["X-API-Key"] or KEY
    return running:request(method, target, { headers = headers, body = body })
  end

  before_each(function() counts "knows" end)

  it("says whose it is, and nobody's it is when the store does not know it", function()
    assert.same({ 200, "api_key ada" }, { ask("GET", "/me").status, ask("GET", "/me").body })
    counts "forgets"
    local refused = ask("GET", "/me")
    assert.same({ 401, 'APIKey header="X-API-Key"', '{"detail":"Not authenticated"}' },
      { refused.status, refused.headers["www-authenticate"], refused.body })
    assert.truthy(running:log_line("a guard refused", "none that the store knows"))
  end)

  it("is asked for once a request, and not at all where there can be none", function()
    local before = counts()
    assert.equal(200, ask("GET", "/me").status)
    assert.equal(200, ask("GET", "/read").status)
    assert.equal(before.asked + 2, counts().asked)
    assert.equal(401, running:request("GET", "/me").status)
    assert.equal(401, ask("GET", "/me", { ["X-API-Key"] = "short" }).status)
    assert.equal(401, ask("GET", "/me", { ["X-API-Key"] = ("a"):rep(1025) }).status)
    assert.equal(400, running:request("GET", "/me", { headers = { ["X-API-Key"] = KEY, ["x-api-key"] = KEY } }).status)
    assert.equal(200, running:request("GET", "/either", { headers = { Cookie = cookie } }).status)
    assert.equal(before.asked + 2, counts().asked)
  end)

  it("decides by its roles and scopes, and leaves the rest to other guards", function()
    assert.same({ 403, 200 }, { ask("GET", "/admin").status, ask("GET", "/read").status })
    counts "forgets"
    assert.equal("session ada", ask("GET", "/either", { Cookie = cookie }).body)
    assert.equal(403, ask("GET", "/admin", { Cookie = cookie }).status)
    assert.equal(401, ask("GET", "/admin").status)
  end)

  it("is refused before bodies and what these say", function()
    assert.equal(422, ask("POST", "/me", { ["Content-Type"] = "application/json" }, "{}").status)
    local before = counts "forgets"
    assert.equal(401, ask("POST", "/me", { ["Content-Type"] = "application/json" }, "{}").status)
    assert.equal(401, ask("POST", "/me", nil, ("a"):rep(2000)).status)
    local slow = running:connect()
    slow:send(("POST /me HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\nContent-Length: 100\r\n\r\n"):format(KEY))
    assert.equal(401, slow:receive().status) -- not a byte of its body was waited for
    slow:close()
    assert.equal(before.handled, counts().handled)
  end)

  it("may be waited for, with a body and further requests behind it, while no handler's place is taken", function()
    local connection, waiting = running:connect(), {}
    local before = counts "waits"
    local body = '{"text":"hello"}'
    connection:send(("POST /me HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
      .. "GET /me HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n"):format(KEY, #body, body, KEY))
    for index = 1, 5 do
      waiting[index] = running:connect()
      waiting[index]:send(("GET /either HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n"):format(KEY))
    end
    assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 6 end)) -- max_requests is 1
    assert.equal(before.handled, counts().handled)
    counts "knows"
    assert.equal("api_key ada hello", connection:receive().body)
    assert.equal("api_key ada", connection:receive().body)
    connection:close()
    for _, other in ipairs(waiting) do
      assert.truthy(other:receive())
      other:close()
    end
  end)

  it("is a 504 when it cannot be found out in time, also from a store that catches what cancels it", function()
    for _, how in ipairs { "waits", "stubborn" } do
      local before = counts(how)
      local late = ask("GET", "/me")
      assert.same({ 504, '{"detail":"Whose the API key is could not be found out in time"}' }, { late.status, late.body })
      assert.equal(before.handled, counts().handled)
    end
    assert.truthy(running:log_line("took longer than its deadline to find out whose an API key is"))
  end)

  it("is a 500 when its store fails or lies, and what its store says when that gives up", function()
    for how, said in pairs { fails = "the store is broken", lies = "store.find gave what is no key" } do
      counts(how)
      local failed = ask("GET", "/me")
      assert.equal(500, failed.status)
      assert.matches('^{"detail":"Internal server error","request_id":"%x+"}$', failed.body)
      assert.truthy(running:log_line(said))
    end
    counts "aborts"
    local later = ask("GET", "/me")
    assert.same({ 503, "7", '{"detail":"later"}' }, { later.status, later.headers["retry-after"], later.body })
    counts "knows"
    assert.equal(200, ask("GET", "/me").status)
  end)

  it("is looked for by its digest, in a task whose log lines name the request", function()
    counts "logs"
    assert.equal(200, ask("GET", "/me").status)
    local line = running:log_line("asked for", "digest")
    assert.matches("request", line)
    assert.equal(64, #line:match 'digest"?[:=]"?(%x+)')
    assert.is_nil(running:log():find(KEY, 1, true))
  end)

  it("is not waited for when its client has left", function()
    local before = counts "waits"
    local gone = running:connect()
    gone:send(("GET /either HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n"):format(KEY))
    assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 1 end))
    gone:close(true)
    assert.truthy(server.wait_until(PATIENCE, function() return counts().given_up == before.given_up + 1 end))
    assert.equal(before.handled, counts "knows".handled)
    assert.equal(200, ask("GET", "/me").status)
  end)
end)

local STORED = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
local db = app:database("sqlite:keys.db", { lock_ms = 2000 })
local keys = guard.api_key { database = db, lifetime = "1d", most = 3 }
app:post("/keys/{who}", { limit = "10000/minute" }, function(req) return keys:issue { subject = req.path.who, name = "a name" } end)
app:get("/keys/{who}", {}, function(req) return keys:list(req.path.who) end)
app:delete("/keys/{who}/{id}", {}, function(req) return keys:finish(req.path.who, req.path.id) end)
app:delete("/keys/{who}", {}, function(req) keys:finish_all(req.path.who) end)
app:get("/me", { guard = keys }, function(req) return req.principal.subject end)
app:get("/quick", { guard = keys, timeout = "1s" }, function(req) return req.principal.subject end)
app:get("/owner", { guard = keys, limit = { rate = "3/minute", by = "principal" } }, function() return "fine" end)
app:get("/key", { guard = keys, limit = { rate = "2/minute", by = "api_key" } }, function() return "fine" end)
app:post("/together/{how}", { limit = "10000/minute" }, function(req)
  local made
  pcall(function()
    db:transaction(function()
      made = keys:issue { subject = "together" }
      if req.path.how == "fails" then error "and all of it is undone" end
    end)
  end)
  return made.key
end)
local add_expired = db:statement [=[
  INSERT INTO api_keys (id, digest, subject, name, roles, scopes, created, expires)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
  SELECT 'expired ' || i, 'expired ' || i, 'eve', '', '[]', '[]', i, i FROM n]=]
local add_many = db:statement [=[
  INSERT INTO api_keys (id, digest, subject, name, roles, scopes, created, expires)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
  SELECT 'many ' || i, 'many ' || i, 'tom', '', '[]', '[]', i, 9999999999 FROM n]=]
app:post("/many", {}, function() add_many:run() end)
local count_expired = db:statement "SELECT count(*) FROM api_keys WHERE subject = 'eve' AND expires < 1000"
app:post("/expired", {}, function() add_expired:run() end)
app:get("/expired", {}, function() return count_expired:value() end)
return app
]]

describe("API keys in a database", function()
  local running, data, app

  setup(function()
    data, app = server.make_folder(), server.write_app { ["app.lua"] = STORED }
    assert.equal(0, (server.run { "migration", "api_keys", app }))
    running = server.start(app, { data = data, workers = 2 })
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(data)
    server.remove_folder(app)
    assert.equal(0, status, log)
  end)

  local function issue(who)
    local reply = running:request("POST", "/keys/" .. who)
    return reply.body:match '"key":"([^"]+)"', reply.body:match '"id":"([^"]+)"', reply.status
  end
  local function get(target, key)
    local reply = running:request("GET", target, { headers = { ["X-API-Key"] = key } })
    return reply.status, reply.body
  end

  it("let in by any worker from the moment they are made until they are ended", function()
    local one, id = issue "ada"
    local other = issue "ada"
    for _ = 1, 20 do assert.same({ 200, "ada" }, { get("/me", one) }) end
    assert.equal("false", running:request("DELETE", "/keys/grace/" .. id).body) -- nobody ends somebody else's
    assert.equal(200, (get("/me", one)))
    assert.equal("true", running:request("DELETE", "/keys/ada/" .. id).body)
    for _ = 1, 20 do assert.equal(401, (get("/me", one))) end
    assert.equal(200, (get("/me", other)))
    local grace = issue "grace"
    assert.equal(200, running:request("DELETE", "/keys/ada").status)
    for _ = 1, 20 do assert.equal(401, (get("/me", other))) end
    assert.equal(200, (get("/me", grace)))
  end)

  it("are listed to whoever asks by whose they are, with when they were last seen", function()
    local key, id = issue "lin"
    local unused = running:request("GET", "/keys/lin").body
    assert.matches('"name":"a name"', unused)
    assert.is_nil(unused:find('"used"', 1, true))
    assert.equal(200, (get("/me", key)))
    local used = server.wait_until(PATIENCE, function()
      local body = running:request("GET", "/keys/lin").body
      return body:find('"used":%d') and body
    end)
    assert.matches('"id":"' .. id .. '"', used)
    assert.is_nil(used:find("digest", 1, true))
    assert.equal("[]", running:request("GET", "/keys/nobody").body)
  end)

  it("are noted to be seen once an hour, not in each request", function()
    local key, id = issue "liv"
    local function used_is(text) return running:request("GET", "/keys/liv").body:find('"used":' .. text) end
    for ago, is_noted in pairs { [3500] = false, [3700] = true } do
      local before = tostring(os.time() - ago)
      local update = ("UPDATE api_keys SET used = %s WHERE id = '%s'"):format(before, id)
      assert.equal(0, os.execute(('sqlite3 -cmd ".timeout 5000" %s/keys.db "%s"'):format(data, update)))
      for _ = 1, 4 do assert.equal(200, (get("/me", key))) end
      for _ = 1, 4 do assert.equal(200, running:request("DELETE", "/keys/nobody").status) end -- a write of each worker, behind what notes it
      if is_noted then assert.truthy(server.wait_until(PATIENCE, function() return not used_is(before) end)) end
      assert.equal(not is_noted, used_is(before) ~= nil)
    end
  end)

  it("let in while nothing can be written, and it is told that their use is not noted", function()
    local key = issue "kay"
    local writer = assert(io.popen(("sqlite3 %s/keys.db >%s/held 2>&1"):format(data, data), "w"))
    writer:write "BEGIN IMMEDIATE;\n"
    writer:flush()
    assert.truthy(server.wait_until(PATIENCE, function()
      return os.execute(("sqlite3 %s/keys.db 'BEGIN IMMEDIATE' 2>%s/refused"):format(data, data)) ~= 0
    end))
    for _ = 1, 5 do assert.same({ 200, "kay" }, { get("/quick", key) }) end
    assert.truthy(running:log_line("it could not be noted that an API key was used"))
    writer:close()
    assert.truthy(server.wait_until(PATIENCE, function()
      return get("/me", key) == 200 and running:request("GET", "/keys/kay").body:find('"used":%d')
    end))
  end)

  it("made in a transaction of the app's are there when that is", function()
    local function made(how) return running:request("POST", "/together/" .. how).body end
    assert.equal(200, (get("/me", made "holds")))
    assert.equal(401, (get("/me", made "fails")))
  end)

  it("are as many for each as the guard lets them have", function()
    for _ = 1, 3 do assert.equal(200, select(3, issue "eva")) end
    local reply = running:request("POST", "/keys/eva")
    assert.same({ 409, '{"detail":"There are 3 API keys already; end one first"}' }, { reply.status, reply.body })
    assert.equal(200, select(3, issue "ida"))
  end)

  it("are no more than that when many are asked for at once, of both workers", function()
    local asking, made = {}, 0
    for index = 1, 30 do asking[index] = running:connect() end
    for _, one in ipairs(asking) do one:send "POST /keys/ann HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" end
    for _, one in ipairs(asking) do
      made = made + (one:receive().status == 200 and 1 or 0)
      one:close()
    end
    assert.equal(3, made)
  end)

  it("are listed and ended also where somebody has very many", function()
    assert.equal(200, running:request("POST", "/many").status)
    assert.equal(1200, select(2, running:request("GET", "/keys/tom").body:gsub('"id":', "")))
    assert.equal(200, running:request("DELETE", "/keys/tom").status)
    assert.equal("[]", running:request("GET", "/keys/tom").body)
  end)

  it("are counted by whose they are, or each by itself", function()
    local one, other = issue "max", issue "max"
    assert.same({ 200, 200, 200, 429 }, { (get("/owner", one)), (get("/owner", other)), (get("/owner", one)), (get("/owner", other)) })
    assert.same({ 200, 200, 429, 200, 200, 429 },
      { (get("/key", one)), (get("/key", one)), (get("/key", one)), (get("/key", other)), (get("/key", other)), (get("/key", other)) })
    assert.equal(200, (get("/owner", issue "moritz")))
  end)

  it("are forgotten few at a time once they have expired, and count for nobody until then", function()
    assert.equal(200, running:request("POST", "/expired").status)
    for _, left in ipairs { 50, 0 } do
      assert.equal(200, select(3, issue "eve"))
      assert.equal(tostring(left), running:request("GET", "/expired").body)
    end
  end)

  it("stay, as digests, over a reload and a start", function()
    local key = issue "zoe"
    assert.equal(0, (server.run({ "reload", app }, { env = { DEMILUNE_DATA = data } })))
    assert.same({ 200, "zoe" }, { get("/me", key) })
    assert.equal(0, (running:stop()))
    local handle = assert(io.open(data .. "/keys.db", "rb"))
    local bytes = handle:read "*a"
    handle:close()
    assert.truthy(bytes:find("zoe", 1, true))
    assert.is_nil(bytes:find(key, 1, true))
    assert.is_nil(bytes:find(key:match "[^_]+$", 1, true))
    running = server.start(app, { data = data })
    assert.same({ 200, "zoe" }, { get("/me", key) })
  end)
end)
