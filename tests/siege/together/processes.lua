-- SPDX-License-Identifier: MIT
-- Processes of a siege: clients started beside it, and what servers take of the machine: memory, descriptors, processor. All from /proc.

local server = require "spec.support.server"

local processes = {}

local function line_of(command)
  local pipe = io.popen(command)
  local line = pipe:read("*l")
  pipe:close()
  return line
end

local TICKS = tonumber(line_of "getconf CLK_TCK")

--- All of a file, or nil.
function processes.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

---@class siege.Process
---@field name string
---@field pid integer
---@field output string path of what it prints
local Process = {}
Process.__index = Process

--- Starts a command without waiting. Attackers run while nobody else wants their processor: they share our cores, and it is the server that is
--- measured.
---@param folder string for what it prints
---@param idly boolean
---@return siege.Process
function processes.start(folder, name, command, idly)
  local path, policy = folder .. "/" .. name, idly and "chrt --idle 0 " or ""
  os.execute(("{ exec %s%s; } >%s.out 2>%s.err </dev/null & echo $! >%s.pid"):format(policy, command, path, path, path))
  return setmetatable({ name = name, pid = tonumber(processes.read(path .. ".pid")), output = path .. ".out", errors = path .. ".err" }, Process)
end

function Process:is_over() return not server.runs(self.pid) end

--- What it printed so far.
function Process:lines() return (processes.read(self.output) or ""):gmatch "[^\n]+" end

function Process:problems() return processes.read(self.errors) or "" end

-- Processor seconds of a process, and of its children that are over.
local function cpu_of(pid)
  local pattern = "%) %a" .. (" %-?%d+"):rep(10) .. " (%d+) (%d+) (%d+) (%d+)" -- user, system, and both of children that are over
  local used = { (processes.read("/proc/" .. pid .. "/stat") or ""):match(pattern) }
  return used[1] and (used[1] + used[2] + used[3] + used[4]) / TICKS or 0
end

--- Processor seconds that it has used; remembered beyond its end, so ask now and then.
function Process:cpu()
  self.used = math.max(self.used or 0, cpu_of(self.pid))
  return self.used
end

local function family(running)
  local pids = { running.pid }
  local children = processes.read(("/proc/%d/task/%d/children"):format(running.pid, running.pid)) or ""
  for pid in children:gmatch("%d+") do pids[#pids + 1] = tonumber(pid) end
  return pids
end

--- Processor seconds of a server: its master, its workers, and those that were killed.
function processes.cpu_of_server(running)
  local total = 0
  for _, pid in ipairs(family(running)) do total = total + cpu_of(pid) end
  return total
end

local function proportional_bytes(pid)
  return tonumber((processes.read("/proc/" .. pid .. "/smaps_rollup") or ""):match("\nPss:%s*(%d+) kB") or 0) * 1024
end

---@class siege.Holdings
---@field bytes integer of memory: each page shared by N processes counts as an Nth (Pss)
---@field master_bytes integer of masters alone
---@field descriptors integer of all
---@field master_descriptors integer of masters alone

--- What all processes of these servers hold now.
---@param servers server.Running[]
---@return siege.Holdings
function processes.holdings(servers)
  local function descriptors(pid) return tonumber(line_of("ls -U /proc/" .. pid .. "/fd 2>/dev/null | wc -l")) end
  local held = { bytes = 0, master_bytes = 0, descriptors = 0, master_descriptors = 0 }
  for _, running in ipairs(servers) do
    for _, pid in ipairs(family(running)) do
      held.bytes = held.bytes + proportional_bytes(pid)
      held.descriptors = held.descriptors + descriptors(pid)
    end
    held.master_bytes = held.master_bytes + proportional_bytes(running.pid)
    held.master_descriptors = held.master_descriptors + descriptors(running.pid)
  end
  return held
end

--- Processor seconds that the whole machine has spent on something, and its cores.
function processes.machine()
  local user, nice, system, _, _, irq, softirq = (processes.read "/proc/stat"):match("cpu%s+(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)")
  return (user + nice + system + irq + softirq) / TICKS, tonumber(line_of "nproc")
end

function processes.load() return (processes.read "/proc/loadavg"):match("^%S+") end

return processes
