-- SPDX-License-Identifier: MIT
-- The plan and the loading of apps: what routes inherit, what is handed to the
-- core, and how mistakes are told.

local core = require("spec.support.core").install()
local boot = require "demilune.boot"
local context = require "demilune.context"
local demilune = require "demilune"
local plan = require "demilune.plan"
local refusal = require "spec.support.refusal"

local dump = string.dump -- loading an app takes it away
local model, guard = demilune.model, demilune.guard
local public = guard.public

package.loaded["demilune.openapi"] = {
  document = function(made) return made.title .. " in JSON" end,
  docs_files = function() return { { path = "/docs", content_type = "text/html", body = "page" } } end,
}

local function handler() end

local function lines_of(made)
  local lines = {}
  for index, route in ipairs(made.routes) do lines[index] = route.method .. " " .. route.pattern end
  return lines
end

before_each(function() context.mode = "dev" end)

describe("a plan", function()
  it("joins prefixes, in the order of declaration", function()
    local app = demilune.app { guard = public }
    local users, notes = demilune.router { prefix = "/users" }, demilune.router { prefix = "/{user_id}/notes" }
    app:get("/", handler)
    users:get("/", handler)
    app:mount("/v1", users)
    app:get("/last", handler)
    users:mount(notes)
    notes:get("/{note_id}", handler)
    assert.same({ "GET /", "GET /v1/users", "GET /v1/users/{user_id}/notes/{note_id}", "GET /last" }, lines_of(plan.compile(app)))
  end)

  it("declares the parameters of the prefixes too", function()
    local app = demilune.app { guard = public }
    local notes = demilune.router { prefix = "/users/{user_id}/notes" }
    notes:get("/{note_id}", { path = { note_id = model.integer(), user_id = model.integer() } }, handler)
    app:mount(notes)
    local fields = plan.compile(app).descriptions.routes[1].path.fields
    assert.same({ "user_id", "integer", "note_id", "integer" }, { fields[1].name, fields[1].schema.kind, fields[2].name, fields[2].schema.kind })
  end)

  it("takes the parameters that a router declares of its prefix, where the route does not", function()
    local app = demilune.app { guard = public }
    local notes = demilune.router { prefix = "/users/{user_id}/notes", path = { user_id = model.integer() } }
    local parts = demilune.router { prefix = "/{note_id}/parts", path = { note_id = model.uuid() } }
    notes:get("/{note_id}", handler)
    parts:get("/{part_id}", { path = { user_id = model.email() } }, handler)
    notes:mount(parts)
    app:mount(notes)
    local routes, kinds = plan.compile(app).descriptions.routes, {}
    for index, route in ipairs(routes) do
      for place, entry in ipairs(route.path.fields) do kinds[index] = (kinds[index] or "") .. (place > 1 and " " or "") .. entry.schema.kind end
    end
    assert.same({ "integer string", "email uuid string" }, kinds)
  end)

  it("tells of a router's parameter that its prefix does not hold at the router's line", function()
    local app = demilune.app { guard = public }
    local line = debug.getinfo(1, "l").currentline + 1
    local notes = demilune.router { prefix = "/{user_id}", path = { userid = model.integer() } }
    notes:get("/", handler)
    app:mount(notes)
    assert.matches(("plan_spec%%.lua:%d: GET /{user_id}: path%%.userid is not in the path; did you mean {user_id}%%?$"):format(line),
      refusal(plan.compile, app))
    assert.matches("demilune%.router: path takes fields, and a model's check would be passed over",
      refusal(function() demilune.router { path = model("P", { check = handler }) { id = model.integer() } } end))
  end)

  it("gives a route what its routers and the app need, and the route's own before them", function()
    local function gives(value) return demilune.dependency(function() return value end) end
    local app = demilune.app { guard = public, needs = { a = gives "app", b = gives "app", c = gives "app" } }
    local users = demilune.router { prefix = "/users", needs = { b = gives "router", c = gives "router" } }
    local inner = demilune.router { prefix = "/inner", needs = { d = gives "inner" } }
    local function show(_, need) return need end
    app:get("/", show)
    users:get("/", { needs = { c = gives "route" } }, show)
    inner:get("/", show)
    users:mount(inner)
    app:mount(users)
    local routes = plan.compile(app).routes
    assert.same({ a = "app", b = "app", c = "app" }, routes[1].run {})
    assert.same({ a = "app", b = "router", c = "route" }, routes[2].run {})
    assert.same({ a = "app", b = "router", c = "router", d = "inner" }, routes[3].run {})
    assert.matches("demilune%.router: need x must be a guard or what app:dependency gave, not 5",
      refusal(function() demilune.router { needs = { x = 5 } } end))
    assert.matches("demilune%.app: needs is a table of names", refusal(function() demilune.app { needs = gives "x" } end))
  end)

  it("writes a route's header fields before its routers', and theirs before the app's, in whatever case", function()
    local app = demilune.app { guard = public, headers = { ["X-A"] = "app", ["X-B"] = "app", ["X-C"] = "app" } }
    local users = demilune.router { headers = { ["x-b"] = "router", ["x-c"] = "router" } }
    users:get("/", { headers = { ["X-c"] = "route" } }, handler)
    app:mount(users)
    assert.same({ ["X-A"] = "app", ["x-b"] = "router", ["X-c"] = "route" }, plan.compile(app).routes[1].headers)
    assert.matches('demilune%.router: the header field Date is not for headers', refusal(function() demilune.router { headers = { Date = "x" } } end))
  end)

  it("adds tags from the outside in, each once", function()
    local app = demilune.app { guard = public }
    local users = demilune.router { prefix = "/users", tags = { "users" } }
    users:get("/", { tags = { "users", "lists" } }, handler)
    app:mount(users)
    app:get("/plain", handler)
    local descriptions = plan.compile(app).descriptions.routes
    assert.same({ "users", "lists" }, descriptions[1].tags)
    assert.is_nil(descriptions[2].tags)
  end)

  it("refuses a route that nobody gave a guard", function()
    local app = demilune.app()
    app:get("/open", { guard = public }, handler)
    assert.equal("public", plan.compile(app).routes[1].guard.kind)
    app:get("/forgotten", {}, handler)
    assert.matches("plan_spec%.lua:%d+: GET /forgotten has no guard; write guard = guard.public if everybody may call it", refusal(plan.compile, app))
  end)

  it("takes the guard of the nearest router", function()
    local app = demilune.app()
    local users = demilune.router { prefix = "/users", guard = public }
    users:get("/", handler)
    app:mount(users)
    assert.equal(public, plan.compile(app).routes[1].guard)
  end)

  it("hands each route to the core with what it declared", function()
    local User = model "User" { id = model.integer() }
    local app = demilune.app { guard = public, headers = { ["X-App"] = "a" } }
    app:post("/users/{id}", {
      path = { id = model.integer() }, query = { dry = model.boolean { default = false } }, body = User, returns = User, status = 201,
      timeout = "5s", max_body = 100, headers = { ["X-Route"] = "r" }, deprecated = true,
    }, handler)
    local route = plan.compile(app).routes[1]
    assert.same({ "POST", "/users/{id}", 201, 5, 100, true, "json", handler },
      { route.method, route.pattern, route.status, route.timeout, route.max_body, route.deprecated, route.body_kind, route.run })
    assert.same({ ["X-App"] = "a", ["X-Route"] = "r" }, route.headers)
    assert.equal("id", route.path.description.fields[1].name)
    assert.equal("dry", route.query.description.fields[1].name)
    assert.equal(User, route.body.description)
    assert.equal(User, route.returns.description)
    assert.matches("plan_spec%.lua:%d+$", route.source)
  end)

  it("hands the core the proxies to trust, and where they were named", function()
    local app = demilune.app { guard = public, trusted_proxies = { "10.0.0.0/8", "unix" } }
    app:get("/", handler)
    local made = plan.compile(app)
    assert.same({ "10.0.0.0/8", "unix" }, made.trusted_proxies)
    assert.matches("plan_spec%.lua:%d+$", made.source)
    assert.matches("trusted_proxies must be a list of strings", refusal(demilune.app, { trusted_proxies = "10.0.0.0/8" }))
  end)

  it("says when a body may be left out", function()
    local app = demilune.app { guard = public }
    app:post("/a", { body = model.optional(model.object { a = model.any() }) }, handler)
    app:post("/b", { form = { a = model.string() } }, handler)
    local routes = plan.compile(app).routes
    assert.same({ true, "json" }, { routes[1].body_optional, routes[1].body_kind })
    assert.same({ "form" }, { routes[2].body_kind, routes[2].body_optional })
  end)

  it("gives models that do not say the app's extra, and bodies its strictness", function()
    local Inner = model "Inner" { a = model.any() }
    local Said = model("Said", { extra = "forbid", strict = true }) { inner = model.array(Inner) }
    local Body = model "Body" { said = Said }
    local app = demilune.app { guard = public, extra = "ignore", strict = false }
    app:post("/a", { body = Body }, handler)
    app:post("/b", { body = Said }, handler)
    local routes = plan.compile(app).routes
    assert.same({ "ignore", "forbid", "ignore" }, { Inner.extra, Said.extra, Body.extra })
    assert.same({ "ref", false }, { routes[1].body.description.kind, routes[1].body.description.strict })
    assert.equal(Body, routes[1].body.description.get())
    assert.is_true(routes[2].body.description.strict)
  end)

  it("refuses two models of one name", function()
    local One, Two = model "User" { a = model.any() }, model "User" { b = model.any() }
    local app = demilune.app { guard = public }
    app:post("/a", { body = One, returns = model.optional(One) }, handler)
    assert.truthy(plan.compile(app))
    app:post("/b", { body = model.array(Two) }, handler)
    assert.matches("there are two models User, the other one at %S*plan_spec%.lua:%d+; give one of them another name", refusal(plan.compile, app))
  end)

  it("refuses two routes of one name", function()
    local app = demilune.app { guard = public }
    app:get("/a", { name = "list" }, handler)
    app:get("/b", { operation_id = "list" }, handler)
    assert.matches('the name "list" is taken by the route at', refusal(plan.compile, app))
  end)

  it("lets the methods of one declaration share its name", function()
    local app = demilune.app { guard = public }
    app:route({ "PUT", "PATCH" }, "/a", { name = "change" }, handler)
    assert.equal(2, #plan.compile(app).routes)
  end)

  it("refuses references that give no model or lead nowhere", function()
    local app = demilune.app { guard = public }
    app:post("/a", { body = { a = model.ref(function() return {} end) } }, handler)
    assert.matches("model.ref: the function gave a table, not a model; return the model from it", refusal(plan.compile, app))
    local circle
    circle = model.ref(function() return circle end)
    app = demilune.app { guard = public }
    app:post("/a", { body = { a = circle } }, handler)
    assert.matches("model.ref: this reference leads back to itself; let it give a model", refusal(plan.compile, app))
  end)

  it("refuses files, which only a multipart form could bring", function()
    local app = demilune.app { guard = public }
    app:post("/a", { body = { picture = model.optional(model.file()) } }, handler)
    assert.matches("model.file: files arrive in multipart forms, which this version does not read", refusal(plan.compile, app))
  end)

  it("tells the documentation what the app says of itself", function()
    local app = demilune.app { guard = public, tags = { "a", { name = "b", description = "B" } }, servers = { "https://x.example" }, license = "MIT" }
    app:get("/a", handler)
    local made = plan.compile(app)
    assert.same({ { { name = "a" }, { name = "b", description = "B" } }, { { url = "https://x.example" } }, { name = "MIT" } },
      { made.tags, made.servers, made.license })
    assert.matches('license: each is a string or a table with { name = "..." }', refusal(demilune.app, { license = { url = "x" } }))
  end)

  it("refuses a router inside itself", function()
    local app, users = demilune.app { guard = public }, demilune.router()
    users:mount("/x", users)
    app:mount(users)
    assert.matches("this router is mounted inside itself", refusal(plan.compile, app))
  end)

  it("refuses an app without routes", function()
    assert.matches("the app has no routes; write app:get", refusal(plan.compile, demilune.app()))
  end)

  it("says where the core's refusal of a schema belongs", function()
    local app = demilune.app { guard = public }
    app:post("/a", { body = model.string { pattern = "(" } }, handler)
    assert.matches("plan_spec%.lua:%d+: POST /a: body: pattern is not closed", refusal(plan.compile, app))
  end)

  it("has documentation in dev and where it is asked for", function()
    local app = demilune.app { guard = public, title = "Users" }
    app:get("/a", handler)
    local files = plan.compile(app).files
    assert.same({ "/openapi.json", "Users in JSON", "/docs" }, { files[1].path, files[1].body, files[2].path })
    context.mode = "serve"
    assert.same({}, plan.compile(app).files)
    app.given.docs = true
    assert.equal(2, #plan.compile(app).files)
    app:get("/docs", handler)
    assert.matches("GET /docs belongs to the documentation", refusal(plan.compile, app))
  end)

  it("starts databases before on_start and stops in reverse, whatever fails", function()
    local events, app = {}, demilune.app { guard = public }
    local function note(text) return function() events[#events + 1] = text end end
    app:get("/a", handler)
    app.databases[1] = { start = note "open", stop = note "close" }
    app:on_start(note "start 1")
    app:on_start(note "start 2")
    app:on_stop(note "stop 1")
    app:on_stop(function() error("stop 2 failed", 0) end)
    local made = plan.compile(app)
    made.start()
    assert.equal("stop 2 failed", refusal(made.stop))
    assert.same({ "open", "start 1", "start 2", "stop 1", "close" }, events)
  end)
end)

describe("loading an app", function()
  local folder

  local function write(path, text)
    local file = assert(io.open(folder .. "/" .. path, "wb"))
    file:write(text)
    file:close()
  end

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder .. "/routes") == 0)
    for name in pairs(package.loaded) do
      if name:match("^routes") then package.loaded[name] = nil end
    end
    package.preload.demilune = function() return demilune end
  end)

  after_each(function() os.execute("rm -r " .. folder) end)

  local function load(mode)
    local loaders = package.loaders
    local ok, result = pcall(boot.load, { folder = folder, mode = mode or "check" })
    package.loaders = loaders
    return ok, result
  end

  local head = 'local demilune = require "demilune"\nlocal app = demilune.app { guard = demilune.guard.public }\n'

  it("follows requires inside its folder and lists what it read", function()
    write("app.lua", head .. 'app:mount(require "routes.users")\nreturn app\n')
    write("routes/users.lua", 'local r = require("demilune").router()\nr:get("/users", print)\nreturn r\n')
    local ok, made = load()
    assert.is_true(ok, made)
    assert.same({ "app.lua", "routes/users.lua" }, made.loaded)
    assert.equal("routes/users.lua:2", made.routes[1].source)
    assert.equal("check", made.mode)
  end)

  it("shows the line of a mistake", function()
    write("app.lua", head .. 'app:get("/x", { staus = 201 }, print)\nreturn app\n')
    local ok, message = load()
    assert.is_false(ok)
    assert.matches('^app.lua:3: GET /x: there is no option "staus"; did you mean status%?', message)
    assert.matches('\n  3 | app:get("/x", { staus = 201 }, print)', message, 1, true)
  end)

  it("shows the line of a mistake in Lua itself", function()
    write("app.lua", head .. "local x = nil .. 'a'\nreturn app\n")
    local _, message = load()
    assert.matches("^app.lua:3: attempt to concatenate a nil value\n  3 | ", message)
    write("app.lua", head .. "local x = = 1\n")
    assert.matches("^app.lua:3: unexpected symbol near '='", select(2, load()))
  end)

  it("tells a mistake noticed inside our modules at the app's line", function()
    write("app.lua", head .. "demilune.guard.has_role(1, 'admin')\nreturn app\n")
    assert.matches("^app.lua:3: attempt to index local 'principal'", select(2, load()))
  end)

  it("takes no declaration once it is over", function()
    write("app.lua", head .. "app:get('/x', function() app:get('/y', print) end)\nreturn app\n")
    local ok, made = load()
    assert.is_true(ok, made)
    local late, message = pcall(made.descriptions.routes[1].handler)
    assert.is_false(late)
    assert.matches("^app.lua:3: app:get declares, which is over once the app is loaded; write it beside the others, not in a handler", message)
  end)

  it("reads nothing from outside the folder", function()
    write("app.lua", head .. 'require "socket"\n')
    assert.matches("^app.lua:3: there is no module socket: neither socket.lua nor socket/init.lua is in the app's folder", select(2, load("serve")))
  end)

  it("wants source, not compiled Lua", function()
    write("app.lua", dump(function() end))
    assert.matches("^app.lua: this is compiled Lua", select(2, load()))
  end)

  it("wants an app.lua that gives an app", function()
    assert.matches("has no app.lua", select(2, load()))
    write("app.lua", head)
    assert.matches("^app.lua must give its app, not nil; write `return app` as the last line", select(2, load()))
  end)

  it("tells a file that cannot be read from one that is not there", function()
    os.execute("ln -s app.lua " .. folder .. "/app.lua") -- a circle: not even root gets to its end
    assert.matches("/app.lua cannot be read %(Too many levels of symbolic links%); make it a file of 1 MiB at most that", select(2, load()))
    os.remove(folder .. "/app.lua")
    write("app.lua", head .. 'require "other"\n')
    os.execute("ln -s other.lua " .. folder .. "/other.lua")
    assert.matches("/other.lua cannot be read %(Too many", select(2, load()))
  end)

  it("compiles nothing twice that the core sees by identity", function()
    local seen, compile = {}, core.schema_compile
    core.schema_compile = function(description)
      seen[#seen + 1] = description
      return compile(description)
    end
    write("app.lua", head .. 'local U = demilune.model "U" { a = demilune.model.any() }\n'
      .. 'app:post("/x", { body = U, returns = U }, print)\nreturn app\n')
    local ok, message = load()
    core.schema_compile = compile
    assert.is_true(ok, message)
    assert.equal(seen[1], seen[2])
  end)
end)
