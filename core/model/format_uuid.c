/* SPDX-License-Identifier: MIT */
/* uuid: 32 hexadecimal digits, with hyphens or without, the former also in braces or behind "urn:uuid:" (RFC 9562 4). */
#include "model/formats.h"

enum { PLAIN = 32, HYPHENATED = 36 };

static bool refuse(const char *reason, dl_conversion *conversion) {
  return dl_format_refuse_because(conversion, "uuid_parsing", "should be a UUID like \"2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1\"", "error", reason);
}

bool dl_format_uuid(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode; /* Pydantic's strict mode takes the same four forms */
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "uuid_type", "should be a UUID, as a string");
  dl_str text = dl_value_str(value);
  if (text.len == HYPHENATED + 2 && text.ptr[0] == '{' && text.ptr[text.len - 1] == '}') text = dl_str_from(text.ptr + 1, HYPHENATED);
  else if (text.len == HYPHENATED + 9 && dl_str_starts(text, DL_STR("urn:uuid:"))) text = dl_str_skip(text, 9);
  if (text.len != HYPHENATED && text.len != PLAIN) return refuse("it should have 32 hexadecimal digits", conversion);
  static const char hex[] = "0123456789abcdef";
  char out[HYPHENATED];
  for (size_t to = 0, from = 0; to < HYPHENATED; to++) {
    bool hyphen = to == 8 || to == 13 || to == 18 || to == 23;
    if (hyphen && text.len == HYPHENATED && text.ptr[from++] != '-') return refuse("its hyphens should stand behind 8, 12, 16 and 20 digits", conversion);
    int digit = hyphen ? 0 : dl_format_hex(text.ptr[from++]);
    if (digit < 0) return refuse("it should hold hexadecimal digits only", conversion);
    out[to] = hyphen ? '-' : hex[digit];
  }
  return dl_format_accept(value, dl_str_from(out, HYPHENATED), conversion);
}
