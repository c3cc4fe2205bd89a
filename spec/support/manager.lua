-- SPDX-License-Identifier: MIT
-- Plays the service manager: holds listening sockets and passes them to a server that is started (LISTEN_FDS), however many come one after
-- the other, and hears what it is told (NOTIFY_SOCKET) and by which process.

local ffi = require "ffi"
local socket = require "socket"
local unix = require "socket.unix"

local process = require "spec.support.process"

ffi.cdef [[
struct manager_part { void *base; size_t length; };
struct manager_message {
  void *name; unsigned name_length; struct manager_part *parts; size_t part_count; void *control; size_t control_length; int flags;
};
struct manager_credentials { size_t length; int level, type, pid; unsigned uid, gid; };
int setsockopt(int, int, int, const void *, unsigned);
long recvmsg(int, struct manager_message *, int);
]]

local SOL_SOCKET, SO_PASSCRED = 1, 16 -- of Linux on x86-64 and ARM
local FIRST_PASSED, FIRST_SPARE, BACKLOG = 3, 200, 128

local manager = {}

--- A TCP socket on a port that the system chooses, and its port.
function manager.listen()
  local listener = assert(socket.bind("127.0.0.1", 0, BACKLOG))
  return listener, tonumber((select(2, listener:getsockname())))
end

--- A unix socket at that path.
function manager.listen_unix(path)
  local listener = assert(unix.stream())
  assert(listener:bind(path))
  assert(listener:listen(BACKLOG))
  return listener
end

--- `through` of server.start for a server that is given these sockets, in this order.
function manager.pass(...)
  local listeners, redirections = { ... }, {}
  for n, listener in ipairs(listeners) do -- by way of others, since one may have the number that another is to get
    local passed, spare = FIRST_PASSED + n - 1, FIRST_SPARE + n - 1
    redirections[n] = ("%d<&%d"):format(spare, listener:getfd())
    redirections[#listeners + n] = ("%d<&%d %d<&-"):format(passed, spare, spare)
  end
  local script = ("LISTEN_PID=$$ LISTEN_FDS=%d exec \"$@\" %s"):format(#listeners, table.concat(redirections, " "))
  return "bash -c " .. process.quote(script) .. " manager"
end

---@class manager.Ear
---@field socket table
local Ear = {}
Ear.__index = Ear

--- What NOTIFY_SOCKET may name: a socket at that path.
---@return manager.Ear
function manager.ear(path)
  local ear = setmetatable({ socket = assert(unix.dgram()) }, Ear)
  assert(ear.socket:bind(path))
  assert(ffi.C.setsockopt(ear.socket:getfd(), SOL_SOCKET, SO_PASSCRED, ffi.new("int[1]", 1), 4) == 0)
  return ear
end

--- The next message and the process that sent it, which must come within `seconds`.
---@return string text, integer pid
function Ear:hear(seconds)
  assert(#socket.select({ self.socket }, nil, seconds) == 1, "nothing was told")
  local room, credentials = ffi.new("char[1024]"), ffi.new("struct manager_credentials[1]")
  local part = ffi.new("struct manager_part[1]", { { room, 1024 } })
  local message = ffi.new("struct manager_message", nil, 0, part, 1, credentials, ffi.sizeof(credentials), 0)
  local length = ffi.C.recvmsg(self.socket:getfd(), message, 0)
  assert(length >= 0, "recvmsg failed")
  return ffi.string(room, length), credentials[0].pid
end

function Ear:close() self.socket:close() end

return manager
