-- SPDX-License-Identifier: MIT
-- Logins as a ready router: a password gives an access token of minutes and, in a
-- cookie that no script reads, a refresh token that works once and gives the next.
-- Every part may be replaced: who is found, how a password is checked, what a token
-- says, where refresh tokens are kept.

local account_store = require "demilune.account_store"
local core = require "demilune.core"
local errors = require "demilune.errors"
local guard = require "demilune.guard"
local guard_type = require "demilune.guard_type"
local log = require "demilune.log"
local model = require "demilune.model"
local options = require "demilune.options"
local password = require "demilune.password"
local response = require "demilune.response"
local router = require "demilune.router"
local subject = require "demilune.subject"
local units = require "demilune.units"
local verdict = require "demilune.verdict"

---@class demilune.Account
---@field id string|integer
---@field password? string what password.hash gave; nobody logs in without one, and another one ends the logins by it
---@field roles? string[]
---@field scopes? string[] what the account may ask for

---@class demilune.AccountsOptions
---@field bearer demilune.Bearer whose tokens are given out
---@field find fun(username: string): demilune.Account? at a login
---@field find_by_id fun(subject: string): demilune.Account? at a refresh: who is gone gets no more tokens, and roles are today's
---@field database? demilune.Database with the table of accounts.migration
---@field table? string its name: "refresh_tokens"
---@field store? demilune.AccountStore in place of a database
---@field username? demilune.Field model.string(); model.email() where names are addresses
---@field verify? fun(account: demilune.Account?, given: any): boolean, boolean? in place of password.verify; must take as long for nil
---@field rehash? fun(account: demilune.Account, phc: string) keeps a new hash where account.password, which is outdated, still is
---@field issue? fun(account: demilune.Account, scopes: string[]): string in place of bearer:issue
---@field lifetime? string|number from the login on, however often it is refreshed: "30d"
---@field cookie? string "__Host-refresh"
---@field prefix? string
---@field tags? string[] { "accounts" }
---@field token_url? string the bearer's own, or "/token"
---@field refresh_url? string "/refresh"
---@field logout_url? string "/logout"
---@field limit? demilune.Limit of logins: "10/minute" of an address, 100 an hour of an account
---@field refresh_limit? demilune.Limit of refreshes and of logouts: "30/minute"

local accounts = { migration = account_store.migration }

local OPTIONS = {
  bearer = "table", find = "function", find_by_id = "function", database = "table", table = "string", store = "table", username = "table",
  verify = "function", rehash = "function", issue = "function", lifetime = "duration", cookie = "string", prefix = "string", tags = "strings",
  token_url = "string", refresh_url = "string", logout_url = "string", limit = "limit", refresh_limit = "limit",
}
local NEEDED = {
  { "bearer", "bearer = guard.bearer { ... }, whose tokens it gives out" },
  { "find", "find = function(username) return statement:one { email = username } end" },
  { "find_by_id", "find_by_id = function(subject) return statement:one { id = tonumber(subject) } end, so that who is gone gets no more tokens" },
}
local WRONG, ENDED = "The name or the password is wrong", "The login has ended; log in again"
local NO_STORE = { ["Cache-Control"] = "no-store" }

-- --- what was given --------------------------------------------------------------------

local function read_store(place, given)
  if (given.database == nil) == (given.store == nil) then
    errors.raise(place, "demilune.accounts keeps refresh tokens in one place; write database = db, "
      .. "or store = { begin =, look_up =, rotate =, revoke =, finish_all = }")
  end
  if given.database then return account_store.new(place, given.database, given.table or "refresh_tokens") end
  if given.table then errors.raise(place, "demilune.accounts: table names one of a database; write database = db in place of store") end
  for _, name in ipairs { "begin", "look_up", "rotate", "revoke", "finish_all" } do
    if type(given.store[name]) ~= "function" then
      errors.raise(place, "demilune.accounts: store.%s must be a function; a store has begin, look_up, rotate, revoke and finish_all", name)
    end
  end
  return given.store
end

local function read_cookie(place, name)
  if not name:match("^__Host%-[%w_.-]+$") then
    errors.raise(place, 'demilune.accounts: cookie is %s, and other hosts of the domain can set a cookie that is not named __Host-...; '
      .. 'write cookie = "__Host-refresh"', errors.show(name))
  end
  return name
