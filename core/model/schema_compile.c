/* SPDX-License-Identifier: MIT */
/*
 * Descriptions (Lua tables) into schemas. The same table gives the same schema,
 * which is how recursion ends; references are followed when everything they may
 * lead to has been compiled. Load time only: mistakes are the app author's, and
 * each is named with its place and what to write instead.
 */
#include "model/schema_internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { COMPILE_MAX_DEPTH = 100 };

static const char *const kind_names[] = {
#define DL_KIND_NAME(constant, name) [DL_KIND_##constant] = name,
    DL_KINDS(DL_KIND_NAME)
#undef DL_KIND_NAME
};

const char *dl_kind_name(dl_kind kind) { return kind_names[kind]; }

dl_kind dl_schema_kind(const dl_schema *schema) { return (dl_kind)schema->kind; }

/* ---- what belongs to the lua_State ---- */

static const char home_key; /* its address names the home in the registry */

static int home_collect(lua_State *L) {
  dl_schema_home *home = lua_touserdata(L, 1);
  dl_pattern_room_free(home->room);
  dl_locale_free(home->locale);
  *home = (dl_schema_home){0};
  return 0;
}

static dl_schema_home *home_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&home_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  dl_schema_home *home = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (home) return home;
  lua_pushlightuserdata(L, (void *)(uintptr_t)&home_key);
  home = lua_newuserdata(L, sizeof(*home));
  *home = (dl_schema_home){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, home_collect);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  home->keys = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  home->memo = luaL_ref(L, LUA_REGISTRYINDEX);
  home->room = dl_pattern_room_new();
  home->locale = dl_locale_new();
  return home;
}

int dl_compile_key(dl_compilation *compilation, dl_str name) {
  lua_State *L = compilation->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, compilation->home->keys);
  lua_pushlstring(L, name.ptr, name.len);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  int key = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (!key) {
    key = ++compilation->home->key_count;
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, key);
    lua_pushinteger(L, key);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  } else {
    lua_pop(L, 2);
  }
  return key;
}

/* ---- errors ---- */

static const char *path_of(dl_arena *arena, const dl_step *step) {
  if (!step) return "";
  return dl_arena_format(arena, "%s%s", path_of(arena, step->up), step->text);
}

const char *dl_compile_path(dl_compilation *compilation) { return path_of(compilation->arena, compilation->step); }

