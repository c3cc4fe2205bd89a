-- SPDX-License-Identifier: MIT
-- guard.session: who somebody is, sealed in a cookie that a browser carries and can
-- neither read nor change. session:issue and session:clear give the Set-Cookie field.
-- With a store the server also knows which sessions live, and can end them.

local core = require "demilune.core"
local cookie = require "demilune.cookie"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local issued = require "demilune.issued"
local options = require "demilune.options"
local response = require "demilune.response"
local secrets = require "demilune.secrets"
local session_store = require "demilune.session_store"
local subject = require "demilune.subject"
local units = require "demilune.units"
local verdict = require "demilune.verdict"

---@class demilune.SessionOptions
---@field secret? any from settings
---@field secrets? any[] the newest first: all open, the first one seals
---@field lifetime string|number "8h"
---@field cookie? string "__Host-session"
---@field same_site? "Strict"|"Lax" "Strict"
---@field roles? string[] all that sessions may name
---@field scopes? string[]
---@field database? demilune.Database keeps which sessions live, in the table of guard.session_migration
---@field table? string its name: "sessions"
---@field store? demilune.SessionStore in place of a database

---@class demilune.Session : demilune.Guard
---@field sealer any
---@field lifetime integer
---@field cookie string
---@field same_site string
---@field store? demilune.SessionStore
local Session = {}
local metatable = guard_type.metatable(Session)

local session = {}

local OPTIONS = {
  secret = "any", secrets = "list", lifetime = "duration", cookie = "string", same_site = "string", roles = "strings", scopes = "strings",
  database = "table", table = "string", store = "table",
}
local SAME_SITE = { Strict = true, Lax = true }

local function read_secrets(place, given)
  if (given.secret == nil) == (given.secrets == nil) then
    errors.raise(place, "guard.session takes secret = settings.SESSION_SECRET, or secrets = { newest, older } while one replaces the other")
  end
  local list = {}
  for index, secret in ipairs(given.secrets or { given.secret }) do
    list[index] = secrets.read_signing(place, "guard.session: secret", secret, 32, "SESSION_SECRET")
  end
  if #list == 0 then errors.raise(place, "guard.session: secrets is empty; write secrets = { settings.SESSION_SECRET }") end
  return list
end

local function read_cookie(place, given)
  local same_site = given.same_site or "Strict"
  if not SAME_SITE[same_site] then
    errors.raise(place, 'guard.session: same_site is %s; write "Strict", or "Lax" when links from other sites must find the session; '
      .. "with None every page of the web could act in a visitor's name", errors.show(same_site))
  end
  return cookie.read(place, "guard.session", given.cookie or "__Host-session"), same_site
end

local function read_store(place, given)
  if given.database and given.store then
    errors.raise(place, "guard.session keeps sessions in one place; write database = db, or store = { begin =, lives =, finish =, finish_all = }")
  end
  if given.database then return session_store.new(place, given.database, given.table or "sessions") end
  if given.table then errors.raise(place, "guard.session: table names one of a database; write database = db too") end
  for _, name in ipairs(given.store and { "begin", "lives", "finish", "finish_all" } or {}) do
    if type(given.store[name]) ~= "function" then
      errors.raise(place, "guard.session: store.%s must be a function; a store has begin, lives, finish and finish_all", name)
    end
  end
  return given.store
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
  local name, same_site = read_cookie(place, given)
  return setmetatable({
    kind = "session", source = place, place = guard_type.place("session", name), cookie = name, same_site = same_site,
    sealer = core.sealer(list), lifetime = math.floor(lifetime),
    known_roles = given.roles, known_scopes = given.scopes, store = read_store(place, given),
  }, metatable)
end

local function set_cookie(self, value, seconds)
  return ("%s=%s; Path=/; Max-Age=%d; HttpOnly; Secure; SameSite=%s"):format(self.cookie, value, seconds, self.same_site)
end

local TAKES = { "subject", "roles", "scopes", "claims" }
local OURS = { sub = true, roles = true, scopes = true, exp = true, sid = true }
local COOKIE_MOST = 4096 -- bytes of name and value: a browser drops a longer one without a word (RFC 6265bis 5.7)

-- Else a page could log its visitor in as somebody whom it knows, to read later what they did (login CSRF), or out.
local function refuse_foreign_page(what)
  if core.foreign_page() then response.abort(403, ("A page of another origin may not %s a session"):format(what)) end
end

