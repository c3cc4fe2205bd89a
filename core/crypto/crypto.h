/* SPDX-License-Identifier: MIT */
/*
 * What OpenSSL looks up by name, looked up once: digests, the MAC, the ciphers.
 * One per process, made after fork, passed to everything of this folder that
 * computes. Read-only afterwards, so that the thread pool may share it.
 *
 * Needs of the system: getrandom(2), mlock(2), madvise(2); no files, no network.
 */
#ifndef DL_CRYPTO_CRYPTO_H
#define DL_CRYPTO_CRYPTO_H

#include "base/needs.h"

typedef struct dl_crypto dl_crypto;

/* Never NULL: ends the process with a message when the OpenSSL here lacks one,
 * since nothing could be promised to anyone then. */
dl_crypto *dl_crypto_new(void);
void dl_crypto_free(dl_crypto *crypto);

extern const dl_needs dl_crypto_needs;

#endif
