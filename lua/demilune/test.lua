-- SPDX-License-Identifier: MIT
-- The test client for an app's specs: `local client = require("demilune.test").client()`
-- inside `demilune test`. Requests go through the whole pipeline over a
-- connection that stays open; the clock is the test's, so that nobody sleeps.

local context = require "demilune.context"
local cookies = require "demilune.test_cookies"
local core = require "demilune.core"
local errors = require "demilune.errors"
local options = require "demilune.options"
local secrets = require "demilune.secrets"
local test_matrix = require "demilune.test_matrix"
local test_reply = require "demilune.test_reply"
local units = require "demilune.units"

local test = {}

---@class demilune.TestOptions
---@field json? any the body, as JSON
---@field form? table<string, any> the body, URL-encoded
---@field body? string the body, as it is
---@field headers? table<string, string>
---@field idempotency_key? string sent as Idempotency-Key
---@field query? table<string, any> a list sends its name again
---@field cookies? table<string, string> beside those that the client keeps
---@field timeout? number|string how long the whole answer may take: the client's

---@class demilune.TestClient
---@field host string
---@field headers table<string, string> of every request
---@field cookies demilune.TestCookies
---@field timeout number seconds that a whole answer may take
local Client = {}
Client.__index = Client

-- Longer than a handler may wait by itself, so that it is the server that says what was slow.
local TIMEOUT = 60

local OPTIONS = {
  json = "any", form = "table", body = "string", headers = "table", query = "table", cookies = "table", idempotency_key = "string",
  timeout = "duration",
}

