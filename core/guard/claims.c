/* SPDX-License-Identifier: MIT */
/* Claims: from jansson's tree to values, and the lists of names that roles and scopes are. */
#include "guard/internal.h"

#include <jansson.h>

static dl_value text_value(dl_arena *arena, const char *text, size_t length) {
  return dl_value_string(dl_arena_copy(arena, dl_str_from(text, length)));
}

static bool take(const json_t *tree, int depth, dl_arena *arena, dl_value *out);

static bool take_array(const json_t *array, int depth, dl_arena *arena, dl_value *out) {
  size_t length = json_array_size(array);
  *out = (dl_value){.kind = DL_VALUE_ARRAY, .len = (uint32_t)length, .items = dl_arena_zalloc(arena, length, sizeof(dl_value))};
  for (size_t i = 0; i < length; i++)
    if (!take(json_array_get(array, i), depth, arena, &out->items[i])) return false;
  return true;
}

static bool take_object(json_t *object, int depth, dl_arena *arena, dl_value *out) {
  size_t length = json_object_size(object);
  *out = (dl_value){.kind = DL_VALUE_OBJECT, .len = (uint32_t)length, .members = dl_arena_zalloc(arena, length, sizeof(dl_member))};
  dl_member *member = out->members;
  for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), member++) {
    const char *key = json_object_iter_key(at);
    member->key = text_value(arena, key, strlen(key)); /* NUL cannot be in one: jansson refuses it */
    if (!take(json_object_iter_value(at), depth, arena, &member->value)) return false;
  }
  return true;
}

static bool take(const json_t *tree, int depth, dl_arena *arena, dl_value *out) {
  if (depth == 0) return false;
  switch (json_typeof(tree)) {
  case JSON_OBJECT: return take_object((json_t *)(uintptr_t)tree, depth - 1, arena, out);
  case JSON_ARRAY: return take_array(tree, depth - 1, arena, out);
  case JSON_STRING: *out = text_value(arena, json_string_value(tree), json_string_length(tree)); return true;
  case JSON_INTEGER: *out = dl_value_integer(json_integer_value(tree)); return true;
  case JSON_REAL: *out = dl_value_number(json_real_value(tree)); return true;
  case JSON_TRUE:
  case JSON_FALSE: *out = dl_value_boolean(json_is_true(tree)); return true;
  case JSON_NULL: *out = dl_value_null(); return true;
  }
  return false;
}

bool dl_guard_claims(const json_t *tree, dl_arena *arena, dl_value *out) { return take(tree, DL_GUARD_CLAIMS_DEPTH_MAX, arena, out); }

const dl_value *dl_guard_claim(const dl_value *claims, dl_str name) {
  for (uint32_t i = 0; i < claims->len; i++)
    if (dl_str_equal(dl_value_str(&claims->members[i].key), name)) return &claims->members[i].value;
  return NULL;
}

static const dl_str *split_names(dl_str text, dl_arena *arena, uint32_t *count) {
  dl_str *names = dl_arena_alloc(arena, (text.len / 2 + 1) * sizeof(*names));
  for (size_t at = 0; at < text.len;) {
    size_t begin = at;
    while (at < text.len && text.ptr[at] != ' ') at++;
    if (at > begin) names[(*count)++] = dl_str_from(text.ptr + begin, at - begin);
    at++;
  }
  return names;
}

static const dl_str *one_name(dl_str text, dl_arena *arena, uint32_t *count) {
  dl_str *names = dl_arena_alloc(arena, sizeof(*names));
  names[0] = text;
  *count = text.len > 0;
  return names;
}

const dl_str *dl_guard_claim_names(const dl_value *claims, dl_str name, bool spaced, dl_arena *arena, uint32_t *count) {
  const dl_value *claim = dl_guard_claim(claims, name);
  *count = 0;
  if (!claim) return NULL;
  if (claim->kind == DL_VALUE_STRING) return (spaced ? split_names : one_name)(dl_value_str(claim), arena, count);
  if (claim->kind != DL_VALUE_ARRAY) return NULL;
  dl_str *names = dl_arena_alloc(arena, (claim->len + 1) * sizeof(*names));
  for (uint32_t i = 0; i < claim->len; i++) {
    if (claim->items[i].kind != DL_VALUE_STRING) return NULL;
    names[i] = dl_value_str(&claim->items[i]);
  }
  *count = claim->len;
  return names;
}
