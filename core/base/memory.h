/* SPDX-License-Identifier: MIT */
/*
 * The heap, with one rule: an allocation that fails ends the process with a
 * message. A server that is out of memory cannot keep a promise to anyone, and
 * its master replaces it; half-handled failures would be worse.
 */
#ifndef DL_BASE_MEMORY_H
#define DL_BASE_MEMORY_H

#include <stddef.h>

/* None of these returns NULL. dl_free(NULL) does nothing. */
void *dl_malloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *dl_calloc(size_t count, size_t bytes) __attribute__((malloc, returns_nonnull));
void *dl_realloc(void *old, size_t bytes) __attribute__((returns_nonnull));
char *dl_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *dl_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
void dl_free(void *piece);

_Noreturn void dl_memory_exhausted(size_t wanted_bytes);

#endif
