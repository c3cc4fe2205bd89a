/* SPDX-License-Identifier: MIT */
#include "crypto/digest.h"

#include "crypto/internal.h"

static const struct {
  const char *name;
  size_t length;
} digests[] = {[DL_DIGEST_SHA256] = {"SHA2-256", 32}, [DL_DIGEST_SHA384] = {"SHA2-384", 48}, [DL_DIGEST_SHA512] = {"SHA2-512", 64}};

const char *dl_digest_name(dl_digest_kind kind) { return digests[kind].name; }

size_t dl_digest_length(dl_digest_kind kind) { return digests[kind].length; }

void dl_digest(const dl_crypto *crypto, dl_digest_kind kind, dl_str bytes, unsigned char out[DL_DIGEST_MAX]) {
  if (!EVP_Digest(bytes.ptr, bytes.len, out, NULL, crypto->digests[kind], NULL)) dl_crypto_broken(digests[kind].name);
}

void dl_digest_write_hex(const unsigned char digest[32], char hex[64]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < 32; i++) {
    hex[2 * i] = digits[digest[i] >> 4];
    hex[2 * i + 1] = digits[digest[i] & 15];
  }
}

static int hex_digit(char c) {
  char lower = dl_ascii_lower(c);
  if (c >= '0' && c <= '9') return c - '0';
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool dl_digest_read_hex(dl_str hex, unsigned char out[32]) {
  if (hex.len != 64) return false;
  for (size_t i = 0; i < 32; i++) {
    int high = hex_digit(hex.ptr[2 * i]), low = hex_digit(hex.ptr[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = (unsigned char)(high << 4 | low);
  }
  return true;
}
