-- SPDX-License-Identifier: MIT
-- /metrics and /readyz: what is counted, that no client can make it more, and when the service is ready.

local certificates = require "spec.support.certificates"
local http = require "spec.support.http"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local limits = { max_connections_per_client = 40, handler_timeout = "1s" }
local app = demilune.app { title = "Counted", version = "1", guard = guard.public, limits = limits }
local key = guard.api_key { header = "X-Key", keys = { one = { digest = ("ab"):rep(32) } } }
app:get("/", function() return "root" end)
app:get("/users/{id}", { path = { id = model.integer() } }, function(req) return { id = req.path.id } end)
app:post("/users", { body = model "User" { name = model.string() }, status = 201 }, function(req) return req.body end)
app:get("/limited", { limit = "2/hour" }, function() return "let in" end)
app:get("/guarded", { guard = key }, function() return "never" end)
local digest = "5007291354bfea12ac5a0fe7a30d2c52b0295075fa9031555a82cb960ac14e5e"
local cookie = guard.api_key { cookie = "__Host-key", keys = { one = { digest = digest } } }
for _, by in ipairs { "principal", "api_key" } do app:get("/by/" .. by, { guard = cookie, limit = { rate = "1/hour", by = by } }, function() end) end
app:post("/changed", { guard = cookie, status = 204 }, function() end)
app:get("/fails", function() error "on purpose" end)
app:get("/teapot", function() demilune.abort(418, "tea") end)
app:get("/invalid", function() demilune.abort(422, "by hand") end)
app:get("/forever", function() demilune.sleep(60) end)
app:get("/slow", { timeout = "20s" }, function() demilune.sleep("100ms") return "slow" end)
app:get("/stream", function() return demilune.stream(function(write) write(("x"):rep(1000)) end) end)
return app
]]

local REQUESTS = "demilune_http_requests_total"

local running

local function start(app, options)
  options = options or {}
  options.flags = options.flags or {}
  table.insert(options.flags, "--admin=0")
  running = server.start(app, options)
  assert(running:admin_port(), "the log does not name the admin port")
  return running
end

after_each(function()
  if running then running:stop("KILL") end
  running = nil
end)

local function metrics_when(fits) return running:metrics_when(fits) end

