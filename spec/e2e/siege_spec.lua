-- SPDX-License-Identifier: MIT
-- tests/siege/run, short, and that its judgement can fail: what it calls kept is worth what its telling apart is worth.

local kills = require "tests.siege.together.kills"
local report = require "tests.siege.together.report"
local rows = require "tests.siege.together.rows"
local server = require "spec.support.server"

describe("a siege", function()
  it("of everything at once costs only requests in flight on a killed worker, and no acknowledged write", function()
    local folder = server.make_folder()
    local build = server.program:gsub("/[^/]*$", "")
    local status = os.execute(("DEMILUNE_BUILD='%s' tests/siege/run --seconds=15 --brief >%s/out 2>&1"):format(build, folder))
    local file = assert(io.open(folder .. "/out"))
    local out = file:read("*a")
    file:close()
    server.remove_folder(folder)
    assert.equal(0, status, out)
    assert.truthy(out:find("| no normal request failed but those in flight on a killed worker | kept |", 1, true), out)
  end)

  it("says what it takes to who asks, and to who mistypes", function()
    local function answer(arguments)
      local pipe = assert(io.popen("luajit tests/siege/siege.lua " .. arguments .. ' 2>&1; echo "|$?"'))
      local text = pipe:read("*a")
      pipe:close()
      return text
    end
    assert.matches("^tests/siege/run %[%-%-minutes=10%].*|0\n$", answer "--help")
    assert.matches("^tests/siege/run: %-%-minute=1 is not understood\ntests/siege/run %[%-%-minutes=10%].*|2\n$", answer "--minute=1")
  end)

  it("knows which connections a worker held when it was killed", function()
    local running = server.start([[
      local app = require "demilune".app { guard = require "demilune".guard.public }
      app:get("/", function() return "here" end)
      return app
    ]], { flags = { "--sandbox=off" } }) -- whose workers show their descriptors to any user
    local before = os.time() - 1
    local one, other = running:connect(), running:connect()
    assert.equal(200, one:request("GET", "/").status)
    assert.equal(200, other:request("GET", "/").status)
    local function port_of(connection) return tonumber((select(2, connection.tcp:getsockname()))) end
    local kill = assert(kills.one(running))
    local after = kill.at + 1
    assert.equal(2, kill.held)
    for _, connection in ipairs { one, other } do
      assert.is_true(kills.explain({ kill }, running.port, port_of(connection), before, after))
      assert.is_false(kills.explain({ kill }, running.port + 1, port_of(connection), before, after), "another server")
      assert.is_false(kills.explain({ kill }, running.port, port_of(connection), kill.at + 0.5, after), "begun after the kill")
      assert.is_false(kills.explain({ kill }, running.port, port_of(connection), before, kill.at - 0.5), "failed before the kill")
      assert.is_true(connection:is_closed())
      connection:close()
    end
    local third = running:connect()
    assert.equal(200, third:request("GET", "/").status)
    assert.is_false(kills.explain({ kill }, running.port, port_of(third), before, after))
    third:close()
    running:stop()
  end)
end)

