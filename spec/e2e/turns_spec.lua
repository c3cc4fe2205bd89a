-- SPDX-License-Identifier: MIT
-- The loop's turns: what waits for nothing, again and again, does not keep the worker for itself.

local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local PIPELINED = 300 -- requests, that fill no read buffer

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { handler_timeout = "5m" } }
local turns, stopped = 0, false
local function go_on() return not stopped end
app:get("/turns", function() return tostring(turns) end)
app:get("/stop", function() stopped = true return "" end)
app:get("/sleeps", function(req)
  stopped = false
  while go_on() do
    demilune.sleep(tonumber(req.query.seconds))
    turns = turns + 1
  end
  return "over"
end)
local function again()
  turns = turns + 1
  if go_on() then demilune.spawn(again) end
end
app:get("/spawns", function() stopped = false again() return "begun" end)
app:get("/computes", function()
  local began = os.clock()
  while go_on() and os.clock() - began < 0.05 do end
  if go_on() then turns = turns + 1 end
  return "computed"
end)
app:get("/streams", function(req)
  local piece, pieces, turned = ("x"):rep(tonumber(req.query.bytes)), 0, false
  return demilune.stream(function(write)
    demilune.spawn(function() turned = true end)
    while not turned and pieces < 100000 do
      write(piece)
      pieces = pieces + 1
    end
    write(turned and ";turned" or ";kept")
  end)
end)
app:get("/callbacks", function()
  return demilune.stream(function(write) (("x"):rep(5000)):gsub(".", function(piece) write(piece) end) end)
end)
app:get("/begin", function() turns, stopped = 0, false return "" end)
return app
]]

describe("turns", function()
  local running
  setup(function() running = server.start(APP, { sandbox = "off" }) end)
  teardown(function() running:stop() end)

  local function get(path) return running:request("GET", path).body end

  for what, path in pairs {
    ["a handler that sleeps for no time"] = "/sleeps?seconds=0",
    ["a handler that sleeps for next to no time"] = "/sleeps?seconds=0.0001",
  } do
    it("leave the worker to others beside " .. what .. ", again and again", function()
      local connection = running:connect(PATIENCE)
      connection:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      local before
      assert.truthy(server.wait_until(PATIENCE, function()
        before = before or tonumber(get("/turns"))
        return tonumber(get("/turns")) > before
      end))
      get("/stop")
      assert.equal("over", connection:receive().body)
      connection:close()
    end)
  end

  it("leave the worker to others beside a client that pipelines requests which compute", function()
    get("/begin")
    local connection = running:connect(PATIENCE)
    connection:send(("GET /computes HTTP/1.1\r\nHost: a\r\n\r\n"):rep(PIPELINED))
    assert.truthy(server.wait_until(PATIENCE, function() return tonumber(get("/turns")) > 0 end))
    get("/stop")
    for _ = 1, PIPELINED do assert.equal("computed", connection:receive().body) end
    assert.is_true(tonumber(get("/turns")) < PIPELINED)
    connection:close()
  end)

  for what, bytes in pairs { nothing = 0, ["a byte"] = 1 } do
    it("are given while a stream writes pieces of " .. what, function()
      assert.truthy(get("/streams?bytes=" .. bytes):find(";turned", 1, true))
    end)
  end

  it("are not asked of a stream where it cannot wait", function() assert.equal(5000, #get("/callbacks")) end)

  it("leave the worker to others beside a function that spawns itself again and again", function()
    assert.equal("begun", get("/spawns"))
    local before = tonumber(get("/turns"))
    assert.truthy(server.wait_until(PATIENCE, function() return tonumber(get("/turns")) > before end))
    get("/stop")
  end)
end)
