/* SPDX-License-Identifier: MIT */
/* core.password_hash, password_verify, random, sha256_hex, hmac_hex and hmac_is. Passwords wait for the
 * thread pool; when too many wait already the request is answered 503. */
#include "bridge/bridge.h"

#include "bridge/request.h"
#include "bridge/task.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "model/secret_lua.h"

#include <lauxlib.h>

enum { RANDOM_MAX = 4096 };

static const char abort_key = 'a'; /* in the registry: the type of what demilune.abort raises */

static dl_str check_text(lua_State *L, int index) {
  dl_str text;
  if (dl_secret_get(L, index, &text)) return text;
  if (lua_type(L, index) != LUA_TSTRING) luaL_argerror(L, index, "expected text or a secret");
  text.ptr = lua_tolstring(L, index, &text.len);
  return text;
}

/* --- passwords ---------------------------------------------------------------------------- */

/* demilune.abort(503): a client's fault no more than the app's, and over in a second. */
static int refuse_busy(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, 503);
  lua_setfield(L, -2, "status");
  lua_pushliteral(L, "Too many passwords are being checked; try again in a moment");
  lua_setfield(L, -2, "detail");
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "1");
  lua_setfield(L, -2, "Retry-After");
  lua_setfield(L, -2, "headers");
  lua_pushlightuserdata(L, (void *)(uintptr_t)&abort_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_setmetatable(L, -2);
  return lua_error(L);
}

static int push_hash(lua_State *L, void *data) {
  const dl_password_answer *answer = data;
  if (answer->gave_way) return refuse_busy(L);
  if (answer->result != DL_PASSWORD_OK) return luaL_error(L, "the password could not be hashed: there is no memory for it");
  lua_pushstring(L, answer->text);
  return 1;
}

static int push_verdict(lua_State *L, void *data) {
  const dl_password_answer *answer = data;
  if (answer->gave_way) return refuse_busy(L);
  if (answer->result == DL_PASSWORD_FAILED) return luaL_error(L, "the password could not be verified: there is no memory for it");
  lua_pushboolean(L, answer->result == DL_PASSWORD_OK);
  lua_pushboolean(L, answer->outdated);
  lua_pushboolean(L, answer->result == DL_PASSWORD_MALFORMED);
  return 3;
}

static void on_hashed(const dl_password_answer *answer, void *owner, uint64_t serial) {
  dl_task_wake((dl_ticket){owner, serial}, push_hash, (void *)(uintptr_t)answer);
}

static void on_verified(const dl_password_answer *answer, void *owner, uint64_t serial) {
  dl_task_wake((dl_ticket){owner, serial}, push_verdict, (void *)(uintptr_t)answer);
}

static uint64_t share_of(lua_State *L) {
  const dl_request_view *request = dl_task_request(L);
  return request ? request->share : 0;
}

/* password_hash(text | secret) → PHC string. Waits. */
static int bridge_password_hash(lua_State *L) {
  dl_str password = check_text(L, 1);
  luaL_argcheck(L, password.len <= DL_PASSWORD_LENGTH_MAX, 1, "a password should have at most 1024 bytes");
  if (dl_password_pool_refuses(dl_bridge_passwords(L), share_of(L))) return refuse_busy(L);
  dl_ticket ticket = dl_task_wait(L, "password_hash");
  dl_password_pool_hash(dl_bridge_passwords(L), share_of(L), password, on_hashed, ticket.task, ticket.serial);
  return dl_task_yield(L);
}

/* password_verify(PHC string | nil, text | secret) → whether it is right, whether the
 * string should be made anew, whether it is none. nil or "", for a user that does not
 * exist or has no password, and what is no PHC string are always wrong and take as
 * long. Waits. */
static int bridge_password_verify(lua_State *L) {
  dl_str stored = {0}, password = check_text(L, 2);
  if (!lua_isnil(L, 1)) stored = check_text(L, 1);
  if (dl_password_pool_refuses(dl_bridge_passwords(L), share_of(L))) return refuse_busy(L);
  dl_ticket ticket = dl_task_wait(L, "password_verify");
  dl_password_pool_verify(dl_bridge_passwords(L), share_of(L), stored, password, on_verified, ticket.task, ticket.serial);
  return dl_task_yield(L);
}

/* --- bytes --------------------------------------------------------------------------------- */

/* random(bytes) → string */
static int bridge_random(lua_State *L) {
  char bytes[RANDOM_MAX];
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= RANDOM_MAX, 1, "expected 1 to 4096 bytes");
  dl_random_bytes(bytes, (size_t)count);
  lua_pushlstring(L, bytes, (size_t)count);
  return 1;
}

enum { SHA256_HEX = 64 };

void dl_bridge_push_sha256(lua_State *L, dl_str bytes) {
  unsigned char digest[DL_DIGEST_MAX];
  char hex[SHA256_HEX];
  dl_digest(dl_bridge_crypto_of(L), DL_DIGEST_SHA256, bytes, digest);
  dl_digest_write_hex(digest, hex);
  lua_pushlstring(L, hex, sizeof(hex));
}

/* sha256_hex(text | secret) → 64 hexadecimal digits */
static int bridge_sha256_hex(lua_State *L) {
  dl_bridge_push_sha256(L, check_text(L, 1));
  return 1;
}

/* hmac_hex(key, text) → 64 hexadecimal digits of HMAC-SHA256 */
static int bridge_hmac_hex(lua_State *L) {
  unsigned char tag[DL_DIGEST_MAX];
  char hex[SHA256_HEX];
  dl_str key = check_text(L, 1), text = check_text(L, 2);
  dl_hmac *hmac = dl_hmac_new(dl_bridge_crypto_of(L), DL_DIGEST_SHA256, key);
  dl_hmac_compute(hmac, text, tag);
  dl_hmac_free(hmac);
  dl_digest_write_hex(tag, hex);
  lua_pushlstring(L, hex, sizeof(hex));
  return 1;
}

/* hmac_is(key, text, given) → whether given is what hmac_hex gives, in either case. What came is read into bytes, for
 * the right tag written in digits would be looked up by its own bytes. */
static int bridge_hmac_is(lua_State *L) {
  unsigned char tag[SHA256_HEX / 2];
  dl_str key = check_text(L, 1), text = check_text(L, 2), given = check_text(L, 3);
  bool is_right = false;
  if (dl_digest_read_hex(given, tag)) {
    dl_hmac *hmac = dl_hmac_new(dl_bridge_crypto_of(L), DL_DIGEST_SHA256, key);
    is_right = dl_hmac_verify(hmac, text, dl_str_from((char *)tag, sizeof(tag)));
    dl_hmac_free(hmac);
  }
  lua_pushboolean(L, is_right);
  return 1;
}

static const luaL_Reg functions[] = {
    {"random", bridge_random}, {"sha256_hex", bridge_sha256_hex}, {"hmac_hex", bridge_hmac_hex}, {"hmac_is", bridge_hmac_is}, {NULL, NULL},
};

static void add_waiting(lua_State *L, const char *name, lua_CFunction function) {
  dl_task_push_waiting(L, function);
  lua_setfield(L, -2, name);
}

void dl_bridge_crypto(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&abort_key);
  lua_getfield(L, -2, "abort_type");
  lua_rawset(L, LUA_REGISTRYINDEX);
  luaL_register(L, NULL, functions);
  add_waiting(L, "password_hash", bridge_password_hash);
  add_waiting(L, "password_verify", bridge_password_verify);
}
