-- SPDX-License-Identifier: MIT
-- What caches between may keep: a guarded route's answers are no-store, unless a field that its route, a router or the app declares says
-- otherwise. lint.lua asks for each route.

local context = require "demilune.context"
local guard_type = require "demilune.guard_type"

local lint_caches = {}

local WITHHOLDS = { private = true, ["no-store"] = true, ["no-cache"] = true }

-- With one of these words, and not of some fields only, as in private="x-name".
local function withholds(value)
  for directive in value:lower():gmatch("[^,]+") do
    if WITHHOLDS[directive:match("^%s*(.-)%s*$")] then return true end
  end
  return false
end

-- By which fields caches go before Cache-Control, and what keeps each of them from it. Expires is none: no-store stays beside it.
local function word_for(name, value)
  name = name:lower()
  if name == "x-accel-expires" then return value ~= "0" and "0" or nil end
  if name ~= "surrogate-control" and not name:find("cache%-control$") then return nil end
  return not withholds(value) and "no-store" or nil
end

---Finds what would let a cache give one client's answer to others, past the guard.
---@param route table its description
---@param what string
function lint_caches.check(route, what)
  if guard_type.is_public(route.guard) or (route.method ~= "GET" and route.method ~= "HEAD") then return end
  for name, value in pairs(route.headers or {}) do
    local word = word_for(name, value)
    if word then
      context.note("error", route.source,
        ("%s: its guard lets in some only, and by %s = %q caches keep what one of them is answered, and give it to everybody")
          :format(what, name, value),
        ('write headers = { ["%s"] = "%s" } for this route'):format(name, word)
          .. (name:lower() == "cache-control" and ', or "private, max-age=60" where its own browser may keep it' or ""))
    end
  end
end

return lint_caches
