-- SPDX-License-Identifier: MIT
-- An app with every rule that a document can state, each where a request can break
-- it, and handlers that give back what came. For contract/check.mjs.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local app = demilune.app { title = "Every rule", version = "1.0.0", guard = guard.public, docs = true, tags = { { name = "bodies" } } }
local settings = demilune.settings { SERVICE_KEY = model.secret { min_bytes = 32 } }
local keys = guard.api_key { keys = { service = { secret = settings.SERVICE_KEY, roles = { "reader" } } } }

local function echo(req) return req.body end
local function nothing() end

-- A model whose fields are the body, and what comes back.
local function both_ways(path, body) app:post(path, { body = body, returns = body, tags = { "bodies" } }, echo) end

-- Single values ------------------------------------------------------------------------

both_ways("/texts", model "Texts" {
  plain = model.string(), sized = model.string { min_length = 2, max_length = 5 }, word = model.string { pattern = "^[a-z]+$" },
  spaced = model.string { pattern = [[^[\w\s.@-]+$]] }, code = model.string { pattern = [[^(?:[A-Z]{2}|\d{3,4})-\S+$]], max_length = 20 },
  any_line = model.string { pattern = "^.{1,8}$" }, caseless = model.string { pattern = [[(?i)\Aab++\z]], example = "ABb" },
  bracket = model.string { pattern = [[^[]a\@]+$]], example = "]@a" }, handle = model.string { pattern = [[^\@[a-z_]+\-\d$]],
    example = "@ab-1" },
  unicode = model.string { pattern = [[^\p{Lu}\p{L}*$]], example = "Ärger" }, email = model.email(), url = model.url(), uuid = model.uuid(),
})
both_ways("/tidied", model "Tidied" {
  strip = model.string { strip = true, min_length = 2, max_length = 4 }, lower = model.string { lower = true, pattern = "^[a-z]+$" },
})
both_ways("/numbers", model "Numbers" {
  integer = model.integer(), small = model.integer { ge = -3, lt = 9 },
    even = model.integer { multiple_of = 2, gt = 0 }, int64 = model.int64(),
  wide = model.int64 { gt = -5LL, le = 1000LL, multiple_of = 5 }, number = model.number(), ratio = model.number { ge = 0, le = 1 },
  open = model.number { gt = -2.5, lt = 2.5, multiple_of = 0.5 }, boolean = model.boolean(),
})
both_ways("/decimals", model "Decimals" { decimal = model.decimal(), price = model.decimal { ge = "0.01", lt = "100",
  multiple_of = "0.01" } })
both_ways("/times", model "Times" {
  date = model.date(), day = model.date { ge = "2000-01-01", lt = "2031-01-01" }, time = model.time(),
    office = model.time { gt = "08:00:00" },
  datetime = model.datetime(), moment = model.datetime { utc = true }, later = model.datetime { utc = true, ge = "2020-01-01T00:00:00Z" },
  duration = model.duration(), short = model.duration { le = "15m" },
})
both_ways("/addresses", model "Addresses" { ipv4 = model.ipv4(), ipv6 = model.ipv6(), cidr = model.cidr() })
both_ways("/bytes", model "Bytes" {
  any = model.bytes(), few = model.bytes { min_length = 1, max_length = 4 }, key = model.bytes { min_length = 16, max_length = 16 },
  some = model.bytes { min_length = 2 }, many = model.bytes { max_length = 5000 },
})
both_ways("/literals", model "Literals" {
  one = model.literal { "only" }, some = model.literal { "a", "b" }, mixed = model.literal { "a", 2, true },
    numbers = model.literal { 1, 2, 3 },
  none = model.literal { "x", nullable = true },
})
app:post("/secrets", {
  body = model "Secrets" { key = model.secret { min_bytes = 8, max_length = 12 }, free = model.secret() }, status = 204,
}, nothing)
both_ways("/loose", model "Loose" { any = model.any(), json = model.json() })

-- What holds others --------------------------------------------------------------------

