/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

static bool continuation(unsigned char c) { return (c & 0xc0) == 0x80; }

size_t dl_utf8_sequence(const char *p, size_t available) {
  if (available == 0) return 0;
  const unsigned char *s = (const unsigned char *)p;
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xc2) return 0;
  if (s[0] < 0xe0) return available >= 2 && continuation(s[1]) ? 2 : 0;
  if (s[0] < 0xf0) {
    if (available < 3 || !continuation(s[1]) || !continuation(s[2])) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0; /* overlong */
    if (s[0] == 0xed && s[1] > 0x9f) return 0; /* surrogate */
    return 3;
  }
  if (s[0] > 0xf4) return 0;
  if (available < 4 || !continuation(s[1]) || !continuation(s[2]) || !continuation(s[3])) return 0;
  if (s[0] == 0xf0 && s[1] < 0x90) return 0;
  if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
  return 4;
}

bool dl_utf8_valid(dl_str s) {
  size_t at = 0;
  while (at < s.len) {
    /* Eight bytes at once while they are ASCII, as most are. */
    uint64_t word;
    if (s.len - at >= 8) {
      memcpy(&word, s.ptr + at, 8);
      if (!(word & 0x8080808080808080u)) {
        at += 8;
        continue;
      }
    }
    size_t step = dl_utf8_sequence(s.ptr + at, s.len - at);
    if (!step) return false;
    at += step;
  }
  return true;
}

size_t dl_utf8_length(dl_str s) {
  size_t count = 0;
  for (size_t i = 0; i < s.len; i++) count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
  return count;
}

size_t dl_utf8_encode(uint32_t code_point, char out[4]) {
  if (code_point < 0x80) {
    out[0] = (char)code_point;
    return 1;
  }
  if (code_point < 0x800) {
    out[0] = (char)(0xc0 | (code_point >> 6));
    out[1] = (char)(0x80 | (code_point & 0x3f));
    return 2;
  }
  if (code_point < 0x10000) {
    out[0] = (char)(0xe0 | (code_point >> 12));
    out[1] = (char)(0x80 | ((code_point >> 6) & 0x3f));
    out[2] = (char)(0x80 | (code_point & 0x3f));
    return 3;
  }
  out[0] = (char)(0xf0 | (code_point >> 18));
  out[1] = (char)(0x80 | ((code_point >> 12) & 0x3f));
  out[2] = (char)(0x80 | ((code_point >> 6) & 0x3f));
  out[3] = (char)(0x80 | (code_point & 0x3f));
  return 4;
}
