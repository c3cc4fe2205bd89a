/* SPDX-License-Identifier: MIT */
/*
 * Patterns of string fields, on PCRE2 with its JIT. A pattern can be slow to
 * write but not slow to run. The match limit ends what tries too often at one
 * place of the text, but counts anew at each place and counts no run over the
 * text: "[a-z]{2,}-[0-9]" is quadratic under it. So each pattern is compiled
 * twice, and what a text costs the second one, that is longer or that the first one
 * did not soon decide, is counted between its items, for all texts of a request together.
 * They live as long as the lua_State whose description named them, anchored in
 * its registry.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/schema_internal.h"

#include "base/memory.h"

#include <pcre2.h>

#define PATTERN_METATABLE "demilune.pattern"

enum {
  JIT_STACK_SMALLEST = 32 * 1024,
  JIT_STACK_LARGEST = 1024 * 1024,
  COUNTED_FROM = 64,      /* bytes of text; what is shorter is tried uncounted first */
  SOON = 100,             /* tries at one place by then */
  WORK_AT_LEAST = 100000, /* characters run over, and items tried: so many anyway, and more for each byte of text: */
  WORK_FOR_LONGEST = 128, /* of the longest one of a request, */
  WORK_FOR_EACH = 32      /* of the others */
};

/* One lua_State runs one match at a time, so all its patterns share these. */
struct dl_pattern_room {
  pcre2_match_data *data;
  pcre2_match_context *context;
  pcre2_jit_stack *stack;
  size_t at; /* of the match that runs, as the next one */
  int64_t work_left;
};

typedef struct matcher {
  pcre2_code *code;
  bool compiled; /* to machine code */
} matcher;

struct dl_pattern {
  matcher plain, counted;
  dl_pattern_room *room; /* borrowed from the lua_State's home */
  dl_str text;           /* in the generation's arena */
};

/* Called before each item of the pattern. Going back over the text is one step, whatever its length. */
static int count_work(pcre2_callout_block *block, void *data) {
  dl_pattern_room *room = data;
  int64_t work = 1 + (int64_t)(block->current_position > room->at ? block->current_position - room->at : 0);
  room->at = block->current_position;
  if (work > room->work_left) return PCRE2_ERROR_CALLOUT;
  room->work_left -= work;
  return 0;
}

dl_pattern_room *dl_pattern_room_new(void) {
  dl_pattern_room *room = dl_calloc(1, sizeof(*room));
  room->data = pcre2_match_data_create(1, NULL);
  room->context = pcre2_match_context_create(NULL);
  room->stack = pcre2_jit_stack_create(JIT_STACK_SMALLEST, JIT_STACK_LARGEST, NULL);
  if (!room->data || !room->context) dl_memory_exhausted(0);
  pcre2_set_callout(room->context, count_work, room);
  /* A system without executable memory has no such stack, and needs none. */
  if (room->stack) pcre2_jit_stack_assign(room->context, NULL, room->stack);
  return room;
}

void dl_pattern_room_free(dl_pattern_room *room) {
  if (!room) return;
  pcre2_match_data_free(room->data);
  pcre2_match_context_free(room->context);
  pcre2_jit_stack_free(room->stack);
  dl_free(room);
}

static int pattern_collect(lua_State *L) {
  dl_pattern *pattern = lua_touserdata(L, 1);
  pcre2_code_free(pattern->plain.code);
  pcre2_code_free(pattern->counted.code);
  pattern->plain.code = pattern->counted.code = NULL;
  return 0;
}

static dl_pattern *pattern_anchor(lua_State *L) {
  dl_pattern *pattern = lua_newuserdata(L, sizeof(*pattern));
  *pattern = (dl_pattern){0};
  if (luaL_newmetatable(L, PATTERN_METATABLE)) {
    lua_pushcfunction(L, pattern_collect);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  luaL_ref(L, LUA_REGISTRYINDEX);
  return pattern;
}

static bool compile(matcher *out, dl_str text, uint32_t more, dl_arena *arena, const char **error) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  /* "$" means the very end here, as in JSON Schema and Pydantic: without
   * DOLLAR_ENDONLY, "^[a-z]+$" would let a line feed at the end through. */
  uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | more;
  out->code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, options, &code, &offset, NULL);
  if (!out->code) {
    char message[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
    *error = dl_arena_format(arena, "pattern \"%.*s\" does not compile: %s, at offset %zu", DL_STR_ARGS(text), message, (size_t)offset);
    return false;
  }
  out->compiled = pcre2_jit_compile(out->code, PCRE2_JIT_COMPLETE) == 0;
  return true;
}

dl_pattern *dl_pattern_compile(lua_State *L, dl_schema_home *home, dl_str text, dl_arena *arena, const char **error) {
  dl_pattern *pattern = pattern_anchor(L);
  pattern->room = home->room;
  pattern->text = text;
  bool ok = compile(&pattern->plain, text, 0, arena, error) && compile(&pattern->counted, text, PCRE2_AUTO_CALLOUT, arena, error);
  return ok ? pattern : NULL;
}

/* A pattern may have callouts of its own, so that the first one is counted as well. */
static int run(dl_pattern_room *room, const matcher *with, dl_str text, uint32_t limit, int64_t work) {
  PCRE2_SPTR subject = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
  room->at = 0;
  room->work_left = work;
  pcre2_set_match_limit(room->context, limit);
  return with->compiled ? pcre2_jit_match(with->code, subject, text.len, 0, 0, room->data, room->context)
                        : pcre2_match(with->code, subject, text.len, 0, PCRE2_NO_UTF_CHECK, room->data, room->context);
}

/* What all texts so far may cost, less what they did. */
static int64_t work_left(const dl_pattern_account *account) {
  size_t others = account->bytes - account->longest;
  return WORK_AT_LEAST + (int64_t)(account->longest * WORK_FOR_LONGEST + others * WORK_FOR_EACH) - account->work;
}

static int run_counted(const dl_pattern *pattern, dl_str text, dl_pattern_account *account) {
  account->bytes += text.len;
  if (text.len > account->longest) account->longest = text.len;
  int64_t left = work_left(account);
  int result = run(pattern->room, &pattern->counted, text, DL_SCHEMA_MATCH_LIMIT, left);
  account->work += left - pattern->room->work_left;
  return result;
}

dl_pattern_verdict dl_pattern_match(const dl_pattern *pattern, dl_str text, dl_pattern_account *account) {
  int result = text.len < COUNTED_FROM ? run(pattern->room, &pattern->plain, text, SOON, WORK_AT_LEAST) : PCRE2_ERROR_MATCHLIMIT;
  if (result < 0 && result != PCRE2_ERROR_NOMATCH) result = run_counted(pattern, text, account);
  if (result >= 0) return DL_PATTERN_MATCHES;
  return result == PCRE2_ERROR_NOMATCH ? DL_PATTERN_DIFFERS : DL_PATTERN_GAVE_UP;
}

dl_str dl_pattern_text(const dl_pattern *pattern) { return pattern->text; }
