-- SPDX-License-Identifier: MIT
-- Requests per second and server CPU per request, of Demilune and its peers side by side. Called by tests/bench/run.
-- Each server is one process on core 0, wrk is on core 1. Rounds are interleaved (each server in turn, then all again), so that a
-- machine that slows down slows all of them; figures are medians of the rounds. CPU is what the kernel booked for the server's
-- process, from /proc/PID/stat: other work on the machine slows the clock, but hardly moves this.

local http = require "spec.support.http"
local process = require "tests.bench.lib.process"
local report = require "tests.bench.lib.report"
local request = require "tests.bench.lib.request"
local scenarios = require "tests.bench.lib.scenarios"
local servers = require "tests.bench.lib.servers"

local SERVER_CORE, CLIENT_CORE, CONNECTIONS = 0, 1, 32
local BUILD = "build/bench"

local function note(...) io.stderr:write(string.format(...), "\n") end

local function selected(rows, names)
  if not names then return rows end
  local list = {}
  for _, row in ipairs(rows) do
    if ("," .. names .. ","):find("," .. row.short .. ",", 1, true) then list[#list + 1] = row end
  end
  return list
end

local function start(server)
  local port = process.free_port()
  local log = ("%s/%s.log"):format(BUILD, server.short)
  os.remove(log)
  note("starting %s", server.name)
  return { server = server, port = port, log = log,
    process = process.start { command = server.command(port), environment = request.environment, port = port, core = SERVER_CORE, log = log } }
end

-- A figure for a wrong answer would be worth nothing.
local function verify(running, scenario)
  local connection = http.connect(running.port, 20)
  local options = { headers = request.headers(scenario), body = scenario.body }
  for _ = 1, scenario.prime or 0 do connection:request(scenario.method, scenario.path, options) end
  local response, why = connection:request(scenario.method, scenario.path, options)
  connection:close()
  assert(response, ("%s, %s: no answer (%s)"):format(running.server.name, scenario.title, tostring(why)))
  assert(response.status == scenario.status and scenario.good(response.body),
    ("%s, %s: answered %d %s"):format(running.server.name, scenario.title, response.status, response.body:sub(1, 500)))
end

-- wrk is told its request by a script that does nothing per request, or no more than take the next one of a list.
local function write_script(scenario)
  local path = ("%s/%s.wrk.lua"):format(BUILD, scenario.short)
  local file = assert(io.open(path, "wb"))
  file:write(("wrk.method = %q\n"):format(scenario.method))
  if scenario.body then file:write(("wrk.body = %q\n"):format(scenario.body)) end
  for name, value in pairs(request.headers(scenario)) do file:write(("wrk.headers[%q] = %q\n"):format(name, value)) end
  if scenario.tokens then
    file:write("local heads, at = {}, 0\nlocal tokens = {\n")
    for _, token in ipairs(scenario.tokens()) do file:write(("%q,\n"):format(token)) end
    file:write(([[}
function init()
  for index, token in ipairs(tokens) do
    heads[index] = wrk.format(%q, %q, { Host = "127.0.0.1", Authorization = "Bearer " .. token })
  end
end
function request()
  at = at %% #heads + 1
  return heads[at]
end
]]):format(scenario.method, scenario.path))
  end
  file:write([[
function done(summary)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(("result %d %d %d %d\n"):format(summary.requests, summary.duration, errors.status, broken))
end
]])
  file:close()
  return path
end

local function load_with(running, scenario, seconds)
  local pin = process.cores() > 1 and ("taskset -c %d "):format(CLIENT_CORE) or ""
  local command = ("%swrk -t1 -c%d -d%ds -s %s http://127.0.0.1:%d%s")
    :format(pin, CONNECTIONS, seconds, write_script(scenario), running.port, scenario.path)
  local pipe = assert(io.popen(command))
  local output = pipe:read("*a")
  pipe:close()
  local requests, duration, refused, broken = output:match("result (%d+) (%d+) (%d+) (%d+)")
  assert(requests, "wrk said:\n" .. output)
  local expected = scenario.status >= 400 and tonumber(requests) or 0
  assert(tonumber(refused) == expected and broken == "0",
    ("%s, %s: %s of %s answers were refusals, %s broken"):format(running.server.name, scenario.title, refused, requests, broken))
  return tonumber(requests), tonumber(duration) / 1e6
