/* SPDX-License-Identifier: MIT */
/*
 * Base64 and base64url (RFC 4648 4 and 5) without padding, strictly: one text for
 * the same bytes and no other, as tokens need it (RFC 7515 2).
 */
#ifndef DL_CRYPTO_BASE64_H
#define DL_CRYPTO_BASE64_H

#include "base/str.h"

typedef enum dl_base64_alphabet { DL_BASE64, DL_BASE64URL } dl_base64_alphabet;

typedef enum dl_base64_result {
  DL_BASE64_OK,
  DL_BASE64_LENGTH,    /* 4n + 1 characters encode nothing */
  DL_BASE64_CHARACTER, /* not of the alphabet; padding and white space are not */
  DL_BASE64_STRAY_BITS /* the last character holds bits that no byte has */
} dl_base64_result;

/* Room for what length characters decode to, and length bytes encode to. */
static inline size_t dl_base64_decoded_max(size_t length) { return length / 4 * 3 + (length % 4 ? length % 4 - 1 : 0); }
static inline size_t dl_base64_encoded_length(size_t length) { return length / 3 * 4 + (length % 3 ? length % 3 + 1 : 0); }

/* out has room for dl_base64_decoded_max(text.len) and may not be text's memory. */
dl_base64_result dl_base64_decode(dl_base64_alphabet alphabet, dl_str text, unsigned char *out, size_t *length);

/* Writes dl_base64_encoded_length(bytes.len) characters, and no NUL. */
void dl_base64_encode(dl_base64_alphabet alphabet, dl_str bytes, char *out);

#endif