bool dl_compile_fail(dl_compilation *compilation, const char *format, ...) {
  char message[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  const char *path = dl_compile_path(compilation), *source = compilation->source;
  compilation->error =
      dl_arena_format(compilation->arena, "%s%s%s%s%s", source ? source : "", source ? ": " : "", path, path[0] ? ": " : "", message);
  return false;
}

/* ---- one description ---- */

static bool compile_inner(dl_compilation *compilation, int index, const char *option, const char *step, dl_schema **out) {
  dl_step here = {compilation->step, step};
  if (dl_option_push(compilation, index, option) != LUA_TTABLE)
    return dl_compile_fail(compilation, "needs %s, the description of what it holds", option);
  compilation->step = &here;
  *out = dl_compile_description(compilation, lua_gettop(compilation->L));
  compilation->step = here.up;
  lua_pop(compilation->L, 1);
  return *out != NULL;
}

static bool compile_map(dl_compilation *compilation, int index, dl_schema *schema) {
  bool has_keys = dl_option_push(compilation, index, "keys") != LUA_TNIL;
  lua_pop(compilation->L, 1);
  if (has_keys && !compile_inner(compilation, index, "keys", "{keys}", &schema->map.keys)) return false;
  return compile_inner(compilation, index, "values", "{values}", &schema->map.values);
}

static bool compile_kind(dl_compilation *compilation, int index, dl_schema *schema) {
  if (!dl_compile_rules(compilation, index, schema)) return false;
  switch ((dl_kind)schema->kind) {
  case DL_KIND_LITERAL: return dl_compile_literal(compilation, index, schema);
  case DL_KIND_ARRAY: return compile_inner(compilation, index, "items", "[]", &schema->array.items);
  case DL_KIND_MAP: return compile_map(compilation, index, schema);
  case DL_KIND_MODEL: return dl_compile_model(compilation, index, schema);
  case DL_KIND_UNION: return dl_compile_union(compilation, index, schema);
  default: return true;
  }
}

static bool find_kind(dl_compilation *compilation, int index, dl_schema *schema) {
  lua_State *L = compilation->L;
  int type = dl_option_push(compilation, index, "kind");
  const char *name = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  lua_pop(L, 1); /* the description keeps it alive */
  schema->is_reference = strcmp(name, "ref") == 0;
  if (schema->is_reference) return true;
  for (int kind = 0; kind < DL_KIND_COUNT; kind++) {
    if (strcmp(kind_names[kind], name) != 0) continue;
    schema->kind = (uint8_t)kind;
    schema->label = kind_names[kind];
    return true;
  }
  if (type != LUA_TSTRING) return dl_compile_fail(compilation, "is not a field description; write one such as model.string { min_length = 1 }");
  const char *list = kind_names[0];
  for (int kind = 1; kind < DL_KIND_COUNT; kind++) list = dl_arena_format(compilation->arena, "%s, %s", list, kind_names[kind]);
  return dl_compile_fail(compilation, "\"%s\" is not a kind of field; the kinds are %s", name, list);
}

static bool fill(dl_compilation *compilation, int index, dl_schema *schema) {
  if (!find_kind(compilation, index, schema)) return false;
  if (!dl_compile_check_options(compilation, index, (dl_kind)schema->kind, schema->is_reference)) return false;
  if (!dl_compile_common(compilation, index, schema)) return false;
  if (!schema->is_reference) return compile_kind(compilation, index, schema);
  if (!dl_option_function(compilation, index, "get", &schema->get)) return false;
  return schema->get != LUA_NOREF || dl_compile_fail(compilation, "a reference needs get = function() return Model end");
}

static dl_schema *memo_find(dl_compilation *compilation, int index) {
  lua_State *L = compilation->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, compilation->home->memo);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  dl_schema *schema = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return schema;
}

static dl_schema *memo_add(dl_compilation *compilation, int index) {
  lua_State *L = compilation->L;
  dl_schema *schema = dl_arena_zalloc(compilation->arena, 1, sizeof(*schema));
  schema->check = schema->default_factory = schema->get = LUA_NOREF;
  schema->home = compilation->home;
  schema->next_made = compilation->made;
  compilation->made = schema;
  lua_rawgeti(L, LUA_REGISTRYINDEX, compilation->home->memo);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, schema);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return schema;
}

dl_schema *dl_compile_description(dl_compilation *compilation, int index) {
  lua_State *L = compilation->L;
  if (lua_type(L, index) != LUA_TTABLE) {
    dl_compile_fail(compilation, "is a %s where a field description is needed; write one such as model.string()", luaL_typename(L, index));
    return NULL;
  }
  dl_schema *schema = memo_find(compilation, index);
  if (schema) return schema;
  if (compilation->depth >= COMPILE_MAX_DEPTH || !lua_checkstack(L, 20)) {
    dl_compile_fail(compilation, "is more than %d descriptions deep; name the inner ones as models and refer to them", COMPILE_MAX_DEPTH);
    return NULL;
  }
  compilation->depth++;
  schema = memo_add(compilation, index);
  const char *outer_source = compilation->source;
  dl_str source = {0};
  dl_option_string(compilation, index, "source", &source);
  if (source.ptr) compilation->source = source.ptr;
  schema->source = compilation->source;
  schema->path = dl_compile_path(compilation);
  bool ok = fill(compilation, index, schema);
  compilation->source = outer_source;
  compilation->depth--;
  return ok ? schema : NULL;
}

/* ---- the end of a compilation ---- */

/* Errors found at the end are named as they would have been on the way. */
static bool fail_at(dl_compilation *compilation, const dl_schema *schema, const char *format, const char *detail) {
  dl_step step = {NULL, schema->path};
  compilation->step = &step;
  compilation->source = schema->source;
  dl_compile_fail(compilation, format, detail);
  compilation->step = NULL;
  return false;
}

static bool resolve(dl_compilation *compilation, dl_schema *schema);

