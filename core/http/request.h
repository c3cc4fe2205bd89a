/* SPDX-License-Identifier: MIT */
/*
 * A request as it was parsed: slices of the connection's read buffer, except the
 * path, which is decoded into the arena when it held escapes. Valid until the
 * connection says it is done with the request.
 */
#ifndef DL_HTTP_REQUEST_H
#define DL_HTTP_REQUEST_H

#include "http/method.h"

#include <stdint.h>

/* Header fields that the core itself looks at; their place in known[]. */
#define DL_HEADERS(X)                             \
  X(HOST, "host")                                 \
  X(CONTENT_TYPE, "content-type")                 \
  X(CONTENT_LENGTH, "content-length")             \
  X(TRANSFER_ENCODING, "transfer-encoding")       \
  X(CONTENT_ENCODING, "content-encoding")         \
  X(CONNECTION, "connection")                     \
  X(UPGRADE, "upgrade")                           \
  X(EXPECT, "expect")                             \
  X(AUTHORIZATION, "authorization")               \
  X(COOKIE, "cookie")                             \
  X(ORIGIN, "origin")                             \
  X(SEC_FETCH_SITE, "sec-fetch-site")             \
  X(ACCEPT, "accept")                             \
  X(ACCEPT_ENCODING, "accept-encoding")           \
  X(IF_MATCH, "if-match")                         \
  X(IF_NONE_MATCH, "if-none-match")               \
  X(IF_MODIFIED_SINCE, "if-modified-since")       \
  X(USER_AGENT, "user-agent")                     \
  X(ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method") \
  X(ACCESS_CONTROL_REQUEST_HEADERS, "access-control-request-headers") \
  X(ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK, "access-control-request-private-network") \
  X(FORWARDED, "forwarded")                       \
  X(X_FORWARDED_FOR, "x-forwarded-for")           \
  X(X_FORWARDED_PROTO, "x-forwarded-proto")       \
  X(X_FORWARDED_HOST, "x-forwarded-host")         \
  X(TRACEPARENT, "traceparent")

typedef enum dl_header_id {
#define DL_HEADER_CONSTANT(constant, name) DL_HEADER_##constant,
  DL_HEADERS(DL_HEADER_CONSTANT)
#undef DL_HEADER_CONSTANT
  DL_HEADER_OTHER
} dl_header_id;

typedef struct dl_header {
  dl_str name;  /* as sent */
  dl_str value; /* optional white space around it removed */
  uint8_t id;   /* dl_header_id */
} dl_header;

typedef struct dl_http_request {
  dl_method method;
  dl_str method_text;
  dl_str target;           /* as sent */
  dl_str path;             /* decoded once, begins with "/" ("*" for OPTIONS *) */
  dl_str query;            /* as sent, without "?" */
  const dl_header *headers;
  uint32_t header_count;
  uint8_t version_minor;   /* 0 or 1 */
  bool keep_alive;         /* as version, Connection and Upgrade say */
  bool expect_continue;
  bool chunked;
  bool has_body;           /* Content-Length over 0, or chunked */
  uint64_t content_length; /* bytes, when not chunked */
  int16_t known[DL_HEADER_OTHER]; /* index of the first such field, or -1 */
} dl_http_request;

/* The first field with that id, or an empty slice (ptr NULL when there is none, as
 * in a zeroed request). */
static inline dl_str dl_http_request_header(const dl_http_request *request, dl_header_id id) {
  uint32_t at = (uint32_t)request->known[id]; /* -1 is over any count */
  return at >= request->header_count ? (dl_str){0} : request->headers[at].value;
}

/* All fields of that name joined with ", " (RFC 9110 5.3), "; " for cookie
 * (RFC 9113 8.2.3); ptr NULL when there is none. A copy only when there are several. */
struct dl_arena;
dl_str dl_http_request_find(const dl_http_request *request, dl_str name, struct dl_arena *arena);

#endif
