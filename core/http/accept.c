/* SPDX-License-Identifier: MIT */
/* Accept fields (RFC 9110 12.5.1), for one question: a page or JSON? */
#include "http/text.h"

#include "http/internal.h"

/* "0.8" in thousandths; what is malformed counts as 0, that is, not wanted. */
static unsigned quality(dl_str text) {
  unsigned value = 0, scale = 1000;
  for (size_t i = 0; i < text.len; i++) {
    if (i == 1) {
      if (text.ptr[i] != '.') return 0;
      continue;
    }
    if (i > 4 || !dl_http_is(text.ptr[i], DL_CHAR_DIGIT)) return 0;
    value += (unsigned)(text.ptr[i] - '0') * scale;
    scale /= 10;
  }
  return value <= 1000 ? value : 0;
}

/* The weight behind "type/subtype;a=b;q=0.5"; 1 when it has none. */
static unsigned weight(dl_str parameters) {
  while (parameters.len) {
    parameters = dl_str_skip(parameters, 1);
    const char *end = memchr(parameters.ptr, ';', parameters.len);
    dl_str one = dl_str_trim(dl_str_from(parameters.ptr, end ? (size_t)(end - parameters.ptr) : parameters.len));
    if (one.len >= 2 && dl_ascii_lower(one.ptr[0]) == 'q' && one.ptr[1] == '=') return quality(dl_str_skip(one, 2));
    parameters = end ? dl_str_skip(parameters, (size_t)(end - parameters.ptr)) : (dl_str){0};
  }
  return 1000;
}

/* How exactly a range names the type: 3 itself, 2 "text / *", 1 "* / *", 0 not at all. */
static unsigned precision(dl_str range, dl_str type) {
  if (dl_str_equal_nocase(range, type)) return 3;
  if (dl_str_equal(range, DL_STR("*/*"))) return 1;
  if (range.len < 2 || range.len > type.len || range.ptr[range.len - 1] != '*' || range.ptr[range.len - 2] != '/') return 0;
  return dl_str_equal_nocase(dl_str_from(range.ptr, range.len - 1), dl_str_from(type.ptr, range.len - 1)) ? 2 : 0;
}

/* The weight that the most precise range for the type gives it. */
static unsigned wanted(dl_str accept, dl_str type) {
  unsigned best = 0, result = 0;
  for (dl_str element; dl_http_list_next(&accept, &element);) {
    const char *semicolon = element.len ? memchr(element.ptr, ';', element.len) : NULL;
    size_t length = semicolon ? (size_t)(semicolon - element.ptr) : element.len;
    unsigned exact = precision(dl_str_trim(dl_str_from(element.ptr, length)), type);
    if (exact <= best) continue;
    best = exact;
    result = weight(dl_str_skip(element, length));
  }
  return result;
}

bool dl_http_prefers_html(dl_str accept) { return wanted(accept, DL_STR("text/html")) > wanted(accept, DL_STR("application/json")); }
