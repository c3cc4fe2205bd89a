-- SPDX-License-Identifier: MIT
-- A page of another origin makes its visitor's browser send requests, to which the browser adds the visitor's cookies and passwords by itself
-- (CSRF; OWASP ASVS 3.5.1). What a browser says of the page is in Sec-Fetch-Site and Origin.

local mime = require "mime"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings {
  SESSION_SECRET = model.secret { min_bytes = 32 }, PASSWORD = model.secret(), KEY = model.secret { min_bytes = 16 },
  TOKEN_SECRET = model.secret { min_bytes = 32 },
  OTHER_KEY = model.secret { min_bytes = 16 } }
local session = guard.session { secret = settings.SESSION_SECRET, lifetime = "1h" }
local basic = guard.basic { users = { ann = settings.PASSWORD } }
local header_key = guard.api_key { header = "X-Key",
  keys = { one = { secret = settings.KEY }, two = { secret = settings.OTHER_KEY, roles = { "admin" } } } }
local token = guard.bearer { secret = settings.TOKEN_SECRET, lifetime = "15m", cookie = "__Host-token" }
local cookie_key = guard.api_key { cookie = "__Host-key", keys = { one = { secret = settings.KEY } } }
local app = demilune.app { title = "Pages", version = "1",
  cors = { origins = { "https://front.example" }, credentials = true, methods = { "GET", "POST", "DELETE" } } }
local done = 0
local function act() done = done + 1 return { done = done } end
local closed = demilune.router { prefix = "/closed", cors = false, guard = session }
local silent = demilune.router { cors = { origins = { "https://front.example" } } }
app:post("/login", { guard = guard.public, limit = "100/minute", form = { name = model.string() } }, function(req)
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = req.form.name } } }
end)
app:get("/enter/{name}", { guard = guard.public, limit = "100/minute" }, function(req)
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = req.path.name } } }
end)
app:post("/session", { guard = session }, act)
app:delete("/session", { guard = session }, act)
app:post("/session-form", { guard = session, form = { to = model.string() } }, act)
silent:post("/without-credentials", { guard = session }, act)
app:mount(silent)
closed:post("/act", act)
closed:get("/read", function() return { ok = true } end)
app:mount(closed)
app:post("/basic", { guard = basic, limit = "100/minute" }, act)
app:post("/cookie-key", { guard = cookie_key }, act)
app:post("/header-key", { guard = header_key }, act)
app:post("/token", { guard = token }, act)
app:get("/token/{id}", { guard = guard.public, limit = "100/minute" }, function(req)
  return token:issue { subject = "ann", claims = { id = req.path.id } }
end)
app:post("/counted", { guard = session, limit = { rate = "2/minute", by = "principal" } }, act)
app:post("/any", { guard = guard.any { guard.role("admin", header_key), session } }, act)
app:post("/public", { guard = guard.public }, act)
app:get("/done", { guard = guard.public }, function() return { done = done } end)
app:get("/read", { guard = session }, function() return { ok = true } end)
return app]]

local FOREIGN = {
  { "another site's form", { ["Sec-Fetch-Site"] = "cross-site", Origin = "https://evil.example" } },
  { "a page of another port or subdomain, whose cookies SameSite lets through",
    { ["Sec-Fetch-Site"] = "same-site", Origin = "https://a.shop.example" } },
  { "a page that hides its origin", { ["Sec-Fetch-Site"] = "cross-site", Origin = "null" } },
  { "a frame without an origin", { Origin = "null" } },
  { "an older browser", { Origin = "https://evil.example" } },
  { "an origin that only begins as ours", { Origin = "https://shop.example.evil.example" } },
}

