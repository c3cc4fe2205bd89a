/* SPDX-License-Identifier: MIT */
/*
 * UTF-8, and base64 with both alphabets, beside readers that are slow and plain: the
 * same texts are taken, for the same code points and bytes, and one text only stands
 * for them.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "crypto/base64.h"

/* --- UTF-8 (RFC 3629) ------------------------------------------------------------------- */

/* The code point at the front by its bits alone, or -1; *length is how many bytes it has. */
static long decode_plainly(dl_str s, size_t *length) {
  static const struct {
    unsigned mask, lead, least;
  } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
  unsigned first = (unsigned char)s.ptr[0];
  for (size_t more = 0; more < 4; more++) {
    if ((first & forms[more].mask) != forms[more].lead) continue;
    unsigned long code_point = first & ~forms[more].mask;
    if (more == 0) code_point = first;
    for (size_t i = 1; i <= more; i++) {
      if (i >= s.len || ((unsigned char)s.ptr[i] & 0xc0) != 0x80) return -1;
      code_point = code_point << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    }
    *length = more + 1;
    bool scalar = code_point >= forms[more].least && code_point <= 0x10ffff && !(code_point >= 0xd800 && code_point <= 0xdfff);
    return scalar ? (long)code_point : -1;
  }
  return -1;
}

static void check_utf8(dl_str text) {
  size_t count = 0, length = 0;
  bool valid = true;
  for (dl_str rest = text; rest.len && valid; rest = dl_str_skip(rest, valid ? length : 0)) {
    long code_point = decode_plainly(rest, &length);
    char again[4];
    valid = code_point >= 0;
    require(dl_utf8_sequence(rest.ptr, rest.len) == (valid ? length : 0), "a sequence has the length that its bits say");
    if (!valid) break;
    require(dl_utf8_encode((uint32_t)code_point, again) == length && memcmp(again, rest.ptr, length) == 0, "a code point is written as it was read");
    count++;
  }
  require(dl_utf8_valid(text) == valid, "the fast reader takes what the slow one takes");
  if (valid) require(dl_utf8_length(text) == count, "the length is the number of code points");
}

/* --- base64 (RFC 4648 4, 5) ---------------------------------------------------------------- */

static int six_bits(dl_base64_alphabet alphabet, char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == (alphabet == DL_BASE64 ? '+' : '-')) return 62;
  return c == (alphabet == DL_BASE64 ? '/' : '_') ? 63 : -1;
}

/* Bit by bit. False for whatever is no encoding of whole bytes. */
static bool decode_bits(dl_base64_alphabet alphabet, dl_str text, unsigned char *out, size_t *length) {
  size_t bits = 0;
  for (size_t i = 0; i < text.len; i++) {
    int six = six_bits(alphabet, text.ptr[i]);
    if (six < 0) return false;
    for (int bit = 5; bit >= 0; bit--, bits++) {
      if (bits % 8 == 0) out[bits / 8] = 0;
      out[bits / 8] = (unsigned char)(out[bits / 8] | ((six >> bit & 1) << (7 - bits % 8)));
    }
  }
  *length = bits / 8;
  return bits % 8 < 6 && (bits % 8 == 0 || out[bits / 8] == 0);
}

static void check_base64(dl_base64_alphabet alphabet, dl_str text) {
  size_t room = dl_base64_decoded_max(text.len), length = 0, slow_length = 0;
  unsigned char *fast = malloc(room ? room : 1), *slow = malloc(text.len + 1);
  require(fast && slow, "there is memory");
  bool taken = dl_base64_decode(alphabet, text, fast, &length) == DL_BASE64_OK;
  require(taken == decode_bits(alphabet, text, slow, &slow_length), "the fast reader takes what the slow one takes");
  if (taken) {
    size_t written = dl_base64_encoded_length(length);
    require(length == slow_length && memcmp(fast, slow, length) == 0, "both readers find the same bytes");
    require(written == text.len, "bytes have one text only");
    char *again = malloc(written ? written : 1);
    require(again != NULL, "there is memory");
    dl_base64_encode(alphabet, dl_str_from((const char *)fast, length), again);
    require(memcmp(again, text.ptr, written) == 0, "bytes have one text only");
    free(again);
  }
  free(fast);
  free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = exact_copy(dl_str_from((const char *)data, size));
  dl_str text = dl_str_from(bytes, size);
  check_utf8(text);
  check_base64(DL_BASE64, text);
  check_base64(DL_BASE64URL, text);
  free(bytes);
  return 0;
}
