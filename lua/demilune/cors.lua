-- SPDX-License-Identifier: MIT
-- Which pages of other origins may read what an app answers (cross-origin resource
-- sharing). Read here, so that a mistake is told at its line; decided by the core.

local errors = require "demilune.errors"
local options = require "demilune.options"
local units = require "demilune.units"

---@class demilune.Cors
---@field origins string[] "https://app.example", "https://*.app.example"; "*" is every page of the web
---@field credentials? boolean cookies, Authorization
---@field methods? string[] GET, HEAD, POST
---@field headers? string[] that pages may send
---@field expose? string[] fields of responses that pages may read
---@field max_age? string|integer how long a browser may remember the answer: "10m"

local cors = {}

local OPTIONS = { origins = "strings", credentials = "boolean", methods = "strings", headers = "strings", expose = "strings", max_age = "duration" }
local STANDARD_PORTS = { http = "80", https = "443" }
local MAX_AGE_MOST = 86400
local EXAMPLE = 'write origins = { "https://app.example" }, a scheme and a host, with a port when it is not the usual one'

local function origin_problem(origin)
  if origin == "null" then return "is what every sandboxed frame and local file sends, so that everybody could be it" end
  if origin == "" then return "is empty" end
  local scheme, rest = origin:match("^([%a][%w+.-]*)://(.*)$")
  if not scheme then return "has no scheme" end
  if scheme ~= scheme:lower() or rest ~= rest:lower() then return "has capitals, which browsers do not send" end
  if rest:find("@", 1, true) then return "has a user in it" end
  if rest:find("[/?#]") then return "has something behind its host" end
  local host, port = rest:match("^(%[[%x:.]+%])(.*)$")
  if not host then host, port = rest:match("^([^:]*)(.*)$") end
  if port ~= "" and not port:match("^:[1-9]%d?%d?%d?%d?$") then return "has no valid port" end
  if STANDARD_PORTS[scheme] and port == ":" .. STANDARD_PORTS[scheme] then return "has its scheme's own port, which browsers leave out" end
  local plain = host:gsub("^%*%.", "")
  if plain:find("*", 1, true) then return 'has a "*" that is not all of its first label' end
  if host:sub(1, 1) ~= "[" and not plain:match("^%w[%w.-]*$") then return "has no valid host" end
  if host ~= plain and not plain:find(".", 1, true) then return "lets every host of a top-level domain in" end
  return nil
end

-- What other origins may use; a browser asks before each but the first three.
local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, PATCH = true, DELETE = true }

local function check_methods(place, what, list)
  for _, method in ipairs(list or {}) do
    if not METHODS[method] then
      errors.raise(place, '%s: cors.methods: there is no method %s; write some of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"', what,
        errors.show(method))
    end
  end
  return list or {}
end

local function check_names(place, what, name, list, credentials)
  for _, item in ipairs(list or {}) do
    if item == "*" and credentials then
      errors.raise(place, '%s: cors.%s: browsers do not take "*" together with credentials; name what pages may use', what, name)
    elseif not item:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
      errors.raise(place, "%s: cors.%s: %s is no name", what, name, errors.show(item))
    end
  end
  return list or {}
end

---What a cors option says, checked; false keeps other origins out of a router's routes.
---@param place string
---@param what string
---@param given demilune.Cors|false|nil
---@return demilune.Cors|false|nil
function cors.read(place, what, given)
  if given == nil or given == false then return given end
  options.check(place, what .. ": cors", given, OPTIONS)
  local origins = given.origins or {}
  if #origins == 0 then errors.raise(place, "%s: cors has no origins; %s, or take cors out", what, EXAMPLE) end
  for _, origin in ipairs(origins) do
    if origin == "*" and given.credentials then
      errors.raise(place, '%s: cors: with origins = { "*" } and credentials, every page of the web could act in a visitor\'s name; '
        .. "name the origins, or take credentials out", what)
    elseif origin == "*" and #origins > 1 then
      errors.raise(place, '%s: cors: "*" is every origin, so the others say nothing; take them out, or take "*" out', what)
    end
    local problem = origin ~= "*" and origin_problem(origin)
    if problem then errors.raise(place, "%s: cors: the origin %s %s; %s", what, errors.show(origin), problem, EXAMPLE) end
  end
  local max_age = given.max_age == nil and 600 or units.seconds(given.max_age)
  if not max_age or max_age > MAX_AGE_MOST then
    errors.raise(place, '%s: cors: max_age is %s; write max_age = "10m", or at most "1d"', what, errors.show(given.max_age))
  end
  return {
    origins = { unpack(origins) }, credentials = given.credentials or false, methods = check_methods(place, what, given.methods),
    headers = check_names(place, what, "headers", given.headers, given.credentials),
    expose = check_names(place, what, "expose", given.expose, given.credentials), max_age = math.floor(max_age),
  }
end

return cors
