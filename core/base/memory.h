/* SPDX-License-Identifier: MIT */
/*
 * The heap, with one rule: an allocation that fails ends the process with a
 * message. A server that is out of memory cannot keep a promise to anyone, and
 * its master replaces it; half-handled failures would be worse. Two things come
 * before that: a reserve, so that what is small goes on where what is large has
 * failed; and the master, which nobody replaces, waits. What is as large as a client
 * likes is asked for by dl_try_realloc, and refused to that client alone.
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

/* As realloc: NULL when there is no such memory, and old is as it was. Never takes the reserve, and of 64 KiB and
 * more leaves 4 MiB over, so that many who are given what is large leave enough for all that is small, Lua's too. */
void *dl_try_realloc(void *old, size_t bytes) __attribute__((warn_unused_result));

/* Lays by 1 MiB that no one touches, if none is laid by: it is given back to the system when
 * an allocation fails, which is then tried again. To be called as a process begins, and from
 * time to time afterwards. Any thread. */
void dl_memory_keep_reserve(void);

/* What an allocation does that fails with the reserve gone: end the process, or wait until
 * others have given some back. Only the master waits; its children are told to end. */
typedef enum dl_memory_policy { DL_MEMORY_END, DL_MEMORY_WAIT } dl_memory_policy;
void dl_memory_set_policy(dl_memory_policy policy);

/* From now on what is large, as bodies and what they are read into, is the system's again as soon as it is freed,
 * whatever lies behind it in the heap: under a limit nobody else could have it otherwise, for as long as that lives.
 * For a process of the server's own; another program's heap is not ours to tune. */
void dl_memory_give_back_large(void);

/* Gives the system what is free inside the heap. Takes milliseconds where that is much. */
void dl_memory_trim(void);

_Noreturn void dl_memory_exhausted(size_t wanted_bytes);

#endif
