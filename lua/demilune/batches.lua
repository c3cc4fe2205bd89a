-- SPDX-License-Identifier: MIT
-- Many rows deleted in many short writes, so that no deadline undoes it all and nobody
-- who writes meanwhile waits for the end of it.

local batches = {}

---Runs a statement that deletes at most so many rows until none are left.
---@param statement demilune.Statement
---@param rows integer what stands behind its LIMIT
---@param params table<string, any>
function batches.delete(statement, rows, params)
  repeat
    local changes = statement:run(params)
  until changes < rows
end

return batches
