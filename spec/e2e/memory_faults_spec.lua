-- SPDX-License-Identifier: MIT
-- Memory, threads and processes that are not to be had, call by call: tests/faults/failing_calls.c preloaded into the real program. A request
-- gets a whole answer or none, a reload leaves the old generation or brings the new one, what was acknowledged is there, and the service
-- answers again. DEMILUNE_FAULTS=all tries every call, DEMILUNE_FAULTS=places one of those of the heap that the same functions lead to;
-- all:2/5 is the second of five parts of that. Otherwise some calls, always the same.

local certificates = require "spec.support.certificates"
local faults = require "spec.support.faults"
local http = require "spec.support.http"
local jwt = require "spec.support.jwt"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local SAMPLES = 4
local MODE, PART, PARTS = (os.getenv "DEMILUNE_FAULTS" or "samples:1/1"):match "^(%a+):?(%d*)/?(%d*)$"
assert(MODE == "samples" or MODE == "places" or MODE == "all", "DEMILUNE_FAULTS is all or places, with or without a part as :2/5")
PART, PARTS = tonumber(PART) or 1, tonumber(PARTS) or 1
local FOR_EVER = 2 ^ 52
local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"
local MIGRATION = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;"
local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { SECRET = model.secret() }
local bearer = guard.bearer { secret = settings.SECRET, lifetime = "30m" }
local session = guard.session { secret = settings.SECRET, lifetime = "1h" }
local app = demilune.app { title = "Faults", version = "1", guard = guard.public }
local Note = model "Note" { text = model.string { max_length = 100000 }, tags = model.array(model.string(), { max_items = 3 }),
  at = model.datetime() }
local Made = model "Made" { id = model.integer(), text = model.string() }
local db = app:database("sqlite:notes.db")
local add = db:statement "INSERT INTO notes (text) VALUES (:text) RETURNING id, text"
local find = db:statement "SELECT id, text FROM notes WHERE id = :id"
app:get("/version", function() return "VERSION" end)
app:post("/notes", { body = Note, status = 201, returns = Made }, function(req) return add:one { text = req.body.text } end)
app:get("/notes/{id}", { path = { id = model.integer() } }, function(req) return find:one { id = req.path.id } end)
app:get("/me", { guard = bearer }, function(req) return req.principal.subject end)
app:post("/login", { limit = "1000000/minute" }, function()
  return demilune.response { status = 200, body = "in", headers = { ["Set-Cookie"] = session:issue { subject = "7" } } }
end)
app:get("/home", { guard = session }, function(req) return req.principal.subject end)
local keys = guard.api_key { database = db, lifetime = "1h", most = 1000000 }
app:post("/keys", { limit = "1000000/minute" }, function() return keys:issue { subject = "7" }.key end)
app:get("/key", { guard = keys }, function(req) return req.principal.subject end)
app:get("/hash", { limit = "1000000/minute" }, function() return demilune.password.hash("correct horse battery staple"):sub(1, 9) end)
app:get("/large", function() return ("x"):rep(300000) end)
app:get("/fail", function() error("on purpose") end)
app:get("/wait", function() demilune.sleep("1ms") return "waited" end)
app:get("/search", { query = { name = model.string { pattern = "^[a-z]+$" } } }, function(req) return req.query.name end)
app:get("/stream", function() return demilune.stream(function(write) for _ = 1, 5 do write(("y"):rep(20000)) end end) end)
return app
]]

local function app_of(version) return { ["app.lua"] = (APP:gsub("VERSION", version)), ["migrations/0001_notes.sql"] = MIGRATION } end

