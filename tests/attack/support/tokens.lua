-- SPDX-License-Identifier: MIT
-- An app with a route for each kind of key, and what an attacker has: any token, signed with anything. Refusals must all be alike.

local assert = require "luassert"
local busted = require "busted" -- a module sees none of the words that busted gives to specs
local ffi = require "ffi"
local mime = require "mime"
local keys = require "tests.attack.tokens.keys"
local server = require "spec.support.server"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_get_digestbyname(const char *name);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const char *data, size_t length, unsigned char *out, unsigned int *out_len);
void *BIO_new_mem_buf(const void *text, int length);
int BIO_free(void *bio);
void *PEM_read_bio_PrivateKey(void *bio, void *x, void *callback, void *u);
void EVP_PKEY_free(void *key);
void *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(void *context);
int EVP_DigestSignInit(void *context, void *pkey_context, const EVP_MD *md, void *engine, void *key);
int EVP_DigestSign(void *context, unsigned char *out, size_t *out_len, const char *data, size_t length);
]]
local crypto = ffi.load "crypto"

local tokens = {}

tokens.SECRET = "a secret of the tests, long enough: 0123456789"
tokens.FIRST_SECRET = "a secret of the tests, for the key named one"
tokens.OTHER_SECRET = "another secret of the tests, for the second key"
tokens.ROUTES = { "HS256", "RS256", "ES256", "EdDSA", "kid", "any" }

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local secret = model.secret { min_bytes = 32 }
local settings = demilune.settings { HS256 = secret, FIRST = secret, SECOND = secret, RS256 = secret, ES256 = secret, EdDSA = secret }
local app = demilune.app { title = "tokens", version = "1" }
local guards = {
  HS256 = guard.bearer { secret = settings.HS256, lifetime = "15m" },
  RS256 = guard.bearer { key = settings.RS256, algorithms = { "RS256" }, lifetime = "15m", audience = false },
  ES256 = guard.bearer { key = settings.ES256, algorithms = { "ES256" }, lifetime = "15m", audience = false },
  EdDSA = guard.bearer { key = settings.EdDSA, algorithms = { "EdDSA" }, lifetime = "15m", audience = false },
  kid = guard.bearer { keys = { { secret = settings.FIRST, kid = "one" }, { secret = settings.SECOND, kid = "two" } }, lifetime = "15m" },
}
guards.any = guard.any { guards.HS256, guards.RS256, guards.ES256, guards.EdDSA }
for name, by in pairs(guards) do
  app:get("/" .. name, { guard = by }, function(req) return { subject = req.principal.subject, roles = demilune.array(req.principal.roles) } end)
  if by.issue then
    app:get("/issue/" .. name, { guard = guard.public, limit = "100/minute" }, function() return by:issue { subject = "ada", roles = { "user" } } end)
  end
end
return app
]]

-- --- making them ---------------------------------------------------------------------

function tokens.encode(bytes) return ((mime.b64(bytes) or ""):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" })) end
function tokens.decode(text) return (mime.unb64((text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" }) .. ("="):rep(-#text % 4)))) end

function tokens.hmac(key, bytes, digest)
  local out, length = ffi.new "unsigned char[64]", ffi.new "unsigned int[1]"
  crypto.HMAC(crypto.EVP_get_digestbyname(digest or "SHA256"), key, #key, bytes, #bytes, out, length)
  return ffi.string(out, length[0])
end

--- Signs as RS256 does.
function tokens.sign_rsa(pem, bytes)
  local bio = crypto.BIO_new_mem_buf(pem, #pem)
  local key, context = crypto.PEM_read_bio_PrivateKey(bio, nil, nil, nil), crypto.EVP_MD_CTX_new()
  local out, length = ffi.new "unsigned char[512]", ffi.new("size_t[1]", 512)
  assert(crypto.EVP_DigestSignInit(context, nil, crypto.EVP_get_digestbyname "SHA256", nil, key) == 1)
  assert(crypto.EVP_DigestSign(context, out, length, bytes, #bytes) == 1)
  crypto.EVP_MD_CTX_free(context)
  crypto.EVP_PKEY_free(key)
  crypto.BIO_free(bio)
  return ffi.string(out, length[0])
end

--- Claims that pass when the signature does; `more` is text, such as '"roles":["admin"]'.
function tokens.claims(more)
  return ('{"sub":"ada","exp":%d%s}'):format(os.time() + 600, more and "," .. more or "")
end

--- A token of these texts, signed by what `sign` gives for its first two parts: a key for HMAC, a function or a signature.
---@param header string
---@param claims string
---@param sign? string|fun(bytes: string): string the app's own secret when nil
function tokens.make(header, claims, sign)
  local signed = tokens.encode(header) .. "." .. tokens.encode(claims)
  local signature = type(sign) == "function" and sign(signed) or tokens.hmac(sign or tokens.SECRET, signed)
  return signed .. "." .. tokens.encode(signature)
end

-- --- sending them --------------------------------------------------------------------

---@class attack.Tokens
---@field running server.Running
---@field genuine table<string, string> what each guard issued
local Tokens = {}
Tokens.__index = Tokens

--- The response to a credential, as it stands in Authorization.
function Tokens:send(route, authorization)
  local response, why = self.connection:request("GET", "/" .. route, { headers = { Authorization = authorization } })
  assert(response, ("no response (%s) to %s"):format(tostring(why), authorization:sub(1, 200)))
  if response.headers.connection == "close" then
    self.connection:close()
    self.connection = self.running:connect()
  end
  return response
end

function Tokens:accepted(route, token, what)
  local response = self:send(route, "Bearer " .. token)
  assert.equal(200, response.status, what)
  return response
end

--- Refused wherever it is shown, with the one answer that there is to a bad token.
---@param routes? string[] all when nil
function Tokens:refused(token, what, routes)
  for _, route in ipairs(routes or tokens.ROUTES) do
    local response = self:send(route, "Bearer " .. token)
    local where = ("%s, at /%s"):format(what or token:sub(1, 100), route)
    assert.equal(401, response.status, where)
    assert.equal('{"detail":"Not authenticated"}', response.body, where)
    assert.truthy(response.headers["www-authenticate"]:find('error="invalid_token"', 1, true), where)
  end
end

--- A whole spec with the app running.
---@param promise string
---@param body fun(world: attack.Tokens)
function tokens.promise(promise, body)
  busted.describe(promise, function()
    local world = setmetatable({ genuine = {} }, Tokens)
    busted.setup(function()
      local env = { HS256 = tokens.SECRET, FIRST = tokens.FIRST_SECRET, SECOND = tokens.OTHER_SECRET }
      for name, pem in pairs(keys.private) do env[name] = pem end
      world.running = server.start(APP, { env = env })
      for _, name in ipairs { "HS256", "RS256", "ES256", "EdDSA", "kid" } do
        world.genuine[name] = world.running:request("GET", "/issue/" .. name).body
      end
      world.connection = world.running:connect()
    end)
    busted.teardown(function()
      if world.connection then world.connection:close() end
      local status, log = world.running:stop()
      assert(status == 0, log)
      assert(not log:find('"level":"error"', 1, true), log)
    end)
    body(world)
  end)
end

return tokens
