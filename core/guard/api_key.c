/* SPDX-License-Identifier: MIT */
/*
 * API keys: in a field or a cookie, kept as SHA-256 digests. A presented key is
 * digested, and its digest compared with all that are kept, so that the time taken
 * says neither whether it was near one nor which. Keys that are made while the app
 * runs are in a store of the app's, which Lua asks by the digest: what its search may
 * tell by its time is of a digest that nobody can steer.
 */
#include "guard/internal.h"

#include "crypto/secret.h"

#include <lauxlib.h>

enum { API_KEYS_MAX = 1024, STORED_KEY_MIN = 16 /* bytes: shorter ones are guesses that no store is asked about */ };

/* --- compiling ------------------------------------------------------------------------ */

static bool compile_key(dl_guard_compiler *compiler, int table, dl_api_key *key) {
  dl_str digest;
  if (!dl_guard_text(compiler, table, "name", &key->name)) return false;
  if (!key->name.len) return dl_guard_fail(compiler, "each of keys should have a name, which the log and limits show in its place");
  if (!dl_guard_text(compiler, table, "digest", &digest)) return false;
  if (!dl_digest_read_hex(digest, key->digest))
    return dl_guard_fail(compiler, "the digest of the key \"%.*s\" should be the 64 hexadecimal digits of its SHA-256", DL_STR_ARGS(key->name));
  return dl_guard_texts(compiler, table, "roles", &key->roles, &key->role_count) &&
         dl_guard_texts(compiler, table, "scopes", &key->scopes, &key->scope_count) &&
         dl_guard_seconds(compiler, table, "expires", INT64_MAX, INT64_C(253402300799), &key->expires_s); /* the year 9999 */
}

/* A key under two names would make it a matter of order whose it is. */
static bool all_distinct(dl_guard_compiler *compiler, const dl_api_key *keys, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < i; j++) {
      if (dl_str_equal(keys[i].name, keys[j].name)) return dl_guard_fail(compiler, "two of keys are named \"%.*s\"", DL_STR_ARGS(keys[i].name));
      if (memcmp(keys[i].digest, keys[j].digest, sizeof(keys[i].digest)) == 0)
        return dl_guard_fail(compiler, "the keys \"%.*s\" and \"%.*s\" are the same one", DL_STR_ARGS(keys[j].name), DL_STR_ARGS(keys[i].name));
    }
  return true;
}

/* The list of keys on top of the stack. */
static bool compile_keys(dl_guard_compiler *compiler, dl_guard_node *node) {
  lua_State *L = compiler->L;
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  if (!count || count > API_KEYS_MAX)
    return dl_guard_fail(compiler, "keys should be a list of 1 to %d keys, each { name = ..., digest = ... }", API_KEYS_MAX);
  dl_api_key *keys = dl_arena_zalloc(compiler->arena, count, sizeof(*keys));
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    bool compiled = lua_istable(L, -1) ? compile_key(compiler, lua_gettop(L), &keys[i]) : dl_guard_fail(compiler, "each of keys should be a table");
    lua_pop(L, 1);
    if (!compiled) return false;
  }
  node->api_key.keys = keys;
  node->api_key.count = count;
  return all_distinct(compiler, keys, count);
}

static bool compile_place(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  if (!dl_guard_name(compiler, table, "header", &node->header) || !dl_guard_name(compiler, table, "cookie", &node->cookie)) return false;
  if (!node->header.len == !node->cookie.len)
    return dl_guard_fail(compiler, "an API key comes in a header or in a cookie: name one of them, such as header = \"X-API-Key\"");
  if (dl_str_equal_nocase(node->header, DL_STR("Authorization")) || dl_str_equal_nocase(node->header, DL_STR("Cookie")))
    return dl_guard_fail(compiler, "header should be a field of its own for the API key, such as \"X-API-Key\", not %.*s", DL_STR_ARGS(node->header));
  return true;
}

/* The function that asks a store, which stays in the registry as long as the state. */
static bool compile_find(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  node->api_key.find = LUA_NOREF;
  lua_pushliteral(compiler->L, "find");
  lua_rawget(compiler->L, table);
  bool given = !lua_isnil(compiler->L, -1);
  if (given && !lua_isfunction(compiler->L, -1)) dl_guard_fail(compiler, "find should be a function of a digest, not a %s", luaL_typename(compiler->L, -1));
  if (lua_isfunction(compiler->L, -1)) node->api_key.find = luaL_ref(compiler->L, LUA_REGISTRYINDEX);
  else lua_pop(compiler->L, 1);
  return !given || node->api_key.find != LUA_NOREF;
}

static bool compile_api_key(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  if (!compile_place(compiler, table, node) || !compile_find(compiler, table, node)) return false;
  node->api_key.crypto = compiler->crypto;
  if (node->api_key.find != LUA_NOREF) return true;
  lua_pushliteral(compiler->L, "keys");
  lua_rawget(compiler->L, table);
  bool compiled = compile_keys(compiler, node);
  lua_pop(compiler->L, 1);
  return compiled;
}

