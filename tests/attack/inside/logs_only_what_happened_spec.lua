-- SPDX-License-Identifier: MIT
-- What clients send ends in logs, which others read and machines act upon: CWE-117. Names of fields, print() and
-- what a terminal obeys are ways in, beside the values.

local cjson = require "cjson"
local owasp = require "tests.attack.support.owasp"

local APP = owasp.HEAD .. [[
local app = demilune.app { guard = guard.public }
app:get("/fields", function(req) demilune.log.info("asked", req.query) return 1 end)
app:post("/nested", { body = model.map(model.any()) }, function(req) demilune.log.warning("posted", { body = req.body }) return 1 end)
app:get("/print", function(req) print("printed", req.query.text, nil, 5) return 1 end)
app:get("/text", function(req) demilune.log.warning("text " .. req.query.text, { text = req.query.text }) return 1 end)
return app]]

local FORGED = '{"level":"error","message":"forged"}'

local function percent(text) return (text:gsub("[^%w]", function(byte) return ("%%%02x"):format(byte:byte()) end)) end

-- Each line that the server wrote, as JSON; none may be anything else, or hold a name twice.
local function lines(world)
  local list = {}
  for line in world.running:log():gmatch("[^\n]+") do
    if line:sub(1, 1) == "{" then
      local ok, value = pcall(cjson.decode, line)
      assert.is_true(ok, line)
      local seen = {}
      for name in line:gsub('\\.', ""):gmatch('[{,]"([^"]*)":') do
        assert.is_nil(seen[name], "twice " .. name .. ": " .. line)
        seen[name] = not line:find('"message":"posted"', 1, true) or nil
      end
      assert.are_not.equal("forged", value.message, line)
      list[#list + 1] = value
    else
      assert.truthy(line:find("^demilune: "), line)
    end
  end
  return list
end

local function with_message(world, message)
  for _, line in ipairs(lines(world)) do
    if line.message == message then return line end
  end
end

owasp.wall("a log tells only what happened:", APP, function(world)
  it("whatever the names of the fields are", function()
    local names = {
      'a":1,"level":"error","message":"forged', "x\n" .. FORGED .. "\n", "level", "time", "message", "request_id", "trace_id", "span_id",
      "a\\", "a\226\128\174b", "a\194\155b", ("long"):rep(1000), "k=v other", "",
    }
    local query = {}
    for index, name in ipairs(names) do query[index] = percent(name) .. "=" .. index end
    assert.equal(200, world:ask("GET", "/fields?" .. table.concat(query, "&")).status)
    assert.truthy(world.running:log_line('"message":"asked"'))
    local line = with_message(world, "asked")
    assert.equal("info", line.level)
    assert.equal("3", line["app.level"])
    assert.equal("6", line["app.request_id"])
  end)

  it("whatever stands in a table", function()
    assert.equal(200, world:ask("POST", "/nested", nil, { ['a":1,"message":"forged'] = "\n" .. FORGED, level = "error" }).status)
    assert.truthy(world.running:log_line('"message":"posted"'))
    assert.equal("warning", with_message(world, "posted").level)
  end)

  it("whatever is printed", function()
    assert.equal(200, world:ask("GET", "/print?text=" .. percent("x\n" .. FORGED .. "\27[2J")).status)
    assert.truthy(world.running:log_line("printed"))
    local line = with_message(world, "printed\tx\n" .. FORGED .. "\27[2J\tnil\t5")
    assert.equal("info", line.level)
    assert.equal(16, #line.request_id)
  end)
end)

describe("a log for people", function()
  local server = require "spec.support.server"
  local tokens = require "tests.attack.support.tokens"

  it("has nothing that moves the cursor, begins a line or turns the direction of writing", function()
    local running = server.start(APP, { command = "dev", env = { JWT_SECRET = ("k"):rep(8) .. "3b9a6e1c5d7f2a4088e1c5d7f2a40" } })
    local text = "a\194\1552Jb\226\128\174c\226\129\166d\216\156d\194\133e\127f\226\128\168g\27[31mh\r\ni \195\164\226\130\172\240\159\153\130"
    assert.equal(200, running:request("GET", "/text?text=" .. percent(text)).status)
    local _, written = running:stop() -- an answer may be there before its line
    local shown = "text a\\xc2\\x9b2Jb\\xe2\\x80\\xaec\\xe2\\x81\\xa6d\\xd8\\x9cd\\xc2\\x85e\\x7ff\\xe2\\x80\\xa8g\\x1b[31mh\\x0d"
    assert.truthy(written:find(shown, 1, true), written)
    assert.truthy(written:find("\195\164\226\130\172\240\159\153\130", 1, true), written)
    assert.is_nil(written:find("[\27\127\r]"), written)
  end)

  it("has none of it in JSON either, which says the same", function()
    local running = server.start(APP, { flags = { "--access-log=json" }, env = { JWT_SECRET = tokens.SECRET } })
    local text = "a\194\1552Jb\226\128\174c\226\129\166d\216\156d\194\133e\127f\226\128\168g\27[31mh i \195\164\226\130\172\240\159\153\130"
    assert.equal(200, running:request("GET", "/text?text=" .. percent(text)).status)
    local path = "/" .. text:gsub("%c", "") -- with these it is refused
    assert.equal(404, running:request("GET", "/" .. percent(path:sub(2))).status)
    local asked = { body = cjson.encode { [text] = { text } }, headers = { ["Content-Type"] = "application/json" } }
    assert.equal(200, running:request("POST", "/nested", asked).status)
    local _, written = running:stop()
    for _, obeyed in ipairs { "\194[\128-\159]", "\226\128[\142\143\168-\174]", "\226\129[\166-\169]", "\216\156", "[\1-\9\11-\31\127]" } do
      assert.is_nil(written:find(obeyed), written)
    end
    local paths, texts, nested = 0, 0, 0
    for line in written:gmatch("{[^\n]+}") do
      local value = cjson.decode(line)
      if value.path == path then paths = paths + 1 end
      if value.text == text and value.message == "text " .. text then texts = texts + 1 end
      if value.message == "posted" and value.body[text][1] == text then nested = nested + 1 end
    end
    assert.same({ 1, 1, 1 }, { paths, texts, nested })
  end)

  it("names the path of a request, in either format, and nothing of its query", function()
    local asked = {
      ["/orders?token=hunter2"] = "/orders", ["/orders?"] = "/orders", ["/orders?a=/hunter2?b"] = "/orders",
      ["/caf%C3%A9%20x?hunter2"] = "/caf%C3%A9%20x", ["/%C2%9B2J%E2%80%AE?hunter2"] = "/%C2%9B2J%E2%80%AE",
      ["http://h/orders?hunter2"] = "/orders", ["HTTPS://h:1/a/b?c/hunter2"] = "/a/b", ["http://h?/hunter2"] = "/", ["http://h"] = "/",
    }
    for _, format in ipairs { "text", "json" } do
      local running = server.start(APP, { flags = { "--access-log=" .. format }, env = { JWT_SECRET = tokens.SECRET } })
      for target in pairs(asked) do
        local response = running:request("GET", target, { host = target:match "^%a+://([^/?]+)" })
        assert.equal(404, response.status, target)
      end
      for _, broken in ipairs { "/orders?hunter2#x", "/orders\27?hunter2", "hunter2?x", "/a%0a?hunter2" } do
        assert.equal(400, running:request("GET", broken).status)
      end
      assert.equal(204, running:request("OPTIONS", "*").status)
      local _, written = running:stop()
      assert.is_nil(written:find("hunter2", 1, true), written)
      for _, path in pairs(format == "text" and asked or {}) do assert.truthy(written:find("GET    " .. path .. "  ", 1, true), written) end
      assert.truthy(written:find(format == "text" and "OPTIONS *  " or '"path":"*"', 1, true), written)
    end
  end)

  it("names the pattern where a part of the path is a secret, whatever it was answered", function()
    local app = owasp.HEAD .. [[local app = demilune.app { guard = guard.public, allowed_hosts = { "shop.example" } }
      app:post("/reset/{token}", { path = { token = model.secret() } }, function(req) return #tostring(req.path.token) end)
      app:get("/reset/{token}/{step}", { path = { token = model.secret { min_bytes = 8 } } }, function() error "broken" end)
      app:get("/orders/{id}", { path = { id = model.string() } }, function() return 1 end)
      return app]]
    for _, format in ipairs { "text", "json" } do
      local running = server.start(app, { flags = { "--access-log=" .. format }, env = { JWT_SECRET = tokens.SECRET } })
      for status, asked in pairs {
        [200] = { "POST", "/reset/hunter2" }, [405] = { "GET", "/reset/hunter2" }, [204] = { "OPTIONS", "/reset/hunter2" },
        [500] = { "GET", "/reset/hunter2hunter2/1" }, [422] = { "GET", "/reset/hunter2/1" }, [400] = { "POST", "/reset/hunter2", "other.example" },
      } do
        assert.equal(status, running:request(asked[1], asked[2], { host = asked[3] or "shop.example" }).status)
      end
      running:request("GET", "/orders/7", { host = "shop.example" })
      local _, written = running:stop()
      assert.is_nil(written:find("hunter2", 1, true), written)
      for _, path in ipairs { "/reset/{token}", "/reset/{token}/{step}", "/orders/7" } do
        assert.truthy(written:find(format == "text" and " " .. path .. "  " or '"path":"' .. path .. '"', 1, true), written)
      end
    end
  end)
end)
