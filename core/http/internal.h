/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: classes of bytes, the refusal, the scan
 * of a head, targets, framing and the guard of chunked bodies. Nobody outside
 * core/http includes it.
 */
#ifndef DL_HTTP_INTERNAL_H
#define DL_HTTP_INTERNAL_H

#include "base/buffer.h"
#include "http/parser.h"

/* Bits of dl_http_class[byte]. */
enum {
  DL_CHAR_TOKEN = 1,   /* tchar, RFC 9110 5.6.2 */
  DL_CHAR_PATH = 2,    /* pchar, "/" and "%" of RFC 3986 3.3 */
  DL_CHAR_QUERY = 4,   /* the same and "?", and what browsers leave unescaped behind it */
  DL_CHAR_HOST = 8,    /* letters, digits, "-", ".", "_": what a host name is made of */
  DL_CHAR_COOKIE = 16, /* cookie-octet of RFC 6265 4.1.1, and space and comma */
  DL_CHAR_VALUE = 32,  /* field-value: HTAB, SP, visible ASCII, 0x80-0xff (RFC 9110 5.5) */
  DL_CHAR_DIGIT = 64,
  DL_CHAR_SUSPECT = 128 /* "%" and ".": a path with one of them is looked at twice */
};
extern const uint8_t dl_http_class[256];

static inline bool dl_http_is(char c, unsigned classes) { return (dl_http_class[(unsigned char)c] & classes) != 0; }

/* Whether s is not empty and every byte of it is of the class. */
bool dl_http_all(dl_str s, unsigned classes);

/* The value of a hexadecimal digit, or -1. */
int dl_http_hex(char c);

/* Why a message is refused: what the connection answers before it closes. */
typedef struct dl_http_refusal {
  int status;         /* 0: not refused */
  const char *reason; /* static */
} dl_http_refusal;

#define DL_HTTP_BAD_FIELD "a header field has a character that it cannot have, or a space before its colon"

static inline dl_http_result dl_http_refuse(dl_http_refusal *refusal, int status, const char *reason) {
  *refusal = (dl_http_refusal){status, reason};
  return DL_HTTP_ERROR;
}

/* A request line taken apart; offsets count from the start of the bytes. */
typedef struct dl_http_line {
  size_t method_at, method_len;
  size_t target_at, target_len;
  uint8_t version_minor;
  dl_method method;
} dl_http_line;

/* "GET /path HTTP/1.1" without its CRLF (RFC 9112 3): exactly two spaces, a
 * method of ours, HTTP/1.0 or 1.1. Says nothing yet about what is in the target. */
dl_http_result dl_http_line_read(dl_http_line *line, dl_str text, size_t at, const dl_http_limits *limits, dl_http_refusal *refusal);

/* Fills method, target, path, query from the line. *authority: that of an
 * absolute-form target, else empty (RFC 9112 3.2). */
dl_http_result dl_http_target_read(const dl_http_line *line, dl_str bytes, dl_arena *arena, dl_http_request *request, dl_str *authority,
                                   dl_http_refusal *refusal);

/* Where the scan of a head stands. Zeroed is the beginning. */
typedef struct dl_http_scan {
  size_t at;           /* bytes before it need no second look */
  size_t start;        /* first byte of the request line */
  size_t line_start;   /* of the line being read */
  uint32_t fields;     /* header lines complete */
  uint8_t empty_lines; /* seen before the request line */
  bool has_line;       /* the request line is complete and in line */
  dl_http_line line;
} dl_http_scan;

/* Looks for the end of the head. DONE: scan->at is one past its last byte. What it
 * says depends only on the bytes, not on the pieces in which they came. */
dl_http_result dl_http_scan_head(dl_http_scan *scan, dl_str bytes, const dl_http_limits *limits, dl_http_refusal *refusal);

/* The number of a header name that the core knows, or DL_HEADER_OTHER. */
uint8_t dl_http_header_id(dl_str name);

/* What the fields say about the message: Host, body length, persistence,
 * expectation. The fields and known[] are in; the rest of request is filled.
 * repeated: bit per known field that is there more than once. */
dl_http_result dl_http_framing_read(dl_http_request *request, uint32_t repeated, dl_str authority, dl_http_refusal *refusal);

/* A chunked body as its own bytes announce it, beside llhttp, to bound what
 * llhttp does not: digits of a size, extensions, trailers. Zeroed is the beginning. */
typedef struct dl_http_chunked {
  uint64_t left;  /* bytes of the current chunk's data still to come */
  uint16_t bytes; /* of the size, extension or trailer section so far */
  uint8_t state;
} dl_http_chunked;

/* Passes a run of bytes that are not data; *dropped: they are of an extension or a
 * trailer, which are for nobody. DONE: the body is complete. MORE with *passed 0: what
 * follows is data. ERROR: *passed is where. */
dl_http_result dl_http_chunked_pass(dl_http_chunked *chunked, dl_str bytes, size_t *passed, bool *dropped, dl_http_refusal *refusal);

/* count bytes of data were taken. */
void dl_http_chunked_took(dl_http_chunked *chunked, size_t count);

/* Percent-decoding of s into out, which has room for s.len bytes; plus: "+" is a
 * space. False for a "%" without two hexadecimal digits behind it. */
bool dl_http_percent_decode(dl_str s, bool plus, char *out, size_t *out_len);

/* A URL with what may not stand in one percent-encoded; what is escaped stays so. */
void dl_http_percent_encode_url(dl_buffer *buffer, dl_str url);

#endif
