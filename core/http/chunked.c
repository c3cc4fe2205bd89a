/* SPDX-License-Identifier: MIT */
/*
 * The guard of chunked bodies (RFC 9112 7.1). llhttp takes leading zeros, extensions
 * and trailers without end; this bounds them, keeps extensions and trailers to
 * itself, and counts the data on its own, so that a chunk is taken only where both
 * agree.
 */
#include "http/internal.h"

enum { MAX_SIZE_DIGITS = 16, MAX_EXTENSION_BYTES = 256, MAX_TRAILER_BYTES = 8192 };

enum state { SIZE, EXTENSION, QUOTED, ESCAPED, SIZE_CR, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER_START, TRAILER_NAME, TRAILER_VALUE, TRAILER_LF, END_LF };

static dl_http_result size_byte(dl_http_chunked *chunked, char c, dl_http_refusal *refusal) {
  int digit = dl_http_hex(c);
  if (digit >= 0) {
    if (++chunked->bytes > MAX_SIZE_DIGITS) return dl_http_refuse(refusal, 400, "a chunk size has more than 16 digits");
    chunked->left = chunked->left << 4 | (unsigned)digit;
    return DL_HTTP_MORE;
  }
  if (!chunked->bytes) return dl_http_refuse(refusal, 400, "a chunk does not begin with its size in hexadecimal");
  if (c != '\r') return dl_http_refuse(refusal, 400, "a chunk size is not hexadecimal");
  chunked->state = SIZE_LF;
  return DL_HTTP_MORE;
}

/* A CR between quotes is refused with the other controls: whoever reads quoted text
 * over the line's end sees other chunks than whoever stops there. */
static dl_http_result extension_byte(dl_http_chunked *chunked, char c, dl_http_refusal *refusal) {
  if (!dl_http_is(c, DL_CHAR_VALUE)) return dl_http_refuse(refusal, 400, "a chunk extension has a control character");
  if (++chunked->bytes > MAX_EXTENSION_BYTES) return dl_http_refuse(refusal, 400, "a chunk extension is longer than 256 bytes");
  if (chunked->state == ESCAPED) chunked->state = QUOTED;
  else if (c == '"') chunked->state = chunked->state == QUOTED ? EXTENSION : QUOTED;
  else if (c == '\\' && chunked->state == QUOTED) chunked->state = ESCAPED;
  return DL_HTTP_MORE;
}

static dl_http_result trailer_byte(dl_http_chunked *chunked, char c, dl_http_refusal *refusal) {
  if (++chunked->bytes > MAX_TRAILER_BYTES) return dl_http_refuse(refusal, 431, "the trailer section is longer than 8,192 bytes");
  if (chunked->state == TRAILER_VALUE) {
    if (c == '\r') chunked->state = TRAILER_LF;
    else if (!dl_http_is(c, DL_CHAR_VALUE)) return dl_http_refuse(refusal, 400, "there is a control character in the trailer section");
  } else if (c == ':') {
    chunked->state = TRAILER_VALUE;
  } else if (!dl_http_is(c, DL_CHAR_TOKEN)) {
    return dl_http_refuse(refusal, 400, "a trailer's name has a character that it cannot have, or a space before its colon");
  }
  return DL_HTTP_MORE;
}

/* The LF (or CR) that a state waits for; each failure is a smuggling attempt or a
 * broken client, and the connection cannot be trusted after it. */
static dl_http_result expected(dl_http_chunked *chunked, char c, char wanted, enum state next, dl_http_refusal *refusal) {
  if (c != wanted)
    return dl_http_refuse(refusal, 400,
                          chunked->state == DATA_CR || chunked->state == DATA_LF ? "chunk data is not followed by CRLF"
                                                                                 : "there is a CR without LF in a chunked body");
  chunked->state = (uint8_t)next;
  return DL_HTTP_MORE;
}

static dl_http_result byte(dl_http_chunked *chunked, char c, dl_http_refusal *refusal) {
  switch ((enum state)chunked->state) {
  case SIZE: return size_byte(chunked, c, refusal);
  case EXTENSION:
  case QUOTED:
  case ESCAPED: return extension_byte(chunked, c, refusal);
  case SIZE_CR: return expected(chunked, c, '\r', SIZE_LF, refusal);
  case SIZE_LF: chunked->bytes = 0; return expected(chunked, c, '\n', chunked->left ? DATA : TRAILER_START, refusal);
  case DATA_CR: return expected(chunked, c, '\r', DATA_LF, refusal);
  case DATA_LF: return expected(chunked, c, '\n', SIZE, refusal);
  case TRAILER_START:
    if (c != '\r') return dl_http_refuse(refusal, 400, "a trailer line does not begin with a field name");
    chunked->state = END_LF;
    return DL_HTTP_MORE;
  case TRAILER_NAME:
  case TRAILER_VALUE: return trailer_byte(chunked, c, refusal);
  case TRAILER_LF: return expected(chunked, c, '\n', TRAILER_START, refusal);
  case END_LF: return expected(chunked, c, '\n', SIZE, refusal) == DL_HTTP_ERROR ? DL_HTTP_ERROR : DL_HTTP_DONE;
  case DATA: break;
  }
  return DL_HTTP_DONE;
}

/* Where extensions and trailers begin and extensions end: before the byte that shows it. */
static void turn(dl_http_chunked *chunked, char c) {
  if (chunked->state == SIZE && chunked->bytes && c == ';') {
    chunked->state = EXTENSION;
    chunked->bytes = 0;
  } else if (chunked->state == EXTENSION && c == '\r') {
    chunked->state = SIZE_CR;
  } else if (chunked->state == TRAILER_START && dl_http_is(c, DL_CHAR_TOKEN)) {
    chunked->state = TRAILER_NAME;
  }
}

static bool is_dropped(uint8_t state) { return (state >= EXTENSION && state <= ESCAPED) || (state >= TRAILER_NAME && state <= TRAILER_LF); }

dl_http_result dl_http_chunked_pass(dl_http_chunked *chunked, dl_str bytes, size_t *passed, bool *dropped, dl_http_refusal *refusal) {
  dl_http_result result = DL_HTTP_MORE;
  size_t at = 0;
  *dropped = false;
  while (at < bytes.len && result == DL_HTTP_MORE && chunked->state != DATA) {
    turn(chunked, bytes.ptr[at]);
    if (at == 0) *dropped = is_dropped(chunked->state);
    else if (*dropped != is_dropped(chunked->state)) break;
    result = byte(chunked, bytes.ptr[at], refusal);
    if (result != DL_HTTP_ERROR) at++;
  }
  *passed = at;
  return result;
}

void dl_http_chunked_took(dl_http_chunked *chunked, size_t count) {
  chunked->left -= count;
  if (!chunked->left) chunked->state = DATA_CR;
}
