-- SPDX-License-Identifier: MIT
-- What is being loaded, and how. boot.lua fills it before an app's first line
-- runs; settings and databases read it.

---@class demilune.context
---@field folder string the app's folder
---@field mode "dev"|"serve"|"check"|"test"
---@field host? string one that the app answers to, for tests
---@field seed? string what made-up secrets come from: the same after a reload
---@field workers integer how many processes will serve the app
---@field findings demilune.Finding[] what was noted while the app loads
---@field routers demilune.Router[] those that the app made
---@field plan? table the app's, once it is loaded
local context = { folder = ".", mode = "dev", findings = {}, routers = {}, workers = 1 }

---What is unsafe about an app: in production it does not load, in dev it is warned about.
---@class demilune.Finding
---@field severity "error"|"warning" a warning refuses nothing
---@field source string
---@field message string
---@field mend string what to write instead

-- The modes in which a person tries things out: .env is read, secrets are made up.
local RELAXED = { dev = true, check = true, test = true }

---@return boolean
function context.is_relaxed() return RELAXED[context.mode] == true end

---Notes a finding, each once.
---@param severity "error"|"warning"
---@param source string
---@param message string
---@param mend string
function context.note(severity, source, message, mend)
  for _, known in ipairs(context.findings) do
    if known.source == source and known.message == message then return end
  end
  context.findings[#context.findings + 1] = { severity = severity, source = source, message = message, mend = mend }
end

return context
