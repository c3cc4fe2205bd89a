-- SPDX-License-Identifier: MIT
-- A disk that is full while a migration runs, at a start and in a reload, on a small file system of its own: the schema stays as it was, the
-- message says why, what served goes on, and with room again the same migration goes through.

local files = require "spec.support.files"
local kills = require "spec.support.kills"
local server = require "spec.support.server"

-- Changes what is there first, so that a half of it would show: a second try would find the column.
local LARGE = [[
ALTER TABLE more ADD COLUMN note TEXT;
UPDATE more SET note = 'changed';
CREATE TABLE large (content BLOB NOT NULL);
INSERT INTO large WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT randomblob(1000) FROM n;
]]
local FULL = "migrations/0003_large%.sql:[%d:]* database or disk is full" -- in a statement, or when it is committed
local SMALL, ROOMY = "900k", "16m"

local function run(...) return os.execute((...):format(select(2, ...)) .. " 2>/dev/null") == 0 end

local function can_mount()
  local folder = server.make_folder()
  local mounted = run("mount -t tmpfs -o size=%s none %s", SMALL, folder)
  if mounted then run("umount %s", folder) end
  server.remove_folder(folder)
  return mounted
end

describe("a full disk", function()
  if not can_mount() then return pending("needs the right to mount a small file system") end
  local world, folder, data, running
  before_each(function()
    world = server.make_folder()
    data, folder = world .. "/data", server.write_app(kills.files "v1")
    assert(run("mkdir %s && mount -t tmpfs -o size=%s none %s", data, SMALL, data))
  end)
  after_each(function()
    if running then running:stop("KILL") end
    running = nil
    assert(run("umount %s", data) or run("umount -l %s", data))
    server.remove_folder(folder)
    server.remove_folder(world)
  end)

  local function start() running = server.start(folder, { workers = 2, data = data, flags = { "--access-log=off" } }) end
  local function stop()
    local status, log = running:stop()
    running = nil
    assert.equal(0, status, log)
  end
  local function resize(size) assert(run("mount -o remount,size=%s %s", size, data)) end
  local function write(path, text) files.write(folder .. "/" .. path, text) end
  local function schema() return running:request("GET", "/schema").body end
  -- A worker that has not given up the same migration yet may hold the lock: then a write is refused, and is not there.
  local function save_item(number)
    assert.truthy(server.wait_until(kills.PATIENCE, function()
      local status = running:request("POST", "/items/" .. number).status
      assert.is_true(status == 201 or status == 503, tostring(status))
      return status == 201
    end), running:log())
  end

  it("inside a migration at the start leaves the old schema whole, says why, and is over with room", function()
    start()
    save_item(1)
    stop()
    write("migrations/0003_large.sql", LARGE)
    for _ = 1, 2 do
      local started, message = pcall(start)
      assert.is_false(started)
      assert.truthy(message:find(FULL), message)
      assert.truthy(message:find("(status 1)", 1, true), message)
    end
    os.remove(folder .. "/migrations/0003_large.sql")
    start()
    assert.equal("2 3 2 ok", schema())
    save_item(2)
    stop()
    write("migrations/0003_large.sql", LARGE)
    resize(ROOMY)
    start()
    assert.equal("3 4 2 ok", schema())
    save_item(3)
  end)

  it("inside a migration in a reload leaves the old generation serving on the old schema, says why, and is over with room", function()
    start()
    save_item(1)
    write("migrations/0003_large.sql", LARGE)
    write("app.lua", kills.app "v2")
    local ended = 0
    for number = 2, 3 do
      running:signal("HUP")
      assert.truthy(server.wait_until(kills.PATIENCE, function() return kills.reloads(running) > ended end), running:log())
      ended = kills.reloads(running)
      assert.truthy(running:log():find("the reload failed and generation 1 goes on", 1, true), running:log())
      assert.truthy(running:log():find(FULL), running:log())
      assert.equal("v1", kills.version(running))
      save_item(number)
      assert.equal(("2 %d 2 ok"):format(number + 2), schema())
    end
    resize(ROOMY)
    running:signal("HUP")
    assert.truthy(server.wait_until(kills.PATIENCE, function() return kills.reloads(running) > ended end), running:log())
    for _ = 1, 6 do assert.equal("v2", kills.version(running)) end
    assert.equal("3 5 2 ok", schema())
    save_item(4)
    stop()
  end)

  it("at the first start of all leaves nothing that keeps the next one from its work", function()
    assert(run("head -c 10m /dev/zero >%s/filler; test -s %s/filler", data, data))
    local started, message = pcall(start)
    assert.is_false(started)
    assert.truthy(message:find("full", 1, true), message)
    os.remove(data .. "/filler")
    start()
    assert.equal(kills.MIGRATED, schema())
    save_item(1)
  end)
end)