describe("a page of another origin", function()
  local running, visitor, password, key
  local folder

  local function ask(method, target, ...)
    local headers = {}
    for _, more in ipairs { ... } do
      for name, value in pairs(more) do headers[name] = value end
    end
    local form = target == "/login" and "name=eve" or target == "/session-form" and "to=eve" or nil
    if form then headers["Content-Type"] = "application/x-www-form-urlencoded" end
    return running:request(method, target, { host = "shop.example", headers = headers, body = form })
  end
  local function done() return ask("GET", "/done").body end

  local fresh = 0
  -- One that no worker has seen, and so has not kept as good.
  local function fresh_token()
    fresh = fresh + 1
    return ask("GET", "/token/" .. fresh).body
  end

  setup(function()
    local KEY = ("k3y-"):rep(8)
    folder = server.write_app { ["app.lua"] = APP }
    local hashing = assert(io.popen(("echo 'correct horse battery staple' | '%s' hash"):format(server.program)))
    local hash = hashing:read("*a"):gsub("%s+$", "")
    hashing:close()
    local env = { SESSION_SECRET = ("s3cr3t-"):rep(6), TOKEN_SECRET = ("t0k3n-"):rep(6), KEY = KEY, OTHER_KEY = KEY:upper(), PASSWORD = hash }
    running = server.start(folder, { env = env, flags = { "--trusted-proxies=127.0.0.1" } })
    visitor = { Cookie = ask("POST", "/login").headers["set-cookie"]:match("^[^;]+") }
    password = { Authorization = "Basic " .. mime.b64("ann:correct horse battery staple") }
    key = KEY
  end)
  teardown(function()
    if running then assert.equal(0, (running:stop())) end
    server.remove_folder(folder)
  end)

  for _, page in ipairs(FOREIGN) do
    it("does nothing as its visitor: " .. page[1], function()
      local before = done()
      local token = { Cookie = "__Host-token=" .. fresh_token() }
      for _, request in ipairs {
        { "POST", "/token", token }, { "POST", "/token", token }, -- as it comes first, and as one that is known
        { "POST", "/session", visitor }, { "DELETE", "/session", visitor }, { "POST", "/session-form", visitor }, { "POST", "/basic", password },
        { "POST", "/cookie-key", { Cookie = "__Host-key=" .. key } }, { "POST", "/any", visitor }, { "POST", "/without-credentials", visitor },
      } do
        local response = ask(request[1], request[2], request[3], page[2])
        assert.equal(403, response.status, request[2] .. ": " .. response.body)
        assert.truthy(response.body:find("another origin", 1, true), response.body)
      end
      assert.equal(before, done())
    end)

    it("begins no session in its visitor's browser: " .. page[1], function()
      local response = ask("POST", "/login", page[2])
      assert.same({ 403, nil }, { response.status, response.headers["set-cookie"] })
    end)
  end

  it("begins none by a request that changes nothing, as a picture or a frame of it, but a link leads to one", function()
    local modes = { { "no-cors", "image" }, { "navigate", "iframe" }, { "navigate", "object" }, { "cors", "empty" }, { "no-cors", "document" }, {} }
    for _, site in ipairs { "cross-site", "same-site" } do
      for _, mode in ipairs(modes) do
        local fields = { ["Sec-Fetch-Site"] = site, ["Sec-Fetch-Mode"] = mode[1], ["Sec-Fetch-Dest"] = mode[2] }
        local response = ask("GET", "/enter/eve", fields)
        assert.same({ 403, nil }, { response.status, response.headers["set-cookie"] })
        assert.equal(403, ask("HEAD", "/enter/eve", fields).status)
      end
      local link = { ["Sec-Fetch-Site"] = site, ["Sec-Fetch-Mode"] = "navigate", ["Sec-Fetch-Dest"] = "document" }
      assert.equal(204, ask("GET", "/enter/ann", link).status)
    end
    assert.equal(403, ask("GET", "/enter/eve", { Origin = "https://evil.example" }).status)
    for _, fields in ipairs { {}, { ["Sec-Fetch-Site"] = "none" }, { ["Sec-Fetch-Site"] = "same-origin", ["Sec-Fetch-Mode"] = "cors" } } do
      assert.equal(204, ask("GET", "/enter/ann", fields).status)
    end
  end)

  it("is one of our name that came without TLS, where the request came by it", function()
    local behind_tls = { ["X-Forwarded-Proto"] = "https" }
    for scheme, status in pairs { http = 403, https = 200 } do
      local response = ask("POST", "/session", visitor, behind_tls, { Origin = scheme .. "://shop.example" })
      assert.equal(status, response.status, scheme .. ": " .. response.body)
    end
    assert.equal(403, ask("POST", "/login", behind_tls, { Origin = "http://shop.example" }).status)
    for _, scheme in ipairs { "http", "https" } do -- a proxy that ends TLS may not say so
      assert.equal(200, ask("POST", "/session", visitor, { Origin = scheme .. "://shop.example" }).status, scheme)
    end
  end)

  it("uses up nothing of what its visitor may", function()
    for _ = 1, 3 do assert.equal(403, ask("POST", "/counted", visitor, FOREIGN[1][2]).status) end
    assert.same({ 200, 200, 429 }, {
      ask("POST", "/counted", visitor).status, ask("POST", "/counted", visitor).status, ask("POST", "/counted", visitor).status,
    })
  end)

  it("is one of the name that a proxy got the request by, whatever name it asks us by", function()
    local name = { ["X-Forwarded-Host"] = "front.shop.example" }
    assert.equal(200, ask("POST", "/session", visitor, name, { Origin = "https://front.shop.example" }).status)
    assert.equal(403, ask("POST", "/session", visitor, name, { Origin = "https://shop.example" }).status)
  end)

  it("is refused by the cookie that passed, though a key that a form cannot send was good as well", function()
    local both = { Cookie = visitor.Cookie, ["X-Key"] = key }
    assert.equal(403, ask("POST", "/any", both, FOREIGN[1][2]).status)
  end)

  it("is told why in the log, and where to let it in", function()
    ask("POST", "/session", visitor, FOREIGN[1][2])
    assert.truthy(running:log_line("a guard refused"):find("name it in cors with credentials = true", 1, true))
  end)

  it("may act where cors names it with credentials, and only there", function()
    local front = { ["Sec-Fetch-Site"] = "cross-site", Origin = "https://front.example" }
    assert.equal(200, ask("POST", "/session", visitor, front).status)
    assert.equal(200, ask("POST", "/basic", password, front).status)
    assert.equal(403, ask("POST", "/without-credentials", visitor, front).status)
    assert.equal(204, ask("POST", "/login", front).status)
  end)

  it("may neither act nor read where a router takes the app's cors away", function()
    local front = { ["Sec-Fetch-Site"] = "cross-site", Origin = "https://front.example" }
    local before = done()
    assert.equal(403, ask("POST", "/closed/act", visitor, front).status)
    assert.equal(before, done())
    local preflight = { ["Access-Control-Request-Method"] = "POST" }
    for _, response in ipairs { ask("GET", "/closed/read", visitor, front), ask("OPTIONS", "/closed/act", front, preflight) } do
      for name in pairs(response.headers) do assert.is_nil(name:find "^access%-control%-", name) end
    end
    assert.equal("https://front.example", ask("GET", "/read", visitor, front).headers["access-control-allow-origin"])
    assert.equal(200, ask("POST", "/closed/act", visitor, { ["Sec-Fetch-Site"] = "same-origin" }).status)
  end)

  it("may do what needs nobody's credentials, or what a form cannot send", function()
    assert.equal(200, ask("POST", "/public", FOREIGN[1][2]).status)
    assert.equal(200, ask("POST", "/header-key", { ["X-Key"] = key }, FOREIGN[1][2]).status)
    local token = { Authorization = "Bearer " .. fresh_token() }
    for _ = 1, 2 do assert.equal(200, ask("POST", "/token", token, FOREIGN[1][2]).status) end
    assert.equal(200, ask("GET", "/read", visitor, FOREIGN[1][2]).status)
  end)

  it("is not what asks when the page is our own, or no browser asks", function()
    for _, fields in ipairs {
      {}, { ["Sec-Fetch-Site"] = "same-origin", Origin = "http://shop.example" }, { ["Sec-Fetch-Site"] = "none" },
      { Origin = "https://shop.example" },
    } do
      assert.equal(200, ask("POST", "/session", visitor, fields).status)
      assert.equal(204, ask("POST", "/login", fields).status)
    end
  end)
end)
