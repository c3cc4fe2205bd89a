-- SPDX-License-Identifier: MIT
-- The walls of the operating system behind the Lua sandbox: what native code in a serving process is stopped from, by which wall, and that
-- an app does not feel them. The intruder is tests/walls/intruder.c, preloaded into the real program.

local socket = require "socket"
local cjson = require "cjson"
local server = require "spec.support.server"

local PATIENCE = 20 -- seconds

local INTRUDER = (server.program:match("^(.*)/") or ".") .. "/tests/intruder.so"

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local is_root = server.is_root()
local is_sanitized = server.is_sanitized()
-- A kernel without Landlock reports so; what only Landlock stops is then not tried.
local function has_landlock(log) return log:find("landlock up", 1, true) or log:find("landlock partly up", 1, true) end

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
local Note = model "Note" { text = model.string { lower = true, pattern = "^\\S+$" } }
local db = app:database "sqlite:notes.db"
local add = db:statement "INSERT INTO notes (text) VALUES (:text) RETURNING text"
app:post("/notes", { body = Note, returns = Note, status = 201 }, function(req) return add:one(req.body) end)
app:get("/", function() return "up" end)
app:get("/who", function(req) return req.id:sub(1, 8) end)
app:get("/hash", { limit = "1000/minute" }, function() return demilune.password.hash("correct horse battery staple"):sub(1, 9) end)
app:get("/wait", function() demilune.sleep(0.01) return os.date("%Y") end)
app:get("/stuck", { timeout = "10s" }, function()
  demilune.log.info "and now for ever"
  for _ = 1, 2 do demilune.sleep "10ms" end -- between them the line is written
  while true do end
end)
app:get("/sum", function() local sum = 0 for i = 1, 1e6 do sum = sum + i % 7 end return sum end)
return app
]]

local SMALL_APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/", function() return "up" end)
return app
]]

--- A world for a server that runs as nobody when it can: every folder is its own, and readable.
local function make_world()
  local world = { folder = server.make_folder() }
  for _, name in ipairs { "app", "app/migrations", "data", "others" } do os.execute(("mkdir %s/%s"):format(world.folder, name)) end
  local texts = { ["app/app.lua"] = APP, ["app/migrations/0001_notes.sql"] = "CREATE TABLE notes (text TEXT) STRICT;", ["others/file"] = "theirs" }
  for path, text in pairs(texts) do
    local file = assert(io.open(world.folder .. "/" .. path, "w"))
    file:write(text)
    file:close()
  end
  -- Whatever the walls do not stop, file permissions do not either.
  os.execute(("chmod 755 %s; chmod -R a+rwX %s/app %s/others %s/data"):format(world.folder, world.folder, world.folder, world.folder))
  if is_root then os.execute(("chown -R nobody %s/data"):format(world.folder)) end
  world.listener = assert(socket.bind("127.0.0.1", 0))
  world.port = select(2, world.listener:getsockname())
  return world
end

local function end_world(world)
  world.listener:close()
  server.remove_folder(world.folder)
end

