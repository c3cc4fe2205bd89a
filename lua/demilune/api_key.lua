-- SPDX-License-Identifier: MIT
-- guard.api_key: keys that services present in a header field or a cookie. They are
-- given at load, or made while the app runs and kept in a store. Only their digests
-- are kept; in a query string they would end in logs, so that there is no such option.

local api_key_store = require "demilune.api_key_store"
local context = require "demilune.context"
local cookie = require "demilune.cookie"
local core = require "demilune.core"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local issued = require "demilune.issued"
local options = require "demilune.options"
local random = require "demilune.random"
local response = require "demilune.response"
local secrets = require "demilune.secrets"
local subject = require "demilune.subject"
local units = require "demilune.units"

---@class demilune.ApiKey
---@field name? string who has it, in principals and logs; the entry's name in the table otherwise
---@field secret? any the key itself, from settings
---@field digest? string SHA-256 of the key, 64 hexadecimal digits
---@field roles? string[]
---@field scopes? string[]
---@field expires? string|number "2030-01-01T00:00:00Z", or seconds since 1970

---@class demilune.ApiKeyOptions
---@field keys? table<string|integer, demilune.ApiKey|any> { billing = settings.BILLING_KEY }, or with roles: { billing = { secret =, roles = } }
---@field header? string "X-API-Key"
---@field cookie? string in place of a header field
---@field database? demilune.Database in place of keys: keeps those that guard:issue makes, in the table of guard.api_key_migration
---@field table? string its name: "api_keys"
---@field store? demilune.ApiKeyStore in place of a database
---@field lifetime? string|number how long issued keys live: "365d"
---@field prefix? string what they begin with, so that who finds one knows whose it is: "key"
---@field most? integer that one subject may have: 100
---@field roles? string[] all that they may have
---@field scopes? string[]

---@class demilune.ApiKeyGuard : demilune.Guard
---@field store? demilune.ApiKeyStore
---@field keeper? demilune.Database|demilune.ApiKeyStore what the app gave
---@field table? string of a database
---@field lifetime? integer
---@field prefix? string
---@field most? integer
local Guard = {}
local metatable = guard_type.metatable(Guard)

local api_key = {}

local OPTIONS = {
  keys = "table", header = "string", cookie = "string", query = "any", database = "table", table = "string", store = "table", lifetime = "duration",
  prefix = "string", most = "count", roles = "strings", scopes = "strings",
}
local OF_STORES = { "table", "lifetime", "prefix", "most", "roles", "scopes" }
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
    errors.raise(place, "guard.api_key has no keys, so that nobody could pass; write keys = { billing = settings.BILLING_KEY }, "
      .. "or database = db for keys that are made while the app runs")
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

-- --- keys in a store --------------------------------------------------------------------

local function read_store(place, given)
  if given.keys then
    errors.raise(place, "guard.api_key: keys are given at load or made while the app runs; make two guards and write guard.any { one, other }")
  elseif given.database and given.store then
    errors.raise(place, "guard.api_key keeps keys in one place; write database = db, or store = { add =, find =, list =, finish =, finish_all = }")
  end
  if given.database then return api_key_store.new(place, given.database, given.table or "api_keys") end
  if given.table then errors.raise(place, "guard.api_key: table names one of a database; write database = db in place of store") end
  for _, name in ipairs { "add", "find", "list", "finish", "finish_all" } do
    if type(given.store[name]) ~= "function" then
      errors.raise(place, "guard.api_key: store.%s must be a function; a store has add, find, list, finish and finish_all", name)
    end
  end
  return given.store
end

local function read_lifetime(place, given)
  local lifetime = given.lifetime and units.seconds(given.lifetime)
  if not lifetime or lifetime < 1 or lifetime == math.huge then
    errors.raise(place, 'guard.api_key: a key that never ends can be stolen for ever; write lifetime = "365d"')
  end
  return math.floor(lifetime)
end

