-- SPDX-License-Identifier: MIT
-- A scenario as a request.

local request = {}

--- Its header fields besides Host and the length.
---@param scenario bench.Scenario
---@return table<string, string>
function request.headers(scenario)
  local headers = { ["Content-Type"] = scenario.body and "application/json" or nil }
  for name, value in pairs(scenario.headers or {}) do headers[name] = value end
  return headers
end

return request