local Point = model "Point" { x = model.number(), y = model.number { default = 0 } }
both_ways("/lists", model "Lists" {
  numbers = model.array(model.integer { ge = 0 }, { min_items = 1, max_items = 4 }),
    set = model.array(model.string(), { unique_items = true }),
  points = model.array(Point), grid = model.array(model.array(model.integer())), pairs = model.array(model.any(), { unique_items = true }),
  maybe = model.array(model.nullable(model.string())), trimmed = model.array(model.string { lower = true }, { unique_items = true }),
})
both_ways("/maps", model "Maps" {
  free = model.map(model.integer()),
    short = model.map(model.boolean(), { keys = model.string { max_length = 3 }, min_items = 1, max_items = 3 }),
  by_day = model.map(model.number(), { keys = model.date() }),
    levels = model.map(model.integer(), { keys = model.literal { "low", "high" } }),
  numbered = model.map(model.integer(), { keys = model.literal { 1, 2, "x", true } }), points = model.map(Point),
})
local Cat = model("Cat", { extra = "ignore" }) { kind = model.literal { "cat", alias = "type" }, lives = model.integer { le = 9 } }
local Dog = model "Dog" { kind = model.literal { "dog", "wolf", alias = "type" }, name = model.string() }
local Set = model "Set" { sort = model.literal { "set", default = "set" }, size = model.integer() }
local Bag = model "Bag" { sort = model.literal { "bag", optional = true }, names = model.array(model.string()) }
both_ways("/unions", model "Unions" {
  pet = model.tagged("kind", { Cat, Dog }), holder = model.tagged("sort", { Set, Bag }),
  maybe = model.nullable(model.tagged("kind", { Cat, Dog })),
  either = model.union { model.integer(), model.boolean(), model.string { max_length = 3 } },
  shape = model.union { Point, model.object { radius = model.number { gt = 0 } } },
  deep = model.union { model.array(model.integer()), model.map(model.string()), model.nullable(model.number()) },
})
both_ways("/pets", model.tagged("kind", { Cat, Dog }))
both_ways("/point-or-number", model.union { Point, model.number() })
local Tree
local a_tree = model.ref(function() return Tree end)
Tree = model "Tree" {
  value = model.integer(), children = model.array(a_tree, { default = {}, max_items = 3 }), parent = model.optional(model.nullable(a_tree)),
}
both_ways("/trees", Tree)

-- Models -------------------------------------------------------------------------------

local Account = model "Account" {
  id = model.integer { read_only = true, default = 1 }, name = model.string { alias = "accountName" },
  hint = model.string { write_only = true },
  note = model.string { visible_to = "reader", optional = true }, limit = model.optional(model.nullable(model.integer())),
  made = model.string { default_factory = function() return "now" end }, where = model.ref(Point, { default = { x = 0, y = 0 } }),
}
both_ways("/accounts", Account)
app:put("/accounts", { guard = keys, body = Account, returns = Account, shared = true }, echo)
app:patch("/accounts", { body = Account:partial "AccountChange", returns = Account:partial "AccountChanged" }, echo)
both_ways("/ignoring", model("Ignoring", { extra = "ignore" }) { a = model.integer(), b = model.string { alias = "bee", optional = true } })
both_ways("/allowing", model("Allowing", { extra = "allow" }) { a = model.integer(), b = model.string { optional = true } })
both_ways("/picked", Account:pick "Picked" { "name", "where" })
both_ways("/checked", model "Checked" { n = model.integer { check = function(n) if n == 7 then return nil, "is seven" end end } })
local Lax = model("Lax", { strict = false }) { a = model.integer(), b = model.boolean(), c = model.number(), d = model.date() }
app:post("/lax", { body = Lax, returns = model.any() }, echo)

-- Whole bodies -------------------------------------------------------------------------

both_ways("/whole/string", model.string { max_length = 5 })
both_ways("/whole/integer", model.integer())
both_ways("/whole/any", model.any())
both_ways("/whole/list", model.array(Point))
app:post("/optional", { body = model.optional(Point), returns = model.nullable(Point) }, function(req) return req.body or demilune.null end)
app:post("/nullable", { body = model.nullable(Point), returns = model.nullable(Point) }, echo)
app:post("/plain-text", {
  body = model.text { min_length = 2, max_length = 6, pattern = "^[a-z]+$" }, responses = { [200] = { content_type = "text/plain" } },
}, echo)
app:put("/raw", { body = model.raw { min_length = 2, max_length = 6 }, status = 204 }, nothing)
app:put("/any-raw", { body_kind = "bytes", status = 204 }, nothing)
app:post("/any-json", { body_kind = "json", status = 204 }, nothing)
app:post("/forms", {
  form = {
    name = model.string { min_length = 1 }, age = model.integer { ge = 0, le = 150 }, on = model.boolean { default = false },
    born = model.optional(model.date()),
    colours = model.array(model.literal { "red", "blue" }, { max_items = 3, optional = true }),
  },
  returns = model.any(),
}, function(req) return req.form end)

