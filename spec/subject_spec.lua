-- SPDX-License-Identifier: MIT
-- Ids as the text that tokens and tables hold: two are never one, and what is none is nobody's.

local subject = require "demilune.subject"

describe("a subject", function()
  it("is an id's text, in whatever form the id came", function()
    assert.equal("7", subject.text(7))
    assert.equal("-7", subject.text(-7))
    assert.equal("9007199254740993", subject.text(9007199254740993LL))
    assert.equal("18446744073709551615", subject.text(18446744073709551615ULL))
    for _, name in ipairs { "ada", "LL", "SMALL", "FULL", "7LL" } do assert.equal(name, subject.text(name)) end
  end)

  it("is not made of what names nobody, or more than one", function()
    for _, none in ipairs { "", 1.5, 0 / 0, 1 / 0, 1e300, 2 ^ 53 + 2, true, {} } do assert.is_nil(subject.text(none)) end
    assert.is_nil(subject.text(nil))
  end)
end)
