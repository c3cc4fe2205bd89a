/* SPDX-License-Identifier: MIT */
/*
 * Sessions in a sealed cookie: a JSON object { sub, roles, scopes, exp, ... } that
 * the client carries and can neither read nor change. Its purpose is the cookie's
 * name, so that what was sealed as another cookie is no session.
 */
#include "guard/handles.h"
#include "guard/internal.h"

#include "model/json.h"

/* The machine that sealed a session may be ahead of this one by a little. */
enum { LIFETIME_MAX_S = 31536000, LEEWAY_S = 30 };

static bool compile_session(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  const dl_sealer_handle *handle = dl_guard_userdata(compiler, table, "sealer", DL_SEALER_METATABLE, "a sealer: give the guard a secret");
  if (!handle) return false;
  node->session.sealer = handle->sealer;
  if (!dl_guard_name(compiler, table, "cookie", &node->cookie)) return false;
  if (!node->cookie.len) return dl_guard_fail(compiler, "a session needs the name of its cookie: write cookie = \"__Host-session\"");
  if (!dl_guard_seconds(compiler, table, "lifetime", 0, LIFETIME_MAX_S, &node->session.lifetime_s)) return false;
  return node->session.lifetime_s || dl_guard_fail(compiler, "a session needs a lifetime: write lifetime = \"12h\"");
}

static void append_challenge(const dl_guard_node *node, dl_guard_error error, dl_buffer *out) {
  (void)error;
  dl_buffer_printf(out, "Cookie cookie-name=\"%.*s\"", DL_STR_ARGS(node->cookie));
}

/* Opens the cookie into a value in the request's arena; gives what is wrong, or NULL. */
static const char *open_session(const dl_guard_node *node, dl_guard_context *context, dl_str sealed, dl_value *out) {
  dl_buffer plain = {0};
  dl_json_error error;
  bool opened = dl_unseal(node->session.sealer, node->cookie, sealed, &plain, NULL);
  dl_str text = opened ? dl_arena_copy(context->arena, dl_buffer_str(&plain)) : (dl_str){0};
  dl_buffer_free(&plain);
  if (!opened) return "the session cookie was not sealed by us";
  if (!dl_json_read(context->arena, text, &(dl_json_limits){.max_depth = DL_GUARD_CLAIMS_DEPTH_MAX}, out, &error) || out->kind != DL_VALUE_OBJECT)
    return "the session is no JSON object";
  return NULL;
}

static const char *check_claims(const dl_guard_node *node, const dl_value *claims, int64_t now_s) {
  const dl_value *expires = dl_guard_claim(claims, DL_STR("exp")), *subject = dl_guard_claim(claims, DL_STR("sub"));
  if (!subject || subject->kind != DL_VALUE_STRING) return "the session has no sub";
  if (!expires || (expires->kind != DL_VALUE_INTEGER && expires->kind != DL_VALUE_NUMBER)) return "the session has no exp";
  double at = expires->kind == DL_VALUE_INTEGER ? (double)expires->integer : expires->number;
  if ((double)now_s >= at) return "the session has expired";
  return at > (double)(now_s + node->session.lifetime_s + LEEWAY_S) ? "the session's exp lies further ahead than the guard's lifetime" : NULL;
}

static dl_guard_result check_session(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  dl_str sealed;
  const char *reason;
  dl_credential found = dl_credential_cookie(context, node->cookie, &sealed, &reason);
  if (found != DL_CREDENTIAL_FOUND) return dl_credential_refuse(attempt, node, found, reason);
  dl_value *claims = dl_arena_alloc(context->arena, sizeof(*claims));
  reason = open_session(node, context, sealed, claims);
  if (!reason) reason = check_claims(node, claims, context->now_s);
  if (reason) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, reason);
  *out = (dl_principal){.guard = node->kind->name, .claims = claims, .subject = dl_value_str(dl_guard_claim(claims, DL_STR("sub")))};
  out->roles = dl_guard_claim_names(claims, DL_STR("roles"), false, context->arena, &out->role_count);
  out->scopes = dl_guard_claim_names(claims, DL_STR("scopes"), true, context->arena, &out->scope_count);
  dl_guard_accept(attempt, node, true);
  return DL_GUARD_PASS;
}

const dl_guard_kind_row dl_guard_kind_session = {DL_STR("session"), compile_session, check_session, append_challenge};
