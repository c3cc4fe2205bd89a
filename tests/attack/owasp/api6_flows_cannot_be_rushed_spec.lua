-- SPDX-License-Identifier: MIT
-- API6:2023 unrestricted access to sensitive business flows: what one account may do, from wherever and however often; and that sending one
-- thing twice is not doing it twice.

local server = require "spec.support.server"
local owasp = require "tests.attack.support.owasp"

owasp.wall("a flow cannot be rushed:", owasp.HEAD .. [[
local app = demilune.app { title = "tickets", version = "1", guard = bearer }
local sold = 0
app:post("/tickets", { limit = { { rate = "2/minute", by = "principal" }, "50/hour" }, status = 201 }, function()
  sold = sold + 1
  return { sold = sold }
end)
return app]], function(world)
  it("an account buys two, whatever it calls itself", function()
    for _ = 1, 2 do assert.equal(201, world:ask("POST", "/tickets", owasp.as("eve", "user")).status) end
    for _, roles in ipairs { {}, { "user" }, { "admin" } } do
      assert.equal(429, world:ask("POST", "/tickets", owasp.as("eve", unpack(roles))).status)
    end
    local headers = owasp.as("eve")
    headers["X-Forwarded-For"] = "192.0.2.9"
    assert.equal(429, world:ask("POST", "/tickets", headers).status)
    assert.equal(201, world:ask("POST", "/tickets", owasp.as("ada")).status)
  end)

  it("and all at once do not buy more", function()
    local connections, sent, bought = {}, owasp.as("mallory").Authorization, 0
    for index = 1, 20 do
      connections[index] = world.running:connect()
      connections[index]:send("POST /tickets HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAuthorization: " .. sent .. "\r\n\r\n")
    end
    for _, connection in ipairs(connections) do
      bought = bought + (connection:receive().status == 201 and 1 or 0)
      connection:close()
    end
    assert.equal(2, bought)
  end)
end)

