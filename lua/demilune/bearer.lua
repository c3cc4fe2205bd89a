-- SPDX-License-Identifier: MIT
-- guard.bearer: signed tokens in the Authorization field, verified by the core. Here
-- the declaration is checked, and bearer:issue signs tokens that it will accept.

local context = require "demilune.context"
local cookie = require "demilune.cookie"
local core = require "demilune.core"
local errors = require "demilune.errors"
local files = require "demilune.files"
local guard_type = require "demilune.guard_type"
local issued = require "demilune.issued"
local options = require "demilune.options"
local resource = require "demilune.resource"
local secrets = require "demilune.secrets"
local subject = require "demilune.subject"
local units = require "demilune.units"

---@class demilune.BearerOptions
---@field secret? any from settings; signs and verifies with HMAC
---@field key? any a public or private key as PEM text
---@field keys? table[] { secret =, algorithm =, kid = } or { pem =, algorithm =, kid = }: the first one that can signs
---@field jwks_file? string a JWKS in the app's folder
---@field algorithms? string[] what tokens may be signed with: { "HS256" }
---@field lifetime string|number how long a token may live at most: "15m"
---@field allow_long_lived? boolean for a lifetime of more than 30 minutes
---@field issuer? string
---@field audience? string|string[]|false false: tokens of somebody else's that name none are taken
---@field leeway? string|number for clocks that differ; 10 s, at most 30
---@field realm? string
---@field roles? string[] all that tokens may name, so that a mistyped one is noticed
---@field scopes? string[]|table<string, string> likewise; with descriptions for the documentation
---@field roles_claim? string "roles"
---@field scope_claim? string "scope"
---@field cookie? string a cookie that may carry the token too
---@field token_url? string where the documentation's Authorize button logs in
---@field resource? string what this service is called where tokens are given out: "https://api.example"; publishes its metadata (RFC 9728)
---@field authorization_servers? string[] who gives them out, named in the metadata

---@class demilune.IssueOptions
---@field subject string|integer
---@field roles? string[]
---@field scopes? string[]
---@field claims? table<string, any> more of them
---@field lifetime? string|number less than the guard's

---@class demilune.Bearer : demilune.Guard
---@field lifetime integer
local Bearer = {}
local metatable = guard_type.metatable(Bearer)

local bearer = {}

local OPTIONS = {
  secret = "any", key = "any", keys = "list", jwks_file = "string", algorithms = "strings", lifetime = "duration", allow_long_lived = "boolean",
  issuer = "string", audience = "any", leeway = "duration", realm = "string", roles = "strings", scopes = "table", roles_claim = "string",
  scope_claim = "string", cookie = "string", token_url = "string", resource = "string", authorization_servers = "strings",
}
local KEY_OPTIONS = { secret = "any", pem = "any", algorithm = "string", kid = "string" }

-- Bytes that RFC 7518 3.2 wants of a secret; false for keys of two halves.
local ALGORITHMS = {
  HS256 = 32, HS384 = 48, HS512 = 64, RS256 = false, RS384 = false, RS512 = false, PS256 = false, PS384 = false, PS512 = false,
  ES256 = false, ES384 = false, ES512 = false, EdDSA = false,
}
local LONGEST, LEEWAY_MOST, LEEWAY = 30 * 60, 30, 10
local SOURCES = "secret = settings.JWT_SECRET, key = settings.JWT_KEY, keys = { ... } or jwks_file = \"keys.json\""

-- --- keys ----------------------------------------------------------------------------

local function check_algorithm(place, name)
  if ALGORITHMS[name] ~= nil then return end
  if name:lower() == "none" then
    errors.raise(place, 'guard.bearer: algorithms holds "none", with which everybody can make tokens; take it out')
  end
  local names = options.names(ALGORITHMS)
  local nearest = errors.nearest(name, names)
  errors.raise(place, "guard.bearer: there is no algorithm %s; %s", errors.show(name),
    nearest and ("did you mean %s?"):format(nearest) or "write one of " .. table.concat(names, ", "))
end

