-- SPDX-License-Identifier: MIT
-- guard.api_key: keys that services present in a header field or a cookie. The core
-- keeps their digests only; in a query string they would end in logs, so that there
-- is no such option.

local context = require "demilune.context"
local cookie = require "demilune.cookie"
local core = require "demilune.core"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"
local secrets = require "demilune.secrets"
local units = require "demilune.units"

---@class demilune.ApiKey
---@field name? string who has it, in principals and logs; the entry's name in the table otherwise
---@field secret? any the key itself, from settings
---@field digest? string SHA-256 of the key, 64 hexadecimal digits
---@field roles? string[]
---@field scopes? string[]
---@field expires? string|number "2030-01-01T00:00:00Z", or seconds since 1970

---@class demilune.ApiKeyOptions
---@field keys table<string|integer, demilune.ApiKey|any> { billing = settings.BILLING_KEY }, or with roles: { billing = { secret =, roles = } }
---@field header? string "X-API-Key"
---@field cookie? string in place of a header field

local metatable = guard_type.metatable()

local api_key = {}

local OPTIONS = { keys = "table", header = "string", cookie = "string", query = "any" }
local KEY_OPTIONS = { name = "string", secret = "any", digest = "string", roles = "strings", scopes = "strings", expires = "any" }
local SHORTEST = 16

local function read_expiry(place, what, expires)
  if expires == nil then return nil end
  local seconds = type(expires) == "number" and expires or type(expires) == "string" and units.epoch(expires)
  if not seconds then
    errors.raise(place, '%s: expires is %s; write expires = "2030-01-01T00:00:00Z"', what, errors.show(expires))
  end
  if seconds >= 1 and seconds <= core.now() then
    context.note("warning", place, ("%s has expired, so that nobody passes by it"):format(what),
      'take it out, or write a later moment, such as expires = "2030-01-01T00:00:00Z"')
  end
  if seconds >= 1 then return math.floor(seconds) end
  return errors.raise(place, "%s: expires is %s, which is long past; write a later moment, or leave expires out for a key without an end",
    what, errors.show(expires))
end

local function read_digest(place, what, entry)
  if (entry.secret == nil) == (entry.digest == nil) then
    errors.raise(place, "%s must have either secret or digest; write { secret = settings.SERVICE_KEY }", what)
  elseif entry.secret ~= nil then
    return core.sha256_hex(secrets.read(place, what, entry.secret, SHORTEST, "SERVICE_KEY"))
  end
  local digest = entry.digest:lower()
  if #digest ~= 64 or digest:find("%X") then
    errors.raise(place, "%s: digest must be the SHA-256 of the key in 64 hexadecimal digits, as sha256sum prints it", what)
  end
  return digest
end

local function read_key(place, key, entry)
  if type(entry) ~= "table" or secrets.is(entry) then entry = { secret = entry } end
  local name = entry.name or type(key) == "string" and key
  if not name then errors.raise(place, "guard.api_key: every key has a name; write keys = { billing = settings.BILLING_KEY }") end
  local what = "guard.api_key: the key " .. name
  options.check(place, what, entry, KEY_OPTIONS)
  return {
    name = name, digest = read_digest(place, what, entry), roles = entry.roles or {}, scopes = entry.scopes or {},
    expires = read_expiry(place, what, entry.expires),
  }
end

local function read_keys(place, given)
  local keys, taken = {}, {}
  for key, entry in pairs(given or {}) do keys[#keys + 1] = read_key(place, key, entry) end
  if #keys == 0 then
    errors.raise(place, "guard.api_key has no keys, so that nobody could pass; write keys = { billing = settings.BILLING_KEY }")
  end
  table.sort(keys, function(a, b) return a.name < b.name end)
  for _, key in ipairs(keys) do
    if taken[key.name] then
      errors.raise(place, "guard.api_key: there are two keys %s; give each a name of its own, such as billing_2030", key.name)
    end
    if taken[key.digest] then
      errors.raise(place, "guard.api_key: the keys %s and %s are the same secret, so that nobody could tell who comes; give each its own",
        taken[key.digest], key.name)
    end
    taken[key.name], taken[key.digest] = true, key.name
  end
  return keys
end

-- A role that no key has is one that nobody can have.
local function all_of(keys, field)
  local list = {}
  for _, key in ipairs(keys) do
    for _, name in ipairs(key[field]) do list[#list + 1] = name end
  end
  return list
end

---@param given demilune.ApiKeyOptions
---@return demilune.Guard
function api_key.new(given)
  local place = errors.where()
  given = options.check(place, "guard.api_key", given, OPTIONS)
  if given.query ~= nil then
    errors.raise(place, 'guard.api_key: a key in a query string ends in logs and histories; write header = "X-API-Key"')
  elseif given.header and given.cookie then
    errors.raise(place, "guard.api_key takes a header field or a cookie; make two guards and write guard.any { one, other }")
  end
  if given.header and not given.header:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
    errors.raise(place, 'guard.api_key: %s is no name of a header; write header = "X-API-Key"', errors.show(given.header))
  end
  local keys = read_keys(place, given.keys)
  return setmetatable({
    kind = "api_key", source = place, header = not given.cookie and (given.header or "X-API-Key") or nil,
    cookie = cookie.read(place, "guard.api_key", given.cookie), keys = keys,
    known_roles = all_of(keys, "roles"), known_scopes = all_of(keys, "scopes"),
  }, metatable)
end

return api_key
