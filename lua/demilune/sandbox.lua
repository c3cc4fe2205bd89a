-- SPDX-License-Identifier: MIT
-- What an app's Lua may reach: the language, its own files and demilune. No files, no
-- processes, no C, no compiled chunks, no way into this layer or the core, and
-- nothing global to change. boot.lua makes one for each load; specs run outside it.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local globals_of = require "demilune.globals"

-- Taken before anything of an app runs.
local debug = debug
local real = {
  getmetatable = getmetatable, setmetatable = setmetatable, rawset = rawset, load = load, setfenv = setfenv, require = require, type = type,
  collectgarbage = collectgarbage,
}

local sandbox = {}

local PLAIN = {
  "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "select", "tonumber", "tostring", "type", "unpack", "xpcall",
  "_VERSION",
}

-- Libraries, and what of each; true is all of it.
local LIBRARIES = { string = true, table = true, math = true, bit = true, coroutine = true, os = { "clock", "date", "difftime", "time" } }

local WITHOUT = { string = { dump = true } }

-- What to do instead of reaching for these.
local DENIED = {
  io = "an app reaches no files; keep data in a database, and log with demilune.log",
  debug = "an app cannot look into running functions; log with demilune.log",
  package = "an app loads its own files with require and nothing else",
  getfenv = "write a local table", setfenv = "write a local table, or load(text, name, \"t\", environment)",
  dofile = "write require \"name\" for name.lua in the app's folder", loadfile = "write require \"name\" for name.lua in the app's folder",
  module = "let the file return a table", ffi = "an app calls no C",
}
local DENIED_OF = {
  os = {
    getenv = "declare it in demilune.settings { NAME = model.string() }", execute = "an app starts no processes",
    exit = "an app does not end the server",
    remove = "an app reaches no files", rename = "an app reaches no files", tmpname = "an app reaches no files",
    setlocale = "it would change the locale of the whole server",
  },
  string = { dump = "an app makes no compiled Lua" },
}

-- What modules ask for that run in several Lua versions, before they use it: there is none, and that is no mistake.
local OF_OTHER_VERSIONS = {
  _ENV = true, arg = true, bit32 = true, gcinfo = true, jit = true, newproxy = true, utf8 = true, warn = true,
}

-- Modules of ours that an app may require; all others are this layer's own.
local MODULES = {
  demilune = true, ["demilune.model"] = true, ["demilune.guard"] = true, ["demilune.json"] = true, ["demilune.log"] = true,
  ["demilune.password"] = true, ["demilune.random"] = true, ["demilune.hmac"] = true,
}

