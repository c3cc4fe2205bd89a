/* SPDX-License-Identifier: MIT */
/* If-None-Match fields (RFC 9110 13.1.2). */
#include "http/text.h"

#include "http/internal.h"

/* Weak comparison (RFC 9110 8.8.3.2) looks at the quoted part only. */
static dl_str opaque(dl_str tag) { return dl_str_starts(tag, DL_STR("W/")) ? dl_str_skip(tag, 2) : tag; }

bool dl_http_etag_matches(dl_str if_none_match, dl_str etag) {
  if (dl_str_equal(dl_str_trim(if_none_match), DL_STR("*"))) return true;
  for (dl_str tag; dl_http_list_next(&if_none_match, &tag);)
    if (tag.len && dl_str_equal(opaque(tag), opaque(etag))) return true;
  return false;
}
