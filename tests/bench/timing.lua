-- SPDX-License-Identifier: MIT
-- The timing test over the socket: does the time until a refusal tell whether a user exists, or how near a key or a signature was? Called by
-- tests/bench/timing, which also runs timing.c. Requests of two sorts in random order, one connection, Welch's t over all and over the faster part.

local http = require "spec.support.http"
local jwt = require "spec.support.jwt"
local process = require "tests.bench.lib.process"
local report = require "tests.bench.lib.report"
local request = require "tests.bench.lib.request"
local socket = require "socket"

local KEY = "a5d0c1f7e3b94826a5d0c1f7e3b94826"
local BUILD = "build/bench"

local function hex(bytes)
  return (("x"):rep(bytes):gsub(".", function() return ("%02x"):format(math.random(0, 255)) end))
end

-- --- the requests -----------------------------------------------------------------------

local function form(name)
  return { method = "POST", path = "/token", headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    body = ("username=%s&password=%s"):format(name, hex(8)) }
end

local function signed()
  local now = os.time()
  return jwt.sign('{"alg":"HS256","typ":"JWT"}', ('{"sub":"%d","iat":%d,"exp":%d}'):format(math.random(1e5, 9e5), now, now + 80000), request.secret)
end

-- Its last bit wrong, or all of it.
local function token(sort)
  local head, signature = signed():match("^(.*%.)([^.]*)$")
  local bytes = jwt.decode(signature)
  local last = string.char(bit.bxor(bytes:byte(32), 1))
  return head .. jwt.encode(sort == 1 and bytes:sub(1, 31) .. last or jwt.hmac(hex(16), head))
end

local cases = {
  { name = "login: a wrong password, or no such user", divide = 20, make = function(sort) return form(sort == 1 and "ada" or "eve") end },
  { name = "API key: all but the last byte right, or none", make = function(sort)
    return { method = "GET", path = "/service", headers = { ["X-API-Key"] = sort == 1 and KEY:sub(1, -2) .. "x" or hex(16) } }
  end },
  { name = "token: all but the last bit of the signature right, or none", make = function(sort)
    return { method = "GET", path = "/me", headers = { Authorization = "Bearer " .. token(sort) } }
  end },
}

-- --- Welch's t --------------------------------------------------------------------------

local function moments(samples, limit)
  local count, mean, squares = 0, 0, 0
  for _, value in ipairs(samples) do
    if value <= limit then
      local before = value - mean
      count, mean = count + 1, mean + before / (count + 1)
      squares = squares + before * (value - mean)
    end
  end
  return count, mean, squares / math.max(count - 1, 1)
end

local function welch(one, other, limit)
  local count_one, mean_one, variance_one = moments(one, limit)
  local count_other, mean_other, variance_other = moments(other, limit)
  if count_one < 50 or count_other < 50 then return 0, mean_one, mean_other end
  return (mean_one - mean_other) / math.sqrt(variance_one / count_one + variance_other / count_other), mean_one, mean_other
end

local function strongest(series)
  local all = {}
  for _, samples in ipairs(series) do
    for _, value in ipairs(samples) do all[#all + 1] = value end
  end
  table.sort(all)
  local most = 0
  for _, share in ipairs { 1, 0.95, 0.9, 0.75, 0.5 } do
    most = math.max(most, math.abs((welch(series[1], series[2], all[math.ceil(#all * share)]))))
  end
  local _, one, other = welch(series[1], series[2], all[math.ceil(#all * 0.9)])
  return most, one, other
end

-- --- running ----------------------------------------------------------------------------

-- Made before the clock starts, and each a text of its own: one that is sent again and again would lie in the cache.
local function text_of(made)
  local lines = { made.method .. " " .. made.path .. " HTTP/1.1", "Host: 127.0.0.1", "X-Once: " .. hex(8) }
  for name, value in pairs(made.headers) do lines[#lines + 1] = name .. ": " .. value end
  if made.body then lines[#lines + 1] = "Content-Length: " .. #made.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (made.body or "")
end

local function measure(port, case, count)
  local connection = http.connect(port, 60)
  local series, prepared = { {}, {} }, {}
  for index = 1, count do
    local sort = math.random(2)
    prepared[index] = { sort = sort, text = text_of(case.make(sort)) }
  end
  for index, item in ipairs(prepared) do
    local begin = socket.gettime()
    connection:send(item.text)
    local response = assert(connection:receive())
    local took = (socket.gettime() - begin) * 1e6
    assert(response.status == 401, case.name .. ": " .. response.status)
    if index > count / 20 then table.insert(series[item.sort], took) end -- the first ones warm up
  end
  connection:close()
  return strongest(series)
end

local function main()
  local options = report.options(arg, { requests = 20000, only = false })
  local port, log = process.free_port(), BUILD .. "/timing.log"
  os.remove(log)
  math.randomseed(os.time())
  local running = process.start { port = port, log = log, environment = request.environment .. " SERVICE_KEY=" .. KEY,
    command = ("build/release/demilune serve tests/bench/login --host=127.0.0.1 --port=%d --workers=1 --access-log=off"):format(port) }
  local rows = {}
  local ok, failure = xpcall(function()
    for _, case in ipairs(cases) do
      if options.only and not case.name:find(options.only, 1, true) then goto next end
      local count = math.floor(options.requests / (case.divide or 1))
      local most, one, other = measure(port, case, count)
      rows[#rows + 1] = { case.name, ("%d"):format(count), ("%.1f"):format(one), ("%.1f"):format(other), ("%.2f"):format(most),
        most > 10 and "leaks" or "none found" }
      ::next::
    end
  end, debug.traceback)
  running:stop()
  if not ok then error(failure, 0) end
  print(report.table({ "two sorts of request", "requests", "µs, first", "µs, second", "max abs t", "leak" }, rows))
end

main()
