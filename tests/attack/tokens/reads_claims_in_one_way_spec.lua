-- SPDX-License-Identifier: MIT
-- RFC 8259 4, RFC 7519 4: claims that two readers could read in two ways are read in none, even where the signature is good.

local tokens = require "tests.attack.support.tokens"

local HEADER = '{"alg":"HS256"}'

tokens.promise("reads claims in one way:", function(world)
  local function refused(claims) world:refused(tokens.make(HEADER, claims), claims, { "HS256", "any" }) end
  local function with_expiry(text) return ('{"sub":"ada","exp":%s}'):format(text) end

  it("names that come twice", function()
    for _, more in ipairs { '"sub":"root"', '"sub":"ada"', '"\\u0073ub":"root"', ('"exp":%d'):format(os.time() + 700),
      '"roles":["user"],"roles":["admin"]',
      '"x":{"a":1,"a":2}' } do
      refused(tokens.claims(more))
    end
    world:refused(tokens.make('{"alg":"HS256","alg":"none"}', tokens.claims()))
    world:refused(tokens.make('{"alg":"none","alg":"HS256"}', tokens.claims()))
    world:refused(tokens.make('{"alg":"HS256","\\u0061lg":"HS256"}', tokens.claims()))
  end)

  it("an exp that is no number, or no time to come", function()
    for _, text in ipairs { '"2000000000"', '"never"', '""', "null", "true", "false", "[]", "{}", ("[%d]"):format(os.time() + 600), "NaN", "nan",
      "Infinity", "-Infinity",
      "1e400", "-1e400", "-1", "0", "-0", "1", "1e3", "0x7fffffff", "+2000000000", "2000000000.", ".5", "-9223372036854775808", "9223372036854775807",
      "9223372036854775808", "99999999999999999999", "1e15", "1e308", "4102444800", "253402300800", tostring(os.time() * 1000),
      tostring(os.time() - 60),
      tostring(os.time() + 3600), ("%d.9"):format(os.time() - 60) } do
      refused(with_expiry(text))
    end
    refused '{"sub":"ada"}'
    refused(('{"sub":"ada","EXP":%d}'):format(os.time() + 600))
  end)

  it("a float is a time", function() world:accepted("HS256", tokens.make(HEADER, with_expiry(("%d.5"):format(os.time() + 600)))) end)

  it("an nbf or iat that is no number, or to come", function()
    for _, name in ipairs { "nbf", "iat" } do
      for _, text in ipairs { '"1"', "null", "[]", "true", "NaN", "1e400", "1e300", tostring(os.time() + 3600) } do
        refused(tokens.claims(('"%s":%s'):format(name, text)))
      end
    end
  end)

  it("an iat since when it lives longer than tokens may, however little is left of it", function()
    for _, text in ipairs { tostring(os.time() - 30 * 86400), tostring(os.time() - 3600), "0", "-0", "-1", "-1e14", "1e-300", "1.5" } do
      refused(tokens.claims('"iat":' .. text))
    end
    world:accepted("HS256", tokens.make(HEADER, tokens.claims('"iat":' .. os.time() - 60)))
  end)

  it("a subject, issuer or audience of another kind", function()
    for _, text in ipairs { "1", "null", "[]", "{}", "true", '["ada"]' } do
      refused(('{"sub":%s,"exp":%d}'):format(text, os.time() + 600))
      refused(tokens.claims('"iss":' .. text))
    end
    for _, text in ipairs { "1", "null", "{}", "true", "[1]", "[null]", '["a",1]' } do refused(tokens.claims('"aud":' .. text)) end
  end)

  it("claims that are no object, or no JSON", function()
    for _, text in ipairs { "[]", "null", '"exp"', "1", "", " ", "{", "{}}", tokens.claims() .. "{}", tokens.claims() .. "\0",
      "\239\187\191" .. tokens.claims(),
      tokens.claims('"x":"\255"'), tokens.claims('"x":"\\ud800"'), tokens.claims('"x":"\1"'), tokens.claims("x:1"), tokens.claims("'x':1"),
      tokens.claims('"x":1,'), tokens.claims('"x":01'), "/**/" .. tokens.claims(), tokens.claims('"x":' .. ("["):rep(3000) .. ("]"):rep(3000)) } do
      refused(text)
    end
  end)

  it("roles and scopes of another kind give none", function()
    for _, text in ipairs { "1", "null", "{}", "true", '{"admin":true}', '["admin",1]', '[["admin"]]' } do
      local response = world:accepted("HS256", tokens.make(HEADER, tokens.claims('"roles":' .. text)))
      assert.truthy(response.body:find('"roles":[]', 1, true), text .. response.body)
    end
  end)
end)
