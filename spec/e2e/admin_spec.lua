-- SPDX-License-Identifier: MIT
-- The admin listener: what it answers, to whom, and what it does with those who mean it no good.

local files = require "spec.support.files"
local http = require "spec.support.http"
local prometheus = require "spec.support.prometheus"
local server = require "spec.support.server"
local socket = require "socket"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Watched", version = "1", guard = guard.public }
app:get("/", function() return "root" end)
app:get("/users/{id}", { path = { id = model.integer() } }, function(req) return { id = req.path.id } end)
return app
]]

local SLOW_START = [[
app:on_start(function()
  demilune.log.info("begins slowly")
  demilune.sleep("1m")
end)
return app
]]

local running

local function start(app)
  running = server.start(app, { flags = { "--admin=0" } })
  assert(running:admin_port(), "the log does not name the admin port")
  return running
end

after_each(function()
  if running then running:stop("KILL") end
  running = nil
end)

describe("the admin listener", function()
  local function admin_connect() return http.connect(running:admin_port()) end

  it("answers GET and HEAD of its three pages, and nothing else", function()
    start(APP)
    for _, path in ipairs { "/livez", "/readyz", "/metrics" } do
      local head = running:admin("HEAD", path)
      assert.are.equal(200, head.status)
      assert.is_true(tonumber(head.headers["content-length"]) > 0)
      assert.are.equal("close", head.headers.connection)
      local post = running:admin("POST", path, { body = "x" })
      assert.are.equal(405, post.status)
      assert.are.equal("GET, HEAD", post.headers.allow)
    end
    for _, path in ipairs { "/", "/livez/", "/metrics/x", "/docs", "/users/1" } do assert.are.equal(404, running:admin("GET", path).status) end
    assert.are.equal(404, running:request("GET", "/metrics").status) -- and the app's own listener has none of it
  end)

  it("does not answer under a name that a page could have been given", function()
    start(APP)
    for _, host in ipairs { "evil.example", "evil.example:80", "127.0.0.1.evil.example", "" } do
      assert.are.equal(400, running:admin("GET", "/metrics", { host = host }).status)
    end
    for _, host in ipairs { "localhost:" .. running:admin_port(), "[::1]:1", "10.0.0.1" } do
      assert.are.equal(200, running:admin("GET", "/livez", { host = host }).status)
    end
  end)

  it("answers one request and closes, whatever comes behind it", function()
    start(APP)
    local connection = admin_connect()
    connection:send(("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):rep(50))
    local all = connection:read_rest()
    local _, answers = all:gsub("HTTP/1%.1 200 OK", "")
    assert.are.equal(1, answers)
    connection:close()
  end)

  it("survives garbage", function()
    start(APP)
    local random = "\0\1\255\254"
    for i = 1, 60 do random = random .. string.char((i * 7919 + 13) % 256):rep(i) end
    local broken = {
      "", "\r\n", "\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "GET /metrics\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n", "GET http://[ HTTP/1.1\r\n\r\n",
      "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /livez HTTP/1.1\r\n Host: a\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
      "POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "\22\3\1\2\0\1\0\1\252\3\3" .. random,
      random,
      "GET /" .. ("a"):rep(100000) .. " HTTP/1.1\r\n\r\n", "GET /livez HTTP/1.1\r\n" .. ("X: y\r\n"):rep(20000), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n" .. ("a"):rep(40000),
    }
    for _, bytes in ipairs(broken) do
      for _, how in ipairs { "shutdown", "reset", "bytewise" } do
        local connection = admin_connect()
        if how == "bytewise" then
          for i = 1, math.min(#bytes, 200) do if not connection:send(bytes:sub(i, i)) then break end end
        else
          connection:send(bytes)
        end
        if how == "shutdown" then
          connection:shutdown()
          local answer = connection:read_rest()
          assert.is_nil(answer:match("^HTTP/1%.1 200"), bytes:sub(1, 60))
        end
        connection:close(how == "reset")
      end
      assert.are.equal(200, running:admin("GET", "/livez").status)
    end
    assert.is_nil(running:exit_status())
  end)

  it("answers a newcomer though others hold every place", function()
    start(APP)
    local held = {}
    for i = 1, 300 do
      held[i] = admin_connect()
      if i % 2 == 0 then held[i]:send("GET /metr") end
    end
    assert.are.equal(200, running:admin("GET", "/livez").status)
    assert.is_true(held[1]:is_closed())
    for _, connection in ipairs(held) do connection:close() end
  end)

  it("answers everybody who comes one after the other", function()
    start(APP)
    for _ = 1, 1000 do assert.are.equal(200, running:admin("GET", "/livez").status) end
  end)

  it("ends a visit that never comes to its point", function()
    start(APP)
    local connection = admin_connect()
    connection:send("GET /livez HTTP/1.1\r\n")
    assert.is_true(connection:is_closed())
    connection:close()
  end)

  it("gives all of a page to a client that reads slowly", function()
    start(APP)
    local connection = http.connect_narrow(running:admin_port())
    connection:send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    socket.sleep(0.1)
    prometheus.read(connection:receive().body)
    connection:close()
  end)

  it("listens on a unix socket, where any host is answered", function()
    local folder = server.make_folder()
    running = server.start(APP, { env = { DEMILUNE_ADMIN = "unix:" .. folder .. "/admin" } })
    local connection = http.connect_unix(folder .. "/admin")
    assert.are.equal(200, connection:request("GET", "/livez", { host = "any.example" }).status)
    connection:close()
    assert.are.equal(0, (running:stop()))
    running = nil
    assert.is_nil(io.open(folder .. "/admin"))
    server.remove_folder(folder)
  end)

  it("keeps none of the app's files, which hold its secrets, also when it is replaced during a reload", function()
    local folder = server.write_app { ["app.lua"] = APP, [".env"] = "SECRET=x" }
    running = server.start(folder, { visible = true, flags = { "--admin=0" } })
    local function files_held()
      assert.are.equal(200, running:admin("GET", "/livez").status) -- it has closed what it closes
      return (select(2, server.descriptors(running:children("demilune-admin")[1]):gsub("memfd:demilune%-app", "")))
    end
    assert.are.equal(0, files_held())
    files.write(folder .. "/app.lua", (APP:gsub("return app", SLOW_START)))
    running:signal("HUP")
    assert.truthy(running:log_line("begins slowly"), running:log())
    os.execute("kill -9 " .. running:children("demilune-admin")[1])
    assert.are.equal(0, files_held())
    server.remove_folder(folder)
  end)

  it("is not there unless it was asked for", function()
    running = server.start(APP)
    assert.is_nil(running:admin_port())
  end)

  it("warns when other machines can reach it", function()
    running = server.start(APP, { flags = { "--admin=0.0.0.0:0" } })
    assert.is_truthy(running:log_line("warning", "open to other machines"))
  end)

  it("refuses addresses that it cannot have, and says why", function()
    local status, _, err = server.run({ "serve", "--admin=everywhere", "apps/none" })
    assert.are.equal(2, status)
    assert.is_truthy(err:find("--admin=everywhere must be a port", 1, true), err)
    start(APP)
    local folder = server.write_app(APP)
    status, _, err = server.run({ "serve", folder, "--port=0", "--admin=" .. running:admin_port() })
    server.remove_folder(folder)
    assert.are.equal(1, status)
    assert.is_truthy(err:find("address already in use", 1, true), err)
  end)
end)
