/* SPDX-License-Identifier: MIT */
/*
 * Reading a description: which options each kind has, and one option at a time
 * out of the Lua table. Load time only. Every mistake is named with what to
 * write instead.
 */
#include "model/schema_internal.h"

#include "base/utf8.h"

#include <math.h>

#define KIND(name) (1u << DL_KIND_##name)

enum {
  TEXTS = KIND(STRING) | KIND(EMAIL) | KIND(URL),
  NUMBERS = KIND(INTEGER) | KIND(INT64) | KIND(NUMBER) | KIND(DECIMAL),
  TIMES = KIND(DATE) | KIND(TIME) | KIND(DATETIME),
  OTHER_TEXTS = KIND(UUID) | KIND(IPV4) | KIND(IPV6) | KIND(CIDR) | KIND(DECIMAL) | TIMES,
  EVERY = (1u << DL_KIND_COUNT) - 1
};

typedef struct option_row {
  const char *name;
  uint32_t kinds;
  bool of_references; /* stands beside { kind = "ref" } too */
} option_row;

static const option_row option_rows[] = {
    {"min_length", TEXTS | KIND(BYTES), false},
    {"max_length", TEXTS | KIND(BYTES) | KIND(SECRET) | KIND(FILE), false},
    {"pattern", TEXTS, false},
    {"strip", TEXTS | OTHER_TEXTS, false},
    {"lower", TEXTS | OTHER_TEXTS, false},
    {"utc", KIND(DATETIME), false},
    {"ge", NUMBERS | TIMES | KIND(DURATION), false},
    {"gt", NUMBERS | TIMES | KIND(DURATION), false},
    {"le", NUMBERS | TIMES | KIND(DURATION), false},
    {"lt", NUMBERS | TIMES | KIND(DURATION), false},
    {"multiple_of", NUMBERS, false},
    {"min_bytes", KIND(SECRET), false},
    {"values", KIND(LITERAL) | KIND(MAP), false},
    {"keys", KIND(MAP), false},
    {"items", KIND(ARRAY), false},
    {"min_items", KIND(ARRAY) | KIND(MAP), false},
    {"max_items", KIND(ARRAY) | KIND(MAP), false},
    {"unique_items", KIND(ARRAY), false},
    {"fields", KIND(MODEL), false},
    {"extra", KIND(MODEL), false},
    {"members", KIND(UNION), false},
    {"discriminator", KIND(UNION), false},
};

static const option_row common_rows[] = {
    {"default", EVERY, true},    {"default_factory", EVERY, true}, {"optional", EVERY, true}, {"nullable", EVERY, true},
    {"alias", EVERY, true},      {"strict", EVERY, true},          {"check", EVERY, false},   {"read_only", EVERY, true},
    {"write_only", EVERY, true}, {"description", EVERY, true},     {"example", EVERY, true},  {"examples", EVERY, true},
    {"title", EVERY, true},      {"deprecated", EVERY, true},      {"name", EVERY, true},     {"source", EVERY, true},
    {"kind", EVERY, true},       {"visible_to", EVERY, true},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static bool allowed(const option_row *rows, size_t count, const char *name, dl_kind kind, bool reference) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(rows[i].name, name) == 0) return reference ? rows[i].of_references : (rows[i].kinds & (1u << kind)) != 0;
  return false;
}

static const char *list_of_options(dl_compilation *compilation, dl_kind kind, bool reference) {
  const char *list = "";
  for (size_t i = 0; i < COUNT(option_rows) && !reference; i++)
    if (option_rows[i].kinds & (1u << kind)) list = dl_arena_format(compilation->arena, "%s%s, ", list, option_rows[i].name);
  const char *check = reference ? "" : ", check";
  return dl_arena_format(compilation->arena,
                         "%sand of every field: default, optional, nullable, alias, read_only, write_only, visible_to, description%s", list, check);
}

bool dl_compile_check_options(dl_compilation *compilation, int index, dl_kind kind, bool reference) {
  lua_State *L = compilation->L;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      return dl_compile_fail(compilation,
                             "a description has options by name only, and this one has a list part; write { kind = \"%s\", name = value }",
                             reference ? "ref" : dl_kind_name(kind));
    const char *name = lua_tostring(L, -2);
    /* Names with an underscore are the Lua layer's own notes. */
    if (name[0] == '_' || allowed(common_rows, COUNT(common_rows), name, kind, reference) ||
        allowed(option_rows, COUNT(option_rows), name, kind, reference) || (reference && strcmp(name, "get") == 0))
      continue;
    return dl_compile_fail(compilation, "%s has no option \"%s\"; it takes %s", reference ? "a reference" : dl_kind_name(kind), name,
                           list_of_options(compilation, kind, reference));
  }
  return true;
}

int dl_option_push(dl_compilation *compilation, int index, const char *name) {
  lua_pushstring(compilation->L, name);
  lua_rawget(compilation->L, index);
  return lua_type(compilation->L, -1);
}

/* Whether the option stands there, with its value on the stack; false with
 * nothing on the stack when it is absent, and with the error set when it is of
 * another type. */
static bool option_present(dl_compilation *compilation, int index, const char *name, int type, const char *wanted) {
  int found = dl_option_push(compilation, index, name);
  if (found == type) return true;
  if (found != LUA_TNIL) dl_compile_fail(compilation, "%s should be %s, not a %s", name, wanted, lua_typename(compilation->L, found));
  lua_pop(compilation->L, 1);
  return false;
}

bool dl_option_boolean(dl_compilation *compilation, int index, const char *name, bool *out) {
  if (!option_present(compilation, index, name, LUA_TBOOLEAN, "true or false")) return !compilation->error;
  *out = lua_toboolean(compilation->L, -1);
  lua_pop(compilation->L, 1);
  return true;
}

