-- SPDX-License-Identifier: MIT
-- What Debian's nginx keeps for all, set to keep whatever it may, errors too: one client's refusal (Nguyen, Lo Iacono, Federrath, 2019), and
-- an answer that was chosen by a field of one client's, where `Vary` names several: nginx 1.22 goes by the last line of that name alone.

local http = require "spec.support.http"
local nginx = require "tests.attack.support.nginx"
local owasp = require "tests.attack.support.owasp"

local APP = owasp.HEAD .. [[
local app = demilune.app { title = "chosen", version = "1", guard = guard.public, cors = { origins = { "https://page.example" } },
  headers = { ["Cache-Control"] = "public, max-age=3600" } }
local function language(req) return req:get_header "Accept-Language" or "none" end
local function headers(vary) return { Vary = vary, ["Content-Language"] = "x" } end
app:get("/declared", { headers = { Vary = "Accept-Language" } }, function(req) return { language = language(req) } end)
app:get("/text", { headers = { Vary = "Accept-Language" } }, language)
app:get("/given", function(req) return demilune.response { headers = headers "Accept-Language", body = language(req) } end)
app:get("/list", function(req) return demilune.response { headers = headers { "Accept-Language", "X-Other" }, body = language(req) } end)
app:get("/stream", function(req) return demilune.stream(function(write) write(language(req)) end, { headers = headers "Accept-Language" }) end)
app:get("/version", { headers = { ETag = '"1"', Vary = "Accept-Language" } }, language)
app:get("/ended", { headers = { Vary = "Accept-Language" } }, function() demilune.abort(404, nil, { ["Cache-Control"] = "max-age=60" }) end)
app:get("/never", { headers = { Vary = "*" } }, language)
return app]]

owasp.wall("caches give each client its own:", APP, function(world)
  local front
  setup(function() front = nginx.start(world.running) end)
  teardown(function() front:stop() end)

  local function ask(target, headers)
    local connection = http.connect_unix(front.cache)
    local response = connection:request("GET", target, { headers = headers })
    connection:close()
    return response
  end

  it("an answer by all that it was chosen by", function()
    for _, path in ipairs { "/declared", "/text", "/given", "/list", "/stream", "/version" } do
      local french, english = { ["Accept-Language"] = "fr" }, { ["Accept-Language"] = "en" }
      local foreign = { ["Accept-Language"] = "en", Origin = "https://page.example" }
      assert.truthy(ask(path, french).body:find("fr", 1, true))
      assert.truthy(ask(path, english).body:find("en", 1, true), path)
      assert.equal("https://page.example", ask(path, foreign).headers["access-control-allow-origin"])
      assert.is_nil(ask(path, english).headers["access-control-allow-origin"], path)
      assert.equal("HIT", ask(path, french).headers["x-cache"])
    end
    assert.equal("fr", ask("/never", { ["Accept-Language"] = "fr" }).body)
    assert.equal("en", ask("/never", { ["Accept-Language"] = "en" }).body)
  end)

  it("which is said in one line, whatever the answer", function()
    local preflight = { Origin = "https://page.example", ["Access-Control-Request-Method"] = "GET" }
    local coded, known = { ["Content-Encoding"] = "gzip" }, { ["If-None-Match"] = "*" }
    for _, case in ipairs { { 200, "/declared" }, { 200, "/stream" }, { 304, "/version", known }, { 404, "/ended" }, { 415, "/text", coded },
                            { 204, "/text", preflight, "OPTIONS" }, { 200, "/text", {}, "HEAD" } } do
      local status, path, headers, method = unpack(case, 1, 4)
      local response = world.running:request(method or "GET", path, { headers = headers })
      assert.equal(status, response.status, path)
      assert.equal(1, select(2, response.head:gsub("\r\n[Vv]ary:", "")), path)
    end
  end)

  it("a refusal", function()
    local many = {}
    for i = 1, 150 do many["X-" .. i] = "a" end
    local long = {}
    for i = 1, 5 do long["X-" .. i] = ("a"):rep(4000) end
    for status, headers in pairs { [431] = many, [400] = { Origin = "a\r\nOrigin: b" }, [415] = { ["Content-Encoding"] = "gzip" } } do
      local target = "/text?" .. status
      assert.equal(status, ask(target, headers).status)
      assert.equal(200, ask(target).status)
    end
    assert.equal(431, ask("/text?long", long).status)
    assert.equal(200, ask("/text?long").status)
  end)
end)
