-- SPDX-License-Identifier: MIT
-- kill -9 (and where it says so, abort) at each step of a reload, of an upgrade, of a start, of a migration and of a write. The steps are those of
-- tests/kills/killer.c, preloaded into the real program: before and after each call by which processes, messages or files change. Usually every
-- few of them are tried; with DEMILUNE_KILLS=all every one.

local ffi = require "ffi"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local KILLER = (server.program:match("^(.*)/") or ".") .. "/tests/killer.so"
local ROLES = { master = 1, starting = 2, worker = 3, probe = 4 }
local SIGABRT, SIGKILL = 6, 9
local ALL = os.getenv "DEMILUNE_KILLS" == "all"

local function app(version)
  return ([=[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { title = "Kills", version = "1", guard = demilune.guard.public }
local version = "%s"
app:get("/version", function() return (version .. " "):rep(2000) end)
local db = app:database("sqlite:test.db")
local add = db:statement "INSERT INTO items (number) VALUES (:number)"
local count = db:statement "SELECT count(*) FROM items WHERE number <= :number"
local schema = db:statement [[SELECT (SELECT count(*) FROM demilune_migrations) || ' ' ||
  (SELECT count(*) FROM items) || ' ' || (SELECT count(*) FROM more)]]
local whole = db:statement "SELECT integrity_check FROM pragma_integrity_check"
app:post("/items/{number}", { path = { number = model.integer() }, status = 201 }, function(req)
  add:run { number = req.path.number }
  return "kept"
end)
app:get("/items", function() return tostring(count:value { number = 1e9 }) end)
app:get("/schema", function() return schema:value() .. " " .. whole:value() end)
return app
]=]):format(version)
end

local MIGRATIONS = {
  ["migrations/0001_items.sql"] = "CREATE TABLE items (number INTEGER UNIQUE);\nINSERT INTO items VALUES (-1); INSERT INTO items VALUES (-2);",
  ["migrations/0002_more.sql"] = "CREATE TABLE more (id INTEGER PRIMARY KEY);\nINSERT INTO more VALUES (1); INSERT INTO more VALUES (2);",
}
local MIGRATED = "2 2 2 ok" -- both files, the rows of each, once

-- The plan that the killer has mapped: role, at, signal, steps, hit.
local Plan = {}
Plan.__index = Plan

function Plan.new(folder)
  local self = setmetatable({ path = folder .. "/killer" }, Plan)
  local file = assert(io.open(self.path, "wb"))
  file:write(("\0"):rep(40))
  file:close()
  return self
end

function Plan:set(role, at, signal)
  for _, values in ipairs { { 0, 0, 0, 0, 0 }, { ROLES[role] or 0, at, signal or SIGKILL, 0, 0 } } do -- nobody counts while it changes
    local file = assert(io.open(self.path, "r+b"))
    file:write(ffi.string(ffi.new("int64_t[5]", values), 40))
    file:close()
  end
end

function Plan:get()
  local file = assert(io.open(self.path, "rb"))
  local text = file:read("*a")
  file:close()
  local values = ffi.cast("const int64_t *", text)
  return tonumber(values[3]), tonumber(values[4])
end

function Plan:hit() return select(2, self:get()) ~= 0 end

