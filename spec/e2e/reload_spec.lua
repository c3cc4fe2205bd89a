-- SPDX-License-Identifier: MIT
-- A reload: by signal, by command, by a saved file; all workers or none; what is in flight ends where it began.

local clock = require "spec.support.clock"
local files = require "spec.support.files"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds

local function app(version, body)
  return ([[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Reload", version = "1", guard = guard.public }
local version = "%s"
app:get("/version", function() return version end)
app:get("/who", function(req) return req.id:sub(1, 8) .. " " .. version end)
%s
return app
]]):format(version, body or "")
end

describe("a reload", function()
  local folder, running
  local function start(source, options)
    folder = server.write_app(source)
    running = server.start(folder, options or { workers = 2, flags = { "--access-log=off" } })
  end
  after_each(function()
    if running then running:stop("KILL") end
    if folder then server.remove_folder(folder) end
    running, folder = nil, nil
  end)

  local function save(text, name) files.write(folder .. "/" .. (name or "app.lua"), text) end
  local function reload(...) return server.run { "reload", folder, ... } end
  local function version() return running:request("GET", "/version").body end
  local function wait_for_version(text)
    assert.truthy(server.wait_until(PATIENCE, function() return version() == text end), running:log())
  end
  -- Every worker answers so.
  local function all_are(text)
    for _ = 1, 30 do assert.equal(text, version()) end
  end

  it("reaches a worker that began to start before it and serves only after it", function()
    local slow = app("slow", 'app:on_start(function() demilune.sleep("4s") end)')
    start(slow)
    local before = running:workers()
    os.execute("kill -9 " .. before[1])
    assert.truthy(server.wait_until(PATIENCE, function()
      local now = running:workers()
      return #now == 2 and now[1] ~= before[1] and now[2] ~= before[1]
    end))
    save(app "two")
    running:signal("HUP")
    assert.truthy(running:log_line("reloaded: generation 2 serves"))
    local seen, count = {}, 0
    assert.truthy(server.wait_until(PATIENCE, function()
      local connection = running:connect(PATIENCE)
      local id, word = connection:request("GET", "/who").body:match("(%S+) (%S+)")
      connection:close()
      assert.equal("two", word) -- clients of the one that starts wait until it has changed as well
      if not seen[id] then seen[id], count = true, count + 1 end
      return count == 2
    end), running:log())
    all_are "two"
  end)

  it("that failed in one worker answers for no later one where it goes on for a moment", function()
    local DATABASE = [[
local db = app:database("sqlite:reload.db")
local claim = db:statement "INSERT INTO once (id) VALUES (:id) ON CONFLICT DO NOTHING"
local is_claimed = db:statement "SELECT count(*) FROM once WHERE id = :id"
local function wait(id) while is_claimed:value { id = id } == 0 do demilune.sleep("5ms") end end
local started = false
app:get("/started", function() return tostring(started) end)
app:get("/is/{id}", function(req) return tostring(is_claimed:value { id = req.path.id }) end)
app:post("/claim/{id}", function(req) return tostring(claim:run { id = req.path.id }) end)]]
    local FAILS = [[
app:on_start(function()
  if claim:run { id = "fails%d" } == 1 then wait "works%d" return end
  claim:run { id = "waits%d" }
  wait "go%d"
  error "the other worker was first"
end)]]
    local WORKS = [[
app:on_start(function()
  if claim:run { id = "works%d" } == 0 then demilune.sleep("1s") end
  started = true
end)]]
    start { ["app.lua"] = app("one", DATABASE), ["migrations/0001_once.sql"] = "CREATE TABLE once (id TEXT PRIMARY KEY)" }
    for round = 1, 8 do
      save(app("fails", DATABASE .. FAILS:gsub("%%d", round)))
      running:signal("HUP")
      assert.truthy(server.wait_until(PATIENCE, function() return running:request("GET", "/is/waits" .. round).body == "1" end), running:log())
      save(app("works" .. round, DATABASE .. WORKS:gsub("%%d", round)))
      running:signal("HUP") -- and the next one begins in the moment in which this one fails
      assert.equal("1", running:request("POST", "/claim/go" .. round).body)
      assert.truthy(running:log_line("reloaded: generation " .. round + 1))
      for _ = 1, 30 do assert.equal("true", running:request("GET", "/started").body) end
      all_are("works" .. round)
    end
  end)

  it("leaves a worker that ends with what it has, whose stop functions run once", function()
    local STOPS = [[
local who = demilune.random.hex(8)
app:on_stop(function() demilune.log.warning("stop begins", { who = who }) demilune.sleep("2s") demilune.log.warning("stop ends") end)]]
    start(app("one", STOPS))
    os.execute("kill -TERM " .. running:workers()[1])
    assert.truthy(running:log_line('"stop begins"'), running:log())
    save(app "two")
    assert.equal(0, (reload()))
    assert.truthy(server.wait_until(PATIENCE, function() return select(2, running:log():gsub('"stop ends"', "")) >= 2 end), running:log())
    wait_for_version "two"
    local seen = {} -- a worker that began before the reload in the place of the one that ends stops as well
    for who in running:log():gmatch '"stop begins","who":"(%x+)"' do
      assert.is_nil(seen[who], running:log())
      seen[who] = true
    end
  end)

  it("by SIGHUP serves the new files in every worker, on connections that were open before", function()
    start(app "one")
    local kept = running:connect(PATIENCE)
    assert.equal("one", kept:request("GET", "/version").body)
    save(app "two")
    running:signal("HUP")
    assert.truthy(running:log_line("reloaded: generation 2 serves"))
    all_are "two"
    assert.equal("two", kept:request("GET", "/version").body)
    assert.equal(2, #running:workers())
  end)

  it("by demilune reload prints the outcome and returns 0", function()
    start(app "one")
    save(app "two")
    local status, out, err = reload()
    assert.same({ 0, "" }, { status, err })
    assert.truthy(out:find("^demilune: generation 2 serves, after %d+ ms\n$"), out)
    all_are "two"
    save(app "three")
    status, out = server.run({ "reload" }, { folder = folder })
    assert.equal(0, status)
    assert.truthy(out:find("generation 3 serves", 1, true), out)
    all_are "three"
  end)

  it("that fails leaves the old generation, tells why on standard error and in the log, and returns 1", function()
    start(app "one", { workers = 3, flags = { "--access-log=off" }, env = { RELOAD_SECRET = ("s"):rep(40) } })
    for _, case in ipairs {
      { app("two", "local x = = 1"), "app.lua:7:" },
      { app("two", 'error("while it loads")'), "while it loads" },
      { app("two", 'os.execute("true")'), "os" },
      { app("two", 'app:get("/version", function() return "twice" end)'), "/version" },
      { app("two", "demilune.settings { NO_SUCH_SECRET = model.secret { min_bytes = 32 } }"), "NO_SUCH_SECRET" },
      { app("two", 'app:on_start(function() demilune.sleep("10ms") error("no such printer") end)'), "no such printer" },
      { app("two", 'require "nothing.here"'), "nothing" },
      { "return 1", "app.lua must give its app" },
      { "", "app.lua" },
    } do
      save(case[1])
      local status, out, err = reload()
      assert.same({ 1, "" }, { status, out })
      assert.truthy(err:find("demilune: not reloaded: ", 1, true) == 1 and err:find(case[2], 1, true), err)
      assert.truthy(running:log_line("the reload failed and generation 1 goes on", case[2]), running:log())
      all_are "one"
    end
    os.remove(folder .. "/app.lua")
    local status, _, err = reload()
    assert.equal(1, status)
    assert.truthy(err:find("no app.lua", 1, true), err)
    all_are "one"
    save(app "two")
    assert.equal(0, (reload()))
    all_are "two"
    assert.equal(3, #running:workers())
  end)

  it("is all workers' or none's: one whose start function fails keeps all of them as they were", function()
    local DATABASE = 'local db = app:database "sqlite:once.db"\n'
    start({ ["app.lua"] = app("one", DATABASE), ["migrations/0001_once.sql"] = "CREATE TABLE once (id INTEGER PRIMARY KEY);" },
      { workers = 3, flags = { "--access-log=off" } })
    -- The first worker that gets the row starts, the others fail.
    save(app("two", DATABASE .. [[
local add = db:statement "INSERT INTO once VALUES (1)"
app:on_start(function() add:run() demilune.log.info "one of them got it" end)]]))
    local status, _, err = reload()
    assert.equal(1, status)
    assert.truthy(err:find("UNIQUE", 1, true), err)
    assert.truthy(running:log_line "one of them got it")
    all_are "one"
  end)

  it("of files that never come to an end is given up, and the server goes on", function()
    start(app "one")
    save(app("two", "while true do end"))
    local asked = io.popen(("%s reload %s 2>&1; echo status $?"):format(server.program, folder))
    local probe = assert(server.wait_until(PATIENCE, function() return running:children("demilune-probe")[1] end), running:log())
    all_are "one"
    os.execute("kill -SEGV " .. probe) -- somebody ends it before its minute is over
    local told = asked:read("*a")
    asked:close()
    assert.truthy(told:find("the process that tried the app crashed", 1, true) and told:find("status 1", 1, true), told)
    all_are "one"
    save(app "three")
    assert.equal(0, (reload()))
    all_are "three"
  end)

  it("whose master is killed meanwhile leaves no process behind", function()
    start(app "one")
    save(app("two", "while true do end"))
    running:signal("HUP")
    local probe = server.wait_until(PATIENCE, function() return running:children("demilune-probe")[1] end)
    local pids = running:workers()
    pids[#pids + 1] = probe
    os.execute("kill -9 " .. running.pid)
    for _, pid in ipairs(pids) do assert.truthy(server.wait_until(PATIENCE, function() return not server.runs(pid) end)) end
  end)

  it("asked for several times at once answers each", function()
    start(app "one")
    save(app "two")
    local asked = {}
    for n = 1, 20 do asked[n] = io.popen(("%s reload %s 2>&1; echo status $?"):format(server.program, folder)) end
    for _ = 1, 20 do running:signal("HUP") end
    for n = 1, 20 do
      local told = asked[n]:read("*a")
      asked[n]:close()
      assert.truthy(told:find("serves, after", 1, true) and told:find("status 0", 1, true), told)
    end
    all_are "two"
  end)

  -- The process that tries the app, once it is another one than that.
  local function wait_for_probe(before)
    local probe = server.wait_until(PATIENCE, function()
      local pid = running:children("demilune-probe")[1]
      return pid ~= before and pid
    end)
    return assert(probe, running:log())
  end

  local function wait_for_failures(count)
    assert.truthy(server.wait_until(PATIENCE, function() return select(2, running:log():gsub("the reload failed", "")) == count end), running:log())
  end

  it("whose tries crash one after another fails each time, and neither the next one nor a dead worker waits for ever", function()
    start(app "one")
    save(app("two", "while true do end"))
    running:signal("HUP")
    local first = wait_for_probe()
    running:signal("HUP") -- for the next one
    os.execute("kill -9 " .. first)
    os.execute("kill -9 " .. wait_for_probe(first))
    wait_for_failures(2)
    local dead = running:workers()[1]
    os.execute("kill -9 " .. dead)
    assert.truthy(server.wait_until(PATIENCE, function() return #running:workers() == 2 and not server.runs(dead) end), running:log())
    save(app "three")
    running:signal("HUP")
    assert.truthy(running:log_line("reloaded: generation 2 serves"), running:log())
    all_are "three"
  end)

  it("that follows another one that failed leaves no descriptor behind", function()
    start(app "one", { workers = 1, visible = true, flags = { "--access-log=off" } })
    save("local began = os.clock() while os.clock() - began < 0.1 do end error('not today')")
    local function descriptors() return tonumber(io.popen(("ls -U /proc/%d/fd | wc -l"):format(running.pid)):read("*l")) end
    local before, probe = descriptors(), nil
    for round = 1, 4 do
      running:signal("HUP")
      probe = wait_for_probe(probe)
      running:signal("HUP") -- while it loads
      probe = wait_for_probe(probe)
      wait_for_failures(2 * round)
    end
    assert.truthy(server.wait_until(PATIENCE, function() return descriptors() <= before end), before .. " → " .. descriptors())
  end)

  -- A reload that fails in one worker while another one, which is stopped, has yet to hear of it; then one of `second`, which that worker hears
  -- of together with the first, once the others have loaded it. What makes the first one fail is over for that worker when `mended` has been called.
  local function reload_twice_past_a_stopped_worker(first, second, mended)
    local before = running:workers()
    os.execute("kill -STOP " .. before[1])
    save(first)
    running:signal("HUP")
    wait_for_failures(1)
    save(second)
    running:signal("HUP")
    assert.truthy(running:log_line "has started", running:log())
    if mended then mended() end
    os.execute("kill -CONT " .. before[1])
    assert.truthy(server.wait_until(PATIENCE, function() return running:log():find("reloaded: generation 2 serves", 1, true) end), running:log())
    assert.equal(2, select(2, running:log():gsub("has started", ""))) -- in both, before either serves it
    all_are "three"
    assert.same(before, running:workers())
  end
  local SLOW = app("three", [[app:on_start(function() demilune.sleep("300ms") demilune.log.warning "has started" end)]])

  it("is not taken to fail by what a worker says late of the one before", function()
    start(app "one")
    reload_twice_past_a_stopped_worker(app("two", [[app:on_start(function() error("an old fault") end)]]), SLOW)
  end)

  it("is not taken to be loaded by what a worker says late of the one before", function()
    local clocks = server.make_folder()
    local time = clock.new(clocks)
    start(app "one", { workers = 2, flags = { "--access-log=off" }, env = time:environment() })
    local gate = os.time() + 1800
    local too_early = app("two", ([[app:on_start(function() if demilune.now() < %d then error("too early") end end)]]):format(gate))
    reload_twice_past_a_stopped_worker(too_early, SLOW, function() time:set(3600) end)
    server.remove_folder(clocks)
  end)

  for _, step in ipairs { "tries", "loads" } do
    it(("that a stop overtakes while it %s the app is told to have failed, by why"):format(step), function()
      start(app "one")
      local slow = { tries = "while true do end", loads = [[
app:on_start(function() demilune.log.warning "begins to start" demilune.sleep("5s") end)]] }
      save(app("two", slow[step]))
      local asked = io.popen(("%s reload %s 2>&1; echo status $?"):format(server.program, folder))
      if step == "tries" then wait_for_probe() else assert.truthy(running:log_line "begins to start", running:log()) end
      running:signal("TERM")
      local told = asked:read("*a")
      asked:close()
      assert.truthy(told:find("not reloaded: the server is stopping", 1, true) and told:find("status 1", 1, true), told)
      assert.equal(0, server.wait_until(PATIENCE, function() return running:exit_status() end), running:log())
      assert.is_nil(running:log():find("reloaded:", 1, true))
    end)
  end

  it("finds the server that --pid names where /proc has nothing but processes, as in the unit of apps/deploy", function()
    if not server.is_root() then return pending "only root makes such a /proc" end
    start(app "one")
    save(app "two")
    local pipe = io.popen(("unshare --mount sh -c 'mount -t proc -o subset=pid,hidepid=invisible proc /proc && exec \"%s\" reload %s --pid=%d' 2>&1")
      :format(server.program, folder, running.pid))
    local said = pipe:read "*a"
    pipe:close()
    assert.matches("generation 2 serves", said)
    all_are "two"
  end)

  it("asks which of two servers is meant, and takes --pid", function()
    start(app "one")
    local other = server.start(folder, { flags = { "--access-log=off" } })
    save(app "two")
    local status, _, err = reload()
    assert.equal(1, status)
    for _, text in ipairs { "several servers", "--pid " .. other.pid, "--pid " .. running.pid } do assert.truthy(err:find(text, 1, true), err) end
    assert.equal(0, (reload("--pid=" .. other.pid)))
    assert.equal("two", other:request("GET", "/version").body)
    all_are "one"
    other:stop()
    assert.equal(0, (reload()))
    all_are "two"
    assert.equal(1, (server.run { "reload", "--pid=1", folder }))
    local nowhere = server.make_folder()
    status, _, err = server.run { "reload", nowhere }
    assert.equal(1, status)
    assert.truthy(err:find("nothing of yours serves", 1, true), err)
    server.remove_folder(nowhere)
  end)

  it("is refused to another user", function()
    if not server.is_root() then return pending("needs root, to be somebody else") end
    start(app "one")
    os.execute("chmod -R a+rX " .. folder)
    -- The program may lie where the other user cannot reach it.
    local copy = server.make_folder()
    os.execute(("cp %s %s/demilune && chmod -R a+rx %s"):format(server.program, copy, copy))
    save(app "two")
    local function ask_as_nobody(flags)
      local pipe = io.popen(("setpriv --reuid=65534 --regid=65534 --clear-groups %s/demilune reload %s 2>&1; echo status $?"):format(copy, flags))
      local told = pipe:read("*a")
      pipe:close()
      return told
    end
    -- As `demilune reload` does it, but without its manners.
    local function ask_by_hand(prefix)
      local script = os.tmpname()
      local file = assert(io.open(script, "w"))
      file:write(([[
        local ffi = require "ffi"
        ffi.cdef "int socket(int, int, int); int connect(int, const char *, unsigned);"
        ffi.cdef "long send(int, const char *, long, int); long recv(int, char *, long, int);"
        local AF_UNIX, SOCK_SEQPACKET, MSG_NOSIGNAL, name = 1, 5, 0x4000, "\1\0\0demilune.0.%d"
        local fd, answer = ffi.C.socket(AF_UNIX, SOCK_SEQPACKET, 0), ffi.new "char[4096]"
        assert(ffi.C.connect(fd, name, #name) == 0)
        ffi.C.send(fd, "reload", 6, MSG_NOSIGNAL)
        io.write("answered ", math.max(0, tonumber(ffi.C.recv(fd, answer, 4096, 0))))
      ]]):format(running.pid))
      file:close()
      os.execute("chmod a+r " .. script)
      local pipe = io.popen(("%s luajit %s 2>&1"):format(prefix, script))
      local told = pipe:read("*a")
      pipe:close()
      os.remove(script)
      return told
    end
    local told = ask_as_nobody(folder)
    assert.truthy(told:find("nothing of yours serves", 1, true) and told:find("status 1", 1, true), told)
    told = ask_as_nobody("--pid=" .. running.pid .. " " .. folder)
    assert.truthy(told:find("is no demilune server of yours", 1, true) and told:find("status 1", 1, true), told)
    assert.equal("answered 0", ask_by_hand("setpriv --reuid=65534 --regid=65534 --clear-groups"))
    assert.is_nil(running:log():find("generation 2", 1, true))
    all_are "one"
    assert.truthy(ask_by_hand(""):find("^answered [1-9]"))
    all_are "two"
    server.remove_folder(copy)
  end)

  it("in dev happens by itself when a file is saved, in any way an editor saves, also in new folders", function()
    start({ ["app.lua"] = app "one", [".env"] = "" }, { command = "dev", flags = { "--access-log=off" } })
    save(app "two")
    wait_for_version "two"
    save(app "three", "app.lua.new")
    os.rename(folder .. "/app.lua.new", folder .. "/app.lua") -- as vim and others do
    wait_for_version "three"
    os.execute(("mkdir -p %s/routes/deep"):format(folder))
    save('return "four"', "routes/deep/name.lua")
    save((app("three"):gsub('local version = "three"', 'local version = require "routes.deep.name"')))
    wait_for_version "four"
    save('return "five"', "routes/deep/name.lua")
    wait_for_version "five"
    save("return syntax error", "routes/deep/name.lua")
    assert.truthy(running:log_line("the reload failed", "routes/deep/name.lua:1:"), running:log())
    assert.equal("five", version())
    save('return "six"', "routes/deep/name.lua")
    wait_for_version "six"
  end)

  it("is not for files that are no part of an app", function()
    start({ ["app.lua"] = app "one" }, { command = "dev", flags = { "--access-log=off" } })
    for _, name in ipairs { "notes.txt", ".app.lua.swp", "x.db", "x.db-wal", "app.lua~", "4913" } do save("x", name) end
    server.wait_until(0.5, function() end)
    assert.is_nil(running:log():find("reload", 1, true), running:log())
  end)

  it("while a file is saved over and over ends with what was saved last", function()
    start({ ["app.lua"] = app "one" }, { command = "dev", flags = { "--access-log=off" } })
    for n = 1, 60 do
      save(app("v" .. n))
      if n % 7 == 0 then server.wait_until(0.05, function() end) end
    end
    wait_for_version "v60"
  end)
end)

describe("what is in flight during a reload", function()
  local BODY = [[
local db = app:database "sqlite:held.db"
local let_go, is_let_go = db:statement "INSERT INTO released DEFAULT VALUES", db:statement "SELECT count(*) FROM released"
local function wait(name)
  demilune.log.info(name .. " waits")
  while is_let_go:value() == 0 do demilune.sleep "10ms" end
end
app:post("/let-go", function() let_go:run {} return "soon" end)
app:get("/slow", { timeout = "5m" }, function(req)
  req:after_response(function() demilune.log.info("after_response of " .. version) end)
  wait "slow"
  return version
end)
app:get("/stream", { timeout = "5m" }, function() return demilune.stream(function(write)
  for _ = 1, 5 do write(version .. " ") end
  wait "stream"
  for _ = 1, 5 do write(version .. " ") demilune.sleep "10ms" end
end) end)
local held = app:dependency(function() return version, {
  finish = function() demilune.sleep("10ms") demilune.log.info("finish of " .. version) end,
  release = function() demilune.sleep("10ms") demilune.log.info("release of " .. version) end,
} end)
app:get("/dependency", { needs = { held = held }, timeout = "5m" }, function(_, need) wait "dependency" return need.held end)
app:get("/limited", { limit = "3/minute" }, function() return version end)
app:on_stop(function() demilune.sleep("10ms") demilune.log.info("on_stop of " .. version) end)
]]
  local folder, running
  before_each(function()
    folder = server.write_app { ["app.lua"] = app("one", BODY), ["migrations/0001_released.sql"] = "CREATE TABLE released (id INTEGER PRIMARY KEY);" }
    running = server.start(folder, { workers = 2, flags = { "--access-log=off" } })
  end)
  after_each(function()
    running:stop("KILL")
    server.remove_folder(folder)
  end)

  it("ends on the generation that it began in: requests, streams, dependencies, what runs after the response; then on_stop", function()
    local open = {}
    for _, target in ipairs { "/slow", "/stream", "/dependency" } do
      open[target] = running:connect(PATIENCE)
      open[target]:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    for _, name in ipairs { "slow", "stream", "dependency" } do assert.truthy(running:log_line(name .. " waits"), running:log()) end
    files.write(folder .. "/app.lua", app("two", BODY))
    assert.equal(0, (server.run { "reload", folder }))
    assert.equal("two", running:request("GET", "/version").body)
    assert.equal("", (open["/slow"]:read(0)))
    assert.equal("soon", running:request("POST", "/let-go").body)
    assert.equal("one", open["/slow"]:receive().body)
    assert.equal(("one "):rep(10), open["/stream"]:receive().body)
    assert.equal("one", open["/dependency"]:receive().body)
    for _, connection in pairs(open) do assert.equal("two", connection:request("GET", "/version").body) end
    for _, text in ipairs { "after_response of one", "finish of one", "release of one", "on_stop of one" } do
      assert.truthy(running:log_line(text), text .. "\n" .. running:log())
    end
    -- Once for each worker.
    assert.truthy(server.wait_until(PATIENCE, function() return select(2, running:log():gsub("on_stop of one", "")) == 2 end))
    local log = running:log()
    assert.truthy(log:find("on_stop of one", log:find("release of one", 1, true), true), log)
    assert.is_nil(log:find("on_stop of two", 1, true))
  end)

  it("keeps its counts: what was used of a limit stays used", function()
    for _ = 1, 2 do assert.equal(200, running:request("GET", "/limited").status) end
    files.write(folder .. "/app.lua", app("two", BODY))
    assert.equal(0, (server.run { "reload", folder }))
    assert.equal("two", running:request("GET", "/limited").body)
    for _ = 1, 4 do assert.equal(429, running:request("GET", "/limited").status) end
  end)

  it("is never lost: many clients and many reloads, good ones and bad", function()
    local finish, hurry = running:besiege("--connections=64", "--seconds=120", "--patience=60", "--path=/version", "--tally")
    for n = 2, 13 do
      files.write(folder .. "/app.lua", n % 3 == 0 and "broken" or app("v" .. n % 50, BODY))
      local status = server.run { "reload", folder }
      assert.equal(n % 3 == 0 and 1 or 0, status)
    end
    hurry()
    local counts = finish()
    assert.same({ 0, counts.answered }, { counts.failed, counts.status[200] })
    assert.equal(2, #running:workers())
    assert.is_nil(running:log():find("is replaced", 1, true), running:log())
  end)
end)

describe("generations that were replaced", function()
  it("leave nothing behind: descriptors, threads and memory are flat after many reloads", function()
    local text = app("one", [[
local db = app:database("sqlite:flat.db", { migrations = false })
local one = db:statement "SELECT 1"
app:get("/one", function() return one:value() end)
app:on_start(function() one:value() end)]])
    local folder = server.write_app(text)
    local running = server.start(folder, { workers = 2, visible = true, flags = { "--access-log=off", "--admin=0" }, env = server.frugal() })
    local function reload_often(times)
      for _ = 1, times do assert.equal(0, (server.run { "reload", folder })) end
      running:metrics_when(function(page) return page:sum "demilune_generations" == 2 end) -- in each worker the last one
      for _ = 1, 10 do assert.equal("1", running:request("GET", "/one").body) end
      local descriptors, threads = running:holdings()
      return descriptors, threads, running:resident_bytes()
    end
    reload_often(40) -- SQLite keeps some descriptors of a database for its next connections
    local descriptors, threads, bytes = reload_often(10)
    local later_descriptors, later_threads, later_bytes = reload_often(60)
    -- One of each generation would be 120 more. On a busy machine more of them are there at once, and SQLite keeps the descriptors of all.
    assert.is_true(later_descriptors <= descriptors + 60, descriptors .. " → " .. later_descriptors)
    assert.is_true(later_threads <= threads + 20, threads .. " → " .. later_threads)
    assert.is_true(later_bytes < bytes + 12 * 2 ^ 20, bytes .. " → " .. later_bytes)
    assert.equal(0, (running:stop()))
    server.remove_folder(folder)
  end)
end)
