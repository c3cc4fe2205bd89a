-- SPDX-License-Identifier: MIT
-- Cache-poisoned denial of service (Nguyen, Lo Iacono, Federrath, 2019): a cache in front goes by the URL, so that one odd request, of which
-- the cache keeps the refusal, takes the page away from all.

local owasp = require "tests.attack.support.owasp"

local APP = owasp.HEAD .. [[
local app = demilune.app { title = "kept", version = "1", guard = guard.public, limits = { max_body = "1KiB" },
  cors = { origins = { "https://page.example" } }, headers = { ["Surrogate-Control"] = "max-age=3600", ["X-Shop"] = "yes" } }
local KEEP = { ["cache-CONTROL"] = "public, max-age=3600", Expires = "Tue, 01 Jan 2999 00:00:00 GMT", ["X-Accel-Expires"] = "3600",
  ["CDN-Cache-Control"] = "max-age=3600", Vary = "Accept" }
-- Behind a guard it is the client's own cache.
local MINE = { ["cache-CONTROL"] = "private, max-age=3600", Expires = "Tue, 01 Jan 2999 00:00:00 GMT", ["Surrogate-Control"] = "no-store",
  ["X-Accel-Expires"] = "0", ["CDN-Cache-Control"] = "private", Vary = "Accept" }
local function get(path, options, handler)
  options.headers = options.guard and MINE or KEEP
  app:get(path, options, handler)
end
local function fine() return "fine" end
get("/page", { query = { n = model.integer { default = 1 } } }, function(req)
  if req.query.n == 2 then error("broken") end
  if req.query.n == 3 then return { fine } end
  if req.query.n == 4 then demilune.abort(404) end
  if req.query.n == 5 then demilune.abort(410, "gone for good", { ["Cache-Control"] = "max-age=60" }) end
  if req.query.n == 6 then demilune.abort(304) end
  if req.query.n == 7 then return demilune.response { status = 404, body = "no such page" } end
  if req.query.n == 8 then return demilune.response { status = 500, headers = { ["Cache-Control"] = "max-age=1" }, body = "own" } end
  if req.query.n == 9 then return demilune.stream(function(write) write("a") end) end
  if req.query.n == 10 then return demilune.response { status = 304 } end
  return "fine"
end)
get("/slow", { timeout = "50ms" }, function() demilune.sleep("10s") end)
get("/often", { limit = "1/minute" }, fine)
get("/costly", { limit = { rate = "1/minute", by = function() return "all" end } }, fine)
get("/mine", { guard = bearer }, fine)
get("/ruled", { guard = guard.role("admin", bearer) }, fine)
app:post("/shout", { headers = KEEP, body_kind = "json" }, fine)
return app]]

local NAMES = { "expires", "x-accel-expires", "cdn-cache-control", "surrogate-control" }

local function says_no(response)
  assert.equal("no-store", response.headers["cache-control"])
  for _, name in ipairs(NAMES) do assert.is_nil(response.headers[name], name) end
  assert.equal("Accept, Origin", response.headers.vary) -- what says nothing of keeping stays
  assert.equal("yes", response.headers["x-shop"])
end

local function says_yes(response, to_whom)
  assert.equal((to_whom or "public") .. ", max-age=3600", response.headers["cache-control"])
  for _, name in ipairs(NAMES) do assert.truthy(response.headers[name], name) end
end

owasp.wall("caches keep no refusal:", APP, function(world)
  local function ask(method, target, headers, body)
    local response = world.running:request(method, target, { headers = headers, body = body })
    return response.status, response
  end

  local function refused(wanted, method, target, headers, body)
    local status, response = ask(method, target, headers, body)
    assert.equal(wanted, status)
    says_no(response)
  end

  it("what the pipeline refuses", function()
    refused(415, "GET", "/page", { ["Content-Encoding"] = "gzip" })
    refused(413, "GET", "/page", { ["Content-Length"] = "99999999" })
    refused(413, "GET", "/page", nil, ("a"):rep(2000))
    refused(422, "GET", "/page?n=x")
    refused(422, "HEAD", "/page?n=x")
    refused(415, "POST", "/shout", { ["Content-Type"] = "text/plain" }, "{}")
    refused(401, "GET", "/mine")
    refused(401, "GET", "/mine", { Authorization = "Bearer a.b.c" })
    refused(400, "GET", "/mine", { Authorization = "Bearer a b" })
    refused(403, "GET", "/ruled", owasp.as("ada"))
  end)

  it("a chunked body that grows too long", function()
    local connection = world.running:connect()
    connection:send("GET /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" .. ("a"):rep(2000) .. "\r\n0\r\n\r\n")
    local response = connection:receive()
    connection:close()
    assert.equal(413, response.status)
    says_no(response)
  end)

  it("too many requests", function()
    for _, target in ipairs { "/often", "/costly" } do
      local status, response = ask("GET", target)
      assert.equal(200, status)
      says_yes(response)
      refused(429, "GET", target)
    end
  end)

  it("what fails, takes too long or is given up", function()
    refused(500, "GET", "/page?n=2")
    refused(500, "GET", "/page?n=3")
    refused(404, "GET", "/page?n=4")
    refused(504, "GET", "/slow")
  end)

  it("but what a handler says is kept, is", function()
    for target, status in pairs { ["/page"] = 200, ["/page?n=6"] = 304, ["/page?n=7"] = 404, ["/page?n=9"] = 200, ["/page?n=10"] = 304 } do
      local got, response = ask("GET", target)
      assert.equal(status, got, target)
      says_yes(response)
    end
    says_yes(select(2, ask("HEAD", "/page")))
    says_yes(select(2, ask("GET", "/mine", owasp.as("ada"))), "private")
    assert.equal("max-age=60", select(2, ask("GET", "/page?n=5")).headers["cache-control"])
    assert.equal("max-age=1", select(2, ask("GET", "/page?n=8")).headers["cache-control"])
  end)

  it("also where the request is refused before its route is known", function()
    local many = {}
    for i = 1, 150 do many["X-" .. i] = "a" end
    local coded = { ["Transfer-Encoding"] = "gzip, chunked" }
    for status, headers in pairs { [431] = many, [417] = { Expect = "nothing" }, [400] = { Host = "b" }, [501] = coded } do
      local got, response = ask("GET", "/page", headers)
      assert.equal(status, got)
      assert.equal("no-store", response.headers["cache-control"])
    end
    assert.equal("no-store", select(2, ask("GET", "/page", { ["X-Long"] = ("a"):rep(20000) })).headers["cache-control"])
  end)

  it("and what is so for everybody says nothing", function()
    local preflight = { Origin = "https://page.example", ["Access-Control-Request-Method"] = "GET" }
    for _, case in ipairs { { 404, "GET", "/nowhere" }, { 405, "DELETE", "/page" }, { 204, "OPTIONS", "/page" },
                            { 204, "OPTIONS", "/page", preflight } } do
      local status, response = ask(case[2], case[3], case[4])
      assert.equal(case[1], status)
      assert.is_nil(response.headers["cache-control"])
    end
  end)
end)