end

local function measure(running, scenario, seconds)
  local user, system = running.process:cpu()
  local requests, duration = load_with(running, scenario, seconds)
  local user_after, system_after = running.process:cpu()
  io.open(running.log, "wb"):close() -- the access log grows by some hundred megabytes a minute
  return { rate = requests / duration, user = (user_after - user) / requests * 1e6, system = (system_after - system) / requests * 1e6,
    total = (user_after + system_after - user - system) / requests * 1e6 }
end

local function median(rounds, key)
  local values = {}
  for index, round in ipairs(rounds) do values[index] = round[key] end
  table.sort(values)
  local middle = math.floor((#values + 1) / 2)
  return #values % 2 == 1 and values[middle] or (values[middle] + values[middle + 1]) / 2
end

-- The kernel books whole ticks as user or system, by what it finds at each: only all rounds together hold enough of them.
local function split(rounds)
  local user, total = 0, 0
  for _, round in ipairs(rounds) do user, total = user + round.user, total + round.total end
  local cost = median(rounds, "total")
  return cost, cost * user / total, cost * (total - user) / total
end

local function run_rounds(all, scenario, options)
  for _, running in ipairs(all) do
    verify(running, scenario)
    load_with(running, scenario, 1) -- compilers warm up outside the measurement
    running.rounds = {}
  end
  for round = 1, options.rounds do
    for _, running in ipairs(all) do
      local last = measure(running, scenario, options.seconds)
      running.rounds[round] = last
      note("%-8s round %d  %-40s %8.0f requests/s  %7.2f us (%.2f user)", scenario.short, round, running.server.name, last.rate, last.total,
        last.user)
    end
  end
end

local function scenario_table(all, scenario)
  local first, rows = all[1], {}
  local base, base_user = split(first.rounds)
  for index, running in ipairs(all) do
    local total, user, system = split(running.rounds)
    rows[index] = { running.server.name, ("%.0f"):format(median(running.rounds, "rate")), ("%.2f"):format(total), ("%.2f"):format(user),
      ("%.2f"):format(system), ("%.2f"):format(base / total), ("%.2f"):format(base_user / user) }
  end
  return ("**%s**\n\n%s"):format(scenario.title, report.table({ "server", "requests/s", "CPU µs a request", "user µs", "system µs",
    first.server.name .. " / this", first.server.name .. " / this, user" }, rows))
end

-- Each request has processes of its own: the kernel scales a process' user and system time by what it did all its life, so that a
-- difference would carry over from one kind of request to the next.
local function run_scenario(scenario, chosen, options)
  local all = {}
  local ok, result = xpcall(function()
    for _, server in ipairs(chosen) do
      if server.takes[scenario.short] then all[#all + 1] = start(server) end
    end
    run_rounds(all, scenario, options)
    return scenario_table(all, scenario)
  end, debug.traceback)
  for _, running in ipairs(all) do running.process:stop() end
  return ok and result or error(result, 0)
end

local function versions(chosen)
  local list = {}
  for _, server in ipairs(chosen) do
    if server.version then list[#list + 1] = (process.line_of(server.version):gsub("%s+$", "")) end
  end
  return table.concat(list, "; ")
end

local function main()
  local options = report.options(arg, { seconds = 4, rounds = 5, servers = false, scenarios = false, write = false })
  local chosen = selected(servers, options.servers)
  local parts = { ("Measured %s on %s (load average before: %s). %d rounds of %d s, interleaved, %d connections, medians. %s."):format(
    os.date("!%Y-%m-%d"), report.machine(), process.read("/proc/loadavg"):match("^%S+"), options.rounds, options.seconds, CONNECTIONS,
    versions(chosen)) }
  for _, scenario in ipairs(selected(scenarios, options.scenarios)) do parts[#parts + 1] = run_scenario(scenario, chosen, options) end
  report.show("results", table.concat(parts, "\n\n"), options.write)
end

local ok, failure = pcall(main)
if not ok then
  note("%s", failure)
  os.exit(1)
end
