/* SPDX-License-Identifier: MIT */
/*
 * Conditional requests (RFC 9110 13): a client that says which version it has is
 * not sent it again, or changes nothing when it has an old one.
 */
#ifndef DL_HTTP_CONDITIONAL_H
#define DL_HTTP_CONDITIONAL_H

#include "http/request.h"

/* What a response says of the version that it is; empty where it says nothing. Slices of the caller's. */
typedef struct dl_http_validators {
  dl_str etag;
  dl_str last_modified;
} dl_http_validators;

/* Takes note of a field of a response if it is one of these. NULL, or what is wrong with
 * it, as a static sentence that says what to write. */
const char *dl_http_validators_note(dl_http_validators *validators, dl_str name, dl_str value);

static inline bool dl_http_validators_any(const dl_http_validators *validators) { return validators->etag.len || validators->last_modified.len; }

/* What a client that asks by GET or HEAD is sent of a version, by what it says that it has or wants (13.2.2). */
typedef enum dl_http_due {
  DL_HTTP_DUE_WHOLE,
  DL_HTTP_DUE_NOT_MODIFIED, /* 304: it has this one, by If-None-Match, and only without that by If-Modified-Since */
  DL_HTTP_DUE_REFUSAL,      /* 412: it wants another one, by If-Match, and only without that by If-Unmodified-Since */
} dl_http_due;

/* What the response does not name is held against nothing: its handler may have, by a precondition of its own. */
dl_http_due dl_http_due_of(const dl_http_request *request, const dl_http_validators *validators, int64_t now_s, struct dl_arena *arena);

/* Whether a request may go on where the current version has this tag, or, by an empty one,
 * there is none: false where its If-Match or, of a method that changes something, its
 * If-None-Match says otherwise, or cannot be read: 412. */
bool dl_http_precondition_holds(const dl_http_request *request, dl_str etag, struct dl_arena *arena);

/* Whether an entity tag is in an If-None-Match field (weak comparison, "*"), or in an
 * If-Match field (strong comparison, "*"). What is malformed ends the list. */
bool dl_http_etag_matches(dl_str if_none_match, dl_str etag);
bool dl_http_etag_matches_strongly(dl_str if_match, dl_str etag);

/* Whether an If-None-Match field can be read to its end, and the tag is not in it: who
 * names what he does not want in a way that nobody understands may mean this one. */
bool dl_http_etag_excluded(dl_str if_none_match, dl_str etag);

/* One entity tag, W/"..." or "...". */
bool dl_http_etag_valid(dl_str text);

/* An HTTP-date of whatever form, as seconds since 1970. now_s: by which a year of two
 * digits is read. */
bool dl_http_date_read(dl_str text, int64_t now_s, int64_t *seconds);

/* An HTTP-date in the one form that a server writes: "Sun, 06 Nov 1994 08:49:37 GMT". */
bool dl_http_date_valid(dl_str text);

#endif
