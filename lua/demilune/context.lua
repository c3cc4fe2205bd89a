-- SPDX-License-Identifier: MIT
-- What is being loaded, and how. boot.lua fills it before an app's first line
-- runs; settings and databases read it.

---@class demilune.context
---@field folder string the app's folder
---@field mode "dev"|"serve"|"check"|"test"
---@field host? string one that the app answers to, for tests
local context = { folder = ".", mode = "dev" }

-- The modes in which a person tries things out: .env is read, secrets are made up.
local RELAXED = { dev = true, check = true, test = true }

---@return boolean
function context.is_relaxed() return RELAXED[context.mode] == true end

return context