local function read_prefix(place, prefix)
  if not prefix:match "^%a[%w_]*$" or #prefix > 32 then
    errors.raise(place, 'guard.api_key: prefix is %s, and must be up to 32 letters, digits and _, a letter first; write prefix = "shop"',
      errors.show(prefix))
  end
  return prefix
end

local function is_texts(list)
  if type(list) ~= "table" then return false end
  for _, text in ipairs(list) do
    if type(text) ~= "string" or text == "" then return false end
  end
  return true
end

-- What is no number, as 0/0, is no moment that would be to come.
local function lives(key) return not key.expires or key.expires > core.now() end

-- What the core asks, once a request has brought a key. A store may be the app's own, and be wrong.
local function finder(store, place)
  return function(digest)
    local key = store.find(digest)
    if not key then return nil end
    local is_key = type(key) == "table" and type(key.id) == "string" and key.id ~= "" and subject.text(key.subject)
    if not is_key or not is_texts(key.roles or {}) or not is_texts(key.scopes or {}) or type(key.expires or 0) ~= "number" then
      error(place .. ": guard.api_key: store.find gave what is no key; give what add was given, or nil", 0)
    end
    if not lives(key) then return nil end
    return key.id, subject.text(key.subject), key.roles or {}, key.scopes or {}
  end
end

local function new_stored(place, given)
  local store = read_store(place, given)
  if given.most == 0 then errors.raise(place, "guard.api_key: most is 0, so that nobody could have a key; write most = 100") end
  return {
    store = store, find = finder(store, place), lifetime = read_lifetime(place, given), prefix = read_prefix(place, given.prefix or "key"),
    most = given.most or 100, place = guard_type.place("api_key", given.cookie or given.header or "X-API-Key"),
    known_roles = given.roles, known_scopes = given.scopes,
    keeper = given.database or given.store, table = given.database and (given.table or "api_keys") or nil,
  }
end

local function new_kept(place, given)
  local keys = read_keys(place, given.keys)
  for _, name in ipairs(OF_STORES) do
    if given[name] ~= nil then
      errors.raise(place, "guard.api_key: %s is of keys that are made while the app runs; write database = db in place of keys, or leave it out",
        name)
    end
  end
  return { keys = keys, known_roles = all_of(keys, "roles"), known_scopes = all_of(keys, "scopes") }
end

---@param given demilune.ApiKeyOptions
---@return demilune.ApiKeyGuard
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
  local made = (given.database or given.store) and new_stored(place, given) or new_kept(place, given)
  made.kind, made.source, made.header = "api_key", place, not given.cookie and (given.header or "X-API-Key") or nil
  made.cookie = cookie.read(place, "guard.api_key", given.cookie)
  return setmetatable(made, metatable)
end

-- --- making and ending them ---------------------------------------------------------------

local TAKES = { "subject", "name", "roles", "scopes", "lifetime", "beyond_issuer" }

local function need_store(self, what)
  if not guard_type.is(self) then error(("write keys:%s(...) with a colon, not keys.%s(...)"):format(what, what), 3) end
  if self.store then return end
  error(("api_key:%s is of keys that a store keeps; write database = db in guard.api_key, in place of keys"):format(what), 3)
end

local function need_subject(what, given)
  return subject.text(given) or error(("api_key:%s takes whose key it is; write user.id or req.principal.subject"):format(what), 3)
end

-- A list of its own, which is one in JSON even when nothing is in it.
local function list_of(names) return setmetatable({ unpack(names or {}) }, core.array_type) end

local function lacks(names, held)
  local has = {}
  for _, name in ipairs(held) do has[name] = true end
  for _, name in ipairs(names or {}) do
    if not has[name] then return true end
  end
  return false
end

