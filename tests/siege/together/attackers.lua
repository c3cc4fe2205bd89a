-- SPDX-License-Identifier: MIT
-- What each hostile client of tests/siege/run does, one step at a time, and what must come back. tests/siege/together/attack.lua runs one of
-- them. A step counts what it sent and what became of it; an answer that must not come is "odd" and told.

local cases = require "tests.attack.framing.cases"
local framing = require "tests.attack.support.framing"
local http = require "spec.support.http"
local prometheus = require "spec.support.prometheus"
local server = require "spec.support.server"
local socket = require "socket"
local tokens = require "tests.attack.support.tokens"

---@class siege.Attack
---@field port integer of the plain server
---@field tls_port integer
---@field admin_port integer of the plain server
---@field masters integer[]
---@field count fun(what: string)
---@field odd fun(what: string) an answer that must not be
---@field record fun(line: string)

local attackers = {}

local function connect(port, from)
  local tcp = socket.tcp4()
  tcp:setoption("reuseaddr", true)
  assert(tcp:bind(from or "127.0.0.2", 0))
  assert(tcp:connect("127.0.0.1", port))
  return http.wrap(tcp)
end

local function random_bytes(count)
  local bytes = {}
  for index = 1, count do bytes[index] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- Gives one of a list after the other, over and over.
local function in_turn()
  local at = 0
  return function(list)
    at = at % #list + 1
    return list[at]
  end
end

-- --- bytes that two programs could read differently ------------------------------------------

local function statuses(replies)
  local list = {}
  for index, reply in ipairs(replies) do list[index] = reply.status end
  return list
end

local function is_prefix(list, of)
  for index, value in ipairs(list) do
    if of[index] ~= value then return false end
  end
  return #list < #of
end

