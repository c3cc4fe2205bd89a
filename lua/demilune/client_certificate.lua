-- SPDX-License-Identifier: MIT
-- guard.client_certificate: programs that prove who they are when they connect, by a
-- certificate of an authority that the server trusts (--tls-client-ca). The core
-- makes a principal of it; whoever has none is answered 401.

local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"

---@class demilune.ClientCertificateOptions
---@field subject? "common_name"|"distinguished_name"|"dns"|"email"|"uri" which name in it says who it is: "common_name"
---@field issuer? string the issuer's distinguished name, when only one authority counts: "CN=Clients,O=Example"
---@field clients? table<string|integer, string[]|string> only they pass: { ["worker-7"] = { "admin" }, "worker-8" }; all vouched for when left out
---@field roles? string[] of everybody who passes

local metatable = guard_type.metatable()

local client_certificate = {}

local OPTIONS = { subject = "string", issuer = "string", clients = "table", roles = "strings" }
local SOURCES = { "common_name", "distinguished_name", "dns", "email", "uri" }
local EXAMPLE = 'write clients = { ["worker-7"] = { "admin" }, "worker-8" }'

local function is_source(name)
  for _, source in ipairs(SOURCES) do
    if source == name then return true end
  end
  return false
end

local function read_client(place, key, entry)
  local name = type(key) == "string" and key or entry
  local roles = type(key) == "string" and entry or {}
  if type(roles) == "string" then roles = { roles } end
  if type(name) ~= "string" or name == "" or type(roles) ~= "table" then
    errors.raise(place, "guard.client_certificate: %s in clients is neither a name nor a name's list of roles; %s", errors.show(entry), EXAMPLE)
  end
  for _, role in ipairs(roles) do
    if type(role) ~= "string" or role == "" then
      errors.raise(place, "guard.client_certificate: %s, which the client %s has, is no role; %s", errors.show(role), name, EXAMPLE)
    end
  end
  return { name = name, roles = { unpack(roles) } }
end

local function read_clients(place, given)
  if given == nil then return nil end
  local clients, taken = {}, {}
  for key, entry in pairs(given) do clients[#clients + 1] = read_client(place, key, entry) end
  if #clients == 0 then errors.raise(place, "guard.client_certificate: clients is empty, so that nobody could pass; %s", EXAMPLE) end
  table.sort(clients, function(a, b) return a.name < b.name end)
  for _, client in ipairs(clients) do
    if taken[client.name] then
      errors.raise(place, "guard.client_certificate: the client %s is there twice; put its roles into one list", client.name)
    end
    taken[client.name] = true
  end
  return clients
end

local function roles_of(clients, everybody)
  local list = { unpack(everybody) }
  for _, client in ipairs(clients or {}) do
    for _, role in ipairs(client.roles) do list[#list + 1] = role end
  end
  return list
end

---@param given? demilune.ClientCertificateOptions
---@return demilune.Guard
function client_certificate.new(given)
  local place = errors.where()
  given = options.check(place, "guard.client_certificate", given, OPTIONS)
  if given.subject and not is_source(given.subject) then
    errors.raise(place, 'guard.client_certificate: subject is %s; write one of "%s"', errors.show(given.subject), table.concat(SOURCES, '", "'))
  end
  if given.issuer == "" then errors.raise(place, 'guard.client_certificate: issuer is empty; write issuer = "CN=Clients,O=Example"') end
  local clients = read_clients(place, given.clients)
  return setmetatable({
    kind = "client_certificate", source = place, subject = given.subject, issuer = given.issuer, clients = clients, roles = given.roles or {},
    known_roles = roles_of(clients, given.roles or {}), known_scopes = {},
  }, metatable)
end

return client_certificate
