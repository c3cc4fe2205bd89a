/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef DL_BASE_UTF8_H
#define DL_BASE_UTF8_H

#include "base/str.h"

#include <stdint.h>

/* Length in bytes (1-4) of the valid sequence at p, 0 when it is not valid. */
size_t dl_utf8_sequence(const char *p, size_t available);

bool dl_utf8_valid(dl_str s);

/* Code points in s, which must be valid. */
size_t dl_utf8_length(dl_str s);

/* Writes the code point (at most U+10FFFF, no surrogate) as 1-4 bytes to out. */
size_t dl_utf8_encode(uint32_t code_point, char out[4]);

#endif
