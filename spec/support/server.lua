-- SPDX-License-Identifier: MIT
-- Starts the real program for end-to-end specs: on a port of its own, with a data folder of its own, and ends it again.
-- The program is $DEMILUNE_PROGRAM (the release build when that is not set), so that the same specs run against the sanitizers' build.

local files = require "spec.support.files"
local http = require "spec.support.http"
local process = require "spec.support.process"
local prometheus = require "spec.support.prometheus"

local server = { program = os.getenv("DEMILUNE_PROGRAM") or "build/release/demilune", wait_until = process.wait_until, runs = process.runs }

-- Environment of every server that a spec starts and does not preload itself: tests/faults/run puts a library under them so.
local BENEATH = os.getenv("DEMILUNE_BENEATH") or ""

local START_TIMEOUT, RUN_TIMEOUT = 20, 60 -- seconds; a sanitized program on a busy machine is slow
local quote = process.quote

local function command_output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

--- Whether we are root, to whom nothing is hidden.
function server.is_root() return command_output("id -u") == "0" end

--- Whether the program was built with a sanitizer.
function server.is_sanitized()
  local program = files.read(server.program)
  return program:find("__asan_init", 1, true) ~= nil or program:find("__tsan_init", 1, true) ~= nil
end

--- Environment of a server whose memory is measured: a sanitizer holds freed memory back, by default more than we would ever grow.
function server.frugal()
  return { ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":quarantine_size_mb=1:thread_local_quarantine_size_kb=16" }
end

--- A new empty folder; remove it with server.remove_folder.
function server.make_folder() return command_output("mktemp -d") end

function server.remove_folder(path)
  assert(path:find("^/.+/.+"), "not a folder to remove: " .. path)
  os.execute("rm -rf " .. quote(path))
end

--- Writes an app: `app` is a table of path → text, or the text of app.lua. Returns its folder.
function server.write_app(app)
  if type(app) == "string" then app = { ["app.lua"] = app } end
  local folder = server.make_folder()
  for path, text in pairs(app) do
    local parent = path:match("^(.*)/")
    if parent then os.execute("mkdir -p " .. quote(folder .. "/" .. parent)) end
    files.write(folder .. "/" .. path, text)
  end
  return folder
end

