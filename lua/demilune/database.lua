-- SPDX-License-Identifier: MIT
-- Databases and sealed statements. SQL is text of the app's source only: it is
-- read once, while the app loads, and calls bring values, never text. What a
-- statement may vary (filters, order, length of a list) is sealed with it.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local names = require "demilune.names"
local options = require "demilune.options"
local response = require "demilune.response"

local running = coroutine.running

-- The core's handle of each database and, by the coroutine that runs inside one, its
-- transactions. Not in the database itself: an app would reach them there, and so
-- end what others wait for.
local handles, transactions = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
-- By the coroutine of an idempotent request, what became of its statements.
local watched = setmetatable({}, { __mode = "k" })
-- Of each database, the folder of its migrations: nil when it has none.
local folders = setmetatable({}, { __mode = "k" })

-- What demilune itself keeps in a database of the app's.
---@class demilune.OwnTable
---@field command string what `demilune migration` calls it
---@field name string
---@field sql string of the migration that makes it
---@field called string what an app calls that
---@field what string who keeps what in it

-- Of each database these, by the names that they have there.
local expected = setmetatable({}, { __mode = "k" })

---@class demilune.DatabaseOptions
---@field migrations? string|false a folder of numbered .sql files, in the app's folder; "migrations" when there is one
---@field readers? integer connections that read at once: 3
---@field queue_max? integer calls that may wait before others are answered 503: 1,000
---@field queue_ms? integer how long a call may wait to be begun: 5,000
---@field lock_ms? integer how long to wait for another process' lock: 5,000
---@field statement_ms? integer how long one statement may run: 10,000
---@field transaction_ms? integer how long db:transaction may take: 5,000

---@class demilune.StatementOptions
---@field filters? table<string, string> conditions that stand at {filters} when their parameters are given
---@field orders? table<string, string> what may follow ORDER BY at {order}, chosen by { order = "name" }
---@field default_order? string
---@field bytes? string[] parameters that hold bytes, not text
---@field unique? string|table<string, string> answers 409 with this text (one for each constraint) when a row exists already
---@field foreign_key? string answers 409 with this text when a row that is pointed at is missing, or still pointed at

---@class demilune.CallOptions
---@field order? string the name of one of the statement's orders
---@field max? integer rows that :many may give: 1,000

---@alias demilune.ProblemKind
---| "unique_violation"
---| "foreign_key_violation"
---| "check_violation"
---| "not_null_violation"
---| "type_mismatch" a value that its column does not take
---| "bad_parameter" missing, unknown, or not text
---| "bad_data" a stored value that Lua has no form for
---| "too_much" more rows, columns or bytes than asked for, or a pattern of LIKE or GLOB over 256 bytes
---| "busy" too many calls wait (uncaught: 503, as the next one and "stopped")
---| "locked" another process holds the lock
---| "timeout" the statement took too long
---| "transaction_ended" it was rolled back meanwhile
---| "stopped"
---| "failed"

---What pcall gives when a statement fails; uncaught it is a 500.
---@class demilune.Problem
---@field kind demilune.ProblemKind
---@field message string names the statement; holds no value of the call
---@field constraint? string "users.email", or an index' or a check's name
local Problem = { __tostring = function(self) return self.message end }
Problem.__index = Problem

---@class demilune.Statement
---@field private database demilune.Database
---@field private number integer
---@field private conflicts table<string, string|table<string, string>>
---@field source string where it was declared
---@field binds_subject boolean that :principal_subject is in its SQL: it finds nobody else's rows
---@field parameters integer how many it has
---@field asks_whose boolean and that it tells by it whose the thing is that another parameter names
local Statement = {}
Statement.__index = Statement
Statement.__tostring = function(self) return "statement " .. self.source end

---@class demilune.Database
---@field source string where it was declared
local Database = {}
Database.__index = Database
Database.__tostring = function(self) return "database " .. self.source end

