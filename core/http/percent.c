/* SPDX-License-Identifier: MIT */
/* Percent-decoding (RFC 3986 2.1), once and never twice: what a decoded byte
 * means is for the caller to judge. */
#include "http/internal.h"

bool dl_http_percent_decode(dl_str s, bool plus, char *out, size_t *out_len) {
  size_t length = 0;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (c == '%') {
      if (s.len - i < 3) return false;
      int high = dl_http_hex(s.ptr[i + 1]), low = dl_http_hex(s.ptr[i + 2]);
      if (high < 0 || low < 0) return false;
      c = (char)(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus) {
      c = ' ';
    }
    out[length++] = c;
  }
  *out_len = length;
  return true;
}
