-- SPDX-License-Identifier: MIT
-- What is unsafe about an app although each of its parts is well formed. Production
-- refuses it at load, dev warns in the same words, `demilune check` lists it all.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local field = require "demilune.field"
local guard_type = require "demilune.guard_type"
local limit = require "demilune.limit"
local lint_caches = require "demilune.lint_caches"
local lint_objects = require "demilune.lint_objects"
local lint_tokens = require "demilune.lint_tokens"
local reach = require "demilune.reach"

local lint = {}

-- --- what a route can reach --------------------------------------------------------------

local function reach_of(route)
  local opaque = { [package.loaded["demilune"] or {}] = true, [package.loaded["demilune.password"] or {}] = true }
  return reach.of(lint_objects.functions_of(route), opaque)
end

-- --- whose field -------------------------------------------------------------------------

-- All roles that a principal of the guard can have; nil where a part of it does not say.
local function known_roles(guard)
  local roles = {}
  for _, leaf in ipairs(guard_type.leaves(guard)) do
    if not leaf.known_roles then return nil end
    for _, role in ipairs(leaf.known_roles) do roles[#roles + 1] = role end
  end
  return roles
end

local function each_field(desc, seen, visit)
  desc = field.resolve(desc)
  if seen[desc] then return end
  seen[desc] = true
  for _, entry in ipairs(desc.fields or {}) do
    visit(entry)
    each_field(entry.schema, seen, visit)
  end
  for _, below in ipairs(desc.members or {}) do each_field(below, seen, visit) end
  if field.is(desc.items) then each_field(desc.items, seen, visit) end
  if field.is(desc.values) then each_field(desc.values, seen, visit) end
end

local function has(list, wanted)
  for _, item in ipairs(list) do
    if item == wanted then return true end
  end
  return false
end

-- A role that nobody can have is mistyped: the field would be hidden from those whom it is for.
local function check_visibility(route, what)
  local roles = route.returns and known_roles(route.guard)
  if not roles or guard_type.is_public(route.guard) then return end
  each_field(route.returns, {}, function(entry)
    for _, role in ipairs(entry.schema.visible_to or {}) do
      if not has(roles, role) then
        local nearest = errors.nearest(role, roles)
        context.note("error", route.source, ("%s: nobody can have the role %s that the field %s is visible to"):format(what, role, entry.name),
          nearest and ("did you mean %s?"):format(nearest) or "add it to the roles of the guard")
      end
    end
  end)
end

-- --- whose role --------------------------------------------------------------------------

local function asked_roles(routes)
  local asked = {}
  for _, route in ipairs(routes) do
    guard_type.each(route.guard, function(part)
      for _, role in ipairs(part.kind == "role" and part.names or {}) do asked[role] = true end
    end)
  end
  return asked
end

-- Of the values of a literal, or of an array of them, the first that is such a role.
local function role_in(schema, asked)
  local desc = field.resolve(schema)
  if desc.kind == "array" then return role_in(desc.items, asked) end
  for _, value in ipairs(desc.kind == "literal" and desc.values or {}) do
    if asked[value] then return value end
  end
  return nil
end

-- A form for new accounts, in which one chooses to be an admin.
local function check_roles(route, what, asked)
  if not guard_type.is_public(route.guard) then return end
  local seen = {}
  local function look(entry)
    local role = entry.name:lower():find("role", 1, true) and not field.resolve(entry.schema).read_only and role_in(entry.schema, asked)
    if role then
      context.note("warning", route.source, ("%s: everybody may send %s = %q, which guard.role asks for"):format(what, entry.name, role),
        ('take %q out of what may be sent here, and give that role on a route behind guard.role("%s", ...)'):format(role, role))
    end
  end
  if route.body then each_field(route.body, seen, look) end
  if route.form then each_field(route.form, seen, look) end
end

-- --- logins ------------------------------------------------------------------------------

local CREDENTIALS = {
  password = true, passwd = true, pwd = true, passphrase = true, passcode = true, pin = true, otp = true, totp = true, refresh_token = true,
}

local function takes_password(desc)
  local found = false
  if desc then
    each_field(desc, {}, function(entry)
      found = found or CREDENTIALS[entry.name:lower()] or CREDENTIALS[(entry.schema.alias or ""):lower()]
    end)
  end
  return found
end

-- Those that nobody means otherwise: of others there are such as a pin on a map.
local IN_NO_URL = { password = true, passwd = true, passphrase = true, refresh_token = true }

-- Browsers remember URLs, and fronts log them.
local function check_url(route, what)
  for _, section in ipairs { "query", "path" } do
    for _, entry in ipairs(route[section] and field.resolve(route[section]).fields or {}) do
      local kind = field.resolve(entry.schema).kind
      if (kind == "string" or kind == "secret") and IN_NO_URL[(entry.schema.alias or entry.name):lower()] then
        context.note("error", route.source,
          ("%s takes %s in its %s, and so in a URL, which browsers remember and fronts log"):format(what, entry.name, section),
          ("take it in form = { %s = model.secret() }, or in a body"):format(entry.name))
      end
    end
  end
end

-- Whether it issues by a guard, of those kinds that are asked about, as far as the names or the calls tell that it has.
local function issues(reached, told, is_asked)
  for value in pairs(told.issue and reached.values or {}) do
    if guard_type.is(value) and value.issue and (value.kind ~= "api_key" or value.store) and is_asked(value.kind) then return true end
  end
  return false
end

-- By its name, however it is called: a limit is soon written. A key that somebody makes whom another guard knows lets nobody in who
-- was not in already.
local function gives_token(route, reached)
  return issues(reached, reached.names, function(kind) return kind ~= "api_key" or guard_type.is_public(route.guard) end)
end

-- By the name that the source says, or by a local that holds the module or one of its functions.
local function checks_password(reached)
  local password = package.loaded["demilune.password"] or {}
  if reached.seen[password.verify] or reached.seen[password.hash] then return true end
  return (reached.names.verify or reached.names.hash) and (reached.names.password or reached.values[password])
end

local function login_reason(route, reached)
  if gives_token(route, reached) then return "gives out tokens" end
  if checks_password(reached) then return "checks or hashes passwords" end
  if takes_password(route.body) or takes_password(route.form) then return "takes a password" end
  return nil
end

-- Basic credentials are a password in each request: any route behind them is a place to guess at.
local function asks_for_password(guard)
  for _, leaf in ipairs(guard_type.leaves(guard)) do
    if leaf.kind == "basic" then return true end
  end
  return false
end

-- How many tries a minute of one address its limits let through, nil where none counts addresses.
local function tries_of(route)
  local least
  for _, rule in ipairs(route.limits) do
    if rule.by == "client" then least = math.min(least or math.huge, limit.per_minute(rule)) end
  end
  return least
end

-- Two a second, day and night.
local MOST_TRIES = 120

-- Nobody is known there yet: whatever else is counted, a request names it.
local function check_open_login(route, what, reason)
  local tries = tries_of(route)
  if not tries then
    context.note("error", route.source,
      what .. " " .. reason .. " and no limit counts addresses: what its function counts by is the client's to choose, so that passwords can be "
        .. "tried without end", 'write limit = { "5/minute", { rate = ..., by = ... } }')
  elseif tries > MOST_TRIES then
    context.note("warning", route.source,
      ("%s %s, and its limits let one address try %d of them a minute"):format(what, reason, math.floor(tries)),
      'write limit = "5/minute" on the route, besides what its router and the app say')
  end
end

local function check_login(route, what, reached)
  local is_public, reason = guard_type.is_public(route.guard), login_reason(route, reached)
  if reason and not route.limits[1] then
    context.note("error", route.source, ("%s %s and has no limit, so that passwords can be tried without end"):format(what, reason),
      'write limit = "5/minute"')
  elseif reason and is_public then check_open_login(route, what, reason) end
  -- Who guesses wrong is nobody: only what is counted before the guard slows them down.
  if asks_for_password(route.guard) and not tries_of(route) then
    context.note("error", route.source, what .. ": its guard.basic takes a password in each request and no limit counts addresses, so that "
      .. "passwords can be tried without end", 'write limit = "60/minute" here, on its router or on demilune.app')
  end
end

-- --- what is kept ------------------------------------------------------------------------

-- Of a token, a session or a key the server keeps a digest, or nothing: who reads the database becomes nobody. By the call: a route that
-- has something else of that name could not be mended.
local function check_kept(route, what, reached)
  if not route.idempotent or not issues(reached, reached.calls, function() return true end) then return end
  context.note("error", route.source,
    what .. " is idempotent and gives out tokens, sessions or API keys, which would be kept with its answer, as they are",
    "leave idempotent out; who has lost an answer asks for another one")
end

-- --- signatures ----------------------------------------------------------------------------

-- Whether the request brings one, in a field that is declared or that the handler asks for.
local function brings_signature(route, used)
  for _, entry in ipairs(route.header and field.resolve(route.header).fields or {}) do
    if entry.name:lower():find("signature", 1, true) then return true end
  end
  for name in pairs(used.names.get_header and used.names or {}) do
    if name:lower():find("signature", 1, true) then return true end
  end
  return false
end

-- Who makes the signature that was due, and does not have it compared, compares it by ==.
local function check_signatures(route, what)
  local used = reach.used(lint_objects.functions_of(route))
  local hmac = package.loaded["demilune.hmac"] or {}
  local makes = used.names.hex and (used.names.hmac or used.values[hmac]) or used.seen[hmac.hex]
  if not makes or used.names.verify or not brings_signature(route, used) then return end
  context.note("warning", route.source,
    what .. " makes the signature that a request should bring, and == tells by its time how much of a guess was right",
    "write demilune.hmac.verify(settings.HOOK_SECRET, req.body, signature)")
end

-- --- all -----------------------------------------------------------------------------------

---A finding as one sentence.
---@param finding demilune.Finding
---@return string
function lint.text(finding) return ("%s: %s; %s"):format(finding.source, finding.message, finding.mend) end

local function refuse(findings)
  local lines = {}
  for _, finding in ipairs(findings) do
    if finding.severity == "error" then lines[#lines + 1] = lint.text(finding) end
  end
  if #lines == 0 then return end
  if #lines > 1 then table.insert(lines, 1, ("%d things make the app unsafe; `demilune check` lists them:"):format(#lines)) end
  error(table.concat(lines, "\n"), 0)
end

local function by_source(a, b)
  local file_a, line_a = a.source:match("^(.-):?(%d*)$")
  local file_b, line_b = b.source:match("^(.-):?(%d*)$")
  if file_a ~= file_b then return file_a < file_b end
  if line_a ~= line_b then return (tonumber(line_a) or 0) < (tonumber(line_b) or 0) end
  return a.message < b.message
end

---Puts findings in the order of their places.
---@param findings demilune.Finding[]
function lint.sort(findings) table.sort(findings, by_source) end

-- One whose routes nobody can call was forgotten.
local function check_routers()
  for _, made in ipairs(context.routers) do
    if #made.entries > 0 and not made.is_mounted then
      context.note("warning", made.source, "this router is mounted nowhere, so that its routes are not there", "write app:mount(it), or take it out")
    end
  end
end

---Looks a plan over. In production what is found is refused.
---@param plan table
---@return demilune.Finding[] the noted ones of the whole load included
function lint.run(plan)
  local asked = asked_roles(plan.descriptions.routes)
  for _, route in ipairs(plan.descriptions.routes) do
    local what, reached = route.method .. " " .. route.pattern, reach_of(route)
    lint_objects.check(route, what)
    lint_caches.check(route, what)
    check_url(route, what)
    check_roles(route, what, asked)
    check_signatures(route, what)
    check_login(route, what, reached)
    check_visibility(route, what)
    check_kept(route, what, reached)
  end
  lint_tokens.check(plan.descriptions.routes)
  check_routers()
  local findings = context.findings
  lint.sort(findings)
  if context.mode == "serve" then refuse(findings) end
  if context.mode == "dev" or context.mode == "serve" then
    for _, finding in ipairs(findings) do core.log("warning", lint.text(finding)) end
  end
  return findings
end

return lint