-- A public key is no secret: were it taken for one, everybody could sign.
local function refuse_mixture(place, names)
  local hmac, other
  for _, name in ipairs(names) do
    check_algorithm(place, name)
    if ALGORITHMS[name] then hmac = name else other = name end
  end
  if hmac and other then
    errors.raise(place, "guard.bearer: %s signs with a secret and %s with a private key; with both, a token could take the public key "
      .. "for the secret: make two guards and write guard.any { one, other }", hmac, other)
  end
end

local function secret_keys(place, secret, names, kid, what)
  local list = {}
  for index, name in ipairs(names) do
    if not ALGORITHMS[name] then
      errors.raise(place, "guard.bearer: %s needs a private key, not a secret; write key = settings.JWT_KEY, or algorithms = { \"HS256\" }", name)
    end
    list[index] = { secret = secrets.read_signing(place, what, secret, ALGORITHMS[name], "JWT_SECRET"), algorithm = name, kid = kid }
  end
  return list
end

local function pem_text(place, what, pem)
  local text = secrets.is(pem) and core.secret_reveal(pem) or pem
  if type(text) ~= "string" or not text:find("-----BEGIN ", 1, true) then
    errors.raise(place, "guard.bearer: %s must be a key as PEM text, which begins with -----BEGIN; a secret is given as secret = ...", what)
  end
  if type(pem) == "string" and pem:find("PRIVATE KEY", 1, true) then
    context.note("error", place, ("guard.bearer: %s is a private key in a plain string, so that it stands in the source"):format(what),
      "declare it in demilune.settings { JWT_KEY = model.secret() }, or give the public key, which suffices to verify")
  end
  return text
end

local function pem_key(place, what, pem, algorithm, kid)
  if algorithm and ALGORITHMS[algorithm] then
    errors.raise(place, "guard.bearer: %s signs with a secret, and %s is a key of two halves, of which one is public; "
      .. "write the key's own algorithm, such as ES256", algorithm, what)
  end
  return { pem = pem_text(place, what, pem), algorithm = algorithm, kid = kid }
end

