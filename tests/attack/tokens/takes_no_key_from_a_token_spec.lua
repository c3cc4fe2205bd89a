-- SPDX-License-Identifier: MIT
-- RFC 8725 3.10; CVE-2018-0114: keys and addresses of keys in a header are the attacker's.

local keys = require "tests.attack.tokens.keys"
local tokens = require "tests.attack.support.tokens"

local function by_stranger(signed) return tokens.sign_rsa(keys.stranger.private, signed) end

tokens.promise("takes no key from a token:", function(world)
  it("jwk", function()
    world:refused(tokens.make(('{"alg":"RS256","jwk":%s}'):format(keys.stranger.jwk), tokens.claims(), by_stranger))
    world:refused(tokens.make('{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}', tokens.claims(), "\0\0\0"))
    world:refused(tokens.make('{"alg":"none","jwk":{"kty":"oct","k":""}}', tokens.claims(), ""))
  end)

  it("x5c, x5t", function()
    local header = '{"alg":"RS256","x5c":["%s"],"x5t":"AAAA","x5t#S256":"AAAA"}'
    world:refused(tokens.make(header:format(keys.stranger.certificate), tokens.claims(), by_stranger))
  end)

  it("jku, x5u, and nobody is asked", function()
    local socket = require "socket"
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    for _, name in ipairs { "jku", "x5u" } do
      for _, address in ipairs { "http://127.0.0.1:" .. port .. "/keys.json", "file:///etc/passwd", "//127.0.0.1:" .. port,
        "gopher://127.0.0.1:" .. port } do
        world:refused(tokens.make(('{"alg":"RS256","%s":"%s"}'):format(name, address), tokens.claims(), by_stranger))
      end
    end
    -- All answers are here, so that a connection would be too.
    listener:settimeout(0)
    assert.is_nil((listener:accept()))
    listener:close()
  end)

  it("and is not put off by them where the signature is its own", function()
    world:accepted("HS256", tokens.make('{"alg":"HS256","jku":"http://127.0.0.1/","jwk":{"kty":"oct","k":"AAAA"}}', tokens.claims()))
  end)
end)
