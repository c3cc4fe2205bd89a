-- SPDX-License-Identifier: MIT
-- Says what tests/coverage/run counted: a row for each folder of the core, then each line and branch of the judging folders that never ran.
--   luajit tests/coverage/report.lua BUILD-FOLDER [FOLDER...]   lists what is left in these folders only
-- Exits with 1 if a judging folder has less than the README of this folder promises.
local cjson = require "cjson"

local line_goal, branch_goal = 95, 85
local judging = { "http", "model", "guard", "crypto", "limit" }
local informing = { "base", "data", "sandbox", "net", "app", "bridge", "server", "cli" }

local build = assert(arg[1], "say which build folder, as tests/coverage/run does")
local wanted = #arg > 1 and { unpack(arg, 2) } or judging

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function trimmed(text) return (text:gsub("^%s+", ""):gsub("%s+$", "")) end

local function source_lines(path)
  local lines = {}
  for line in (read(path) .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

-- "core/http/x.c", or nil for what is not of the core.
local function inside(path) return path:match "/(core/%w+/[%w_]+%.[ch])$" end

-- files[path] = { lines = { [number] = count }, branches = { [place] = { line, yes, no } } }
local function read_counts()
  local files = {}
  local current
  for kind, rest in read(build .. "/lines.lcov"):gmatch "(%u+):([^\n]*)" do
    if kind == "SF" then
      local path = inside(rest)
      current = path and { lines = {}, branches = {} }
      if path then files[path] = current end
    elseif kind == "DA" and current then
      local number, count = rest:match "^(%d+),(%d+)"
      current.lines[tonumber(number)] = tonumber(count)
    end
  end
  -- A function in a header is counted once for each file that includes it: its branches are added up by their place.
  for _, file in ipairs(cjson.decode(read(build .. "/branches.json")).data[1].files) do
    local path = inside(file.filename)
    for _, branch in ipairs(path and file.branches or {}) do
      local place = table.concat(branch, ":", 1, 4)
      local seen = files[path].branches[place] or { line = branch[1], column = branch[2], yes = 0, no = 0 }
      seen.yes, seen.no = seen.yes + branch[5], seen.no + branch[6]
      files[path].branches[place] = seen
    end
  end
  return files
end

-- What of one file counts, and what of it is left: { lines, lines_run, branches, branches_run, left = { [number] = what } }
local function judge(counts)
  local sum = { lines = 0, lines_run = 0, branches = 0, branches_run = 0, left = {} }
  local function leave(number, what) sum.left[number] = (sum.left[number] and sum.left[number] .. ", " or "") .. what end
  for number, count in pairs(counts.lines) do
    sum.lines = sum.lines + 1
    if count > 0 then sum.lines_run = sum.lines_run + 1 else leave(number, "never runs") end
  end
  for _, branch in pairs(counts.branches) do
    for _, way in ipairs { { branch.yes, "true" }, { branch.no, "false" } } do
      sum.branches = sum.branches + 1
      if way[1] > 0 then sum.branches_run = sum.branches_run + 1
      elseif counts.lines[branch.line] ~= 0 then leave(branch.line, ("column %d is never %s"):format(branch.column, way[2])) end
    end
  end
  return sum
end

local function percent(part, whole) return whole == 0 and 100 or 100 * part / whole end

local folders = {}
for path, counts in pairs(read_counts()) do
  local name = path:match "^core/(%w+)/"
  local sum = folders[name] or { lines = 0, lines_run = 0, branches = 0, branches_run = 0, files = {} }
  folders[name] = sum
  local one = judge(counts)
  for _, key in ipairs { "lines", "lines_run", "branches", "branches_run" } do sum[key] = sum[key] + one[key] end
  sum.files[#sum.files + 1] = { path = path, left = one.left }
end

local good = true
local function say_folder(name, is_judged)
  local sum = assert(folders[name], "no counts of core/" .. name .. ": the build has none of its code")
  local lines, branches = percent(sum.lines_run, sum.lines), percent(sum.branches_run, sum.branches)
  local enough = not is_judged or (lines >= line_goal and branches >= branch_goal)
  good = good and enough
  print(("core/%-8s %6.2f %% of %5d lines, %6.2f %% of %5d branches%s"):format(name, lines, sum.lines, branches, sum.branches,
    enough and "" or (": less than %d %% and %d %%"):format(line_goal, branch_goal)))
end

-- Neighbouring lines that never run are one range.
local function list_left(path, left)
  local text, numbers = source_lines(path), {}
  for number in pairs(left) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  local index = 1
  while index <= #numbers do
    local last = index
    while numbers[last + 1] == numbers[last] + 1 and left[numbers[last + 1]] == left[numbers[index]] do last = last + 1 end
    local first_line, last_line = numbers[index], numbers[last]
    print(("%s:%s: %s"):format(path, first_line == last_line and first_line or first_line .. "-" .. last_line, left[first_line]))
    for number = first_line, last_line do print("    " .. trimmed(text[number])) end
    index = last + 1
  end
end

print "\nWhat judges an attacker's bytes:"
for _, name in ipairs(judging) do say_folder(name, true) end
print "The rest, for information:"
for _, name in ipairs(informing) do say_folder(name, false) end

print "\nWhat is left:"
for _, name in ipairs(wanted) do
  table.sort(folders[name].files, function(a, b) return a.path < b.path end)
  for _, file in ipairs(folders[name].files) do list_left(file.path, file.left) end
end

os.exit(good and 0 or 1)
