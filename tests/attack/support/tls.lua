-- SPDX-License-Identifier: MIT
-- A TLS client of OpenSSL's in memory, for what no client library lets one do: its records are bytes that the spec sends as it likes, or not,
-- and it reads only when it is told to.

local ffi = require "ffi"

ffi.cdef [[
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct bio_st BIO;
const void *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const void *method);
void SSL_CTX_free(SSL_CTX *context);
long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
SSL *SSL_new(SSL_CTX *context);
void SSL_free(SSL *ssl);
void SSL_set_bio(SSL *ssl, BIO *from_server, BIO *to_server);
void SSL_set_connect_state(SSL *ssl);
int SSL_do_handshake(SSL *ssl);
int SSL_key_update(SSL *ssl, int kind);
int SSL_write(SSL *ssl, const char *bytes, int length);
int SSL_read(SSL *ssl, char *out, int size);
const void *BIO_s_mem(void);
BIO *BIO_new(const void *method);
int BIO_read(BIO *bio, char *out, int size);
int BIO_write(BIO *bio, const char *bytes, int length);
]]
local ssl = ffi.load "ssl"
local crypto = ffi.load "crypto"

local MAX_VERSION = 124 -- SSL_CTRL_SET_MAX_PROTO_VERSION
local VERSIONS = { tlsv1_2 = 0x0303, tlsv1_3 = 0x0304 }
local KEY_UPDATE_REQUESTED = 1
local TURNS = 50

local tls = {}

---@class attack.TlsClient
---@field connection http.Connection below it
local Client = {}
Client.__index = Client

--- The records that it wants to send, which are gone from it then.
function Client:records()
  local out, parts = ffi.new "char[65536]", {}
  while true do
    local length = crypto.BIO_read(self.to_server, out, 65536)
    if length <= 0 then return table.concat(parts) end
    parts[#parts + 1] = ffi.string(out, length)
  end
end

--- Gives it what the server has sent by now.
function Client:take()
  local bytes, why = self.connection:read()
  crypto.BIO_write(self.from_server, bytes, #bytes)
  return why
end

--- What the server said in plaintext, until it ends or `enough` of it is there.
---@param enough fun(text: string): any
function Client:read_until(enough)
  local out, text = ffi.new "char[16384]", ""
  while not enough(text) do
    local length = ssl.SSL_read(self.ssl, out, 16384)
    if length > 0 then text = text .. ffi.string(out, length)
    elseif self:take() then break end
  end
  return text
end

function Client:send(plaintext)
  assert(ssl.SSL_write(self.ssl, plaintext, #plaintext) == #plaintext)
  return self.connection:send(self:records())
end

--- Records that ask the server for new keys of its own, so many times.
function Client:key_updates(count)
  for _ = 1, count do
    assert(ssl.SSL_key_update(self.ssl, KEY_UPDATE_REQUESTED) == 1)
    assert(ssl.SSL_do_handshake(self.ssl) == 1)
  end
  return self:records()
end

function Client:close()
  self.connection:close()
  ssl.SSL_free(self.ssl)
  ssl.SSL_CTX_free(self.context)
end

--- A client that has done its handshake over `connection`, which is its own from then on.
---@param connection http.Connection
---@param version? string "tlsv1_2" or "tlsv1_3", the newest when nil
---@return attack.TlsClient
function tls.client(connection, version)
  local self = setmetatable({ connection = connection, context = ssl.SSL_CTX_new(ssl.TLS_client_method()) }, Client)
  if version then ssl.SSL_CTX_ctrl(self.context, MAX_VERSION, VERSIONS[version], nil) end
  self.ssl = ssl.SSL_new(self.context)
  self.from_server, self.to_server = crypto.BIO_new(crypto.BIO_s_mem()), crypto.BIO_new(crypto.BIO_s_mem())
  ssl.SSL_set_bio(self.ssl, self.from_server, self.to_server)
  ssl.SSL_set_connect_state(self.ssl)
  for _ = 1, TURNS do
    local done = ssl.SSL_do_handshake(self.ssl) == 1
    connection:send(self:records())
    if done then return self end
    assert(not self:take(), "the server ended the handshake")
  end
  error "the handshake does not come to its end"
end

return tls
