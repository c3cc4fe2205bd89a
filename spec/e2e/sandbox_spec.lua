-- SPDX-License-Identifier: MIT
-- Ways out of an app's world, each tried by an app at load and by one in a handler.

local server = require "spec.support.server"

local HEAD = 'local demilune = require "demilune"\nlocal app = demilune.app { guard = demilune.guard.public }\n'

local function run(command, files)
  local folder = server.write_app(files)
  local pipe = assert(io.popen(("%s %s %s 2>&1; echo \"exit $?\""):format(server.program, command, folder)))
  local output = pipe:read("*a")
  pipe:close()
  server.remove_folder(folder)
  return tonumber(output:match("exit (%d+)%s*$")), output
end

-- What an app says after running these lines at load.
local function load_with(lines, files)
  files = files or {}
  files["app.lua"] = HEAD .. lines .. '\napp:get("/", function() return 1 end)\nreturn app\n'
  return run("check", files)
end

-- Each is refused with these words, at its line.
local REFUSED = {
  ["files"] = { 'io.open("/etc/passwd")', "app.lua:3: io is not for apps" },
  ["processes"] = { 'os.execute("id")', "app.lua:3: os.execute is not for apps" },
  ["io.popen"] = { 'local popen = io.popen', "io is not for apps" },
  ["the end of the server"] = { "os.exit(0)", "os.exit is not for apps" },
  ["removing files"] = { 'os.remove("x")', "os.remove is not for apps" },
  ["the environment of the process"] = { 'os.getenv("HOME")', "declare it in demilune.settings" },
  ["the locale"] = { 'os.setlocale("C")', "os.setlocale is not for apps" },
  ["the debug library"] = { "debug.getregistry()", "debug is not for apps" },
  ["C libraries"] = { 'package.loadlib("libc.so.6", "*")', "package is not for apps" },
  ["package.loaded"] = { "local core = package.loaded['demilune.core']", "package is not for apps" },
  ["ffi"] = { 'require "ffi"', "app.lua:3: there is no module ffi" },
  ["ffi through upvalues"] = { 'debug.getupvalue(require, 1)', "app.lua:3: debug is not for apps" },
  ["the registry"] = { 'local registry = debug.getregistry', "debug is not for apps" },
  ["the compiler's inside"] = { 'require "jit.util"', "there is no module jit.util" },
  ["buffers that make C data"] = { 'require "string.buffer"', "there is no module string.buffer" },
  ["bytecode by package.loadlib"] = { 'package.loadlib("x.so", "luaopen_x")', "package is not for apps" },
  ["bytecode by loadfile"] = { 'loadfile("compiled.lua", "b")', "loadfile is not for apps" },
  ["ffi as a global"] = { 'ffi.cdef ""', "ffi is not for apps" },
  ["the core"] = { 'require "demilune.core"', "demilune.core is no module for apps" },
  ["the inside of this layer"] = { 'require "demilune.context"', "demilune.context is no module for apps" },
  ["files beside the app"] = { 'require "../app"', "require takes the name of a file" },
  ["absolute paths"] = { 'require "/etc/passwd"', "require takes the name of a file" },
  ["getfenv"] = { "getfenv(0)", "getfenv is not for apps" },
  ["setfenv"] = { "setfenv(1, {})", "setfenv is not for apps" },
  ["dofile"] = { 'dofile "x.lua"', "dofile is not for apps" },
  ["loadfile"] = { 'loadfile "x.lua"', "loadfile is not for apps" },
  ["string.dump"] = { "string.dump(function() end)", "string.dump is not for apps" },
  ["dump as a method"] = { 'local dump = ("").dump dump(function() end)', "attempt to call local 'dump'" },
  ["a global"] = { "leaked = 1", "app.lua:3: leaked is global here; write local leaked" },
  ["a global function"] = { "function leaked() end", "leaked is global here" },
  ["a variable that there is not"] = { "local admin = 1\napp:get('/x', { guard = adimn }, function() return admin end)",
    "app.lua:4: there is no variable adimn, did you mean admin?; declare it with local before it is used" },
  ["one in a function, of the function around it"] = { "local admin = 1\nlocal function f() return admin, adimn end\nf()", "did you mean admin?" },
  ["one by _G"] = { "local x = _G.nowhere", "app.lua:3: there is no variable nowhere; declare it" },
  ["one in a file of the app's"] = { 'require "other"', "other.lua:1: there is no variable prnt, did you mean print?" },
  ["a global by _G"] = { "_G.leaked = 1", "leaked is global here" },
  ["a global by rawset"] = { 'rawset(_G, "leaked", 1)', "not the app's to change" },
  ["a global by table.insert"] = { "table.insert(_G, 1)", "app.lua:3: table.insert: this table is not the app's to change" },
  ["a library by table.insert"] = { "table.insert(string, 1, 2)", "not the app's to change" },
  ["a global by table.move"] = { "table.move({ 5 }, 1, 1, 7, _G)", "app.lua:3: table.move: this table is not the app's to change" },
  ["a library"] = { "string.format = nil", "app.lua:3: string.format cannot be changed" },
  ["a library by rawset"] = { 'rawset(math, "random", nil)', "not the app's to change" },
  ["the metatable of strings"] = { 'getmetatable("").__index = {}', "attempt to index" },
  ["the metatable of the globals"] = { "getmetatable(_G).__newindex = nil", "attempt to index" },
  ["another metatable for the globals"] = { "setmetatable(_G, {})", "metatable is not the app's" },
  ["the metatable of a guard"] = { "getmetatable(demilune.guard.public).__index = {}", "attempt to index" },
  ["another metatable for the app"] = { "setmetatable(app, {})", "metatable is not the app's" },
  ["the metatable of a secret"] = { 'getmetatable(demilune.settings { K = demilune.model.secret() }.K).__gc()', "attempt to" },
  ["the metatable of numbers of C"] = { 'getmetatable(5LL).__index = {}', "attempt to index" },
  ["newproxy"] = { "newproxy(true)", "attempt to call global 'newproxy'" },
  ["the compiler"] = { "jit.off()", "attempt to index global 'jit'" },
  ["module"] = { 'module("x")', "module is not for apps" },
  ["the collector"] = { 'collectgarbage("stop")', "the server collects" },
}

