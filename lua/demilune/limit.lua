-- SPDX-License-Identifier: MIT
-- Limits: how often, and whom that counts. Read where they are declared, so that a
-- mistake is told at its line; counted by the core.

local core = require "demilune.core"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"
local response = require "demilune.response"

---@class demilune.LimitOptions
---@field rate string "5/minute", "100 per hour", "10/second;100/hour"
---@field by? "client"|"principal"|"api_key"|fun(req: table, need: table): any whom it counts: the client's address, who the guard found,
---or what a function gives (nil: not counted)
---@field cost? integer units that one request takes of the rate; 1 when nothing is said
---@field window? "sliding"|"fixed"

---@alias demilune.Limit string|demilune.LimitOptions|(string|demilune.LimitOptions)[]

---@class demilune.LimitRule
---@field rule string
---@field by "client"|"principal"|"api_key"|"function"
---@field key_of? fun(req: table, need: table): any
---@field cost? integer
---@field source? string where the function was declared
---@field group? userdata the core's, of a limit by a function
---@field window "sliding"|"fixed"
---@field name string what is counted together, the same after a reload

local limit = {}

local UNITS = { second = 1, minute = 60, hour = 3600, day = 86400 }
local COUNT_MOST, SECONDS_MOST, RULES_MOST = 1000000, 31 * 86400, 8
local EXAMPLE = '"5/minute", "100 per hour" or "10/second;100/hour"'
local OPTIONS = { rate = "string", by = "any", window = "string", cost = "count" }
local BY = { client = true, principal = true, api_key = true }
local WINDOWS = { sliding = true, fixed = true }

-- How many of what: "10", "2", "minute" of "10/2 minutes".
local function parts_of(text)
  local count, rest = text:lower():match("^%s*(%d+)%s*/(.*)$")
  if not count then count, rest = text:lower():match("^%s*(%d+)%s*per%f[%W](.*)$") end
  local number, unit = (rest or ""):match("^%s*(%d*)%s*(%a+)%s*$")
  return count, number, unit and unit:gsub("s$", "")
end

-- What is wrong with one rule, or nil.
local function problem_of(text)
  local count, number, unit = parts_of(text)
  if not unit then return "is no limit" end
  if unit == "month" or unit == "year" then return "counts by a length that varies; write days" end
  if not UNITS[unit] then return ("has the unknown unit %q; write second, minute, hour or day"):format(unit) end
  local seconds = (number == "" and 1 or tonumber(number)) * UNITS[unit]
  if tonumber(count) < 1 then return "would let nobody pass" end
  if tonumber(count) > COUNT_MOST then return "counts further than to 1,000,000" end
  if seconds < 1 or seconds > SECONDS_MOST then return "has a window that is not between 1 second and 31 days" end
  return nil
end

local function check_rate(place, what, rate, cost)
  local rules = 0
  for text in (rate .. ";"):gmatch("([^;,|]*)[;,|]") do
    local problem = problem_of(text)
    if not problem and cost > tonumber(text:match("%d+")) then problem = ("never lets a request of cost %d in"):format(cost) end
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
  local key_of = type(given.by) == "function" and given.by or nil
  if given.by ~= nil and not key_of and not BY[given.by] then
    errors.raise(place, '%s: limit: by is %s; write "client", "principal", "api_key" or a function of the request', what, errors.show(given.by))
  elseif given.cost == 0 then
    errors.raise(place, "%s: limit: cost is 0, so that nothing would be counted; write cost = 1 or more", what)
  elseif given.window and not WINDOWS[given.window] then
    errors.raise(place, '%s: limit: window is %s; write "sliding" or "fixed"', what, errors.show(given.window))
  end
  return {
    rule = check_rate(place, what, given.rate, given.cost or 1), by = key_of and "function" or given.by or "client",
    window = given.window or "sliding", key_of = key_of, cost = given.cost, source = key_of and place or nil,
  }
end

---What a limit option says, checked.
---@param place string
---@param what string
---@param given? demilune.Limit
---@return demilune.LimitRule[]?
function limit.read(place, what, given)
  if given == nil then return nil end
  if type(given) ~= "table" or given.rate or table.maxn(given) == 0 then given = { given } end
  options.list(place, what .. ": limit", given, 'write { rate = "5/minute", by = "principal" } in place of a text that needs more than itself')
  local rules = {}
  for index, one in ipairs(given) do rules[index] = read_one(place, what, one) end
  return rules
end

---How many requests a minute it lets through in the long run.
---@param rule demilune.LimitRule
---@return number
function limit.per_minute(rule)
  local least = math.huge
  for text in (rule.rule .. ";"):gmatch("([^;,|]*)[;,|]") do
    local count, number, unit = parts_of(text)
    least = math.min(least, count / ((tonumber(number) or 1) * UNITS[unit]) * 60 / (rule.cost or 1))
  end
  return least
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
    if (rule.by == "principal" or rule.by == "api_key") and guard_type.is_public(guard) then
      errors.raise(place, '%s: the limit %s counts by %s, but guard.public finds nobody; write by = "client", or limit a router of guarded routes '
        .. "where it is the app's", what, errors.show(rule.rule), rule.by)
    end
    for _, leaf in ipairs(rule.by == "api_key" and guard_type.leaves(guard) or {}) do
      if leaf.kind ~= "api_key" then
        errors.raise(place, '%s: the limit %s counts by api_key, but guard.%s lets pass who has none; write by = "principal"', what,
          errors.show(rule.rule), leaf.kind)
      end
    end
  end
end

-- --- at run time ------------------------------------------------------------------

local function key_text(rule, key)
  local kind = type(key)
  if kind == "string" then return key end
  if kind == "number" then return ("%.17g"):format(key) end -- tostring has 14 digits, and would count neighbours as one
  if kind == "cdata" then return (tostring(key):gsub("U?LL$", "")) end
  return error(("%s: limit: by gave %s; give text or a number, or nil for what is not counted"):format(rule.source, errors.show(key)), 0)
end

local function count(req, rule, key)
  local passes = core.limit_count(req, rule.group, key_text(rule, key))
  if passes == false then response.abort(429, "Too many requests") end -- the core says when to come back
  if passes == nil then response.abort(503, "Requests cannot be counted at the moment", { ["Retry-After"] = "1" }) end
end

---A handler that counts what is limited by functions before it runs.
---@param run fun(req: table, need?: table): any
---@param limits? demilune.LimitRule[]
---@return fun(req: table, need?: table): any
function limit.counting(run, limits)
  local rules = {}
  for _, rule in ipairs(limits or {}) do
    if rule.key_of then rules[#rules + 1] = rule end
  end
  if #rules == 0 then return run end
  return function(req, need)
    for index = 1, #rules do
      local key = rules[index].key_of(req, need or {})
      if key ~= nil then count(req, rules[index], key) end
    end
    return run(req, need)
  end
end

return limit
