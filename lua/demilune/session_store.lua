-- SPDX-License-Identifier: MIT
-- Sessions in a table of an app's database: which of them still live, so that one can
-- be ended before its time. Only digests are kept: who reads the table becomes nobody.

local batches = require "demilune.batches"
local core = require "demilune.core"
local database_module = require "demilune.database"
local errors = require "demilune.errors"
local random = require "demilune.random"

---What an app may give in place of this one.
---@class demilune.SessionStore
---@field begin fun(subject: string, expires: integer): string an id that cannot be guessed
---@field lives fun(id: string): boolean?
---@field finish fun(id: string)
---@field finish_all fun(subject: string) ends all of one subject's

local session_store = {}

---A migration that makes the table, as a numbered .sql file of the app.
session_store.migration = [[
CREATE TABLE sessions (
  digest TEXT PRIMARY KEY, -- SHA-256 of the session's id in hexadecimal; the id itself is nowhere
  subject TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX sessions_subject ON sessions (subject);
CREATE INDEX sessions_expires ON sessions (expires);
]]

---@type demilune.OwnTable
session_store.own_table = {
  command = "sessions", name = "sessions", sql = session_store.migration, called = "guard.session_migration",
  what = "guard.session keeps sessions",
}

local SQL = {
  add = "INSERT INTO TABLE (digest, subject, expires) VALUES (:digest, :subject, :expires)",
  lives = "SELECT 1 FROM TABLE WHERE digest = :digest AND expires > :now",
  finish = "DELETE FROM TABLE WHERE digest = :digest",
  finish_all = "DELETE FROM TABLE WHERE rowid IN (SELECT rowid FROM TABLE WHERE subject = :subject LIMIT 5000)",
  -- For each new row some old ones go, and no more: of a million that have expired a login would wait, fail, and never be done.
  forget = "DELETE FROM TABLE WHERE digest IN (SELECT digest FROM TABLE WHERE expires <= :now LIMIT 100)",
}

-- All of them live, so these are many; what a deadline leaves is ended by who asks again.
local REMOVES_AT_ONCE = 5000

local function now() return math.floor(core.now()) end

---@param place string
---@param database demilune.Database
---@param name string of the table
---@return demilune.SessionStore
function session_store.new(place, database, name)
  if not name:match("^[%a_][%w_]*$") then
    errors.raise(place, 'guard.session: %s is no name of a table; write table = "sessions"', errors.show(name))
  elseif type(database.statement) ~= "function" then
    errors.raise(place, "guard.session: database must be what app:database gave; write database = db")
  end
  local statements, store = {}, {}
  database_module.expect(database, name, session_store.own_table)
  for key, sql in pairs(SQL) do statements[key] = database:statement((sql:gsub("TABLE", name))) end

  function store.begin(subject, expires)
    local id = random.hex(32)
    database_module.together(database, function()
      statements.forget:run { now = now() }
      statements.add:run { digest = core.sha256_hex(id), subject = subject, expires = expires }
    end)
    return id
  end

  function store.lives(id) return statements.lives:value { digest = core.sha256_hex(id), now = now() } ~= nil end

  function store.finish(id) statements.finish:run { digest = core.sha256_hex(id) } end

  function store.finish_all(subject) batches.delete(statements.finish_all, REMOVES_AT_ONCE, { subject = subject }) end

  return store
end

return session_store
