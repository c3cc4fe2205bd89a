-- SPDX-License-Identifier: MIT
-- What is said of mistakes that people make first: where, and what to write instead.

local server = require "spec.support.server"

local PRELUDE = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Words", version = "1", guard = guard.public }
]]

local function app(body) return PRELUDE .. body .. "\nreturn app\n" end

describe("an app that does not load is told", function()
  local function refusal(text)
    local folder = server.write_app(text)
    local status, _, err = server.run { "check", folder }
    server.remove_folder(folder)
    assert.equal(1, status)
    return err
  end

  it("where the other route is that takes the same requests", function()
    local err = refusal {
      ["app.lua"] = app 'app:get("/a/{x}", function() end)\nrequire "routes.a" (app)',
      ["routes/a.lua"] = 'return function(app)\n  app:get("/a/{y}", function() end)\nend',
    }
    assert.matches("routes/a.lua:2: GET /a/{x} and GET /a/{y} match the same requests; remove one, or give it another method or path; "
      .. "the other one is at app.lua:4", err, 1, true)
  end)

  it("that a file is there and too large", function()
    local large = ("-- 1234\n"):rep(2 ^ 17)
    local app_lua = app 'require "large"\napp:get("/", function() end)'
    assert.matches("/large.lua cannot be read (it is larger than 1 MiB); make it a file of 1 MiB at most that the user who runs demilune may read",
      refusal { ["app.lua"] = app_lua, ["large.lua"] = large .. "return 1" }, 1, true)
    local folder = server.write_app { ["app.lua"] = app_lua, ["large.lua"] = large }
    local status, _, err = server.run { "check", folder }
    server.remove_folder(folder)
    assert.same({ 0, "" }, { status, err })
  end)

  it("how options and handler follow each other", function()
    local words = 'app.lua:4: GET /: the options, a table, come before the handler; write app:get("/", { guard = ... }, function(req) ... end)'
    assert.matches(words, refusal(app 'app:get("/", function() end, { summary = "x" })'), 1, true)
    assert.matches(words, refusal(app 'app:get("/", "x", function() end)'), 1, true)
  end)

  it("what it raised, and where", function()
    local words = 'app.lua:5: the app raised {"code":5}; raise a sentence instead: error("what is wrong")'
    assert.matches(words, refusal(app '\nerror { code = 5 }'), 1, true)
    local folder = server.write_app(app 'app:get("/", function() end)\napp:on_start(function() error { code = 5 } end)')
    local _, _, err = server.run({ "serve", folder, "--port=0" }, { env = { DEMILUNE_DATA = folder } })
    server.remove_folder(folder)
    assert.matches('demilune: the app raised {"code":5}; raise a sentence', err, 1, true)
  end)

  it("where a database may lie", function()
    local folder = server.write_app(app 'app:database "sqlite:none/x.db"\napp:get("/", function() end)')
    local _, _, err = server.run({ "serve", folder, "--port=0", "--sandbox=off" }, { env = { DEMILUNE_DATA = folder } })
    server.remove_folder(folder)
    assert.matches("/none/x.db cannot be made: No such file or directory; its folder must exist and be writable, and in the sandbox be the data "
      .. "folder (DEMILUNE_DATA) or lie in it", err, 1, true)
  end)

  it("that there is no other database than SQLite", function()
    assert.matches('only SQLite is supported, so that a database\'s url begins with sqlite:, as in "sqlite:users.db"',
      refusal(app 'app:database "postgresql://localhost/x"\napp:get("/", function() end)'), 1, true)
  end)

  it("that an example would be refused, wherever the field stands", function()
    local wrong = 'model.string { min_length = 3, example = "x" }'
    local said = "model.string: its example does not pass its own checks (example: needs at least 3"
    for _, route in ipairs {
      'app:post("/", { body = { a = model.array(%s) } }, function() end)', 'app:get("/", { returns = { a = model.optional(%s) } }, function() end)',
      'app:get("/{id}", { path = { id = %s } }, function() end)', 'app:get("/", { query = { id = %s } }, function() end)',
    } do
      assert.matches("app.lua:4: " .. said, refusal(app(route:format(wrong))), 1, true)
    end
    for field, seen in pairs {
      ['integer { strict = false, example = "5" }'] = "5", ['number { example = "1" }'] = "1.5", ['boolean { example = "yes" }'] = "true",
    } do
      assert.matches("; write the value as a handler sees it, such as " .. seen,
        refusal(app(('app:get("/", { query = { a = model.%s } }, function() end)'):format(field))), 1, true)
    end
    assert.matches("app.lua:4: model.integer: its example does not pass its own checks (example: should be at most 3); change one of the two",
      refusal(app 'app:get("/", { query = { a = model.integer { example = 5, le = 3 } } }, function() end)'), 1, true)
    assert.matches("app.lua:4: model.any: its example does not pass its own checks (example cannot be used: a function", refusal(
      app 'app:get("/", { query = { a = model.any { example = print } } }, function() end)'), 1, true)
    local folder = server.write_app(app [[
local Part = model "Part" { a = model.integer(), at = model.datetime { utc = true, example = "2030-01-01T00:00:00Z" } }
app:post("/", { body = {
  wait = model.duration { example = 90, le = "1h" }, data = model.bytes { example = "hi" }, price = model.decimal { example = "1.50", ge = "1" },
  big = model.int64 { example = 5 }, name = model.nullable(model.string(), { example = demilune.null }),
  tags = model.array(model.string(), { example = { "a" } }),
  part = model.ref(Part, { example = { a = 1 } }), odd = model.string { example = "b", check = function() return nil, "is odd" end },
  role = model.literal { "a", "b", example = "b" }, key = model.secret { example = "x", min_bytes = 8 },
  either = model.union({ model.integer(), model.url() }, { example = "https://x.example/" }),
  shown = model.string { example = "x", read_only = true, default_factory = function() return "y" end },
} }, function() end)]])
    local status, _, err = server.run { "check", folder }
    server.remove_folder(folder)
    assert.equal(0, status, err)
  end)

  it("of a guard that is nil in a list", function()
    for _, list in ipairs { "{ nil, key }", "{ key, nil, key }", "{ nil }" } do
      local err = refusal(app('local key = guard.api_key { keys = { a = { digest = ("0"):rep(64) } } }\nlocal both = guard.any ' .. list))
      assert.matches("app.lua:5: guard.any takes a", err, 1, true)
      assert.matches("write guard.any { bearer, api_key }", err, 1, true)
    end
  end)
end)

