-- SPDX-License-Identifier: MIT
-- Puts measurements where people read them: on the terminal, and between the marks of tests/bench/README.md when asked to.

local process = require "tests.bench.lib.process"

local report = {}

--- A Markdown table. `rows` are lists of strings; the first column is words, the rest are numbers.
function report.table(header, rows)
  local lines = { "| " .. table.concat(header, " | ") .. " |", "| --- |" .. (" ---: |"):rep(#header - 1) }
  for _, row in ipairs(rows) do lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(lines, "\n")
end

--- What was measured on, in one line.
function report.machine()
  local cpu = process.line_of("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1")
  local system = process.line_of(". /etc/os-release && echo $PRETTY_NAME")
  return ("%d cores of %s, %s, Linux %s"):format(process.cores(), cpu, system, process.line_of("uname -r"))
end

--- Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` of the README.
function report.write(name, text)
  local path = "tests/bench/README.md"
  local readme = assert(process.read(path), path .. " is not there")
  local first, last = ("<!-- %s -->"):format(name), ("<!-- /%s -->"):format(name)
  local _, from = readme:find(first, 1, true)
  local to = readme:find(last, 1, true)
  assert(from and to, ("%s has no %s ... %s"):format(path, first, last))
  local file = assert(io.open(path, "wb"))
  file:write(readme:sub(1, from), "\n", text, "\n", readme:sub(to))
  file:close()
end

--- Prints, and writes into the README when `--write` was given; with `--write=NAME` between the marks of that name.
function report.show(name, text, write)
  print(text)
  if write then report.write(write == true and name or write, text) end
end

--- `--name=value` and `--name` arguments as a table.
function report.options(arguments, defaults)
  local options = {}
  for name, value in pairs(defaults) do options[name] = value end
  for _, word in ipairs(arguments) do
    local name, value = word:match("^%-%-(%a+)=?(.*)$")
    if not name or defaults[name] == nil then
      local names = {}
      for known in pairs(defaults) do names[#names + 1] = "--" .. known end
      table.sort(names)
      error(("there is no option %s; there are %s"):format(word, table.concat(names, " ")), 0)
    end
    options[name] = value == "" and true or type(defaults[name]) == "number" and tonumber(value) or value
  end
  return options
end

return report
