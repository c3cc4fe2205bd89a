-- SPDX-License-Identifier: MIT
-- Fields that hold a URL: a handler writes it as it reads, and it goes out as RFC 3986 has it.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/to", function(req)
  return demilune.response { status = 303, headers = { Location = req.query.url, ["content-location"] = req.query.url, ["X-Other"] = req.query.url } }
end)
app:get("/abort", function(req) demilune.abort(303, nil, { LOCATION = req.query.url }) end)
app:get("/declared", { status = 204, headers = { ["Content-Location"] = "/caf\195\169 1" } }, function() end)
return app
]]

describe("a URL in a field", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function escaped(text) return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)) end
  local function sent(url) return running:request("GET", "/to?url=" .. escaped(url)) end

  it("has escaped what it may not hold, and nothing twice", function()
    for url, expected in pairs {
      ["/things/1?a=b&c=d;e#f"] = "/things/1?a=b&c=d;e#f",
      ["https://user@[::1]:8000/-._~!$&'()*+,;=:@"] = "https://user@[::1]:8000/-._~!$&'()*+,;=:@",
      ["/a b?c d"] = "/a%20b?c%20d", ["/caf\195\169/\226\130\172"] = "/caf%C3%A9/%E2%82%AC", ["/caf%C3%A9/a%20b%2f"] = "/caf%C3%A9/a%20b%2f",
      ["/100%"] = "/100%25", ["/100%/%4/%zz"] = "/100%25/%254/%25zz", ["/a\tb"] = "/a%09b", [ [[/\evil.example]] ] = "/%5Cevil.example",
      [ [[/"<>^`{|}]] ] = "/%22%3C%3E%5E%60%7B%7C%7D", [""] = "",
    } do
      local response = sent(url)
      assert.same({ 303, expected, expected }, { response.status, response.headers.location, response.headers["content-location"] }, url)
      assert.equal(expected, running:request("GET", "/abort?url=" .. escaped(url)).headers.location)
    end
    assert.equal("/caf%C3%A9%201", running:request("GET", "/declared").headers["content-location"])
  end)

  it("is left as it is in a field that is not known to hold one", function() assert.equal("/a b", sent("/a b").headers["x-other"]) end)

  it("is an error where it would begin another line", function()
    for _, url in ipairs { "/a\r\nX-Injected: yes", "/a\nb", "/a\rb", "/a\0b", "/a\27b" } do
      for _, target in ipairs { "/to", "/abort" } do
        local response = running:request("GET", target .. "?url=" .. escaped(url))
        assert.is_true(response.status == 500 or response.status == 400 and url == "/a\0b", url)
        assert.is_nil(response.headers["x-injected"])
      end
    end
    assert.truthy(running:log_line('the header \\"LOCATION\\" holds a character that a header cannot'))
  end)
end)
