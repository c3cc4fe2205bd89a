-- SPDX-License-Identifier: MIT
-- Conditional requests (RFC 9110 13): what a handler says of its answer's version is held against what the client has, and what a client wants
-- to change against what it takes for the current version.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app {
  guard = demilune.guard.public, docs = true, cors = { origins = { "https://shop.example" }, expose = { "ETag" } },
}
local committed = app:dependency(function(req) return 1, function(ok) demilune.log.info("finished", { ok = ok, target = req.target }) end end)

local DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
local function give(path, options, headers, body)
  app:route({ "GET", "POST" }, path, options, function() return demilune.response { headers = headers, body = body or "whole" } end)
end
give("/tagged", {}, {
  ETag = '"v1"', ["Cache-Control"] = "max-age=60", Vary = "Accept-Language", Expires = "0", ["Content-Location"] = "/tagged/1",
  ["Set-Cookie"] = "seen=1", ["Content-Type"] = "text/html", ["Content-Language"] = "en", ["X-More"] = "yes",
})
give("/weak", {}, { etag = 'W/"v1"' })
give("/comma", {}, { ETag = '"a\\,b"' })
give("/dated", {}, { ["Last-Modified"] = DATE })
give("/both", { returns = model.object { a = model.integer() } }, { ETag = '"v1"', ["Last-Modified"] = DATE }, { a = 1 })
give("/declared", { headers = { ETag = '"v1"' } }, nil)
give("/own", { headers = { ETag = '"v1"' } }, { ETag = '"v2"' })
give("/held", { needs = { committed = committed } }, { ETag = '"v1"' }, { a = 1 })
app:get("/plain", { headers = { ETag = '"v1"' } }, function() return { a = 1 } end)
app:get("/untagged", function() return "whole" end)
app:get("/created", { status = 201 }, function() return demilune.response { headers = { ETag = '"v1"' }, body = "whole" } end)
app:get("/gone", function() demilune.abort(404, nil, { ETag = '"v1"' }) end)
app:get("/stream", function()
  return demilune.stream(function(write)
    demilune.log.info "the stream has begun"
    write "whole"
  end, { headers = { ETag = '"v1"' } })
end)
for name, value in pairs { bare = "v1", blank = '"v 1"', open = '"v1', quote = '"v"1"', lower = 'w/"v1"', none = "" } do
  give("/wrong-" .. name, {}, { ETag = value })
