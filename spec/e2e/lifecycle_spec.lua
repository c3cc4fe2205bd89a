-- SPDX-License-Identifier: MIT
-- From start to stop: what keeps a server from starting, how it ends, and what the other commands print and return.

local files = require "spec.support.files"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local cjson = require "cjson"

local PATIENCE = 30 -- seconds

local PRELUDE = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Life", version = "1.2.3", guard = guard.public }
]]

local function app(body) return PRELUDE .. body .. "\nreturn app\n" end

local HELLO = app [[app:get("/", function() return "root" end)]]

-- Writes the app, calls fn with its folder, and removes it.
local function with_app(text, fn)
  local folder = server.write_app(text)
  local ok, problem = pcall(fn, folder)
  server.remove_folder(folder)
  if not ok then error(problem, 0) end
end

describe("SIGTERM", function()
  local APP = app [[
app:get("/", function() return "root" end)
local function mark(name) demilune.log.info("mark: " .. name) end
local function get(name, handler)
  app:get("/" .. name, function()
    mark("in " .. name)
    return handler()
  end)
end
local read = false -- all of a stream, by its client
get("slow", function() while not read do demilune.sleep("10ms") end return "finished" end)
get("stuck", function() while true do pcall(demilune.sleep, 60) end end)
get("stream", function() return demilune.stream(function(write) for _ = 1, 40 do write(("x"):rep(500000)) end read = true end) end)
get("big", function() return ("x"):rep(20000000) end)
local db = app:database("sqlite::memory:", { statement_ms = 60000, transaction_ms = 60000 })
local slow = db:statement [=[WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT count(*) FROM n]=]
get("sql", function() return slow:value() end)
get("transaction", function() return db:transaction(function() return slow:value() end) end)
get("spawn", function() demilune.spawn(function() demilune.sleep(60) end) return "spawned" end)
get("later", function() demilune.spawn(function() end) return "later" end)
app:on_start(function() demilune.sleep("1ms") mark "started" end)
app:on_stop(function() mark "stopped first declared" end)
app:on_stop(function() demilune.sleep("50ms") mark "stopped" end)]]

  local running
  before_each(function() running = server.start(APP) end)
  after_each(function() if running then running:stop("KILL") end end)

  -- The status it ended with, and how long that took.
  local function wait_end()
    local began = socket.gettime()
    local status = server.wait_until(PATIENCE, function() return running:exit_status() end)
    return status, socket.gettime() - began
  end

  it("ends an idle server with status 0 after its stop functions have run", function()
    assert.equal("root", running:request("GET", "/").body)
    assert.truthy(running:log_line "mark: started")
    running:signal("TERM")
    assert.equal(0, (wait_end()))
    assert.truthy(running:log():find("mark: stopped\".*mark: stopped first declared"), running:log())
  end)

  it("is obeyed from the moment that the server says it listens", function()
    for _ = 1, 5 do
      running:signal("TERM")
      assert.equal(0, (wait_end()))
      running:stop()
      running = server.start(APP)
    end
  end)

  it("closes idle connections, finishes what is in flight, and takes nothing new", function()
    local idle, busy, streaming = running:connect(PATIENCE), running:connect(PATIENCE), http.connect_narrow(running.port, PATIENCE)
    idle:request("GET", "/")
    busy:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    streaming:send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    for _, name in ipairs { "slow", "stream" } do assert.truthy(running:log_line("mark: in " .. name)) end
    running:signal("TERM")
    assert.is_true(idle:is_closed())
    assert.is_true(server.wait_until(PATIENCE, function() return not socket.connect("127.0.0.1", running.port) end))
    assert.is_nil(running:exit_status())
    assert.equal("", (busy:read(0)))
    assert.equal(20000000, #streaming:receive().body) -- upon which the other ends as well
    assert.equal("finished", busy:receive().body)
    assert.is_true(busy:is_closed())
    assert.equal(0, (wait_end()))
    assert.truthy(running:log():find('"status":200.*mark: stopped"'))
  end)

  it("finishes a response that its client still reads", function()
    local connection = http.connect_narrow(running.port, PATIENCE)
    connection:send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.buffer = connection:read()
    running:signal("TERM")
    socket.sleep(0.3)
    assert.equal(20000000, #connection:receive().body)
    assert.equal(0, (wait_end()))
  end)

  -- But for its deadline, 10 s.
  it("waits for no client that is silent in the middle of a request", function()
    local connection = running:connect(PATIENCE)
    connection:send("GET / HT")
    for _ = 1, 2 do assert.equal("root", running:request("GET", "/").body) end -- the first half has arrived
    running:signal("TERM")
    assert.equal(0, (wait_end()))
    connection:close()
  end)

  it("waits for no spawned function", function()
    assert.equal("spawned", running:request("GET", "/spawn").body)
    assert.equal("later", running:request("GET", "/later").body)
    running:signal("TERM")
    assert.equal(0, (wait_end()))
  end)

  it("a second time ends at once what is in flight, and the status says so", function()
    for _, name in ipairs { "slow", "stuck", "stream", "big", "sql", "transaction" } do
      local connection = http.connect_narrow(running.port, PATIENCE)
      connection:send("GET /" .. name .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.truthy(running:log_line("mark: in " .. name), running:log())
      running:signal("TERM")
      assert.truthy(running:log_line("stopping: no new connections"), running:log())
      socket.sleep(0.2)
      assert.is_nil(running:exit_status(), name)
      running:signal("TERM")
      local status, seconds = wait_end()
      assert.equal(1, status, name .. running:log())
      assert.is_true(seconds < 10) -- who does not hurry gives them 15 s
      connection:close()
      running:stop()
      running = server.start(APP)
    end
  end)

  it("as SIGINT is the same", function()
    running:signal("INT")
    assert.equal(0, (wait_end()))
    assert.truthy(running:log():find("mark: stopped", 1, true))
  end)
end)

describe("a stop function that fails", function()
  it("is logged, the others run, and the status is 1", function()
    local running = server.start(app [[
app:get("/", function() return "root" end)
app:on_stop(function() demilune.log.info("the other one ran") end)
app:on_stop(function() error("could not say goodbye") end)]])
    local status, log = running:stop()
    assert.equal(1, status)
    assert.truthy(log:find("could not say goodbye", 1, true))
    assert.truthy(log:find("the other one ran", 1, true))
  end)
end)

describe("a server does not start", function()
  local function refused(text, ...)
    local texts = { ... }
    with_app(text, function(folder)
      local status, out, err = server.run({ "serve", folder, "--port=0" }, { env = { DEMILUNE_DATA = folder } })
      assert.equal(1, status, out .. err)
      for _, words in ipairs(texts) do assert.truthy(err:find(words, 1, true), words .. "\nin: " .. err) end
      assert.is_nil(err:find("Sanitizer", 1, true), err)
      assert.is_nil(err:find("[demilune]", 1, true), err)
    end)
  end

  local ROUTE = [[app:get("/", function() return "root" end)]]

  it("when a start function fails, whatever it raises", function()
    refused(app(ROUTE .. [[ app:on_start(function() demilune.sleep("1ms") error("no such printer") end)]]), "app.lua:4: no such printer")
    refused(app(ROUTE .. [[ app:on_start(function() error({}) end)]]), "demilune: ")
    refused(app(ROUTE .. [[ app:on_start(function() error() end)]]), "demilune: ")
    refused(app(ROUTE .. [[ app:on_start(function() coroutine.yield() end)]]), "coroutine.yield()")
    refused(app(ROUTE .. [[ app:on_start(function() demilune.abort(503, "not today") end)]]), "not today")
    refused(app(ROUTE .. [[ app:on_start(function() demilune.model "Late" {} end)]]), "app.lua:4: model Late is declared after the app has loaded")
  end)

  it("when a start function fails behind an open database", function()
    refused(app([[
local db = app:database("sqlite:x.db", { migrations = false })
local one = db:statement "SELECT 1"
]] .. ROUTE .. [[ app:on_start(function() one:value() error("after the database") end)]]), "after the database")
  end)

  it("when app.lua is wrong, and shows the line", function()
    refused(app "app:get('/', function() return 'x' en)", "app.lua:4:", "expected")
    refused(app(ROUTE .. "\nlocal x = nil + 1"), "app.lua:5: attempt to perform arithmetic", "5 | local x = nil + 1")
    refused(app(ROUTE .. "\nlocal name = model.string { minlength = 1 }"), "app.lua:5:", "did you mean min_length", "5 | local name")
    refused(PRELUDE .. ROUTE, "app.lua must give its app", "return app")
    refused({ ["app.lua"] = app 'require "routes.users"', ["routes/users.lua"] = "\n\nlocal x = {}\nx.y.z = 1" },
      "routes/users.lua:4:", "4 | x.y.z = 1")
    refused(app 'require "nothing"', "app.lua:4:", "nothing.lua")
    refused(app "error()", "demilune: ")
    refused(app "error({})", "demilune: ")
    refused({ ["app.lua"] = "\27LJ compiled" }, "compiled Lua")
    refused(app 'demilune.sleep(1)', "app.lua:4:", "not while the app loads")
    refused("return 1\n", "app.lua must give its app, not 1")
    refused(app '', "no routes")
    refused(app [[app:get("/x", { guard = 1 }, function() end)]], "app.lua:4:", "guard.public")
  end)

  it("where nothing is", function()
    local status, _, err = server.run { "serve", "/nonexistent/app", "--port=0" }
    assert.equal(1, status)
    assert.truthy(err:find("/nonexistent/app has no app.lua", 1, true), err)
  end)

  it("on a file that cannot be read, and says why", function()
    with_app({ ["app.lua"] = app 'require "routes"' }, function(folder)
      os.execute(("ln -s routes.lua '%s/routes.lua'"):format(folder))
      local status, _, err = server.run { "serve", folder, "--port=0" }
      assert.equal(1, status)
      assert.truthy(err:find("/routes.lua cannot be read (Too many levels of symbolic links)", 1, true), err)
    end)
    with_app({ ["app.lua/x.lua"] = "" }, function(folder)
      for _, command in ipairs { "serve", "check" } do
        local status, _, err = server.run { command, folder }
        assert.equal(1, status)
        assert.truthy(err:find("app.lua cannot be read (Is a directory)", 1, true), err)
      end
    end)
  end)

  it("on app.lua in place of its folder", function()
    with_app(HELLO, function(folder)
      local status, _, err = server.run { "dev", folder .. "/app.lua", "--port=0" }
      assert.equal(1, status)
      assert.equal(("demilune: %s/app.lua is no folder; an app is named by its folder, here %s\n"):format(folder, folder), err)
    end)
    assert.matches("app.lua is no folder; an app is named by its folder, here .", select(3, server.run { "check", "app.lua" }), 1, true)
  end)

  it("on a port that is taken, an address that is none, a port that is not ours", function()
    with_app(HELLO, function(folder)
      local taken = assert(socket.bind("127.0.0.1", 0))
      local port = select(2, taken:getsockname())
      local status, _, err = server.run { "serve", folder, "--port=" .. port }
      assert.equal(1, status)
      assert.truthy(err:find("127.0.0.1:" .. port, 1, true) and err:find("address already in use; end who listens there, "
        .. "or choose another port by --port or DEMILUNE_PORT", 1, true), err)
      taken:close()
      status, _, err = server.run { "serve", folder, "--host=nowhere.example", "--port=0" }
      assert.equal(2, status)
      assert.truthy(err:find("IPv4 or IPv6 address", 1, true), err)
    end)
  end)

  it("with flags it does not know, and says which", function()
    for _, case in ipairs {
      { { "serve", ".", "--prot=1" }, "--prot" }, { { "serve", ".", "--port=none" }, "--port=none must be" },
      { { "serve", ".", "--port", "70000" }, "--port=70000 must be" }, { { "serve", ".", "--access-log=xml" }, "off, json or text" },
      { { "serve", ".", "--port" }, "--port" }, { { "serve", "a", "b", "c", "d", "e", "f", "g", "h", "i" }, "takes one folder, and there are two" },
      { { "fly" }, 'no command "fly"' },
    } do
      local status, _, err = server.run(case[1])
      assert.equal(2, status, err)
      assert.truthy(err:find(case[2], 1, true), err)
    end
    local status, _, err = server.run({ "serve", "." }, { env = { DEMILUNE_PORT = "none" } })
    assert.equal(2, status)
    assert.truthy(err:find("DEMILUNE_PORT=none must be", 1, true), err)
  end)
end)

describe("a unix socket", function()
  it("serves, replaces a dead one, refuses a live one and leaves none behind", function()
    with_app(HELLO, function(folder)
      local path = folder .. "/socket"
      local function start()
        return server.start(folder, { flags = { "--unix=" .. path } })
      end
      local running = start()
      local connection = http.connect_unix(path, PATIENCE)
      assert.equal("root", connection:request("GET", "/").body)
      connection:close()
      local status, _, err = server.run { "serve", folder, "--unix=" .. path }
      assert.equal(1, status)
      assert.truthy(err:find("address already in use", 1, true), err)
      running:stop("KILL")
      assert.equal(0, os.execute("test -S " .. path))
      running = start()
      connection = http.connect_unix(path, PATIENCE)
      assert.equal("root", connection:request("GET", "/").body)
      connection:close()
      status = running:stop()
      assert.equal(0, status)
      assert.is_nil(io.open(path))
      status, _, err = server.run { "serve", folder, "--unix=" .. folder .. "/" .. ("x"):rep(200) }
      assert.equal(1, status)
      assert.truthy(err:find("a unix socket's path has at most", 1, true), err)
      assert.equal(HELLO, files.read(folder .. "/app.lua"))
    end)
  end)

  it("is one client's for the cap of none: everybody behind a proxy comes by it", function()
    local capped = HELLO:gsub("guard = guard.public }", "guard = guard.public, limits = { max_connections_per_client = 2 } }")
    with_app(capped, function(folder)
      local running = server.start(folder, { flags = { "--unix=" .. folder .. "/socket" } })
      local open = {}
      for n = 1, 5 do
        open[n] = http.connect_unix(folder .. "/socket", PATIENCE)
        assert.equal("root", open[n]:request("GET", "/").body)
      end
      for _, connection in ipairs(open) do connection:close() end
      assert.equal(0, (running:stop()))
    end)
  end)

  it("never takes the place of a file that is no socket", function()
    with_app({ ["app.lua"] = HELLO, ["precious"] = "do not delete" }, function(folder)
      local status, _, err = server.run { "serve", folder, "--unix=" .. folder .. "/precious" }
      assert.equal(1, status)
      assert.truthy(err:find("precious", 1, true), err)
      assert.equal("do not delete", files.read(folder .. "/precious"))
    end)
  end)
end)

describe("the log", function()
  it("is a JSON line for each request in service, and has no query and no control characters in it", function()
    local running = server.start(app [[app:get("/items/{id}", function(req) demilune.log.info("seen", { id = req.path.id }) return "x" end)]])
    running:request("GET", "/items/a%22%C3%A9?token=hunter2")
    local line = cjson.decode(running:log_line('"message":"request"'))
    assert.same({ "GET", "/items/{id}", 200, 1, "127.0.0.1", "info" }, { line.method, line.route, line.status, line.bytes, line.client, line.level })
    assert.equal("number", type(line.microseconds))
    assert.equal(16, #line.request_id)
    running:request("HEAD", "/items/1")
    assert.equal(0, cjson.decode(running:log_line('"method":"HEAD"')).bytes)
    local own = cjson.decode(running:log_line('"message":"seen"'))
    assert.equal(line.request_id, own.request_id)
    assert.equal('a"\195\169', own.id)
    local _, log = running:stop()
    assert.is_nil(log:find("hunter2", 1, true))
    assert.is_nil(log:find("\27", 1, true))
  end)

  it("is lines for people in development, without control characters either", function()
    local running = server.start(HELLO, { command = "dev" })
    running:request("GET", "/nothing%22")
    assert.truthy(running:log_line("404", "GET", "/nothing%22"))
    local _, log = running:stop()
    assert.is_nil(log:find("\27", 1, true))
  end)

  it("can be off", function()
    local running = server.start(HELLO, { flags = { "--access-log=off" } })
    running:request("GET", "/")
    local _, log = running:stop()
    assert.is_nil(log:find('"message":"request"', 1, true))
  end)
end)

describe("a load that does not come back", function()
  it("is ended after ten seconds in check, test and dev, at its line, whatever the app catches", function()
    local plain = server.write_app 'local demilune = require "demilune"\nlocal n = 0\nwhile true do n = n + 1 end\n'
    local caught = server.write_app('local function spin()\n  while true do end\nend\nlocal run = coroutine.wrap(function()\n'
      .. '  while true do pcall(spin) end\nend)\nrun()\n')
    local pipes = {}
    for _, arguments in ipairs { "check " .. plain, "check " .. caught, "test " .. plain, "dev --port=0 " .. plain } do
      pipes[arguments] = assert(io.popen(("timeout 50 '%s' %s 2>&1 </dev/null; echo \"exit $?\""):format(server.program, arguments)))
    end
    for arguments, pipe in pairs(pipes) do
      local output = pipe:read "*a"
      pipe:close()
      assert.matches("app%.lua:[1-7]: loading the app took too long: it was still here after 10 seconds; end the loop, or move", output)
      assert.matches("\n  %d | ", output)
      assert.equal("1", output:match "exit (%d+)%s*$", arguments .. "\n" .. output)
    end
    server.remove_folder(plain)
    server.remove_folder(caught)
  end)
end)

describe("demilune check, routes and openapi", function()
  local GOOD = app [[
app:get("/things/{id}", { path = { id = model.integer() }, returns = model "Thing" { id = model.integer() } }, function(req) return req.path end)
app:on_start(function() error("check starts nothing") end)]]

  it("tell of an app that is right, with status 0", function()
    with_app(GOOD, function(folder)
      local status, out, err = server.run { "check", folder }
      assert.equal(0, status, err)
      assert.truthy(out:find("Life 1.2.3 loads: 1 routes, nothing to mend", 1, true), out)
      status, out = server.run({ "check" }, { folder = folder })
      assert.equal(0, status)
      assert.truthy(out:find("/things/{id}", 1, true))
      status, out = server.run { "check", "--json", folder }
      local report = cjson.decode(out)
      assert.same({ 0, "Life", "1.2.3", 1, 0 }, { status, report.title, report.version, #report.routes, #report.findings })
      status, out = server.run { "routes", folder }
      assert.equal(0, status)
      assert.truthy(out:match("GET%s+/things/{id}%s+public%s+path id%s+Thing%s+200%s+app%.lua:4"), out)
      status, out = server.run { "routes", "--json", folder }
      assert.same({ 0, "/things/{id}" }, { status, cjson.decode(out)[1].path })
      status, out = server.run { "openapi", folder }
      local document = cjson.decode(out)
      assert.same({ 0, "3.1.0", "Life" }, { status, document.openapi, document.info.title })
      assert.truthy(document.paths["/things/{id}"].get)
    end)
  end)

  it("tell of one that is wrong, with status 1 and the line", function()
    with_app(app [[app:get("/things", { query = { x = model.strin() } }, function() end)]], function(folder)
      for _, command in ipairs { "check", "routes", "openapi" } do
        local status, out, err = server.run { command, folder }
        assert.equal(1, status)
        assert.equal("", out)
        assert.truthy(err:find("app.lua:4:", 1, true) and err:find("4 | app:get", 1, true), err)
      end
    end)
  end)
end)

describe("the files of an app", function()
  local APP = app [[app:get("/", function() return require "shared.name" end)
require "shared.name"]]

  it("may lie behind a link to a folder elsewhere, for every command", function()
    local elsewhere = server.write_app { ["name.lua"] = 'return "linked"' }
    with_app(APP, function(folder)
      os.execute(("ln -s %s %s/shared"):format(elsewhere, folder))
      local status, out, err = server.run { "check", folder .. "/" }
      assert.equal(0, status, out .. err)
      for _, command in ipairs { "serve", "dev" } do
        local running = server.start(folder, { command = command })
        assert.equal("linked", running:request("GET", "/").body)
        running:stop()
      end
    end)
    server.remove_folder(elsewhere)
  end)

  it("are to check what they are to serve: one that is too large is refused", function()
    with_app({ ["app.lua"] = APP, ["shared/name.lua"] = 'return "large" --' .. ("x"):rep(2 ^ 20) }, function(folder)
      local _, _, served = server.run { "serve", folder, "--port=0" }
      local status, _, checked = server.run { "check", folder }
      assert.equal(1, status)
      for _, said in ipairs { served, checked } do assert.truthy(said:find("shared/name.lua cannot be read (it is larger", 1, true), said) end
    end)
  end)
end)

describe("demilune new", function()
  it("makes an app that checks, serves and passes its own spec", function()
    local folder = server.make_folder()
    local status, out, err = server.run({ "new", "notes" }, { folder = folder })
    assert.equal(0, status, err)
    assert.truthy(out:find("demilune dev notes", 1, true))
    assert.equal(0, (server.run({ "check", "notes" }, { folder = folder })))
    status, out, err = server.run({ "test", "--output=TAP", "notes" }, { folder = folder })
    assert.equal(0, status, out .. err)
    assert.is_nil(out:find("\nnot ok", 1, true))
    assert.truthy(out:find("\nok ", 1, true) or out:find("^ok "))
    local running = server.start(folder .. "/notes")
    local made = running:request("POST", "/notes", { headers = { ["Content-Type"] = "application/json" }, body = '{"text":"Buy bread"}' })
    assert.equal(201, made.status)
    assert.equal(0, (running:stop()))
    local again, _, refusal = server.run({ "new", "notes" }, { folder = folder })
    assert.equal(1, again)
    assert.truthy(refusal:find("notes is there already; nothing was changed", 1, true), refusal)
    server.remove_folder(folder)
  end)

  it("refuses names that are none, and folders it cannot write", function()
    for _, arguments in ipairs { { "new" }, { "new", "a b" }, { "new", "x", "y" }, { "new", "a;b" }, { "new", "" }, { "new", "a/" } } do
      local status, _, err = server.run(arguments)
      assert.equal(2, status, table.concat(arguments, " "))
      assert.truthy(err:find("demilune new", 1, true), err)
    end
    local taken, _, refusal = server.run { "new", ".." }
    assert.equal(1, taken)
    assert.truthy(refusal:find("demilune new: .. is there already", 1, true), refusal)
    local status, _, err = server.run { "new", "/proc/nothing" }
    assert.equal(1, status)
    assert.truthy(err:find("cannot write /proc/nothing/", 1, true), err)
  end)
end)

describe("demilune test", function()
  local function spec(body) return 'local client = require("demilune.test").client()\n' .. body end

  it("returns 0 when every spec passes, and leaves the app's data alone", function()
    with_app({
      ["app.lua"] = app [[
local db = app:database("sqlite:life.db", { migrations = false })
local one = db:statement "SELECT 1"
app:get("/", function() return one:value() end)]],
      ["spec/good_spec.lua"] = spec 'it("answers", function() assert.equal("1", client:get("/").body) end)',
    }, function(folder)
      local status, out, err = server.run { "test", "--output=TAP", folder }
      assert.equal(0, status, out .. err)
      assert.truthy(out:find("ok 1 - answers", 1, true), out)
      assert.is_nil(io.open(folder .. "/life.db"))
    end)
  end)

  it("returns 1 when one fails, errs, or does not load", function()
    for name, body in pairs {
      ["a spec that fails"] = 'it("is wrong", function() assert.equal("other", client:get("/").body) end)',
      ["a spec that errs"] = 'it("errs", function() error("no") end)',
      ["a spec that does not load"] = "it(",
      ["a spec that errs outside"] = 'error("outside")',
      ["a spec that exits"] = "os.exit(3)",
    } do
      with_app({ ["app.lua"] = HELLO, ["spec/bad_spec.lua"] = spec(body) }, function(folder)
        local status, out, err = server.run { "test", "--output=TAP", folder }
        assert.equal(1, status, name .. out .. err)
        assert.is_nil(err:find("Sanitizer", 1, true), err)
      end)
    end
  end)

  it("returns 1 for an app that does not load, and for one without specs", function()
    with_app({ ["app.lua"] = "return nil", ["spec/x_spec.lua"] = "" }, function(folder)
      local status, _, err = server.run { "test", folder }
      assert.equal(1, status)
      assert.truthy(err:find("app.lua must give its app", 1, true))
    end)
    with_app(HELLO, function(folder)
      local status, out, err = server.run { "test", folder }
      assert.equal(1, status, out .. err)
    end)
  end)

  it("shows a spec the 500s of its app, and goes on", function()
    with_app({
      ["app.lua"] = app [[app:get("/", function() error("broken on purpose") end)]],
      ["spec/x_spec.lua"] = spec [[
it("sees it", function()
  for _ = 1, 3 do assert.equal(500, client:get("/").status) end
  assert.equal(404, client:get("/nothing").status)
end)]],
    }, function(folder)
      local status, out, err = server.run { "test", "--output=TAP", folder }
      assert.equal(0, status, out .. err)
      assert.truthy(err:find("broken on purpose", 1, true), err)
    end)
  end)
end)