end

local function read(place, given)
  given = options.check(place, "demilune.accounts", given, OPTIONS)
  for _, needed in ipairs(NEEDED) do
    if given[needed[1]] == nil then errors.raise(place, "demilune.accounts has no %s; write %s", needed[1], needed[2]) end
  end
  if not guard_type.is(given.bearer) or given.bearer.kind ~= "bearer" then
    errors.raise(place, "demilune.accounts: bearer must be a guard.bearer, whose tokens it gives out; write bearer = guard.bearer { ... }")
  end
  local lifetime = units.seconds(given.lifetime or "30d")
  if not lifetime or lifetime < 1 then
    errors.raise(place, 'demilune.accounts: lifetime is %s; write lifetime = "30d"', errors.show(given.lifetime))
  end
  local read_options = { lifetime = math.floor(lifetime), cookie = read_cookie(place, given.cookie or "__Host-refresh") }
  for name, value in pairs(given) do
    if read_options[name] == nil then read_options[name] = value end
  end
  read_options.store = read_store(place, given)
  return read_options
end

-- --- tokens ------------------------------------------------------------------------------

local function set_cookie(name, value, seconds)
  return ("%s=%s; Path=/; Max-Age=%d; HttpOnly; Secure; SameSite=Strict"):format(name, value, seconds)
end

-- What a cookie holds behind the store's token: by which password the login was made, so that a new one ends it, whoever changed it and
-- wherever. Hashes of password.hash only: what another `verify` takes for a password could be guessed by its digest.
local function proof_of(token, stored)
  local hash = type(stored) == "string" and stored:find("^%$argon2id%$") and stored or ""
  return core.sha256_hex("demilune login 1\n" .. token .. "\n" .. hash)
end

local function join(token, stored) return token .. "." .. proof_of(token, stored) end

-- The store's token and the proof; nil for what is no cookie of ours.
local function split(value)
  local token, proof = value:match "^(.+)%.(%x+)$"
  if token and #proof == 64 then return token, proof end
end

