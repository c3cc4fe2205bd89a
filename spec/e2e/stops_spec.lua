-- SPDX-License-Identifier: MIT
-- Processes that stop (SIGSTOP) at a step of a reload, of an upgrade and of a write, and continue later or never: the others serve meanwhile,
-- what continues does nothing twice, and what stays stopped is ended after ten seconds and replaced. Steps are those of tests/kills/killer.c.

local kills = require "spec.support.kills"
local server = require "spec.support.server"

local PATIENCE, SIGSTOP = kills.PATIENCE, kills.SIGSTOP
local ENDED = "was stopped for 10 s and is ended"

local function signal(name, pid) os.execute(("kill -%s %d 2>/dev/null"):format(name, pid)) end

describe("a process that stops", function()
  local world, folder, data, plan, running
  before_each(function()
    world = server.make_folder()
    data, plan, folder = world .. "/data", kills.plan(world), kills.write_app "v1"
  end)
  after_each(function()
    for _, pid in ipairs(select(2, kills.processes(folder))) do signal("KILL", pid) end
    if running then running:stop("KILL") end
    running = nil
    server.remove_folder(folder)
    server.remove_folder(world)
  end)

  local function start(extra) running = server.start(folder, kills.options(plan, data, extra)) end
  local function wait(ready) assert.truthy(server.wait_until(PATIENCE, ready), running:log()) end

  local function save(word)
    local file = assert(io.open(folder .. "/app.lua", "w"))
    file:write(kills.app(word))
    file:close()
  end

  -- Somebody answers, while those whose worker is stopped wait.
  local function answers()
    wait(function()
      local connection = running:connect(0.5)
      local response = connection:request("GET", "/version")
      connection:close()
      return response and response.status == 200
    end)
  end

  local function ends() return select(2, running:log():gsub(ENDED, "")) end

  local function serves_only(word)
    wait(function()
      for _ = 1, 10 do
        if kills.version(running) ~= word then return false end
      end
      return true
    end)
  end

  -- A reload to `word` in which a process of that role stops at that step; gives the process.
  local function reload_until_stopped(role, at, word)
    local done = kills.reloads(running)
    save(word)
    plan:set(role, at, SIGSTOP)
    running:signal("HUP")
    wait(function() return plan:hit() or kills.reloads(running) > done end)
    local _, pid = plan:get()
    plan:set(nil, 0)
    return pid ~= 0 and pid or nil, function() wait(function() return kills.reloads(running) > done end) end
  end

  local function steps_of(role)
    plan:set(role, 2 ^ 40)
    save("counted")
    running:signal("HUP")
    serves_only("counted")
    local steps = plan:get()
    plan:set(nil, 0)
    return steps
  end

  it("as a worker, at a step of a reload, does what it missed once it continues, and is not replaced", function()
    start()
    local workers, hits = running:workers(), 0
    for _, at in ipairs(kills.chosen(steps_of "worker", 4)) do
      local pid, outcome = reload_until_stopped("worker", at, "c" .. at)
      answers()
      if pid then
        hits = hits + 1
        signal("CONT", pid)
      end
      outcome()
      serves_only("c" .. at)
    end
    assert.is_true(hits >= 2, hits)
    assert.same(workers, running:workers())
    assert.equal(0, ends())
    assert.equal(0, (running:stop()))
    running = nil
  end)

  it("as a worker, at a step of a reload, and does not continue is replaced, and the reload is for all", function()
    start()
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
      wait(function() return #running:workers() == 2 end)
    end
    assert.is_true(hits >= 2, hits)
    assert.is_nil(running:log():find("the reload failed", 1, true))
  end)

  it("as the one that tries an app ends only its reload, and the next one works", function()
    start()
    local pid, outcome = reload_until_stopped("probe", 2, "tried")
    assert.truthy(pid)
    for _ = 1, 5 do assert.equal("v1", kills.version(running)) end
    outcome()
    assert.truthy(running:log_line("the reload failed", "loading the app did not come to an end"))
    save("next")
    running:signal("HUP")
    serves_only("next")
  end)

  it("as the master, at a step of a reload, keeps nobody from being served, and ends the reload once it continues", function()
    start()
    local workers, hits, word = running:workers(), 0, "counted"
    for _, at in ipairs(kills.chosen(steps_of "master", 6)) do
      local before = kills.reloads(running)
      local pid, outcome = reload_until_stopped("master", at, "m" .. at)
      for _ = 1, 6 do
        local got = kills.version(running)
        assert.is_true(got == word or got == "m" .. at, got)
      end
      if pid then
        hits = hits + 1
        signal("CONT", pid)
      end
      outcome()
      word = "m" .. at
      serves_only(word)
      assert.equal(before + 1, kills.reloads(running))
    end
    assert.is_true(hits >= 3, hits)
    assert.same(workers, running:workers())
    assert.equal(0, (running:stop()))
    running = nil
  end)

  it("as the admin process is replaced, its visitors are answered, and no counter runs backwards", function()
    start { flags = { "--access-log=off", "--admin=0" } }
    local function count()
      return tonumber(running:admin("GET", "/metrics").body:match('\ndemilune_http_requests_total{[^}]*route="/version"[^}]*} (%d+)'))
    end
    for _ = 1, 7 do kills.version(running) end
    wait(function() return count() == 7 end)
    local first = running:children("demilune-admin")[1]
    signal("STOP", first)
    local visitor = require("spec.support.http").connect(running:admin_port(), PATIENCE)
    visitor:send("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert.equal("v1", kills.version(running))
    assert.equal(200, visitor:receive().status)
    assert.is_false(server.runs(first))
    assert.equal(1, ends())
    wait(function() return count() == 8 end)
  end)

  it("for less than ten seconds is left alone", function()
    start()
    local workers = running:workers()
    for _ = 1, 3 do
      signal("STOP", workers[1])
      server.wait_until(4, function() end)
      signal("CONT", workers[1])
      server.wait_until(0.2, function() end)
    end
    serves_only("v1")
    assert.same(workers, running:workers())
  end)

  it("as the old or the new master, at a step of an upgrade, leaves one of them, and nothing behind", function()
    local function upgrade(at)
      start()
      local old = running.pid
      plan:set("master", at, SIGSTOP)
      running:signal("USR2")
      local masters
      wait(function()
        masters = kills.processes(folder)
        return plan:hit() or #masters == 1 and masters[1] ~= old
      end)
      local steps, pid = plan:get()
      plan:set(nil, 0)
      answers()
      -- The new one is ended, or the old one continued by it: unless it had begun already to end, or not begun to start it.
      wait(function()
        masters = kills.processes(folder)
        return #masters == 1 or pid == old and running:log():find("stopping: no new", 1, true)
      end)
      if pid ~= 0 then signal("CONT", pid) end
      wait(function()
        masters = kills.processes(folder)
        return #masters == 1 and kills.version(running) == "v1"
      end)
      -- The old one, when it continues now, begins only now.
      if pid == old then wait(function()
        masters = kills.processes(folder)
        return #masters == 1 and masters[1] ~= old
      end) end
      signal("TERM", masters[1])
      wait(function() return #select(2, kills.processes(folder)) == 0 end)
      assert.is_false((pcall(running.connect, running)))
      running:stop("KILL")
      running = nil
      return steps, pid
    end
    local last, hits = upgrade(2 ^ 40), 0
    for _, at in ipairs(kills.chosen(last, 5)) do hits = hits + (select(2, upgrade(at)) ~= 0 and 1 or 0) end
    assert.is_true(hits >= 2, hits)
  end)

  it("as the new program goes when the old one is told to end", function()
    start()
    plan:set("starting", 1, SIGSTOP) -- a child of a master: there are none but the new one's workers
    running:signal("USR2")
    wait(function() return plan:hit() end)
    plan:set(nil, 0)
    local masters = kills.processes(folder)
    for _, pid in ipairs(masters) do
      if pid ~= running.pid then signal("STOP", pid) end
    end
    running:signal("TERM")
    wait(function() return #select(2, kills.processes(folder)) == 0 end)
    assert.is_false((pcall(running.connect, running)))
  end)

  for _, continues in ipairs { true, false } do
    it("as a worker, at a step of a write, loses and repeats nothing when it " .. (continues and "continues" or "does not continue"), function()
      start()
      plan:set("worker", 2 ^ 40)
      for number = 1, 4 do assert.equal(201, running:request("POST", "/items/" .. number).status) end
      local last = plan:get()
      plan:set(nil, 0)
      local kept, number, stops = 4, 1000, 0
      for _, at in ipairs(kills.chosen(last, continues and 6 or 2)) do
        plan:set("worker", at, SIGSTOP)
        local open, acknowledged = {}, 0
        for n = 1, 8 do
          number = number + 1
          open[n] = running:connect(PATIENCE)
          open[n]:send(("POST /items/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):format(number))
        end
        server.wait_until(3, function() return plan:hit() end) -- writes that came together have fewer steps
        local _, pid = plan:get()
        plan:set(nil, 0)
        answers()
        if pid ~= 0 then stops = stops + 1 end
        if pid ~= 0 and continues then signal("CONT", pid) end
        for n = 1, 8 do
          local response = open[n]:receive()
          if response and response.status == 201 then acknowledged = acknowledged + 1 end
          open[n]:close()
        end
        wait(function() return #running:workers() == 2 and (continues or pid == 0 or not server.runs(pid)) end)
        local now = tonumber(running:request("GET", "/items").body) - 2
        if continues then assert.equal(8, acknowledged) end
        local told = ("step %d: %d, %d more acknowledged, %d there"):format(at, kept, acknowledged, now)
        assert.is_true(now >= kept + acknowledged and now <= kept + 8, told)
        kept = now
        assert.equal("ok", running:request("GET", "/schema").body:match("%S+$"))
        number = number + 1
        wait(function() return running:request("POST", "/items/" .. number).status == 201 end)
        kept = kept + 1
      end
      assert.is_true(stops >= 1, stops)
      assert.equal(continues and 0 or stops, ends())
      assert.equal(0, (running:stop()))
      running = nil
    end)
  end
end)
