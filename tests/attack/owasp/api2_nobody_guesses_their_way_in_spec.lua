-- SPDX-License-Identifier: MIT
-- API2:2023 broken authentication. tests/attack/tokens has the tokens.

local owasp = require "tests.attack.support.owasp"

local LOGIN = [[
app:post("/token", { guard = guard.public, LIMIT form = { username = model.string(), password = model.string() } }, function(req)
  stored = stored or demilune.password.hash "correct horse"
  local right = demilune.password.verify(req.form.username == "ada" and stored or nil, req.form.password)
  if not right then demilune.abort(401, "Wrong name or password") end
  return { access_token = bearer:issue { subject = req.form.username } }
end)
]]

local function app(limit)
  return owasp.HEAD .. 'local app = demilune.app { title = "login", version = "1" }\nlocal stored\n' .. LOGIN:gsub("LIMIT", limit) .. "return app"
end

owasp.wall("nobody guesses their way in:", app 'limit = "5/minute",', function(world)
  local function login(username, password)
    local body = ("username=%s&password=%s"):format(username, password)
    return world.running:request("POST", "/token", { body = body, headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } })
  end

  it("an unknown name and a wrong password are told alike, and after five tries there is no sixth", function()
    local first = login("ada", "wrong")
    assert.equal(401, first.status)
    for _ = 1, 4 do
      local other = login("nobody", "wrong")
      assert.equal(401, other.status)
      assert.equal(first.body, other.body)
    end
    local blocked = login("ada", "correct+horse")
    assert.equal(429, blocked.status)
    assert.truthy(tonumber(blocked.headers["retry-after"]) > 0)
  end)

  it("whatever a client says its address is", function()
    for _, name in ipairs { "X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP" } do
      local headers = { ["Content-Type"] = "application/x-www-form-urlencoded", [name] = name == "Forwarded" and "for=192.0.2.1" or "192.0.2.1" }
      assert.equal(429, world.running:request("POST", "/token", { body = "username=ada&password=x", headers = headers }).status, name)
    end
  end)
end)

owasp.wall("nobody guesses one account's password from many addresses:", {
  ["app.lua"] = owasp.HEAD .. [[
local app = demilune.app { guard = bearer, trusted_proxies = { "127.0.0.1" } } -- which names the addresses
local db = app:database "sqlite::memory:"
app:mount(demilune.accounts {
  database = db, bearer = bearer, find_by_id = function() return nil end,
  find = function(username) return username:lower() == "ada" and { id = 1 } or nil end,
  verify = function() return false end,
})
return app]],
  ["migrations/0001_refresh_tokens.sql"] = [[
CREATE TABLE refresh_tokens (digest TEXT PRIMARY KEY, family TEXT NOT NULL, subject TEXT NOT NULL, scope TEXT NOT NULL,
  expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0);]],
}, function(world)
  it("an hour has a hundred tries, however the name is written", function()
    local connection, statuses = world.running:connect(), {}
    local function try(username, address)
      local body = ("username=%s&password=x"):format(username)
      local headers = { ["Content-Type"] = "application/x-www-form-urlencoded", ["X-Forwarded-For"] = address }
      return connection:request("POST", "/token", { body = body, headers = headers }).status
    end
    for index = 1, 102 do
      local status = try(index % 2 == 0 and "ada" or "ADA", ("192.0.2.%d"):format(index))
      statuses[status] = (statuses[status] or 0) + 1
    end
    assert.same({ [401] = 100, [429] = 2 }, statuses)
    assert.equal(401, try("grace", "192.0.2.200"))
    connection:close()
  end)
end)

describe("what would let somebody guess", function()
  local function refused(text, words)
    local why = owasp.refusal(text)
    assert.truthy(why and why:find(words, 1, true), why)
  end
  local function guarded(options)
    return owasp.HEAD .. "local app = demilune.app { guard = guard.bearer {" .. options .. "} }\napp:get('/', function() return 1 end)\nreturn app"
  end

  it("does not load: a login without a limit", function() refused(app "", "has no limit") end)
  it("does not load: a password in a URL", function()
    refused(owasp.HEAD .. 'local app = demilune.app { guard = guard.public }\napp:get("/in", { query = { password = model.secret() }, '
      .. 'limit = "5/minute" }, function() return 1 end)\nreturn app', "in a URL, which browsers remember")
  end)
  it("does not load: a login that counts what the client says alone", function()
    refused(app 'limit = { rate = "5/minute", by = function(req) return req:get_header "X-Forwarded-For" end },', "no limit counts addresses")
  end)
  it("does not load: basic credentials that nothing counts, or only after the guard", function()
    local stored = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
    local basic = owasp.HEAD .. ('local basic = guard.basic { users = { ada = %q } }\n'):format(stored)
      .. "local app = demilune.app { guard = %s }\napp:get('/', { %s }, function() return 1 end)\nreturn app"
    local words = "takes a password in each request and no limit counts addresses"
    refused(basic:format("basic", ""), words)
    refused(basic:format("guard.any { bearer, basic }", ""), words)
    refused(basic:format("basic", 'limit = { rate = "5/minute", by = "principal" }'), words)
    assert.is_nil(owasp.refusal(basic:format("basic", 'limit = "60/minute"')))
  end)
  it("does not load: tokens of somebody else's for any service", function()
    local key = "[[-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n]]"
    local options = "key = " .. key .. ', lifetime = "15m"'
    refused(guarded(options), "those for any other service pass here too")
    for _, audience in ipairs { '"https://api.example"', "false" } do
      assert.is_nil(owasp.refusal(guarded(options .. ", audience = " .. audience)))
    end
    local jwks = '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
    refused({ ["app.lua"] = guarded 'jwks_file = "keys.json", lifetime = "15m"', ["keys.json"] = jwks }, "those for any other service pass here too")
  end)
  it("does not load: credentials in a cookie that other hosts of the domain can set", function()
    local words = 'a browser lets other hosts of the domain set the cookie token; write cookie = "__Host-token"'
    refused(owasp.HEAD .. 'local app = demilune.app { guard = guard.api_key { cookie = "token", keys = { a = settings.JWT_SECRET } } }\n'
      .. 'app:get("/", function() return 1 end)\nreturn app', words)
    refused(guarded 'secret = settings.JWT_SECRET, lifetime = "15m", cookie = "token"', words)
  end)
  it("does not load: tokens that live for ever", function() refused(guarded "secret = settings.JWT_SECRET", "no lifetime") end)
  it("does not load: tokens that live for days", function() refused(guarded 'secret = settings.JWT_SECRET, lifetime = "7d"', "30 minutes") end)
  it("does not load: tokens without a signature", function()
    refused(guarded 'secret = settings.JWT_SECRET, lifetime = "15m", algorithms = { "none" }', "everybody can make tokens")
  end)
  it("does not load: a secret in the source", function()
    local words = "secret is a plain string, so that it stands in the source"
    refused(guarded 'secret = "a secret that stands in the source, 32 bytes", lifetime = "15m"', words)
  end)
end)
