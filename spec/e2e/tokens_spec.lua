-- SPDX-License-Identifier: MIT
-- Tokens that somebody made to get in, sent to the program over a socket: every one
-- is answered with the same 401, which tells nothing of what was wrong.

local dkjson = require "dkjson"
local jwt = require "spec.support.jwt"
local server = require "spec.support.server"

local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"
local OLD, NEW = "0b1d4c7e9f3a5268b1d4c7e9f3a52680", "c7e9f3a5268b1d40b1d4c7e9f3a52681"
local PUBLIC, PRIVATE = jwt.public_key, jwt.private_key

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { JWT_SECRET = model.secret() }
local app = demilune.app { title = "tokens" }
local function who(req) return req.principal.subject end
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", issuer = "https://id.example", audience = "api",
  resource = "https://api.example/v1", authorization_servers = { "https://id.example" } }
app:get("/me", { guard = bearer }, who)
app:get("/read", { guard = guard.scope("read", bearer) }, who)
app:get("/curve", { guard = guard.bearer { key = PUBLIC, algorithms = { "ES256" }, lifetime = "15m", audience = false } }, who)
app:get("/rotated", { guard = guard.bearer { jwks_file = "keys.json", lifetime = "15m", audience = false } }, who)
return app
]]

local function jwk(kid, secret) return { kty = "oct", alg = "HS256", kid = kid, k = jwt.encode(secret) } end

local function jwks(...) return dkjson.encode { keys = { ... } } end

local function files(keys) return { ["app.lua"] = APP:gsub("PUBLIC", function() return "[[" .. PUBLIC .. "]]" end), ["keys.json"] = keys } end

local HEADER = '{"alg":"HS256","typ":"JWT"}'
local function claims(more)
  local now = os.time()
  return ('{"sub":"7","iss":"https://id.example","aud":"api","iat":%d,"exp":%d%s}'):format(now, now + 600, more or "")
end
-- For guards that name no issuer and no audience.
local function bare_claims() return ('{"sub":"7","iat":%d,"exp":%d}'):format(os.time(), os.time() + 600) end
local function genuine(more) return jwt.sign(HEADER, claims(more), SECRET) end

