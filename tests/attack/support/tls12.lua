-- SPDX-License-Identifier: MIT
-- Records of TLS 1.2 by hand (RFC 5246 6.2, RFC 5288), over a connection whose handshake a client of support/tls.lua has done: for what that
-- client would not send, and for what it would not go on after.

local ffi = require "ffi"
local tls = require "tests.attack.support.tls"

ffi.cdef [[
size_t SSL_get_client_random(const SSL *ssl, char *out, size_t size);
size_t SSL_get_server_random(const SSL *ssl, char *out, size_t size);
size_t SSL_SESSION_get_master_key(const SSL_SESSION *session, char *out, size_t size);
unsigned char *HMAC(const void *digest, const void *key, int key_size, const char *bytes, size_t length, char *out, unsigned *out_length);
const void *EVP_sha256(void);
const void *EVP_aes_128_gcm(void);
void *EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(void *context);
int EVP_CIPHER_CTX_ctrl(void *context, int command, int number, char *pointer);
int EVP_CipherInit_ex(void *context, const void *cipher, void *engine, const char *key, const char *nonce, int encrypts);
int EVP_CipherUpdate(void *context, char *out, int *out_length, const char *bytes, int length);
int EVP_CipherFinal_ex(void *context, char *out, int *out_length);
]]
local ssl = ffi.load "ssl"
local crypto = ffi.load "crypto"

local GET_TAG, SET_TAG, TAG_BYTES = 0x10, 0x11, 16 -- EVP_CTRL_AEAD_...
local VERSION = "\3\3"

local tls12 = { ALERT = 21, HANDSHAKE = 22, DATA = 23 }

local function hmac(key, bytes)
  local out = ffi.new "char[32]"
  crypto.HMAC(crypto.EVP_sha256(), key, #key, bytes, #bytes, out, nil)
  return ffi.string(out, 32)
end

-- RFC 5246 5
local function expand(secret, seed, length)
  local out, a = "", seed
  while #out < length do
    a = hmac(secret, a)
    out = out .. hmac(secret, a .. seed)
  end
  return out:sub(1, length)
end

local function number(value, bytes)
  local out = {}
  for index = bytes, 1, -1 do
    out[index] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(out)
end

-- Encrypts, or, given a tag, decrypts: nil when that does not fit.
local function aes_gcm(key, nonce, bound, bytes, tag)
  local context, out, length = crypto.EVP_CIPHER_CTX_new(), ffi.new("char[?]", #bytes + TAG_BYTES), ffi.new "int[1]"
  crypto.EVP_CipherInit_ex(context, crypto.EVP_aes_128_gcm(), nil, key, nonce, tag and 0 or 1)
  crypto.EVP_CipherUpdate(context, nil, length, bound, #bound)
  crypto.EVP_CipherUpdate(context, out, length, bytes, #bytes)
  if tag then crypto.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG_BYTES, ffi.cast("char *", tag)) end
  local done = crypto.EVP_CipherFinal_ex(context, out + #bytes, length) == 1
  if not tag then crypto.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG_BYTES, out + #bytes) end
  crypto.EVP_CIPHER_CTX_free(context)
  return done and ffi.string(out, tag and #bytes or #bytes + TAG_BYTES) or nil
end

---@class attack.Tls12
---@field connection http.Connection
local Channel = {}
Channel.__index = Channel

--- A record that holds `payload`, of a kind such as tls12.DATA. It must be sent, in its turn.
function Channel:record(kind, payload)
  local sequence = number(self.sent, 8)
  self.sent = self.sent + 1
  local bound = sequence .. string.char(kind) .. VERSION .. number(#payload, 2)
  local body = sequence .. aes_gcm(self.key, self.salt .. sequence, bound, payload)
  return string.char(kind) .. VERSION .. number(#body, 2) .. body
end

--- The next record of the server's, as its kind and what it holds; nil when the server has ended.
function Channel:receive()
  while true do
    local length = #self.buffer >= 5 and self.buffer:byte(4) * 256 + self.buffer:byte(5)
    if length and #self.buffer >= 5 + length then
      local kind, body = self.buffer:byte(1), self.buffer:sub(6, 5 + length)
      self.buffer = self.buffer:sub(6 + length)
      local nonce, bytes = body:sub(1, 8), body:sub(9, -TAG_BYTES - 1)
      local bound = number(self.received, 8) .. string.char(kind) .. VERSION .. number(#bytes, 2)
      self.received = self.received + 1
      local payload = aes_gcm(self.server_key, self.server_salt .. nonce, bound, bytes, body:sub(-TAG_BYTES))
      assert(payload, "the server's record does not open")
      return kind, payload
    end
    local bytes, why = self.connection:read()
    if why then return nil end
    self.buffer = self.buffer .. bytes
  end
end

function Channel:close() self.client:close() end

--- A connection whose handshake is done: from then on all records are made and read here.
---@param connection http.Connection
---@return attack.Tls12
function tls12.channel(connection)
  local client = assert(tls.client(connection, { version = "tlsv1_2" }))
  local out = ffi.new "char[48]"
  local function take(from, what, bytes) return ffi.string(out, from(what, out, bytes)) end
  local random = take(ssl.SSL_get_server_random, client.ssl, 32) .. take(ssl.SSL_get_client_random, client.ssl, 32)
  local keys = expand(take(ssl.SSL_SESSION_get_master_key, client:session(), 48), "key expansion" .. random, 40)
  -- Each side has sent one record under its keys: Finished.
  return setmetatable({
    client = client, connection = connection, buffer = "", sent = 1, received = 1,
    key = keys:sub(1, 16), server_key = keys:sub(17, 32), salt = keys:sub(33, 36), server_salt = keys:sub(37, 40),
  }, Channel)
end

return tls12
