-- SPDX-License-Identifier: MIT
-- Answers of idempotent routes in a table of an app's database. A row is there before
-- its handler runs, and gets the answer before anybody is told. The keys themselves are
-- nowhere: only digests of whose they are, for what and what was asked.

local core = require "demilune.core"
local database_module = require "demilune.database"
local errors = require "demilune.errors"

local idempotency_store = {}

---A migration that makes the table, as a numbered .sql file of the app.
idempotency_store.migration = [[
CREATE TABLE idempotency_keys (
  digest TEXT PRIMARY KEY,   -- SHA-256 of who sent the key, to which route, and the key; the key itself is nowhere
  fingerprint TEXT NOT NULL, -- SHA-256 of the request: with another one the key is refused
  attempt BLOB NOT NULL,     -- which run of the handler it was: random bytes
  ends INTEGER NOT NULL,     -- by when that run has surely ended
  expires INTEGER NOT NULL,
  status INTEGER,            -- of the answer; NULL until there is one
  fields BLOB,               -- its header fields
  body BLOB
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires);
]]

---@type demilune.OwnTable
idempotency_store.own_table = {
  command = "idempotency", name = "idempotency_keys", sql = idempotency_store.migration, called = "demilune.idempotency_migration",
  what = "app:idempotency keeps its answers",
}

local SQL = {
  -- One statement, so that of many at once, in whatever process, one changes a row; one that is too old is as if it were not there.
  claim = [[
    INSERT INTO TABLE (digest, fingerprint, attempt, ends, expires) VALUES (:digest, :fingerprint, :attempt, :ends, :expires)
    ON CONFLICT (digest) DO UPDATE SET fingerprint = excluded.fingerprint, attempt = excluded.attempt, ends = excluded.ends,
      expires = excluded.expires, status = NULL, fields = NULL, body = NULL
    WHERE expires <= :now]],
  find = "SELECT fingerprint, ends, status, fields, body FROM TABLE WHERE digest = :digest",
  keep = "UPDATE TABLE SET status = :status, fields = :fields, body = :body WHERE digest = :digest AND attempt = :attempt AND status IS NULL",
  forgo = "DELETE FROM TABLE WHERE digest = :digest AND attempt = :attempt AND status IS NULL",
  forget = "DELETE FROM TABLE WHERE digest IN (SELECT digest FROM TABLE WHERE expires <= :now LIMIT 500)",
}
local FORGETS_AT_ONCE = 500 -- so that other writes need not wait for many
local FORGETS_EVERY = 60 -- seconds
local BYTES = {
  claim = { bytes = { "attempt" } }, keep = { bytes = { "attempt", "fields", "body" } }, forgo = { bytes = { "attempt" } },
}

---@class demilune.IdempotencyStore
---@field claim fun(digest: string, fingerprint: string, attempt: string, longest: number): boolean whether the attempt is the key's first
---@field find fun(digest: string): { fingerprint: string, ends: integer, status: integer?, fields: string?, body: string? }?
---@field keep fun(digest: string, attempt: string, status: integer, fields: string, body: string)
---@field forgo fun(digest: string, attempt: string) takes back a claim whose handler never ran
---@field is_due fun(): boolean whether it is time to forget, which it is now and then
---@field forget fun() deletes what is too old

local function now() return math.floor(core.now()) end

---@param place string
---@param database demilune.Database
---@param name string of the table
---@param lifetime integer seconds
---@return demilune.IdempotencyStore
function idempotency_store.new(place, database, name, lifetime)
  if not name:match("^[%a_][%w_]*$") then
    errors.raise(place, 'app:idempotency: %s is no name of a table; write table = "idempotency_keys"', errors.show(name))
  elseif type(database) ~= "table" or type(database.statement) ~= "function" then
    errors.raise(place, "app:idempotency: database must be what app:database gave; write database = db")
  end
  local statements, store, forgot = {}, {}, nil
  database_module.expect(database, name, idempotency_store.own_table)
  for key, sql in pairs(SQL) do statements[key] = database:statement((sql:gsub("TABLE", name)), BYTES[key]) end

  function store.claim(digest, fingerprint, attempt, longest)
    local time = now()
    local changes = statements.claim:run {
      digest = digest, fingerprint = fingerprint, attempt = attempt, ends = time + math.ceil(longest), expires = time + lifetime, now = time,
    }
    return changes == 1
  end

  function store.find(digest) return (statements.find:one { digest = digest }) end

  function store.keep(digest, attempt, status, fields, body)
    local changes = statements.keep:run { digest = digest, attempt = attempt, status = status, fields = fields, body = body }
    if changes ~= 1 then error(("the row of this attempt is not in the table %s any more"):format(name), 0) end
  end

  function store.forgo(digest, attempt) statements.forgo:run { digest = digest, attempt = attempt } end

  function store.is_due()
    local time = now()
    if forgot and math.abs(time - forgot) < FORGETS_EVERY then return false end -- a clock that was set back must not end it
    forgot = time
    return true
  end

  function store.forget()
    repeat
      local changes = statements.forget:run { now = now() }
    until changes < FORGETS_AT_ONCE
  end

  return store
end

return idempotency_store
