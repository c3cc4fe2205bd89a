/* SPDX-License-Identifier: MIT */
/* Entity tags (RFC 9110 8.8.3), and the lists of them in If-Match and If-None-Match. */
#include "http/conditional.h"

#include "http/internal.h"

static dl_str opaque(dl_str tag) { return dl_str_starts(tag, DL_STR("W/")) ? dl_str_skip(tag, 2) : tag; }

/* etagc: no quote, no blank, no control character. A backslash is one like others and escapes nothing. */
static bool is_inside(char c) { return c != '"' && c != ' ' && dl_http_is(c, DL_CHAR_VALUE) && c != '\t'; }

/* The length of the tag that text begins with; 0 when it begins with none. */
static size_t tag_length(dl_str text) {
  dl_str quoted = opaque(text);
  if (!quoted.len || quoted.ptr[0] != '"') return 0;
  size_t at = 1;
  while (at < quoted.len && is_inside(quoted.ptr[at])) at++;
  return at < quoted.len && quoted.ptr[at] == '"' ? text.len - quoted.len + at + 1 : 0;
}

bool dl_http_etag_valid(dl_str text) { return text.len && tag_length(text) == text.len; }

/* The next tag off the front of a list; false at its end, and where it is none. */
static bool next_tag(dl_str *list, dl_str *tag) {
  size_t at = 0;
  if (!list->len) return false;
  while (at < list->len && (list->ptr[at] == ' ' || list->ptr[at] == '\t' || list->ptr[at] == ',')) at++;
  dl_str rest = dl_str_skip(*list, at);
  tag->ptr = rest.ptr;
  tag->len = tag_length(rest);
  *list = dl_str_skip(rest, tag->len);
  dl_str behind = dl_str_trim(*list);
  return tag->len && (!behind.len || behind.ptr[0] == ',');
}

static bool is_any(dl_str list) { return dl_str_equal(dl_str_trim(list), DL_STR("*")); }

bool dl_http_etag_matches(dl_str if_none_match, dl_str etag) {
  if (is_any(if_none_match)) return true;
  for (dl_str tag; next_tag(&if_none_match, &tag);)
    if (dl_str_equal(opaque(tag), opaque(etag))) return true;
  return false;
}

bool dl_http_etag_excluded(dl_str if_none_match, dl_str etag) {
  if (dl_http_etag_matches(if_none_match, etag)) return false;
  for (dl_str tag; next_tag(&if_none_match, &tag);) {}
  return if_none_match.len == 0;
}

bool dl_http_etag_matches_strongly(dl_str if_match, dl_str etag) {
  if (is_any(if_match)) return true;
  for (dl_str tag; next_tag(&if_match, &tag);)
    if (tag.ptr[0] == '"' && dl_str_equal(tag, etag)) return true;
  return false;
}
