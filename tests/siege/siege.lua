-- SPDX-License-Identifier: MIT
-- The scenarios of tests/siege/run: a load that never pauses, and beside it what a server's life has in store.

local prometheus = require "spec.support.prometheus"
local server = require "spec.support.server"
local http = require "spec.support.http"
local socket = require "socket"
local together = require "tests.siege.together.together"

local options = { minutes = 10, seconds = 60, reloads = 1000, slow = 10000, workers = 2, connections = 64, pause = 0 }
local BUILD = server.program:gsub("[^/]*$", "")

local function pause(seconds) socket.sleep(seconds) end

local function start() return server.start("tests/siege/app", { workers = options.workers, flags = { "--access-log=off", "--admin=0" } }) end

local function load_of(running, seconds, path, ...)
  return running:besiege("--connections=" .. options.connections, "--seconds=" .. seconds, "--path=" .. path, "--pause=" .. options.pause, ...)
end

-- --- what happens beside the load; each gives how often it happened ---------------------------

local function reload_over_and_over(_, deadline)
  local done = 0
  while done < options.reloads and socket.gettime() < deadline do
    assert(os.execute(server.program .. " reload tests/siege/app >/dev/null") == 0)
    done = done + 1
  end
  return done, "reloads"
end

local function kill_over_and_over(running, deadline)
  local done = 0
  while socket.gettime() < deadline do
    pause(0.1)
    local workers = running:workers()
    if #workers > 0 then
      os.execute("kill -9 " .. workers[math.random(#workers)])
      done = done + 1
    end
  end
  return done, "kills"
end

local STARTS = { "", "\22\3\1\2", "PRI * HTTP/2.0\r\n", "GET /who HTTP/1.1\r\nHost: a\r\n",
  "POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" }

local function be_hostile(running, deadline)
  local done = 0
  while socket.gettime() < deadline do
    local ok, connection = pcall(http.connect, running.port, 0.01)
    if ok then
      local bytes = { STARTS[math.random(#STARTS)] }
      for n = 2, math.random(400) do bytes[n] = string.char(math.random(0, 255)) end
      connection:send(table.concat(bytes))
      if math.random(2) == 1 then connection:read(0.001) end
      connection:close(math.random(2) == 1)
      done = done + 1
    end
  end
  return done, "hostile connections"
end

local function wait_only(_, deadline)
  pause(math.max(0, deadline - socket.gettime()))
  return 0, ""
end

-- --- telling ------------------------------------------------------------------------------------

local function mebibytes(bytes) return ("%.1f"):format(bytes / 2 ^ 20) end

local COLUMNS = { "scenario", "requests", "failed", "cut", "reset", "refused", "late", "p50 µs", "p99 µs", "p99.9 µs",
  "memory MiB", "descriptors", "traces", "beside" }

local function print_row(cells) print("| " .. table.concat(cells, " | ") .. " |") end

local function print_counts(name, counts, before, after, beside)
  print_row { name, counts.requests, counts.failed, counts.cut, counts.reset, counts.refused, counts.late, counts.p50_us or "", counts.p99_us or "",
    counts.p999_us or "", mebibytes(before.bytes) .. " → " .. mebibytes(after.bytes), before.descriptors .. " → " .. after.descriptors,
    before.traces .. " → " .. after.traces, beside }
  io.stdout:flush()
end

local function look(running)
  server.wait_until(10, function() return #running:workers() == options.workers end)
  local traces = prometheus.read(running:admin("GET", "/metrics").body):sum "demilune_lua_traces"
  return { bytes = running:resident_bytes(), descriptors = (running:holdings()), traces = traces }
end

-- Once warm: what a first load takes in memory is no growth.
local function warm(running)
  load_of(running, 2, "/who")()
  load_of(running, 1, "/count")()
  pause(1.5)
  return look(running)
end

local function run(name, beside)
  local running = start()
  local before = warm(running)
  local finish = load_of(running, options.seconds, "/who")
  local limited = name == "kills" and load_of(running, options.seconds, "/limited", "--each=10")
  local times, what = beside(running, socket.gettime() + options.seconds)
  local counts = finish()
  pause(2)
  local note = times > 0 and times .. " " .. what or ""
  if limited then
    local of_limit = limited()
    note = note .. (", 5 a day admitted %d (%d answers lost)"):format(of_limit.status[200] or 0, of_limit.failed)
  end
  print_counts(name, counts, before, look(running), note)
  local status, log = running:stop()
  if status ~= 0 then print(("the server ended with status %s:\n%s"):format(status, log:sub(-4000))) end
  -- One of several workers has its share of the connections, all of which may wait for an answer when it is killed.
  local may_fail = name == "kills" and times * options.connections or 0
  return status == 0 and counts.failed <= may_fail and counts.refused == 0
end

-- A normal client alone, and beside thousands that send a byte a second.
local function run_slow()
  local running = start()
  warm(running)
  local seconds = math.max(2, math.floor(options.seconds / 3))
  local function ask() return running:besiege("--connections=1", "--seconds=" .. seconds, "--path=/who")() end
  local before = look(running)
  local alone = ask()
  print_counts("one client alone", alone, before, look(running), "")
  local slow = assert(io.popen(("%stests/siege_slow %d --clients=%d --seconds=%d"):format(BUILD, running.port, options.slow, seconds + 5)))
  assert(slow:read("*l"):find("^connected"))
  pause(2)
  local beside = ask()
  local during = look(running)
  local told = slow:read("*a"):gsub("\n", ", "):gsub(", $", "")
  slow:close()
  print_counts("one client beside slow ones", beside, before, during, ("%s; p99 %.2f x"):format(told, beside.p99_us / alone.p99_us))
  return running:stop() == 0
end

local SCENARIOS = {
  { "calm", function() return run("calm", wait_only) end },
  { "reloads", function() return run("reloads", reload_over_and_over) end },
  { "kills", function() return run("kills", kill_over_and_over) end },
  { "hostile", function() return run("hostile", be_hostile) end },
  { "slow", run_slow },
}

local USAGE = [[
tests/siege/run [--minutes=10] [--seconds=N] [--workers=2] [--brief]
  everything at once; --brief only tells of latency and memory, and judges the rest
tests/siege/run [--seconds=60] [--reloads=1000] [--slow=10000] [--workers=2] [--connections=64] [--pause=0] SCENARIO ...
  one thing after the other: calm reloads kills hostile slow
]]

local known, wanted, given = {}, {}, {}
for _, scenario in ipairs(SCENARIOS) do known[scenario[1]] = true end
for _, argument in ipairs(arg) do
  local name, value = argument:match("^%-%-(%a+)=(%d+)$")
  if name and options[name] then
    options[name], given[name] = tonumber(value), true
  elseif argument == "--brief" then
    options.brief = true
  elseif argument == "--help" or argument == "-h" then
    io.write(USAGE)
    os.exit(0)
  elseif known[argument] then
    wanted[argument] = true
  else
    io.stderr:write(("tests/siege/run: %s is not understood\n"):format(argument), USAGE)
    os.exit(2)
  end
end

if not next(wanted) then
  local seconds = given.seconds and options.seconds or options.minutes * 60
  os.exit(together.run { seconds = seconds, workers = options.workers, brief = options.brief or false } and 0 or 1)
end

print_row(COLUMNS)
print("|" .. (" --- |"):rep(#COLUMNS))
local good = true
for _, scenario in ipairs(SCENARIOS) do
  if wanted[scenario[1]] then good = scenario[2]() and good end
end
os.exit(good and 0 or 1)