end
give("/wrong-two", {}, { ETag = { '"v1"', '"v2"' } })
give("/wrong-date", {}, { ["Last-Modified"] = "1994-11-06" })
give("/wrong-day", {}, { ["Last-Modified"] = "Mon, 06 Nov 1994 08:49:37 GMT" })
give("/date-of-lua", {}, { ["Last-Modified"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", 784111777) })

local version = '"v1"'
app:route({ "PUT", "GET" }, "/item", function(req)
  req:precondition(version)
  return "changed"
end)
app:put("/new", function(req)
  req:precondition(nil)
  return "made"
end)
app:put("/odd", function(req)
  req:precondition("v1")
end)
return app
]]
describe("conditional requests", function()
  local running
  setup(function() running = server.start(APP, { flags = { "--access-log=json", "--admin=0" } }) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function ask(path, headers, method) return running:request(method or "GET", path, { headers = headers }) end
  local function status_of(path, headers, method) return ask(path, headers, method).status end

  it("are answered 304 where the client has the version, and else with all of it", function()
    for list, status in pairs {
      ['"v1"'] = 304, ['W/"v1"'] = 304, ['"v0", "v1"'] = 304, ["*"] = 304, ['"v0"'] = 200, ['"v0","v2"'] = 200, ["v1"] = 200, [""] = 200,
    } do
      for _, path in ipairs { "/tagged", "/weak", "/declared", "/plain", "/held", "/both" } do
        assert.equal(status, status_of(path, { ["If-None-Match"] = list }), path .. " " .. list)
      end
    end
    assert.equal("whole", ask("/tagged").body)
    assert.equal(304, status_of("/comma", { ["If-None-Match"] = [["x\", "a\,b"]] }))
    assert.equal(200, status_of("/own", { ["If-None-Match"] = '"v1"' }))
    assert.equal(304, status_of("/own", { ["If-None-Match"] = '"v2"' }))
  end)

  it("are read in all lines of the field", function()
    local connection = running:connect()
    connection:send('GET /tagged HTTP/1.1\r\nHost: a\r\nIf-None-Match: "v0"\r\nIf-None-Match: "v1"\r\n\r\n')
    assert.equal(304, connection:receive("GET").status)
    connection:close()
  end)

  it("go by dates of all three forms, where no tags are asked for", function()
    for date, status in pairs {
      ["Sun, 06 Nov 1994 08:49:37 GMT"] = 304, ["Sunday, 06-Nov-94 08:49:37 GMT"] = 304, ["Sun Nov  6 08:49:37 1994"] = 304,
      ["Sun, 06 Nov 1994 08:49:38 GMT"] = 304, ["Sun, 06 Nov 1994 08:49:36 GMT"] = 200, ["1994-11-06"] = 200, [""] = 200,
    } do
      assert.equal(status, status_of("/dated", { ["If-Modified-Since"] = date }), date)
      assert.equal(status, status_of("/both", { ["If-Modified-Since"] = date }), date)
      assert.equal(200, status_of("/both", { ["If-Modified-Since"] = date, ["If-None-Match"] = '"v0"' }), date)
      assert.equal(200, status_of("/tagged", { ["If-Modified-Since"] = date }), date)
    end
    assert.equal(304, status_of("/date-of-lua", { ["If-Modified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT" }))
    assert.equal(200, status_of("/dated", { ["If-Modified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT", ["If-None-Match"] = "*" }))
  end)

  it("are answered 412 where the client wants another version, and else with all of it", function()
    for list, status in pairs {
      ['"v1"'] = 200, ['"v0", "v1"'] = 200, ["*"] = 200, ['"v0"'] = 412, ['W/"v1"'] = 412, ["v1"] = 412, [""] = 412, ["*, *"] = 412,
    } do
      for _, path in ipairs { "/tagged", "/declared", "/plain", "/held", "/both", "/stream" } do
        local reply = ask(path, { ["If-Match"] = list })
        assert.equal(status, reply.status, path .. " " .. list)
        assert.equal(status == 412, reply.body == '{"detail":"What you ask for is another version than the one that you want"}', reply.body)
      end
      assert.equal(status, status_of("/tagged", { ["If-Match"] = list }, "HEAD"))
      assert.equal(200, status_of("/untagged", { ["If-Match"] = list }))
      assert.equal(list == "*" and 200 or 412, status_of("/weak", { ["If-Match"] = list }), list)
    end
    local refused = ask("/tagged", { ["If-Match"] = '"v0"' })
    assert.same({ "no-store", nil, nil }, { refused.headers["cache-control"], refused.headers.etag, refused.headers["set-cookie"] })
    assert.equal(412, status_of("/own", { ["If-Match"] = '"v1"' }))
    assert.equal(412, status_of("/openapi.json", { ["If-Match"] = '"v1"' }))
    assert.equal(200, status_of("/openapi.json", { ["If-Match"] = ask("/openapi.json").headers.etag }))
  end)

  it("are refused first, and go on only with the version that is wanted", function()
    assert.equal(412, status_of("/tagged", { ["If-Match"] = '"v0"', ["If-None-Match"] = '"v1"' }))
    assert.equal(304, status_of("/tagged", { ["If-Match"] = '"v1"', ["If-None-Match"] = '"v1"' }))
    for date, status in pairs {
      ["Sun, 06 Nov 1994 08:49:36 GMT"] = 412, ["Sun, 06 Nov 1994 08:49:37 GMT"] = 200, ["Sun, 06 Nov 1994 08:49:38 GMT"] = 200, ["1994"] = 200,
    } do
      assert.equal(status, status_of("/dated", { ["If-Unmodified-Since"] = date }), date)
      assert.equal(status, status_of("/both", { ["If-Unmodified-Since"] = date }), date)
      assert.equal(200, status_of("/both", { ["If-Unmodified-Since"] = date, ["If-Match"] = '"v1"' }), date)
      assert.equal(200, status_of("/tagged", { ["If-Unmodified-Since"] = date }), date)
    end
  end)

  it("are of GET and HEAD, and of a 200", function()
    local known, wanted = { ["If-None-Match"] = '"v1"' }, { ["If-Match"] = '"v0"' }
    assert.same({ 200, 201, 404 }, { status_of("/tagged", wanted, "POST"), status_of("/created", wanted), status_of("/gone", wanted) })
    assert.equal(304, status_of("/tagged", known, "HEAD"))
    assert.equal(200, status_of("/tagged", known, "POST"))
    assert.equal(201, status_of("/created", known))
    assert.equal(404, status_of("/gone", known))
    assert.equal(200, status_of("/untagged", known))
  end)

  it("are answered with what the 200 says of caches, cookies and origins, and with nothing of its body", function()
    local origin = "https://shop.example"
    local whole, known = ask("/tagged", { Origin = origin }), ask("/tagged", { Origin = origin, ["If-None-Match"] = '"v1"' })
    for _, name in ipairs { "content-type", "content-language", "content-length" } do
      assert.is_string(whole.headers[name], name)
      assert.is_nil(known.headers[name], name)
      whole.headers[name] = nil
    end
    whole.headers.date, known.headers.date = nil, nil
    assert.equal("https://shop.example", known.headers["access-control-allow-origin"])
    assert.equal("seen=1", known.headers["set-cookie"])
    assert.same(whole.headers, known.headers)
    assert.equal("", known.body)
  end)

  it("leave the connection in order", function()
    local connection = running:connect()
    for _ = 1, 2 do
      assert.equal(304, connection:request("GET", "/tagged", { headers = { ["If-None-Match"] = "*" } }).status)
      assert.equal("whole", connection:request("GET", "/stream").body)
      assert.equal(304, connection:request("GET", "/stream", { headers = { ["If-None-Match"] = "*" } }).status)
    end
    connection:close()
  end)

  it("begin no stream that the client has", function()
    local function begun() return select(2, running:log():gsub("the stream has begun", "")) end
    local before = begun()
    assert.equal(304, status_of("/stream", { ["If-None-Match"] = '"v1"' }))
    assert.equal(200, status_of("/stream"))
    server.wait_until(20, function() return begun() > before end)
    assert.equal(before + 1, begun())
  end)

  it("are a success for dependencies, and stand in the access log and the metrics as a 304 without bytes", function()
    local function count(page) return page:sum("demilune_http_requests_total", { route = "/held", status = "304" }) end
    local before = count(running:metrics())
    assert.equal(304, status_of("/held?known", { ["If-None-Match"] = '"v1"' }))
    assert.equal(before + 1, count(running:metrics_when(function(page) return count(page) > before end)))
    assert.truthy(running:log_line('"target":"/held?known"', '"ok":true'))
    assert.truthy(running:log_line('"message":"request"', '"path":"/held"', '"status":304', '"bytes":0'))
  end)

  it("need a tag that is one, or the answer is an error that says so", function()
    for _, name in ipairs { "bare", "blank", "open", "quote", "lower", "none" } do
      assert.equal(500, ask("/wrong-" .. name).status, name)
      assert.truthy(running:log_line('/wrong-' .. name .. '"', "an ETag is a text in double quotes, without blanks in it; write headers ="), name)
    end
    for name, said in pairs { two = "there are two ETags", date = "the Last-Modified is no date as HTTP has it; write os.date", day = "no date" } do
      assert.equal(500, ask("/wrong-" .. name).status, name)
      assert.truthy(running:log_line('/wrong-' .. name .. '"', said), name)
    end
  end)

  it("need one in what is declared, too, or the app does not load: told where it is declared", function()
    local app = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, headers = { %s } }
local router = demilune.router { prefix = "/a", headers = { %s } }
router:get("/", { headers = { %s } }, function() return 1 end)
app:mount(router)
return app
]]
    local wrong, date = 'ETag = "v1"', '["Last-Modified"] = "today"'
    for said, given in pairs {
      ["app.lua:2: demilune.app: an ETag is a text in double quotes"] = { wrong, "", "" },
      ["app.lua:3: demilune.router: an ETag is a text in double quotes"] = { "", wrong, "" },
      ["app.lua:4: GET /: an ETag is a text in double quotes"] = { "", "", wrong },
      ["app.lua:3: demilune.router: the Last-Modified is no date as HTTP has it"] = { "", date, "" },
    } do
      local folder = server.write_app(app:format(unpack(given)))
      local status, _, err = server.run { "check", folder }
      server.remove_folder(folder)
      assert.equal(1, status)
      assert.truthy(err:find(said, 1, true), err)
    end
  end)

  it("change what the client knows, and are refused by 412 where it is another version", function()
    for list, status in pairs { ['"v1"'] = 200, ["*"] = 200, ['"v0", "v1"'] = 200, ['W/"v1"'] = 412, ['"v0"'] = 412, [""] = 412 } do
      assert.equal(status, status_of("/item", { ["If-Match"] = list }, "PUT"), list)
    end
    assert.equal(200, status_of("/item", nil, "PUT"))
    for list, status in pairs { ["*"] = 412, ['W/"v1"'] = 412, ['"v0"'] = 200 } do
      assert.equal(status, status_of("/item", { ["If-None-Match"] = list }, "PUT"), list)
      assert.equal(200, status_of("/item", { ["If-None-Match"] = list }), list)
      assert.equal(200, status_of("/new", { ["If-None-Match"] = list }, "PUT"), list)
      assert.equal(412, status_of("/new", { ["If-Match"] = list }, "PUT"), list)
    end
    for _, list in ipairs { "*, *", "v0", "v1", '"v0" "v1"', '"v0", v1', '"v0', '*, "v0"' } do
      assert.equal(412, status_of("/item", { ["If-None-Match"] = list }, "PUT"), list)
      assert.equal(200, status_of("/new", { ["If-None-Match"] = list }, "PUT"), list)
    end
    for _, list in ipairs { "", ",", '"v0",', ' , "v0" ,, "v2"  ' } do
      assert.equal(200, status_of("/item", { ["If-None-Match"] = list }, "PUT"), list)
    end
    assert.equal('{"detail":"What you want to change is another version than the one that you have"}',
      ask("/item", { ["If-Match"] = '"v0"' }, "PUT").body)
    assert.equal(500, status_of("/odd", nil, "PUT"))
    assert.truthy(running:log_line("/odd", "app.lua:",
      "bad argument #1 to 'precondition' (an ETag is a text in double quotes, without blanks in it, or nil where there is nothing yet"))
  end)
end)
