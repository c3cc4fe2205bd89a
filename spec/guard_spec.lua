-- SPDX-License-Identifier: MIT
-- Guards as an app declares them: what they refuse at load, what they hand to the
-- core, the tokens they issue, and what they find as a need.

local core = require("spec.support.core").install()
local context = require "demilune.context"
local demilune = require "demilune"
local plan = require "demilune.plan"
local refusal = require "spec.support.refusal"

local guard = demilune.guard

local SECRET = core.secret("7f2c9b61e0d4835aa1c6f09e42b87d53")
local PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"

local function handler() end

-- guard.bearer with a good secret and lifetime, and with these options changed.
local function bearer(changes)
  local given = { secret = SECRET, lifetime = "15m" }
  for name, value in pairs(changes or {}) do given[name] = value or nil end
  return guard.bearer(given)
end

local function bearer_refusal(changes) return (refusal(bearer, changes):gsub("^[%w_./-]+:%d+: ", "")) end

before_each(function()
  context.mode, context.findings = "test", {}
end)

describe("a guard's place", function()
  local function session(name) return guard.session { secret = SECRET, lifetime = "1h", cookie = name }.place end

  it("is the cookie's name, and which one of that name it is", function()
    assert.same({ "__Host-a/1", "__Host-b/1", "__Host-a/2" }, { session "__Host-a", session "__Host-b", session "__Host-a" })
    assert.equal("__Host-a/1", bearer({ cookie = "__Host-a" }).place) -- the kind tells it from a session
  end)

  it("tells bearers apart unless an issuer does", function()
    local one, other = bearer(), bearer()
    assert.matches("^/%d+$", one.place)
    assert.not_equal(one.place, other.place)
    assert.is_nil(bearer({ issuer = "https://a.example" }).place)
  end)
end)

