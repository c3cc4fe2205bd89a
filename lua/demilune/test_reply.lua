-- SPDX-License-Identifier: MIT
-- Reads HTTP/1.1 responses for the test client: lengths, chunks, bodies that end
-- with the connection, and responses that have none. It reads one server, ours,
-- and raises when what came is no response.

local core = require "demilune.core"

local test_reply = {}

---@class demilune.TestReply
---@field status integer
---@field reason string
---@field headers table<string, string> by name in any case; several of one name joined by ", "
---@field cookies string[] the Set-Cookie fields as they came
---@field body string
---@field json fun(): any the body read as JSON; raises when it is none

---@class demilune.TestReader
---@field receive fun(): string? more bytes, nil when the server has closed
---@field buffer string
local Reader = {}
Reader.__index = Reader

---@param receive fun(): string?
---@return demilune.TestReader
function test_reply.reader(receive) return setmetatable({ receive = receive, buffer = "" }, Reader) end

-- More bytes into the buffer; false when there will be none.
local function fill(self)
  local bytes = self.receive()
  if not bytes then return false end
  self.buffer = self.buffer .. bytes
  return true
end

local function take(self, count)
  local bytes = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return bytes
end

local function need(self, what)
  if not fill(self) then error(("the server closed the connection within %s"):format(what), 0) end
end

local function take_line(self)
  local last = self.buffer:find("\r\n", 1, true)
  while not last do
    need(self, "a line")
    last = self.buffer:find("\r\n", 1, true)
  end
  local line = take(self, last + 1)
  return line:sub(1, -3)
end

local function take_bytes(self, count)
  while #self.buffer < count do need(self, "a body") end
  return take(self, count)
end

local function take_chunks(self)
  local parts = {}
  while true do
    local line = take_line(self)
    local size = tonumber(line:match("^%x+") or "", 16)
    if not size then error(("a chunk began with %q instead of its size"):format(line), 0) end
    if size == 0 then break end
    parts[#parts + 1] = take_bytes(self, size)
    if take_line(self) ~= "" then error("a chunk was longer than its size", 0) end
  end
  repeat local trailer = take_line(self) until trailer == ""
  return table.concat(parts)
end

local function take_rest(self)
  while fill(self) do end
  return take(self, #self.buffer)
end

-- Names are looked up in any case.
local any_case = { __index = function(headers, name) return type(name) == "string" and rawget(headers, name:lower()) or nil end }

local function take_head(self)
  local line = take_line(self)
  local status, reason = line:match("^HTTP/1%.1 (%d%d%d) ?(.*)$")
  if not status then error(("the server answered %q instead of a status line"):format(line), 0) end
  local headers, cookies = setmetatable({}, any_case), {}
  for field in function() return take_line(self) end do
    if field == "" then break end
    local name, value = field:match("^([^:%s]+):[ \t]*(.-)[ \t]*$")
    if not name then error(("the server sent %q as a header field"):format(field), 0) end
    name = name:lower()
    if name == "set-cookie" then cookies[#cookies + 1] = value end
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return tonumber(status), reason, headers, cookies
end

local function take_body(self, method, status, headers)
  if method == "HEAD" or status == 204 or status == 304 then return "" end
  if (headers["transfer-encoding"] or ""):lower():find("chunked", 1, true) then return take_chunks(self) end
  if headers["content-length"] then return take_bytes(self, tonumber(headers["content-length"])) end
  return take_rest(self)
end

---Whether the connection stays open after this response.
---@param headers table<string, string>
---@return boolean
function test_reply.keeps_alive(headers) return not (headers["connection"] or ""):lower():find("close", 1, true) end

---The next response; nil when the server closed before its first byte. Interim
---ones (100 Continue) are read over.
---@param method string the request's
---@return demilune.TestReply?
function Reader:next(method)
  if self.buffer == "" and not fill(self) then return nil end
  local status, reason, headers, cookies
  repeat status, reason, headers, cookies = take_head(self) until status >= 200
  local body = take_body(self, method, status, headers)
  local function json()
    local value, problem = core.json_decode(body)
    if value == nil then error(("the body is no JSON (%s): %s"):format(problem, body:sub(1, 200)), 2) end
    return value
  end
  return { status = status, reason = reason, headers = headers, cookies = cookies, body = body, json = json }
end

return test_reply
