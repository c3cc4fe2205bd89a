-- SPDX-License-Identifier: MIT
-- Guards: who may pass. Every route has one, its own or a default of its router
-- or app; being open to everybody is a word that one has to write. Here they are
-- built from one another; the core decides for each request.

local context = require "demilune.context"
local core = require "demilune.core"
local dependency = require "demilune.dependency"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"

---Who a guard found: req.principal, and what a guard gives as a need.
---@class demilune.Principal
---@field subject string
---@field roles string[]
---@field scopes string[]
---@field claims? table<string, any>
---@field guard string the kind that found it
---@field name? string the API key's; the id of one that was issued

---@class demilune.guard
local guard = { is = guard_type.is }

local plain = guard_type.metatable()

-- Everybody passes.
---@type demilune.Guard
guard.public = setmetatable({ kind = "public" }, plain)

guard.bearer = require("demilune.bearer").new
guard.api_key = require("demilune.api_key").new
guard.client_certificate = require("demilune.client_certificate").new
guard.api_key_migration = require("demilune.api_key_store").migration
guard.session = require("demilune.session").new
guard.session_migration = require("demilune.session_store").migration

-- --- built from others -----------------------------------------------------------------

local function need_guard(place, what, value, example)
  if not guard_type.is(value) then errors.raise(place, "%s takes a guard, not %s; write %s", what, errors.show(value), example) end
  return value
end

local function refuse_public(place, what, member)
  if guard_type.is_public(member) then
    errors.raise(place, "%s: guard.public lets everybody pass and finds nobody, so there is nothing to ask; give it another guard", what)
  end
end

-- Of two sessions under one secret, the store must not be gone round by the one without.
local function refuse_mixed_sessions(place, members)
  local seen = {}
  for _, member in ipairs(members) do
    for _, leaf in ipairs(guard_type.leaves(member)) do
      if leaf.kind == "session" then seen[leaf.store ~= nil] = true end
    end
  end
  if seen[true] and seen[false] then
    errors.raise(place, "guard.any: one session is kept in a store and another is not; give both a store, or neither")
  end
end

---Whoever passes one of them passes; the first that passes says who it is.
---@param members demilune.Guard[]
---@return demilune.Guard
function guard.any(members)
  local place, example = errors.where(), "guard.any { bearer, api_key }"
  if type(members) ~= "table" or guard_type.is(members) or table.maxn(members) == 0 then
    errors.raise(place, "guard.any takes a list of guards; write %s", example)
  end
  for index = 1, table.maxn(members) do -- ipairs would end at a nil, which a name that is not there yet gives
    local member = need_guard(place, "guard.any", members[index], example)
    refuse_public(place, "guard.any", member)
    guard_type.each(member, function(part)
      if part.kind == "owner" then
        errors.raise(place, "guard.any: an owner is asked once it is known who calls; write guard.owner(fn, guard.any { ... }), "
          .. "and let fn look at guard.has_role(req.principal, name)")
      elseif part.of then
        errors.raise(place, "guard.any: a dependency's user is asked once it is known who calls; "
          .. "write guard.role(names, guard.any { ... }, { of = current_user })")
      end
    end)
  end
  options.list(place, "guard.any", members, "write " .. example)
  refuse_mixed_sessions(place, members)
  return setmetatable({ kind = "any", members = { unpack(members) }, source = place }, plain)
end

