-- SPDX-License-Identifier: MIT
-- Handlers: what each kind of result becomes, what an error shows and to whom, and what no handler can do to its worker or to
-- another request.

local server = require "spec.support.server"
local cjson = require "cjson"

local PATIENCE = 30 -- seconds

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { guard = guard.public }
local kept, done = nil, {}

local Public = model "Public" { id = model.integer(), name = model.string(), nick = model.optional(model.string()) }
local Short = model "Short" { name = model.string { max_length = 3 } }
local Checked = model("Checked", { check = function(v) if v.id < 0 then return nil, "is negative" end end }) { id = model.integer() }
local fails = app:dependency(function() error("the dependency broke") end)
local aborts = app:dependency(function() demilune.abort(403, "not you", { ["X-Why"] = "because" }) end)

local function text(path, fn) app:get(path, fn) end
local function returns(path, schema, fn) app:get(path, { returns = schema }, fn) end

-- values
text("/", function() return "root" end)
text("/table", function() return { b = { 1, 2 }, a = "text" } end)
text("/array", function() return demilune.array {} end)
text("/number", function() return 1.5 end)
text("/boolean", function() return false end)
text("/nil", function() end)
text("/null", function() return demilune.null end)
text("/large", function() return ("x"):rep(3000000) end)
text("/big-integer", function() return { n = 9007199254740993LL } end)
text("/empty-text", function() return "" end)
app:get("/none", { status = 204 }, function() end)
app:get("/none-but-something", { status = 204 }, function() return { 1 } end)
app:post("/made", { status = 201, returns = Public }, function() return { id = 1, name = "Ada" } end)

-- demilune.response
text("/response", function()
  return demilune.response { status = 202, headers = { ["X-One"] = "1", ["X-Number"] = 7, ["X-Two"] = { "a", "b" } }, body = { a = 1 } }
end)
text("/response-text", function() return demilune.response { body = "<p>", headers = { ["Content-Type"] = "text/html" } } end)
text("/response-empty", function() return demilune.response { status = 304, headers = { ETag = '"x"' } } end)
text("/response-204", function() return demilune.response { status = 204, headers = { ["X-One"] = "1" }, body = "" } end)
text("/response-205", function(req) return demilune.response { status = 205, body = req.query.body } end)
app:get("/none-205", { status = 205 }, function() end)
app:get("/none-205-but-something", { status = 205 }, function() return { 1 } end)
text("/cookies", function()
  return demilune.response { headers = { ["Set-Cookie"] = { "a=1; HttpOnly", "b=2; Secure" } }, body = "ok" }
end)
text("/odd-status", function() return demilune.response { status = 299, body = "odd" } end)
app:get("/fixed", { headers = { ["X-Fixed"] = "declared", ["Cache-Control"] = "max-age=60" } }, function(req)
  if req.query.own then return demilune.response { headers = { ["x-fixed"] = "own", ["cache-control"] = "no-store" }, body = "own" } end
  return "declared"
end)
text("/policy", function() return demilune.response { headers = { ["Content-Security-Policy"] = "default-src 'self'" }, body = "own" } end)

-- header injection
app:get("/inject", function(req)
  return demilune.response { headers = { ["X-A"] = "a" .. req.query.text }, body = "x" }
end)
app:get("/inject-list", function(req) return demilune.response { headers = { ["Set-Cookie"] = { "a=b", req.query.text } }, body = "x" } end)
app:get("/inject-name", function(req) return demilune.response { headers = { [req.query.text] = "a" }, body = "x" } end)
app:get("/inject-type", function(req) return demilune.response { headers = { ["Content-Type"] = req.query.text }, body = "x" } end)
app:get("/inject-abort", function(req) demilune.abort(400, "x", { Location = req.query.text }) end)
app:get("/inject-stream", function(req)
  return demilune.stream(function(write) write("x") end, { headers = { ["X-A"] = req.query.text } })
end)
text("/own-length", function() return demilune.response { headers = { ["Content-Length"] = "1" }, body = "long" } end)
text("/own-framing", function() return demilune.response { headers = { ["Transfer-Encoding"] = "chunked" }, body = "long" } end)

