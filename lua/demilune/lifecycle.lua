-- SPDX-License-Identifier: MIT
-- What a route says about its own end: since when it is deprecated (RFC 9745) and
-- when it goes away (RFC 8594), in every response, so that clients can notice.

local errors = require "demilune.errors"
local units = require "demilune.units"

local lifecycle = {}

local DAYS = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" } -- 1970 began with a Thursday
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

-- os.date would name days and months in the system's language.
local function http_date(seconds)
  local parts = os.date("!*t", seconds)
  return ("%s, %02d %s %d %02d:%02d:%02d GMT"):format(DAYS[math.floor(seconds / 86400) % 7 + 1], parts.day, MONTHS[parts.month], parts.year,
    parts.hour, parts.min, parts.sec)
end

local function moment(place, what, name, value)
  local seconds = type(value) == "string" and units.epoch(value:match("^%d%d%d%d%-%d%d%-%d%d$") and value .. "T00:00:00Z" or value)
  if not seconds then
    errors.raise(place, '%s: %s is %s; write a day or a moment, such as %s = "2030-01-31"', what, name, errors.show(value), name)
  end
  return math.floor(seconds)
end

---The fields that deprecated and sunset of a route give; deprecated = true is for the documentation alone, for a field needs a date.
---@param place string
---@param what string
---@param given { deprecated?: boolean|string, sunset?: string }
---@return table<string, string>? headers
function lifecycle.headers(place, what, given)
  local since = given.deprecated
  if since ~= nil and type(since) ~= "boolean" then since = moment(place, what, "deprecated", since) end
  local headers = {}
  if type(since) == "number" then headers.Deprecation = ("@%d"):format(since) end
  if given.sunset ~= nil then
    local sunset = moment(place, what, "sunset", given.sunset)
    if not since then errors.raise(place, '%s has a sunset and is not deprecated; write deprecated = "2030-01-31" beside it', what) end
    if type(since) == "number" and sunset < since then
      errors.raise(place, "%s: its sunset comes before it is deprecated, which RFC 9745 forbids; change one of them", what)
    end
    headers.Sunset = http_date(sunset)
  end
  return headers
end

return lifecycle
