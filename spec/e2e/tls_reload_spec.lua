-- SPDX-License-Identifier: MIT
-- Certificates that change under a running server, and sessions that any of its workers resumes.

local certificates = require "spec.support.certificates"
local http = require "spec.support.http"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/", function() return "hello" end)
return app
]]

local REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

describe("TLS of several workers", function()
  local files, running

  local function client(more) return files:client(running.port, "-ign_eof " .. (more or ""), REQUEST) end

  local function who() return client():match("subject=CN = (%S+)") end

  local function reload() return server.run { "reload", running.app } end

  -- NAME.pem and NAME.key take the place of what is served.
  local function put(name)
    for _, kind in ipairs { ".pem", ".key" } do
      os.execute(("cp %s %s && mv %s %s"):format(files:path(name .. kind), files:path("new"), files:path("new"), files:path("live" .. kind)))
    end
  end

  before_each(function()
    files = certificates.new()
    files:make("first", { names = "DNS:localhost" })
    files:make("second", { names = "DNS:localhost" })
    put("first")
    running = server.start(APP, { workers = 3, flags = {
      "--tls-cert=" .. files:path("live.pem"), "--tls-key=" .. files:path("live.key"), "--http-redirect=0",
    } })
  end)

  after_each(function()
    local status, log = running:stop()
    files:remove()
    assert.equal(0, status, log)
  end)

  it("resume each other's sessions, also after a reload", function()
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      local session = files:path("session" .. version)
      client(version .. " -sess_out " .. session)
      -- Which worker takes a connection is the kernel's choice: of twelve, hardly all go to one.
      for _ = 1, 12 do assert.truthy(client(version .. " -sess_in " .. session):find("\nReused, TLS", 1, true)) end
      local status, _, err = reload()
      assert.equal(0, status, err)
      for _ = 1, 6 do assert.truthy(client(version .. " -sess_in " .. session):find("\nReused, TLS", 1, true)) end
    end
  end)

  it("serve a new certificate after a reload, while connections keep theirs", function()
    local open = assert(http.connect_tls(running.port))
    assert.equal(200, open:request("GET", "/").status)
    assert.equal("first", who())
    put("second")
    local status, _, err = reload()
    assert.equal(0, status, err)
    for _ = 1, 12 do assert.equal("second", who()) end
    assert.equal(200, open:request("GET", "/").status)
    open:close()
  end)

  it("keep their certificate when the new one cannot serve, and say which file is why", function()
    os.execute(("cp %s %s"):format(files:path("second.key"), files:path("live.key")))
    local status, _, err = reload()
    assert.equal(1, status)
    assert.truthy(err:find(("the key %s does not belong to the certificate %s"):format(files:path("live.key"), files:path("live.pem")), 1, true), err)
    assert.equal("first", who())
    os.remove(files:path("live.pem"))
    status, _, err = reload()
    assert.equal(1, status)
    assert.truthy(err:find("cannot read the certificate " .. files:path("live.pem"), 1, true), err)
    for _ = 1, 6 do assert.equal("first", who()) end
    put("second")
    assert.equal(0, (reload()))
    for _ = 1, 6 do assert.equal("second", who()) end
  end)

  it("give a worker that is replaced the certificate of the last reload", function()
    put("second")
    assert.equal(0, (reload()))
    local before = {}
    for _, pid in ipairs(running:workers()) do
      before[pid] = true
      os.execute("kill -KILL " .. pid)
    end
    assert.truthy(server.wait_until(20, function()
      local now = running:workers()
      for _, pid in ipairs(now) do
        if before[pid] then return nil end
      end
      return #now == 3
    end))
    for _ = 1, 6 do assert.equal("second", who()) end
  end)

  it("send to https from all of them", function()
    local port = tonumber(running:log_line("without TLS"):match("port (%d+)"))
    for _ = 1, 12 do
      local connection = http.connect(port)
      assert.equal(("https://localhost:%d/a"):format(running.port), connection:request("GET", "/a", { host = "localhost" }).headers.location)
      connection:close()
    end
  end)
end)