describe("an app cannot reach", function()
  for what, case in pairs(REFUSED) do
    it(what, function()
      local status, output = load_with(case[1], { ["other.lua"] = "prnt(1)" })
      assert.equal(1, status, output)
      assert.truthy(output:find(case[2], 1, true), output)
    end)
  end
end)

describe("a module for several versions of Lua", function()
  it("may ask for what only others have", function()
    local status, output = load_with [[
local unpack = table.unpack or unpack
assert(unpack { 1 } == 1 and not (jit or bit32 or utf8 or _ENV) and rawget(_G, "love") == nil)]]
    assert.equal(0, status, output)
  end)
end)

describe("an app's compiled Lua", function()
  local BYTECODE = string.dump(function() return 1 end)

  it("is not loaded from text", function()
    local bytes = BYTECODE:gsub(".", function(byte) return ("\\%03d"):format(byte:byte()) end)
    for _, call in ipairs { 'load("%s")', 'loadstring("%s")', 'load("%s", "x", "b")', 'load(function() return nil end, "x", "b")' } do
      local status, output = load_with("assert(" .. call:format(bytes) .. ")")
      assert.equal(1, status, call)
      assert.truthy(output:find("compiled Lua is not loaded here", 1, true), output)
    end
    local status, output = load_with('local text, sent = "' .. bytes .. '" assert(load(function() if not sent then sent = true return text end end))')
    assert.equal(1, status)
    assert.truthy(output:find("compiled Lua is not loaded here", 1, true), output)
  end)

  it("is not loaded from files", function()
    local status, output = load_with('require "compiled"', { ["compiled.lua"] = BYTECODE })
    assert.equal(1, status)
    assert.truthy(output:find("this is compiled Lua", 1, true), output)
  end)
end)

-- All that tables, calls of none, and every name of a library lead to.
local REACH = [=[
local client = require("demilune.test").client()
local names = { cdef = true, C = true, new = true, cast = true, ptr = true, L = true }
for name, value in pairs(_G) do
  names[name] = true
  for key in pairs(type(value) == "table" and value or {}) do names[key] = true end
end
local function walk(value, seen)
  local sort = type(value)
  if sort ~= "table" and sort ~= "function" and sort ~= "userdata" or seen[value] then return seen end
  seen[value] = true
  if sort == "function" then return seen end
  for key, item in next, sort == "table" and value or {} do
    walk(key, seen)
    walk(item, seen)
  end
  for name in pairs(names) do
    local ok, item = pcall(function() return value[name] end)
    if ok then walk(item, seen) end
  end
  return seen
end
it("leads to nothing of ours", function()
  assert.equal(200, client:get("/").status)
  local seen, count = walk(require("world"), {}), 0
  for _ in pairs(seen) do count = count + 1 end
  assert.is_true(count > 150, count .. " reached")
  local core, ffi = package.loaded["demilune.core"], require "ffi"
  local forbidden = {
    _G = _G, io = io, os = os, debug = debug, package = package, jit = jit, ffi = ffi, core = core, string = string, loaded = package.loaded,
    registry = debug.getregistry(), getfenv = getfenv, setfenv = setfenv, loadfile = loadfile, dofile = dofile, require = require, load = load,
    loadstring = loadstring, getmetatable = getmetatable, setmetatable = setmetatable, rawset = rawset, newproxy = newproxy,
    collectgarbage = collectgarbage, module = module, insert = table.insert, context = package.loaded["demilune.context"],
  }
  for _, name in ipairs { "execute", "getenv", "exit", "remove", "rename", "tmpname", "setlocale" } do forbidden["os." .. name] = os[name] end
  for library, members in pairs { io = io, debug = debug, ffi = ffi } do
    for name, member in pairs(members) do
      if type(member) == "function" then forbidden[library .. "." .. name] = member end
    end
  end
  for _, name in ipairs { "secret_reveal", "key_set", "sealer", "schema_compile" } do forbidden["core." .. name] = assert(core[name]) end
  for name, value in pairs(forbidden) do assert.is_nil(seen[value], name) end
end)]=]

