-- SPDX-License-Identifier: MIT
-- RFC 8725 3.10: a kid that is used as a path, a query or a command is an injection.

local tokens = require "tests.attack.support.tokens"

local KIDS = { "/dev/null", "../../../../../../dev/null", "file:///dev/null", "/proc/sys/kernel/randomize_va_space", "x' UNION SELECT 'secret'--",
  "one' OR '1'='1", "one;id", "|id", "$(id)", "`id`", "%00", "one%00", "one/../two", "http://127.0.0.1/", "{{7*7}}", "*", "", " one", "one ",
  "ONE", "on",
  "onetwo", "one\\u0000", "\\u0000", "one\\n", ("a"):rep(3000) }
local OTHERS = { "0", "1", "null", "true", "[]", '["one"]', "{}", '{"one":1}', "1e400", "-1" }

tokens.promise("a kid is only a name:", function(world)
  it("one that nobody has finds no key, whatever it was signed with", function()
    for _, kid in ipairs(KIDS) do
      for _, key in ipairs { "", "\0", "secret", "2\n", kid } do
        world:refused(tokens.make(('{"alg":"HS256","kid":"%s"}'):format(kid), tokens.claims(), key), kid)
      end
      local token = tokens.make(('{"alg":"HS256","kid":"%s"}'):format(kid), tokens.claims(), tokens.FIRST_SECRET)
      world:refused(token, kid .. ", signed with the secret", { "kid" })
    end
  end)

  it("one that is no text is refused", function()
    for _, kid in ipairs(OTHERS) do
      local header = ('{"alg":"HS256","kid":%s}'):format(kid)
      world:refused(tokens.make(header, tokens.claims()), kid)
      world:refused(tokens.make(header, tokens.claims(), tokens.FIRST_SECRET), kid, { "kid" })
    end
  end)

  it("one key does not stand for the other", function()
    world:refused(tokens.make('{"alg":"HS256","kid":"one"}', tokens.claims(), tokens.OTHER_SECRET))
    world:refused(tokens.make('{"alg":"HS256","kid":"two"}', tokens.claims(), tokens.FIRST_SECRET), "two", { "kid" })
    world:refused(tokens.make('{"alg":"HS256","kid":"one","kid":"two"}', tokens.claims(), tokens.FIRST_SECRET))
    world:accepted("kid", tokens.make('{"alg":"HS256","kid":"one"}', tokens.claims(), tokens.FIRST_SECRET))
  end)
end)
