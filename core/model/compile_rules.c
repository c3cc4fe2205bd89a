/* SPDX-License-Identifier: MIT */
/*
 * Constraints of a description, checked for sense once and made ready with the
 * error each one gives, so that refusing a value formats nothing. Load time only.
 */
#include "model/schema_internal.h"

#include <math.h>
#include <stdlib.h>

enum {
  DECIMAL_BOUND_DIGITS = 18, /* fit into 64 bits, whatever they are */
  LITERAL_MAX_VALUES = 1000
};

typedef struct comparison_row {
  const char *option, *type, *phrase;
} comparison_row;

static const comparison_row comparisons[] = {
    [DL_COMPARE_GE] = {"ge", "greater_than_equal", "should be at least %s"},
    [DL_COMPARE_GT] = {"gt", "greater_than", "should be above %s"},
    [DL_COMPARE_LE] = {"le", "less_than_equal", "should be at most %s"},
    [DL_COMPARE_LT] = {"lt", "less_than", "should be below %s"},
    [DL_COMPARE_MULTIPLE_OF] = {"multiple_of", "multiple_of", "should be a multiple of %s"},
};

enum { COMPARISON_COUNT = sizeof(comparisons) / sizeof(comparisons[0]) };

static const char *value_text(dl_arena *arena, const dl_value *value) {
  if (value->kind == DL_VALUE_STRING) return dl_arena_copy(arena, dl_value_str(value)).ptr;
  dl_buffer buffer = {0};
  dl_value_write(&buffer, value);
  const char *text = dl_arena_copy(arena, dl_buffer_str(&buffer)).ptr;
  dl_buffer_free(&buffer);
  return text;
}

/* Lua has one kind of number: a whole one is an integer here. */
static void whole_number(dl_value *value) {
  if (value->kind == DL_VALUE_NUMBER && floor(value->number) == value->number && fabs(value->number) < 9007199254740992.0)
    *value = dl_value_integer((int64_t)value->number);
}

static bool bound_number(dl_compilation *compilation, const char *option, dl_kind kind, dl_value *value, dl_bound *bound) {
  if (kind == DL_KIND_DURATION && value->kind == DL_VALUE_STRING) {
    dl_conversion conversion = {.arena = compilation->arena};
    if (!dl_convert(kind, DL_MODE_LAX, value, &conversion)) return dl_compile_fail(compilation, "%s %.*s", option, DL_STR_ARGS(conversion.message));
  }
  if (value->kind != DL_VALUE_INTEGER && value->kind != DL_VALUE_NUMBER) return dl_compile_fail(compilation, "%s should be a number", option);
  bound->number = value->kind == DL_VALUE_INTEGER ? (double)value->integer : value->number;
  value->flags = 0;
  whole_number(value);
  if (kind != DL_KIND_INT64) return true;
  if (value->kind != DL_VALUE_INTEGER)
    return dl_compile_fail(compilation, "%s of an int64 should be a whole number; above 2^53 write it as 9007199254740993LL", option);
  bound->wide = value->integer;
  return true;
}

/* Decimals, dates and times: bounds are brought to the canonical form that values have. */
static bool bound_text(dl_compilation *compilation, const char *option, dl_kind kind, dl_value *value, dl_bound *bound) {
  dl_conversion conversion = {.arena = compilation->arena};
  if (kind != DL_KIND_DECIMAL && value->kind != DL_VALUE_STRING)
    return dl_compile_fail(compilation, "%s of a %s should be a string such as \"%s\"", option, dl_kind_name(kind),
                           kind == DL_KIND_DATE   ? "2026-11-24"
                           : kind == DL_KIND_TIME ? "10:00:00"
                                                  : "2026-11-24T10:00:00Z");
  if (!dl_convert(kind, DL_MODE_LAX, value, &conversion)) return dl_compile_fail(compilation, "%s %.*s", option, DL_STR_ARGS(conversion.message));
  bound->text = dl_value_str(value);
  bound->number = strtod(dl_arena_copy(compilation->arena, bound->text).ptr, NULL);
  if (bound->text.len > DECIMAL_BOUND_DIGITS && kind == DL_KIND_DECIMAL)
    return dl_compile_fail(compilation, "%s should have at most %d digits", option, DECIMAL_BOUND_DIGITS);
  return true;
}

