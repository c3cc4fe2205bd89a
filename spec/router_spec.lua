-- SPDX-License-Identifier: MIT
-- Routes and routers as they are declared: what each word takes, and what is
-- refused with which sentence.

require("spec.support.core").install()
local demilune = require "demilune"
local plan = require "demilune.plan"
package.loaded["demilune.openapi"] = { document = function() return "{}" end, docs_files = function() return {} end }
local model, guard = demilune.model, demilune.guard
local public = guard.public

local function handler() end

local function new_app(options) return demilune.app(options or { guard = public }) end

local function last(router) return router.entries[#router.entries].route end

local function refusal(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  assert.matches("^%S*router_spec%.lua:%d+: ", message)
  return (message:gsub("^%S+ ", "", 1))
end

local function field_names(section)
  local names = {}
  for index, entry in ipairs(section.fields) do names[index] = entry.schema.alias or entry.name end
  return table.concat(names, " ")
end

describe("an app", function()
  it("has a word for every method", function()
    local app = new_app()
    for _, method in ipairs { "get", "head", "post", "put", "patch", "delete", "options" } do
      app[method](app, "/x", { guard = public }, handler)
      assert.equal(method:upper(), last(app).method)
    end
    app:route({ "GET", "post" }, "/y", handler)
    assert.equal("POST", last(app).method)
  end)

  it("says that its words are called with a colon", function()
    local app = new_app()
    for _, method in ipairs { "get", "post", "route", "mount", "dependency", "on_start", "on_stop", "idempotency", "database" } do
      assert.equal(("%s is called with a colon, so that it knows whose it is; write app:%s(...), not app.%s(...)"):format(method, method, method),
        refusal(function() app[method]("/x", handler) end))
    end
  end)

  it("refuses a route of no method", function()
    assert.equal('route takes a list of methods first, not a table; write app:route({ "GET", "POST" }, "/echo", ...)',
      refusal(function() new_app():route({}, "/x", handler) end))
  end)

  it("refuses methods for pages of other origins that are none, at the line that names them", function()
    new_app { cors = { origins = { "https://x.example" }, methods = { "GET", "DELETE" } } }
    assert.equal('demilune.app: cors.methods: there is no method "delete"; write some of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"',
      refusal(function() new_app { cors = { origins = { "https://x.example" }, methods = { "delete" } } } end))
  end)

  it("takes a handler without options where a default guard stands", function()
    local app = new_app()
    app:get("/x", handler)
    assert.equal(handler, last(app).handler)
  end)

  it("reads limits as people write them", function()
    local app = new_app { limits = { max_body = "2MiB", handler_timeout = "1m", idle_timeout = 5, max_connections = 10 } }
    assert.same({ max_body = 2097152, handler_timeout = 60, idle_timeout = 5, max_connections = 10 }, app.limits)
    assert.equal('demilune.app: limits.max_body is "much"; write max_body = "1MiB"',
      refusal(function() new_app { limits = { max_body = "much" } } end))
    assert.matches('did you mean max_body', refusal(function() new_app { limits = { maxbody = 1 } } end))
  end)

  it("refuses limits that nobody could keep", function()
    local refused = { { max_head = "64KiB" }, { max_target = 40000 }, { max_depth = 1000000 }, { max_connections = 2 ^ 40 }, { idle_timeout = "0s" } }
    for _, name in ipairs { "max_head", "max_target", "max_headers", "max_depth" } do refused[#refused + 1] = { [name] = 0 } end
    for _, given in ipairs(refused) do
      assert.matches("which cannot be kept", refusal(function() new_app { limits = given } end))
    end
    assert.equal('demilune.app: limits.max_body is "3GiB", which cannot be kept; it is at most 2147483647', -- and 0 is one
      refusal(function() new_app { limits = { max_body = "3GiB" } } end))
  end)

  it("names the guards there are when one is asked for that is none", function()
    assert.equal("there is no guard.bearr; did you mean guard.bearer?", refusal(function() return guard.bearr {} end))
    assert.matches("there is no guard.everyone; there are guard.public", refusal(function() return guard.everyone {} end))
  end)

  it("refuses hosts that are none", function()
    new_app { allowed_hosts = { "example.com", "*.example.com", "[::1]", "127.0.0.1" } }
    for _, host in ipairs { "https://example.com", ".example.com", "*..example.com", "a..b", "*.", "*", "a.example:80" } do
      local said = refusal(function() new_app { allowed_hosts = { host } } end)
      assert.truthy(said:find(('"%s" in allowed_hosts is no host'):format(host), 1, true), host)
    end
    assert.matches("allowed_hosts is empty", refusal(function() new_app { allowed_hosts = {} } end))
  end)

  it("says of itself what its documentation can hold", function()
    local app = new_app {
      tags = { "a", { name = "b", description = "The second" } }, servers = { { url = "/v1", description = "Here" } },
      contact = { name = "Us", url = "https://x.example", email = "us@x.example" }, license = { name = "MIT", identifier = "MIT" },
    }
    assert.same({ "a", "b", "/v1", "MIT" }, { app.tag_list[1].name, app.tag_list[2].name, app.server_list[1].url, app.license.identifier })
    for said, given in pairs {
      ['tags: there is no option "descripton"; did you mean description?'] = { tags = { { name = "a", descripton = "x" } } },
      ["tags: description must be a string, not 5"] = { tags = { { name = "a", description = 5 } } },
      ['tags: "a" is there twice; take one out'] = { tags = { "b", "a", { name = "a" } } },
      ["tags must be a list, not \"items\"; write tags = { ... }"] = { tags = "items" },
      ['servers: there is no option "descr"'] = { servers = { { url = "/", descr = "x" } } },
      ['contact: there is no option "mail"; did you mean email?'] = { contact = { mail = "us@x.example" } },
      ["contact: email must be a string, not 5"] = { contact = { email = 5 } },
      ['license: there is no option "ur"'] = { license = { name = "MIT", ur = "x" } },
      ["license: url and identifier say the same"] = { license = { name = "MIT", url = "https://x.example", identifier = "MIT" } },
    } do
      local message = refusal(function() new_app(given) end)
      assert.equal("demilune.app: " .. said, message:sub(1, #"demilune.app: " + #said))
    end
  end)

  it("refuses options it does not have", function()
    assert.matches('^demilune.app: there is no option "titel"; did you mean title%?', refusal(function() new_app { titel = "X" } end))
    assert.equal('demilune.app: docs must be true or false, not "yes"; write docs = true', refusal(function() new_app { docs = "yes" } end))
    assert.matches("guard must be a guard, not true", refusal(function() new_app { guard = true } end))
  end)
end)

describe("a path", function()
  local function compile_refusal(path, options)
    local app = new_app()
    app:get(path, options, handler)
    return refusal(function() plan.compile(app) end)
  end

  it("makes every parameter a string that is not declared otherwise", function()
    local app = new_app()
    app:get("/users/{user_id}/files/{name:path}", { path = { user_id = model.integer { ge = 1 } } }, handler)
    local path = plan.compile(app).descriptions.routes[1].path
    assert.equal("user_id name", field_names(path))
    assert.equal("integer", path.fields[1].schema.kind)
    assert.equal("string", path.fields[2].schema.kind)
  end)

  it("has no section when it has no parameters", function()
    local app = new_app()
    app:get("/users", handler)
    assert.is_nil(plan.compile(app).descriptions.routes[1].path)
  end)

  it("refuses a declared parameter that it does not hold", function()
    assert.equal("GET /users/{user_id}: path.userid is not in the path; did you mean {user_id}?",
      compile_refusal("/users/{user_id}", { path = { userid = model.integer() } }))
    assert.equal("GET /users: path.page is not in the path; write {page} there, or take it out",
      compile_refusal("/users", { path = { page = model.integer() } }))
  end)

  it("refuses options of a parameter that no request could meet", function()
    for option, value in pairs { alias = "x", optional = true, default = 5, read_only = true, write_only = true, visible_to = "admin" } do
      local message = compile_refusal("/users/{id}", { path = { id = model.integer { [option] = value } } })
      assert.matches("^GET /users/{id}: path%.id has the option " .. option .. ", and .*; take it out$", message)
    end
    assert.matches("path%.id is an array, and a path parameter is one value",
      compile_refusal("/users/{id}", { path = { id = model.array(model.integer()) } }))
    local app = new_app()
    app:get("/users/{id}", { path = { id = model.integer { optional = false, read_only = false } } }, handler)
    plan.compile(app)
  end)

  it("refuses what is neither text nor a parameter", function()
    assert.matches('^GET users: a path begins with a slash; write "/users"', refusal(function() new_app():get("users", handler) end))
    for path, mended in pairs {
      ["/x/:id"] = "{id}", ["/files/*"] = "{rest}", ["/f/<id>"] = "{id}", ["/f/<int:id>"] = "{int}", ["/*path"] = "{path}",
    } do
      local message = refusal(function() new_app():get(path, handler) end)
      assert.truthy(message:find("would be a path with that text; write " .. mended .. " for a parameter", 1, true), message)
    end
    new_app():get("/v1/items:batch", handler) -- a colon inside is text
    assert.matches('"user%-{id}" is neither text nor a parameter', refusal(function() new_app():get("/user-{id}", handler) end))
    assert.matches("names {id} twice", refusal(function() new_app():get("/{id}/{id}", handler) end))
  end)
end)

describe("what a route declares", function()
  it("is a table of fields or a model", function()
    local Filter = model("Filter", { extra = "forbid" }) { page = model.integer() }
    local app = new_app()
    app:get("/x", { query = { limit = model.integer { default = 20 }, tag = model.array(model.string()) }, cookie = Filter }, handler)
    assert.equal("limit tag", field_names(last(app).query))
    assert.equal("forbid", last(app).cookie.extra)
  end)

  it("lets clients send more beside it, but not in a body", function()
    local app = new_app()
    app:post("/x", {
      query = { a = model.string() }, header = { b = model.string() }, cookie = { c = model.string() }, form = { d = model.string() },
    }, handler)
    local route = last(app)
    assert.same({ "ignore", "ignore", "ignore" }, { route.query.extra, route.header.extra, route.cookie.extra })
    assert.is_nil(route.form.extra)
  end)

  it("is no header that refuses what every request brings", function()
    local Closed = model("Closed", { extra = "forbid" }) { x_token = model.string() }
    assert.equal('GET /x: header: extra is "forbid", and every request brings other fields than those declared, as Host, so that none would pass; '
      .. 'leave extra out of that model, or write extra = "ignore"', refusal(function() new_app():get("/x", { header = Closed }, handler) end))
    local Whole = model("Whole", { extra = "forbid" }) { host = model.string(), accept = model.optional(model.string()) }
    local Named = model("Named", { extra = "forbid" }) { name = model.string { alias = "HOST" } }
    local app = new_app()
    app:get("/x", { header = Whole }, handler)
    app:get("/y", { header = Named }, handler)
    assert.equal("forbid", last(app).header.extra)
  end)

  it("gives header fields their hyphens, and leaves the model as it was", function()
    local Traced = model "Traced" { user_agent = model.string(), x_request_id = model.string { alias = "X-Id" }, host = model.string() }
    local app = new_app()
    app:get("/x", { header = Traced }, handler)
    assert.equal("user-agent X-Id host", field_names(last(app).header))
    assert.equal("user_agent X-Id host", field_names(Traced))
  end)

  it("cannot be a structure where text arrives", function()
    assert.equal("GET /x: query.filter is a model, which a query parameter cannot carry; use a single value, an array of them, or model.json()",
      refusal(function() new_app():get("/x", { query = { filter = model.object {} } }, handler) end))
    assert.matches("cookie.a is a map, which a cookie cannot carry", refusal(function()
      new_app():get("/x", { cookie = { a = model.array(model.map(model.string())) } }, handler)
    end))
  end)

  it("has one body", function()
    assert.matches("has both body and form", refusal(function() new_app():post("/x", { body = { a = model.any() }, form = {} }, handler) end))
    assert.matches("a GET request has no body", refusal(function() new_app():get("/x", { body = { a = model.any() } }, handler) end))
    assert.matches('body_kind is "xml"; write "json", "text" or "bytes"',
      refusal(function() new_app():post("/x", { body_kind = "xml" }, handler) end))
  end)

  it("may be a body of text or of bytes", function()
    local app = new_app()
    app:post("/text", { body = model.text { max_length = 10 } }, handler)
    assert.same({ "text", "string", 10 }, { last(app).body_kind, last(app).body.kind, last(app).body.max_length })
    app:post("/bytes", { body = model.raw() }, handler)
    assert.same({ "bytes", "bytes" }, { last(app).body_kind, last(app).body.kind })
  end)

  it("is read as its body says, and as no other word says", function()
    local app = new_app()
    app:post("/text", { body = model.optional(model.text()), body_kind = "text" }, handler)
    app:post("/json", { body = { a = model.any() }, body_kind = "json" }, handler)
    assert.same("json", last(app).body_kind or "json")
    assert.equal('POST /x: body_kind is "text", and its body is read as json; take body_kind out, or write body = model.text { ... } for text and '
      .. "body = model.raw { ... } for bytes", refusal(function() app:post("/x", { body_kind = "text", body = { a = model.any() } }, handler) end))
    assert.matches("and its body is read as bytes", refusal(function() app:post("/x", { body_kind = "json", body = model.raw() }, handler) end))
  end)

  it("has a text or bytes as a whole body alone", function()
    assert.equal("GET /x: returns: model.text is the whole body of a request; write model.string() for what stands in JSON",
      refusal(function() new_app():get("/x", { returns = model.text() }, handler) end))
    assert.equal("model.object: file: model.raw is the whole body of a request; write model.bytes() for what stands in JSON",
      refusal(function() new_app():post("/x", { body = { file = model.raw() } }, handler) end))
    assert.matches("^model%.array: model%.raw is the whole body", refusal(function() return model.array(model.raw()) end))
    assert.matches("^model%.map: model%.text is the whole body", refusal(function() return model.map(model.text()) end))
    assert.matches("^model%.union: 1: model%.text is the whole body", refusal(function() return model.union { model.text(), model.integer() } end))
  end)

  it("returns nothing with a status that has no body", function()
    for _, status in ipairs { 204, 205, 304 } do
      assert.matches(("status %d has no body"):format(status), refusal(function()
        new_app():delete("/x", { status = status, returns = { a = model.any() } }, handler)
      end))
    end
  end)

  it("measures time and size", function()
    local app = new_app()
    app:post("/x", { timeout = "1m", max_body = "10KiB" }, handler)
    assert.same({ 60, 10240 }, { last(app).timeout, last(app).max_body })
    for said, given in pairs { ['timeout is "0s"'] = { timeout = "0s" }, ["timeout is inf"] = { timeout = math.huge },
      ['max_body is "8GiB"'] = { max_body = "8GiB" }, ["max_body is 1e%+300"] = { max_body = 1e300 } } do
      local message = refusal(function() new_app():post("/x", given, handler) end)
      assert.matches("POST /x: " .. said .. ", which cannot be kept; it is .*at most 2147483647$", message)
    end
    new_app():post("/x", { max_body = 0 }, handler)
    assert.equal('POST /x: timeout is "soon"; write timeout = "30s"', refusal(function() new_app():post("/x", { timeout = "soon" }, handler) end))
  end)

  it("cannot start another header line", function()
    assert.matches("must be a string without line breaks",
      refusal(function() new_app():get("/x", { headers = { ["X-A"] = "a\r\nb: c" } }, handler) end))
    assert.equal("GET /x: the header field x-a is there twice, in other capitals; keep one of the two",
      refusal(function() new_app():get("/x", { headers = { ["X-A"] = "a", ["x-a"] = "b" } }, handler) end))
    assert.matches("^demilune%.app: the header field x%-a is there twice",
      refusal(function() new_app { headers = { ["X-a"] = "a", ["x-A"] = "b" } } end))
    assert.matches('"X A" is no name of a header field', refusal(function() new_app():get("/x", { headers = { ["X A"] = "a" } }, handler) end))
  end)

  it("has header fields and cookies whose names can be sent", function()
    new_app():get("/x", { header = { if_match = model.string() }, cookie = { ["__Host-a"] = model.string() } }, handler)
    assert.equal('GET /x: cookie: no client can send a cookie with the name "a b"; write one of letters, digits, - and _',
      refusal(function() new_app():get("/x", { cookie = { ["a b"] = model.string() } }, handler) end))
    assert.matches('header: no client can send a header field with the name "X:"',
      refusal(function() new_app():get("/x", { header = { x = model.string { alias = "X:" } } }, handler) end))
  end)

  it("describes its other responses in words that there are", function()
    local gone = model "Gone" {}
    new_app():get("/x", { responses = { [404] = "None", [409] = { description = "Taken", returns = model.string() }, [410] = gone } }, handler)
    assert.matches('responses%[409%]: there is no option "descriptoin"; did you mean description%?',
      refusal(function() new_app():get("/x", { responses = { [409] = { descriptoin = "Taken" } } }, handler) end))
  end)

  it("says of a response what can be, once", function()
    local app = new_app()
    local function said(given) return refusal(function() app:get("/x", given, handler) end) end
    app:get("/x", { responses = { [409] = { returns = { why = model.string() } }, [200] = { content_type = "text/csv" } } }, handler)
    local responses = last(app).responses
    assert.same({ "model", "why", "text/csv" },
      { responses[409].returns.kind, responses[409].returns.fields[1].name, responses[200].content_type })
    assert.matches('responses are named by status; write responses = { %[404%] = "No such user" }', said { responses = { [404.5] = "None" } })
    assert.equal("GET /x: responses[204]: a response with status 204 has no body; write what it means, as text",
      said { responses = { [204] = model "A" {} } })
    assert.equal("GET /x: responses[201]: what comes with status 201 is what the route returns; take one of the two out",
      said { status = 201, returns = model.any(), responses = { [201] = model.string() } })
    assert.equal('GET /x: responses[409]: returns.1 must be a field, not "a"; write returns = { name = model.string() }',
      said { responses = { [409] = { returns = { "a" } } } })
  end)

  it("has one name, which is not empty", function()
    local app = new_app()
    app:get("/x", { operation_id = "list_users" }, handler)
    assert.equal("list_users", last(app).operation_id)
    assert.equal("GET /x: name and operation_id are the same; keep one of them",
      refusal(function() app:get("/x", { name = "a", operation_id = "b" }, handler) end))
    assert.equal('GET /x: its name is empty; write name = "list_users", or leave it out',
      refusal(function() app:get("/x", { name = "" }, handler) end))
  end)

  it("names what it needs", function()
    local app = new_app()
    local user = app:dependency(function() return {} end)
    assert.matches("^GET /x: needs is a table of names, not dependency %S+ itself; write needs = { user = current_user }$",
      refusal(function() app:get("/x", { needs = user }, handler) end))
  end)

  it("must have a handler", function()
    assert.equal("GET /x: the handler must be a function, not nil; write function(req) ... end after the options",
      refusal(function() new_app():get("/x", { guard = public }) end))
  end)

  it("is refused by the name of the option that is wrong", function()
    assert.matches('^GET /x: there is no option "return"; did you mean returns%?',
      refusal(function() new_app():get("/x", { ["return"] = 1 }, handler) end))
    assert.equal("GET /x: status must be a status from 200 to 599, not 99; write status = 201",
      refusal(function() new_app():get("/x", { status = 99 }, handler) end))
    assert.matches("^GET /x: query.a must be a field, not 3", refusal(function() new_app():get("/x", { query = { a = 3 } }, handler) end))
  end)
end)

describe("a router", function()
  it("refuses a prefix that would make odd paths", function()
    assert.matches('unlike "users"; write "/users"', refusal(function() demilune.router { prefix = "users" } end))
    assert.matches('unlike "/users/"', refusal(function() demilune.router { prefix = "/users/" } end))
  end)

  it("mounts routers and nothing else", function()
    assert.matches("mount takes a router, not a table", refusal(function() new_app():mount({}) end))
    assert.matches("mount takes a router, not a table", refusal(function() new_app():mount("/v1", {}) end))
  end)
end)