-- Mutations, each of a token to a text of the same alphabet. Seeded: a failure can be had again.
local function pick(list) return list[math.random(#list)] end

local function flip_bit(bytes)
  local at = math.random(#bytes)
  local changed = bit.bxor(bytes:byte(at), 2 ^ math.random(0, 7))
  return bytes:sub(1, at - 1) .. string.char(changed) .. bytes:sub(at + 1)
end

local function parts_of(token)
  local parts = {}
  for part in token:gmatch("[^.]+") do parts[#parts + 1] = part end
  return parts
end

local function change_part(token, change)
  local parts, index = parts_of(token), math.random(3)
  parts[index] = change(parts[index])
  return table.concat(parts, ".")
end

local HEADERS = {
  '{"alg":"none"}', '{"alg":"None","typ":"JWT"}', '{"alg":"HS512","typ":"JWT"}', '{"alg":"RS256"}', '{"alg":"ES256"}', '{"typ":"JWT"}', "{}", "[]",
  '{"typ":"JWT","alg":"HS256"}', '{"alg":"HS256","typ":"JWT","kid":"1"}', '{ "alg":"HS256","typ":"JWT"}', '{"alg":"HS256","alg":"none"}', "null", "",
}

local MUTATIONS = {
  function(token) return change_part(token, function(part) return jwt.encode(flip_bit(jwt.decode(part))) end) end,
  function(token)
    local at, index = math.random(#token), math.random(64)
    return token:sub(1, at - 1) .. jwt.alphabet:sub(index, index) .. token:sub(at + 1)
  end,
  function(token) return token:sub(1, math.random(#token - 1)) end,
  function(token) return token:sub(math.random(2, #token)) end,
  function(token)
    local parts = parts_of(token)
    local one, other = math.random(3), math.random(3)
    parts[one], parts[other] = parts[other], parts[one]
    return table.concat(parts, ".")
  end,
  function(token)
    local parts = parts_of(token)
    parts[1] = jwt.encode(pick(HEADERS))
    return table.concat(parts, ".")
  end,
  function(token)
    local parts = parts_of(token)
    parts[2] = jwt.encode(claims((',"roles":["admin"],"n":%d'):format(math.random(1e9))))
    return table.concat(parts, ".")
  end,
  function(token) return change_part(token, function() return "" end) end,
  function(token) return token .. pick { ".", "A", ".AAAA", "." .. token } end,
  function(token) return change_part(token, function(part) return part .. jwt.alphabet:sub(math.random(64)):sub(1, 1) end) end,
}

describe("tokens that somebody made up", function()
  local running, connection
  setup(function() running = server.start(files(jwks(jwk("old", OLD), jwk("new", NEW))), { env = { JWT_SECRET = SECRET } }) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)
  before_each(function() connection = running:connect(60) end)
  after_each(function() connection:close() end)

  local function send(token, target)
    return assert(connection:request("GET", target or "/me", { headers = { Authorization = "Bearer " .. token } }))
  end

  local CHALLENGE = 'Bearer realm="api", error="invalid_token", resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1"'
  local function assert_refused(token, target)
    local response = send(token, target)
    assert.equal(401, response.status, token)
    assert.equal('{"detail":"Not authenticated"}', response.body, token)
    if not target then assert.equal(CHALLENGE, response.headers["www-authenticate"]) end
  end

  it("are all refused with one body: ten thousand mutations of a good one", function()
    math.randomseed(20301)
    local good = genuine()
    assert.equal("7", send(good).body)
    local sent = 0
    while sent < 10000 do
      local token = pick(MUTATIONS)(good)
      if math.random(4) == 1 then token = pick(MUTATIONS)(token ~= "" and #parts_of(token) == 3 and token or good) end
      if token ~= good and token ~= "" then
        assert_refused(token)
        sent = sent + 1
      end
    end
    assert.equal("7", send(good).body)
  end)

  it("are refused when they choose their own algorithm", function()
    local body = jwt.encode(claims())
    for _, name in ipairs { "none", "None", "NONE", "nOnE", "" } do
      local head = jwt.encode(('{"alg":"%s","typ":"JWT"}'):format(name))
      local signed = jwt.sign(('{"alg":"%s","typ":"JWT"}'):format(name), claims(), SECRET)
      for _, token in ipairs { head .. "." .. body .. ".", head .. "." .. body, head .. "." .. body .. ".AA", signed } do assert_refused(token) end
    end
    for _, name in ipairs { "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 " } do
      assert_refused(jwt.sign(('{"alg":"%s"}'):format(name), claims(), SECRET))
    end
    for _, head in ipairs { "{}", '{"alg":null}', '{"alg":["HS256"]}', '{"alg":1}', "[]", '"HS256"' } do
      assert_refused(jwt.sign(head, claims(), SECRET))
    end
  end)

  it("are refused when the public key is taken for a secret", function()
    for _, secret in ipairs { PUBLIC, (PUBLIC:gsub("\n$", "")), "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "" } do
      for _, name in ipairs { "HS256", "ES256" } do assert_refused(jwt.sign(('{"alg":"%s"}'):format(name), bare_claims(), secret), "/curve") end
    end
  end)

  it("are refused with the signature that every broken curve takes", function()
    local signed = jwt.encode '{"alg":"ES256"}' .. "." .. jwt.encode(bare_claims()) .. "."
    local order = "\255\255\255\255\0\0\0\0\255\255\255\255\255\255\255\255\188\230\250\173\167\23\158\132\243\185\202\194\252\99\37\81"
    local zero, one = ("\0"):rep(32), ("\0"):rep(31) .. "\1"
    for _, signature in ipairs { zero .. zero, zero .. one, one .. zero, order .. order, order .. zero, ("\255"):rep(64), "", "\48\6\2\1\0\2\1\0" } do
      assert_refused(signed .. jwt.encode(signature), "/curve")
    end
  end)

  it("are refused when they bring their key, name where it is, or are critical", function()
    local own = ("attacker"):rep(4)
    local brought = {
      ('"jwk":%s'):format(dkjson.encode(jwk("a", own))), '"jku":"https://evil.example/keys.json"', '"x5u":"https://evil.example/c.pem"',
      '"x5c":["MIIB"]', '"kid":"../../dev/null"',
    }
    for _, member in ipairs(brought) do assert_refused(jwt.sign('{"alg":"HS256",' .. member .. "}", claims(), own)) end
    for _, critical in ipairs { '["exp"]', '["b64"]', '["anything"]', "[]", "null", "true" } do
      assert_refused(jwt.sign('{"alg":"HS256","crit":' .. critical .. "}", claims(), SECRET))
    end
  end)

  it("are refused with stray bits, padding, other alphabets, and parts too many or too few", function()
    local good = genuine()
    local head, body, signature = good:match("^(.-)%.(.-)%.(.-)$")
    local last = jwt.alphabet:find(signature:sub(-1), 1, true) -- 32 bytes leave two bits of the last character unused
    for stray = 1, 3 do assert_refused(good:sub(1, -2) .. jwt.alphabet:sub(last + stray, last + stray)) end
    for _, token in ipairs {
      good .. "=", good .. ".", "." .. good, good .. "." .. signature, head .. "." .. body, head, "..",
      head .. ".." .. signature, head .. "." .. body .. "+/" .. "." .. signature, head .. "." .. body .. ".", ("a"):rep(8193),
    } do
      assert_refused(token)
    end
  end)

  it("are refused with a claim twice, or without one that there must be", function()
    local now = os.time()
    for _, text in ipairs {
      claims ',"sub":"8"', claims ',"exp":9999999999', claims ',"aud":"api"', claims ',"x":{"a":1,"a":2}', '{"sub":"7"}', "{}", "[]", "7", "", "null",
      ('{"sub":"7","iss":"https://id.example","aud":"api","iat":%d}'):format(now),
      ('{"sub":"7","iss":"https://id.example","aud":"api","exp":%d}'):format(now - 60),
      ('{"sub":"7","iss":"https://id.example","aud":"api","exp":"%d"}'):format(now + 60),
      ('{"sub":"7","iss":"https://id.example","aud":"api","exp":%d,"nbf":%d}'):format(now + 60, now + 50),
      ('{"sub":"7","iss":"https://id.example","aud":"api","exp":1e400}'),
      ('{"sub":"7","iss":"https://id.example","aud":"api","exp":%d}'):format(now + 90000),
      ('{"sub":"7","iss":"https://evil.example","aud":"api","exp":%d}'):format(now + 60),
      ('{"sub":"7","iss":"https://id.example","aud":"other","exp":%d}'):format(now + 60),
      ('{"sub":"7","iss":"https://id.example","exp":%d}'):format(now + 60), claims() .. "{}", "\239\187\191" .. claims(),
    } do
      assert_refused(jwt.sign(HEADER, text, SECRET))
    end
  end)

  it("are a bad request when nobody can say which they are", function()
    local good = genuine()
    for _, value in ipairs { "Bearer", "Bearer " .. good .. " " .. good, "Bearer " .. good .. ", Bearer " .. good, "Bearer \"" .. good .. '"',
      "Bearer " .. good:gsub("%.", "=.", 1) } do
      local response = assert(connection:request("GET", "/me", { headers = { Authorization = value } }))
      assert.equal(400, response.status, value)
      assert.truthy(response.headers["www-authenticate"]:find('error="invalid_request"', 1, true))
      assert.is_nil(response.body:find("eyJ", 1, true))
    end
    connection:send(("GET /me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nauthorization: Bearer %s\r\n\r\n"):format(good, good))
    assert.equal(400, connection:receive().status)
  end)

  it("leave the genuine ones alone: of a curve, by kid, with a scope", function()
    local key = os.tmpname()
    local file = assert(io.open(key, "wb"))
    file:write(PRIVATE)
    file:close()
    local status, signed = server.run { "token", "--subject=9", "--key-file=" .. key }
    assert.equal(0, status)
    assert.equal("9", send(signed:gsub("%s", ""), "/curve").body)
    os.remove(key)
    local narrow = send(genuine ',"scope":"write"', "/read")
    assert.equal(403, narrow.status)
    assert.truthy(narrow.headers["www-authenticate"]:find('error="insufficient_scope"', 1, true))
    assert.truthy(narrow.headers["www-authenticate"]:find('scope="read"', 1, true))
    assert.equal("7", send(genuine ',"scope":"write read"', "/read").body)
  end)

  it("are told where tokens come from, before they have any", function()
    local response = assert(connection:request("GET", "/me"))
    assert.equal(401, response.status)
    assert.equal((CHALLENGE:gsub(', error="invalid_token"', "")), response.headers["www-authenticate"])
    local document = assert(connection:request("GET", "/.well-known/oauth-protected-resource/v1"))
    assert.equal("application/json", document.headers["content-type"])
    assert.same({
      resource = "https://api.example/v1", authorization_servers = { "https://id.example" }, bearer_methods_supported = { "header" },
      resource_name = "tokens",
    }, dkjson.decode(document.body))
  end)

  it("name their key by kid, among those of the file", function()
    local function with(kid, secret)
      return jwt.sign(kid and ('{"alg":"HS256","kid":"%s"}'):format(kid) or '{"alg":"HS256"}', bare_claims(), secret)
    end
    assert.equal("7", send(with("old", OLD), "/rotated").body)
    assert.equal("7", send(with("new", NEW), "/rotated").body)
    assert.equal("7", send(with(nil, OLD), "/rotated").body) -- who names none may have any of them
    for _, token in ipairs { with("old", NEW), with("new", OLD), with("gone", OLD), with("", NEW), with("old", SECRET) } do
      assert_refused(token, "/rotated")
    end
  end)
end)

describe("a key that was rotated out of the file", function()
  it("opens nothing any more, while the newer one goes on", function()
    local function ask(keys)
      local running = server.start(files(keys), { env = { JWT_SECRET = SECRET } })
      local statuses = {}
      for index, kid in ipairs { "old", "new" } do
        local token = jwt.sign(('{"alg":"HS256","kid":"%s"}'):format(kid), bare_claims(), kid == "old" and OLD or NEW)
        statuses[index] = running:request("GET", "/rotated", { headers = { Authorization = "Bearer " .. token } }).status
      end
      local status, log = running:stop()
      assert(status == 0, log)
      return statuses
    end
    assert.same({ 200, 401 }, ask(jwks(jwk("old", OLD))))
    assert.same({ 200, 200 }, ask(jwks(jwk("new", NEW), jwk("old", OLD))))
    assert.same({ 401, 200 }, ask(jwks(jwk("new", NEW))))
  end)
end)
