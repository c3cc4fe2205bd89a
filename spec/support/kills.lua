-- SPDX-License-Identifier: MIT
-- What specs share that end, abort or stop processes of the real program at a step: the plan that tests/kills/killer.c has mapped, an app whose
-- answers tell its version and what its database holds, and its migrations.

local busted = require "busted" -- a module sees none of the words that busted gives to specs
local ffi = require "ffi"
local files = require "spec.support.files"
local server = require "spec.support.server"

local kills = { SIGABRT = 6, SIGKILL = 9, SIGSTOP = 19 }

kills.PATIENCE = 30 -- seconds

local KILLER = (server.program:match("^(.*)/") or ".") .. "/tests/killer.so"
local ROLES = { master = 1, starting = 2, worker = 3, probe = 4, admin = 5 }
local ALL = os.getenv "DEMILUNE_KILLS" == "all"

--- The app's text; its /version answers 2,000 times the word.
function kills.app(version)
  return ([=[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { title = "Kills", version = "1", guard = demilune.guard.public }
local version = "%s"
app:get("/version", function() return (version .. " "):rep(2000) end)
local db = app:database("sqlite:test.db", { lock_ms = 60000, queue_ms = 60000 }) -- whoever is stopped keeps the lock for as long as the test takes
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

kills.MIGRATIONS = {
  ["migrations/0001_items.sql"] = "CREATE TABLE items (number INTEGER UNIQUE);\nINSERT INTO items VALUES (-1); INSERT INTO items VALUES (-2);",
  ["migrations/0002_more.sql"] = "CREATE TABLE more (id INTEGER PRIMARY KEY);\nINSERT INTO more VALUES (1); INSERT INTO more VALUES (2);",
}

--- What /schema answers when they are applied.
kills.MIGRATED = "2 2 2 ok" -- both files, the rows of each, once

--- The plan that the killer has mapped: role, at, signal, file, steps, hit.
---@class kills.Plan
local Plan = {}
Plan.__index = Plan

function kills.plan(folder)
  local self = setmetatable({ path = folder .. "/killer" }, Plan)
  files.write(self.path, ("\0"):rep(48))
  return self
end

--- At its step `at` (counted from now on) a process of that role gets the signal, SIGKILL when nil; at 0 nothing happens.
-- With `file`, a path, only calls that change that file are steps.
function Plan:set(role, at, signal, file)
  local inode = file and assert(tonumber(io.popen("stat -c %i " .. file):read("*a")), file) or 0
  for _, values in ipairs { { 0, 0, 0, 0, 0, 0 }, { ROLES[role] or 0, at, signal or kills.SIGKILL, inode, 0, 0 } } do -- nobody counts meanwhile
    local shared = assert(io.open(self.path, "r+b"))
    shared:write(ffi.string(ffi.new("int64_t[6]", values), 48))
    shared:close()
  end
end

--- No step counts from here on; who was hit stays told.
function Plan:rest()
  local shared = assert(io.open(self.path, "r+b"))
  shared:write(ffi.string(ffi.new("int64_t[1]", 0), 8))
  shared:close()
end

--- How many steps there were, and the process that was hit, 0 for none.
function Plan:get()
  local text = files.read(self.path)
  local values = ffi.cast("const int64_t *", text)
  return tonumber(values[4]), tonumber(values[5])
end

function Plan:hit() return select(2, self:get()) ~= 0 end

--- The app's files, of that version.
function kills.files(version)
  local app = { ["app.lua"] = kills.app(version) }
  for path, text in pairs(kills.MIGRATIONS) do app[path] = text end
  return app
end

--- Steps from 1 to last: `some` of them evenly, or all of them with DEMILUNE_KILLS=all.
function kills.chosen(last, some)
  local steps = {}
  local stride = ALL and 1 or math.max(1, math.ceil(last / some))
  for at = 1, last, stride do steps[#steps + 1] = at end
  return steps
end

--- The word that /version answers, whole; nil where the connection was lost.
function kills.version(running)
  local connection = running:connect(kills.PATIENCE)
  local response = connection:request("GET", "/version")
  connection:close()
  if not response then return nil end
  assert(response.status == 200, response.status)
  local word = response.body:match("^(%S+) ")
  assert(response.body == (word .. " "):rep(2000), response.body)
  return word
end

--- How many reloads have come to an end.
function kills.reloads(running)
  local log = running:log()
  return select(2, log:gsub("reloaded: generation", "")) + select(2, log:gsub("the reload failed", ""))
end

---@class kills.World
---@field folder string
---@field app string folder of the app
---@field data string its data folder, which every server of the world has
---@field plan kills.Plan
---@field running server.Running the one that was started last
local World = {}
World.__index = World

--- Starts a server under the plan: two workers, unless `extra`, more options of server.start, says otherwise.
function World:start(extra)
  local env = { KILLER = self.plan.path, LD_PRELOAD = KILLER, ASAN_OPTIONS = "verify_asan_link_order=0" }
  local options = { workers = 2, data = self.data, flags = { "--access-log=off" }, env = env }
  for name, value in pairs(extra or {}) do options[name] = value end
  self.running = server.start(self.app, options)
end

--- Saves another app.lua.
function World:save(text) files.write(self.app .. "/app.lua", text) end

--- Ends its server in order.
function World:stop()
  local status, log = self.running:stop()
  assert(status == 0, log)
end

--- The masters that serve its app, and all processes of theirs.
function World:processes() return server.processes(self.app) end

--- Inside a describe: a world with this app, made for each test and ended behind it, whatever runs there then.
---@param app table<string, string> what server.write_app takes
---@return kills.World
function kills.world(app)
  local world = setmetatable({}, World)
  busted.before_each(function()
    local folder = server.make_folder()
    world.folder, world.data, world.plan, world.app, world.running = folder, folder .. "/data", kills.plan(folder), server.write_app(app), nil
  end)
  busted.after_each(function()
    for _, pid in ipairs(select(2, world:processes())) do os.execute(("kill -KILL %d 2>/dev/null"):format(pid)) end
    if world.running then world.running:stop("KILL") end
    server.remove_folder(world.app)
    server.remove_folder(world.folder)
  end)
  return world
end

return kills
