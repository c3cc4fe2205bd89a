/* SPDX-License-Identifier: MIT */
/*
 * Cookie fields (RFC 6265 4.2.1). Strict where leniency would let one cookie's
 * value become another cookie: quotes, backslashes and control bytes inside a
 * value are refused. Space and comma, which scripts do set, separate nothing.
 */
#include "http/text.h"

#include "http/internal.h"

static const char *pair_read(dl_str piece, dl_pair *pair) {
  const char *equals = memchr(piece.ptr, '=', piece.len);
  if (!equals) return "a cookie has no \"=\"";
  pair->name = dl_str_from(piece.ptr, (size_t)(equals - piece.ptr));
  pair->value = dl_str_skip(piece, pair->name.len + 1);
  if (!dl_http_all(pair->name, DL_CHAR_TOKEN)) return "a cookie's name is not a token";
  if (pair->value.len >= 2 && pair->value.ptr[0] == '"' && pair->value.ptr[pair->value.len - 1] == '"')
    pair->value = dl_str_from(pair->value.ptr + 1, pair->value.len - 2);
  if (pair->value.len && !dl_http_all(pair->value, DL_CHAR_COOKIE)) return "a cookie's value has a character that it cannot have";
  return NULL;
}

static dl_str take_piece(dl_str *rest) {
  const char *end = memchr(rest->ptr, ';', rest->len);
  dl_str piece = dl_str_from(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
  *rest = dl_str_skip(*rest, end ? piece.len + 1 : piece.len);
  return dl_str_trim(piece);
}

const char *dl_http_cookies(dl_str text, uint32_t max_pairs, dl_arena *arena, dl_pair **pairs, uint32_t *count) {
  uint32_t pieces = 0;
  *pairs = NULL;
  *count = 0;
  for (dl_str rest = text; rest.len;) pieces += take_piece(&rest).len > 0 || rest.len > 0;
  if (pieces > max_pairs) return "there are too many cookies";
  if (pieces) *pairs = dl_arena_alloc(arena, pieces * sizeof(**pairs));
  for (dl_str rest = text; rest.len;) {
    dl_str piece = take_piece(&rest);
    if (!piece.len && !rest.len) break; /* people write "a=1;" by hand */
    const char *fault = piece.len ? pair_read(piece, &(*pairs)[*count]) : "there is nothing between two \";\"";
    if (fault) return fault;
    ++*count;
  }
  return NULL;
}
