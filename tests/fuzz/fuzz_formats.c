/* SPDX-License-Identifier: MIT */
/*
 * Every scalar kind in every mode on the same bytes. The first byte says what the
 * rest is: text, an integer, a double or a boolean. What converts is canonical: it
 * converts to itself. What strict mode takes, lax mode takes for the same value;
 * text mode is lax mode. What does not convert stays as it was and says why.
 */
#include "base/utf8.h"
#include "model/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void broken(dl_kind kind, dl_mode mode, const char *what) {
  fprintf(stderr, "kind %d, mode %d: %s\n", (int)kind, (int)mode, what);
  abort();
}

static bool same(const dl_value *a, const dl_value *b) {
  if (a->kind != b->kind || a->flags != b->flags || a->len != b->len) return false;
  switch (a->kind) {
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: return dl_str_equal(dl_value_str(a), dl_value_str(b));
  case DL_VALUE_BOOLEAN: return a->boolean == b->boolean;
  case DL_VALUE_INTEGER: return a->integer == b->integer;
  case DL_VALUE_NUMBER: return a->number == b->number;
  default: return true;
  }
}

static void check_duration(dl_arena *arena, double seconds) {
  dl_buffer text = {0};
  dl_duration_write(&text, seconds);
  dl_value value = dl_value_string(dl_buffer_str(&text));
  dl_conversion conversion = {.arena = arena};
  if (!dl_convert(DL_KIND_DURATION, DL_MODE_STRICT, &value, &conversion)) broken(DL_KIND_DURATION, DL_MODE_STRICT, "what was written does not read");
  if (value.number != seconds) broken(DL_KIND_DURATION, DL_MODE_STRICT, "what was written reads as another duration");
  dl_buffer_free(&text);
}

static void check_canonical(dl_arena *arena, dl_kind kind, dl_mode mode, const dl_value *value) {
  dl_conversion conversion = {.arena = arena};
  dl_value again = *value;
  if (kind == DL_KIND_DURATION) {
    check_duration(arena, value->number);
    mode = DL_MODE_LAX;
  }
  if (value->kind == DL_VALUE_NUMBER && !isfinite(value->number)) broken(kind, mode, "the number is not finite");
  if (!dl_convert(kind, mode, &again, &conversion)) broken(kind, mode, "what is canonical is refused");
  if (!same(value, &again)) broken(kind, mode, "what is canonical changes");
}

static bool convert(dl_arena *arena, dl_kind kind, dl_mode mode, dl_value *value) {
  dl_conversion conversion = {.arena = arena};
  dl_value before = *value;
  if (dl_convert(kind, mode, value, &conversion)) {
    check_canonical(arena, kind, mode, value);
    return true;
  }
  if (!conversion.type || !conversion.message.len || !dl_utf8_valid(conversion.message)) broken(kind, mode, "the refusal does not say why");
  if (memcmp(&before, value, sizeof(before)) != 0) broken(kind, mode, "what is refused changes");
  return false;
}

static void check_kind(dl_arena *arena, dl_kind kind, const dl_value *input) {
  dl_value strict = *input, lax = *input, text = *input;
  bool strict_converts = convert(arena, kind, DL_MODE_STRICT, &strict), lax_converts = convert(arena, kind, DL_MODE_LAX, &lax);
  if (convert(arena, kind, DL_MODE_TEXT, &text) != lax_converts || !same(&lax, &text)) broken(kind, DL_MODE_TEXT, "text is not lax");
  if (strict_converts && (!lax_converts || !same(&strict, &lax))) broken(kind, DL_MODE_STRICT, "strict takes what lax does not");
}

/* In UTC a datetime is the same moment, in whole seconds, and in one form. */
static void check_utc(dl_arena *arena, dl_mode mode, const dl_value *input) {
  dl_conversion conversion = {.arena = arena};
  dl_value utc = *input, plain = *input;
  if (!dl_convert_utc(mode, &utc, &conversion)) return;
  double seconds = 0, given = 0;
  char text[DL_UTC_TEXT];
  if (utc.len != DL_UTC_TEXT || utc.string[DL_UTC_TEXT - 1] != 'Z') broken(DL_KIND_DATETIME, mode, "in UTC it has another form");
  if (!dl_convert(DL_KIND_DATETIME, mode, &plain, &conversion)) broken(DL_KIND_DATETIME, mode, "UTC takes what a datetime is not");
  if (!dl_datetime_seconds(dl_value_str(&utc), &seconds, &conversion)) broken(DL_KIND_DATETIME, mode, "what is in UTC has no seconds");
  if (!dl_datetime_seconds(dl_value_str(&plain), &given, &conversion)) broken(DL_KIND_DATETIME, mode, "it has no seconds");
  if (floor(given) != seconds) broken(DL_KIND_DATETIME, mode, "in UTC it is another moment");
  if (!dl_datetime_write(seconds, text) || memcmp(text, utc.string, sizeof(text)) != 0) broken(DL_KIND_DATETIME, mode, "seconds are another text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  dl_str text = dl_str_from((const char *)data + 1, size - 1);
  uint64_t bits = 0;
  memcpy(&bits, text.ptr, text.len < 8 ? text.len : 8);
  dl_value value = dl_value_boolean(bits & 1);
  if (data[0] == 'i') value = dl_value_integer((int64_t)bits);
  if (data[0] == 'n') {
    double number;
    memcpy(&number, &bits, sizeof(number));
    value = dl_value_number(isfinite(number) ? number : 0);
  }
  if (data[0] == 's') {
    if (!dl_utf8_valid(text) || memchr(text.ptr, '\0', text.len)) return 0;
    value = dl_value_string(text);
  }
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (int kind = 0; kind <= DL_KIND_FILE; kind++) check_kind(&arena, (dl_kind)kind, &value);
  for (dl_mode mode = DL_MODE_STRICT; mode <= DL_MODE_TEXT; mode++) check_utc(&arena, mode, &value);
  dl_arena_free(&arena);
  return 0;
}
