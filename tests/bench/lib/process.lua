-- SPDX-License-Identifier: MIT
-- Processes under measurement: start one on a core of its own, read what it has used, end it. Linux only: everything is in /proc.

local socket = require "socket"

local process = {}

local TICKS = tonumber(io.popen("getconf CLK_TCK"):read("*a"))
local PAGE = tonumber(io.popen("getconf PAGESIZE"):read("*a"))

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end
process.read = read

--- The first line that a command prints.
function process.line_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local line = pipe:read("*l")
  pipe:close()
  return line or ""
end

function process.cores() return tonumber(process.line_of("nproc")) end

--- A port that nobody listens on now.
function process.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

---@class bench.Process
---@field pid integer
local Process = {}
Process.__index = Process

--- Runs a shell command that ends in a program (`exec` is put before it), on one core, and waits until the port answers.
---@param options { command: string, environment?: string, port: integer, core?: integer, log: string, timeout?: number }
---@return bench.Process
function process.start(options)
  local pin = options.core and process.cores() > 1 and ("taskset -c %d "):format(options.core) or ""
  local pid_file = options.log .. ".pid"
  local environment = options.environment and "env " .. options.environment .. " " or ""
  os.execute(("{ exec %s%s%s; } >>'%s' 2>&1 </dev/null & echo $! >'%s'"):format(environment, pin, options.command, options.log, pid_file))
  local self = setmetatable({ pid = tonumber(read(pid_file)), log = options.log }, Process)
  local deadline = socket.gettime() + (options.timeout or 20)
  repeat
    local connection = socket.connect("127.0.0.1", options.port)
    if connection then
      connection:close()
      return self
    end
    socket.sleep(0.05)
  until socket.gettime() > deadline or not self:is_alive()
  self:stop()
  error("did not start: " .. options.command .. "\n" .. (read(options.log) or ""))
end

function Process:is_alive()
  local stat = read("/proc/" .. self.pid .. "/stat")
  return stat ~= nil and stat:match("^%d+ %b() (%a)") ~= "Z"
end

-- The process and its children, however deep.
local function tree(pid, list)
  list[#list + 1] = pid
  for child in (read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""):gmatch("%d+") do tree(tonumber(child), list) end
  return list
end

--- Seconds of CPU used so far in user space and in the kernel, by all threads of the process and of its children.
function Process:cpu()
  local user, system = 0, 0
  for _, pid in ipairs(tree(self.pid, {})) do
    local stat = read("/proc/" .. pid .. "/stat")
    if stat then
      local utime, stime = stat:match("%) %a" .. (" %-?%d+"):rep(10) .. " (%d+) (%d+)")
      user, system = user + tonumber(utime) / TICKS, system + tonumber(stime) / TICKS
    end
  end
  return user, system
end

--- Resident bytes of the process and of its children; pages that they share count once for each.
function Process:resident()
  local pages = 0
  for _, pid in ipairs(tree(self.pid, {})) do
    local statm = read("/proc/" .. pid .. "/statm")
    if statm then pages = pages + tonumber(statm:match("^%d+ (%d+)")) end
  end
  return pages * PAGE
end

--- Ends it in order, by force after five seconds (or `patience`).
function Process:stop(patience)
  os.execute("kill -TERM " .. self.pid .. " 2>/dev/null")
  local deadline = socket.gettime() + (patience or 5)
  while self:is_alive() and socket.gettime() < deadline do socket.sleep(0.02) end
  if self:is_alive() then os.execute("kill -KILL " .. self.pid .. " 2>/dev/null") end
  os.remove(self.log .. ".pid")
end

return process
