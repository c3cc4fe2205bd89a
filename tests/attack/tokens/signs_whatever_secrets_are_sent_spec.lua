-- SPDX-License-Identifier: MIT
-- Secrets of clients and OpenSSL's keys lie in the same pages, which are few. Whoever fills them with passwords must not end what has to sign.

local jwt = require "spec.support.jwt"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { KEY = model.secret(), HOOK = model.secret() }
local app = demilune.app { title = "Keys", version = "1", guard = guard.public }
local bearer = guard.bearer { key = settings.KEY, algorithms = { "ES256" }, lifetime = "15m" }
local kept = {}
local body = { password = model.secret() }
app:post("/login", { limit = "10000/minute", body = body, status = 204 }, function(req) kept[#kept + 1] = req.body.password end)
app:get("/issue", { limit = "10000/minute" }, function() return bearer:issue { subject = "ada" } end)
app:post("/hook", { limit = "10000/minute" }, function(req) return { signature = demilune.hmac.hex(settings.HOOK, req.body) } end)
return app
]]

describe("what signs goes on,", function()
  local folder, running
  setup(function()
    folder = server.write_app(APP)
    running = server.start(folder, { env = { KEY = jwt.private_key, HOOK = ("h00k-"):rep(8) } })
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    assert.equal(0, status, log)
  end)

  it("however many secrets clients send, and however large they are", function()
    local json = { ["Content-Type"] = "application/json" }
    for size = 17, 0, -1 do
      for _ = 1, 4 do
        local body = '{"password":"' .. ("p"):rep(2 ^ size) .. '"}'
        assert.equal(204, running:request("POST", "/login", { headers = json, body = body }).status)
      end
      assert.equal(200, running:request("GET", "/issue").status)
      assert.equal(200, running:request("POST", "/hook", { body = "x" }).status)
    end
  end)
end)
