/* SPDX-License-Identifier: MIT */
/*
 * Query strings and urlencoded forms (WHATWG URL 5.1): names and values, decoded
 * once. What cannot be decoded is refused, never replaced.
 */
#include "http/text.h"

#include "base/utf8.h"
#include "http/internal.h"

/* ASCII with nothing to decode or to refuse, as most names and values are. */
static bool is_plain(dl_str s) {
  bool plain = true;
  for (size_t i = 0; i < s.len; i++) plain &= (unsigned char)(s.ptr[i] - 1) < 0x7f && s.ptr[i] != '%' && s.ptr[i] != '+';
  return plain;
}

static const char *decode(dl_str raw, dl_arena *arena, dl_str *out) {
  *out = raw;
  if (is_plain(raw)) return NULL;
  char *copy = dl_arena_alloc(arena, raw.len);
  out->ptr = copy;
  if (!dl_http_percent_decode(raw, true, copy, &out->len)) return "a \"%\" has no two hexadecimal digits behind it";
  if (memchr(out->ptr, '\0', out->len)) return "there is a NUL in a name or value";
  return dl_utf8_valid(*out) ? NULL : "a name or value is not UTF-8";
}

static dl_str take_piece(dl_str *rest) {
  const char *end = memchr(rest->ptr, '&', rest->len);
  dl_str piece = dl_str_from(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
  *rest = dl_str_skip(*rest, end ? piece.len + 1 : piece.len);
  return piece;
}

const char *dl_http_query(dl_str text, uint32_t max_pairs, dl_arena *arena, dl_pair **pairs, uint32_t *count) {
  uint32_t pieces = 0;
  *pairs = NULL;
  *count = 0;
  for (dl_str rest = text; rest.len;) pieces += take_piece(&rest).len > 0;
  if (pieces > max_pairs) return "there are too many names and values";
  if (pieces) *pairs = dl_arena_alloc(arena, pieces * sizeof(**pairs));
  for (dl_str rest = text; rest.len;) {
    dl_str piece = take_piece(&rest);
    if (!piece.len) continue; /* "a=1&&b=2", "a=1&": nothing between two "&" */
    const char *equals = memchr(piece.ptr, '=', piece.len);
    size_t name_len = equals ? (size_t)(equals - piece.ptr) : piece.len;
    dl_str value = equals ? dl_str_skip(piece, name_len + 1) : dl_str_from(piece.ptr + piece.len, 0);
    dl_pair *pair = &(*pairs)[*count];
    const char *fault = decode(dl_str_from(piece.ptr, name_len), arena, &pair->name);
    if (!fault) fault = decode(value, arena, &pair->value);
    if (fault) return fault;
    ++*count;
  }
  return NULL;
}