bool dl_option_count(dl_compilation *compilation, int index, const char *name, uint32_t *out) {
  if (!option_present(compilation, index, name, LUA_TNUMBER, "a whole number")) return !compilation->error;
  double number = lua_tonumber(compilation->L, -1);
  lua_pop(compilation->L, 1);
  if (!(number >= 0 && number < (double)UINT32_MAX && floor(number) == number))
    return dl_compile_fail(compilation, "%s should be a whole number from 0 on, not %.14g", name, number);
  *out = (uint32_t)number;
  return true;
}

bool dl_option_string(dl_compilation *compilation, int index, const char *name, dl_str *out) {
  if (!option_present(compilation, index, name, LUA_TSTRING, "a string")) return !compilation->error;
  dl_str text;
  text.ptr = lua_tolstring(compilation->L, -1, &text.len);
  *out = dl_arena_copy(compilation->arena, text);
  lua_pop(compilation->L, 1);
  if (!dl_utf8_valid(*out) || memchr(out->ptr, 0, out->len)) return dl_compile_fail(compilation, "%s should be UTF-8 text without NUL", name);
  return true;
}

bool dl_option_function(dl_compilation *compilation, int index, const char *name, int *out) {
  if (!option_present(compilation, index, name, LUA_TFUNCTION, "a function")) return !compilation->error;
  *out = luaL_ref(compilation->L, LUA_REGISTRYINDEX);
  return true;
}

dl_value dl_context(dl_arena *arena, const char *name, dl_value value) {
  dl_member *member = dl_arena_alloc(arena, sizeof(*member));
  *member = (dl_member){.key = dl_value_string(dl_str_of(name)), .value = value};
  return (dl_value){.kind = DL_VALUE_OBJECT, .len = 1, .members = member};
}

static bool compile_strictness(dl_compilation *compilation, int index, dl_schema *schema) {
  bool strict = false;
  int type = dl_option_push(compilation, index, "strict");
  lua_pop(compilation->L, 1);
  if (type == LUA_TNIL) return true;
  if (!dl_option_boolean(compilation, index, "strict", &strict)) return false;
  schema->strictness = strict ? DL_STRICTNESS_STRICT : DL_STRICTNESS_LAX;
  return true;
}

static bool compile_default(dl_compilation *compilation, int index, dl_schema *schema) {
  lua_State *L = compilation->L;
  const char *error = NULL;
  bool ok = true;
  if (dl_option_push(compilation, index, "default") != LUA_TNIL) {
    schema->has_default = true;
    ok = dl_value_from_lua(L, lua_gettop(L), compilation->arena, &schema->default_value, &error);
  }
  lua_pop(L, 1);
  if (!ok) return dl_compile_fail(compilation, "default cannot be used: %s", error);
  if (!dl_option_function(compilation, index, "default_factory", &schema->default_factory)) return false;
  if (schema->has_default && schema->default_factory != LUA_NOREF)
    return dl_compile_fail(compilation, "has both default and default_factory; keep one of them");
  dl_conversion conversion = {.arena = compilation->arena};
  if (schema->utc && schema->default_value.kind == DL_VALUE_STRING && !dl_convert_utc(DL_MODE_STRICT, &schema->default_value, &conversion))
    return dl_compile_fail(compilation, "default %.*s", DL_STR_ARGS(conversion.message));
  return true;
}

static const struct {
  const char *name;
  size_t offset;
} boolean_rows[] = {
    {"optional", offsetof(dl_schema, optional)},
    {"nullable", offsetof(dl_schema, nullable)},
    {"read_only", offsetof(dl_schema, read_only)},
    {"write_only", offsetof(dl_schema, write_only)},
    {"strip", offsetof(dl_schema, strip)},
    {"lower", offsetof(dl_schema, lower)},
    {"utc", offsetof(dl_schema, utc)},
};

/* A list of role names, as lua/demilune/field.lua makes of whatever was written. */
static bool compile_visible_to(dl_compilation *compilation, int index, dl_schema *schema) {
  lua_State *L = compilation->L;
  bool ok = true;
  int type = dl_option_push(compilation, index, "visible_to");
  size_t count = type == LUA_TTABLE ? lua_objlen(L, -1) : 0;
  if (type != LUA_TNIL && !count) {
    lua_pop(L, 1);
    return dl_compile_fail(compilation, "visible_to should be a list of roles, such as { \"admin\" }");
  }
  if (count) schema->visible_to = dl_arena_zalloc(compilation->arena, count, sizeof(*schema->visible_to));
  for (size_t i = 0; ok && i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    ok = lua_type(L, -1) == LUA_TSTRING;
    if (ok) {
      dl_str name;
      name.ptr = lua_tolstring(L, -1, &name.len);
      schema->visible_to[schema->visible_to_count++] = dl_arena_copy(compilation->arena, name);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return ok || dl_compile_fail(compilation, "visible_to should hold the names of roles, such as \"admin\"");
}

bool dl_compile_common(dl_compilation *compilation, int index, dl_schema *schema) {
  for (size_t i = 0; i < COUNT(boolean_rows); i++)
    if (!dl_option_boolean(compilation, index, boolean_rows[i].name, (bool *)((char *)schema + boolean_rows[i].offset))) return false;
  if (!compile_strictness(compilation, index, schema) || !dl_option_function(compilation, index, "check", &schema->check) ||
      !compile_default(compilation, index, schema) || !compile_visible_to(compilation, index, schema))
    return false;
  if (schema->read_only && schema->write_only)
    return dl_compile_fail(compilation, "is read_only and write_only at once, so nobody could ever see or send it; keep one of them");
  return true;
}
