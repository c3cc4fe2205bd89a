-- SPDX-License-Identifier: MIT
-- API keys that an app makes while it runs, in a database: one table for all workers, whose keys end, expire, are counted and listed.

local server = require "spec.support.server"

local PATIENCE = 20 -- seconds
local STORED = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
local db = app:database("sqlite:keys.db", { lock_ms = 2000 })
local keys = guard.api_key { database = db, lifetime = "1d", most = 3 }
app:post("/keys/{who}", { limit = "10000/minute" }, function(req) return keys:issue { subject = req.path.who, name = "a name" } end)
app:get("/keys/{who}", {}, function(req) return keys:list(req.path.who) end)
app:delete("/keys/{who}/{id}", {}, function(req) return keys:finish(req.path.who, req.path.id) end)
app:delete("/keys/{who}", {}, function(req) keys:finish_all(req.path.who) end)
app:get("/me", { guard = keys }, function(req) return req.principal.subject end)
app:get("/quick", { guard = keys, timeout = "1s" }, function(req) return req.principal.subject end)
app:get("/owner", { guard = keys, limit = { rate = "3/minute", by = "principal" } }, function() return "fine" end)
app:get("/key", { guard = keys, limit = { rate = "2/minute", by = "api_key" } }, function() return "fine" end)
app:post("/together/{how}", { limit = "10000/minute" }, function(req)
  local made
  pcall(function()
    db:transaction(function()
      made = keys:issue { subject = "together" }
      if req.path.how == "fails" then error "and all of it is undone" end
    end)
  end)
  return made.key
end)
local add_expired = db:statement [=[
  INSERT INTO api_keys (id, digest, subject, name, roles, scopes, created, expires)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
  SELECT 'expired ' || i, 'expired ' || i, 'eve', '', '[]', '[]', i, i FROM n]=]
local add_many = db:statement [=[
  INSERT INTO api_keys (id, digest, subject, name, roles, scopes, created, expires)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
  SELECT 'many ' || i, 'many ' || i, 'tom', '', '[]', '[]', i, 9999999999 FROM n]=]
app:post("/many", {}, function() add_many:run() end)
local count_expired = db:statement "SELECT count(*) FROM api_keys WHERE subject = 'eve' AND expires < 1000"
app:post("/expired", {}, function() add_expired:run() end)
app:get("/expired", {}, function() return count_expired:value() end)
return app
]]