describe("a siege is lost", function()
  local folder, result, counted

  local function process(kind, text)
    return { kind = kind, server_port = 1, records = folder .. "/" .. kind, lines = function() return text:gmatch "[^\n]+" end,
      problems = function() return "" end }
  end

  local function normal(kind, failures)
    local file = assert(io.open(folder .. "/" .. kind, "w"))
    file:write("ack a-1\n", failures or "")
    file:close()
    return process(kind, "requests 10\nidle_closed 0\nread_p50_us 1\nread_p99_us 10\nwrite_p50_us 1\nwrite_p99_us 10\n")
  end

  local function counts(...)
    local lines = {}
    for index, what in ipairs { ... } do lines[index] = "count 1 " .. what .. "\n" end
    return table.concat(lines)
  end

  -- A siege that was held; each test takes one thing away from it.
  before_each(function()
    folder = server.make_folder()
    counted = { demilune_connections_refused_total = 1, demilune_workers_died_total = 1 }
    local at_rest = { bytes = 1e7, master_bytes = 1e6, descriptors = 20, master_descriptors = 10, calm = true, load = "0" }
    local worked = {
      framing = counts("served 200", "refused 400"), tokens = counts("refused 401", "genuine ones served 200"),
      oversized = counts("refused 413", "refused 414", "refused 431"), garbage = counts "refused 400", tls_garbage = counts "refused by an alert",
      half_closed = counts("served 200", "refused 400", "reset by us"), leavers = counts("left", "served 200"),
      flood = counts("let in", "turned away"),
      limits = counts("admitted", "refused 429") .. "client 10 11 5 0 one\n", reloads = counts "done", slow_head = "told_why 1\n",
      slow_body = "told_why 1\n", slow_read = "bytes 1\n",
    }
    local attackers = {}
    for kind, text in pairs(worked) do attackers[#attackers + 1] = process(kind, text) end
    result = {
      at_start = at_rest, at_end = at_rest, alone = { normal "alone" }, again = { normal "again" }, brief = false,
      metrics = { { sum = function(_, name) return counted[name] or 0 end } },
      problems = {}, errors = {}, acknowledged = 2, lost_in_file = {}, lost_by_api = {},
      happened = { normal = { normal "during" }, attackers = attackers, kills = { { at = 5, server_port = 1, ports = { [7] = true }, held = 1 } },
        redis_starts = { 6 }, redis_stops = 1, redis_hangs = 1, points = {}, seconds = 1,
        cpu = { server = 0, attackers = 0, normal = 0, machine = 0, cores = 2 } },
    }
  end)
  after_each(function() server.remove_folder(folder) end)

  local function judge()
    local lines, print_before = {}, print
    _G.print = function(line) lines[#lines + 1] = line end -- the report is for people
    local ok, kept = pcall(report.print, result)
    _G.print = print_before
    assert(ok, kept)
    return kept, table.concat(lines, "\n")
  end

  local function replace(kind, text)
    for _, attacker in ipairs(result.happened.attackers) do
      if attacker.kind == kind then attacker.lines = function() return text:gmatch "[^\n]+" end end
    end
  end

  it("not when every promise was kept", function()
    local kept, out = judge()
    assert.is_true(kept, out)
  end)
  it("not when what failed was in flight on a killed worker", function()
    result.happened.normal = { normal("during", "fail 4 5.1 7 reset\n") }
    assert.is_true(judge())
  end)
  it("when a normal request failed otherwise", function()
    result.happened.normal = { normal("during", "fail 4 5.1 8 reset\n") }
    assert.is_false(judge())
  end)
  it("when an acknowledged write is not in the file, not in the app, or was not found meanwhile", function()
    result.lost_in_file = rows.missing({ "a", "b" }, { a = true })
    assert.same({ "b" }, result.lost_in_file)
    assert.is_false(judge())
    result.lost_in_file, result.lost_by_api = {}, { "a" }
    assert.is_false(judge())
    result.lost_by_api, result.happened.normal = {}, { normal("during", "fail 4 5.1 8 row_lost\n") }
    assert.is_false(judge())
  end)
  it("when an attacker did nothing, or got what it must not get", function()
    replace("slow_body", "connects 5\n")
    assert.is_false(judge())
    replace("slow_body", "told_why 1\nodd something else came back\n")
    assert.is_false(judge())
  end)
  it("when nobody was killed, or Redis never hung", function()
    result.happened.redis_hangs = 0
    assert.is_false(judge())
    result.happened.redis_hangs, result.happened.kills = 1, {}
    assert.is_false(judge())
  end)
  it("when a worker died by itself, a server logged an error or did not end in order", function()
    counted.demilune_workers_died_total = 2
    assert.is_false(judge())
    counted.demilune_workers_died_total, result.errors = 1, { "something" }
    assert.is_false(judge())
    result.errors, result.problems = {}, { "a server ended with status 1" }
    assert.is_false(judge())
  end)
  it("when a handler saw a hidden request, or failed", function()
    local page = result.metrics[1]
    for _, label in ipairs { { status = "500" }, { route = "/smuggled" } } do
      local name, value = next(label)
      page.sum = function(_, metric, labels) return labels and labels[name] == value and 1 or counted[metric] or 0 end
      assert.is_false(judge(), value)
    end
  end)
  it("when a limit admits one too many, or one too few", function()
    for _, line in ipairs { "client 10 11 6 0 one\n", "client 10 11 4 0 one\n", "client 5.5 7 16 0 both\n" } do
      replace("limits", counts("admitted", "refused 429") .. "client 20 21 5 0 one\n" .. line)
      assert.is_false(judge(), line)
    end
    for _, line in ipairs { "client 10 11 4 1 one\n", "client 10 11 10 0 both\n", "client 5.5 7 15 0 both\n" } do
      replace("limits", counts("admitted", "refused 429") .. "client 20 21 5 0 one\n" .. line)
      assert.is_true(judge(), line)
    end
  end)
  it("when memory or descriptors grew, or the normal client waited too long", function()
    local more = { bytes = 2e7, master_bytes = 1e6, descriptors = 20, master_descriptors = 10, calm = true, load = "0" }
    result.at_end = more
    assert.is_false(judge())
    more.bytes, more.master_descriptors = 1e7, 11
    assert.is_false(judge())
    more.master_descriptors = 10
    assert.is_true(judge())
    local slow = normal "during"
    result.happened.normal = { process("during", table.concat({ "requests 10", "idle_closed 0", "read_p99_us 31", "write_p99_us 10" }, "\n")) }
    assert.is_false(judge())
    result.happened.normal = { slow }
    assert.is_true(judge())
  end)
end)
