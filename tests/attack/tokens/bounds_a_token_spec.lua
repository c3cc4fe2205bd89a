-- SPDX-License-Identifier: MIT
local tokens = require "tests.attack.support.tokens"

tokens.promise("bounds a token:", function(world)
  --- A genuine token of about so many bytes.
  local function of_size(bytes)
    local more = ('"x":"%s"'):format(("a"):rep(math.floor((bytes - 200) * 3 / 4)))
    return tokens.make('{"alg":"HS256"}', tokens.claims(more))
  end

  it("4 KiB pass", function() world:accepted("HS256", of_size(4096)) end)

  it("8 KiB and more do not, though they are genuine", function()
    for _, bytes in ipairs { 9000, 10000, 12000, 15000 } do world:refused(of_size(bytes), bytes .. " bytes", { "HS256", "kid", "any" }) end
    world:refused(("a"):rep(8193), "letters")
    world:refused("e30." .. ("a"):rep(8188) .. ".", "claims without end")
  end)

  it("beyond the head's limit nobody looks at it", function()
    for _, bytes in ipairs { 17000, 70000, 8 * 1024 * 1024 } do
      local connection = world.running:connect()
      connection:send("GET /HS256 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " .. of_size(bytes) .. "\r\n\r\n") -- fails when the server has closed
      local response = connection:receive()
      assert.equal(431, response and response.status, bytes .. " bytes")
      connection:close()
    end
    world:accepted("HS256", world.genuine.HS256)
  end)

  it("JSON that is deep or long costs nothing much", function()
    local function in_header(text) return tokens.make(('{"alg":"HS256","x":%s}'):format(text), tokens.claims()) end
    local function in_claims(text) return tokens.make('{"alg":"HS256"}', tokens.claims('"x":' .. text)) end
    for _, text in ipairs { ("["):rep(5000), ("["):rep(2500) .. ("]"):rep(2500) } do
      world:refused(in_header(text), "header", { "HS256", "any" })
      world:refused(in_claims(text), "claims", { "HS256", "any" })
    end
    local deep, long = ('{"a":'):rep(1000) .. "1" .. ("}"):rep(1000), "[" .. ("0,"):rep(2400) .. "0]"
    world:refused(in_claims(deep), "deep claims", { "HS256", "any" })
    for _, token in ipairs { in_header(deep), in_header(long), in_claims(long) } do world:accepted("HS256", token) end
  end)
end)
