-- SPDX-License-Identifier: MIT
-- Guards: who may pass. Every route has one, its own or a default of its router
-- or app; being open to everybody is a word that one has to write.

local errors = require "demilune.errors"

---@class demilune.Guard
---@field kind string
local Guard = {}
Guard.__index = Guard
Guard.__tostring = function(self) return "guard." .. self.kind end

---@class demilune.guard
local guard = {}

-- Everybody passes.
---@type demilune.Guard
guard.public = setmetatable({ kind = "public" }, Guard)

---@param value any
---@return boolean
function guard.is(value) return getmetatable(value) == Guard end

---Checks an option that must be a guard.
---@param place string
---@param what string
---@param value any
function guard.check(place, what, value)
  if value ~= nil and not guard.is(value) then
    errors.raise(place, "%s: guard must be a guard, not %s; write guard = guard.public if everybody may call it", what, errors.show(value))
  end
  return value
end

return setmetatable(guard, {
  __index = function(_, name)
    errors.raise(errors.where(), "there is no guard.%s in this version; there is guard.public, which lets everybody pass", tostring(name))
  end,
})
