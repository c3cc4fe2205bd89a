-- SPDX-License-Identifier: MIT
-- HTTP/2 has lengths of its own, and lets any byte stand in a field; a front that writes it down as HTTP/1.1 decides where a request ends.
-- Whatever a client sends so, each answer goes to the request that it answers, and no handler sees another request.

local cjson = require "cjson"
local fronts = require "tests.attack.support.http2_fronts"
local http2 = require "tests.attack.support.http2"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "tells", version = "1", guard = demilune.guard.public }
local seen = {}
local function tell(req)
  local tag = req:get_header("X-User") or "none"
  seen[#seen + 1] = { tag = tag, body = req.body or "" }
  return { tag = tag }
end
app:get("/", tell)
app:post("/echo", tell)
app:route({ "GET", "POST" }, "/smuggled", tell)
app:get("/seen", function()
  local list = seen
  seen = {}
  return demilune.array(list)
end)
return app
]]

local HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
local CHUNKED_HIDDEN = ("%x\r\n%s\r\n0\r\n\r\n"):format(#HIDDEN, HIDDEN)
local END_HIDDEN = "0\r\n\r\n" .. HIDDEN

---@param pseudo? table<string, string> in place of the usual ones; "none" leaves it out
---@param fields? string[][] behind them
local function request(method, path, pseudo, fields)
  local list = {}
  for _, each in ipairs { { ":method", method }, { ":path", path }, { ":scheme", "http" }, { ":authority", "a" } } do
    local value = (pseudo or {})[each[1]] or each[2]
    if value ~= "none" then list[#list + 1] = { each[1], value } end
  end
  for _, field in ipairs(fields or {}) do list[#list + 1] = field end
  return list
end

local function get(fields, pseudo) return { fields = request("GET", "/", pseudo, fields) } end
local function post(fields, body, more)
  local made = { fields = request("POST", "/echo", nil, fields), body = type(body) == "table" and body or { body } }
  for name, value in pairs(more or {}) do made[name] = value end
  return made
end

local function letters(text)
  local list = {}
  for letter in text:gmatch "." do list[#list + 1] = letter end
  return list
end

local attacks = {}

function attacks.lengths(add)
  for _, length in ipairs { "0", "1", "34", "36", "99999", "18446744073709551617", "-1", "+35", "35 ", " 35", "35,35", "0x23", "35.0", "", "3 5" } do
    add("a length of '" .. length .. "' before 35 bytes", post({ { "content-length", length } }, HIDDEN))
    add("a length of '" .. length .. "' before nothing", get { { "content-length", length } })
  end
  add("two lengths", post({ { "content-length", "0" }, { "content-length", "35" } }, HIDDEN))
  add("a length of another name", post({ { "content_length", "0" } }, HIDDEN))
  add("a length in capitals", post({ { "Content-Length", "0" } }, HIDDEN))
  add("a body behind GET", { fields = request("GET", "/"), body = { HIDDEN } })
  add("a body behind GET, and a length of 0", { fields = request("GET", "/", nil, { { "content-length", "0" } }), body = { HIDDEN } })
  add("a body that is given up", post({ { "content-length", "99" } }, HIDDEN, { reset = true }))
  add("a body without length that is given up", post({}, HIDDEN, { reset = true }))
end

function attacks.codings(add)
  for _, coding in ipairs { "chunked", " chunked", "chunked, identity", "identity", "xchunked", "chunked\r\nX: a", "\11chunked", "gzip, chunked" } do
    for _, name in ipairs { "transfer-encoding", "Transfer-Encoding", "transfer_encoding", "transfer-encoding ", "x: a\r\ntransfer-encoding" } do
      add(name .. ": " .. coding, post({ { name, coding } }, END_HIDDEN))
      add(name .. ": " .. coding .. ", and a length", post({ { name, coding }, { "content-length", tostring(#END_HIDDEN) } }, END_HIDDEN))
    end
  end
  add("TE", post({ { "te", "chunked" } }, END_HIDDEN))
  add("chunks in a body", post({}, CHUNKED_HIDDEN))
  for _, name in ipairs { "content-length", "transfer-encoding", "host" } do
    add("Connection that names " .. name, post({ { "connection", name }, { "content-length", tostring(#HIDDEN) } }, HIDDEN))
  end
  add("an upgrade to h2c", get { { "connection", "upgrade, http2-settings" }, { "upgrade", "h2c" }, { "http2-settings", "AAMAAABkAAQAAP__" } })
  add("an upgrade to WebSocket", get { { "connection", "upgrade" }, { "upgrade", "websocket" }, { "sec-websocket-version", "13" } })
  add("100-continue", post({ { "expect", "100-continue" } }, HIDDEN))
  add("another expectation", post({ { "expect", "100-continue\r\nContent-Length: 0" } }, HIDDEN))
end

function attacks.injections(add)
  local lines = { ["a coding"] = "Transfer-Encoding: chunked", ["a length"] = "Content-Length: 0", ["a request"] = HIDDEN }
  for _, ending in ipairs { "\r\n", "\n", "\r", "\0", "\r\n\r\n" } do
    local shown = ending:gsub(".", function(byte) return ("\\%d"):format(byte:byte()) end)
    for what, line in pairs(lines) do
      add(shown .. " and " .. what .. " in a value", post({ { "x", "a" .. ending .. line } }, END_HIDDEN))
      add(shown .. " and " .. what .. " in a name", post({ { "x: a" .. ending .. line, "b" } }, END_HIDDEN))
      for _, name in ipairs { ":method", ":path", ":scheme", ":authority" } do
        local before = ({ [":method"] = "GET / HTTP/1.1", [":path"] = "/ HTTP/1.1", [":scheme"] = "http", [":authority"] = "a" })[name]
        local made = post({}, END_HIDDEN)
        made.fields = request("POST", "/echo", { [name] = before .. ending .. line })
        add(shown .. " and " .. what .. " in " .. name, made)
      end
    end
  end
  for _, name in ipairs { "", ":", "x y", "x:y", ":x", "\r\n", "x\0", "x\127", "X" } do
    add("a field named '" .. name .. "'", get { { name, "a" } })
  end
end

-- Answers without a body, and such as come before one.
function attacks.methods(add)
  for _, method in ipairs { "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "QUERY", "M-SEARCH", "SOURCE" } do
    for _, path in ipairs { "/", "/echo", "/nothing" } do
      add(method .. " " .. path, { fields = request(method, path) })
      add(method .. " " .. path .. " with a body", { fields = request(method, path), body = { HIDDEN } })
      add(method .. " " .. path .. " with a length of 0 and a body", {
        fields = request(method, path, nil, { { "content-length", "0" } }), body = { HIDDEN },
      })
      add(method .. " " .. path .. " with a body that is given up", { fields = request(method, path), body = { HIDDEN }, reset = true })
    end
  end
end

function attacks.targets(add)
  for _, path in ipairs { "/ HTTP/1.1", "/\t", "/ ", " /", "", "*", "x", "?", "//b/", "/%2e%2e/smuggled/..", "/#/smuggled", "/\128", "http://b/" } do
    add("a path of '" .. path .. "'", get({}, { [":path"] = path }))
  end
  for _, method in ipairs { "", "get", "GET ", "GET /smuggled?", "GET /smuggled HTTP/1.1", "CONNECT", "PRI", "G\tT" } do
    add("a method of '" .. method .. "'", get({}, { [":method"] = method }))
  end
  for _, scheme in ipairs { "", "http://a/smuggled?", "http ", "ftp" } do add("a scheme of '" .. scheme .. "'", get({}, { [":scheme"] = scheme })) end
  for _, name in ipairs { "", "b", "a b", "b@a", "a/smuggled?", "a:0", "[", "a,b" } do
    add("an authority of '" .. name .. "'", get({}, { [":authority"] = name }))
    add("an authority and a host of '" .. name .. "'", get { { "host", name } })
    add("a host of '" .. name .. "' alone", get({ { "host", name } }, { [":authority"] = "none" }))
  end
  for _, name in ipairs { ":method", ":path", ":scheme", ":authority" } do
    add("no " .. name, get({}, { [name] = "none" }))
    add("another " .. name .. " behind it", get { { name, name == ":path" and "/smuggled" or "POST" } })
  end
  add("a status", get { { ":status", "200" } })
  add("an extended CONNECT", { fields = request("CONNECT", "/", nil, { { ":protocol", "websocket" } }), body = { HIDDEN } })
  add("two hosts", get { { "host", "a" }, { "host", "b" } })
end

function attacks.frames(add)
  add("a body in single bytes", post({}, letters(HIDDEN)))
  add("a body in single bytes and of a length", post({ { "content-length", "35" } }, letters(HIDDEN)))
  add("empty frames in a body", post({}, { "", "", HIDDEN, "", "" }))
  add("padding", post({ { "content-length", "35" } }, HIDDEN, { padding = HIDDEN }))
  add("padding without a length", post({}, { HIDDEN, HIDDEN }, { padding = END_HIDDEN }))
  add("a head in single bytes", { fields = request("GET", "/"), continued = true })
  local trailers = { ["x-user"] = "b", ["content-length"] = "0", ["transfer-encoding"] = "chunked", host = "b", [":path"] = "/smuggled" }
  for name, value in pairs(trailers) do
    local trailer = { { name, value } }
    add("a trailer " .. name, post({}, HIDDEN, { trailers = trailer }))
    add("a trailer " .. name .. " behind a length", post({ { "content-length", "35" } }, HIDDEN, { trailers = trailer }))
  end
  add("a trailer with a line in it", post({}, HIDDEN, { trailers = { { "x", "a\r\n\r\n" .. HIDDEN } } }))
  add("trailers before any body", post({}, {}, { trailers = { { "x", "a" } } }))
  local cookies = {}
  for index = 1, 50 do cookies[index] = { "cookie", "c" .. index .. "=1" } end
  add("a cookie in pieces", get(cookies))
  add("an ending in a piece of a cookie", get { { "cookie", "a=1" }, { "cookie", "b=2\r\n\r\n" .. HIDDEN } })
end

local sent, tags = {}, 0 -- by tag: what its body is, and whether a handler has seen it

-- A request with a word of its own, which its handler repeats.
local function tagged(made)
  local copy = {}
  for name, value in pairs(made) do copy[name] = value end
  tags = tags + 1
  copy.tag, copy.fields = "tag" .. tags, { unpack(made.fields) }
  copy.fields[#copy.fields + 1] = { "x-user", copy.tag }
  sent[copy.tag] = { body = table.concat(made.body or {}) }
  return copy
end

-- Sends requests beside each other: how many of them handlers answered. Each such answer has to be the request's own.
local function exchange(port, name, ...)
  local requests, answered = {}, 0
  for index, made in ipairs { ... } do requests[index] = tagged(made) end
  local bodies = http2.exchange(port, requests)
  for index, each in ipairs(requests) do
    local tag = (bodies[index] or ""):match '"tag":"(%w+)"'
    if tag then
      assert.equal(each.tag, tag, name)
      answered = answered + 1
    end
  end
  return answered
end

-- What handlers have seen since the last time: each of it was sent as a request, which nobody has seen before. A front that gives up a
-- request which it has sent on shows no answer, and where lengths disagree it may leave the rest of a body.
local function look(running, name)
  local list = cjson.decode(running:request("GET", "/seen").body)
  for _, each in ipairs(list) do
    local request_sent = sent[each.tag]
    assert.truthy(request_sent, name .. ": handlers saw what nobody sent: " .. cjson.encode(each))
    assert.is_nil(request_sent.seen, name .. ": handlers saw a request twice")
    request_sent.seen = true
    assert.equal(request_sent.body:sub(1, #each.body), each.body, name)
  end
  return #list
end

for _, front in ipairs(fronts.each) do
  describe("agrees with " .. front.name .. ", which speaks HTTP/2 to clients, on", function()
    local running, proxy, port

    setup(function()
      if front.missing then return end
      running = server.start(APP)
      proxy, port = fronts.start(front, running)
    end)
    teardown(function()
      if front.missing then return end
      proxy:stop()
      local status, log = running:stop()
      assert(status == 0, log)
    end)

    for group, list in pairs(attacks) do
      it(group, function()
        if front.missing then return pending "only continuous integration has to have it" end
        local good = get()
        assert.equal(1, exchange(port, "a good request", good))
        list(function(name, attack)
          local answered = exchange(port, name, attack) + exchange(port, name, good, good) + exchange(port, name, good, attack, good)
          local last = exchange(port, name, good)
          assert.equal(1, last, name .. ": a good request behind it")
          assert.is_true(look(running, name) >= answered + last, name)
        end)
      end)
    end
  end)
end
