-- SPDX-License-Identifier: MIT
-- guard.session: who somebody is, sealed in a cookie that a browser carries and can
-- neither read nor change. session:issue and session:clear give the Set-Cookie field.

local core = require "demilune.core"
local context = require "demilune.context"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local options = require "demilune.options"
local secrets = require "demilune.secrets"
local units = require "demilune.units"

---@class demilune.SessionOptions
---@field secret? any from settings
---@field secrets? any[] the newest first: all open, the first one seals
---@field lifetime string|number "8h"
---@field cookie? string "__Host-session"
---@field same_site? "Strict"|"Lax" "Strict"
---@field roles? string[] all that sessions may name
---@field scopes? string[]

---@class demilune.Session : demilune.Guard
---@field sealer any
---@field lifetime integer
---@field cookie string
---@field same_site string
local Session = {}
local metatable = guard_type.metatable(Session)

local session = {}

local OPTIONS = {
  secret = "any", secrets = "list", lifetime = "duration", cookie = "string", same_site = "string", roles = "strings", scopes = "strings",
}
local SAME_SITE = { Strict = true, Lax = true }

local function read_secrets(place, given)
  if (given.secret == nil) == (given.secrets == nil) then
    errors.raise(place, "guard.session takes secret = settings.SESSION_SECRET, or secrets = { newest, older } while one replaces the other")
  end
  local list = {}
  for index, secret in ipairs(given.secrets or { given.secret }) do
    list[index] = secrets.read(place, "guard.session: secret", secret, 32, "SESSION_SECRET")
  end
  if #list == 0 then errors.raise(place, "guard.session: secrets is empty; write secrets = { settings.SESSION_SECRET }") end
  return list
end

local function read_cookie(place, given)
  local cookie, same_site = given.cookie or "__Host-session", given.same_site or "Strict"
  if not cookie:match("^[%w_.-]+$") then
    errors.raise(place, 'guard.session: %s is no name of a cookie; write cookie = "__Host-session"', errors.show(cookie))
  elseif not SAME_SITE[same_site] then
    errors.raise(place, 'guard.session: same_site is %s; write "Strict", or "Lax" when links from other sites must find the session; '
      .. "with None every page of the web could act in a visitor's name", errors.show(same_site))
  end
  if cookie:sub(1, 7) ~= "__Host-" then
    context.note("error", place, "guard.session: a browser lets other hosts of the domain set the cookie " .. cookie,
      'write cookie = "__Host-' .. cookie .. '"')
  end
  return cookie, same_site
end

---@param given demilune.SessionOptions
---@return demilune.Session
function session.new(given)
  local place = errors.where()
  given = options.check(place, "guard.session", given, OPTIONS)
  local list = read_secrets(place, given)
  local lifetime = given.lifetime and units.seconds(given.lifetime)
  if not lifetime or lifetime < 1 then
    errors.raise(place, 'guard.session: a session that never ends can be stolen for ever; write lifetime = "8h"')
  end
  local cookie, same_site = read_cookie(place, given)
  return setmetatable({
    kind = "session", source = place, cookie = cookie, same_site = same_site, sealer = core.sealer(list), lifetime = math.floor(lifetime),
    known_roles = given.roles, known_scopes = given.scopes,
  }, metatable)
end

local function set_cookie(self, value, seconds)
  return ("%s=%s; Path=/; Max-Age=%d; HttpOnly; Secure; SameSite=%s"):format(self.cookie, value, seconds, self.same_site)
end

local OURS = { sub = true, roles = true, scopes = true, exp = true }

---The Set-Cookie field that begins a session.
---@param given { subject: string|integer, roles: string[]?, scopes: string[]?, claims: table<string, any>? }
---@return string
function Session:issue(given)
  local subject = type(given.subject) == "number" and ("%d"):format(given.subject) or given.subject
  if type(subject) ~= "string" or subject == "" then error("session:issue: subject says whose session it is; write subject = user.id", 2) end
  local sealed = {}
  for name, value in pairs(given.claims or {}) do
    if OURS[name] then error("session:issue: the claim " .. name .. " is the guard's own to write", 2) end
    sealed[name] = value
  end
  sealed.sub, sealed.exp = subject, math.floor(core.now()) + self.lifetime
  sealed.roles = setmetatable({ unpack(given.roles or {}) }, core.array_type)
  sealed.scopes = setmetatable({ unpack(given.scopes or {}) }, core.array_type)
  return set_cookie(self, self.sealer:seal(self.cookie, core.json_encode(sealed)), self.lifetime)
end

---The Set-Cookie field that ends it.
---@return string
function Session:clear() return set_cookie(self, "", 0) end

return session
