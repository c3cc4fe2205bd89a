-- SPDX-License-Identifier: MIT
-- The counting that the closing line of a test run rests on (tests/tap.sh).

local function run(script)
  local command = "TAP_LOGS=$logs bash -c '. tests/tap.sh; " .. script .. "; summary; echo status $?' 2>&1"
  local pipe = assert(io.popen("logs=$(mktemp -d) && " .. command .. "; rm -rf $logs"))
  local output = pipe:read("*a")
  pipe:close()
  local lines = {}
  for line in output:gmatch("[^\n]+") do lines[#lines + 1] = line end
  return lines[#lines - 1], lines[#lines], output
end

describe("the summary of a test run", function()
  local rows = {
    { "adds up the tests of several suites",
      [[suite a printf "1..2\nok 1\nok 2\n"; suite b printf "ok 1\n1..1\n"]], "3 passed, 0 failed", "status 0" },
    { "counts a skipped test as skipped", [[suite a printf "1..2\nok 1\nok 2 # SKIP no data\n"]], "1 passed, 0 failed, 1 skipped", "status 0" },
    { "counts a test that cmocka skipped as skipped",
      [[suite a printf "1..2\nok 1 - a\nnot ok 2 # SKIP b\n"]], "1 passed, 0 failed, 1 skipped", "status 0" },
    { "counts a test that failed", [[suite a printf "1..2\nok 1\nnot ok 2\n"]], "1 passed, 1 failed", "status 1" },
    { "takes a runner that prints nothing for a failure", [[suite a true]], "0 passed, 1 failed", "status 1" },
    { "takes a runner that stops before its plan is done for a failure",
      [[suite a printf "1..2\nok 1\n"]], "1 passed, 1 failed", "status 1" },
    { "takes a runner without a plan for a failure", [[suite a printf "ok 1\n"]], "1 passed, 1 failed", "status 1" },
    { "takes a runner that dies after its tests for a failure",
      [[suite a sh -c "printf \"1..1\\nok 1\\n\"; exit 7"]], "1 passed, 1 failed", "status 1" },
    { "takes a runner that hangs for a failure",
      [[TAP_TIMEOUT=1; suite a sh -c "printf \"1..1\\nok 1\\n\"; sleep 30"]], "1 passed, 1 failed", "status 1" },
    { "counts a check that exits with an error", [[check a true; check b false]], "1 passed, 1 failed", "status 1" },
    { "is no success when no test ran at all", [[true]], "0 passed, 0 failed", "status 1" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function()
      local line, status, output = run(row[2])
      assert.equal(row[3], line, output)
      assert.equal(row[4], status, output)
    end)
  end

  it("shows what a failed suite printed", function()
    local _, _, output = run([[suite a printf "1..1\nnot ok 1 - the sky is blue\n# it was grey\n"]])
    assert.truthy(output:find("the sky is blue", 1, true))
    assert.truthy(output:find("it was grey", 1, true))
  end)
end)
