-- SPDX-License-Identifier: MIT
-- Loads an app: runs its app.lua, follows its requires inside its own folder, and
-- gives the plan. What goes wrong is raised as one string that names the place
-- and shows the line.

local app_module = require "demilune.app"
local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local files = require "demilune.files"
local names = require "demilune.names"
local plan = require "demilune.plan"
local sandbox = require "demilune.sandbox"

local boot = {}

-- Lua inside these modules names itself with this; an app never sees such a place.
local own = debug.getinfo(1, "S").source:match("^(.*)boot"):gsub("^[@=]", "")

-- Chunks are known by their path inside the folder, so that messages say "app.lua:40".
local function load_text(path)
  local text = files.read(path)
  local problem = not text and files.problem(path)
  if problem then
    error(("%s/%s cannot be read (%s); make it a file of 1 MiB at most that the user who runs demilune may read")
      :format(context.folder, path, problem), 0)
  end
  if not text then return nil end
  if text:byte(1) == 27 then error(path .. ": this is compiled Lua, which nobody can check; put the source there instead", 0) end
  local chunk, mistake = loadstring(text:gsub("^#[^\n]*", ""), "@" .. path)
  if not chunk then error(mistake, 0) end
  return chunk
end

-- Modules of the app's: chunks of its own folder.
local function finder(loaded)
  return function(name)
    local base = name:gsub("%.", "/")
    for _, path in ipairs { base .. ".lua", base .. "/init.lua" } do
      local chunk = load_text(path)
      if chunk then
        loaded[#loaded + 1] = path
        return chunk
      end
    end
    return nil, ("neither %s.lua nor %s/init.lua is"):format(base, base)
  end
end

-- Outside the app nothing is loaded from files but by specs, which run in busted's
-- world: they find the app's modules as the app has them, and modules of their own.
local function install_searcher(world, find)
  local searchers = { package.loaders[1] }
  if context.mode == "test" then
    searchers[2] = function(name)
      if name:match("^spec%.") or not find(name) then return "\n\tno such file in the app's folder" end
      return function() return world.require(name) end
    end
    for index = 2, #package.loaders do searchers[#searchers + 1] = package.loaders[index] end
  end
  package.loaders = searchers
end

-- A mistake that surfaced inside our own modules is told at the app's line.
local function explain(problem)
  if type(problem) == "table" and getmetatable(problem) == nil then
    local shown, text = pcall(core.json_encode, problem)
    return ('%s: the app raised %s; raise a sentence instead: error("what is wrong")'):format(errors.where(), shown and text or "a table")
  end
  if type(problem) ~= "string" then return problem end
  if own ~= "" and problem:sub(1, #own) == own then return errors.where() .. ": " .. problem:gsub("^.-:%d+: ", "") end
  return names.explain(problem, app_module.methods())
end

-- The line that a message names, under it; a list needs none.
local function with_excerpt(message)
  if message:find("\n", 1, true) then return message end
  local path, number = message:match("^([%w_./-]+%.lua):(%d+):")
  local text = path and files.read(path)
  if not text then return message end
  local current = 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    current = current + 1
    if current == tonumber(number) then return ("%s\n  %d | %s"):format(message, current, line) end
  end
  return message
end

local function load_app(folder, loaded, world)
  local chunk = load_text("app.lua")
  local above = not chunk and folder:match("^(.*)%.lua/*$") and (folder:match("^(.+)/[^/]+/*$") or ".")
  if above then error(("%s is no folder; an app is named by its folder, here %s"):format(folder, above), 0) end
  if not chunk then
    error(("%s has no app.lua; name an app's folder, or make one with `demilune new`"):format(folder), 0)
  end
  loaded[1] = "app.lua"
  local app = world.run(chunk)
  if not app_module.is(app) then
    error(("app.lua must give its app, not %s; write `return app` as the last line"):format(errors.show(app)), 0)
  end
  local made = plan.compile(app)
  for _, host in ipairs(made.allowed_hosts or {}) do
    if host:sub(1, 1) ~= "*" then context.host = context.host or host end
  end
  return made
end

---Loads the app in a folder.
---@param given { folder: string, mode: "dev"|"serve"|"check"|"test", seed: string?, workers: integer? }
---@return table plan
function boot.load(given)
  context.folder, context.mode, context.findings = given.folder, given.mode or "serve", {}
  context.plan, context.routers = nil, {}
  context.seed, context.workers = given.seed, given.workers or 1
  local loaded = {}
  local find = finder(loaded)
  local world = sandbox.new(find)
  sandbox.seal()
  install_searcher(world, finder({}))
  local ok, result = xpcall(load_app, explain, given.folder, loaded, world)
  if not ok then error(type(result) == "string" and with_excerpt(result) or result, 0) end
  result.loaded = loaded
  context.plan = result
  return result
end

return boot
