/* SPDX-License-Identifier: MIT */
/*
 * XAES-256-GCM (C2SP): AES-256-GCM with nonces long enough to be drawn at random
 * for ever. Internal to this folder; seal.h is what others use.
 */
#ifndef DL_CRYPTO_XAES_H
#define DL_CRYPTO_XAES_H

#include "base/str.h"
#include "crypto/crypto.h"

enum { DL_XAES_KEY = 32, DL_XAES_NONCE = 24, DL_XAES_TAG = 16 };

typedef struct dl_xaes dl_xaes;

/* One thread at a time. */
dl_xaes *dl_xaes_new(const dl_crypto *crypto, const unsigned char key[DL_XAES_KEY]);
void dl_xaes_free(dl_xaes *xaes);

/* Writes plain.len + DL_XAES_TAG bytes to out. */
void dl_xaes_encrypt(dl_xaes *xaes, const unsigned char nonce[DL_XAES_NONCE], dl_str bound, dl_str plain, unsigned char *out);

/* Writes length - DL_XAES_TAG bytes to out. False, and out wiped, when it was not
 * encrypted under this key, nonce and bound data. length is at least DL_XAES_TAG. */
bool dl_xaes_decrypt(dl_xaes *xaes, const unsigned char nonce[DL_XAES_NONCE], dl_str bound, const unsigned char *ciphertext, size_t length, unsigned char *out);

#endif
