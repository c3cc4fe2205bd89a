-- SPDX-License-Identifier: MIT
-- A handler that raises where its stack is all but full: what it raised is told, and the worker goes on.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "Deep", version = "1", guard = demilune.guard.public }

local function deep(levels, fn)
  if levels == 0 then return fn() end
  local result = deep(levels - 1, fn)
  return result
end

-- How deep calls can go from here.
local function find_most()
  local fits, fails = 1, 1000000
  while fails - fits > 1 do
    local middle = math.floor((fits + fails) / 2)
    if pcall(deep, middle, function() end) then fits = middle else fails = middle end
  end
  return fits
end

local raise = {
  abort = function() demilune.abort(418, { a = { "list" } }, { ["X-Deep"] = { "1", "2" } }) end,
  table = function() error { why = { "a table" } } end,
  speaking = function() error(setmetatable({}, { __tostring = function() return "a table that speaks" end })) end,
  text = function() error "a text" end,
}
local PATH = { how = demilune.model.string(), short = demilune.model.integer() }

app:get("/raise/{how}/{short}", { path = PATH }, function(req) return deep(find_most() - req.path.short, raise[req.path.how]) end)
-- A loop that is compiled where it stands, and new each time.
app:get("/compile/{short}", { path = { short = PATH.short } }, function(req)
  local hot = assert(load "local sum = 0 for i = 1, 300 do sum = sum + i end return sum")
  local ok, sum = pcall(deep, find_most() - req.path.short, hot)
  return { sum = ok and sum or nil }
end)
app:get("/spawn/{how}/{short}", { path = PATH }, function(req)
  local how, short = raise[req.path.how], req.path.short
  demilune.spawn(function() deep(find_most() - short, how) end)
  return "spawned"
end)
app:get("/stream/{how}/{short}", { path = PATH }, function(req)
  local how, short = raise[req.path.how], req.path.short
  return demilune.stream(function(write)
    write "begun"
    deep(find_most() - short, how)
  end)
end)
return app
]]

describe("a handler that raises where its stack is all but full", function()
  local running

  setup(function() running = server.start(APP) end)

  teardown(function()
    local status, log = running:stop()
    assert.equal(0, status, log)
    assert.is_nil(log:find("is replaced", 1, true))
  end)

  it("compiles there, or does not, and goes on", function()
    local sums = 0
    for short = -2, 200 do
      local response = running:request("GET", "/compile/" .. short)
      assert.equal(200, response.status)
      if response.body == '{"sum":45150}' then sums = sums + 1 end
    end
    assert.is_true(sums > 100)
  end)

  for _, how in ipairs { "abort", "table", "speaking", "text" } do
    it("answers by what it raised, or by a 500, and ends no worker: " .. how, function()
      local wanted = how == "abort" and 418 or 500
      for short = -2, 60 do
        local status = running:request("GET", ("/raise/%s/%d"):format(how, short)).status
        assert.is_true(status == wanted or short < 30 and status == 500, ("%d at %d: %s"):format(status, short, running:log()))
        assert.equal("spawned", running:request("GET", ("/spawn/%s/%d"):format(how, short)).body)
        local connection = running:connect()
        connection:send(("GET /stream/%s/%d HTTP/1.1\r\nHost: x\r\n\r\n"):format(how, short))
        assert.truthy(connection:read_rest():find("begun", 1, true))
        connection:close()
      end
    end)
  end
end)