static dl_schema *reference_target(dl_compilation *compilation, dl_schema *schema) {
  lua_State *L = compilation->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, schema->get);
  if (lua_pcall(L, 0, 1, 0) != 0) {
    fail_at(compilation, schema, "the reference's function failed: %s", lua_tostring(L, -1) ? lua_tostring(L, -1) : "with a value that is no string");
    return NULL;
  }
  if (lua_type(L, -1) != LUA_TTABLE) {
    fail_at(compilation, schema, "the reference gives %s; its function should return a model that exists when the app has loaded",
            luaL_typename(L, -1));
    return NULL;
  }
  dl_step step = {NULL, schema->path};
  compilation->step = &step;
  compilation->source = schema->source;
  dl_schema *target = dl_compile_description(compilation, lua_gettop(L));
  compilation->step = NULL;
  lua_pop(L, 1);
  return target;
}

/* A reference becomes a copy of what it refers to, under its own options. */
static bool resolve(dl_compilation *compilation, dl_schema *schema) {
  if (!schema->is_reference) return true;
  if (schema->resolving) return fail_at(compilation, schema, "%s", "the reference leads back to itself; it should return a model");
  schema->resolving = true;
  dl_schema *target = reference_target(compilation, schema), own = *schema;
  if (!target || !resolve(compilation, target)) return false;
  *schema = *target;
  schema->optional |= own.optional;
  schema->nullable |= own.nullable;
  schema->read_only |= own.read_only;
  schema->write_only |= own.write_only;
  if (own.visible_to) {
    schema->visible_to = own.visible_to;
    schema->visible_to_count = own.visible_to_count;
  }
  if (own.strictness) schema->strictness = own.strictness;
  if (own.has_default || own.default_factory != LUA_NOREF) {
    schema->has_default = own.has_default;
    schema->default_value = own.default_value;
    schema->default_factory = own.default_factory;
  }
  schema->next_made = own.next_made;
  schema->path = own.path;
  schema->source = own.source;
  schema->complete = false;
  return true;
}

static bool resolve_all(dl_compilation *compilation) {
  /* Resolving may compile more, which goes to the front of the chain. */
  for (const dl_schema *done = NULL; compilation->made != done;) {
    dl_schema *first = compilation->made;
    for (dl_schema *schema = first; schema != done; schema = schema->next_made)
      if (!resolve(compilation, schema)) return false;
    done = first;
  }
  return true;
}

static bool holds_secret(const dl_schema *schema) {
  switch ((dl_kind)schema->kind) {
  case DL_KIND_SECRET: return true;
  case DL_KIND_ARRAY: return schema->array.items->conceals;
  case DL_KIND_MAP: return schema->map.values->conceals;
  case DL_KIND_MODEL:
    for (uint32_t i = 0; i < schema->model.field_count; i++)
      if (schema->model.fields[i].schema->conceals) return true;
    return false;
  case DL_KIND_UNION:
    for (uint32_t i = 0; i < schema->alternatives.count; i++)
      if (schema->alternatives.members[i]->conceals) return true;
    return false;
  default: return false;
  }
}

/* Recursive schemas conceal when any of their circle does: repeat until nothing changes. */
static void mark_concealing(dl_compilation *compilation) {
  for (bool changed = true; changed;) {
    changed = false;
    for (dl_schema *schema = compilation->made; schema; schema = schema->next_made) {
      if (schema->conceals || !holds_secret(schema)) continue;
      schema->conceals = changed = true;
    }
  }
}

static const char *fields_word(const dl_schema *schema) {
  if (schema->write_only || schema->read_only) return schema->write_only ? "write_only" : "read_only";
  if (schema->visible_to || schema->optional) return schema->visible_to ? "visible_to" : "optional";
  return schema->has_default ? "default" : schema->default_factory != LUA_NOREF ? "default_factory" : NULL;
}

/* Only a model can leave something out, or fill it in: an array without some of its items would be another array. */
static bool check_in_model(dl_compilation *compilation, const dl_schema *schema, const char *is, const char *holder) {
  const char *word = fields_word(schema);
  if (!word) return true;
  return fail_at(
      compilation, schema, "%s",
      dl_arena_format(compilation->arena, "%s is for fields of a model, and this is %s; write it at the field that holds the %s", word, is, holder));
}

