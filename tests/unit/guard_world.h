/* SPDX-License-Identifier: MIT */
/*
 * A lua_State with keys, guards compiled from Lua text, and requests whose head is
 * parsed as a connection would have it, in heap blocks of exactly their size. For
 * unit tests, the fuzzer of Authorization and the benchmark.
 */
#ifndef DL_TESTS_GUARD_WORLD_H
#define DL_TESTS_GUARD_WORLD_H

#include "bridge/bridge.h"
#include "guard/guard.h"
#include "http/parser.h"

#include <lauxlib.h>

#include <stdio.h>
#include <stdlib.h>

enum { NOW = 1800000000 };

typedef struct guard_world {
  dl_loop loop;
  dl_lua *lua;
  dl_token_cache *tokens;
  dl_arena arena;
  dl_http_parser *parser;
  char *block; /* the head's bytes */
  dl_http_request request;
  dl_guard_context context;
  dl_principal principal;
  const char *error; /* of the last compilation */
  dl_buffer text;
} guard_world;

static _Noreturn void world_broken(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

static inline void world_run(guard_world *w, const char *chunk) {
  if (luaL_dostring(dl_lua_state(w->lua), chunk)) world_broken(lua_tostring(dl_lua_state(w->lua), -1));
}

#define WORLD_SECRET "a secret of at least thirty-two bytes for HS256"

/* Globals of the chunks: keys of both sorts, a sealer, and the guards most tests use. */
static const char world_prelude[] =
    "core = require 'demilune.core'\n"
    "secret = '" WORLD_SECRET "'\n"
    "keys = core.key_set { { secret = core.secret(secret), algorithm = 'HS256' } }\n"
    "other = core.key_set { { secret = 'another secret of at least thirty-two bytes', algorithm = 'HS256' } }\n"
    "ed = core.key_set { { jwks = "
    "[[{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
    "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}]}]] } }\n"
    "sealer = core.sealer { core.secret(secret) }\n"
    "bearer = { kind = 'bearer', keys = keys, lifetime = 900, realm = 'users' }\n"
    "api_key = { kind = 'api_key', header = 'X-API-Key', keys = {\n"
    "  { name = 'new', digest = core.sha256_hex 'the new key', roles = { 'service' }, scopes = { 'read', 'write' } },\n"
    "  { name = 'old', digest = core.sha256_hex 'the old key', roles = { 'service' }, expires = 1800000100 } } }\n"
    "session = { kind = 'session', cookie = '__Host-session', sealer = sealer, lifetime = 3600 }\n"
    "function token(claims, set) claims.exp = claims.exp or 1800000600 return (set or keys):sign(claims) end\n";

static inline guard_world *world_open(void) {
  guard_world *w = calloc(1, sizeof(*w));
  w->loop.uv = uv_default_loop();
  dl_clock_update(&w->loop.clock);
  dl_log_init(&w->loop.log, 2, DL_LOG_TEXT, DL_LOG_WARNING, &w->loop.clock);
  w->lua = dl_lua_new(&w->loop);
  w->tokens = dl_token_cache_new();
  w->parser = dl_http_parser_new(&(dl_http_limits){65536, 8192, 300});
  dl_arena_init(&w->arena, 4096);
  w->context.now_s = NOW;
  world_run(w, world_prelude);
  return w;
}

static inline void world_close(guard_world *w) {
  dl_lua_free(w->lua);
  dl_log_free(&w->loop.log);
  dl_token_cache_free(w->tokens);
  dl_http_parser_free(w->parser);
  dl_arena_free(&w->arena);
  dl_buffer_free(&w->text);
  free(w->block);
  free(w);
}

/* The guard that a Lua expression describes, or NULL with the world's error. */
static inline const dl_guard *world_guard(guard_world *w, const char *expression) {
  lua_State *L = dl_lua_state(w->lua);
  lua_pushfstring(L, "return %s", expression);
  if (luaL_dostring(L, lua_tostring(L, -1))) world_broken(lua_tostring(L, -1));
  const dl_guard *guard = dl_guard_compile(L, -1, dl_bridge_crypto_of(L), dl_bridge_arena(L), &w->error);
  lua_settop(L, 0);
  if (!guard != (w->error != NULL)) world_broken("a guard with an error, or none without one");
  return guard;
}

/* The text that a Lua expression gives; lives until the state ends. */
static inline const char *world_text(guard_world *w, const char *expression) {
  lua_State *L = dl_lua_state(w->lua);
  size_t length;
  lua_pushfstring(L, "return %s", expression);
  if (luaL_dostring(L, lua_tostring(L, -1))) world_broken(lua_tostring(L, -1));
  const char *text = lua_tolstring(L, -1, &length);
  text = dl_arena_copy(dl_bridge_arena(L), dl_str_from(text, length)).ptr;
  lua_settop(L, 0);
  return text;
}

/* Parses a head with those field lines. False when the parser refuses it. */
static inline bool world_parse(guard_world *w, dl_str lines) {
  size_t consumed;
  dl_buffer_clear(&w->text);
  DL_BUFFER_LITERAL(&w->text, "GET /me HTTP/1.1\r\nHost: a\r\n");
  dl_buffer_append_str(&w->text, lines);
  DL_BUFFER_LITERAL(&w->text, "\r\n");
  free(w->block);
  w->block = malloc(w->text.len);
  memcpy(w->block, w->text.data, w->text.len);
  dl_arena_reset(&w->arena);
  dl_http_parser_reset(w->parser);
  return dl_http_parser_head(w->parser, dl_str_from(w->block, w->text.len), &w->arena, &w->request, &consumed) == DL_HTTP_DONE &&
         consumed == w->text.len;
}

/* Checks what was parsed, with the cache, at the context's time. */
static inline dl_guard_result world_check(guard_world *w, const dl_guard *guard) {
  w->context = (dl_guard_context){.request = &w->request, .arena = &w->arena, .tokens = w->tokens, .now_s = w->context.now_s};
  return dl_guard_check(guard, &w->context, &w->principal);
}

#endif
