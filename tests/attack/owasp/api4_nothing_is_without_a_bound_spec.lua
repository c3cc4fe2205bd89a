-- SPDX-License-Identifier: MIT
-- API4:2023 unrestricted resource consumption. Slow clients are in spec/e2e/deadlines_spec.lua.

local owasp = require "tests.attack.support.owasp"

owasp.wall("nothing is without a bound:", { ["app.lua"] = owasp.HEAD .. [[
local app = demilune.app { title = "list", version = "1", guard = guard.public, limits = { max_body = "64KiB", max_depth = 16 } }
local db = app:database "sqlite:list.db"
local all = db:statement "SELECT id FROM things"
local forever = db:statement "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
local Filter = model "Filter" { tags = model.array(model.string { max_length = 20 }, { max_items = 10 }), more = model.any() }
local like, glob = db:statement "SELECT :text LIKE :pattern", db:statement "SELECT :text GLOB :pattern"
local patch = db:statement "SELECT json_patch('{}', :patch)"
app:post("/patch", { body = { patch = model.string() }, max_body = "1MiB" }, function(req) return #patch:value { patch = req.body.patch } end)
app:post("/like", { body = { pattern = model.string() } }, function(req)
  local text = ("a"):rep(1000)
  return { like:value { text = text, pattern = req.body.pattern }, (glob:value { text = text, pattern = req.body.pattern }) }
end)
app:get("/all", function() return all:many {} end)
app:get("/few", function() return all:many({}, { max = 5000 }) end)
app:get("/page", { query = { limit = model.integer { ge = 1, le = 100, default = 20 } } }, function(req) return req.query.limit end)
app:post("/search", { body = Filter }, function() return 1 end)
app:post("/match", { body = { text = model.string { pattern = "^(a+)+$", max_length = 60000 } } }, function() return 1 end)
app:get("/forever", { timeout = "100ms" }, function() return forever:value() end)
app:get("/often", { limit = "3/minute" }, function() return 1 end)
app:route({ "GET", "POST", "PUT", "PATCH", "DELETE" }, "/login", { limit = "3/minute" }, function() return 1 end)
return app]], ["migrations/0001_things.sql"] = [[
CREATE TABLE things (id INTEGER PRIMARY KEY);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO things SELECT i FROM n;]] }, function(world)
  it("a list has a maximum, which one raises in writing", function()
    assert.equal(500, world:ask("GET", "/all").status)
    assert.equal(2000, #world:ask("GET", "/few").json)
  end)

  it("a page is as large as the declaration lets it be", function()
    for _, limit in ipairs { "101", "0", "-1", "1e9", "NaN", "", "999999999999999999999" } do
      assert.equal(422, world:ask("GET", "/page?limit=" .. limit).status, limit)
    end
    assert.equal(422, world:ask("GET", "/page?limit=1&limit=100000").status)
  end)

  it("bodies have a size, a depth and a number of items", function()
    assert.equal(413, world:ask("POST", "/search", nil, '{"tags":["' .. ("a"):rep(70000) .. '"]}').status)
    assert.equal(422, world:ask("POST", "/search", nil, '{"tags":[],"more":' .. ("["):rep(17) .. ("]"):rep(17) .. "}").status)
    assert.equal(422, world:ask("POST", "/search", nil, '{"more":1,"tags":["a","a","a","a","a","a","a","a","a","a","a"]}').status)
    assert.equal(422, world:ask("POST", "/search", nil, '{"more":1,"tags":["' .. ("a"):rep(21) .. '"]}').status)
    local gzip = world.running:request("POST", "/search", { body = "\31\139\8\0", headers = { ["Content-Encoding"] = "gzip",
      ["Content-Type"] = "application/json" } })
    assert.equal(415, gzip.status)
  end)

  -- No deadline ends a match: 20 KB against 1 MB of a row held a reader for minutes.
  it("what is searched for by LIKE or GLOB is short", function()
    assert.equal(200, world:ask("POST", "/like", nil, { pattern = ("%a"):rep(128) }).status)
    assert.equal(500, world:ask("POST", "/like", nil, { pattern = ("%a"):rep(128) .. "b" }).status)
    assert.truthy(world.running:log_line("a pattern of LIKE or GLOB has over 256 bytes: give what a client may send a max_length"))
  end)

  -- SQLite compares each member with all before it: a megabyte of them held the writer for a minute.
  it("a patch of JSON has so many members that it ends", function()
    local members = {}
    for i = 1, 20000 do members[i] = ('"k%d":1'):format(i) end
    assert.equal(200, world:ask("POST", "/patch", nil, { patch = '{"text":"' .. ("a"):rep(500000) .. '"}' }).status)
    assert.equal(500, world:ask("POST", "/patch", nil, { patch = "{" .. table.concat(members, ",") .. "}" }).status)
    assert.truthy(world.running:log_line("json_patch has too much to compare: give what a client may send a max_length"))
  end)

  it("a pattern gives up, and so do a statement and a client that asks too often", function()
    assert.equal(422, world:ask("POST", "/match", nil, '{"text":"' .. ("a"):rep(50000) .. '!"}').status)
    assert.equal(504, world:ask("GET", "/forever").status)
    local last
    for _ = 1, 4 do last = world:ask("GET", "/often").status end
    assert.equal(429, last)
  end)

  it("who asks by every method of a route asks as often as by one", function()
    local statuses = {}
    for index, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" } do statuses[index] = world:ask(method, "/login").status end
    assert.same({ 200, 200, 200, 429, 429, 429 }, statuses)
  end)
end)
