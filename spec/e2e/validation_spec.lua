-- SPDX-License-Identifier: MIT
-- Validation over sockets: every error of every source at once, in FastAPI's shape with Pydantic's names, and no handler run for it.

local server = require "spec.support.server"
local cjson = require "cjson"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public, limits = { max_depth = 20 } }
local runs = 0
local function echo(what) return function(req) runs = runs + 1 return { got = req[what] } end end
app:get("/runs", function() return runs end)

local Person = model "Person" { name = model.string { min_length = 1 }, age = model.integer { ge = 0 } }
app:post("/all/{id}", {
  path = { id = model.integer { ge = 1 } },
  query = { page = model.integer { ge = 1 }, tag = model.array(model.string { min_length = 2 }) },
  header = { x_token = model.string { min_length = 5 }, x_count = model.integer() },
  cookie = { session = model.uuid() },
  body = Person,
}, echo "body")
app:post("/form", {
  query = { q = model.boolean() },
  form = { name = model.string { min_length = 1 }, age = model.integer(), tag = model.array(model.integer(), { default = {} }) },
}, echo "form")
app:get("/lax", { query = {
  n = model.optional(model.integer()), x = model.optional(model.number()), b = model.optional(model.boolean()),
  d = model.optional(model.date()), l = model.optional(model.literal { "a", 7 }), big = model.optional(model.int64()),
} }, echo "query")
app:get("/lists", { query = { n = model.array(model.integer()), one = model.optional(model.integer()) } }, echo "query")
app:get("/headers", { header = { x_list = model.optional(model.array(model.string())), user_agent = model.string() } }, echo "header")
app:get("/cookies", { cookie = { a = model.integer() } }, echo "cookie")
app:get("/raw", function(req) return { cookie = req.cookie.a, query = req.query.a } end)
app:get("/path/{n}/{rest:path}", { path = { n = model.integer() } }, echo "path")
app:post("/strict", { body = model "Strict" { n = model.integer(), b = model.boolean(), s = model.string(), x = model.number() } }, echo "body")
app:post("/laxly", { body = model("Laxly", { strict = false }) { n = model.integer(), b = model.boolean(), s = model.string() } }, echo "body")
app:post("/ignore", { body = model("Ignoring", { extra = "ignore" }) { n = model.integer() } }, echo "body")
app:post("/allow", { body = model("Allowing", { extra = "allow" }) { n = model.integer() } }, echo "body")
app:post("/roles", { limit = "1000/minute", body = model "Roles" {
  id = model.integer { read_only = true, default = 0 }, name = model.string(), password = model.secret { write_only = true, min_bytes = 4 },
} }, function(req) return { password = req.body.password, name = req.body.name } end)
local Node
Node = model "Node" { value = model.integer(), children = model.array(model.ref(function() return Node end), { default = {} }) }
app:post("/tree", { body = Node }, echo "body")
local State = model.literal { "new", "old", default = "new" }
local Made = model.string { default_factory = function() return "made" end }
local Place = model "Place" { city = model.string(), country = model.string { default = "de" } }
local function ref(to) return model.ref(function() return to end) end
local Direct = model "Direct" { state = State, made = Made, place = Place }
local Behind = model "Behind" { state = ref(State), made = ref(ref(Made)), place = ref(Place) }
app:patch("/partial", { body = Direct:partial "ChangeDirect" }, echo "body")
app:patch("/partial/behind", { body = Behind:partial "ChangeBehind" }, echo "body")
local Within = Direct:partial "Change" :extend "ChangeWithin" { place = model.optional(Place:partial "ChangePlace") }
app:patch("/partial/within", { body = Within }, echo "body")
app:post("/any", { body = model.any() }, echo "body")
app:post("/text", { body = model.text { max_length = 5, pattern = "^[^x]*$" } }, echo "body")
app:post("/bytes", { body = model.raw { max_length = 5 } }, function(req) return #req.body end)
app:post("/optional", { body = model.optional(Person) }, function(req) return { sent = req.body ~= nil } end)
app:post("/tagged", { body = model.tagged("type", {
  model "Cat" { type = model.literal { "cat" }, lives = model.integer() }, model "Dog" { type = model.literal { "dog" }, barks = model.boolean() },
}) }, echo "body")
app:post("/checked", { body = model("Checked", { check = function(v)
  if v.n == 1 then return nil, "must not be one" end
  if v.n == 2 then error("the check broke on hunter2") end
  if v.n == 3 then demilune.sleep(1) end
  if v.n == 4 then coroutine.yield() end
  if v.n == 5 then return { n = 50 } end
  if v.n == 6 then demilune.abort(409, "taken") end
  if v.n == 7 then error({ code = 7 }) end
end }) { n = model.integer() } }, echo "body")
local Verdict = model.integer { check = function(v) return v > 3 end }
local Refusal = model.integer { check = function() return false, "is too small" end }
local Told = model.integer { check = function() return "is too small" end }
local Table = model.integer { check = function() return nil, { "is too small" } end }
local Whole = model("Whole", { check = function(v) return v.n > 3 end }) { n = model.integer() }
app:post("/slips/{which}", { body = { verdict = model.optional(Verdict), refusal = model.optional(Refusal), told = model.optional(Told),
  table = model.optional(Table), whole = model.optional(Whole) } }, echo "body")
app:post("/conversions", { body = {
  list = model.string { check = function(v) return { v } end }, on = model.boolean { check = function(v) return not v end },
  sum = model.string { check = function(v) return #v end }, free = model.any { check = function() return true end },
} }, echo "body")
app:post("/quadratic", { body = model.object { s = model.string { pattern = "[a-z]{2,}-[0-9]" } } }, echo "body")
app:post("/factory", { body = model "Made" { n = model.integer { default_factory = function() error("the factory broke") end } } }, echo "body")
app:post("/aborting", { body = model "Aborting" { n = model.integer { default_factory = function() demilune.abort(503) end } } }, echo "body")
app:post("/patterns", { body = model "Patterns" { list = model.array(model.string { pattern = "^(a+)+$" }) } }, echo "body")
app:post("/pattern", { body = model "Pattern" { s = model.string { pattern = "^(a+)+$" } } }, echo "body")
app:post("/many", { body = model.array(model.integer(), { max_items = 100000 }) }, function(req) return #req.body end)
return app
]]

local ID = "123e4567-e89b-12d3-a456-426614174000"

local running

local function send(method, target, options)
  local response = running:request(method, target, options)
  return response, response.headers["content-type"] == "application/json" and cjson.decode(response.body) or nil
end

local function post_json(target, text) return send("POST", target, { headers = { ["Content-Type"] = "application/json" }, body = text }) end

-- "body.name string_too_short", sorted.
local function errors_of(response, answer)
  assert.equal(422, response.status, response.body)
  local list = {}
  for index, problem in ipairs(answer.detail) do list[index] = table.concat(problem.loc, ".") .. " " .. problem.type end
  table.sort(list)
  return list
end

describe("validation in service", function()
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  it("tells every error of path, query, header, cookie and body at once, and runs no handler", function()
    local before = running:request("GET", "/runs").body
    local response, answer = send("POST", "/all/0?page=none&tag=x&tag=yy&tag=z", {
      headers = { ["Content-Type"] = "application/json", ["X-Token"] = "abc", Cookie = "session=none" },
      body = '{"age":-1,"role":"admin"}',
    })
    assert.same({
      "body.age greater_than_equal", "body.name missing", "body.role extra_forbidden", "cookie.session uuid_parsing",
      "header.x-count missing", "header.x-token string_too_short", "path.id greater_than_equal", "query.page int_parsing",
      "query.tag.0 string_too_short", "query.tag.2 string_too_short",
    }, errors_of(response, answer))
    for _, problem in ipairs(answer.detail) do
      assert.equal("string", type(problem.msg))
      assert.is_nil(problem.input)
    end
    assert.equal(before, running:request("GET", "/runs").body)
  end)

  it("carries the facts of an error in ctx", function()
    local _, answer = post_json("/all/1?page=1", '{"name":"","age":1}')
    local contexts = {}
    for _, problem in ipairs(answer.detail) do contexts[table.concat(problem.loc, ".")] = problem.ctx end
    assert.same({ min_length = 1 }, contexts["body.name"])
  end)

  it("is a 400 and no error of ours when nobody declared what cannot be read", function()
    for _, bad in ipairs { { "/raw?a=%zz" }, { "/raw", "nameless" }, { "/raw", 'a="b' } } do
      local response, json = send("GET", bad[1], { headers = { Cookie = bad[2] } })
      assert.equal(400, response.status)
      assert.matches("^The request's parameters cannot be read: ", json.detail)
    end
    assert.same({ cookie = "1", query = "2" }, select(2, send("GET", "/raw?a=2", { headers = { Cookie = "a=1" } })))
    assert.is_nil(running:log():find("cannot be read", 1, true))
  end)

  it("gives the handler what was converted", function()
    local response, answer = send("POST", "/all/7?page=2&tag=ab&other=ignored", {
      headers = { ["Content-Type"] = "application/json", ["X-Token"] = "abcdef", ["X-Count"] = "5", Cookie = "session=" .. ID .. "; other=x" },
      body = '{"name":"Ada","age":36}',
    })
    assert.equal(200, response.status, response.body)
    assert.same({ got = { name = "Ada", age = 36 } }, answer)
  end)

  it("says of a multipart form that it does not read those", function()
    local form = { headers = { ["Content-Type"] = "multipart/form-data; boundary=x" }, body = "--x--\r\n" }
    local response, answer = send("POST", "/form", form)
    assert.equal(415, response.status)
    assert.matches("multipart forms are not read", answer.detail)
  end)

  it("takes a form and a text under no other name, so that nothing is taken for what it does not say it is", function()
    for _, case in ipairs {
      { "/form", "application/json" }, { "/form", "text/plain" }, { "/form", "application/x-www-form-urlencoded; charset=utf-16" },
      { "/text", "application/json" }, { "/text", "application/octet-stream" }, { "/text", "text/plain; charset=iso-8859-1" },
      { "/form" }, { "/text" },
    } do
      assert.equal(415, (send("POST", case[1], { headers = { ["Content-Type"] = case[2] }, body = "a=b" })).status, case[1] .. tostring(case[2]))
    end
  end)

  it("reads a form as text, with the query beside it", function()
    local form = { headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } }
    form.body = "name=&age=x&extra=1"
    assert.same({ "body.age int_parsing", "body.extra extra_forbidden", "body.name string_too_short", "query.q bool_parsing" },
      errors_of(send("POST", "/form?q=maybe", form)))
    form.body = "name=A+b%26c&age=5&tag=1&tag=2"
    local _, answer = send("POST", "/form?q=yes", form)
    assert.same({ got = { name = "A b&c", age = 5, tag = { 1, 2 } } }, answer)
    for _, bad in ipairs { "name=%zz&age=1", "name=%ff&age=1", "name=%00&age=1" } do
      form.body = bad
      assert.equal(422, send("POST", "/form?q=yes", form).status, bad)
    end
  end)

  it("converts text as Pydantic's lax mode does", function()
    local cases = {
      ["n=5"] = { n = 5 }, ["n=-5"] = { n = -5 }, ["n=%205%20"] = { n = 5 }, ["n=5.0"] = { n = 5 }, ["x=1e3"] = { x = 1000 }, ["b=on"] = { b = true },
      ["b=0"] = { b = false }, ["b=T"] = { b = true }, ["d=2030-01-31"] = { d = "2030-01-31" }, ["l=a"] = { l = "a" },
      ["big=9007199254740991"] = { big = 9007199254740991 },
    }
    for query, expected in pairs(cases) do
      local response, answer = send("GET", "/lax?" .. query)
      assert.equal(200, response.status, query .. response.body)
      assert.same({ got = expected }, answer, query)
    end
    for query, expected in pairs {
      ["n=5.5"] = "int_parsing", ["n="] = "int_parsing", ["n=0x10"] = "int_parsing", ["n=1e3"] = "int_parsing", ["x=one"] = "float_parsing",
      ["b=2"] = "bool_parsing", ["d=2030-02-30"] = "date_from_datetime_parsing", ["l=b"] = "literal_error",
    } do
      local response, answer = send("GET", "/lax?" .. query)
      assert.equal(422, response.status, query .. " " .. response.body)
      assert.equal(expected, answer.detail[1].type, query)
    end
  end)

  it("makes a list of a parameter that comes again, and refuses one where a single value stands", function()
    local _, answer = send("GET", "/lists?n=1&n=2&n=3&one=1")
    assert.same({ got = { n = { 1, 2, 3 }, one = 1 } }, answer)
    _, answer = send("GET", "/lists?n=1")
    assert.same({ got = { n = { 1 } } }, answer)
    assert.same({ "query.n missing" }, errors_of(send("GET", "/lists")))
    assert.same({ "query.n.1 int_parsing" }, errors_of(send("GET", "/lists?n=1&n=x")))
    assert.same({ "query.one int_type" }, errors_of(send("GET", "/lists?n=1&one=1&one=2")))
    for _, query in ipairs { "/lists?n=1&one=1&one=2", "/lax?l=a&l=a", "/lax?d=2030-01-01&d=2030-01-01" } do
      local _, refused = send("GET", query)
      assert.equal("should come only once", refused.detail[1].msg, query)
    end
  end)

  it("reads header fields in any case", function()
    local connection = running:connect()
    connection:send("GET /headers HTTP/1.1\r\nHost: a\r\nX-LIST: a\r\nx-list: b\r\nuSER-aGENT: c\r\n\r\n")
    local got = cjson.decode(connection:receive().body).got
    assert.equal("c", got.user_agent)
    assert.same({ "a", "b" }, got.x_list)
    connection:close()
  end)

  it("reads an array in a header as one list, over however many lines it is spread", function()
    for lines, wanted in pairs {
      ["X-List: a\r\nX-List: b"] = { "a", "b" }, ["X-List: a,b"] = { "a", "b" }, ["X-List: a , \t b,,"] = { "a", "b" },
      ["X-List: a\r\nX-List: b, c"] = { "a", "b", "c" }, ['X-List: "a, b", c'] = { '"a, b"', "c" }, ["X-List:"] = {}, ["X-List: ,"] = {},
    } do
      local connection = running:connect()
      connection:send("GET /headers HTTP/1.1\r\nHost: a\r\nUser-Agent: c\r\n" .. lines .. "\r\n\r\n")
      assert.same(wanted, cjson.decode(connection:receive().body).got.x_list, lines)
      connection:close()
    end
  end)

  it("takes as a body of text what is UTF-8 without NUL", function()
    local function post_text(bytes) return send("POST", "/text", { headers = { ["Content-Type"] = "text/plain" }, body = bytes }) end
    assert.equal(200, post_text("h\195\169llo").status)
    for _, bytes in ipairs { "\195", "\233", "a\0b", "\240\159", ("\128"):rep(1000) } do
      local response, body = post_text(bytes)
      assert.same({ 422, "string_unicode", { "body" } }, { response.status, body.detail[1].type, body.detail[1].loc })
    end
    assert.equal("3", send("POST", "/bytes", { body = "\195\0\255" }).body)
  end)

  it("refuses a cookie field that two readers could read differently", function()
    assert.equal(200, send("GET", "/cookies", { headers = { Cookie = 'b=x; a=5' } }).status)
    for _, field in ipairs { 'a="5', "a=5\\6", "a", "=5", 'a="5; b=6"' } do
      assert.equal(422, send("GET", "/cookies", { headers = { Cookie = field } }).status, field)
    end
  end)

  it("takes a path's rest as one text", function()
    local _, answer = send("GET", "/path/5/a/b%20c")
    assert.same({ got = { n = 5, rest = "a/b c" } }, answer)
    assert.same({ "path.n int_parsing" }, errors_of(send("GET", "/path/five/a")))
  end)

  it("is strict about JSON", function()
    assert.equal(200, post_json("/strict", '{"n":1,"b":true,"s":"x","x":1}').status)
    assert.same({ "body.b bool_type", "body.n int_type", "body.s string_type", "body.x float_type" },
      errors_of(post_json("/strict", '{"n":"1","b":"true","s":1,"x":"1"}')))
    assert.same({ "body.b bool_type", "body.n int_type", "body.s string_type", "body.x float_type" },
      errors_of(post_json("/strict", '{"n":null,"b":1,"s":null,"x":true}')))
    assert.equal(200, post_json("/laxly", '{"n":"1","b":"yes","s":"x"}').status)
    assert.same({ "body.s string_type" }, errors_of(post_json("/laxly", '{"n":"1","b":1,"s":1}')))
  end)

  it("refuses what no document of one meaning holds", function()
    for _, body in ipairs { "", " ", "{", "[1,]", "{'n':1}", '{"n":1}{"n":2}', '{"n":01}', '{"n":NaN}', '{"n":+1}', "\239\187\191{}", '{"n":1,"n":2}',
      '{"s":"\\ud800"}', '{"s":"\255"}', '{"s":"\\u0000"}', '{"s":"a\nb"}', "nul", "[]]", '"\\x"' } do
      local response, answer = post_json("/any", body)
      assert.equal(422, response.status, body)
      assert.equal(body == "" and "missing" or "json_invalid", answer.detail[1].type, body)
      assert.equal("body", answer.detail[1].loc[1])
    end
  end)

  it("refuses documents that are too deep, and too many errors are cut", function()
    assert.equal(200, post_json("/any", ("["):rep(20) .. ("]"):rep(20)).status)
    assert.equal(422, post_json("/any", ("["):rep(21) .. ("]"):rep(21)).status)
    assert.equal(422, post_json("/any", ("["):rep(100000)).status)
    local response, answer = post_json("/many", "[" .. ('"x",'):rep(5000) .. '"x"]')
    assert.equal(422, response.status)
    assert.equal(100, #answer.detail)
  end)

  it("treats fields that the model does not name as it says", function()
    assert.same({ "body.m extra_forbidden", "body.x missing" }, errors_of(post_json("/strict", '{"n":1,"b":true,"s":"x","m":1}')))
    local _, answer = post_json("/ignore", '{"n":1,"admin":true}')
    assert.same({ got = { n = 1 } }, answer)
    _, answer = post_json("/allow", '{"n":1,"admin":true}')
    assert.same({ got = { n = 1, admin = true } }, answer)
  end)

  it("lets a client set nothing that is read only, and echoes no secret", function()
    assert.same({ "body.id extra_forbidden" }, errors_of(post_json("/roles", '{"id":1,"name":"a","password":"hunter2"}')))
    local response = post_json("/roles", '{"name":"a","password":"hunter2"}')
    assert.equal(200, response.status)
    assert.is_nil(response.body:find("hunter2", 1, true))
    assert.is_nil(post_json("/roles", '{"name":1,"password":"abc"}').body:find("abc", 1, true))
  end)

  it("finds errors deep in a tree, by their place", function()
    local response, answer = post_json("/tree", '{"value":1,"children":[{"value":2},{"value":3,"children":[{"value":"x"}]}]}')
    assert.same({ "body.children.1.children.0.value int_type" }, errors_of(response, answer))
  end)

  it("fills nothing into what a partial model leaves out, also behind references, and checks the models inside it whole", function()
    for _, target in ipairs { "/partial", "/partial/behind" } do
      local function change(text) return send("PATCH", target, { headers = { ["Content-Type"] = "application/json" }, body = text }) end
      assert.same({ got = {} }, select(2, change("{}")), target)
      assert.same({ got = { state = "old", made = "here" } }, select(2, change('{"state":"old","made":"here"}')), target)
      assert.same({ got = { place = { city = "Ulm", country = "de" } } }, select(2, change('{"place":{"city":"Ulm"}}')), target)
      assert.same({ "body.place.city missing", "body.state literal_error" }, errors_of(change('{"state":"odd","place":{}}')), target)
    end
    local within = { headers = { ["Content-Type"] = "application/json" }, body = '{"place":{"city":"Ulm"}}' }
    assert.same({ got = { place = { city = "Ulm" } } }, select(2, send("PATCH", "/partial/within", within)))
  end)

  it("chooses among models by their tag", function()
    local _, answer = post_json("/tagged", '{"type":"dog","barks":true}')
    assert.same({ got = { type = "dog", barks = true } }, answer)
    assert.same({ "body union_tag_invalid" }, errors_of(post_json("/tagged", '{"type":"cow"}')))
    assert.same({ "body union_tag_not_found" }, errors_of(post_json("/tagged", '{"lives":9}')))
    assert.same({ "body.cat.lives missing" }, errors_of(post_json("/tagged", '{"type":"cat"}')))
  end)

  it("lets an optional body be missing, and checks one that is sent", function()
    assert.same({ sent = false }, select(2, send("POST", "/optional")))
    assert.same({ sent = true }, select(2, post_json("/optional", '{"name":"a","age":1}')))
    assert.equal(422, post_json("/optional", '{"name":"a"}').status)
  end)

  it("asks the app's checks, and takes what they make", function()
    local response, answer = post_json("/checked", '{"n":1}')
    assert.equal(422, response.status)
    assert.same({ type = "value_error", loc = { "body" }, msg = answer.detail[1].msg, ctx = { error = "must not be one" } }, answer.detail[1])
    assert.same({ got = { n = 50 } }, select(2, post_json("/checked", '{"n":5}')))
    assert.same({ got = { n = 8 } }, select(2, post_json("/checked", '{"n":8}')))
  end)

  it("lets nothing pass by a check that gives a verdict or a bare text, which would stand where the value did", function()
    for sent, slip in pairs {
      ['{"verdict":1}'] = "a boolean for a value that is none", ['{"refusal":1}'] = "false and a text",
      ['{"told":1}'] = "a text for a value that is none",
      ['{"table":1}'] = "nil and what is no text", ['{"whole":{"n":1}}'] = "a boolean for a value that is none",
    } do
      local response = post_json("/slips/x", sent)
      assert.equal(500, response.status, sent .. response.body)
      assert.truthy(running:log_line("app.lua:", "it gave " .. slip, cjson.decode(response.body).request_id), sent)
    end
    assert.same({ got = { list = { "a" }, on = false, sum = 1, free = true } },
      select(2, post_json("/conversions", '{"list":"a","on":true,"sum":"a","free":1}')))
  end)

  it("answers 500 for a check or a default that calls demilune.abort or raises a table, and says what to write", function()
    local refuse, make = 'write return nil, \\"what is wrong\\" to refuse the value', "it gives a value and refuses none: let the handler do that"
    for sent, said in pairs {
      ['/checked {"n":6}'] = { 'raised demilune.abort(409, \\"taken\\"); ' .. refuse, "app.lua:" },
      ['/checked {"n":7}'] = { "raised a table; " .. refuse, "app.lua:" },
      ["/aborting {}"] = { "raised demilune.abort(503); " .. make, "app.lua:" },
    } do
      local response = post_json(sent:match "^(%S+) (.*)$")
      assert.equal(500, response.status, sent)
      assert.truthy(running:log_line(said[1], said[2], cjson.decode(response.body).request_id), sent)
    end
  end)

  it("answers 500 for a check or a default that breaks, hides why, and logs it", function()
    for target, reason in pairs { ["/checked"] = "the check broke on hunter2", ["/factory"] = "the factory broke" } do
      local response = post_json(target, target == "/checked" and '{"n":2}' or "{}")
      assert.equal(500, response.status)
      assert.truthy(response.body:match('^{"detail":"Internal server error","request_id":"%x+"}$'))
      assert.truthy(running:log_line('"level":"error"', reason, cjson.decode(response.body).request_id))
    end
    assert.equal(500, post_json("/checked", '{"n":3}').status)
    assert.truthy(running:log_line('"level":"error"', "demilune.sleep can wait only inside a handler"))
    assert.equal(500, post_json("/checked", '{"n":4}').status)
    assert.equal(200, post_json("/checked", '{"n":8}').status)
  end)

  it("refuses a text on which a pattern would run for ever, and says so in the log", function()
    assert.equal(200, post_json("/pattern", '{"s":"aaaa"}').status)
    assert.same({ "body.s string_pattern_mismatch" }, errors_of(post_json("/pattern", '{"s":"' .. ("a"):rep(5000) .. '!"}')))
    assert.truthy(running:log_line('"level":"warning"', "match limit"))
    assert.equal(200, post_json("/quadratic", '{"s":"' .. ("a"):rep(5000) .. '-1"}').status)
    assert.same({ "body.s string_pattern_mismatch" }, errors_of(post_json("/quadratic", '{"s":"' .. ("a"):rep(900000) .. '-"}')))
  end)

  it("says in the log once of a request that a pattern would run for ever, on however many texts", function()
    local text = '"' .. ("a"):rep(40) .. '!"'
    assert.equal(100, #errors_of(post_json("/patterns", '{"list":[' .. (text .. ","):rep(200) .. text .. "]}")))
    assert.truthy(running:log_line('"level":"warning"', "match limit", '"value_bytes":41'))
    assert.equal(1, select(2, running:log():gsub('"value_bytes":41', "")))
  end)

  it("takes no more names than a page needs", function()
    assert.equal(422, send("GET", "/lists?" .. ("n=1&"):rep(300)).status)
  end)
end)

describe("validation in development", function()
  setup(function() running = server.start(APP, { command = "dev" }) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  it("echoes what was refused, but never a secret", function()
    local _, answer = post_json("/strict", '{"n":"five","b":true,"s":"x","x":1}')
    assert.equal("five", answer.detail[1].input)
    local response = post_json("/roles", '{"name":1,"password":"abc"}')
    assert.equal(422, response.status)
    assert.is_nil(response.body:find('"abc"', 1, true))
  end)
end)
