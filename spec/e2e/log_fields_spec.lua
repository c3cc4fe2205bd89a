-- SPDX-License-Identifier: MIT
-- What demilune.log is given besides its text: nothing of it is lost, whatever sort of value it is.

local cjson = require "cjson"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model = demilune.model
local app = demilune.app { guard = demilune.guard.public }
app:get("/log/{id}", { path = { id = model.int64() } }, function(req)
  demilune.log.warning("one", {
    id = req.path.id, none = demilune.null, part = 0.5, count = 4, nothing = 0 / 0, text = "x", is = false, list = { req.path.id },
  })
  demilune.log.warning("two", "a text")
  demilune.log.warning("three", { "first", "second", name = "third" })
  demilune.log.warning("four", req.path.id)
  demilune.log.warning("five", nil)
end)

local long, same = ("x"):rep(20000), ("n"):rep(64)
app:get("/names", function()
  demilune.log.warning("names", {
    level = 1, ["app.level"] = 2, ["a b"] = 3, ["a:b"] = 4, ["a;b"] = 5, a_b = 6, a_b_2 = 7, "eight", ["1"] = 9,
    [same .. "a"] = 10, [same .. "b"] = 11, [same] = 12, text = long, text_bytes = 13, ["te xt"] = long, ["te:xt_bytes"] = 14,
  })
  demilune.log.warning("bare", long)
  local many = {}
  for number = 1, 2000 do many[same .. number] = number end
  demilune.log.warning("many", many)
end)
return app
]]

-- Names and values of a line, in its order: a decoder keeps one of two.
local function fields_of(line)
  local list = {}
  for name, value in line:gmatch '"([%w_.-]+)":("?[^",}]*)' do list[#list + 1] = { name = name, value = value } end
  return list
end

describe("a line of the log", function()
  it("has all that an app gives it", function()
    local running = server.start(APP)
    running:request("GET", "/log/9223372036854775807")
    local _, log = running:stop()
    local found = {}
    for line in log:gmatch "[^\n]+" do
      local message = line:match '"message":"(%l+)"'
      if message and line:find('"warning"', 1, true) then found[message] = line end
    end
    assert.truthy(found.one:find('"id":9223372036854775807', 1, true), found.one)
    assert.truthy(found.one:find('"list":[9223372036854775807]', 1, true), found.one)
    local one, three = cjson.decode(found.one), cjson.decode(found.three)
    assert.same({ cjson.null, 0.5, 4, "x", false }, { one.none, one.part, one.count, one.text, one.is })
    assert.matches("nan", one.nothing)
    assert.equal("a text", cjson.decode(found.two).value)
    assert.same({ "first", "second", "third" }, { three["1"], three["2"], three.name })
    assert.truthy(found.four:find('"value":9223372036854775807', 1, true), found.four)
    assert.is_nil(cjson.decode(found.five).value)
  end)

  it("has no name twice, and all that was given under names that fall together", function()
    local running = server.start(APP)
    assert.equal(200, running:request("GET", "/names").status)
    local _, log = running:stop()
    local seen = { names = {}, bare = {}, many = {} }
    for line in log:gmatch "[^\n]+" do
      local names = seen[line:match '"message":"(%l+)"']
      for _, field in ipairs(names and fields_of(line) or {}) do
        assert.is_nil(names[field.name], field.name)
        names[field.name] = field.value
      end
    end
    local names, same = seen.names, ("n"):rep(64)
    assert.same({ '"warning', "1", "2" }, { names.level, names["app.level_2"], names["app.level"] })
    assert.same({ "6", "7" }, { names.a_b, names.a_b_2 })
    local others = { tonumber(names.a_b_3), tonumber(names.a_b_4), tonumber(names.a_b_5) }
    table.sort(others)
    assert.same({ 3, 4, 5 }, others)
    assert.same({ "9", '"eight' }, { names["1"], names["1_2"] })
    assert.same({ "12", 21 }, { names[same], names[same .. "_2"] + names[same .. "_3"] })
    assert.same({ 16385, "13", "20000" }, { #names.text, names.text_bytes, names.text_bytes_2 })
    local lengths = { tonumber(names.te_xt_bytes), tonumber(names.te_xt_bytes_2) }
    table.sort(lengths)
    assert.same({ 14, 20000 }, lengths)
    assert.equal("20000", seen.bare.value_bytes)
    local sum = 0
    for name, value in pairs(seen.many) do if name:find("nnn", 1, true) then sum = sum + value end end
    assert.equal(2000 * 2001 / 2, sum)
  end)
end)
