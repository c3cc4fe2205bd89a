/* SPDX-License-Identifier: MIT */
/*
 * The pass over a head before llhttp sees it: finds its end, and refuses what
 * llhttp lets through (bare CR and LF, folded lines, empty names, control bytes,
 * limits). It remembers where it stopped, so that a head that trickles in is
 * read once. It never looks into the fields' values.
 */
#include "http/internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK = 16, MAX_EMPTY_LINES = 4, TLS_HANDSHAKE = 0x16 };

/* Bit i is set when block[i] is a control byte (0-0x1f, 0x7f). */
static inline uint32_t control_mask(const char block[BLOCK]) {
#ifdef __SSE2__
  __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
  __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  return (uint32_t)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
#else
  uint32_t mask = 0;
  for (unsigned i = 0; i < BLOCK; i++) mask |= (uint32_t)((unsigned char)block[i] < 0x20 || block[i] == 0x7f) << i;
  return mask;
#endif
}

static inline uint32_t control_mask_at(dl_str bytes, size_t at) {
  if (bytes.len - at >= BLOCK) return control_mask(bytes.ptr + at);
  char rest[BLOCK];
  memset(rest, 'a', sizeof(rest));
  memcpy(rest, bytes.ptr + at, bytes.len - at);
  return control_mask(rest);
}

/* A header line is whole: [scan->line_start, end). llhttp would join a folded line
 * to the one before and take ": a" for a field with no name. */
static dl_http_result field_line(dl_http_scan *scan, dl_str bytes, const dl_http_limits *limits, dl_http_refusal *refusal) {
  char first = bytes.ptr[scan->line_start];
  if (first == ' ' || first == '\t') return dl_http_refuse(refusal, 400, "a header line begins with white space; write each field on one line");
  if (first == ':') return dl_http_refuse(refusal, 400, "a header field has no name");
  if (++scan->fields > limits->max_headers) return dl_http_refuse(refusal, 431, "there are too many header fields");
  return DL_HTTP_MORE;
}

/* CR at `at` is followed by LF. DONE when it was the empty line behind the head. */
static dl_http_result line_end(dl_http_scan *scan, dl_str bytes, size_t at, const dl_http_limits *limits, dl_http_refusal *refusal) {
  dl_http_result result = DL_HTTP_MORE;
  bool empty = at == scan->line_start;
  if (empty && scan->has_line) {
    result = DL_HTTP_DONE;
  } else if (empty) {
    if (++scan->empty_lines > MAX_EMPTY_LINES) return dl_http_refuse(refusal, 400, "there are too many empty lines before the request");
    scan->start = at + 2;
  } else if (scan->has_line) {
    result = field_line(scan, bytes, limits, refusal);
  } else {
    result = dl_http_line_read(&scan->line, dl_str_from(bytes.ptr + scan->start, at - scan->start), scan->start, limits, refusal);
    scan->has_line = true;
  }
  scan->line_start = at + 2;
  return result;
}

static dl_http_result control_byte(dl_http_scan *scan, dl_str bytes, size_t at, dl_http_refusal *refusal) {
  if (at == 0 && (unsigned char)bytes.ptr[0] == TLS_HANDSHAKE)
    return dl_http_refuse(refusal, 400, "this looks like a TLS handshake; this port speaks plain HTTP, write http:// instead of https://");
  if (bytes.ptr[at] == '\t' && scan->has_line) return DL_HTTP_MORE;
  return dl_http_refuse(refusal, 400, "there is a control character in the head");
}

/* The head does not end within max_head_bytes. */
static dl_http_result too_long(const dl_http_scan *scan, dl_str bytes, dl_http_refusal *refusal) {
  if (scan->has_line) return dl_http_refuse(refusal, 431, "the request line and header fields are too long together");
  bool target = memchr(bytes.ptr + scan->start, ' ', bytes.len - scan->start) != NULL;
  if (target) return dl_http_refuse(refusal, 414, "the request target is too long");
  return dl_http_refuse(refusal, 400, "the request line has no target");
}

dl_http_result dl_http_scan_head(dl_http_scan *scan, dl_str bytes, const dl_http_limits *limits, dl_http_refusal *refusal) {
  bool full = bytes.len >= limits->max_head_bytes;
  if (full) bytes.len = limits->max_head_bytes;
  for (size_t block = scan->at; block < bytes.len; block += BLOCK) {
    for (uint32_t mask = control_mask_at(bytes, block); mask; mask &= mask - 1) {
      size_t at = block + (size_t)__builtin_ctz(mask);
      dl_http_result result = DL_HTTP_MORE;
      if (bytes.ptr[at] == '\r') {
        if (at + 1 == bytes.len) {
          scan->at = at;
          return full ? too_long(scan, bytes, refusal) : DL_HTTP_MORE;
        }
        if (bytes.ptr[at + 1] != '\n') return dl_http_refuse(refusal, 400, "there is a CR without LF; lines end in CRLF");
        result = line_end(scan, bytes, at, limits, refusal);
        scan->at = at + 2;
      } else if (bytes.ptr[at] != '\n') {
        result = control_byte(scan, bytes, at, refusal);
      } else if (at + 1 != scan->line_start) {
        return dl_http_refuse(refusal, 400, "there is an LF without CR; lines end in CRLF");
      }
      if (result != DL_HTTP_MORE) return result;
    }
  }
  scan->at = bytes.len;
  return full ? too_long(scan, bytes, refusal) : DL_HTTP_MORE;
}