local function percent(text)
  return (tostring(text):gsub("[^%w%-._~]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

-- Names sorted, so that the same table is always the same text.
local function url_encode(values)
  local parts = {}
  for name, value in pairs(values) do
    for _, item in ipairs(type(value) == "table" and value or { value }) do parts[#parts + 1] = percent(name) .. "=" .. percent(item) end
  end
  table.sort(parts)
  return table.concat(parts, "&")
end

local function body_of(given)
  if given.json ~= nil then return core.json_encode(given.json), "application/json" end
  if given.form then return url_encode(given.form), "application/x-www-form-urlencoded" end
  return given.body, nil
end

local function seconds_of(place, what, duration)
  local seconds = units.seconds(duration)
  if not seconds or seconds <= 0 then errors.raise(place, '%s: timeout = %s is no duration; write timeout = "5m"', what, errors.show(duration)) end
  return seconds
end

-- What a spec wrote wrongly is told at its line; what may be wrong about a request is for the server to say.
local function check(self, method, path, given)
  local place = errors.where()
  local what = "client:" .. method:lower()
  if getmetatable(self) ~= Client then
    errors.raise(place, '%s is called with a colon; write %s("/path"), not client.%s(...)', what, what, method:lower())
  end
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
    errors.raise(place, '%s takes a path, which begins with a slash, not %s; write %s("/users")', what, errors.show(path), what)
  end
  given = options.check(place, what, given, OPTIONS)
  local bodies = (given.json ~= nil and 1 or 0) + (given.form and 1 or 0) + (given.body and 1 or 0)
  if bodies > 1 then errors.raise(place, "a request has one body: give json, form or body, not two of them") end
  return given, given.timeout and seconds_of(place, what, given.timeout)
end

-- The request's bytes. What a test says itself replaces what we would say.
local function write(self, method, path, given)
  local body, content_type = body_of(given)
  local target = given.query and path .. (path:find("?", 1, true) and "&" or "?") .. url_encode(given.query) or path
  local fields = { host = self.host, ["content-type"] = content_type, cookie = self.cookies:field(target, given.cookies) }
  if body then fields["content-length"] = #body end
  if given.idempotency_key then fields["idempotency-key"] = '"' .. given.idempotency_key:gsub('["\\]', "\\%0") .. '"' end
  for _, own in ipairs { self.headers, given.headers or {} } do
    for name, value in pairs(own) do fields[name:lower()] = value end
  end
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  local lines = { method .. " " .. target .. " HTTP/1.1" }
  for _, name in ipairs(names) do lines[#lines + 1] = name .. ": " .. secrets.sent(fields[name]) end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

local LATE = '%s: no whole answer came within %g seconds; if it takes longer, say so: client:get(path, { timeout = "5m" }) for one request, '
  .. 'test.client { timeout = "5m" } for all of a client\'s'

local function connect(self)
  if not core.test_connect then error("the test client has a server only inside `demilune test`; run the spec with it", 0) end
  local connection = core.test_connect()
  self.connection = connection
  self.reader = test_reply.reader(function()
    local bytes = connection:receive()
    if bytes ~= false then return bytes end
    self:close() -- what comes late is no other request's answer
    errors.raise(errors.where(), LATE, self.asked, self.allowed)
  end)
end

local function exchange(self, bytes, method, timeout)
  self.asked, self.allowed = bytes:match("^(%S+ %S+) HTTP/") or "what was sent", timeout or self.timeout
  self.connection:send(bytes, self.asked, self.allowed)
  local reply = self.reader:next(method)
  if reply and test_reply.keeps_alive(reply.headers) then return reply end
  self:close()
  return reply
end

---Sends bytes as they are and reads the response; nil when the server just closes.
---@param bytes string
---@param method? string of the request in the bytes, when it is HEAD
---@param timeout? number|string how long the whole answer may take: the client's
---@return demilune.TestReply?
function Client:raw(bytes, method, timeout)
  timeout = timeout and seconds_of(errors.where(), "client:raw", timeout)
  local is_reused = self.connection ~= nil
  if not is_reused then connect(self) end
  local reply = exchange(self, bytes, method, timeout)
  if reply or not is_reused then return reply end
  -- The server had closed the idle connection before this request came.
  connect(self)
  return exchange(self, bytes, method, timeout)
end

---@param method string
---@param path string
---@param given? demilune.TestOptions
---@return demilune.TestReply
function Client:request(method, path, given)
  local checked, timeout = check(self, method, path, given)
  local reply = self:raw(write(self, method, path, checked), method, timeout)
  if not reply then error(("%s %s: the server closed the connection without an answer"):format(method, path), 2) end
  self.cookies:take(reply.cookies)
  return reply
end

-- client:get(path, options) and its siblings.
for _, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
  Client[method:lower()] = function(self, path, given) return Client.request(self, method, path, given) end
end

---Asks for every route of the app as every principal, and raises where somebody is let in, or kept out, against what the routes declare.
---@param given { principals: table<string, demilune.TestPrincipal>, public?: string[] }
---@return table<string, table<string, true|integer>> outcomes by route and principal: true, 401 or 403
function Client:matrix(given)
  local outcomes = test_matrix.run(self, given) -- no tail call: errors name the caller's line
  return outcomes
end

---Ends the connection; the next request opens another.
function Client:close()
  if self.connection then self.connection:close() end
  self.connection, self.reader = nil, nil
end

---Sets the server's clock: client:at("2030-01-01T00:00:00Z").
---@param moment string
function Client:at(moment) -- luacheck: no unused args
  local seconds = type(moment) == "string" and units.epoch(moment)
  if not seconds then error(("at: %s is no moment; write \"2030-01-01T00:00:00Z\""):format(tostring(moment)), 2) end
  core.clock_move(math.floor((seconds - core.now()) * 1000 + 0.5))
end

---Moves the server's clock on: client:forward("61s").
---@param duration string|number
function Client:forward(duration) -- luacheck: no unused args
  local seconds = units.seconds(duration)
  if not seconds then error(("forward: %s is no duration; write \"61s\" or 61"):format(tostring(duration)), 2) end
  core.clock_move(math.floor(seconds * 1000 + 0.5))
end

---A client with cookies and a connection of its own.
---@param given? { host?: string, headers?: table<string, string>, timeout?: number|string }
---@return demilune.TestClient
function test.client(given)
  local place = errors.where()
  given = options.check(place, "test.client", given, { host = "string", headers = "table", timeout = "duration" })
  return setmetatable({
    host = given.host or context.host or "localhost", headers = given.headers or {}, cookies = cookies.new(),
    timeout = given.timeout and seconds_of(place, "test.client", given.timeout) or TIMEOUT,
  }, Client)
end

---Runs what waits (a statement, a sleep) from a spec, and gives its results.
---@param fn fun(...): any
function test.run(fn, ...)
  if type(fn) ~= "function" then
    errors.raise(errors.where(), "test.run takes a function, not %s; write test.run(function() ... end)", errors.show(fn))
  end
  local arguments, count = { ... }, select("#", ...)
  return core.wait(function() return fn(unpack(arguments, 1, count)) end)
end

return test