-- Sends bytes, perhaps in two parts, and says that nothing follows. The worker may be killed meanwhile: then fewer answers come, never others.
local function exchange(attack, name, bytes, expected, cut)
  local connection = connect(attack.port)
  attack.count "sent"
  connection:send(bytes:sub(1, cut or -1))
  if cut then
    socket.sleep(0.002)
    connection:send(bytes:sub(cut + 1))
  end
  connection:shutdown()
  local received, ending = connection:read_rest()
  connection:close()
  local whole, replies = pcall(framing.replies, received)
  local came = whole and statuses(replies) or {}
  if ending == "closed" and whole and table.concat(came, " ") == table.concat(expected, " ") then
    local last = came[#came]
    attack.count(not last and "closed" or (last < 400 and "served " or "refused ") .. last)
  elseif ending == "closed" and is_prefix(came, expected) then
    attack.count "cut"
  else
    attack.odd(("%s: %s instead of %s, %s"):format(name, table.concat(came, " "), table.concat(expected, " "), ending))
  end
end

function attackers.framing(attack)
  local all = {}
  for _, group in pairs(cases) do
    for _, case in ipairs(group) do
      if not case.smuggled then all[#all + 1] = case end -- so that every request for /smuggled that a handler sees is one too many
    end
  end
  return function()
    local case = all[math.random(#all)]
    local before = math.random(2) == 1 and framing.GOOD or ""
    local expected = { unpack(case.answers) }
    if before ~= "" then table.insert(expected, 1, 200) end
    local bytes = before .. case.bytes
    exchange(attack, case.name, bytes, expected, math.random(2) == 1 and math.random(#bytes - 1) or nil)
  end
end

-- --- credentials --------------------------------------------------------------------------------

local HEADER = '{"alg":"HS256","typ":"JWT"}'

-- Bytes that may stand in a field.
local function random_text(count) return (random_bytes(count):gsub("[%c\127-\255 ]", "x")) end

-- Each with the status that it must bring: 401 for what is a token and a bad one, 400 for what is none (RFC 6750 section 3.1), 200 for a good one.
local function credentials()
  local good = tokens.make(HEADER, tokens.claims())
  local header, claims, signature = good:match("^(.-)%.(.-)%.(.-)$")
  local function bad(token) return { "Bearer " .. token, 401 } end
  return {
    { "Bearer " .. good, 200 }, { "Basic YTpi", 401 }, { "", 400 }, { "Bearer", 400 }, { "Bearer [" .. random_text(40), 400 }, bad "a.b.c",
    bad(tokens.make(HEADER, tokens.claims(), tokens.OTHER_SECRET)),
    bad(tokens.make('{"alg":"none"}', tokens.claims(), function() return "" end)),
    bad(tokens.make('{"alg":"HS512"}', tokens.claims())), bad(tokens.make(HEADER, '{"sub":"ada","exp":1}')),
    bad(tokens.make(HEADER, '{"sub":"ada"}')), bad(tokens.make(HEADER, '{"sub":"ada","exp":1e400}')),
    bad(header .. "." .. claims .. "."), bad(header .. "." .. claims .. "." .. signature:reverse()),
    bad(good .. "="), bad(good .. "." .. signature), bad(good .. ("a"):rep(8300)),
  }
end

function attackers.tokens(attack)
  local turn = in_turn()
  return function()
    local connection = connect(attack.port)
    local authorization, expected = unpack(turn(credentials()))
    attack.count "sent"
    local reply = connection:request("GET", "/door", { headers = { Authorization = authorization } })
    connection:close()
    if not reply then attack.count "cut"
    elseif reply.status == expected then attack.count((expected == 200 and "genuine ones served " or "refused ") .. reply.status)
    else attack.odd(("%d instead of %d to %s"):format(reply.status, expected, authorization:sub(1, 60))) end
  end
end

-- --- too much -----------------------------------------------------------------------------------

local function post(fields, body) return "POST /echo HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n\r\n" .. (body or "") end

local MUCH = {
  { "a length of 10 MB", post "Content-Length: 10000000", 413 },
  { "a body over its limit", post("Content-Length: 200000", ("a"):rep(200000)), 413 },
  { "chunks over the limit", post("Transfer-Encoding: chunked", ("4000\r\n" .. ("a"):rep(0x4000) .. "\r\n"):rep(8)), 413 },
  { "a field of 20 KiB", "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("a"):rep(20000) .. "\r\n\r\n", 431 },
  { "200 fields", "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: a\r\n"):rep(200) .. "\r\n", 431 },
  { "a target of 9 KiB", "GET /" .. ("a"):rep(9000) .. " HTTP/1.1\r\nHost: a\r\n\r\n", 414 },
  { "JSON that is 10,000 deep", "POST /rows HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n"
    .. ("["):rep(10000), 422 },
}

function attackers.oversized(attack)
  local turn = in_turn()
  return function()
    local what = turn(MUCH)
    exchange(attack, what[1], what[2], { what[3] })
  end
end

-- --- no HTTP at all -------------------------------------------------------------------------------

local STARTS = { "", "\22\3\1\2", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX", -- no end of the head by chance
  "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" }

-- Whatever comes back, it is no success.
local function throw_bytes(attack, port, bytes, under_tls)
  local connection = connect(port)
  attack.count "sent"
  connection:send(bytes)
  connection:shutdown()
  local received, ending = connection:read_rest()
  connection:close()
  local status = tonumber(received:match("^HTTP/1%.1 (%d+)"))
  if ending ~= "closed" then attack.odd "not closed"
  elseif status and (status < 400 or status >= 500 and status ~= 501 and status ~= 505) then attack.odd("status " .. status)
  elseif status then attack.count("refused " .. status)
  elseif under_tls and received:byte(1) == 21 then attack.count "refused by an alert"
  else attack.count "closed" end
end

function attackers.garbage(attack)
  return function() throw_bytes(attack, attack.port, STARTS[math.random(#STARTS)] .. random_bytes(math.random(400))) end
end

-- A ClientHello's record and handshake headers with any bytes behind them.
local function broken_hello()
  local body = random_bytes(math.random(40, 300))
  local function length(count) return string.char(bit.rshift(count, 8), bit.band(count, 255)) end
  return "\22\3\1" .. length(#body + 4) .. "\1\0" .. length(#body) .. body
end

function attackers.tls_garbage(attack)
  return function()
    local kind = math.random(4)
    local bytes = kind == 1 and random_bytes(math.random(400)) or kind == 2 and framing.GOOD or broken_hello()
    throw_bytes(attack, attack.tls_port, kind == 4 and bytes:sub(1, math.random(#bytes - 1)) or bytes, true)
  end
end

-- --- connections that end early, and too many of them ------------------------------------------------

function attackers.half_closed(attack)
  local BODY = post("Content-Length: 99", "half")
  local turn = in_turn()
  return function()
    local kind = turn { "whole", "half a head", "half a body", "reset" }
    if kind == "whole" then exchange(attack, "a whole request", framing.GOOD, { 200 })
    elseif kind == "half a head" then exchange(attack, kind, "GET / HTTP/1.1\r\nHo", {}) -- nothing was asked, so nothing is answered
    elseif kind == "half a body" then exchange(attack, kind, BODY, { 400 })
    else
      local connection = connect(attack.port)
      attack.count "sent"
      connection:send(math.random(2) == 1 and framing.GOOD:rep(20) or BODY)
      connection:close(true)
      attack.count "reset by us"
    end
  end
end

local function get(target, fields) return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(target, fields or "") end

local function preflight(method)
  local asked = "Origin: https://front.example\r\nAccess-Control-Request-Method: " .. method .. "\r\n"
  return get("/shared", asked):gsub("^GET", "OPTIONS")
end

-- Each with its status: long answers of handlers and of none, some in chunks.
local function right_requests()
  local unknown = {}
  for number = 1, 300 do unknown[number] = ('"field%d":1'):format(number) end
  local wrong = "{" .. table.concat(unknown, ",") .. "}"
  local row = "POST /rows HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
  return {
    { get "/docs", 200 }, { get "/openapi.json", 200 }, { get "/big", 200 }, { get "/rows", 200 }, { get "/nothing", 404 }, { get "/", 200 },
    { get("/big"):gsub("^GET", "HEAD"), 200 }, { row:format(#wrong, wrong), 422 }, { preflight "GET", 204 }, { preflight "TRACE", 204 },
    { post("Transfer-Encoding: chunked", "3;a=b\r\nabc\r\n0\r\n\r\n"), 200 }, { get "/stream", 200, in_chunks = true },
  }
end

-- Asks for much, all of it rightly, and goes away in the midst of the answers; now and then it stays, and what comes has to be right.
function attackers.leavers(attack)
  local all = right_requests()
  return function()
    local stays = math.random(4) == 1
    local requests, expected = {}, {}
    for _ = 1, math.random(12) do
      local chosen = all[math.random(#all)]
      if not (stays and chosen.in_chunks) then
        requests[#requests + 1] = chosen[1]
        expected[#expected + 1] = chosen[2]
      end
    end
    local bytes = table.concat(requests)
    if stays then return exchange(attack, "answers to who stays", bytes, expected) end
    local connection = connect(attack.port)
    attack.count "sent"
    connection:send(math.random(3) == 1 and bytes:sub(1, math.random(#bytes)) or bytes)
    for _ = 1, math.random(0, 3) do connection:read(0.02) end
    connection:close(math.random(2) == 1)
    attack.count "left"
  end
end

-- More at once from one address than one address may have.
function attackers.flood(attack)
  local AT_ONCE = 350
  return function()
    local all = {}
    for index = 1, AT_ONCE do all[index] = connect(attack.port, "127.0.0.3") end
    attack.count("sent", AT_ONCE)
    local turned_away
    local function look()
      turned_away = 0
      for _, connection in ipairs(all) do turned_away = turned_away + (select(2, connection:read(0)) == "closed" and 1 or 0) end
      return turned_away > 0
    end
    socket.sleep(0.3)
    server.wait_until(5, look)
    attack.count("turned away", turned_away)
    attack.count("let in", AT_ONCE - turned_away)
    for _, connection in ipairs(all) do connection:close(true) end
  end
end

-- --- limits ---------------------------------------------------------------------------------------------

local METRICS_LAG = 1 -- seconds; workers write down their part of these every quarter of a second

-- Checks that Redis answered, and that it did not.
local function store_checks(attack)
  local connection = http.connect(attack.admin_port)
  local page = prometheus.read(connection:request("GET", "/metrics").body)
  connection:close()
  local function sum(result) return page:sum("demilune_limit_store_checks_total", { result = result }) end
  return sum "answered", sum "failed" + sum "unavailable"
end

-- Each is a client that was never there before, and asks more often than it may, on several connections.
function attackers.limits(attack)
  local TIMES, number = 12, os.time() % 5000000 -- at most one a second, so that an earlier run used none of these
  return function()
    number = number + 1
    local address = ("127.%d.%d.%d"):format(100 + math.floor(number / 60000), math.floor(number / 250) % 240, number % 250 + 1)
    local admitted, refused, lost, began = 0, 0, 0, socket.gettime()
    local answered, unanswered = store_checks(attack)
    for _ = 1, 3 do
      local connection = connect(attack.port, address)
      for _ = 1, TIMES / 3 do
        local reply = connection:request("GET", "/limited")
        attack.count "sent"
        if not reply then lost = lost + 1
        elseif reply.status == 200 then admitted = admitted + 1
        elseif reply.status == 429 then refused = refused + 1
        else attack.odd("status " .. reply.status) end
        if not reply then break end
      end
      connection:close()
    end
    socket.sleep(METRICS_LAG)
    local answered_then, unanswered_then = store_checks(attack)
    attack.count("admitted", admitted)
    attack.count("refused 429", refused)
    attack.count("cut", lost)
    local stores = answered_then > answered and unanswered_then > unanswered and "both" or "one"
    attack.record(("client %.6f %.6f %d %d %s"):format(began, socket.gettime(), admitted, lost, stores))
  end
end

-- --- those who run it -------------------------------------------------------------------------------------

-- Not hostile: the operator, who reloads while all this goes on. One that meets a kill may fail, and says so; the service goes on as it was.
function attackers.reloads(attack)
  local turn = in_turn()
  return function()
    attack.count "sent"
    local pipe = io.popen(("%s reload tests/siege/together/app --pid=%d 2>&1; echo status $?"):format(server.program, turn(attack.masters)))
    local said = pipe:read("*a")
    pipe:close()
    if said:find("status 0\n$") then return attack.count "done" end
    attack.count "failed"
    attack.record("failed " .. said:gsub("%s+", " "))
  end
end

return attackers
