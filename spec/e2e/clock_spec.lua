-- SPDX-License-Identifier: MIT
-- A wall clock that jumps by hours under a running server: what has a date follows it, what has a duration does not notice. The clock
-- is tests/clock/jumping_clock.c, preloaded into the real program.

local clock = require "spec.support.clock"
local jwt = require "spec.support.jwt"
local server = require "spec.support.server"

local PATIENCE, HOUR = 30, 3600 -- seconds
local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"
local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret() }
local bearer = guard.bearer { secret = settings.SECRET, lifetime = "30m" }
local session = guard.session { secret = settings.SECRET, lifetime = "1h" }
local app = demilune.app { guard = guard.public, limits = { idle_timeout = "60s", handler_timeout = "20s" } }
app:get("/me", { guard = bearer }, function(req) return req.principal.subject end)
app:get("/now", function() return ("%d"):format(demilune.now()) end)
app:get("/wait", function() demilune.sleep("2s") return "waited" end)
app:get("/limited", { limit = "3/hour" }, function() return "admitted" end)
app:post("/login", { limit = "20/minute" }, function()
  return demilune.response { status = 200, body = "in", headers = { ["Set-Cookie"] = session:issue { subject = "7" } } }
end)
app:get("/home", { guard = session }, function(req) return req.principal.subject end)
return app
]]

describe("a wall clock that jumps", function()
  local running, folder, time
  before_each(function()
    folder = server.make_folder()
    time = clock.new(folder)
    running = server.start(APP, { env = time:environment { SECRET = SECRET } })
  end)
  after_each(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    assert(status == 0, log)
  end)

  local function jump(ahead)
    time:jump(ahead, function() return running:request("GET", "/now").body end)
  end

  local function token(seconds)
    local now = os.time()
    return jwt.sign('{"alg":"HS256","typ":"JWT"}', ('{"sub":"7","iat":%d,"nbf":%d,"exp":%d}'):format(now, now, now + seconds), SECRET)
  end

  local function ask(target, name, value) return running:request("GET", target, { headers = { [name] = value } }).status end

  it("ends tokens and sessions by its time, those that were seen before as well, and brings none back that has not begun", function()
    local bearer = "Bearer " .. token(HOUR / 2)
    local cookie = running:request("POST", "/login").headers["set-cookie"]:match("^[^;]*")
    local function expect(status)
      for _ = 1, 3 do
        assert.equal(status, ask("/me", "Authorization", bearer))
        assert.equal(status, ask("/home", "Cookie", cookie))
      end
    end
    expect(200)
    jump(2 * HOUR)
    expect(401)
    jump(0) -- they are good at this time, whatever the clock said in between
    expect(200)
    jump(-3 * HOUR)
    assert.equal(401, ask("/me", "Authorization", bearer)) -- its nbf is to come
    jump(2 * HOUR)
    expect(401)
  end)

  it("gives nobody his limit back, and takes nobody's", function()
    for _ = 1, 3 do assert.equal(200, running:request("GET", "/limited").status) end
    for _, seconds in ipairs { 0, 5 * HOUR, -5 * HOUR, 48 * HOUR, 0 } do
      jump(seconds)
      local response = running:request("GET", "/limited")
      assert.equal(429, response.status)
      local wait = tonumber(response.headers["retry-after"])
      assert.is_true(wait > 0 and wait <= HOUR, tostring(wait))
    end
  end)

  it("ends no request, no connection and no worker, and holds none up", function()
    local worker, idle, busy = running:workers()[1], running:connect(PATIENCE), {}
    assert.equal(200, idle:request("GET", "/now").status)
    for n, seconds in ipairs { 10 * HOUR, -10 * HOUR, 0 } do
      busy[n] = running:connect(PATIENCE)
      busy[n]:send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
      jump(seconds)
    end
    for _, connection in ipairs(busy) do
      assert.equal("waited", connection:receive().body)
      connection:close()
    end
    assert.equal(200, idle:request("GET", "/now").status)
    idle:close()
    assert.same({ worker }, running:workers())
  end)

  it("shows in Date and in the log", function()
    jump(24 * 365 * HOUR)
    local year = os.date("!%Y", os.time() + 24 * 365 * HOUR)
    assert.truthy(running:request("GET", "/now").headers.date:find(year, 1, true))
    assert.truthy(running:log_line('"time":"' .. year, '"path":"/now"'), running:log())
    jump(-24 * 365 * HOUR)
    year = os.date("!%Y", os.time() - 24 * 365 * HOUR)
    assert.truthy(running:request("GET", "/now").headers.date:find(year, 1, true))
  end)
end)
