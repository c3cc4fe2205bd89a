-- SPDX-License-Identifier: MIT
-- Tells what a siege came to, as Markdown, and judges it: each promise with what was found. A promise that is broken makes the run fail.

local kills = require "tests.siege.together.kills"

local report = {}

local MEBIBYTE = 2 ^ 20
local TIMES_SLOWER = 3 -- what the normal client's p99 may come to, beside its own alone
local GROWTH, SPARE_BYTES = 1.2, 4 * MEBIBYTE
local SPARE_DESCRIPTORS = 32 -- a worker opens its database and Redis when it first needs them, and some at rest are younger than others
local ADMITTED = 5 -- of tests/siege/together/app: "5/day"

-- What each attacker has to have brought about; one that did nothing would show nothing.
local EFFECTS = {
  framing = { "served 200", "refused 400" }, tokens = { "refused 401", "genuine ones served 200" },
  oversized = { "refused 413", "refused 414", "refused 431" }, garbage = { "refused 400" }, tls_garbage = { "refused by an alert" },
  half_closed = { "served 200", "refused 400", "reset by us" }, leavers = { "left", "served 200" }, flood = { "let in", "turned away" },
  limits = { "admitted", "refused 429" }, reloads = { "done" }, slow_head = { "told_why" }, slow_body = { "told_why" }, slow_read = { "bytes" },
}

local function print_row(...) print("| " .. table.concat({ ... }, " | ") .. " |") end

local function print_head(...)
  print ""
  print_row(...)
  print("|" .. (" --- |"):rep(select("#", ...)))
end

local function mebibytes(bytes) return ("%.1f"):format(bytes / MEBIBYTE) end

-- --- reading what clients printed ------------------------------------------------------------

-- "name number" lines.
local function read_counts(process)
  local counts = {}
  for line in process:lines() do
    local name, number = line:match "^(%S+) (%d+)$"
    if name then counts[name] = tonumber(number) end
  end
  return counts
end

