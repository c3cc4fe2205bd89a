-- SPDX-License-Identifier: MIT
-- Whose object it is that a guarded route is asked for: somebody has to say so, and to look at who asks. lint.lua asks for
-- each route.

local context = require "demilune.context"
local field = require "demilune.field"
local guard_type = require "demilune.guard_type"
local reach = require "demilune.reach"

local lint_objects = {}

local MEND = "write owner = function(req, need) return ... end, or a statement that finds by :principal_subject and what %s is, or "
  .. "guard.role(...) for who may see all, or shared = true"

-- --- what is named -----------------------------------------------------------------------

-- These name a choice, not somebody's thing.
local NO_IDENTIFIERS = { literal = true, boolean = true, date = true, datetime = true, time = true }

local function may_identify(schema) return not NO_IDENTIFIERS[field.resolve(schema).kind] end

-- All, in the order of the path.
local function identifiers_of(route)
  local schemas, names = {}, {}
  for _, entry in ipairs(route.path and route.path.fields or {}) do schemas[entry.name] = entry.schema end
  for name in route.pattern:gmatch "{([%w_]+)" do
    if schemas[name] and may_identify(schemas[name]) then names[#names + 1] = name end
  end
  return names
end

-- Outside the path a name has to tell that it is one.
local function tells_identifier(name)
  local text = name:lower()
  return text == "id" or text == "ids" or text == "uuid" or text:find "[_-]ids?$" ~= nil or name:find "%lIds?$" ~= nil
end

local SECTIONS = { "query", "header", "form", "body" }

-- Its name and where it stands; what is read only is never accepted.
local function other_identifier_of(route)
  for _, section in ipairs(SECTIONS) do
    for _, entry in ipairs(route[section] and field.resolve(route[section]).fields or {}) do
      local schema = field.resolve(entry.schema)
      if not schema.read_only and may_identify(schema) and tells_identifier(schema.alias or entry.name) then return entry.name, section end
    end
  end
  return nil
end

-- --- who is asked ------------------------------------------------------------------------

-- Appends what resolves the needs and those below them. Whether one of them is a guard, which gives who asks.
local function add_needs(functions, needs, seen)
  local has_guard = false
  for _, needed in pairs(needs or {}) do
    has_guard = has_guard or guard_type.is(needed)
    if needed.resolve and not seen[needed] then
      seen[needed] = true
      functions[#functions + 1] = needed.resolve
      has_guard = add_needs(functions, needed.needs, seen) or has_guard
    end
  end
  return has_guard
end

---The handler and the dependencies that are resolved before it.
---@param route table
---@return function[]
function lint_objects.functions_of(route)
  local functions = { route.handler }
  add_needs(functions, route.needs, {})
  return functions
end

-- Whether everybody who passes was asked for a role or a scope.
local function asks_role(guard)
  if guard.kind == "role" or guard.kind == "scope" then return true end
  if guard.member then return asks_role(guard.member) end
  for _, member in ipairs(guard.members or {}) do
    if not asks_role(member) then return false end
  end
  return guard.members ~= nil
end

local function holds(used, mark)
  for value in pairs(used.values) do
    if rawget(value, mark) then return true end
  end
  return false
end

-- By a statement, or by a guard whose keys are ended by whose they are, where that is not all from the request's path. Who it is that
-- asks, or that they are written into a row, says nothing of what the path names.
local function tells_whose(route)
  local used = reach.used(lint_objects.functions_of(route))
  if holds(used, "asks_whose") then return true end
  for value in pairs(used.names.finish and used.names.principal and used.values or {}) do
    if guard_type.is(value) and value.kind == "api_key" and value.store then return true end
  end
  return false
end

-- --- owners ------------------------------------------------------------------------------

local function owners_of(route)
  local owners = { route.owner }
  guard_type.each(route.guard, function(part)
    if part.kind == "owner" then owners[#owners + 1] = part.decide end
  end)
  return owners
end

-- Those of the route's needs of which the function speaks.
local function needs_of(used, route)
  local spoken = {}
  for name, needed in pairs(route.needs or {}) do
    if used.names[name] then spoken[name] = needed end
  end
  return spoken
end

-- By the principal, a statement that binds the subject, a need that knows one, or a secret that whoever asks has brought.
local function looks_at_who(fn, needs)
  local functions = { fn }
  if add_needs(functions, needs, {}) then return true end
  local used = reach.used(functions)
  return used.veiled or used.names.principal or used.names.equal or used.names.verify or holds(used, "binds_subject")
end

-- --- all -----------------------------------------------------------------------------------

-- Whether the function finds what the last identifier names by that one alone, nil where it does not find it.
local function finds_alone(fn, names)
  local used, alone = reach.used { fn }, nil
  if not used.names.path or not used.names[names[#names]] then return nil end
  for index = 1, #names - 1 do
    if used.names[names[index]] then return false end
  end
  for value in pairs(used.values) do
    local parameters = rawget(value, "parameters")
    if parameters == 1 then alone = true
    elseif parameters and parameters > 1 then return false end
  end
  return alone
end

-- Of /teams/{team_id}/notes/{note_id} it was asked whether one belongs to the team: a note that is found by its own identifier may be
-- another team's.
local function check_last(route, what)
  local names, alone = identifiers_of(route), nil
  if #names < 2 then return end
  for _, fn in ipairs(lint_objects.functions_of(route)) do
    local found = finds_alone(fn, names)
    if found == false then return end
    alone = alone or found
  end
  if not alone then return end
  context.note("warning", route.source,
    ("%s: {%s} is looked for by itself, whatever {%s} it belongs to"):format(what, names[#names], names[#names - 1]),
    ("find it by both, as WHERE id = :id AND %s = :%s"):format(names[#names - 1], names[#names - 1]))
end

local function check_path(route, what, identifier, owners)
  for _, owner in ipairs(owners) do
    if not looks_at_who(owner, needs_of(reach.used { owner }, route)) then
      context.note("error", route.source,
        ("%s: its owner does not look at who asks, so that everybody has any {%s} that there is"):format(what, identifier),
        "let it compare with req.principal.subject, or ask a statement with :principal_subject; or write shared = true in its place")
    end
  end
  if #owners > 0 or route.shared then return end
  if tells_whose(route) then return check_last(route, what) end
  context.note("error", route.source,
    ("%s: everybody whom its guard lets pass can name any {%s}, and nothing says whose that is"):format(what, identifier),
    MEND:format("{" .. identifier .. "}"))
end

-- Those that may have to do with what a field of the section names: of which the handler speaks, or which look at the section themselves, and may
-- refuse by themselves. One that only finds who asks is none.
local function needs_about(route, section)
  local spoken = needs_of(reach.used { route.handler }, route)
  for name, needed in pairs(route.needs or {}) do
    local functions = {}
    add_needs(functions, { needed }, {})
    if reach.used(functions).names[section] then spoken[name] = needed end
  end
  return spoken
end

-- Whose thing a field names cannot be told by its name alone; that nobody looks at who asks, can.
local function check_rest(route, what)
  local identifier, section = other_identifier_of(route)
  if not identifier or looks_at_who(route.handler, needs_about(route, section)) then return end
  context.note("warning", route.source,
    ("%s: everybody whom its guard lets pass can name any %s in its %s, and nothing looks at who asks"):format(what, identifier, section),
    MEND:format(identifier))
end

---@param route table a description of the plan's
---@param what string "GET /notes/{id}"
function lint_objects.check(route, what)
  if guard_type.is_public(route.guard) or asks_role(route.guard) then return end
  local identifier, owners = identifiers_of(route)[1], owners_of(route)
  if identifier then check_path(route, what, identifier, owners)
  elseif #owners == 0 and not route.shared then check_rest(route, what) end
end

return lint_objects
