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

  it("may have characters of any length", function()
    for _, name in ipairs {
      "\195\169", "\224\160\128", "\238\128\128", "\237\159\191", "\240\144\128\128", "\244\143\191\191", "a\226\130\172b\241\128\128\128",
    } do
      assert.equal(name, subject.text(name))
    end
  end)

  it("is not made of bytes that are no text, which would come out of a token as others", function()
    for _, bytes in ipairs {
      "a\255", "a\254", "a\0b", "\128", "\192\128", "\193\191", "\224\159\191", "\237\160\128", "\240\143\191\191", "\244\144\128\128",
      "\245\128\128\128", "\195\195\169\169", "\226\130", "\195",
    } do
      assert.is_nil(subject.text(bytes))
    end
  end)

  it("is not made of what names nobody, or more than one", function()
    for _, none in ipairs { "", 1.5, 0 / 0, 1 / 0, 1e300, 2 ^ 53 + 2, true, {} } do assert.is_nil(subject.text(none)) end
    assert.is_nil(subject.text(nil))
  end)
end)
