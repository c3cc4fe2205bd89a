/* SPDX-License-Identifier: MIT */
/*
 * Response heads. What never changes is made at load: a route's block of security
 * fields is one slice; per request only the status line, Date, Content-Length
 * and what a handler adds are written.
 */
#ifndef DL_HTTP_RESPONSE_H
#define DL_HTTP_RESPONSE_H

#include "base/buffer.h"
#include "base/clock.h"

/* "Not Found"; "" for a number that RFC 9110 and its friends do not name. */
dl_str dl_http_reason(int status);

/* A whole status line with CRLF: "HTTP/1.1 200 OK\r\n"; from a table when known. */
void dl_http_status_line(dl_buffer *buffer, int status);

/* "Date: ...\r\n", 37 bytes, formatted again only when the second changed. */
typedef struct dl_http_date {
  int64_t second;
  char line[38];
} dl_http_date;
dl_str dl_http_date_line(dl_http_date *date, const dl_clock *clock);

/* "name: value\r\n". False, and nothing written, when the name is not a token or
 * the value holds CR, LF, NUL or another control character (response splitting). */
bool dl_http_header_line(dl_buffer *buffer, dl_str name, dl_str value);

/* The same of a field that an app gives: a Location or a Content-Location is a URL, and
 * what RFC 3986 does not let stand in one is percent-encoded. */
bool dl_http_app_header_line(dl_buffer *buffer, dl_str name, dl_str value);

/* Those header lines whose names are not among the others': what is said for one
 * response replaces what holds for all. Both are whole lines as made above. */
void dl_http_header_lines_except(dl_buffer *buffer, dl_str block, dl_str others);

/* The lines of buffer from `from` on with one Vary, where there were several: nginx before
 * 1.23 caches by the last one alone, and gives one client's answer to others. Of a list
 * with "*" in it only that is left, which some know by itself alone. */
void dl_http_join_vary(dl_buffer *buffer, size_t from);

/* A chunk of a chunked body, or with an empty slice the last one. */
void dl_http_chunk(dl_buffer *buffer, dl_str data);

/* 204, 205, 304 and 1xx have no body (RFC 9110 15.3.5, 15.3.6, 15.4.5). */
static inline bool dl_http_status_has_body(int status) { return status >= 200 && status != 204 && status != 205 && status != 304; }

/* All of these but 205 end with their head, whatever its fields say (RFC 9112 6.3), and
 * have no Content-Length (RFC 9110 8.6); a 205 has one, which says that nothing comes. */
static inline bool dl_http_status_has_length(int status) { return status == 205 || dl_http_status_has_body(status); }

#endif