describe("an app's world", function()
  it("leads to nothing else, by whatever table one goes", function()
    local status, output = run("test", {
      ["app.lua"] = HEAD .. [[
        local guard, model, world = demilune.guard, demilune.model, require "world"
        local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }
        local db = app:database("sqlite::memory:", { migrations = false })
        local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m" }
        local session = guard.session { secret = settings.JWT_SECRET, lifetime = "15m" }
        local need = app:dependency(function() return 1 end)
        local statement, Thing = db:statement "SELECT 1", model "Thing" { a = model.string() }
        world.found = { _G, require, demilune, settings, app, db, statement, bearer, session, need, Thing }
        app:get("/", { needs = { need = need } }, function(req, needs)
          local ok, aborted = pcall(demilune.abort, 404)
          world.handled = { req, needs, ok, aborted, demilune.response { body = "x" }, coroutine.running() }
        end)
        return app]],
      ["world.lua"] = "return {}",
      ["spec/reach_spec.lua"] = REACH,
    })
    assert.equal(0, status, output)
  end)

  it("has the language, text of its own making and its own files", function()
    local status, output = load_with([[
      local parts = require "parts"
      assert(parts == require "parts" and parts.name == "parts" and require("deep.one") == 1)
      assert(load("return 1 + 1")() == 2 and load("return x", "name", "t", { x = 5 })() == 5 and not load("return +"))
      assert(load("return _G")() == _G and not pcall(load("leaked = 1")) and select(2, pcall(load("return io"))):find("io is not for apps"))
      local class = setmetatable({}, { __index = { twice = function() return 2 end } })
      assert(class.twice() == 2 and getmetatable(class).__index.twice and setmetatable(class, nil) == class)
      assert(rawset({}, "a", 1).a == 1 and ("x"):rep(3) == "xxx" and #table.concat({ 1, 2 }) == 2 and bit.band(3, 1) == 1)
      assert(type(os.time()) == "number" and os.clock() and collectgarbage("count") > 0 and coroutine.wrap(function() return 7 end)() == 7)
      assert(demilune.random.hex(4):match("^%x%x%x%x%x%x%x%x$") and jit == nil)
    ]], { ["parts.lua"] = 'return { name = ... }', ["deep/one.lua"] = "return 1" })
    assert.equal(0, status, output)
  end)

  it("tells files that require each other", function()
    local status, output = load_with('require "a"', { ["a.lua"] = 'require "b"', ["b.lua"] = 'require "a"' })
    assert.equal(1, status)
    assert.truthy(output:find("b.lua:1: a requires itself", 1, true), output)
  end)

  it("tells them also where each gives what the other one has", function()
    local status, output = load_with('require "a"', { ["a.lua"] = 'return require "b"', ["b.lua"] = 'return require "a"' })
    assert.equal(1, status)
    assert.truthy(output:find("a requires itself", 1, true), output)
  end)

  it("tells each time why a file fails", function()
    local status, output = load_with('assert(not pcall(require, "a"))\nrequire "a"', { ["a.lua"] = 'error "no a"' })
    assert.equal(1, status)
    assert.truthy(output:find("a.lua:1: no a", 1, true), output)
  end)

  it("has a file once, also where two requests ask for it while it waits", function()
    local running = server.start { ["app.lua"] = HEAD .. [[
app:get("/", function() return require("waits").name == require("waits").name and require("waits").name end)
return app]], ["waits.lua"] = 'require("demilune").sleep "100ms"\nreturn { name = "first" }' }
    local one, two = running:connect(), running:connect()
    one:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    two:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.same({ "first", "first" }, { one:receive().body, two:receive().body })
    one:close()
    two:close()
    running:stop()
  end)

  it("is the same in a handler, and specs have busted's", function()
    local status, output = run("test", {
      ["app.lua"] = HEAD .. [[
        local shared = require "shared"
        app:get("/", function() return { shared = shared.count, io = pcall(function() return io end), global = pcall(function() leaked = 1 end) } end)
        return app]],
      ["shared.lua"] = "return { count = 0 }",
      ["spec/support/helper.lua"] = "return { io = io, assert = assert }",
      ["spec/world_spec.lua"] = [[
        local client = require("demilune.test").client()
        it("is its own", function()
          require("shared").count = 5
          assert.same({ shared = 5, io = false, global = false }, client:get("/").json())
          assert.is_nil(rawget(_G, "leaked"))
          assert.equal("table", type(require("spec.support.helper").io))
        end)]],
    })
    assert.equal(0, status, output)
  end)
end)
