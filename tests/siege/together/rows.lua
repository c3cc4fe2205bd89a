-- SPDX-License-Identifier: MIT
-- The rows that normal clients were told are written, and those that are there: as the app answers, and as SQLite alone reads the file.

local ffi = require "ffi"

ffi.cdef [[
int sqlite3_open_v2(const char *path, void **database, int flags, const char *vfs);
int sqlite3_prepare_v2(void *database, const char *sql, int length, void **statement, const char **rest);
int sqlite3_step(void *statement);
const char *sqlite3_column_text(void *statement, int column);
int sqlite3_finalize(void *statement);
int sqlite3_close(void *database);
]]
local sqlite = ffi.load "sqlite3"
local SQLITE_OK, SQLITE_ROW, SQLITE_DONE, SQLITE_OPEN_READWRITE = 0, 100, 101, 2

local rows = {}

--- Ids of all rows that were acknowledged to these clients.
---@param groups siege.Process[][]
---@return string[]
function rows.acknowledged(groups)
  local ids = {}
  for _, group in ipairs(groups) do
    for _, process in ipairs(group) do
      for line in io.lines(process.records) do ids[#ids + 1] = line:match "^ack (.+)$" end
    end
  end
  return ids
end

--- All rows, as the app lists them.
---@param running server.Running
---@return table<string, boolean>
function rows.by_api(running)
  local there, after = {}, ""
  local connection = running:connect()
  repeat
    local reply = assert(connection:request("GET", "/rows?after=" .. after))
    assert(reply.status == 200, "GET /rows answered " .. reply.status)
    local last
    for id in reply.body:gmatch '"id":"([^"]+)"' do there[id], last = true, id end
    after = last or after
  until not last
  connection:close()
  return there
end

--- All rows, as they are in the file of a server that has ended.
function rows.in_file(path)
  local there, database, statement = {}, ffi.new "void *[1]", ffi.new "void *[1]"
  assert(sqlite.sqlite3_open_v2(path, database, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK, "SQLite cannot open " .. path)
  assert(sqlite.sqlite3_prepare_v2(database[0], "SELECT id FROM rows", -1, statement, nil) == SQLITE_OK, "SQLite cannot read " .. path)
  local step = sqlite.sqlite3_step(statement[0])
  while step == SQLITE_ROW do
    there[ffi.string(sqlite.sqlite3_column_text(statement[0], 0))] = true
    step = sqlite.sqlite3_step(statement[0])
  end
  assert(step == SQLITE_DONE, "SQLite cannot read all of " .. path)
  sqlite.sqlite3_finalize(statement[0])
  sqlite.sqlite3_close(database[0])
  return there
end

---@param ids string[]
---@param there table<string, boolean>
---@return string[] those that are not there
function rows.missing(ids, there)
  local list = {}
  for _, id in ipairs(ids) do
    if not there[id] then list[#list + 1] = id end
  end
  return list
end

return rows
