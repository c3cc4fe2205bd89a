-- SPDX-License-Identifier: MIT
-- Processes that stop (SIGSTOP) at a step of a reload, of an upgrade and of a write, and continue later or never: the others serve meanwhile,
-- what continues does nothing twice, and what stays stopped is ended after ten seconds and replaced. Steps are those of tests/kills/killer.c.

local files = require "spec.support.files"
local kills = require "spec.support.kills"
local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE, SIGSTOP = kills.PATIENCE, kills.SIGSTOP
local ENDED = "was stopped for 10 s and is ended"

local function signal(name, pid) os.execute(("kill -%s %d 2>/dev/null"):format(name, pid)) end

-- Who is hit is told a moment before it stops; and a new master may have continued it as well.
local function continue(pid)
  server.wait_until(1, function() return (files.read("/proc/" .. pid .. "/status") or ""):find "\nState:%s*T" end)
  signal("CONT", pid)
end

describe("a process that stops", function()
  local world = kills.world(kills.files "v1")

  local function wait(ready) assert.truthy(server.wait_until(PATIENCE, ready), world.running:log()) end

  local function save(word) world:save(kills.app(word)) end

  -- Somebody answers, while those whose worker is stopped wait.
  local function answers()
    wait(function()
      local connection = world.running:connect(0.5)
      local response = connection:request("GET", "/version")
      connection:close()
      return response and response.status == 200
    end)
  end

  local function ends() return select(2, world.running:log():gsub(ENDED, "")) end

  local function serves_only(word)
    wait(function()
      for _ = 1, 10 do
        if kills.version(world.running) ~= word then return false end
      end
      return true
    end)
  end

  -- A reload to `word` in which a process of that role stops at that step; gives the process.
  local function reload_until_stopped(role, at, word)
    local done = kills.reloads(world.running)
    save(word)
    world.plan:set(role, at, SIGSTOP)
    world.running:signal("HUP")
    wait(function() return world.plan:hit() or kills.reloads(world.running) > done end)
    local _, pid = world.plan:get()
    world.plan:set(nil, 0)
    return pid ~= 0 and pid or nil, function() wait(function() return kills.reloads(world.running) > done end) end
  end

  local function steps_of(role)
    world.plan:set(role, 2 ^ 40)
    save("counted")
    world.running:signal("HUP")
    serves_only("counted")
    local steps = world.plan:get()
    world.plan:set(nil, 0)
    return steps
  end

  it("as a worker, at a step of a reload, does what it missed once it continues, and is not replaced", function()
    world:start()
    local workers, hits = world.running:workers(), 0
    for _, at in ipairs(kills.chosen(steps_of "worker", 4)) do
      local pid, outcome = reload_until_stopped("worker", at, "c" .. at)
      answers()
      if pid then
        hits = hits + 1
        continue(pid)
      end
      outcome()
      serves_only("c" .. at)
    end
    assert.is_true(hits >= 2, hits)
    assert.same(workers, world.running:workers())
    assert.equal(0, ends())
    world:stop()
  end)

  it("as a worker, at a step of a reload, and does not continue is replaced, and the reload is for all", function()
    world:start()
    local hits = 0
    for _, at in ipairs(kills.chosen(steps_of "worker", 3)) do
      local pid, outcome = reload_until_stopped("worker", at, "n" .. at)
      answers()
      outcome()
      serves_only("n" .. at)
      if pid then
        hits = hits + 1
        wait(function() return ends() == hits and not server.runs(pid) end)
      end
      wait(function() return #world.running:workers() == 2 end)
    end
    assert.is_true(hits >= 2, hits)
    assert.is_nil(world.running:log():find("the reload failed", 1, true))
  end)

  it("as the one that tries an app ends only its reload, and the next one works", function()
    world:start()
    local pid, outcome = reload_until_stopped("probe", 2, "tried")
    assert.truthy(pid)
    for _ = 1, 5 do assert.equal("v1", kills.version(world.running)) end
    outcome()
    assert.truthy(world.running:log_line("the reload failed", "loading the app did not come to an end"))
    save("next")
    world.running:signal("HUP")
    serves_only("next")
  end)

  it("as the one that tries an app, once it has said what it knows, keeps neither its reload nor the next one waiting", function()
    world:start()
    local pid, outcome = reload_until_stopped("probe", steps_of "probe", "said") -- the last one is behind its word
    assert.truthy(pid)
    outcome()
    serves_only "said"
    save "next"
    world.running:signal("HUP")
    serves_only "next"
    assert.is_false(server.runs(pid))
    assert.equal(0, ends())
  end)

  it("as the master, at a step of a reload, keeps nobody from being served, and ends the reload once it continues", function()
    world:start()
    local workers, hits, word = world.running:workers(), 0, "counted"
    for _, at in ipairs(kills.chosen(steps_of "master", 6)) do
      local before = kills.reloads(world.running)
      local pid, outcome = reload_until_stopped("master", at, "m" .. at)
      for _ = 1, 6 do
        local got = kills.version(world.running)
        assert.is_true(got == word or got == "m" .. at, got)
      end
      if pid then
        hits = hits + 1
        continue(pid)
      end
      outcome()
      word = "m" .. at
      serves_only(word)
      assert.equal(before + 1, kills.reloads(world.running))
    end
    assert.is_true(hits >= 3, hits)
    assert.same(workers, world.running:workers())
    world:stop()
  end)

  it("as the admin process is replaced, its visitors are answered, and no counter runs backwards", function()
    world:start { flags = { "--access-log=off", "--admin=0" } }
    local function count()
      return tonumber(world.running:admin("GET", "/metrics").body:match('\ndemilune_http_requests_total{[^}]*route="/version"[^}]*} (%d+)'))
    end
    for _ = 1, 7 do kills.version(world.running) end
    wait(function() return count() == 7 end)
    local first = world.running:children("demilune-admin")[1]
    signal("STOP", first)
    local visitor = require("spec.support.http").connect(world.running:admin_port(), PATIENCE)
    visitor:send("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert.equal("v1", kills.version(world.running))
    assert.equal(200, visitor:receive().status)
    assert.is_false(server.runs(first))
    assert.equal(1, ends())
    wait(function() return count() == 8 end)
  end)

  it("for less than ten seconds is left alone", function()
    world:start()
    local workers = world.running:workers()
    for _ = 1, 3 do
      signal("STOP", workers[1])
      server.wait_until(4, function() end)
      continue(workers[1])
      server.wait_until(0.2, function() end)
    end
    serves_only("v1")
    assert.same(workers, world.running:workers())
  end)

  -- Stopped behind the word of a new master, which serves: not by the log, whose last lines it may still have. Or stopped in the moment
  -- behind that, in which it is told to end and continued, so that the word still waits for it seconds later.
  local function has_begun_to_end(pid, began)
    local status, SIGTERM = files.read("/proc/" .. pid .. "/status") or "", 0x4000
    local pending = tonumber(status:match("\nShdPnd:%s*%x*(%x%x%x%x)\n") or "0", 16)
    local announced = select(2, world.running:log():gsub("listening on", ""))
    return status:find("\nState:%s*T") and announced == 2 and (bit.band(pending, SIGTERM) == 0 or socket.gettime() > began + 3)
  end

  it("as the old or the new master, at a step of an upgrade, leaves one of them, and nothing behind", function()
    local function upgrade(at)
      world:start()
      local old = world.running.pid
      world.plan:set("master", at, SIGSTOP)
      world.running:signal("USR2")
      local masters
      wait(function()
        masters = world:processes()
        return world.plan:hit() or #masters == 1 and masters[1] ~= old
      end)
      world.plan:rest()
      if world.plan:get() >= at then wait(function() return world.plan:hit() end) end -- also where the upgrade was over before it
      local steps, pid = world.plan:get()
      answers()
      -- The new one is ended, or the old one continued by it: unless it had begun already to end, or not begun to start it.
      local began = socket.gettime()
      wait(function()
        masters = world:processes()
        return #masters == 1 or pid == old and has_begun_to_end(old, began)
      end)
      if pid ~= 0 then continue(pid) end
      wait(function()
        masters = world:processes()
        return #masters == 1 and kills.version(world.running) == "v1"
      end)
      -- The old one, when it continues now, begins only now.
      if pid == old then wait(function()
        masters = world:processes()
        return #masters == 1 and masters[1] ~= old
      end) end
      signal("TERM", masters[1])
      wait(function() return #select(2, world:processes()) == 0 end)
      assert.is_false((pcall(world.running.connect, world.running)))
      world.running:stop("KILL")
      return steps, pid
    end
    local last, hits = upgrade(2 ^ 40), 0
    for _, at in ipairs(kills.chosen(last, 5)) do hits = hits + (select(2, upgrade(at)) ~= 0 and 1 or 0) end
    assert.is_true(hits >= 2, hits)
  end)

  it("as the new program goes when the old one is told to end", function()
    world:start()
    world.plan:set("starting", 1, SIGSTOP) -- a child of a master: there are none but the new one's workers
    world.running:signal("USR2")
    wait(function() return world.plan:hit() end)
    world.plan:set(nil, 0)
    local masters = world:processes()
    for _, pid in ipairs(masters) do
      if pid ~= world.running.pid then signal("STOP", pid) end
    end
    world.running:signal("TERM")
    wait(function() return #select(2, world:processes()) == 0 end)
    assert.is_false((pcall(world.running.connect, world.running)))
  end)

  for _, continues in ipairs { true, false } do
    it("as a worker, at a step of a write, loses and repeats nothing when it " .. (continues and "continues" or "does not continue"), function()
      world:start()
      world.plan:set("worker", 2 ^ 40)
      for number = 1, 4 do assert.equal(201, world.running:request("POST", "/items/" .. number).status) end
      local last = world.plan:get()
      world.plan:set(nil, 0)
      local kept, number, stops = 4, 1000, 0
      for _, at in ipairs(kills.chosen(last, continues and 6 or 2)) do
        world.plan:set("worker", at, SIGSTOP)
        local open, acknowledged = {}, 0
        for n = 1, 8 do
          number = number + 1
          open[n] = world.running:connect(PATIENCE)
          open[n]:send(("POST /items/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):format(number))
        end
        server.wait_until(3, function() return world.plan:hit() end) -- writes that came together have fewer steps
        local _, pid = world.plan:get()
        world.plan:set(nil, 0)
        answers()
        if pid ~= 0 then stops = stops + 1 end
        if pid ~= 0 and continues then continue(pid) end
        for n = 1, 8 do
          local response = open[n]:receive()
          if response and response.status == 201 then acknowledged = acknowledged + 1 end
          open[n]:close()
        end
        wait(function() return #world.running:workers() == 2 and (continues or pid == 0 or not server.runs(pid)) end)
        local now = tonumber(world.running:request("GET", "/items").body) - 2
        if continues then assert.equal(8, acknowledged) end
        local told = ("step %d: %d, %d more acknowledged, %d there"):format(at, kept, acknowledged, now)
        assert.is_true(now >= kept + acknowledged and now <= kept + 8, told)
        kept = now
        assert.equal("ok", world.running:request("GET", "/schema").body:match("%S+$"))
        number = number + 1
        wait(function() return world.running:request("POST", "/items/" .. number).status == 201 end)
        kept = kept + 1
      end
      assert.is_true(stops >= 1, stops)
      assert.equal(continues and 0 or stops, ends())
      world:stop()
    end)
  end
end)

describe("a stop in the midst of a reload", function()
  local APP = [[
local app = require("demilune").app { guard = require("demilune").guard.public }
app:get("/version", function() return "v1 " end)
return app
]]
  local world = kills.world { ["app.lua"] = APP }
  -- It hears that it is to load, and says that it has: a message is two steps, before it and behind it.
  local HAS_LOADED = 4

  it("is told as that, for workers change by then", function()
    world:start { workers = 1 }
    world.plan:set("worker", HAS_LOADED, SIGSTOP)
    local asked = io.popen(("%s reload %s 2>&1; echo status $?"):format(server.program, world.app))
    assert.truthy(server.wait_until(PATIENCE, function() return world.plan:hit() end), world.running:log())
    world.running:signal("TERM")
    local told = asked:read("*a")
    asked:close()
    continue(select(2, world.plan:get()))
    assert.equal("demilune: the server is stopping in the midst of the reload, while its workers change to generation 2; the next start loads the "
      .. "files anew\nstatus 1\n", told)
    assert.equal(0, server.wait_until(PATIENCE, function() return world.running:exit_status() end), world.running:log())
    assert.is_nil(world.running:log():find("the reload failed", 1, true))
  end)
end)
