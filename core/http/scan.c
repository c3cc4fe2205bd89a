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

/* Where in a block of 16 bytes a class of bytes is, one bit a byte. */
#ifdef __SSE2__
typedef __m128i block;

static inline block block_load(const char bytes[BLOCK]) { return _mm_loadu_si128((const __m128i *)(const void *)bytes); }

static inline uint32_t block_find(block bytes, char c) { return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c))); }

/* Control bytes: 0-0x1f and 0x7f, CR and LF among them. */
static inline uint32_t block_controls(block bytes) {
  __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  return (uint32_t)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}
#else
typedef const char *block;

static inline block block_load(const char bytes[BLOCK]) { return bytes; }

static inline uint32_t block_find(block bytes, char c) {
  uint32_t found = 0;
  for (unsigned i = 0; i < BLOCK; i++) found |= (uint32_t)(bytes[i] == c) << i;
  return found;
}

static inline uint32_t block_controls(block bytes) {
  uint32_t found = 0;
  for (unsigned i = 0; i < BLOCK; i++) found |= (uint32_t)((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f) << i;
  return found;
}
#endif

/* llhttp would join a folded line to the one before and take ": a" for a field with
 * no name. */
static dl_http_result field_fault(char first, dl_http_refusal *refusal) {
  if (first == ' ' || first == '\t') return dl_http_refuse(refusal, 400, "a header line begins with white space; write each field on one line");
  if (first == ':') return dl_http_refuse(refusal, 400, "a header field has no name");
  return dl_http_refuse(refusal, 400, DL_HTTP_BAD_FIELD);
}

/* The request line, or an empty line before it. */
static dl_http_result first_line_end(dl_http_scan *scan, dl_str bytes, size_t at, const dl_http_limits *limits, dl_http_refusal *refusal) {
  dl_str line = dl_str_from(bytes.ptr + scan->start, at - scan->start);
  scan->line_start = at + 2;
  if (!line.len) {
    scan->start = at + 2;
    if (++scan->empty_lines > MAX_EMPTY_LINES) return dl_http_refuse(refusal, 400, "there are too many empty lines before the request");
    return DL_HTTP_MORE;
  }
  scan->has_line = true;
  return dl_http_line_read(&scan->line, line, scan->start, limits, refusal);
}

/* CR at `at` is followed by LF. DONE when it was the empty line behind the head. */
static inline dl_http_result line_end(dl_http_scan *scan, dl_str bytes, size_t at, const dl_http_limits *limits, dl_http_refusal *refusal) {
  if (!scan->has_line) return first_line_end(scan, bytes, at, limits, refusal);
  char first = bytes.ptr[scan->line_start];
  if (at == scan->line_start) {
    scan->at = at + 2;
    return DL_HTTP_DONE;
  }
  scan->line_start = at + 2;
  if (!dl_http_is(first, DL_CHAR_TOKEN)) return field_fault(first, refusal);
  if (++scan->fields > limits->max_headers) return dl_http_refuse(refusal, 431, "there are too many header fields");
  return DL_HTTP_MORE;
}

/* A control byte that is not the LF of a CRLF. The CR of one is none of its business. */
static dl_http_result control_byte(const dl_http_scan *scan, dl_str bytes, size_t at, dl_http_refusal *refusal) {
  char c = bytes.ptr[at];
  bool followed = at + 1 == bytes.len || bytes.ptr[at + 1] == '\n';
  if ((c == '\r' && followed) || (c == '\t' && scan->has_line)) return DL_HTTP_MORE;
  if (c == '\r') return dl_http_refuse(refusal, 400, "there is a CR without LF; lines end in CRLF");
  if (c == '\n') return dl_http_refuse(refusal, 400, "there is an LF without CR; lines end in CRLF");
  if (at == 0 && c == TLS_HANDSHAKE)
    return dl_http_refuse(refusal, 400, "this looks like a TLS handshake; this port speaks plain HTTP, write http:// instead of https://");
  return dl_http_refuse(refusal, 400, "there is a control character in the head");
}

/* One look at each of bytes [at, end), in order, so that the first fault is the one
 * that is told. */
static dl_http_result slow_scan(dl_http_scan *scan, dl_str bytes, size_t at, size_t end, const dl_http_limits *limits, dl_http_refusal *refusal) {
  for (; at < end; at++) {
    unsigned char c = (unsigned char)bytes.ptr[at];
    if (c >= 0x20 && c != 0x7f) continue;
    bool pair = c == '\n' && at > 0 && bytes.ptr[at - 1] == '\r';
    dl_http_result result = pair ? line_end(scan, bytes, at - 1, limits, refusal) : control_byte(scan, bytes, at, refusal);
    if (result != DL_HTTP_MORE) return result;
  }
  return DL_HTTP_MORE;
}

/* The head does not end within max_head_bytes. */
static dl_http_result too_long(const dl_http_scan *scan, dl_str bytes, dl_http_refusal *refusal) {
  if (scan->has_line) return dl_http_refuse(refusal, 431, "the request line and header fields are too long together");
  bool target = memchr(bytes.ptr + scan->start, ' ', bytes.len - scan->start) != NULL;
  if (target) return dl_http_refuse(refusal, 414, "the request target is too long");
  return dl_http_refuse(refusal, 400, "the request line has no target");
}

/* [at, at + rest), rest at most a block; *carry is 1 when the byte before is a CR. A
 * short rest is read together with bytes before it, which are shifted out. Inline,
 * so that a whole block costs no shift. */
static inline __attribute__((always_inline)) dl_http_result block_scan(dl_http_scan *scan, dl_str bytes, size_t at, size_t rest, uint32_t *carry,
                                                                       const dl_http_limits *limits, dl_http_refusal *refusal) {
  size_t seen = BLOCK - rest;
  block here = block_load(bytes.ptr + at - seen);
  uint32_t controls = block_controls(here) >> seen;
  if (!(controls | *carry)) return DL_HTTP_MORE;
  uint32_t cr = block_find(here, '\r') >> seen, lf = block_find(here, '\n') >> seen, before = *carry;
  uint32_t pairs = (cr << 1 | before) & ((1u << rest) - 1);
  *carry = cr >> (rest - 1);
  /* Not so: an LF behind each CR and only there, nothing else below a space. */
  if (lf != pairs || controls != (cr | lf)) return slow_scan(scan, bytes, at - before, at + rest, limits, refusal);
  dl_http_result result = DL_HTTP_MORE;
  for (; pairs && result == DL_HTTP_MORE; pairs &= pairs - 1) result = line_end(scan, bytes, at + (size_t)__builtin_ctz(pairs) - 1, limits, refusal);
  return result;
}

static dl_http_result blocks_scan(dl_http_scan *scan, dl_str bytes, const dl_http_limits *limits, dl_http_refusal *refusal) {
  dl_http_result result = DL_HTTP_MORE;
  uint32_t carry = 0;
  size_t at = scan->at;
  for (; bytes.len - at >= BLOCK && result == DL_HTTP_MORE; at += BLOCK) result = block_scan(scan, bytes, at, BLOCK, &carry, limits, refusal);
  if (result == DL_HTTP_MORE && at < bytes.len) result = block_scan(scan, bytes, at, bytes.len - at, &carry, limits, refusal);
  return result;
}

dl_http_result dl_http_scan_head(dl_http_scan *scan, dl_str bytes, const dl_http_limits *limits, dl_http_refusal *refusal) {
  bool full = bytes.len >= limits->max_head_bytes;
  if (full) bytes.len = limits->max_head_bytes;
  dl_http_result result =
      bytes.len < BLOCK ? slow_scan(scan, bytes, scan->at, bytes.len, limits, refusal) : blocks_scan(scan, bytes, limits, refusal);
  if (result != DL_HTTP_MORE) return result;
  scan->at = bytes.len;
  /* A CR at the end is looked at again, together with what follows it. */
  if (bytes.len && bytes.ptr[bytes.len - 1] == '\r') scan->at--;
  return full ? too_long(scan, bytes, refusal) : DL_HTTP_MORE;
}
