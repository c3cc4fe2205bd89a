/* SPDX-License-Identifier: MIT */
/*
 * core.idempotency_of: two digests of a request on an idempotent route, by which
 * lua/demilune/idempotency.lua keeps its answer. The key itself never gets into Lua.
 * core.keep_answer: from now on the answer is kept before it is sent (app/handle.c).
 */
#include "bridge/bridge.h"
#include "bridge/request.h"

#include <lauxlib.h>
#include <stdlib.h>

/* With its length in front, so that no choice of one part looks like another. */
static void add(dl_buffer *out, dl_str part) {
  dl_buffer_append_uint(out, part.len);
  dl_buffer_append_char(out, ':');
  dl_buffer_append_str(out, part);
}

static int compare(const void *left, const void *right) {
  const dl_str *a = left, *b = right;
  size_t shorter = a->len < b->len ? a->len : b->len;
  int order = shorter ? memcmp(a->ptr, b->ptr, shorter) : 0;
  return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* In an order of ours: who gives out tokens may shuffle them. */
static void add_names(dl_buffer *out, const dl_str *names, uint32_t count, dl_arena *arena) {
  dl_str *sorted = dl_arena_alloc(arena, (count + 1) * sizeof *sorted);
  for (uint32_t i = 0; i < count; i++) sorted[i] = names[i];
  if (count > 1) qsort(sorted, count, sizeof *sorted, compare);
  dl_buffer_append_uint(out, count);
  for (uint32_t i = 0; i < count; i++) add(out, sorted[i]);
}

static void push_digest(lua_State *L, dl_buffer *text) {
  dl_bridge_push_sha256(L, dl_buffer_str(text));
  dl_buffer_clear(text);
}

/* Whose key it is, on which route: another principal's is another key. */
static void push_scope(lua_State *L, const dl_request_view *view, dl_buffer *text) {
  add(text, dl_principal_key(&view->principal, view->arena));
  add(text, view->http->method_text);
  add(text, view->route);
  add(text, view->idempotency_key);
  push_digest(L, text);
}

/* What was asked for. Roles and scopes too: the answer was made for who has them. */
static void push_fingerprint(lua_State *L, const dl_request_view *view, dl_buffer *text) {
  dl_str body;
  dl_bridge_push_sha256(L, view->body);
  body.ptr = lua_tolstring(L, -1, &body.len);
  add(text, view->http->method_text);
  add(text, dl_request_host(view));
  add(text, view->http->target);
  add(text, dl_http_request_header(view->http, DL_HEADER_CONTENT_TYPE));
  add(text, body);
  add_names(text, view->principal.roles, view->principal.role_count, view->arena);
  add_names(text, view->principal.scopes, view->principal.scope_count, view->arena);
  lua_pop(L, 1);
  push_digest(L, text);
}

/* idempotency_of(request) → digest of the key, digest of the request, seconds after
 * which the handler has surely ended; nothing when no key was sent. */
static int bridge_idempotency_of(lua_State *L) {
  const dl_request_view *view = dl_request_view_of(L);
  dl_buffer text = {0};
  if (!view->idempotency_key.len) return 0;
  if (!view->principal.subject.len && !view->principal.name.len)
    return luaL_error(
        L, "the route is idempotent, and its guard found somebody without a name, so that another one could be given the answer; give tokens a sub");
  luaL_checkstack(L, 8, "digests");
  push_scope(L, view, &text);
  push_fingerprint(L, view, &text);
  dl_buffer_free(&text);
  lua_pushnumber(L, (double)view->attempt_us / 1e6);
  return 3;
}

static const luaL_Reg functions[] = {{"idempotency_of", bridge_idempotency_of}, {"keep_answer", dl_request_keep_answer}, {NULL, NULL}};

void dl_bridge_idempotency(lua_State *L) { luaL_register(L, NULL, functions); }
