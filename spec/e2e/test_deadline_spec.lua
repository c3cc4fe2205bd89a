-- SPDX-License-Identifier: MIT
-- `demilune test` comes to an end whatever a route does: the request that is not answered in time is named, with how long that was and how to give
-- it longer.

local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
app:get("/silent", function() demilune.sleep "3s" end)
app:get("/endless", { timeout = "1h" }, function()
  return demilune.stream(function(write)
    while true do
      write "more\n"
      demilune.sleep "20ms"
    end
  end)
end)
app:database "sqlite:test.db"
local list = "[" .. ('{"a":"b"},'):rep(100) .. "1]"
app:get("/busy", function() while true do demilune.json.decode(list) end end) -- where the signal comes, malloc may have its lock
app:get("/", function() return "here" end)
return app
]]

describe("demilune test", function()
  local function run(spec)
    local folder = server.write_app { ["app.lua"] = APP, ["spec/app_spec.lua"] = spec }
    local status, out, err = server.run { "test", "--output=TAP", folder }
    server.remove_folder(folder)
    return status, out, err
  end

  it("fails a request that is not answered in time, and goes on", function()
    local status, out = run [[
      local client = require("demilune.test").client { timeout = "300ms" }
      it("hears nothing", function() client:get("/silent") end)
      it("hears no end", function() client:get("/endless", { timeout = 0.4 }) end)
      it("hears the next", function() assert.equal("here", client:get("/", { timeout = "1m" }).body) end)
    ]]
    assert.not_equal(0, status)
    assert.truthy(out:find("app_spec.lua:2: GET /silent: no whole answer came within 0.3 seconds; if it takes longer, say so", 1, true), out)
    assert.truthy(out:find("app_spec.lua:3: GET /endless: no whole answer came within 0.4 seconds", 1, true), out)
    assert.truthy(out:find("\nok 3 - hears the next", 1, true), out)
  end)

  it("ends where a handler does not come back, says which, and leaves nothing behind", function()
    local status, out, err = run [[
      local client = require("demilune.test").client { timeout = "300ms" }
      print("data in " .. os.getenv "DEMILUNE_DATA")
      it("hears", function() assert.equal("here", client:get("/", { timeout = "1m" }).body) end)
      it("never hears again", function() client:get("/busy") end)
    ]]
    assert.equal(1, status, out .. err)
    assert.truthy(err:find("demilune test: GET /busy: its handler did not come back within 5.3 seconds", 1, true), err)
    assert.truthy(out:find("ok 1 - hears", 1, true), out)
    local data = assert(out:match("data in (/%S+)"), out)
    assert.not_equal(0, os.execute("test -e " .. data))
  end)

  it("leaves nothing behind when it is killed", function()
    local status, out, err = run [[
      print("data in " .. os.getenv "DEMILUNE_DATA")
      os.execute "kill -KILL $PPID"
    ]]
    assert.equal(128 + 9, status, out .. err)
    local data = assert(out:match("data in (/%S+)"), out)
    assert.equal(0, os.execute(("for i in $(seq 300); do test -e %s || exit 0; sleep 0.1; done; exit 1"):format(data)))
  end)
end)
