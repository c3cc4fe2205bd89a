-- SPDX-License-Identifier: MIT
-- Stores of an app's own that a guard asks before the handler, over sockets: whether a session lives, and whose an API key is. They are asked
-- with the head alone, may take their time, may fail, and may be asked for somebody who has left.

local server = require "spec.support.server"

local PATIENCE = 20 -- seconds
local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"
local KEY = "key_of_ada_0123456789"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret() }
local app = demilune.app { title = "Asked", guard = guard.public, limits = { max_body = "1KiB", max_requests = 1, max_queue = 0 } }
local asked, given_up, handled, held, how = 0, 0, 0, true, "yes"
local function answer(about)
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
    demilune.log.info("asked for", { about = about })
  end
  return how ~= "no"
end
local function nothing() end
local function find(digest)
  local known = answer(digest) and { id = "1a", subject = "ada", roles = { "user" }, scopes = { "read" } } or nil
  if how == "lies" then known.subject = nil end
  return known
end
local session = guard.session { secret = settings.SECRET, lifetime = "1h",
  store = { begin = function(subject) return "id of " .. subject end, lives = answer, finish = nothing, finish_all = nothing } }
local keys = guard.api_key { lifetime = "1d", roles = { "user", "admin" }, scopes = { "read", "write" },
  store = { add = nothing, find = find, list = nothing, finish = nothing, finish_all = nothing } }
local given = guard.api_key { header = "X-Given", keys = { robot = settings.SECRET } }
local function me(req)
  handled = handled + 1
  return req.principal.subject or req.principal.name
end
for prefix, guarded in pairs { ["/session"] = session, ["/key"] = keys } do
  local router = demilune.router { prefix = prefix, guard = guarded }
  router:get("/me", { timeout = "300ms" }, me)
  router:post("/me", { timeout = "10s", body = { text = model.string() } }, function(req) return me(req) .. " " .. req.body.text end)
  router:get("/either", { guard = guard.any { guarded, given } }, me)
  router:get("/admin", { guard = guard.role("admin", guard.any { guarded, given }) }, me)
  router:get("/read", { guard = guard.scope("read", guarded) }, me)
  app:mount(router)
end
app:post("/login", { limit = "10000/minute" }, function()
  local cookie = session:issue { subject = "ada", roles = { "user" }, scopes = { "read" } }
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = cookie } }
end)
app:get("/how/{how}", function(req) how, held = req.path.how, false end)
app:get("/broken", function() error "the handler is broken" end)
app:get("/counts", function() return { asked = asked, given_up = given_up, handled = handled } end)
return app
]]

local folder, running
local CASES = {
  {
    title = "a session that a store keeps", prefix = "/session", field = "Cookie", challenge = 'Cookie cookie-name="__Host-session"',
    late = "Whether the session lives could not be found out in time", told = "whether a session lives", about = "id of ada",
  },
  {
    title = "an API key that a store knows", prefix = "/key", field = "X-API-Key", credential = KEY, challenge = 'APIKey header="X-API-Key"',
    late = "Whose the API key is could not be found out in time", told = "whose an API key is", about = ("%x"):rep(64),
  },
}

setup(function()
  folder = server.write_app(APP)
  running = server.start(folder, { env = { SECRET = SECRET }, flags = { "--admin=0" } })
  CASES[1].credential = running:request("POST", "/login").headers["set-cookie"]:match "^[^;]+"
end)
teardown(function()
  local status, log = running:stop()
  server.remove_folder(folder)
  assert.equal(0, status, log)
  assert.is_nil(log:find(KEY, 1, true))
end)

local function counts(how)
  if how then assert.equal(200, running:request("GET", "/how/" .. how).status) end
  local body = running:request("GET", "/counts").body
  return { asked = tonumber(body:match '"asked":(%d+)'), given_up = tonumber(body:match '"given_up":(%d+)'),
           handled = tonumber(body:match '"handled":(%d+)') }
end

