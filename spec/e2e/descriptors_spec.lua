-- SPDX-License-Identifier: MIT
-- More clients than descriptors: nobody is turned away, whoever finds no place waits until another client leaves or has been silent for a while.

local files = require "spec.support.files"
local http = require "spec.support.http"
local prometheus = require "spec.support.prometheus"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { idle_timeout = 60 } }
app:get("/", function() return "root" end)
return app
]]

describe("a server without descriptors to spare", function()
  local running, folder
  before_each(function() folder = server.make_folder() end)
  after_each(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    assert(status == 0, log)
  end)

  local function start(flags) running = server.start(APP, { shell = "ulimit -n 60", flags = flags }) end

  -- As many clients, each of whom has asked already.
  local function crowd(count)
    local clients = {}
    for n = 1, count do
      clients[n] = running.port == 0 and http.connect_unix(folder .. "/socket", PATIENCE) or running:connect(PATIENCE)
      assert.truthy(clients[n]:send(REQUEST))
    end
    return clients
  end

  -- Each leaves once it is answered, so that the next one is let in.
  local function serve_in_turn(clients, close)
    for n, client in ipairs(clients) do
      local response, why = client:receive()
      assert.equal("root", response and response.body, ("client %d: %s\n%s"):format(n, tostring(why), running:log()))
      client:close(close)
    end
  end

  it("answers all clients, in the order in which they came, as others leave", function()
    start()
    local clients = crowd(200)
    assert.truthy(running:log_line("no connection can be taken", "too many open files", "LimitNOFILE"))
    serve_in_turn(clients)
    assert.equal("root", running:request("GET", "/").body)
    local _, times = running:log():gsub("no connection can be taken", "")
    assert.equal(1, times)
  end)

  it("lets in who waits though nobody leaves, by whoever has been silent for longest", function()
    start()
    local clients = crowd(150)
    for n, client in ipairs(clients) do
      local response, why = client:receive()
      assert.equal("root", response and response.body, ("client %d: %s\n%s"):format(n, tostring(why), running:log()))
    end
    for _, client in ipairs(clients) do client:close() end
  end)

  it("serves those it has meanwhile, and counts its pauses", function()
    start { "--admin=127.0.0.1:0" }
    local busy, silent = running:connect(PATIENCE), {}
    repeat
      silent[#silent + 1] = running:connect(PATIENCE)
      silent[#silent]:send(REQUEST)
      assert.equal("root", busy:request("GET", "/").body)
      assert.is_true(#silent < 100, running:log())
    until running:log():find("no connection can be taken", 1, true)
    for _ = 1, 20 do assert.equal("root", busy:request("GET", "/").body) end
    assert.is_true(prometheus.read(running:admin("GET", "/metrics").body):sum "demilune_accept_pauses_total" >= 1)
    busy:close()
    serve_in_turn(silent)
  end)

  it("lets in who waits when others leave by a reset", function()
    start()
    serve_in_turn(crowd(150), true)
  end)

  it("does so on a unix socket", function()
    start { "--unix=" .. folder .. "/socket" }
    serve_in_turn(crowd(150))
  end)

  it("follows its master to a new log and a new app all the same", function()
    local log = folder .. "/log"
    local function logs(name, text)
      return server.wait_until(PATIENCE, function() return (files.read(name) or ""):find(text, 1, true) end)
    end
    start { "--workers=1", "--access-log=json", "--log-file=" .. log }
    local clients = crowd(100)
    assert.truthy(logs(log, "no connection can be taken"))
    assert(os.rename(log, log .. ".1"))
    running:signal "USR1"
    assert.truthy(server.wait_until(PATIENCE, function() return files.read(log) end))
    running:signal "HUP"
    assert.truthy(logs(log, "reloaded: generation 2 serves"), files.read(log))
    serve_in_turn(clients)
    assert.equal("root", running:request("GET", "/").body)
    assert.truthy(logs(log, '"message":"request"'))
  end)

  it("answers health checks though others hold the places of the admin listener", function()
    start { "--admin=unix:" .. folder .. "/admin" }
    local held = {}
    for n = 1, 100 do held[n] = http.connect_unix(folder .. "/admin", PATIENCE) end
    local visit = http.connect_unix(folder .. "/admin", PATIENCE)
    assert.equal(200, visit:request("GET", "/livez").status)
    for _, connection in ipairs(held) do connection:close() end
    visit:close()
  end)
end)
