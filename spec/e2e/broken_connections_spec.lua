-- SPDX-License-Identifier: MIT
-- Connections that break while they are written to (tests/faults/short_io.c, preloaded): one write in so many gets EPIPE or ECONNRESET. Who was
-- cut off has half an answer at most; everybody else is served, what was acknowledged is there, and nobody's connection is kept.

local faults = require "spec.support.faults"
local http = require "spec.support.http"
local prometheus = require "spec.support.prometheus"
local server = require "spec.support.server"

local REQUESTS, ONE_IN = 300, 12
local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Broken", version = "1", guard = guard.public, docs = true }
local db = app:database "sqlite:notes.db"
local add = db:statement "INSERT INTO notes (text) VALUES (:text) RETURNING id, text"
local find = db:statement "SELECT id, text FROM notes WHERE id = :id"
local Note = model "Note" { id = model.integer(), text = model.string() }
app:post("/notes", { body = model "NewNote" { text = model.string { max_length = 100000 } }, status = 201, returns = Note },
  function(req) return add:one(req.body) end)
app:get("/notes/{id}", { path = { id = model.integer() }, returns = Note }, function(req) return find:one { id = req.path.id } end)
local settings = demilune.settings { SECRET = model.secret { min_bytes = 32 } }
-- Sessions of which its store says at once, or after a while, and at length, that they have ended.
local store = { begin = function(subject) return subject end, finish = function() end, finish_all = function() end }
function store.lives(id)
  if id == "slow" then demilune.sleep "1ms" end
  demilune.abort(503, ("z"):rep(20000))
end
local session = guard.session { secret = settings.SECRET, lifetime = "8h", store = store }
app:post("/login/{name}", { limit = "20/second" }, function(req)
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = req.path.name } } }
end)
app:get("/me", { guard = session }, function(req) return req.principal.subject end)
app:get("/large", function() return ("x"):rep(3000000) end)
app:get("/stream", function() return demilune.stream(function(write) for _ = 1, 20 do write(("y"):rep(20000)) end end) end)
return app
]]

describe("connections that break while they are written to", function()
  local folder, running
  setup(function()
    local migration = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;"
    folder = server.write_app { ["app.lua"] = APP, ["migrations/0001_notes.sql"] = migration }
    local env = faults.short_io { SHORT_IO = 7, SHORT_IO_BROKEN = ONE_IN, SECRET = ("s3cr3t-"):rep(6) }
    running = server.start(folder, { workers = 2, flags = { "--admin=0" }, env = env })
  end)
  teardown(function()
    local status, log = running:stop()
    server.remove_folder(folder)
    assert(status == 0, log)
  end)

  -- The response, or nil for a connection that broke.
  local function ask(method, target, options)
    local connection = http.connect(running.port)
    local ok, response = pcall(connection.request, connection, method, target, options)
    connection:close()
    return ok and response or nil
  end

  -- Asked for until it comes.
  local function insist(method, target)
    return assert(server.wait_until(60, function() return ask(method, target) end), running:log())
  end

  it("cost those that broke, no worker and no acknowledged write", function()
    local workers, broken, whole, acknowledged = running:workers(), 0, 0, {}
    local targets = { "/large", "/stream", "/notes/1", "/nowhere" }
    for index = 1, REQUESTS do
      local response
      if index % 2 == 0 then
        response = ask("POST", "/notes", { headers = { ["Content-Type"] = "application/json" }, body = ('{"text":"note %d"}'):format(index) })
        if response and response.status == 201 then
          acknowledged[#acknowledged + 1] = { id = response.body:match('"id":(%d+)'), text = "note " .. index }
        end
      else
        response = ask("GET", targets[index % #targets + 1])
      end
      if response then whole = whole + 1 else broken = broken + 1 end
    end
    assert.is_true(broken > 0 and whole > 0 and #acknowledged > 0, ("%d broke, %d came whole"):format(broken, whole))
    for _, note in ipairs(acknowledged) do
      assert.equal(('{"id":%s,"text":"%s"}'):format(note.id, note.text), insist("GET", "/notes/" .. note.id).body)
    end
    assert.same(workers, running:workers())
    assert.is_nil(running:log():find('"level":"error"', 1, true), running:log())
  end)

  it("cost no worker where what they break is no handler's answer: a file, or long errors", function()
    local workers, whole = running:workers(), 0
    local wrong = { '"text":1' }
    for n = 1, 400 do wrong[#wrong + 1] = ('"unknown%d":1'):format(n) end
    local body = "{" .. table.concat(wrong, ",") .. "}"
    for _ = 1, REQUESTS do
      local file = ask("GET", "/docs/swagger-ui.css")
      local errors = ask("POST", "/notes", { headers = { ["Content-Type"] = "application/json" }, body = body })
      if file and errors then
        whole = whole + 1
        assert.same({ 200, 422 }, { file.status, errors.status })
        assert.is_true(#errors.body > 8192)
      end
    end
    assert.is_true(whole > 0 and whole < REQUESTS)
    assert.same(workers, running:workers())
  end)

  it("cost no worker where what they break is a long refusal of a session, told at once or waited for", function()
    local workers, whole = running:workers(), 0
    for _, name in ipairs { "fast", "slow" } do
      local cookie = insist("POST", "/login/" .. name).headers["set-cookie"]:match "^[^;]+"
      for _ = 1, REQUESTS do
        local refusal = ask("GET", "/me", { headers = { Cookie = cookie } })
        if refusal then
          whole = whole + 1
          assert.equal(503, refusal.status)
        end
      end
    end
    assert.is_true(whole > 0 and whole < 2 * REQUESTS)
    assert.same(workers, running:workers())
  end)

  it("are not kept", function()
    local page
    assert(server.wait_until(60, function()
      local ok, response = pcall(running.admin, running, "GET", "/metrics") -- the admin listener's connections break as well
      page = ok and response and response.status == 200 and response.body or ""
      return page ~= "" and prometheus.read(page):sum "demilune_connections" == 0
    end), page)
  end)
end)
