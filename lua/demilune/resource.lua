-- SPDX-License-Identifier: MIT
-- What a bearer guard tells clients without a token: which resource this is and who
-- gives tokens for it (RFC 9728). A 401 names the document, which the app serves.

local errors = require "demilune.errors"
local ordered = require "demilune.ordered"

local resource = {}

local WELL_KNOWN = "/.well-known/oauth-protected-resource"

---@class demilune.Resource
---@field url string what the service is called
---@field servers? string[] who gives out tokens
---@field path string of the document, here
---@field metadata string its URL

-- https, and http for trying an app at home; no query, no fragment, nothing that ends a quoted string.
local function is_url(text)
  local host, path = text:match("^https://([%w.:%[%]-]+)(.*)$")
  if not host then
    host, path = text:match("^http://(localhost[:%d]*)(.*)$")
  end
  if not host then
    host, path = text:match("^http://(127%.0%.0%.1[:%d]*)(.*)$")
  end
  return host ~= nil and (path == "" or path:match("^/[%w/._~%%-]*$") ~= nil and not path:find("//", 1, true))
end

---Reads resource and authorization_servers of a bearer guard's options.
---@param place string
---@param given demilune.BearerOptions
---@return demilune.Resource?
function resource.read(place, given)
  local url, servers = given.resource, given.authorization_servers
  if not url then
    if servers then errors.raise(place, 'guard.bearer: authorization_servers are told for a resource; write resource = "https://api.example"') end
    return nil
  end
  if not is_url(url) then
    errors.raise(place, 'guard.bearer: resource is %s; write the https URL of this service, resource = "https://api.example"', errors.show(url))
  end
  for _, server in ipairs(servers or {}) do
    if not is_url(server) then
      errors.raise(place, 'guard.bearer: %s in authorization_servers is no https URL; write "https://login.example"', errors.show(server))
    end
  end
  -- The document stands between the resource's host and its path (RFC 9728 3.1).
  local origin, rest = url:match("^(%a+://[^/]+)(.*)$")
  local path = WELL_KNOWN .. (rest == "/" and "" or rest)
  return { url = url, servers = servers, path = path, metadata = origin .. path }
end

local function list(names) return names and #names > 0 and ordered.list { unpack(names) } or nil end

---The document (RFC 9728 2).
---@param described demilune.Resource
---@param scopes? string[] all that tokens may name
---@param title string the app's
---@return string json
function resource.document(described, scopes, title)
  return ordered.encode(ordered.object():set("resource", described.url):set("authorization_servers", list(described.servers))
    :set("scopes_supported", list(scopes)):set("bearer_methods_supported", list { "header" }):set("resource_name", title))
end

return resource
