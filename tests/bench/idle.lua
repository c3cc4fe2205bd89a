-- SPDX-License-Identifier: MIT
-- Opens many connections, makes one request on each, leaves them open, and says what they cost in resident memory. Called by tests/bench/idle.

local http = require "spec.support.http"
local process = require "tests.bench.lib.process"
local report = require "tests.bench.lib.report"
local made = require "tests.bench.lib.request"
local servers = require "tests.bench.lib.servers"

local function request(connection)
  local response, why = connection:request("GET", "/plain")
  assert(response and response.status == 200, "no answer: " .. tostring(why or response and response.status))
end

local function main()
  local options = report.options(arg, { connections = 10000, write = false })
  local port, log = process.free_port(), "build/bench/idle.log"
  os.remove(log)
  local running = process.start { command = servers[1].command(port), environment = made.environment, port = port, log = log }
  local open = {}
  local ok, failure = xpcall(function()
    local first = http.connect(port)
    for _ = 1, 1000 do request(first) end
    local idle = running:resident()
    for index = 1, options.connections do
      open[index] = http.connect(port)
      request(open[index])
    end
    local full = running:resident()
    request(open[1]) -- they are idle, not forgotten
    request(open[#open])
    report.show("memory", ("Measured %s on %s.\n\n%s"):format(os.date("!%Y-%m-%d"), report.machine(), report.table({ "", "resident" }, {
      { "idle worker, after 1,000 requests", ("%.1f MiB"):format(idle / 1048576) },
      { ("with %d idle connections"):format(#open), ("%.1f MiB"):format(full / 1048576) },
      { "each connection", ("%.2f KiB"):format((full - idle) / #open / 1024) },
    })), options.write)
  end, debug.traceback)
  running:stop()
  if not ok then
    io.stderr:write(failure, "\n", process.read(log) or "", "\n")
    os.exit(1)
  end
end

main()
