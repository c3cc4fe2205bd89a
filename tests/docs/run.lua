-- SPDX-License-Identifier: MIT
-- Runs what a README shows: luajit tests/docs/run.lua README.md. Prints TAP.
-- Every ```console block that starts with `$ curl` (or `$ demilune`) is executed line by line, in the README's order, against a freshly
-- started server, and what is printed must be what the README says; `...` stands for anything. The app served is the README's own
-- folder if that is an app, else apps/users; a line <!-- app: FOLDER --> chooses another for the blocks below it.
-- Addresses of port 8000 in the README are those of the server under test, `demilune` is the program under test, and both have one JWT_SECRET.
-- Blocks of Lua and SQL whose first line is a comment with a file's name (`-- app.lua`) are written to a folder, and that app must start.

local server = require "spec.support.server"

local readme = assert(arg[1], "usage: luajit tests/docs/run.lua README.md")

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- The files that the README shows, by name.
local function read_files(path)
  local files, name, inside = {}, nil, false
  for line in io.lines(path) do
    if line == "```lua" or line == "```sql" then
      inside, name = true, nil
    elseif line == "```" then
      inside = false
    elseif inside and not name then
      name = line:match("^%-%- ([%w_/]+%.%a+)$") or "-"
      files[name] = ""
    elseif inside then
      files[name] = files[name] .. line .. "\n"
    end
  end
  files["-"] = nil
  return files
end

-- Blocks of the README: { app =, line =, steps = { { line =, command =, expected = }, ... } }.
local function read_blocks(path)
  local folder = path:match("^(.*)/[^/]*$") or "."
  local app = exists(folder .. "/app.lua") and folder or "apps/users"
  local blocks, block, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    app = line:match("^<!%-%- app: (%S+) %-%->$") or app
    if line == "```console" then
      block = { app = app, line = number, steps = {} }
    elseif line == "```" and block then
      local first = block.steps[1]
      if first and (first.command:find("^curl ") or first.command:find("^demilune ")) then blocks[#blocks + 1] = block end
      block = nil
    elseif block then
      local command, step = line:match("^%$ (.*)"), block.steps[#block.steps]
      if command then
        block.steps[#block.steps + 1] = { line = number, command = command, expected = {} }
      elseif step and step.command:sub(-1) == "\\" then
        step.command = step.command:sub(1, -2) .. line
      elseif step then
        table.insert(step.expected, line)
      end
    end
  end
  return blocks
end

local function pattern_of(expected)
  local text = expected:gsub("%.%.%.", "\1"):gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("\1", ".-")
  return "^" .. text .. "$"
end

local SECRET = "only for the commands of READMEs, nobody else knows it"

local function run(command)
  local setting = ("export JWT_SECRET='%s' PATH='%s':$PATH\n"):format(SECRET, server.program:match "^(.*)/[^/]*$")
  local pipe = assert(io.popen(setting .. "{ " .. command .. "\n} 2>&1"))
  local output = pipe:read("*a")
  pipe:close()
  return (output:gsub("\r", ""):gsub("%s+$", ""))
end

local count, failed, running = 0, 0, nil

local function report(ok, name, detail)
  count = count + 1
  if not ok then failed = failed + 1 end
  print(("%s %d - %s"):format(ok and "ok" or "not ok", count, name))
  if not ok then print("# " .. detail:gsub("\n", "\n# ")) end
end

local function serve(app)
  if running and running.app == app then return end
  if running then running:stop() end
  running = server.start(app, { command = "dev", env = { JWT_SECRET = SECRET } })
end

local function run_step(step)
  local command = step.command:gsub("127%.0%.0%.1:8000", "127.0.0.1:" .. running.port):gsub("localhost:8000", "127.0.0.1:" .. running.port)
  command = command:gsub("^curl ", "curl --silent --show-error --max-time 20 ")
  local expected = table.concat(step.expected, "\n"):gsub("%s+$", ""):gsub("127%.0%.0%.1:8000", "127.0.0.1:" .. running.port)
  local actual = run(command)
  report(actual:find(pattern_of(expected)) ~= nil, ("%s:%d shows what `%s` prints"):format(readme, step.line, step.command),
    ("the README says:\n%s\nit printed:\n%s"):format(expected, actual))
end

local files = read_files(readme)
if files["app.lua"] then
  local started, shown = pcall(server.start, files) -- migrations and statements are tried at the start
  report(started, readme .. ": the app shown starts", tostring(shown))
  if started then shown:stop() end
end
for _, block in ipairs(read_blocks(readme)) do
  serve(block.app)
  for _, step in ipairs(block.steps) do run_step(step) end
end
if running then
  local status, log = running:stop()
  report(status == 0, readme .. ": the server ends in order", ("it exited with %s; its log:\n%s"):format(tostring(status), log))
end
print("1.." .. count)
os.exit(failed == 0 and 0 or 1)