local function request_text(method, target, headers, body)
  return ("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s\r\n%s"):format(method, target, headers or "",
    body and ("Content-Length: %d\r\n"):format(#body) or "", body or "")
end

local function note(text, at)
  local body = ('{"text":"%s","tags":["a","b"],"at":"%s"}'):format(text, at or "2024-01-01T00:00:00Z")
  return request_text("POST", "/notes", "Content-Type: application/json\r\n", body)
end

local function samples(total)
  local chosen, state = {}, 12345
  for n = 1, SAMPLES do
    state = (state * 1103515245 + 12345) % 2 ^ 31
    chosen[n] = 1 + math.floor(state / 2 ^ 31 * total)
  end
  return chosen
end

--- Which calls to let fail, of the `total` that `control` has just counted.
local function numbers(total, control)
  if MODE == "samples" and total > SAMPLES then return samples(total) end
  local all, part = MODE == "places" and control:places() or {}, {}
  if MODE ~= "places" then
    for n = 1, total do all[n] = n end
  end
  for n = PART, #all, PARTS do part[#part + 1] = all[n] end
  return part
end

--- What came back: its status and body; "none" when nothing came. Half an answer is an error, but for a stream without its last chunk.
local function understand(bytes, why, told)
  told = told or function() return "" end
  assert(why == "closed", "no end within the time; " .. told())
  if bytes == "" then return "none" end
  local head, body = bytes:match("^(.-\r\n\r\n)(.*)$")
  assert(head, "half a head: " .. bytes .. told())
  local length = tonumber(head:lower():match("content%-length: (%d+)"))
  assert(not length or length == #body, ("half an answer: %d of %s bytes; "):format(#body, tostring(length)) .. told())
  return tonumber(head:match("^HTTP/1%.1 (%d+)")), body, head
end

-- A process may end itself, where it has no memory to go on, and never by accident.
local function check_ends(log)
  for _, words in ipairs { "ended by signal 11", "ended by signal 7", "ended by signal 4", "ended by signal 8", "AddressSanitizer" } do
    assert.is_nil(log:find(words, 1, true), log)
  end
end

-- A worker that ends itself in the moment in which the server is told to stop is not replaced, and the server tells of it by its status.
local function one_ended_at_the_stop(log)
  local behind = log:match "^.*demilune: out of memory: Lua cannot go on[^\n]*\n(.*)$"
  return behind and not behind:find("is replaced", 1, true)
end

describe("without memory", function()
  local folder, control, running
  before_each(function()
    folder = server.make_folder()
    control = faults.control(folder, MODE == "places")
  end)
  after_each(function()
    if control then control:disarm() end
    if running then
      local status, log = running:stop()
      server.remove_folder(running.app)
      running = nil
      check_ends(log)
      assert(status == 0 or one_ended_at_the_stop(log), log)
    end
    control:close()
    server.remove_folder(folder)
  end)

  local function start(options)
    options = options or {}
    local env = { SECRET = SECRET }
    for name, value in pairs(control.env) do env[name] = value end
    -- Whole stacks, for what failing_calls.c forgives.
    if options.forgives then env.ASAN_OPTIONS = env.ASAN_OPTIONS .. ":fast_unwind_on_malloc=0" end
    local app = server.write_app(app_of "one")
    assert.equal(0, (server.run { "migration", "api_keys", app }))
    running = server.start(app, { env = env, workers = options.workers, flags = { "--access-log=off", unpack(options.flags or {}) } })
    running.secure = options.secure
  end

  -- By a client that ends when the server does: LuaSec spins for ever on a connection that broke in certain moments.
  local function ask_by_tls(bytes)
    local request, answer = folder .. "/request", folder .. "/answer"
    local file = assert(io.open(request, "w"))
    file:write(bytes)
    file:close()
    local client = "timeout %d openssl s_client -quiet -connect 127.0.0.1:%d <%s >%s 2>/dev/null"
    local status = os.execute(client:format(PATIENCE, running.port, request, answer))
    file = assert(io.open(answer))
    local all = file:read "*a"
    file:close()
    return all, status == 124 * 256 and "timeout" or "closed"
  end

  local function ask(bytes)
    if running.secure then return ask_by_tls(bytes) end
    local connection = http.connect(running.port, PATIENCE)
    connection:send(bytes)
    local all, why = connection:read_rest()
    connection:close()
    return all, why
  end

  local function answers(version)
    local version_request = request_text("GET", "/version")
    local bytes = server.wait_until(PATIENCE, function()
      local all = ask(version_request)
      return all:find("200 OK", 1, true) and all
    end)
    assert(bytes and bytes:find("\r\n\r\n" .. version, 1, true), ("%s is not served:\n%s"):format(version, tostring(bytes)) .. running:log())
  end

  --- Lets each of these calls of a worker fail while it answers `bytes`, once and from then on. How many calls there are, and how many failed.
  local function sweep(bytes, kinds, check)
    local all_failed = 0
    ask(bytes)
    control:count("demilune-worker", kinds)
    ask(bytes)
    local total = control:disarm()
    for _, n in ipairs(numbers(total, control)) do
      for _, last in ipairs { n, FOR_EVER } do
        control:arm("demilune-worker", kinds, n, last)
        local all, why = ask(bytes)
        all_failed = all_failed + select(2, control:disarm())
        local status, body, head = understand(all, why, function() return ("call %d of %d:\n"):format(n, total) .. running:log() end)
        if check then check(status, body, head) end
      end
      answers "one"
    end
    return total, all_failed
  end

  local function token()
    local now = os.time()
    return jwt.sign('{"alg":"HS256","typ":"JWT"}', ('{"sub":"7","iat":%d,"nbf":%d,"exp":%d}'):format(now, now, now + 3000), SECRET)
  end

  it("a request is answered whole or not at all, nothing passes a guard, and what was acknowledged is there", function()
    start { workers = 3 }
    local _, _, head = understand(ask(request_text("POST", "/login")))
    local cookie = head:match("[Ss]et%-[Cc]ookie: ([^;]+)")
    local _, key = understand(ask(request_text("POST", "/keys")))
    local acknowledged, calls, failures = {}, 0, 0
    local function remember(status, body)
      if status == 201 then acknowledged[#acknowledged + 1] = body:match('"id":(%d+)') end
    end
    local function is_guarded(status) assert(status == "none" or status == 401 or status >= 500, tostring(status)) end
    local requests = {
      { request_text("GET", "/version") }, { note("short"), remember }, { note(("x"):rep(90000)), remember }, { note("x", "not a date") },
      { request_text("GET", "/me", "Authorization: Bearer " .. token() .. "\r\n") },
      { request_text("GET", "/me", "Authorization: Bearer " .. token() .. "x\r\n"), is_guarded },
      { request_text("POST", "/login") }, { request_text("GET", "/home", "Cookie: " .. cookie .. "\r\n") },
      { request_text("GET", "/home", "Cookie: " .. cookie:sub(1, -3) .. "\r\n"), is_guarded },
      { request_text("POST", "/keys") }, { request_text("GET", "/key", "X-API-Key: " .. key .. "\r\n") },
      { request_text("GET", "/key", "X-API-Key: " .. key .. "0\r\n"), is_guarded },
      { request_text("GET", "/large") }, { request_text("GET", "/fail") }, { request_text("GET", "/wait") },
      { request_text("GET", "/search?name=abc") }, { request_text("GET", "/search?name=ABC") }, { request_text("GET", "/stream") },
    }
    for _, case in ipairs(requests) do
      for _, kinds in ipairs { faults.HEAP, faults.LUA, faults.HEAP + faults.LUA + faults.MAPPING } do
        local total, failed = sweep(case[1], kinds, case[2])
        calls, failures = calls + total, failures + failed
      end
    end
    assert.is_true(calls > 100 and failures > 100 / PARTS, ("%d calls, of which %d failed"):format(calls, failures))
    for _, id in ipairs(acknowledged) do
      local status, body = understand(ask(request_text("GET", "/notes/" .. id)))
      assert(status == 200, ("note %s: %s %s"):format(id, tostring(status), tostring(body)))
    end
    assert.is_true(#acknowledged > 0)
  end)

  it("a handshake ends in a connection or in none", function()
    local files = certificates.new()
    start { flags = files:make("faults", { names = "DNS:localhost" }), secure = true, workers = 3 }
    local total, failed = sweep(request_text("GET", "/version"), faults.HEAP)
    files:remove()
    assert.is_true(total > 100 and failed > 0, ("%d calls, of which %d failed"):format(total, failed))
  end)

  -- One reload while a process's calls fail; true when the new generation serves.
  local function reload(version, name, kinds, first, last)
    local file = assert(io.open(running.app .. "/app.lua", "w"))
    file:write((APP:gsub("VERSION", version)))
    file:close()
    local before = #running:log()
    local function outcome() return running:log():match("reload failed", before) or running:log():match("reloaded: ", before) end
    local newborn = name == "demilune-probe"
    if first == FOR_EVER then control:count(name, kinds, newborn) else control:arm(name, kinds, first, last, newborn) end
    running:signal "HUP"
    assert(server.wait_until(PATIENCE, outcome), ("reload %s, %s, call %d: no outcome\n"):format(version, name, first) .. running:log())
    local calls, failed = control:disarm()
    return outcome() == "reloaded: ", calls, failed
  end

  for _, case in ipairs {
    { "demilune-probe", faults.HEAP }, { "demilune-probe", faults.LUA }, { "demilune-worker", faults.HEAP }, { "demilune-worker", faults.LUA },
    { "demilune", faults.HEAP + faults.MAPPING },
  } do
    local name, kinds = case[1], case[2]
    local title = ("a reload leaves the old generation serving or brings the new one: %s, %s"):format(
      name, kinds == faults.LUA and "Lua" or "the heap")
    it(title, function()
      start { workers = 2, forgives = name == "demilune-probe" }
      local serves, master = "one", running.pid
      for _ = 1, 10 do answers(serves) end
      local _, total = reload("counted", name, kinds, FOR_EVER)
      serves = "counted"
      answers(serves)
      for round, n in ipairs(numbers(total, control)) do
        -- In a worker one call at a time: OpenSSL 3.0 does not outlive more while a generation fetches its algorithms.
        for _, last in ipairs { n, name == "demilune" and n + 3 or name == "demilune-worker" and kinds == faults.HEAP and n or FOR_EVER } do
          local version = ("v%d-%d"):format(round, last == n and 1 or 2)
          if reload(version, name, kinds, n, last) then serves = version end
          answers(serves)
        end
      end
      assert(server.runs(master))
      assert.is_true(total > 0)
    end)
  end

  it("and without processes a worker that ended is replaced once there are some again, and a reload says that it cannot", function()
    start { workers = 2 }
    control:arm("demilune", faults.PROCESS, 1, FOR_EVER)
    local first = running:workers()[1]
    os.execute("kill -KILL " .. first)
    assert(running:log_line("no process could be made for worker"))
    assert(server.wait_until(PATIENCE, function() -- clients whom the dead worker's socket holds wait for its successor
      local connection = http.connect(running.port, 1)
      connection:send(request_text("GET", "/version"))
      local all = connection:read_rest()
      connection:close()
      return all:find("\r\n\r\none", 1, true)
    end), running:log())
    running:signal "HUP"
    assert(running:log_line("reload failed"))
    control:disarm()
    assert(server.wait_until(PATIENCE, function() return #running:workers() == 2 end), running:log())
    answers "one"
  end)

  it("and without threads a worker is replaced, and serves once there are some", function()
    start()
    control:arm("demilune-worker", faults.PROCESS, 1, 4)
    understand(ask(request_text("GET", "/hash")), "closed")
    control:disarm()
    assert(server.wait_until(PATIENCE, function() return understand(ask(request_text("GET", "/hash"))) == 200 end), running:log())
  end)

  it("and without threads a reload says that the database has no room, and the old generation goes on", function()
    start()
    answers "one"
    control:arm("demilune-worker", faults.PROCESS, 1, FOR_EVER)
    running:signal "HUP"
    assert(running:log_line("the reload failed and generation 1 goes on: ", "the database's writer thread cannot be started: the system has no room"),
      running:log())
    control:disarm()
    answers "one"
    running:signal "HUP"
    assert(running:log_line "reloaded: generation 2 serves")
    answers "one"
  end)

  it("the admin listener answers again", function()
    start { flags = { "--admin=0" } }
    local function visit()
      local ok, response = pcall(running.admin, running, "GET", "/metrics")
      return ok and response.status == 200
    end
    assert(running:log_line "/metrics on")
    control:count("demilune-admin", faults.HEAP)
    assert(visit())
    local total = control:disarm()
    local failures = 0
    for _, n in ipairs(numbers(total, control)) do
      control:arm("demilune-admin", faults.HEAP, n, FOR_EVER)
      visit()
      failures = failures + select(2, control:disarm())
      assert(server.wait_until(PATIENCE, visit), running:log())
    end
    assert.is_true(failures > 0 or PARTS > 1) -- a small part may have none
    answers "one"
  end)
end)

describe("a worker with --max-memory", function()
  if server.is_sanitized() then return pending("needs a memory limit") end
  local running
  local function start(body, memory)
    running = server.start(([[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "Hungry", version = "1", guard = guard.public, limits = { max_body = "8MiB", max_connections_per_client = 1000 } }
app:get("/", function() return "up" end)
%s
return app]]):format(body), { flags = { "--max-memory=" .. (memory or "192M"), "--access-log=off" } })
  end
  after_each(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  for what, body in pairs {
    ["many small tables"] = "local kept = {} for i = 1, 1e9 do kept[i] = { i } end",
    ["closures"] = "local kept for _ = 1, 1e9 do local last = kept kept = function() return last end end",
    ["a coroutine's tables"] = "coroutine.wrap(function() local kept = {} for i = 1, 1e9 do kept[i] = { i } end end)()",
    ["one string"] = "local text = 'x' for _ = 1, 40 do text = text .. text end return text",
  } do
    it("answers 500 to a handler that fills it with " .. what .. ", says where, and serves on", function()
      start(('app:get("/fill", function() %s end)'):format(body))
      local worker = running:workers()[1]
      for _ = 1, 2 do
        assert.equal(500, running:request("GET", "/fill").status)
        assert.equal("up", running:request("GET", "/").body)
      end
      assert.same({ worker }, running:workers())
      assert.truthy(running:log_line("a handler failed", "not enough memory"))
    end)
  end

  it("answers 500 to a body that has no room as the value of a check, and serves on", function()
    start [[
      app:post("/checked", { body = model.array(model.any(), { max_items = 1e6, check = function() end }) }, function(req) return #req.body end)
      local kept = {}
      app:post("/keep", function() for i = 1, 12e5 do kept[i] = { i } end end)]]
    local worker, json = running:workers()[1], { ["Content-Type"] = "application/json" }
    assert.equal(200, running:request("POST", "/checked", { headers = json, body = "[" .. ("[[],{}],"):rep(1000) .. "[]]" }).status)
    assert.equal(200, running:request("POST", "/keep").status)
    for _ = 1, 2 do
      assert.equal(500, running:request("POST", "/checked", { headers = json, body = "[" .. ('{"a":[[],{}]},'):rep(249000) .. "[]]" }).status)
      assert.equal("up", running:request("GET", "/").body)
    end
    assert.same({ worker }, running:workers())
    assert.truthy(running:log_line("a model's check failed", "not enough memory"))
  end)

  it("answers 503 to bodies whose values it has no room for, and serves the others", function()
    start [[
      local Row = model "Row" { a = model.optional(model.string()), b = model.optional(model.string()), c = model.optional(model.string()),
        d = model.optional(model.string()), e = model.optional(model.string()), f = model.optional(model.string()) }
      local released = {}
      app:post("/released/{name}", { status = 204 }, function(req) released[req.path.name] = true end)
      local function hold(name, body)
        app:post("/" .. name, { body = body, status = 204 }, function() while not released[name] do demilune.sleep "10ms" end end)
      end
      hold("numbers", model.array(model.integer(), { max_items = 1e6 }))
      hold("nested", model.array(model.array(model.integer()), { max_items = 1e6 }))
      hold("rows", model.array(Row, { max_items = 1e6 }))
      hold("texts", { text = model.json() })]]
    local worker = running:workers()[1]
    for path, body in pairs {
      numbers = "[" .. ("1,"):rep(1e6 - 2) .. "1]", nested = "[" .. ("[1],"):rep(3e5) .. "[1]]", rows = "[" .. ("{},"):rep(3e5) .. "{}]",
      texts = '{"text":"[' .. ("1,"):rep(9e5) .. '1]"}',
    } do
      local senders, told = {}, {}
      for n = 1, 30 do
        senders[n] = running:connect(PATIENCE)
        senders[n]:send(("POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s")
          :format(path, #body, body))
      end
      assert.truthy(running:log_line("there was no memory for a request's body", '"body_bytes":' .. #body))
      assert.equal(204, running:request("POST", "/released/" .. path).status)
      for n, sender in ipairs(senders) do
        told[n] = sender:receive().status
        sender:close()
      end
      local statuses = table.concat(told, " ")
      assert.truthy(statuses:find "503" and statuses:find "204", path .. ": " .. statuses)
      assert.is_nil(statuses:gsub("503", ""):gsub("204", ""):find "%d", path .. ": " .. statuses)
    end
    assert.equal("up", running:request("GET", "/").body)
    assert.same({ worker }, running:workers())
  end)

  it("answers 500 where an answer is larger than its memory, and serves on", function()
    start [[
      local function many() local list, text = {}, ("x"):rep(4e6) for i = 1, 60 do list[i] = text end return list end
      app:get("/plain", function() return many() end)
      app:get("/model", { returns = model.array(model.string()) }, function() return many() end)
      app:get("/map", { returns = { list = model.map(model.array(model.string())) } }, function() return { list = { a = many() } } end)
      app:get("/text", function() return #demilune.json.encode(many()) end)]]
    local worker = running:workers()[1]
    for _, path in ipairs { "/plain", "/model", "/map", "/text" } do
      assert.equal(500, running:request("GET", path).status)
      assert.equal("up", running:request("GET", "/").body)
    end
    assert.same({ worker }, running:workers())
    assert.truthy(running:log_line("a handler failed", "more than there is memory for"))
  end)

  it("ends the connections of those who do not read what it has no room for, and serves the others", function()
    start 'local text = ("x"):rep(8e6) app:get("/large", function() return text end)'
    local worker, readers = running:workers()[1], {}
    for n = 1, 60 do
      readers[n] = running:connect(PATIENCE)
      readers[n]:send "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
      assert.equal("up", running:request("GET", "/").body)
    end
    for _, reader in ipairs(readers) do reader:close() end
    assert.equal(8e6, #running:request("GET", "/large").body)
    assert.same({ worker }, running:workers())
  end)

  -- How much the last body that finds room leaves over differs from one size to the next.
  for _, memory in ipairs { "192M", "196480K", "196864K" } do
    it("answers 503 to bodies that " .. memory .. " has no room for, and serves the others", function()
      start('app:post("/take", { body_kind = "bytes" }, function(req) return #req.body end)', memory)
      local worker, size, senders = running:workers()[1], 8 * 1024 * 1024, {}
      for n = 1, 60 do
        senders[n] = running:connect(PATIENCE)
        senders[n]:send(("POST /take HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"):format(size, ("x"):rep(size - 1)))
        assert.equal("up", running:request("GET", "/").body)
      end
      local refused = 0
      for _, sender in ipairs(senders) do
        sender:send "x"
        local response = sender:receive()
        if response and response.status == 503 then refused = refused + 1 end
        sender:close()
      end
      assert.is_true(refused > 0)
      assert.equal("up", running:request("GET", "/").body)
      assert.same({ worker }, running:workers())
      assert.truthy(running:log_line("there was no memory for a request's body"))
    end)
  end

  it("has room again when many who sent half of a small body have left", function()
    start('app:post("/take", { body_kind = "bytes" }, function(req) return #req.body end)', "96M")
    local worker, senders = running:workers()[1], {}
    local half = "POST /take HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65000\r\n\r\n" .. ("x"):rep(64000)
    repeat
      senders[#senders + 1] = running:connect(PATIENCE)
      senders[#senders]:send(half)
      assert.equal("up", running:request("GET", "/").body)
    until running:log():find "there was no memory for a request's body" or #senders == 900
    assert.is_true(#senders < 900)
    for n = #senders, 1, -1 do senders[n]:close() end -- what lies last in the heap is free first, and stays with who keeps it
    local body = ("x"):rep(4 * 1024 * 1024)
    local function take() return running:request("POST", "/take", { body = body }).status == 200 end
    assert.is_true(server.wait_until(PATIENCE, take))
    assert.same({ worker }, running:workers())
  end)
end)
