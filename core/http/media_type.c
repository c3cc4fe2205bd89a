/* SPDX-License-Identifier: MIT */
/* Content-Type fields (RFC 9110 8.3): type/subtype, and the charset parameter. */
#include "http/text.h"

#include "http/internal.h"

static dl_str take_token(dl_str *rest) {
  size_t length = 0;
  while (length < rest->len && dl_http_is(rest->ptr[length], DL_CHAR_TOKEN)) length++;
  dl_str token = dl_str_from(rest->ptr, length);
  *rest = dl_str_skip(*rest, length);
  return token;
}

static bool take_char(dl_str *rest, char c) {
  if (!rest->len || rest->ptr[0] != c) return false;
  *rest = dl_str_skip(*rest, 1);
  return true;
}

/* A token, or a quoted string whose quotes are left out. A charset has no need of
 * escapes, so a value with a backslash is no value that we know. */
static bool take_value(dl_str *rest, dl_str *value) {
  if (!take_char(rest, '"')) return (*value = take_token(rest)).len > 0;
  const char *end = memchr(rest->ptr, '"', rest->len);
  if (!end) return false;
  *value = dl_str_from(rest->ptr, (size_t)(end - rest->ptr));
  *rest = dl_str_skip(*rest, value->len + 1);
  return (!value->len || dl_http_all(*value, DL_CHAR_VALUE)) && !memchr(value->ptr, '\\', value->len);
}

static bool parameters_read(dl_str rest, dl_str *charset) {
  bool seen = false;
  for (rest = dl_str_trim(rest); rest.len; rest = dl_str_trim(rest)) {
    dl_str value;
    if (!take_char(&rest, ';')) return false;
    rest = dl_str_trim(rest);
    if (!rest.len || rest.ptr[0] == ';') continue; /* the grammar lets a parameter be empty */
    dl_str name = take_token(&rest);
    if (!name.len || !take_char(&rest, '=') || !take_value(&rest, &value)) return false;
    if (!dl_str_equal_nocase(name, DL_STR("charset"))) continue;
    if (seen) return false;
    seen = true;
    *charset = value;
  }
  return true;
}

static dl_str lower_copy(dl_str s, dl_arena *arena) {
  size_t at = 0;
  while (at < s.len && s.ptr[at] == dl_ascii_lower(s.ptr[at])) at++;
  if (at == s.len) return s;
  char *copy = dl_arena_alloc(arena, s.len);
  for (size_t i = 0; i < s.len; i++) copy[i] = dl_ascii_lower(s.ptr[i]);
  return dl_str_from(copy, s.len);
}

bool dl_http_media_type(dl_str field, dl_arena *arena, dl_str *type, dl_str *charset) {
  dl_str rest = dl_str_trim(field), whole = rest;
  *type = *charset = (dl_str){0};
  if (!rest.len || !take_token(&rest).len || !take_char(&rest, '/') || !take_token(&rest).len) return false;
  whole.len = (size_t)(rest.ptr - whole.ptr);
  if (!parameters_read(rest, charset)) return false;
  *type = lower_copy(whole, arena);
  return true;
}

bool dl_http_is_json(dl_str type) {
  static const dl_str suffix = {"+json", 5};
  return dl_str_equal(type, DL_STR("application/json")) || (type.len > suffix.len && dl_str_equal(dl_str_skip(type, type.len - suffix.len), suffix));
}
