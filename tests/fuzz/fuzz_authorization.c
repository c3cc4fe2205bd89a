/* SPDX-License-Identifier: MIT */
/*
 * Credentials from any bytes: the input is the field lines of a request's head, as
 * the parser lets them through. Guards of every kind look at them. Nobody passes
 * without the one token, key or password that exists, whatever the cache holds, and
 * what is answered is never made of what was sent.
 */
#include "../unit/guard_world.h"

/* Lua's heap is not searched for pointers, so the keys it holds would count as
 * leaked; the unit tests, which close their lua_State, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

enum { GUARDS = 9 };

static const char *const descriptions[GUARDS] = {
    "bearer",
    "api_key",
    "session",
    "{ kind = 'bearer', keys = keys, lifetime = 900, cookie = 'access', realm = 'users' }",
    "{ kind = 'basic', users = { ali = '$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } }",
    "{ kind = 'any', members = { bearer, api_key, session } }",
    "{ kind = 'api_key', header = 'X-API-Key', find = function() end }",
    "{ kind = 'any', members = { { kind = 'api_key', header = 'X-Stored', find = function() end }, session, bearer } }",
    "{ kind = 'role', names = 'admin', member = { kind = 'scope', names = 'read', member = { kind = 'any', members = { api_key, bearer } } } }",
};

typedef struct fuzz_world {
  guard_world *w;
  const dl_guard *guards[GUARDS];
  dl_str token;
} fuzz_world;

static void make_world(fuzz_world *f) {
  f->w = world_open();
  for (int i = 0; i < GUARDS; i++) {
    f->guards[i] = world_guard(f->w, descriptions[i]);
    if (!f->guards[i]) world_broken(f->w->error);
  }
  f->token = dl_str_of(world_text(f->w, "keys:sign '{\"sub\":\"7\",\"exp\":1800000600,\"scope\":\"read\"}'"));
}

static bool holds(dl_str text, dl_str part) { return memmem(text.ptr, text.len, part.ptr, part.len) != NULL; }

/* Lines of the guards' own making, which the fuzzer's bytes are no part of. */
static void check_challenge(dl_str challenge) {
  static const dl_str start = {"WWW-Authenticate: ", 18};
  while (challenge.len) {
    const char *end = memchr(challenge.ptr, '\r', challenge.len);
    if (!dl_str_starts(challenge, start) || !end || end[1] != '\n') world_broken("a challenge is no whole line");
    for (const char *p = challenge.ptr; p < end; p++)
      if (*p < 0x20 || *p > 0x7e) world_broken("a challenge holds a byte of somebody else's");
    challenge = dl_str_skip(challenge, (size_t)(end - challenge.ptr) + 2);
  }
}

static void check_refusal(const guard_world *w, dl_guard_result result) {
  if (!w->context.reason) world_broken("a refusal without a reason");
  if (!w->context.challenge.len && result != DL_GUARD_FORBIDDEN) world_broken("a 401 or 400 without a challenge");
  check_challenge(w->context.challenge);
  if (result != DL_GUARD_FORBIDDEN && w->principal.guard.len) world_broken("a refused request has a principal");
}

static void check_guard(const fuzz_world *f, const dl_guard *guard, dl_str lines) {
  guard_world *w = f->w;
  dl_guard_result first = world_check(w, guard);
  const char *reason = w->context.reason;
  if (world_check(w, guard) != first || w->context.reason != reason) world_broken("the cache changes the answer");
  if (first == DL_GUARD_WAIT) { /* a wrong password, after the thread pool has said so */
    w->context.password.answered = true;
    w->context.password.answer = DL_PASSWORD_WRONG;
    first = dl_guard_check(guard, &w->context, &w->principal);
    if (first != DL_GUARD_UNAUTHENTICATED) world_broken("a wrong password is taken");
  }
  if (first == DL_GUARD_ASK) { /* a key that the store does not know */
    lua_State *L = dl_lua_state(w->lua);
    if (w->context.key.digest.len != 64) world_broken("a store is asked by what is no digest");
    if (!dl_guard_take_key(&w->context, L, lua_gettop(L) + 1)) world_broken("nothing is an answer too");
    first = dl_guard_check(guard, &w->context, &w->principal);
    if (first == DL_GUARD_ASK) world_broken("a store is asked twice");
  }
  bool genuine = holds(lines, f->token) || holds(lines, DL_STR("the new key")) || holds(lines, DL_STR("the old key"));
  if ((first == DL_GUARD_PASS || first == DL_GUARD_FORBIDDEN) && !(genuine && w->principal.guard.len))
    world_broken("a stranger was taken for somebody");
  if (first != DL_GUARD_PASS) check_refusal(w, first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz_world f;
  if (!f.w) make_world(&f);
  dl_str lines = dl_str_from((const char *)data, size);
  if (!world_parse(f.w, lines)) return 0;
  for (int i = 0; i < GUARDS; i++) check_guard(&f, f.guards[i], lines);
  return 0;
}