local DATABASE_OPTIONS = {
  migrations = "any", readers = "count", queue_max = "count", queue_ms = "count", lock_ms = "count", statement_ms = "count",
  transaction_ms = "count",
}
-- How far each number may go. A 0 would let nothing happen, and the core takes it for one that was not given.
local MOST = { readers = 16, queue_max = 1000000, queue_ms = 86400000, lock_ms = 86400000, statement_ms = 86400000, transaction_ms = 86400000 }
local STATEMENT_OPTIONS = {
  filters = "table", orders = "table", default_order = "string", bytes = "strings", unique = "any", foreign_key = "string",
}
-- Problems that are nobody's mistake: the client may try again.
local UNAVAILABLE = { busy = true, locked = true, stopped = true }

-- Filters and orders as the core takes them: sorted, so that equal apps have equal SQL.
local function sorted_pairs(place, what, texts)
  local list = {}
  for name, text in pairs(texts or {}) do
    if type(name) ~= "string" or type(text) ~= "string" then
      errors.raise(place, 'db:statement: %s are names and SQL texts; write %s = { name = "..." }', what, what)
    end
    list[#list + 1] = { name, text }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

-- A spawned function whose database ends is left where it stands: its app has stopped or was loaded anew, and nobody wants to hear of a failure, or
-- that it is tried again.
local function raise(database, problem, conflicts)
  if problem.kind == "stopped" and handles[database]:is_ending() then core.leave() end
  local conflict = conflicts and conflicts[problem.kind]
  if type(conflict) == "table" then conflict = conflict[problem.constraint] end
  if conflict then response.abort(409, conflict) end
  if UNAVAILABLE[problem.kind] then
    core.log("warning", problem.message, { kind = problem.kind })
    response.abort(503, "The service is busy; try again", { ["Retry-After"] = "1" })
  end
  error(setmetatable(problem, Problem), 0)
end

-- Whose rows a statement finds is for the guard to say, not for the handler, let alone for a request.
local function with_subject(statement, params)
  local subject = core.principal_subject()
  if subject == nil then return params end -- outside requests: a job says for whom it works
  if params and params.principal_subject ~= nil then
    error(statement.source .. ": :principal_subject is filled in by the core, with the subject that the guard found; leave it out", 0)
  elseif not subject then
    error(statement.source .. ": the statement binds :principal_subject, and no guard of this route found anybody who has one; an API key that is "
      .. "given at load has a name instead: write a parameter of another name and give it req.principal.name", 0)
  end
  local bound = { principal_subject = subject }
  for name, value in pairs(params or {}) do bound[name] = value end
  return bound
end

-- A statement that was turned away did nothing; any other that writes may have.
local function note(seen, handle, statement, problem)
  if problem and UNAVAILABLE[problem.kind] then seen.turned_away = true
  elseif handle:writes(statement.number) then seen.wrote[statement.database] = true end
end

-- By how a statement is called, what may stand behind its parameters: elsewhere it would have no effect.
local CALL_OPTIONS = { many = { max = true, order = true }, one = { order = true }, value = { order = true }, run = {} }
local CALL_WORDS = { many = "max and order", one = "order", value = "order", run = "nothing" }

-- What a handler wrote wrongly is told at its line, and not as a failure of ours.
local function check_call(statement, shape, params, call)
  if getmetatable(statement) ~= Statement then
    errors.raise(errors.where(), "a statement is called with a colon; write find:%s { ... }, not find.%s { ... }", shape, shape)
  elseif params ~= nil and type(params) ~= "table" then
    errors.raise(errors.where(), "statement:%s takes its parameters by name, not %s; write statement:%s { id = 1 }", shape,
      errors.show(params), shape)
  elseif call ~= nil and type(call) ~= "table" then
    errors.raise(errors.where(), "statement:%s takes a table behind its parameters, such as { max = 10 }, not %s", shape, errors.show(call))
  end
  if call == nil then return end -- as most are: no table is made for them
  for name in pairs(call) do
    if not CALL_OPTIONS[shape][name] then
      errors.raise(errors.where(), "statement:%s: there is no option %s; behind its parameters it takes %s", shape, errors.show(name),
        CALL_WORDS[shape])
    end
  end
end

local function execute(statement, shape, params, call)
  check_call(statement, shape, params, call)
  local database = statement.database
  if statement.binds_subject then params = with_subject(statement, params) end
  local handle, co = handles[database], running()
  local problem = handle:prepare(statement.number, shape, params, call and call.order, call and call.max, transactions[database][co])
  if problem then raise(database, problem) end
  local answer, second
  problem, answer, second = handle:execute()
  local seen = watched[co]
  if seen then note(seen, handle, statement, problem) end
  if problem then raise(database, problem, statement.conflicts) end
  return answer, second
end

---The only row, or nil when there is none. More than one row is an error.
---@param params? table<string, any> values by the names in the SQL
---@param call? demilune.CallOptions
---@return table<string, any>?
function Statement:one(params, call)
  local row = execute(self, "one", params, call)
  return row
end

---All rows, at most call.max (1,000): more are an error, not a surprise.
---@param params? table<string, any>
---@param call? demilune.CallOptions
---@return table<string, any>[]
function Statement:many(params, call)
  local max = type(call) == "table" and call.max or nil
  if max ~= nil and (type(max) ~= "number" or max % 1 ~= 0 or max < 1 or max > 1000000) then
    error(self.source .. ": :many takes { max = ... } from 1 to 1,000,000", 2)
  end
  local rows = execute(self, "many", params, call)
  return rows
end

---The single column of the only row, or nil.
---@param params? table<string, any>
---@param call? demilune.CallOptions
---@return any
function Statement:value(params, call)
  local value = execute(self, "value", params, call)
  return value
end

---How many rows were changed, and the id of the last one inserted.
---@param params? table<string, any>
---@return integer changes
---@return integer? last_id
function Statement:run(params, ...) return execute(self, "run", params, ...) end

local function check_unique(place, unique)
  local is_right = type(unique) == "string" or type(unique) == "table" and next(unique) ~= nil
  for constraint, text in pairs(type(unique) == "table" and unique or {}) do
    is_right = is_right and type(constraint) == "string" and type(text) == "string"
  end
  if is_right then return end
  errors.raise(place, 'db:statement: unique is the text of the 409, or one for each constraint; write unique = "This e-mail address is taken", '
    .. 'or unique = { ["users.email"] = "This e-mail address is taken" }')
end

-- The constraints that have a text of their own.
local function names_of(unique)
  local constraints = {}
  for name in pairs(type(unique) == "table" and unique or {}) do constraints[#constraints + 1] = name end
  table.sort(constraints)
  return constraints
end

---Seals a statement. Only while the app loads: no request can ever become SQL.
---@param sql string with :name, :name? (NULL when not given) and IN (:names*) for lists
---@param given? demilune.StatementOptions
---@return demilune.Statement
function Database:statement(sql, given)
  local place = errors.where()
  if type(sql) ~= "string" then errors.raise(place, "db:statement takes SQL, not %s; write db:statement [[SELECT ...]]", errors.show(sql)) end
  given = options.check(place, "db:statement", given, STATEMENT_OPTIONS)
  local unique = given.unique
  if unique ~= nil then check_unique(place, unique) end
  local number, result, weighs, parameters = handles[self]:seal {
    sql = sql, source = place, filled = "principal_subject",
    filters = sorted_pairs(place, "filters", given.filters), orders = sorted_pairs(place, "orders", given.orders),
    default_order = given.default_order, bytes = given.bytes, constraints = names_of(unique),
  }
  if not number then error(result:sub(1, #place) == place and result or place .. ": " .. result, 0) end
  return setmetatable({
    database = self, number = number, source = place, conflicts = { unique_violation = unique, foreign_key_violation = given.foreign_key },
    binds_subject = result, asks_whose = weighs, parameters = parameters,
  }, Statement)
end

local function finish(self, transaction, wrote_before, ok, ...)
  local co = running()
  transactions[self][co] = nil
  local handle, seen = handles[self], watched[co]
  local problem = handle[ok and "commit" or "rollback"](handle, transaction)
  if seen and not ok and not problem then seen.wrote[self] = wrote_before end
  if not ok then error((...), 0) end
  if problem then raise(self, problem) end
  return ...
end

---Runs fn with the database's writer to itself: the statements of this database
---inside fn are one transaction, committed when fn returns and rolled back when it
---raises. Other writes wait meanwhile, so do nothing slow inside.
---@generic T
---@param fn fun(): T
---@return T
function Database:transaction(fn)
  if type(fn) ~= "function" then error("db:transaction takes a function; write db:transaction(function() ... end)", 2) end
  if handles[self]:is_new() then
    error("the database is not open while the app loads; call db:transaction in app:on_start(function() ... end) or in a handler", 2)
  end
  if transactions[self][running()] then
    error("db:transaction inside db:transaction: the outer one already holds all or nothing; call the function itself", 2)
  end
  local problem, transaction = handles[self]:begin()
  local seen = watched[running()]
  if seen and problem then seen.turned_away = true end
  if problem then raise(self, problem) end
  transactions[self][running()] = transaction
  return finish(self, transaction, seen and seen.wrote[self], pcall(fn))
end

-- As the app's author knows it: "migrations/0001_users.sql".
local function inside_app(path)
  local parent = context.folder .. "/"
  return path:sub(1, #parent) == parent and path:sub(#parent + 1) or path
end

-- What the next migration may be called.
local function next_migration(made, name)
  return ("%s/%04d_%s.sql"):format(inside_app(folders[made]), core.migrations_next(folders[made]), name)
end

local function mend_of_own(made, own, name)
  local text = own.called .. (name == own.name and "" or (", under the name " .. name))
  if not folders[made] then return "make it with the SQL of " .. text end
  local mend = ("write %s with the text of %s"):format(next_migration(made, name), text)
  if name ~= own.name or folders[made] ~= context.folder .. "/migrations" then return mend end
  return ("%s, as `demilune migration %s %s` does"):format(mend, own.command, context.folder)
end

-- A table of ours that is missing, which the app's author has never written: what it is for, and how to make it. nil: it is another problem.
local function read_own(made, problem)
  local place, name = problem:match "^(.-)no such table: ([%w_]+)"
  local own = (expected[made] or {})[name]
  if not own then return nil end
  return place, ("no such table: %s, in which %s"):format(name, own.what), mend_of_own(made, own, name)
end

---Opens the file, applies new migrations and prepares every statement. Waits.
function Database:start()
  local problem = handles[self]:start()
  if not problem then return end
  local place, message, mend = read_own(self, problem)
  error(place and ("%s%s; %s"):format(place, message, mend) or problem, 0)
end

---Answers what waits, empties the log and closes. Waits.
function Database:stop()
  local handle = handles[self]
  if handle:is_open() then handle:stop() end
end

local SEALED = "write local find = db:statement [[SELECT ...]] while the app loads, and find:one, find:many, find:value or find:run in handlers"
names.strict("db:", Database, {
  query = SEALED, execute = SEALED, exec = SEALED, prepare = SEALED, begin = "write db:transaction(function() ... end)",
})
names.strict("statement:", Statement, {
  all = "write statement:many", fetch = "write statement:many", first = "write statement:one", get = "write statement:one",
  execute = "write statement:run", exec = "write statement:run", rows = "write statement:many",
})

local database = {}

-- Specs write into a folder of their own, and a check into nothing, whatever path a setting names: it is that of the real one.
local PLACES = { test = "folder", check = "memory" }

---The folder inside the app's, as its files are named; nil when there is to be none.
local function migrations_folder(place, given)
  if given == false then return nil end
  if given ~= nil and type(given) ~= "string" then
    errors.raise(place, 'app:database: migrations is a folder inside the app\'s, or false; write migrations = "migrations"')
  end
  return ((given or "migrations"):gsub("^%./+", ""):gsub("/+$", ""))
end

local function mend_of(made, source, message)
  local name = message:match "^no such table: ([%w_]+)"
  if name and source:find "%.lua:%d+$" then
    return ("make it in a migration, such as %s; or write migrations = false, where something else makes this database's tables")
      :format(next_migration(made, name:lower()))
  elseif message:find "^the migrations folder" then
    return "make the folder, or name another one"
  elseif not source:find "%.lua:%d+$" then
    return "mend the migrations: an empty database takes them one after the other"
  end
  return "mend the statement, or make what it needs in a migration"
end

---Watches what the running task does with databases from here on.
---@return { wrote: table<any, true>, turned_away: boolean? } seen by what it may have written, and whether a database was too busy for it
function database.watch()
  local seen, co = { wrote = {} }, running()
  if co then watched[co] = seen end -- nil: a spec's own
  return seen
end

---Runs a function in a task of its own, which may write whatever becomes of what spawned it.
---@param fn fun()
function database.spawn(fn)
  if type(fn) ~= "function" then
    error(("demilune.spawn takes a function, not %s; write demilune.spawn(function() ... end)"):format(errors.show(fn)), 2)
  end
  local seen = watched[running()]
  if seen then seen.wrote[core.spawn] = true end
  return core.spawn(fn)
end

---Runs fn in the transaction that the caller is in, or in one of its own: what a store of ours writes for an app is part of what that writes.
---@generic T
---@param made demilune.Database
---@param fn fun(): T
---@return T
function database.together(made, fn)
  local open = transactions[made]
  if open and open[running()] then return fn() end
  return made:transaction(fn)
end

---Notes what demilune itself keeps in a database.
---@param made demilune.Database
---@param name string that the table has there
---@param own demilune.OwnTable
function database.expect(made, name, own)
  expected[made] = expected[made] or {}
  expected[made][name] = own
end

---What start would find on an empty database, tried in memory. One whose tables others make cannot be tried.
---@param made demilune.Database
---@return { source: string, message: string, mend: string }[]
function database.try(made)
  local found = {}
  if not folders[made] then return found end
  for index, problem in ipairs(handles[made]:try()) do
    local source, message = inside_app(problem):match("^([^%s:]+:?%d*): (.*)$")
    if not source then source, message = made.source, problem end
    local place, own_message, mend = read_own(made, problem)
    found[index] = { source = source, message = place and own_message or message, mend = mend or mend_of(made, source, message) }
  end
  return found
end

---Who else on this machine may get at a database's file, where there is one, a sentence each.
---@param made demilune.Database
---@return string[]
function database.exposures(made) return handles[made]:exposures() end

---Declares a database; nothing is opened before the app starts.
---@param url string "sqlite:users.db" in the data folder, or "sqlite::memory:"
---@param given? demilune.DatabaseOptions
---@return demilune.Database
function database.new(url, given)
  local place = errors.where()
  given = options.check(place, "app:database", given, DATABASE_OPTIONS)
  if type(url) == "userdata" then url = core.secret_reveal(url) end
  if type(url) ~= "string" then errors.raise(place, 'app:database takes a url, not %s; write app:database("sqlite:users.db")', errors.show(url)) end
  if context.workers > 1 and url:find("^sqlite::memory:") then
    errors.raise(place, "app:database: sqlite::memory: is one database for each process, and the %d workers would not see one another's data; "
      .. 'write app:database("sqlite:name.db"), or serve with --workers 1', context.workers)
  end
  for name, most in pairs(MOST) do
    if given[name] and (given[name] < 1 or given[name] > most) then
      errors.raise(place, "app:database: %s is %s; write a number from 1 to %d", name, errors.show(given[name]), most)
    end
  end
  local opening = {
    folder = os.getenv "DEMILUNE_DATA" or context.folder, place = PLACES[context.mode], is_draft = context.mode == "dev",
    migrations_may_miss = given.migrations == nil,
  }
  for name, value in pairs(given) do opening[name] = value end
  local name = migrations_folder(place, given.migrations)
  opening.migrations, opening.migrations_name = name and context.folder .. "/" .. name, name
  local handle, problem = core.database_open(url, opening)
  if not handle then errors.raise(place, "app:database: %s", problem) end
  local made = setmetatable({ source = place }, Database)
  handles[made], transactions[made], folders[made] = handle, setmetatable({}, { __mode = "k" }), opening.migrations
  if url == "sqlite::memory:" then folders[made] = folders[made] or context.folder .. "/migrations" end -- nobody else can make tables there
  return made
end

return database
