/* SPDX-License-Identifier: MIT */
#ifndef DL_CRYPTO_RANDOM_H
#define DL_CRYPTO_RANDOM_H

#include <stddef.h>

/* Fills out from the kernel's generator (getrandom). It cannot fail: without
 * randomness the process ends. Any thread. */
void dl_random_bytes(void *out, size_t length);

#endif
