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
long SSL_ctrl(SSL *ssl, int command, long number, void *pointer);
int SSL_use_certificate_file(SSL *ssl, const char *path, int kind);
int SSL_use_PrivateKey_file(SSL *ssl, const char *path, int kind);
typedef struct ssl_session_st SSL_SESSION;
SSL_SESSION *SSL_get_session(SSL *ssl);
SSL_SESSION *SSL_SESSION_dup(SSL_SESSION *session);
int SSL_set_session(SSL *ssl, SSL_SESSION *session);
void SSL_SESSION_free(SSL_SESSION *session);
int SSL_SESSION_set_max_early_data(SSL_SESSION *session, uint32_t bytes);
void SSL_SESSION_get0_ticket(const SSL_SESSION *session, const char **ticket, size_t *length);
int SSL_session_reused(SSL *ssl);
int SSL_write_early_data(SSL *ssl, const char *bytes, size_t length, size_t *written);
int SSL_get_early_data_status(const SSL *ssl);
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

local MAX_VERSION, SERVER_NAME, PEM = 124, 55, 1 -- SSL_CTRL_SET_MAX_PROTO_VERSION, SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_FILETYPE_PEM
local EARLY_DATA_ACCEPTED, KEY_NAME_BYTES = 2, 16
local VERSIONS = { tlsv1_2 = 0x0303, tlsv1_3 = 0x0304 }
local KEY_UPDATE_REQUESTED = 1
local TURNS = 50

local tls = {}

---@class attack.TlsClient
---@field connection http.Connection below it
---@field first_flight string its first records, as anybody on the wire could keep them
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

--- What resumes it: a session for `given.session`, which lives as long as Lua holds it. Under TLS 1.3 it comes with the first response.
--- A copy, as what is set is: OpenSSL takes its own for spoilt when the connection ends without a word.
function Client:session() return ffi.gc(ssl.SSL_SESSION_dup(ssl.SSL_get_session(self.ssl)), ssl.SSL_SESSION_free) end

function Client:is_resumed() return ssl.SSL_session_reused(self.ssl) == 1 end

--- Whether the server said that it took what `given.early` was.
function Client:is_early_data_taken() return ssl.SSL_get_early_data_status(self.ssl) == EARLY_DATA_ACCEPTED end

function Client:close()
  self.connection:close()
  ssl.SSL_free(self.ssl)
  ssl.SSL_CTX_free(self.context)
end

--- The name of the key that a session's ticket was sealed with (RFC 5077 4), nil when it has none.
function tls.ticket_key(session)
  local ticket, length = ffi.new "const char *[1]", ffi.new "size_t[1]"
  ssl.SSL_SESSION_get0_ticket(session, ticket, length)
  return length[0] >= KEY_NAME_BYTES and ffi.string(ticket[0], KEY_NAME_BYTES) or nil
end

---@class attack.TlsOptions
---@field version? string "tlsv1_2" or "tlsv1_3", the newest when nil
---@field name? string the server's, as SNI says it
---@field certificate? string path of a PEM file
---@field key? string path of a PEM file
---@field session? any what Client:session gave
---@field early? string plaintext that goes before the handshake, whatever the session allows

local function set(self, given)
  if given.version then ssl.SSL_CTX_ctrl(self.context, MAX_VERSION, VERSIONS[given.version], nil) end
  self.ssl = ssl.SSL_new(self.context)
  if given.name then assert(ssl.SSL_ctrl(self.ssl, SERVER_NAME, 0, ffi.cast("char *", given.name)) == 1) end
  if given.certificate then
    assert(ssl.SSL_use_certificate_file(self.ssl, given.certificate, PEM) == 1)
    assert(ssl.SSL_use_PrivateKey_file(self.ssl, given.key, PEM) == 1)
  end
  if not given.session then return end
  local session = ssl.SSL_SESSION_dup(given.session)
  if given.early then ssl.SSL_SESSION_set_max_early_data(session, #given.early) end
  assert(ssl.SSL_set_session(self.ssl, session) == 1)
  ssl.SSL_SESSION_free(session)
end

local function write_early(self, plaintext)
  local written = ffi.new "size_t[1]"
  while #plaintext > 0 do
    assert(ssl.SSL_write_early_data(self.ssl, plaintext, #plaintext, written) == 1)
    plaintext = plaintext:sub(tonumber(written[0]) + 1)
  end
end

--- A client that has done its handshake over `connection`, which is its own from then on. Nil and why when the server ended it.
---@param connection http.Connection
---@param given? attack.TlsOptions
---@return attack.TlsClient?, string? why
function tls.client(connection, given)
  given = given or {}
  local self = setmetatable({ connection = connection, context = ssl.SSL_CTX_new(ssl.TLS_client_method()) }, Client)
  set(self, given)
  self.from_server, self.to_server = crypto.BIO_new(crypto.BIO_s_mem()), crypto.BIO_new(crypto.BIO_s_mem())
  ssl.SSL_set_bio(self.ssl, self.from_server, self.to_server)
  ssl.SSL_set_connect_state(self.ssl)
  if given.early then write_early(self, given.early) end
  for _ = 1, TURNS do
    local done = ssl.SSL_do_handshake(self.ssl) == 1
    local records = self:records()
    self.first_flight = self.first_flight or records
    connection:send(records)
    if done then return self end
    if self:take() then
      self:close()
      return nil, "the server ended the handshake"
    end
  end
  error "the handshake does not come to its end"
end

return tls
