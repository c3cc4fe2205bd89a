/* SPDX-License-Identifier: MIT */
/* Values among themselves: whether two are equal, and what they are as JSON text. */
#include "model/value.h"

#include "base/memory.h"
#include "model/secret_lua.h"

#include <assert.h>
#include <stdlib.h>

enum { SEARCH_MEMBERS = 16 }; /* larger objects are sorted before they are compared */

static bool equal_integer_number(int64_t integer, double number) {
  /* 2^63 is a double, INT64_MAX is not: the range is checked before the cast. */
  return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (int64_t)number == integer && (double)(int64_t)number == number;
}

static bool equal_members_searched(const dl_value *a, const dl_value *b) {
  for (uint32_t i = 0; i < a->len; i++) {
    uint32_t j = 0;
    while (j < b->len && !dl_str_equal(dl_value_str(&a->members[i].key), dl_value_str(&b->members[j].key))) j++;
    if (j == b->len || !dl_value_equal(&a->members[i].value, &b->members[j].value)) return false;
  }
  return true;
}

static int compare_keys(const void *left, const void *right) {
  const dl_value *a = &(*(const dl_member *const *)left)->key, *b = &(*(const dl_member *const *)right)->key;
  if (a->len != b->len) return a->len < b->len ? -1 : 1;
  return a->len ? memcmp(a->string, b->string, a->len) : 0;
}

/* Both objects' members by key: a client who sends its keys in the worst order
 * must not make this quadratic. */
static bool equal_members_sorted(const dl_value *a, const dl_value *b) {
  size_t count = a->len;
  const dl_member **sorted = dl_malloc(count * 2 * sizeof(*sorted));
  for (size_t i = 0; i < count; i++) {
    sorted[i] = &a->members[i];
    sorted[count + i] = &b->members[i];
  }
  qsort(sorted, count, sizeof(*sorted), compare_keys);
  qsort(sorted + count, count, sizeof(*sorted), compare_keys);
  bool equal = true;
  for (size_t i = 0; equal && i < count; i++)
    equal = compare_keys(&sorted[i], &sorted[count + i]) == 0 && dl_value_equal(&sorted[i]->value, &sorted[count + i]->value);
  dl_free(sorted);
  return equal;
}

static bool equal_items(const dl_value *a, const dl_value *b, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!dl_value_equal(&a->items[i], &b->items[i])) return false;
  return true;
}

/* Those of two models, of which a union chose one for each, have fields of other names. */
static bool equal_records(const dl_value *a, const dl_value *b) {
  bool keep = a->flags & DL_VALUE_EXTRA;
  return a->len == b->len && a->aux == b->aux && keep == (bool)(b->flags & DL_VALUE_EXTRA) && equal_items(a, b, a->len + keep);
}

bool dl_value_equal(const dl_value *a, const dl_value *b) {
  if (a->kind != b->kind) {
    if (a->kind == DL_VALUE_INTEGER && b->kind == DL_VALUE_NUMBER) return equal_integer_number(a->integer, b->number);
    return a->kind == DL_VALUE_NUMBER && b->kind == DL_VALUE_INTEGER && equal_integer_number(b->integer, a->number);
  }
  switch ((dl_value_kind)a->kind) {
  case DL_VALUE_ABSENT:
  case DL_VALUE_NULL: return true;
  case DL_VALUE_BOOLEAN: return a->boolean == b->boolean;
  case DL_VALUE_INTEGER: return a->integer == b->integer;
  case DL_VALUE_NUMBER: return a->number == b->number;
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: return dl_str_equal(dl_value_str(a), dl_value_str(b));
  case DL_VALUE_ARRAY: return a->len == b->len && equal_items(a, b, a->len);
  case DL_VALUE_RECORD: return equal_records(a, b);
  case DL_VALUE_OBJECT: return a->len == b->len && (a->len > SEARCH_MEMBERS ? equal_members_sorted(a, b) : equal_members_searched(a, b));
  }
  return false;
}

static void write_base64(dl_buffer *buffer, dl_str bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  dl_buffer_reserve(buffer, (bytes.len + 2) / 3 * 4 + 2);
  dl_buffer_append_char(buffer, '"');
  for (size_t at = 0; at < bytes.len; at += 3) {
    size_t left = bytes.len - at < 3 ? bytes.len - at : 3;
    uint32_t group = 0;
    for (size_t i = 0; i < 3; i++) group = group << 8 | (i < left ? (unsigned char)bytes.ptr[at + i] : 0u);
    for (unsigned i = 0; i < 4; i++) dl_buffer_append_char(buffer, i <= left ? digits[group >> (18 - 6 * i) & 63] : '=');
  }
  dl_buffer_append_char(buffer, '"');
}

static void write_text(dl_buffer *buffer, const dl_value *value) {
  if (value->flags & DL_VALUE_SECRET) DL_BUFFER_LITERAL(buffer, "\"" DL_SECRET_PRINTED "\"");
  else if (value->kind == DL_VALUE_BYTES) write_base64(buffer, dl_value_str(value));
  else dl_buffer_append_json_string(buffer, dl_value_str(value));
}

static void write_items(dl_buffer *buffer, const dl_value *array) {
  dl_buffer_append_char(buffer, '[');
  for (uint32_t i = 0; i < array->len; i++) {
    if (i) dl_buffer_append_char(buffer, ',');
    dl_value_write(buffer, &array->items[i]);
  }
  dl_buffer_append_char(buffer, ']');
}

static void write_members(dl_buffer *buffer, const dl_value *object) {
  dl_buffer_append_char(buffer, '{');
  for (uint32_t i = 0; i < object->len; i++) {
    if (i) dl_buffer_append_char(buffer, ',');
    dl_buffer_append_json_string(buffer, dl_value_str(&object->members[i].key));
    dl_buffer_append_char(buffer, ':');
    dl_value_write(buffer, &object->members[i].value);
  }
  dl_buffer_append_char(buffer, '}');
}

void dl_value_write(dl_buffer *buffer, const dl_value *value) {
  switch ((dl_value_kind)value->kind) {
  case DL_VALUE_ABSENT:
  case DL_VALUE_NULL: DL_BUFFER_LITERAL(buffer, "null"); return;
  case DL_VALUE_BOOLEAN: dl_buffer_append_str(buffer, value->boolean ? DL_STR("true") : DL_STR("false")); return;
  case DL_VALUE_INTEGER: dl_buffer_append_int(buffer, value->integer); return;
  case DL_VALUE_NUMBER: dl_buffer_append_double(buffer, value->number); return;
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: write_text(buffer, value); return;
  case DL_VALUE_ARRAY: write_items(buffer, value); return;
  case DL_VALUE_OBJECT: write_members(buffer, value); return;
  case DL_VALUE_RECORD: assert(false && "a RECORD is written by its schema"); return;
  }
}
