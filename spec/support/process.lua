-- SPDX-License-Identifier: MIT
-- Programs that specs start beside themselves: what they print, how they end, and that none of them outlives the spec that started it, also
-- when that fails halfway. spec/support/server.lua, front.lua and redis.lua start theirs by it.

local files = require "spec.support.files"
local socket = require "socket"

local process = {}

local START_TIMEOUT, STOP_TIMEOUT = 20, 20 -- seconds; a sanitized program on a busy machine is slow

--- A word of the shell's.
function process.quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

--- Waits until `ready()` gives something true, at most `seconds`. Returns what it gave, or nil.
function process.wait_until(seconds, ready)
  local deadline = socket.gettime() + seconds
  repeat
    local result = ready()
    if result then return result end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  return nil
end

--- Whether the process runs: one that ended and that nobody has buried yet does not.
function process.runs(pid)
  local state = (files.read("/proc/" .. pid .. "/stat") or ""):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

---@class process.Running
---@field pid integer
---@field folder string
local Running = {}
Running.__index = Running

local alive = {} -- what was started and is not known to have ended, with who has to stop it

--- All it has printed so far, on both outputs.
function Running:log() return files.read(self.folder .. "/log") or "" end

--- Its exit status once it has ended (128 + signal when one ended it), else nil.
function Running:exit_status()
  self.status = self.status or tonumber(files.read(self.folder .. "/status") or "")
  return self.status
end

function Running:signal(name) os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid)) end

--- Waits for its end; one that does not end is killed. Returns its exit status, or why there is none.
---@return integer|string
function Running:await_end()
  local status = process.wait_until(STOP_TIMEOUT, function() return self:exit_status() end)
  if not status then
    self:signal("KILL")
    status = "still running after " .. STOP_TIMEOUT .. " s"
    self.status = status
  end
  alive[self] = nil
  return status
end

--- Ends it (SIGTERM, or the signal named) and returns its exit status. Its folder stays.
function Running:stop(signal)
  if not self:exit_status() then self:signal(signal or "TERM") end
  return self:await_end()
end

---@class process.Options
---@field before? string a command of the shell's before it: "ulimit -n 60"
---@field reader? string a command that reads what it prints; what that prints is the log. It ends with the program at the latest
---@field owner? { stop: fun(self: any, signal: string) } what stops it in its place if nobody else has

--- Starts a command in the background. What it prints, its process and how it ended are in `folder`.
---@param folder string
---@param command string a simple one, so that its process is the program
---@param options? process.Options
---@return process.Running
function process.start(folder, command, options)
  options = options or {}
  local before, output, after = options.before or ":", folder .. "/log", ":"
  if options.reader then
    output = folder .. "/pipe"
    before = ("%s; mkfifo %s; %s <%s >%s/log & reader=$!"):format(before, output, options.reader, output, folder)
    after = "kill $reader"
  end
  for _, name in ipairs { "pid", "status" } do os.remove(folder .. "/" .. name) end -- those of an earlier one
  -- The shell stays as its parent, to write down how it ended.
  os.execute(("{ %s; %s >%s 2>&1 & echo $! >%s/pid; wait $!; echo $? >%s/status; %s; } </dev/null >/dev/null 2>&1 &")
    :format(before, command, output, folder, folder, after))
  local self = setmetatable({ folder = folder }, Running)
  self.pid = assert(process.wait_until(START_TIMEOUT, function() return tonumber(files.read(folder .. "/pid") or "") end), "the shell did not start")
  alive[self] = options.owner or self
  return self
end

--- Ends whatever still runs.
function process.end_all()
  for running, owner in pairs(alive) do
    alive[running] = nil
    if not running:exit_status() then owner:stop("KILL") end
  end
end

-- Under busted; siege and documentation tests look after theirs themselves.
if package.loaded["busted.core"] then require("busted").subscribe({ "exit" }, process.end_all) end

return process
