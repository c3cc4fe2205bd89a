-- SPDX-License-Identifier: MIT
-- Guards in the OpenAPI document: a security scheme for each that looks at
-- credentials, and for each operation which of them suffice, with what roles or
-- scopes. The docs page's Authorize button works from this.

local ordered = require "demilune.ordered"

local openapi_security = {}

local function api_key(place, name) return ordered.object():set("type", "apiKey"):set("name", name):set("in", place) end

local function http(scheme) return ordered.object():set("type", "http"):set("scheme", scheme) end

-- Where to log in makes a token of it; without, it is typed in.
local function bearer(guard, scopes)
  if not guard.token_url then return http("bearer"):set("bearerFormat", "JWT") end
  local flow = ordered.object():set("tokenUrl", guard.token_url):set("scopes", scopes)
  return ordered.object():set("type", "oauth2"):set("flows", ordered.object():set("password", flow))
end

-- A row for each kind of guard that looks at credentials.
local SCHEMES = {
  bearer = bearer,
  api_key = function(guard)
    if guard.cookie then return api_key("cookie", guard.cookie) end
    return api_key("header", guard.header or "X-API-Key")
  end,
  basic = function() return http "basic" end,
  client_certificate = function() return ordered.object():set("type", "mutualTLS") end,
  session = function(guard) return api_key("cookie", guard.cookie or "__Host-session") end,
}

-- Which guards suffice, each with the names that stand above it. Roles are no scopes of OAuth2.
local function alternatives(guard, names, out)
  if guard.members then
    for _, member in ipairs(guard.members) do alternatives(member, names, out) end
  elseif guard.member then
    local more = { unpack(names) }
    for _, name in ipairs(guard.kind == "scope" and guard.names or {}) do more[#more + 1] = name end
    alternatives(guard.member, more, out)
  else
    out[#out + 1] = { guard = guard, scopes = names }
  end
  return out
end

---@class demilune.openapi_security.collection
---@field private names table<demilune.Guard, string>
---@field private taken table<string, true>
---@field private order demilune.Guard[]
---@field private scopes table<demilune.Guard, demilune.ordered.object>
local Collection = {}
Collection.__index = Collection

---@return demilune.openapi_security.collection
function openapi_security.collection() return setmetatable({ names = {}, taken = {}, order = {}, scopes = {} }, Collection) end

-- "bearer", and "bearer_2" for the second guard of its kind.
local function name_of(self, guard)
  if self.names[guard] then return self.names[guard] end
  local name, number = guard.kind, 1
  while self.taken[name] do
    number = number + 1
    name = guard.kind .. "_" .. number
  end
  self.names[guard], self.taken[name], self.order[#self.order + 1] = name, true, guard
  local scopes = ordered.object()
  for _, scope in ipairs(guard.known_scopes or {}) do scopes:set(scope, (guard.scope_descriptions or {})[scope] or "") end
  self.scopes[guard] = scopes
  return name
end

---What an operation asks for, and notes the schemes that it takes.
---@param guard demilune.Guard
---@return demilune.ordered.object
function Collection:requirements(guard)
  local list = ordered.list()
  for _, alternative in ipairs(alternatives(guard, {}, {})) do
    local leaf, wanted = alternative.guard, ordered.list()
    if not SCHEMES[leaf.kind] then error("openapi: no security scheme for a guard of kind " .. tostring(leaf.kind)) end
    local name = name_of(self, leaf)
    for _, scope in ipairs(alternative.scopes) do
      wanted:add(scope)
      if not self.scopes[leaf]:get(scope) then self.scopes[leaf]:set(scope, "") end
    end
    list:add(ordered.object():set(name, wanted))
  end
  return list
end

---Everything for components.securitySchemes; nil when all is public.
---@return demilune.ordered.object?
function Collection:schemes()
  if #self.order == 0 then return nil end
  local out = ordered.object()
  for _, guard in ipairs(self.order) do out:set(self.names[guard], SCHEMES[guard.kind](guard, self.scopes[guard])) end
  return out
end

return openapi_security
