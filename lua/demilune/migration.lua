-- SPDX-License-Identifier: MIT
-- `demilune migration KIND APP`: the next migration of an app, with a table that
-- demilune keeps. Whether there is one already is for the app's migrations to say, so
-- they are applied to a database in memory. The command line writes the file.

local context = require "demilune.context"
local core = require "demilune.core"

local migration = {}

local TABLES = {
  api_keys = require("demilune.api_key_store").own_table,
  accounts = require("demilune.account_store").own_table,
  idempotency = require("demilune.idempotency_store").own_table,
  sessions = require("demilune.session_store").own_table,
}

-- What stands against a migration that makes the table; nil: nothing.
local function obstacle(folder, name)
  local handle = assert(core.database_open("sqlite::memory:", { place = "memory", migrations = folder, migrations_may_miss = true }))
  assert(handle:seal { sql = "SELECT 1 FROM " .. name, source = "demilune migration" })
  local problem = handle:try()[1]
  if not problem then return ("the migrations in %s make a table %s already"):format(folder, name) end
  if problem:find("no such table: " .. name, 1, true) then return nil end
  return ("the migrations that are there fail: %s"):format(problem)
end

---@param kind string
---@param folder string of the app
---@return string? path of the file to write, nil when there is nothing to write
---@return string text of the file, or why there is none
---@return boolean? asked_wrongly there is no such kind
function migration.draft(kind, folder)
  local own = TABLES[kind]
  if not own then return nil, ('there is no table for "%s"; write accounts, api_keys, idempotency or sessions'):format(kind), true end
  local app = io.open(folder .. "/app.lua")
  if not app then return nil, ("%s has no app.lua; name an app's folder"):format(folder) end
  app:close()
  context.folder = folder
  local migrations = folder .. "/migrations"
  local problem = obstacle(migrations, own.name)
  if problem then return nil, problem .. "; nothing was written" end
  return ("%s/%04d_%s.sql"):format(migrations, core.migrations_next(migrations), own.name), own.sql
end

return migration