describe("API keys in a database", function()
  local running, data, app

  setup(function()
    data, app = server.make_folder(), server.write_app { ["app.lua"] = STORED }
    assert.equal(0, (server.run { "migration", "api_keys", app }))
    running = server.start(app, { data = data, workers = 2 })
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(data)
    server.remove_folder(app)
    assert.equal(0, status, log)
  end)

  local function issue(who)
    local reply = running:request("POST", "/keys/" .. who)
    return reply.body:match '"key":"([^"]+)"', reply.body:match '"id":"([^"]+)"', reply.status
  end
  local function get(target, key)
    local reply = running:request("GET", target, { headers = { ["X-API-Key"] = key } })
    return reply.status, reply.body
  end

  it("let in by any worker from the moment they are made until they are ended", function()
    local one, id = issue "ada"
    local other = issue "ada"
    for _ = 1, 20 do assert.same({ 200, "ada" }, { get("/me", one) }) end
    assert.equal("false", running:request("DELETE", "/keys/grace/" .. id).body) -- nobody ends somebody else's
    assert.equal(200, (get("/me", one)))
    assert.equal("true", running:request("DELETE", "/keys/ada/" .. id).body)
    for _ = 1, 20 do assert.equal(401, (get("/me", one))) end
    assert.equal(200, (get("/me", other)))
    local grace = issue "grace"
    assert.equal(200, running:request("DELETE", "/keys/ada").status)
    for _ = 1, 20 do assert.equal(401, (get("/me", other))) end
    assert.equal(200, (get("/me", grace)))
  end)

  it("are listed to whoever asks by whose they are, with when they were last seen", function()
    local key, id = issue "lin"
    local unused = running:request("GET", "/keys/lin").body
    assert.matches('"name":"a name"', unused)
    assert.is_nil(unused:find('"used"', 1, true))
    assert.equal(200, (get("/me", key)))
    local used = server.wait_until(PATIENCE, function()
      local body = running:request("GET", "/keys/lin").body
      return body:find('"used":%d') and body
    end)
    assert.matches('"id":"' .. id .. '"', used)
    assert.is_nil(used:find("digest", 1, true))
    assert.equal("[]", running:request("GET", "/keys/nobody").body)
  end)

  it("are noted to be seen once an hour, not in each request", function()
    local key, id = issue "liv"
    local function used_is(text) return running:request("GET", "/keys/liv").body:find('"used":' .. text) end
    for ago, is_noted in pairs { [3500] = false, [3700] = true } do
      local before = tostring(os.time() - ago)
      local update = ("UPDATE api_keys SET used = %s WHERE id = '%s'"):format(before, id)
      assert.equal(0, os.execute(('sqlite3 -cmd ".timeout 5000" %s/keys.db "%s"'):format(data, update)))
      for _ = 1, 4 do assert.equal(200, (get("/me", key))) end
      for _ = 1, 4 do assert.equal(200, running:request("DELETE", "/keys/nobody").status) end -- a write of each worker, behind what notes it
      if is_noted then assert.truthy(server.wait_until(PATIENCE, function() return not used_is(before) end)) end
      assert.equal(not is_noted, used_is(before) ~= nil)
    end
  end)

  it("let in while nothing can be written, and it is told that their use is not noted", function()
    local key = issue "kay"
    local writer = assert(io.popen(('sqlite3 -cmd ".timeout 5000" %s/keys.db >%s/held 2>&1'):format(data, data), "w"))
    writer:write "BEGIN IMMEDIATE;\n"
    writer:flush()
    assert.truthy(server.wait_until(PATIENCE, function()
      return os.execute(("sqlite3 %s/keys.db 'BEGIN IMMEDIATE' 2>%s/refused"):format(data, data)) ~= 0
    end))
    for _ = 1, 5 do assert.same({ 200, "kay" }, { get("/quick", key) }) end
    assert.truthy(running:log_line("it could not be noted that an API key was used"))
    writer:close()
    assert.truthy(server.wait_until(PATIENCE, function()
      return get("/me", key) == 200 and running:request("GET", "/keys/kay").body:find('"used":%d')
    end))
  end)

  it("made in a transaction of the app's are there when that is", function()
    local function made(how) return running:request("POST", "/together/" .. how).body end
    assert.equal(200, (get("/me", made "holds")))
    assert.equal(401, (get("/me", made "fails")))
  end)

  it("are as many for each as the guard lets them have", function()
    for _ = 1, 3 do assert.equal(200, select(3, issue "eva")) end
    local reply = running:request("POST", "/keys/eva")
    assert.same({ 409, '{"detail":"There are 3 API keys already; end one first"}' }, { reply.status, reply.body })
    assert.equal(200, select(3, issue "ida"))
  end)

  it("are no more than that when many are asked for at once, of both workers", function()
    local asking, made = {}, 0
    for index = 1, 30 do asking[index] = running:connect() end
    for _, one in ipairs(asking) do one:send "POST /keys/ann HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" end
    for _, one in ipairs(asking) do
      made = made + (one:receive().status == 200 and 1 or 0)
      one:close()
    end
    assert.equal(3, made)
  end)

  it("are listed and ended also where somebody has very many", function()
    assert.equal(200, running:request("POST", "/many").status)
    assert.equal(1200, select(2, running:request("GET", "/keys/tom").body:gsub('"id":', "")))
    assert.equal(200, running:request("DELETE", "/keys/tom").status)
    assert.equal("[]", running:request("GET", "/keys/tom").body)
  end)

  it("are counted by whose they are, or each by itself", function()
    local one, other = issue "max", issue "max"
    assert.same({ 200, 200, 200, 429 }, { (get("/owner", one)), (get("/owner", other)), (get("/owner", one)), (get("/owner", other)) })
    assert.same({ 200, 200, 429, 200, 200, 429 },
      { (get("/key", one)), (get("/key", one)), (get("/key", one)), (get("/key", other)), (get("/key", other)), (get("/key", other)) })
    assert.equal(200, (get("/owner", issue "moritz")))
  end)

  it("are forgotten few at a time once they have expired, and count for nobody until then", function()
    assert.equal(200, running:request("POST", "/expired").status)
    for _, left in ipairs { 50, 0 } do
      assert.equal(200, select(3, issue "eve"))
      assert.equal(tostring(left), running:request("GET", "/expired").body)
    end
  end)

  it("stay, as digests, over a reload and a start", function()
    local key = issue "zoe"
    assert.equal(0, (server.run({ "reload", app }, { env = { DEMILUNE_DATA = data } })))
    assert.same({ 200, "zoe" }, { get("/me", key) })
    assert.equal(0, (running:stop()))
    local handle = assert(io.open(data .. "/keys.db", "rb"))
    local bytes = handle:read "*a"
    handle:close()
    assert.truthy(bytes:find("zoe", 1, true))
    assert.is_nil(bytes:find(key, 1, true))
    assert.is_nil(bytes:find(key:match "[^_]+$", 1, true))
    running = server.start(app, { data = data })
    assert.same({ 200, "zoe" }, { get("/me", key) })
  end)
end)
