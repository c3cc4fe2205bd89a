-- SPDX-License-Identifier: MIT
-- A real redis-server for end-to-end specs: on a Unix socket in a folder of its own, started, stopped, frozen and filled as a spec wants.

local process = require "spec.support.process"
local server = require "spec.support.server"
local unix = require "socket.unix"

---@class redis.Running
---@field socket string path of its socket
---@field url string what an app writes
local Running = {}
Running.__index = Running

local redis = {}

local TIMEOUT = 20 -- seconds

--- Whether the program is there (Debian: redis-server).
function redis.is_installed() return os.execute("command -v redis-server >/dev/null 2>&1") == 0 end

--- What it answers to a command, the first line; nil when it cannot be reached.
function Running:command(...)
  local stream = assert(unix.stream())
  stream:settimeout(TIMEOUT)
  if not stream:connect(self.socket) then return nil end
  local words = { ... }
  local parts = { ("*%d\r\n"):format(#words) }
  for _, word in ipairs(words) do parts[#parts + 1] = ("$%d\r\n%s\r\n"):format(#tostring(word), tostring(word)) end
  stream:send(table.concat(parts))
  local line = stream:receive("*l")
  stream:close()
  return line
end

--- Starts it again, empty, after stop.
function Running:start()
  local command = ("redis-server --port 0 --unixsocket %s --dir %s --save '' --appendonly no"):format(self.socket, self.folder)
  self.process = process.start(self.folder, command)
  local up = server.wait_until(TIMEOUT, function() return self:command("PING") == "+PONG" end)
  assert(up, "redis-server did not start:\n" .. self.process:log())
end

function Running:signal(name) self.process:signal(name) end

--- Ends it at once; its socket and all it counted are gone.
function Running:stop()
  self.process:stop("KILL")
  os.remove(self.socket)
end

--- Ends it and removes its folder. Does nothing a second time.
function Running:remove()
  if self.removed then return end
  self.removed = true
  self:stop()
  server.remove_folder(self.folder)
end

local all = {}

--- Ends all that a failed spec may have left.
function redis.remove_all()
  while #all > 0 do table.remove(all):remove() end
end

---@return redis.Running
function redis.new()
  local folder = server.make_folder()
  local self = setmetatable({ folder = folder, socket = folder .. "/redis.sock", url = "redis+unix://" .. folder .. "/redis.sock" }, Running)
  all[#all + 1] = self
  self:start()
  return self
end

return redis
