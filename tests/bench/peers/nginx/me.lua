-- SPDX-License-Identifier: MIT
-- What one writes by hand to verify HS256 under nginx' Lua module: libcrypto through FFI, its key schedule kept, constant-time comparison,
-- the algorithm pinned, exp required.

local base64 = require "ngx.base64"
local cjson = require "cjson"
local ffi = require "ffi"

ffi.cdef [[
typedef struct hmac_ctx_st HMAC_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;
HMAC_CTX *HMAC_CTX_new(void);
const EVP_MD *EVP_sha256(void);
int HMAC_Init_ex(HMAC_CTX *context, const void *key, int length, const EVP_MD *digest, ENGINE *engine);
int HMAC_Update(HMAC_CTX *context, const unsigned char *data, size_t length);
int HMAC_Final(HMAC_CTX *context, unsigned char *out, unsigned int *length);
int CRYPTO_memcmp(const void *one, const void *other, size_t length);
]]

local C = ffi.C
local me = {}

local context = C.HMAC_CTX_new()
local digest, length = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")
local users = { ["7"] = { id = 7, email = "ada@example.com", name = "Ada Lovelace", role = "editor", age = 36 } }

function me.secret(secret) assert(C.HMAC_Init_ex(context, secret, #secret, C.EVP_sha256(), nil) == 1) end

local function answer(status, value)
  ngx.status = status
  ngx.header.content_type = "application/json"
  local text = cjson.encode(value)
  ngx.header.content_length = #text
  ngx.print(text)
end

local function is_signed(text, signature)
  if not signature or #signature ~= 32 then return false end
  C.HMAC_Init_ex(context, nil, 0, nil, nil)
  C.HMAC_Update(context, text, #text)
  C.HMAC_Final(context, digest, length)
  return C.CRYPTO_memcmp(digest, signature, 32) == 0
end

local function decode(part)
  local ok, value = pcall(cjson.decode, base64.decode_base64url(part) or "")
  return ok and type(value) == "table" and value or nil
end

-- The claims of a good token, or nil.
local function verify()
  local field = ngx.var.http_authorization
  if not field or field:sub(1, 7) ~= "Bearer " or #field > 8192 then return nil end
  local first = field:find(".", 8, true)
  local second = first and field:find(".", first + 1, true)
  if not second then return nil end
  if not is_signed(field:sub(8, second - 1), base64.decode_base64url(field:sub(second + 1))) then return nil end
  local header, claims = decode(field:sub(8, first - 1)), decode(field:sub(first + 1, second - 1))
  if not header or header.alg ~= "HS256" or not claims or type(claims.exp) ~= "number" or claims.exp <= ngx.time() then return nil end
  return claims
end

local function unauthorized()
  ngx.header.www_authenticate = 'Bearer realm="api"'
  answer(401, { detail = "Not authenticated" })
end

function me.me()
  local claims = verify()
  local user = claims and users[claims.sub]
  if not user then return unauthorized() end
  answer(200, { email = user.email, name = user.name, role = user.role, age = user.age, id = user.id })
end

function me.admin()
  local claims = verify()
  if not claims then return unauthorized() end
  for _, role in ipairs(claims.roles or {}) do
    if role == "admin" then return answer(200, users[claims.sub]) end
  end
  answer(403, { detail = "Forbidden" })
end

return me
