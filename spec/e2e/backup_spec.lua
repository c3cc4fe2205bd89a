-- SPDX-License-Identifier: MIT
-- What apps/deploy/README.md says of backups, word by word: a copy while the server writes has all that was answered before it began, and a
-- server starts on it.

local files = require "spec.support.files"
local front = require "spec.support.front"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local db = app:database "sqlite:users.db"
local add = db:statement "INSERT INTO users (id) VALUES (:id)"
local last = db:statement "SELECT max(id) FROM users"
local fill = db:statement [=[INSERT INTO filling (content)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT randomblob(500) FROM n]=]
app:post("/users/{id}", { path = { id = demilune.model.integer() }, status = 204 }, function(req) add:run { id = req.path.id } end)
app:get("/last", function() return last:value() end)
app:post("/fill", { status = 204 }, function() fill:run() end)
return app
]]
local TABLES = "CREATE TABLE users (id INTEGER PRIMARY KEY);\nCREATE TABLE filling (content BLOB);\n"

local function shell_blocks()
  local section = assert(files.read("apps/deploy/README.md"):match("\n## Backups\n(.-)\n## "))
  local blocks = {}
  for block in section:gmatch("```sh\n(.-)```") do blocks[#blocks + 1] = block end
  return unpack(blocks)
end

describe("a backup", function()
  local copy, put_back = shell_blocks()
  local world, app, running
  before_each(function()
    world, app = server.make_folder(), server.write_app { ["app.lua"] = APP, ["migrations/0001_users.sql"] = TABLES }
    assert(os.execute(("mkdir %s/data %s/backups"):format(world, world)) == 0)
  end)
  after_each(function()
    if running then running:stop("KILL") end
    server.remove_folder(app)
    server.remove_folder(world)
  end)

  local function start() running = server.start(app, { data = world .. "/data", workers = 2 }) end
  local function stop()
    local status, log = running:stop()
    running = nil
    assert.equal(0, status, log)
  end
  local function here(block)
    return front.replace(block, { ["/var/lib/demilune/users"] = world .. "/data", ["/var/backups"] = world .. "/backups" })
  end

  it("is whole while others write, and a server starts on it", function()
    start()
    assert.equal(204, running:request("POST", "/fill").status)
    local done, written = world .. "/done", 0
    local function write()
      written = written + 1
      assert.equal(204, running:request("POST", "/users/" .. written).status)
    end
    write()
    files.write(world .. "/copy.sh", "set -e\n" .. here(copy))
    assert(os.execute(("(sh %s/copy.sh >%s/out 2>&1; echo $? >%s/status; mv %s/status %s) &"):format(world, world, world, world, done)) == 0)
    local before = written
    while not files.read(done) do write() end
    assert.equal("0\n", files.read(done), files.read(world .. "/out"))
    local _, listed = front.run(("stat -c '%%a %%n' %s/backups/*"):format(world))
    local backup = assert(listed:match("^600 %S+/(users%-%d+%-%d+%-%d+%.db)\nstatus 0\n$"), listed)

    local first, check = here(put_back):match("^(.-)(sqlite3 [^\n]+)\n")
    assert.equal("", first)
    local function of_today(text) return (text:gsub("users%-2030%-01%-31%.db", (backup:gsub("%%", "%%%%")))) end
    assert.same({ 0, "ok\nstatus 0\n" }, { front.run(of_today(check)) })
    stop()
    assert(os.execute(("mkdir -p %s/data/old"):format(world)) == 0) -- of whoever has put one back before
    local moves = assert(here(put_back):match("\nsystemctl stop [^\n]+\n(.*)systemctl start [^\n]+\n$"))
    local status, text = front.run("set -e; " .. of_today(moves):gsub("\n$", ""))
    assert(status == 0, text)
    start()
    local last = tonumber(running:request("GET", "/last").body)
    assert.is_true(last >= before and last <= written, last .. " of " .. written)
    assert.equal(204, running:request("POST", "/users/" .. last + 1).status)
    stop()
  end)
end)
