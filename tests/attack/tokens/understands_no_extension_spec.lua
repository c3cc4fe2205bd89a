-- SPDX-License-Identifier: MIT
-- RFC 7515 4.1.11: what is critical and not understood refuses. RFC 7797: no unencoded claims, which RFC 7797 7 forbids in a JWT.

local tokens = require "tests.attack.support.tokens"

tokens.promise("understands no extension of tokens:", function(world)
  it("crit, whatever it holds", function()
    for _, crit in ipairs { '["exp"]', '["b64"]', '["http://example.com/x"]', "[]", '""', "null", "false", "{}", '["alg"]', '["crit"]', "0" } do
      world:refused(tokens.make(('{"alg":"HS256","crit":%s,"exp":1}'):format(crit), tokens.claims()), crit)
    end
  end)

  it("b64, in crit and without, over encoded and bare claims", function()
    for _, header in ipairs { '{"alg":"HS256","b64":false,"crit":["b64"]}', '{"alg":"HS256","b64":false}', '{"alg":"HS256","b64":0}',
      '{"alg":"HS256","b64":true}', '{"alg":"HS256","b64":null}' } do
      world:refused(tokens.make(header, tokens.claims()), header)
      local signed = tokens.encode(header) .. "." .. tokens.claims():gsub("[{}\":,]", "~")
      world:refused(signed .. "." .. tokens.encode(tokens.hmac(tokens.SECRET, signed)), header .. ", bare")
    end
  end)

  it("zip", function()
    for _, zip in ipairs { '"DEF"', '"none"', "null" } do
      world:refused(tokens.make(('{"alg":"HS256","zip":%s}'):format(zip), tokens.claims()), zip)
    end
  end)

  it("encrypted tokens", function()
    local parts = {}
    for index = 1, 5 do parts[index] = tokens.encode(("x"):rep(16)) end
    parts[1] = tokens.encode '{"alg":"dir","enc":"A128GCM"}'
    world:refused(table.concat(parts, "."))
    world:refused(tokens.encode '{"alg":"dir","enc":"A128GCM"}' .. ".." .. table.concat(parts, ".", 3))
    world:refused(tokens.make('{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AAAA","p2c":2147483647}', tokens.claims()))
  end)

  it("tokens in tokens", function()
    local inner = tokens.make('{"alg":"HS256"}', tokens.claims())
    for _ = 1, 8 do
      inner = tokens.make('{"alg":"HS256","cty":"JWT"}', inner)
      world:refused(inner)
    end
    world:refused(tokens.make('{"alg":"none","cty":"JWT"}', world.genuine.HS256, ""))
    world:refused(world.genuine.HS256 .. "." .. world.genuine.HS256)
  end)
end)
