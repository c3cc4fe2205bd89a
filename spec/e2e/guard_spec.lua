-- SPDX-License-Identifier: MIT
-- Guards, limits and origins over sockets: enforced before any handler, in one order.

local server = require "spec.support.server"

local SECRET = "a secret of the tests, long enough: 0123456789"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 }, SERVICE_KEY = model.secret { min_bytes = 16 },
  ADA_HASH = model.string() }
local app = demilune.app { title = "guards", version = "1",
  cors = { origins = { "https://app.example" }, credentials = true, methods = { "GET", "POST" }, headers = { "Authorization" },
    expose = { "X-Total" }, max_age = "5m" } }
local bearer = guard.bearer { secret = settings.JWT_SECRET, algorithms = { "HS256" }, lifetime = "15m" }
local key = guard.api_key { keys = { billing = { secret = settings.SERVICE_KEY, roles = { "service" } } } }
local basic = guard.basic { users = { ada = settings.ADA_HASH }, roles = { "admin" } }
local function who(req) return { subject = req.principal.subject, name = req.principal.name, roles = demilune.array(req.principal.roles) } end
app:get("/me", { guard = bearer }, who)
app:get("/need", { guard = bearer, needs = { principal = bearer } }, function(_, need) return need.principal.subject end)
local kept
app:get("/claims", { guard = bearer }, function(req)
  local principal = req.principal
  local claims = principal.claims
  return { sub = claims.sub, once = claims == principal.claims, other = principal.nothing == nil }
end)
app:get("/late", { guard = bearer }, function(req)
  local before = kept
  kept = req.principal
  local ok, problem = pcall(function() return before.claims end)
  return { subject = before and before.subject, ok = ok, problem = tostring(problem) }
end)
app:get("/admin", { guard = guard.role("admin", bearer) }, function() return "admin" end)
app:get("/service", { guard = key }, who)
app:get("/either", { guard = guard.any { bearer, key } }, function() return "either" end)
app:get("/basic", { guard = basic, limit = "1000/minute" }, who)
app:post("/echo", { guard = bearer, body = model "Thing" { name = model.string() } }, function(req) return req.body end)
app:get("/nobodys", { guard = guard.public, limit = "5/minute" }, function()
  local foreign = demilune.password.verify("$2b$12$abcdefghijklmnopqrstuv", "x")
  return { demilune.password.verify(demilune.null, "x"), demilune.password.verify("", "x"), foreign }
end)
app:get("/limited", { guard = guard.public, limit = "5/minute" }, function() return "fine" end)
app:get("/counted", { guard = bearer, limit = { rate = "3/minute", by = "principal" } }, function() return "fine" end)
local Login = model "Login" { subject = model.string(), roles = model.array(model.string()) }
app:post("/login", { guard = guard.public, limit = "100/minute", body = Login },
  function(req) return { token = bearer:issue(req.body) } end)
return app
]]

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

