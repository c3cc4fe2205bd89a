/* SPDX-License-Identifier: MIT */
/*
 * Constraints on a value that has its kind already: bounds, lengths, patterns,
 * numbers of items. The same code looks at what comes in and at what goes out.
 */
#include "model/schema_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"

#include <math.h>

/* ---- bounds ---- */

/* A double is a multiple when what is left over is lost in its own precision. */
static bool is_multiple(double value, double divisor) {
  double rest = fabs(fmod(value, divisor)), tolerance = fabs(value) / 1e9;
  return rest <= tolerance || fabs(rest - divisor) <= tolerance;
}

static bool order_holds(dl_comparison comparison, int order) {
  switch (comparison) {
  case DL_COMPARE_GE: return order >= 0;
  case DL_COMPARE_GT: return order > 0;
  case DL_COMPARE_LE: return order <= 0;
  default: return order < 0;
  }
}

static bool number_holds(const dl_bound *bound, double value, bool whole) {
  switch (bound->comparison) {
  case DL_COMPARE_GE: return value >= bound->number;
  case DL_COMPARE_GT: return value > bound->number;
  case DL_COMPARE_LE: return value <= bound->number;
  case DL_COMPARE_LT: return value < bound->number;
  default: return whole ? fmod(value, bound->number) == 0 : is_multiple(value, bound->number);
  }
}

static bool wide_holds(const dl_bound *bound, int64_t value) {
  if (bound->comparison == DL_COMPARE_MULTIPLE_OF) return value % bound->wide == 0;
  return order_holds(bound->comparison, (value > bound->wide) - (value < bound->wide));
}

static bool text_holds(dl_kind kind, const dl_bound *bound, dl_str value) {
  if (bound->comparison == DL_COMPARE_MULTIPLE_OF) return dl_decimal_is_multiple(value, bound->text);
  return order_holds(bound->comparison, dl_compare_text(kind, value, bound->text));
}

static bool bound_holds(const dl_schema *schema, const dl_bound *bound, const dl_value *value) {
  switch (value->kind) {
  case DL_VALUE_INTEGER: return schema->kind == DL_KIND_INT64 ? wide_holds(bound, value->integer) : number_holds(bound, (double)value->integer, true);
  case DL_VALUE_NUMBER: return number_holds(bound, value->number, false);
  default: return text_holds((dl_kind)schema->kind, bound, dl_value_str(value));
  }
}

/* ---- lengths and patterns ---- */

static bool check_length(const dl_schema *schema, const dl_value *value, dl_validation *validation) {
  uint32_t bytes = value->len, length = bytes;
  bool text = value->kind != DL_VALUE_BYTES;
  /* Characters are counted only where bytes alone do not decide. */
  if (text && (bytes > schema->max_length || bytes < schema->min_length * 4u)) length = (uint32_t)dl_utf8_length(dl_value_str(value));
  uint32_t least = schema->kind == DL_KIND_SECRET ? bytes : length; /* the bound is called min_bytes there */
  if (least < schema->min_length) return dl_validation_refusal(validation, schema, &schema->too_short, value);
  if (length > schema->max_length) return dl_validation_refusal(validation, schema, &schema->too_long, value);
  return true;
}

/* Once for a request: how many of its texts a pattern runs away on is the client's choice. */
static void tell_of_pattern(const dl_schema *schema, const dl_value *value, dl_validation *validation) {
  dl_log *log = validation->log;
  bool told = validation->pattern_told;
  validation->pattern_told = true;
  if (told || !log || !dl_log_begin(log, DL_LOG_WARNING, DL_STR("a pattern ran into its match limit"))) return;
  dl_log_field(log, "pattern", dl_pattern_text(schema->pattern));
  dl_log_field_int(log, "value_bytes", value->len);
  dl_log_end(log);
}

static bool check_pattern(const dl_schema *schema, const dl_value *value, dl_validation *validation) {
  dl_pattern_verdict verdict = dl_pattern_match(schema->pattern, dl_value_str(value), &validation->patterns);
  if (verdict == DL_PATTERN_MATCHES) return true;
  if (verdict == DL_PATTERN_GAVE_UP) tell_of_pattern(schema, value, validation);
  return dl_validation_refusal(validation, schema, &schema->mismatch, value);
}

bool dl_rules_check(const dl_schema *schema, const dl_value *value, dl_validation *validation) {
  if (value->kind == DL_VALUE_STRING || value->kind == DL_VALUE_BYTES) {
    if ((schema->min_length || schema->max_length != UINT32_MAX) && !check_length(schema, value, validation)) return false;
    if (schema->pattern && !check_pattern(schema, value, validation)) return false;
  }
  for (uint32_t i = 0; i < schema->bound_count; i++)
    if (!bound_holds(schema, &schema->bounds[i], value)) return dl_validation_refusal(validation, schema, &schema->bounds[i].refusal, value);
  return true;
}

