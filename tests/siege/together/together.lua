-- SPDX-License-Identifier: MIT
-- Everything at once: two servers of one app, one plain and one by TLS, on one database and one Redis; normal clients on both; and beside them
-- reloads, kills, a Redis that stops and hangs, slow and hostile clients. tests/siege/run calls this; report.lua prints and judges.

local certificates = require "spec.support.certificates"
local kills = require "tests.siege.together.kills"
local processes = require "tests.siege.together.processes"
local prometheus = require "spec.support.prometheus"
local redis = require "spec.support.redis"
local report = require "tests.siege.together.report"
local rows = require "tests.siege.together.rows"
local server = require "spec.support.server"
local socket = require "socket"
local tokens = require "tests.attack.support.tokens"

local APP = "tests/siege/together/app"
local BUILD = server.program:gsub("[^/]*$", "")
local WARM_SECONDS, DRAIN_SECONDS = 4, 60
local KILL_EVERY, REDIS_EVERY = 5, 8 -- seconds; every second turn of Redis is its coming back

-- Steps a second of each attacker: about one core of a small machine together, while nobody else wants it.
local RATES = {
  framing = 100, tokens = 60, oversized = 20, garbage = 80, tls_garbage = 50, half_closed = 60, leavers = 30, flood = 1, limits = 1, reloads = 0.5,
}
local SLOW = { { "head", 200, 0 }, { "body", 200, 1000 }, { "read", 60, 2000 } } -- kind, clients, number of the first address

local together = {}

---@class siege.World
---@field folder string
---@field plain server.Running
---@field tls server.Running
---@field servers server.Running[]
---@field redis redis.Running

local function begin(options)
  local folder = server.make_folder()
  local store = redis.new()
  local certificate = certificates.new()
  local function start(flags)
    local all = { "--access-log=off", "--admin=0", "--redis=" .. store.url, unpack(flags) }
    local env = server.frugal()
    env.JWT_SECRET = tokens.SECRET
    return server.start(APP, { workers = options.workers, data = folder .. "/data", flags = all, env = env })
  end
  local world = { folder = folder, redis = store, certificate = certificate, plain = start {} }
  world.tls = start(certificate:make("localhost", { names = "IP:127.0.0.1" }))
  world.servers = { world.plain, world.tls }
  return world
end

