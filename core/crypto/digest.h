/* SPDX-License-Identifier: MIT */
/* SHA-2 (FIPS 180-4): for API keys, signatures and ETags; never for passwords. */
#ifndef DL_CRYPTO_DIGEST_H
#define DL_CRYPTO_DIGEST_H

#include "base/str.h"
#include "crypto/crypto.h"

typedef enum dl_digest_kind { DL_DIGEST_SHA256, DL_DIGEST_SHA384, DL_DIGEST_SHA512, DL_DIGEST_COUNT } dl_digest_kind;

enum { DL_DIGEST_MAX = 64 };

/* Bytes of a digest of that kind: 32, 48 or 64. */
size_t dl_digest_length(dl_digest_kind kind);

/* The digest of bytes, dl_digest_length(kind) of it. Any thread. */
void dl_digest(const dl_crypto *crypto, dl_digest_kind kind, dl_str bytes, unsigned char out[DL_DIGEST_MAX]);

/* The 64 hexadecimal digits, in lower case, of a SHA-256. */
void dl_digest_write_hex(const unsigned char digest[32], char hex[64]);

/* The 32 bytes that 64 hexadecimal digits name, in either case; false, and nothing of use in out, for any other text. */
bool dl_digest_read_hex(dl_str hex, unsigned char out[32]);

#endif