-- An attacker's: what it counted, and lines that tell more.
local function read_attacker(process)
  local counts, lines = {}, {}
  for line in process:lines() do
    local number, what = line:match "^count (%d+) (.+)$"
    local name, value = line:match "^(%S+) (%d+)$"
    if number then counts[what] = tonumber(number)
    elseif name then counts[name] = tonumber(value)
    else lines[#lines + 1] = line end
  end
  return counts, lines
end

local function add(to, counts)
  for name, number in pairs(counts) do to[name] = (to[name] or 0) + number end
end

-- Failures of a normal client by kind: those in flight on a killed worker, and others, which are told one by one.
local function read_failures(process, killed)
  local in_flight, other, lines = {}, {}, {}
  for line in io.lines(process.records) do
    local opened, ended, port, kind = line:match "^fail (%S+) (%S+) (%d+) (%S+)$"
    if opened then
      local explained = kills.explain(killed, process.server_port, tonumber(port), tonumber(opened), tonumber(ended))
      add(explained and in_flight or other, { [kind] = 1 })
      if not explained then
        lines[#lines + 1] = ("%s, %s after %.1f ms, %s"):format(process.kind, kind, (ended - opened) * 1000,
          kills.nearest(killed, process.server_port, tonumber(port), tonumber(ended)))
      end
    end
  end
  return in_flight, other, lines
end

local function told(counts)
  local list = {}
  for name, number in pairs(counts) do list[#list + 1] = name .. ": " .. number end
  table.sort(list)
  return #list > 0 and table.concat(list, ", ") or "none"
end

-- --- promises ----------------------------------------------------------------------------------

local Promises = {}
Promises.__index = Promises

function Promises:add(what, kept, found, only_told)
  self[#self + 1] = { what, only_told and "told" or kept and "kept" or "BROKEN", found }
  if not only_told then self.kept = self.kept and kept end
end

-- --- the normal clients --------------------------------------------------------------------------

local function quantiles(counts, prefix)
  local list = {}
  for _, name in ipairs { "p50_us", "p99_us", "p999_us" } do list[#list + 1] = ("%.2f"):format((counts[prefix .. name] or 0) / 1000) end
  return table.concat(list, " / ")
end

local function print_normal(result, promises)
  print_head("normal client", "requests", "failed, in flight on a killed worker", "failed otherwise", "reads p50 / p99 / p99.9 ms",
    "writes p50 / p99 / p99.9 ms", "closed while idle")
  local all_in_flight, all_other, unexplained, worst = {}, {}, {}, 0
  local function row(when, process, counts)
    local in_flight, other, lines = read_failures(process, result.happened.kills)
    for _, line in ipairs(lines) do unexplained[#unexplained + 1] = line end
    print_row(process.kind .. ", " .. when, counts.requests, told(in_flight), told(other), quantiles(counts, "read_"), quantiles(counts, "write_"),
      counts.idle_closed)
    add(all_in_flight, in_flight)
    add(all_other, other)
  end
  for index, during in ipairs(result.happened.normal) do
    local before, beside = read_counts(result.alone[index]), read_counts(during)
    row("alone", result.alone[index], before)
    row("during", during, beside)
    row("alone again", result.again[index], read_counts(result.again[index]))
    for _, prefix in ipairs { "read_", "write_" } do worst = math.max(worst, beside[prefix .. "p99_us"] / before[prefix .. "p99_us"]) end
  end
  local rows_lost = all_other.row_lost or 0
  promises:add("no normal request failed but those in flight on a killed worker", not next(all_other),
    ("in flight: %s; otherwise: %s %s"):format(told(all_in_flight), told(all_other), table.concat(unexplained, "; ", 1, math.min(10, #unexplained))))
  promises:add("no acknowledged write is lost, in the file, through the app, or to a read meanwhile",
    result.acknowledged > 0 and #result.lost_in_file + #result.lost_by_api + rows_lost == 0,
    ("%d acknowledged; lost %d, %d and %d"):format(result.acknowledged, #result.lost_in_file, #result.lost_by_api, rows_lost))
  promises:add(("the normal client's p99 is within %d times its value alone"):format(TIMES_SLOWER), worst <= TIMES_SLOWER,
    ("at worst %.2f times"):format(worst), result.brief)
end

-- What the normal clients saw from time to time, beside what the servers held then.
local function print_course(result)
  print_head("second", "requests", "failed", "reads p99 ms, plain / TLS", "writes p99 ms, plain / TLS", "memory MiB", "of it masters", "descriptors",
    "load")
  local function holdings(held) return mebibytes(held.bytes), mebibytes(held.master_bytes), held.descriptors, held.load end
  print_row("start, at rest", "", "", "", "", holdings(result.at_start))
  local seen = {}
  for index, process in ipairs(result.happened.normal) do
    local number = 0
    for line in process:lines() do
      local counts = {}
      for name, value in line:gmatch "([%l%d_]+) (%d+) " do counts[name] = tonumber(value) end
      if line:find "^progress " then
        number = number + 1
        seen[number] = seen[number] or {}
        seen[number][index] = counts
      end
    end
  end
  for index, point in ipairs(result.happened.points) do
    local plain, tls = unpack(seen[index - 1] or {})
    local function pair(name) return plain and tls and ("%.2f / %.2f"):format(plain[name] / 1000, tls[name] / 1000) or "" end
    local function sum(name) return plain and tls and plain[name] + tls[name] or "" end
    print_row(point.second, sum "requests", sum "failed", pair "read_p99_us", pair "write_p99_us", holdings(point))
  end
  print_row("end, at rest", "", "", "", "", holdings(result.at_end))
end

local function judge_holdings(result, promises)
  local first, last = result.at_start, result.at_end
  local function fits(name) return last[name] <= first[name] * GROWTH + SPARE_BYTES end
  promises:add("memory is flat", fits "bytes" and fits "master_bytes", ("%s → %s MiB, masters %s → %s")
    :format(mebibytes(first.bytes), mebibytes(last.bytes), mebibytes(first.master_bytes), mebibytes(last.master_bytes)), result.brief)
  promises:add("descriptors are flat",
    last.descriptors <= first.descriptors + SPARE_DESCRIPTORS and last.master_descriptors <= first.master_descriptors,
    ("%d → %d, masters %d → %d"):format(first.descriptors, last.descriptors, first.master_descriptors, last.master_descriptors))
  promises:add("no connection is left when all clients are gone", first.calm and last.calm, last.calm and "none" or "some")
end

-- --- attackers ------------------------------------------------------------------------------------

-- A client that was counted in one place is admitted exactly so often; one counted in Redis and in memory, or in a Redis that
-- forgot meanwhile, at most so often in each. A worker that was killed took its part of the counting of checks along, so that the
-- place is not known. An answer lost to a kill may have been an admission.
local function judge_limits(lines, happened, promises, brief)
  local exact, more, wrong = 0, 0, {}
  for _, line in ipairs(lines) do
    local began, ended, admitted, lost, stores = line:match "^client (%S+) (%S+) (%d+) (%d+) (%a+)$"
    if began then
      began, ended, admitted, lost = tonumber(began), tonumber(ended), tonumber(admitted), tonumber(lost)
      local function meanwhile(at) return at >= began and at <= ended and 1 or 0 end
      local killed, forgot = 0, 0
      for _, kill in ipairs(happened.kills) do killed = killed + meanwhile(kill.at) end
      for _, start in ipairs(happened.redis_starts) do forgot = forgot + meanwhile(start) end
      local one = stores == "one" and killed + forgot == 0
      if one then exact = exact + 1 else more = more + 1 end
      if admitted > ADMITTED * (one and 1 or 2 + forgot) or admitted + lost < ADMITTED then wrong[#wrong + 1] = line end
    end
  end
  promises:add(("%d a day admits exactly %d, and at most so many in each place that counts while Redis comes and goes"):format(ADMITTED, ADMITTED),
    (exact > 0 or brief) and #wrong == 0,
    ("%d clients counted in one place, %d perhaps in more; wrong: %d %s")
      :format(exact, more, #wrong, table.concat(wrong, "; ", 1, math.min(3, #wrong))))
end

local function print_attackers(result, promises)
  print_head("beside it", "what it did and what came back")
  local idle, odd, problems = {}, {}, {}
  table.sort(result.happened.attackers, function(a, b) return a.kind < b.kind end)
  for _, process in ipairs(result.happened.attackers) do
    local counts, lines = read_attacker(process)
    print_row(process.kind, told(counts))
    for _, effect in ipairs(EFFECTS[process.kind]) do
      if (counts[effect] or 0) == 0 then idle[#idle + 1] = process.kind .. ": nothing " .. effect end
    end
    for _, line in ipairs(lines) do
      if line:find "^odd " then odd[#odd + 1] = process.kind .. ": " .. line:sub(5) end
    end
    if process:problems() ~= "" then problems[#problems + 1] = process.kind .. ": " .. process:problems():sub(1, 300) end
    if process.kind == "limits" then judge_limits(lines, result.happened, promises, result.brief) end
    if process.kind == "reloads" then
      for index = 1, math.min(3, #lines) do print_row("", lines[index]) end
    end
  end
  local happened = result.happened
  print_row("kills", #happened.kills .. " of workers, at random, with SIGKILL")
  print_row("redis", ("stopped: %d, hung: %d"):format(happened.redis_stops, happened.redis_hangs))
  local turned_away = 0
  for _, page in ipairs(result.metrics) do
    turned_away = turned_away + page:sum("demilune_connections_refused_total", { reason = "max_connections_per_client" })
  end
  if turned_away == 0 then idle[#idle + 1] = "flood: the servers turned nobody away" end
  if #happened.kills == 0 then idle[#idle + 1] = "no worker was killed" end
  if happened.redis_stops == 0 or happened.redis_hangs == 0 then idle[#idle + 1] = "Redis was not stopped and hung" end
  promises:add("every attacker did its work", #idle == 0 and #problems == 0, table.concat(idle, "; ") .. table.concat(problems, "; "))
  promises:add("nothing got an answer that it must not get", #odd == 0, table.concat(odd, "; ", 1, math.min(8, #odd)))
end

-- --- the servers' own word ---------------------------------------------------------------------------

local function judge_metrics(result, promises)
  local failures, refusals, smuggled, died = 0, {}, 0, 0
  for _, page in ipairs(result.metrics) do
    died = died + page:sum "demilune_workers_died_total"
    for _, status in ipairs { "500", "503", "504", "none" } do
      local count = page:sum("demilune_http_requests_total", { status = status })
      if status ~= "none" then failures = failures + count end
      if count > 0 then refusals[status] = (refusals[status] or 0) + count end
    end
    refusals["501 and 505"] = (refusals["501 and 505"] or 0) + page:sum("demilune_http_requests_total", { status = "5xx" })
    smuggled = smuggled + page:sum("demilune_http_requests_total", { route = "/smuggled" })
  end
  promises:add("no request was answered 500, 503 or 504", failures == 0, told(refusals))
  promises:add("no request hidden in another reached a handler", smuggled == 0, smuggled)
  local killed = #result.happened.kills
  promises:add("no worker died but those that were killed", died == killed, ("%d died, %d were killed"):format(died, killed))
  promises:add("the servers log no error but the kills", #result.errors == 0, table.concat(result.errors, "; ", 1, math.min(5, #result.errors)))
  promises:add("the servers end in order", #result.problems == 0, table.concat(result.problems, "\n"))
end

local function print_processor(happened)
  local cpu, seconds = happened.cpu, happened.seconds
  local function cores(used) return ("%.2f"):format(used / seconds) end
  print_head("processor, in cores of " .. cpu.cores, "servers", "attackers", "normal clients", "whole machine")
  print_row("over " .. seconds .. " s", cores(cpu.server), cores(cpu.attackers), cores(cpu.normal), cores(cpu.machine))
end

--- Prints all of it.
---@return boolean kept whether every promise was kept
function report.print(result)
  local promises = setmetatable({ kept = true }, Promises)
  print_course(result)
  print_normal(result, promises)
  judge_holdings(result, promises)
  print_attackers(result, promises)
  judge_metrics(result, promises)
  print_processor(result.happened)
  print_head("promise", "", "found")
  for _, promise in ipairs(promises) do print_row(unpack(promise)) end
  io.stdout:flush()
  return promises.kept
end

return report
