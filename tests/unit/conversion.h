/* SPDX-License-Identifier: MIT */
/* Running one conversion in a test and seeing its result as text. */
#ifndef DL_TESTS_CONVERSION_H
#define DL_TESTS_CONVERSION_H

#include "unit.h"

#include "base/utf8.h"
#include "model/convert.h"
#include "model/json.h"

#include <stdlib.h>

static const char *const mode_names[] = {"strict", "lax", "text"};

/* Reads a JSON text that the test wrote. */
static inline dl_value value_of_json(dl_arena *arena, const char *json) {
  dl_value value = {0};
  dl_json_error error;
  if (!dl_json_read(arena, dl_str_of(json), NULL, &value, &error)) fail_msg("%s: %s at %zu", json, error.message, error.offset);
  return value;
}

static inline const char *value_as_text(dl_arena *arena, const dl_value *value) {
  switch (value->kind) {
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: return dl_arena_copy(arena, dl_value_str(value)).ptr;
  case DL_VALUE_BOOLEAN: return value->boolean ? "true" : "false";
  case DL_VALUE_INTEGER: return dl_arena_format(arena, "%lld", (long long)value->integer);
  case DL_VALUE_NUMBER: {
    dl_buffer text = {0};
    dl_buffer_append_double(&text, value->number);
    const char *copy = dl_arena_copy(arena, dl_buffer_str(&text)).ptr;
    dl_buffer_free(&text);
    return copy;
  }
  default: return "(no scalar)";
  }
}

/* What a refusal must have whatever the type: a known type, a sentence, a context
 * of the fields that Pydantic's type has. */
static inline void assert_refusal(const dl_conversion *conversion) {
  assert_non_null(conversion->type);
  assert_true(conversion->message.len > 10);
  assert_true(dl_utf8_valid(conversion->message));
  assert_true(conversion->context.kind == DL_VALUE_ABSENT || conversion->context.kind == DL_VALUE_OBJECT);
}

/* The canonical form as text, or "!" and the error's type. */
static inline const char *convert_to_text(dl_arena *arena, dl_kind kind, dl_mode mode, dl_value value) {
  dl_conversion conversion = {.arena = arena};
  dl_value before = value;
  if (dl_convert(kind, mode, &value, &conversion)) {
    const char *text = value_as_text(arena, &value);
    dl_value again = value;
    /* Converting what is canonical changes nothing; a duration's number is lax. */
    if (!dl_convert(kind, kind == DL_KIND_DURATION ? DL_MODE_LAX : mode, &again, &conversion))
      fail_msg("the canonical form is refused: %s (%s)", text, conversion.type);
    assert_string_equal(value_as_text(arena, &again), text);
    return text;
  }
  assert_memory_equal(&before, &value, sizeof(value));
  assert_refusal(&conversion);
  return dl_arena_format(arena, "!%s", conversion.type);
}

static inline void check_conversion(dl_arena *arena, dl_kind kind, dl_mode mode, dl_value value, const char *shown, const char *expected) {
  const char *got = convert_to_text(arena, kind, mode, value);
  if (strcmp(got, expected) != 0) fail_msg("kind %d, %s, %s: expected %s, got %s", (int)kind, mode_names[mode], shown, expected, got);
}

#endif
