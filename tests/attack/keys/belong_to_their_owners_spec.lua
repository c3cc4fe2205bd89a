-- SPDX-License-Identifier: MIT
-- API keys that an app makes for its users: one that was ended must let in nobody, none may do more than who made it, and nobody may end,
-- list, guess, use up or be taken for somebody else's.

local server = require "spec.support.server"

local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret { min_bytes = 32 } }
local app = demilune.app { title = "Keys" }
local people = guard.bearer { secret = settings.SECRET, lifetime = "15m", roles = { "user", "admin" } }
local keys = guard.api_key { database = app:database "sqlite:keys.db", lifetime = "1d", prefix = "shop",
  roles = { "user", "admin" }, scopes = { "read", "write" } }
local given = guard.api_key { keys = { ada = settings.SECRET } }
local texts = model.array(model.string { max_length = 1000 }, { default = {} })
local handled = 0
local function who(req)
  handled = handled + 1
  return { subject = req.principal.subject or "", name = req.principal.name or "", roles = req.principal.roles, handled = handled }
end
app:post("/token/{subject}", { guard = guard.public, limit = "10000/minute" }, function(req)
  return people:issue { subject = req.path.subject, roles = { "user" } }
end)
app:post("/keys", { guard = guard.any { people, keys }, body = { roles = texts, scopes = texts } }, function(req)
  return keys:issue { subject = req.principal.subject, roles = req.body.roles, scopes = req.body.scopes }
end)
app:get("/keys", { guard = people }, function(req) return keys:list(req.principal.subject) end)
app:delete("/keys/{id}", { guard = people }, function(req) return keys:finish(req.principal.subject, req.path.id) end)
app:get("/me", { guard = keys }, who)
app:post("/me", { guard = guard.role("admin", keys), body = texts }, who)
app:get("/write", { guard = guard.scope("write", keys) }, who)
local limited = demilune.router { limit = { rate = "4/minute", by = "principal" } }
limited:get("/counted", { guard = guard.any { keys, given, people } }, who)
app:mount(limited)
app:get("/handled", { guard = guard.public }, function() return handled end)
return app
]]

