-- SPDX-License-Identifier: MIT
-- What `demilune check`, `routes` and `openapi` print. Called by the command line
-- with a plan that was loaded as for serving; opens nothing but databases in memory.

local context = require "demilune.context"
local core = require "demilune.core"
local database = require "demilune.database"
local guard_type = require "demilune.guard_type"
local json = require "demilune.json"
local lint = require "demilune.lint"

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
  if description.idempotent then parts[#parts + 1] = "idempotency key" .. (description.idempotent == "optional" and " (optional)" or "") end
  return table.concat(parts, "; ")
end

-- "bearer", "any(api_key, bearer)": who may come, without the roles.
local function guard_text(guard)
  if guard.member then return guard_text(guard.member) end
  if not guard.members then return guard.kind end
  local parts = {}
  for index, member in ipairs(guard.members) do parts[index] = guard_text(member) end
  return ("any(%s)"):format(table.concat(parts, ", "))
end

-- "admin", "scope read", "owner": what is asked of who has come.
local function roles_text(route)
  local parts = { route.owner and "owner" or nil }
  guard_type.each(route.guard, function(part)
    if part.kind == "owner" then parts[#parts + 1] = "owner" end
    if part.names then
      parts[#parts + 1] = (part.kind == "scope" and "scope " or "") .. table.concat(part.names, part.all and " and " or " or ")
    end
  end)
  if route.shared then parts[#parts + 1] = "shared" end
  return table.concat(parts, "; ")
end

local function limits_text(limits)
  local parts = {}
  for index, rule in ipairs(limits or {}) do
    local by = rule.key_of and ("function (%s)"):format(rule.source) or rule.by
    parts[index] = rule.rule .. (rule.cost and " cost " .. rule.cost or "") .. (by == "client" and "" or " by " .. by)
  end
  return table.concat(parts, "; ")
end

local function rows(plan)
  local out = {}
  for index, route in ipairs(plan.routes) do
    local description = plan.descriptions.routes[index]
    out[index] = {
      method = route.method, path = route.pattern, guard = guard_text(description.guard), roles = roles_text(description),
      limits = limits_text(description.limits), takes = takes(description),
      returns = model_name(description.returns) or "", status = route.status, source = route.source,
    }
  end
  return out
end

-- --- printing ------------------------------------------------------------------------

local COLUMNS = { "method", "path", "guard", "roles", "limits", "takes", "returns", "status", "source" }

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

-- "app.lua:12: error: what is wrong" and, below it, how to mend it.
local function findings_text(findings)
  local lines = {}
  for index, finding in ipairs(findings) do
    lines[index] = ("%s: %s: %s\n  %s\n"):format(finding.source, finding.severity, finding.message, finding.mend)
  end
  return table.concat(lines)
end

-- What a start would find in migrations and statements, among what the load has found. Rights are no mistake of the app's, and are warned of
-- as the start does.
local function try_databases(plan)
  for _, declared in ipairs(plan.databases) do
    for _, exposure in ipairs(database.exposures(declared)) do core.log("warning", exposure) end
    for _, found in ipairs(database.try(declared)) do context.note("error", found.source, found.message, found.mend) end
  end
  lint.sort(plan.findings)
end

function runners.check(plan, options)
  try_databases(plan)
  local list, findings = rows(plan), setmetatable(plan.findings, core.array_type)
  local status = #findings > 0 and 1 or 0
  if options.json then
    return json.encode { title = plan.title, version = plan.version, routes = list, findings = findings } .. "\n", status
  elseif status == 0 then
    return ("%s\n%s %s loads: %d routes, nothing to mend\n"):format(aligned(list), plan.title, plan.version, #list), 0
  end
  return ("%s\n%s\n%s %s: %d routes, %d to mend\n"):format(aligned(list), findings_text(findings), plan.title, plan.version, #list, #findings), status
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
