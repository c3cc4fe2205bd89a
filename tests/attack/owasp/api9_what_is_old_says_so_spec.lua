-- SPDX-License-Identifier: MIT
-- API9:2023 improper inventory management: routes say that they end (RFC 9745, RFC 8594), and the inventory cannot lag.

local cjson = require "cjson"
local owasp = require "tests.attack.support.owasp"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "old", version = "1", guard = demilune.guard.public }
app:get("/v1", { deprecated = "2030-01-31", sunset = "2031-06-30T12:00:00Z" }, function() return 1 end)
app:get("/v1/flag", { deprecated = true, sunset = "2031-06-30" }, function() demilune.abort(404) end)
app:get("/v2", function() return 2 end)
return app]]

owasp.wall("what is old says so:", APP, function(world)
  it("in every response of the route", function()
    local headers = world:ask("GET", "/v1").headers
    assert.equal("@1896048000", headers.deprecation)
    assert.equal("Mon, 30 Jun 2031 12:00:00 GMT", headers.sunset)
    assert.equal("Mon, 30 Jun 2031 00:00:00 GMT", world:ask("GET", "/v1/flag").headers.sunset)
    assert.is_nil(world:ask("GET", "/v1/flag").headers.deprecation)
    headers = world:ask("GET", "/v2").headers
    assert.is_nil(headers.deprecation)
    assert.is_nil(headers.sunset)
  end)

  it("and in the document, which has every route", function()
    local status, out = server.run { "openapi", world.app }
    assert.equal(0, status)
    local paths = cjson.decode(out).paths
    assert.is_true(paths["/v1"].get.deprecated)
    assert.equal("2031-06-30T12:00:00Z", paths["/v1"].get["x-sunset"])
    assert.is_nil(paths["/v2"].get.deprecated)
    assert.truthy(paths["/v1/flag"])
  end)
end)

describe("an end that cannot be", function()
  for options, said in pairs {
    ['deprecated = "soon"'] = "write a day or a moment", ['sunset = "2030-01-31"'] = "is not deprecated",
      ["deprecated = 5"] = "write a day or a moment",
    ['deprecated = "2030-01-31", sunset = "2029-01-31"'] = "RFC 9745", ['deprecated = true, sunset = "31.1.2030"'] = "write a day or a moment",
  } do
    it("does not load: " .. options, function()
      local status, words = owasp.check((APP:gsub('app:get%("/v2", ', 'app:get("/v2", { ' .. options .. " }, ")))
      assert.equal(1, status)
      assert.truthy(words:find(said, 1, true), words)
    end)
  end
end)
