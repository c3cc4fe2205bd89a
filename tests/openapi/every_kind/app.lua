-- SPDX-License-Identifier: MIT
-- An app with every kind of field, every place a field can be in and every form a
-- model can take, so that its document holds all that openapi.lua can write.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local app = demilune.app {
  title = "Every kind", version = "1.2.3", description = "For the validator", guard = guard.public, docs = true,
  tags = { { name = "trees", description = "What refers to itself" } }, servers = { "https://api.example.com" },
  contact = { name = "Nobody", email = "nobody@example.com" }, license = { name = "MIT", identifier = "MIT" },
}

local Scalars = model("Scalars", { title = "All scalars", description = "One field of each kind", deprecated = true }) {
  string = model.string { min_length = 1, max_length = 9, pattern = "^[a-z]+$", strip = true, lower = true, example = "abc" },
  pcre = model.string { pattern = [[(?i)\A[a-z]++\z]], optional = true },
  integer = model.integer { ge = 1, le = 9, multiple_of = 2, title = "Even" },
  int64 = model.int64 { gt = -9007199254740993LL, lt = 9007199254740993LL, default = 5LL },
  number = model.number { gt = 0, lt = 1.5, deprecated = true },
  decimal = model.decimal { ge = "0.01", multiple_of = "0.01" },
  boolean = model.boolean { default = false },
  email = model.email { description = "Where to write" },
  url = model.url(), uuid = model.uuid { alias = "userId" }, date = model.date { ge = "2000-01-01" }, time = model.time(),
  datetime = model.datetime { nullable = true, default = demilune.null },
  duration = model.duration { le = "2d", default = 90 },
  ipv4 = model.ipv4(), ipv6 = model.ipv6(), cidr = model.cidr(),
  bytes = model.bytes { min_length = 1, max_length = 100, default = "ab\0" },
  literal = model.literal { "one", 2, true, nullable = true },
  constant = model.nullable(model.literal { "only" }),
  any = model.any(), json = model.json { optional = true },
}

local Account = model "Account" {
  id = model.integer { read_only = true },
  password = model.secret { min_bytes = 12, write_only = true },
  friends = model.array(model.string(), { min_items = 1, max_items = 5, unique_items = true }),
  labels = model.map(model.integer(), { keys = model.string { max_length = 20 }, max_items = 9 }),
}
local deputy = model.nullable(Account, { description = "While the owner is away" })
local Team = model "Team" { owner = Account, members = model.map(Account), deputy = deputy }

local Node
local a_node = model.ref(function() return Node end)
Node = model "Node" { value = model.any(), children = model.array(a_node, { default = {} }), parent = model.optional(model.nullable(a_node)) }

local Cat = model("Cat", { extra = "ignore" }) { type = model.literal { "cat" }, lives = model.integer() }
local Dog = model("Dog", { extra = "allow" }) { type = model.literal { "dog", "wolf" }, name = model.string() }
local Pet = model.tagged("type", { Cat, Dog })

local keys = guard.api_key { keys = { robot = { secret = demilune.settings({ KEY = model.secret { min_bytes = 32 } }).KEY } } }
app:idempotency { database = app:database("sqlite::memory:", { migrations = false }) }
app:post("/payments", { guard = keys, idempotent = true, body = model.object { amount = model.integer() }, status = 201 },
  function(req) return req.body end)

app:put("/scalars", {
  body = Scalars, returns = Scalars, summary = "Back as it came", operation_id = "echo-scalars",
}, function(req) return req.body end)
app:post("/accounts", {
  body = Account, returns = Account, status = 201,
  responses = { [409] = "There is one", [303] = { description = "Made before" }, [404] = model "Nothing" { why = model.string() } },
}, function(req)
  req.body.id = 1
  return req.body
end)
app:put("/teams/{id}", { path = { id = model.uuid() }, body = Team, returns = model.nullable(Team), deprecated = true }, function() end)
app:patch("/teams/{team_id}", { path = { team_id = model.uuid() }, body = Team:partial "TeamChange", status = 204 }, function() end)
app:get("/trees/{path:path}", { returns = model.array(Node), tags = { "trees", "lists" } }, function() return {} end)
app:post("/pets", { body = Pet, returns = model.nullable(Pet) }, function(req) return req.body end)
app:post("/either", { body = model.optional(model.union { model.integer(), model.string(), Cat }) }, function() end)
app:post("/form", { form = { name = model.string(), colours = model.array(model.literal { "red", "blue" }) } }, function() end)
app:post("/text", { body = model.text { max_length = 100 } }, function(req) return req.body end)
app:post("/bytes", { body = model.raw { max_length = 100 } }, function(req) return req.body end)
app:get("/search", {
  query = {
    q = model.string { example = "moon", description = "What to look for" }, page = model.integer { default = 1, ge = 1 },
    tag = model.array(model.string(), { optional = true }),
  },
  header = { x_trace = model.uuid { optional = true }, accept_language = model.string { optional = true, deprecated = true } },
  cookie = { theme = model.literal { "light", "dark", optional = true } },
}, function() end)

return app