-- Else whoever may have keys has every role, by writing it into the request that asks for one. Of scopes only who came by a key, or has
-- some, is held to them: to people with a password they are what their keys may less than they.
local function refuse_more(given)
  local issuer = core.principal()
  if not issuer or given.beyond_issuer then return end
  if lacks(given.roles, issuer.roles) then response.abort(403, "An API key can have no role that who makes it has not") end
  local is_scoped = issuer.guard == "api_key" or #issuer.scopes > 0
  if is_scoped and lacks(given.scopes, issuer.scopes) then response.abort(403, "An API key can have no scope that who makes it has not") end
end

local function problem_of(self, given)
  local problem = issued.problem(self, given, TAKES)
  if problem then return problem end
  if given.name ~= nil and type(given.name) ~= "string" then
    return ("name is text, not %s; write name = req.body.name"):format(errors.show(given.name))
  end
  local lifetime = given.lifetime == nil and self.lifetime or units.seconds(given.lifetime)
  if not lifetime or not (lifetime >= 1 and lifetime <= self.lifetime) then
    return ('lifetime is %s, and must be from 1 to the guard\'s own %d seconds; write lifetime = "30d"'):format(errors.show(given.lifetime),
      self.lifetime)
  end
end

---@class demilune.IssuedKey
---@field key string which nobody can be shown again
---@field id string
---@field name string
---@field expires integer seconds since 1970

---Makes a key and keeps its digest. Waits. A request whose principal has not the roles that it asks for ends here with a
---403, and one whose subject has as many keys as the guard lets it with a 409.
---@param given { subject: string|integer, name: string?, roles: string[]?, scopes: string[]?, lifetime: string|number?, beyond_issuer: boolean? }
---@return demilune.IssuedKey
function Guard:issue(given)
  need_store(self, "issue")
  local problem = problem_of(self, given)
  if problem then error("api_key:issue: " .. problem, 2) end
  local whose = subject.text(given.subject) or error("api_key:issue: subject says whose key it is, " .. subject.MEND, 2)
  refuse_more(given)
  local id, now = random.hex(8), math.floor(core.now())
  local key = ("%s_%s_%s"):format(self.prefix, id, random.hex(24))
  local lifetime = given.lifetime and math.floor(units.seconds(given.lifetime)) or self.lifetime
  local kept = {
    id = id, digest = core.sha256_hex(key), subject = whose, name = given.name or "", roles = list_of(given.roles), scopes = list_of(given.scopes),
    created = now, expires = now + lifetime,
  }
  if self.store.add(kept, self.most) == false then
    response.abort(409, ("There are %d API keys already; end one first"):format(self.most))
  end
  return { key = key, id = id, name = kept.name, expires = kept.expires }
end

---The keys of a subject that have not expired: id, name, roles, scopes, created, expires, used. Waits.
---@param whose string|integer the subject
---@return demilune.StoredKey[]
function Guard:list(whose)
  need_store(self, "list")
  local stored = self.store.list(need_subject("list", whose))
  if type(stored) ~= "table" then
    error(("%s: guard.api_key: store.list gave %s; give a list, which may be empty"):format(self.source, errors.show(stored)), 0)
  end
  local keys = list_of()
  for _, key in ipairs(stored) do
    if lives(key) then
      keys[#keys + 1] = {
        id = key.id, name = key.name, roles = list_of(key.roles), scopes = list_of(key.scopes), created = key.created, expires = key.expires,
        used = key.used,
      }
    end
  end
  return keys
end

---Ends one key of a subject, from the next request on. Waits.
---@param whose string|integer the subject: nobody ends somebody else's
---@param id string of the key
---@return boolean whether that subject had such a key
function Guard:finish(whose, id)
  need_store(self, "finish")
  if type(id) ~= "string" then error("api_key:finish takes a subject and the id of one of its keys; write keys:finish(user.id, req.path.id)", 2) end
  return self.store.finish(need_subject("finish", whose), id) == true
end

---Ends all keys of a subject. Waits.
---@param whose string|integer the subject
function Guard:finish_all(whose)
  need_store(self, "finish_all")
  self.store.finish_all(need_subject("finish_all", whose))
end

return api_key
