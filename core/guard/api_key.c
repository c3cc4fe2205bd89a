/* SPDX-License-Identifier: MIT */
/*
 * API keys: in a field or a cookie, kept as SHA-256 digests. A presented key is
 * digested, and its digest compared with all that are kept, so that the time taken
 * says neither whether it was near one nor which.
 */
#include "guard/internal.h"

#include "crypto/secret.h"

#include <lauxlib.h>

enum { API_KEYS_MAX = 1024 };

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

static bool compile_api_key(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  if (!compile_place(compiler, table, node)) return false;
  node->api_key.crypto = compiler->crypto;
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

static const dl_api_key *key_of(const dl_guard_node *node, dl_str presented) {
  unsigned char digest[DL_DIGEST_MAX];
  const dl_api_key *key = NULL;
  dl_digest(node->api_key.crypto, DL_DIGEST_SHA256, presented, digest);
  for (size_t i = 0; i < node->api_key.count; i++) {
    const dl_api_key *kept = &node->api_key.keys[i];
    if (dl_crypto_equal(digest, sizeof(kept->digest), kept->digest, sizeof(kept->digest))) key = kept;
  }
  return key;
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
  const dl_api_key *key = key_of(node, presented);
  if (!key) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key is none of ours");
  if (context->now_s >= key->expires_s) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the API key has expired");
  *out = (dl_principal){.guard = node->kind->name,
                        .name = key->name,
                        .roles = key->roles,
                        .role_count = key->role_count,
                        .scopes = key->scopes,
                        .scope_count = key->scope_count};
  dl_guard_accept(attempt, node, node->cookie.len > 0);
  return DL_GUARD_PASS;
}

const dl_guard_kind_row dl_guard_kind_api_key = {DL_STR("api_key"), compile_api_key, check_api_key, append_challenge};