-- The names that a function can use which called what calls this.
local function names_in_sight(globals)
  local names, reader = {}, debug.getinfo(3, "f").func
  for name in pairs(globals) do names[#names + 1] = name end
  for index = 1, 250 do
    local name = debug.getlocal(3, index)
    if not name then break end
    names[#names + 1] = name
  end
  for index = 1, 60 do
    local name = debug.getupvalue(reader, index)
    if not name then break end
    names[#names + 1] = name
  end
  return names
end

-- What a function will say that nobody has called yet.
local function note_unknown(chunk, globals)
  local path = debug.getinfo(chunk, "S").source:gsub("^@", "")
  globals_of.each(chunk, function(name, line)
    if rawget(globals, name) ~= nil or OF_OTHER_VERSIONS[name] then return end
    local place = path .. ":" .. line
    if DENIED[name] then
      context.note("warning", place, name .. " is not for apps", DENIED[name])
      return
    end
    local names = globals_of.locals_of(path)
    for known in pairs(globals) do names[#names + 1] = known end
    local nearest = errors.nearest(name, names)
    context.note("warning", place, ("there is no variable %s, so that whatever reads it fails"):format(name),
      nearest and ("write %s, or declare it with local"):format(nearest) or "declare it with local before it is used")
  end)
end

-- A table that reads like another one and cannot be written. A global that there is not would read as nil, and `guard = nil` as none.
local function frozen(contents, label, denied, unwritable)
  setmetatable(contents, {
    __index = function(_, name)
      if denied[name] then error(("%s%s is not for apps: %s"):format(label, name, denied[name]), 2) end
      if label ~= "" or OF_OTHER_VERSIONS[name] then return nil end
      local nearest = errors.nearest(name, names_in_sight(contents))
      error(("there is no variable %s%s; declare it with local before it is used"):format(tostring(name),
        nearest and ", did you mean " .. nearest .. "?" or ""), 2)
    end,
  })
  local made = setmetatable({}, {
    __index = contents, __metatable = false,
    __newindex = function(_, name)
      if label ~= "" then error(("%s%s cannot be changed; write a local function"):format(label, tostring(name)), 2) end
      error(("%s is global here; write local %s, or return it from a file that others require"):format(tostring(name), tostring(name)), 2)
    end,
  })
  unwritable[made] = true
  return made
end

local function contents_of(name, wanted)
  local contents = {}
  for key, value in pairs(_G[name]) do contents[key] = value end
  if wanted ~= true then
    contents = {}
    for _, key in ipairs(wanted) do contents[key] = _G[name][key] end
  end
  for key in pairs(WITHOUT[name] or {}) do contents[key] = nil end
  return contents
end

-- These write past metatables, and so into what cannot be written otherwise.
local function guard_writers(libraries, unwritable)
  for _, name in ipairs { "insert", "move" } do
    local write = table[name]
    libraries.table[name] = write and function(...)
      -- move names its target last, when it is another than the first.
      local target = name == "move" and select(5, ...) or (...)
      if unwritable[target] then error(("table.%s: this table is not the app's to change"):format(name), 2) end
      return write(...)
    end
  end
end

-- Metatables: an app sees and changes those that it made.
local function add_metatables(globals)
  local own = real.setmetatable({ [core.array_type] = true }, { __mode = "k" })

  function globals.getmetatable(value)
    local metatable = real.getmetatable(value)
    if real.type(metatable) ~= "table" then return metatable end
    return real.type(value) == "table" and own[metatable] and metatable ~= core.array_type and metatable or nil
  end

  function globals.setmetatable(value, metatable)
    if real.type(value) ~= "table" then error("setmetatable takes a table first, not a " .. real.type(value), 2) end
    local before = real.getmetatable(value)
    if before ~= nil and not own[before] then error("this table's metatable is not the app's, and cannot be changed", 2) end
    if metatable ~= nil and real.type(metatable) ~= "table" then error("setmetatable takes a table or nil second", 2) end
    if metatable ~= nil then own[metatable] = true end
    return real.setmetatable(value, metatable)
  end
end

-- A line of the log: bytes of a request's, written as they are, could pass for lines of their own.
-- `check` and `test` write no such lines, and have nobody who sends.
local function print_to_log(...)
  local texts = {}
  for index = 1, select("#", ...) do texts[index] = tostring((select(index, ...))) end
  core.log("info", table.concat(texts, "\t"))
end

-- Text in place of a function that gives it piece by piece.
local function read_pieces(produce)
  local pieces = {}
  for piece in produce do
    if piece == "" then break end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

local function loader(environment)
  return function(text, _, mode, given)
    if real.type(text) == "function" then text = read_pieces(text) end
    if real.type(text) ~= "string" then error("load takes Lua as text", 2) end
    -- What is no table leaves the chunk the real globals.
    if given ~= nil and real.type(given) ~= "table" then error("load takes a table for the chunk's globals, not a " .. real.type(given), 2) end
    if text:byte(1) == 27 or mode == "b" then return nil, "compiled Lua is not loaded here; give the source" end
    -- The name is ours: errors and logs would take another for the place of a mistake.
    return real.load(text, "=(load)", "t", given or environment)
  end
end

-- Whether a function is running, in what calls this.
local function is_running(fn)
  for level = 2, math.huge do
    local info = debug.getinfo(level, "f")
    if not info then return false end
    if info.func == fn then return true end
  end
end

local function requirer(find)
  local loaded, loading = {}, {}
  return function(name)
    if MODULES[name] then return real.require(name) end
    if real.type(name) ~= "string" or not name:match("^[%w_-][%w_./-]*$") then
      error(("require takes the name of a file in the app's folder, unlike %s; write require \"name\" for name.lua"):format(errors.show(name)), 2)
    end
    if loaded[name] ~= nil then return loaded[name] end
    -- Not so where the file failed and is asked for again, or waits in another request.
    if loading[name] and is_running(loading[name]) then
      error(("%s requires itself by way of others; move what both need into a file of its own"):format(name), 2)
    end
    if name:match("^demilune%.") then error(("%s is no module for apps; all that they may use is in require \"demilune\""):format(name), 2) end
    local chunk, tried = find(name)
    if not chunk then error(("there is no module %s: %s in the app's folder"):format(name, tried), 2) end
    local function run() return (chunk(name)) end -- its frame stays where the file ends by "return require"
    loading[name] = run
    local result = run()
    loading[name] = nil
    if result == nil then result = true end
    if loaded[name] == nil then loaded[name] = result end
    return loaded[name]
  end
end

---@class demilune.Sandbox
---@field environment table what an app's chunks have for globals
---@field require fun(name: string): any as the app has it
---@field run fun(chunk: function): any runs a chunk inside

---Makes a world for an app.
---@param find fun(name: string): function?, string? the chunk of a module of the app's, or where it would be
---@return demilune.Sandbox
function sandbox.new(find)
  local globals, unwritable, libraries = {}, {}, {}
  for _, name in ipairs(PLAIN) do globals[name] = _G[name] end
  for name, wanted in pairs(LIBRARIES) do libraries[name] = contents_of(name, wanted) end
  guard_writers(libraries, unwritable)
  for name, contents in pairs(libraries) do globals[name] = frozen(contents, name .. ".", DENIED_OF[name] or {}, unwritable) end
  add_metatables(globals)
  local environment = frozen(globals, "", DENIED, unwritable)
  globals._G = environment
  globals.print = (context.mode == "dev" or context.mode == "serve") and print_to_log or print
  globals.load = loader(environment)
  globals.loadstring = globals.load
  globals.require = requirer(function(name)
    local chunk, tried = find(name)
    if not chunk then return nil, tried end
    note_unknown(chunk, globals)
    return real.setfenv(chunk, environment)
  end)
  function globals.rawset(target, name, value)
    if unwritable[target] or real.type(target) == "table" and real.getmetatable(target) and not globals.getmetatable(target) then
      error("rawset: this table is not the app's to change", 2)
    end
    return real.rawset(target, name, value)
  end
  function globals.collectgarbage(option)
    if option ~= "count" then error("collectgarbage: the server collects; an app may ask for \"count\"", 2) end
    return real.collectgarbage("count")
  end
  return {
    environment = environment, require = globals.require,
    run = function(chunk)
      note_unknown(chunk, globals)
      return real.setfenv(chunk, environment)()
    end,
  }
end

---Takes from the whole state what is reachable without a global: the methods of strings.
function sandbox.seal()
  string.dump = nil -- luacheck: ignore
  local strings = real.getmetatable("")
  if real.type(strings) == "table" then strings.__metatable = false end
end

return sandbox
