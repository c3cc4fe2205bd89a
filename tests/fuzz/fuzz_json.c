/* SPDX-License-Identifier: MIT */
/*
 * The one-pass reader beside jansson: both accept and both refuse the same texts,
 * and what they accept has the same values. What we write of a value reads back
 * as that value. Known differences, kept out: jansson counts a scalar as one level
 * of its depth of 2,048, and loses a NUL byte that follows a number ("1\0" is 1).
 */
#include "model/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 2000 };

static _Noreturn void differ(const char *what) {
  fprintf(stderr, "the readers differ: %s\n", what);
  abort();
}

static void compare(const dl_value *ours, const json_t *theirs);

static void compare_objects(const dl_value *ours, const json_t *theirs) {
  if (ours->len != json_object_size(theirs)) differ("number of members");
  for (uint32_t i = 0; i < ours->len; i++) {
    const dl_value *key = &ours->members[i].key;
    const json_t *value = json_object_getn(theirs, key->string, key->len);
    if (!value) differ("a key that jansson has not");
    compare(&ours->members[i].value, value);
  }
}

static void compare_arrays(const dl_value *ours, const json_t *theirs) {
  if (ours->len != json_array_size(theirs)) differ("number of items");
  for (uint32_t i = 0; i < ours->len; i++) compare(&ours->items[i], json_array_get(theirs, i));
}

static void compare(const dl_value *ours, const json_t *theirs) {
  static const dl_value_kind kinds[] = {
      [JSON_OBJECT] = DL_VALUE_OBJECT, [JSON_ARRAY] = DL_VALUE_ARRAY,  [JSON_STRING] = DL_VALUE_STRING, [JSON_INTEGER] = DL_VALUE_INTEGER,
      [JSON_REAL] = DL_VALUE_NUMBER,   [JSON_TRUE] = DL_VALUE_BOOLEAN, [JSON_FALSE] = DL_VALUE_BOOLEAN, [JSON_NULL] = DL_VALUE_NULL};
  if (ours->kind != kinds[json_typeof(theirs)]) differ("kind");
  switch (json_typeof(theirs)) {
  case JSON_OBJECT: compare_objects(ours, theirs); return;
  case JSON_ARRAY: compare_arrays(ours, theirs); return;
  case JSON_STRING:
    if (!dl_str_equal(dl_value_str(ours), dl_str_from(json_string_value(theirs), json_string_length(theirs)))) differ("string");
    return;
  case JSON_INTEGER:
    if (ours->integer != json_integer_value(theirs)) differ("integer");
    return;
  case JSON_REAL: {
    double real = json_real_value(theirs);
    if (memcmp(&ours->number, &real, sizeof(real)) != 0) differ("real");
    return;
  }
  case JSON_TRUE:
  case JSON_FALSE:
    if (ours->boolean != json_is_true(theirs)) differ("boolean");
    return;
  case JSON_NULL: return;
  }
}

/* What is written of a value is read back as the same value. */
static void check_writing(dl_arena *arena, const dl_value *value) {
  dl_buffer text = {0};
  dl_value again;
  dl_json_error error;
  dl_value_write(&text, value);
  if (!dl_json_read(arena, dl_buffer_str(&text), &(dl_json_limits){.max_depth = DEPTH}, &again, &error)) differ("our own text is refused");
  if (!dl_value_equal(value, &again)) differ("our own text has another value");
  dl_buffer_free(&text);
}

static bool too_deep_to_compare(const uint8_t *data, size_t size) {
  size_t brackets = 0;
  for (size_t i = 0; i < size; i++) brackets += data[i] == '[' || data[i] == '{';
  return brackets >= DEPTH;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (too_deep_to_compare(data, size)) return 0;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_value value;
  dl_json_error error = {0};
  json_error_t their_error;
  bool accepted = dl_json_read(&arena, dl_str_from((const char *)data, size), &(dl_json_limits){.max_depth = DEPTH}, &value, &error);
  bool nul = size && memchr(data, 0, size);
  if (accepted && nul) differ("a NUL byte was accepted");
  json_t *tree = nul ? NULL : json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &their_error);
  if (accepted && !tree) differ(their_error.text);
  if (!accepted && tree) differ(error.message);
  if (!accepted && (error.offset > size || !error.message)) differ("the error has no place or no message");
  if (accepted) {
    compare(&value, tree);
    check_writing(&arena, &value);
  }
  json_decref(tree);
  dl_arena_free(&arena);
  return 0;
}