-- Parameters ---------------------------------------------------------------------------

app:get("/items/{id}/{code}", {
  path = { id = model.integer { ge = 1, le = 99 }, code = model.string { pattern = "^[a-z]+$" } }, returns = model.any(),
}, function(req) return req.path end)
app:get("/days/{day}/{rest:path}", { path = { day = model.date() }, returns = model.any() }, function(req) return req.path end)
app:get("/files/{rest:path}", { returns = model.any() }, function(req) return req.path end)
app:get("/files/{id}", { path = { id = model.integer() }, returns = model.any() }, function(req) return req.path end)
app:get("/names/{name}", { returns = model.any() }, function(req) return req.path end)
app:get("/search", {
  query = {
    q = model.string { min_length = 1, max_length = 20 }, page = model.integer { default = 1, ge = 1 },
    ratio = model.optional(model.number { lt = 2 }),
    tag = model.array(model.string { max_length = 5 }, { optional = true, max_items = 3, unique_items = true }),
    sort = model.literal { "up", "down", default = "up" },
    level = model.literal { 1, 2, optional = true }, exact = model.boolean { default = false }, since = model.optional(model.datetime()),
    id = model.optional(model.uuid()), price = model.optional(model.decimal { gt = 0 }),
    key = model.optional(model.bytes { max_length = 6 }),
    either = model.optional(model.union { model.integer { ge = 10 }, model.date() }),
    none = model.nullable(model.integer(), { default = demilune.null }),
  },
  returns = model.any(),
}, function(req) return req.query end)
app:get("/headers", {
  header = {
    x_count = model.integer { ge = 0 }, x_trace = model.uuid { optional = true },
    x_tags = model.array(model.string { max_length = 4 }, { optional = true, max_items = 3 }),
    x_flag = model.boolean { default = true },
  },
  cookie = { theme = model.literal { "light", "dark", optional = true }, visits = model.integer { optional = true, le = 10 } },
  returns = model.any(),
}, function(req) return { header = req.header, cookie = req.cookie } end)

-- What is answered ---------------------------------------------------------------------

app:idempotency { database = app:database "sqlite::memory:" }
app:post("/payments", {
  guard = keys, idempotent = true, body = model.object { amount = model.integer { ge = 1 } }, returns = model.any(), status = 201,
}, echo)
app:post("/orders", { guard = keys, idempotent = "optional", status = 204 }, nothing)
app:get("/events", { responses = { [200] = { description = "What happens", content_type = "text/event-stream" } } }, function()
  return demilune.stream(function(write) write "data: 1\n\n" end, { headers = { ["Content-Type"] = "text/event-stream" } })
end)
app:get("/versions/{id}", {
  path = { id = model.integer { ge = 1 } }, header = { if_none_match = model.optional(model.literal { '"1"' }) }, returns = Point,
  responses = { [304] = "As it was" },
}, function() return demilune.response { headers = { ETag = '"1"' }, body = { x = 1, y = 2 } } end)
app:put("/versions/{id}", {
  path = { id = model.integer { ge = 1 } },
  header = { if_match = model.optional(model.string { pattern = [[^"\d"$]], example = '"1"' }) }, body = Point, status = 204,
  responses = { [412] = "Changed meanwhile" },
}, function(req) req:precondition '"1"' end)
app:get("/old", { deprecated = "2024-01-01", sunset = "2040-01-01", returns = Point }, function() return { x = 1 } end)
app:get("/limited", { limit = "3/minute", status = 204 }, nothing)
app:get("/failing/{status}", {
  path = { status = model.literal { 400, 404, 409, 418, 422, 500, 503 } },
    responses = { [404] = "None", [422] = "Refused", [409] = { returns = { why = model.string() } } },
}, function(req)
  if req.path.status == 409 then return demilune.response { status = 409, body = { why = "taken" } } end
  if req.path.status == 500 then error "on purpose" end
  demilune.abort(req.path.status, "on purpose")
end)
app:route({ "GET", "PUT" }, "/methods/{id}", { name = "methods", status = 204 }, nothing)

return app
