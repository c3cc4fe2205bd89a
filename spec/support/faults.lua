-- SPDX-License-Identifier: MIT
-- The libraries of tests/faults, preloaded into a server. Of failing_calls.c it is said here which calls of which process fail from now on.

local ffi = require "ffi"
local server = require "spec.support.server"

ffi.cdef [[
typedef struct failing_calls { uint64_t kinds, calls, from, to, failed, newborn; char who[16]; uint64_t notes, places[65536]; } failing_calls;
int open(const char *path, int flags, ...);
int close(int fd);
void *mmap(void *address, size_t bytes, int protection, int flags, int fd, long offset);
int munmap(void *address, size_t bytes);
]]

local NOTED = 65536
local O_RDWR, READ_AND_WRITE, MAP_SHARED = 2, 3, 1

local faults = { HEAP = 1, LUA = 2, MAPPING = 4, PROCESS = 8 }

---@class faults.Control
local Control = {}
Control.__index = Control

-- What a server's environment must say for that library.
local function preload(name, env)
  env.LD_PRELOAD = ("%s/tests/%s.so"):format(server.program:match("^(.*)/") or ".", name)
  env.ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":verify_asan_link_order=0"
  return env
end

--- The environment of a server over tests/faults/short_io.c.
---@param variables table<string, any> its settings
---@return table<string, any>
function faults.short_io(variables) return preload("short_io", variables) end

--- A new control block in `folder`. A server that is started with its `env` obeys it; with `places` it notes where calls that are counted come from.
---@param folder string
---@param places? boolean
---@return faults.Control
function faults.control(folder, places)
  local path = folder .. "/failing_calls"
  local file = assert(io.open(path, "wb"))
  file:write(("\0"):rep(ffi.sizeof "failing_calls"))
  file:close()
  local fd = ffi.C.open(path, O_RDWR)
  assert(fd >= 0, "cannot open " .. path)
  local address = ffi.C.mmap(nil, ffi.sizeof "failing_calls", READ_AND_WRITE, MAP_SHARED, fd, 0)
  ffi.C.close(fd)
  local env = preload("failing_calls", { FAILING_CALLS = path })
  return setmetatable({ block = ffi.cast("failing_calls *", address), env = env, notes = places and 1 or 0 }, Control)
end

--- From now on calls of these kinds (a sum of faults.HEAP, ...) are counted in processes named `who`; those with the numbers `from` to `to` fail.
--- Those that have taken no connection yet are left alone, unless `newborn`.
function Control:arm(who, kinds, from, to, newborn)
  self.block.kinds, self.block.notes = 0, 0
  self.block.newborn = newborn and 1 or 0
  self.block.calls, self.block.from, self.block.to, self.block.failed = 0, from, (to or from) + 1, 0
  ffi.fill(self.block.who, 16)
  ffi.copy(self.block.who, who:sub(1, 15))
  self.block.kinds = kinds
end

--- Counts, and lets nothing fail.
function Control:count(who, kinds, newborn)
  self:arm(who, kinds, 2 ^ 53, 2 ^ 53, newborn)
  self.block.notes = self.notes
end

--- Of those counted last, the first from each place: the others came to their call by the same functions.
---@return integer[]
function Control:places()
  local chosen, seen = {}, {}
  for n = 1, math.min(tonumber(self.block.calls), NOTED) do
    local place = tostring(self.block.places[n - 1])
    if not seen[place] then chosen[#chosen + 1] = n end
    seen[place] = true
  end
  return chosen
end

--- Nothing fails any more. How many calls were counted, and how many failed.
---@return integer calls, integer failed
function Control:disarm()
  self.block.kinds = 0
  return tonumber(self.block.calls), tonumber(self.block.failed)
end

function Control:close() ffi.C.munmap(self.block, ffi.sizeof "failing_calls") end

return faults
