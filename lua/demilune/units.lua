-- SPDX-License-Identifier: MIT
-- Durations ("15m"), sizes ("1MiB") and moments ("2030-01-01T00:00:00Z") as
-- people write them, turned into seconds and bytes. Each gives nil for a text
-- that is none.

local units = {}

local SECONDS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400, w = 604800 }
local BYTES = { B = 1, KB = 1e3, MB = 1e6, GB = 1e9, KiB = 1024, MiB = 1024 ^ 2, GiB = 1024 ^ 3 }

local function measure(text, scale)
  if type(text) == "number" then return text end
  local number, unit = tostring(text):match("^(%d+%.?%d*)%s*(%a+)$")
  return number and scale[unit] and tonumber(number) * scale[unit] or nil
end

---@param duration string|number "500ms", "61s", "15m", "2h", "30d", or seconds
---@return number? seconds
function units.seconds(duration) return measure(duration, SECONDS) end

---@param size string|number "64KiB", "1MB", or bytes
---@return number? bytes
function units.bytes(size) return measure(size, BYTES) end

-- Days from 1970-01-01 in the proleptic Gregorian calendar, by counting years from March.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  local leaps = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
  return 365 * year + leaps + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
end

-- Whether there is such a day; of a month that is none there is no day at all.
local function is_day(year, month, day)
  local next_year, next_month = year, month + 1
  if month == 12 then next_year, next_month = year + 1, 1 end
  return month >= 1 and month <= 12 and day >= 1 and day <= days(next_year, next_month, 1) - days(year, month, 1)
end

---@param text string RFC 3339: "2030-01-01T00:00:00Z", "2030-01-01T02:00:00+02:00"
---@return number? seconds since 1970-01-01T00:00:00Z; nil also for a day that there is not
function units.epoch(text)
  local year, month, day, hour, minute, second, zone = text:match("^(%d%d%d%d)-(%d%d)-(%d%d)[Tt ](%d%d):(%d%d):(%d%d%.?%d*)(.+)$")
  if not year then return nil end
  year, month, day, hour, minute, second = tonumber(year), tonumber(month), tonumber(day), tonumber(hour), tonumber(minute), tonumber(second)
  if not is_day(year, month, day) or hour > 23 or minute > 59 or second >= 61 then return nil end
  local offset = 0
  if zone ~= "Z" and zone ~= "z" then
    local sign, hours, minutes = zone:match("^([+-])(%d%d):(%d%d)$")
    if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then return nil end
    offset = (hours * 60 + minutes) * (sign == "-" and -60 or 60)
  end
  return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
end

return units
