-- SPDX-License-Identifier: MIT
-- Whose tokens and keys pass where: two bearer guards of one app that sign with one key, and say nothing in a token of which
-- it is for, let each other's people in, as do two that keep API keys in one table. lint.lua asks once for each app.

local context = require "demilune.context"
local guard_type = require "demilune.guard_type"

local lint_tokens = {}

-- Those that routes ask, in their order.
local function guards_of(routes, kind)
  local list, seen = {}, {}
  for _, route in ipairs(routes) do
    for _, leaf in ipairs(guard_type.leaves(route.guard)) do
      if leaf.kind == kind and not seen[leaf] then list[#list + 1], seen[leaf] = leaf, true end
    end
  end
  return list
end

local function has(list, wanted)
  for _, item in ipairs(list or {}) do
    if item == wanted then return true end
  end
  return false
end

-- As the core judges iss and aud: a token with an audience is none for who names none.
local function takes(taker, giver)
  local audience = giver.audience and giver.audience[1]
  if taker.issuer and taker.issuer ~= giver.issuer then return false end
  if audience and not has(taker.audience, audience) or not audience and taker.audience then return false end
  return taker.keys:takes(giver.keys)
end

local function names(list) return list and table.concat(list, " ") or "any" end

-- What a guard says of its tokens but whose they are.
local function said_of(leaf)
  return table.concat({ leaf.lifetime, leaf.roles_claim, leaf.scope_claim, names(leaf.known_roles), names(leaf.known_scopes) }, "\n")
end

local function note(taker, giver, severity)
  context.note(severity, taker.source,
    ("guard.bearer: tokens of the one at %s pass here too, for they are signed by the same key and nothing in them says for which they are")
      :format(giver.source),
    "give each an issuer or an audience of its own, or another secret; where both are for the same people, write one guard and use it for both")
end

-- Of two that differ in the cookie alone nobody can tell whether they mean the same tokens on two ways.
local function check_pair(first, second)
  local alike = said_of(first) == said_of(second)
  if alike and first.source == second.source then return end -- a function of the app's that makes one guard again
  local severity = alike and first.cookie ~= second.cookie and "warning" or "error"
  if takes(second, first) then note(second, first, severity)
  elseif takes(first, second) then note(first, second, severity) end
end

-- --- API keys ------------------------------------------------------------------------------

local function said_of_keys(leaf)
  return table.concat({ leaf.lifetime, leaf.prefix, leaf.most, names(leaf.known_roles), names(leaf.known_scopes) }, "\n")
end

local function check_stores(first, second)
  if not first.keeper or first.keeper ~= second.keeper or first.table ~= second.table then return end
  local alike = said_of_keys(first) == said_of_keys(second)
  if alike and first.source == second.source then return end
  local differs = first.header ~= second.header or first.cookie ~= second.cookie
  context.note(alike and differs and "warning" or "error", second.source,
    ("guard.api_key: keys of the one at %s pass here too, for both are kept in one %s"):format(first.source, first.table and "table" or "store"),
    'give each a table of its own, such as table = "service_keys"; where both are for the same keys, write one guard and use it for both')
end

-- --- all -----------------------------------------------------------------------------------

local CHECKS = { bearer = check_pair, api_key = check_stores }

---@param routes table[] the plan's descriptions
function lint_tokens.check(routes)
  for kind, check in pairs(CHECKS) do
    local guards = guards_of(routes, kind)
    for index, second in ipairs(guards) do
      for before = 1, index - 1 do check(guards[before], second) end
    end
  end
end

return lint_tokens
