-- SPDX-License-Identifier: MIT
-- Counts the instructions of a request: the server runs twice under callgrind, answers N requests over one connection the first time and 2N the
-- second, and what the second took more, divided by N, is one request's share. Called by tests/bench/callgrind.

local http = require "spec.support.http"
local process = require "tests.bench.lib.process"
local report = require "tests.bench.lib.report"
local request = require "tests.bench.lib.request"
local scenarios = require "tests.bench.lib.scenarios"
local servers = require "tests.bench.lib.servers"

local BUILD = "build/bench"

-- Of the worker that answered, which did the most: the master writes a file too, and so does a worker that it took for stuck.
local function total_of(out, log)
  local total = 0
  for path in io.popen("ls " .. out .. ".* 2>/dev/null"):lines() do
    local text = process.read(path)
    total = math.max(total, tonumber(text:match("\ntotals: (%d+)") or text:match("\nsummary: (%d+)") or 0))
  end
  assert(total > 0, "callgrind wrote no total; its log:\n" .. (process.read(log) or ""))
  return total
end

local function instructions(server, scenario, requests)
  local port, log, out = process.free_port(), BUILD .. "/callgrind.log", BUILD .. "/callgrind.out"
  os.remove(log)
  os.execute("rm -f " .. out .. ".*")
  local running = process.start { port = port, environment = request.environment, log = log, timeout = 120,
    command = ("valgrind --tool=callgrind --callgrind-out-file=%s.%%p %s"):format(out, server.command(port)) }
  local connection = http.connect(port, 60)
  local options = { headers = request.headers(scenario), body = scenario.body }
  local tokens = scenario.tokens and scenario.tokens()
  for _ = 1, scenario.prime or 0 do assert(connection:request(scenario.method, scenario.path, options)) end
  for index = 1, requests do
    if tokens then options.headers.Authorization = "Bearer " .. tokens[index] end
    local response = assert(connection:request(scenario.method, scenario.path, options))
    assert(response.status == scenario.status, "answered " .. response.status .. " " .. response.body)
  end
  connection:close()
  running:stop(120)
  return total_of(out, log)
end

local function main()
  local options = report.options(arg, { requests = 2000, scenarios = false, write = false })
  local rows = {}
  for _, scenario in ipairs(scenarios) do
    if not options.scenarios or ("," .. options.scenarios .. ","):find("," .. scenario.short .. ",", 1, true) then
      local row = { scenario.title }
      for _, server in ipairs { servers[1], servers[2] } do
        local short = instructions(server, scenario, options.requests)
        local long = instructions(server, scenario, options.requests * 2)
        row[#row + 1] = ("%.0f"):format((long - short) / options.requests)
        io.stderr:write(scenario.short, " ", server.name, ": ", row[#row], "\n")
      end
      rows[#rows + 1] = row
    end
  end
  report.show("instructions", ("Measured %s, %d and %d requests, %s.\n\n%s"):format(os.date("!%Y-%m-%d"), options.requests, options.requests * 2,
    process.line_of("valgrind --version"), report.table({ "request", "instructions", "with JSON access log" }, rows)), options.write)
end

main()
