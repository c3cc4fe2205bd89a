-- SPDX-License-Identifier: MIT
-- A database of so many rows of one subject, for specs of what deletes them in parts.

local rows = {}

---@param left integer
---@return table database whose statements delete as many at most as stands behind their LIMIT
---@return string[] writes "SUBJECT COUNT" of each
function rows.deleting(left)
  local database, writes = {}, {}
  function database.statement(_, sql)
    local most = tonumber(sql:match "LIMIT (%d+)")
    return { run = function(_, params)
      local gone = math.min(left, most or left)
      left, writes[#writes + 1] = left - gone, params.subject .. " " .. gone
      return gone
    end }
  end
  return database, writes
end

return rows
