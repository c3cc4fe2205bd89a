-- SPDX-License-Identifier: MIT
-- Idempotent routes over sockets: how often the handler ran is counted in the database that also keeps the answers.

local cjson = require "cjson"
local clock = require "spec.support.clock"
local jwt = require "spec.support.jwt"
local server = require "spec.support.server"
local socket = require "socket"

require("spec.support.core").install()
local MIGRATION = require("demilune.idempotency_store").migration

local PATIENCE = 20 -- seconds
local HOUR = 3600
local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret(), OTHER_SECRET = model.secret() }
local bearer = guard.bearer { secret = settings.SECRET, lifetime = "30m", roles = { "user", "admin" } }
local keys = guard.api_key { keys = { robot = { secret = settings.SECRET } } }
local app = demilune.app { guard = bearer }
local db = app:database("sqlite:orders.db", { transaction_ms = 60000 })
app:idempotency { database = db, keep = "24h" }

local begin = db:statement [=[INSERT INTO runs (what) VALUES (:what)]=]
local runs = db:statement [=[SELECT count(*) FROM runs WHERE what = :what]=]
local release = db:statement [=[INSERT INTO released (what) VALUES (:what)]=]
local is_released = db:statement [=[SELECT count(*) FROM released WHERE what = :what]=]

local Order = { what = model.string { max_length = 40 }, how = model.string { default = "" } }
local how = {}
function how.wait(what) repeat demilune.sleep("10ms") until is_released:value { what = what } > 0 end
function how.turns(what)
  local turn = runs:value { what = what }
  repeat demilune.sleep("10ms") until is_released:value { what = what } >= turn
end
function how.fail() error "nobody is to read this" end
function how.abort() demilune.abort(402, { why = "no money" }, { ["X-Bank"] = "empty" }) end
function how.nothing() return demilune.response { status = 204 } end
function how.stream() return demilune.stream(function(write) write "a" end) end
function how.bytes() return demilune.response { status = 202, body = "\0\255\r\n", headers = {
  ["Content-Type"] = "application/x-bytes", ["Set-Cookie"] = { "a=1", "b=2" }, ["X-Order"] = "yes" } } end
function how.large() return demilune.response { body = ("x"):rep(3000000) } end
function how.too_large() return demilune.response { body = ("x"):rep(17 * 1024 * 1024) } end
function how.unkept() return demilune.response { status = 299 } end

local function order(req)
  local what = req.body.what
  begin:run { what = what }
  req:release(function(ok) demilune.log.info("released", { what = what, ok = ok }) end)
  local made = how[req.body.how] and how[req.body.how](req.body.what)
  return made or { what = req.body.what, number = runs:value { what = req.body.what }, at = demilune.random.hex(8) }
end
app:post("/orders", {
  guard = guard.any { bearer, keys }, idempotent = true, body = Order, status = 201, headers = { ["X-Route"] = "orders" },
}, order)
local partners = guard.bearer { secret = settings.OTHER_SECRET, lifetime = "30m" }
app:post("/shared", { guard = guard.any { bearer, partners }, idempotent = true, body = Order, limit = { rate = "2/day", by = "principal" } }, order)
app:patch("/orders", { idempotent = true, body = Order }, order)
app:post("/later", { idempotent = "optional", body = Order }, order)
app:post("/short", { idempotent = true, timeout = "2s", body = Order }, function(req)
  begin:run { what = req.body.what }
  if req.body.how == "stubborn" then while true do pcall(demilune.sleep, 60) end end
  demilune.sleep(60)
end)
app:post("/admin", { guard = guard.role("admin", bearer), idempotent = true, body = Order }, order)
app:post("/limited", { idempotent = true, limit = { rate = "1/day", by = "principal" }, body = Order }, order)
local finished = app:dependency(function(req)
  if req.header.x_mine == "no" then demilune.abort(403) end
  return true, function() if req.header.x_mine == "late" then error "the commit fails" end end
end)
app:post("/needing", { idempotent = true, needs = { mine = finished }, body = Order, header = { x_mine = model.string { optional = true } } },
  function(req, need) return order(req, need) end)
app:post("/raw", { idempotent = true }, function(req) begin:run { what = "raw" } return req.body end)

