-- SPDX-License-Identifier: MIT
-- An app that signs texts of its clients, by a secret of its guards' or by one of its own: no signature that it gives away is a token's, nor the
-- key by which sessions are sealed.

local server = require "spec.support.server"
local tokens = require "tests.attack.support.tokens"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local secret = model.secret { min_bytes = 32 }
local settings = demilune.settings { TOKENS = secret, SESSIONS = secret, HOOKS = secret }
local app = demilune.app { guard = guard.public }
local bearer = guard.bearer { secret = settings.TOKENS, lifetime = "15m" }
local session = guard.session { secret = settings.SESSIONS, lifetime = "8h" }
for name, key in pairs { tokens = settings.TOKENS, sessions = settings.SESSIONS, hooks = settings.HOOKS } do
  app:post("/sign/" .. name, { body_kind = "text" }, function(req) return demilune.hmac.hex(key, req.body) end)
end
app:get("/me", { guard = guard.any { bearer, session } }, function(req) return req.principal.subject end)
return app
]]

local HOOKS = "a secret of the tests, for what is no token"

describe("a text of a client's", function()
  local running
  setup(function() running = server.start(APP, { env = { TOKENS = tokens.SECRET, SESSIONS = tokens.OTHER_SECRET, HOOKS = HOOKS } }) end)
  teardown(function() running:stop() end)

  local function sign(name, text)
    return running:request("POST", "/sign/" .. name, { headers = { ["Content-Type"] = "text/plain" }, body = text })
  end
  local function bytes_of(hex) return (hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)) end

  it("is signed as no token", function()
    local response
    local token = tokens.make('{"alg":"HS256","typ":"JWT"}', tokens.claims(), function(signed)
      response = sign("tokens", signed)
      return bytes_of(response.status == 200 and response.body or "")
    end)
    assert.equal(401, running:request("GET", "/me", { headers = { Authorization = "Bearer " .. token } }).status)
    assert.equal(500, response.status)
    assert.truthy(running:log_line("hmac.hex was given the secret by which the guard of app.lua:6 signs"))
  end)

  it("has no key of sessions for its signature", function()
    assert.equal(500, sign("sessions", "demilune seal 1: key").status)
  end)

  it("is signed by a secret of its own", function()
    local response = sign("hooks", "a delivery")
    assert.equal(200, response.status)
    assert.equal(tokens.hmac(HOOKS, "a delivery"), bytes_of(response.body))
  end)
end)