describe("guard.bearer", function()
  it("describes to the core what tokens must be", function()
    local made = bearer { issuer = "https://a.example", audience = "api", realm = "users", leeway = "5s", token_url = "/token" }
    assert.same({ "bearer", 900, 5, "https://a.example", { "api" }, "users", "roles", "scope" },
      { made.kind, made.lifetime, made.leeway, made.issuer, made.audience, made.realm, made.roles_claim, made.scope_claim })
    assert.same({ { secret = SECRET, algorithm = "HS256" } }, made.keys.keys)
    assert.same({}, context.findings)
  end)

  it("tells the line it was made at", function()
    assert.matches("^[%w_./]*guard_spec%.lua:%d+: guard%.bearer has no lifetime", refusal(function() guard.bearer { secret = SECRET } end))
  end)

  it("refuses a secret that can be guessed", function()
    assert.equal("guard.bearer: secret has 31 bytes, and less than 32 can be guessed; set it to what `demilune secret 32` prints",
      bearer_refusal { secret = core.secret(("x1y2"):rep(8):sub(1, 31)) })
    assert.matches("less than 64 can be guessed; set it to what `demilune secret 64` prints", bearer_refusal { algorithms = { "HS512" } })
  end)

  it("finds secrets that the world knows", function()
    for _, known in ipairs {
      "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "a-string-secret-at-least-256-bits-long", ("x"):rep(32),
      ("\0"):rep(32), ("changeme"):rep(4), ("secret-"):rep(5), ("SECRET"):rep(6), ("0123456789"):rep(4),
    } do
      context.findings = {}
      bearer { secret = core.secret(known) }
      assert.equal(1, #context.findings, known)
      assert.matches("everybody knows it", context.findings[1].message)
    end
  end)

  it("finds secrets that stand in the source", function()
    bearer { secret = "7f2c9b61e0d4835aa1c6f09e42b87d53" }
    assert.equal("error", context.findings[1].severity)
    assert.matches("secret is a plain string", context.findings[1].message)
    assert.matches("model%.secret { min_bytes = 32 }", context.findings[1].mend)
  end)

  it("refuses algorithms that sign nothing, or that are none", function()
    for _, name in ipairs { "none", "None", "NONE" } do
      local refused = bearer_refusal { algorithms = { name } }
      assert.equal('guard.bearer: algorithms holds "none", with which everybody can make tokens; take it out', refused)
    end
    assert.equal('guard.bearer: there is no algorithm "hs256"; did you mean HS256?', bearer_refusal { algorithms = { "hs256" } })
    assert.matches("algorithms is empty", bearer_refusal { algorithms = {} })
  end)

  it("refuses secrets beside public keys", function()
    assert.matches("HS256 signs with a secret and RS256 with a private key", bearer_refusal { algorithms = { "HS256", "RS256" } })
    assert.matches("RS256 needs a private key, not a secret", bearer_refusal { algorithms = { "RS256" } })
    assert.matches("HS256 signs with a secret, and key is a key of two halves",
      bearer_refusal { secret = false, key = PEM, algorithms = { "HS256" } })
    assert.matches("the public key for the secret", bearer_refusal { secret = false,
      keys = { { secret = SECRET, kid = "1" }, { pem = PEM, algorithm = "ES256", kid = "2" } } })
    assert.matches("one of the keys is for RS256, which algorithms does not name", bearer_refusal { secret = false, algorithms = { "ES256" },
      keys = { { pem = PEM, algorithm = "ES256", kid = "1" }, { pem = PEM, algorithm = "RS256", kid = "2" } } })
  end)

  it("refuses tokens that live too long", function()
    assert.matches('has no lifetime, so that a stolen token would be good for ever; write lifetime = "15m"', bearer_refusal { lifetime = false })
    assert.matches("or add allow_long_lived = true", bearer_refusal { lifetime = "31m" })
    assert.equal(86400, bearer({ lifetime = "1d", allow_long_lived = true }).lifetime)
    assert.equal(1800, bearer({ lifetime = "30m" }).lifetime)
    assert.matches("may be 30 seconds at most", bearer_refusal { leeway = "31s" })
  end)

  it("refuses names that say nothing, or something else already", function()
    for _, option in ipairs { "issuer", "token_url", "realm" } do
      assert.matches("^guard%.bearer: " .. option .. ' must be text without quotes, backslashes and line breaks, unlike ""$',
        bearer_refusal { [option] = "" })
    end
    assert.matches("audience must be a string, and not empty", bearer_refusal { audience = "" })
    for _, claim in ipairs { "", "sub", "exp", "iat", "iss", "aud" } do
      assert.equal(('guard.bearer: roles_claim is %q, and no claim of that name can hold them; write roles_claim = "roles"'):format(claim),
        bearer_refusal { roles_claim = claim })
      assert.matches('write scope_claim = "scope"$', bearer_refusal { scope_claim = claim })
    end
    assert.equal("https://a.example/roles", bearer({ roles_claim = "https://a.example/roles" }).roles_claim)
  end)

  it("takes its keys from one place", function()
    assert.matches('keys is empty, so that no token could pass; write keys = { { secret = ', bearer_refusal { secret = false, keys = {} })
    assert.matches("takes its keys from one place", bearer_refusal { key = PEM })
    assert.matches("takes its keys from one place", bearer_refusal { secret = false })
    assert.matches("must be a key as PEM text", bearer_refusal { secret = false, key = "abc" })
    assert.matches("no keys.json in the app's folder", bearer_refusal { secret = false, jwks_file = "keys.json" })
    assert.matches("is a file in the app's folder", bearer_refusal { secret = false, jwks_file = "../keys.json" })
    assert.matches("keys%[1%] has no kid", bearer_refusal { secret = false, keys = { { secret = SECRET }, { secret = SECRET, kid = "b" } } })
    assert.same({ "a", "b" }, (function()
      local keys = bearer({ secret = false, keys = { { secret = SECRET, kid = "a" }, { secret = SECRET, kid = "b" } } }).keys.keys
      return { keys[1].kid, keys[2].kid }
    end)())
  end)

  it("finds a private key that stands in the source", function()
    bearer { secret = false, key = PEM:gsub("PUBLIC", "PRIVATE"), algorithms = { "ES256" } }
    assert.matches("is a private key in a plain string", context.findings[1].message)
  end)
end)

describe("bearer:issue", function()
  local function claims_of(token) return (token:gsub("^signed ", "")) end

  it("signs what the guard will accept", function()
    local made = bearer { issuer = "me", audience = { "api", "other" } }
    local token = made:issue { subject = 7, roles = { "admin" }, scopes = { "read", "write" }, claims = { plan = "pro" } }
    assert.equal('{"aud":"api","exp":1893456900,"iat":1893456000,"iss":"me","plan":"pro","roles":["admin"],"scope":"read write","sub":"7"}',
      claims_of(token))
    assert.equal('{"exp":1893456060,"iat":1893456000,"sub":"ada"}', claims_of(bearer():issue { subject = "ada", lifetime = "1m" }))
  end)

  it("refuses what would not pass, at the caller's line", function()
    local made = bearer { roles = { "admin" }, scopes = { "read" } }
    assert.matches("guard_spec%.lua:%d+: bearer:issue: subject says whose token it is", refusal(function() made:issue {} end))
    assert.matches('"admni" is not among', refusal(function() made:issue { subject = "a", roles = { "admni" } } end))
    assert.matches('"write" is not among', refusal(function() made:issue { subject = "a", scopes = { "write" } } end))
    assert.matches("may be 900 seconds at most", refusal(function() made:issue { subject = "a", lifetime = "16m" } end))
    assert.matches("the claim exp is the guard's own", refusal(function() made:issue { subject = "a", claims = { exp = 1 } } end))
    assert.matches("the claim roles is the guard's own", refusal(function() made:issue { subject = "a", claims = { roles = {} } } end))
    assert.matches("there is no option role;", refusal(function() made:issue { subject = "a", role = "admin" } end))
    for shown, given in pairs { ['"ada"'] = "ada", ["5"] = 5 } do
      assert.matches("guard_spec%.lua:%d+: bearer:issue: it takes a table, not " .. shown .. "; write { subject = user.id }",
        refusal(function() made:issue(given) end))
    end
    assert.matches("claims is a table, not true; write claims = { name = value }",
      refusal(function() made:issue { subject = "a", claims = true } end))
    assert.matches("the token has %d+ bytes, and none over 8192 is taken",
      refusal(function() made:issue { subject = "a", claims = { about = ("x"):rep(8192) } } end))
  end)

  it("takes names for what they are: no scope is two, and none makes the others void", function()
    local made = bearer()
    for _, scope in ipairs { "read admin", "read\tadmin", "read\nadmin", "" } do
      assert.matches("is no scope", refusal(function() made:issue { subject = "a", scopes = { "write", scope } } end))
    end
    for _, role in ipairs { "", 7, {} } do
      local message = refusal(function() made:issue { subject = "a", roles = { "user", role } } end)
      assert.matches("guard_spec%.lua:%d+: bearer:issue: .* is no role", message)
    end
    assert.matches('roles is a list; write roles = { "admin" }', refusal(function() made:issue { subject = "a", roles = "admin" } end))
    assert.matches('"roles":%["the boss"%]', made:issue { subject = "a", roles = { "the boss" } })
  end)
end)

describe("guard.client_certificate", function()
  it("is a description for the core", function()
    local made = guard.client_certificate { subject = "uri", clients = { ["spiffe://b"] = { "admin" }, "spiffe://a" }, roles = { "machine" } }
    assert.same({ { name = "spiffe://a", roles = {} }, { name = "spiffe://b", roles = { "admin" } } }, made.clients)
    assert.same({ "client_certificate", "uri", { "machine", "admin" } }, { made.kind, made.subject, made.known_roles })
    assert.is_nil(guard.client_certificate().clients)
  end)

  it("refuses what it cannot mean", function()
    assert.matches("write one of \"common_name\"", refusal(guard.client_certificate, { subject = "cn" }))
    assert.matches("clients is empty", refusal(guard.client_certificate, { clients = {} }))
    assert.matches("neither a name nor", refusal(guard.client_certificate, { clients = { 5 } }))
    assert.matches("is no role", refusal(guard.client_certificate, { clients = { a = { 5 } } }))
    assert.matches("is there twice", refusal(guard.client_certificate, { clients = { "a", a = {} } }))
    assert.matches('issuer is empty; write issuer = "CN=Clients,O=Example"', refusal(guard.client_certificate, { issuer = "" }))
  end)

  it("is a finding when it is asked for a role that no client has", function()
    context.findings = {}
    guard.role("admin", guard.client_certificate { clients = { a = { "editor" } } })
    assert.equal("guard.role: nobody can have the role admin that it asks for", context.findings[1].message)
    context.findings = {}
  end)
end)

describe("guard.api_key", function()
  local KEY = core.secret("d41d8cd98f00b204e9800998ecf8427e")

  it("hands digests to the core, never keys", function()
    local audit = { digest = ("AB"):rep(32), roles = { "audit" }, expires = "2030-01-01T00:00:00Z" }
    local made = guard.api_key { keys = { billing = KEY, audit = audit } }
    assert.equal("X-API-Key", made.header)
    assert.same({
      { name = "audit", digest = ("ab"):rep(32), roles = { "audit" }, scopes = {}, expires = 1893456000 },
      { name = "billing", digest = ("20"):rep(32), roles = {}, scopes = {} },
    }, made.keys)
  end)

  it("refuses keys in query strings, short ones, nameless ones and none", function()
    assert.matches("a key in a query string ends in logs", refusal(guard.api_key, { query = "key", keys = { a = KEY } }))
    assert.matches("the key a has 15 bytes", refusal(guard.api_key, { keys = { a = core.secret(("a1b"):rep(5)) } }))
    assert.matches("every key has a name", refusal(guard.api_key, { keys = { KEY } }))
    assert.matches("has no keys", refusal(guard.api_key, {}))
    assert.matches("64 hexadecimal digits", refusal(guard.api_key, { keys = { a = { digest = "xyz" } } }))
    assert.matches("two keys a", refusal(guard.api_key, { keys = { { name = "a", secret = KEY }, { name = "a", secret = KEY } } }))
    assert.matches("the keys a and b are the same secret, so that nobody could tell who comes",
      refusal(guard.api_key, { keys = { a = KEY, b = KEY } }))
    assert.matches("header field or a cookie", refusal(guard.api_key, { header = "X-A", cookie = "a", keys = { a = KEY } }))
  end)

  it("takes no moment before 1970 for one that never comes", function()
    for _, expires in ipairs { 0, 0.5, -1, 0 / 0, "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T01:00:00+01:00" } do
      assert.matches("the key a: expires is .*; write a later moment, or leave expires out for a key without an end",
        refusal(guard.api_key, { keys = { a = { secret = KEY, expires = expires } } }))
    end
    assert.matches('expires is "soon"; write expires = "2030', refusal(guard.api_key, { keys = { a = { secret = KEY, expires = "soon" } } }))
    assert.equal(1, guard.api_key({ keys = { a = { secret = KEY, expires = 1 } } }).keys[1].expires)
  end)

  it("finds keys that have expired, as a length of time in place of a moment has", function()
    guard.api_key { keys = { a = { secret = KEY, expires = 3600 } } }
    assert.same({ "warning", "guard.api_key: the key a has expired, so that nobody passes by it" },
      { context.findings[1].severity, context.findings[1].message })
    context.findings = {}
    guard.api_key { keys = { a = { secret = KEY, expires = "2031-01-01T00:00:00Z" } } }
    assert.same({}, context.findings)
  end)

  it("finds keys that stand in the source", function()
    guard.api_key { keys = { a = "d41d8cd98f00b204e9800998ecf8427e" } }
    assert.matches("the key a is a plain string", context.findings[1].message)
  end)
end)

describe("guard.bearer with a resource", function()
  local LINE = { resource = "https://api.example/v1", authorization_servers = { "https://login.example" }, scopes = { "write", "read" } }
  local function files(...)
    local app = demilune.app { title = "Notes", docs = false }
    for index, made in ipairs { ... } do app:get("/" .. index, { guard = made }, handler) end
    return plan.compile(app).files
  end

  it("tells the core and everybody who gives out tokens", function()
    local made = bearer(LINE)
    assert.equal("https://api.example/.well-known/oauth-protected-resource/v1", made.resource_metadata)
    assert.same({ {
      path = "/.well-known/oauth-protected-resource/v1", content_type = "application/json",
      body = '{"resource":"https://api.example/v1","authorization_servers":["https://login.example"],"scopes_supported":["read","write"],'
        .. '"bearer_methods_supported":["header"],"resource_name":"Notes"}',
    } }, files(guard.role("x", made), made))
    assert.same({}, files(bearer()))
    assert.equal("https://api.example/.well-known/oauth-protected-resource", bearer({ resource = "https://api.example/" }).resource_metadata)
  end)

  it("refuses what is no URL, and two that say different things of one", function()
    for _, url in ipairs {
      "api.example", "http://api.example", "https://a.example?x", "https://a.example#x", 'https://a.example"', "https://a.example//x", "https://",
    } do
      assert.matches("write the https URL of this service", bearer_refusal { resource = url })
    end
    assert.matches("in authorization_servers is no https URL", bearer_refusal { resource = "https://a.example", authorization_servers = { "x" } })
    assert.matches("are told for a resource", bearer_refusal { authorization_servers = { "https://a.example" } })
    assert.matches("differ in its authorization_servers or scopes", refusal(files, bearer(LINE), bearer { resource = LINE.resource }))
  end)
end)

describe("guard.basic", function()
  it("takes what is no hash of ours for no password, and nobody for no users", function()
    for _, stored in ipairs { "secret", "$2b$12$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA", 5 } do
      assert.matches("users are names and what `demilune hash` prints", refusal(guard.basic, { users = { ada = stored } }))
    end
    assert.matches("has no users", refusal(guard.basic, { users = {} }))
  end)
end)

describe("guards made of guards", function()
  it("are handed to the core as they are", function()
    local one, two = bearer(), guard.api_key { keys = { a = SECRET } }
    local made = guard.role({ "admin", "root" }, guard.any { one, guard.scope("read", two, { all = true }) })
    assert.same({ "role", { "admin", "root" }, "any", "scope", true },
      { made.kind, made.names, made.member.kind, made.member.members[2].kind, made.member.members[2].all })
  end)

  it("refuse what is no guard, and public ones", function()
    assert.matches("guard.owner: guard.public lets everybody pass", refusal(guard.owner, handler, guard.public))
    assert.matches("guard.role takes a guard, not nil", refusal(guard.role, "admin"))
    assert.matches("takes a name, or a list", refusal(guard.role, bearer(), "admin"))
    assert.matches("guard.public lets everybody pass", refusal(guard.role, "admin", guard.public))
    assert.matches("guard.public lets everybody pass", refusal(guard.any, { guard.public, bearer() }))
    assert.matches("takes a list of guards", refusal(guard.any, {}))
    assert.matches('"read write" is no scope, which has no spaces, quotes or backslashes; write guard.scope%({ "read", "write" }, bearer%)',
      refusal(guard.scope, "read write", bearer()))
    assert.matches("guard.owner takes a function, not a table", refusal(guard.owner, bearer()))
    assert.matches("write guard.owner%(fn, guard.any", refusal(guard.any, { bearer(), guard.owner(handler, bearer()) }))
  end)

  it("are a finding for each name that nobody can have, also beside others", function()
    local both = guard.any { bearer { roles = { "admin" }, scopes = { "read" } }, bearer { roles = { "editor" }, scopes = { "write" } } }
    guard.role({ "admin", "editor" }, both)
    guard.scope({ "read", "write" }, both, { all = true })
    assert.equal(0, #context.findings)
    guard.role({ "admin", "edtior" }, both)
    guard.scope({ "read", "wirte" }, both, { all = true })
    assert.same({ "guard.role: nobody can have the role edtior that it asks for", "guard.scope: nobody can have the scope wirte that it asks for" },
      { context.findings[1].message, context.findings[2].message })
  end)

  it("are a finding when nobody can pass", function()
    guard.role("admni", bearer { roles = { "admin", "editor" } })
    assert.equal("guard.role: nobody can have the role admni that it asks for", context.findings[1].message)
    assert.equal("did you mean admin?", context.findings[1].mend)
    context.findings = {}
    guard.role("admin", guard.api_key { keys = { a = SECRET } })
    assert.equal(1, #context.findings)
    context.findings = {}
    guard.role("admin", bearer())
    guard.role("admin", guard.any { bearer { roles = { "admin" } }, guard.api_key { keys = { a = SECRET } } })
    assert.same({}, context.findings)
  end)

  it("answer questions about principals", function()
    local principal = { roles = { "admin" }, scopes = { "read" } }
    assert.is_true(guard.has_role(principal, "admin"))
    assert.is_false(guard.has_role(principal, "read"))
    assert.is_true(guard.has_scope(principal, "read"))
    assert.is_false(guard.has_role(nil, "admin"))
  end)
end)

describe("a route with a guard", function()
  local function compile(options, path)
    local app = demilune.app {}
    app:get(path or "/", options, options.handler or function(_, need) return need end)
    options.handler = nil
    return plan.compile(app).routes[1]
  end

  it("gives its principal to needs, and to the needs of needs", function()
    local made = bearer()
    local user = demilune.dependency({ who = made }, function(_, need) return "user " .. need.who.subject end)
    local route = compile { guard = guard.role("admin", made), needs = { user = user, principal = made } }
    assert.same({ user = "user 7", principal = { subject = "7" } }, route.run { principal = { subject = "7" } })
  end)

  it("refuses a need that others than its own callers pass", function()
    local one, two = bearer(), bearer()
    assert.matches("GET /: need who is for whom guard.bearer lets pass, but its guard.public lets everybody pass",
      refusal(compile, { guard = guard.public, needs = { who = one } }))
    assert.matches("but its guard.any lets others pass too", refusal(compile, { guard = guard.any { one, two }, needs = { who = one } }))
    assert.matches("need who is for whom guard.role lets pass", refusal(compile, { guard = one, needs = { who = guard.role("admin", one) } }))
    compile { guard = one, needs = { who = guard.any { one, two } } }
    compile { guard = guard.owner(handler, guard.role("admin", one)), needs = { who = one } }
  end)

  it("answers 404 when the owner is another", function()
    local made = bearer()
    local function owner(req, need) return need.note.by == req.principal.subject end
    local note = demilune.dependency(function(req) return { by = req.by } end)
    local ways = { { guard = made, owner = owner }, { guard = guard.owner(owner, made) }, { guard = guard.role("x", guard.owner(owner, made)) } }
    for _, options in ipairs(ways) do
      options.needs = { note = note }
      local route = compile(options, "/notes/{id}")
      assert.equal(options.guard.kind == "role" and "role" or "bearer", route.guard.kind)
      assert.is_true(route.guard.kind == "bearer" or route.guard.member == made)
      assert.same({ note = { by = "7" } }, route.run { by = "7", principal = { subject = "7" } })
      local ok, problem = pcall(route.run, { by = "8", principal = { subject = "7" } })
      assert.same({ false, 404 }, { ok, problem.status })
      assert.equal(core.abort_type, getmetatable(problem))
    end
  end)

  it("is not shared, if somebody owns what is asked for", function()
    local made = bearer()
    for _, options in ipairs { { guard = made, owner = handler }, { guard = guard.owner(handler, made) } } do
      options.shared = true
      assert.matches("GET /notes/{id} is shared, so that whoever passes its guard may see every such object, and has an owner, whose alone it is; "
        .. "keep one of them$", refusal(compile, options, "/notes/{id}"))
    end
  end)

  it("takes for an owner's yes what was found, and nothing that only Lua takes for it", function()
    local given
    local route = compile({ guard = bearer(), owner = function() return given end }, "/notes/{id}")
    for _, yes in ipairs { true, { id = 1 }, { { id = 1 } } } do
      given = yes
      route.run {}
    end
    for _, no in ipairs { false, {} } do
      given = no
      assert.equal(404, select(2, pcall(route.run, {})).status)
    end
    for _, none in ipairs { 0, 1, "", "false", 0LL, core.null } do
      given = none
      assert.matches("guard_spec%.lua:%d+: owner gave .*, which is no verdict; give true or false", refusal(route.run, {}))
    end
  end)

  it("asks an owner of the request alone before any need is resolved", function()
    local resolved = 0
    local note = demilune.dependency(function() resolved = resolved + 1 end)
    local route = compile({ guard = bearer(), needs = { note = note }, owner = function(req) return req.mine end }, "/notes/{id}")
    assert.is_false(pcall(route.run, {}))
    assert.equal(0, resolved)
    route.run { mine = true }
    assert.equal(1, resolved)
    local whose = demilune.dependency(function() return { mine = true } end)
    local given = compile({ guard = bearer(), needs = { note = whose }, owner = function(...) return select(2, ...).note end }, "/notes/{id}")
    assert.is_true(pcall(given.run, {})) -- who takes whatever there is may look at needs
  end)

  it("asks for the roles of a dependency's user, before other needs", function()
    local made, events, given = bearer(), {}, nil
    local user = demilune.dependency({ who = made }, function(_, need)
      events[#events + 1] = "user " .. need.who.subject
      return given
    end)
    local other = demilune.dependency(function() events[#events + 1] = "other" end)
    local options = { guard = guard.role({ "admin", "root" }, made, { of = user }), needs = { a_other = other, user = user } }
    local route = compile(options)
    assert.equal(made, route.guard) -- what the core decides
    local principal
    local function call(what)
      given, events, principal = what, {}, { subject = "7", roles = { "admin" } }
      local ok, problem = pcall(route.run, { principal = principal })
      return ok or problem.status or problem, table.concat(events, ", ")
    end
    assert.same({ true, "user 7, other" }, { call { role = "admin" } })
    assert.same({ true, "user 7, other" }, { call { role = "user", roles = { "user", "root", 5 } } })
    assert.same({ { "user", "root" }, "user root" }, { principal.roles, core.roles }) -- those of the user
    for _, user_without in ipairs { { role = "user" }, { roles = { "user" } }, {}, { role = { "admin" } }, { roles = "admin" } } do
      assert.same({ 403, "user 7" }, { call(user_without) })
    end
    assert.matches("must be a table with role or roles, not nil", (call(nil)))
  end)

  it("asks for all roles of a dependency's user, and without needs of the route's own", function()
    local made = bearer()
    local user = demilune.dependency(function(req) return req.user end)
    local route = compile { guard = guard.role({ "a", "b" }, guard.role("b", made, { of = user }), { of = user, all = true }) }
    assert.same({}, route.run { principal = {}, user = { roles = { "a", "b" } } })
    local ok, problem = pcall(route.run, { principal = {}, user = { role = "b" } })
    assert.same({ false, 403 }, { ok, problem.status })
  end)

  it("refuses a role of what is no dependency, or in an alternative", function()
    local made, user = bearer(), demilune.dependency(handler)
    assert.matches("of is what app:dependency gave", refusal(guard.role, "admin", made, { of = {} }))
    assert.matches("there is no option", refusal(guard.scope, "read", made, { of = user }))
    assert.matches("write guard.role%(names, guard.any", refusal(guard.any, { guard.role("admin", made, { of = user }), made }))
    assert.matches("need who is for whom guard.role", refusal(compile, { guard = made, needs = { who = guard.role("a", made, { of = user }) } }))
    local stranger = demilune.dependency({ who = bearer() }, handler)
    assert.matches("need who is for whom guard.bearer", refusal(compile, { guard = guard.role("admin", made, { of = stranger }) }))
  end)

  it("refuses an owner where nobody is known", function()
    assert.matches("GET / has an owner, but guard.public finds nobody", refusal(compile, { guard = guard.public, owner = handler }))
  end)
end)