app:post("/capped", { idempotent = true, limit = { rate = "2/day", by = function() return "all" end }, body = Order }, order)
local declined = 0
app:post("/declining", { idempotent = true, body = Order }, function()
  declined = declined + 1
  demilune.abort(503, "not today")
end)
app:get("/declined", { guard = guard.public }, function() return declined end)
app:get("/runs/{what}", { guard = guard.public }, function(req) return runs:value { what = req.path.what } end)
app:post("/release/{what}", { guard = guard.public }, function(req) release:run { what = req.path.what } return "released" end)
local held = false -- nobody else writes meanwhile
app:post("/hold", { guard = guard.public }, function()
  db:transaction(function() held = true repeat demilune.sleep("10ms") until not held end)
  return "let go"
end)
local goods = app:database("sqlite:goods.db", { migrations = "goods", queue_ms = 50, transaction_ms = 60000 })
local take = goods:statement [=[INSERT INTO taken (what) VALUES (:what)]=]
local taken = goods:statement [=[SELECT count(*) FROM taken WHERE what = :what]=]
local letters = app:database("sqlite:letters.db", { migrations = "letters" })
local write = letters:statement [=[INSERT INTO letters (what) VALUES (:what)]=]
local letters_of = letters:statement [=[SELECT count(*) FROM letters WHERE what = :what]=]
app:post("/take", { idempotent = true, body = Order, status = 201 }, function(req)
  if req.body.how == "order" then begin:run { what = req.body.what } end
  local function both()
    begin:run { what = req.body.what }
    if req.body.how == "letter" then write:run { what = req.body.what } end
    if req.body.how == "post" then demilune.spawn(function() write:run { what = req.body.what } end) end
    take:run { what = req.body.what }
  end
  if req.body.how == "undo" or req.body.how == "letter" or req.body.how == "post" then db:transaction(both)
  else goods:transaction(function() take:run { what = req.body.what } end) end
  return { number = taken:value { what = req.body.what } }
end)
app:post("/hold-goods", { guard = guard.public }, function()
  goods:transaction(function() held = true repeat demilune.sleep("10ms") until not held end)
  return "let go"
end)
app:get("/letters/{what}", { guard = guard.public }, function(req) return letters_of:value { what = req.path.what } end)
app:get("/held", { guard = guard.public }, function() return tostring(held) end)
app:post("/let-go", { guard = guard.public }, function() held = false return "soon" end)
app:get("/now", { guard = guard.public }, function() return ("%d"):format(demilune.now()) end)
return app
]]

local FILES = {
  ["app.lua"] = APP,
  ["migrations/0001_runs.sql"] = "CREATE TABLE runs (what TEXT NOT NULL);\nCREATE TABLE released (what TEXT NOT NULL);\n",
  ["migrations/0002_idempotency_keys.sql"] = MIGRATION,
  ["letters/0001_letters.sql"] = "CREATE TABLE letters (what TEXT NOT NULL);\n",
  ["goods/0001_taken.sql"] = "CREATE TABLE taken (what TEXT NOT NULL);\n",
  -- A disk that is full for one answer, and for all keys while "full" was released an odd number of times.
  ["migrations/0003_full.sql"] = [[
CREATE TRIGGER full BEFORE UPDATE ON idempotency_keys WHEN NEW.status = 299
BEGIN SELECT raise(ABORT, 'database or disk is full'); END;
CREATE TRIGGER full_for_all BEFORE INSERT ON idempotency_keys WHEN (SELECT count(*) FROM released WHERE what = 'full') % 2 = 1
BEGIN SELECT raise(ABORT, 'database or disk is full'); END;
]],
}

local OTHER_SECRET = "c1d0835aa1c67f2c9b61e0d4f09e42b8"

local function token(subject, roles, secret)
  local now = os.time()
  return "Bearer " .. jwt.sign('{"alg":"HS256","typ":"JWT"}',
    ('{"sub":"%s","roles":%s,"iat":%d,"exp":%d}'):format(subject, roles or '["user"]', now, now + 1500), secret or SECRET)
end
local ADA = token "ada"

