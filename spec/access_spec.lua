-- SPDX-License-Identifier: MIT
-- Limits and origins as an app declares them: what is refused at load, and what of
-- an app, its routers and its routes reaches the core.

local core = require("spec.support.core").install()
local context = require "demilune.context"
local demilune = require "demilune"
local plan = require "demilune.plan"
local refusal = require "spec.support.refusal"

local guard = demilune.guard
local bearer = guard.bearer { secret = core.secret("7f2c9b61e0d4835aa1c6f09e42b87d53"), lifetime = "15m" }

local function handler() end

local function route_of(options)
  local app = demilune.app { guard = guard.public }
  app:get("/", options, handler)
  return plan.compile(app).routes[1]
end

before_each(function() context.mode, context.findings = "test", {} end)

describe("a limit", function()
  it("is written as slowapi's", function()
    for _, text in ipairs { "5/minute", "100 per hour", "1/2 minutes", "10/second;100/hour", "5/MINUTE", " 5 / 10 seconds , 7 per day|1/hour" } do
      assert.equal(text, route_of({ limit = text }).limits[1].rule)
    end
  end)

  it("is refused at its line when it is none", function()
    local reasons = {
      ["5"] = "is no limit", ["minute"] = "is no limit", ["5/"] = "is no limit", ["5/month"] = "a length that varies",
      ["0/minute"] = "let nobody pass",
      ["5/fortnight"] = 'the unknown unit "fortnight"', ["2000000/day"] = "counts further", ["5/40 days"] = "31 days", ["5/0 minutes"] = "31 days",
      ["5/minute;"] = "is no limit", [""] = "is no limit", ["-5/minute"] = "is no limit", ["5 permit minute"] = "is no limit",
    }
    for text, reason in pairs(reasons) do
      local message = refusal(route_of, { limit = text })
      assert.matches("access_spec%.lua:%d+: GET /: limit: ", message)
      assert.truthy(message:find(reason, 1, true), message)
    end
    assert.matches("has more than 8 rules", refusal(route_of, { limit = ("5/minute;"):rep(8) .. "1/hour" }))
  end)

  it("says whom it counts, and how", function()
    assert.same({ { rule = "5/minute", by = "client", window = "sliding", name = "GET /" } }, route_of({ limit = "5/minute" }).limits)
    assert.same({
      { rule = "10/second", by = "client", window = "sliding", name = "GET /" },
      { rule = "100/hour", by = "principal", window = "fixed", name = "GET / #2" },
    }, route_of({ guard = bearer, limit = { "10/second", { rate = "100/hour", by = "principal", window = "fixed" } } }).limits)
  end)

  it("is refused when it counts whom the guard does not find", function()
    for _, by in ipairs { "principal", "api_key" } do
      assert.matches(("counts by %s, but guard.public finds nobody"):format(by), refusal(route_of, { limit = { rate = "5/minute", by = by } }))
    end
    assert.matches("counts by api_key, but guard.bearer lets pass who has none",
      refusal(route_of, { guard = bearer, limit = { rate = "5/minute", by = "api_key" } }))
    assert.matches('by is "user"; write "client"', refusal(route_of, { limit = { rate = "5/minute", by = "user" } }))
    assert.matches('by is 5; write "client", "principal", "api_key" or a function', refusal(route_of, { limit = { rate = "5/minute", by = 5 } }))
    assert.matches("limit has no rate", refusal(route_of, { limit = {} }))
    assert.matches('there is no option "per"', refusal(route_of, { limit = { rate = "5/minute", per = 1 } }))
  end)

  it("may count by a function, and more than one unit of a request", function()
    local rule = route_of({ limit = { rate = "100/hour", by = handler, cost = 5 } }).limits[1]
    assert.same({ "function", handler, 5, "GET /" }, { rule.by, rule.key_of, rule.cost, rule.name })
    assert.matches("cost is 0, so that nothing would be counted", refusal(route_of, { limit = { rate = "5/minute", cost = 0 } }))
    assert.matches("never lets a request of cost 6 in", refusal(route_of, { limit = { rate = "10/second;5/minute", cost = 6 } }))
    assert.matches("cost must be a whole number", refusal(route_of, { limit = { rate = "5/minute", cost = 1.5 } }))
  end)

  it("of a route with several methods counts all of them together", function()
    local app = demilune.app { guard = guard.public }
    app:route({ "POST", "put" }, "/x", { limit = { "5/minute", "9/hour" } }, handler)
    for _, compiled in ipairs(plan.compile(app).routes) do
      assert.same({ "POST, PUT /x", "POST, PUT /x #2" }, { compiled.limits[1].name, compiled.limits[2].name })
    end
  end)

  it("of an app or a router counts all its routes together, besides the route's own", function()
    local app = demilune.app { guard = guard.public, limit = "1000/hour" }
    local users, more = demilune.router { prefix = "/users", limit = "100/hour" }, demilune.router { prefix = "/users", limit = "9/hour" }
    users:post("/", { limit = "5/minute" }, handler)
    users:get("/", handler)
    more:get("/more", handler)
    app:mount(users)
    app:mount(more)
    local names = {}
    for index, route in ipairs(plan.compile(app).routes) do
      names[index] = {}
      for number, rule in ipairs(route.limits) do names[index][number] = rule.name .. " " .. rule.rule end
    end
    assert.same({
      { "app 1000/hour", "router /users 100/hour", "POST /users 5/minute" }, { "app 1000/hour", "router /users 100/hour" },
      { "app 1000/hour", "router /users (2) 9/hour" },
    }, names)
  end)
end)

