-- SPDX-License-Identifier: MIT
-- What a handler may answer, and what it is told when it answers something else.

local core = require("spec.support.core").install()
local demilune = require "demilune"

describe("a response", function()
  it("is known to the core by its type", function()
    local made = demilune.response { status = 202, headers = { ["X-A"] = "b" }, body = { ok = true } }
    assert.equal(core.response_type, getmetatable(made))
    assert.same({ 202, "b", true }, { made.status, made.headers["X-A"], made.body.ok })
  end)

  it("refuses fields and sorts that nobody would read", function()
    assert.error_matches(function() demilune.response { code = 202 } end,
      "demilune.response has no field code; it takes status, headers, body and stream")
    assert.error_matches(function() demilune.response { headers = "X-A: b" } end, "demilune.response: headers must be a table, not a string")
    assert.error_matches(function() demilune.response { status = 99 } end, "demilune.response: status must be a number from 200 to 599, not 99")
    assert.error_matches(function() demilune.response("text") end, "demilune.response takes a table")
  end)

  it("names the handler's line", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, message = pcall(function() demilune.response { status = "ok" } end)
    assert.matches("response_spec%.lua:" .. line .. ": ", message)
  end)
end)

describe("a stream", function()
  it("is a response with a function and options of its own", function()
    local produce, options = function() end, { status = 206, headers = { ["Content-Type"] = "text/csv" } }
    local made = demilune.stream(produce, options)
    assert.same({ core.response_type, produce, 206, "text/csv" }, { getmetatable(made), made.stream, made.status, made.headers["Content-Type"] })
    assert.is_nil(getmetatable(options))
    assert.error_matches(function() demilune.stream("text") end, "demilune.stream takes a function")
    assert.error_matches(function() demilune.stream(produce, 206) end, "demilune.stream takes a table behind its function")
    assert.error_matches(function() demilune.stream(produce, { body = "lost" }) end, "a body beside a stream would not be sent")
  end)
end)

describe("what takes a table or a function", function()
  it("says so at the line that gave it something else", function()
    for name, call in pairs {
      ["demilune.array takes a table, not nil;"] = function() demilune.array(nil) end,
      ["demilune.spawn takes a function, not nil;"] = function() demilune.spawn(nil) end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("response_spec%.lua:%d+: " .. name, message)
    end
  end)
end)

describe("abort", function()
  it("raises what the core answers with", function()
    local ok, raised = pcall(demilune.abort, 404, "There is no such user", { ["X-A"] = "b" })
    assert.is_false(ok)
    assert.equal(core.abort_type, getmetatable(raised))
    assert.same({ 404, "There is no such user", "b" }, { raised.status, raised.detail, raised.headers["X-A"] })
  end)

  it("refuses a status that is no refusal", function()
    local _, message = pcall(function() demilune.abort(200, "fine") end)
    assert.matches("demilune.abort: status must be a number from 300 to 599, not 200", message)
    _, message = pcall(function() demilune.abort("no") end)
    assert.matches("demilune.abort: status must be a number from 300 to 599, not no", message)
  end)
end)

describe("what else an app may call", function()
  it("marks arrays, sleeps and logs", function()
    assert.equal(core.array_type, getmetatable(demilune.array {}))
    demilune.sleep("500ms")
    assert.equal(0.5, core.slept)
    assert.error_matches(function() demilune.sleep("a while") end, "demilune.sleep: a while is no duration")
    demilune.log.warning("low", { left = 3 })
    assert.same({ level = "warning", text = "low", fields = { left = 3 } }, core.logged[#core.logged])
  end)
end)