/* Told at the end, since a reference has no kind before. */
static bool check_keys(dl_compilation *compilation, const dl_schema *schema) {
  static const uint32_t texts = 1u << DL_KIND_STRING | 1u << DL_KIND_EMAIL | 1u << DL_KIND_URL | 1u << DL_KIND_UUID | 1u << DL_KIND_DATE |
                                1u << DL_KIND_TIME | 1u << DL_KIND_DATETIME | 1u << DL_KIND_DECIMAL | 1u << DL_KIND_IPV4 | 1u << DL_KIND_IPV6 |
                                1u << DL_KIND_CIDR | 1u << DL_KIND_LITERAL;
  const dl_schema *keys = schema->map.keys;
  if (!keys) return true;
  if (!(texts & (1u << keys->kind)))
    return fail_at(compilation, schema, "keys of a map are text in JSON, so %s cannot describe them; use string or a kind written as one",
                   dl_kind_name((dl_kind)keys->kind));
  return check_in_model(compilation, keys, "a map's keys", "map");
}

static bool check_inner(dl_compilation *compilation, const dl_schema *schema) {
  switch ((dl_kind)schema->kind) {
  case DL_KIND_ARRAY: return check_in_model(compilation, schema->array.items, "an array's items", "array");
  case DL_KIND_MAP: return check_keys(compilation, schema) && check_in_model(compilation, schema->map.values, "a map's values", "map");
  case DL_KIND_UNION:
    for (uint32_t i = 0; i < schema->alternatives.count; i++)
      if (!check_in_model(compilation, schema->alternatives.members[i], "a member of a union", "union")) return false;
    return true;
  default: return true;
  }
}

/* A default is checked as a response would be, and its JSON kept for responses. */
static bool check_default(dl_compilation *compilation, dl_schema *schema) {
  if (!schema->has_default) return true;
  dl_value *value = &schema->default_value;
  dl_value_suit(schema, value);
  if (value->flags & DL_VALUE_SECRET)
    return value->len >= schema->min_length ||
           fail_at(compilation, schema, "%s", "the default is shorter than min_bytes; lengthen it or leave it out");
  dl_buffer json = {0};
  dl_validation validation = {.arena = compilation->arena, .L = compilation->L, .mode = DL_MODE_STRICT, .output = true, .source = "default"};
  dl_value_push(compilation->L, value);
  bool ok = dl_schema_serialise(schema, compilation->L, lua_gettop(compilation->L), &json, &validation);
  lua_pop(compilation->L, 1);
  if (ok) schema->default_json = dl_arena_copy(compilation->arena, dl_buffer_str(&json));
  dl_buffer_clear(&json);
  if (!ok) dl_validation_summary(&validation, &json);
  const char *summary = dl_arena_copy(compilation->arena, dl_buffer_str(&json)).ptr;
  dl_buffer_free(&json);
  return ok || fail_at(compilation, schema, "its default does not pass its own checks (%s); change one of the two", summary);
}

static bool finish(dl_compilation *compilation) {
  if (!resolve_all(compilation)) return false;
  for (dl_schema *schema = compilation->made; schema; schema = schema->next_made)
    if (!check_inner(compilation, schema) || !dl_compile_union_finish(compilation, schema)) return false;
  mark_concealing(compilation);
  for (dl_schema *schema = compilation->made; schema; schema = schema->next_made)
    if (!check_default(compilation, schema)) return false;
  for (dl_schema *schema = compilation->made; schema; schema = schema->next_made) schema->complete = true;
  return true;
}

/* What did not become complete must not be found again by the same table. */
static void forget_incomplete(dl_compilation *compilation) {
  lua_State *L = compilation->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, compilation->home->memo);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const dl_schema *schema = lua_touserdata(L, -1);
    if (schema->complete) continue;
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

dl_schema *dl_schema_compile(lua_State *L, int index, dl_arena *arena, const char **error) {
  int top = lua_gettop(L);
  if (index < 0) index = top + 1 + index;
  luaL_checkstack(L, 40, "a schema");
  dl_compilation compilation = {.L = L, .arena = arena, .home = home_of(L)};
  dl_schema *schema = dl_compile_description(&compilation, index);
  if (schema && !finish(&compilation)) schema = NULL;
  lua_settop(L, top);
  if (schema) return schema;
  forget_incomplete(&compilation);
  *error = compilation.error;
  return NULL;
}
