-- SPDX-License-Identifier: MIT
-- API keys that are made while the app runs, in a table of its database: whose they
-- are, what they may, until when. Only digests are kept: who reads the table becomes nobody.

local batches = require "demilune.batches"
local core = require "demilune.core"
local database_module = require "demilune.database"
local errors = require "demilune.errors"
local log = require "demilune.log"

---@class demilune.StoredKey
---@field id string names it in lists, logs and principals; no secret
---@field digest string SHA-256 of the key, 64 hexadecimal digits
---@field subject string whose it is
---@field name string what that one calls it; "" where they said nothing
---@field roles string[]
---@field scopes string[]
---@field created number seconds since 1970
---@field expires number likewise
---@field used? number when it was last seen, give or take an hour

---What an app may give in place of this one. Each may wait.
---@class demilune.ApiKeyStore
---@field add fun(key: demilune.StoredKey, most: integer): boolean? false: its subject has as many as that already
---@field find fun(digest: string): demilune.StoredKey?
---@field list fun(subject: string): demilune.StoredKey[]
---@field finish fun(subject: string, id: string): boolean? whether that subject had it
---@field finish_all fun(subject: string)

local api_key_store = {}

---A migration that makes the table, as a numbered .sql file of the app.
api_key_store.migration = [[
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,         -- names the key in lists and logs; no secret
  digest TEXT NOT NULL UNIQUE, -- SHA-256 of the key in hexadecimal; the key itself is nowhere
  subject TEXT NOT NULL,       -- whose it is
  name TEXT NOT NULL,          -- what that one calls it
  roles TEXT NOT NULL,         -- JSON, as scopes
  scopes TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER                 -- when it was last seen, give or take an hour
);
CREATE INDEX api_keys_subject ON api_keys (subject);
CREATE INDEX api_keys_expires ON api_keys (expires);
]]

---@type demilune.OwnTable
api_key_store.own_table = {
  command = "api_keys", name = "api_keys", sql = api_key_store.migration, called = "guard.api_key_migration", what = "guard.api_key keeps keys",
}

local SQL = {
  add = [[INSERT INTO TABLE (id, digest, subject, name, roles, scopes, created, expires)
    VALUES (:id, :digest, :subject, :name, :roles, :scopes, :created, :expires)]],
  count = "SELECT count(*) FROM (SELECT 1 FROM TABLE WHERE subject = :subject AND expires > :now LIMIT :most)",
  find = "SELECT id, subject, roles, scopes, expires, used FROM TABLE WHERE digest = :digest AND expires > :now",
  seen = "UPDATE TABLE SET used = :now WHERE id = :id",
  list = [[SELECT id, subject, name, roles, scopes, created, expires, used FROM TABLE WHERE subject = :subject AND expires > :now
    ORDER BY created, rowid]],
  finish = "DELETE FROM TABLE WHERE id = :id AND subject = :subject",
  finish_all = "DELETE FROM TABLE WHERE rowid IN (SELECT rowid FROM TABLE WHERE subject = :subject LIMIT 500)",
  -- For each new row some old ones go, and no more: of a million that have expired who makes one would wait, fail, and never be done.
  forget = "DELETE FROM TABLE WHERE id IN (SELECT id FROM TABLE WHERE expires <= :now LIMIT 100)",
}

local REMOVES_AT_ONCE = 500
local LISTS_MOST = 1000000 -- all that a subject may have: how many those are is for most to say
local SEEN_EVERY = 3600 -- seconds: a write for each request would be one too many

local function now() return math.floor(core.now()) end

local function decoded(row)
  row.roles, row.scopes = core.json_decode(row.roles), core.json_decode(row.scopes)
  return row
end

---@param place string
---@param database demilune.Database
---@param name string of the table
---@return demilune.ApiKeyStore
function api_key_store.new(place, database, name)
  if not name:match("^[%a_][%w_]*$") then
    errors.raise(place, 'guard.api_key: %s is no name of a table; write table = "api_keys"', errors.show(name))
  elseif type(database.statement) ~= "function" then
    errors.raise(place, "guard.api_key: database must be what app:database gave; write database = db")
  end
  local statements, store = {}, {}
  database_module.expect(database, name, api_key_store.own_table)
  for key, sql in pairs(SQL) do statements[key] = database:statement((sql:gsub("TABLE", name))) end

  function store.add(key, most)
    return database_module.together(database, function()
      statements.forget:run { now = now() }
      if statements.count:value { subject = key.subject, now = now(), most = most } >= most then return false end
      statements.add:run {
        id = key.id, digest = key.digest, subject = key.subject, name = key.name, created = key.created, expires = key.expires,
        roles = core.json_encode(key.roles), scopes = core.json_encode(key.scopes),
      }
      return true
    end)
  end

  local noting = {}

  -- Beside the request: who has the key passes, whether or not it can be written down that they came.
  local function note_seen(id)
    if noting[id] then return end
    noting[id] = true
    core.spawn(function()
      local ok, problem = pcall(statements.seen.run, statements.seen, { id = id, now = now() })
      noting[id] = nil
      if not ok then log.warning("it could not be noted that an API key was used", { key = id, problem = tostring(problem) }) end
    end)
  end

  function store.find(digest)
    local row = statements.find:one { digest = digest, now = now() }
    if not row then return nil end
    if now() - (row.used or 0) >= SEEN_EVERY then note_seen(row.id) end
    return decoded(row)
  end

  function store.list(subject)
    local rows = statements.list:many({ subject = subject, now = now() }, { max = LISTS_MOST })
    for _, row in ipairs(rows) do decoded(row) end
    return rows
  end

  function store.finish(subject, id) return statements.finish:run { id = id, subject = subject } > 0 end

  function store.finish_all(subject) batches.delete(statements.finish_all, REMOVES_AT_ONCE, { subject = subject }) end

  return store
end

return api_key_store
