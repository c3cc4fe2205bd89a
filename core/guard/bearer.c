/* SPDX-License-Identifier: MIT */
/*
 * Bearer tokens (RFC 6750): JSON Web Tokens in Authorization, or in a cookie where
 * the app says so, never in a query or a form. What is wrong with a token reaches
 * the log; the client learns that it is not taken.
 */
#include "guard/handles.h"
#include "guard/internal.h"

enum { LIFETIME_MAX_S = 315360000 };

/* --- compiling ------------------------------------------------------------------------ */

static bool compile_audience(dl_guard_compiler *compiler, int table, dl_jwt_rules *rules) {
  const dl_str *names;
  uint32_t count;
  if (!dl_guard_texts(compiler, table, "audience", &names, &count)) return false;
  /* A list of nobody would be no rule at all: every token of the issuer, for whomever it was made. */
  if (names && !count)
    return dl_guard_fail(compiler, "audience should name one at least, such as \"https://api.example\"; leave it out to ask for none");
  if (count > DL_JWT_AUDIENCES_MAX) return dl_guard_fail(compiler, "audience should name at most %d", DL_JWT_AUDIENCES_MAX);
  for (uint32_t i = 0; i < count; i++) rules->audiences[i] = names[i];
  rules->audience_count = count;
  return true;
}

static bool compile_times(dl_guard_compiler *compiler, int table, dl_jwt_rules *rules) {
  int64_t leeway, lifetime;
  if (!dl_guard_seconds(compiler, table, "leeway", 0, DL_JWT_LEEWAY_MAX_S, &leeway)) return false;
  if (!dl_guard_seconds(compiler, table, "lifetime", 0, LIFETIME_MAX_S, &lifetime)) return false;
  if (!lifetime) return dl_guard_fail(compiler, "a bearer guard needs a lifetime, the longest that a token may live: write lifetime = \"15m\"");
  rules->leeway_s = (uint32_t)leeway;
  rules->lifetime_s = (uint32_t)lifetime;
  return true;
}

static bool compile_bearer(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  dl_jwt_rules *rules = &node->bearer.rules;
  node->bearer.keys = dl_guard_userdata(compiler, table, "keys", DL_KEY_SET_METATABLE, "a key set: give the guard a secret, a key or a file of keys");
  if (!node->bearer.keys) return false;
  if (!node->bearer.keys->count) return dl_guard_fail(compiler, "keys should hold a key at least");
  bool read = dl_guard_quotable(compiler, table, "realm", &node->realm) && dl_guard_name(compiler, table, "cookie", &node->cookie) &&
              dl_guard_text(compiler, table, "issuer", &rules->issuer) && dl_guard_text(compiler, table, "roles_claim", &node->bearer.roles_claim) &&
              dl_guard_text(compiler, table, "scope_claim", &node->bearer.scope_claim) &&
              dl_guard_quotable(compiler, table, "resource_metadata", &node->bearer.metadata);
  if (!read || !compile_audience(compiler, table, rules) || !compile_times(compiler, table, rules)) return false;
  if (!node->realm.len) node->realm = DL_STR("api"); /* RFC 6750 3: a challenge has one parameter at least */
  if (!node->bearer.roles_claim.len) node->bearer.roles_claim = DL_STR("roles");
  if (!node->bearer.scope_claim.len) node->bearer.scope_claim = DL_STR("scope");
  return true;
}

static void append_challenge(const dl_guard_node *node, dl_guard_error error, dl_buffer *out) {
  static const char *const errors[DL_GUARD_ERROR_COUNT] = {
      [DL_GUARD_ERROR_ABSENT] = "",
      [DL_GUARD_ERROR_INVALID] = ", error=\"invalid_token\"",
      [DL_GUARD_ERROR_INSUFFICIENT] = ", error=\"insufficient_scope\"",
      [DL_GUARD_ERROR_MALFORMED] = ", error=\"invalid_request\"",
  };
  dl_buffer_printf(out, "Bearer realm=\"%.*s\"%s", DL_STR_ARGS(node->realm), errors[error]);
  if (node->bearer.metadata.len) dl_buffer_printf(out, ", resource_metadata=\"%.*s\"", DL_STR_ARGS(node->bearer.metadata)); /* RFC 9728 5.1 */
}

/* --- checking --------------------------------------------------------------------------- */

