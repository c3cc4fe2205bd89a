/* SPDX-License-Identifier: MIT */
/*
 * Sealed texts: what a client carries for us (session and refresh cookies) and can
 * neither read nor change. XAES-256-GCM as C2SP specifies it: AES-256-GCM under a
 * key derived for each message from 192 random bits, so that no number of cookies
 * wears a key out. The first key seals, all open: that is rotation.
 */
#ifndef DL_CRYPTO_SEAL_H
#define DL_CRYPTO_SEAL_H

#include "base/buffer.h"
#include "crypto/crypto.h"

typedef struct dl_sealer dl_sealer;

enum {
  DL_SEAL_KEYS_MAX = 8,
  DL_SEAL_SECRET_MIN = 32,
  DL_SEAL_PLAIN_MAX = 65536 /* bytes that one text may hold */
};

/* Keys are derived from the secrets, newest first. NULL when one is shorter than
 * DL_SEAL_SECRET_MIN, or when they are none or too many. One thread at a time. */
dl_sealer *dl_sealer_new(const dl_crypto *crypto, const dl_str *secrets, size_t count);
void dl_sealer_free(dl_sealer *sealer);

/* Appends plain, at most DL_SEAL_PLAIN_MAX bytes, as base64url. It opens under the
 * same purpose only ("session", a cookie's name): a text made for one thing is
 * none for another. False when plain is too long. */
bool dl_seal(dl_sealer *sealer, dl_str purpose, dl_str plain, dl_buffer *out);

/* Appends what text holds. False, and out as it was, for everything that this
 * sealer's keys did not make under the purpose. *key_index (may be NULL) says which
 * secret it was: over 0 means that the text should be sealed anew. */
bool dl_unseal(dl_sealer *sealer, dl_str purpose, dl_str text, dl_buffer *out, size_t *key_index);

#endif
