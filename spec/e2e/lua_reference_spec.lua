-- SPDX-License-Identifier: MIT
-- Runs lua/README.md: each section's blocks are an app and its spec, run by
-- `demilune test`. A reference whose examples do not work is worse than none.

local server = require "spec.support.server"

local PRELUDE = 'local demilune = require "demilune"\nlocal model, guard = demilune.model, demilune.guard\n'
  .. "local app = demilune.app { guard = guard.public }\n"

-- Sections in order: { title, app = text, spec = text, files = { [path] = text } }.
local function read_sections()
  local sections, section, block = {}, nil, nil
  for line in io.lines("lua/README.md") do
    local title, info = line:match("^## (.+)$"), line:match("^```(.*)$")
    if block and info == "" then
      block = nil
    elseif block then
      block[#block + 1] = line
    elseif title then
      section = { title = title, ["lua"] = {}, ["lua spec"] = {}, files = {} }
      sections[#sections + 1] = section
    elseif info and section then
      local path = info:match("^sql (.+)$")
      if path then section.files[path] = {} end
      block = path and section.files[path] or section[info] or {}
    end
  end
  return sections
end

local function write(section)
  local files = {
    ["app.lua"] = PRELUDE .. table.concat(section.lua, "\n") .. "\nreturn app\n",
    ["spec/section_spec.lua"] = 'local client = require("demilune.test").client()\n' .. table.concat(section["lua spec"], "\n") .. "\n",
  }
  for path, lines in pairs(section.files) do files[path] = table.concat(lines, "\n") .. "\n" end
  return server.write_app(files)
end

local function run(folder)
  local pipe = assert(io.popen(("%s test %s 2>&1; echo \"exit $?\""):format(server.program, folder)))
  local output = pipe:read("*a")
  pipe:close()
  return output:match("exit (%d+)%s*$"), output
end

describe("the reference of the Lua surface", function()
  local ran = 0

  for _, section in ipairs(read_sections()) do
    if #section["lua spec"] > 0 then
      ran = ran + 1
      it("is true about " .. section.title:lower(), function()
        local folder = write(section)
        local status, output = run(folder)
        local _, findings = server.run { "check", folder } -- what would not load in production is no example
        server.remove_folder(folder)
        assert.equal("0", status, output)
        assert.matches("[1-9]%d* success", output)
        assert.is_nil(findings:find(": error: ", 1, true), findings)
      end)
    end
  end

  it("has examples in its sections", function() assert.is_true(ran >= 10) end)
end)
