/* SPDX-License-Identifier: MIT */
/*
 * Nanoseconds of processor time for one guard check, the best of many rounds: a token
 * verified anew, one seen before, an API key, a session, and what refusing costs.
 */
#include "../unit/guard_world.h"

#include <time.h>

enum { ROUNDS = 200, CHECKS = 500 };

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void run(guard_world *w, const char *name, const dl_guard *guard, const char *lines, bool cached, dl_guard_result wanted) {
  double best = 1e18;
  if (!guard) world_broken(w->error);
  if (!world_parse(w, dl_str_of(lines))) world_broken("the head does not parse");
  dl_guard_context context = {.request = &w->request, .arena = &w->arena, .tokens = cached ? w->tokens : NULL, .now_s = NOW};
  dl_arena scratch; /* the head's fields live in the world's */
  dl_arena_init(&scratch, 16384);
  context.arena = &scratch;
  for (int round = 0; round < ROUNDS; round++) {
    double begin = now_ns();
    for (int i = 0; i < CHECKS; i++) {
      dl_arena_reset(&scratch);
      if (dl_guard_check(guard, &context, &w->principal) != wanted) world_broken(name);
    }
    double each = (now_ns() - begin) / CHECKS;
    if (each < best) best = each;
  }
  printf("%-44s %8.0f ns\n", name, best);
  dl_arena_free(&scratch);
}

static const char *field(guard_world *w, const char *format, const char *expression) {
  char lines[12000];
  snprintf(lines, sizeof(lines), format, world_text(w, expression));
  return dl_arena_copy(dl_bridge_arena(dl_lua_state(w->lua)), dl_str_of(lines)).ptr;
}

static void push_principal(guard_world *w, const char *lines) {
  lua_State *L = dl_lua_state(w->lua);
  double best = 1e18;
  world_parse(w, dl_str_of(lines));
  world_check(w, world_guard(w, "bearer"));
  for (int round = 0; round < ROUNDS; round++) {
    double begin = now_ns();
    for (int i = 0; i < CHECKS; i++) {
      dl_principal_push(L, &w->principal, false);
      lua_settop(L, 0);
    }
    double each = (now_ns() - begin) / CHECKS;
    if (each < best) best = each;
  }
  printf("%-44s %8.0f ns\n", "the principal as a Lua table, without claims", best);
}

int main(void) {
  guard_world *w = world_open();
  const dl_guard *bearer = world_guard(w, "bearer"), *api_key = world_guard(w, "api_key");
  const dl_guard *admin = world_guard(w, "{ kind = 'role', names = { 'admin' }, member = bearer }");
  const dl_guard *curve = world_guard(w, "{ kind = 'bearer', keys = ed, lifetime = 900 }");
#define CLAIMS "{ sub = '42', iat = 1800000000, roles = { 'user' }, scope = 'read write', iss = 'https://id.example' }"
  const char *small = field(w, "Authorization: Bearer %s\r\n", "token { sub = '42', roles = { 'admin' } }");
  const char *good = field(w, "Authorization: Bearer %s\r\n", "token " CLAIMS);
  const char *ed = field(w, "Authorization: Bearer %s\r\n", "token(" CLAIMS ", ed)");
  const char *bad = field(w, "Authorization: Bearer %s\r\n", "token(" CLAIMS ", other)");
  const char *session = field(w, "Cookie: a=b; __Host-session=%s\r\n",
                              "sealer:seal('__Host-session', core.json_encode{ sub = '42', roles = { 'user' }, exp = 1800000600 })");
  run(w, "public", world_guard(w, "{ kind = 'public' }"), "", true, DL_GUARD_PASS);
  run(w, "bearer, HS256, verified anew", bearer, good, false, DL_GUARD_PASS);
  run(w, "bearer, HS256, seen before", bearer, good, true, DL_GUARD_PASS);
  run(w, "bearer, HS256, two claims, seen before", bearer, small, true, DL_GUARD_PASS);
  run(w, "bearer and role, HS256, seen before", admin, small, true, DL_GUARD_PASS);
  run(w, "bearer, EdDSA, verified anew", curve, ed, false, DL_GUARD_PASS);
  run(w, "bearer, EdDSA, seen before", curve, ed, true, DL_GUARD_PASS);
  run(w, "bearer, no credentials: 401", bearer, "", true, DL_GUARD_UNAUTHENTICATED);
  run(w, "bearer, wrong key: 401", bearer, bad, true, DL_GUARD_UNAUTHENTICATED);
  run(w, "bearer, role lacks: 403", admin, good, true, DL_GUARD_FORBIDDEN);
  run(w, "API key", api_key, "X-API-Key: the new key\r\n", true, DL_GUARD_PASS);
  run(w, "API key, none of ours: 401", api_key, "X-API-Key: no key at all\r\n", true, DL_GUARD_UNAUTHENTICATED);
  run(w, "session", world_guard(w, "session"), session, true, DL_GUARD_PASS);
  push_principal(w, good);
  world_close(w);
  return 0;
}
