-- SPDX-License-Identifier: MIT
-- An authority is withdrawn (its key was stolen, its clients are no longer ours): the file of --tls-client-ca changes, and the server is told.
-- From then on nobody is known by its certificates: not by a new connection, not by one that is open, not by a session of before.

local certificates = require "spec.support.certificates"
local http = require "spec.support.http"
local server = require "spec.support.server"
local tls = require "tests.attack.support.tls"

local APP = [[
local demilune = require "demilune"
local guard = demilune.guard
local settings = demilune.settings { KEY = demilune.model.secret { min_bytes = 16 } }
local machine = guard.client_certificate {}
local key = guard.api_key { keys = { service = settings.KEY } }
local app = demilune.app { guard = guard.public }
app:get("/open", function(req) return { who = req.principal and req.principal.subject or "nobody" } end)
app:get("/machine", { guard = machine }, function(req) return { who = req.principal.subject } end)
app:get("/either", { guard = guard.any { machine, key } }, function(req) return { who = req.principal.name or req.principal.subject } end)
return app
]]

local WORKERS, CONNECTIONS = 3, 6
local KEY = ("k3y-"):rep(8)
local VERSIONS = { "tlsv1_2", "tlsv1_3" }

describe("asks the authorities of today:", function()
  local files, running, flags

  setup(function()
    files = certificates.new()
    files:make("old-authority", { authority = true })
    files:make("new-authority", { authority = true })
    files:make("old", { issuer = "old-authority", subject = "/CN=worker-7" })
    files:make("new", { issuer = "new-authority", subject = "/CN=worker-7" })
    flags = files:make("server", { names = "DNS:localhost" })
    flags[#flags + 1] = "--tls-client-ca=" .. files:path "live.pem"
  end)

  teardown(function() files:remove() end)

  -- The authorities of that name take the place of those that are served.
  local function put(...)
    local parts = {}
    for index, name in ipairs { ... } do parts[index] = files:path(name .. ".pem") end
    assert(os.execute(("cat %s >%s && mv %s %s"):format(table.concat(parts, " "), files:path "next", files:path "next", files:path "live.pem")) == 0)
  end

  before_each(function()
    put "old-authority"
    running = server.start(APP, { workers = WORKERS, flags = flags, env = { KEY = KEY } })
  end)

  after_each(function()
    local status, log = running:stop()
    assert.equal(0, status, log)
  end)

  local function reload()
    local status, _, err = server.run { "reload", running.app }
    assert.equal(0, status, err)
  end

  local function connect(version, name, session)
    return tls.client(http.connect(running.port), {
      version = version, session = session, certificate = name and files:path(name .. ".pem"), key = name and files:path(name .. ".key"),
    })
  end

  -- The status, whose request it was, and whether it says that the connection closes; nil when there is no answer.
  local function ask(client, target, more)
    if not client or not client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"):format(target, more or "")) then return nil end
    local text = client:read_until(function(text) return text:find "\r\n\r\n." end)
    return tonumber(text:match "^HTTP/1.1 (%d+)"), text:match '"who":"([^"]*)"', text:find("Connection: close", 1, true) ~= nil
  end

  -- Connections to all workers, as far as the kernel spreads them, that have shown whose they are.
  local function open(version, name)
    local clients = {}
    for index = 1, CONNECTIONS do
      clients[index] = connect(version, name)
      assert.same({ 200, "worker-7", false }, { ask(clients[index], "/machine") })
    end
    return clients
  end

  local function close(clients)
    for _, client in ipairs(clients) do client:close() end
  end

  for _, version in ipairs(VERSIONS) do
    it("a connection that is open belongs to nobody after a reload, and ends with that answer: " .. version, function()
      local clients = open(version, "old")
      put "new-authority"
      reload()
      for _, client in ipairs(clients) do
        assert.same({ 401, nil, true }, { ask(client, "/machine") })
        assert.equal("closed", (select(2, client.connection:read_rest())))
      end
      close(clients)
    end)

    it("so does its session: " .. version, function()
      local before = open(version, "old")[1]
      local session = before:session()
      before:close()
      local again = connect(version, "old", session)
      assert.is_true(again:is_resumed())
      again:close()
      put "new-authority"
      reload()
      for _ = 1, CONNECTIONS do
        local bare, proving = connect(version, nil, session), connect(version, "old", session)
        assert.is_false(bare:is_resumed())
        assert.equal(401, (ask(bare, "/machine")))
        assert.is_nil((ask(proving, "/machine"))) -- the handshake ends: nobody vouches for it
        bare:close()
        if proving then proving:close() end
      end
    end)

    it("who is known by the new one is known, and who stays known goes on: " .. version, function()
      put("old-authority", "new-authority")
      reload()
      local old, new = open(version, "old"), open(version, "new")
      put "new-authority"
      reload()
      for _, client in ipairs(old) do assert.equal(401, (ask(client, "/machine"))) end
      for _, client in ipairs(new) do assert.same({ 200, "worker-7", false }, { ask(client, "/machine") }) end
      close(old)
      close(new)
    end)
  end

  it("a connection that was there before, and shakes hands after, is asked for them too", function()
    for _, version in ipairs(VERSIONS) do
      put "old-authority"
      reload()
      local waiting = {}
      for index = 1, CONNECTIONS do waiting[index] = http.connect(running.port) end
      assert.equal(200, (ask(connect(version, "old"), "/machine"))) -- by now all of those have been accepted as well
      put "new-authority"
      reload()
      for _, connection in ipairs(waiting) do
        local client = tls.client(connection, { version = version, certificate = files:path "old.pem", key = files:path "old.key" })
        local status = ask(client, "/machine")
        assert.is_true(status == nil or status == 401, status)
        if client then client:close() end
      end
    end
  end)

  it("SIGHUP does the same", function()
    local clients = open("tlsv1_3", "old")
    put "new-authority"
    running:signal "HUP"
    assert.truthy(running:log_line("reloaded: generation 2 serves"))
    for _, client in ipairs(clients) do assert.same({ 401, nil, true }, { ask(client, "/machine") }) end
    close(clients)
  end)

  it("requests that were sent together with others are asked for one by one", function()
    local clients = open("tlsv1_3", "old")
    put "new-authority"
    reload()
    for _, client in ipairs(clients) do
      client:send(("GET /machine HTTP/1.1\r\nHost: localhost\r\n\r\n"):rep(20))
      local text = client:read_until(function() return false end)
      assert.is_nil(text:find("worker-7", 1, true))
      assert.equal(1, select(2, text:gsub("HTTP/1.1 401", "")))
      assert.equal(1, select(2, text:gsub("HTTP/1.1 ", ""))) -- the rest is not answered on a connection that ends
    end
    close(clients)
  end)

  it("a key that is good besides lets in, as who it is for, and what is public is for nobody in particular", function()
    local by_key, public = open("tlsv1_3", "old"), open("tlsv1_3", "old")
    put "new-authority"
    reload()
    for _, client in ipairs(by_key) do assert.same({ 200, "service", true }, { ask(client, "/either", "X-API-Key: " .. KEY .. "\r\n") }) end
    for _, client in ipairs(public) do
      assert.same({ 200, "nobody", false }, { ask(client, "/open") })
      assert.equal(401, (ask(client, "/machine")))
    end
    close(by_key)
    close(public)
  end)

  it("a worker that is replaced after that asks them too", function()
    put "new-authority"
    reload()
    for _, pid in ipairs(running:workers()) do os.execute("kill -KILL " .. pid) end
    assert.truthy(server.wait_until(20, function() return #running:workers() == WORKERS end))
    for _ = 1, CONNECTIONS do
      assert.is_nil((ask(connect("tlsv1_3", "old"), "/machine")))
      assert.equal(200, (ask(connect("tlsv1_3", "new"), "/machine")))
    end
  end)

  it("authorities that cannot be read withdraw nobody, and the reload says why", function()
    local clients = open("tlsv1_3", "old")
    for _, text in ipairs { "", "no certificate" } do
      local file = assert(io.open(files:path "live.pem", "w"))
      file:write(text)
      file:close()
      local status, _, err = server.run { "reload", running.app }
      assert.equal(1, status)
      assert.truthy(err:find("the client CA " .. files:path "live.pem", 1, true), err)
      for _, client in ipairs(clients) do assert.equal(200, (ask(client, "/machine"))) end
    end
    close(clients)
  end)

  it("a server that begins anew resumes no session of the one before", function()
    local before = open("tlsv1_3", "old")[1]
    local session = before:session()
    before:close()
    local other = server.start(APP, { flags = flags, env = { KEY = KEY } })
    local client = tls.client(http.connect(other.port), { session = session })
    local resumed, status = client:is_resumed(), (ask(client, "/machine"))
    client:close()
    assert.equal(0, (other:stop()))
    assert.same({ false, 401 }, { resumed, status })
  end)
end)
