-- SPDX-License-Identifier: MIT
-- Sessions that a store keeps, over sockets: the store is asked with the head alone, may take its time, may fail, and may be asked for
-- somebody who has left.

local server = require "spec.support.server"

local PATIENCE = 20 -- seconds

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret() }
local app = demilune.app { title = "Sessions", limits = { max_body = "1KiB", max_requests = 1, max_queue = 0 } }
local asked, given_up, handled, held, how = 0, 0, 0, true, "lives"
local store = {
  begin = function(subject) return "id of " .. subject end,
  finish = function() end,
  finish_all = function() end,
}
function store.lives(id)
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
  elseif how == "logs" then
    demilune.log.info("asked for", { session = id })
  end
  return how ~= "ended"
end
local session = guard.session { secret = settings.SECRET, lifetime = "1h", store = store }
local key = guard.api_key { keys = { robot = settings.SECRET } }
app:post("/login", { guard = guard.public, limit = "10000/minute" }, function()
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = "ada", roles = { "user" } } } }
end)
local function me(req)
  handled = handled + 1
  return req.principal.subject or req.principal.name
end
app:get("/me", { guard = session, timeout = "300ms" }, me)
app:post("/me", { guard = session, timeout = "10s", body = { text = model.string() } }, function(req) return me(req) .. " " .. req.body.text end)
app:get("/either", { guard = guard.any { session, key } }, me)
app:get("/admin", { guard = guard.role("admin", session) }, me)
app:get("/how/{how}", { guard = guard.public }, function(req) how, held = req.path.how, false end)
app:get("/counts", { guard = guard.public }, function() return { asked = asked, given_up = given_up, handled = handled } end)
return app
]]

local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"

describe("a session that a store keeps", function()
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
    headers.Cookie = headers.Cookie or cookie
    return running:request(method, target, { headers = headers, body = body })
  end

  before_each(function() counts "lives" end)

  it("lets its owner pass while it lives, and nobody once it has ended", function()
    assert.same({ 200, "ada" }, { ask("GET", "/me").status, ask("GET", "/me").body })
    counts "ended"
    local refused = ask("GET", "/me")
    assert.same({ 401, 'Cookie cookie-name="__Host-session"' }, { refused.status, refused.headers["www-authenticate"] })
    assert.equal('{"detail":"Not authenticated"}', refused.body)
  end)

  it("is asked for once a request, and only for who came by it", function()
    local before = counts()
    assert.equal(200, ask("GET", "/me").status)
    assert.equal(200, ask("GET", "/either", { Cookie = "a=b", ["X-API-Key"] = SECRET }).status)
    assert.equal(401, ask("GET", "/me", { Cookie = "__Host-session=made-up" }).status)
    assert.equal(before.asked + 1, counts().asked)
  end)

  it("that has ended is refused before roles, bodies and what these say", function()
    assert.equal(403, ask("GET", "/admin").status)
    assert.equal(422, ask("POST", "/me", { ["Content-Type"] = "application/json" }, "{}").status)
    local before = counts "ended"
    assert.equal(401, ask("GET", "/admin").status)
    assert.equal(401, ask("POST", "/me", { ["Content-Type"] = "application/json" }, "{}").status)
    assert.equal(401, ask("POST", "/me", nil, ("a"):rep(2000)).status)
    assert.equal(401, ask("GET", "/me", { ["Content-Encoding"] = "gzip" }).status)
    local slow = running:connect()
    slow:send(("POST /me HTTP/1.1\r\nHost: a\r\nCookie: %s\r\nContent-Length: 100\r\n\r\n"):format(cookie))
    assert.equal(401, slow:receive().status) -- not a byte of its body was waited for
    slow:close()
    assert.equal(before.handled, counts().handled)
  end)

  it("may be waited for, with a body and further requests behind it", function()
    local connection = running:connect()
    local before = counts "waits"
    local body = '{"text":"hello"}'
    connection:send(("POST /me HTTP/1.1\r\nHost: a\r\nCookie: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
      .. "GET /me HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n"):format(cookie, #body, body, cookie))
    assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 1 end))
    counts "lives"
    assert.equal("ada hello", connection:receive().body)
    assert.equal("ada", connection:receive().body)
    connection:close()
  end)

  it("does not take a handler's place while it is waited for", function()
    local before, waiting = counts "waits", {}
    for index = 1, 5 do
      waiting[index] = running:connect()
      waiting[index]:send(("GET /either HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n"):format(cookie))
    end
    assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 5 end)) -- max_requests is 1
    assert.equal(before.handled, counts().handled)
    counts "lives"
    for _, connection in ipairs(waiting) do
      assert.truthy(connection:receive())
      connection:close()
    end
  end)

  it("is a 504 when it cannot be found out in time, also from a store that catches what cancels it", function()
    for _, how in ipairs { "waits", "stubborn" } do
      local before = counts(how)
      local late = ask("GET", "/me")
      assert.same({ 504, '{"detail":"Whether the session lives could not be found out in time"}' }, { late.status, late.body })
      assert.equal(before.handled, counts().handled)
    end
    assert.truthy(running:log_line("took longer than its deadline to find out whether a session lives"))
  end)

  it("is a 500 when its store fails, and what its store says when that gives up", function()
    counts "fails"
    local failed = ask("GET", "/me")
    assert.equal(500, failed.status)
    assert.matches('^{"detail":"Internal server error","request_id":"%x+"}$', failed.body)
    assert.truthy(running:log_line("the store is broken"))
    counts "aborts"
    local later = ask("GET", "/me")
    assert.same({ 503, "7", '{"detail":"later"}' }, { later.status, later.headers["retry-after"], later.body })
    counts "lives"
    assert.equal(200, ask("GET", "/me").status)
  end)

  it("is looked for in a task whose log lines name the request", function()
    counts "logs"
    assert.equal(200, ask("GET", "/me").status)
    assert.matches("request", running:log_line("asked for", "id of ada"))
  end)

  it("is not waited for when its client has left", function()
    local before = counts "waits"
    local gone = running:connect()
    gone:send(("GET /either HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n"):format(cookie))
    assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 1 end))
    gone:close(true)
    assert.truthy(server.wait_until(PATIENCE, function() return counts().given_up == before.given_up + 1 end))
    assert.equal(before.handled, counts "lives".handled)
    assert.equal(200, ask("GET", "/me").status)
  end)
