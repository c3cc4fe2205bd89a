-- SPDX-License-Identifier: MIT
-- The log in a file of its own, opened again when it was moved away; and no harm to anybody when it cannot be written, there or to who reads it.

local files = require "spec.support.files"
local http = require "spec.support.http"
local prometheus = require "spec.support.prometheus"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Watched", version = "1", guard = guard.public }
app:get("/", function() return "root" end)
app:get("/users/{id}", { path = { id = model.integer() } }, function(req) return { id = req.path.id } end)
return app
]]

local running

after_each(function()
  if running then running:stop("KILL") end
  running = nil
end)

-- The admin's own line is lost as well, so its port cannot be read there.
local function expect_lost(folder, least, options)
  local admin = folder .. "/admin"
  options.flags = { "--admin=unix:" .. admin, unpack(options.flags or {}) }
  running = server.start(APP, options)
  local connection = running:connect()
  for _ = 1, 500 do assert.are.equal(200, connection:request("GET", "/").status) end
  connection:close()
  assert.is_nil(running:exit_status())
  local seen
  assert(server.wait_until(PATIENCE, function()
    local visit = http.connect_unix(admin)
    local lost = prometheus.read(visit:request("GET", "/metrics").body):sum "demilune_log_lines_lost_total"
    visit:close()
    seen = lost
    return lost >= least
  end), seen)
  assert.are.equal(0, (running:stop()))
end

describe("--log-file", function()
  local folder, path
  before_each(function()
    folder = server.make_folder()
    path = folder .. "/log"
  end)
  after_each(function() server.remove_folder(folder) end)

  -- The file's text once it holds this.
  local function file_with(name, text)
    return server.wait_until(PATIENCE, function()
      local all = files.read(name) or ""
      return all:find(text, 1, true) and all
    end)
  end

  --- How many of the server's processes have that file open.
  local function holders(name)
    local count = 0
    for _, pid in ipairs { running.pid, unpack(running:workers()) } do
      local pipe = io.popen(("readlink /proc/%d/fd/*"):format(pid))
      for target in pipe:lines() do if target == name then count = count + 1 end end
      pipe:close()
    end
    return count
  end

  it("takes the log, and is opened again at SIGUSR1", function()
    running = server.start(APP, { flags = { "--log-file=" .. path }, visible = true })
    running:request("GET", "/users/1")
    assert(file_with(path, '"/users/1"'))
    assert(os.rename(path, path .. ".1"))
    running:signal("USR1")
    assert(server.wait_until(PATIENCE, function() return files.read(path) and holders(path .. ".1") == 0 end))
    running:request("GET", "/users/2")
    assert(file_with(path, '"/users/2"'))
    assert.is_nil(files.read(path .. ".1"):find("/users/2", 1, true))
    os.execute("mv " .. folder .. " " .. folder .. ".away") -- nothing can be opened there now
    running:signal("USR1")
    assert(file_with(folder .. ".away/log", "the old one is kept"))
    os.execute("mv " .. folder .. ".away " .. folder)
    assert.are.equal(200, running:request("GET", "/users/3").status)
    assert(file_with(path, '"/users/3"'))
  end)

  it("is opened again for every worker, and nobody keeps the old one", function()
    running = server.start(APP, { flags = { "--log-file=" .. path }, workers = 3, visible = true })
    local function ask(times)
      for _ = 1, times do assert.are.equal(200, running:request("GET", "/").status) end
    end
    local function lines(name)
      local _, count = (files.read(name) or ""):gsub('"message":"request"', "")
      return count
    end
    ask(30)
    assert.are.equal(4, holders(path))
    assert(os.rename(path, path .. ".1"))
    running:signal("USR1")
    assert(server.wait_until(PATIENCE, function() return holders(path .. ".1") == 0 end))
    assert.are.equal(4, holders(path))
    local before = lines(path .. ".1")
    ask(30)
    assert(server.wait_until(PATIENCE, function() return before + lines(path) == 60 end))
    assert.are.equal(before, lines(path .. ".1"))
    os.execute("kill -KILL " .. running:workers()[1]) -- who takes its place has the new file as well
    assert(file_with(path, "is replaced"))
    assert(server.wait_until(PATIENCE, function() return holders(path) == 4 end))
  end)

  it("leaves a server without one alone at SIGUSR1", function()
    running = server.start(APP)
    for _ = 1, 20 do running:signal("USR1") end
    assert.are.equal(200, running:request("GET", "/").status)
    assert.is_nil(running:exit_status())
  end)

  it("costs nobody anything when the disk is full", function()
    expect_lost(folder, 500, { flags = { "--log-file=/dev/full" } })
  end)

  it("costs nobody anything when the file may not grow", function()
    expect_lost(folder, 101, { flags = { "--log-file=" .. path }, shell = "ulimit -f 8" })
  end)

  it("names a file that it cannot open", function()
    local app = server.write_app(APP)
    local status, _, err = server.run({ "serve", app, "--port=0", "--log-file=" .. folder .. "/no/log" })
    server.remove_folder(app)
    assert.are.equal(1, status)
    assert.is_truthy(err:find("cannot open the log file " .. folder .. "/no/log: No such file", 1, true), err)
  end)
end)

describe("a log that another program reads", function()
  local folder
  before_each(function() folder = server.make_folder() end)
  after_each(function() server.remove_folder(folder) end)

  it("costs nobody anything when that does not read on", function() -- 500 lines are more than a pipe holds
    expect_lost(folder, 100, { reader = "sh -c 'sed -u /listening/q; exec sleep 600'" })
  end)

  it("costs nobody anything when that is gone", function()
    expect_lost(folder, 400, { reader = "sed -u /listening/q" })
  end)
end)
