/* SPDX-License-Identifier: MIT */
/*
 * The program around an embedded server may have chosen a language that writes 0,5 and
 * reads no 0.5: what of ours reads and writes numbers does so as JSON and SQL have it.
 */
#ifndef DL_BASE_PLAIN_LOCALE_H
#define DL_BASE_PLAIN_LOCALE_H

#include <locale.h>

/* This thread's numbers, texts and dates are those of C from now on. Gives what to go
 * back to by uselocale(3), before the thread is its owner's again. */
static inline locale_t dl_plain_locale_enter(void) { return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0)); }

#endif
