-- SPDX-License-Identifier: MIT
-- Dependencies over sockets: in which order they are found and ended, and what a client has seen of the response by then.

local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local cjson = require "cjson"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
local events = {}
local function note(what) events[#events + 1] = what end
local function noting(what) return function(ok) note(what .. (ok and " ok" or " failed")) end end
local function both(name) return { finish = noting(name .. " finish"), release = noting(name .. " release") } end

app:get("/events", function() return demilune.array(events) end)
app:get("/forget", function() events = {} end)

-- a diamond: d needs b and c, both need a
local a = app:dependency(function(req) note "a" req.count = (req.count or 0) + 1 return { n = req.count }, both "a" end)
local b = app:dependency({ a = a }, function(_, need) note "b" return { a = need.a }, both "b" end)
local c = app:dependency({ a = a }, function(_, need) note "c" return { a = need.a }, both "c" end)
local d = app:dependency({ b = b, c = c }, function(_, need) note "d" return need.b.a == need.c.a, both "d" end)
app:get("/diamond", { needs = { d = d, a = a } }, function(_, need)
  note "handler"
  return { same = need.d, n = need.a.n }
end)
app:get("/diamond-fails", { needs = { d = d } }, function() note "handler" error("it broke") end)
app:get("/diamond-aborts", { needs = { d = d } }, function() note "handler" demilune.abort(409, "no") end)

-- values
local nothing = app:dependency(function() end)
local falsy = app:dependency(function() return false end)
app:get("/values", { needs = { nothing = nothing, falsy = falsy } }, function(_, need)
  return { nothing = need.nothing == nil, falsy = need.falsy == false }
end)
app:get("/mistyped-need", { needs = { falsy = falsy } }, function(_, need) return { need.fasly == nil } end)
local waiting = app:dependency(function()
  demilune.sleep("20ms")
  return "waited", function(ok) demilune.sleep("20ms") note("waited " .. tostring(ok)) end
end)
app:get("/waiting", { needs = { w = waiting } }, function(_, need) return need.w end)

-- what breaks
local second_breaks = app:dependency({ a = a }, function() note "second" error("second broke") end)
app:get("/second-breaks", { needs = { x = second_breaks } }, function() note "handler" end)
local strange = app:dependency({ a = a }, function() return 1, "not a function" end)
app:get("/strange-ending", { needs = { x = strange } }, function() note "handler" end)
app:get("/bare-problem", function() return nil, "not found" end)
app:get("/bare-verdict", function() return pcall(error, "not found", 0) end)
app:get("/bare-success", function() return pcall(function() return { id = 1 } end) end)
app:get("/needy-verdict", { needs = { a = a } }, function() return false, "not found" end)
app:get("/verified", function() return true, false, false end)
app:get("/bare-status", function() return { id = 1 }, 201 end)
app:get("/bare-pair", function() return 5, "more" end)
app:get("/needy-problem", { needs = { a = a } }, function() return nil, "not found" end)
local mistyped = app:dependency(function() return 1, { finnish = noting "commit", release = noting "mistyped release" } end)
app:get("/mistyped-ending", { needs = { x = mistyped } }, function() note "handler" end)
local called = app:dependency(function() return 1, { finish = "commit" } end)
app:get("/called-ending", { needs = { x = called } }, function() note "handler" end)
local bad_commit = app:dependency({ a = a }, function() return 1, function() note "commit" error("the disk is full") end end)
app:get("/commit-fails", { needs = { x = bad_commit }, status = 201 }, function() note "handler" return { id = 1 } end)
local aborting_commit = app:dependency({ a = a }, function() return 1, function() demilune.abort(409, "somebody was faster") end end)
app:get("/commit-aborts", { needs = { x = aborting_commit }, status = 201 }, function() return { id = 1 } end)
app:get("/commit-fails-after-error", { needs = { x = bad_commit } }, function() demilune.abort(404, "first") end)
local bad_release = app:dependency({ a = a }, function() return 1, { release = function() note "bad release" error("release broke") end } end)
app:get("/release-fails", { needs = { x = bad_release } }, function() return "answered" end)
local yields = app:dependency({ a = a }, function() coroutine.yield() end)
app:get("/yields", { needs = { x = yields } }, function() end)
app:get("/breach", { needs = { a = a }, returns = model.object { id = model.integer() } }, function() return { id = "none" } end)
app:get("/no-json", { needs = { a = a } }, function() return print end)
app:get("/bad-field", { needs = { a = a } }, function() return demilune.response { headers = { ["X-Name"] = "Ada\n" }, body = "made" } end)
app:get("/our-field", { needs = { a = a } }, function() return demilune.response { headers = { Date = "now" }, body = { 1 } } end)
app:get("/no-body", { needs = { a = a }, status = 204 }, function() return { id = 1 } end)
app:get("/no-body-stream", { needs = { a = a } }, function() return demilune.stream(function() end, { status = 204 }) end)
app:get("/changed-status", { needs = { a = a } }, function()
  local answer = demilune.response { status = 200, body = "made" }
  answer.status = 99
  return answer
end)

-- when
local slow = app:dependency(function()
  return 1, { finish = function() demilune.sleep("700ms") note "finish" end, release = function() note "release" end }
end)
app:get("/slow-finish", { needs = { slow = slow } }, function() return "answered" end)
app:get("/big", { needs = { a = a } }, function() return ("x"):rep(30000000) end)
app:get("/stream", { needs = { a = a } }, function()
  note "handler"
  return demilune.stream(function(write)
    for n = 1, 5 do write(tostring(n)) demilune.sleep("100ms") end
    note "stream over"
  end)
end)
app:get("/stream-fails", { needs = { a = a } }, function()
  return demilune.stream(function(write) write("some") demilune.sleep("10ms") error("midway") end)
end)
app:get("/stream-forever", { needs = { a = a } }, function()
  return demilune.stream(function(write) while true do write("x") demilune.sleep("10ms") end end)
end)
app:get("/timeout", { needs = { a = a }, timeout = "300ms" }, function() demilune.sleep(60) end)
return app
]]

