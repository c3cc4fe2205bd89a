-- SPDX-License-Identifier: MIT
-- What `demilune check`, `routes` and `openapi` print. Called by the command line
-- with a plan that was loaded as for serving; opens nothing.

local core = require "demilune.core"
local json = require "demilune.json"

local commands = {}

-- --- what a route is, in words ------------------------------------------------------

local KINDS_WITH_ITEMS = { array = true }

local function model_name(desc)
  if not desc then return nil end
  if desc.kind == "ref" then return model_name(desc.get()) end
  if desc.kind == "model" then return desc.name or "object" end
  if KINDS_WITH_ITEMS[desc.kind] then return (model_name(desc.items) or "any") .. "[]" end
  return desc.kind
end

local SOURCES = { "path", "query", "header", "cookie", "form", "body" }

local function takes(description)
  local parts = {}
  for _, source in ipairs(SOURCES) do
    local desc = description[source]
    if desc and (source == "body" or source == "form") then
      parts[#parts + 1] = source .. " " .. model_name(desc)
    elseif desc then
      local names = {}
      for _, entry in ipairs(desc.fields or {}) do names[#names + 1] = entry.name end
      parts[#parts + 1] = source .. " " .. table.concat(names, ", ")
    end
  end
  return table.concat(parts, "; ")
end

local function rows(plan)
  local out = {}
  for index, route in ipairs(plan.routes) do
    local description = plan.descriptions.routes[index]
    out[index] = {
      method = route.method, path = route.pattern, guard = route.guard.kind, takes = takes(description),
      returns = model_name(description.returns) or "", status = route.status, source = route.source,
    }
  end
  return out
end

-- --- printing ------------------------------------------------------------------------

local COLUMNS = { "method", "path", "guard", "takes", "returns", "status", "source" }

local function aligned(list)
  local widths, lines = {}, {}
  local heading = {}
  for _, column in ipairs(COLUMNS) do heading[column] = column end
  local all = { heading, unpack(list) }
  for _, row in ipairs(all) do
    for _, column in ipairs(COLUMNS) do widths[column] = math.max(widths[column] or 0, #tostring(row[column])) end
  end
  for index, row in ipairs(all) do
    local cells = {}
    for _, column in ipairs(COLUMNS) do
      local text = tostring(row[column])
      cells[#cells + 1] = text .. (" "):rep(widths[column] - #text)
    end
    lines[index] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n") .. "\n"
end

local runners = {}

function runners.routes(plan, options)
  local list = rows(plan)
  if options.json then return json.encode(list) .. "\n", 0 end
  return aligned(list), 0
end

function runners.check(plan, options)
  local list = rows(plan)
  if options.json then
    return json.encode { title = plan.title, version = plan.version, routes = list, findings = setmetatable({}, core.array_type) } .. "\n", 0
  end
  return ("%s\n%s %s loads: %d routes, nothing to mend\n"):format(aligned(list), plan.title, plan.version, #list), 0
end

function runners.openapi(plan)
  return require("demilune.openapi").document(plan) .. "\n", 0
end

---@param name "check"|"routes"|"openapi"
---@param plan table
---@param options { json?: boolean }
---@return string text
---@return integer status
function commands.run(name, plan, options) return runners[name](plan, options) end

return commands
