/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 requests out of bytes (RFC 9112): llhttp built strict, behind a scan
 * of the head that closes what llhttp leaves open. Never lenient. One parser per
 * connection; it keeps no pointer into the bytes beyond what the request holds.
 */
#ifndef DL_HTTP_PARSER_H
#define DL_HTTP_PARSER_H

#include "base/arena.h"
#include "http/request.h"

typedef struct dl_http_limits {
  uint32_t max_head_bytes;   /* request line and header section; over it 431 */
  uint32_t max_target_bytes; /* 414 */
  uint32_t max_headers;      /* fields; 431 */
} dl_http_limits;

typedef enum dl_http_result {
  DL_HTTP_MORE,    /* all bytes looked at, more are needed */
  DL_HTTP_DONE,    /* head complete, or message complete */
  DL_HTTP_ERROR    /* status and reason are set; the connection must close */
} dl_http_result;

typedef struct dl_http_parser dl_http_parser;

/* One allocation (under 512 bytes) for the life of the connection. */
dl_http_parser *dl_http_parser_new(const dl_http_limits *limits);
void dl_http_parser_free(dl_http_parser *parser);

/* bytes: everything received of this request so far, from its first byte; call
 * again with the same start and more bytes after MORE (the scan goes on where it
 * stopped). DONE: *request filled with slices of bytes and arena memory,
 * *consumed the bytes of the head (empty lines before it included). */
dl_http_result dl_http_parser_head(dl_http_parser *parser, dl_str bytes, dl_arena *arena, dl_http_request *request, size_t *consumed);

/* After a head with has_body: takes bytes behind what was consumed, gives one run
 * of body data (a slice of bytes, maybe empty) and how many bytes were consumed.
 * Call until DONE; MORE with bytes left over means call again with the rest. The
 * caller bounds the sum of what it takes (413). Trailers are read and dropped. */
dl_http_result dl_http_parser_body(dl_http_parser *parser, dl_str bytes, dl_str *data, size_t *consumed);

/* Ready for the next request of the same connection. */
void dl_http_parser_reset(dl_http_parser *parser);

/* After ERROR: the status to answer and a sentence for its body. */
int dl_http_parser_status(const dl_http_parser *parser);
const char *dl_http_parser_reason(const dl_http_parser *parser);

/* After MORE or ERROR of a head: whether it began as a HEAD, whose answer has no body (RFC 9110 9.3.2). */
bool dl_http_parser_is_head(const dl_http_parser *parser);

#endif
