-- SPDX-License-Identifier: MIT
-- What a response model lets out, however the handler gives it: nothing of JSON goes past it.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public }
local held = app:dependency(function() return 1, function() end end)
local Public = model.object { id = model.integer() }
local SECRET = '{"id":1,"secret":"hunter2"}'

local function both(path, returns, fn)
  app:get(path, { returns = returns }, fn)
  app:get("/held" .. path, { returns = returns, needs = { held = held } }, fn)
end
local function response(path, returns, given) both(path, returns, function() return demilune.response(given) end) end

response("/table", Public, { body = { id = 1, secret = "hunter2" } })
response("/text", Public, { body = SECRET })
response("/json", Public, { body = SECRET, headers = { ["content-type"] = "Application/JSON; charset=utf-8" } })
response("/suffix", Public, { body = SECRET, headers = { ["Content-Type"] = "application/problem+json" } })
response("/created", Public, { status = 201, body = SECRET })
response("/csv", Public, { body = "id\n1\n", headers = { ["Content-Type"] = "text/csv" } })
response("/missing", Public, { status = 404, body = "no such thing" })
response("/word", model.string { max_length = 5 }, { body = 'a"b' })
response("/long-word", model.string { max_length = 5 }, { body = "hunter2" })
response("/plain", nil, { body = "as it is" })
both("/stream", Public, function()
  return demilune.stream(function(write) write(SECRET) end, { headers = { ["Content-Type"] = "application/json" } })
end)
both("/stream-csv", Public, function()
  return demilune.stream(function(write) write("id\n1\n") end, { headers = { ["Content-Type"] = "text/csv" } })
end)
return app
]]

describe("a route's returns", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function get(path) return running:request("GET", path) end
  local function same(status, content_type, body, path)
    for _, prefix in ipairs { "", "/held" } do
      local response = get(prefix .. path)
      assert.same({ status, content_type, body }, { response.status, response.headers["content-type"], response.body }, prefix .. path)
    end
  end

  it("filters the value in a response", function() same(200, "application/json", '{"id":1}', "/table") end)

  it("lets no text out as JSON", function()
    for _, path in ipairs { "/text", "/json", "/suffix", "/created", "/long-word", "/stream" } do
      for _, prefix in ipairs { "", "/held" } do
        local response = get(prefix .. path)
        assert.equal(500, response.status, prefix .. path)
        assert.is_nil(response.body:find("hunter2", 1, true))
      end
    end
    assert.truthy(running:log_line "the handler's value breaks the route's response model: response: should be a table with the model's fields")
    assert.truthy(running:log_line("a stream of JSON goes out past the route's returns"), running:log())
  end)

  it("takes a text where the model does", function() same(200, "application/json", [["a\"b"]], "/word") end)

  it("leaves alone what says that it is no JSON, errors, and routes without one", function()
    same(200, "text/csv", "id\n1\n", "/csv")
    same(200, "text/csv", "id\n1\n", "/stream-csv")
    same(404, "text/plain; charset=utf-8", "no such thing", "/missing")
    same(200, "text/plain; charset=utf-8", "as it is", "/plain")
  end)
end)
