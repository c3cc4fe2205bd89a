/* SPDX-License-Identifier: MIT */
/*
 * Basic credentials (RFC 7617) of users whose password strings the app holds. A
 * password takes the thread pool and milliseconds, for users that do not exist too;
 * one that was right is remembered for a minute, by a digest.
 */
#include "guard/internal.h"

#include "crypto/base64.h"
#include "crypto/secret.h"

#include <lauxlib.h>

enum { CREDENTIALS_MAX = 2048, USERS_MAX = 1024 };

/* --- compiling ------------------------------------------------------------------------ */

static bool compile_user(dl_guard_compiler *compiler, dl_basic_user *user) {
  lua_State *L = compiler->L;
  dl_str name, stored;
  if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
    return dl_guard_fail(compiler, "users should be a table of names and password strings");
  name.ptr = lua_tolstring(L, -2, &name.len);
  stored.ptr = lua_tolstring(L, -1, &stored.len);
  if (!name.len || memchr(name.ptr, ':', name.len)) return dl_guard_fail(compiler, "a user's name should not be empty or hold a colon (RFC 7617 2)");
  if (!dl_str_starts(stored, DL_STR("$argon2id$")))
    return dl_guard_fail(compiler, "the user \"%.*s\" should have an Argon2id string for a password: `demilune hash` makes one", DL_STR_ARGS(name));
  *user = (dl_basic_user){dl_arena_copy(compiler->arena, name), dl_arena_copy(compiler->arena, stored)};
  return true;
}

/* The table of users on top of the stack. */
static bool compile_users(dl_guard_compiler *compiler, dl_guard_node *node) {
  lua_State *L = compiler->L;
  if (!lua_istable(L, -1)) return dl_guard_fail(compiler, "users should be a table of names and password strings");
  dl_basic_user *users = NULL;
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
  if (!count || count > USERS_MAX) return dl_guard_fail(compiler, "users should hold 1 to %d users", USERS_MAX);
  node->basic.users = users = dl_arena_zalloc(compiler->arena, count, sizeof(*users));
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (!compile_user(compiler, &users[node->basic.count++])) {
      lua_pop(L, 2);
      return false;
    }
  return true;
}

static bool compile_basic(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  if (!dl_guard_quotable(compiler, table, "realm", &node->realm)) return false;
  if (!node->realm.len) node->realm = DL_STR("api");
  if (!dl_guard_texts(compiler, table, "roles", &node->basic.roles, &node->basic.role_count)) return false;
  node->basic.crypto = compiler->crypto;
  lua_pushliteral(compiler->L, "users");
  lua_rawget(compiler->L, table);
  bool compiled = compile_users(compiler, node);
  lua_pop(compiler->L, 1);
  return compiled;
}

static void append_challenge(const dl_guard_node *node, dl_guard_error error, dl_buffer *out) {
  (void)error;
  dl_buffer_printf(out, "Basic realm=\"%.*s\", charset=\"UTF-8\"", DL_STR_ARGS(node->realm));
}

/* --- checking --------------------------------------------------------------------------- */

/* Base64 with its padding, as RFC 7617 has it, of "name:password". */
static bool read_credentials(dl_str text, dl_arena *arena, dl_str *name, dl_str *password) {
  unsigned char *bytes = dl_arena_alloc(arena, dl_base64_decoded_max(text.len) + 1);
  size_t length, padding = 0;
  while (padding < 2 && text.len && text.ptr[text.len - 1] == '=') text.len--, padding++;
  if ((text.len + padding) % 4 || dl_base64_decode(DL_BASE64, text, bytes, &length) != DL_BASE64_OK) return false;
  const char *colon = memchr(bytes, ':', length);
  if (!colon) return false;
  *name = dl_str_from((char *)bytes, (size_t)(colon - (char *)bytes));
  *password = dl_str_from(colon + 1, length - name->len - 1);
  return true;
}

static const dl_basic_user *user_named(const dl_guard_node *node, dl_str name) {
  const dl_basic_user *user = NULL;
  for (size_t i = 0; i < node->basic.count; i++)
    if (dl_crypto_equal(name.ptr, name.len, node->basic.users[i].name.ptr, node->basic.users[i].name.len)) user = &node->basic.users[i];
  return user;
}

/* What stands for the credentials in the cache, so that no password does. */
static dl_str digest_of(const dl_guard_node *node, dl_str credentials, unsigned char out[DL_DIGEST_MAX]) {
  char bytes[sizeof(node->tag) + CREDENTIALS_MAX];
  memcpy(bytes, &node->tag, sizeof(node->tag));
  memcpy(bytes + sizeof(node->tag), credentials.ptr, credentials.len);
  dl_digest(node->basic.crypto, DL_DIGEST_SHA256, dl_str_from(bytes, sizeof(node->tag) + credentials.len), out);
  return dl_str_from((char *)out, dl_digest_length(DL_DIGEST_SHA256));
}

static dl_guard_result pass(const dl_guard_node *node, dl_guard_attempt *attempt, dl_str digest, dl_str name, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  *out = (dl_principal){.guard = node->kind->name, .subject = name, .roles = node->basic.roles, .role_count = node->basic.role_count};
  dl_guard_accept(attempt, node, true);
  if (context->tokens)
    dl_token_cache_put(context->tokens, dl_token_cache_hash(node->tag, digest), node->tag, digest, context->now_s, context->now_s + DL_TOKEN_CACHE_S,
                       out);
  return DL_GUARD_PASS;
}

/* Nobody's password is verified against somebody's, and is wrong all the same. */
static dl_guard_result check_password(const dl_guard_node *node, dl_guard_attempt *attempt, dl_str digest, dl_str name, dl_str password,
                                      dl_principal *out) {
  dl_guard_password *question = &attempt->context->password;
  const dl_basic_user *user = user_named(node, name);
  if (!question->answered) {
    question->stored = user ? user->stored : node->basic.users[0].stored;
    question->presented = password;
    return DL_GUARD_WAIT;
  }
  if (user && question->answer == DL_PASSWORD_OK) return pass(node, attempt, digest, user->name, out);
  return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID,
                         !user                                   ? "there is no such user"
                         : question->answer == DL_PASSWORD_WRONG ? "the password is wrong"
                                                                 : "the password could not be verified");
}

static dl_guard_result check_basic(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  dl_str credentials, name, password;
  const char *reason;
  unsigned char digest_bytes[DL_DIGEST_MAX];
  dl_credential found = dl_credential_authorization(context->request, DL_STR("Basic"), &credentials, &reason);
  if (found != DL_CREDENTIAL_FOUND) return dl_credential_refuse(attempt, node, found, reason);
  if (credentials.len > CREDENTIALS_MAX || !read_credentials(credentials, context->arena, &name, &password))
    return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "Authorization is no name and password in base64");
  dl_str digest = digest_of(node, credentials, digest_bytes);
  if (context->tokens &&
      dl_token_cache_get(context->tokens, dl_token_cache_hash(node->tag, digest), node->tag, digest, context->now_s, context->arena, out)) {
    dl_guard_accept(attempt, node, true);
    return DL_GUARD_PASS;
  }
  return check_password(node, attempt, digest, name, password, out);
}

const dl_guard_kind_row dl_guard_kind_basic = {DL_STR("basic"), compile_basic, check_basic, append_challenge};