describe("an idempotent route", function()
  local running, folder, data, time

  local function start(options)
    options = options or {}
    options.env, options.data = options.env or {}, data
    options.env.SECRET, options.env.OTHER_SECRET = SECRET, OTHER_SECRET
    running = server.start(folder, options)
  end

  -- With a clock that the test moves.
  local function start_with_clock()
    time = clock.new(data)
    start { env = time:environment() }
  end

  local function jump(ahead)
    time:jump(ahead, function() return running:request("GET", "/now").body end)
  end

  before_each(function()
    folder, data = server.write_app(FILES), server.make_folder()
  end)
  after_each(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    server.remove_folder(data)
    assert(status == 0, log)
  end)

  local function request(key, what, given)
    given = given or {}
    local headers = { ["Content-Type"] = given.type or "application/json", ["Idempotency-Key"] = key }
    if given.who ~= false then headers.Authorization = given.who or ADA end
    for name, value in pairs(given.headers or {}) do headers[name] = value end
    return given.method or "POST", given.path or "/orders", { headers = headers, host = given.host,
      body = given.body or cjson.encode { what = what, how = given.how } }
  end
  local function ask(key, what, given) return running:request(request(key, what, given)) end
  -- The same as bytes, for a connection that is not waited for.
  local function written(key, what, given)
    local method, path, options = request(key, what, given)
    local lines = { method .. " " .. path .. " HTTP/1.1", "Host: 127.0.0.1", "Content-Length: " .. #options.body }
    for name, value in pairs(options.headers) do lines[#lines + 1] = name .. ": " .. value end
    return table.concat(lines, "\r\n") .. "\r\n\r\n" .. options.body
  end
  local function runs(what) return tonumber(running:request("GET", "/runs/" .. what).body) end
  local function detail(response) return cjson.decode(response.body).detail end

  -- All that two copies of an answer have in common: everything but the moment, what is left of a limit then, and that one is a copy.
  local function same_answer(first, again)
    assert.equal("true", again.headers["idempotent-replayed"])
    assert.is_nil(first.headers["idempotent-replayed"])
    local function stable(response)
      return (response.head:gsub("\r\nDate: [^\r]*", ""):gsub("\r\nRateLimit: [^\r]*", ""):gsub("\r\nIdempotent%-Replayed: true", ""))
    end
    assert.equal(stable(first), stable(again))
    assert.equal(first.body, again.body)
  end

  it("runs its handler once, and gives the same answer again, byte for byte, whatever it was", function()
    start()
    local statuses = { [""] = 201, fail = 500, abort = 402, nothing = 204, bytes = 202, large = 201, stream = 500, too_large = 500 }
    for how, status in pairs(statuses) do
      local key, what = '"key-' .. how .. '"', "w" .. how
      local first = ask(key, what, { how = how })
      assert.equal(status, first.status, how)
      assert.equal("orders", first.headers["x-route"])
      for _ = 1, 2 do same_answer(first, ask(key, what, { how = how })) end
      assert.equal(1, runs(what), how)
    end
    local cookies = select(2, ask('"key-bytes"', "wbytes", { how = "bytes" }).head:gsub("\r\nSet%-Cookie: ", ""))
    assert.equal(2, cookies)
  end)

  it("takes a key with quotes and without, one field of it, and nothing else", function()
    start()
    local first = ask("8e03978e-40d5-43e8-bc93-6894a57f9324", "uuid")
    same_answer(first, ask('"8e03978e-40d5-43e8-bc93-6894a57f9324"', "uuid"))
    same_answer(ask([["a\"b\\c d,;"]], "escaped"), ask([["a\"b\\c d,;"]], "escaped"))
    assert.equal(201, ask(("k"):rep(255), "long").status)
    local bad = { "", '""', '"', '"a', 'a"', '"a"b', '"a";p=1', "a b", "a,b", '"a", "b"', "a;b", "\\", [["\x"]], '"\t"', '"\195\164"', "\195\164",
      ("k"):rep(256), '"' .. ("k"):rep(256) .. '"' }
    for _, key in ipairs(bad) do
      local response = ask(key, "bad")
      assert.equal(400, response.status, key)
      assert.matches("Idempotency%-Key", detail(response))
    end
    -- Two halves of one string in two fields.
    local method, path, options = request('"a', "bad")
    options.headers["idempotency-key"] = 'b"'
    assert.equal(400, running:request(method, path, options).status)
    local none = ask(nil, "bad")
    assert.same({ 400, 0 }, { none.status, runs "bad" })
    assert.matches("needs an Idempotency%-Key", detail(none))
  end)

  it("refuses a key that was used for another request, and lets its route, method and owner each have their own", function()
    start()
    assert.equal(201, ask('"k"', "one").status)
    for _, other in ipairs { { what = "two" }, { path = "/orders?again" }, { type = "application/json; charset=utf-8" }, { host = "else.example" },
      { who = token("ada", '["user","admin"]') }, { body = '{"what": "one"}' } } do
      local response = ask('"k"', other.what or "one", other)
      assert.equal(422, response.status)
      assert.same({ type = "idempotency_key_reused", loc = { "header", "Idempotency-Key" },
        msg = "was used for another request; send a new key, or the same request again" }, detail(response)[1])
    end
    assert.same({ 1, 0 }, { runs "one", runs "two" })
    local robot = { who = false, headers = { ["X-API-Key"] = SECRET } }
    for mine, status in pairs { [{ who = token "bob" }] = 201, [{ method = "PATCH" }] = 200, [{ path = "/later" }] = 200, [robot] = 201 } do
      local response = ask('"k"', "one", mine)
      assert.equal(status, response.status, response.body)
      assert.is_nil(response.headers["idempotent-replayed"])
    end
    assert.equal(5, runs "one")
    -- Who has the same roles in another order is the same.
    local first = ask('"roles"', "roles", { who = token("ada", '["user","admin"]') })
    same_answer(first, ask('"roles"', "roles", { who = token("ada", '["admin","user"]') }))
  end)

  it("takes nobody for who has the same subject by another guard", function()
    start()
    local hers, theirs = { path = "/shared" }, { path = "/shared", who = token("ada", nil, OTHER_SECRET) }
    local first = ask('"k"', "shared", hers)
    assert.equal(200, first.status)
    local other = ask('"k"', "shared", theirs)
    assert.equal(200, other.status)
    assert.is_nil(other.headers["idempotent-replayed"])
    assert.not_equal(first.body, other.body)
    assert.equal(2, runs "shared")
    same_answer(first, ask('"k"', "shared", hers))
    assert.equal(429, ask('"l"', "shared", hers).status) -- her day is used up, theirs is not
    same_answer(other, ask('"k"', "shared", theirs))
  end)

  it("answers 409 while the first is worked on, and the answer once there is one", function()
    start()
    local first = running:connect()
    first:send(written('"slow"', "slow", { how = "wait" }))
    assert.truthy(server.wait_until(PATIENCE, function() return runs "slow" == 1 end))
    local busy = ask('"slow"', "slow", { how = "wait" })
    assert.same({ 409, "1" }, { busy.status, busy.headers["retry-after"] })
    assert.matches("being worked on", detail(busy))
    assert.equal(422, ask('"slow"', "other").status)
    running:request("POST", "/release/slow")
    local answer = first:receive()
    first:close()
    assert.equal(201, answer.status)
    same_answer(answer, ask('"slow"', "slow", { how = "wait" }))
    assert.equal(1, runs "slow")
  end)

  it("keeps the answer of a client that left", function()
    start()
    local first = running:connect()
    first:send(written("left", "left", { how = "wait" }))
    assert.truthy(server.wait_until(PATIENCE, function() return runs "left" == 1 end))
    first:close(true)
    running:request("POST", "/release/left")
    local again = server.wait_until(PATIENCE, function()
      local response = ask("left", "left", { how = "wait" })
      return response.status ~= 409 and response
    end)
    assert.same({ 201, "true", 1 }, { again.status, again.headers["idempotent-replayed"], runs "left" })
  end)

  it("runs its handler once for fifty at once in two workers", function()
    start { workers = 2 }
    local connections, bodies, own, answered = {}, {}, 0, 0
    for n = 1, 50 do connections[n] = running:connect() end
    for _, connection in ipairs(connections) do connection:send(written('"fifty"', "fifty")) end
    for _, connection in ipairs(connections) do
      local response = assert(connection:receive())
      connection:close()
      if response.status == 201 then
        bodies[response.body], answered = true, answered + 1
        if not response.headers["idempotent-replayed"] then own = own + 1 end
      else
        assert.equal(409, response.status, response.body)
      end
    end
    assert.same({ 1, 1 }, { runs "fifty", own })
    local again = ask('"fifty"', "fifty")
    assert.same({ 201, "true" }, { again.status, again.headers["idempotent-replayed"] })
    bodies[again.body] = true
    assert.is_true(answered >= 1 and next(bodies, next(bodies)) == nil, "all have the same bytes")
  end)

  it("uses no key up by what is refused before the handler", function()
    start()
    assert.equal(401, ask("a", "a", { who = "Bearer x" }).status)
    assert.equal(422, ask("a", ("x"):rep(41)).status)
    assert.equal(415, ask("a", "a", { type = "text/plain" }).status)
    assert.equal(201, ask("a", "a").status)
    assert.equal(403, ask("b", "b", { path = "/admin" }).status)
    assert.equal(200, ask("b", "b", { path = "/admin", who = token("ada", '["admin"]') }).status)
    assert.equal(403, ask("c", "c", { path = "/needing", headers = { ["X-Mine"] = "no" } }).status)
    local first = ask("c", "c", { path = "/needing" })
    assert.equal(200, first.status)
    assert.equal(403, ask("c", "c", { path = "/needing", headers = { ["X-Mine"] = "no" } }).status) -- asked again, also of a copy
    same_answer(first, ask("c", "c", { path = "/needing" }))
    assert.equal(200, ask("d", "d", { path = "/limited" }).status)
    assert.equal(429, ask("d", "d", { path = "/limited" }).status) -- sending again is counted too
    assert.same({ 1, 1, 1, 1 }, { runs "a", runs "b", runs "c", runs "d" })
  end)

  it("keeps what the client was told when a dependency could not finish", function()
    start()
    local first = ask("late", "late", { path = "/needing", headers = { ["X-Mine"] = "late" } })
    assert.equal(500, first.status)
    same_answer(first, ask("late", "late", { path = "/needing", headers = { ["X-Mine"] = "late" } }))
    assert.equal(1, runs "late")
  end)

  it("keeps a 504, of a handler that ends and of one that does not", function()
    start()
    local connections = {}
    for n, how in ipairs { "", "stubborn" } do
      connections[n] = running:connect()
      connections[n]:send(written("k" .. how, "w" .. how, { path = "/short", how = how }))
    end
    for n, how in ipairs { "", "stubborn" } do
      local first = assert(connections[n]:receive())
      connections[n]:close()
      assert.equal(504, first.status)
      same_answer(first, ask("k" .. how, "w" .. how, { path = "/short", how = how }))
      assert.equal(1, runs("w" .. how))
    end
  end)

  it("runs as any other without a key where the key is optional", function()
    start()
    for n = 1, 2 do
      local response = ask(nil, "free", { path = "/later" })
      assert.same({ 200, n }, { response.status, cjson.decode(response.body).number })
    end
    same_answer(ask("k", "kept", { path = "/later" }), ask("k", "kept", { path = "/later" }))
    assert.equal(400, ask('"', "free", { path = "/later" }).status)
    assert.equal(200, ask("k", nil, { path = "/raw", body = "\0\1", type = "application/octet-stream" }).status)
    assert.equal(422, ask("k", nil, { path = "/raw", body = "\0\2", type = "application/octet-stream" }).status)
    assert.same({ 2, 1, 1 }, { runs "free", runs "kept", runs "raw" })
  end)

  it("keeps answers over a restart, and keys neither in the log nor in the file", function()
    start()
    local first = ask('"once-and-for-all"', "kept")
    assert.equal(500, ask('"a-failing-one"', "failed", { how = "fail" }).status)
    local status, log = running:stop()
    assert.equal(0, status, log)
    start()
    same_answer(first, ask('"once-and-for-all"', "kept"))
    assert.equal(1, runs "kept")
    local text = log .. running:log()
    for _, name in ipairs { "orders.db", "orders.db-wal" } do
      local file = io.open(data .. "/" .. name, "rb")
      text = text .. (file and file:read "*a" or "")
      if file then file:close() end
    end
    for _, key in ipairs { "once-and-for-all", "a-failing-one" } do assert.is_nil(text:find(key, 1, true), key) end
  end)

  it("never runs again what a killed worker left, and says so once that is sure", function()
    start_with_clock()
    local connection = running:connect()
    connection:send(written("killed", "killed", { how = "wait" }))
    assert.truthy(server.wait_until(PATIENCE, function() return runs "killed" == 1 end))
    os.execute("kill -KILL " .. running:workers()[1])
    assert.is_nil((connection:receive()))
    connection:close()
    local busy = ask("killed", "killed", { how = "wait" })
    assert.same({ 409, "1" }, { busy.status, busy.headers["retry-after"] })
    jump(120)
    local unknown = ask("killed", "killed", { how = "wait" })
    assert.same({ 409, nil }, { unknown.status, unknown.headers["retry-after"] })
    assert.matches("did not finish, and what it did is unknown", detail(unknown))
    assert.equal(1, runs "killed")
  end)

  it("is not forgotten while it runs, though the claim of whoever sends it again fails", function()
    start()
    local first = running:connect()
    first:send(written("held", "held", { how = "wait" }))
    assert.truthy(server.wait_until(PATIENCE, function() return runs "held" == 1 end))
    running:request("POST", "/release/full")
    assert.equal(503, ask("held", "held", { how = "wait" }).status)
    running:request("POST", "/release/full")
    socket.sleep(0.3) -- in which that claim is taken back, and the first one's is not
    running:request("POST", "/release/held")
    local answer = first:receive()
    first:close()
    assert.equal(201, answer.status)
    same_answer(answer, ask("held", "held", { how = "wait" }))
    assert.equal(1, runs "held")
  end)

  it("keeps the 503 that a handler answers by itself", function()
    start()
    local first = ask("declined", "declined", { path = "/declining" })
    assert.equal(503, first.status)
    same_answer(first, ask("declined", "declined", { path = "/declining" }))
    assert.equal("1", running:request("GET", "/declined").body)
  end)

  it("keeps no refusal of a limit that a function counts by", function()
    start()
    same_answer(ask("first", "capped", { path = "/capped" }), ask("first", "capped", { path = "/capped" }))
    for _ = 1, 2 do
      local refused = ask("second", "capped", { path = "/capped" })
      assert.same({ 429, nil }, { refused.status, refused.headers["idempotent-replayed"] })
    end
  end)

  it("is nobody's where nobody has a name, and then not done", function()
    start()
    local nameless = "Bearer " .. jwt.sign('{"alg":"HS256","typ":"JWT"}', ('{"exp":%d}'):format(os.time() + 1500), SECRET)
    assert.equal(500, ask("nameless", "nameless", { who = nameless }).status)
    assert.equal(0, runs "nameless")
    assert.truthy(running:log_line("its guard found somebody without a name", "give tokens a sub"))
  end)

  it("is another request for who has other scopes by now", function()
    start()
    local function may(scope)
      return "Bearer " .. jwt.sign('{"alg":"HS256","typ":"JWT"}', ('{"sub":"ada","exp":%d,"scope":"%s"}'):format(os.time() + 1500, scope), SECRET)
    end
    local first = ask("scoped", "scoped", { who = may "read write" })
    same_answer(first, ask("scoped", "scoped", { who = may "write read" }))
    assert.equal(422, ask("scoped", "scoped", { who = may "read" }).status)
  end)

  local function sign(seconds)
    return "Bearer " .. jwt.sign('{"alg":"HS256","typ":"JWT"}', ('{"sub":"ada","exp":%d}'):format(os.time() + seconds + 1500), SECRET)
  end

  it("keeps of two that ran, since the clock went past the first one's time, the second one's answer", function()
    start_with_clock()
    local connections = {}
    for index, hours in ipairs { 0, 25 } do
      if hours > 0 then jump(hours * HOUR) end
      connections[index] = running:connect()
      connections[index]:send(written("jumped", "jumped", { how = "turns", who = sign(hours * HOUR) }))
      assert.truthy(server.wait_until(PATIENCE, function() return runs "jumped" == index end))
    end
    running:request("POST", "/release/jumped")
    assert.equal(500, connections[1]:receive().status)
    running:request("POST", "/release/jumped")
    local second = connections[2]:receive()
    assert.equal(201, second.status)
    same_answer(second, ask("jumped", "jumped", { how = "turns", who = sign(25 * HOUR) }))
    for _, connection in ipairs(connections) do connection:close() end
  end)

  it("forgets an answer when its time is over, and not before", function()
    start_with_clock()
    local first = ask("old", "old", { who = sign(0) })
    jump(23 * HOUR)
    same_answer(first, ask("old", "old", { who = sign(23 * HOUR) }))
    jump(25 * HOUR)
    local anew = ask("old", "old", { who = sign(25 * HOUR) })
    assert.same({ 201, nil, 2 }, { anew.status, anew.headers["idempotent-replayed"], runs "old" })
  end)

  it("uses no key up while it waits to be claimed, until its deadline", function()
    start()
    local holder = running:connect()
    holder:send "POST /hold HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    assert.truthy(server.wait_until(PATIENCE, function() return running:request("GET", "/held").body == "true" end))
    assert.equal(504, ask("w", "waits", { path = "/short" }).status)
    running:request("POST", "/let-go")
    assert.equal("let go", holder:receive().body)
    holder:close()
    assert.equal(0, runs "waits")
    local first = ask("w", "waits", { path = "/short" })
    assert.same({ 504, nil, 1 }, { first.status, first.headers["idempotent-replayed"], runs "waits" })
  end)

  it("is new again where a database was too busy for anything to be written, and only there", function()
    start()
    local holder = running:connect()
    holder:send "POST /hold-goods HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    assert.truthy(server.wait_until(PATIENCE, function() return running:request("GET", "/held").body == "true" end))
    local function take(how) return "take-" .. how, how, { path = "/take", how = how } end
    local waiting = {}
    for _, how in ipairs { "order", "nothing", "undo" } do -- the last one keeps all others from the keys meanwhile
      waiting[how] = running:connect()
      waiting[how]:send(written(take(how)))
      assert.truthy(server.wait_until(PATIENCE, function() return how ~= "order" or runs "order" == 1 end))
    end
    socket.sleep(0.2) -- longer than they may wait
    running:request("POST", "/let-go")
    assert.equal("let go", holder:receive().body)
    holder:close()
    for _, connection in pairs(waiting) do
      local refused = connection:receive()
      assert.same({ 503, "1" }, { refused.status, refused.headers["retry-after"] })
      connection:close()
    end
    for _, how in ipairs { "nothing", "undo" } do
      local first, again = ask(take(how)), ask(take(how))
      assert.same({ 201, '{"number":1}', nil }, { first.status, first.body, first.headers["idempotent-replayed"] }, how)
      assert.same({ 201, first.body, "true" }, { again.status, again.body, again.headers["idempotent-replayed"] })
    end
    local kept = ask(take "order")
    assert.same({ 503, "true", 1 }, { kept.status, kept.headers["idempotent-replayed"], runs "order" })
  end)

  local function is_done_by(how)
    start()
    local holder = running:connect()
    holder:send "POST /hold-goods HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    assert.truthy(server.wait_until(PATIENCE, function() return running:request("GET", "/held").body == "true" end))
    local function letters() return tonumber(running:request("GET", "/letters/" .. how).body) end
    local waiting = running:connect()
    waiting:send(written("one-letter", how, { path = "/take", how = how }))
    assert.truthy(server.wait_until(PATIENCE, function() return letters() == 1 end))
    socket.sleep(0.2) -- longer than it may wait
    running:request("POST", "/let-go")
    assert.equal("let go", holder:receive().body)
    holder:close()
    assert.equal(503, waiting:receive().status)
    waiting:close()
    local again = ask("one-letter", how, { path = "/take", how = how })
    assert.same({ 503, "true", 1 }, { again.status, again.headers["idempotent-replayed"], letters() })
  end

  it("is done where a transaction was undone and another database keeps what was written in its midst", function() is_done_by "letter" end)

  it("is done where what it spawned may have written, whatever it could not do itself", function() is_done_by "post" end)

  it("runs no handler that it cannot remember, and tells no answer that it could not keep", function()
    start()
    local unkept = ask("u", "unkept", { how = "unkept" })
    assert.equal(500, unkept.status)
    assert.matches("could not be kept", detail(unkept))
    assert.equal(409, ask("u", "unkept", { how = "unkept" }).status)
    assert.equal(1, runs "unkept")
    assert.truthy(running:log_line("could not be kept"))
    assert.truthy(running:log_line("released", '"what":"unkept"', '"ok":false'))
    running:request("POST", "/release/full")
    local response = ask("b", "broken")
    assert.same({ 503, "1", 0 }, { response.status, response.headers["retry-after"], runs "broken" })
    assert.equal(200, ask(nil, "free", { path = "/later" }).status)
    running:request("POST", "/release/full")
    assert.equal(201, ask("b", "broken").status)
    assert.equal(1, runs "broken")
  end)
end)
