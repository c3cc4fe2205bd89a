/* SPDX-License-Identifier: MIT */
/*
 * Patterns of string fields, on PCRE2 with its JIT. A pattern can be slow to
 * write but not slow to run: the match limit ends it. They live as long as the
 * lua_State whose description named them, anchored in its registry.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/schema_internal.h"

#include "base/memory.h"

#include <pcre2.h>

#define PATTERN_METATABLE "demilune.pattern"

enum { JIT_STACK_SMALLEST = 32 * 1024, JIT_STACK_LARGEST = 1024 * 1024 };

/* One lua_State runs one match at a time, so all its patterns share these. */
struct dl_pattern_room {
  pcre2_match_data *data;
  pcre2_match_context *context;
  pcre2_jit_stack *stack;
};

struct dl_pattern {
  pcre2_code *code;
  dl_pattern_room *room; /* borrowed from the lua_State's home */
  dl_str text;           /* in the generation's arena */
  bool compiled;         /* to machine code */
};

dl_pattern_room *dl_pattern_room_new(void) {
  dl_pattern_room *room = dl_calloc(1, sizeof(*room));
  room->data = pcre2_match_data_create(1, NULL);
  room->context = pcre2_match_context_create(NULL);
  room->stack = pcre2_jit_stack_create(JIT_STACK_SMALLEST, JIT_STACK_LARGEST, NULL);
  if (!room->data || !room->context) dl_memory_exhausted(0);
  pcre2_set_match_limit(room->context, DL_SCHEMA_MATCH_LIMIT);
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
  pcre2_code_free(pattern->code);
  pattern->code = NULL;
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

dl_pattern *dl_pattern_compile(lua_State *L, dl_schema_home *home, dl_str text, dl_arena *arena, const char **error) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  /* "$" means the very end here, as in JSON Schema and Pydantic: without
   * DOLLAR_ENDONLY, "^[a-z]+$" would let a line feed at the end through. */
  uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, options, &code, &offset, NULL);
  if (!compiled) {
    char message[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
    *error = dl_arena_format(arena, "pattern \"%.*s\" does not compile: %s, at offset %zu", DL_STR_ARGS(text), message, (size_t)offset);
    return NULL;
  }
  dl_pattern *pattern = pattern_anchor(L);
  pattern->code = compiled;
  pattern->room = home->room;
  pattern->text = text;
  pattern->compiled = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
  return pattern;
}

dl_pattern_verdict dl_pattern_match(const dl_pattern *pattern, dl_str text) {
  const dl_pattern_room *room = pattern->room;
  PCRE2_SPTR subject = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
  int result = pattern->compiled ? pcre2_jit_match(pattern->code, subject, text.len, 0, 0, room->data, room->context)
                                 : pcre2_match(pattern->code, subject, text.len, 0, PCRE2_NO_UTF_CHECK, room->data, room->context);
  if (result >= 0) return DL_PATTERN_MATCHES;
  return result == PCRE2_ERROR_NOMATCH ? DL_PATTERN_DIFFERS : DL_PATTERN_GAVE_UP;
}

dl_str dl_pattern_text(const dl_pattern *pattern) { return pattern->text; }
