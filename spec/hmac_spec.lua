-- SPDX-License-Identifier: MIT
-- demilune.hmac as it is called wrongly: told at the caller's line, and nothing that came from outside is an error.

local core = require("spec.support.core").install()
local guard = require "demilune.guard"
local hmac = require "demilune.hmac"

describe("demilune.hmac", function()
  local function refusal(...)
    local ok, message = pcall(...)
    assert.is_false(ok)
    return message
  end

  it("needs a key and a text", function()
    local key = core.secret "0123456789abcdef"
    for wrong, given in pairs { ["not a nil"] = { nil, "text" }, ["not an empty one"] = { "", "text" }, ["not a table"] = { {}, "text" } } do
      assert.matches("takes the key first, a secret of demilune.settings, " .. wrong, refusal(function() return (hmac.hex(given[1], given[2])) end))
      assert.matches("^%S*hmac_spec.lua:%d+: hmac.verify takes the key first", refusal(function() return (hmac.verify(given[1], given[2], "00")) end))
    end
    assert.matches("not an empty one", refusal(function() return (hmac.verify(core.secret "", "text", "00")) end))
    assert.matches("takes second what is signed, such as req.body of a route without body, not a table",
      refusal(function() return (hmac.hex(key, {})) end))
  end)

  it("takes no secret by which a guard signs, as a secret or as text", function()
    local texts = { "the secret of the tokens, 32 bytes or more", "the newest secret of the sessions", "the older secret of all the sessions" }
    guard.bearer { secret = core.secret(texts[1]), lifetime = "15m" }
    guard.session { secrets = { core.secret(texts[2]), core.secret(texts[3]) }, lifetime = "8h" }
    for _, text in ipairs(texts) do
      for _, key in ipairs { core.secret(text), text } do
        local wrong = "was given the secret by which the guard of %S*hmac_spec.lua:%d+ signs"
        assert.matches("hmac.hex " .. wrong, refusal(function() return (hmac.hex(key, "text")) end))
        assert.matches("hmac.verify " .. wrong, refusal(function() return (hmac.verify(key, "text", "00")) end))
      end
      assert.is_false(hmac.verify(core.secret(text .. "."), "text", nil))
    end
  end)

  it("is false for a signature that is none", function()
    for _, none in ipairs { false, 5, {} } do assert.is_false(hmac.verify(core.secret "0123456789abcdef", "text", none)) end
    assert.is_false(hmac.verify(core.secret "0123456789abcdef", "text", nil))
  end)
end)