describe("/metrics", function()
  it("shows exactly what was asked, by route and status", function()
    start(APP)
    local connection = running:connect()
    local function ask(times, method, target, status, options)
      for _ = 1, times do assert.are.equal(status, connection:request(method, target, options).status) end
    end
    local json = { ["Content-Type"] = "application/json" }
    ask(7, "GET", "/", 200)
    ask(3, "HEAD", "/", 200)
    ask(4, "GET", "/users/1", 200)
    ask(5, "GET", "/users/x", 422)
    ask(2, "POST", "/users", 201, { body = '{"name":"a"}', headers = json })
    ask(1, "POST", "/users", 422, { body = '{}', headers = json })
    ask(6, "GET", "/nowhere", 404)
    ask(2, "PUT", "/users", 405)
    ask(1, "GET", "/fails", 500)
    ask(1, "GET", "/teapot", 418)
    ask(1, "GET", "/invalid", 422)
    ask(2, "GET", "/slow", 200)
    ask(1, "GET", "/stream", 200)
    assert.are.equal("text/plain; version=0.0.4; charset=utf-8", running:admin("GET", "/metrics").headers["content-type"])
    local page = metrics_when(function(page)
      return page:sum(REQUESTS) == 36 and page:sum "demilune_connections" == 1 and page:sum "demilune_http_requests_in_flight" == 0
        and page:sum "demilune_coroutines" > 0 and page:sum "demilune_sent_bytes_total" > 36 * 100
    end)
    local function count(method, route, status) return page:sum(REQUESTS, { method = method, route = route, status = status }) end
    assert.are.equal(36, page:sum(REQUESTS))
    assert.are.equal(10, count("GET", "/", "200"))
    assert.are.equal(4, count("GET", "/users/{id}", "200"))
    assert.are.equal(5, count("GET", "/users/{id}", "422"))
    assert.are.equal(2, count("POST", "/users", "201"))
    assert.are.equal(1, count("POST", "/users", "422"))
    assert.are.equal(6, count("GET", "unmatched", "404"))
    assert.are.equal(2, count("PUT", "unmatched", "405"))
    assert.are.equal(1, count("GET", "/fails", "500"))
    assert.are.equal(1, count("GET", "/teapot", "4xx"))
    assert.are.equal(6, page:sum "demilune_validation_refusals_total") -- not what a handler said itself
    local duration = "demilune_http_request_duration_seconds"
    assert.are.equal(36, page:sum(duration .. "_count"))
    assert.are.equal(2, page:sum(duration .. "_count", { route = "/slow" }))
    assert.are.equal(0, page:sum(duration .. "_bucket", { route = "/slow", le = "0.05" }))
    assert.is_true(page:sum(duration .. "_sum", { route = "/slow" }) >= 0.19) -- timers count in milliseconds
    assert.are.equal(1, page:sum "demilune_connections")
    assert.are.equal(1, page:sum "demilune_connections_accepted_total")
    assert.are.equal(0, page:sum "demilune_http_requests_in_flight")
    assert.are.equal(1, page:sum "demilune_generations")
    assert.are.equal(1, page:sum "demilune_ready")
    assert.is_true(page:sum "demilune_lua_memory_bytes" > 100000)
    assert.is_true(page:sum "demilune_worker_resident_memory_bytes" > 1000000)
    assert.is_true(page:sum "demilune_coroutines" >= 1)
    assert.is_true(page:sum "demilune_received_bytes_total" > 36 * 30)
    assert.is_true(page:sum "demilune_sent_bytes_total" > 36 * 100)
    connection:close()
  end)

  it("counts who was refused, and by what", function()
    start(APP)
    for i = 1, 5 do assert.are.equal(i <= 2 and 200 or 429, running:request("GET", "/limited").status) end
    for _ = 1, 3 do running:request("GET", "/guarded") end
    for _ = 1, 2 do running:request("GET", "/guarded", { headers = { ["X-Key"] = "wrong" } }) end
    local cookie = "__Host-key=a-key-that-the-spec-knows-0123456789"
    assert.are.equal(204, running:request("POST", "/changed", { headers = { Cookie = cookie } }).status)
    assert.are.equal(403, running:request("POST", "/changed", { headers = { Cookie = cookie, ["Sec-Fetch-Site"] = "cross-site" } }).status)
    for by, times in pairs { principal = 2, api_key = 3 } do
      for i = 1, times do assert.are.equal(i == 1 and 200 or 429, running:request("GET", "/by/" .. by, { headers = { Cookie = cookie } }).status) end
    end
    assert.are.equal(504, running:request("GET", "/forever").status)
    metrics_when(function(page) return page:sum "demilune_connections" == 0 end)
    local held = {}
    for i = 1, 45 do held[i] = running:connect() end
    local page = metrics_when(function(page)
      return page:sum "demilune_connections_refused_total" >= 5 and page:sum "demilune_connections" == 40
    end)
    for by, times in pairs { client = 3, principal = 1, api_key = 2 } do
      assert.are.equal(times, page:sum("demilune_limit_refusals_total", { by = by }), by)
    end
    assert.are.equal(3, page:sum("demilune_guard_refusals_total", { reason = "the API key's field is not there" }))
    assert.are.equal(2, page:sum("demilune_guard_refusals_total", { reason = "the API key is none of ours" }))
    local foreign = "a page of another origin sent it with the user's own credentials; where it may, name it in cors with credentials = true"
    assert.are.equal(1, page:sum("demilune_guard_refusals_total", { reason = foreign }))
    assert.truthy(running:log_line(foreign))
    assert.are.equal(6, page:sum "demilune_guard_refusals_total")
    assert.are.equal(1, page:sum "demilune_handler_timeouts_total")
    assert.are.equal(5, page:sum("demilune_connections_refused_total", { reason = "max_connections_per_client" }))
    assert.are.equal(40, page:sum "demilune_connections")
    for _, connection in ipairs(held) do connection:close() end
    page = metrics_when(function(later) return later:sum "demilune_connections" == 0 end)
    assert.are.equal(0, page:sum "demilune_connections")
  end)

  it("counts handshakes", function()
    local files = certificates.new()
    start(APP, { flags = files:make("own", { names = "IP:127.0.0.1" }) })
    for _ = 1, 3 do
      local connection = assert(http.connect_tls(running.port, {}))
      assert.are.equal(200, connection:request("GET", "/").status)
      connection:close()
    end
    for _ = 1, 2 do
      local connection = running:connect()
      connection:send(("\22\3\1\255\255"):rep(10))
      connection:read_rest()
      connection:close()
    end
    files:remove()
    local page = metrics_when(function(page) return page:sum "demilune_tls_handshakes_total" == 5 end)
    assert.are.equal(3, page:sum("demilune_tls_handshakes_total", { result = "full" }))
    assert.are.equal(2, page:sum("demilune_tls_handshakes_total", { result = "failed" }))
  end)

  it("counts traces that LuaJIT compiles", function()
    start [[
local demilune = require "demilune"
local app = demilune.app { title = "Hot", version = "1", guard = demilune.guard.public }
app:get("/", function() local sum = 0 for i = 1, 10000 do sum = sum + i % 7 end return { sum = sum } end)
return app
]]
    local before = running:metrics():sum "demilune_lua_traces"
    for _ = 1, 3 do running:request("GET", "/") end
    assert.is_true(metrics_when(function(page) return page:sum "demilune_lua_traces" > before end):sum "demilune_lua_traces" > before)
  end)

  it("grows no further under ten thousand different paths and methods", function()
    start(APP)
    local BATCH = 500
    local connection = running:connect()
    for batch = 1, 20 do
      local parts = {}
      for i = 1, BATCH do
        local odd = i % 3 == 0 and "/users/%22%7d" or i % 3 == 1 and "/%22%c3%a9" or "/"
        parts[i] = ("GET %s%d-%d?q=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(odd, batch, i, i)
      end
      connection:send(table.concat(parts))
      for _ = 1, BATCH do assert(connection:receive()) end
    end
    connection:close()
    for i = 1, 30 do
      local other = running:connect()
      other:request(("M%dETHOD"):format(i), "/", {})
      other:close()
      other = running:connect()
      other:send(("\255%d\r\n\r\n"):format(i))
      other:read_rest()
      other:close()
    end
    local page = metrics_when(function(page) return page:sum(REQUESTS) == 10060 end)
    assert.are.equal(10060, page:sum(REQUESTS))
    assert.are.same({ "/users/{id}", "unmatched" }, page:label_values(REQUESTS, "route"))
    assert.are.same({ "GET", "other" }, page:label_values(REQUESTS, "method"))
    assert.is_true(#page.samples < 130, #page.samples .. " samples")
  end)

  it("counts a route's requests in one place when the app has more routes than there are places", function()
    start [[
local demilune = require "demilune"
local app = demilune.app { title = "Wide", version = "1", guard = demilune.guard.public }
for i = 1, 600 do app:get("/route" .. i, function() return "x" end) end
return app
]]
    local connection = running:connect()
    for i = 1, 600 do assert.are.equal(200, connection:request("GET", "/route" .. i).status) end
    connection:close()
    local page = metrics_when(function(page) return page:sum(REQUESTS) == 600 end)
    assert.are.equal(600, page:sum(REQUESTS))
    assert.are.equal(513, #page:label_values(REQUESTS, "route"))
    assert.are.equal(88, page:sum(REQUESTS, { route = "other", method = "other" }))
  end)
end)

describe("/readyz", function()
  it("says that the service starts, serves and drains, while /livez stays well", function()
    local starting
    local function app(rest)
      return { ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { title = "Slow", version = "1", guard = demilune.guard.public }
local db = app:database "sqlite:slow.db"
local add, count = db:statement "INSERT INTO released DEFAULT VALUES", db:statement "SELECT count(*) FROM released"
]] .. rest .. "return app", ["migrations/0001_released.sql"] = "CREATE TABLE released (id INTEGER PRIMARY KEY);" }
    end
    -- One server starts for as long as it waits for a row in the database that another has as well.
    local other = server.start(app [[app:post("/release", function() add:run {} return "released" end) ]])
    start(app [[
app:on_start(function() while count:value() == 0 do demilune.sleep("10ms") end end)
app:get("/large", function() return demilune.stream(function(write) for _ = 1, 40 do write(("x"):rep(500000)) end end) end)
]], { data = other.data, meanwhile = function(self)
      if starting or not self:admin_port() then return end
      starting = self:admin("GET", "/readyz")
      assert.are.equal(200, other:request("POST", "/release").status)
    end })
    other:stop()
    assert.are.equal(503, starting.status)
    assert.are.equal('{"ready":false,"reason":"starting"}\n', starting.body)
    assert.are.equal("application/json", starting.headers["content-type"])
    assert.are.equal("no-store", starting.headers["cache-control"])
    local serving = running:admin("GET", "/readyz")
    assert.are.equal(200, serving.status)
    assert.are.equal('{"ready":true}\n', serving.body)
    local connection = http.connect_narrow(running.port) -- which is not done before it has read all
    connection:send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.buffer = connection:read()
    running:signal("TERM")
    assert(running:log_line "stopping: no new connections")
    local draining = running:admin("GET", "/readyz")
    assert.are.equal(503, draining.status)
    assert.are.equal('{"ready":false,"reason":"draining"}\n', draining.body)
    assert.are.equal(200, running:admin("GET", "/livez").status)
    assert.are.equal(20000000, #connection:receive().body)
    connection:close()
    local status = server.wait_until(PATIENCE, function() return running:exit_status() end)
    assert.are.equal(0, status)
  end)
end)
