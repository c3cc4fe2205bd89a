-- SPDX-License-Identifier: MIT
-- Other people's programs in front of ours, for end-to-end specs: nginx, HAProxy, Caddy, each with a folder and a port of its own.

local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"

local front = {}

local READY_SECONDS = 30

-- Below those that the system gives away by itself, so that nobody is given one between the choice and its use.
local FIRST_PORT, LAST_PORT = 20000, 32000

--- A port that nothing listens on now.
function front.free_port()
  local random = assert(io.open("/dev/urandom", "rb"))
  local listener, port
  repeat
    local high, low = random:read(2):byte(1, 2)
    port = FIRST_PORT + (high * 256 + low) % (LAST_PORT - FIRST_PORT)
    listener = socket.bind("127.0.0.1", port)
  until listener
  random:close()
  listener:close()
  return port
end

--- Replaces words of a file as they stand; each must be there, so that a spec notices when the file changes.
function front.replace(text, words)
  for word, other in pairs(words) do
    local pattern = word:gsub("%p", "%%%0")
    assert(text:find(word, 1, true), "there is no " .. word)
    text = text:gsub(pattern, (other:gsub("%%", "%%%%")))
  end
  return text
end

--- Exit status and all output of a shell command.
function front.run(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>&1; echo \"status $?\""))
  local text = pipe:read("*a")
  pipe:close()
  return tonumber(text:match("status (%d+)%s*$")), text
end

---@class front.Running
---@field process process.Running
local Running = {}
Running.__index = Running

function Running:stop(signal)
  local status = self.process:stop(signal)
  assert(type(status) == "number", status)
  server.remove_folder(self.process.folder)
end

local function listens(port)
  local tcp = socket.connect("127.0.0.1", port)
  if tcp then tcp:close() end
  return tcp
end

--- Starts a command in the background and waits until each of its ports takes connections. The folder is removed when it is stopped.
---@param ... integer
---@return front.Running
function front.start(folder, command, ...)
  local self, ports = setmetatable({}, Running), { ... }
  self.process = process.start(folder, command, { owner = self })
  local ready = server.wait_until(READY_SECONDS, function()
    for _, port in ipairs(ports) do
      if not listens(port) then return false end
    end
    return true
  end)
  if not ready then
    local log = self.process:log()
    self:stop()
    error("the front did not start: " .. log)
  end
  return self
end

--- A connection from another address of this machine.
function front.connect_from(address, port)
  local tcp = assert(socket.tcp4())
  assert(tcp:bind(address, 0))
  assert(tcp:connect("127.0.0.1", port))
  tcp:setoption("tcp-nodelay", true)
  return require("spec.support.http").wrap(tcp)
end

return front
