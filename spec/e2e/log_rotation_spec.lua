-- SPDX-License-Identifier: MIT
-- apps/deploy/demilune.logrotate by the real logrotate, under a server that is asked all the while: each line is in one file, once, and in the new
-- one when everybody writes there.

local files = require "spec.support.files"
local front = require "spec.support.front"
local server = require "spec.support.server"

local PATIENCE, ROTATIONS = 30, 3
local LOGROTATE = "/usr/sbin/logrotate"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "Rotated", version = "1", guard = demilune.guard.public }
app:get("/number/{n}", function() return "" end)
return app
]]

-- What the recipe calls: this service's main process, by these words alone. Without one systemctl fails, as the real one does.
local SYSTEMCTL = [[#!/bin/sh
process=%d
case "$*" in
"show --property=MainPID --value demilune@users.service") echo $process ;;
"kill --kill-whom=main --signal=USR1 demilune@users.service") [ $process != 0 ] && kill -USR1 $process ;;
*) echo "systemctl $*: not understood" >&2; exit 1 ;;
esac
]]

describe("demilune.logrotate", function()
  local world, folder, log, running, asked
  before_each(function()
    world, asked = server.make_folder(), 0
    folder = world .. "/log/users"
    log = folder .. "/users.log"
    assert(os.execute("mkdir -p " .. folder) == 0)
  end)
  after_each(function()
    if running then running:stop("KILL") end
    running = nil
    server.remove_folder(world)
  end)

  local function ask()
    asked = asked + 1
    assert.equal(200, running:request("GET", "/number/" .. asked).status)
  end

  local function write_recipe()
    files.write(world .. "/systemctl", SYSTEMCTL:format(running and running.pid or 0))
    files.write(world .. "/recipe", front.replace(files.read("apps/deploy/demilune.logrotate"),
      { ["/var/log/demilune"] = world .. "/log", ["systemctl "] = world .. "/systemctl " }))
    assert(os.execute(("chmod 700 %s/systemctl && chmod 600 %s/recipe"):format(world, world)) == 0)
  end

  local function rotate()
    local done = world .. "/done"
    assert(os.execute(("(%s --force --state=%s/state %s/recipe >%s/out 2>&1; echo $? >%s/status; mv %s/status %s) &")
      :format(LOGROTATE, world, world, world, world, world, done)) == 0)
    while not files.read(done) do ask() end
    assert.equal("0\n", files.read(done), files.read(world .. "/out"))
    assert.equal("", files.read(world .. "/out"))
    os.remove(done)
  end

  local function holders(name)
    local count = 0
    for _, pid in ipairs { running.pid, unpack(running:workers()) } do
      for target in server.descriptors(pid):gmatch("[^\n]+") do if target == name then count = count + 1 end end
    end
    return count
  end

  local function all_lines() return (select(2, front.run(("cd %s && { zcat *.gz 2>/dev/null; cat $(ls | grep -v gz$); }"):format(folder)))) end

  it("moves logs away without losing a line, or leaving one in the old file once all write to the new", function()
    running = server.start(APP, { flags = { "--log-file=" .. log }, workers = 2, visible = true })
    write_recipe()
    for round = 1, ROTATIONS do
      ask()
      rotate()
      assert(server.wait_until(PATIENCE, function() return holders(log) == 3 and holders(log .. ".1") == 0 end), "round " .. round)
      local old = files.read(log .. ".1")
      for _ = 1, 10 do ask() end
      assert(server.wait_until(PATIENCE, function() return (files.read(log) or ""):find(("/number/%d"):format(asked), 1, true) end))
      assert.equal(old, files.read(log .. ".1"))
    end
    local listing = select(2, front.run("cd " .. folder .. " && stat -c '%a %n' *"))
    assert.equal("640 users.log\n640 users.log.1\n640 users.log.2.gz\n640 users.log.3.gz\nstatus 0\n", listing)
    local status = running:stop()
    assert.equal(0, status)
    local times = {}
    for number in all_lines():gmatch('"path":"/number/(%d+)"') do times[tonumber(number)] = (times[tonumber(number)] or 0) + 1 end
    for number = 1, asked do assert.equal(1, times[number], "line " .. number) end
  end)

  it("moves the log of a service that is stopped away, too", function()
    write_recipe()
    files.write(log, "the last line\n")
    local command = ("%s --force --state=%s/state %s/recipe"):format(LOGROTATE, world, world)
    assert.same({ 0, "status 0\n" }, { front.run(command) })
    assert.equal("the last line\n", files.read(log .. ".1"))
  end)

  it("leaves alone what is empty, and fails for no log", function()
    write_recipe()
    files.write(log, "")
    local command = ("%s --state=%s/state %s/recipe"):format(LOGROTATE, world, world)
    assert.same({ 0, "status 0\n" }, { front.run(command .. " --force") })
    assert.equal("users.log\nstatus 0\n", (select(2, front.run("ls " .. folder))))
    os.remove(log)
    assert.same({ 0, "status 0\n" }, { front.run(command) })
  end)
end)