---The Set-Cookie field that begins a session. With a store it waits. A request of a page of
---another origin, which cors does not let act as the user, ends here with a 403.
---@param given { subject: string|integer, roles: string[]?, scopes: string[]?, claims: table<string, any>? }
---@return string
function Session:issue(given)
  guard_type.check_self(self, "session:issue")
  refuse_foreign_page "begin"
  local problem = issued.problem(self, given, TAKES)
  if problem then error("session:issue: " .. problem, 2) end
  local whose = subject.text(given.subject) or error("session:issue: subject says whose session it is, " .. subject.MEND, 2)
  local sealed = {}
  for name, value in pairs(given.claims or {}) do
    if OURS[name] then error("session:issue: the claim " .. name .. " is the guard's own to write", 2) end
    sealed[name] = value
  end
  sealed.sub, sealed.exp = whose, math.floor(core.now()) + self.lifetime
  sealed.roles = setmetatable({ unpack(given.roles or {}) }, core.array_type)
  sealed.scopes = setmetatable({ unpack(given.scopes or {}) }, core.array_type)
  if self.store then sealed.sid = self.store.begin(whose, sealed.exp) end
  local text, fault = issued.encode(sealed)
  if not text then error("session:issue: " .. fault, 2) end
  local value = self.sealer:seal(self.cookie, text)
  if #self.cookie + #value > COOKIE_MOST then
    error(("session:issue: the cookie has %d bytes, and browsers take none over %d; keep what the claims hold in a database, by its id")
      :format(#self.cookie + #value, COOKIE_MOST), 2)
  end
  return set_cookie(self, value, self.lifetime)
end

---Whether the store still has the session of who was found; true for who came otherwise.
---@param principal demilune.Principal
---@return boolean
---@return string challenge for who is refused (RFC 9110 15.5.2)
function Session:lives(principal)
  local id = principal.guard == "session" and principal.claims.sid
  local lives = principal.guard ~= "session" or type(id) == "string" and verdict.is_yes(self.store.lives(id), self.source .. ": store.lives")
  return lives, ('Cookie cookie-name="%s"'):format(self.cookie)
end

---What the core asks, once a guard has opened one of these sessions, before anything is counted or read for whose it is: raises
---the 401 for one that its store has ended, whatever the cookie says. It may wait. Nil where no session is kept in a store.
---@param sessions demilune.Session[] that are
---@return (fun(req: demilune.Request))?
function session.asker(sessions)
  if #sessions == 0 then return nil end
  return function(req)
    for index = 1, #sessions do
      local lives, challenge = sessions[index]:lives(req.principal)
      if lives then return end
      if index == #sessions then response.abort(401, "Not authenticated", { ["WWW-Authenticate"] = challenge }) end
    end
  end
end

local function need_store(self, what)
  if not self.store then error("session:" .. what .. " ends what a store keeps; write database = db in guard.session", 3) end
end

-- The store's ids in the request's cookies of that name, whatever guard let it pass, whatever cookies its route declares, and whether they
-- live or not. Where another session was found, its id is another store's.
local function ids_of(self, req)
  if req.principal and req.principal.guard == "session" and core.principal_place() == self.place then return { req.principal.claims.sid } end
  local ids = {}
  for name, value in (req:get_header "cookie" or ""):gmatch '([^%s;=]+)="?([^%s;"]*)' do
    local claims = name == self.cookie and core.json_decode(self.sealer:unseal(self.cookie, value) or "null")
    if type(claims) == "table" then ids[#ids + 1] = claims.sid end
  end
  return ids
end

---The Set-Cookie field that ends it; with a store the session of the request ends there too, and it waits. Behind another guard the session
---is that of the cookie. Pages of other origins end none, as they begin none.
---@param req? demilune.Request
---@return string
function Session:clear(req)
  guard_type.check_self(self, "session:clear")
  if self.store and type(req) ~= "userdata" and type(req) ~= "table" then
    error("session:clear: the store must know which session ends; write session:clear(req)", 2)
  end
  refuse_foreign_page "end"
  for _, id in ipairs(self.store and ids_of(self, req) or {}) do self.store.finish(id) end
  return set_cookie(self, "", 0)
end

---Ends all sessions of a subject, on whatever machine it has them. Waits.
---@param id string|integer the subject
function Session:finish_all(id)
  guard_type.check_self(self, "session:finish_all")
  need_store(self, "finish_all")
  self.store.finish_all(subject.text(id) or error("session:finish_all takes the subject whose sessions end, such as user.id", 2))
end

return session