describe("an API key is its owner's alone:", function()
  local app, running

  setup(function()
    app = server.write_app { ["app.lua"] = APP }
    assert(server.run { "migration", "api_keys", app } == 0)
    running = server.start(app, { workers = 2, env = { SECRET = SECRET } })
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(app)
    assert(status == 0, log)
  end)

  local function as(subject) return { Authorization = "Bearer " .. running:request("POST", "/token/" .. subject).body } end
  local function by(key, other) return { ["X-API-Key"] = key, Authorization = other } end

  local function make(who, body)
    local headers = { ["Content-Type"] = "application/json" }
    for name, value in pairs(who) do headers[name] = value end
    local reply = running:request("POST", "/keys", { headers = headers, body = body or "{}" })
    return reply.body:match '"key":"([^"]+)"', reply.body:match '"id":"([^"]+)"', reply.status
  end
  local function status(target, who) return running:request("GET", target, { headers = who }).status end

  it("another user can neither list nor end it, by whatever id", function()
    local key, id = make(as "ada")
    local mallory = as "mallory"
    assert.equal("[]", running:request("GET", "/keys", { headers = mallory }).body)
    for _, wrong in ipairs { id, "%25", "'%20OR%201=1--", id:upper(), id .. "%20" } do
      local reply = running:request("DELETE", "/keys/" .. wrong, { headers = mallory })
      assert.equal("false", reply.body, wrong)
    end
    assert.equal(200, status("/me", by(key)))
  end)

  it("it can do no more than who made it, whatever the request for it says", function()
    local ada = as "ada"
    for _, body in ipairs {
      '{"roles":["admin"]}', '{"roles":["user","admin"]}', '{"roles":["admin","user"],"scopes":["read"]}',
    } do assert.equal(403, select(3, make(ada, body))) end
    for _, body in ipairs { '{"roles":["Admin"]}', '{"roles":["admin "]}', '{"roles":[""]}', '{"scopes":["read write"]}', '{"scopes":["*"]}' } do
      assert.equal(500, select(3, make(ada, body))) -- the app let it through; the guard has no such role or scope
    end
    local reader = make(ada, '{"roles":["user"],"scopes":["read"]}')
    assert.same({ 200, 403 }, { status("/me", by(reader)), status("/write", by(reader)) })
    assert.equal(403, select(3, make(by(reader), '{"scopes":["write"]}')))
    assert.equal(403, select(3, make(by(reader), '{"scopes":["read","write"]}')))
    assert.equal(403, select(3, make(by(reader), '{"roles":["admin"]}')))
    local bare = make(by(reader), "{}")
    assert.equal(403, select(3, make(by(bare), '{"scopes":["read"]}')))
    assert.equal(403, running:request("POST", "/me", { headers = by(reader), body = "[]" }).status)
  end)

  it("no other text is taken for it", function()
    local key, id = make(as "ada")
    local answer = assert(io.popen(("sqlite3 %s/keys.db \"SELECT digest FROM api_keys WHERE id = '%s'\""):format(running.data, id)))
    local digest = answer:read "*l"
    answer:close()
    assert.equal(64, #digest)
    for _, wrong in ipairs {
      key:sub(1, -2), key .. "0", key:upper(), key:sub(6), " " .. key:sub(2), key:gsub("_", "-"), key .. ";", '"' .. key .. '"', "Bearer " .. key,
      "shop_" .. id, "shop_" .. id .. "_", id, digest, ("0"):rep(64), "' OR digest LIKE '%' --", "%%%%%%%%%%%%%%%%", key .. "," .. key,
    } do assert.equal(401, status("/me", by(wrong)), wrong) end
    assert.equal(400, running:request("GET", "/me", { headers = { ["X-API-Key"] = key, ["x-api-key"] = key } }).status)
    assert.equal(401, status("/me", { Cookie = "X-API-Key=" .. key }))
    assert.equal(401, status("/me?X-API-Key=" .. key))
    assert.equal(401, status("/me", { ["X_API_Key"] = key }))
    assert.equal(200, status("/me", by(key)))
  end)

  it("nobody is let in by one that has been ended, by either worker, on connections that are open, or in requests that were begun", function()
    local key, id = make(as "ada")
    local open = {}
    for index = 1, 8 do
      open[index] = running:connect()
      open[index]:send(("GET /me HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n"):format(key))
      assert.equal(200, open[index]:receive().status)
    end
    -- Its key has come, its end has not.
    for index = 1, 4 do open[index]:send(("GET /me HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n"):format(key)) end
    assert.equal("true", running:request("DELETE", "/keys/" .. id, { headers = as "ada" }).body)
    for index = 1, 4 do open[index]:send "\r\n" end
    for index = 5, 8 do open[index]:send(("GET /me HTTP/1.1\r\nHost: a\r\nX-API-Key: %s\r\n\r\n"):format(key)) end
    for _, connection in ipairs(open) do
      assert.equal(401, connection:receive().status)
      connection:close()
    end
  end)

  it("many keys are no more than one to a limit, and use up nothing of somebody else's", function()
    local ada = as "ada"
    local one, other = make(ada), make(ada)
    local ended, id = make(ada)
    assert.equal("true", running:request("DELETE", "/keys/" .. id, { headers = ada }).body)
    for _ = 1, 6 do assert.equal(401, status("/counted", by(ended))) end -- counts for nobody
    assert.same({ 200, 200, 200, 200, 429, 429 }, {
      status("/counted", by(one)), status("/counted", by(other)), status("/counted", by(one)), status("/counted", by(other)),
      status("/counted", by(one)), status("/counted", by(other)),
    })
    assert.equal(200, status("/counted", by(SECRET))) -- a key of the app's own whose name is ada
    assert.equal(200, status("/counted", ada)) -- the same subject of another guard
    assert.equal(200, status("/counted", by((make(as "grace")))))
  end)

  it("what is refused reaches no handler", function()
    local solo = server.start(app, { env = { SECRET = SECRET } })
    local before = tonumber(solo:request("GET", "/handled").body)
    for _ = 1, 20 do assert.equal(401, solo:request("GET", "/me", { headers = by "shop_0000000000000000_000000000000" }).status) end
    assert.equal(before, tonumber(solo:request("GET", "/handled").body))
    assert.equal(0, (solo:stop()))
  end)
end)