for _, case in ipairs(CASES) do
  local function ask(method, target, headers, body)
    headers = headers or {}
    headers[case.field] = headers[case.field] or case.credential
    return running:request(method, case.prefix .. target, { headers = headers, body = body })
  end
  -- The head of a request, to be sent in parts.
  local function head(method, target, more)
    return ("%s %s%s HTTP/1.1\r\nHost: a\r\n%s: %s\r\n%s\r\n"):format(method, case.prefix, target, case.field, case.credential, more or "")
  end

  describe(case.title, function()
    before_each(function() counts "yes" end)

    it("lets its owner pass, and nobody once its store says no", function()
      assert.same({ 200, "ada" }, { ask("GET", "/me").status, ask("GET", "/me").body })
      counts "no"
      local refused = ask("GET", "/me")
      assert.same({ 401, case.challenge, '{"detail":"Not authenticated"}' },
        { refused.status, refused.headers["www-authenticate"], refused.body })
    end)

    it("is asked for once a request, and only for who came by it", function()
      local before = counts()
      assert.equal(200, ask("GET", "/me").status)
      assert.equal(200, ask("GET", "/read").status)
      assert.equal(200, running:request("GET", case.prefix .. "/either", { headers = { ["X-Given"] = SECRET } }).status)
      assert.equal(401, running:request("GET", case.prefix .. "/me").status)
      assert.equal(before.asked + 2, counts().asked)
    end)

    it("is refused before roles, bodies and what these say", function()
      assert.equal(403, ask("GET", "/admin").status)
      assert.equal(422, ask("POST", "/me", { ["Content-Type"] = "application/json" }, "{}").status)
      local before = counts "no"
      assert.equal(401, ask("GET", "/admin").status)
      assert.equal(401, ask("POST", "/me", { ["Content-Type"] = "application/json" }, "{}").status)
      assert.equal(401, ask("POST", "/me", nil, ("a"):rep(2000)).status)
      assert.equal(401, ask("GET", "/me", { ["Content-Encoding"] = "gzip" }).status)
      local slow = running:connect()
      slow:send(head("POST", "/me", "Content-Length: 100\r\n"))
      assert.equal(401, slow:receive().status) -- not a byte of its body was waited for
      slow:close()
      assert.equal(before.handled, counts().handled)
    end)

    it("may be waited for, with a body and further requests behind it", function()
      local connection = running:connect()
      local before = counts "waits"
      local body = '{"text":"hello"}'
      connection:send(head("POST", "/me", ("Content-Type: application/json\r\nContent-Length: %d\r\n"):format(#body)) .. body .. head("GET", "/me"))
      assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 1 end))
      counts "yes"
      assert.equal("ada hello", connection:receive().body)
      assert.equal("ada", connection:receive().body)
      connection:close()
    end)

    it("does not take a handler's place while it is waited for", function()
      local before, waiting = counts "waits", {}
      for index = 1, 5 do
        waiting[index] = running:connect()
        waiting[index]:send(head("GET", "/either"))
      end
      assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 5 end)) -- max_requests is 1
      assert.equal(before.handled, counts().handled)
      counts "yes"
      for _, connection in ipairs(waiting) do
        assert.truthy(connection:receive())
        connection:close()
      end
    end)

    it("is a 504 when it cannot be found out in time, also from a store that catches what cancels it", function()
      local function timeouts(page) return page:sum "demilune_handler_timeouts_total" end
      local timed_out = timeouts(running:metrics())
      for _, how in ipairs { "waits", "stubborn" } do
        local before = counts(how)
        local late = ask("GET", "/me")
        assert.same({ 504, ('{"detail":"%s"}'):format(case.late) }, { late.status, late.body })
        assert.equal(before.handled, counts().handled)
      end
      assert.truthy(running:log_line("took longer than its deadline to find out " .. case.told))
      assert.equal(timed_out + 2, timeouts(running:metrics_when(function(page) return timeouts(page) >= timed_out + 2 end)))
    end)

    it("is not what the next request failed by, when it could not be found out in time", function()
      counts "waits"
      assert.equal(504, ask("GET", "/me").status)
      local broken = running:request("GET", "/broken")
      local line = running:log_line("the handler is broken", broken.body:match '"request_id":"(%x+)"')
      assert.matches('"message":"a handler failed"', line, 1, true)
      assert.is_nil(line:find('"asked"', 1, true))
    end)

    it("is a 500 when its store fails, and what its store says when that gives up", function()
      counts "fails"
      local failed = ask("GET", "/me")
      assert.equal(500, failed.status)
      assert.matches('^{"detail":"Internal server error","request_id":"%x+"}$', failed.body)
      assert.truthy(running:log_line("a store failed", case.prefix, "the store is broken", ('"asked":"%s"'):format(case.told)))
      counts "aborts"
      local later = ask("GET", "/me")
      assert.same({ 503, "7", '{"detail":"later"}' }, { later.status, later.headers["retry-after"], later.body })
      counts "yes"
      assert.equal(200, ask("GET", "/me").status)
    end)

    it("is looked for in a task whose log lines name the request", function()
      counts "logs"
      assert.equal(200, ask("GET", "/me").status)
      assert.truthy(server.wait_until(PATIENCE, function()
        for line in running:log():gmatch "[^\n]+" do
          if line:find("asked for", 1, true) and line:find("request", 1, true) and line:find(case.about) then return true end
        end
      end), running:log())
    end)

    it("is not waited for when its client has left", function()
      local before = counts "waits"
      local gone = running:connect()
      gone:send(head("GET", "/either"))
      assert.truthy(server.wait_until(PATIENCE, function() return counts().asked == before.asked + 1 end))
      gone:close(true)
      assert.truthy(server.wait_until(PATIENCE, function() return counts().given_up == before.given_up + 1 end))
      assert.equal(before.handled, counts "yes".handled)
      assert.equal(200, ask("GET", "/me").status)
    end)
  end)
end

describe("what cannot be one", function()
  before_each(function() counts "yes" end)
  local function status(target, headers) return running:request("GET", target, { headers = headers }).status end

  it("is refused without asking", function()
    local before = counts()
    assert.equal(401, status("/session/me", { Cookie = "__Host-session=made-up" }))
    assert.equal(401, status("/key/me", { ["X-API-Key"] = "short" }))
    assert.equal(401, status("/key/me", { ["X-API-Key"] = ("a"):rep(1025) }))
    assert.equal(400, status("/key/me", { ["X-API-Key"] = KEY, ["x-api-key"] = KEY }))
    assert.equal(before.asked, counts().asked)
  end)

  it("leaves the rest to other guards, and a store's answer that is no key lets in nobody", function()
    counts "no"
    local headers = { ["X-API-Key"] = KEY, ["X-Given"] = SECRET }
    assert.equal("robot", running:request("GET", "/key/either", { headers = headers }).body)
    assert.equal(403, status("/key/admin", headers))
    counts "lies"
    assert.equal(500, status("/key/me", headers))
    assert.truthy(running:log_line "store.find gave what is no key")
  end)
end)