/* b64token of RFC 6750 2.1, whose padding no token of ours has. By a table: branches
 * would take longer for one signature than for another. */
static const bool token68[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['+'] = true,         ['/'] = true,
};

static bool is_token68(dl_str token) {
  while (token.len && token.ptr[token.len - 1] == '=') token.len--;
  for (size_t i = 0; i < token.len; i++)
    if (!token68[(unsigned char)token.ptr[i]]) return false;
  return token.len > 0;
}

static dl_str text_claim(const dl_value *claims, dl_str name) {
  const dl_value *claim = dl_guard_claim(claims, name);
  return claim && claim->kind == DL_VALUE_STRING ? dl_value_str(claim) : (dl_str){0};
}

static bool make_principal(const dl_guard_node *node, const dl_jwt *jwt, dl_arena *arena, dl_principal *out) {
  dl_value *claims = dl_arena_alloc(arena, sizeof(*claims));
  if (!dl_guard_claims(jwt->claims, arena, claims)) return false;
  *out = (dl_principal){.guard = node->kind->name, .claims = claims};
  out->subject = text_claim(claims, DL_STR("sub"));
  out->issuer = text_claim(claims, DL_STR("iss"));
  out->roles = dl_guard_claim_names(claims, node->bearer.roles_claim, false, arena, &out->role_count);
  out->scopes = dl_guard_claim_names(claims, node->bearer.scope_claim, true, arena, &out->scope_count);
  return true;
}

static dl_guard_result verify(const dl_guard_node *node, dl_guard_attempt *attempt, dl_str token, uint64_t hash, bool in_field, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  dl_jwt jwt;
  dl_jwt_result result = dl_jwt_verify(node->bearer.keys, &node->bearer.rules, context->now_s, token, &jwt);
  if (result != DL_JWT_OK) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, dl_jwt_reason(result));
  bool made = make_principal(node, &jwt, context->arena, out);
  int64_t expires_s = jwt.expires_s;
  dl_jwt_free(&jwt);
  if (!made) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "its claims are nested too deep");
  if (context->tokens) dl_token_cache_put(context->tokens, hash, node->tag, token, context->now_s, expires_s, out);
  dl_guard_accept(attempt, node, !in_field);
  return DL_GUARD_PASS;
}

/* A cache hit has been through all of verify, and through the grammar. */
static dl_guard_result admit(const dl_guard_node *node, dl_guard_attempt *attempt, dl_str token, bool in_field, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  uint64_t hash = 0;
  if (token.len > DL_JWT_MAX) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, dl_jwt_reason(DL_JWT_TOO_LONG));
  if (context->tokens) {
    hash = dl_token_cache_hash(node->tag, token);
    if (dl_token_cache_get(context->tokens, hash, node->tag, token, context->now_s, context->arena, out)) {
      dl_guard_accept(attempt, node, !in_field);
      return DL_GUARD_PASS;
    }
  }
  if (in_field && !is_token68(token))
    return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_MALFORMED, "Authorization holds more than one token, or a character that no token has");
  return verify(node, attempt, token, hash, in_field, out);
}

static dl_guard_result check_bearer(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  dl_str token, cookie;
  const char *reason, *cookie_reason;
  dl_credential found = dl_credential_authorization(attempt->context->request, DL_STR("Bearer"), &token, &reason);
  if (found == DL_CREDENTIAL_MALFORMED || !node->cookie.len)
    return found == DL_CREDENTIAL_FOUND ? admit(node, attempt, token, true, out) : dl_credential_refuse(attempt, node, found, reason);
  dl_credential in_cookie = dl_credential_cookie(attempt->context, node->cookie, &cookie, &cookie_reason);
  if (in_cookie == DL_CREDENTIAL_MALFORMED) return dl_credential_refuse(attempt, node, in_cookie, cookie_reason);
  if (found == DL_CREDENTIAL_FOUND && in_cookie == DL_CREDENTIAL_FOUND)
    return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_MALFORMED, "there is a token in Authorization and another in a cookie");
  if (found == DL_CREDENTIAL_FOUND) return admit(node, attempt, token, true, out);
  return in_cookie == DL_CREDENTIAL_FOUND ? admit(node, attempt, cookie, false, out) : dl_credential_refuse(attempt, node, found, reason);
}

const dl_guard_kind_row dl_guard_kind_bearer = {DL_STR("bearer"), compile_bearer, check_bearer, append_challenge};
