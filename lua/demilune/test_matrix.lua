-- SPDX-License-Identifier: MIT
-- client:matrix of specs: every route of the plan, asked for by every principal. The
-- requests announce a body that no route takes, so that whoever is let in is
-- answered 413 before the handler, and nothing of the app runs.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"
local secrets = require "demilune.secrets"
local test_reply = require "demilune.test_reply"

local test_matrix = {}

---@class demilune.TestPrincipal
---@field headers? table<string, string> its credentials
---@field cookies? table<string, string> likewise
---@field guard? string the kind that knows it: "api_key", "session"; of Authorization it is seen
---@field roles? string[] what it has, as far as the spec knows
---@field scopes? string[]

local PRINCIPAL = { headers = "table", cookies = "table", guard = "string", roles = "strings", scopes = "strings" }
local ANNOUNCED = "9007199254740991" -- bytes
local SCHEMES = { bearer = "bearer", basic = "basic" }
local KINDS = { "bearer", "api_key", "session", "basic", "client_certificate" }

-- --- what the declarations say -------------------------------------------------------

local function check_principal(name, principal)
  local what = "client:matrix: the principal " .. tostring(name)
  if type(name) ~= "string" or type(principal) ~= "table" then
    errors.raise(errors.where(),
      'client:matrix: principals have names; write principals = { nobody = {}, ada = { headers = ..., roles = { "user" } } }')
  end
  options.check(errors.where(), what, principal, PRINCIPAL)
  local is_kind = principal.guard == nil
  for _, kind in ipairs(KINDS) do is_kind = is_kind or principal.guard == kind end
  if is_kind then return end
  errors.raise(errors.where(), "%s: there is no guard %s; write one of %s", what, errors.show(principal.guard), table.concat(KINDS, ", "))
end

-- The kind of guard that knows it; nil for who has no credentials.
local function kind_of(name, principal)
  if principal.guard then return principal.guard end
  local has_any = next(principal.cookies or {}) ~= nil
  for field, value in pairs(principal.headers or {}) do
    if field:lower() == "authorization" and type(value) == "string" then return SCHEMES[(value:match("^%S+") or ""):lower()] end
    has_any = true
  end
  if has_any then error(("matrix: which guard knows the principal %s? write guard = \"api_key\" beside its headers"):format(name), 4) end
  return nil
end

local function holds(guard, principal)
  local had, held = {}, 0
  for _, name in ipairs(principal[guard.kind .. "s"] or {}) do had[name] = true end
  for _, name in ipairs(guard.names) do held = held + (had[name] and 1 or 0) end
  return held == #guard.names or held > 0 and not guard.all
end

-- True, 401 or 403.
local function declared(guard, kind, principal)
  if guard.kind == "public" then return true end
  if guard.members then
    local outcome = 401
    for _, member in ipairs(guard.members) do
      local one = declared(member, kind, principal)
      if one == true then return true end
      outcome = math.max(outcome, one)
    end
    return outcome
  end
  if not guard.member then return guard.kind == kind or 401 end
  local below = declared(guard.member, kind, principal)
  if below ~= true or guard_type.is_late(guard) then return below end -- an owner and a user's roles are asked for behind the size
  return holds(guard, principal) or 403
end

-- --- what the server says -------------------------------------------------------------

local function cookie_field(cookies)
  local parts = {}
  for name, value in pairs(cookies or {}) do parts[#parts + 1] = name .. "=" .. secrets.sent(value) end
  table.sort(parts)
  return #parts > 0 and table.concat(parts, "; ") or nil
end

-- From an address of its own, since routes limit how often a client may ask.
local function ask(client, number, route, principal)
  local path = route.pattern:gsub("{[^}]*}", "matrix")
  local lines = { ("%s %s HTTP/1.1"):format(route.method, path), "Host: " .. client.host, "Expect: 100-continue", "Content-Length: " .. ANNOUNCED }
  for name, value in pairs(principal.headers or {}) do lines[#lines + 1] = name .. ": " .. secrets.sent(value) end
  local cookie = cookie_field(principal.cookies)
  if cookie then lines[#lines + 1] = "Cookie: " .. cookie end
  local connection = core.test_connect(("127.1.%d.%d"):format(math.floor(number / 250) % 250, 1 + number % 250))
  connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n", route.method .. " " .. path, client.timeout)
  local reply = test_reply.reader(function() return connection:receive() or nil end):next(route.method)
  connection:close()
  if not reply then return "no answer" end
  return reply.status == 413 or reply.status
end

-- --- comparing --------------------------------------------------------------------------

local function say(outcome)
  if outcome == true then return "lets in" end
  return type(outcome) == "number" and ("answers %d to"):format(outcome) or ("gives %s to"):format(outcome)
end

local function sorted(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Routes for which nobody needs credentials, against those that the spec expects.
local function compare_public(outcomes, open, public, problems)
  local expected = {}
  for _, what in ipairs(public) do
    expected[what] = true
    if not outcomes[what] then problems[#problems + 1] = ("%s is named as public, and there is no such route"):format(what) end
  end
  for _, what in ipairs(sorted(open)) do
    if not expected[what] then problems[#problems + 1] = ("%s lets in everybody, and public does not name it"):format(what) end
  end
end

---@param client demilune.TestClient
---@param given { principals: table<string, demilune.TestPrincipal>, public?: string[] }
function test_matrix.run(client, given)
  if type(given) ~= "table" or type(given.principals) ~= "table" or not next(given.principals) then
    error('matrix takes principals; write client:matrix { principals = { nobody = {}, ada = { headers = ..., roles = { "user" } } } }', 3)
  end
  options.check(errors.where(), "client:matrix", given, { principals = "table", public = "strings" })
  for name, principal in pairs(given.principals) do check_principal(name, principal) end
  local outcomes, open, problems, number = {}, {}, {}, 0
  for _, name in ipairs(sorted(given.principals)) do
    local principal = given.principals[name]
    local kind = kind_of(name, principal)
    for _, route in ipairs(context.plan.descriptions.routes) do
      local what = route.method .. " " .. route.pattern
      local expected, found = declared(route.guard, kind, principal), ask(client, number, route, principal)
      number = number + 1
      outcomes[what] = outcomes[what] or {}
      outcomes[what][name] = found
      if guard_type.is_public(route.guard) then open[what] = true end
      if found ~= expected then
        problems[#problems + 1] = ("%s (%s) %s %s, and as declared it %s"):format(what, route.source, say(found), name, (say(expected):gsub(" to$",
          "")))
      end
    end
  end
  if given.public then compare_public(outcomes, open, given.public, problems) end
  if #problems > 0 then error("who may call what is not as declared:\n  " .. table.concat(problems, "\n  "), 3) end
  return outcomes
end

return test_matrix
