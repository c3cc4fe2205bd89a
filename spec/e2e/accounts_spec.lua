-- SPDX-License-Identifier: MIT
-- demilune.accounts under the real program: the specs of tests/apps/accounts, and
-- that production loads the app.

local server = require "spec.support.server"

local FIXTURE = "tests/apps/accounts"

local function run(command)
  local pipe = assert(io.popen(("%s %s %s 2>&1; echo \"exit $?\""):format(server.program, command, FIXTURE)))
  local output = pipe:read("*a")
  pipe:close()
  return output:match("exit (%d+)%s*$"), output
end

describe("accounts", function()
  it("do what their specs say", function()
    local status, output = run "test --output=TAP"
    assert.equal("0", status, output)
    assert.is_nil(output:match("\nnot ok[^\n]*"), output)
    assert.is_true(tonumber(output:match("1%.%.(%d+)")) >= 16, output)
  end)

  it("pass the check of what is unsafe", function()
    local status, output = run "check"
    assert.equal("0", status, output)
    assert.matches("POST%s+/refresh", output)
  end)
end)
