-- SPDX-License-Identifier: MIT
-- kill -9 of a worker at each call that changes the database's file (a checkpoint) or its log (a transaction of many statements): what was
-- answered is there, a transaction is there wholly or not at all, and the file is sound. Usually some calls are tried; DEMILUNE_KILLS=all, all.

local kills = require "spec.support.kills"

local PATIENCE = kills.PATIENCE
local PARTS = 30

local FILES = {
  ["app.lua"] = ([=[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { title = "Kills", version = "1", guard = demilune.guard.public }
local db = app:database("sqlite:test.db")
local add_item = db:statement "INSERT INTO items (number) VALUES (:number)"
local add_part = db:statement "INSERT INTO parts (item, content) VALUES (:number, zeroblob(20000))"
local has = db:statement "SELECT count(*) FROM items WHERE number = :number"
local halves = db:statement [[SELECT (SELECT count(*) FROM items WHERE (SELECT count(*) FROM parts WHERE item = number) <> PARTS)
  + (SELECT count(*) FROM parts WHERE NOT EXISTS (SELECT 1 FROM items WHERE number = item))]]
local whole = db:statement "SELECT integrity_check FROM pragma_integrity_check"
local options = { path = { number = model.integer() }, status = 201 }
app:post("/items/{number}", options, function(req)
  db:transaction(function()
    add_item:run { number = req.path.number }
    for _ = 1, PARTS do add_part:run { number = req.path.number } end
  end)
  return "kept"
end)
app:get("/items/{number}", { path = options.path }, function(req) return tostring(has:value { number = req.path.number }) end)
app:get("/state", function() return halves:value() .. " " .. whole:value() end)
return app
]=]):gsub("PARTS", PARTS),
  ["migrations/0001_items.sql"] = [[CREATE TABLE items (number INTEGER PRIMARY KEY);
    CREATE TABLE parts (item INTEGER NOT NULL, content BLOB NOT NULL); CREATE INDEX parts_item ON parts (item);]],
}

describe("kill -9 of a worker", function()
  local world = kills.world(FILES)
  local number, acknowledged
  before_each(function() number, acknowledged = 0, {} end)

  local function start() world:start { workers = 1 } end

  local function add()
    number = number + 1
    local connection = world.running:connect(PATIENCE)
    local response = connection:request("POST", "/items/" .. number)
    connection:close()
    if not response then return false end
    assert.equal(201, response.status, world.running:log())
    acknowledged[#acknowledged + 1] = number
    return true
  end

  local function check(at)
    for _, item in ipairs(acknowledged) do
      assert.equal("1", world.running:request("GET", "/items/" .. item).body, ("step %d, item %d"):format(at, item))
    end
    assert.equal("0 ok", world.running:request("GET", "/state").body, "step " .. at)
  end

  -- How many steps on this file there are until a checkpoint is over, which is when the next write adds none.
  local function steps_on(file)
    world.plan:set("worker", 2 ^ 40, nil, file)
    local steps = 0
    for _ = 1, 40 do
      add()
      local before = steps
      steps = world.plan:get()
      if steps > 0 and steps == before then break end
    end
    world.plan:set(nil, 0)
    assert.is_true(steps > 20, steps)
    return steps
  end

  local function kill_at_steps(file, last, some)
    local hits = 0
    for _, at in ipairs(kills.chosen(last, some)) do
      world.plan:set("worker", at, kills.SIGKILL, file)
      for _ = 1, 40 do
        if not add() or world.plan:hit() then break end
      end
      if world.plan:hit() then hits = hits + 1 end
      world.plan:set(nil, 0)
      check(at)
    end
    assert.is_true(hits >= some / 2, hits .. " hits")
    assert.equal(hits, select(2, world.running:log():gsub("ended by signal 9", "")))
  end

  it("inside a checkpoint loses nothing that was answered, and leaves a sound file", function()
    start()
    add()
    kill_at_steps(world.data .. "/test.db", steps_on(world.data .. "/test.db"), 8)
    world:stop()
    start()
    check(0)
  end)

  it("inside a transaction of many statements leaves all of it or nothing", function()
    start()
    add()
    local file = world.data .. "/test.db-wal"
    world.plan:set("worker", 2 ^ 40, nil, file)
    add()
    local last = world.plan:get()
    world.plan:set(nil, 0)
    assert.is_true(last > 2 * PARTS, last)
    kill_at_steps(file, last, 10)
  end)

  it("inside the checkpoint that ends the server loses nothing that was answered", function()
    start()
    add()
    world.plan:set("worker", 2 ^ 40, nil, world.data .. "/test.db")
    world:stop()
    local last, hits = world.plan:get(), 0
    world.plan:set(nil, 0)
    assert.is_true(last > 4, last)
    for _, at in ipairs(kills.chosen(last, 5)) do
      start()
      add()
      world.plan:set("worker", at, kills.SIGKILL, world.data .. "/test.db")
      world.running:stop()
      if world.plan:hit() then hits = hits + 1 end
      world.plan:set(nil, 0)
      start()
      check(at)
      world.running:stop("KILL")
    end
    assert.is_true(hits >= 3, hits)
  end)
end)