describe("kill -9", function()
  local world, folder, data, plan, running
  before_each(function()
    world = server.make_folder()
    data, plan = world .. "/data", Plan.new(world)
    folder = server.write_app { ["app.lua"] = app "v1", ["migrations/0001_items.sql"] = MIGRATIONS["migrations/0001_items.sql"],
      ["migrations/0002_more.sql"] = MIGRATIONS["migrations/0002_more.sql"] }
  end)
  after_each(function()
    if running then running:stop("KILL") end
    running = nil
    server.remove_folder(folder)
    server.remove_folder(world)
  end)

  local function options(extra)
    local env = { KILLER = plan.path, LD_PRELOAD = KILLER, ASAN_OPTIONS = "verify_asan_link_order=0" }
    local all = { workers = 2, data = data, flags = { "--access-log=off" }, env = env }
    for name, value in pairs(extra or {}) do all[name] = value end
    return all
  end
  local function start(extra) running = server.start(folder, options(extra)) end
  local function save(text)
    local file = assert(io.open(folder .. "/app.lua", "w"))
    file:write(text)
    file:close()
  end

  -- Whole, of one version; nil where the connection was lost.
  local function version()
    local connection = running:connect(PATIENCE)
    local response = connection:request("GET", "/version")
    connection:close()
    if not response then return nil end
    assert.equal(200, response.status)
    local word = response.body:match("^(%S+) ")
    assert.equal((word .. " "):rep(2000), response.body)
    return word
  end

  local function reloads()
    local log = running:log()
    return select(2, log:gsub("reloaded: generation", "")) + select(2, log:gsub("the reload failed", ""))
  end

  local function descriptors(pid)
    local pipe = io.popen(("ls -U /proc/%d/fd | wc -l"):format(pid))
    local count = tonumber(pipe:read("*a"))
    pipe:close()
    return count
  end

  -- The processes that there should be, and each worker that was hit has a successor that serves.
  local function settle()
    assert.truthy(server.wait_until(PATIENCE, function()
      if #running:workers() ~= 2 or #running:children "demilune-probe" ~= 0 or #running:children "demilune-admin" ~= 1 then return false end
      local metrics = running:admin("GET", "/metrics").body
      local died, replaced = metrics:match("\ndemilune_workers_died_total (%d+)"), metrics:match("\ndemilune_workers_replaced_total (%d+)")
      return died ~= nil and died == replaced
    end), running:log())
  end

  local function reload_to(word)
    save(app(word))
    local before = reloads()
    running:signal("HUP")
    assert.truthy(server.wait_until(PATIENCE, function() return reloads() > before end), running:log())
    -- A worker that came late follows within moments.
    assert.truthy(server.wait_until(PATIENCE, function()
      for _ = 1, 10 do
        if version() ~= word then return false end
      end
      return true
    end), running:log())
  end

  -- How many steps of that role a reload has.
  local function steps_of(role, word)
    plan:set(role, 2 ^ 40)
    reload_to(word)
    local steps = plan:get()
    plan:set(nil, 0)
    return steps
  end

  -- Steps from first to last: all, or `some` of them evenly.
  local function chosen(last, some)
    local steps = {}
    local stride = ALL and 1 or math.max(1, math.ceil(last / some))
    for at = 1, last, stride do steps[#steps + 1] = at end
    return steps
  end

  for _, case in ipairs { { "worker", SIGKILL }, { "probe", SIGKILL }, { "starting", SIGKILL }, { "worker", SIGABRT }, { "probe", SIGABRT } } do
    local role, signal = unpack(case)
    local title = "of a %s process at each step of a reload loses no service, leaves nothing behind, and the next reload works"
    it((signal == SIGKILL and title or "or abort " .. title):format(role), function()
      start { flags = { "--access-log=off", "--admin=0" } }
      settle()
      local steps = chosen(steps_of(role, "v2"), 4)
      assert.is_true(#steps >= 2)
      settle()
      local before, word, hits = descriptors(running.pid), "v2", 0
      for _, at in ipairs(steps) do
        local next_word, done = "k" .. role .. at, reloads()
        save(app(next_word))
        plan:set(role, at, signal)
        running:signal("HUP")
        assert.truthy(server.wait_until(PATIENCE, function()
          local got = version()
          assert.is_true(got == nil or got == word or got == next_word, got)
          return reloads() > done
        end), running:log())
        if plan:hit() then hits = hits + 1 end
        plan:set(nil, 0)
        settle()
        word = "n" .. role .. at
        reload_to(word)
        settle()
      end
      assert.is_true(hits > #steps / 2, hits)
      assert.truthy(server.wait_until(PATIENCE, function() return descriptors(running.pid) <= before end))
      assert.equal(0, (running:stop()))
      running = nil
    end)
  end

  it("of the master at each step of a reload leaves no process, and a new start on its port serves", function()
    start { flags = { "--access-log=off", "--admin=0" } }
    local last = steps_of("master", "v2")
    running:stop()
    for _, at in ipairs(chosen(last, 4)) do
      start { flags = { "--access-log=off", "--admin=0" } }
      settle()
      local family = running:workers()
      family[#family + 1] = running:children("demilune-admin")[1]
      save(app("m" .. at))
      plan:set("master", at)
      running:signal("HUP")
      assert.truthy(server.wait_until(PATIENCE, function()
        for _, pid in ipairs(running:children "demilune-probe") do family[#family + 1] = pid end
        return not server.runs(running.pid) or running:log():find("reloaded: generation", 1, true)
      end), running:log())
      plan:set(nil, 0)
      if server.runs(running.pid) then running:signal("KILL") end -- fewer steps than last time
      for _, pid in ipairs(family) do assert.truthy(server.wait_until(PATIENCE, function() return not server.runs(pid) end), pid) end
      local port = running.port
      running:stop("KILL")
      start { flags = { "--access-log=off", "--port=" .. port } }
      assert.equal("m" .. at, version())
      running:stop()
    end
    running = nil
  end)

  -- The masters of this folder, and all processes of it.
  local function processes()
    local masters, all = {}, {}
    local pipe = io.popen("pgrep -f " .. folder)
    for pid in pipe:read("*a"):gmatch("%d+") do
      local file = io.open("/proc/" .. pid .. "/comm")
      local name = file and file:read("*l") or ""
      if file then file:close() end
      if name:match("^demilune") and server.runs(pid) then all[#all + 1] = tonumber(pid) end
      if name == "demilune" and server.runs(pid) then masters[#masters + 1] = tonumber(pid) end
    end
    pipe:close()
    return masters, all
  end

  it("of the old or the new master at each step of an upgrade leaves one that serves, or nothing at all", function()
    local function upgrade(at)
      start()
      plan:set("master", at)
      running:signal("USR2")
      local masters
      assert.truthy(server.wait_until(PATIENCE, function()
        masters = processes()
        local told = running:log():find("the new program did not start", 1, true)
        return plan:hit() and (#masters == 0 or #masters == 1 and (masters[1] ~= running.pid or told)) or #masters == 1 and masters[1] ~= running.pid
      end), running:log())
      local steps, hit = plan:get()
      plan:set(nil, 0)
      if #masters == 1 then
        assert.truthy(server.wait_until(PATIENCE, function() return version() == "v1" end), running:log())
        os.execute("kill -TERM " .. masters[1])
      end
      assert.truthy(server.wait_until(PATIENCE, function() return #select(2, processes()) == 0 end), running:log())
      assert.is_false((pcall(running.connect, running)))
      running:stop("KILL")
      running = nil
      return steps, hit ~= 0
    end
    local last, hits = upgrade(2 ^ 40), 0
    local steps = chosen(last, 5)
    for _, at in ipairs(steps) do hits = hits + (select(2, upgrade(at)) and 1 or 0) end
    assert.is_true(hits >= #steps / 3, hits) -- how often masters look at their channels varies, and the last steps with it
  end)

  it("at each step of a start that migrates leaves each file applied wholly or not at all, and the next start goes on", function()
    plan:set("worker", 2 ^ 40)
    start()
    local last = plan:get()
    plan:set(nil, 0)
    assert.equal(MIGRATED, running:request("GET", "/schema").body)
    running:stop()
    assert.is_true(last > 20)
    for _, at in ipairs(chosen(last, 6)) do
      os.execute("rm -rf " .. data)
      plan:set("worker", at)
      local started = pcall(start)
      local hit = plan:hit()
      plan:set(nil, 0)
      assert.is_true(started or hit)
      if started then running:stop("KILL") end
      start()
      assert.equal(MIGRATED, running:request("GET", "/schema").body)
      assert.equal(0, (running:stop()))
      running = nil
    end
  end)

  it("aside, two servers that migrate one database at once apply each file once, and both serve", function()
    local other, second = server.write_app { ["app.lua"] = app "v1", ["migrations/0001_items.sql"] = MIGRATIONS["migrations/0001_items.sql"],
      ["migrations/0002_more.sql"] = MIGRATIONS["migrations/0002_more.sql"] }
    start { meanwhile = function() second = second or server.start(other, options()) end }
    assert.equal(MIGRATED, running:request("GET", "/schema").body)
    assert.equal(MIGRATED, second:request("GET", "/schema").body)
    assert.equal(0, (second:stop()))
    assert.equal(0, (running:stop()))
    running = nil
    server.remove_folder(other)
  end)

  it("at each step of a write loses nothing that a client read the 201 of", function()
    start { workers = 1 }
    plan:set("worker", 2 ^ 40)
    for number = 1, 4 do assert.equal(201, running:request("POST", "/items/" .. number).status) end
    local last = plan:get()
    plan:set(nil, 0)
    assert.is_true(last >= 4 * 2, last) -- a write of the log and its fsync, before and after
    local acknowledged, number = 4, 1000
    for _, at in ipairs(chosen(last, 8)) do
      plan:set("worker", at)
      local open = {}
      for n = 1, 6 do -- together, for one commit of several
        number = number + 1
        open[n] = running:connect(PATIENCE)
        open[n]:send(("POST /items/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):format(number))
      end
      for n = 1, 6 do
        local response = open[n]:receive()
        if response and response.status == 201 then acknowledged = acknowledged + 1 end
        open[n]:close()
      end
      plan:set(nil, 0)
      assert.truthy(server.wait_until(PATIENCE, function() return #running:workers() == 1 end))
      local kept = tonumber(running:request("GET", "/items").body) - 2
      assert.is_true(kept >= acknowledged, ("step %d: %d acknowledged, %d there"):format(at, acknowledged, kept))
      acknowledged = kept
      assert.equal("ok", running:request("GET", "/schema").body:match("%S+$"))
    end
    assert.equal(0, (running:stop()))
    running = nil
  end)
end)
