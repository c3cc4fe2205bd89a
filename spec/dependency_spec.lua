-- SPDX-License-Identifier: MIT
-- Dependencies: the order they are resolved in, what a handler gets, and how what
-- they hold ends, whatever fails.

local core = require("spec.support.core").install()
local dependency = require "demilune.dependency"
local response = require "demilune.response"

local events, releases, req

local function note(text) events[#events + 1] = text end

-- A request that remembers what is to be released, as the core's does.
local function new_request()
  releases = {}
  return { release = function(_, fn) releases[#releases + 1] = fn end }
end

-- A dependency that notes when it is resolved and when it finishes.
local function noting(name, needs, ending)
  return dependency.new(needs or {}, function()
    note("open " .. name)
    return name, ending or function(ok) note(("finish %s %s"):format(name, tostring(ok))) end
  end)
end

local function compile(handler, needs) return dependency.compile(handler, needs, "app.lua:1", "GET /x") end

before_each(function()
  events, req = {}, new_request()
  core.logged = {}
end)

describe("a handler without needs", function()
  it("is run as it is", function()
    local handler = function() end
    assert.equal(handler, compile(handler, nil))
    assert.equal(handler, compile(handler, {}))
  end)
end)

describe("needs", function()
  it("reach the handler by name, with the request", function()
    local clock = dependency.new(function(given) return given == req and "now" end)
    local run = compile(function(given, need) return given == req and need.time .. need.name end,
      { time = clock, name = dependency.new(function() return "ada" end) })
    assert.equal("nowada", run(req))
  end)

  it("are resolved once per request, however many need them", function()
    local count = 0
    local session = dependency.new(function() count = count + 1; return count end)
    local user = dependency.new({ session = session }, function(_, need) return need.session * 10 end)
    local run = compile(function(_, need) return need.user + need.session end, { user = user, session = session })
    assert.equal(11, run(req))
    assert.equal(22, run(req))
  end)

  it("come before what needs them", function()
    local a = noting "a"
    local b = noting("b", { a = a })
    local c = noting("c", { b = b, a = a })
    compile(function() note "handle" end, { c = c })(req)
    assert.same({ "open a", "open b", "open c", "handle", "finish c true", "finish b true", "finish a true" }, events)
  end)

  it("may be nil or false", function()
    local nothing, no = dependency.new(function() end), dependency.new(function() return false end)
    assert.same({ false }, { compile(function(_, need) return need.nothing == nil and need.no end, { nothing = nothing, no = no })(req) })
  end)

  it("are an error to read by a name that there is not, told where it is read", function()
    local user, none = dependency.new(function() return "ada" end), dependency.new(function() end)
    local function problem(handler, needs, asked)
      local ok, message = pcall(dependency.compile(handler, needs, "app.lua:1", "GET /x", asked), req)
      assert.is_false(ok)
      return message:match "[^\n]+"
    end
    local function reads(name) return function(_, need) return need[name] end end
    local here = "dependency_spec%.lua:%d+: there is no need%."
    assert.matches(here .. "usr; did you mean need%.user%? GET /x needs note, user$", problem(reads "usr", { user = user, note = none }))
    assert.matches(here .. "principal; GET /x needs user$", problem(reads "principal", { user = user }))
    assert.matches(here .. "user; GET /x needs nothing$", problem(reads "user", nil, { owners = { function(_, need) return need.user == nil end } }))
    local asks = dependency.new({ session = none }, function(_, need) return need.session, need.user end)
    assert.matches(here .. "user; the dependency at %S+dependency_spec%.lua:%d+ needs session$", problem(reads "user", { user = asks }))
    local asks_early = dependency.new(function(_, need) return need.user end)
    assert.matches(here .. "user; the dependency at %S+dependency_spec%.lua:%d+ needs nothing$", problem(reads "user", { user = asks_early }))
  end)

  it("are not one to whom routes of other needs share, as a limit or an owner of theirs", function()
    local seen
    local function owner(_, need) seen = need.note; return true end
    local run = dependency.compile(function() return "read" end, { user = dependency.new(function() return "ada" end) }, "app.lua:1", "GET /x",
      { owners = { owner } })
    assert.equal("read", run(req))
    assert.is_nil(seen)
  end)

  it("stop the request when they abort", function()
    local late = noting "late"
    local user = dependency.new({ late = late }, function() response.abort(401, "User not found") end)
    local ok, problem = pcall(compile(function() note "handle" end, { user = user }), req)
    assert.is_false(ok)
    assert.same({ 401, "User not found", core.abort_type }, { problem.status, problem.detail, getmetatable(problem) })
    assert.same({ "open late", "finish late false" }, events)
  end)
end)

describe("what a dependency holds", function()
  it("is told that the handler failed, and the error stays the handler's", function()
    local ok, problem = pcall(compile(function() error("broken", 0) end, { a = noting "a" }), req)
    assert.is_false(ok)
    assert.matches("^broken\n", problem)
    assert.same({ "open a", "finish a false" }, events)
  end)

  it("makes the response fail when it fails to finish, and the older ones hear of it", function()
    local a = noting "a"
    local b = noting("b", { a = a }, function() error("the commit failed", 0) end)
    local ok, problem = pcall(compile(function() return "created" end, { b = b }), req)
    assert.is_false(ok)
    assert.matches("^the commit failed", problem)
    assert.same({ "open a", "open b", "finish a false" }, events)
    assert.same({}, core.logged)
  end)

  it("ends whole though several parts fail; later failures are logged", function()
    local a = noting("a", {}, function() error("a failed", 0) end)
    local b = noting("b", { a = a }, function() error("b failed", 0) end)
    local c = noting("c", { b = b })
    local ok, problem = pcall(compile(function() end, { c = c }), req)
    assert.is_false(ok)
    assert.matches("^b failed", problem)
    assert.same({ "open a", "open b", "open c", "finish c true" }, events)
    assert.equal(1, #core.logged)
    assert.matches("^a failed", core.logged[1].fields.error)
  end)

  it("may end with an answer of its own", function()
    local a = noting("a", {}, function() response.abort(409, "Somebody was faster") end)
    local _, problem = pcall(compile(function() end, { a = a }), req)
    assert.equal(409, problem.status)
  end)

  it("is released by the request, not before the response", function()
    local lock = dependency.new(function()
      return "lock", { finish = function(ok) note("finish " .. tostring(ok)) end, release = function(ok) note("release " .. tostring(ok)) end }
    end)
    compile(function() note "handle" end, { lock = lock })(req)
    assert.same({ "handle", "finish true" }, events)
    releases[1](true)
    assert.equal("release true", events[3])
  end)

  it("is released though the handler failed", function()
    local lock = dependency.new(function() return "lock", { release = function() end } end)
    pcall(compile(function() error("broken") end, { lock = lock }), req)
    assert.equal(1, #releases)
  end)

  it("must be a function or a table of two", function()
    local odd = dependency.new(function() return "value", "close" end)
    local _, problem = pcall(compile(function() end, { odd = odd }), req)
    assert.matches('dependency_spec%.lua:%d+: a dependency gives its value and, if it holds something, a finish function.*"close"', problem)
  end)

  it("waits for a finish that waits", function()
    local a = noting("a", {}, function() note(coroutine.yield("waiting")) end)
    local thread = coroutine.create(compile(function() return "result" end, { a = a }))
    assert.same({ true, "waiting" }, { coroutine.resume(thread, req) })
    assert.same({ true, "result" }, { coroutine.resume(thread, "committed") })
    assert.same({ "open a", "committed" }, events)
  end)
end)

describe("a dependency's needs", function()
  it("are dependencies and guards by name, also where nobody needs it", function()
    for problem, needs in pairs {
      ["app:dependency: need user must be a guard or what app:dependency gave, not 5"] = { user = 5 },
      ["app:dependency: every need wants a name, such as needs = { user = current_user }"] = { function() end },
    } do
      local ok, message = pcall(dependency.new, needs, function() end)
      assert.is_false(ok)
      assert.matches(problem, message, 1, true)
    end
  end)
end)

describe("a circle of dependencies", function()
  it("is refused at load, by name", function()
    local needs = {}
    local a = dependency.new(needs, function() end)
    local b = dependency.new({ session = a }, function() end)
    needs.user = b
    local ok, problem = pcall(compile, function() end, { account = a })
    assert.is_false(ok)
    assert.matches("a dependency needs itself: account needs user needs session; take one of these needs out", problem, 1, true)
  end)
end)

describe("a dependency that is none", function()
  local function refusal(...)
    local ok, message = pcall(...)
    assert.is_false(ok)
    return (message:gsub("^%S+ ", "", 1))
  end

  it("is refused where it is declared", function()
    assert.matches("^a dependency must be a function, not \"x\"", refusal(function() dependency.new({}, "x") end))
    assert.matches("^a dependency's needs must be a table of names, not 3", refusal(function() dependency.new(3, print) end))
    assert.matches("^GET /x: need user must be a guard or what app:dependency gave, not a function",
      refusal(function() compile(print, { user = print }) end))
  end)
end)