static bool compile_bound(dl_compilation *compilation, int index, dl_comparison comparison, dl_kind kind, dl_bound *bound, bool *present) {
  lua_State *L = compilation->L;
  const comparison_row *row = &comparisons[comparison];
  *present = dl_option_push(compilation, index, row->option) != LUA_TNIL;
  dl_value value;
  const char *error = NULL;
  bool ok = !*present || dl_value_from_lua(L, lua_gettop(L), compilation->arena, &value, &error);
  lua_pop(L, 1);
  if (!ok) return dl_compile_fail(compilation, "%s should be a number or a string: %s", row->option, error);
  if (!*present) return true;
  bool text = kind == DL_KIND_DECIMAL || kind == DL_KIND_DATE || kind == DL_KIND_TIME || kind == DL_KIND_DATETIME;
  if (!(text ? bound_text : bound_number)(compilation, row->option, kind, &value, bound)) return false;
  if (comparison == DL_COMPARE_MULTIPLE_OF && !(bound->number > 0)) return dl_compile_fail(compilation, "multiple_of should be above 0");
  bound->comparison = comparison;
  bound->refusal = (dl_refusal){row->type, dl_str_of(dl_arena_format(compilation->arena, row->phrase, value_text(compilation->arena, &value))),
                                dl_context(compilation->arena, row->option, value)};
  return true;
}

static int bounds_order(dl_kind kind, const dl_bound *a, const dl_bound *b) {
  if (kind == DL_KIND_INT64) return (a->wide > b->wide) - (a->wide < b->wide);
  if (a->text.ptr) return dl_compare_text(kind, a->text, b->text);
  return (a->number > b->number) - (a->number < b->number);
}

static bool bounds_consistent(dl_compilation *compilation, dl_kind kind, const dl_bound *bounds, size_t count) {
  for (size_t low = 0; low < count; low++) {
    if (bounds[low].comparison > DL_COMPARE_GT) continue;
    for (size_t high = 0; high < count; high++) {
      if (bounds[high].comparison != DL_COMPARE_LE && bounds[high].comparison != DL_COMPARE_LT) continue;
      int order = bounds_order(kind, &bounds[low], &bounds[high]);
      bool open = bounds[low].comparison == DL_COMPARE_GT || bounds[high].comparison == DL_COMPARE_LT;
      const char *low_name = comparisons[bounds[low].comparison].option, *high_name = comparisons[bounds[high].comparison].option;
      if (order > 0) return dl_compile_fail(compilation, "%s is above %s, so no value can pass; exchange or widen them", low_name, high_name);
      if (order == 0 && open)
        return dl_compile_fail(compilation, "%s equals %s, so no value can pass; use ge and le to include it", low_name, high_name);
    }
  }
  return true;
}

static bool compile_bounds(dl_compilation *compilation, int index, dl_schema *schema) {
  dl_bound found[COMPARISON_COUNT] = {0};
  uint8_t count = 0;
  for (int comparison = 0; comparison < COMPARISON_COUNT; comparison++) {
    bool present = false;
    if (!compile_bound(compilation, index, (dl_comparison)comparison, schema->kind, &found[count], &present)) return false;
    count = (uint8_t)(count + present);
  }
  if (!bounds_consistent(compilation, schema->kind, found, count)) return false;
  dl_bound *bounds = dl_arena_alloc(compilation->arena, sizeof(found));
  memcpy(bounds, found, sizeof(found));
  schema->bounds = bounds;
  schema->bound_count = count;
  return true;
}

static dl_refusal length_refusal(dl_arena *arena, const char *type, const char *context, const char *phrase, uint32_t limit, const char *unit) {
  return (dl_refusal){type, dl_str_of(dl_arena_format(arena, "%s %u %s%s", phrase, limit, unit, limit == 1 ? "" : "s")),
                      dl_context(arena, context, dl_value_integer(limit))};
}

static bool compile_lengths(dl_compilation *compilation, int index, dl_schema *schema, const char *least_name) {
  dl_arena *arena = compilation->arena;
  bool bytes = schema->kind == DL_KIND_BYTES, items = schema->kind == DL_KIND_ARRAY || schema->kind == DL_KIND_MAP;
  const char *unit = bytes ? "byte" : "character", *least_unit = schema->kind == DL_KIND_SECRET ? "byte" : unit;
  const char *most_name = items ? "max_items" : "max_length";
  if (!dl_option_count(compilation, index, least_name, &schema->min_length) || !dl_option_count(compilation, index, most_name, &schema->max_length))
    return false;
  if (schema->min_length > schema->max_length)
    return dl_compile_fail(compilation, "%s (%u) is above %s (%u), so no value can pass; exchange them", least_name, schema->min_length, most_name,
                           schema->max_length);
  schema->too_short = length_refusal(arena, bytes ? "bytes_too_short" : "string_too_short", "min_length", "needs at least", schema->min_length, least_unit);
  schema->too_long = length_refusal(arena, bytes ? "bytes_too_long" : "string_too_long", "max_length", "may have at most", schema->max_length, unit);
  return true;
}

static bool compile_pattern(dl_compilation *compilation, int index, dl_schema *schema) {
  dl_str text = {0};
  const char *error = NULL;
  if (!dl_option_string(compilation, index, "pattern", &text)) return false;
  if (!text.ptr) return true;
  schema->pattern = dl_pattern_compile(compilation->L, compilation->home, text, compilation->arena, &error);
  if (!schema->pattern) return dl_compile_fail(compilation, "%s", error);
  schema->mismatch =
      (dl_refusal){"string_pattern_mismatch", dl_str_of(dl_arena_format(compilation->arena, "should match the pattern %.*s", DL_STR_ARGS(text))),
                   dl_context(compilation->arena, "pattern", dl_value_string(text))};
  return true;
}