-- wrong values
text("/function", function() return print end)
text("/userdata", function(req) return req end)
text("/nested-function", function() return { a = { { b = function() end } } } end)
text("/circle", function() local t = {} t.t = t return t end)
text("/deep", function() local t = {} for _ = 1, 100000 do t = { t } end return t end)
text("/holes", function() return { 1, nil, 3, nil, nil, 6 } end)
text("/mixed", function() return { 1, a = 2 } end)
text("/nan", function() return { n = 0 / 0 } end)
text("/infinite", function() return 1 / 0 end)
text("/bad-text", function() return { s = "\255\254" } end)
text("/traps", function()
  return setmetatable({}, { __index = function() error("index") end, __len = function() error("len") end, __pairs = error, __tostring = error })
end)
text("/response-type", function() return type(getmetatable(demilune.response {})) end)
local function changed(name, value)
  local response = demilune.response {}
  response[name] = value
  return response
end
text("/status-text", function() return changed("status", "none") end)
text("/status-999", function() return changed("status", 999) end)
text("/headers-text", function() return changed("headers", "none") end)
text("/headers-function", function() return changed("headers", { a = print }) end)
text("/body-function", function() return changed("body", print) end)
text("/unknown-option", function() return demilune.response { code = 200 } end)

-- response models
returns("/filtered", Public, function() return { id = 1, name = "Ada", password = "hunter2", nick = nil } end)
returns("/filtered-list", model.array(Public), function() return { { id = 1, name = "A", password = "hunter2" }, { id = 2, name = "B" } } end)
returns("/filtered-response", Public, function() return demilune.response { body = { id = 1, name = "Ada", password = "hunter2" } } end)
returns("/breach-missing", Public, function() return { id = 1, password = "hunter2" } end)
returns("/breach-type", Public, function() return { id = "hunter2", name = "Ada" } end)
returns("/breach-length", Short, function() return { name = "hunter2" } end)
returns("/breach-nil", Public, function() end)
app:get("/breach-nil-behind", { returns = Public, needs = { held = app:dependency(function() return 1, function() end end) } }, function() end)
returns("/breach-text", Public, function() return "hunter2" end)
returns("/unchecked", Checked, function() return { id = -1 } end)
returns("/breach-trap", Public, function() return setmetatable({}, { __index = function() error("hunter2") end }) end)

-- errors
text("/error", function() error("secret reason") end)
app:get("/error-html", function(req) error(req.query.text .. "alert(1)</script>") end)
text("/error-table", function() error({ secret = "reason" }) end)
text("/error-tostring", function() error(setmetatable({}, { __tostring = function() return "shown in the log" end })) end)
text("/error-bad-tostring", function() error(setmetatable({}, { __tostring = function() error("again") end })) end)
text("/error-endless-tostring", function() error(setmetatable({}, { __tostring = function() return {} end })) end)
text("/error-nil", function() error() end)
text("/error-number", function() error(42) end)
text("/error-function", function() error(print) end)
text("/error-nul", function() error("a\0b\r\n\27[31m") end)
text("/error-runtime", function() local x return x.field end)
text("/error-overflow", function() local function f() return 1 + f() end return f() end)
text("/error-c-overflow", function()
  local function f(n) return pcall(f, n + 1) end
  return (("x"):rep(1000):gsub(".", function(c) f(0) error(c) end))
end)
text("/error-long", function() error(("x"):rep(3000000)) end)
app:get("/dependency-error", { needs = { x = fails } }, function() return "not reached" end)
app:get("/dependency-abort", { needs = { x = aborts } }, function() return "not reached" end)
app:get("/abort", function(req) demilune.abort(tonumber(req.query.status), "reason") end)
text("/abort-bare", function() demilune.abort(404) end)
text("/abort-table", function() demilune.abort(409, { field = "email", list = { 1 } }, { ["Retry-After"] = "3" }) end)
text("/abort-function", function() demilune.abort(409, print) end)
text("/abort-from-deep", function() return (("x"):gsub("x", function() demilune.abort(410, "from gsub") end)) end)
text("/abort-500", function() demilune.abort(500, "said aloud") end)

