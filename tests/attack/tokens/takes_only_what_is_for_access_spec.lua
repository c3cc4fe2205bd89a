-- SPDX-License-Identifier: MIT
-- RFC 8725 2.8, 3.11: an issuer signs tokens of many kinds with one key, and says by `typ` what each is for. RFC 7800: by `cnf` it says that
-- bearing a token is not enough; a thief has it without the key, and brings it to whoever does not look.

local tokens = require "tests.attack.support.tokens"

local KINDS = { "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "client-authentication+jwt", "rt+jwt",
  "refresh", "refresh+jwt",
  "id+jwt", "JWE", "JOSE", "JOSE+JSON", "application/jose", "application/", "application/logout+jwt", "text/JWT", "at+jwt2", "JWT ", "" }
local BOUND = { '{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}',
  '{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}',
  '{"jwk":{"kty":"oct","k":"AAAA"}}', '{"kid":"one"}', "{}", "null", '""' }

tokens.promise("takes only what is for access:", function(world)
  it("no token that says it is for something else", function()
    for _, kind in ipairs(KINDS) do world:refused(tokens.make(('{"alg":"HS256","typ":"%s"}'):format(kind), tokens.claims()), kind) end
    for _, kind in ipairs { "null", "1", "[]", '["JWT"]', "{}", "true" } do
      world:refused(tokens.make(('{"alg":"HS256","typ":%s}'):format(kind), tokens.claims()), kind)
    end
  end)

  it("access tokens, and those that do not say", function()
    for _, kind in ipairs { "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/jwt", "Application/JWT" } do
      world:accepted("HS256", tokens.make(('{"alg":"HS256","typ":"%s"}'):format(kind), tokens.claims()), kind)
    end
    world:accepted("HS256", tokens.make('{"alg":"HS256"}', tokens.claims()))
  end)

  it("no token whose bearer would have to prove a key", function()
    for _, bound in ipairs(BOUND) do
      local claims = tokens.claims('"cnf":' .. bound)
      world:refused(tokens.make('{"alg":"HS256"}', claims), bound, { "HS256", "any" })
      world:refused(tokens.make('{"alg":"HS256"}', claims, tokens.FIRST_SECRET), bound, { "kid" })
    end
  end)
end)