local function start(world, options)
  options = options or {}
  local flags = { unpack(options.flags or { "--sandbox=on", "--max-memory=1G" }) }
  flags[#flags + 1] = "--workers=" .. (options.workers or 1)
  if is_root and not options.as_root then flags[#flags + 1] = "--user=nobody" end
  local env = {
    LD_PRELOAD = options.try and INTRUDER,
    INTRUDER = options.try,
    INTRUDER_FILE = world.folder .. "/others/file",
    INTRUDER_FOLDER = world.folder .. "/others",
    INTRUDER_APP = world.folder .. "/app",
    INTRUDER_DATA = world.folder .. "/data",
    INTRUDER_PORT = tostring(world.port),
  }
  return server.start(world.folder .. "/app", { data = world.folder .. "/data", flags = flags, env = env })
end

-- The one worker.
local function serving_pid(running) return output_of("pgrep -P " .. running.pid) end

--- Has native code in the server try these; what the log says of each, and the whole log.
local function intrude(world, names, options)
  options = options or {}
  options.try = names
  local running = start(world, options)
  local pid = serving_pid(running)
  os.execute("kill -URG " .. pid)
  server.wait_until(PATIENCE, function() return running:log():find("intruder: all: tried", 1, true) or not server.runs(pid) end)
  local outcomes = {}
  for name, outcome in running:log():gmatch("intruder: ([%w_]+): ([^\n]+)") do outcomes[name] = outcome end
  if outcomes[names] == "tries" then running:log_line("is replaced") end
  return outcomes, select(2, running:stop())
end

local function has_all_walls(world)
  local running = start(world)
  local line = running:log_line("sandbox: rlimits")
  running:stop()
  return line:find('"level":"info"', 1, true)
end

-- Each wall and what it stops; the words are those of the error that the intruder gets.
local STOPPED = {
  { wall = "landlock", says = "Permission denied", "read_a_file", "read_accounts", "write_outside", "write_the_app", "change_the_app",
    "remove_a_file", "list_the_root", "read_own_memory_file", "read_parents_memory", "read_parents_environment" },
  { wall = "seccomp", says = "Operation not permitted", "truncate_a_file", "make_a_link", "connect_out", "send_datagrams", "open_a_unix_socket",
    "open_a_raw_socket", "open_a_netlink_socket", "open_a_packet_socket", "signal_the_parent", "signal_everybody", "signal_a_thread_of_the_parent",
    "become_root", "be_readable_again", "fork_a_process", "clone_into_a_namespace", "lift_the_limit_of_descriptors", "run_a_file_in_memory",
    "drop_everybodys_clients", "take_everybodys_clients", "shut_what_listens", "disconnect_what_listens",
    "set_up_io_uring", "type_into_the_terminal", "make_a_file_in_memory" },
  { wall = "seccomp", says = "Function not implemented", "clone_by_the_newer_call" },
  { wall = "rlimits", says = "Cannot allocate memory", "fill_memory" },
  { wall = "rlimits", says = "Too many open files", "fill_descriptors" },
}

local says = {} -- by attempt
for _, group in ipairs(STOPPED) do
  for _, name in ipairs(group) do says[name] = group.says end
end

local FATAL = { "execute", "execute_by_descriptor", "trace_the_parent", "read_the_parent", "mount_a_folder", "leave_the_namespace",
  "enter_a_namespace", "load_bpf", "read_keys", "handle_page_faults", "count_performance", "load_a_module", "change_the_root", "restart_the_machine" }

-- What anybody may do without walls: so that the attempts are known to be real.
local CONTROL = { "read_a_file", "read_accounts", "write_outside", "write_the_app", "change_the_app", "list_the_root", "connect_out",
  "send_datagrams", "open_a_unix_socket", "open_a_netlink_socket", "signal_the_parent", "fork_a_process", "fill_memory", "run_a_file_in_memory",
  "load_a_library", "make_a_file_in_memory", "truncate_a_file", "take_everybodys_clients", "shut_what_listens" }

-- A sanitizer's build has wide walls, and takes no preloaded library.
if not is_sanitized then
  describe("native code in a server", function()
    local world, outcomes, log
    setup(function()
      world = make_world()
      local names = {}
      for _, group in ipairs(STOPPED) do
        for _, name in ipairs(group) do names[#names + 1] = name end
      end
      outcomes, log = intrude(world, table.concat(names, " ") .. " load_a_library")
    end)
    teardown(function() end_world(world) end)

    for _, group in ipairs(STOPPED) do
      for _, name in ipairs(group) do
        it(("is stopped by %s: %s"):format(group.wall, (name:gsub("_", " "))), function()
          if group.wall == "landlock" and not has_landlock(log) then return pending("this kernel has no Landlock") end
          assert.equal(group.says, outcomes[name], log)
        end)
      end
    end

    it("loads no library", function()
      assert.truthy(outcomes.load_a_library, log)
      assert.not_equal("done", outcomes.load_a_library, log)
    end)

    for _, name in ipairs(FATAL) do
      it("is ended by seccomp: " .. name:gsub("_", " "), function()
        local tried, its_log = intrude(world, name)
        assert.equal("tries", tried[name], its_log)
        assert.truthy(its_log:find("ended by signal 31 (Bad system call) and is replaced", 1, true), its_log)
      end)
    end

    it("keeps the master from nothing by talking to it without end", function()
      local running = start(world, { try = "talk_without_end", workers = 2 })
      local talker, other = unpack(running:workers())
      os.execute("kill -URG " .. talker)
      assert(running:log_line("intruder: talk_without_end: tries"))
      os.execute("kill -KILL " .. other)
      local replaced = server.wait_until(PATIENCE, function()
        local workers = running:workers()
        return #workers == 2 and not running:log():find("intruder: all: tried", 1, true) and workers[1] ~= other and workers[2] ~= other
      end)
      os.execute("touch " .. world.folder .. "/others/enough")
      local _, its_log = running:stop()
      assert.is_true(replaced, its_log)
    end)

    it("has the master end no other worker by saying in its place that it is stuck", function()
      local running = start(world, { try = "have_the_others_ended", workers = 2 })
      local workers = running:workers()
      running:reach_workers(2) -- each has given a sign of life since
      os.execute("kill -URG " .. workers[1])
      assert(running:log_line("intruder: all: tried"))
      local now = running:workers()
      local _, its_log = running:stop()
      assert.truthy(its_log:find("intruder: have_the_others_ended: Bad address", 1, true), its_log)
      assert.same(workers, now, its_log)
      assert.is_nil(its_log:find("was stuck", 1, true), its_log)
    end)

    it("keeps nobody from taking a worker's place by changing which database is known", function()
      local running = start(world, { try = "change_which_databases_are_known", workers = 2 })
      local workers = running:workers()
      running:reach_workers(2)
      os.execute("kill -URG " .. workers[1])
      assert(running:log_line("intruder: all: tried"))
      for _, pid in ipairs(workers) do os.execute("kill -KILL " .. pid) end
      local replaced = server.wait_until(PATIENCE, function()
        local now = running:workers()
        return #now == 2 and pcall(running.reach_workers, running, 2)
      end)
      local _, its_log = running:stop()
      assert.truthy(its_log:find("intruder: change_which_databases_are_known: done", 1, true), its_log) -- in its own
      assert.is_nil(its_log:find("could not start", 1, true), its_log)
      assert.truthy(replaced, its_log)
    end)

    it("is not stopped when it runs as root either, but for what root's own files are", function()
      if not is_root then return pending("needs root") end
      local names = { "read_accounts", "write_outside", "connect_out", "signal_the_parent", "fork_a_process", "open_a_raw_socket",
        "read_parents_memory", "lift_the_limit_of_descriptors" }
      local tried, its_log = intrude(world, table.concat(names, " "), { as_root = true })
      for _, name in ipairs(names) do assert.equal(says[name], tried[name], name .. ": " .. its_log) end
      assert.truthy(its_log:find("user missing (runs as root; name a user by --user)", 1, true), its_log)
    end)
  end)

  describe("native code in a server whose limits are counted in Redis", function()
    it("reaches the store's port, whose name the server looked up, and no other", function()
      local world = make_world()
      local store = assert(socket.bind("127.0.0.1", 0))
      local flags = { "--sandbox=on", "--redis=redis://localhost:" .. select(2, store:getsockname()) }
      local outcomes, log = intrude(world, "connect_out open_a_unix_socket open_a_raw_socket open_a_netlink_socket", { flags = flags })
      store:settimeout(PATIENCE)
      assert.truthy(store:accept(), log)
      assert.equal(log:find("no TCP ports", 1, true) and "done" or "Permission denied", outcomes.connect_out, log)
      for _, name in ipairs { "open_a_unix_socket", "open_a_raw_socket", "open_a_netlink_socket" } do
        assert.equal("Operation not permitted", outcomes[name], log)
      end
      store:close()
      end_world(world)
    end)
  end)

  describe("native code in a server that may connect out", function()
    it("ends no listening for longer than it lives", function()
      local world = make_world()
      local store = assert(socket.bind("127.0.0.1", 0))
      local place = assert(socket.bind("127.0.0.1", 0))
      local port = select(2, place:getsockname()) -- one that is chosen for a socket is given back by it
      place:close()
      local flags = { "--sandbox=on", "--port=" .. port, "--redis=redis://127.0.0.1:" .. select(2, store:getsockname()) }
      local running = start(world, { flags = flags, try = "disconnect_what_listens" })
      local pid = serving_pid(running)
      os.execute("kill -URG " .. pid)
      assert(running:log_line("intruder: disconnect_what_listens: done"))
      os.execute("kill -KILL " .. pid)
      local answer = server.wait_until(PATIENCE, function()
        local ok, response = pcall(running.request, running, "GET", "/")
        return ok and response and response.body
      end)
      local _, log = running:stop()
      assert.equal("up", answer, log)
      store:close()
      end_world(world)
    end)
  end)

  describe("without walls", function()
    it("the same native code does what it wants", function()
      local world = make_world()
      local outcomes, log = intrude(world, table.concat(CONTROL, " "), { flags = { "--sandbox=off" } })
      end_world(world)
      for _, name in ipairs(CONTROL) do assert.equal("done", outcomes[name], name .. "\n" .. log) end
    end)
  end)
end

describe("a server behind its walls", function()
  local world
  setup(function() world = make_world() end)
  teardown(function() end_world(world) end)

  it("does all that an app asks for: database, passwords, timers, patterns, machine code, the log", function()
    local running = start(world)
    for round = 1, 20 do
      local note = { headers = { ["Content-Type"] = "application/json" }, body = '{"text":"ÄPFEL' .. round .. '"}' }
      local made = running:request("POST", "/notes", note)
      assert.equal(201, made.status)
      assert.equal('{"text":"äpfel' .. round .. '"}', made.body) -- lower needs the system's locale
      assert.equal("$argon2id", running:request("GET", "/hash").body)
      assert.equal(os.date("%Y"), running:request("GET", "/wait").body)
      assert.equal("2999998", running:request("GET", "/sum").body)
    end
    local status, log = running:stop()
    assert.equal(0, status, log)
    assert.is_nil(log:find("error", 1, true), log)
  end)

  it("serves the example app by --sandbox=strict: people are made, log in, and read themselves", function()
    if not is_root or is_sanitized then return pending("needs root, and walls that are whole") end
    if not has_all_walls(world) then return pending("this kernel lacks a wall") end
    local secret = ("s3cr3t-for-the-walls-"):rep(2)
    local running = server.start("apps/users", { data = world.folder .. "/data", flags = { "--sandbox=strict", "--user=nobody" },
      env = { JWT_SECRET = secret, SERVICE_KEY = secret .. "2" } })
    local person = cjson.encode { email = "ann@example.org", name = "Ann", role = "user", age = 30, password = "correct horse battery staple" }
    assert.equal(201, running:request("POST", "/users", { headers = { ["Content-Type"] = "application/json" }, body = person }).status)
    local login = { headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
      body = "username=ann%40example.org&password=correct+horse+battery+staple" }
    local token = cjson.decode(running:request("POST", "/token", login).body).access_token
    assert.equal("Ann", cjson.decode(running:request("GET", "/me", { headers = { Authorization = "Bearer " .. token } }).body).name)
    local status, log = running:stop()
    assert.equal(0, status, log)
  end)

  it("answers 500 to a handler that fills its memory, and serves on", function()
    if is_sanitized then return pending("needs a memory limit") end
    local hungry = server.start(SMALL_APP:gsub("return app", [[
      app:get("/fill", function() local kept = {} for i = 1, 1e4 do kept[i] = ("x"):rep(1e6) .. i end return #kept end)
      return app]]), { flags = { "--workers=1", "--max-memory=192M" } })
    local pid = serving_pid(hungry)
    for _ = 1, 3 do
      assert.equal(500, hungry:request("GET", "/fill").status)
      assert.equal("up", hungry:request("GET", "/").body)
    end
    assert.equal(pid, serving_pid(hungry))
    local status, log = hungry:stop()
    assert.equal(0, status, log)
    assert.truthy(log:find("not enough memory", 1, true), log)
  end)

  it("reports every wall at its start", function()
    local running = start(world)
    local line = assert(running:log_line("sandbox: rlimits"))
    for _, wall in ipairs { "rlimits", "user", "no_new_privs", "not dumpable", "landlock", "seccomp" } do
      assert.truthy(line:find(wall .. " ", 1, true), line)
    end
    if not is_sanitized and line:find("landlock up", 1, true) then assert.equal("info", cjson.decode(line).level) end
    assert.equal(0, (running:stop()))
  end)

  it("cannot be read by another process of its user, its master neither", function()
    if not is_root or is_sanitized then return pending("needs root") end
    local PLAIN = "setpriv --inh-caps=-all --bounding-set=-all " -- root without root's rights is a user as any
    local function start_plainly(flag) return server.start(SMALL_APP, { flags = { flag }, through = PLAIN }) end
    local function read_plainly(pid, file) return output_of(("%shead -c 1 /proc/%s/%s 2>&1 >/dev/null"):format(PLAIN, pid, file)) end
    local running = start_plainly "--sandbox=on"
    for _, pid in ipairs { running.pid, serving_pid(running) } do
      for _, file in ipairs { "environ", "maps", "mem" } do
        local said = read_plainly(pid, file)
        assert.truthy(said:find("Permission denied", 1, true), pid .. " " .. file .. ": " .. said)
      end
    end
    assert.equal(0, (running:stop()))
    running = start_plainly "--sandbox=off"
    for _, pid in ipairs { running.pid, serving_pid(running) } do assert.equal("", read_plainly(pid, "environ")) end
    assert.equal(0, (running:stop()))
  end)

  it("has them around every process but the master, the admin listener's too", function()
    local running = start(world, { flags = { "--admin=0" } })
    assert(running:log_line("admin: /livez"))
    local count = 0
    for pid in output_of("pgrep -P " .. running.pid):gmatch("%d+") do
      local status
      assert.truthy(server.wait_until(PATIENCE, function()
        status = output_of("cat /proc/" .. pid .. "/status")
        return status:find("NoNewPrivs:%s*1") and status:find("Seccomp:%s*2")
      end), status)
      count = count + 1
    end
    assert.equal(2, count)
    assert.equal(0, (running:stop()))
  end)

  it("ends when its master is killed, though it is another user's and stuck in Lua", function()
    if not is_root then return pending("needs root") end
    local running = start(world)
    local pid = tonumber(serving_pid(running))
    local stuck = running:connect()
    stuck:send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(running:log_line "and now for ever", running:log())
    os.execute("kill -9 " .. running.pid)
    local ended = server.wait_until(60, function() return not server.runs(pid) end)
    if not ended then os.execute("kill -9 " .. pid) end
    stuck:close()
    local _, log = running:stop()
    assert.is_nil(log:find("was stuck", 1, true), log) -- which would have been its master's doing
    assert.is_true(ended)
  end)

  it("is not there in dev, unless asked for, and not with --sandbox=off", function()
    local running = server.start(SMALL_APP, { command = "dev" })
    assert.is_nil(running:log():find("sandbox:", 1, true))
    assert.equal(0, (running:stop()))
    running = start(world, { flags = { "--sandbox=off" } })
    assert.is_nil(running:log():find("landlock", 1, true))
    assert.equal(0, (running:stop()))
  end)
end)

describe("a server that is asked for walls it cannot have", function()
  local world
  setup(function() world = make_world() end)
  teardown(function() end_world(world) end)

  local function refuses(flags, words, env)
    env = env or {}
    env.DEMILUNE_DATA = env.DEMILUNE_DATA or world.folder .. "/data"
    local status, _, err = server.run({ "serve", world.folder .. "/app", "--port=0", unpack(flags) }, { env = env })
    assert.truthy(err:find(words, 1, true), err)
    return status
  end

  it("does not start by --sandbox=strict as root", function()
    if not is_root then return pending("needs root") end
    assert.equal(1, refuses({ "--sandbox=strict" }, "--sandbox=strict wants every wall, and has: "))
  end)

  it("does not start for a user that is not there, is root, or may not write the data", function()
    assert.equal(1, refuses({ "--user=no-such-account" }, "there is no user no-such-account"))
    assert.equal(1, refuses({ "--user=root" }, "is root, which --user is for leaving"))
    if not is_root then return end
    local folder = server.make_folder()
    assert.equal(1, refuses({ "--user=nobody" }, "cannot write to the data folder " .. folder, { DEMILUNE_DATA = folder }))
    server.remove_folder(folder)
  end)

  it("says what the flags take", function()
    assert.equal(2, refuses({ "--sandbox=yes" }, "--sandbox=yes must be off, on or strict"))
    for _, size in ipairs { "much", "-1", "1T", "5MM", "99999999999999999999G", "" } do
      assert.equal(2, refuses({ "--max-memory=" .. size }, "must be a size, such as 512M or 2G"))
    end
    assert.equal(2, refuses({ "--max-memory=1M" }, "must be at least 64M"))
    assert.equal(2, refuses({}, "DEMILUNE_SANDBOX=maybe must be off, on or strict", { DEMILUNE_SANDBOX = "maybe" }))
  end)
end)
