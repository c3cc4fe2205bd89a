/* SPDX-License-Identifier: MIT */
#include "http/cross_origin.h"

static dl_str without_suffix(dl_str text, dl_str suffix) {
  bool ends = text.len > suffix.len && dl_str_equal(dl_str_skip(text, text.len - suffix.len), suffix);
  return ends ? dl_str_from(text.ptr, text.len - suffix.len) : text;
}

/* An origin leaves its scheme's own port out, a Host field may have it. A page that came
 * by http:// may be of whoever is on the wire, also where it has our name. */
static bool is_origin_of(dl_str origin, dl_str host, bool https) {
  static const struct {
    dl_str before, port;
  } schemes[] = {{DL_STR("https://"), DL_STR(":443")}, {DL_STR("http://"), DL_STR(":80")}};
  size_t count = https ? 1 : sizeof schemes / sizeof *schemes; /* the first alone */
  for (size_t i = 0; i < count; i++)
    if (dl_str_starts(origin, schemes[i].before))
      return dl_str_equal_nocase(dl_str_skip(origin, schemes[i].before.len), without_suffix(host, schemes[i].port));
  return false; /* "null", or a scheme that no page of ours has */
}

bool dl_http_cross_origin(const dl_http_request *request, dl_str host, bool https) {
  dl_str site = dl_http_request_header(request, DL_HEADER_SEC_FETCH_SITE);
  if (site.len) return !dl_str_equal(site, DL_STR("same-origin")) && !dl_str_equal(site, DL_STR("none"));
  dl_str origin = dl_http_request_header(request, DL_HEADER_ORIGIN);
  if (!origin.len) return false;
  return !is_origin_of(origin, host.len ? host : dl_http_request_header(request, DL_HEADER_HOST), https);
}

bool dl_http_navigation(const dl_http_request *request, dl_arena *arena) {
  return dl_str_equal(dl_http_request_find(request, DL_STR("sec-fetch-mode"), arena), DL_STR("navigate")) &&
         dl_str_equal(dl_http_request_find(request, DL_STR("sec-fetch-dest"), arena), DL_STR("document"));
}
