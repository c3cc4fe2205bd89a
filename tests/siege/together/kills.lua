-- SPDX-License-Identifier: MIT
-- Kills workers with SIGKILL, and knows which connections each of them held: the worker is stopped, its sockets are looked at, and only then
-- is it killed, so that between looking and dying it can neither take a connection nor answer one. A failure of a client was "in flight on a
-- killed worker" when its connection was one of these and was open at that time; whatever else failed has another cause.

local ffi = require "ffi"
local socket = require "socket"
local processes = require "tests.siege.together.processes"
local server = require "spec.support.server"

ffi.cdef [[
int kill(int pid, int signal);
int close(int fd);
int pidfd_open(int pid, unsigned flags);
int pidfd_getfd(int pidfd, int fd, unsigned flags);
struct siege_address { unsigned short family, port; unsigned char rest[124]; };
int getpeername(int fd, struct siege_address *address, unsigned *length);
]]
local C = ffi.C
local SIGKILL, SIGSTOP, AF_INET = 9, 19, 2
local STOP_PATIENCE = 20 -- seconds

local kills = {}

-- Its loop's thread, that is. One that sleeps has not heard yet, and may take a connection before it does.
local function is_stopped(pid) return (processes.read("/proc/" .. pid .. "/stat") or ""):match("%) (%a)") == "T" end

-- The client's port of a socket that another process holds; nil for what is no connection over IPv4.
local function peer_port(pidfd, fd)
  local copy = C.pidfd_getfd(pidfd, fd, 0)
  if copy < 0 then return nil end
  local address, length = ffi.new "struct siege_address", ffi.new("unsigned[1]", 128)
  local got = C.getpeername(copy, address, length)
  C.close(copy)
  if got ~= 0 or address.family ~= AF_INET then return nil end
  local port = address.port
  return bit.bor(bit.lshift(bit.band(port, 0xff), 8), bit.rshift(port, 8))
end

--- Ports of the clients that a process has connections from. Raises when we may not look: then nothing can be attributed.
---@param pid integer
---@return table<integer, boolean> ports, integer count
function kills.ports_of(pid)
  local pidfd = C.pidfd_open(pid, 0)
  assert(pidfd >= 0, "no such process: " .. pid)
  local ports, count, seen = {}, 0, 0
  local list = io.popen("ls -U /proc/" .. pid .. "/fd 2>/dev/null")
  for fd in list:lines() do
    seen = seen + 1
    local port = peer_port(pidfd, tonumber(fd))
    if port and not ports[port] then ports[port], count = true, count + 1 end
  end
  list:close()
  C.close(pidfd)
  assert(seen > 0, "the descriptors of a worker cannot be read: only root may, or who began the server in a user namespace of their own")
  return ports, count
end

---@class siege.Kill
---@field at number seconds since 1970, when the worker was stopped already and not yet killed
---@field server_port integer
---@field ports table<integer, boolean>
---@field held integer connections

--- Kills one of its workers, at random. Nil when it has none now.
---@param running server.Running
---@return siege.Kill?
function kills.one(running)
  local workers = running:workers()
  if #workers == 0 then return nil end
  local pid = workers[math.random(#workers)]
  if C.kill(pid, SIGSTOP) ~= 0 then return nil end
  local stopped = server.wait_until(STOP_PATIENCE, function() return is_stopped(pid) end)
  local ok, ports, held = pcall(kills.ports_of, pid)
  local at = socket.gettime() -- before the kill: a client may hear of it before we go on
  C.kill(pid, SIGKILL)
  assert(stopped, "a worker did not stop, so nobody knows what it held when it was killed")
  if not ok then error(ports, 0) end
  return { at = at, server_port = running.port, ports = ports, held = held }
end

--- Whether a connection to `server_port` that was open from `opened` to `ended` was one that a killed worker held.
---@param list siege.Kill[]
function kills.explain(list, server_port, client_port, opened, ended)
  for _, kill in ipairs(list) do
    if kill.server_port == server_port and kill.ports[client_port] and opened <= kill.at and kill.at <= ended then return true end
  end
  return false
end

--- For a failure that no kill explains: how it stands to the kill of that server that is nearest to it.
function kills.nearest(list, server_port, client_port, ended)
  local best
  for _, kill in ipairs(list) do
    if kill.server_port == server_port and (not best or math.abs(ended - kill.at) < math.abs(ended - best.at)) then best = kill end
  end
  if not best then return "no kill of that server" end
  return ("%.1f ms from the nearest kill, whose worker %s it"):format((ended - best.at) * 1000, best.ports[client_port] and "held" or "did not hold")
end

return kills
