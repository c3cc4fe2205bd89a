-- SPDX-License-Identifier: MIT
-- A small HTTP/1.1 client for end-to-end specs, on a bare socket, so that a spec can send exactly the bytes it wants and see exactly what
-- comes back. It is no client for applications: it trusts the server under test and keeps everything in memory.

local socket = require "socket"
local unix = require "socket.unix"

local http = {}

---@class http.Connection
---@field timeout number seconds to wait for bytes before giving up
local Connection = {}
Connection.__index = Connection

local TIMEOUT = 20 -- seconds: only a server that does not answer at all comes to that

--- A connection on a socket that somebody else connected.
---@return http.Connection
function http.wrap(tcp, timeout)
  tcp:settimeout(timeout or TIMEOUT)
  return setmetatable({ tcp = tcp, buffer = "", timeout = timeout or TIMEOUT }, Connection)
end

---@param port integer
---@param timeout? number seconds
---@return http.Connection
function http.connect(port, timeout)
  local tcp = assert(socket.connect("127.0.0.1", port))
  tcp:setoption("tcp-nodelay", true)
  return http.wrap(tcp, timeout)
end

--- A connection under TLS. `given`: what luasec's newcontext takes beside mode, and `name` for SNI. Nil and why when the handshake fails.
---@param port integer
---@param given? table
---@return http.Connection?, string? why
function http.connect_tls(port, given)
  given = given or {}
  local parameters = { mode = "client", protocol = "any", verify = "none", options = "all" }
  for name, value in pairs(given) do
    if name ~= "name" then parameters[name] = value end
  end
  local tcp = assert(socket.connect("127.0.0.1", port))
  tcp:setoption("tcp-nodelay", true)
  local tls = assert(require("ssl").wrap(tcp, parameters))
  tls:settimeout(TIMEOUT)
  if given.name then tls:sni(given.name) end
  local ok, why = tls:dohandshake()
  if not ok then
    tls:close()
    return nil, why
  end
  return http.wrap(tls)
end

--- A client that takes little at once: its window is as small as the system allows.
function http.connect_narrow(port, timeout)
  local tcp = assert(socket.tcp4())
  tcp:setoption("recv-buffer-size", 4096)
  assert(tcp:connect("127.0.0.1", port))
  return http.wrap(tcp, timeout)
end

---@param path string of a unix socket
function http.connect_unix(path, timeout)
  local stream = assert(unix.stream())
  assert(stream:connect(path))
  return http.wrap(stream, timeout)
end

--- Sends bytes as they are. Returns nil and why when the server has closed.
function Connection:send(bytes) return self.tcp:send(bytes) end

--- What has arrived, at most 64 KiB, as soon as something has. Returns "" and "closed" or "timeout" when nothing comes.
function Connection:read(timeout)
  -- Waiting for one byte, since LuaSocket's receive(n) waits for all n, and its select takes no descriptor over 1,023.
  if timeout then self.tcp:settimeout(timeout) end
  local first, why = self.tcp:receive(1)
  self.tcp:settimeout(0)
  local bytes, _, partial
  if first then bytes, _, partial = self.tcp:receive(65536) end
  self.tcp:settimeout(self.timeout)
  if not first then return "", why == "timeout" and why or "closed" end
  return first .. (bytes or partial or "")
end

--- Reads until `enough(buffer)` gives a position, then takes that much; nil and "closed" or "timeout" when it does not come to that.
local function take(self, enough)
  while true do
    local last = enough(self.buffer)
    if last then
      local bytes = self.buffer:sub(1, last)
      self.buffer = self.buffer:sub(last + 1)
      return bytes
    end
    local bytes, why = self:read()
    if why then return nil, why end
    self.buffer = self.buffer .. bytes
  end
end

local function take_line(self)
  return take(self, function(buffer) return select(2, buffer:find("\r\n", 1, true)) end)
end

--- Reads until this text has come and gives all up to its end; nil and "closed" or "timeout" when it does not come.
function Connection:read_until(text)
  return take(self, function(buffer) return select(2, buffer:find(text, 1, true)) end)
end

-- In parts: a body may be long, and joining as it grows would copy it over and over.
local function take_bytes(self, length)
  local parts, have = { self.buffer }, #self.buffer
  while have < length do
    local bytes, why = self:read()
    if why then
      self.buffer = table.concat(parts)
      return nil, why
    end
    parts[#parts + 1], have = bytes, have + #bytes
  end
  local all = table.concat(parts)
  self.buffer = all:sub(length + 1)
  return all:sub(1, length)
end

--- Reads that many bytes; nil and "closed" or "timeout" when fewer come.
function Connection:read_bytes(length) return take_bytes(self, length) end

local function take_chunks(self)
  local parts = {}
  while true do
    local line, why = take_line(self)
    if not line then return nil, why end
    local size = tonumber(line:match("^%x+"), 16)
    local data = assert(take_bytes(self, size + 2))
    if size == 0 then return table.concat(parts) end
    parts[#parts + 1] = data:sub(1, -3)
  end
end

--- Everything up to the end of the stream, and whether the end came ("closed") or we gave up ("timeout").
function Connection:read_rest()
  local parts = { self.buffer }
  self.buffer = ""
  while true do
    local bytes, why = self:read()
    parts[#parts + 1] = bytes
    if why then return table.concat(parts), why end
  end
end

---@class http.Response
---@field status integer
---@field headers table<string, string> by lower-case name; several of one name joined by ", "
---@field body string
---@field head string status line and headers as they came

--- Reads one response. `method` HEAD says that no body follows.
---@return http.Response? response, string? why
function Connection:receive(method)
  local head, why = take(self, function(buffer) return select(2, buffer:find("\r\n\r\n", 1, true)) end)
  if not head then return nil, why end
  local status = tonumber(head:match("^HTTP/1%.[01] (%d%d%d)"))
  assert(status, "not a response: " .. head:sub(1, 80))
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  local body
  if method == "HEAD" or status < 200 or status == 204 or status == 304 then
    body = ""
  elseif (headers["transfer-encoding"] or ""):find("chunked", 1, true) then
    body, why = take_chunks(self)
  elseif headers["content-length"] then
    body, why = take_bytes(self, tonumber(headers["content-length"]))
  else
    body = self:read_rest()
  end
  if not body then return nil, why end
  return { status = status, headers = headers, body = body, head = head }
end

--- Sends one request and reads its response. `options`: headers (a table), body (a string; its length is sent), host.
function Connection:request(method, target, options)
  options = options or {}
  local lines = { method .. " " .. target .. " HTTP/1.1", "Host: " .. (options.host or "127.0.0.1") }
  for name, value in pairs(options.headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  if options.body then lines[#lines + 1] = "Content-Length: " .. #options.body end
  self:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or ""))
  return self:receive(method)
end

--- True when the server has closed its side within the time-out and sent nothing more.
function Connection:is_closed()
  if #self.buffer > 0 then return false end
  local bytes, why = self:read()
  self.buffer = bytes
  return why == "closed"
end

--- Closes; with `reset`, by RST, as a client that crashed.
function Connection:close(reset)
  if reset then self.tcp:setoption("linger", { on = true, timeout = 0 }) end
  self.tcp:close()
end

--- Says that nothing more will be sent, and keeps reading.
function Connection:shutdown() self.tcp:shutdown("send") end

return http