-- coroutines
text("/yield", function() coroutine.yield("never") return "resumed" end)
text("/caught-yield", function() return tostring(pcall(coroutine.yield, 1)) end)
text("/generator", function()
  local out = {}
  for n in coroutine.wrap(function() for n = 1, 3 do coroutine.yield(n) end end) do out[#out + 1] = n end
  return out
end)
text("/wait-inside", function() return coroutine.wrap(function() demilune.sleep("1ms") return "waited" end)() end)
text("/wait-caught", function()
  local inner = coroutine.create(function() demilune.sleep("1ms") end)
  local ok, why = coroutine.resume(inner)
  demilune.sleep("1ms")
  return { ok = ok, why = tostring(why), status = coroutine.status(inner) }
end)
text("/wait-in-sort", function()
  local ok, why = pcall(table.sort, { 3, 2, 1 }, function(a, b) demilune.sleep("1ms") return a < b end)
  demilune.sleep("1ms")
  return { ok = ok, why = tostring(why) }
end)
text("/resume-self", function() return { coroutine.resume(coroutine.running()) } end)
text("/wrap-handler", function()
  local co = coroutine.running()
  return coroutine.wrap(function() return tostring(select(2, coroutine.resume(co))) end)()
end)

-- the request
app:get("/keep/{id}", { path = { id = model.string() } }, function(req)
  kept = req
  return "kept"
end)
text("/use-kept", function()
  local out = {}
  for _, field in ipairs { "body", "path", "query", "header", "cookie", "form", "id", "client", "method", "target", "route", "own" } do
    local ok, why = pcall(function() return kept[field] end)
    out[#out + 1] = ok and "READ " .. field .. " " .. tostring(why) or nil
  end
  for _, call in ipairs { "get_header", "after_response", "release" } do
    local ok = pcall(function() return kept[call](kept, call == "get_header" and "Host" or print) end)
    out[#out + 1] = ok and "CALLED " .. call or nil
  end
  local ok, why = pcall(function() kept.own = 1 end)
  out[#out + 1] = ok and "WROTE" or nil
  return { leaked = demilune.array(out), why = why }
end)
app:get("/own-fields", function(req)
  local before, replaced = req.mark, {}
  req.mark = req.query.mark
  for _, name in ipairs { "body", "method", "release", 1 } do replaced[#replaced + 1] = pcall(function() req[name] = 1 end) or nil end
  return { before = before, after = req.mark, replaced = #replaced }
end)
app:post("/raw", function(req)
  local parts = {}
  for name, value in pairs(req.query) do parts[#parts + 1] = name .. "=" .. (type(value) == "table" and table.concat(value, "+") or value) end
  table.sort(parts)
  return { query = table.concat(parts, "&"), cookie = req.cookie.a, header = req.header["x-one"], get = req:get_header("X-ONE"),
    missing = req:get_header("X-None"), method = req.method, target = req.target, route = req.route, client = req.client, id = #req.id,
    body = req.body, form = tostring(req.form) }
end)
app:get("/fake-request", function() local req = getmetatable(kept) return tostring(req) end)

-- after the response
app:get("/after", function(req)
  local mine = {}
  req:after_response(function(ok) mine[#mine + 1] = "after one " .. tostring(ok) end)
  req:after_response(function(ok)
    demilune.sleep("1ms")
    mine[#mine + 1] = "after two " .. tostring(ok)
    done[#done + 1] = table.concat(mine, ", ")
  end)
  req:release(function(ok) mine[#mine + 1] = "release one " .. tostring(ok) end)
  req:release(function(ok) mine[#mine + 1] = "release two " .. tostring(ok) error("in release") end)
  if req.query.fail then error("failed") end
  return "answered"
end)
text("/done", function() local last = done[#done] done = {} return last or "" end)

return app
]]

local function json(response) return cjson.decode(response.body) end

local function expect_same_json(expected, response)
  assert.equal("application/json", response.headers["content-type"])
  assert.same(expected, json(response))
end

describe("a handler in service", function()
  local running
  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function get(target, options) return running:request("GET", target, options) end

  -- Everything hidden but a request id, which the log has with the reason.
  local function expect_500(target, reason)
    local response = get(target)
    assert.equal(500, response.status, target)
    assert.equal("application/json", response.headers["content-type"])
    assert.truthy(response.body:match('^{"detail":"Internal server error","request_id":"%x+"}$'), target .. ": " .. response.body)
    local id = json(response).request_id
    local line = running:log_line('"level":"error"', '"request_id":"' .. id .. '"')
    assert.truthy(line, target .. ": nothing in the log about " .. id)
    assert.truthy(cjson.decode(line).error, line)
    assert.truthy(line:find(reason, 1, true), target .. ": " .. line:sub(1, 2000))
    assert.equal("root", get("/").body)
    return line
  end

  describe("that returns a value", function()
    local values = {
      ["/table"] = { b = { 1, 2 }, a = "text" }, ["/array"] = {}, ["/number"] = 1.5, ["/boolean"] = false,
      ["/nil"] = cjson.null, ["/null"] = cjson.null,
    }
    for target, value in pairs(values) do
      it("answers it as JSON: " .. target, function()
        local response = get(target)
        assert.equal(200, response.status)
        assert.equal("application/json", response.headers["content-type"])
        assert.same({ value }, cjson.decode("[" .. response.body .. "]"))
      end)
    end

    it("keeps an empty array one, and integers exact", function()
      assert.equal("[]", get("/array").body)
      assert.equal('{"n":9007199254740993}', get("/big-integer").body)
    end)

    it("answers a string as text", function()
      assert.equal("text/plain; charset=utf-8", get("/").headers["content-type"])
      assert.equal("0", get("/empty-text").headers["content-length"])
    end)

    it("answers 204 with nothing behind the head", function()
      local connection = running:connect()
      local response = connection:request("GET", "/none")
      assert.equal(204, response.status)
      assert.is_nil(response.headers["content-length"])
      assert.is_nil(response.headers["content-type"])
      assert.equal("root", connection:request("GET", "/").body)
      connection:close()
    end)

    it("answers the declared status", function()
      local response = running:request("POST", "/made")
      assert.equal(201, response.status)
      expect_same_json({ id = 1, name = "Ada" }, response)
    end)
  end)

  describe("that returns demilune.response", function()
    it("sets status, header fields, lists of them, and a JSON body", function()
      local response = get("/response")
      assert.equal(202, response.status)
      assert.equal("1", response.headers["x-one"])
      assert.equal("7", response.headers["x-number"])
      assert.truthy(response.head:find("\r\nX-Two: a\r\nX-Two: b\r\n", 1, true))
      expect_same_json({ a = 1 }, response)
    end)

    it("sends a text under its own type", function()
      local response = get("/response-text")
      assert.equal("text/html", response.headers["content-type"])
      assert.equal("<p>", response.body)
    end)

    -- That of 205 is read (RFC 9110 15.3.6, RFC 9112 6.3), so that it has a length.
    it("sends no body with statuses that have none", function()
      local connection = running:connect()
      for target, status in pairs { ["/response-empty"] = 304, ["/response-204"] = 204, ["/response-205"] = 205, ["/none-205"] = 205 } do
        local response = connection:request("GET", target)
        assert.equal(status, response.status, target)
        assert.equal(status == 205 and "0" or nil, response.headers["content-length"], target)
        assert.is_nil(response.headers["content-type"], target)
        assert.equal("root", connection:request("GET", "/").body)
      end
      for _, lost in ipairs { "/none-205-but-something", "/response-205?body=a" } do assert.equal(500, connection:request("GET", lost).status) end
      connection:close()
    end)

    it("sends each cookie in a line of its own", function()
      assert.truthy(get("/cookies").head:find("\r\nSet-Cookie: a=1; HttpOnly\r\nSet-Cookie: b=2; Secure\r\n", 1, true))
    end)

    it("sends a status without a name", function() assert.equal(299, get("/odd-status").status) end)

    it("replaces a field that its route declares, and a policy of ours, instead of sending two", function()
      assert.equal("declared", get("/fixed").headers["x-fixed"])
      local own = get("/fixed?own=1")
      assert.equal("own", own.headers["x-fixed"])
      assert.equal("no-store", own.headers["cache-control"])
      assert.equal("default-src 'self'", get("/policy").headers["content-security-policy"])
      assert.equal("nosniff", get("/policy").headers["x-content-type-options"])
    end)
  end)

  describe("that is given a text with a line break for a header field", function()
    local texts = { ["a CRLF"] = "%0d%0aX-Injected:%20yes", ["a bare LF"] = "%0aX-Injected:%20yes", ["a bare CR"] = "%0dX-Injected:%20yes" }
    for _, target in ipairs { "/inject", "/inject-list", "/inject-type", "/inject-abort", "/inject-stream", "/inject-name" } do
      for what, text in pairs(texts) do
        it("answers 500 and nothing injected: " .. what .. " to " .. target, function()
          local response = get(target .. "?text=a" .. text)
          assert.equal(500, response.status)
          assert.is_nil(response.headers["x-injected"])
          assert.is_nil(response.head:lower():find("injected", 1, true))
          assert.is_nil(response.body:lower():find("injected", 1, true))
        end)
      end
    end

    it("sends what only looks like one", function()
      assert.equal("a%0d%0ab", get("/inject?text=%250d%250ab").headers["x-a"])
      assert.equal(200, get("/inject?text=%C3%A9").status)
    end)

    it("cannot write the framing itself", function()
      expect_500("/own-length", "Content-Length")
      expect_500("/own-framing", "Transfer-Encoding")
    end)
  end)

  describe("that returns what cannot be a response", function()
    local reasons = {
      ["/none-but-something"] = "no body", ["/function"] = "function", ["/userdata"] = "userdata", ["/nested-function"] = "[1].b",
      ["/circle"] = "does one hold itself", ["/deep"] = "nested", ["/holes"] = "holes", ["/mixed"] = "keys", ["/nan"] = "not a number",
      ["/infinite"] = "infinite", ["/status-text"] = "status", ["/status-999"] = "status", ["/headers-text"] = "headers",
      ["/headers-function"] = "header", ["/body-function"] = "function", ["/unknown-option"] = "no field code",
    }
    for target, reason in pairs(reasons) do
      it("answers 500, and the log says why: " .. target, function() expect_500(target, reason) end)
    end

    it("runs none of its metamethods", function() assert.equal("{}", get("/traps").body) end)

    it("keeps the type of responses out of its reach", function() assert.are_not.equal("table", get("/response-type").body) end)

    it("writes text that is not UTF-8 as JSON that is", function()
      assert.equal("\239\191\189\239\191\189", json(get("/bad-text")).s)
    end)
  end)

  describe("with a response model", function()
    it("lets out nothing that the model does not name", function()
      for _, target in ipairs { "/filtered", "/filtered-list", "/filtered-response" } do
        local response = get(target)
        assert.equal(200, response.status)
        assert.is_nil(response.body:find("hunter2", 1, true))
        assert.is_nil(response.body:find("password", 1, true))
      end
      assert.equal('{"id":1,"name":"Ada"}', get("/filtered").body)
    end)

    local breaches = {
      ["/breach-missing"] = "name", ["/breach-type"] = "id", ["/breach-nil"] = "return", ["/breach-text"] = "response model",
      ["/breach-trap"] = "response model", ["/breach-length"] = "name",
    }
    for target, reason in pairs(breaches) do
      it("answers 500 when the value breaks it, and tells nobody the value: " .. target, function()
        local line = expect_500(target, reason)
        assert.is_nil(line:find("hunter2", 1, true))
      end)
    end
  end)

  it("with a response model runs no check function: those are for what comes in", function()
    assert.equal('{"id":-1}', get("/unchecked").body)
  end)

  describe("that raises", function()
    local errors = {
      ["/error"] = "secret reason", ["/error-table"] = [[{\"secret\":\"reason\"}]], ["/error-tostring"] = "shown in the log",
      ["/error-bad-tostring"] = "cannot be shown", ["/error-endless-tostring"] = "cannot be shown", ["/error-nil"] = "nil",
      ["/error-number"] = "42", ["/error-function"] = "function: ", ["/error-nul"] = [[a\u0000b\r\n\u001b[31m]],
      ["/error-runtime"] = "attempt to index", ["/error-overflow"] = "stack overflow", ["/error-c-overflow"] = "error",
      ["/dependency-error"] = "the dependency broke", ["/yield"] = "coroutine.yield() outside",
    }
    for target, reason in pairs(errors) do
      it("answers 500 and logs it: " .. target, function() expect_500(target, reason) end)
    end

    it("logs the place, and the traceback beside it", function()
      local line = cjson.decode(expect_500("/error", "secret reason"))
      assert.truthy(line.error:match("^app%.lua:%d+: secret reason$"))
      assert.truthy(line.traceback:match("app%.lua:%d+"))
      line = cjson.decode(expect_500("/dependency-error", "the dependency broke"))
      assert.truthy(line.error:match("^app%.lua:%d+: the dependency broke$"), line.error)
      assert.truthy(line.traceback:match("app%.lua:%d+"))
    end)

    it("fills no log with one error", function()
      local before = #running:log()
      assert.equal(500, get("/error-long").status)
      assert.equal("root", get("/").body)
      assert.is_true(#running:log() - before < 100000, #running:log() - before .. " bytes")
    end)

    it("by demilune.abort answers what that says", function()
      for _, status in ipairs { 300, 400, 404, 418, 451, 499, 503, 599 } do
        local response = get("/abort?status=" .. status)
        assert.equal(status, response.status)
        expect_same_json({ detail = "reason" }, response)
      end
      expect_same_json({ detail = "Not Found" }, get("/abort-bare"))
      local response = get("/abort-table")
      assert.equal("3", response.headers["retry-after"])
      expect_same_json({ detail = { field = "email", list = { 1 } } }, response)
      assert.equal(410, get("/abort-from-deep").status)
      expect_same_json({ detail = "said aloud" }, get("/abort-500"))
    end)

    it("by demilune.abort in a dependency answers that", function()
      local response = get("/dependency-abort")
      assert.equal(403, response.status)
      assert.equal("because", response.headers["x-why"])
    end)

    it("by a demilune.abort that cannot be one answers 500", function()
      expect_500("/abort?status=200", "300 to 599")
      expect_500("/abort?status=600", "300 to 599")
      expect_500("/abort?status=400.5", "300 to 599")
      expect_500("/abort", "300 to 599")
      expect_500("/abort-function", "function")
    end)
  end)

  describe("with coroutines", function()
    it("may use its own", function() assert.equal("[1,2,3]", get("/generator").body) end)
    it("cannot wait inside one, and is told so where it tried", function()
      expect_500("/wait-inside", "demilune.sleep cannot wait inside a coroutine of the app's own")
      local response = json(get("/wait-caught"))
      assert.is_false(response.ok)
      assert.truthy(response.why:find("cannot wait inside a coroutine of the app's own", 1, true))
      assert.equal("dead", response.status)
    end)
    it("cannot wait where C calls it back, and can go on afterwards", function()
      local response = json(get("/wait-in-sort"))
      assert.is_false(response.ok)
      assert.truthy(response.why:find("cannot wait inside a function that C calls back", 1, true), response.why)
    end)
    it("can catch the error of a yield that leads nowhere", function() assert.equal("false", get("/caught-yield").body) end)
    it("cannot resume itself", function()
      assert.is_false(json(get("/resume-self"))[1])
      assert.equal(200, get("/wrap-handler").status)
    end)
  end)

  describe("given a request", function()
    it("reads what was sent, declared or not", function()
      local response = running:request("POST", "/raw?a=1&b=2&a=3", {
        headers = { Cookie = "a=b; c=d", ["X-One"] = "one" }, body = "bytes\0too",
      })
      local got = json(response)
      assert.same({ "a=1+3&b=2", "b", "one", "one", nil, "POST", "/raw?a=1&b=2&a=3", "/raw", "127.0.0.1", 16, "bytes\0too", "nil" }, {
        got.query, got.cookie, got.header, got.get, got.missing, got.method, got.target, got.route, got.client, got.id, got.body, got.form,
      })
    end)

    it("finds nothing of another request in it", function()
      local connection = running:connect()
      for mark = 1, 5 do
        local got = json(connection:request("GET", "/own-fields?mark=" .. mark))
        assert.same({ after = tostring(mark), replaced = 0, before = nil }, got)
      end
      connection:close()
    end)

    it("that it kept finds it closed, never another client's", function()
      local connection = running:connect()
      connection:request("GET", "/keep/secret")
      for _ = 1, 3 do
        local got = json(connection:request("GET", "/use-kept?other=mine"))
        assert.same({}, got.leaked)
        assert.truthy(got.why:find("this request is over", 1, true))
      end
      connection:close()
      assert.same({}, json(get("/use-kept")).leaked)
      assert.equal("demilune.request", get("/fake-request").body)
    end)
  end)

  describe("with functions for after the response", function()
    local function done()
      return server.wait_until(PATIENCE, function()
        local text = get("/done").body
        return text ~= "" and text
      end)
    end

    it("has them run: release newest first, then after_response in order, whatever fails", function()
      assert.equal("answered", get("/after").body)
      assert.equal("release two true, release one true, after one true, after two true", done())
      assert.truthy(running:log_line("a function that ran after the response failed"))
    end)

    it("has them told of a failure", function()
      assert.equal(500, get("/after?fail=1").status)
      assert.equal("release two false, release one false, after one false, after two false", done())
    end)
  end)

  describe("asked by HEAD", function()
    it("answers the head of its GET, and nothing behind it", function()
      local connection = running:connect()
      for target, status in pairs { ["/"] = 200, ["/table"] = 200, ["/none"] = 204, ["/response"] = 202, ["/error"] = 500, ["/large"] = 200,
        ["/abort?status=404"] = 404, ["/filtered"] = 200 } do
        local whole, head = get(target), connection:request("HEAD", target)
        assert.same({ status, status }, { whole.status, head.status }, target)
        assert.equal(whole.headers["content-type"], head.headers["content-type"], target)
        if target ~= "/error" then assert.equal(whole.headers["content-length"], head.headers["content-length"], target) end
      end
      assert.equal("root", connection:request("GET", "/").body)
      connection:close()
    end)
  end)
end)

describe("a handler in development", function()
  local running
  setup(function() running = server.start(APP, { command = "dev" }) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  it("shows its error as JSON to a program", function()
    local response = running:request("GET", "/error")
    local got = json(response)
    assert.equal(500, response.status)
    assert.truthy(got.error:match("^app%.lua:%d+: secret reason$"))
    assert.truthy(got.traceback:match("app%.lua:%d+: in function"))
    assert.equal(16, #got.request_id)
  end)

  it("shows its error as a page to a browser, with nothing of the request unescaped in it", function()
    local accept = { headers = { Accept = "text/html,application/xhtml+xml,*/*;q=0.8" } }
    local response = running:request("GET", "/error-html?text=%3Cscript%3E", accept)
    assert.equal(500, response.status)
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    assert.truthy(response.body:find("&lt;script&gt;alert", 1, true))
    assert.is_nil(response.body:find("<script", 1, true))
    assert.is_nil(response.headers["content-security-policy"]:find("script-src", 1, true))
    assert.truthy(response.headers["content-security-policy"]:find("default-src 'none'", 1, true))
  end)

  it("shows the traceback of a dependency's error once", function()
    local got = json(running:request("GET", "/dependency-error"))
    assert.truthy(got.error:match("^app%.lua:%d+: the dependency broke$"), got.error)
    assert.truthy(got.traceback:match("app%.lua:%d+"))
  end)

  it("says what broke the response model, and where", function()
    assert.truthy(json(running:request("GET", "/breach-missing")).error:find("name", 1, true))
    local said = "^the handler gave nothing, which breaks the route's response model: .+; is there a return%?$"
    for _, target in ipairs { "/breach-nil", "/breach-nil-behind" } do assert.matches(said, json(running:request("GET", target)).error) end
    assert.is_nil(json(running:request("GET", "/breach-text")).error:find("return", 1, true))
  end)
end)