describe("dependencies", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)
  before_each(function() running:request("GET", "/forget") end)

  local function get(target) return running:request("GET", target) end
  local function seen() return cjson.decode(get("/events").body) end

  local function expect_events(expected)
    server.wait_until(PATIENCE, function() return #seen() >= #expected end)
    assert.same(expected, seen())
  end

  it("are found once each, deepest first, and ended newest first: all finish, then all release", function()
    assert.same({ n = 1, same = true }, cjson.decode(get("/diamond").body))
    expect_events { "a", "b", "c", "d", "handler", "d finish ok", "c finish ok", "b finish ok", "a finish ok",
      "d release ok", "c release ok", "b release ok", "a release ok" }
  end)

  it("are told that the handler failed, by an error or an abort", function()
    for target, status in pairs { ["/diamond-fails"] = 500, ["/diamond-aborts"] = 409 } do
      running:request("GET", "/forget")
      assert.equal(status, get(target).status)
      expect_events { "a", "b", "c", "d", "handler", "d finish failed", "c finish failed", "b finish failed", "a finish failed",
        "d release failed", "c release failed", "b release failed", "a release failed" }
    end
  end)

  it("may be nil or false, and may wait", function()
    assert.same({ nothing = true, falsy = true }, cjson.decode(get("/values").body))
    assert.equal("waited", get("/waiting").body)
    expect_events { "waited true" }
  end)

  it("that break end those before them, and the handler never runs", function()
    assert.equal(500, get("/second-breaks").status)
    expect_events { "a", "second", "a finish failed", "a release failed" }
    assert.truthy(running:log_line('"level":"error"', "second broke"))
  end)

  it("that yield into nothing end those before them too", function()
    assert.equal(500, get("/yields").status)
    expect_events { "a", "a finish failed", "a release failed" }
  end)

  it("that give a strange ending say so", function()
    assert.equal(500, get("/strange-ending").status)
    expect_events { "a", "a finish failed", "a release failed" }
    assert.truthy(running:log_line("finish function", "app.lua:"))
  end)

  it("are no nil under a name that there is not", function()
    assert.equal(500, get("/mistyped-need").status)
    assert.truthy(running:log_line("app.lua:", ": there is no need.fasly; did you mean need.falsy? GET /mistyped-need needs falsy"))
  end)

  it("fail with a handler that gives a problem or a status behind its value, which nobody would be told", function()
    assert.equal(500, get("/bare-problem").status)
    assert.truthy(running:log_line("demilune.abort(404", "bare-problem"))
    assert.equal(500, get("/bare-status").status)
    assert.truthy(running:log_line("demilune.response { status = 201", "bare-status"))
    for _, target in ipairs { "/bare-verdict", "/bare-success" } do assert.equal(500, get(target).status) end
    assert.truthy(running:log_line("as pcall does", "bare-verdict"))
    assert.same({ 200, "true" }, { get("/verified").status, get("/verified").body })
    assert.same({ 200, "5" }, { get("/bare-pair").status, get("/bare-pair").body })
    for _, target in ipairs { "/needy-problem", "/needy-verdict" } do
      running:request("GET", "/forget")
      assert.equal(500, get(target).status)
      expect_events { "a", "a finish failed", "a release failed" }
    end
  end)

  it("that mistype how they end run no handler, and end what they said", function()
    assert.equal(500, get("/mistyped-ending").status)
    expect_events { "mistyped release failed" }
    assert.truthy(running:log_line("finish function", "finnish"))
    assert.equal(500, get("/called-ending").status)
    assert.truthy(running:log_line("finish function", "its finish is"))
  end)

  it("make the response a 500 when a commit fails, and tell the others", function()
    local response = get("/commit-fails")
    assert.equal(500, response.status)
    assert.is_nil(response.body:find("disk", 1, true))
    expect_events { "a", "handler", "commit", "a finish failed", "a release failed" }
    assert.truthy(running:log_line('"level":"error"', "the disk is full"))
  end)

  it("make the response what a commit aborts with", function()
    local response = get("/commit-aborts")
    assert.equal(409, response.status)
    assert.equal('{"detail":"somebody was faster"}', response.body)
  end)

  it("keep the first failure when a finish fails after it, and log the second", function()
    local response = get("/commit-fails-after-error")
    assert.equal(404, response.status)
    assert.truthy(running:log_line("a dependency's finish failed after the request had failed", "the disk is full"))
  end)

  it("learn of a value that is no response before they commit", function()
    for _, target in ipairs { "/breach", "/no-json" } do
      running:request("GET", "/forget")
      assert.equal(500, get(target).status)
      expect_events { "a", "a finish failed", "a release failed" }
    end
  end)

  it("learn of a response that cannot be sent before they commit", function()
    for _, target in ipairs { "/bad-field", "/our-field", "/no-body", "/no-body-stream", "/changed-status" } do
      running:request("GET", "/forget")
      assert.equal(500, get(target).status, target)
      expect_events { "a", "a finish failed", "a release failed" }
    end
    assert.truthy(running:log_line("holds a character that a header cannot"))
  end)

  it("may fail to release: the answer stands, the rest is released, the worker goes on", function()
    local connection = running:connect()
    assert.equal("answered", connection:request("GET", "/release-fails").body)
    assert.equal("answered", connection:request("GET", "/release-fails").body)
    connection:close()
    expect_events { "a", "a finish ok", "bad release", "a release ok", "a", "a finish ok", "bad release", "a release ok" }
    assert.truthy(running:log_line("a function that ran after the response failed", "release broke"))
  end)

  it("finish before the first byte leaves", function()
    local connection = running:connect(PATIENCE)
    connection:send("GET /slow-finish HTTP/1.1\r\nHost: a\r\n\r\n")
    local bytes = connection:read(0.2)
    assert.is_true(bytes == "" or seen()[1] == "finish", bytes)
    connection.buffer = bytes
    assert.equal("answered", connection:receive().body)
    assert.equal("finish", seen()[1])
    connection:close()
  end)

  it("release after the last byte: not while a client still has to take it", function()
    local connection = http.connect_narrow(running.port, PATIENCE)
    connection:send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    server.wait_until(PATIENCE, function() return #seen() >= 2 end)
    socket.sleep(0.3)
    assert.same({ "a", "a finish ok" }, seen())
    assert.equal(30000000, #connection:receive().body)
    expect_events { "a", "a finish ok", "a release ok" }
    connection:close()
  end)

  it("release once the client is gone, too", function()
    local connection = http.connect_narrow(running.port, PATIENCE)
    connection:send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    server.wait_until(PATIENCE, function() return #seen() >= 2 end)
    connection:close(true)
    expect_events { "a", "a finish ok", "a release ok" }
  end)

  it("finish before a stream begins, and release when it ends", function()
    assert.equal("12345", get("/stream").body)
    expect_events { "a", "handler", "a finish ok", "stream over", "a release ok" }
  end)

  it("are told when a stream fails", function()
    local connection = running:connect(PATIENCE)
    connection:send("GET /stream-fails HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_nil(connection:read_rest():find("\r\n0\r\n\r\n", 1, true)) -- nobody takes it for whole
    connection:close()
    expect_events { "a", "a finish ok", "a release failed" }
  end)

  it("are released when a stream's client goes away", function()
    local connection = running:connect(PATIENCE)
    connection:send("GET /stream-forever HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_true(#connection:read() > 0)
    connection:close(true)
    expect_events { "a", "a finish ok", "a release failed" }
  end)

  it("are ended when the deadline passes", function()
    assert.equal(504, get("/timeout").status)
    expect_events { "a", "a finish failed", "a release failed" }
  end)
end)
