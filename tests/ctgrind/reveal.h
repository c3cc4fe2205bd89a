/* SPDX-License-Identifier: MIT */
/*
 * What is secret and what is public, for memcheck: secret bytes are "undefined", and
 * it reports each branch and each address that depends on them. Whatever is computed
 * from them is secret too, until it is revealed: each place that reveals says why.
 */
#ifndef DL_TESTS_CTGRIND_REVEAL_H
#define DL_TESTS_CTGRIND_REVEAL_H

#include <stddef.h>

/* Makes size bytes secret. Their values stay. */
void ctgrind_hide(const void *bytes, size_t size);

/* Makes them public, and counts if a secret was in them. */
void ctgrind_reveal(const void *bytes, size_t size);

/* How often a secret was revealed so far: a case that reveals none shows nothing. */
size_t ctgrind_revealed(void);

#endif
