-- SPDX-License-Identifier: MIT
-- Memory and descriptors: flat over tens of thousands of requests of every kind, small when nothing happens.

local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local KIB, MIB = 1024, 1024 * 1024

local SANITIZED = server.is_sanitized()

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public, limits = { max_body = 50000 } }
local db = app:database "sqlite::memory:"
local add = db:statement([=[INSERT OR REPLACE INTO things (id, name) VALUES (:id, :name) RETURNING id, name]=])
local all = db:statement [=[SELECT id, name FROM things]=]
local Thing = model "Thing" { id = model.integer { ge = 1, le = 50 }, name = model.string { min_length = 1 } }
local held = app:dependency(function(req)
  req:after_response(function() end)
  return { finish = 1 }, { finish = function() end, release = function() end }
end)
app:get("/", function() return "root" end)
app:get("/json/{id}", { path = { id = model.integer() }, query = { tag = model.array(model.string(), { default = {} }) } }, function(req)
  return { id = req.path.id, tag = req.query.tag, header = req.header["x-one"] }
end)
app:post("/things", { body = Thing, returns = Thing, status = 201 }, function(req) return add:one(req.body) end)
app:get("/things", { returns = model.array(Thing) }, function() return all:many() end)
app:post("/transaction", function()
  return db:transaction(function() add:one { id = 1, name = "x" } error("rolled back") end)
end)
app:post("/form", { form = { a = model.integer() } }, function(req) return req.form end)
app:post("/echo", function(req) return req.body end)
app:get("/held", { needs = { held = held } }, function() return "held" end)
app:get("/held-error", { needs = { held = held } }, function() error("on purpose") end)
app:get("/error", function() error { "a table", { with = "more" } } end)
app:get("/abort", function() demilune.abort(409, { list = { 1, 2, 3 } }, { ["X-A"] = "a" }) end)
app:get("/breach", { returns = Thing }, function() return { id = "none" } end)
app:get("/sleep", function() demilune.sleep("1ms") return "slept" end)
app:get("/late", { timeout = "1ms" }, function() demilune.sleep("300ms") return "late" end)
app:get("/stream", function() return demilune.stream(function(write) for n = 1, 10 do write(("x"):rep(n * 100)) end end) end)
app:get("/stream-error", function() return demilune.stream(function(write) write("x") error("midway") end) end)
app:get("/spawn", function() demilune.spawn(function() demilune.sleep("1ms") end) return "spawned" end)
app:get("/large", function() return ("x"):rep(100000) end)
app:get("/cookies", { cookie = { a = model.string() } }, function(req) return req.cookie end)
app:get("/coroutine", function() return coroutine.wrap(function() return "inside" end)() end)
app:get("/yield", function() coroutine.yield() end)
return app
]]
local FILES = { ["app.lua"] = APP, ["migrations/0001_things.sql"] = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL);" }

