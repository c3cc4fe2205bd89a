-- SPDX-License-Identifier: MIT
-- What TLS costs, beside nginx: rounds interleaved, one process each on core 0, the clients on core 1. Called by tests/bench/tls.
-- The clients' side of a handshake costs more than the server's, so that rates tell little: what counts is the server's CPU.

local http = require "spec.support.http"
local process = require "tests.bench.lib.process"
local report = require "tests.bench.lib.report"
local request = require "tests.bench.lib.request"

local BUILD = "build/bench"
local HANDSHAKERS = 4 -- at once, so that the server rarely sleeps

local function nginx(port)
  local here = process.line_of("pwd")
  local text = process.read("tests/bench/peers/nginx/tls.conf"):gsub("@(%u+)@", { PORT = tostring(port), FOLDER = here .. "/" .. BUILD })
  local file = assert(io.open(BUILD .. "/tls.conf", "wb"))
  file:write(text)
  file:close()
  return ("nginx -p %s -c %s/%s/tls.conf -e %s/tls.error.log"):format(BUILD, here, BUILD, BUILD)
end

local function demilune(port)
  local program = os.getenv("DEMILUNE_PROGRAM") or "build/release/demilune"
  return ("%s serve tests/bench/app --host=127.0.0.1 --port=%d --access-log=off --workers=1 --tls-cert=%s/tls.pem --tls-key=%s/tls.key")
    :format(program, port, BUILD, BUILD)
end

local SERVERS = { { name = "Demilune", command = demilune }, { name = "nginx", command = nginx } }

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function pinned(command) return (process.cores() > 1 and "taskset -c 1 " or "") .. command end

local function keep_alive(port, seconds)
  local text = output(pinned(("wrk -t1 -c32 -d%ds https://127.0.0.1:%d/plain"):format(seconds, port)))
  assert(not text:find("Socket errors", 1, true) and not text:find("Non-2xx", 1, true), text)
  return assert(tonumber(text:match("(%d+) requests in")), text)
end

local function handshakes(mode)
  return function(port, seconds)
    local client = pinned(("build/release/tests/bench_tls_client %d %s %d"):format(port, mode, seconds))
    local total, resumed = 0, 0
    for line in output((client .. " & "):rep(HANDSHAKERS) .. "wait"):gmatch("[^\n]+") do
      local visits, of_them = line:match("(%d+) (%d+)")
      total, resumed = total + tonumber(visits), resumed + tonumber(of_them)
    end
    assert(resumed == (mode == "resume" and total or 0), ("%d of %d sessions were resumed"):format(resumed, total))
    return total
  end
end

local LOADS = {
  { title = "`GET /plain`, keep-alive", run = keep_alive },
  { title = "full handshake (TLS 1.3, ECDSA P-256, X25519) and one request", run = handshakes("full") },
  { title = "resumed session (TLS 1.3, X25519) and one request", run = handshakes("resume") },
}

local function median(values)
  table.sort(values)
  local middle = math.floor((#values + 1) / 2)
  return #values % 2 == 1 and values[middle] or (values[middle] + values[middle + 1]) / 2
end

local function measure(server, load, seconds)
  local user, system = server.process:cpu()
  local count = load.run(server.port, seconds)
  local user_after, system_after = server.process:cpu()
  local cost = (user_after + system_after - user - system) / count * 1e6
  io.stderr:write(("%-60s %-10s %8.0f/s %8.2f us\n"):format(load.title, server.name, count / seconds, cost))
  return cost, count / seconds
end

local function start(server)
  server.port = process.free_port()
  local log = ("%s/tls-%s.log"):format(BUILD, server.name)
  os.remove(log)
  server.process = process.start {
    command = server.command(server.port), environment = request.environment, port = server.port, core = 0, log = log,
  }
end

local function rows_of(load, options)
  local costs, rates, rows = {}, {}, {}
  for round = 0, options.rounds do
    for index, server in ipairs(SERVERS) do
      costs[index], rates[index] = costs[index] or {}, rates[index] or {}
      local cost, rate = measure(server, load, round == 0 and 1 or options.seconds)
      if round > 0 then table.insert(costs[index], cost) table.insert(rates[index], rate) end -- the first warms up
    end
  end
  for index, server in ipairs(SERVERS) do
    rows[index] = { load.title .. ": " .. server.name, ("%.0f"):format(median(rates[index])), ("%.2f"):format(median(costs[index])),
      ("%.2f"):format(median(costs[1]) / median(costs[index])) }
  end
  return rows
end

-- Of connections that have made a request and wait for the next.
local function memory_row(server, count)
  local open = {}
  local function visit(index)
    open[index] = assert(http.connect_tls(server.port))
    assert(open[index]:request("GET", "/plain").status == 200)
  end
  for index = 1, 200 do visit(index) end -- pools fill first
  local before = server.process:resident()
  for index = 201, 200 + count do visit(index) end
  local each = (server.process:resident() - before) / count
  for _, connection in ipairs(open) do connection:close() end
  return { server.name, ("%.1f KiB"):format(each / 1024) }
end

local function main()
  local options = report.options(arg, { seconds = 3, rounds = 5, connections = 2000, write = false })
  local load_before = process.read("/proc/loadavg"):match("^%S+")
  local rows, memory = {}, {}
  local ok, failure = xpcall(function()
    for _, server in ipairs(SERVERS) do start(server) end
    for _, load in ipairs(LOADS) do
      for _, row in ipairs(rows_of(load, options)) do rows[#rows + 1] = row end
    end
    for _, server in ipairs(SERVERS) do memory[#memory + 1] = memory_row(server, options.connections) end
  end, debug.traceback)
  for _, server in ipairs(SERVERS) do
    if server.process then server.process:stop() end
  end
  if not ok then error(failure, 0) end
  local measured = "Measured %s on %s (load average before: %s). %d rounds of %d s, interleaved, medians. %s; %s.\n\n%s\n\n%s"
  report.show("tls", measured:format(os.date("!%Y-%m-%d"), report.machine(), load_before, options.rounds, options.seconds,
    process.line_of("nginx -v"), process.line_of("openssl version"),
    report.table({ "", "a second", "server's CPU µs each", "Demilune / this" }, rows),
    report.table({ ("an idle connection, of %d"):format(options.connections), "resident" }, memory)), options.write)
end

main()