/* No scheme is registered for keys, but a 401 has to have one (RFC 9110 15.5.2). */
static void append_challenge(const dl_guard_node *node, dl_guard_error error, dl_buffer *out) {
  (void)error;
  if (node->header.len) dl_buffer_printf(out, "APIKey header=\"%.*s\"", DL_STR_ARGS(node->header));
  else dl_buffer_printf(out, "APIKey cookie=\"%.*s\"", DL_STR_ARGS(node->cookie));
}

/* --- checking --------------------------------------------------------------------------- */

static const dl_api_key *key_of(const dl_guard_node *node, const unsigned char digest[DL_DIGEST_MAX]) {
  const dl_api_key *key = NULL;
  for (size_t i = 0; i < node->api_key.count; i++) {
    const dl_api_key *kept = &node->api_key.keys[i];
    if (dl_crypto_equal(digest, sizeof(kept->digest), kept->digest, sizeof(kept->digest))) key = kept;
  }
  return key;
}

static dl_guard_result check_kept(const dl_guard_node *node, dl_guard_attempt *attempt, const unsigned char digest[DL_DIGEST_MAX], dl_principal *out) {
  const dl_api_key *key = key_of(node, digest);
  if (!key) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key is none of ours");
  if (attempt->context->now_s >= key->expires_s) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key has expired");
  *out = (dl_principal){.guard = node->kind->name,
                        .name = key->name,
                        .roles = key->roles,
                        .role_count = key->role_count,
                        .scopes = key->scopes,
                        .scope_count = key->scope_count};
  return DL_GUARD_PASS;
}

static dl_guard_result check_stored(const dl_guard_node *node, dl_guard_attempt *attempt, const unsigned char digest[DL_DIGEST_MAX], dl_principal *out) {
  dl_guard_key *question = &attempt->context->key;
  if (!question->answered) {
    char *hex = dl_arena_alloc(attempt->context->arena, 64);
    dl_digest_write_hex(digest, hex);
    question->find = node->api_key.find;
    question->digest = dl_str_from(hex, 64);
    return DL_GUARD_ASK;
  }
  if (!question->owner) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key is none that the store knows");
  *out = *question->owner;
  return DL_GUARD_PASS;
}

static dl_guard_result check_api_key(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  dl_str presented;
  const char *reason;
  dl_credential found = node->header.len ? dl_credential_field(context->request, node->header, &presented, &reason)
                                         : dl_credential_cookie(context, node->cookie, &presented, &reason);
  if (found != DL_CREDENTIAL_FOUND) return dl_credential_refuse(attempt, node, found, reason);
  if (!presented.len || presented.len > DL_GUARD_API_KEY_MAX)
    return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key is empty or too long");
  bool stored = node->api_key.find != LUA_NOREF;
  if (stored && presented.len < STORED_KEY_MIN) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key is too short to be one");
  unsigned char digest[DL_DIGEST_MAX];
  dl_digest(node->api_key.crypto, DL_DIGEST_SHA256, presented, digest);
  dl_guard_result result = (stored ? check_stored : check_kept)(node, attempt, digest, out);
  if (result == DL_GUARD_PASS) dl_guard_accept(attempt, node, node->cookie.len > 0);
  return result;
}

/* --- what the store says ------------------------------------------------------------------ */

/* Nothing here allocates in Lua, for nobody would catch its error. */
static bool take_text(lua_State *L, int index, dl_arena *arena, dl_str *out) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  out->ptr = lua_tolstring(L, index, &out->len);
  *out = dl_arena_copy(arena, *out);
  return out->len > 0;
}

static bool take_names(lua_State *L, int index, dl_arena *arena, const dl_str **out, uint32_t *count) {
  bool taken = lua_istable(L, index);
  *count = taken ? (uint32_t)lua_objlen(L, index) : 0;
  dl_str *names = dl_arena_zalloc(arena, *count + 1, sizeof(*names));
  for (uint32_t i = 0; taken && i < *count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    taken = take_text(L, lua_gettop(L), arena, &names[i]);
    lua_pop(L, 1);
  }
  *out = names;
  return taken;
}

bool dl_guard_take_key(dl_guard_context *context, lua_State *L, int first) {
  dl_arena *arena = context->arena;
  dl_principal *owner = dl_arena_zalloc(arena, 1, sizeof(*owner));
  context->key.answered = true;
  context->key.owner = NULL;
  owner->guard = dl_guard_kind_api_key.name;
  if (lua_isnoneornil(L, first)) return true;
  bool taken = take_text(L, first, arena, &owner->name) && take_text(L, first + 1, arena, &owner->subject) &&
               take_names(L, first + 2, arena, &owner->roles, &owner->role_count) &&
               take_names(L, first + 3, arena, &owner->scopes, &owner->scope_count);
  if (taken) context->key.owner = owner;
  return taken;
}

const dl_guard_kind_row dl_guard_kind_api_key = {DL_STR("api_key"), compile_api_key, check_api_key, append_challenge};
