-- SPDX-License-Identifier: MIT
-- Sends the cases of tests/attack/framing/cases.lua to a server that counts: alone, behind a good request, before one, and cut in two at
-- every byte. However they come, the statuses are the same, and handlers saw as many requests as they answered.

local assert = require "luassert"
local busted = require "busted" -- a module sees none of the words that busted gives to specs
local server = require "spec.support.server"

local framing = {}

framing.APP = [[
local demilune = require "demilune"
local app = demilune.app { title = "counts", version = "1", guard = demilune.guard.public, limits = { max_body = 100000 } }
local seen, smuggled = 0, 0
local function count(req)
  seen = seen + 1
  return { id = req:get_header("X-Id") or demilune.null, user = req:get_header("X-User") or demilune.null, length = #(req.body or "") }
end
app:get("/", count)
app:post("/echo", count)
app:route({ "GET", "POST" }, "/smuggled", function(req)
  smuggled = smuggled + 1
  return count(req)
end)
app:get("/seen", function() return { seen = seen, smuggled = smuggled } end)
return app
]]

local BATCH = 150 -- connections at once
local GOOD = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
local LAST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

---@class framing.Case
---@field name string
---@field bytes string the attack
---@field answers integer[] statuses that answer it, interim ones left out
---@field stays? boolean the connection goes on behind it
---@field early? boolean but not when it was cut in its body
---@field smuggled? integer requests for /smuggled in it that are requests of their own by every standard
---@field unfinished? boolean its last request ends only with the connection: never sent before another, nor through a proxy

--- The responses in what a server sent before it closed: status and body. A body that is not there (HEAD) shows by the next status line.
---@param headless? boolean the last one may be HTTP/0.9's: a body without a head
function framing.replies(bytes, headless)
  local replies, at = {}, 1
  while at <= #bytes do
    if headless and bytes:sub(at, at) == "{" then
      replies[#replies + 1] = { status = 200, head = "", body = bytes:sub(at) }
      return replies
    end
    local _, last = bytes:find("\r\n\r\n", at, true)
    assert(last and bytes:match("^HTTP/1%.[01] %d%d%d", at), "not a response: " .. bytes:sub(at, at + 200))
    local head = bytes:sub(at, last):lower()
    local status, length = tonumber(head:match("^http/1%.%d (%d+)")), tonumber(head:match("\r\ncontent%-length: (%d+)") or 0)
    if bytes:find("^HTTP/1%.", last + 1) then length = 0 end
    if status >= 200 then replies[#replies + 1] = { status = status, head = head, body = bytes:sub(last + 1, last + length) } end
    at = last + length + 1
  end
  return replies
end

local function statuses(replies)
  local list = {}
  for index, reply in ipairs(replies) do list[index] = reply.status end
  return table.concat(list, " ")
end

--- Requests that handlers have seen, and those for /smuggled among them.
function framing.seen(running)
  local body = running:request("GET", "/seen").body
  return tonumber(body:match('"seen":(%d+)')), tonumber(body:match('"smuggled":(%d+)'))
end

--- How a case is sent: what to send, where to cut it, and the statuses that must come.
local function sendings(case, split)
  local answers = table.concat(case.answers, " ")
  local list = {}
  local head = select(2, case.bytes:find("\r\n\r\n", 1, true))
  local function add(before, behind, cut)
    local stays = case.stays and not (case.early and cut and cut - #before >= head)
    local expected = (before ~= "" and "200 " or "") .. answers .. ((behind ~= "" and stays) and " 200" or "")
    list[#list + 1] = { bytes = before .. case.bytes .. behind, cut = cut, expected = expected }
  end
  local behind = case.unfinished and "" or LAST
  add("", "")
  add(GOOD, "")
  add("", behind)
  add(GOOD, behind)
  if split then
    local step = math.max(1, math.floor(#case.bytes / 400)) -- a long case is mostly one letter over and over
    for cut = 1, #case.bytes - 1, step do add("", behind, cut) end
    for cut = 1, #case.bytes - 1, step do add(GOOD, behind, #GOOD + cut) end
  end
  return list
end

local function send_batch(running, batch)
  for _, sending in ipairs(batch) do
    sending.connection = running:connect()
    sending.connection:send(sending.bytes:sub(1, sending.cut or -1))
  end
  -- The server serves in the order in which things arrive: when it has answered on a newer connection, it has read every first half.
  if batch[#batch].cut then
    for _ = 1, 2 do framing.seen(running) end
  end
  for _, sending in ipairs(batch) do
    if sending.cut then sending.connection:send(sending.bytes:sub(sending.cut + 1)) end
    sending.connection:shutdown()
  end
  for _, sending in ipairs(batch) do
    sending.received, sending.ending = sending.connection:read_rest()
    sending.connection:close()
  end
end

local function check(case, sending)
  local where = case.name .. (sending.cut and ", cut at byte " .. sending.cut or "")
  assert.equal("closed", sending.ending, where)
  local replies = framing.replies(sending.received)
  assert.equal(sending.expected, statuses(replies), where)
  local served = 0
  for _, reply in ipairs(replies) do
    if reply.status == 200 then
      served = served + 1
      assert.is_nil(reply.body:find("trailer", 1, true), where .. ": a trailer was taken for a field")
    end
  end
  return served
end

--- Sends a case in every way; handlers must have seen as many requests as were answered by them, and none that was hidden in another.
---@param case framing.Case
function framing.attack(running, case, split)
  local before, smuggled_before = framing.seen(running)
  local list, served = sendings(case, split), 0
  for first = 1, #list, BATCH do
    local batch = {}
    for index = first, math.min(first + BATCH - 1, #list) do batch[#batch + 1] = list[index] end
    send_batch(running, batch)
    for _, sending in ipairs(batch) do served = served + check(case, sending) end
  end
  local after, smuggled = framing.seen(running)
  assert.equal(served, after - before, case.name .. ": requests that handlers saw")
  assert.equal((case.smuggled or 0) * #list, smuggled - smuggled_before, case.name .. ": requests that were smuggled")
end

--- A whole spec: the cases of one group, each a test of its own.
---@param promise string
---@param cases framing.Case[]
function framing.promise(promise, cases)
  busted.describe(promise, function()
    local running
    busted.setup(function() running = server.start(framing.APP) end)
    busted.teardown(function()
      local status, log = running:stop()
      assert(status == 0, log)
    end)
    for _, case in ipairs(cases) do
      busted.it(case.name, function() framing.attack(running, case, true) end)
    end
  end)
end

framing.GOOD, framing.LAST = GOOD, LAST

return framing
