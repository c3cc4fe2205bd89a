-- SPDX-License-Identifier: MIT
-- Runs one of attackers.lua at a bounded rate, in a process of its own, and prints what it counted: "count NUMBER WHAT" lines.
--   luajit tests/siege/together/attack.lua KIND STEPS_A_SECOND SECONDS PORT TLS_PORT ADMIN_PORT MASTER ...

local attackers = require "tests.siege.together.attackers"
local socket = require "socket"

local kind, rate, seconds = arg[1], tonumber(arg[2]), tonumber(arg[3])
local counts, oddities = {}, 0
local ODDITIES_TOLD = 10

local attack = { port = tonumber(arg[4]), tls_port = tonumber(arg[5]), admin_port = tonumber(arg[6]), masters = {} }
for index = 7, #arg do attack.masters[index - 6] = tonumber(arg[index]) end

function attack.count(what, times) counts[what] = (counts[what] or 0) + (times or 1) end
function attack.record(line) print(line) end
function attack.odd(what)
  attack.count "odd"
  oddities = oddities + 1
  if oddities <= ODDITIES_TOLD then print("odd " .. what) end
end

math.randomseed(socket.gettime() * 1000 % 2 ^ 31)
local step = attackers[kind](attack)
local began = socket.gettime()
local steps = 0
while socket.gettime() < began + seconds do
  step()
  steps = steps + 1
  -- What could not be done in time is not made up for: the rate is a bound.
  local ahead = began + steps / rate - socket.gettime()
  if ahead > 0 then socket.sleep(ahead) else steps = (socket.gettime() - began) * rate end
end
for what, times in pairs(counts) do print(("count %d %s"):format(times, what)) end
