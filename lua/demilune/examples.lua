-- SPDX-License-Identifier: MIT
-- Examples of fields, held against the fields' own rules when an app is compiled:
-- whoever copies one from the documentation would be refused for it.

local core = require "demilune.core"
local errors = require "demilune.errors"
local field = require "demilune.field"

local examples = {}

-- Of a secret's nothing is documented, and a model's may leave out what says nothing.
local UNCHECKED = { secret = true, model = true }

-- What handlers see where clients may send a text. The documentation shows an example beside the type that the
-- schema says, of which the text is none.
local CONVERTED = { integer = "5", number = "1.5", boolean = "true" }

-- What is wrong with it, as of a default, which the core checks by the same rules; nil where nothing is.
local function problem_of(desc)
  local probe = field.vary(desc, { default = desc.example }, desc.source)
  probe.default_factory = nil
  local ok, problem = pcall(core.schema_compile, probe)
  if ok then return nil end
  problem = tostring(problem)
  return problem:match "its default does not pass its own checks %(default(.*)%); change one of the two"
    or problem:match "default( cannot be used: .*)$"
end

---Raises where a field's example does not pass the field.
---@param desc demilune.Field
function examples.check(desc)
  if desc.example == nil or UNCHECKED[desc.kind] then return end
  local problem = problem_of(desc)
  if not problem then return end
  local seen = type(desc.example) == "string" and CONVERTED[desc.kind]
  errors.raise(desc.source, "%s: its example does not pass its own checks (example%s); %s", tostring(desc), problem,
    seen and "write the value as a handler sees it, such as " .. seen or "change one of the two")
end

return examples
