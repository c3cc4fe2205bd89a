/* SPDX-License-Identifier: MIT */
/*
 * Patterns: what stands before the first NUL is a pattern, as an app would declare
 * it, the rest what a client sends. Machine code and the interpreter of PCRE2 must
 * agree, no pair may take long, and a pattern that is refused says why.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "fuzz.h"

#include "base/utf8.h"
#include "model/schema_internal.h"

#include <lualib.h>
#include <pcre2.h>
#include <time.h>

enum { SLOW_MS = 2000 };

/* Lua's heap is not searched for pointers, so all it holds would count as leaked;
 * the unit tests, which close their lua_State, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

static int64_t cpu_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Without machine code, and with as much patience; GAVE_UP when that is not enough. */
static dl_pattern_verdict interpret(dl_str text, dl_str subject) {
  int error;
  PCRE2_SIZE offset;
  uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, options, &error, &offset, NULL);
  require(code != NULL, "a pattern compiles twice");
  pcre2_match_data *match = pcre2_match_data_create(1, NULL);
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  pcre2_set_match_limit(context, 10 * DL_SCHEMA_MATCH_LIMIT);
  int result = pcre2_match(code, (PCRE2_SPTR)subject.ptr, subject.len, 0, PCRE2_NO_JIT, match, context);
  pcre2_match_context_free(context);
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  if (result >= 0) return DL_PATTERN_MATCHES;
  return result == PCRE2_ERROR_NOMATCH ? DL_PATTERN_DIFFERS : DL_PATTERN_GAVE_UP;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_str rest = dl_str_from((const char *)data, size), text = take_until(&rest, 0);
  if (size > 2000 || !dl_utf8_valid(rest)) return 0; /* a value that is matched was found valid before */
  char *copy = exact_copy(rest);
  dl_str subject = dl_str_from(copy, rest.len);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  lua_State *L = luaL_newstate();
  dl_schema_home home = {.room = dl_pattern_room_new()};
  const char *error = NULL;
  text = dl_arena_copy(&arena, text);
  dl_pattern *pattern = dl_pattern_compile(L, &home, text, &arena, &error);
  require((pattern == NULL) == (error != NULL), "a pattern is compiled, or refused with a reason");
  if (pattern) {
    int64_t began_ms = cpu_ms();
    dl_pattern_account account = {0}, again = {0};
    dl_pattern_verdict verdict = dl_pattern_match(pattern, subject, &account);
    require(cpu_ms() - began_ms < SLOW_MS, "no pattern takes long");
    require(dl_pattern_match(pattern, subject, &again) == verdict && again.work == account.work, "a pattern says and costs the same twice");
    dl_pattern_verdict slow = interpret(text, subject);
    if (verdict != DL_PATTERN_GAVE_UP && slow != DL_PATTERN_GAVE_UP) require(verdict == slow, "machine code and interpreter agree");
  }
  lua_close(L);
  dl_pattern_room_free(home.room);
  dl_arena_free(&arena);
  free(copy);
  return 0;
}
