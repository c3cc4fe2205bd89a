-- SPDX-License-Identifier: MIT
-- kill -9 (and where it says so, abort) at each step of a reload, of an upgrade, of a start, of a migration and of a write. The steps are those of
-- tests/kills/killer.c, preloaded into the real program: before and after each call by which processes, messages or files change. Usually every
-- few of them are tried; with DEMILUNE_KILLS=all every one.

local files = require "spec.support.files"
local http = require "spec.support.http"
local kills = require "spec.support.kills"
local server = require "spec.support.server"

local PATIENCE, SIGABRT, SIGKILL = kills.PATIENCE, kills.SIGABRT, kills.SIGKILL
local MIGRATED, app, chosen = kills.MIGRATED, kills.app, kills.chosen

describe("kill -9", function()
  local world = kills.world(kills.files "v1")

  local function version() return kills.version(world.running) end
  local function reloads() return kills.reloads(world.running) end

  local function descriptors(pid)
    local pipe = io.popen(("ls -U /proc/%d/fd | wc -l"):format(pid))
    local count = tonumber(pipe:read("*a"))
    pipe:close()
    return count
  end

  -- The processes that there should be, and each worker that was hit has a successor that serves.
  local function settle()
    assert.truthy(server.wait_until(PATIENCE, function()
      local workers, probes, admins = world.running:workers(), world.running:children "demilune-probe", world.running:children "demilune-admin"
      if #workers ~= 2 or #probes ~= 0 or #admins ~= 1 then return false end
      local metrics = world.running:admin("GET", "/metrics").body
      local died, replaced = metrics:match("\ndemilune_workers_died_total (%d+)"), metrics:match("\ndemilune_workers_replaced_total (%d+)")
      return died ~= nil and died == replaced
    end), world.running:log())
  end

  local function reload_to(word)
    world:save(app(word))
    local before = reloads()
    world.running:signal("HUP")
    assert.truthy(server.wait_until(PATIENCE, function() return reloads() > before end), world.running:log())
    -- A worker that came late follows within moments.
    assert.truthy(server.wait_until(PATIENCE, function()
      for _ = 1, 10 do
        if version() ~= word then return false end
      end
      return true
    end), world.running:log())
  end

  -- How many steps of that role a reload has.
  local function steps_of(role, word)
    world.plan:set(role, 2 ^ 40)
    reload_to(word)
    local steps = world.plan:get()
    world.plan:set(nil, 0)
    return steps
  end

  for _, case in ipairs { { "worker", SIGKILL }, { "probe", SIGKILL }, { "starting", SIGKILL }, { "worker", SIGABRT }, { "probe", SIGABRT } } do
    local role, signal = unpack(case)
    local title = "of a %s process at each step of a reload loses no service, leaves nothing behind, and the next reload works"
    it((signal == SIGKILL and title or "or abort " .. title):format(role), function()
      world:start { flags = { "--access-log=off", "--admin=0" }, visible = true }
      settle()
      local steps = chosen(steps_of(role, "v2"), 4)
      assert.is_true(#steps >= 2)
      settle()
      local before, word, hits = descriptors(world.running.pid), "v2", 0
      for _, at in ipairs(steps) do
        local next_word, done = "k" .. role .. at, reloads()
        world:save(app(next_word))
        world.plan:set(role, at, signal)
        world.running:signal("HUP")
        assert.truthy(server.wait_until(PATIENCE, function()
          local got = version()
          assert.is_true(got == nil or got == word or got == next_word, got)
          return reloads() > done
        end), world.running:log())
        if world.plan:hit() then hits = hits + 1 end
        world.plan:set(nil, 0)
        settle()
        word = "n" .. role .. at
        reload_to(word)
        settle()
      end
      assert.is_true(hits > #steps / 2, hits)
      assert.truthy(server.wait_until(PATIENCE, function() return descriptors(world.running.pid) <= before end))
      world:stop()
    end)
  end

  it("of the master at each step of a reload leaves no process, and a new start on its port serves", function()
    world:start { flags = { "--access-log=off", "--admin=0" } }
    local steps, hits = chosen(steps_of("master", "v2"), 4), 0
    world.running:stop()
    for _, at in ipairs(steps) do
      world:start { flags = { "--access-log=off", "--admin=0" } }
      settle()
      local family = world.running:workers()
      family[#family + 1] = world.running:children("demilune-admin")[1]
      world:save(app("m" .. at))
      world.plan:set("master", at)
      world.running:signal("HUP")
      assert.truthy(server.wait_until(PATIENCE, function()
        for _, pid in ipairs(world.running:children "demilune-probe") do family[#family + 1] = pid end
        return not server.runs(world.running.pid) or world.running:log():find("reloaded: generation", 1, true)
      end), world.running:log())
      if world.plan:hit() then hits = hits + 1 end
      world.plan:set(nil, 0)
      if server.runs(world.running.pid) then world.running:signal("KILL") end -- fewer steps than last time
      for _, pid in ipairs(family) do assert.truthy(server.wait_until(PATIENCE, function() return not server.runs(pid) end), pid) end
      local port = world.running.port
      world.running:stop("KILL")
      world:start { flags = { "--access-log=off", "--port=" .. port } }
      assert.equal("m" .. at, version())
      world.running:stop()
    end
    assert.is_true(hits >= #steps / 3, hits)
  end)

  it("of the admin process, once and again while it starts, in a reload: the next one answers, and no counter runs backwards", function()
    world:start { flags = { "--access-log=off", "--admin=0" } }
    settle()
    local function counters()
      local found = {}
      local page = world.running:admin("GET", "/metrics").body
      for name, value in page:gmatch("\n(demilune_%w[%w_]*_total[^ \n]*) (%d+)") do found[name] = tonumber(value) end
      assert.is_true(found["demilune_connections_accepted_total"] > 0)
      return found
    end
    for round = 1, 4 do
      for _ = 1, 5 do version() end
      local before, done, first = counters(), reloads(), world.running:children("demilune-admin")[1]
      world:save(app("a" .. round))
      world.plan:set("admin", 1)
      if round % 2 == 0 then os.execute("kill -9 " .. first) end
      world.running:signal("HUP")
      if round % 2 == 1 then os.execute("kill -9 " .. first) end
      assert.truthy(server.wait_until(PATIENCE, function() return world.plan:hit() end), world.running:log())
      world.plan:set(nil, 0)
      assert.truthy(server.wait_until(PATIENCE, function() return reloads() > done and version() == "a" .. round end), world.running:log())
      settle()
      local after = counters()
      for name, value in pairs(before) do assert.is_true(after[name] >= value, name) end
      assert.equal(before.demilune_workers_died_total, after.demilune_workers_died_total)
      assert.equal(200, world.running:admin("GET", "/readyz").status)
    end
    world:stop()
  end)

  for _, role in ipairs { "master", "starting" } do
    it(("at each step of a start of three workers, of a %s process, leaves nothing behind, and the next start serves"):format(role), function()
      local path = world.folder .. "/socket"
      local several = { workers = 3, flags = { "--access-log=off", "--unix=" .. path, "--admin=unix:" .. world.folder .. "/admin" } }
      local function serves()
        world:start(several)
        local connection = http.connect_unix(path, PATIENCE)
        assert.equal(200, connection:request("GET", "/version").status)
        connection:close()
        local steps = world.plan:get() -- those of the start, without the stop's
        world:stop()
        assert.equal("", io.popen("ls -A " .. world.folder .. " | grep -v '^data$\\|^killer$'"):read("*a"))
        return steps
      end
      world.plan:set(role, 2 ^ 40)
      local last, hits = serves(), 0
      world.plan:set(nil, 0)
      for _, at in ipairs(chosen(last, 6)) do
        world.plan:set(role, at)
        local started, message = pcall(world.start, world, several)
        world.plan:rest()
        local hit = world.plan:hit()
        hits = hits + (hit and 1 or 0)
        if started and hit and role == "master" then world.running:stop("KILL") -- at one of the steps behind its word that it listens
        elseif started then world:stop() end
        world.plan:set(nil, 0)
        if not started and role == "starting" then
          assert.truthy(message:find("ended by signal 9 (Killed) while the server started", 1, true), message)
        end
        assert.is_true(started or hit, message)
        assert.truthy(server.wait_until(PATIENCE, function() return #select(2, world:processes()) == 0 end))
        serves()
      end
      assert.is_true(hits >= 2, hits)
    end)
  end

  it("of the old or the new master at each step of an upgrade leaves one that serves, or nothing at all", function()
    local function upgrade(at)
      world:start()
      world.plan:set("master", at)
      world.running:signal("USR2")
      local masters
      assert.truthy(server.wait_until(PATIENCE, function()
        masters = world:processes()
        local is_new = #masters == 1 and masters[1] ~= world.running.pid
        local goes_on = #masters == 1 and world.running:log():find("the new program did not start", 1, true)
        return is_new or world.plan:hit() and (#masters == 0 or goes_on)
      end), world.running:log())
      local steps, hit = world.plan:get()
      world.plan:set(nil, 0)
      if #masters == 1 then
        assert.truthy(server.wait_until(PATIENCE, function() return version() == "v1" end), world.running:log())
        os.execute("kill -TERM " .. masters[1])
      end
      assert.truthy(server.wait_until(PATIENCE, function() return #select(2, world:processes()) == 0 end), world.running:log())
      assert.is_false((pcall(world.running.connect, world.running)))
      world.running:stop("KILL")
      return steps, hit ~= 0
    end
    local last, hits = upgrade(2 ^ 40), 0
    local steps = chosen(last, 5)
    for _, at in ipairs(steps) do hits = hits + (select(2, upgrade(at)) and 1 or 0) end
    assert.is_true(hits >= #steps / 3, hits) -- how often masters look at their channels varies, and the last steps with it
  end)

  it("at each step of a start that migrates leaves each file applied wholly or not at all, and the next start goes on", function()
    world.plan:set("worker", 2 ^ 40)
    world:start()
    local last = world.plan:get()
    world.plan:set(nil, 0)
    assert.equal(MIGRATED, world.running:request("GET", "/schema").body)
    world.running:stop()
    assert.is_true(last > 20)
    local hits = 0
    for _, at in ipairs(chosen(last, 6)) do
      os.execute("rm -rf " .. world.data)
      world.plan:set("worker", at)
      local started = pcall(world.start, world)
      local hit = world.plan:hit()
      world.plan:set(nil, 0)
      assert.is_true(started or hit)
      hits = hits + (hit and 1 or 0)
      if started then world.running:stop("KILL") end
      world:start()
      assert.equal(MIGRATED, world.running:request("GET", "/schema").body)
      world:stop()
    end
    assert.is_true(hits >= 3, hits)
  end)

  it("aside, two servers that migrate one database at once apply each file once, and both serve", function()
    local other, second = server.write_app(kills.files "v1"), nil
    world:start { meanwhile = function() second = second or server.start(other, { workers = 2, data = world.data }) end }
    assert.equal(MIGRATED, world.running:request("GET", "/schema").body)
    assert.equal(MIGRATED, second:request("GET", "/schema").body)
    assert.equal(0, (second:stop()))
    world:stop()
    server.remove_folder(other)
  end)

  it("at each step of a write loses nothing that a client read the 201 of", function()
    world:start { workers = 1 }
    world.plan:set("worker", 2 ^ 40)
    for number = 1, 4 do assert.equal(201, world.running:request("POST", "/items/" .. number).status) end
    local last = world.plan:get()
    world.plan:set(nil, 0)
    assert.is_true(last >= 4 * 2, last) -- a write of the log and its fsync, before and after
    local acknowledged, number, hits = 4, 1000, 0
    for _, at in ipairs(chosen(last, 8)) do
      world.plan:set("worker", at)
      local open = {}
      for n = 1, 6 do -- together, for one commit of several
        number = number + 1
        open[n] = world.running:connect(PATIENCE)
        open[n]:send(("POST /items/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):format(number))
      end
      for n = 1, 6 do
        local response = open[n]:receive()
        if response and response.status == 201 then acknowledged = acknowledged + 1 end
        open[n]:close()
      end
      if world.plan:hit() then hits = hits + 1 end
      world.plan:set(nil, 0)
      assert.truthy(server.wait_until(PATIENCE, function() return #world.running:workers() == 1 end))
      local kept = tonumber(world.running:request("GET", "/items").body) - 2
      assert.is_true(kept >= acknowledged, ("step %d: %d acknowledged, %d there"):format(at, acknowledged, kept))
      acknowledged = kept
      assert.equal("ok", world.running:request("GET", "/schema").body:match("%S+$"))
    end
    assert.is_true(hits >= 2, hits) -- writes that came together have fewer steps
    world:stop()
  end)

  -- In the middle of a deploy: the new files are there, their reload is still to come.
  it("of a worker applies no migration that only a reload should, and the reload does", function()
    world:start { flags = { "--access-log=off", "--admin=0" } }
    settle()
    files.write(world.app .. "/migrations/0003_other.sql", "CREATE TABLE other (id INTEGER); DROP TABLE more;")
    files.write(world.app .. "/migrations/0002_more.sql", "half of a fi") -- a copy that has not ended
    local before = world.running:workers()[1]
    os.execute("kill -KILL " .. before)
    assert.truthy(server.wait_until(PATIENCE, function() return world.running:log():find("is replaced", 1, true) end), world.running:log())
    settle()
    for _ = 1, 10 do assert.equal(MIGRATED, world.running:request("GET", "/schema").body) end
    files.write(world.app .. "/migrations/0002_more.sql", kills.MIGRATIONS["migrations/0002_more.sql"])
    world:save((app("v2"):gsub("FROM more", "FROM other")))
    world.running:signal("HUP")
    assert.truthy(server.wait_until(PATIENCE, function() return reloads() == 1 end), world.running:log())
    assert.truthy(world.running:log():find("migrations applied: 0003_other.sql", 1, true), world.running:log())
    for _ = 1, 10 do assert.equal("3 2 0 ok", world.running:request("GET", "/schema").body) end
    world:stop()
  end)
end)
