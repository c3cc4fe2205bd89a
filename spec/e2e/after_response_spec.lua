-- SPDX-License-Identifier: MIT
-- What req:release and req:after_response were given while such functions run already, and very many of them.

local server = require "spec.support.server"
local cjson = require "cjson"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public }
local events, count = demilune.array {}, 0
local function note(what) events[#events + 1] = what end

app:get("/release-adds", function(req)
  req:release(function() note "first" req:release(function() note "added to release" end) req:after_response(function() note "added after" end) end)
  req:after_response(function() note "after" end)
end)
app:get("/after-adds", function(req)
  req:after_response(function()
    note "after"
    req:release(function() note "added release" demilune.sleep "1ms" req:after_response(function() note "last" end) end)
  end)
  req:after_response(function() note "second after" end)
end)
app:get("/events", function() local seen = events events = demilune.array {} return seen end)
app:post("/many", { body = { items = model.array(model.integer(), { max_items = 200000 }) } }, function(req)
  for _, item in ipairs(req.body.items) do req:after_response(function() count = count + item end) end
end)
app:get("/count", function() return count end)
return app
]]

describe("a function that runs after the response", function()
  local folder, running
  setup(function()
    folder = server.write_app { ["app.lua"] = APP }
    running = server.start(folder)
  end)
  teardown(function()
    running:stop()
    server.remove_folder(folder)
  end)

  local function events_of(target, how_many)
    local seen = {}
    assert.equal(200, running:request("GET", target).status)
    server.wait_until(PATIENCE, function()
      for _, event in ipairs(cjson.decode(running:request("GET", "/events").body)) do seen[#seen + 1] = event end
      return #seen >= how_many
    end)
    return seen
  end

  it("may add others, which run once", function()
    assert.same({ "first", "added to release", "after", "added after" }, events_of("/release-adds", 4))
    assert.same({ "after", "added release", "second after", "last" }, events_of("/after-adds", 4))
  end)

  it("is one of as many as a body has items", function()
    local body = '{"items":[' .. ("1,"):rep(199999) .. "1]}"
    assert.equal(200, running:request("POST", "/many", { headers = { ["Content-Type"] = "application/json" }, body = body }).status)
    assert.truthy(server.wait_until(PATIENCE, function() return running:request("GET", "/count").body == "200000" end))
  end)
end)