describe("a guarded app", function()
  local running
  setup(function()
    local hash = output(("echo correct | '%s' hash"):format(server.program))
    running = server.start(APP, { env = { JWT_SECRET = SECRET, SERVICE_KEY = "the key of the billing service", ADA_HASH = hash } })
  end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function token(flags) return output(("JWT_SECRET='%s' '%s' token %s"):format(SECRET, server.program, flags)) end

  local function get(target, headers, method) return running:request(method or "GET", target, { headers = headers }) end

  local function with(credential) return { Authorization = "Bearer " .. credential } end

  it("lets a genuine token pass and tells the handler who it is", function()
    local response = get("/me", with(token "--subject=7 --roles=admin,editor"))
    assert.equal(200, response.status)
    assert.truthy(response.body:find('"subject":"7"', 1, true))
    assert.truthy(response.body:find('"roles":["admin","editor"]', 1, true))
    assert.equal("no-store", response.headers["cache-control"])
    assert.equal("7", get("/need", with(token "--subject=7")).body)
  end)

  it("makes claims when they are asked for, while the request lasts", function()
    local mine, other = with(token "--subject=7"), with(token "--subject=8")
    local connection = running:connect() -- one, and so one worker
    connection:request("GET", "/late", { headers = mine }) -- keeps its principal, whose claims nobody asked for
    local late = connection:request("GET", "/late", { headers = other }).body
    connection:close()
    assert.truthy(late:find('"subject":"7"', 1, true), late)
    assert.truthy(late:find('"ok":false', 1, true) and late:find("this request is over", 1, true), late)
    local claims = get("/claims", mine).body
    assert.truthy(claims:find('"sub":"7"', 1, true) and claims:find('"once":true', 1, true) and claims:find('"other":true', 1, true), claims)
  end)

  it("takes the tokens that it issues", function()
    local issued = running:request("POST", "/login", {
      body = '{"subject":"9","roles":["admin"]}', headers = { ["Content-Type"] = "application/json" },
    })
    local mine = issued.body:match('"token":"([^"]+)"')
    assert.equal(200, get("/admin", with(mine)).status)
  end)

  it("answers 401 with a challenge and nothing else that would help", function()
    local good = token "--subject=7"
    local head, claims, signature = good:match("^(.-)%.(.-)%.(.-)$")
    assert.equal(400, get("/me", with "").status) -- no credential at all is no bad one
    local bad = {
      "x", head .. "." .. claims .. ".", head .. "." .. claims .. "." .. signature:reverse(), good .. "A", good .. "=",
      "eyJhbGciOiJub25lIn0." .. claims .. ".", head .. "." .. claims:sub(1, -2) .. "." .. signature, ("a"):rep(9000),
      output(("JWT_SECRET='another secret, also long enough 0123456789' '%s' token --subject=7"):format(server.program)),
      token "--subject=7 --seconds=90000",
    }
    for _, credential in ipairs(bad) do
      local response = get("/me", with(credential))
      assert.equal(401, response.status, credential)
      assert.equal('Bearer realm="api", error="invalid_token"', response.headers["www-authenticate"], credential)
      assert.equal('{"detail":"Not authenticated"}', response.body, credential)
    end
    assert.equal(401, get("/me").status)
  end)

  it("answers 403 to who is known and may not", function()
    assert.equal(403, get("/admin", with(token "--subject=7 --roles=editor")).status)
    assert.equal(200, get("/admin", with(token "--subject=7 --roles=admin")).status)
  end)

  it("knows services by their keys, and either way where both may pass", function()
    local key = { ["X-API-Key"] = "the key of the billing service" }
    assert.truthy(get("/service", key).body:find('"name":"billing"', 1, true))
    assert.equal(401, get("/service", { ["X-API-Key"] = "the key of the billing servicf" }).status)
    assert.equal(401, get("/service?X-API-Key=the%20key%20of%20the%20billing%20service").status)
    assert.equal(200, get("/either", key).status)
    assert.equal(200, get("/either", with(token "--subject=1")).status)
    assert.equal(401, get("/either").status)
  end)

  it("verifies passwords off the loop, and answers the request that waited", function()
    local ada = { Authorization = "Basic YWRhOmNvcnJlY3Q=" }
    local response = get("/basic", ada)
    assert.equal(200, response.status)
    assert.truthy(response.body:find('"subject":"ada"', 1, true))
    assert.equal(401, get("/basic", { Authorization = "Basic YWRhOndyb25n" }).status)
    assert.equal(401, get("/basic", { Authorization = "Basic Ym9iOndyb25n" }).status)
    local connection = running:connect()
    connection:send("GET /basic HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOmNvcnJlY3Q=\r\n\r\nGET /me HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(200, connection:receive().status)
    assert.equal(401, connection:receive().status)
    connection:send("GET /basic HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOmNvcnJlY3Q=\r\n\r\n")
    connection:close(true)
  end)

  it("takes no null, no text and no other program's hash for a password, and says so of the last", function()
    assert.equal("[false,false,false]", get("/nobodys").body)
    assert.truthy(running:log_line("a stored password is no Argon2id string, so nobody can log in by it"))
    assert.is_nil(running:log():find("$2b$12$", 1, true))
  end)

  it("asks who it is before it reads a body", function()
    local connection = running:connect()
    connection:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n")
    local response = connection:receive()
    assert.same({ 401, "close" }, { response.status, response.headers.connection })
    assert.is_true(connection:is_closed())
  end)

  it("admits exactly as many as a limit says, and tells when to come back", function()
    local passed, refused = 0, nil
    for _ = 1, 12 do
      local response = get("/limited")
      if response.status == 200 then passed = passed + 1 else refused = response end
    end
    assert.equal(5, passed)
    assert.equal(429, refused.status)
    assert.truthy(tonumber(refused.headers["retry-after"]))
    assert.equal('"client 5/minute";q=5;w=60', refused.headers["ratelimit-policy"])
    assert.matches('^"client 5/minute";r=0;t=%d+$', refused.headers.ratelimit)
  end)

  it("counts each principal apart", function()
    local ada, bob = with(token "--subject=ada"), with(token "--subject=bob")
    for _ = 1, 3 do assert.equal(200, get("/counted", ada).status) end
    assert.equal(429, get("/counted", ada).status)
    assert.equal(200, get("/counted", bob).status)
  end)

  it("lets pages of listed origins read, and no others", function()
    local allowed = get("/me", { Origin = "https://app.example" })
    assert.equal("https://app.example", allowed.headers["access-control-allow-origin"])
    assert.equal("true", allowed.headers["access-control-allow-credentials"])
    assert.equal("X-Total", allowed.headers["access-control-expose-headers"])
    assert.truthy(allowed.headers.vary:find("Origin", 1, true))
    local other = get("/me", { Origin = "https://evil.example" })
    assert.is_nil(other.headers["access-control-allow-origin"])
    assert.truthy(other.headers.vary:find("Origin", 1, true))
  end)

  it("answers preflights itself, and refuses those for a private network", function()
    local asked = { Origin = "https://app.example", ["Access-Control-Request-Method"] = "POST", ["Access-Control-Request-Headers"] = "authorization" }
    local response = get("/echo", asked, "OPTIONS")
    assert.equal(204, response.status)
    assert.truthy(response.headers["access-control-allow-methods"]:find("POST", 1, true))
    assert.equal("300", response.headers["access-control-max-age"])
    asked["Access-Control-Request-Private-Network"] = "true"
    assert.equal(403, get("/echo", asked, "OPTIONS").status)
    asked["Access-Control-Request-Private-Network"] = nil
    asked.Origin = "https://evil.example"
    assert.equal(403, get("/echo", asked, "OPTIONS").status)
  end)
end)

describe("a router's cors in an app that has none", function()
  it("is for its own routes, before and in each request", function()
    local running = server.start [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local shared = demilune.router { prefix = "/shared", cors = { origins = { "https://app.example" } } }
shared:get("/thing", function() return "thing" end)
app:mount(shared)
app:get("/own", function() return "own" end)
return app
]]
    local function allowed(method, target, more)
      local headers = { Origin = "https://app.example", ["Access-Control-Request-Method"] = more }
      local response = running:request(method, target, { headers = headers })
      return response.status, response.headers["access-control-allow-origin"]
    end
    assert.same({ 200, "https://app.example" }, { allowed("GET", "/shared/thing") })
    assert.same({ 204, "https://app.example" }, { allowed("OPTIONS", "/shared/thing", "GET") })
    assert.same({ 200, nil }, { allowed("GET", "/own") })
    assert.same({ 204, nil }, { allowed("OPTIONS", "/own", "GET") })
    assert.equal(0, (running:stop()))
  end)
end)

describe("an app with something unsafe", function()
  local function load_error(app, env)
    local ok, message = pcall(server.start, app, { env = env })
    assert.is_false(ok)
    return message
  end

  local HEAD = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { JWT_SECRET = model.secret() }
]]

  it("does not load with a short secret, with none as algorithm, or with tokens that live too long", function()
    local env = { JWT_SECRET = SECRET }
    local function bearer(options)
      return HEAD .. "local b = guard.bearer { secret = settings.JWT_SECRET, " .. options .. " }\n"
        .. "local app = demilune.app { title = 'x', version = '1' }\napp:get('/', { guard = b }, function() return 'x' end)\nreturn app\n"
    end
    assert.truthy(load_error(bearer 'algorithms = { "HS256" }, lifetime = "15m"', { JWT_SECRET = "too short for it" }):find("32", 1, true))
    assert.truthy(load_error(bearer 'algorithms = { "none" }, lifetime = "15m"', env):find("none", 1, true))
    assert.truthy(load_error(bearer 'algorithms = { "HS256" }, lifetime = "2h"', env):find("allow_long_lived", 1, true))
    assert.truthy(load_error(bearer 'algorithms = { "HS256", "RS256" }, lifetime = "15m"', env):find("RS256", 1, true))
  end)

  it("does not load when nobody says whose object a route gives", function()
    local app = HEAD .. [[
local b = guard.bearer { secret = settings.JWT_SECRET, algorithms = { "HS256" }, lifetime = "15m" }
local app = demilune.app { title = "x", version = "1" }
app:get("/notes/{id}", { guard = b, path = { id = model.integer() } }, function() return "x" end)
return app
]]
    local message = load_error(app, { JWT_SECRET = SECRET })
    assert.truthy(message:find("app.lua:6", 1, true))
    assert.truthy(message:find("owner", 1, true))
  end)

  it("does not load with credentials for every origin", function()
    local app = HEAD .. 'local app = demilune.app { title = "x", version = "1", cors = { origins = { "*" }, credentials = true } }\n'
      .. "app:get('/', { guard = guard.public }, function() return 'x' end)\nreturn app\n"
    assert.truthy(load_error(app, { JWT_SECRET = SECRET }):find("*", 1, true))
  end)
