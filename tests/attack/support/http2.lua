-- SPDX-License-Identifier: MIT
-- An HTTP/2 client of bare frames (RFC 9113, with prior knowledge), for attacks that only it can send: any name and any value in a field
-- section, any frame after any other. It reads no field of a response: a body says what has answered.

local bit = require "bit"
local http = require "spec.support.http"

local http2 = {}

local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
local DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
local END_STREAM, END_HEADERS, PADDED, ACK = 1, 4, 8, 1

local function number(value, bytes)
  local list = {}
  for index = 1, bytes do list[index] = string.char(bit.band(bit.rshift(value, 8 * (bytes - index)), 255)) end
  return table.concat(list)
end

local function frame(kind, flags, stream, payload)
  return number(#payload, 3) .. string.char(kind, flags) .. number(stream, 4) .. payload
end

--- A string of HPACK's as it stands (RFC 7541, 5.2).
local function literal(text)
  if #text < 127 then return string.char(#text) .. text end
  local rest, length = #text - 127, "\127"
  while rest >= 128 do
    length, rest = length .. string.char(rest % 128 + 128), math.floor(rest / 128)
  end
  return length .. string.char(rest) .. text
end

--- A field section, each field without indexing (RFC 7541, 6.2.2).
local function section(fields)
  local list = {}
  for index, field in ipairs(fields) do list[index] = "\0" .. literal(field[1]) .. literal(field[2]) end
  return table.concat(list)
end

---@class http2.Request
---@field fields string[][] name and value of each, in their order
---@field body? string[] one DATA frame each; without any, the head ends the stream
---@field trailers? string[][]
---@field continued? boolean the head comes in a frame for each of its bytes
---@field padding? string behind the bytes of each DATA frame
---@field reset? boolean the client gives up in place of its last frame

---@param request http2.Request
---@param stream integer an odd number
local function frames(request, stream)
  local head, list = section(request.fields), {}
  local parts, padding = request.body or {}, request.padding
  local open = #parts > 0 or request.trailers or request.reset
  local flags = open and 0 or END_STREAM
  if request.continued then
    list[1] = frame(HEADERS, flags, stream, head:sub(1, 1))
    for at = 2, #head do list[at] = frame(CONTINUATION, at == #head and END_HEADERS or 0, stream, head:sub(at, at)) end
  else
    list[1] = frame(HEADERS, flags + END_HEADERS, stream, head)
  end
  for index, part in ipairs(parts) do
    local last = index == #parts and not request.trailers and not request.reset
    if padding then part = string.char(#padding) .. part .. padding end
    list[#list + 1] = frame(DATA, (last and END_STREAM or 0) + (padding and PADDED or 0), stream, part)
  end
  if request.reset then
    list[#list + 1] = frame(RST_STREAM, 0, stream, number(8, 4))
  elseif request.trailers then
    list[#list + 1] = frame(HEADERS, END_STREAM + END_HEADERS, stream, section(request.trailers))
  end
  return table.concat(list)
end

--- The next frame, or nil when the connection has ended.
local function next_frame(connection)
  local head = connection:read_bytes(9)
  if not head then return nil end
  local high, low, kind, flags = head:byte(1), head:byte(2) * 256 + head:byte(3), head:byte(4, 5)
  local a, b, c, d = head:byte(6, 9)
  local payload = connection:read_bytes(high * 65536 + low)
  return payload and { kind = kind, flags = flags, stream = bit.band(a, 127) * 16777216 + b * 65536 + c * 256 + d, payload = payload }
end

--- Sends requests on one connection, all at once, and waits until each has its answer, was refused, or was given up.
---@param port integer
---@param requests http2.Request[]
---@return table<integer, string> bodies by the request's number; none for one that had no response with an end
function http2.exchange(port, requests)
  local connection, list, awaited = http.connect(port), { PREFACE, frame(SETTINGS, 0, 0, "") }, {}
  for index, request in ipairs(requests) do
    list[#list + 1] = frames(request, 2 * index - 1)
    if not request.reset then awaited[2 * index - 1] = true end
  end
  connection:send(table.concat(list))
  local parts, bodies = {}, {}
  while next(awaited) do
    local now = next_frame(connection)
    if not now or now.kind == GOAWAY and now.payload:byte(8) ~= 0 then break end
    if now.kind == SETTINGS and bit.band(now.flags, ACK) == 0 then connection:send(frame(SETTINGS, ACK, 0, "")) end
    if now.kind == PING and bit.band(now.flags, ACK) == 0 then connection:send(frame(PING, ACK, 0, now.payload)) end
    if now.kind == DATA then parts[now.stream] = (parts[now.stream] or "") .. now.payload end
    if (now.kind == DATA or now.kind == HEADERS) and bit.band(now.flags, END_STREAM) ~= 0 then
      bodies[(now.stream + 1) / 2], awaited[now.stream] = parts[now.stream] or "", nil
    end
    if now.kind == RST_STREAM then awaited[now.stream] = nil end
  end
  connection:close()
  return bodies
end

return http2
