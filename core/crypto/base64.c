/* SPDX-License-Identifier: MIT */
#include "crypto/base64.h"

#include <stdint.h>

static const char alphabets[][65] = {
    [DL_BASE64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [DL_BASE64URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* Six bits plus one for each character; 0 for the others. */
/* clang-format off */
#define SHARED_VALUES \
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, \
    ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, \
    ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, \
    ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, \
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, \
    ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62
/* clang-format on */

static const unsigned char values[][256] = {
    [DL_BASE64] = {SHARED_VALUES, ['+'] = 63, ['/'] = 64},
    [DL_BASE64URL] = {SHARED_VALUES, ['-'] = 63, ['_'] = 64},
};

/* The only branch on a character is whether it is one: what a good text holds does not show in the time it takes. */
dl_base64_result dl_base64_decode(dl_base64_alphabet alphabet, dl_str text, unsigned char *out, size_t *length) {
  const unsigned char *own = values[alphabet];
  uint32_t bits = 0;
  size_t written = 0;
  if (text.len % 4 == 1) return DL_BASE64_LENGTH;
  for (size_t i = 0; i < text.len; i++) {
    uint32_t six = own[(unsigned char)text.ptr[i]];
    if (!six) return DL_BASE64_CHARACTER;
    bits = bits << 6 | (six - 1);
    if (i % 4) out[written++] = (unsigned char)(bits >> (6 - i % 4 * 2));
  }
  if (text.len % 4 && (bits & (text.len % 4 == 2 ? 0x0fu : 0x03u))) return DL_BASE64_STRAY_BITS;
  *length = written;
  return DL_BASE64_OK;
}

void dl_base64_encode(dl_base64_alphabet alphabet, dl_str bytes, char *out) {
  const char *own = alphabets[alphabet];
  const unsigned char *from = (const unsigned char *)bytes.ptr;
  size_t left = bytes.len;
  for (; left >= 3; left -= 3, from += 3) {
    *out++ = own[from[0] >> 2];
    *out++ = own[(from[0] & 3) << 4 | from[1] >> 4];
    *out++ = own[(from[1] & 15) << 2 | from[2] >> 6];
    *out++ = own[from[2] & 63];
  }
  if (!left) return;
  *out++ = own[from[0] >> 2];
  *out++ = own[(from[0] & 3) << 4 | (left == 2 ? from[1] >> 4 : 0)];
  if (left == 2) *out = own[(from[1] & 15) << 2];
}
