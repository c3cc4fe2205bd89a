-- SPDX-License-Identifier: MIT
-- Names of the cookies that carry credentials.

local context = require "demilune.context"
local errors = require "demilune.errors"

local cookie = {}

---Checks the name of a cookie that says who somebody is. One that is not named
---__Host- can be set by every host of the domain, in place of the service's own, so
---that a visitor acts in an attacker's name (RFC 6265bis 4.1.3.2).
---@param place string
---@param what string whose it is: "guard.session"
---@param name? string
---@return string? name
function cookie.read(place, what, name)
  if name == nil then return nil end
  if not name:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
    errors.raise(place, '%s: %s is no name of a cookie; write cookie = "__Host-session"', what, errors.show(name))
  end
  if name:sub(1, 7) ~= "__Host-" then
    context.note("error", place, what .. ": a browser lets other hosts of the domain set the cookie " .. name,
      'write cookie = "__Host-' .. name .. '"')
  end
  return name
end

return cookie
