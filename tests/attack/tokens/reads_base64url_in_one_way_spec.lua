-- SPDX-License-Identifier: MIT
-- RFC 7515 2, RFC 4648 3.5: a token has one spelling, or revocation lists, caches and logs are led astray.

local tokens = require "tests.attack.support.tokens"

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

tokens.promise("reads base64url in one way:", function(world)
  -- Characters that no token has make a credential malformed, which is a 400 of its own (RFC 6750 3.1); the rest is a 401 like any.
  local function malformed(credential, what)
    local response = world:send("HS256", credential)
    assert.equal(400, response.status, what or credential)
    assert.equal('{"detail":"The credentials are malformed"}', response.body)
  end

  it("padding", function()
    for _, route in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
      local header, claims, signature = world.genuine[route]:match("^(.-)%.(.-)%.(.-)$")
      for _, token in ipairs { world.genuine[route] .. "=", world.genuine[route] .. "==", world.genuine[route] .. ("="):rep(100) } do
        world:refused(token, route)
      end
      malformed("Bearer " .. header .. "=." .. claims .. "." .. signature)
      malformed("Bearer " .. header .. "." .. claims .. "==." .. signature)
    end
  end)

  it("bits behind the last byte", function()
    for _, route in ipairs { "HS256", "ES256", "EdDSA" } do
      local token = world.genuine[route]
      local passed = 0
      for letter in ALPHABET:gmatch(".") do
        local other = token:sub(1, -2) .. letter
        if other == token then
          world:accepted(route, other)
          passed = passed + 1
        else
          world:refused(other, route .. " " .. letter, { route, "any" })
        end
      end
      assert.equal(1, passed)
    end
  end)

  it("the other alphabet", function()
    for _ = 1, 50 do -- until a token has both of the letters that differ
      local token = tokens.make('{"alg":"HS256"}', tokens.claims(('"x":"%s"'):format(("\239\191\189>?~"):rep(3) .. math.random())))
      if token:find("-", 1, true) and token:find("_", 1, true) then
        world:accepted("HS256", token)
        world:refused((token:gsub("-", "+")))
        world:refused((token:gsub("_", "/")))
        return
      end
    end
    error "no token had both letters"
  end)

  it("dots", function()
    local token = world.genuine.HS256
    for _, other in ipairs { token .. ".", "." .. token, token:gsub("%.", ".."), ".", "..", "...", ("."):rep(5000), token:gsub("%.", ""),
      token .. ".e30" } do
      world:refused(other)
    end
  end)

  it("white space, quotes, escapes and other bytes", function()
    local header, rest = world.genuine.HS256:match("^(.-)(%..*)$")
    for _, byte in ipairs { " ", "\t", "%20", "%2e", ",", ";", '"', "'", "\\n", "\128", "\195\169", "\239\188\174", "*", "!", "(", "{" } do
      malformed("Bearer " .. header .. byte .. rest, byte)
    end
    malformed('Bearer "' .. header .. rest .. '"')
    malformed("Bearer " .. header .. rest .. " " .. header .. rest)
    malformed("Bearer " .. header .. rest .. ", Bearer " .. header .. rest)
  end)

  it("and takes it from Authorization alone, and from one", function()
    local token = world.genuine.HS256
    local function status(target, headers) return world.running:request("GET", target, { headers = headers }).status end
    assert.equal(401, status("/HS256?access_token=" .. token))
    assert.equal(401, status("/HS256", { Cookie = "access_token=" .. token .. "; token=" .. token }))
    assert.equal(401, status("/HS256", { ["X-Authorization"] = "Bearer " .. token, ["Proxy-Authorization"] = "Bearer " .. token }))
    for _, scheme in ipairs { "Basic", "JWT", "Token", "DPoP", "Bearerx" } do
      assert.equal(401, status("/HS256", { Authorization = scheme .. " " .. token }))
    end
    local connection = world.running:connect()
    connection:send(("GET /HS256 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nAuthorization: Bearer %s\r\n\r\n"):format(token, token))
    assert.equal(400, connection:receive().status)
    assert.is_true(connection:is_closed())
    connection:close()
  end)
end)
