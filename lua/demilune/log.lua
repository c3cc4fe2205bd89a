-- SPDX-License-Identifier: MIT
-- The log, as handlers write it: log.info("paid", { amount = 12 }). Inside a
-- request the line carries its id by itself; secrets print as redacted.

local core = require "demilune.core"
local names = require "demilune.names"

---@class demilune.log
---@field debug fun(text: string, fields?: table<string, any>)
---@field info fun(text: string, fields?: table<string, any>)
---@field warning fun(text: string, fields?: table<string, any>)
---@field error fun(text: string, fields?: table<string, any>)
local log = {}

for _, level in ipairs { "debug", "info", "warning", "error" } do
  log[level] = function(text, fields) core.log(level, tostring(text), fields) end
end

return names.strict("log.", log, { warn = "write log.warning", trace = "write log.debug", fatal = "write log.error" })
