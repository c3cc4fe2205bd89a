-- SPDX-License-Identifier: MIT
-- The constraints that a statement has a text for: named as SQLite names them when a row violates one, and looked for at load.

local server = require "spec.support.server"

local TABLES = [[
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, team TEXT, name TEXT, UNIQUE (team, name)) STRICT;
CREATE TABLE seats (hall TEXT, "row" TEXT, number INTEGER, who TEXT, PRIMARY KEY (number, hall, "row")) WITHOUT ROWID;
CREATE UNIQUE INDEX by_who ON seats (lower(who));
CREATE UNIQUE INDEX by_three ON seats (who, "row", hall);
CREATE TABLE Codes (code TEXT PRIMARY KEY, kind INT, old INTEGER);
CREATE UNIQUE INDEX "odd 'one" ON Codes (kind) WHERE old = 0;
CREATE UNIQUE INDEX "kind's own" ON Codes (abs(kind)) WHERE old = 2;
CREATE TABLE backwards (id INTEGER PRIMARY KEY DESC, kind INT) STRICT;
CREATE VIRTUAL TABLE words USING fts5(text);
]]

-- What is there already, what collides with it, and what the collision is called.
local ROWS = {
  { "INSERT INTO users VALUES (1, 'a', 'b', 'c')", "INSERT INTO users VALUES (1, 'x', 'y', 'z')", "users.id" },
  { "INSERT INTO users VALUES (2, 'b', 'b', 'd')", "INSERT INTO users VALUES (3, 'b', 'y', 'z')", "users.email" },
  { "INSERT INTO users VALUES (4, 'd', 'd', 'e')", "INSERT INTO users VALUES (5, 'e', 'd', 'e')", "users.team, users.name" },
  { "INSERT INTO seats VALUES ('h', 'r', 1, 'a')", "INSERT INTO seats VALUES ('h', 'r', 1, 'x')", "seats.number, seats.hall, seats.row" },
  { "INSERT INTO seats VALUES ('h', 'r', 2, 'Ada')", "INSERT INTO seats VALUES ('h', 'q', 3, 'ADA')", "by_who" },
  { "INSERT INTO Codes VALUES ('a', 1, 0)", "INSERT INTO codes VALUES ('a', 2, 1)", "Codes.code" },
  { "INSERT INTO Codes VALUES ('b', 7, 0)", "INSERT INTO codes VALUES ('c', 7, 0)", "Codes.kind" },
  { "INSERT INTO Codes (rowid, code) VALUES (77, 'f')", "INSERT INTO codes (_rowid_, code) VALUES (77, 'g')", "Codes.rowid" },
  { "INSERT INTO backwards VALUES (1, 2)", "INSERT INTO backwards VALUES (1, 3)", "backwards.id" },
  { "INSERT INTO backwards (oid, id) VALUES (9, 8)", "INSERT INTO backwards (oid, id) VALUES (9, 7)", "backwards.rowid" },
  { "INSERT INTO Codes VALUES ('d', 8, 2)", "INSERT INTO codes VALUES ('e', -8, 2)", "kind''s own" },
}

local function app_with(lines)
  return { ["migrations/0001_tables.sql"] = TABLES, ["app.lua"] = [[
local demilune = require "demilune"
local app = demilune.app { title = "Named", version = "1", guard = demilune.guard.public }
local db = app:database "sqlite:named.db"
]] .. table.concat(lines, "\n") .. "\nreturn app\n" }
end

describe("a constraint that a statement has a text for", function()
  it("is found at load by the name that a violation of it has", function()
    local lines = { "local first, second = {}, {}" }
    for number, row in ipairs(ROWS) do
      lines[#lines + 1] = ("first[%d] = db:statement [[%s]]"):format(number, row[1])
      lines[#lines + 1] = ("second[%d] = db:statement([[%s]], { unique = { [%q] = 'taken %d' } })"):format(number, row[2], row[3], number)
    end
    lines[#lines + 1] = "app:on_start(function() for _, row in ipairs(first) do row:run() end end)"
    lines[#lines + 1] = "app:post('/second/{number}', { path = { number = demilune.model.integer() } },\n"
      .. "  function(req) return second[req.path.number]:run() end)"
    local running = server.start(app_with(lines))
    for number in ipairs(ROWS) do
      local reply = running:request("POST", "/second/" .. number)
      assert.same({ 409, ('{"detail":"taken %d"}'):format(number) }, { reply.status, reply.body }, ROWS[number][3])
    end
    local status, log = running:stop()
    assert.equal(0, status, log)
  end)

  it("does not load when the database has none of that name, and the message says which there are", function()
    local add = "db:statement([[INSERT INTO users (email) VALUES ('a')]], { unique = { [%q] = 'taken' } })"
    for _, wrong in ipairs {
      "user.email", "users.mail", "email", "users.team", "users.name, users.team", "users.EMAIL", "users.rowid", "seats.rowid", "",
    } do
      local app = server.write_app(app_with { add:format(wrong), "app:get('/', function() end)" })
      for _, command in ipairs { { "check" }, { "serve", "--port=0" } } do
        local world = server.make_folder()
        local status, out, err = server.run({ command[1], app, command[2] }, { env = { DEMILUNE_DATA = world } })
        assert.equal(1, status)
        local there = 'it has "Codes.code", "Codes.kind", "Codes.rowid", "backwards.id", "backwards.rowid", "by_who", "kind\'\'s own", '
          .. '"seats.number, seats.hall, seats.row", "seats.who, seats.row, seats.hall", "users.email", "users.id", "users.team, users.name"'
        local said = ('unique: the database has no constraint "%s" that a row could violate; %s'):format(wrong, there)
        assert.truthy((out .. err):find(said, 1, true), out .. err)
        assert.truthy((out .. err):find("app.lua:4: ", 1, true))
        server.remove_folder(world)
      end
      server.remove_folder(app)
    end
  end)
end)