owasp.wall("caches keep no cookie:", owasp.HEAD .. [[
local app = demilune.app { title = "cookies", version = "1", guard = guard.public,
  headers = { ["Cache-Control"] = "public, max-age=3600", ["CDN-Cache-Control"] = "max-age=3600", ["X-Shop"] = "yes" } }
local COOKIE = { "a=1; HttpOnly", "b=2" }
local function response(name, given, headers)
  app:get(name, function()
    headers = headers or {}
    headers["set-COOKIE"], given.headers = COOKIE, headers
    return demilune.response(given)
  end)
end
response("/text", { body = "text" })
response("/json", { body = { 1 } })
response("/redirect", { status = 303 }, { Location = "/" })
response("/stream", { stream = function(write) write("a") end })
response("/version", { body = "text" }, { ETag = '"1"' })
response("/own", { body = "text" }, { ["Cache-Control"] = "private, max-age=9" })
app:get("/ended", function() demilune.abort(304, nil, { ["Set-Cookie"] = COOKIE }) end)
app:get("/", function() return "fine" end)
return app]], function(world)
  it("that an answer sets, whatever its route declares", function()
    for path, status in pairs { ["/text"] = 200, ["/json"] = 200, ["/redirect"] = 303, ["/stream"] = 200, ["/version"] = 304, ["/ended"] = 304 } do
      local response = world:ask("GET", path, { ["If-None-Match"] = '"1"' })
      assert.equal(status, response.status)
      assert.equal("a=1; HttpOnly, b=2", response.headers["set-cookie"])
      assert.same({ "no-store", "yes" }, { response.headers["cache-control"], response.headers["x-shop"] }, path)
      assert.is_nil(response.headers["cdn-cache-control"], path)
    end
  end)

  it("but what the answer says itself counts, and other answers are kept", function()
    assert.equal("private, max-age=9", world:ask("GET", "/own").headers["cache-control"])
    assert.equal("public, max-age=3600", world:ask("GET", "/").headers["cache-control"])
  end)
end)

owasp.wall("caches keep no refusal while nothing can be counted:", owasp.HEAD .. [[
local app = demilune.app { title = "uncounted", version = "1", guard = guard.public,
  limit_store = { url = "redis://127.0.0.1:1/0", on_store_failure = "closed" } }
app:get("/page", { limit = "5/minute", headers = { ["Cache-Control"] = "public, max-age=3600" } }, function() return "fine" end)
return app]], function(world)
  it("503", function()
    local response = world:ask("GET", "/page")
    assert.equal(503, response.status)
    assert.equal("no-store", response.headers["cache-control"])
  end)
end)

owasp.wall("caches keep no refusal where only a handler speaks to them:", owasp.HEAD .. [[
local app = demilune.app { title = "spoken", version = "1", guard = guard.public }
app:get("/page", { query = { n = model.integer { default = 1 } } }, function(req)
  if req.query.n == 2 then demilune.abort(404) end
  return demilune.response { headers = { ["Cache-Control"] = "public, max-age=3600" }, body = "fine" }
end)
return app]], function(world)
  it("404, 415 and 422", function()
    assert.equal("public, max-age=3600", world:ask("GET", "/page").headers["cache-control"])
    local coded = { headers = { ["Content-Encoding"] = "gzip" } }
    for status, asked in pairs { [404] = { "/page?n=2" }, [415] = { "/page", coded }, [422] = { "/page?n=x" } } do
      local response = world.running:request("GET", unpack(asked))
      assert.equal(status, response.status)
      assert.equal("no-store", response.headers["cache-control"])
    end
  end)
end)