-- A transfer that a client must be able to send again, when the line broke before the answer came.
owasp.wall("one transfer is one transfer:", { ["app.lua"] = owasp.HEAD .. [[
local app = demilune.app { title = "bank", version = "1", guard = bearer }
local db = app:database "sqlite:bank.db"
app:idempotency { database = db }
local move = db:statement [=[INSERT INTO transfers (subject, cents) VALUES (:principal_subject, :cents)]=]
local moved = db:statement [=[SELECT coalesce(sum(cents), 0) FROM transfers WHERE subject = :principal_subject]=]
local Transfer = { cents = model.integer { ge = 1, le = 500 } }
local Receipt = { number = model.integer(), secret = model.string(), margin = model.string { visible_to = "admin" } }
app:post("/transfers", { idempotent = true, body = Transfer, returns = Receipt, status = 201 }, function(req)
  local _, number = move:run { cents = req.body.cents }
  return { number = number, secret = "of " .. req.principal.subject, margin = "for admins" }
end)
app:get("/moved", {}, function() return moved:value() end)
return app]], ["migrations/0001_bank.sql"] = [[
CREATE TABLE transfers (subject TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE idempotency_keys (digest TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, attempt BLOB NOT NULL, ends INTEGER NOT NULL,
  expires INTEGER NOT NULL, status INTEGER, fields BLOB, body BLOB);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires);
]] }, function(world)
  local function transfer(who, key, cents, ...)
    local headers = owasp.as(who, ...)
    headers["Idempotency-Key"] = key
    return world:ask("POST", "/transfers", headers, { cents = cents or 100 })
  end
  local function moved(who) return tonumber(world:ask("GET", "/moved", owasp.as(who)).body) end

  it("sent a hundred times at once, over as many connections", function()
    local connections, receipts, sent = {}, {}, owasp.as("ada").Authorization
    for n = 1, 100 do
      connections[n] = world.running:connect()
      connections[n]:send("POST /transfers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"
        .. "Idempotency-Key: 'storm'\r\nAuthorization: " .. sent .. '\r\n\r\n{"cents":100}')
    end
    for _, connection in ipairs(connections) do
      local response = connection:receive()
      if response.status == 201 then receipts[response.body] = true else assert.equal(409, response.status) end
      connection:close()
    end
    assert.equal(100, moved "ada")
    assert.truthy(next(receipts))
    assert.is_nil(next(receipts, next(receipts)))
  end)

  it("also when the worker is killed again and again, and whoever asks is never told that it was not done", function()
    local told = {}
    for round = 1, 5 do
      local key = "killed-" .. round
      local connection = world.running:connect()
      local headers = owasp.as("grace")
      connection:send("POST /transfers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"
        .. "Idempotency-Key: " .. key .. "\r\nAuthorization: " .. headers.Authorization .. '\r\n\r\n{"cents":100}')
      os.execute("kill -KILL " .. assert(server.wait_until(20, function() return world.running:workers()[1] end)))
      connection:close()
      for _ = 1, 3 do
        local response = transfer("grace", key)
        told[#told + 1] = response.status
        assert.is_true(response.status == 201 or response.status == 409, response.body)
      end
      assert.is_true(moved "grace" <= 100 * round)
    end
    assert.equal(15, #told)
  end)

  it("somebody else's key opens nothing: not the answer, not the transfer", function()
    local ada = transfer("ada", "8e03978e-40d5-43e8-bc93-6894a57f9324")
    assert.equal(201, ada.status)
    local eve = transfer("eve", "8e03978e-40d5-43e8-bc93-6894a57f9324")
    assert.same({ 201, "of eve", nil }, { eve.status, eve.json.secret, eve.headers["idempotent-replayed"] })
    -- A name that would be hers and his together, if names and keys were joined without care.
    assert.is_nil(transfer("ada8", "e03978e-40d5-43e8-bc93-6894a57f9324").headers["idempotent-replayed"])
    assert.equal(401, world:ask("POST", "/transfers", { ["Idempotency-Key"] = "8e03978e-40d5-43e8-bc93-6894a57f9324" }, { cents = 100 }).status)
  end)

  it("an answer made for an admin is not told to the same account without the role", function()
    assert.equal("for admins", transfer("root", "margin", 5, "admin").json.margin)
    local without = transfer("root", "margin", 5)
    assert.equal(422, without.status)
    assert.is_nil(without.body:find("for admins", 1, true))
    assert.equal(5, moved "root")
  end)

  it("a key is not the amount's, nor its own way to another amount", function()
    assert.equal(201, transfer("mallory", "cheap", 1).status)
    for _, cents in ipairs { 500, 2 } do assert.equal(422, transfer("mallory", "cheap", cents).status) end
    for _, key in ipairs { "", '"', "a, b", ("k"):rep(256), "'; DROP TABLE idempotency_keys;", '"\0"', "\255" } do
      assert.equal(400, transfer("mallory", key, 500).status, key)
    end
    for _, key in ipairs { "'OR'1'='1", "%s%n", "../../bank.db", '"\\"; DROP TABLE transfers; --"' } do
      local first = transfer("mallory", key, 10)
      assert.equal(201, first.status)
      assert.equal(first.body, transfer("mallory", key, 10).body)
    end
    assert.equal(41, moved "mallory")
  end)
end)

describe("a route that is idempotent for everybody at once", function()
  it("does not load", function()
    local app = [[
local db = app:database "sqlite::memory:"
app:idempotency { database = db }
app:post("/transfers", { guard = guard.public, idempotent = true }, function() return 1 end)
return app]]
    local status, text = owasp.check(owasp.HEAD .. 'local app = demilune.app { title = "bank", version = "1", guard = bearer }\n' .. app)
    assert.equal(1, status)
    assert.matches("finds nobody whose key it could be", text)
  end)
end)
