-- SPDX-License-Identifier: MIT
-- Whose a database is on a machine with other users: made for its owner alone, and others who may get at it are named, by the start and by check.

local files = require "spec.support.files"
local front = require "spec.support.front"
local server = require "spec.support.server"

local APP = {
  ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local db = app:database "sqlite:notes.db"
local add = db:statement "INSERT INTO notes (text) VALUES ('written')"
app:post("/notes", { status = 204 }, function() add:run() end)
app:get("/", function() return "here" end)
return app
]],
  ["migrations/0001_notes.sql"] = "CREATE TABLE notes (text TEXT NOT NULL);",
}

describe("a database's rights", function()
  local app, data, file, running
  before_each(function()
    app, data = server.write_app(APP), server.make_folder()
    file = data .. "/notes.db"
  end)
  after_each(function()
    if running then running:stop("KILL") end
    running = nil
    server.remove_folder(app)
    server.remove_folder(data)
  end)

  local function start(options)
    options = options or {}
    options.data, options.workers = data, options.workers or 2
    running = server.start(app, options)
  end
  local function shell(format, ...) assert.equal(0, os.execute(format:format(...))) end
  local function modes() return (select(2, front.run(("cd %s && stat -c '%%a %%n' *"):format(data)))) end
  local function count(text, word)
    local _, times = text:gsub(word:gsub("%p", "%%%0"), "")
    return times
  end
  local function check()
    local status, out, err = server.run({ "check", app }, { env = { DEMILUNE_DATA = data } })
    assert.equal(0, status, out .. err)
    return err
  end

  for _, umask in ipairs { "000", "022", "277" } do
    it("are its owner's alone, in all of its files, whatever the umask: " .. umask, function()
      start { shell = "umask " .. umask }
      assert.equal(204, running:request("POST", "/notes").status)
      assert.equal("600 notes.db\n600 notes.db-shm\n600 notes.db-wal\nstatus 0\n", modes())
      assert.is_nil(running:log():find("others than its owner", 1, true), running:log())
      assert.equal("", check())
      assert.equal(0, (running:stop()))
    end)
  end

  it("stop the start where they let it be read alone, and a statement writes", function()
    local options = { env = { DEMILUNE_DATA = data } }
    local flags = server.is_root() and { "--user=nobody" } or {}
    start()
    assert.equal(0, (running:stop()))
    shell("chmod 644 %s && chmod 444 %s && chmod -R a+rX %s", file, file, app)
    if server.is_root() then shell("chown nobody %s", data) end
    local status, _, err = server.run({ "serve", app, "--port=0", unpack(flags) }, options)
    assert.equal(1, status)
    assert.truthy(err:find("the database " .. file .. " can only be read by the user who runs this, and app.lua:4 writes", 1, true), err)
    files.write(app .. "/app.lua", (APP["app.lua"]:gsub('"INSERT.-"', '"SELECT count(*) FROM notes"')))
    start { flags = flags, workers = 1 }
    assert.equal(200, running:request("GET", "/").status)
  end)

  it("are warned of once where others have them too, and by check", function()
    start()
    assert.equal(0, (running:stop()))
    shell("chmod 640 %s && chmod 777 %s", file, data)
    local of_file = "others than its owner may read or change the database's file " .. file .. " (mode 0640): chmod 600 it"
    local of_folder = "put another file in the place of the database " .. file .. ", by the rights of its folder (mode 0777)"
    local err = check()
    assert.same({ 1, 1 }, { count(err, of_file), count(err, of_folder) }, err)
    start()
    assert(running:log_line('"level":"warning"', of_folder), running:log())
    assert.equal(200, running:request("GET", "/").status)
    assert.equal(0, (server.run { "reload", app }))
    local status, log = running:stop()
    assert.same({ 0, 1, 1 }, { status, count(log, of_file), count(log, of_folder) }, log)
  end)

  it("are warned of again where a reload changes to a copy that others have too, by its first worker or another", function()
    start()
    assert.equal(204, running:request("POST", "/notes").status)
    shell("sqlite3 %s \"VACUUM INTO '%s/copy.db'\"", file, app)
    shell("mkdir %s/old && mv %s* %s/old && cp %s/copy.db %s && chmod 644 %s", app, file, app, app, file, file)
    assert.equal(0, (server.run { "reload", app }))
    assert.equal(0, (server.run { "reload", app }))
    local status, log = running:stop()
    assert.same({ 0, 1 }, { status, count(log, "may read or change the database's file " .. file .. " (mode 0644): chmod 600 it") }, log)
  end)

  it("are looked at in no folder that only others may read", function()
    shell("chmod 755 %s", data)
    start()
    assert.is_nil(running:log():find("others than its owner", 1, true), running:log())
    assert.equal("", check())
    assert.equal(0, (running:stop()))
  end)
end)