-- Names that no leaf can have are names that nobody has: mistyped ones, or a guard that nobody passes.
local function note_unknown(place, what, names, member, field)
  local known = {}
  for _, leaf in ipairs(guard_type.leaves(member)) do
    if not leaf[field] then return end
    for _, name in ipairs(leaf[field]) do
      if not known[name] then known[#known + 1], known[name] = name, true end
    end
  end
  -- Each by itself: beside one that somebody has, a mistyped one would go unnoticed.
  for _, name in ipairs(names) do
    local nearest = not known[name] and errors.nearest(name, known)
    if not known[name] then
      context.note("error", place, ("guard.%s: nobody can have the %s %s that it asks for"):format(what, what, name),
        nearest and ("did you mean %s?"):format(nearest) or ("add it to the %ss of the guard below"):format(what))
    end
  end
end

local NAMED_OPTIONS = { role = { all = "boolean", of = "table" }, scope = { all = "boolean" } }

local function check_of(place, of)
  if not dependency.is(of) then
    errors.raise(place, "guard.role: of is what app:dependency gave, not %s; write { of = current_user }, whose value has role or roles",
      errors.show(of))
  end
end

-- RFC 6749 3.3: a token has its scopes in one text, with spaces between them.
local function check_scopes(place, names)
  for _, name in ipairs(names) do
    if name:find('[%s%c"\\\128-\255]') then
      errors.raise(place, "guard.scope: %s is no scope, which has no spaces, quotes or backslashes; "
        .. 'write guard.scope({ "read", "write" }, bearer) for several', errors.show(name))
    end
  end
end

local function named(kind, field)
  return function(names, member, given)
    local place = errors.where()
    local what, example = "guard." .. kind, ('guard.%s("admin", bearer)'):format(kind)
    local list = type(names) == "table" and names or { names }
    if guard_type.is(names) or next(list) == nil then
      errors.raise(place, "%s takes a name, or a list of them, and a guard; write %s", what, example)
    end
    options.list(place, what, list,
      ('write %s({ "admin", "editor" }, bearer, { all = true }); options come last'):format(what))
    for _, name in ipairs(list) do
      if type(name) ~= "string" or name == "" then errors.raise(place, "%s: %s is no name; write %s", what, errors.show(name), example) end
    end
    if kind == "scope" then check_scopes(place, list) end
    need_guard(place, what, member, example)
    refuse_public(place, what, member)
    given = options.check(place, what, given, NAMED_OPTIONS[kind])
    if given.of == nil then note_unknown(place, kind, list, member, field) else check_of(place, given.of) end
    return setmetatable({ kind = kind, names = { unpack(list) }, all = given.all or nil, of = given.of, member = member, source = place }, plain)
  end
end

---Whoever passes the guard and has one of the roles (all of them with { all = true });
---with { of = current_user } the roles are those of the user whom the dependency gives.
---@type fun(names: string|string[], member: demilune.Guard, given?: { all: boolean?, of: demilune.Dependency? }): demilune.Guard
guard.role = named("role", "known_roles")

---Likewise for scopes.
---@type fun(names: string|string[], member: demilune.Guard, given?: { all: boolean }): demilune.Guard
guard.scope = named("scope", "known_scopes")

---Whoever passes the guard and whose object it is: false answers 404, as if there were none.
---@param decide fun(req: demilune.Request, need: table<string, any>): boolean? asked once the route's needs are there
---@param member demilune.Guard
---@return demilune.Guard
function guard.owner(decide, member)
  local place, example = errors.where(), "guard.owner(function(req, need) return need.note.owner == req.principal.subject end, bearer)"
  if type(decide) ~= "function" then errors.raise(place, "guard.owner takes a function, not %s; write %s", errors.show(decide), example) end
  need_guard(place, "guard.owner", member, example)
  refuse_public(place, "guard.owner", member)
  return setmetatable({ kind = "owner", decide = decide, member = member, source = place }, plain)
end

---People with a password in each request (RFC 7617): for tools, not for browsers.
---@param given { users: table<string, string>, realm: string?, roles: string[]? } names and what `demilune hash` prints
---@return demilune.Guard
function guard.basic(given)
  local place = errors.where()
  given = options.check(place, "guard.basic", given, { users = "table", realm = "string", roles = "strings" })
  local users = {}
  for name, stored in pairs(given.users or {}) do
    if type(stored) == "userdata" then stored = core.secret_reveal(stored) end
    if type(name) ~= "string" or type(stored) ~= "string" or stored:sub(1, 10) ~= "$argon2id$" then
      errors.raise(place, 'guard.basic: users are names and what `demilune hash` prints; write users = { ada = settings.ADA_PASSWORD_HASH }')
    end
    users[name] = stored
  end
  if next(users) == nil then
    errors.raise(place, "guard.basic has no users, so that nobody could pass; write users = { ada = settings.ADA_PASSWORD_HASH }")
  end
  return setmetatable({
    kind = "basic", users = users, realm = given.realm, roles = given.roles or {}, known_roles = given.roles or {}, known_scopes = {},
    source = place,
  }, plain)
end

-- --- questions ---------------------------------------------------------------------------

local function has(list, name)
  for _, item in ipairs(list or {}) do
    if item == name then return true end
  end
  return false
end

---@param principal demilune.Principal
---@param name string
---@return boolean
function guard.has_role(principal, name) return principal ~= nil and has(principal.roles, name) end

---@param principal demilune.Principal
---@param name string
---@return boolean
function guard.has_scope(principal, name) return principal ~= nil and has(principal.scopes, name) end

---Checks an option that must be a guard.
---@param place string
---@param what string
---@param value any
function guard.check(place, what, value)
  if value ~= nil and not guard.is(value) then
    local is_list = type(value) == "table" and guard.is(value[1])
    errors.raise(place, "%s: guard must be a guard, not %s; write %s", what, is_list and "a list of them" or errors.show(value),
      is_list and "guard = guard.any { bearer, session } for who passes one of them" or "guard = bearer, with local bearer = guard.bearer { ... }, "
        .. "or guard = guard.public if everybody may call it")
  end
  return value
end

local OF_OTHERS = {
  jwt = "write guard.bearer", oauth2 = "write guard.bearer", cookie = "write guard.session, or guard.bearer { cookie = ... } for a token",
  all = "a route has one guard: write guard.role and guard.scope around it", optional = "a route is open or asks everybody: write two, one for each",
}

local KINDS = { "public", "bearer", "api_key", "session", "basic", "client_certificate", "any", "role", "scope", "owner" }

return setmetatable(guard, {
  __index = function(_, name)
    local nearest = errors.nearest(name, KINDS)
    errors.raise(errors.where(), "there is no guard.%s; %s", tostring(name),
      OF_OTHERS[name] or nearest and ("did you mean guard.%s?"):format(nearest) or "there are guard." .. table.concat(KINDS, ", guard."))
  end,
})
