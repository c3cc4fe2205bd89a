-- SPDX-License-Identifier: MIT
-- A scenario as a request, and the secret that its token is signed with.

local request = {}

-- Every server gets it in its environment as JWT_SECRET. It stands here for all to read: not one to use anywhere else.
request.secret = "7f2c9b61e0d4835aa1c6f09e42b87d53"
request.environment = "JWT_SECRET=" .. request.secret

--- Its header fields besides Host and the length.
---@param scenario bench.Scenario
---@return table<string, string>
function request.headers(scenario)
  local headers = { ["Content-Type"] = scenario.body and "application/json" or nil }
  for name, value in pairs(scenario.headers or {}) do headers[name] = value end
  return headers
end

return request
