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

/* How the two moments lie: below 0, 0 or above it, as the first is before the second, the same or after it. False where one is no date. */
static bool compare_dates(dl_str modified, dl_str asked, int64_t now_s, int *order) {
  int64_t modified_s, asked_s;
  if (!modified.len || !dl_http_date_read(asked, now_s, &asked_s) || !dl_http_date_read(modified, now_s, &modified_s)) return false;
  *order = (modified_s > asked_s) - (modified_s < asked_s);
  return true;
}

static bool wants_another(const dl_http_request *request, const dl_http_validators *validators, int64_t now_s, struct dl_arena *arena) {
  int order;
  dl_str tags = dl_http_request_find(request, DL_STR("if-match"), arena);
  if (tags.ptr) return validators->etag.len && !dl_http_etag_matches_strongly(tags, validators->etag);
  return compare_dates(validators->last_modified, dl_http_request_find(request, DL_STR("if-unmodified-since"), arena), now_s, &order) && order > 0;
}

static bool has_this_one(const dl_http_request *request, const dl_http_validators *validators, int64_t now_s, struct dl_arena *arena) {
  int order;
  dl_str tags = dl_http_request_find(request, DL_STR("if-none-match"), arena);
  if (tags.ptr) return validators->etag.len && dl_http_etag_matches(tags, validators->etag);
  return compare_dates(validators->last_modified, dl_http_request_find(request, DL_STR("if-modified-since"), arena), now_s, &order) && order <= 0;
}

dl_http_due dl_http_due_of(const dl_http_request *request, const dl_http_validators *validators, int64_t now_s, struct dl_arena *arena) {
  if (!reads(request)) return DL_HTTP_DUE_WHOLE;
  if (wants_another(request, validators, now_s, arena)) return DL_HTTP_DUE_REFUSAL;
  return has_this_one(request, validators, now_s, arena) ? DL_HTTP_DUE_NOT_MODIFIED : DL_HTTP_DUE_WHOLE;
}

bool dl_http_precondition_holds(const dl_http_request *request, dl_str etag, struct dl_arena *arena) {
  dl_str wanted = dl_http_request_find(request, DL_STR("if-match"), arena), unwanted = dl_http_request_find(request, DL_STR("if-none-match"), arena);
  if (wanted.ptr && !(etag.len && dl_http_etag_matches_strongly(wanted, etag))) return false;
  return reads(request) || !unwanted.ptr || !etag.len || dl_http_etag_excluded(unwanted, etag);
}
