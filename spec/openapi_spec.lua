-- SPDX-License-Identifier: MIT
-- The OpenAPI document, from apps declared as people declare them. Whether it is
-- valid by the official schema is tests/openapi's to say.

local dkjson = require "dkjson"

local core = require("spec.support.core").install()

local demilune = require "demilune"
local context = require "demilune.context"
local openapi = require "demilune.openapi"
local plan = require "demilune.plan"

local model, guard = demilune.model, demilune.guard

-- A decoded document has lost its order, so order is looked for in the text.
local function text_of(declare, options)
  context.mode = "dev"
  options = options or {}
  options.guard = options.guard or guard.public
  local app = demilune.app(options)
  declare(app)
  return openapi.document(plan.compile(app))
end

local function document_of(declare, options)
  return (assert(dkjson.decode(text_of(declare, options), 1, dkjson.null)))
end

local function handler() end

-- The schema of one field, as a response shows it.
local function schema_of(field)
  local document = document_of(function(app) app:get("/x", { returns = model.object { value = field } }, handler) end)
  return document.paths["/x"].get.responses["200"].content["application/json"].schema.properties.value
end

local function plain(value)
  if type(value) ~= "table" or value == dkjson.null then return value end
  local copy = {}
  for name, item in pairs(value) do copy[name] = plain(item) end
  return copy
end

local function assert_schema(expected, field)
  assert.same(expected, plain(schema_of(field)))
end

-- A whole number as the core takes it, with what more is said of it.
local function whole(more)
  local schema = { type = "integer", format = "double-int" }
  for name, value in pairs(more or {}) do schema[name] = value end
  return schema
end

