-- SPDX-License-Identifier: MIT
-- A clock that a spec moves under a running server: tests/clock/jumping_clock.c, preloaded into the real program.

local ffi = require "ffi"
local files = require "spec.support.files"
local server = require "spec.support.server"

local LIBRARY = (server.program:match("^(.*)/") or ".") .. "/tests/jumping_clock.so"
local PATIENCE = 30 -- seconds

---@class clock.Clock
---@field path string
local Clock = {}
Clock.__index = Clock

local clock = {}

--- One that goes with the machine's until it is moved; its file lies in that folder.
---@param folder string
---@return clock.Clock
function clock.new(folder)
  local made = setmetatable({ path = folder .. "/clock" }, Clock)
  files.write(made.path, ("\0"):rep(16))
  return made
end

--- What a server's environment has to have for it, beside what that has already.
---@param env? table<string, string>
function Clock:environment(env)
  env = env or {}
  env.JUMPING_CLOCK, env.LD_PRELOAD, env.ASAN_OPTIONS = self.path, LIBRARY, "verify_asan_link_order=0"
  return env
end

--- From now on it is so many seconds ahead of the machine's, and the machine has run for so many more than it did.
---@param ahead integer
---@param longer? integer
function Clock:set(ahead, longer)
  local file = assert(io.open(self.path, "r+b")) -- the same file, which the server has mapped
  file:write(ffi.string(ffi.new("int64_t[2]", ahead, longer or 0), 16))
  file:close()
end

--- Sets it and has the server look at it, which reads its clock once in each turn of its loop.
---@param ahead integer seconds
---@param now fun(): string what the server says that the time is
function Clock:jump(ahead, now)
  self:set(ahead)
  local off = tonumber(now()) - os.time()
  assert(math.abs(off - ahead) < PATIENCE, ("%d s ahead, not %d"):format(off, ahead))
end

return clock
