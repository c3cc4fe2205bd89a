-- SPDX-License-Identifier: MIT
-- Refresh tokens in a table of an app's database. Only their digests are kept, so
-- that who reads the table cannot use it. A token that comes back although it was
-- used means that two have it: its whole family, from one login on, ends.

local batches = require "demilune.batches"
local core = require "demilune.core"
local database_module = require "demilune.database"
local errors = require "demilune.errors"
local random = require "demilune.random"

---What an app may give in place of this one.
---@class demilune.AccountStore
---@field begin fun(subject: string, scope: string, expires: integer): string a new family's first token
---@field look_up fun(token: string): { subject: string, scope: string }? whose token it is; nil for one that is none, or none any more
---@field rotate fun(token: string): demilune.Rotation? uses the token up, and nil for one that is none any more; all or nothing
---@field revoke fun(token: string) ends the token's family
---@field finish_all fun(subject: string) ends all families of one subject

---@class demilune.Rotation
---@field token string the next one of the family
---@field subject string
---@field scope string
---@field expires integer seconds since 1970

local account_store = {}

---A migration that makes the table, as the next numbered .sql file of the app.
account_store.migration = [[
CREATE TABLE refresh_tokens (
  digest TEXT PRIMARY KEY, -- SHA-256 of the token in hexadecimal; the token itself is nowhere
  family TEXT NOT NULL,    -- all that came from one login
  subject TEXT NOT NULL,
  scope TEXT NOT NULL,     -- what the login asked for, or nothing
  expires INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_subject ON refresh_tokens (subject);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);
]]

---@type demilune.OwnTable
account_store.own_table = {
  command = "accounts", name = "refresh_tokens", sql = account_store.migration, called = "demilune.accounts.migration",
  what = "demilune.accounts keeps refresh tokens",
}

local SQL = {
  add = "INSERT INTO TABLE (digest, family, subject, scope, expires) VALUES (:digest, :family, :subject, :scope, :expires)",
  look_up = "SELECT subject, scope FROM TABLE WHERE digest = :digest AND used = 0 AND expires > :now",
  use = "UPDATE TABLE SET used = 1 WHERE digest = :digest AND used = 0 AND expires > :now RETURNING family, subject, scope, expires",
  family = "SELECT family FROM TABLE WHERE digest = :digest",
  family_of_used = "SELECT family FROM TABLE WHERE digest = :digest AND used = 1",
  -- The newest first: among them is the one token of a family that works, so that a login that somebody refreshed a million times ends at once.
  revoke = "DELETE FROM TABLE WHERE rowid IN (SELECT rowid FROM TABLE WHERE family = :family ORDER BY rowid DESC LIMIT 500)",
  finish_all = "DELETE FROM TABLE WHERE rowid IN (SELECT rowid FROM TABLE WHERE subject = :subject ORDER BY rowid DESC LIMIT 500)",
  forget = "DELETE FROM TABLE WHERE digest IN (SELECT digest FROM TABLE WHERE expires <= :now LIMIT 100)",
}

local REMOVES_AT_ONCE = 500

local function check_table(place, name)
  if not name:match("^[%a_][%w_]*$") then
    errors.raise(place, 'demilune.accounts: %s is no name of a table; write table = "refresh_tokens"', errors.show(name))
  end
  return name
end

---@param place string
---@param database demilune.Database
---@param name string of the table
---@return demilune.AccountStore
function account_store.new(place, database, name)
  check_table(place, name)
  local statements = {}
  database_module.expect(database, name, account_store.own_table)
  for key, sql in pairs(SQL) do statements[key] = database:statement((sql:gsub("TABLE", name))) end

  -- Each new row takes some old ones away, and no more than that: of a million that have expired a login would wait, fail, and never be done.
  local function add(family, subject, scope, expires)
    local token = random.hex(32)
    statements.forget:run { now = math.floor(core.now()) }
    statements.add:run { digest = core.sha256_hex(token), family = family, subject = subject, scope = scope, expires = expires }
    return token
  end

  local store = {}

  function store.begin(subject, scope, expires)
    return database_module.together(database, function() return add(random.hex(16), subject, scope, expires) end)
  end

  function store.look_up(token) return statements.look_up:one { digest = core.sha256_hex(token), now = math.floor(core.now()) } end

  -- Nothing is raised inside: the end of a family must be committed.
  function store.rotate(token)
    local digest = core.sha256_hex(token)
    local rotation, family, removed = database:transaction(function()
      local row = statements.use:one { digest = digest, now = math.floor(core.now()) }
      if not row then
        local used = statements.family_of_used:value { digest = digest }
        return nil, used, used and statements.revoke:run { family = used } or 0
      end
      row.token = add(row.family, row.subject, row.scope, row.expires)
      return row, nil, 0
    end)
    if family then
      core.log("warning", "a refresh token was used twice; its family is revoked", { tokens = removed })
      if removed == REMOVES_AT_ONCE then batches.delete(statements.revoke, REMOVES_AT_ONCE, { family = family }) end
    end
    return rotation
  end

  function store.revoke(token)
    local family = statements.family:value { digest = core.sha256_hex(token) }
    if family then batches.delete(statements.revoke, REMOVES_AT_ONCE, { family = family }) end
  end

  function store.finish_all(subject) batches.delete(statements.finish_all, REMOVES_AT_ONCE, { subject = subject }) end

  return store
end

return account_store
