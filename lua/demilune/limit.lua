-- SPDX-License-Identifier: MIT
-- Limits: how often, and whom that counts. Read where they are declared, so that a
-- mistake is told at its line; counted by the core.

local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"

---@class demilune.LimitOptions
---@field rate string "5/minute", "100 per hour", "10/second;100/hour"
---@field by? "client"|"principal"|"api_key" whom it counts: the client's address, or who the guard found
---@field window? "sliding"|"fixed"

---@alias demilune.Limit string|demilune.LimitOptions|(string|demilune.LimitOptions)[]

---@class demilune.LimitRule
---@field rule string
---@field by "client"|"principal"
---@field window "sliding"|"fixed"
---@field name string what is counted together, the same after a reload
---@field key? boolean that by was "api_key"

local limit = {}

local UNITS = { second = 1, minute = 60, hour = 3600, day = 86400 }
local COUNT_MOST, SECONDS_MOST, RULES_MOST = 1000000, 31 * 86400, 8
local EXAMPLE = '"5/minute", "100 per hour" or "10/second;100/hour"'
local OPTIONS = { rate = "string", by = "any", window = "string" }
local BY = { client = "client", principal = "principal", api_key = "principal" }
local WINDOWS = { sliding = true, fixed = true }

-- What is wrong with one rule, or nil.
local function problem_of(text)
  local count, rest = text:lower():match("^%s*(%d+)%s*/(.*)$")
  if not count then count, rest = text:lower():match("^%s*(%d+)%s*per%f[%W](.*)$") end
  local number, unit = (rest or ""):match("^%s*(%d*)%s*(%a+)%s*$")
  unit = unit and unit:gsub("s$", "")
  if not unit then return "is no limit" end
  if unit == "month" or unit == "year" then return "counts by a length that varies; write days" end
  if not UNITS[unit] then return ("has the unknown unit %q; write second, minute, hour or day"):format(unit) end
  local seconds = (number == "" and 1 or tonumber(number)) * UNITS[unit]
  if tonumber(count) < 1 then return "would let nobody pass" end
  if tonumber(count) > COUNT_MOST then return "counts further than to 1,000,000" end
  if seconds < 1 or seconds > SECONDS_MOST then return "has a window that is not between 1 second and 31 days" end
  return nil
end

local function check_rate(place, what, rate)
  local rules = 0
  for text in (rate .. ";"):gmatch("([^;,|]*)[;,|]") do
    local problem = problem_of(text)
    if problem then errors.raise(place, "%s: limit: %s %s; write %s", what, errors.show(text), problem, EXAMPLE) end
    rules = rules + 1
  end
  if rules > RULES_MOST then errors.raise(place, "%s: limit: %s has more than %d rules; leave some out", what, errors.show(rate), RULES_MOST) end
  return rate
end

local function read_one(place, what, given)
  if type(given) == "string" then given = { rate = given } end
  if type(given) ~= "table" then errors.raise(place, "%s: limit must be text, not %s; write limit = %s", what, errors.show(given), EXAMPLE) end
  options.check(place, what .. ": limit", given, OPTIONS)
  if not given.rate then errors.raise(place, '%s: limit has no rate; write limit = { rate = "5/minute", by = "principal" }', what) end
  if type(given.by) == "function" then
    errors.raise(place, "%s: limit: by is a function, which this version does not count by, since limits are counted before Lua; "
      .. 'write "client", "principal" or "api_key"', what)
  elseif given.by ~= nil and not BY[given.by] then
    errors.raise(place, '%s: limit: by is %s; write "client", "principal" or "api_key"', what, errors.show(given.by))
  elseif given.window and not WINDOWS[given.window] then
    errors.raise(place, '%s: limit: window is %s; write "sliding" or "fixed"', what, errors.show(given.window))
  end
  return {
    rule = check_rate(place, what, given.rate), by = BY[given.by or "client"], window = given.window or "sliding", key = given.by == "api_key" or nil,
  }
end

---What a limit option says, checked.
---@param place string
---@param what string
---@param given? demilune.Limit
---@return demilune.LimitRule[]?
function limit.read(place, what, given)
  if given == nil then return nil end
  if type(given) ~= "table" or given.rate or next(given) == nil or #given == 0 then given = { given } end
  local rules = {}
  for index, one in ipairs(given) do rules[index] = read_one(place, what, one) end
  return rules
end

---The same rules under the name of what they count together: those of an app or a
---router count all its routes as one.
---@param rules? demilune.LimitRule[]
---@param scope string
---@return demilune.LimitRule[]
function limit.named(rules, scope)
  local named = {}
  for index, rule in ipairs(rules or {}) do
    local copy = { name = index == 1 and scope or ("%s #%d"):format(scope, index) }
    for name, value in pairs(rule) do copy[name] = value end
    named[index] = copy
  end
  return named
end

---Whether the guard finds whom the rules count; raises when it does not.
---@param place string
---@param what string
---@param rules demilune.LimitRule[]
---@param guard demilune.Guard
function limit.check_guard(place, what, rules, guard)
  for _, rule in ipairs(rules) do
    if rule.by == "principal" and guard_type.is_public(guard) then
      errors.raise(place, '%s: the limit %s counts by %s, but guard.public finds nobody; write by = "client"', what, errors.show(rule.rule),
        rule.key and "api_key" or "principal")
    end
    for _, leaf in ipairs(rule.key and guard_type.leaves(guard) or {}) do
      if leaf.kind ~= "api_key" then
        errors.raise(place, '%s: the limit %s counts by api_key, but guard.%s lets pass who has none; write by = "principal"', what,
          errors.show(rule.rule), leaf.kind)
      end
    end
  end
end

return limit
