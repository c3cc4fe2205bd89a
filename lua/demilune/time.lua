-- SPDX-License-Identifier: MIT
-- Moments as text of RFC 3339, and as what demilune.now gives: seconds since 1970.

local core = require "demilune.core"
local names = require "demilune.names"

---@class demilune.time
local time = {}

---@param text any "2030-01-01T10:00:00+02:00"; what is no text is no moment
---@return number? seconds since 1970-01-01T00:00:00Z, with their fraction
---@return string? problem what is wrong with the text
function time.seconds(text)
  if type(text) ~= "string" then return nil, "should be a date and time, as a string like \"2026-11-24T10:00:00Z\"" end
  return core.time_seconds(text)
end

---@param seconds number since 1970-01-01T00:00:00Z; a fraction is dropped
---@return string text in UTC, of 20 characters: "2030-01-01T10:00:00Z"
function time.text(seconds)
  local text = type(seconds) == "number" and core.time_text(seconds)
  if text then return text end
  error(("time.text takes seconds since 1970 within the years 1 to 9999, such as demilune.now(), not %s"):format(tostring(seconds)), 2)
end

return names.strict("time.", time, {
  now = "write demilune.now", parse = "write time.seconds", format = "write time.text",
})
