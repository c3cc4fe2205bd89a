/* SPDX-License-Identifier: MIT */
/* What a response says of its version, held against what its client has (RFC 9110 13). */
#include "http/conditional.h"

const char *dl_http_validators_note(dl_http_validators *validators, dl_str name, dl_str value) {
  if (dl_str_equal_nocase(name, DL_STR("etag"))) {
    if (!dl_http_etag_valid(value)) return "an ETag is a text in double quotes, without blanks in it; write headers = { ETag = '\"v1\"' }";
    if (validators->etag.len) return "there are two ETags, and an answer has one; leave the other out";
    validators->etag = value;
  } else if (dl_str_equal_nocase(name, DL_STR("last-modified"))) {
    if (!dl_http_date_valid(value)) return "the Last-Modified is no date as HTTP has it; write os.date(\"!%a, %d %b %Y %H:%M:%S GMT\", seconds)";
    if (validators->last_modified.len) return "there are two Last-Modified, and an answer has one; leave the other out";
    validators->last_modified = value;
  }
  return NULL;
}

static bool reads(const dl_http_request *request) { return request->method == DL_METHOD_GET || request->method == DL_METHOD_HEAD; }

/* Both are dates, and the first is not the later one. */
static bool is_not_after(dl_str modified, dl_str since, int64_t now_s) {
  int64_t modified_s, since_s;
  return modified.len && dl_http_date_read(since, now_s, &since_s) && dl_http_date_read(modified, now_s, &modified_s) && modified_s <= since_s;
}

bool dl_http_not_modified(const dl_http_request *request, const dl_http_validators *validators, int64_t now_s, struct dl_arena *arena) {
  if (!reads(request)) return false;
  dl_str tags = dl_http_request_find(request, DL_STR("if-none-match"), arena);
  if (tags.ptr) return validators->etag.len && dl_http_etag_matches(tags, validators->etag);
  return is_not_after(validators->last_modified, dl_http_request_find(request, DL_STR("if-modified-since"), arena), now_s);
}

bool dl_http_precondition_holds(const dl_http_request *request, dl_str etag, struct dl_arena *arena) {
  dl_str wanted = dl_http_request_find(request, DL_STR("if-match"), arena), unwanted = dl_http_request_find(request, DL_STR("if-none-match"), arena);
  if (wanted.ptr && !(etag.len && dl_http_etag_matches_strongly(wanted, etag))) return false;
  return reads(request) || !unwanted.ptr || !etag.len || dl_http_etag_excluded(unwanted, etag);
}
