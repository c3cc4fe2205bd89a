-- SPDX-License-Identifier: MIT
local tokens = require "tests.attack.support.tokens"

local NAMES = { '"none"', '"None"', '"NONE"', '"nOnE"', '"none "', '" none"', '"none\\u0000"', '""', '"\\u0000"', "null", "0", "false", "[]", "{}",
  '["none"]', '["HS256"]', '"HS256\\u0000"', '"HS256 "', '"hs256"', '"HS1"', '"MD5"', '"plain"', '"RSA1_5"', '"dir"', '"A128GCM"', '"RS256,HS256"' }

tokens.promise("never takes a token without a signature:", function(world)
  it("whatever the algorithm is called", function()
    for _, name in ipairs(NAMES) do
      local header = ('{"alg":%s,"typ":"JWT"}'):format(name)
      world:refused(tokens.make(header, tokens.claims(), function() return "" end), name)
      world:refused(tokens.make(header, tokens.claims(), function() return "\0" end), name)
      world:refused(tokens.make(header, tokens.claims()), name .. ", signed with the secret")
      world:refused(tokens.make(header, tokens.claims(), ""), name .. ", signed with an empty key")
      world:refused((tokens.make(header, tokens.claims()):gsub("%.[^.]*$", "")), name .. ", in two parts")
    end
  end)

  it("nor one that names no algorithm", function()
    for _, header in ipairs { "{}", '{"typ":"JWT"}', '{"ALG":"HS256"}', '{"enc":"none"}', "[]", '"HS256"', "null", "", "{", '{"alg":"HS256"' } do
      world:refused(tokens.make(header, tokens.claims()), header)
    end
  end)

  it("nor a genuine one whose signature was taken away, cut or exchanged", function()
    for _, route in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
      local signed, signature = world.genuine[route]:match("^(.*)%.(.-)$")
      for _, other in ipairs { "", "AA", signature:sub(1, -3), signature:sub(3), signature .. signature, signature:reverse(),
        ("A"):rep(#signature) } do
        world:refused(signed .. "." .. other, route .. " " .. other)
      end
      for _, from in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
        local taken = world.genuine[from]:match("[^.]*$")
        if from ~= route then world:refused(signed .. "." .. taken, route .. " with the signature of " .. from) end
      end
    end
  end)
end)
