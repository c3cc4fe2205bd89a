-- SPDX-License-Identifier: MIT
-- Databases under the real program: the specs of tests/apps/database, what a
-- restart and a kill leave, and what stops a start.

local server = require "spec.support.server"

local FIXTURE = "tests/apps/database"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function fixture()
  return {
    ["app.lua"] = read(FIXTURE .. "/app.lua"),
    ["store.lua"] = read(FIXTURE .. "/store.lua"),
    ["migrations/0001_schema.sql"] = read(FIXTURE .. "/migrations/0001_schema.sql"),
  }
end

local function post(running, email)
  return running:request("POST", "/users", { headers = { ["Content-Type"] = "application/json" }, body = ('{"email":"%s"}'):format(email) })
end

local function count(running)
  local response = running:request("GET", "/count")
  return assert(tonumber(response.body:match('"count":(%d+)')), response.body .. running:log())
end

describe("a database", function()
  local data, started
  before_each(function() data, started = server.make_folder(), {} end)
  after_each(function()
    for running in pairs(started) do running:stop("KILL") end
    server.remove_folder(data)
  end)

  local function start(files, workers)
    local running = server.start(files or fixture(), { data = data, workers = workers })
    started[running] = true
    return running
  end

  local function stop(running, signal)
    started[running] = nil
    return running:stop(signal)
  end

  -- Files of the worker may grow no further than to so many bytes: as on a full disk, a write gets an error and no more.
  local function leave_room(running, bytes)
    assert.equal(0, os.execute(("prlimit --pid=%d --fsize=%s:"):format(running:workers()[1], bytes)))
  end

  it("acknowledges no write that finds no room, serves what needs none, and writes again once there is some", function()
    local running = start()
    local acknowledged, refused = 0, 0
    for round = 1, 6 do
      leave_room(running, 4096 * round)
      for n = 1, 10 do
        local status = post(running, ("%d.%d@example.com"):format(round, n)).status
        assert.is_true(status == 201 or status == 500, tostring(status))
        if status == 201 then acknowledged = acknowledged + 1 else refused = refused + 1 end
        assert.equal(acknowledged, count(running))
      end
      leave_room(running, "unlimited")
      assert.equal(201, post(running, round .. "@example.com").status)
      acknowledged = acknowledged + 1
    end
    assert.is_true(refused > 10, refused .. " refused")
    assert.truthy(running:log_line("disk I/O error"), running:log())
    stop(running, "KILL")
    assert.equal(acknowledged, count(start()))
  end)

  it("does what its specs say", function()
    local pipe = assert(io.popen(("%s test --output=TAP %s 2>&1; echo \"exit $?\""):format(server.program, FIXTURE)))
    local output = pipe:read("*a")
    pipe:close()
    assert.equal("0", output:match("exit (%d+)%s*$"), output)
    assert.is_nil(output:match("\nnot ok[^\n]*"), output)
    assert.is_true(tonumber(output:match("1%.%.(%d+)")) >= 15, output)
  end)

  it("is one of the specs' own in demilune test, whatever path its url has", function()
    local folder = server.write_app {
      [".env"] = ("FIRST=sqlite:%s/real.db\nSECOND=sqlite:%s/./real.db\nTHIRD=sqlite:../../%s/real.db\n"):format(data, data, data),
      ["migrations/0001_notes.sql"] = "CREATE TABLE notes (text TEXT NOT NULL);",
      ["app.lua"] = [[
        local demilune = require "demilune"
        local model = demilune.model
        local settings = demilune.settings { FIRST = model.string(), SECOND = model.string(), THIRD = model.string() }
        local app = demilune.app { guard = demilune.guard.public }
        local adds, counts = {}, {}
        for _, name in ipairs { "FIRST", "SECOND", "THIRD" } do
          local db = app:database(settings[name])
          adds[#adds + 1] = db:statement "INSERT INTO notes (text) VALUES ('x')"
          counts[#counts + 1] = db:statement "SELECT count(*) FROM notes"
        end
        app:on_start(function() adds[1]:run() end)
        app:get("/counts", function() return { counts[1]:value(), counts[2]:value(), counts[3]:value() } end)
        return app]],
      ["spec/app_spec.lua"] = [[
        it("has three databases of its own", function()
          assert.equal("[1,0,0]", require("demilune.test").client():get("/counts").body)
        end)]],
    }
    local status, out, err = server.run { "test", "--output=TAP", folder }
    server.remove_folder(folder)
    assert.equal(0, status, out .. err)
    assert.is_nil(io.open(data .. "/real.db"))
  end)

  it("keeps what it was given over a restart, in one file", function()
    local first = start()
    assert.equal(201, post(first, "ada@example.com").status)
    assert.equal(0, (stop(first)))
    assert.is_nil(io.open(data .. "/test.db-wal"))
    local second = start()
    assert.equal(1, count(second))
    assert.equal(409, post(second, "ada@example.com").status)
    assert.equal(0, (stop(second)))
  end)

  it("loses nothing that was answered when the server is killed", function()
    local answered = 0
    for round = 1, 3 do
      local running = start()
      assert.is_true(count(running) >= answered)
      local connection = running:connect()
      for number = 1, 50 do
        if number == 40 then running:signal("KILL") end
        local body = ('{"email":"%d-%d@example.com"}'):format(round, number)
        local response, why = connection:request("POST", "/users", { headers = { ["Content-Type"] = "application/json" }, body = body })
        assert(number >= 40 or response and response.status == 201, ("round %d, %d: %s"):format(round, number, response and response.body or why))
        if response then answered = answered + 1 end
      end
      stop(running, "KILL")
    end
    local running = start()
    assert.is_true(count(running) >= answered)
    stop(running)
  end)

  local function shell(format, ...) assert.equal(0, os.execute(format:format(...))) end

  it("says that a write is done only while its files lie where they are looked for", function()
    local running, file, other = start(), data .. "/test.db", data .. "/other.db"
    assert.equal(201, post(running, "ada@example.com").status)
    assert.equal(1, count(running))
    local function refuses(email)
      assert.equal(500, post(running, email).status)
      assert.equal(500, running:request("GET", "/count").status)
      assert.matches("moved, deleted or replaced while it is open", running:log(), 1, true)
    end
    shell("mv %s %s", file, other)
    refuses "bob@example.com"
    assert.is_nil(io.open(file)) -- nobody made another one
    shell("cp %s %s", other, file) -- as a restore would
    refuses "bob@example.com"
    shell("mv %s %s", other, file)
    assert.equal(201, post(running, "bob@example.com").status)
    assert.equal(2, count(running))
    shell("mv %s-wal %s-kept", file, file)
    refuses "cleo@example.com"
    shell("mv %s-kept %s-wal", file, file)
    assert.equal(201, post(running, "cleo@example.com").status)
    shell("mv %s-shm %s-kept", file, file)
    refuses "dora@example.com"
    shell("mv %s-kept %s-shm", file, file)
    assert.equal(201, post(running, "dora@example.com").status)
    assert.equal(0, (stop(running)))
    local second = start()
    assert.equal(4, count(second))
    assert.equal(0, (stop(second)))
  end)

  local SHARED = {
    ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local db = app:database "sqlite:test.db"
local add = db:statement "INSERT INTO users (email) VALUES (:email)"
local count = db:statement "SELECT count(*) FROM users"
app:post("/users", { body = { email = demilune.model.string() }, status = 201 }, function(req) return add:run(req.body) end)
app:get("/count", function() return { count = count:value() } end)
return app
]],
    ["migrations/0001_users.sql"] = "CREATE TABLE users (email TEXT NOT NULL);",
  }

  -- Who opens the database behind that makes another index, with locks of its own.
  it("loses nothing that was answered where the log's index was deleted, and a worker replaced", function()
    local running = start(SHARED, 2)
    local function write(prefix)
      local answered = 0
      for number = 1, 20 do
        if post(running, ("%s-%d@example.com"):format(prefix, number)).status == 201 then answered = answered + 1 end
      end
      return answered
    end
    local answered = write "before"
    assert.equal(20, answered)
    shell("rm %s/test.db-shm", data)
    assert.equal(0, write "without")
    local old = running:workers()
    shell("kill -KILL %d", old[1])
    assert.is_true(server.wait_until(30, function()
      local now = running:workers()
      return #now == 2 and now[1] ~= old[1] and now[2] ~= old[1] and write("replaced" .. os.time()) > 0
    end))
    answered = answered + write "behind"
    running:signal "HUP"
    assert.is_true(server.wait_until(30, function() return running:log():find("database's file .-test%.db%-shm was moved") ~= nil end))
    answered = answered + write "reloaded"
    assert.equal(0, (stop(running)))
    local second = start(SHARED)
    assert.is_true(count(second) >= answered, ("%d of %d"):format(count(second), answered))
    assert.equal(0, (stop(second)))
  end)

  it("may be reached by a link, and notices where that leads elsewhere", function()
    shell("mkdir %s/real && ln -s real/test.db %s/test.db && touch %s/real/test.db", data, data, data)
    local running = start()
    assert.equal(201, post(running, "ada@example.com").status)
    shell("touch %s/real/new.db && ln -sfn real/new.db %s/test.db", data, data)
    assert.equal(500, post(running, "bob@example.com").status)
    shell("ln -sfn real/test.db %s/test.db", data)
    assert.equal(201, post(running, "bob@example.com").status)
    assert.equal(2, count(running))
    assert.equal(0, (stop(running)))
  end)

  local function refusal(files)
    local ok, message = pcall(start, files)
    assert.is_false(ok)
    return message
  end

  it("stops the start at the statement that it does not understand", function()
    local files = fixture()
    files["store.lua"] = files["store.lua"]:gsub("SELECT count", "SELECT nmae, count")
    local line = select(2, files["store.lua"]:match("^(.-)SELECT nmae"):gsub("\n", "")) + 1
    assert.matches(("store.lua:%d: no such column: nmae"):format(line), refusal(files), 1, true)
  end)

  it("stops the load at SQL that cannot be sealed", function()
    local files = fixture()
    files["store.lua"] = files["store.lua"]:gsub("DELETE FROM users", "DELETE FROM users; DROP TABLE users")
    assert.matches("store%.lua:%d+: the statement, line 1 column 18: several statements in one text", refusal(files))
  end)

  it("stops the load at a number that it would not keep, and at a text of the 409 that is none", function()
    local function with(line) return refusal { ["app.lua"] = "local app = require('demilune').app {}\nlocal db = " .. line } end
    for given, said in pairs {
      ["readers = 0"] = "readers is 0; write a number from 1 to 16", ["readers = 17"] = "readers is 17; write a number from 1 to 16",
      ["lock_ms = 0"] = "lock_ms is 0; write a number from 1 to 86400000", ["queue_ms = 2 ^ 33"] = "queue_ms is 8589934592; write a number from 1",
    } do
      assert.matches("app.lua:2: app:database: " .. said, with(("app:database('sqlite:x.db', { %s })"):format(given)), 1, true)
    end
    for _, unique in ipairs { "5", "{}", "{ 'taken' }", "{ ['t.name'] = 5 }" } do
      assert.matches("app.lua:3: db:statement: unique is the text of the 409, or one for each constraint; write unique = ",
        with(("app:database 'sqlite:x.db'\ndb:statement('DELETE FROM t', { unique = %s })"):format(unique)), 1, true)
    end
  end)

  it("stops the load at a statement or a transaction that runs too soon", function()
    local files = fixture()
    local function with(line)
      files["app.lua"] = "local db = require('demilune').app {}:database 'sqlite:users.db'\n" .. line
      return files
    end
    assert.matches("app.lua:2: the database is not open while the app loads; call db:transaction in app:on_start",
      refusal(with "db:transaction(print)"), 1, true)
    assert.matches("app.lua:2: the database is not open: it is opened when the app starts; run statements in app:on_start",
      refusal(with "db:statement('SELECT 1'):value()"), 1, true)
  end)

  it("offers in dev, and there alone, to make it anew for a migration that is still written at", function()
    local WAY_OUT = "; in dev you may also stop the server, delete " .. data .. "/test.db with all that is in it, and start again. A draft under "
      .. "another name, such as 0001_schema.sql.draft, is not applied"
    stop(start())
    local folder = server.write_app(fixture())
    local function refusal_of(command)
      local status, _, err = server.run({ command, folder, "--port=0" }, { env = { DEMILUNE_DATA = data } })
      assert.equal(1, status)
      return err
    end
    local path = folder .. "/migrations/0001_schema.sql"
    os.execute(("echo '-- more' >>'%s'"):format(path))
    assert.matches("write the change as migration 0002" .. WAY_OUT, refusal_of "dev", 1, true)
    assert.is_nil(refusal_of("serve"):find("in dev", 1, true))
    os.rename(path, path .. ".draft")
    assert.matches("this app is older than its database" .. WAY_OUT, refusal_of "dev", 1, true)
    os.remove(data .. "/test.db")
    os.rename(path .. ".draft", path)
    server.remove_folder(folder)
    local files = fixture()
    files["migrations/0001_schema.sql"] = files["migrations/0001_schema.sql"] .. "-- more\n"
    assert.equal(0, count(start(files)))
  end)

  it("stops the start when a migration changed after it was applied", function()
    local running = start()
    stop(running)
    local files = fixture()
    files["migrations/0001_schema.sql"] = files["migrations/0001_schema.sql"] .. "-- more\n"
    assert.matches("0001_schema.sql was changed after it was applied", refusal(files), 1, true)
  end)
end)
