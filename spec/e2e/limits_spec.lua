-- SPDX-License-Identifier: MIT
-- Limits counted where the app says: in memory that all workers share, or in a Redis that several servers share, which may be away, slow,
-- full or mad.

local files = require "spec.support.files"
local http = require "spec.support.http"
local json = require "dkjson"
local jwt = require "spec.support.jwt"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local server = require "spec.support.server"
local socket = require "socket"

assert(redis.is_installed(), "redis-server is not installed; `./demilune ensure test` brings it")

local APP = [[
local demilune = require "demilune"
local guard, model = demilune.guard, demilune.model
local settings = demilune.settings { STORE = model.string { default = "" }, FAILURE = model.string { default = "local" },
  ADA = model.secret { min_bytes = 16 }, BOB = model.secret { min_bytes = 16 } }
local app = demilune.app { title = "Counted", guard = guard.public, limits = { max_connections_per_client = 4000 },
  limit_store = settings.STORE ~= "" and { url = settings.STORE, on_store_failure = settings.FAILURE, timeout = "1s" } or nil }
local key = guard.api_key { keys = { ada = settings.ADA, bob = settings.BOB } }
local team = app:dependency(function(req) return { id = req.header.x_team } end)
local Header = { x_team = model.string { optional = true } }
app:get("/five", { limit = "5/minute" }, function() return "fine" end)
app:get("/slides", { limit = "2/minute" }, function() return "fine" end)
app:get("/fixed", { limit = { rate = "2/minute", window = "fixed" } }, function() return "fine" end)
app:get("/many", { limit = "100000/minute" }, function() return "fine" end)
app:get("/costly", { limit = { rate = "10/minute", cost = 4 } }, function() return "fine" end)
app:get("/mine", { guard = key, limit = { rate = "3/minute", by = "principal" } }, function() return "fine" end)
app:get("/each", { guard = key, limit = { "100/minute", { rate = "3/minute", by = "principal" }, { rate = "2/minute", by = "api_key" } } },
  function() return "fine" end)
app:get("/both", { guard = key, limit = { "100/minute", { rate = "2/minute", by = "principal" } } }, function() return "fine" end)
local function everybody() return "all" end
app:get("/doors/{id}", { guard = key, path = { id = model.integer() }, needs = { team = team }, header = Header,
  owner = function(req, need) return need.team.id == req.principal.name end, limit = { rate = "2/minute", by = everybody } }, function() return 1 end)
app:get("/twice", { limit = { { rate = "9/minute", by = everybody }, { rate = "2/minute", by = everybody } } }, function() return "fine" end)
app:get("/team", { header = Header, needs = { team = team },
  limit = { "50/minute", { rate = "2/minute", by = function(req, need) return need.team.id end } } }, function(req) return req.method end)
local ends = {}
local held = app:dependency(function() return 1, { finish = function(ok) ends[#ends + 1] = ok end } end)
app:get("/held", { needs = { held = held }, limit = { rate = "2/minute", by = function() return "all" end } }, function() return ends end)
app:get("/wide/{id}", { path = { id = model.integer() }, limit = { rate = "1/minute", by = function(req) return req.path.id end } },
  function() return "fine" end)
app:get("/broken", { limit = { rate = "2/minute", by = function() return {} end } }, function() return "fine" end)
app:post("/echo", { limit = "100000/minute", body = model.object { text = model.string() } }, function(req) return req.body.text end)
return app
]]

local ADA, BOB = "ada-has-a-long-key-of-her-own", "bob-has-a-long-key-of-his-own"

local function start(store, failure, options)
  options = options or {}
  options.env = { STORE = store, FAILURE = failure, DEMILUNE_ACCESS_LOG = "off", ADA = ADA, BOB = BOB }
  return server.start(APP, options)
end

local function get(running, target, headers) return running:request("GET", target, { headers = headers }) end

-- Statuses of as many requests as there are connections, all sent before an answer is read.
local function burst(ports, connections, target)
  local open, count = {}, {}
  for index = 1, connections do open[index] = http.connect(ports[index % #ports + 1]) end
  for _, connection in ipairs(open) do connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n") end
  for _, connection in ipairs(open) do
    local response = assert(connection:receive())
    count[response.status] = (count[response.status] or 0) + 1
    connection:close()
  end
  return count
end

local function lines_with(log, text)
  local count = 0
  for line in log:gmatch("[^\n]+") do
    if line:find(text, 1, true) then count = count + 1 end
  end
  return count
end

local TROUBLE, OVER = "Redis cannot be asked about limits", "Redis counts limits again"

local function settles(running, target, status)
  return server.wait_until(20, function() return get(running, target).status == status end)
end

describe("a limit of 5/minute", function()
  it("admits exactly 5 of 64 connections at once, counted in memory by two workers", function()
    local running = start("", "local", { workers = 2 })
    assert.same({ [200] = 5, [429] = 59 }, burst({ running.port }, 64, "/five"))
    assert.equal(0, (running:stop()))
  end)

  it("admits exactly 5 of 64 connections at once, counted in Redis by two servers with two workers each", function()
    local store = redis.new()
    local one, two = start(store.url, "closed", { workers = 2 }), start(store.url, "closed", { workers = 2 })
    assert.same({ [200] = 5, [429] = 59 }, burst({ one.port, two.port }, 64, "/five"))
    local refused = get(two, "/five")
    assert.equal(429, refused.status)
    assert.equal('"client 5/minute";q=5;w=60', refused.headers["ratelimit-policy"])
    assert.matches('^"client 5/minute";r=0;t=%d+$', refused.headers.ratelimit)
    assert.matches("^%d+$", refused.headers["retry-after"])
    assert.equal(0, (one:stop()))
    assert.equal(0, (two:stop()))
    store:remove()
  end)
end)

teardown(redis.remove_all)

describe("a limit by principal", function()
  local TWO = [[
  local demilune = require "demilune"
  local guard, model = demilune.guard, demilune.model
  local secret = model.secret()
  local settings = demilune.settings { ONE = secret, OTHER = secret, STORE = model.string() }
  local app = demilune.app { title = "Two", limit_store = { url = settings.STORE, on_store_failure = "closed", timeout = "1s" },
    limit = { rate = "4/minute", by = "principal" } }
  local one, other = guard.bearer { secret = settings.ONE, lifetime = "15m" }, guard.bearer { secret = settings.OTHER, lifetime = "15m" }
  %s
  app:get("/one", { guard = one }, function() return "fine" end)
  app:get("/any", { guard = guard.any { other, one } }, function() return "fine" end)
  return app
  ]]

  it("tells the subjects of two guards apart, and knows each on all servers, whatever routes these have", function()
    local store, secrets, servers = redis.new(), { ONE = ("one-s3cret-"):rep(4), OTHER = ("0ther-s3cret-"):rep(4) }, {}
    for index, routes in ipairs { "", 'app:get("/other", { guard = other }, function() return "fine" end)' } do
      servers[index] = server.start(TWO:format(routes), { workers = 2, env = { ONE = secrets.ONE, OTHER = secrets.OTHER, STORE = store.url } })
    end
    local targets = { ONE = { "/one", "/one", "/any", "/any", "/one" }, OTHER = { "/any", "/any", "/any", "/any", "/any" } }
    for name, secret in pairs(secrets) do
      local claims = ('{"sub":"1","exp":%d}'):format(os.time() + 600)
      local who = { Authorization = "Bearer " .. jwt.sign('{"alg":"HS256"}', claims, secret) }
      local statuses = {}
      for index = 1, 5 do statuses[index] = get(servers[index % 2 + 1], targets[name][index], who).status end
      assert.same({ 200, 200, 200, 200, 429 }, statuses)
    end
    for _, running in ipairs(servers) do assert.equal(0, (running:stop())) end
    store:remove()
  end)
end)

describe("limits in Redis", function()
  local store, running
  setup(function()
    store = redis.new()
    running = start(store.url, "closed")
  end)
  teardown(function()
    local status, log = running:stop()
    store:remove()
    assert.equal(0, status)
    assert.equal(0, lines_with(log, TROUBLE))
  end)

  it("count by principal", function()
    local function mine(who) return get(running, "/mine", { ["X-API-Key"] = who }) end
    for remaining = 2, 0, -1 do
      local response = mine(ADA)
      assert.equal(200, response.status)
      assert.matches('^"principal 3/minute";r=' .. remaining .. ";t=%d+$", response.headers.ratelimit)
    end
    assert.equal(429, mine(ADA).status)
    assert.equal(200, mine(BOB).status)
    assert.equal(401, mine("eve-has-no-key-of-her-own-at-all").status)
  end)

  it("count by each of what a route names, and tell of each", function()
    local function ask(target) return get(running, target, { ["X-API-Key"] = BOB }) end
    assert.matches('^"client 100/minute";r=99;t=%d+, "principal 3/minute";r=2;t=%d+, "api_key 2/minute";r=1;t=%d+$', ask("/each").headers.ratelimit)
    assert.same({ 200, 429 }, { ask("/each").status, ask("/each").status })
    assert.same({ 200, 200, 429 }, { ask("/both").status, ask("/both").status, ask("/both").status })
    assert.same({ 200, 200, 429 }, { ask("/twice").status, ask("/twice").status, ask("/twice").status })
  end)

  it("by a function count who tries what is somebody else's", function()
    local function try(id) return get(running, "/doors/" .. id, { ["X-API-Key"] = BOB, ["X-Team"] = "ada" }).status end
    assert.same({ 404, 404, 429 }, { try(1), try(2), try(3) })
  end)

  it("have keys that begin with the app's title, so that apps may share a store", function()
    assert.equal(200, get(running, "/many").status)
    local script = "local ours, all = redis.call('KEYS', 'demilune:Counted:*'), redis.call('KEYS', '*') return #all > 0 and #ours == #all"
    assert.equal(":1", store:command("EVAL", script, 0))
  end)

  it("count by what a function gives, and not when it gives nil", function()
    for _ = 1, 2 do assert.equal(200, get(running, "/team", { ["X-Team"] = "red" }).status) end
    local refused = get(running, "/team", { ["X-Team"] = "red" })
    assert.equal(429, refused.status)
    assert.equal('{"detail":"Too many requests"}', refused.body)
    assert.matches('"function 2/minute";q=2;w=60', refused.headers["ratelimit-policy"], 1, true)
    assert.matches('"client 50/minute";r=47;t=%d+, "function 2/minute";r=0;t=%d+', refused.headers.ratelimit)
    assert.matches("^%d+$", refused.headers["retry-after"])
    local passed = get(running, "/team", { ["X-Team"] = "blue" })
    assert.equal(200, passed.status)
    assert.is_nil(passed.headers["retry-after"])
    for _ = 1, 4 do assert.equal(200, get(running, "/team").status) end
  end)

  it("count each number that a function gives apart", function()
    for _, id in ipairs { "17", "18", "1700000000000001", "1700000000000002", "9007199254740990", "9007199254740991" } do
      assert.equal(200, get(running, "/wide/" .. id).status, id)
      assert.equal(429, get(running, "/wide/" .. id).status, id)
    end
  end)

  it("by a function end what was depended on as any other failure does", function()
    for _ = 1, 2 do assert.equal(200, get(running, "/held").status) end
    assert.equal(429, get(running, "/held").status)
    assert.equal(429, get(running, "/held").status)
  end)

  it("take as many units as a request costs", function()
    assert.matches("r=6", get(running, "/costly").headers.ratelimit)
    assert.matches("r=2", get(running, "/costly").headers.ratelimit)
    assert.equal(429, get(running, "/costly").status)
  end)

  it("answer pipelined requests in their order, and read a body behind a check", function()
    local connection = running:connect()
    local body = '{"text":"%s"}'
    local parts = {}
    for number = 1, 20 do
      local text = body:format(("x"):rep(number))
      parts[number] = ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text)
    end
    connection:send(table.concat(parts))
    for number = 1, 20 do assert.equal(("x"):rep(number), assert(connection:receive()).body) end
    connection:close()
  end)

  it("tell a function of the app's that gives what is no key", function()
    assert.equal(500, get(running, "/broken").status)
    assert.truthy(running:log_line("by gave a table", "give text or a number"))
  end)
end)

for failure, away in pairs { ["local"] = 200, open = 200, closed = 503 } do
  describe("a store that fails, with on_store_failure = " .. failure, function()
    local store, running
    before_each(function()
      store = redis.new()
      running = start(store.url, failure, { flags = { "--admin=0" } })
      assert.equal(200, get(running, "/many").status)
    end)
    after_each(function()
      assert.equal(0, (running:stop()))
      store:remove()
    end)

    it("is done without while it is stopped, and counts again once it is back", function()
      store:stop()
      assert.truthy(settles(running, "/many", away))
      local response = get(running, "/many")
      assert.equal(away, response.status)
      assert.equal(away, get(running, "/wide/1").status) -- which a function alone limits
      if failure == "closed" then assert.equal("1", response.headers["retry-after"]) end
      local statuses = {}
      for _ = 1, 8 do
        local status = get(running, "/five").status
        statuses[status] = (statuses[status] or 0) + 1
      end
      assert.same(({ ["local"] = { [200] = 5, [429] = 3 }, open = { [200] = 8 }, closed = { [503] = 8 } })[failure], statuses)
      store:start()
      assert.truthy(running:log_line(OVER))
      -- It knows of none of those.
      assert.same({ [200] = 5, [429] = 3 }, burst({ running.port }, 8, "/five"))
      assert.equal(1, lines_with(running:log(), OVER))
    end)

    it("is done without under load, and every request is answered", function()
      local connections, seen = {}, {}
      for index = 1, 16 do connections[index] = running:connect() end
      for round = 1, 60 do
        if round == 20 then store:stop() end
        if round == 40 then store:start() end
        for _, connection in ipairs(connections) do connection:send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n") end
        for _, connection in ipairs(connections) do
          local response = assert(connection:receive())
          seen[response.status] = (seen[response.status] or 0) + 1
        end
      end
      for _, connection in ipairs(connections) do connection:close() end
      local total = 0
      for status, count in pairs(seen) do
        assert.truthy(status == 200 or status == away)
        total = total + count
      end
      assert.equal(16 * 60, total)
      assert.truthy(running:log_line(OVER))
    end)

    it("stalls nobody beyond its deadline while it is frozen, and says so once", function()
      store:signal("STOP")
      local before = socket.gettime()
      assert.equal(away, get(running, "/many").status)
      assert.is_true(socket.gettime() - before > 0.9, "the app's own timeout of a second")
      for _ = 1, 20 do assert.equal(away, get(running, "/many").status) end
      local function checks(page, result) return page:sum("demilune_limit_store_checks_total", { result = result }) end
      local page = running:metrics_when(function(page) return checks(page) == 22 end)
      assert.equal(1, checks(page, "answered"))
      -- One deadline of a second was waited out, or two when it was connected to anew; not 21 of them.
      assert.is_true(checks(page, "failed") >= 1 and checks(page, "failed") <= 4, checks(page, "failed"))
      assert.truthy(running:log_line(TROUBLE, "it is slow"))
      assert.equal(1, lines_with(running:log(), "it is slow"))
      store:signal("CONT")
      assert.truthy(running:log_line(OVER))
    end)

    it("is done without while it is full", function()
      assert.equal("+OK", store:command("CONFIG", "SET", "maxmemory-policy", "noeviction"))
      assert.equal("+OK", store:command("CONFIG", "SET", "maxmemory", "1"))
      for _ = 1, 10 do assert.equal(away, get(running, "/many").status) end
      assert.truthy(running:log_line(TROUBLE, "OOM"))
      assert.equal(1, lines_with(running:log(), TROUBLE))
      assert.equal("+OK", store:command("CONFIG", "SET", "maxmemory", "0"))
      assert.truthy(settles(running, "/many", 200))
    end)
  end)
end

describe("a store that is none", function()
  local LIAR = [[
    local unix = require "socket.unix"
    local listener = assert(unix.stream())
    assert(listener:bind(arg[1])) assert(listener:listen())
    while true do
      local client = listener:accept()
      client:settimeout(1)
      while client:receive(1) do client:send("*3\r\n:1\r\n:7\r\nHTTP/1.1 200 OK\r\n\r\n") end
      client:close()
    end]]

  for failure, away in pairs { ["local"] = 200, open = 200, closed = 503 } do
    it("and answers nonsense is done without: " .. failure, function()
      local folder = server.make_folder()
      local path = folder .. "/liar.sock"
      files.write(folder .. "/liar.lua", LIAR)
      local liar = process.start(folder, ("luajit %s/liar.lua %s"):format(folder, path))
      assert.truthy(server.wait_until(20, function()
        local stream = require("socket.unix").stream()
        local up = stream:connect(path)
        stream:close()
        return up
      end))
      local running = start("redis+unix://" .. path, failure)
      for _ = 1, 20 do assert.equal(away, get(running, "/many").status) end
      assert.truthy(running:log_line(TROUBLE, "nonsense"))
      assert.equal(0, (running:stop()))
      liar:stop()
      server.remove_folder(folder)
    end)
  end

  it("and does not listen keeps no server from starting", function()
    local running = start("redis+unix:///nowhere/redis.sock", "local")
    assert.same({ [200] = 5, [429] = 3 }, burst({ running.port }, 8, "/five"))
    local status, log = running:stop()
    assert.equal(0, status)
    assert.equal(1, lines_with(log, TROUBLE))
  end)
end)

describe("the flag --redis", function()
  local PLAIN = [[
    local demilune = require "demilune"
    local app = demilune.app { guard = demilune.guard.public }
    app:get("/five", { limit = "5/minute" }, function() return "fine" end)
    return app]]

  it("sets the store of an app that names none, as DEMILUNE_REDIS does", function()
    local store = redis.new()
    local one = server.start(PLAIN, { flags = { "--redis=" .. store.url } })
    local two = server.start(PLAIN, { env = { DEMILUNE_REDIS = store.url } })
    assert.same({ [200] = 5, [429] = 11 }, burst({ one.port, two.port }, 16, "/five"))
    assert.equal(0, (one:stop()))
    assert.equal(0, (two:stop()))
    store:remove()
  end)

  it("is refused when it is no address", function()
    local folder = server.write_app(PLAIN)
    local status, _, err = server.run { "check", folder, "--redis=http://127.0.0.1" }
    assert.equal(1, status)
    assert.truthy(err:find("--redis: the address of a Redis store begins with redis:// or redis+unix://", 1, true), err)
    server.remove_folder(folder)
  end)
end)

describe("metrics", function()
  it("tell of the store, also beyond a reload", function()
    local store = redis.new()
    local running = start(store.url, "closed", { flags = { "--admin=0" } })
    local function answered()
      return tonumber(running:admin("GET", "/metrics").body:match('demilune_limit_store_checks_total{result="answered"} (%d+)'))
    end
    for _ = 1, 20 do assert.equal(200, get(running, "/many").status) end
    assert.truthy(server.wait_until(20, function() return answered() == 20 end))
    running:signal("HUP")
    assert.truthy(running:log_line("generation 2 serves"))
    for _ = 1, 5 do assert.equal(200, get(running, "/many").status) end
    assert.truthy(server.wait_until(20, function() return answered() == 25 end))
    assert.equal(0, (running:stop()))
    store:remove()
  end)
end)

describe("a client that leaves while the store is asked", function()
  it("takes its question back, and the server goes on", function()
    local store = redis.new()
    local running = start(store.url, "closed")
    store:signal("STOP")
    for _ = 1, 50 do
      local connection = running:connect()
      connection:send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n")
      connection.tcp:setoption("linger", { on = true, timeout = 0 })
      connection:close()
    end
    store:signal("CONT")
    assert.truthy(settles(running, "/many", 200))
    assert.equal(0, (running:stop()))
    store:remove()
  end)

  it("does not keep a stop waiting", function()
    local store = redis.new()
    local running = start(store.url, "closed")
    store:signal("STOP")
    local connection = running:connect()
    connection:send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(0, (running:stop()))
    store:remove()
  end)
end)

describe("a reload", function()
  it("while the store is asked answers on the generation that asked, and frees it", function()
    local store = redis.new()
    local running = start(store.url, "closed")
    for _ = 1, 5 do
      local connections = {}
      store:signal("STOP")
      for index = 1, 8 do
        connections[index] = running:connect()
        connections[index]:send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n")
      end
      store:signal("CONT")
      running:signal("HUP")
      for _, connection in ipairs(connections) do
        local status = assert(connection:receive()).status
        assert.truthy(status == 200 or status == 503)
        connection:close()
      end
      assert.truthy(settles(running, "/many", 200))
    end
    assert.equal(0, (running:stop()))
    store:remove()
  end)
end)

describe("demilune test", function()
  it("counts by the client's clock, and not in the store: it is the real one", function()
    local store = redis.new()
    local folder = server.write_app {
      ["app.lua"] = APP,
      ["spec/clock_spec.lua"] = [[
        local client = require("demilune.test").client()
        it("counts", function()
          local function statuses(count)
            local list = {}
            for index = 1, count do list[index] = client:get("/five").status end
            return list
          end
          local function teams(count)
            local list = {}
            for index = 1, count do list[index] = client:get("/team", { headers = { ["X-Team"] = "red" } }).status end
            return list
          end
          assert.same({ 200, 200, 200, 200, 200, 429 }, statuses(6))
          assert.same({ 200, 200, 429 }, teams(3))
          client:forward("2m")
          assert.same({ 200, 200, 200, 200, 200, 429 }, statuses(6))
          assert.same({ 200, 200, 429 }, teams(3))
        end)
        it("counts in windows that slide, or that are fixed where a limit says so", function()
          local function of_each()
            local list = {}
            for index = 1, 6 do list[index] = client:get(index % 2 == 0 and "/slides" or "/fixed").status end
            return list
          end
          assert.same({ 200, 200, 200, 200, 429, 429 }, of_each())
          client:forward("61s")
          assert.same({ 200, 200, 200, 429, 429, 429 }, of_each())
        end)]],
    }
    local status, out = server.run({ "test", folder }, { env = { STORE = store.url, FAILURE = "closed", ADA = ADA, BOB = BOB } })
    assert.equal(0, status, out)
    assert.equal(":0", store:command "DBSIZE")
    server.remove_folder(folder)
    store:remove()
  end)
end)

describe("demilune check and routes", function()
  it("show what counts by a function, with its place and cost", function()
    local folder = server.write_app { ["app.lua"] = APP }
    local _, out = server.run({ "routes", folder, "--json" }, { env = { STORE = "", FAILURE = "local", ADA = ADA, BOB = BOB } })
    local limits = {}
    for _, route in ipairs(assert(json.decode(out))) do limits[route.path] = route.limits end
    assert.matches("^50/minute; 2/minute by function %(app%.lua:%d+%)$", limits["/team"])
    assert.equal("10/minute cost 4", limits["/costly"])
    server.remove_folder(folder)
  end)

  it("refuse more of one kind than a request can be counted in", function()
    local function check(of_app, of_route)
      local folder = server.write_app(([[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limit = %q }
app:get("/", { limit = %q }, function() return "fine" end)
return app]]):format(of_app, of_route))
      local status, out, err = server.run { "check", folder }
      server.remove_folder(folder)
      return status, out .. err
    end
    local four, five = "1/second;2/minute;3/hour;4/day", "1/2 seconds;2/2 minutes;3/2 hours;4/2 days;5/3 days"
    assert.equal(0, (check(four, four)))
    local status, said = check(four, five)
    assert.equal(1, status)
    assert.truthy(said:find("a route takes at most 8 limits of one kind; leave some out", 1, true), said)
  end)
end)
