-- SPDX-License-Identifier: MIT
-- API10:2023 unsafe consumption of APIs: what another service gave passes the same models as what clients send.

local owasp = require "tests.attack.support.owasp"

owasp.wall("what others send is validated:", owasp.HEAD .. [[
local app = demilune.app { title = "partner", version = "1", guard = guard.public }
local Rate = model "Rate" { currency = model.literal { "EUR", "USD" }, rate = model.number { gt = 0, le = 1000 } }
app:post("/partner", { body_kind = "text" }, function(req) -- as it came from elsewhere
  local given, problem = demilune.json.decode(req.body)
  if given == nil then demilune.abort(400, problem) end
  local rate, errors = Rate:validate(given)
  return rate or demilune.abort(400, errors)
end)
return app]], function(world)
  local function partner(text) return world.running:request("POST", "/partner", { body = text, headers = { ["Content-Type"] = "text/plain" } }) end

  it("a good one passes", function() assert.equal(200, partner('{"currency":"EUR","rate":1.5}').status) end)

  it("whatever else it may be does not, and breaks nothing", function()
    for _, text in ipairs { "", "null", "[]", "1", '"EUR"', "{", '{"currency":"EUR"}', '{"currency":"GBP","rate":1}', '{"currency":"EUR","rate":"1"}',
      '{"currency":"EUR","rate":-1}', '{"currency":"EUR","rate":1e999}', '{"currency":"EUR","rate":NaN}', '{"currency":"EUR","rate":1,"rate":2}',
      '{"currency":"EUR","rate":1,"admin":true}', '{"currency":["EUR"],"rate":1}', '{"currency":{"$ne":1},"rate":1}', ("["):rep(10000),
      '{"currency":"EUR\\u0000","rate":1}', "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>" } do
      assert.equal(400, partner(text).status, text:sub(1, 80))
    end
  end)
end)
