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

describe("what would let somebody guess", function()
  local function refused(text, words)
    local why = owasp.refusal(text)
    assert.truthy(why and why:find(words, 1, true), why)
  end
  local function guarded(options) return owasp.HEAD .. "local app = demilune.app { guard = guard.bearer {" .. options .. "} }\nreturn app" end

  it("does not load: a login without a limit", function() refused(app "", "has no limit") end)
  it("does not load: tokens that live for ever", function() refused(guarded "secret = settings.JWT_SECRET", "no lifetime") end)
  it("does not load: tokens that live for days", function() refused(guarded 'secret = settings.JWT_SECRET, lifetime = "7d"', "30 minutes") end)
  it("does not load: tokens without a signature", function()
    refused(guarded 'secret = settings.JWT_SECRET, lifetime = "15m", algorithms = { "none" }', "everybody can make tokens")
  end)
  it("does not load: a secret in the source", function()
    assert.truthy(owasp.refusal(guarded 'secret = "a secret that stands in the source, 32 bytes", lifetime = "15m"'))
  end)
end)