end)

describe("passwords that are being verified", function()
  local ASK = "GET /basic HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOndyb25n\r\n\r\n"
  local running
  before_each(function()
    local hash = output(("echo correct | '%s' hash"):format(server.program))
    running = server.start(APP, { env = { JWT_SECRET = SECRET, SERVICE_KEY = "the key of the billing service", ADA_HASH = hash } })
  end)

  it("are each answered to who sent them, however many wait", function()
    local connections = {}
    for index = 1, 8 do
      connections[index] = running:connect()
      connections[index]:send(index % 2 == 0 and ASK or ASK:gsub("YWRhOndyb25n", "YWRhOmNvcnJlY3Q="))
    end
    for index, connection in ipairs(connections) do
      assert.equal(index % 2 == 0 and 401 or 200, connection:receive().status, index)
      connection:close()
    end
    assert.equal(0, (running:stop()))
  end)

  it("are forgotten when their clients leave, and others are answered", function()
    for _ = 1, 20 do
      local connection = running:connect()
      connection:send(ASK)
      connection.tcp:setoption("linger", { on = true, timeout = 0 })
      connection:close()
    end
    assert.equal(401, running:request("GET", "/basic", { headers = { Authorization = "Basic YWRhOndyb25n" } }).status)
    assert.equal(0, (running:stop()))
  end)

  it("do not keep a hurried stop waiting", function()
    local connections = {}
    for index = 1, 30 do
      connections[index] = running:connect()
      connections[index]:send(ASK)
    end
    running:signal("TERM")
    assert.truthy(running:log_line("stopping"))
    running:signal("TERM")
    for _, connection in ipairs(connections) do connection:close() end
    local status, log = running:stop()
    assert(status == 0 or status == 1, tostring(status) .. log) -- 1: what was in flight was ended
    assert.is_nil(log:find("Sanitizer", 1, true), log)
  end)
end)
