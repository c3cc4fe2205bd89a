-- SPDX-License-Identifier: MIT
-- What is unsafe about an app: listed by `demilune check`, refused by `serve`,
-- warned about by `dev` in the same words.

local dkjson = require "dkjson"
local server = require "spec.support.server"

local HEAD = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }
local app = demilune.app {}
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m" }
local function handler() return 1 end
]]
local ENV = { JWT_SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53" }

local function app_of(lines) return HEAD .. lines .. "\nreturn app\n" end

local function run(command, flag, lines)
  local folder = server.write_app(app_of(lines))
  local status, out, err = server.run({ command, folder, flag }, { env = ENV })
  server.remove_folder(folder)
  return status, out .. err
end

local function findings_of(lines)
  local status, output = run("check", "--json", lines)
  local list = assert(dkjson.decode(output), output).findings
  assert.equal(#list > 0 and 1 or 0, status)
  return list
end

local NOTE = 'app:get("/notes/{id}", { guard = bearer, %s }, function(req, need) return 1 end)'
local OBJECT = "GET /notes/{id}: everybody whom its guard lets pass can name any {id}, and nothing says whose that is"

describe("a guarded route with an identifier", function()
  it("must say whose object that is", function()
    local list = findings_of(NOTE:format(""))
    assert.equal(1, #list)
    assert.same({ "error", "app.lua:7", OBJECT }, { list[1].severity, list[1].source, list[1].message })
    assert.truthy(list[1].mend:find("owner = function(req, need)", 1, true))
  end)

  it("says it by an owner, by being shared, by a role or a scope", function()
    local owner = "function(req) return req.principal.subject == 'ada' end"
    for _, option in ipairs {
      "owner = " .. owner, "shared = true", 'guard = guard.role("admin", bearer)', 'guard = guard.scope("read", bearer)',
      "guard = guard.owner(" .. owner .. ", bearer)", 'guard = guard.any { guard.role("a", bearer), guard.scope("b", bearer) }',
    } do
      local options = option:find("^guard") and option or "guard = bearer, " .. option
      assert.same({}, findings_of((NOTE:gsub("guard = bearer, %%s", function() return options end))))
    end
    assert.equal(1, #findings_of((NOTE:gsub("guard = bearer, %%s", 'guard = guard.any { guard.role("a", bearer), bearer }'))))
  end)

  it("says it by a statement that binds the subject, wherever it is held", function()
    local db = 'local db = app:database("sqlite::memory:", { migrations = false })\n'
    local bound = db .. "local find = db:statement [[SELECT :id AS id, :principal_subject AS who]]\n"
    local unbound = db .. "local find = db:statement [[SELECT :id AS id, ':principal_subject' AS who -- :principal_subject]]\n"
    local direct = 'app:get("/notes/{id}", { guard = bearer }, function(req) return find:one { id = 1 } end)'
    local needed = [[
      local store = { notes = { find = function(id) return find:one { id = id } end } }
      local note = app:dependency(app:dependency(function() return 1 end) and function(req) return store.notes.find(1) end)
      app:get("/notes/{id}", { guard = bearer, needs = { note = note } }, function(_, need) return need.note end)]]
    assert.same({}, findings_of(bound .. direct))
    assert.same({}, findings_of(bound .. needed))
    assert.equal(1, #findings_of(unbound .. direct))
    assert.equal(1, #findings_of(unbound .. needed))
  end)

  it("says it by ending API keys by whose they are, and by nothing else that is done with keys", function()
    local store = "local store = { add = handler, find = handler, list = handler, finish = handler, finish_all = handler } "
    local keys = store .. 'local keys = guard.api_key { store = store, lifetime = "1d" } '
    local route = 'app:delete("/keys/{id}", { guard = bearer, path = { id = model.string() } }, function(req) return %s end)'
    local needed = "local user = app:dependency(function(req) return { id = req.principal.subject } end) "
      .. 'app:delete("/keys/{id}", { guard = bearer, needs = { user = user } }, '
      .. "function(req, need) return keys:finish(need.user.id, req.path.id) end)"
    assert.same({}, findings_of(keys .. route:format "keys:finish(req.principal.subject, req.path.id)"))
    assert.same({}, findings_of(keys .. needed))
    for _, call in ipairs {
      "keys:finish(req.path.id, req.path.id)", "keys:list(req.path.id)", "keys:finish_all(req.path.id)",
      "keys:list(req.principal.subject, req.path.id)",
    } do assert.equal(1, #findings_of(keys .. route:format(call)), call) end
    local given = 'local keys = guard.api_key { keys = { one = settings.JWT_SECRET } } '
    assert.equal(1, #findings_of(given .. route:format "keys.finish(req.principal.subject, req.path.id)"))
  end)

  it("is not one that is public, or whose parameter names a choice", function()
    assert.same({}, findings_of('app:get("/notes/{id}", { guard = guard.public }, handler)'))
    assert.same({}, findings_of('app:get("/notes/{day}", { guard = bearer, path = { day = model.date() } }, handler)'))
  end)
end)

describe("two guards whose API keys are in one table", function()
  local HAVING = 'local db = app:database("sqlite::memory:", { migrations = false }) local store = { add = handler, find = handler, list = handler, '
    .. "finish = handler, finish_all = handler }\n"
  -- Those of the second one, whose guards take these options beside their lifetime.
  local function found(first, second)
    local lines = HAVING
    for name, given in pairs { one = first, two = second } do
      lines = lines .. ('local %s = guard.api_key { lifetime = "1d", %s } app:get("/%s", { guard = %s }, handler)\n'):format(name, given, name, name)
    end
    local list = {}
    for _, finding in ipairs(findings_of(lines)) do
      if finding.message:find("pass here too", 1, true) then list[#list + 1] = finding.severity .. finding.message:match " for .*" end
    end
    return list
  end

  it("take each other's, which is an error where they are not meant to be the same", function()
    local tables, stores = " for both are kept in one table", " for both are kept in one store"
    assert.same({ "error" .. tables }, found('database = db, prefix = "a"', 'database = db, prefix = "b"'))
    assert.same({ "error" .. tables }, found('database = db, roles = { "a" }', 'database = db, roles = { "b" }, header = "X-B"'))
    assert.same({ "error" .. stores }, found("store = store", "store = store"))
    assert.same({ "warning" .. tables }, found("database = db", 'database = db, cookie = "__Host-key"'))
    assert.same({}, found("database = db", 'database = db, table = "others"'))
    assert.same({}, found("database = db", "store = store"))
  end)
end)

describe("a variable that there is not", function()
  it("is found in functions that nobody has called, and in files that are required", function()
    local list = findings_of [[local admin = bearer
local function never() return admin or adimn end
app:get("/x", { guard = bearer }, function(request) return { reqest.path, math.floor(1), io.open "x", tostring(never) } end)]]
    local told = {}
    for index, finding in ipairs(list) do told[index] = { finding.severity, finding.source, finding.message, finding.mend } end
    local missing = "there is no variable %s, so that whatever reads it fails"
    assert.same({
      { "warning", "app.lua:8", missing:format "adimn", "write admin, or declare it with local" },
      { "warning", "app.lua:9", "io is not for apps", "an app reaches no files; keep data in a database, and log with demilune.log" },
      { "warning", "app.lua:9", missing:format "reqest", "write request, or declare it with local" },
    }, told)
  end)
end)

describe("a login without a limit", function()
  it("is found by what it does", function()
    local routes = {
      ["gives out tokens"] = 'app:post("/in", { guard = guard.public }, function(req) return bearer:issue { subject = "1" } end)',
      ["gives out tokens "] = 'local issue = bearer.issue app:post("/in", { guard = guard.public }, '
        .. 'function() return issue(bearer, { subject = "1" }), bearer.issue end)',
      ["checks or hashes passwords"] = 'app:post("/in", { guard = guard.public }, function(req) return demilune.password.verify(nil, "x") end)',
      ["takes a password"] = 'app:post("/in", { guard = guard.public, form = { password = model.secret() } }, handler)',
    }
    for reason, route in pairs(routes) do
      local list = findings_of(route)
      assert.equal(1, #list, reason)
      assert.equal("POST /in " .. reason:gsub(" $", "") .. " and has no limit, so that passwords can be tried without end", list[1].message)
      assert.equal('write limit = "5/minute"', list[1].mend)
      assert.same({}, findings_of((route:gsub("guard = guard.public", 'guard = guard.public, limit = "5/minute"'))))
    end
  end)

  it("is one that makes API keys for whoever asks, and none that makes them for who is known", function()
    local keys = "local store = { add = handler, find = handler, list = handler, finish = handler, finish_all = handler } "
      .. 'local keys = guard.api_key { store = store, lifetime = "1d" } '
    local route = 'app:post("/keys", { guard = %s }, function(req) return keys:issue { subject = "1" } end)'
    local list = findings_of(keys .. route:format "guard.public")
    assert.same({ "POST /keys gives out tokens and has no limit, so that passwords can be tried without end" }, { list[1].message, list[2] })
    for _, known in ipairs { "bearer", "keys", "guard.any { keys, bearer }" } do assert.same({}, findings_of(keys .. route:format(known))) end
  end)

  it("is found where the password has another name, or lies further in", function()
    local checking = "POST /in checks or hashes passwords and has no limit, so that passwords can be tried without end"
    local taking = "POST /in takes a password and has no limit, so that passwords can be tried without end"
    for route, message in pairs {
      ['local words = demilune.password app:post("/in", { guard = guard.public, body = { secret = model.secret() } }, '
        .. "function(req) return words.verify(nil, req.body.secret) end)"] = checking,
      ['local verify = demilune.password.verify app:post("/in", { guard = guard.public, body = { secret = model.secret() } }, '
        .. "function(req) return verify(nil, req.body.secret) end)"] = checking,
      ['app:post("/in", { guard = guard.public, body = { login = model.object { pwd = model.secret() } } }, handler)'] = taking,
      ['local L = model "L" { type = model.literal { "l" }, password = model.secret() } '
        .. 'app:post("/in", { guard = guard.public, body = model.tagged("type", { L }) }, handler)'] = taking,
    } do
      local list = findings_of(route)
      assert.equal(1, #list, route)
      assert.equal(message, list[1].message)
    end
  end)

  it("is one whose limits count only what a function gives, which a client chooses by what it sends", function()
    local route = 'app:post("/in", { guard = guard.public, form = { password = model.secret() }, limit = %s }, handler)'
    local by_name = '{ rate = "5/minute", by = function(req) return req.header.x_name end }'
    local list = findings_of(route:format(by_name))
    assert.same({ 1, "error", "POST /in takes a password and no limit counts addresses: what its function counts by is the client's to choose, "
      .. "so that passwords can be tried without end" }, { #list, list[1].severity, list[1].message })
    assert.same({}, findings_of(route:format('{ "5/minute", ' .. by_name .. " }")))
    assert.same({}, findings_of((route:gsub("guard.public", "bearer")):format(by_name)))
  end)

  it("is told of where its limits are for many requests, as an app's are for all its routes", function()
    local route = 'users:post("/in", { guard = %s, form = { password = model.secret() }, %s }, handler) app:mount(users)'
    local function of(router, options, who)
      local made = ("local users = demilune.router { limit = %s } "):format(router)
      local list = findings_of(made .. route:format(who or "guard.public", options or ""))
      return list[1] and list[1].severity .. ": " .. list[1].message or "nothing"
    end
    local said = "warning: POST /in takes a password, and its limits let one address try %d of them a minute"
    assert.equal(said:format(600), of '"600/minute"')
    assert.equal(said:format(180), of '"3/second;20000/hour"')
    assert.equal(said:format(121), of('"600/minute"', 'limit = "121 per minute"'))
    assert.equal("nothing", of '"2/second"')
    assert.equal("nothing", of '"600/minute;1000/day"')
    assert.equal("nothing", of '{ rate = "600/2 minutes", cost = 5 }')
    assert.equal("nothing", of('"600/minute"', 'limit = "5/minute"'))
    assert.equal("nothing", of('"600/minute"', "", "bearer"))
  end)

  it("is none when its router or its app has one", function()
    local route = 'users:post("/in", { guard = guard.public, body = { password = model.string() } }, handler) app:mount(users)'
    assert.same({}, findings_of('local users = demilune.router { limit = "5/minute" } ' .. route))
    assert.equal(1, #findings_of("local users = demilune.router {} " .. route))
  end)
end)

describe("a setting that is a secret by its name, and a string", function()
  it("is told of, for it is shown as it is", function()
    local route = ' app:get("/x", { guard = guard.public }, handler)'
    local function of(fields) return findings_of("local more = demilune.settings { " .. fields .. " }" .. route) end
    for _, name in ipairs { "HOOK_SECRET", "mail_password", "DJANGO_SECRET_KEY", "PRIVATE_KEY" } do
      local list = of(name .. ' = model.string { default = "" }')
      assert.same({ 1, "warning", ("demilune.settings: %s is a string, which logs and answers show as it is"):format(name),
        ("write %s = model.secret()"):format(name) }, { #list, list[1].severity, list[1].message, list[1].mend })
    end
    assert.same({}, of('SECRET_URL = model.string { default = "" }, PUBLIC_KEY = model.string { default = "" }, '
      .. "HOOK_SECRET = model.secret(), ASK_PASSWORD = model.boolean { default = true }"))
  end)
end)

describe("a signature that == compares", function()
  local function of(options, body)
    local list = findings_of("local hmac, hex = demilune.hmac, demilune.hmac.hex local hook = demilune.settings { HOOK = model.secret() } "
      .. ('app:post("/hook", { guard = guard.public, %s }, function(req) %s end)'):format(options, body))
    return list[1] and list[1].severity .. ": " .. list[1].message or "nothing"
  end
  local DECLARED, NONE = "header = { x_signature = model.string() }", "tags = { 'hooks' }"

  it("is told of", function()
    local said = "warning: POST /hook makes the signature that a request should bring, and == tells by its time how much of a guess was right"
    assert.equal(said, of(DECLARED, "return demilune.hmac.hex(hook.HOOK, req.body) == req.header.x_signature"))
    assert.equal(said, of(DECLARED, "return hex(hook.HOOK, req.body) == req.header.x_signature"))
    assert.equal(said, of(NONE, "return hmac.hex(hook.HOOK, req.body) == req:get_header 'X-Hub-Signature-256'"))
  end)

  it("is none where it is verified, or where the answer is what is signed", function()
    assert.equal("nothing", of(DECLARED, "return demilune.hmac.verify(hook.HOOK, req.body, req.header.x_signature)"))
    assert.equal("nothing", of(NONE, "return demilune.response { headers = { ['X-Signature'] = hmac.hex(hook.HOOK, 'x') }, body = 'x' }"))
  end)
end)

describe("a role that everybody may give himself", function()
  local function of(options)
    local list = findings_of('local ruled = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", roles = { "user", "admin" } } '
      .. 'app:get("/all", { guard = guard.role("admin", ruled) }, handler) app:post("/users", { ' .. options .. ' }, handler)')
    return list[1] and list[1].severity .. ": " .. list[1].message or "nothing"
  end

  it("is told of", function()
    local said = 'warning: POST /users: everybody may send %s = "admin", which guard.role asks for'
    assert.equal(said:format "role", of 'guard = guard.public, body = { role = model.literal { "user", "admin" } }')
    assert.equal(said:format "user_roles", of 'guard = guard.public, form = { user_roles = model.array(model.literal { "admin" }) }')
    assert.equal(said:format "role", of 'guard = guard.public, body = { user = model.object { role = model.literal { "admin" } } }')
  end)

  it("is none that no guard asks for, that is not sent, or that somebody gives who is known", function()
    for _, options in ipairs {
      'guard = guard.public, body = { role = model.literal { "user", "editor" } }', 'guard = ruled, body = { role = model.literal { "admin" } }',
      'guard = guard.public, body = model "U" { role = model.literal { "admin", read_only = true } }',
      'guard = guard.public, body = { kind = model.literal { "admin" } }',
    } do assert.equal("nothing", of(options)) end
  end)
end)

describe("a password in a URL", function()
  local function of(options, path)
    local list = findings_of(('app:get("%s", { guard = guard.public, %s, limit = "5/minute" }, handler)'):format(path or "/in", options))
    return list[1] and list[1].message or "nothing"
  end

  it("is remembered by browsers and logged by fronts", function()
    local said = "GET %s takes %s in its %s, and so in a URL, which browsers remember and fronts log"
    assert.equal(said:format("/in", "password", "query"), of "query = { password = model.secret() }")
    assert.equal(said:format("/in", "given", "query"), of 'query = { given = model.string { alias = "Password" } }')
    assert.equal(said:format("/in", "refresh_token", "query"), of 'query = model "Q" { refresh_token = model.string() }')
    assert.equal(said:format("/in/{passphrase}", "passphrase", "path"), of("path = { passphrase = model.string() }", "/in/{passphrase}"))
  end)

  it("is not what only has such a name, or stands elsewhere", function()
    for _, options in ipairs {
      "query = { password = model.boolean() }", "query = { token = model.secret(), pin = model.string() }", "header = { password = model.secret() }",
    } do assert.equal("nothing", of(options)) end
  end)
end)

describe("API keys that an app makes", function()
  local KEYS = 'local db = app:database("sqlite:x.db", { migrations = false })\n'
    .. 'local keys = guard.api_key { database = db, lifetime = "1d" }\n'

  it("are not kept with an idempotent route's answer, nor are tokens and sessions", function()
    local kept = 'app:idempotency { database = db }\nlocal session = guard.session { secret = settings.JWT_SECRET, lifetime = "1h" }\n'
    local make = 'app:post("/x", { guard = bearer, idempotent = true, limit = "5/minute" }, function() return %s:issue { subject = "1" } end)'
    for _, name in ipairs { "keys", "bearer", "session" } do
      local list = findings_of(KEYS .. kept .. make:format(name))
      assert.same({ 1, "POST /x is idempotent and gives out tokens, sessions or API keys, which would be kept with its answer, as they are",
        "leave idempotent out; who has lost an answer asks for another one" }, { #list, list[1].message, list[1].mend })
      assert.same({}, findings_of(KEYS .. kept .. make:gsub("idempotent = true, ", ""):format(name)))
    end
  end)

  it("are made where the method is called, and not where something else has its name", function()
    local kept, track = "app:idempotency { database = db }\n", 'app:post("/x", { guard = bearer, idempotent = true }, function(req) %s end)'
    for _, honest in ipairs {
      "local key = keys.kind return { issue = key, id = req.body.issue }", 'return keys.kind == "issue" and keys or { issue = 1 }',
      "local issue = req.body.issue issue.of = keys return issue.issue", "function req.issue() return keys end",
    } do assert.same({}, findings_of(KEYS .. kept .. track:format(honest)), honest) end
    for _, issuing in ipairs {
      "local made = keys return made:issue { subject = req.path.issue }", 'return (function() return keys:issue { subject = "1" }.key end)()',
      'for _ = 1, 3 do if req then return 1, 2, keys:issue { subject = "1" } end end',
    } do assert.equal(1, #findings_of(KEYS .. kept .. track:format(issuing)), issuing) end
  end)
end)

describe("what migrations and statements say", function()
  local DATA = [[
    local db = app:database("sqlite:/nowhere/at/all/notes.db"%s)
    local find = db:statement "SELECT text FROM notes WHERE id = :id"
    local all = db:statement("SELECT nmae FROM notes ORDER BY {order}", { orders = { a = "id", b = "nowhere" } })
    app:on_start(function() error "the app was started" end)
    app:get("/", { guard = guard.public }, function() return { find:one { id = 1 }, all:many() } end)]]

  local function check(migrations, options)
    local files = { ["app.lua"] = app_of(DATA:format(options or "")) }
    for name, text in pairs(migrations) do files["migrations/" .. name] = text end
    local folder = server.write_app(files)
    local status, out, err = server.run({ "check", "--json", folder }, { env = ENV })
    server.remove_folder(folder)
    local list = assert(dkjson.decode(out), out .. err).findings
    assert.equal(#list > 0 and 1 or 0, status)
    for index, finding in ipairs(list) do list[index] = ("%s: %s; %s"):format(finding.source, finding.message, finding.mend) end
    return list
  end

  it("is tried by check on an empty database in memory", function()
    assert.same({
      'app.lua:8: no such table: notes; make it in a migration, such as migrations/0001_notes.sql; or write '
        .. "migrations = false, where something else makes this database's tables",
      'app.lua:9: no such table: notes; make it in a migration, such as migrations/0001_notes.sql; or write '
        .. "migrations = false, where something else makes this database's tables",
    }, check {})
    local users = "CREATE TABLE users (id INTEGER PRIMARY KEY);"
    assert.matches("such as migrations/0002_notes.sql", check({ ["0001_users.sql"] = users })[1], 1, true)
    local notes = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT%s);\n"
    assert.same({ 'app.lua:9: no such column: nowhere, at "nowhere "; mend the statement, or make what it needs in a migration' },
      check { ["0001_notes.sql"] = notes:format(", nmae TEXT") })
    assert.same({}, check { ["0001_notes.sql"] = notes:format(", nmae TEXT, nowhere TEXT") })
  end)

  it("is told at the line of the migration that fails", function()
    assert.same({ "migrations/0002_more.sql:2: no such table: things; mend the migrations: an empty database takes them one after the other" },
      check { ["0001_notes.sql"] = "CREATE TABLE notes (id INTEGER);", ["0002_more.sql"] = "\nALTER TABLE things ADD COLUMN x;" })
    assert.same({ 'migrations/0001_notes.sql:1: near "TALBE": syntax error; mend the migrations: an empty database takes them one after the other' },
      check { ["0001_notes.sql"] = "CREATE TALBE notes (id INTEGER);" })
    assert.matches("^migrations: there is no migration 0001, though", check({ ["0002_notes.sql"] = "" })[1])
    assert.matches("^app.lua:7: the migrations folder .* cannot be read: .*; make the folder", check({}, ', { migrations = "schema" }')[1])
  end)

  -- How the message begins, and what is to be written, where a table of demilune's own is missing.
  local OWN = {
    {
      'app:idempotency { database = db }', "idempotency_keys, in which app:idempotency keeps its answers", "demilune.idempotency_migration",
      "idempotency",
    },
    {
      'app:mount(demilune.accounts { database = db, bearer = bearer, find = function() end, find_by_id = function() end })',
      "refresh_tokens, in which demilune.accounts keeps refresh tokens", "demilune.accounts.migration", "accounts",
    },
    {
      'guard.session { secret = settings.JWT_SECRET, lifetime = "8h", database = db }',
      "sessions, in which guard.session keeps sessions", "guard.session_migration", "sessions",
    },
    { 'guard.api_key { lifetime = "8h", database = db }', "api_keys, in which guard.api_key keeps keys", "guard.api_key_migration", "api_keys" },
  }

  local function own_app(declared)
    local lines = 'local db = app:database "sqlite:x.db"\nlocal made = ' .. declared .. '\napp:get("/", { guard = guard.public }, handler)'
    return { ["app.lua"] = app_of(lines:gsub("local made = app", "app")), ["migrations/0001_more.sql"] = "CREATE TABLE more (id INTEGER);" }
  end

  it("names the migration and the command where a table of demilune's own is missing, and the command writes it", function()
    for _, case in ipairs(OWN) do
      local declared, message, text, kind = unpack(case)
      local folder, table_name = server.write_app(own_app(declared)), message:match "^[^,]+"
      local path = ("migrations/0002_%s.sql"):format(table_name)
      local mend = ("write %s with the text of %s, as `demilune migration %s %s` does"):format(path, text, kind, folder)
      local _, out = server.run({ "check", "--json", folder }, { env = ENV })
      assert.same({ { severity = "error", source = "app.lua:8", message = "no such table: " .. message, mend = mend } },
        setmetatable(dkjson.decode(out).findings, nil))
      local status, _, err = server.run({ "dev", folder, "--port=0" }, { env = ENV })
      assert.equal(1, status)
      assert.matches(("app.lua:8: no such table: %s; %s"):format(message, mend), err, 1, true)
      assert.same({ 0, folder .. "/" .. path .. "\n", "" }, { server.run { "migration", kind, folder } })
      assert.equal(0, (server.run({ "check", folder }, { env = ENV })))
      status, out, err = server.run { "migration", kind, folder }
      assert.same({ 1, "", ("demilune migration: the migrations in %s/migrations make a table %s already; nothing was written\n")
        :format(folder, table_name) }, { status, out, err })
      server.remove_folder(folder)
    end
  end)

  it("names no command where the table has another name, or the migrations another folder", function()
    local files = own_app 'app:idempotency { database = db, table = "kept" }'
    local folder = server.write_app(files)
    local _, out = server.run({ "check", "--json", folder }, { env = ENV })
    assert.equal("write migrations/0002_kept.sql with the text of demilune.idempotency_migration, under the name kept",
      dkjson.decode(out).findings[1].mend)
    server.remove_folder(folder)
  end)

  it("is nobody's to try where others make the tables", function() assert.same({}, check({}, ", { migrations = false }")) end)
end)

describe("two bearer guards of one key", function()
  local OTHER = 'local other = guard.bearer { %s, lifetime = "15m" }\n'
  local ROUTES = 'app:get("/a", { guard = bearer }, handler)\napp:get("/b", { guard = other }, handler)\n'
  local SAME = OTHER:format "secret = settings.JWT_SECRET" .. ROUTES

  local function severities(lines, env)
    local folder = server.write_app(app_of(lines))
    local _, out = server.run({ "check", "--json", folder }, { env = env or ENV })
    server.remove_folder(folder)
    local list = {}
    for index, finding in ipairs(assert(dkjson.decode(out), out).findings) do list[index] = finding.severity .. " " .. finding.source end
    return table.concat(list, ", ")
  end

  it("must tell their tokens apart", function()
    assert.same({ { severity = "error", source = "app.lua:7",
      message = "guard.bearer: tokens of the one at app.lua:5 pass here too, for they are signed by the same key and nothing in them says for "
        .. "which they are",
      mend = "give each an issuer or an audience of its own, or another secret; where both are for the same people, write one guard and use it "
        .. "for both" } }, findings_of(SAME))
    local status, output = run("serve", "--port=0", SAME)
    assert.equal(1, status)
    assert.truthy(output:find("app.lua:7: guard.bearer: tokens of the one at app.lua:5 pass here too", 1, true), output)
  end)

  it("do so by an issuer, by an audience, by another secret or algorithm; and each way has to be whole", function()
    for given, expected in pairs {
      ['secret = settings.JWT_SECRET, issuer = "a"'] = "error app.lua:5", -- there it passes still
      ['secret = settings.JWT_SECRET, audience = "a"'] = "",
      ['secret = settings.JWT_SECRET, algorithms = { "HS512" }'] = "",
      ['secret = settings.JWT_SECRET, algorithms = { "HS512", "HS256" }'] = "error app.lua:7",
      ['keys = { { secret = settings.JWT_SECRET, kid = "new" } }'] = "error app.lua:7",
      ['secret = settings.JWT_SECRET, roles = { "admin" }'] = "error app.lua:7",
      ['secret = settings.JWT_SECRET, cookie = "__Host-token"'] = "warning app.lua:7",
      ['secret = settings.JWT_SECRET, cookie = "__Host-token", roles = { "admin" }'] = "error app.lua:7",
    } do
      local long = given:gsub("settings.JWT_SECRET", "settings.LONG")
      local declared = 'local settings = demilune.settings { LONG = model.secret { min_bytes = 64 } }\n'
        .. 'local bearer = guard.bearer { secret = settings.LONG, lifetime = "15m" }\n'
      local env = { JWT_SECRET = ENV.JWT_SECRET, LONG = ENV.JWT_SECRET:rep(2) }
      local found = severities(declared .. OTHER:format(long) .. ROUTES, env)
      assert.equal((expected:gsub("app.lua:5", "app.lua:8"):gsub("app.lua:7", "app.lua:9")), found, given)
    end
    local two = 'local other = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", %s }\n'
      .. 'local third = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", %s }\n'
      .. 'app:get("/b", { guard = other }, handler)\napp:get("/c", { guard = third }, handler)\n'
    assert.equal("", severities(two:format('issuer = "a"', 'issuer = "b"')))
    assert.equal("", severities(two:format('audience = "a"', 'audience = { "b", "c" }')))
    assert.equal("error app.lua:8", severities(two:format('audience = "a"', 'audience = { "b", "a" }')))
    assert.equal("error app.lua:7", severities(two:format('audience = { "b", "a" }', 'audience = { "a", "b" }, issuer = "x"')))
    assert.equal("", severities(two:format('audience = "a", issuer = "x"', 'audience = "a", issuer = "y"')))
  end)

  it("in two settings of one value are found where the values are known", function()
    local lines = 'local more = demilune.settings { SECOND = model.secret { min_bytes = 32 } }\n' .. OTHER:format "secret = more.SECOND" .. ROUTES
    assert.equal("error app.lua:8", severities(lines, { JWT_SECRET = ENV.JWT_SECRET, SECOND = ENV.JWT_SECRET }))
    assert.equal("", severities(lines, { JWT_SECRET = ENV.JWT_SECRET, SECOND = ENV.JWT_SECRET:reverse() }))
  end)

  it("are one where it is one guard: on several routes, with roles and scopes, or made again by a function", function()
    assert.equal("", severities('app:get("/a", { guard = bearer }, handler)\napp:get("/b", { guard = guard.role("admin", bearer) }, handler)\n'
      .. 'app:get("/c", { guard = guard.scope("read", guard.any { bearer, guard.role("user", bearer) }) }, handler)'))
    assert.equal("", severities('local function made() local one = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m" } return one end\n'
      .. 'app:get("/a", { guard = made() }, handler)\napp:get("/b", { guard = made() }, handler)'))
    local lines = 'local function made(roles)\n  local one = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", roles = roles }\n'
      .. '  return one\nend\n'
      .. 'app:get("/a", { guard = made { "user" } }, handler)\napp:get("/b", { guard = made { "admin" } }, handler)'
    assert.equal("error app.lua:8", severities(lines))
  end)

  it("that only verify take what somebody else gives out, each", function()
    local PUBLIC = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----"
    local one = ('guard.bearer { key = [[%s]], lifetime = "15m", audience = false }'):format(PUBLIC)
    assert.equal("", severities('app:get("/a", { guard = ' .. one .. ' }, handler)\napp:get("/b", { guard = ' .. one .. ' }, handler)'))
  end)

  it("are no finding where one guards nothing", function()
    assert.equal("", severities(OTHER:format "secret = settings.JWT_SECRET" .. 'app:get("/b", { guard = other }, handler)'))
  end)
end)

describe("what caches may keep", function()
  local ROUTE = 'app:%s("/me", { guard = %s, headers = { [%q] = %q } }, handler)'
  local function found(name, value, method, guard) return findings_of(ROUTE:format(method or "get", guard or "bearer", name, value)) end

  it("is nothing that a guarded route answers, wherever it is declared", function()
    for _, field in ipairs {
      { "Cache-Control", "public, max-age=60" }, { "cache-control", "max-age=60" }, { "Cache-Control", "must-revalidate" },
      { "Cache-Control", 'private="x-name", max-age=60' }, { "Cache-Control", "max-age=60, no-store-at-all" }, { "CDN-Cache-Control", "max-age=60" },
      { "Surrogate-Control", "max-age=60" }, { "X-Accel-Expires", "60" },
    } do
      local list = found(unpack(field))
      assert.equal(1, #list, table.concat(field, ": "))
      assert.same({ "error", "app.lua:7" }, { list[1].severity, list[1].source })
      assert.equal(("GET /me: its guard lets in some only, and by %s = %q caches keep what one of them is answered, and give it to everybody")
        :format(unpack(field)), list[1].message)
    end
    assert.equal(1, #found("Cache-Control", "public", "get", 'guard.role("admin", bearer)'))
    local whole = HEAD:gsub("demilune.app {}", 'demilune.app { headers = { ["Cache-Control"] = "max-age=60" } }')
    local folder = server.write_app(whole .. 'app:get("/", { guard = guard.public }, handler)\napp:get("/me", { guard = bearer }, handler)\n'
      .. 'app:get("/mine", { guard = bearer, headers = { ["cache-control"] = "no-store" } }, handler)\nreturn app\n')
    local status, out = server.run({ "check", "--json", folder }, { env = ENV })
    server.remove_folder(folder)
    assert.equal(1, status)
    local list = dkjson.decode(out).findings
    assert.same({ 1, "app.lua:8" }, { #list, list[1].source })
    assert.truthy(list[1].mend:find('write headers = { ["Cache-Control"] = "no-store" } for this route, or "private', 1, true), list[1].mend)
  end)

  it("is what the browser of whom it is for keeps, what is public, and what no cache keeps anyway", function()
    for _, field in ipairs {
      { "Cache-Control", "private, max-age=60" }, { "Cache-Control", "max-age=60,Private" }, { "Cache-Control", "no-cache" }, { "Expires", "0" },
      { "CDN-Cache-Control", "no-store" }, { "Surrogate-Control", "no-store" }, { "X-Accel-Expires", "0" }, { "X-Cache", "public" },
    } do
      assert.same({}, found(unpack(field)), table.concat(field, ": "))
    end
    assert.same({}, found("Cache-Control", "public", "get", "guard.public"))
    assert.same({}, found("Cache-Control", "public", "post", "bearer"))
  end)
end)

describe("findings", function()
  local BAD = NOTE:format("") .. '\nlocal other = guard.bearer { secret = "7f2c9b61e0d4835aa1c6f09e42b87d53", lifetime = "1m" }\n'
    .. 'app:get("/x", { guard = guard.role("boss", guard.api_key { keys = { a = settings.JWT_SECRET } }) }, handler)'

  it("are listed by check, each with how to mend it", function()
    local status, output = run("check", nil, BAD)
    assert.equal(1, status)
    for _, text in ipairs {
      "app.lua:7: error: " .. OBJECT .. "\n  write owner", "app.lua:8: error: guard.bearer: secret is a plain string",
      "app.lua:9: error: guard.role: nobody can have the role boss", "2 routes, 3 to mend", "bearer", "api_key  boss",
    } do
      assert.truthy(output:find(text, 1, true), text .. "\n" .. output)
    end
  end)

  it("refuse production, all at once", function()
    local status, output = run("serve", "--port=0", BAD)
    assert.equal(1, status)
    assert.truthy(output:find("3 things make the app unsafe", 1, true), output)
    assert.truthy(output:find("app.lua:7: " .. OBJECT, 1, true), output)
  end)

  it("are warnings in dev, in the same words", function()
    local running = server.start(app_of(BAD), { command = "dev", env = ENV })
    assert.truthy(running:log_line("app.lua:7: " .. OBJECT .. "; write owner"), running:log())
    assert.equal(0, (running:stop()))
  end)

  it("are none for an app that has none", function()
    local status, output = run("check", nil, NOTE:format("shared = true, limit = { \"5/minute\", { rate = \"9/hour\", by = \"principal\" } }"))
    assert.equal(0, status, output)
    assert.truthy(output:find("shared  5/minute; 9/hour by principal", 1, true), output)
    assert.truthy(output:find("nothing to mend", 1, true))
  end)
end)

describe("a router", function()
  local OPEN = 'app:get("/", { guard = guard.public }, handler)\nlocal users = demilune.router { guard = guard.public }\n'

  it("with routes must be mounted", function()
    local list = findings_of(OPEN .. 'users:get("/users", handler)')
    assert.same({ { severity = "warning", source = "app.lua:8", message = "this router is mounted nowhere, so that its routes are not there",
      mend = "write app:mount(it), or take it out" } }, list)
    assert.same({}, findings_of(OPEN .. 'users:get("/users", handler)\napp:mount("/v1", users)'))
    assert.same({}, findings_of(OPEN))
  end)

  it("that is mounted in one that is not is found by that one", function()
    local list = findings_of(OPEN .. 'local inner = demilune.router {}\ninner:get("/inner", handler)\nusers:mount(inner)')
    assert.same({ 1, "app.lua:8" }, { #list, list[1].source })
  end)
end)
