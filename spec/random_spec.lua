-- SPDX-License-Identifier: MIT
-- demilune.random: the forms that its bytes are given in, and what is no number of bytes.

local core = require("spec.support.core").install()
local random = require "demilune.random"

describe("demilune.random", function()
  local bytes = core.random
  after_each(function() core.random = bytes end)

  it("makes UUIDs of version 4, whatever bits it gets", function()
    core.random = function() return ("\0"):rep(16) end
    assert.equal("00000000-0000-4000-8000-000000000000", random.uuid())
    core.random = function() return ("\255"):rep(16) end
    assert.equal("ffffffff-ffff-4fff-bfff-ffffffffffff", random.uuid())
    core.random = function() return "\1\35\69\103\137\171\205\239\1\35\69\103\137\171\205\239" end
    assert.equal("01234567-89ab-4def-8123-456789abcdef", random.uuid())
  end)

  it("refuses what is no number of bytes, at the caller's line", function()
    for _, none in ipairs { 0, -1, 1.5, 4097, "16" } do
      local ok, message = pcall(function() return (random.hex(none)) end)
      assert.is_false(ok)
      assert.matches("^%S*random_spec%.lua:%d+: random%.hex takes a number of bytes from 1 to 4096, not ", message)
    end
  end)
end)
