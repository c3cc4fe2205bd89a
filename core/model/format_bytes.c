/* SPDX-License-Identifier: MIT */
/*
 * bytes: base64 (RFC 4648 4) or base64url (5), one alphabet at a time, padded
 * wholly or not at all. No white space, and no bits that say nothing: two texts
 * never mean the same bytes but for alphabet and padding.
 */
#include "model/formats.h"

static bool refuse(const char *reason, dl_conversion *conversion) {
  static const char message[] = "should be bytes as base64 or base64url, like \"aGk=\"";
  dl_format_refuse_because(conversion, "bytes_invalid_encoding", message, "encoding_error", reason);
  dl_member *members = dl_arena_alloc(conversion->arena, 2 * sizeof(*members));
  members[0] = (dl_member){.key = dl_value_string(DL_STR("encoding")), .value = dl_value_string(DL_STR("base64"))};
  members[1] = conversion->context.members[0];
  conversion->context.members = members;
  conversion->context.len = 2;
  return false;
}

enum { IN_BASE64 = 1, IN_BASE64URL = 2 };

/* The six bits of c, or -1; *alphabets keeps those that have had every letter so far. */
static int sextet(char c, int *alphabets) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (dl_format_digit(c)) return c - '0' + 52;
  if (c == '+' || c == '/') *alphabets &= IN_BASE64;
  else if (c == '-' || c == '_') *alphabets &= IN_BASE64URL;
  else return -1;
  return c == '+' || c == '-' ? 62 : 63;
}

bool dl_format_bytes(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode;
  if (value->kind == DL_VALUE_BYTES) return true;
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "bytes_type", "should be bytes, as a string of base64");
  dl_str text = dl_value_str(value);
  size_t padding = 0;
  while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=') padding++;
  if (padding && text.len % 4) return refuse("its padding is not whole", conversion);
  text.len -= padding;
  if (text.len % 4 == 1) return refuse("its length is that of no bytes", conversion);
  unsigned char *bytes = dl_arena_alloc(conversion->arena, text.len / 4 * 3 + 3);
  size_t length = 0;
  uint32_t bits = 0;
  int alphabets = IN_BASE64 | IN_BASE64URL;
  for (size_t i = 0; i < text.len; i++) {
    int six = sextet(text.ptr[i], &alphabets);
    if (six < 0) return refuse("it holds a character of neither alphabet", conversion);
    if (!alphabets) return refuse("it mixes both alphabets", conversion);
    bits = bits << 6 | (uint32_t)six;
    if (i % 4) bytes[length++] = (unsigned char)(bits >> (6 - i % 4 * 2));
  }
  size_t odd = text.len % 4;
  if (odd && (bits & (odd == 2 ? 0x0fu : 0x03u))) return refuse("its last character holds stray bits", conversion);
  *value = (dl_value){.kind = DL_VALUE_BYTES, .len = (uint32_t)length, .string = (const char *)bytes};
  return true;
}
