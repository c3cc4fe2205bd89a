-- SPDX-License-Identifier: MIT
-- JSON text to Lua values and back, for what no model describes.

local core = require "demilune.core"
local names = require "demilune.names"

---@class demilune.json
local json = {}

---The value as JSON text. Raises when it holds what JSON cannot say.
---@param value any
---@return string
function json.encode(value) return core.json_encode(value) end

---The value that JSON text says. Arrays come with the metatable that keeps empty
---ones arrays, null is demilune.null.
---@param text string
---@return any value or nil and a message
---@return string? message
function json.decode(text) return core.json_decode(text) end

return names.strict("json.", json, {
  parse = "write json.decode", loads = "write json.decode", stringify = "write json.encode", dumps = "write json.encode",
})