describe("cors", function()
  local function cors(options) return demilune.app { guard = guard.public, cors = options }.cors end

  it("reaches the core whole, with what browsers do not need left empty", function()
    assert.same({ origins = { "https://a.example" }, credentials = false, methods = {}, headers = {}, expose = {}, max_age = 600 },
      cors { origins = { "https://a.example" } })
    assert.same({
      origins = { "https://*.a.example", "http://localhost:3000", "http://[::1]:8080" }, credentials = true, methods = { "PUT" },
      headers = { "Authorization" }, expose = { "X-Total" }, max_age = 3600,
    }, cors {
      origins = { "https://*.a.example", "http://localhost:3000", "http://[::1]:8080" }, credentials = true, methods = { "PUT" },
      headers = { "Authorization" }, expose = { "X-Total" }, max_age = "1h",
    })
  end)

  it("refuses origins that no browser sends, or that anybody can be", function()
    local reasons = {
      ["null"] = "everybody could be it", ["a.example"] = "has no scheme", ["https://a.example/"] = "something behind its host",
      ["https://A.example"] = "has capitals", ["https://a.example:443"] = "its scheme's own port", ["https://a@b.example"] = "has a user in it",
      ["https://*.com"] = "top-level domain", ["https://a.*.example"] = "not all of its first label", ["https://"] = "no valid host",
      ["https://a.example:x"] = "no valid port", ["https://*"] = "not all of its first label",
      [""] = "is empty", ["https://a.example?x"] = "behind its host",
    }
    for origin, reason in pairs(reasons) do
      local message = refusal(cors, { origins = { origin } })
      assert.matches("^[%w_./]*access_spec%.lua:%d+: demilune%.app: cors: the origin", message)
      assert.truthy(message:find(reason, 1, true), message)
    end
    assert.matches("cors has no origins", refusal(cors, {}))
  end)

  it("refuses every origin together with credentials", function()
    assert.matches("every page of the web could act in a visitor's name", refusal(cors, { origins = { "*" }, credentials = true }))
    assert.matches('do not take "%*" together with credentials',
      refusal(cors, { origins = { "https://a.example" }, credentials = true, headers = { "*" } }))
    assert.matches('"%*" is every origin', refusal(cors, { origins = { "*", "https://a.example" } }))
    assert.same({ "*" }, cors({ origins = { "*" } }).origins)
    assert.matches('at most "1d"', refusal(cors, { origins = { "*" }, max_age = "2d" }))
  end)

  it("of a router replaces the app's, and false takes it away", function()
    local app = demilune.app { guard = guard.public, cors = { origins = { "https://a.example" } } }
    local open, closed = demilune.router { prefix = "/open", cors = { origins = { "*" } } }, demilune.router { prefix = "/closed", cors = false }
    local plain, inner = demilune.router { prefix = "/plain" }, demilune.router { prefix = "/inner" }
    for _, router in ipairs { app, open, closed, plain, inner } do router:get("/x", handler) end
    app:mount(open)
    closed:mount(inner)
    app:mount(closed)
    app:mount(plain)
    local made = plan.compile(app)
    assert.equal("https://a.example", made.cors.origins[1])
    assert.equal("https://a.example", made.routes[1].cors.origins[1])
    assert.equal("*", made.routes[2].cors.origins[1])
    assert.is_nil(made.routes[3].cors)
    assert.same({ "/closed/inner/x", nil }, { made.routes[4].pattern, made.routes[4].cors })
    assert.same({ "/plain/x", "https://a.example" }, { made.routes[5].pattern, made.routes[5].cors.origins[1] })
  end)
end)