--- Runs the program to its end (status 124 when it had to be ended): its exit status, standard output and standard error.
---@param arguments string[]
---@param options? { env?: table<string, string>, folder?: string }
function server.run(arguments, options)
  options = options or {}
  local world = server.make_folder()
  local words = { "cd", quote(options.folder or "."), "&&", "timeout", "--kill-after=5", RUN_TIMEOUT, "env" }
  for name, value in pairs(options.env or {}) do words[#words + 1] = name .. "=" .. quote(value) end
  local program = server.program:sub(1, 1) == "/" and server.program or command_output("pwd") .. "/" .. server.program
  for _, word in ipairs { program, unpack(arguments) } do words[#words + 1] = quote(word) end
  os.execute(("( %s ) >%s/out 2>%s/err </dev/null; echo $? >%s/status"):format(table.concat(words, " "), world, world, world))
  local status, out, err = tonumber(files.read(world .. "/status")), files.read(world .. "/out"), files.read(world .. "/err")
  server.remove_folder(world)
  return status, out, err
end

--- What the descriptors of a process are, a line each; of a server that is looked at so (`visible` of server.start).
function server.descriptors(pid) return command_output(("readlink /proc/%d/fd/*"):format(pid)) end

--- The masters that serve the app of this folder, and all processes of theirs.
---@return integer[] masters, integer[] all
function server.processes(folder)
  local masters, all = {}, {}
  for pid in command_output("pgrep -f " .. quote(folder)):gmatch("%d+") do
    local name = (files.read("/proc/" .. pid .. "/comm") or ""):match("^[^\n]*")
    if name:find("^demilune") and server.runs(pid) then
      all[#all + 1] = tonumber(pid)
      if name == "demilune" then masters[#masters + 1] = tonumber(pid) end
    end
  end
  return masters, all
end

---@class server.Running
---@field port integer
---@field pid integer
---@field data string the data folder
local Running = {}
Running.__index = Running

--- All it has logged so far.
function Running:log() return self.process:log() end

--- The first line of the log that holds all these texts, once there is one.
function Running:log_line(...)
  local texts = { ... }
  local function holds_all(line)
    for _, text in ipairs(texts) do
      if not line:find(text, 1, true) then return false end
    end
    return true
  end
  return server.wait_until(START_TIMEOUT, function()
    for line in self:log():gmatch("[^\n]+") do
      if holds_all(line) then return line end
    end
  end)
end

--- A new connection to it (spec/support/http.lua).
function Running:connect(timeout) return http.connect(self.port, timeout) end

--- One request on a connection of its own.
function Running:request(method, target, options)
  local connection = self:connect()
  local response, why = connection:request(method, target, options)
  connection:close()
  assert(response, ("%s %s: no response (%s); log:\n%s"):format(method, target, tostring(why), self:log()))
  return response
end

--- The port of its admin listener, as its log says; nil when there is none yet.
function Running:admin_port() return tonumber(self:log():match("/metrics on http://[^ \n\"]*:(%d+)")) end

--- One request to its admin listener.
function Running:admin(method, target, options)
  local port = assert(self:admin_port(), "there is no admin listener")
  local connection = http.connect(port)
  local response, why = connection:request(method, target, options)
  connection:close()
  assert(response, ("%s %s: no response (%s); log:\n%s"):format(method, target, tostring(why), self:log()))
  return response
end

--- What /metrics of its admin listener says.
---@return prometheus.Page
function Running:metrics()
  local response = self:admin("GET", "/metrics")
  assert(response.status == 200, response.status)
  return prometheus.read(response.body)
end

--- The same once `fits` is true of it, since what a client has read may be counted a moment later; the last there was when that never comes.
---@param fits fun(page: prometheus.Page): any
---@return prometheus.Page
function Running:metrics_when(fits)
  local page
  server.wait_until(START_TIMEOUT, function()
    page = self:metrics()
    return fits(page)
  end)
  return page
end

--- Sends a signal by name; "KILL" to all of its processes, as a machine without power does.
function Running:signal(name)
  local pids = name == "KILL" and self:workers() or {}
  table.insert(pids, 1, self.pid)
  os.execute(("kill -%s %s 2>/dev/null"):format(name, table.concat(pids, " ")))
end

--- Its exit status once it has ended (128 + signal when one ended it), else nil.
function Running:exit_status() return self.process:exit_status() end

--- Its processes of that name: "demilune-worker", "demilune-admin", or "demilune" for a master that is to take over.
---@return integer[]
function Running:children(name)
  local pids = {}
  for pid in (files.read(("/proc/%d/task/%d/children"):format(self.pid, self.pid)) or ""):gmatch("%d+") do
    if (files.read("/proc/" .. pid .. "/comm") or ""):match("^[^\n]*") == name:sub(1, 15) then pids[#pids + 1] = tonumber(pid) end
  end
  return pids
end

--- The processes of its workers.
function Running:workers() return self:children "demilune-worker" end

--- An open connection to each of its workers, by what the app's route /who answers: the first eight letters of a request's id are its worker's.
---@return table<string, http.Connection>
function Running:reach_workers(count)
  local reached, found = {}, 0
  local complete = server.wait_until(START_TIMEOUT, function()
    local connection = self:connect()
    local response = connection:request("GET", "/who")
    if response and not reached[response.body] then
      reached[response.body], found = connection, found + 1
    else
      connection:close()
    end
    return found == count
  end)
  assert(complete, ("%d of %d workers answered; log:\n%s"):format(found, count, self:log()))
  return reached
end

---@class server.Siege
---@field requests integer
---@field answered integer
---@field failed integer cut off, reset, refused or never answered
---@field status table<integer, integer>
---@field body table<string, integer>

--- Begins tests/siege/client.c against it: "--connections=64", "--seconds=2", ... Of the functions it gives one waits for the end and tells the
--- counts, the other lets that be now.
---@return fun(): server.Siege finish, fun() hurry
function Running:besiege(...)
  local words = { quote((server.program:gsub("[^/]*$", "")) .. "tests/siege_client"), self.port }
  for _, flag in ipairs { ... } do words[#words + 1] = quote(flag) end
  local pipe = assert(io.popen("echo $$; exec " .. table.concat(words, " ")))
  local pid = pipe:read("*n", "*l")
  local function finish()
    local counts = { status = {}, body = {} }
    for line in pipe:lines() do
      local body, times = line:match("^body (.*) (%d+)$")
      local name, number = line:match("^(%S+) (%d+)$")
      local status = name and name:match("^status_(%d+)$")
      if body then counts.body[body] = tonumber(times)
      elseif status then counts.status[tonumber(status)] = tonumber(number)
      else counts[name] = tonumber(number) end
    end
    pipe:close()
    assert(counts.requests, "the siege's client did not run: ninja siege_client builds it")
    return counts
  end
  return finish, function() os.execute("kill -TERM " .. pid) end
end

--- How many descriptors and threads its workers have.
---@return integer descriptors, integer threads
function Running:holdings()
  local folders = {}
  for _, pid in ipairs(self:workers()) do folders[#folders + 1] = ("/proc/%d/%%s"):format(pid) end
  local function count(kind)
    local names = table.concat(folders, " "):gsub("%%s", kind)
    return tonumber(command_output("ls -U " .. names .. " 2>/dev/null | grep -c '^[0-9]'"))
  end
  return count "fd", count "task"
end

--- Resident memory of its workers in bytes.
function Running:resident_bytes()
  local total = 0
  for _, pid in ipairs(self:workers()) do
    total = total + tonumber((files.read("/proc/" .. pid .. "/status") or ""):match("VmRSS:%s*(%d+) kB") or 0) * 1024
  end
  return total
end

--- Ends it (SIGTERM, or the signal named), removes its folders, and returns exit status and log; the same again when it was stopped already.
--- A sanitizer's report shows as an exit status other than 0.
function Running:stop(signal)
  if self.stopped then return unpack(self.stopped) end
  self:signal(signal or "TERM")
  local status = self.process:await_end()
  if type(status) == "string" then self:signal("KILL") end
  self.stopped = { status, self:log() }
  server.remove_folder(self.world)
  if self.own_app then server.remove_folder(self.app) end
  return unpack(self.stopped)
end

---@class server.Options
---@field command? string "serve" when nil
---@field flags? string[] more flags
---@field workers? integer 1 when nil
---@field env? table<string, string>
---@field data? string a data folder to keep; a fresh one when nil
---@field shell? string a command of the shell's before it: "ulimit -n 60"
---@field through? string a command that becomes it: "setpriv --reuid=nobody"
---@field reader? string a command that reads the log, and prints it as far as that goes
---@field visible? boolean its descriptors are looked at: who is not root starts it without the walls that hide them
---@field meanwhile? fun(running: server.Running) called again and again while it starts

--- Starts `app`: a folder, or what server.write_app takes. Returns when it accepts connections; raises with its log when it does not.
---@param options? server.Options
---@return server.Running
function server.start(app, options)
  options = options or {}
  local world = server.make_folder()
  local self = setmetatable({ world = world, app = app, data = options.data or world .. "/data" }, Running)
  if type(app) == "table" or app:find("\n") then
    self.app, self.own_app = server.write_app(app), true
  end
  os.execute("mkdir -p " .. quote(self.data))
  local words = { "env", "DEMILUNE_DATA=" .. quote(self.data), (options.env or {}).LD_PRELOAD and "" or BENEATH }
  for name, value in pairs(options.env or {}) do words[#words + 1] = name .. "=" .. quote(value) end
  if options.visible and not server.is_root() then words[#words + 1] = "DEMILUNE_SANDBOX=off" end
  words[#words + 1] = options.through
  local command = { server.program, options.command or "serve", self.app, "--host=127.0.0.1", "--port=0", "--workers=" .. (options.workers or 1),
    unpack(options.flags or {}) }
  for _, word in ipairs(command) do words[#words + 1] = quote(word) end
  self.process = process.start(world, table.concat(words, " "), { before = options.shell, reader = options.reader, owner = self })
  self.pid = self.process.pid
  self.port = server.wait_until(START_TIMEOUT, function()
    local log = self:log()
    if options.meanwhile then options.meanwhile(self) end
    if self:exit_status() then return "ended" end
    return tonumber(log:match("listening on https?://127%.0%.0%.1:(%d+)")) or log:find("listening on unix:", 1, true) and 0
  end)
  if type(self.port) ~= "number" then
    local status, log = self:stop("KILL")
    error(("the server did not start (status %s):\n%s"):format(tostring(status), log), 2)
  end
  return self
end

return server