end)

describe("sessions in a database", function()
  local STORED = [[
local demilune = require "demilune"
local guard = demilune.guard
local settings = demilune.settings { SECRET = demilune.model.secret() }
local app = demilune.app { guard = guard.public }
local db = app:database "sqlite:sessions.db"
local session = guard.session { secret = settings.SECRET, lifetime = "1h", database = db }
local add_expired = db:statement [=[
  INSERT INTO sessions (digest, subject, expires)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) SELECT 'expired ' || i, 'eve', i FROM n]=]
local count_expired = db:statement "SELECT count(*) FROM sessions WHERE subject = 'eve'"
app:on_start(function() add_expired:run() end)
app:get("/expired", function() return count_expired:value() end)
app:get("/me", { guard = session }, function(req) return req.principal.subject end)
app:post("/login", { limit = "10000/minute" }, function()
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = "ada" } } }
end)
app:post("/together/{how}", { limit = "10000/minute" }, function(req)
  local cookie
  pcall(function()
    db:transaction(function()
      cookie = session:issue { subject = "ada" }
      if req.path.how == "fails" then error "and all of it is undone" end
    end)
  end)
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = cookie } }
end)
return app
]]

  it("are there when the transaction is in which they were issued", function()
    local app = server.write_app { ["app.lua"] = STORED }
    assert.equal(0, (server.run { "migration", "sessions", app }))
    local running = server.start(app, { env = { SECRET = SECRET } })
    local function status(how)
      local cookie = running:request("POST", "/together/" .. how).headers["set-cookie"]:match "^[^;]+"
      return running:request("GET", "/me", { headers = { Cookie = cookie } }).status
    end
    assert.same({ 200, 401 }, { status "holds", status "fails" })
    local ended, log = running:stop()
    assert.equal(0, ended, log)
    server.remove_folder(app)
  end)

  it("are forgotten few at a time, so that no login waits until many are", function()
    local data = server.make_folder()
    local app = server.write_app { ["app.lua"] = STORED }
    assert.equal(0, (server.run { "migration", "sessions", app }))
    local running = server.start(app, { env = { SECRET = SECRET }, data = data })
    for _, left in ipairs { 150, 50, 0 } do
      local reply = running:request("POST", "/login")
      assert.equal(204, reply.status)
      assert.equal(tostring(left), running:request("GET", "/expired").body)
      assert.equal("ada", running:request("GET", "/me", { headers = { Cookie = reply.headers["set-cookie"]:match "^[^;]+" } }).body)
    end
    local status, log = running:stop()
    assert.equal(0, status, log)
    server.remove_folder(data)
    server.remove_folder(app)
  end)
end)