-- Ends the servers: how those ended that did not end in order, and the errors that they logged, but for the kills.
local function finish(world)
  local problems, errors = {}, {}
  for _, running in ipairs(world.servers) do
    local status, log = running:stop()
    if status ~= 0 then problems[#problems + 1] = ("a server ended with status %s:\n%s"):format(status, log:sub(-4000)) end
    for line in log:gmatch "[^\n]+" do
      local is_other = not line:find "^{" and not line:find "^demilune: listening " -- such as a sanitizer's
      local is_error = is_other or line:find('"level":"error"', 1, true)
      if is_error and not line:find("ended by signal 9 (Killed) and is replaced", 1, true) then errors[#errors + 1] = line end
    end
  end
  world.redis:remove()
  return problems, errors
end

-- --- clients -----------------------------------------------------------------------------------

local function start_normal(world, name, seconds, progress)
  local function one(running, kind, flag)
    local records = ("%s/%s-%s.records"):format(world.folder, name, kind)
    local command = ("%stests/siege_normal %d --pause=40 --seconds=%.3f --name=%s-%s --records=%s --progress=%.3f %s")
      :format(BUILD, running.port, seconds, name, kind, records, progress, flag)
    local process = processes.start(world.folder, name .. "-" .. kind, command, false)
    process.records, process.server_port, process.kind = records, running.port, kind
    return process
  end
  return { one(world.plain, "plain", ""), one(world.tls, "tls", "--tls") }
end

local function start_attackers(world, prefix, seconds)
  local list = {}
  for kind, rate in pairs(RATES) do
    local command = ("luajit tests/siege/together/attack.lua %s %s %.3f %d %d %d %d %d")
      :format(kind, rate, seconds, world.plain.port, world.tls.port, world.plain:admin_port(), world.plain.pid, world.tls.pid)
    list[#list + 1] = processes.start(world.folder, prefix .. kind, command, true)
    list[#list].kind = kind
  end
  for _, slow in ipairs(SLOW) do
    local kind, clients, first = unpack(slow)
    local command = ("%stests/siege_slow %d --kind=%s --clients=%d --first=%d --seconds=%.3f")
      :format(BUILD, world.plain.port, kind, clients, first, seconds)
    list[#list + 1] = processes.start(world.folder, prefix .. "slow_" .. kind, command, true)
    list[#list].kind = "slow_" .. kind
  end
  return list
end

local function cpu_of(list)
  local sum = 0
  for _, process in ipairs(list) do sum = sum + process:cpu() end
  return sum
end

local function wait_for(list)
  for _, process in ipairs(list) do
    while not process:is_over() do socket.sleep(0.05) end
  end
end

-- --- what happens beside them ---------------------------------------------------------------------

-- Each task is asked again and again whether it is time; none of them waits for long.
local function every(seconds, act)
  local due = socket.gettime() + seconds
  return function(now)
    if now < due then return end
    act(now)
    due = now + seconds * (0.5 + math.random())
  end
end

local function killing(world, happened)
  return every(KILL_EVERY / #world.servers, function()
    local kill = kills.one(world.servers[math.random(#world.servers)])
    if kill then happened.kills[#happened.kills + 1] = kill end
  end)
end

-- Away, back, hung, back. What it counted is gone when it was away.
local function toying_with_redis(world, happened)
  local store, turn = world.redis, 0
  local TURNS = {
    function() store:stop() happened.redis_stops = happened.redis_stops + 1 end,
    function() store:start() happened.redis_starts[#happened.redis_starts + 1] = socket.gettime() end,
    function() store:signal "STOP" happened.redis_hangs = happened.redis_hangs + 1 end,
    function() store:signal "CONT" end,
  }
  local function next_turn() turn = turn % #TURNS + 1 TURNS[turn]() end
  return every(world.redis_every, next_turn), function() while turn % #TURNS ~= 0 do next_turn() end end
end

local function measuring(world, happened, clients, seconds)
  local began = socket.gettime()
  return every(0.5, function()
    cpu_of(clients)
    local passed = socket.gettime() - began
    if passed < #happened.points * seconds / 8 then return end
    local point = processes.holdings(world.servers)
    point.second, point.load = math.floor(passed), processes.load()
    happened.points[#happened.points + 1] = point
  end)
end

-- --- all of it --------------------------------------------------------------------------------------

local function connections(world)
  local sum = 0
  for _, running in ipairs(world.servers) do sum = sum + prometheus.read(running:admin("GET", "/metrics").body):sum "demilune_connections" end
  return sum
end

-- What is held when nobody is connected, by generations that are new: SQLite's caches, up to 2 MiB for each connection, grow with the database.
local function look_at_rest(world, workers)
  local calm = server.wait_until(DRAIN_SECONDS, function()
    socket.sleep(0.2)
    for _, running in ipairs(world.servers) do
      if #running:workers() ~= workers then return false end
    end
    return connections(world) == 0
  end)
  for _, running in ipairs(world.servers) do
    assert(os.execute(("%s reload %s --pid=%d >/dev/null 2>&1"):format(server.program, APP, running.pid)) == 0, "a server at rest did not reload")
  end
  socket.sleep(1)
  local held = processes.holdings(world.servers)
  held.calm, held.load = calm ~= nil, processes.load()
  return held
end

-- Once warm: what a first load takes in memory and descriptors is no growth.
local function warm(world, workers)
  local clients = start_attackers(world, "warm-", WARM_SECONDS)
  for _, process in ipairs(start_normal(world, "warm", WARM_SECONDS, 0)) do clients[#clients + 1] = process end
  wait_for(clients)
  return look_at_rest(world, workers)
end

local function besiege(world, seconds)
  local happened = { kills = {}, redis_starts = {}, redis_stops = 0, redis_hangs = 0, points = {}, seconds = seconds }
  local normal = start_normal(world, "during", seconds, seconds / 8)
  local attackers = start_attackers(world, "", seconds)
  local clients = { unpack(normal) }
  for _, process in ipairs(attackers) do clients[#clients + 1] = process end
  local function cpu_of_servers() return processes.cpu_of_server(world.plain) + processes.cpu_of_server(world.tls) end
  local cpu_before, machine_before = cpu_of_servers(), processes.machine()
  local redis_task, mend_redis = toying_with_redis(world, happened)
  local tasks = { killing(world, happened), redis_task, measuring(world, happened, clients, seconds) }
  local until_then = socket.gettime() + seconds
  while socket.gettime() < until_then do
    for _, task in ipairs(tasks) do task(socket.gettime()) end
    socket.sleep(0.02)
  end
  mend_redis()
  local machine_after, cores = processes.machine()
  happened.cpu = { server = cpu_of_servers() - cpu_before, attackers = cpu_of(attackers), normal = cpu_of(normal), cores = cores,
    machine = machine_after - machine_before }
  wait_for(clients)
  happened.normal, happened.attackers = normal, attackers
  return happened
end

--- Runs it: `seconds` of siege, and a third of that, at most 30 s, for the normal clients alone before and behind it. Prints the report.
---@param options { seconds: integer, workers: integer, brief: boolean }
---@return boolean kept whether every promise was kept
function together.run(options)
  local world = begin(options)
  world.redis_every = math.min(REDIS_EVERY, options.seconds / 6)
  local at_start = warm(world, options.workers)
  local function ask_alone(name)
    local clients = start_normal(world, name, math.min(30, math.max(3, options.seconds / 3)), 0)
    wait_for(clients)
    return clients
  end
  local alone = ask_alone "alone"
  local happened = besiege(world, options.seconds)
  local again = ask_alone "again"
  local at_end = look_at_rest(world, options.workers)
  local metrics = {}
  for index, running in ipairs(world.servers) do metrics[index] = prometheus.read(running:admin("GET", "/metrics").body) end
  local acknowledged = rows.acknowledged { alone, happened.normal, again }
  local by_api = rows.by_api(world.plain)
  local problems, errors = finish(world)
  local result = {
    at_start = at_start, at_end = at_end, alone = alone, again = again, happened = happened, metrics = metrics, problems = problems,
    errors = errors, brief = options.brief, acknowledged = #acknowledged, lost_by_api = rows.missing(acknowledged, by_api),
    lost_in_file = rows.missing(acknowledged, rows.in_file(world.folder .. "/data/siege.db")),
  }
  local kept = report.print(result)
  world.certificate:remove()
  server.remove_folder(world.folder)
  return kept
end

return together