describe("The OpenAPI document", function()
  local User = model "User" { id = model.integer { read_only = true }, password = model.string { write_only = true }, name = model.string() }

  it("says what it is", function()
    local document = document_of(function(app) app:get("/", handler) end, {
      title = "Users", version = "2.0.0", description = "Who there is", contact = { email = "help@example.com" },
      servers = { "https://api.example.com" },
    })
    assert.equal("3.1.0", document.openapi)
    assert.same({ title = "Users", version = "2.0.0", description = "Who there is", contact = { email = "help@example.com" } }, plain(document.info))
    assert.same({ { url = "https://api.example.com" } }, plain(document.servers))
  end)

  it("names no server when the app names none", function()
    assert.is_nil(document_of(function(app) app:get("/", handler) end).servers)
  end)

  it("keeps the order of routes and fields, and is the same each time", function()
    local function declare(app)
      app:post("/zebras", { body = model "Zebra" { stripes = model.integer(), age = model.integer() } }, handler)
      app:get("/apes", handler)
    end
    local text = text_of(declare)
    assert.truthy(text:find('"/zebras".*"/apes"'))
    assert.truthy(text:find('"stripes".*"age"'))
    assert.equal(text, text_of(declare))
  end)

  describe("operations", function()
    it("writes path parameters in braces and without their kind", function()
      local document = document_of(function(app) app:get("/files/{owner}/{path:path}", handler) end)
      local parameters = document.paths["/files/{owner}/{path}"].get.parameters
      assert.same({ { name = "owner", ["in"] = "path", required = true, schema = { type = "string" } },
        { name = "path", ["in"] = "path", required = true, schema = { type = "string" } } }, plain(parameters))
    end)

    it("shows two patterns that differ in names only as one path", function()
      local document = document_of(function(app)
        app:get("/users/{id}", { path = { id = model.integer { ge = 1 } } }, handler)
        app:delete("/users/{user_id}", { path = { user_id = model.integer() } }, handler)
      end)
      assert.equal("id", document.paths["/users/{id}"].delete.parameters[1].name)
      assert.is_nil(document.paths["/users/{user_id}"])
    end)

    it("shows of two routes that differ in {rest:path} only the one that goes before", function()
      for _, paths in ipairs { { "/files/{id}", "/files/{rest:path}" }, { "/files/{rest:path}", "/files/{id}" } } do
        local document = document_of(function(app)
          for _, path in ipairs(paths) do app:get(path, { summary = path }, handler) end
          app:put("/files/{rest:path}", { summary = "put" }, handler)
        end)
        local _, item = next(document.paths)
        assert.same({ "/files/{id}", "put" }, { item.get.summary, item.put.summary })
        assert.is_nil(next(document.paths, (next(document.paths))))
      end
    end)

    it("shows query, header and cookie fields as parameters", function()
      local document = document_of(function(app)
        app:get("/", {
          query = { limit = model.integer { default = 10, le = 100, description = "How many", example = 5, deprecated = true } },
          header = { x_trace = model.string { optional = true }, accept = model.string { optional = true } },
          cookie = { theme = model.string() },
        }, handler)
      end)
      assert.same({
        { name = "limit", ["in"] = "query", description = "How many", deprecated = true, example = 5,
          schema = whole { maximum = 100, default = 10 } },
        { name = "x-trace", ["in"] = "header", schema = { type = "string" } },
        { name = "theme", ["in"] = "cookie", required = true, schema = { type = "string" } },
      }, plain(document.paths["/"].get.parameters))
    end)

    it("names each operation once", function()
      local document = document_of(function(app)
        app:get("/a/{b}", handler)
        app:get("/a_b", handler)
        app:get("/free", { operation_id = "get_a_b" }, handler)
      end)
      local ids = { document.paths["/a/{b}"].get.operationId, document.paths["/a_b"].get.operationId, document.paths["/free"].get.operationId }
      assert.same({ "get_a_b_2", "get_a_b_3", "get_a_b" }, ids)
    end)

    it("names the operations of a route of several methods after it", function()
      local path = document_of(function(app)
        app:route({ "GET", "POST", "PUT" }, "/echo", { name = "echo" }, handler)
        app:get("/other", { name = "echo_post" }, handler)
      end).paths["/echo"]
      assert.same({ "echo", "echo_post_2", "echo_put" }, { path.get.operationId, path.post.operationId, path.put.operationId })
    end)

    it("takes JSON, forms, text and bytes", function()
      local document = document_of(function(app)
        app:post("/json", { body = User }, handler)
        app:post("/form", { form = { name = model.string() } }, handler)
        app:post("/text", { body = model.text { max_length = 9 } }, handler)
        app:post("/bytes", { body = model.raw { min_length = 1, max_length = 9 } }, handler)
        app:post("/optional", { body = model.optional(User) }, handler)
        app:post("/any-text", { body_kind = "text" }, handler)
        app:post("/any-json", { body_kind = "json" }, handler)
        app:post("/whatever", handler)
      end)
      local function body(path) return document.paths[path].post.requestBody end
      assert.same({ ["$ref"] = "#/components/schemas/User" }, plain(body("/json").content["application/json"].schema))
      assert.is_true(body("/json").required)
      assert.equal("object", body("/form").content["application/x-www-form-urlencoded"].schema.type)
      assert.same({ type = "string", maxLength = 9 }, plain(body("/text").content["text/plain"].schema))
      local bytes = { schema = { minLength = 1, maxLength = 9 } }
      assert.same({ ["application/octet-stream"] = bytes, ["*/*"] = bytes }, plain(body("/bytes").content))
      assert.is_nil(body("/optional").required)
      local any_text = { schema = { type = "string" } }
      assert.same({ content = { ["text/plain"] = any_text, ["text/*"] = any_text } }, plain(body "/any-text"))
      assert.same({ content = { ["application/json"] = { schema = {} } } }, plain(body "/any-json"))
      assert.is_nil(body "/whatever")
    end)

    it("lists tags where they are used, the app's own first", function()
      local document = document_of(function(app)
        app:get("/a", { tags = { "b", "c" } }, handler)
      end, { tags = { { name = "c", description = "The third" } } })
      assert.same({ { name = "c", description = "The third" }, { name = "b" } }, plain(document.tags))
      assert.same({ "b", "c" }, plain(document.paths["/a"].get.tags))
    end)

    it("asks for no credentials on public routes", function()
      local document = document_of(function(app) app:get("/", handler) end)
      assert.same({}, plain(document.paths["/"].get.security)) -- said, since linters take silence for an oversight
      assert.is_nil(document.components.securitySchemes)
    end)

    it("tells which guards suffice, and the scopes they must have", function()
      local secret = core.secret("7f2c9b61e0d4835aa1c6f09e42b87d53")
      local bearer = guard.bearer { secret = secret, lifetime = "15m", token_url = "/token", scopes = { read = "May read" } }
      local other, key = guard.bearer { secret = secret, lifetime = "1m" }, guard.api_key { header = "X-Key", keys = { a = secret } }
      local document = document_of(function(app)
        app:get("/", { guard = guard.role("admin", guard.any { guard.scope({ "read", "list" }, bearer), key, other }), limit = "5/minute" }, handler)
      end)
      assert.same({ { bearer = { "read", "list" } }, { api_key = {} }, { bearer_2 = {} } }, plain(document.paths["/"].get.security))
      local schemes = plain(document.components.securitySchemes)
      assert.same({ tokenUrl = "/token", scopes = { read = "May read", list = "" } }, schemes.bearer.flows.password)
      assert.same({ type = "apiKey", name = "X-Key", ["in"] = "header" }, schemes.api_key)
      assert.same({ type = "http", scheme = "bearer", bearerFormat = "JWT" }, schemes.bearer_2)
      assert.equal("#/components/responses/TooManyRequests", document.paths["/"].get.responses["429"]["$ref"])
      assert.is_true(document.components.responses.TooManyRequests.headers["Retry-After"].required)
    end)

    it("knows a security scheme for each kind of guard", function()
      for kind, expected in pairs { bearer = "http", api_key = "apiKey", basic = "http", session = "apiKey" } do
        context.mode = "dev"
        local app = demilune.app { guard = guard.public }
        app:get("/", handler)
        local compiled = plan.compile(app)
        compiled.descriptions.routes[1].guard = { kind = kind }
        local document = dkjson.decode(openapi.document(compiled))
        assert.same({ { [kind] = {} } }, plain(document.paths["/"].get.security))
        assert.equal(expected, document.components.securitySchemes[kind].type)
        assert.same({ ["$ref"] = "#/components/responses/NotAuthenticated" }, plain(document.paths["/"].get.responses["401"]))
      end
    end)
  end)

  describe("responses", function()
    it("has the route's status, the others it names, and the server's own", function()
      local document = document_of(function(app)
        app:post("/users", {
          body = User, returns = User, status = 201,
          responses = { [409] = "The address is taken", [404] = { description = "Nobody", returns = model "Nobody" { why = model.string() } } },
        }, handler)
      end)
      local responses = document.paths["/users"].post.responses
      assert.equal("Created", responses["201"].description)
      assert.equal("The address is taken", responses["409"].description)
      assert.same({ ["$ref"] = "#/components/schemas/Nobody" }, plain(responses["404"].content["application/json"].schema))
      assert.same({ ["$ref"] = "#/components/responses/ValidationError" }, plain(responses["422"]))
      assert.truthy(responses["4XX"] and responses["5XX"])
    end)

    it("says in the route's own words what it answers, and keeps what it returns", function()
      local document = document_of(function(app)
        app:get("/user", { returns = User, responses = { [200] = "Who it is" } }, handler)
        app:get("/table", { responses = { [200] = { content_type = "text/csv" }, [409] = { returns = { why = model.string() } } } }, handler)
        app:get("/page", { responses = { [404] = { content_type = "text/html" } } }, handler)
      end)
      local function response(path, status) return plain(document.paths[path].get.responses[status]) end
      assert.same({ description = "Who it is", content = { ["application/json"] = { schema = { ["$ref"] = "#/components/schemas/User" } } } },
        response("/user", "200"))
      assert.same({ description = "OK", content = { ["text/csv"] = {} } }, response("/table", "200"))
      assert.same({ why = { type = "string" } }, response("/table", "409").content["application/json"].schema.properties)
      assert.same({ description = "Not found", content = { ["text/html"] = {} } }, response("/page", "404"))
    end)

    it("has FastAPI's 422 where something is checked, and only there", function()
      local checked = document_of(function(app) app:get("/{id}", { path = { id = model.integer() } }, handler) end)
      assert.truthy(checked.paths["/{id}"].get.responses["422"])
      local fields = checked.components.schemas.ValidationError
      assert.same({ "loc", "msg", "type" }, plain(fields.required))
      assert.equal("#/components/schemas/ValidationError", checked.components.schemas.HTTPValidationError.properties.detail.items["$ref"])
      local unchecked = document_of(function(app) app:get("/{name}", handler) end)
      assert.is_nil(unchecked.paths["/{name}"].get.responses["422"])
      assert.is_nil(unchecked.components.schemas.ValidationError)
    end)

    it("shows the key of an idempotent route, and what becomes of a bad one", function()
      local bearer = guard.bearer { secret = core.secret(("s"):rep(32)), lifetime = "15m" }
      local document = document_of(function(app)
        app:idempotency { database = { statement = function() return {} end } }
        app:post("/orders", { idempotent = true, header = { idempotency_key = model.string { max_length = 9 }, x_a = model.string() } }, handler)
        app:post("/later", { idempotent = "optional", responses = { [409] = "Sold" } }, handler)
        app:post("/plain", handler)
      end, { guard = bearer })
      local orders, later, plain_one = document.paths["/orders"].post, document.paths["/later"].post, document.paths["/plain"].post
      assert.same({ "x-a", "Idempotency-Key" }, { orders.parameters[1].name, orders.parameters[2].name })
      local key = orders.parameters[2]
      assert.same({ "header", true }, { key["in"], key.required })
      assert.same({ type = "string", pattern = [==[^(?:[!#-+\-.-:<-\[\]-~]{1,255}|"(?:[ !#-\[\]-~]|\\["\\]){1,255}")$]==] }, plain(key.schema))
      assert.is_nil(orders.parameters[3])
      assert.is_nil(later.parameters[1].required)
      assert.is_nil(plain_one.parameters)
      for status, name in pairs { ["400"] = "IdempotencyKeyMissing", ["409"] = "IdempotencyKeyInUse", ["422"] = "ValidationError" } do
        assert.equal("#/components/responses/" .. name, orders.responses[status]["$ref"])
        assert.is_nil(plain_one.responses[status])
        assert.truthy(document.components.responses[name])
      end
      assert.equal("Sold", later.responses["409"].description)
      assert.is_nil(document_of(function(app) app:get("/", handler) end).components.responses.IdempotencyKeyInUse)
    end)
  end)

  describe("models", function()
    local function declare_both(app) app:post("/users", { body = User, returns = User }, handler) end

    it("has one form for each direction where read_only and write_only make them differ", function()
      local schemas = document_of(declare_both).components.schemas
      assert.same({ id = whole { readOnly = true }, name = { type = "string" } }, plain(schemas.User.properties))
      assert.same({ password = { type = "string", writeOnly = true }, name = { type = "string" } }, plain(schemas.UserInput.properties))
      assert.same({ "password", "name" }, plain(schemas.UserInput.required))
    end)

    it("has two forms of a model that holds one with two", function()
      local Team = model "Team" { members = model.array(User) }
      local schemas = document_of(function(app) app:put("/team", { body = Team, returns = Team }, handler) end).components.schemas
      assert.equal("#/components/schemas/UserInput", schemas.TeamInput.properties.members.items["$ref"])
      assert.equal("#/components/schemas/User", schemas.Team.properties.members.items["$ref"])
    end)

    it("has one form of a model that is the same both ways", function()
      local Same = model "Same" { name = model.string() }
      local schemas = document_of(function(app) app:put("/", { body = Same, returns = Same }, handler) end).components.schemas
      assert.truthy(schemas.Same)
      assert.is_nil(schemas.SameInput)
    end)

    it("follows recursion through references", function()
      local Node
      local node = model.ref(function() return Node end)
      Node = model "Node" { children = model.array(node), parent = model.nullable(node) }
      local schema = document_of(function(app) app:get("/", { returns = Node }, handler) end).components.schemas.Node
      assert.equal("#/components/schemas/Node", schema.properties.children.items["$ref"])
      assert.same({ anyOf = { { ["$ref"] = "#/components/schemas/Node" }, { type = "null" } } }, plain(schema.properties.parent))
    end)

    it("says of a field that stands behind references what the core takes it for", function()
      local Role, Id = model.literal { "new", "old", default = "new" }, model.integer { read_only = true }
      local Key, Note = model.string { write_only = true }, model.nullable(model.string())
      local function behind(to) return model.ref(function() return model.ref(function() return to end) end) end
      local function schemas_of(wrap)
        local fields = { role = wrap(Role), id = wrap(Id), key = wrap(Key), note = wrap(Note), nick = wrap(model.string { optional = true }) }
        local Thing = model "Thing" (fields)
        local schemas = document_of(function(app) app:post("/", { body = Thing, returns = Thing }, handler) end).components.schemas
        for _, name in ipairs { "Thing", "ThingInput" } do table.sort(schemas[name].required) end
        return { plain(schemas.Thing), plain(schemas.ThingInput) }
      end
      local direct = schemas_of(function(to) return to end)
      assert.same({ "id", "note" }, direct[1].required)
      assert.same({ "key", "note" }, direct[2].required)
      assert.same(direct, schemas_of(behind))
    end)

    it("gives a component to a recursive model without a name", function()
      local node
      node = model.object { next = model.optional(model.ref(function() return node end)) }
      local schemas = document_of(function(app) app:get("/", { returns = node }, handler) end).components.schemas
      assert.equal("#/components/schemas/Model", schemas.Model.properties.next["$ref"])
    end)

    it("leaves the names of its own schemas to the document", function()
      local Mine = model "ValidationError" { mine = model.string() }
      local schemas = document_of(function(app) app:put("/", { body = Mine }, handler) end).components.schemas
      assert.truthy(schemas.ValidationError_2.properties.mine)
      assert.truthy(schemas.ValidationError.properties.loc)
    end)

    it("shows aliases, defaults, and whether other fields are taken", function()
      assert.same({
        type = "object", properties = { firstName = { type = "string" }, age = whole { default = 1 } }, required = { "firstName" },
        additionalProperties = false,
      }, plain(schema_of(model.object { first_name = model.string { alias = "firstName" }, age = model.integer { default = 1 } })))
      assert.is_nil(schema_of(model.object({}, { extra = "ignore" })).additionalProperties)
    end)

    it("keeps what a use of a model says apart from what the model says", function()
      local Address = model("Address", { description = "Where" }) { city = model.string() }
      local document = document_of(function(app)
        app:put("/", { body = model.object { home = model.ref(Address, { description = "At night" }), work = Address } }, handler)
      end)
      local properties = document.paths["/"].put.requestBody.content["application/json"].schema.properties
      assert.same({ ["$ref"] = "#/components/schemas/Address", description = "At night" }, plain(properties.home))
      assert.same({ ["$ref"] = "#/components/schemas/Address" }, plain(properties.work))
      assert.equal("Where", document.components.schemas.Address.description)
    end)
  end)

  describe("fields", function()
    for kind, expected in pairs {
      string = { "string" }, integer = { "integer", "double-int" }, int64 = { "integer", "int64" }, number = { "number" },
      decimal = { "string", "decimal" }, boolean = { "boolean" }, email = { "string", "email" }, url = { "string", "uri" },
      uuid = { "string", "uuid" }, date = { "string", "date" }, time = { "string", "time" }, datetime = { "string", "date-time" },
      duration = { "string", "duration" }, ipv4 = { "string", "ipv4" }, ipv6 = { "string", "ipv6" }, cidr = { "string", "cidr" },
      secret = { "string", "password" }, any = {}, json = {},
    } do
      it("writes a field of kind " .. kind, function() assert_schema({ type = expected[1], format = expected[2] }, model[kind]()) end)
    end

    it("writes constraints", function()
      assert_schema({ type = "string", minLength = 1, maxLength = 9, pattern = "^a+$" },
        model.string { min_length = 1, max_length = 9, pattern = "^a+$" })
      assert_schema({ type = "number", minimum = 1, exclusiveMaximum = 2.5, multipleOf = 0.5 }, model.number { ge = 1, lt = 2.5, multiple_of = 0.5 })
      assert_schema(whole { exclusiveMinimum = 0, maximum = 9 }, model.integer { gt = 0, le = 9 })
      assert_schema({ type = "integer", format = "int64", exclusiveMinimum = 0, maximum = 9 }, model.int64 { gt = 0, le = 9LL })
      assert_schema({ type = "array", items = whole(), minItems = 1, maxItems = 5, uniqueItems = true },
        model.array(model.integer(), { min_items = 1, max_items = 5, unique_items = true }))
      assert_schema({
        type = "object", additionalProperties = whole(), propertyNames = { type = "string", maxLength = 4 }, maxProperties = 3,
      }, model.map(model.integer(), { keys = model.string { max_length = 4 }, max_items = 3 }))
    end)

    it("writes bounds of what travels as text beside the schema's own words", function()
      assert_schema({ type = "string", format = "decimal", ["x-minimum"] = "0.50" }, model.decimal { ge = "0.50" })
      assert_schema({ type = "string", format = "date", ["x-exclusive-maximum"] = "2030-01-01" }, model.date { lt = "2030-01-01" })
      assert_schema({ type = "string", format = "duration", ["x-maximum"] = "P1DT2H" }, model.duration { le = "26h" })
    end)

    it("says how many items a list or a map may have where the app does not", function()
      assert_schema({ type = "array", items = whole(), maxItems = 10000 }, model.array(model.integer()))
      assert_schema({ type = "object", additionalProperties = whole(), maxProperties = 10000 }, model.map(model.integer()))
    end)

    it("writes a pattern in ECMAScript's words", function()
      for pattern, expected in pairs {
        ["^a+?$"] = "^a+?$",
        [ [[^\w[\s.-]\@x\-$]] ] = [[^\w[\t-\r .\-]@x-$]],
        [ [[\S\s.]] ] = [=[[^\t-\r ][\t-\r ][^\n]]=],
        ["[]a[]"] = [=[[\]a\[]]=], ["[^]]"] = [=[[^\]]]=],
        ["a{1,2}{b}]"] = [=[a{1,2}\{b\}\]]=], [ [=[[\w-.a-c-e]]=] ] = [=[[\w\-.a-c\-e]]=],
        [ [=[[\s\S]\/\x41\x{20AC}]=] ] = [=[[\s\S]\/\x41\u{20AC}]=],
        [ [[(?:a|(?<b>ä))*(?!c)(?<=d)\b\p{Lu}]] ] = [[(?:a|(?<b>ä))*(?!c)(?<=d)\b\p{Lu}]],
      } do
        assert_schema({ type = "string", pattern = expected }, model.string { pattern = pattern })
      end
    end)

    it("does not pass off PCRE2's own constructs as ECMAScript's", function()
      for _, pattern in ipairs {
        [[\Aa\z]], "(?i)a", "(?>a)b", "a++", "a{2}+", "a{2}{3}", "[[:alpha:]]", [[\pL]], [[\p{Greek}]], [=[[\S]]=],
        [[\v]], [[\h]], [[\Qa\E]], [[(a)\1]],
        "(?=a)*", "(?#a)", "(*UTF)a",
        "(?'n'a)", [[\R]], "(?|a)", [[\0]],
      } do
        assert_schema({ type = "string", ["x-pcre2-pattern"] = pattern }, model.string { pattern = pattern })
      end
    end)

    it("counts bytes by a pattern of their base64", function()
      local function pattern_of(min_length, max_length)
        local schema = schema_of(model.bytes { min_length = min_length, max_length = max_length })
        assert.equal("base64", schema.contentEncoding)
        return schema.pattern, schema.minLength, schema.maxLength
      end
      local quad, one, two = "[A-Za-z0-9+/]{4}", "[A-Za-z0-9+/][AQgw]==", "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]="
      assert.equal(("^(?:%s)*(?:%s|%s)?$"):format(quad, one, two), (pattern_of()))
      assert.same({ ("^(?:(?:%s){1,1}|(?:%s){0,1}%s|%s)$"):format(quad, quad, one, two), 4, 8 }, { pattern_of(1, 4) })
      assert.same({ ("^(?:(?:%s){5,5}%s)$"):format(quad, one), 24, 24 }, { pattern_of(16, 16) })
      assert.same({ ("^(?:(?:%s){1,}|(?:%s){1,}%s|(?:%s)*%s)$"):format(quad, quad, one, quad, two), 4 }, { pattern_of(2) })
      assert.same({ (pattern_of()), nil, 5336 }, { pattern_of(nil, 4000) }) -- no counting beyond what Go's expressions count
    end)

    it("asks for as many characters of a secret as it has to have bytes", function()
      assert_schema({ type = "string", format = "password", minLength = 8, ["x-minimum-bytes"] = 8, maxLength = 20 },
        model.secret { min_bytes = 8, max_length = 20 })
    end)

    it("writes the keys of a map as the texts that they are", function()
      assert_schema({ type = "object", additionalProperties = whole(), maxProperties = 10000, propertyNames = { enum = { "a", "1", "true" } } },
        model.map(model.integer(), { keys = model.literal { "a", 1, true } }))
    end)

    it("writes literals as constants and enumerations", function()
      assert_schema({ type = "string", const = "a" }, model.literal { "a" })
      assert_schema({ type = "string", enum = { "a", "b" } }, model.literal { "a", "b" })
      assert_schema({ enum = { "a", 3, true } }, model.literal { "a", 3, true })
    end)

    it("allows null in each form that a schema can have", function()
      assert_schema({ type = { "string", "null" } }, model.string { nullable = true })
      assert_schema({ type = { "string", "null" }, enum = { "a", dkjson.null } }, model.nullable(model.literal { "a" }))
      assert_schema({ type = { "string", "null" }, enum = { "a", "b", dkjson.null } }, model.nullable(model.literal { "a", "b" }))
      assert_schema({ anyOf = { whole(), { type = "string" }, { type = "null" } } },
        model.nullable(model.union { model.integer(), model.string() }))
      assert_schema({}, model.nullable(model.any()))
    end)

    it("tells the members of a tagged union apart by the name on the wire", function()
      local Cat = model "Cat" { sort = model.literal({ "cat", alias = "type" }) }
      local Dog = model "Dog" { sort = model.literal({ "dog", "wolf", alias = "type" }) }
      assert_schema({
        oneOf = { { ["$ref"] = "#/components/schemas/Cat" }, { ["$ref"] = "#/components/schemas/Dog" } },
        discriminator = { propertyName = "type", mapping = {
          cat = "#/components/schemas/Cat", dog = "#/components/schemas/Dog", wolf = "#/components/schemas/Dog",
        } },
      }, model.tagged("sort", { Cat, Dog }))
    end)

    it("asks for the tag of a tagged union where a member has a default for it", function()
      local Set, Bag = model "Set" { sort = model.literal { "set", default = "set" } }, model "Bag" { sort = model.literal { "bag" } }
      local schema = schema_of(model.tagged("sort", { Bag, Set }))
      assert.same({ { "sort" }, { sort = { enum = { "bag", "set" } } } }, { plain(schema.required), plain(schema.properties) })
      schema = schema_of(model.tagged("sort", { Bag }))
      assert.is_nil(schema.required or schema.properties)
    end)

    it("writes defaults and examples as they are in JSON", function()
      assert.equal("YWIA", schema_of(model.bytes { default = "ab\0" }).default)
      assert.equal("P1DT1H1M1.5S", schema_of(model.duration { default = 90061.5 }).default)
      assert.equal("PT0S", schema_of(model.duration { default = 0 }).default)
      assert.equal(7, schema_of(model.int64 { default = 7LL }).default)
      assert.equal(false, schema_of(model.boolean { default = false }).default)
      assert.equal(dkjson.null, schema_of(model.string { nullable = true, default = demilune.null }).default)
      assert.same({ { firstName = "Ada" } },
        plain(schema_of(model.object({ first_name = model.string { alias = "firstName" } }, { example = { first_name = "Ada" } })).examples))
    end)

    it("never shows an example of a secret", function()
      local body = model.object { key = model.secret { example = "hunter2" } }
      assert.is_nil(text_of(function(app) app:put("/", { body = body }, handler) end):find("hunter2", 1, true))
    end)

    it("writes an empty default of a list as a list", function()
      local body = model.object { list = model.array(model.any(), { default = {} }) }
      assert.truthy(text_of(function(app) app:put("/", { body = body }, handler) end):find('"default":[]', 1, true))
    end)
  end)
end)

describe("The docs page", function()
  local function files_of(options)
    context.mode = "dev"
    options.guard = guard.public
    local app = demilune.app(options)
    app:get("/", handler)
    return plan.compile(app).files
  end

  it("is made of files in the binary, and its policy allows no inline script", function()
    local by_path = {}
    for _, file in ipairs(files_of {}) do by_path[file.path] = file end
    local page = by_path["/docs"]
    assert.equal("(index.html)", page.body)
    assert.equal("text/html; charset=utf-8", page.content_type)
    assert.truthy(page.headers["Content-Security-Policy"]:find("default-src 'none'; script-src 'self';", 1, true))
    assert.truthy(by_path["/openapi.json"] and by_path["/docs/licences.txt"])
  end)

  it("says of what is compressed that it is", function()
    for _, file in ipairs(files_of {}) do assert.equal(file.body:find(".gz", 1, true) and "gzip" or nil, file.encoding) end
  end)

  it("is not there when the app wants no docs", function() assert.same({}, files_of { docs = false }) end)
end)
