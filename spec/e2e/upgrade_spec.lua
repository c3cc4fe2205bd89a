-- SPDX-License-Identifier: MIT
-- A new program on the same sockets (SIGUSR2), sockets that a service manager passes on, and what it is told.

local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local unix_dgram = require "socket.unix".dgram

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "Upgrade", version = "1", guard = demilune.guard.public }
app:get("/who", function(req) return req.id:sub(1, 8) end)
app:get("/slow", { timeout = "20s" }, function() demilune.sleep("3s") return "finished" end)
return app
]]

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local function absolute(path) return path:sub(1, 1) == "/" and path or io.popen("pwd"):read("*l") .. "/" .. path end

-- The processes named demilune whose arguments hold this text.
local function find_masters(text)
  local pids = {}
  for pid in io.popen("pgrep -x demilune"):read("*a"):gmatch("%d+") do
    if (read("/proc/" .. pid .. "/cmdline") or ""):find(text, 1, true) then pids[#pids + 1] = tonumber(pid) end
  end
  return pids
end

describe("SIGUSR2", function()
  local folder, program_folder, running
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
    for _, pid in ipairs(find_masters(folder)) do os.execute("kill -9 " .. pid) end
    server.remove_folder(folder)
    server.remove_folder(program_folder)
  end)

  local function start(...) running = server.start(folder, { workers = 2, flags = { "--access-log=off", ... } }) end

  -- Asks for the new program, and gives its process once the old one has ended.
  local function upgrade()
    local old = running.pid
    running:signal("USR2")
    local pid = server.wait_until(PATIENCE, function()
      local masters = find_masters(folder)
      return #masters == 1 and masters[1] ~= old and masters[1]
    end)
    assert.truthy(pid, running:log())
    return pid
  end

  local function besiege_usual(...)
    server.program = usual
    local finish = running:besiege(...)
    server.program = program_folder .. "/demilune"
    return finish
  end

  it("puts a new program in the place of the old one without a failed request", function()
    start()
    local kept = running:connect(PATIENCE)
    kept:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    for _, each in ipairs { 0, 1, 10 } do
      local finish = besiege_usual("--connections=64", "--seconds=6", "--path=/who", "--tally", "--each=" .. each)
      server.wait_until(0.5, function() end)
      local pid = upgrade()
      local counts = finish()
      assert.same({ 0, counts.answered }, { counts.failed, counts.status[200] }, "each " .. each)
      local workers = 0
      for _ in pairs(counts.body) do workers = workers + 1 end
      assert.equal(4, workers) -- two before, two after
      assert.equal(0, server.wait_until(PATIENCE, function() return running:exit_status() end))
      running.pid = pid
    end
    assert.equal("finished", kept:receive().body)
    os.execute("kill -TERM " .. running.pid)
    assert.truthy(server.wait_until(PATIENCE, function() return #find_masters(folder) == 0 end))
    assert.is_false((pcall(http.connect, running.port)))
  end)

  it("keeps a unix socket's path, which the last one removes", function()
    local path = folder .. "/socket"
    start("--unix=" .. path)
    local function ask() return http.connect_unix(path, PATIENCE):request("GET", "/who").status end
    assert.equal(200, ask())
    local pid = upgrade()
    assert.equal(200, ask())
    os.execute("kill -TERM " .. pid)
    assert.truthy(server.wait_until(PATIENCE, function() return #find_masters(folder) == 0 end))
    assert.is_nil(io.open(path))
  end)

  it("with a program, or an app, that does not start leaves the old one serving", function()
    start()
    for _, how in ipairs { "program", "app" } do
      if how == "program" then
        os.execute(("cd %s && printf '#!/bin/sh\\nexit 3\\n' > new && chmod +x new && mv new demilune"):format(program_folder))
      else
        os.execute(("cd %s && cp %s new && mv new demilune"):format(program_folder, absolute(usual)))
        local file = assert(io.open(folder .. "/app.lua", "w"))
        file:write("error('not today')")
        file:close()
      end
      local function failures() return select(2, running:log():gsub("the new program did not start", "")) end
      local before = failures()
      running:signal("USR2")
      assert.truthy(server.wait_until(PATIENCE, function() return failures() == before + 1 end), running:log())
      for _ = 1, 10 do assert.equal(200, running:request("GET", "/who").status) end
      assert.is_nil(running:exit_status())
    end
    assert.truthy(running:log():find("not today", 1, true))
    local file = assert(io.open(folder .. "/app.lua", "w"))
    file:write(APP)
    file:close()
    running.pid = upgrade() -- and then it can
    assert.equal(200, running:request("GET", "/who").status)
  end)

  it("and SIGTERM right after it end both", function()
    start()
    running:signal("USR2")
    running:signal("TERM")
    assert.truthy(server.wait_until(PATIENCE, function() return #find_masters(folder) == 0 end), running:log())
    assert.is_false((pcall(http.connect, running.port)))
  end)
end)

describe("a service manager", function()
  local folder
  before_each(function() folder = server.write_app(APP) end)
  after_each(function()
    for _, pid in ipairs(find_masters(folder)) do os.execute("kill -9 " .. pid) end
    server.remove_folder(folder)
  end)

  it("passes sockets on (LISTEN_FDS), which outlive the server", function()
    assert.equal(0, os.execute("command -v systemd-socket-activate >/dev/null"), "`./demilune ensure test` brings it")
    local probe = assert(socket.bind("127.0.0.1", 0))
    local port = select(2, probe:getsockname())
    probe:close()
    os.execute(("systemd-socket-activate --listen=127.0.0.1:%d -E DEMILUNE_DATA=%s %s serve %s --workers=3 >%s/log 2>&1 </dev/null & echo $! >%s/pid")
      :format(port, folder, absolute(server.program), folder, folder, folder))
    local connection = server.wait_until(PATIENCE, function()
      local ok, made = pcall(http.connect, port, PATIENCE)
      return ok and made
    end)
    assert.equal(200, connection:request("GET", "/who").status)
    local workers = {}
    for _ = 1, 200 do
      local another = http.connect(port, PATIENCE)
      workers[another:request("GET", "/who").body] = true
      another:close()
    end
    assert.truthy(next(workers))
    os.execute("kill -TERM " .. read(folder .. "/pid"))
    assert.truthy(server.wait_until(PATIENCE, function() return #find_masters(folder) == 0 end), read(folder .. "/log"))
  end)

  it("is told when the server is ready, reloads and stops", function()
    local path = folder .. "/notify"
    local listener = assert(unix_dgram())
    assert(listener:bind(path))
    listener:settimeout(PATIENCE)
    local running = server.start(folder, { workers = 2, env = { NOTIFY_SOCKET = path } })
    assert.equal("READY=1\nMAINPID=" .. running.pid, listener:receive())
    assert.equal(0, (server.run { "reload", folder }))
    assert.truthy(listener:receive():find("^RELOADING=1\nMONOTONIC_USEC=%d+$"))
    assert.equal("READY=1", listener:receive())
    assert.equal(0, (running:stop()))
    assert.equal("STOPPING=1", listener:receive())
    listener:close()
  end)
end)
