-- SPDX-License-Identifier: MIT
-- Other people's programs in front of ours, for end-to-end specs: nginx, HAProxy, Caddy, each with a folder and a port of its own.

local server = require "spec.support.server"
local socket = require "socket"

local front = {}

local READY_SECONDS = 30

--- A port that nothing listens on now.
function front.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

function front.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function front.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
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
---@field pid integer
---@field folder string
local Running = {}
Running.__index = Running

function Running:stop()
  os.execute(("kill -TERM %d 2>/dev/null"):format(self.pid))
  assert(server.wait_until(READY_SECONDS, function() return io.open(self.folder .. "/status") end), "the front did not stop")
  server.remove_folder(self.folder)
end

--- Starts a command in the background and waits until its port takes connections. The folder is removed when it is stopped.
---@return front.Running
function front.start(folder, command, port)
  os.execute(("{ %s >%s/log 2>&1 & echo $! >%s/pid; wait $!; echo $? >%s/status; } </dev/null >/dev/null 2>&1 &")
    :format(command, folder, folder, folder))
  local pid = server.wait_until(READY_SECONDS, function()
    local file = io.open(folder .. "/pid")
    local number = file and file:read("*n")
    if file then file:close() end
    return number
  end)
  local self = setmetatable({ pid = pid, folder = folder }, Running)
  local ready = server.wait_until(READY_SECONDS, function()
    local tcp = socket.connect("127.0.0.1", port)
    if tcp then tcp:close() end
    return tcp
  end)
  if not ready then
    local log = front.read(folder .. "/log")
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
