-- SPDX-License-Identifier: MIT
-- A page of another origin sends a login with the attacker's name (login CSRF): the answer's cookie would be in its visitor's browser, who from
-- then on works for the attacker. Or it sends a refresh or a logout, to which the browser adds the visitor's cookie where the page is of the
-- same site (RFC 6265bis 5.2).

local logins = require "tests.attack.support.logins"

local FOREIGN = {
  { "another site's form", { ["Sec-Fetch-Site"] = "cross-site", ["Sec-Fetch-Mode"] = "navigate", Origin = "https://evil.example" } },
  { "a page of another port or subdomain", { ["Sec-Fetch-Site"] = "same-site", Origin = "https://a.shop.example" } },
  { "a page that hides its origin", { ["Sec-Fetch-Site"] = "cross-site", Origin = "null" } },
  { "an older browser", { Origin = "https://evil.example" } },
}
local OURS = {
  {}, { ["Sec-Fetch-Site"] = "same-origin", Origin = "http://shop.example" }, { ["Sec-Fetch-Site"] = "none" },
  { ["Sec-Fetch-Site"] = "cross-site", Origin = "https://front.example" }, -- cors names it with credentials
}

describe("logins are begun by no other page:", function()
  local world
  setup(function()
    world = logins.start()
    world:register "ada"
    world:register "mallory"
  end)
  teardown(function() world:stop() end)

  for _, page in ipairs(FOREIGN) do
    it(page[1] .. " logs nobody in, keeps nobody in and out, and uses no token up", function()
      local ada = world:log_in "ada"
      local before = world:tokens()
      local responses = { world:send_form("mallory", nil, page[2]) }
      for _, target in ipairs { "/refresh", "/logout" } do
        responses[#responses + 1] = world:send(target, logins.COOKIE .. "=" .. ada.refresh, page[2])
      end
      for _, response in ipairs(responses) do
        assert.same({ 403, nil }, { response.status, response.headers["set-cookie"] })
        assert.truthy(response.body:find("another origin", 1, true), response.body)
      end
      assert.same(before, world:tokens())
      assert.truthy(world:refresh(ada.refresh))
    end)
  end

  it("our own pages do, and those that cors names, and who is no browser", function()
    for _, fields in ipairs(OURS) do
      local response = world:send_form("ada", nil, fields)
      assert.equal(200, response.status, response.body)
      local cookie = logins.COOKIE .. "=" .. logins.cookie_of(response)
      response = world:send("/refresh", cookie, fields)
      assert.equal(200, response.status)
      assert.equal(204, world:send("/logout", logins.COOKIE .. "=" .. logins.cookie_of(response), fields).status)
    end
  end)
end)
