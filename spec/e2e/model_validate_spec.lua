-- SPDX-License-Identifier: MIT
-- model:validate, for what did not come as a request's body: by the same words as a body, the app's where the model has none.

local cjson = require "cjson"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public, extra = "ignore", strict = false }
local Inner = model "Inner" { n = model.integer() }
local Alone = model "Alone" { n = model.integer(), list = model.array(Inner, { default = {} }) }
local Body = model "Body" { n = model.integer() }
local Said = model("Said", { extra = "forbid", strict = true }) { n = model.integer() }
local function told(made, value, given)
  return function()
    local got, errors = made:validate(value, given)
    return { got = got, error = errors and errors[1].type }
  end
end
app:post("/body", { body = Body }, function(req) return req.body end)
app:get("/alone", told(Alone, { n = "5", more = 1, list = { { n = 1, more = 2 } } }))
app:get("/body", told(Body, { n = "5", more = 1 }))
app:get("/said", told(Said, { n = 5, more = 1 }))
app:get("/said-strict", told(Said, { n = "5" }))
app:get("/mode", told(Alone, { n = "5" }, { mode = "strict" }))
return app
]]

describe("model:validate", function()
  local running

  setup(function() running = server.start(APP) end)
  teardown(function()
    local status, log = running:stop()
    assert(status == 0, log)
  end)

  local function told(path) return cjson.decode(running:request("GET", path).body) end

  it("goes by the app's extra and strict where the model does not say, whether or not a route has it too", function()
    assert.same({ got = { n = 5, list = { { n = 1 } } } }, told "/alone")
    assert.same({ got = { n = 5 } }, told "/body")
  end)

  it("goes by what the model or the call says", function()
    assert.same({ error = "extra_forbidden" }, told "/said")
    assert.same({ error = "int_type" }, told "/said-strict")
    assert.same({ error = "int_type" }, told "/mode")
  end)
end)
