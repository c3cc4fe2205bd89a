-- SPDX-License-Identifier: MIT
-- Methods of guards that are called as none is meant to be: each says so at the line that called it, and does nothing.

local core = require("spec.support.core").install()
local demilune = require "demilune"
local refusal = require "spec.support.refusal"

local guard = demilune.guard

local SECRET = core.secret("7f2c9b61e0d4835aa1c6f09e42b87d53")

local function handler() end

describe("a method of a guard", function()
  local finished = {}
  local store = {
    begin = function() return "id" end, lives = function() return true end,
    finish = function(id) finished[#finished + 1] = id end, finish_all = function(subject) finished[#finished + 1] = subject end,
  }
  local session = guard.session { secret = SECRET, lifetime = "1h", store = store }
  local bearer = guard.bearer { secret = SECRET, lifetime = "15m" }

  it("takes a colon: what is called with a dot only seems to end a session", function()
    local request, calls = { principal = { guard = "session", claims = { sid = "a" } }, cookie = {} }, {}
    function calls.issue() session.issue { subject = "ada" } end
    function calls.clear() session.clear(request) end
    function calls.finish_all() session.finish_all "ada" end
    for name, call in pairs(calls) do
      assert.matches(("methods_spec%%.lua:%%d+: write session:%s%%(...%%) with a colon, not session%%.%s"):format(name, name), refusal(call))
    end
    assert.matches("methods_spec%.lua:%d+: write bearer:issue%(...%) with a colon", refusal(function() bearer.issue { subject = "ada" } end))
    assert.same({}, finished)
  end)

  it("clears the session of a request, and of nothing else", function()
    for _, other in ipairs { 7, "ada", true } do
      assert.matches("methods_spec%.lua:%d+: session:clear: .*; write session:clear%(req%)", refusal(function() session:clear(other) end))
    end
  end)

  it("issues nothing for claims that are no JSON", function()
    local claims = { name = handler }
    for name, made in pairs { session = session, bearer = bearer } do
      assert.matches(("methods_spec%%.lua:%%d+: %s:issue: its claims are no JSON: "):format(name),
        refusal(function() made:issue { subject = "ada", claims = claims } end))
    end
  end)
end)