bool dl_compile_rules(dl_compilation *compilation, int index, dl_schema *schema) {
  schema->max_length = UINT32_MAX;
  switch (schema->kind) {
  case DL_KIND_ARRAY:
  case DL_KIND_MAP:
    schema->max_length = DL_SCHEMA_DEFAULT_MAX_ITEMS;
    return compile_lengths(compilation, index, schema, "min_items") && dl_option_boolean(compilation, index, "unique_items", &schema->unique_items);
  case DL_KIND_SECRET:
    if (!compile_lengths(compilation, index, schema, "min_bytes")) return false;
    break;
  default:
    if (!compile_lengths(compilation, index, schema, "min_length")) return false;
  }
  if (!compile_pattern(compilation, index, schema) || !compile_bounds(compilation, index, schema)) return false;
  schema->has_rules = schema->bound_count || schema->pattern || schema->min_length || schema->max_length != UINT32_MAX;
  return true;
}

static bool literal_value(dl_compilation *compilation, int index, dl_value *out) {
  const char *error = NULL;
  if (!dl_value_from_lua(compilation->L, index, compilation->arena, out, &error)) return dl_compile_fail(compilation, "values: %s", error);
  whole_number(out);
  if (out->kind == DL_VALUE_STRING || out->kind == DL_VALUE_INTEGER || out->kind == DL_VALUE_NUMBER || out->kind == DL_VALUE_BOOLEAN) return true;
  return dl_compile_fail(compilation, "values of a literal are strings, numbers and booleans; for null write nullable = true");
}

/* 'user', 'editor' or 3, as Pydantic's ctx lists them. */
static const char *literal_list(dl_arena *arena, const dl_schema *schema) {
  const char *list = "";
  for (uint32_t i = 0; i < schema->literal.count; i++) {
    const dl_value *value = &schema->literal.values[i];
    const char *quote = value->kind == DL_VALUE_STRING ? "'" : "", *between = i == 0 ? "" : i + 1 == schema->literal.count ? " or " : ", ";
    list = dl_arena_format(arena, "%s%s%s%s%s", list, between, quote, value_text(arena, value), quote);
  }
  return list;
}

static dl_str json_of(dl_arena *arena, const dl_value *value) {
  dl_buffer buffer = {0};
  dl_value_write(&buffer, value);
  dl_str json = dl_arena_copy(arena, dl_buffer_str(&buffer));
  dl_buffer_free(&buffer);
  return json;
}

bool dl_compile_literal(dl_compilation *compilation, int index, dl_schema *schema) {
  lua_State *L = compilation->L;
  dl_arena *arena = compilation->arena;
  if (dl_option_push(compilation, index, "values") != LUA_TTABLE || lua_objlen(L, -1) == 0)
    return dl_compile_fail(compilation, "a literal needs its values: values = { \"user\", \"editor\" }");
  int values = lua_gettop(L);
  uint32_t count = (uint32_t)lua_objlen(L, values);
  if (count > LITERAL_MAX_VALUES) return dl_compile_fail(compilation, "a literal may have at most %d values", LITERAL_MAX_VALUES);
  schema->literal.values = dl_arena_zalloc(arena, count, sizeof(dl_value));
  schema->literal.json = dl_arena_zalloc(arena, count, sizeof(dl_str));
  schema->literal.keys = dl_arena_zalloc(arena, count, sizeof(int));
  for (uint32_t i = 0; i < count; i++) {
    lua_rawgeti(L, values, (int)i + 1);
    if (!literal_value(compilation, lua_gettop(L), &schema->literal.values[i])) return false;
    lua_pop(L, 1);
    for (uint32_t earlier = 0; earlier < i; earlier++)
      if (dl_value_equal(&schema->literal.values[earlier], &schema->literal.values[i]))
        return dl_compile_fail(compilation, "values has %s twice; take one out", value_text(arena, &schema->literal.values[i]));
    dl_value *value = &schema->literal.values[i];
    schema->literal.json[i] = json_of(arena, value);
    if (value->kind == DL_VALUE_STRING) schema->literal.keys[i] = dl_compile_key(compilation, dl_value_str(value));
    value->aux = (uint16_t)(i + 1);
  }
  lua_pop(L, 1);
  schema->literal.count = count;
  const char *list = literal_list(arena, schema);
  schema->literal.refusal = (dl_refusal){"literal_error", dl_str_of(dl_arena_format(arena, "should be %s", list)),
                                         dl_context(arena, "expected", dl_value_string(dl_str_of(list)))};
  return true;
}