/* ---- items ---- */

static dl_value item_context(dl_validation *validation, const dl_schema *schema, const char *limit_name, uint32_t limit, uint32_t count) {
  dl_member *members = dl_arena_alloc(validation->arena, 3 * sizeof(*members));
  members[0] =
      (dl_member){dl_value_string(DL_STR("field_type")), dl_value_string(schema->kind == DL_KIND_ARRAY ? DL_STR("List") : DL_STR("Dictionary"))};
  members[1] = (dl_member){dl_value_string(dl_str_of(limit_name)), dl_value_integer(limit)};
  members[2] = (dl_member){dl_value_string(DL_STR("actual_length")), dl_value_integer(count)};
  return (dl_value){.kind = DL_VALUE_OBJECT, .len = 3, .members = members};
}

bool dl_rules_item_count(const dl_schema *schema, uint32_t count, dl_validation *validation) {
  bool few = count < schema->min_length;
  if (!few && count <= schema->max_length) return true;
  uint32_t limit = few ? schema->min_length : schema->max_length;
  const char *message = dl_arena_format(validation->arena, "%s %u item%s, and %u came", few ? "needs at least" : "may have at most", limit,
                                        limit == 1 ? "" : "s", count);
  return dl_validation_refuse(validation, schema, few ? "too_short" : "too_long", dl_str_of(message),
                              item_context(validation, schema, few ? "min_length" : "max_length", limit, count), NULL);
}

static uint64_t integer_hash(int64_t integer) { return dl_hash(dl_str_from((const char *)&integer, sizeof(integer))); }

static uint64_t number_hash(double number) {
  bool whole = number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (double)(int64_t)number == number;
  return whole ? integer_hash((int64_t)number) : dl_hash(dl_str_from((const char *)&number, sizeof(number)));
}

/* Keyed as its parts are: were it a sum with known weights, clients could choose
 * parts that weigh the same, whatever the key. */
static uint64_t hash_both(uint64_t hash, uint64_t part) {
  uint64_t both[2] = {hash, part};
  return dl_hash(dl_str_from((const char *)both, sizeof(both)));
}

static uint64_t value_hash(const dl_value *value);

static uint64_t items_hash(uint64_t hash, const dl_value *items, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) hash = hash_both(hash, value_hash(&items[i]));
  return hash;
}

/* Equal values have equal hashes: 1 and 1.0, and objects in any order. */
static uint64_t value_hash(const dl_value *value) {
  uint64_t hash = value->kind * 0x9e3779b97f4a7c15u;
  switch (value->kind) {
  case DL_VALUE_BOOLEAN: return hash + value->boolean;
  case DL_VALUE_INTEGER: return integer_hash(value->integer);
  case DL_VALUE_NUMBER: return number_hash(value->number);
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: return hash ^ dl_hash(dl_value_str(value));
  case DL_VALUE_ARRAY: return items_hash(hash, value->items, value->len);
  case DL_VALUE_RECORD: return items_hash(hash + value->aux, value->items, value->len + (value->flags & DL_VALUE_EXTRA ? 1 : 0));
  case DL_VALUE_OBJECT:
    for (uint32_t i = 0; i < value->len; i++) hash += hash_both(value_hash(&value->members[i].key), value_hash(&value->members[i].value));
    return hash;
  default: return hash;
  }
}

typedef struct seen_item {
  uint64_t hash;
  uint32_t item; /* index + 1, 0 where empty */
} seen_item;

bool dl_rules_unique(const dl_schema *schema, const dl_value *value, dl_validation *validation) {
  uint32_t slots = 8;
  while (slots < value->len * 2) slots *= 2;
  seen_item *seen = dl_arena_zalloc(validation->arena, slots, sizeof(*seen));
  for (uint32_t i = 0; i < value->len; i++) {
    uint64_t hash = value_hash(&value->items[i]);
    uint32_t slot = (uint32_t)hash & (slots - 1);
    for (; seen[slot].item; slot = (slot + 1) & (slots - 1)) {
      if (seen[slot].hash != hash || !dl_value_equal(&value->items[seen[slot].item - 1], &value->items[i])) continue;
      const char *message = dl_arena_format(validation->arena, "should have no item twice; item %u repeats item %u", i, seen[slot].item - 1);
      return dl_validation_refuse(validation, schema, "value_error", dl_str_of(message),
                                  dl_context(validation->arena, "error", dl_value_string(dl_str_of(message))), NULL);
    }
    seen[slot] = (seen_item){hash, i + 1};
  }
  return true;
}
