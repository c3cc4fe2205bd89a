/* SPDX-License-Identifier: MIT */
/* Percent-encoding (RFC 3986 2.1): decoded once and never twice, what a decoded byte
 * means is for the caller to judge; encoded where a URL may not hold the byte. */
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

/* Reserved and unreserved characters, and what is escaped already. */
static bool stands_in_url(dl_str url, size_t at) {
  char c = url.ptr[at];
  if (c == '%') return url.len - at >= 3 && dl_http_hex(url.ptr[at + 1]) >= 0 && dl_http_hex(url.ptr[at + 2]) >= 0;
  return dl_http_is(c, DL_CHAR_PATH) || c == '?' || c == '#' || c == '[' || c == ']';
}

void dl_http_percent_encode_url(dl_buffer *buffer, dl_str url) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < url.len; i++) {
    unsigned char c = (unsigned char)url.ptr[i];
    if (stands_in_url(url, i)) dl_buffer_append_char(buffer, url.ptr[i]);
    else dl_buffer_append(buffer, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
  }
}
