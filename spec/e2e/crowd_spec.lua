-- SPDX-License-Identifier: MIT
-- A crowd: many clients at once that pipeline, dawdle, half-close and reset at random. Nobody may get what is another's, get it twice
-- or out of order, and the worker ends with nothing left over. $DEMILUNE_SEED repeats a run.

local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"

local PATIENCE, SECONDS, CLIENTS = 60, 8, 60

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public, limits = { max_connections_per_client = 4000 } }
local db = app:database "sqlite:crowd.db"
local add = db:statement([=[INSERT INTO said (id, text) VALUES (:id, :text) ON CONFLICT (id) DO UPDATE SET text = :text RETURNING text]=])
local read = db:statement [=[SELECT :text AS text]=]
local held = app:dependency(function(req)
  demilune.sleep(0)
  return req.query.id, { finish = function() demilune.sleep(0) end, release = function() demilune.sleep(0) end }
end)
local query = { id = model.string(), n = model.integer { default = 0 } }
app:get("/now", { query = query }, function(req) return req.query.id end)
app:get("/wait", { query = query }, function(req) demilune.sleep(req.query.n / 1000) return req.query.id end)
app:get("/held", { query = query, needs = { held = held } }, function(_, need) return need.held end)
app:get("/fails", { query = query, needs = { held = held } }, function(req) error(req.query.id) end)
app:get("/aborts", { query = query, needs = { held = held } }, function(req) demilune.abort(409, req.query.id) end)
app:get("/large", { query = query }, function(req) return (req.query.id .. ";"):rep(20000) end)
app:get("/stream", { query = query, needs = { held = held } }, function(req)
  return demilune.stream(function(write)
    for _ = 1, 20 do write((req.query.id .. ";"):rep(500)) end
    demilune.sleep(req.query.n / 1000)
    write "end"
  end)
end)
app:get("/sql", { query = query }, function(req) return read:value { text = req.query.id } end)
app:get("/write", { query = query }, function(req) return add:value { id = req.query.n, text = req.query.id } end)
app:get("/transaction", { query = query }, function(req)
  return db:transaction(function()
    local text = add:value { id = req.query.n, text = req.query.id }
    demilune.sleep(0)
    return text
  end)
end)
app:post("/echo", { query = query }, function(req) demilune.sleep(req.query.n / 1000) return req.body end)
return app
]]

-- What a whole response to a request with this id is. Where the database is asked a 503 is one too: it may say that it is busy.
local MAY_BE_BUSY = { ["/sql"] = true, ["/write"] = true, ["/transaction"] = true }
local KINDS = {
  { "/now", function(id) return 200, id end }, { "/wait", function(id) return 200, id end }, { "/held", function(id) return 200, id end },
  { "/fails", function() return 500 end }, { "/aborts", function(id) return 409, ('{"detail":"%s"}'):format(id) end },
  { "/large", function(id) return 200, (id .. ";"):rep(20000) end },
  { "/stream", function(id) return 200, (id .. ";"):rep(10000) .. "end" end },
  { "/sql", function(id) return 200, id end }, { "/write", function(id) return 200, id end }, { "/transaction", function(id) return 200, id end },
  { "/echo", function(id) return 200, (id .. ";"):rep(3000) end },
}

local made = 0

local function new_request()
  made = made + 1
  local kind, id = KINDS[math.random(#KINDS)], "id" .. made .. "x" .. math.random(1e9)
  local target = ("%s?id=%s&n=%d"):format(kind[1], id, math.random(0, 20))
  local status, body = kind[2](id)
  local bytes
  if kind[1] == "/echo" then bytes = ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(target, #body, body)
  else bytes = ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(target) end
  return { bytes = bytes, status = status, body = body, target = target, may_be_busy = MAY_BE_BUSY[kind[1]] }
end

local function check(request, response, why)
  assert(response, request.target .. ": " .. tostring(why))
  if response.status == 503 and request.may_be_busy then return end
  assert.equal(request.status, response.status, request.target)
  if request.body then assert.is_true(request.body == response.body, request.target .. " got " .. response.body:sub(1, 80)) end
end

-- What one client does with one connection.
local WAYS = {
  reads_all = function(connection, requests)
    for _, request in ipairs(requests) do check(request, connection:receive()) end
  end,
  half_closes = function(connection, requests)
    connection:shutdown()
    for _, request in ipairs(requests) do check(request, connection:receive()) end
    assert.is_true(connection:is_closed())
  end,
  dawdles = function(connection, requests)
    for _, request in ipairs(requests) do
      socket.sleep(math.random(0, 5) / 1000)
      check(request, connection:receive())
    end
  end,
  leaves_at_once = function() end,
  leaves_in_the_middle = function(connection, requests)
    for index = 1, math.random(0, #requests) do check(requests[index], connection:receive()) end
    connection:read(0)
  end,
}
local NAMES = { "reads_all", "half_closes", "dawdles", "leaves_at_once", "leaves_in_the_middle" }

describe("a crowd of clients", function()
  it("gets each what is its own, and leaves nothing behind", function()
    local seed = tonumber(os.getenv "DEMILUNE_SEED") or os.time()
    math.randomseed(seed)
    local running = server.start({
      ["app.lua"] = APP, ["migrations/0001_said.sql"] = "CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT NOT NULL);",
    }, { flags = { "--access-log=off" } })
    local ok, problem = pcall(function()
      local finish = socket.gettime() + SECONDS
      while socket.gettime() < finish or made < 1000 do
        -- All send before anybody reads, so that all are in flight together.
        local crowd = {}
        for n = 1, CLIENTS do
          local connect = math.random(4) == 1 and http.connect_narrow or http.connect
          local client = { connection = connect(running.port, PATIENCE), requests = {}, way = NAMES[math.random(#NAMES)] }
          local parts = {}
          for index = 1, math.random(1, 4) do
            client.requests[index] = new_request()
            parts[index] = client.requests[index].bytes
          end
          client.connection:send(table.concat(parts))
          crowd[n] = client
        end
        for _, client in ipairs(crowd) do
          WAYS[client.way](client.connection, client.requests)
          client.connection:close(client.way:find("^leaves") and math.random(2) == 1)
        end
      end
    end)
    local status, log = running:stop()
    assert(ok, ("DEMILUNE_SEED=%d: %s\n%s"):format(seed, tostring(problem), log:sub(-3000)))
    assert(status == 0, ("DEMILUNE_SEED=%d: %s"):format(seed, log:sub(-5000)))
  end)
end)
