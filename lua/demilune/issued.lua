-- SPDX-License-Identifier: MIT
-- What a guard is given to make a token or a session of, looked over: what would be left
-- out without a word, or come back as something else, is told instead.

local core = require "demilune.core"
local errors = require "demilune.errors"

local issued = {}

local function unknown_option(given, takes)
  local known = {}
  for _, name in ipairs(takes) do known[name] = true end
  for name in pairs(given) do
    if not known[name] then
      return ("there is no option %s; it takes %s and %s"):format(tostring(name), table.concat(takes, ", ", 1, #takes - 1), takes[#takes])
    end
  end
end

-- In a list with one that is no text the core finds none, and a scope with a blank would come back as two.
local function wrong_name(what, names)
  if type(names or {}) ~= "table" then return ("%ss is a list; write %ss = { %s }"):format(what, what, errors.show(names)) end
  for _, name in ipairs(names or {}) do
    if type(name) ~= "string" or name == "" or what == "scope" and name:find("[%s%c]") then return ("%s is no %s"):format(errors.show(name), what) end
  end
end

local function stranger(names, known)
  local allowed = {}
  for _, name in ipairs(known or {}) do allowed[name] = true end
  for _, name in ipairs(known and names or {}) do
    if not allowed[name] then return ("%s is not among the guard's roles or scopes"):format(errors.show(name)) end
  end
end

---What is wrong with what was given to a guard's issue, or nil.
---@param guard demilune.Guard
---@param given table
---@param takes string[] its options
---@return string?
function issued.problem(guard, given, takes)
  if type(given) ~= "table" then return ("it takes a table, not %s; write { subject = user.id }"):format(errors.show(given)) end
  if type(given.claims or {}) ~= "table" then
    return ("claims is a table, not %s; write claims = { name = value }"):format(errors.show(given.claims))
  end
  return unknown_option(given, takes) or wrong_name("role", given.roles) or wrong_name("scope", given.scopes)
    or stranger(given.roles, guard.known_roles) or stranger(given.scopes, guard.known_scopes)
end

---The claims as JSON; nil and what is wrong with them.
---@param claims table
---@return string?
---@return string?
function issued.encode(claims)
  local ok, text = pcall(core.json_encode, claims)
  if ok then return text end
  return nil, "its claims are no JSON: " .. text:gsub("^.-json_encode: ", "")
end

return issued
