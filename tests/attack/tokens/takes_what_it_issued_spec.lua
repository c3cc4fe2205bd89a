-- SPDX-License-Identifier: MIT
-- The other tests here say little if nothing ever passed.

local tokens = require "tests.attack.support.tokens"

tokens.promise("takes what it issued:", function(world)
  for _, route in ipairs { "HS256", "RS256", "ES256", "EdDSA", "kid" } do
    it(route, function() world:accepted(route, world.genuine[route]) end)
  end

  it("each guard its own, and guard.any all of them", function()
    for _, route in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
      world:accepted("any", world.genuine[route])
      for _, other in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
        if other ~= route then world:refused(world.genuine[route], route, { other }) end
      end
    end
  end)

  it("a token that the spec signs as the app would", function()
    world:accepted("HS256", tokens.make('{"alg":"HS256"}', tokens.claims()))
    world:accepted("kid", tokens.make('{"alg":"HS256","kid":"two"}', tokens.claims(), tokens.OTHER_SECRET))
  end)
end)