local function request(method, target, body, fields)
  local lines = { method .. " " .. target .. " HTTP/1.1", "Host: a" }
  for name, value in pairs(fields or {}) do lines[#lines + 1] = name .. ": " .. value end
  if body then lines[#lines + 1] = "Content-Length: " .. #body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

local JSON = { ["Content-Type"] = "application/json" }
local FORM = { ["Content-Type"] = "application/x-www-form-urlencoded" }

-- What keeps the connection, with the status it must have.
local KEEPING = {
  { 200, request("GET", "/") }, { 200, request("HEAD", "/") },
  { 200, request("GET", "/json/5?tag=a&tag=b", nil, { ["X-One"] = "1" }) }, { 422, request("GET", "/json/five") },
  { 404, request("GET", "/nothing/here") }, { 405, request("PATCH", "/things") }, { 204, request("OPTIONS", "/things") },
  { 201, request("POST", "/things", '{"id":7,"name":"seven"}', JSON) },
  { 422, request("POST", "/things", '{"id":70,"more":[1,{"a":2}]}', JSON) }, { 422, request("POST", "/things", "{broken", JSON) },
  { 415, request("POST", "/things", "a=1", FORM) }, { 200, request("GET", "/things") }, { 500, request("POST", "/transaction", "") },
  { 200, request("POST", "/form", "a=5", FORM) }, { 422, request("POST", "/form", "a=x&b=1", FORM) },
  { 200, request("POST", "/echo", ("x"):rep(40000)) },
  { 200, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" },
  { 200, request("GET", "/held") }, { 500, request("GET", "/held-error") }, { 500, request("GET", "/error") },
  { 409, request("GET", "/abort") }, { 500, request("GET", "/breach") }, { 200, request("GET", "/sleep") },
  { 200, request("GET", "/stream") }, { 200, request("GET", "/spawn") }, { 200, request("GET", "/large") },
  { 200, request("GET", "/cookies", nil, { Cookie = "a=b; c=d" }) }, { 422, request("GET", "/cookies") },
  { 200, request("GET", "/coroutine") }, { 500, request("GET", "/yield") },
}

-- What the server closes behind, and clients that leave in the middle.
local ENDING = {
  "GET / HTTP/1.1\nHost: a\r\n\r\n", request("POST", "/echo", nil, { ["Content-Length"] = "600000" }),
  "GET /" .. ("x"):rep(9000) .. " HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", request("GET", "/", nil, { Connection = "close" }),
  request("GET", "/stream-error"),
}
local LEAVING = {
  "GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", request("GET", "/sleep"), request("GET", "/large"),
  request("GET", "/stream"),
}

-- Every kind once; gives how many requests that were.
local function play(running)
  local connection = running:connect(PATIENCE)
  for first = 1, #KEEPING, 10 do
    local last, bytes = math.min(first + 9, #KEEPING), {}
    for index = first, last do bytes[#bytes + 1] = KEEPING[index][2] end
    connection:send(table.concat(bytes))
    for index = first, last do
      local response, why = connection:receive(KEEPING[index][2]:match("^%u+"))
      assert.equal(KEEPING[index][1], response and response.status or why, KEEPING[index][2]:sub(1, 60))
    end
  end
  connection:close()
  for _, bytes in ipairs(ENDING) do
    connection = running:connect(PATIENCE)
    connection:send(bytes)
    local _, why = connection:read_rest()
    assert.equal("closed", why, bytes:sub(1, 60))
    connection:close()
  end
  for index, bytes in ipairs(LEAVING) do
    connection = running:connect(PATIENCE)
    connection:send(bytes)
    connection:close(index % 2 == 0)
  end
  return #KEEPING + #ENDING + #LEAVING
end

describe("a worker", function()
  local running
  setup(function()
    running = server.start(FILES, { env = server.frugal(), visible = true })
  end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log:sub(-5000))
  end)

  it("needs no more memory and no more descriptors after 20,000 requests of every kind", function()
    local function play_many(count)
      local played = 0
      while played < count do played = played + play(running) end
      for _ = 1, 3 do assert.equal(504, running:request("GET", "/late").status) end
    end
    play_many(5000)
    local idle, before = (running:holdings()), running:resident_bytes()
    play_many(20000)
    local grown = running:resident_bytes() - before
    assert.is_true(grown < (SANITIZED and 16 or 6) * MIB, ("grew by %.1f MiB"):format(grown / MIB))
    assert.is_true(server.wait_until(PATIENCE, function() return running:holdings() <= idle + 2 end), running:holdings() .. " of " .. idle)
  end)
end)

describe("an idle worker", function()
  if SANITIZED then
    pending("is under 12 MiB, and under 8 KiB for each idle connection: not measured under a sanitizer")
    return
  end

  it("is under 12 MiB, and under 8 KiB for each idle connection", function()
    local running = server.start(FILES)
    local idle = running:resident_bytes()
    assert.is_true(idle < 12 * MIB, ("%.1f MiB"):format(idle / MIB))
    running:request("GET", "/")
    local connections, before = {}, running:resident_bytes()
    for n = 1, 900 do
      connections[n] = running:connect(PATIENCE)
      assert.equal("root", connections[n]:request("GET", "/").body)
    end
    local each = (running:resident_bytes() - before) / #connections
    assert.is_true(each < 8 * KIB, ("%.1f KiB"):format(each / KIB))
    for _, connection in ipairs(connections) do connection:close() end
    assert.equal(0, (running:stop()))
  end)

  it("does not keep the room that one large answer took", function()
    local running = server.start [[
      local demilune = require "demilune"
      local app = demilune.app { guard = demilune.guard.public }
      local part, list = ("x"):rep(1024 * 1024), {}
      for n = 1, 64 do list[n] = part end
      app:get("/", function() return list end)
      return app
    ]]
    local before = running:resident_bytes()
    assert.is_true(#running:request("GET", "/").body > 64 * MIB)
    assert.truthy(server.wait_until(PATIENCE, function() return running:resident_bytes() < before + 16 * MIB end))
    assert.equal(0, (running:stop()))
  end)
end)

describe("a worker whose clients have left", function()
  if SANITIZED then return pending("keeps nothing of what they sent: not measured under a sanitizer") end

  it("keeps nothing of what they sent, though all of it came at a time", function()
    local running = server.start [[
      local demilune = require "demilune"
      local app = demilune.app { guard = demilune.guard.public }
      app:get("/", function() return "root" end)
      app:post("/echo", function(req) return req.body end)
      return app
    ]]
    assert.equal("root", running:request("GET", "/").body)
    local senders, before = {}, running:resident_bytes()
    for n = 1, 600 do
      senders[n] = running:connect(PATIENCE)
      senders[n]:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65000\r\n\r\n" .. ("x"):rep(64000))
    end
    local function taken() return running:resident_bytes() > before + 30 * MIB end
    assert.is_true(server.wait_until(PATIENCE, taken))
    for n = #senders, 1, -1 do senders[n]:close() end
    local function given_back() return running:resident_bytes() < before + 6 * MIB end
    assert.is_true(server.wait_until(PATIENCE, given_back), ("%.1f MiB"):format((running:resident_bytes() - before) / MIB))
    assert.equal(0, (running:stop()))
  end)
end)

describe("a text that speaks of memory", function()
  it("makes no worker collect all that it holds, in whatever error a handler puts it", function()
    local running = server.start [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local seen = setmetatable({}, { __mode = "k" })
app:post("/refuse", { body_kind = "text" }, function(req)
  seen[{}] = true
  error("there is no plan named " .. req.body)
end)
app:get("/seen", function() return next(seen) ~= nil end)
return app
]]
    local kept = false
    for _ = 1, 5 do -- now and then the collector comes by of its own
      local options = { headers = { ["Content-Type"] = "text/plain" }, body = "not enough memory" }
      assert.equal(500, running:request("POST", "/refuse", options).status)
      kept = kept or running:request("GET", "/seen").body == "true"
    end
    assert.is_true(kept)
    running:stop()
  end)
end)
