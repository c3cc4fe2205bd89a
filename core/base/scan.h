/* SPDX-License-Identifier: MIT */
/*
 * Sixteen bytes at a time over the part of a JSON string that stands for itself.
 * The reader and the writers spend most of their time here; compilers turn the
 * vector type into SSE2 or NEON, whichever the machine has.
 */
#ifndef DL_BASE_SCAN_H
#define DL_BASE_SCAN_H

#include <stdint.h>
#include <string.h>

typedef uint8_t dl_bytes16 __attribute__((vector_size(16)));
typedef int8_t dl_signed16 __attribute__((vector_size(16)));
typedef uint64_t dl_words2 __attribute__((vector_size(16)));

/* Index in memory order of the first byte that is not zero; word is not zero. */
static inline unsigned dl_scan_first(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return (unsigned)__builtin_ctzll(word) / 8;
#else
  return (unsigned)__builtin_clzll(word) / 8;
#endif
}

/* The first byte in p..end that cannot be taken as it is: a quotation mark, a
 * backslash, a control character, DEL, or a byte outside ASCII; end when none. */
static inline const char *dl_scan_plain(const char *p, const char *end) {
  while (end - p >= 16) {
    dl_bytes16 bytes;
    memcpy(&bytes, p, 16);
    /* One up, so that DEL turns negative like the bytes outside ASCII and one
     * signed comparison finds them and the control characters. */
    dl_words2 stops = (dl_words2)((dl_signed16)(bytes + 1) < 0x21) | (dl_words2)(bytes == '"') | (dl_words2)(bytes == '\\');
    if (stops[0]) return p + dl_scan_first(stops[0]);
    if (stops[1]) return p + 8 + dl_scan_first(stops[1]);
    p += 16;
  }
  while (p < end && *p != '"' && *p != '\\' && (int8_t)((uint8_t)*p + 1) >= 0x21) p++;
  return p;
}

#endif