describe("a handler that fails is told", function()
  local running

  setup(function()
    running = server.start({
      ["app.lua"] = app [[
local db = app:database "sqlite:users.db"
local add = db:statement "INSERT INTO users (password) VALUES (:password)"
app:post("/users", { limit = "5/minute", body = model.object { password = model.secret() } }, function(req) add:run(req.body) end)
app:get("/header", function() return demilune.response { body = "x", headers = { ["X-Reply"] = "a\nb" } } end)
app:post("/verify", { limit = "5/minute" }, function() return demilune.password.verify(5, "x") end)
app:get("/caught", function() return select(2, pcall(demilune.abort, 404)) end)
app:get("/table", function() error { code = 5 } end)
app:get("/function", function() error(print) end)
app:get("/hostile", function() error(setmetatable({}, { __tostring = function() error "no" end })) end)
app:get("/declared", function() return (model "Thing" { a = model.integer() }):validate { a = 1 } end)
app:get("/varied", function() return require("things").Thing:partial "Part" {} end)
app:get("/required", function() return require("things").Thing:validate { a = 1 } end)
app:get("/loop", function()
  demilune.spawn(function()
    demilune.sleep "1ms"
    model "Turn" { a = model.integer() }
  end)
end)
local Checked = model.integer { check = function() model.object { a = model.integer() } end }
app:get("/checked", { query = { a = Checked } }, function() end)
app:post("/referred", { body = { inner = model.ref(function() return model.object { a = model.integer() } end) } }, function(req) return req.body end)
app:get("/spawned", function() demilune.spawn(function() error { code = 6 } end) end)
local function long(name) error(name .. "-long\0" .. ("x"):rep(2000) .. " end") end
app:get("/spawned-long", function() demilune.spawn(function() long "spawned" end) end)
app:get("/after-long", function(req) req:after_response(function() long "after" end) end)
app:get("/stream-long", function() return demilune.stream(function() long "stream" end) end)
]],
      ["things.lua"] = 'local model = require("demilune").model\nreturn { Thing = model "Thing" { a = model.integer() } }',
      ["migrations/0001_users.sql"] = "CREATE TABLE users (password TEXT NOT NULL) STRICT;\n",
    })
  end)
  teardown(function() running:stop() end)

  it("how to store a password", function()
    local options = { body = '{"password":"correct horse"}', headers = { ["Content-Type"] = "application/json" } }
    assert.equal(500, running:request("POST", "/users", options).status)
    assert.truthy(running:log_line "'password' is a secret: store a digest of it, as in password = demilune.password.hash(...)")
  end)

  it("what a stored password is", function()
    assert.equal(500, running:request("POST", "/verify").status)
    assert.truthy(running:log_line("app.lua:", "password.verify takes what password.hash gave as a string or a secret, not a number"))
  end)

  it("that it gave what it caught of demilune.abort", function()
    assert.equal(500, running:request("GET", "/caught").status)
    assert.truthy(running:log_line "raise it again: error(problem, 0)")
  end)

  it("what it raised, if that is a table too", function()
    for path, words in pairs {
      table = [["error":"{\"code\":5}"]], ["function"] = [["error":"function: ]],
      hostile = [["error":"an error that cannot be shown (table)"]],
      spawned = [["message":"a spawned function failed","error":"{\"code\":6}","traceback":"stack traceback:]],
    } do
      running:request("GET", "/" .. path)
      assert.truthy(running:log_line(words), words .. "\n" .. running:log())
    end
  end)

  it("all of what a function raised that runs beside it or after it, whatever bytes and however many it has", function()
    for _, path in ipairs { "spawned-long", "after-long", "stream-long" } do
      local connection = running:connect()
      connection:send(("GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):format(path))
      connection:read_rest()
      connection:close()
      assert.truthy(running:log_line(path .. [[\u0000]] .. ("x"):rep(2000) .. [[ end","traceback":"stack traceback:]]), path)
    end
  end)

  it("which header it cannot send", function()
    assert.equal(500, running:request("GET", "/header").status)
    assert.truthy(running:log_line 'the header \\"X-Reply\\" holds a character that a header cannot, in its name or its value')
  end)

  it("that a model is declared while the app loads, wherever it is declared later", function()
    local later = "is declared after the app has loaded, and what it takes of memory would not be given back; declare it beside functions, not in one"
    for path, name in pairs { declared = "model Thing", varied = "model Part", ["checked?a=1"] = "model.object", loop = "model Turn" } do
      assert.equal(path == "loop" and 200 or 500, running:request("GET", "/" .. path).status)
      assert.truthy(running:log_line(name .. " " .. later, "app.lua:"), path)
    end
    for _ = 1, 2 do assert.equal('{"a":1}', running:request("GET", "/required").body) end
    local referred = { body = '{"inner":{"a":1}}', headers = { ["Content-Type"] = "application/json" } } -- followed at the load's end
    assert.equal(referred.body, running:request("POST", "/referred", referred).body)
  end)
end)
