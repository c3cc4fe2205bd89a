/* SPDX-License-Identifier: MIT */
/*
 * Secrets: bytes that live outside the Lua heap and outside arenas, in pages the
 * system neither swaps nor dumps as far as it allows, and that are wiped when let
 * go. And the one comparison that may be used on them.
 */
#ifndef DL_CRYPTO_SECRET_H
#define DL_CRYPTO_SECRET_H

#include "base/str.h"

typedef enum dl_secret_memory {
  DL_SECRET_MEMORY_LOCKED,   /* not swapped, not in core dumps */
  DL_SECRET_MEMORY_UNLOCKED, /* own pages, but RLIMIT_MEMLOCK forbids locking them */
  DL_SECRET_MEMORY_ORDINARY  /* the system gave no such pages: heap memory, still wiped */
} dl_secret_memory;

/* Makes the process's pages for secrets (4 MiB, of which what is not used is no
 * memory yet; shared with OpenSSL's private keys). Once per process, after fork, since locks do not survive one. Without it
 * secrets lie in ordinary memory. */
dl_secret_memory dl_secret_memory_init(void);

/* A copy of bytes; never NULL. When the 256 KiB of the pages that are for these are
 * full it lies in ordinary memory: a client must not be able to make the server fail
 * by sending passwords, nor OpenSSL by filling its pages. */
char *dl_secret_new(dl_str bytes);

/* Wipes and frees what dl_secret_new gave for a string of that length. */
void dl_secret_free(char *secret, size_t length);

/* Whether what was presented equals what is kept. The time taken depends on the
 * presented length alone, which whoever presents it knows already: neither the
 * content nor the length of what is kept shows. Give them in that order. */
bool dl_crypto_equal(const void *presented, size_t presented_length, const void *kept, size_t kept_length);

#endif
