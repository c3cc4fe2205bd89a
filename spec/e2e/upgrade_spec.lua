-- SPDX-License-Identifier: MIT
-- A new program on the same sockets (SIGUSR2), sockets that a service manager passes on, and what it is told.

local files = require "spec.support.files"
local front = require "spec.support.front"
local http = require "spec.support.http"
local manager = require "spec.support.manager"
local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "Upgrade", version = "1", guard = demilune.guard.public }
app:get("/who", function(req) return req.id:sub(1, 8) end)
app:get("/slow", function() demilune.log.warning "takes its time" demilune.sleep("4s") return "whole" end)
app:get("/held", { timeout = "5m" }, function() return demilune.stream(function(write) for _ = 1, 40 do write(("x"):rep(500000)) end end) end)
return app
]]

local function absolute(path) return path:sub(1, 1) == "/" and path or io.popen("pwd"):read("*l") .. "/" .. path end

local folder

local function masters() return (server.processes(folder)) end
local function wait_until_none() assert.truthy(server.wait_until(PATIENCE, function() return #select(2, server.processes(folder)) == 0 end)) end
local function kill_all()
  for _, pid in ipairs(select(2, server.processes(folder))) do os.execute("kill -9 " .. pid) end
end

-- Asks for the new program, and gives its process once the old one has ended.
local function upgrade(running)
  local old = running.pid
  running:signal("USR2")
  local pid = server.wait_until(PATIENCE, function()
    local now = masters()
    return #now == 1 and now[1] ~= old and now[1]
  end)
  assert.truthy(pid, running:log())
  return pid
end

describe("SIGUSR2", function()
  local program_folder, running
  local usual = server.program
  -- The program as a copy, so that a spec can put another in its place.
  before_each(function()
    folder, program_folder = server.write_app(APP), server.make_folder()
    os.execute(("cp %s %s/demilune"):format(absolute(usual), program_folder))
    server.program = program_folder .. "/demilune"
  end)
  after_each(function()
    server.program = usual
    running:stop("KILL")
    kill_all()
    server.remove_folder(folder)
    server.remove_folder(program_folder)
  end)

  local function start(...) running = server.start(folder, { workers = 2, visible = true, flags = { "--access-log=off", ... } }) end

  local function besiege_usual(...)
    server.program = usual
    local finish, hurry = running:besiege(...)
    server.program = program_folder .. "/demilune"
    return finish, hurry
  end

  -- Adds workers to those known until there are so many: each of them has answered by then.
  local function meet(known, count)
    local met = 0
    for _ in pairs(known) do met = met + 1 end
    assert.truthy(server.wait_until(PATIENCE, function()
      local id = running:request("GET", "/who").body
      if not known[id] then known[id], met = true, met + 1 end
      return met == count
    end))
  end

  it("puts a new program in the place of the old one without a failed request", function()
    start()
    for _, each in ipairs { 0, 1, 10 } do
      local idle = running:holdings()
      local finish, hurry = besiege_usual("--connections=64", "--seconds=120", "--patience=60", "--path=/who", "--tally", "--each=" .. each)
      assert.truthy(server.wait_until(PATIENCE, function() return running:holdings() > idle end)) -- it has begun
      local workers = {}
      meet(workers, 2)
      local old, pid = running.process, upgrade(running)
      meet(workers, 4)
      socket.sleep(0.5)
      hurry()
      local counts = finish()
      assert.same({ 0, counts.answered }, { counts.failed, counts.status[200] }, "each " .. each)
      for id in pairs(workers) do assert.is_true((counts.body[id] or 0) > 0, "each " .. each) end -- two before, two after
      assert.equal(0, old:await_end())
      running.pid = pid
    end
    running:signal("TERM")
    wait_until_none()
    assert.is_false((pcall(http.connect, running.port)))
  end)

  it("begins nothing as the first process of a container, which ends with it", function()
    if not server.is_root() then return pending "only root makes such a process" end
    running = server.start(folder, { workers = 1, through = "unshare --pid --fork --kill-child=KILL" })
    local before = masters()
    assert.equal(1, #before)
    running.pid = before[1]
    running:signal("USR2")
    assert.truthy(running:log_line "SIGUSR2 is ignored", running:log())
    assert.same(before, masters())
    assert.equal(200, running:request("GET", "/who").status)
    assert.equal(0, (running:stop()))
  end)

  it("lets the old one finish what it has while the new one serves", function()
    start()
    local held = http.connect_narrow(running.port, PATIENCE)
    held:send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
    held.buffer = held:read()
    local workers, old = {}, running.pid
    meet(workers, 2)
    running:signal("USR2")
    meet(workers, 4)
    assert.is_true(server.runs(old))
    assert.equal(20000000, #held:receive().body)
    assert.equal(0, running.process:await_end())
    running.pid = assert(masters()[1])
    assert.equal(200, running:request("GET", "/who").status)
  end)

  it("keeps a unix socket's path, which the last one removes", function()
    local path = folder .. "/socket"
    start("--unix=" .. path)
    local function ask() return http.connect_unix(path, PATIENCE):request("GET", "/who").status end
    assert.equal(200, ask())
    local pid = upgrade(running)
    assert.equal(200, ask())
    os.execute("kill -TERM " .. pid)
    wait_until_none()
    assert.is_nil(io.open(path))
  end)

  it("with a program, or an app, that does not start leaves the old one serving", function()
    start()
    for _, how in ipairs { "program", "app" } do
      if how == "program" then
        os.execute(("cd %s && printf '#!/bin/sh\\nexit 3\\n' > new && chmod +x new && mv new demilune"):format(program_folder))
      else
        os.execute(("cd %s && cp %s new && mv new demilune"):format(program_folder, absolute(usual)))
        files.write(folder .. "/app.lua", "error('not today')")
      end
      local function failures() return select(2, running:log():gsub("the new program did not start", "")) end
      local before = failures()
      running:signal("USR2")
      assert.truthy(server.wait_until(PATIENCE, function() return failures() == before + 1 end), running:log())
      for _ = 1, 10 do assert.equal(200, running:request("GET", "/who").status) end
      assert.is_nil(running:exit_status())
    end
    assert.truthy(running:log():find("not today", 1, true))
    files.write(folder .. "/app.lua", APP)
    running.pid = upgrade(running) -- and then it can
    assert.equal(200, running:request("GET", "/who").status)
  end)

  it("with an app that does not start leaves the paths of unix sockets to the old one", function()
    local path, admin = folder .. "/socket", folder .. "/admin"
    start("--unix=" .. path, "--admin=unix:" .. admin)
    local function ask(where, target) return http.connect_unix(where, PATIENCE):request("GET", target).status end
    files.write(folder .. "/app.lua", "error('not today')")
    running:signal("USR2")
    assert.truthy(running:log_line("the new program did not start"), running:log())
    assert.same({ 200, 200 }, { ask(path, "/who"), ask(admin, "/readyz") })
    assert.equal(0, (running:stop()))
    assert.is_nil((io.open(path) or io.open(admin)))
  end)

  it("and SIGTERM while the new one starts end both, and requests in flight are finished", function()
    start("--workers=1")
    local busy = running:connect(PATIENCE)
    busy:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(running:log_line "takes its time", running:log())
    files.write(folder .. "/app.lua", APP:gsub("return app", [[
app:on_start(function() demilune.log.warning "starts slowly" demilune.sleep("2s") demilune.log.warning "has started" end)
return app]]))
    running:signal("USR2")
    assert.truthy(running:log_line "starts slowly", running:log())
    running:signal("TERM")
    assert.equal("whole", busy:receive().body)
    wait_until_none()
    local log = running:log()
    assert.truthy(log:find("has started", 1, true), log) -- it was told in time, and came so far
    assert.equal(1, select(2, log:gsub("listening on", "")))
    assert.equal(0, running.process:await_end(), log)
  end)

  it("and SIGTERM right after it end both", function()
    start()
    running:signal("USR2")
    running:signal("TERM")
    wait_until_none()
    assert.is_false((pcall(http.connect, running.port)))
  end)
end)

describe("a service manager", function()
  before_each(function() folder = server.write_app(APP) end)
  after_each(function()
    kill_all()
    server.remove_folder(folder)
  end)

  it("passes sockets on (LISTEN_FDS), which outlive the server", function()
    assert.equal(0, os.execute("command -v systemd-socket-activate >/dev/null"), "`./demilune ensure test` brings it")
    local port = front.free_port()
    local command = ("systemd-socket-activate --listen=127.0.0.1:%d -E DEMILUNE_DATA=%s %s serve %s --workers=3")
      :format(port, folder, absolute(server.program), folder)
    local activator = process.start(folder, command)
    local connection = assert(server.wait_until(PATIENCE, function()
      local ok, made = pcall(http.connect, port, PATIENCE)
      return ok and made
    end), activator:log())
    assert.equal(200, connection:request("GET", "/who").status)
    local workers = {}
    for _ = 1, 200 do
      local another = http.connect(port, PATIENCE)
      workers[another:request("GET", "/who").body] = true
      another:close()
    end
    assert.truthy(next(workers))
    assert.equal(0, activator:stop(), activator:log())
    wait_until_none()
  end)

  for _, kind in ipairs { "TCP", "unix" } do
    it("finds its " .. kind .. " socket open after an upgrade and a stop, and passes it on again", function()
      local path = folder .. "/socket"
      local listener, port
      if kind == "unix" then listener = manager.listen_unix(path) else listener, port = manager.listen() end
      local options = { workers = 2, through = manager.pass(listener), flags = { "--unix=" .. path } }
      local function ask() return (port and http.connect(port, PATIENCE) or http.connect_unix(path, PATIENCE)):request("GET", "/who").status end
      local running = server.start(folder, options)
      assert.equal(200, ask())
      running.pid = upgrade(running)
      assert.equal(200, ask())
      assert.equal(0, (running:stop()))
      wait_until_none()
      running = server.start(folder, options)
      assert.equal(200, ask())
      assert.equal(0, (running:stop()))
      listener:close()
    end)
  end

  it("passes several addresses on, and every worker is to be reached at each of them, after an upgrade too", function()
    local path = folder .. "/socket"
    local first, port = manager.listen()
    local second, other = manager.listen()
    local running = server.start(folder, { workers = 2, through = manager.pass(first, manager.listen_unix(path), second) })
    local addresses = {
      function() return http.connect(port, PATIENCE) end,
      function() return http.connect_unix(path, PATIENCE) end,
      function() return http.connect(other, PATIENCE) end,
    }
    local function each_is_reached()
      local workers = running:workers()
      assert.equal(2, #workers)
      for index, pid in ipairs(workers) do
        os.execute("kill -STOP " .. workers[3 - index]) -- so that it is this one that answers
        for _, connect in ipairs(addresses) do
          local connection = connect()
          local response = connection:request("GET", "/who")
          connection:close()
          assert.equal(200, response and response.status, "worker " .. pid)
        end
        os.execute("kill -CONT " .. workers[3 - index])
      end
      assert.same(workers, running:workers()) -- nobody had to wait until one was replaced
    end
    each_is_reached()
    running.pid = upgrade(running)
    each_is_reached()
    assert.equal(0, (running:stop()))
    wait_until_none()
    first:close()
    second:close()
  end)

  it("reads in the log where the sockets that it passed on listen, whatever the options name", function()
    local path = folder .. "/socket"
    local listener = assert(socket.bind("127.0.0.5", 0))
    local port = select(2, listener:getsockname())
    local running = server.start(folder, { workers = 2, through = manager.pass(listener, manager.listen_unix(path)), flags = { "--host=127.0.0.1" } })
    local lines = {}
    for place in running:log():gmatch("listening on ([^\n]+)") do lines[#lines + 1] = place end
    assert.same({ "http://127.0.0.5:" .. port, "unix:" .. path }, lines)
    assert.equal(0, (running:stop()))
    listener:close()
  end)

  it("is told when the server is ready, reloads and stops", function()
    local path = folder .. "/notify"
    local ear = manager.ear(path)
    local running = server.start(folder, { workers = 2, env = { NOTIFY_SOCKET = path } })
    assert.equal("READY=1\nMAINPID=" .. running.pid, (ear:hear(PATIENCE)))
    assert.equal(0, (server.run { "reload", folder }))
    assert.truthy(ear:hear(PATIENCE):find("^RELOADING=1\nMONOTONIC_USEC=%d+$"))
    assert.equal("READY=1", (ear:hear(PATIENCE)))
    assert.equal(0, (running:stop()))
    assert.equal("STOPPING=1", (ear:hear(PATIENCE)))
    ear:close()
  end)

  it("is told of a new program by the old one, the only one whom it believes (NotifyAccess=main)", function()
    local path = folder .. "/notify"
    local ear = manager.ear(path)
    local function hear() return { ear:hear(PATIENCE) } end
    local running = server.start(folder, { workers = 2, env = { NOTIFY_SOCKET = path } })
    local old = running.pid
    assert.same({ "READY=1\nMAINPID=" .. old, old }, hear())
    running.pid = upgrade(running)
    assert.same({ "READY=1\nMAINPID=" .. running.pid, old }, hear())
    assert.equal(0, (running:stop()))
    assert.same({ "STOPPING=1", running.pid }, hear())
    ear:close()
  end)

  -- One that waits for its own children alone (systemd 252) kills at once whom it has not started, instead of waiting for its end.
  it("has the new program as its own child when it is told of it, and can wait for its end", function()
    local path = folder .. "/notify"
    local ear = manager.ear(path)
    local running = server.start(folder, { workers = 1, env = { NOTIFY_SOCKET = path } })
    local function parent(pid) return files.read(("/proc/%d/status"):format(pid)):match "\nPPid:%s*(%d+)" end
    local old, ours = running.pid, parent(running.pid)
    ear:hear(PATIENCE)
    local held = running:connect()
    held:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") -- which keeps the old one
    assert.truthy(running:log_line "takes its time")
    running:signal("USR2")
    running.pid = tonumber(ear:hear(PATIENCE):match("^READY=1\nMAINPID=(%d+)$"))
    assert.not_equal(old, running.pid)
    assert.is_true(server.runs(old))
    assert.equal(ours, parent(running.pid))
    assert.equal("whole", held:receive().body)
    held:close()
    assert.equal(0, (running:stop()))
    ear:close()
  end)

  it("is told by a new program that it is alive once it has the old one's place, and by the old one no more", function()
    local path = folder .. "/notify"
    local ear = manager.ear(path)
    local running = server.start(folder, { workers = 2, env = { NOTIFY_SOCKET = path, WATCHDOG_USEC = "1200000" } })
    local old, held = running.pid, running:connect()
    held:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") -- which the old one finishes
    assert.truthy(running:log_line "takes its time")
    running:signal("USR2")
    repeat
      local text, pid = ear:hear(PATIENCE)
      assert.equal(old, pid, text)
      running.pid = tonumber(text:match("^READY=1\nMAINPID=(%d+)$")) or old
    until running.pid ~= old
    for _ = 1, 5 do assert.same({ "WATCHDOG=1", running.pid }, { ear:hear(PATIENCE) }) end
    assert.equal("whole", held:receive().body)
    held:close()
    assert.equal(0, (running:stop()))
    ear:close()
  end)

  it("is told by the new program alone also where the old one was about to reload", function()
    local app = server.write_app((APP:gsub("\nreturn app", '\napp:on_start(function() demilune.sleep("1s") end)%0')))
    local path = app .. "/notify"
    local ear = manager.ear(path)
    local running = server.start(app, { workers = 1, env = { NOTIFY_SOCKET = path, WATCHDOG_USEC = "1200000" } })
    local old = running.pid
    running:signal("USR2")
    socket.sleep(0.7)
    running:signal("HUP") -- its probe takes longer than the new program
    repeat
      running.pid = tonumber(ear:hear(PATIENCE):match("^READY=1\nMAINPID=(%d+)$")) or old
    until running.pid ~= old
    assert.same({ "WATCHDOG=1", running.pid }, { ear:hear(PATIENCE) })
    assert.equal(0, (running:stop()))
    ear:close()
    server.remove_folder(app)
  end)
end)