-- The scopes asked for, all of the account's when none are; nil when one is not the account's.
local function granted(account, scope)
  local allowed, list = {}, {}
  for _, name in ipairs(account.scopes or {}) do allowed[name] = true end
  for name in scope:gmatch("%S+") do
    if not allowed[name] then return nil end
    list[#list + 1] = name
  end
  return #list > 0 and list or account.scopes or {}
end

local function issue_of(bearer)
  return function(account, scopes) return bearer:issue { subject = account.id, roles = account.roles, scopes = scopes } end
end

-- Who is not found costs as long as a wrong password.
local function verify(account, given) return password.verify(account and account.password, given) end

local function text_of(id)
  return subject.text(id) or error(("demilune.accounts: an account's id is text in UTF-8 or a whole number, not %s"):format(errors.show(id)), 0)
end

-- --- the router ----------------------------------------------------------------------------

local function respond(given, access_token, token, stored, expires)
  return response.new {
    headers = { ["Set-Cookie"] = set_cookie(given.cookie, join(token, stored), expires - math.floor(core.now())) },
    body = { access_token = access_token, token_type = "bearer", expires_in = given.bearer.lifetime },
  }
end

-- Else a page could log its visitor in as somebody whom it knows (login CSRF); and one of the same site, whose requests have the cookie, out.
local function refuse_foreign_page()
  if not core.foreign_page() then return end
  log.info("a login was refused to a page of another origin; where it may, name it in cors with credentials = true")
  response.abort(403, "A page of another origin may not log in or out")
end

local function login(given, issue)
  local check = given.verify or verify
  return function(req)
    refuse_foreign_page()
    local account = given.find(req.form.username)
    local is_right, outdated = check(account, req.form.password)
    local passes = verdict.is_yes(is_right, "demilune.accounts: verify")
    if not account or not passes then response.abort(401, WRONG) end
    local scopes = granted(account, req.form.scope)
    if not scopes then response.abort(400, "The account does not have such a scope") end
    local stored = account.password
    if outdated and given.rehash then
      stored = password.hash(req.form.password)
      given.rehash(account, stored)
    end
    local access_token, expires = issue(account, scopes), math.floor(core.now()) + given.lifetime
    return respond(given, access_token, given.store.begin(text_of(account.id), req.form.scope, expires), stored, expires)
  end
end

-- Ends the login at the client too.
local function refuse(given)
  response.abort(401, ENDED, { ["Set-Cookie"] = set_cookie(given.cookie, "", 0) })
end

local function why_ended(account, scopes, token, proof)
  if not account then return "its account is gone" end
  if not scopes then return "its account lost a scope" end
  if proof_of(token, account.password) ~= proof then
    return "the account's password is another than at the login; write password in what find_by_id gives, as in what find does"
  end
end

-- Who may have what for the token, which it leaves as it is: what fails here, a busy database say, has cost nobody his login.
local function look_up(given, token, proof)
  local login_of = given.store.look_up(token)
  if not login_of then return end
  local account = given.find_by_id(login_of.subject)
  local scopes = account and granted(account, login_of.scope)
  local reason = why_ended(account, scopes, token, proof)
  if reason then
    given.store.revoke(token)
    log.info("a login ended", { subject = login_of.subject, reason = reason })
    refuse(given)
  end
  return account, scopes
end

local function refresh(given, issue)
  return function(req)
    refuse_foreign_page()
    local value = req.cookie[given.cookie]
    if type(value) ~= "string" then refuse(given) end -- two of the name are nobody's
    local token, proof = split(value)
    if not token then refuse(given) end
    local account, scopes = look_up(given, token, proof)
    local access_token = account and issue(account, scopes)
    local rotation = given.store.rotate(token) -- also of none: one that was used already ends its family
    if not account or not rotation then refuse(given) end
    return respond(given, access_token, rotation.token, account.password, rotation.expires)
  end
end

-- From one address few passwords can be tried, from many no more than that many of
-- one account: NIST SP 800-63B 5.2.2 lets a hundred fail.
local LOGIN_LIMIT = { "10/minute", { rate = "100/hour", by = function(req) return tostring(req.form.username):lower() end } }

-- Of two cookies of the name one may be somebody else's doing: what says that it ended has to have ended.
local function logout(given)
  return function(req)
    refuse_foreign_page()
    local values = req.cookie[given.cookie] or {}
    for _, value in ipairs(type(values) == "string" and { values } or values) do
      local token = split(value)
      if token then given.store.revoke(token) end
    end
    return response.new { status = 204, headers = { ["Set-Cookie"] = set_cookie(given.cookie, "", 0) } }
  end
end

---@class demilune.Accounts : demilune.Router
---@field finish_all fun(self, subject: string|integer) ends all logins of an account, on whatever machine it has them; waits. Access tokens live on.

---A router with a login, a refresh and a logout.
---@param given demilune.AccountsOptions
---@return demilune.Accounts
function accounts.new(given)
  given = read(errors.where(), given)
  local made = router.new { prefix = given.prefix, tags = given.tags or { "accounts" }, guard = guard.public }
  local issue = given.issue or issue_of(given.bearer)
  -- Without names, which the app's own models may have.
  local login_form = model.object {
    grant_type = model.literal { "password", default = "password" }, username = given.username or model.string { min_length = 1, max_length = 254 },
    password = model.secret { max_length = 1024 }, scope = model.string { max_length = 1024, default = "" },
  }
  login_form.extra = "ignore" -- OAuth clients add fields of theirs
  local token = { access_token = model.string(), token_type = model.string(), expires_in = model.integer() }
  local refresh_limit = given.refresh_limit or "30/minute"
  made:post(given.token_url or given.bearer.token_url or "/token", {
    form = login_form, returns = token, limit = given.limit or LOGIN_LIMIT, headers = NO_STORE, summary = "Log in", responses = { [401] = WRONG },
  }, login(given, issue))
  made:post(given.refresh_url or "/refresh", {
    returns = token, limit = refresh_limit, headers = NO_STORE, summary = "Get a new access token", responses = { [401] = ENDED },
  }, refresh(given, issue))
  made:post(given.logout_url or "/logout", {
    status = 204, limit = refresh_limit, headers = NO_STORE, summary = "Log out",
  }, logout(given))
  function made.finish_all(_, id) given.store.finish_all(text_of(id)) end
  return made
end

return setmetatable(accounts, { __call = function(_, given) return accounts.new(given) end })
