-- SPDX-License-Identifier: MIT
-- Signals in storms: a thousand of each kind while requests come, of which none may fail.

local files = require "spec.support.files"
local server = require "spec.support.server"

local PATIENCE, TIMES = 30, 1000
local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/", function() return "%s" end)
return app
]]

describe("a storm of signals", function()
  local running, folder
  before_each(function()
    folder = server.write_app(APP:format "one")
    running = server.start(folder, { workers = 2, visible = true, flags = { "--access-log=off", "--log-file=" .. folder .. "/log" } })
  end)
  after_each(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    assert(status == 0, log)
  end)

  -- From one shell, whose kill is its own: about as fast as a process can.
  local function storm(signals, pid)
    local kills = {}
    for n, signal in ipairs(signals) do kills[n] = ("kill -%s %d"):format(signal, pid) end
    os.execute(("n=0; while [ $n -lt %d ]; do %s; n=$((n+1)); done 2>/dev/null"):format(TIMES, table.concat(kills, "; ")))
  end

  local function under_requests(disturb)
    local idle = running:holdings()
    local finish, hurry = running:besiege("--connections=16", "--seconds=60")
    assert.truthy(server.wait_until(PATIENCE, function() return running:holdings() >= idle + 16 end)) -- it has begun
    disturb()
    for _ = 1, 100 do assert.equal(200, running:request("GET", "/").status) end
    hurry()
    local counts = finish()
    assert.same({ 0, counts.answered }, { counts.failed, counts.status[200] })
    assert.is_true(counts.answered >= 16)
    assert.is_nil(running:exit_status())
    assert.equal(200, running:request("GET", "/").status)
  end

  it("that ask for a reload is answered by a few, and the last file serves", function()
    files.write(folder .. "/app.lua", APP:format "two")
    under_requests(function() storm({ "HUP" }, running.pid) end)
    assert.truthy(server.wait_until(PATIENCE, function() return running:request("GET", "/").body == "two" end))
    local _, reloads = files.read(folder .. "/log"):gsub("serves, after", "")
    assert.is_true(reloads < TIMES / 2, reloads .. " reloads")
  end)

  it("that ask for a new log file, tell of ended children or mean nothing costs nothing", function()
    local before = running:holdings()
    under_requests(function() storm({ "USR1", "CHLD", "PIPE", "XFSZ" }, running.pid) end)
    assert.is_true(running:holdings() <= before + 40, "descriptors are left behind")
    assert.equal(2, #running:workers())
  end)

  it("at a worker, of kinds that are its master's to act on, does not disturb it", function()
    local workers = running:workers()
    under_requests(function() storm({ "HUP", "USR1", "USR2", "INT", "PIPE" }, workers[1]) end)
    assert.same(workers, running:workers())
  end)

  it("that tell a worker to end lets it finish what it has, and it is replaced", function()
    local before = running:workers()
    under_requests(function() storm({ "TERM" }, before[1]) end)
    assert.truthy(server.wait_until(PATIENCE, function()
      local workers = running:workers()
      return #workers == 2 and workers[1] ~= before[1] and workers[2] ~= before[1]
    end), running:log())
  end)
end)
