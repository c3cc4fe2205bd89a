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
    { "waits for what runs beside, and adds it up",
      [[beside a sh -c "sleep 1; printf \"1..2\\nok 1\\nnot ok 2\\n\""; beside b printf "1..1\nok 1\n"]], "2 passed, 1 failed", "status 1" },
    { "takes a runner that dies beside others for a failure",
      [[beside a sh -c "printf \"1..1\\nok 1\\n\"; kill -KILL \$\$"; beside b printf "1..1\nok 1\n"]], "2 passed, 1 failed", "status 1" },
    { "lets what runs beside be interrupted, as tests want it",
      [[beside a sh -c "kill -INT \$\$; printf \"1..1\\nok 1\\n\""]], "0 passed, 1 failed", "status 1" },
    { "is no success when no test ran at all", [[true]], "0 passed, 0 failed", "status 1" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function()
      local line, status, output = run(row[2])
      assert.equal(row[3], line, output)
      assert.equal(row[4], status, output)
    end)
  end

  it("runs as many beside each other as it is told, and no check beside any", function()
    local say = [[ sh -c "echo begins >> \$TAP_LOGS/order; sleep 0.3; echo ends >> \$TAP_LOGS/order; printf \"1..1\\nok 1\\n\""; ]]
    local script = "beside a" .. say .. "beside b" .. say .. "check c" .. say .. "tr \\\\n \\  < $TAP_LOGS/order; echo"
    local _, _, one = run("TAP_JOBS=1; " .. script)
    assert.truthy(one:find("\nbegins ends begins ends begins ends \n"), one)
    local _, _, two = run("TAP_JOBS=2; " .. script)
    assert.truthy(two:find("\nbegins begins ends ends begins ends \n"), two)
  end)

  it("shows what a failed suite printed", function()
    local _, _, output = run([[suite a printf "1..1\nnot ok 1 - the sky is blue\n# it was grey\n"]])
    assert.truthy(output:find("the sky is blue", 1, true))
    assert.truthy(output:find("it was grey", 1, true))
  end)
end)