local function listed_keys(place, given)
  if #given == 0 then
    errors.raise(place, 'guard.bearer: keys is empty, so that no token could pass; write keys = { { secret = settings.JWT_SECRET, kid = "2030" } }')
  end
  local list, names = {}, {}
  for index, entry in ipairs(given) do
    local what = ("keys[%d]"):format(index)
    options.check(place, "guard.bearer: " .. what, entry, KEY_OPTIONS)
    names[#names + 1] = entry.algorithm or entry.secret and "HS256" or "EdDSA"
    if (entry.secret == nil) == (entry.pem == nil) then
      errors.raise(place, 'guard.bearer: %s must have either secret or pem; write { secret = settings.JWT_SECRET, kid = "2030" }', what)
    elseif #given > 1 and not entry.kid then
      errors.raise(place, 'guard.bearer: %s has no kid, by which tokens name their key; write kid = "2030"', what)
    elseif entry.secret ~= nil then
      check_algorithm(place, entry.algorithm or "HS256")
      list[index] = secret_keys(place, entry.secret, { entry.algorithm or "HS256" }, entry.kid, "guard.bearer: " .. what .. ".secret")[1]
    else
      if entry.algorithm then check_algorithm(place, entry.algorithm) end
      list[index] = pem_key(place, what .. ".pem", entry.pem, entry.algorithm, entry.kid)
    end
  end
  refuse_mixture(place, names)
  return list
end

local function jwks_key(place, path, algorithm)
  if path:sub(1, 1) == "/" or path:find("..", 1, true) then
    errors.raise(place, 'guard.bearer: jwks_file is a file in the app\'s folder, unlike %s; write jwks_file = "keys.json"', errors.show(path))
  end
  local text = files.read(path)
  local problem = not text and files.problem(path)
  if problem then errors.raise(place, "guard.bearer: %s cannot be read (%s)", path, problem) end
  if not text then errors.raise(place, "guard.bearer: there is no %s in the app's folder; put the JWKS there", path) end
  return { jwks = text, algorithm = algorithm }
end

local function read_keys(place, given)
  local sources = 0
  for _, name in ipairs { "secret", "key", "keys", "jwks_file" } do sources = sources + (given[name] ~= nil and 1 or 0) end
  if sources ~= 1 then errors.raise(place, "guard.bearer takes its keys from one place; write %s", SOURCES) end
  local names = given.algorithms
  if names and #names == 0 then
    errors.raise(place, 'guard.bearer: algorithms is empty, so that no token could pass; write algorithms = { "HS256" }')
  end
  if names then refuse_mixture(place, names) end
  if given.secret ~= nil then return secret_keys(place, given.secret, names or { "HS256" }, nil, "guard.bearer: secret") end
  if given.keys then return listed_keys(place, given.keys) end
  if given.jwks_file then return { jwks_key(place, given.jwks_file, names and #names == 1 and names[1] or nil) } end
  if names and #names > 1 then
    errors.raise(place, "guard.bearer: a key is for one algorithm; write algorithms = { %s }, or keys = { { pem =, algorithm =, kid = }, ... }",
      errors.show(names[1]))
  end
  return { pem_key(place, "key", given.key, names and names[1]) }
end

local function key_set(place, given, list)
  local ok, made = pcall(core.key_set, list)
  if not ok then errors.raise(place, "guard.bearer: %s", (tostring(made):gsub("^[%w_./-]+:%d+: ", ""))) end
  if not given.algorithms then return made end
  local allowed = {}
  for _, name in ipairs(given.algorithms) do allowed[name] = true end
  for _, name in ipairs(made:algorithms()) do
    if not allowed[name] then
      errors.raise(place, "guard.bearer: one of the keys is for %s, which algorithms does not name; add it there, or take the key out", name)
    end
  end
  return made
end

-- --- the rest ------------------------------------------------------------------------

local function read_lifetime(place, given)
  if given.lifetime == nil then
    errors.raise(place, 'guard.bearer has no lifetime, so that a stolen token would be good for ever; write lifetime = "15m"')
  end
  local seconds = units.seconds(given.lifetime)
  if not seconds or seconds < 1 then
    errors.raise(place, 'guard.bearer: lifetime is %s; write lifetime = "15m"', errors.show(given.lifetime))
  elseif seconds > LONGEST and not given.allow_long_lived then
    errors.raise(place, "guard.bearer: a token that lives for more than 30 minutes cannot be taken back for as long; "
      .. 'write lifetime = "15m" and give out a refresh token, or add allow_long_lived = true')
  end
  return math.floor(seconds)
end

local function read_leeway(place, given)
  local seconds = given.leeway == nil and LEEWAY or units.seconds(given.leeway)
  if not seconds or seconds > LEEWAY_MOST then
    errors.raise(place, 'guard.bearer: leeway is %s, and may be 30 seconds at most; write leeway = "10s"', errors.show(given.leeway))
  end
  return math.floor(seconds)
end

-- Who only verifies has tokens of somebody who may give them out for others as well: RFC 8725 3.9.
local function are_of_others(list)
  for _, key in ipairs(list) do
    if key.pem and not key.pem:find("PRIVATE KEY", 1, true) or key.jwks and not key.jwks:find('"d"%s*:') then return true end
  end
  return false
end

local function read_audience(place, audience, keys)
  if audience == nil and are_of_others(keys) then
    context.note("error", place, "guard.bearer: its keys only verify, so that somebody else gives the tokens out, "
      .. "and those for any other service pass here too",
      'write audience = "https://api.example", which tokens for this service name, or audience = false where they name none')
  end
  if not audience then return nil end
  local list = type(audience) == "table" and audience or { audience }
  if #list == 0 or #list > 8 then
    errors.raise(place, 'guard.bearer: audience is a name or up to 8 of them; write audience = "https://api.example"')
  end
  for _, name in ipairs(list) do
    if type(name) ~= "string" or name == "" then
      errors.raise(place, 'guard.bearer: audience must be a string, and not empty; write audience = "https://api.example"')
    end
  end
  return list
end

-- { "read", "write" } and { read = "may read" } as names in a fixed order and their descriptions.
local function read_scopes(place, given)
  if not given then return nil, nil end
  local names, descriptions = {}, {}
  for key, value in pairs(given) do
    local name = type(key) == "string" and key or value
    if type(name) ~= "string" or name:find("[^%w:._/*-]") then
      errors.raise(place, 'guard.bearer: %s is no scope; write scopes = { "read", "write" }', errors.show(name))
    end
    names[#names + 1] = name
    descriptions[name] = type(key) == "string" and tostring(value) or ""
  end
  table.sort(names)
  return names, descriptions
end

local function check_text(place, name, text)
  if text and (text == "" or text:find('[%c"\\]')) then
    errors.raise(place, 'guard.bearer: %s must be text without quotes, backslashes and line breaks, unlike %s', name, errors.show(text))
  end
  return text
end

-- What bearer:issue writes for whoever reads tokens: a role in its place would be a subject, or an expiry.
local OURS = { sub = true, iat = true, exp = true, iss = true, aud = true }

local function read_claim(place, name, given)
  if given and (given == "" or OURS[given]) then
    errors.raise(place, "guard.bearer: %s is %s, and no claim of that name can hold them; write %s = %q", name, errors.show(given), name,
      name == "roles_claim" and "roles" or "scope")
  end
  return given or (name == "roles_claim" and "roles" or "scope")
end

---@param given demilune.BearerOptions
---@return demilune.Bearer
function bearer.new(given)
  local place = errors.where()
  given = options.check(place, "guard.bearer", given, OPTIONS)
  local scopes, descriptions = read_scopes(place, given.scopes)
  local lifetime, list = read_lifetime(place, given), read_keys(place, given)
  local keys, described = key_set(place, given, list), resource.read(place, given)
  local cookie_name = cookie.read(place, "guard.bearer", given.cookie)
  return setmetatable({
    kind = "bearer", source = place, place = not given.issuer and guard_type.place("bearer", cookie_name) or nil, keys = keys,
    lifetime = lifetime, leeway = read_leeway(place, given), issuer = check_text(place, "issuer", given.issuer),
    audience = read_audience(place, given.audience, list), realm = check_text(place, "realm", given.realm), known_roles = given.roles,
    known_scopes = scopes, scope_descriptions = descriptions, roles_claim = read_claim(place, "roles_claim", given.roles_claim),
    scope_claim = read_claim(place, "scope_claim", given.scope_claim), cookie = cookie_name,
    token_url = check_text(place, "token_url", given.token_url),
    resource = described, resource_metadata = described and described.metadata,
  }, metatable)
end

-- --- issuing -------------------------------------------------------------------------

local TAKES = { "subject", "roles", "scopes", "claims", "lifetime" }
local TOKEN_MOST = 8192 -- bytes that the core reads of one

local function refuse(message, ...) error("bearer:issue: " .. message:format(...), 3) end

---A token that this guard accepts.
---@param given demilune.IssueOptions
---@return string token
function Bearer:issue(given)
  guard_type.check_self(self, "bearer:issue")
  local problem = issued.problem(self, given, TAKES)
  if problem then refuse("%s", problem) end
  local whose = subject.text(given.subject)
  if not whose then refuse("subject says whose token it is, %s", subject.MEND) end
  local lifetime = given.lifetime == nil and self.lifetime or units.seconds(given.lifetime)
  if not lifetime or lifetime <= 0 or lifetime > self.lifetime then
    refuse("lifetime is %s, and may be %d seconds at most, as the guard says", errors.show(given.lifetime), self.lifetime)
  end
  local now, claims = math.floor(core.now()), {}
  for name, value in pairs(given.claims or {}) do
    if OURS[name] or name == self.roles_claim or name == self.scope_claim then refuse("the claim %s is the guard's own to write", name) end
    claims[name] = value
  end
  claims.sub, claims.iat, claims.exp = whose, now, now + math.floor(lifetime)
  claims.iss, claims.aud = self.issuer, self.audience and self.audience[1]
  if given.roles and #given.roles > 0 then claims[self.roles_claim] = setmetatable({ unpack(given.roles) }, core.array_type) end
  if given.scopes and #given.scopes > 0 then claims[self.scope_claim] = table.concat(given.scopes, " ") end
  local text, fault = issued.encode(claims)
  if not text then refuse("%s", fault) end
  local token = self.keys:sign(text)
  if #token > TOKEN_MOST then refuse("the token has %d bytes, and none over %d is taken; give it less to claim", #token, TOKEN_MOST) end
  return token
end

return bearer
