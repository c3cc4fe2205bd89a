/* SPDX-License-Identifier: MIT */
/* Doubles that have few decimal digits, as those that people write have. */
#ifndef DL_BASE_SHORT_DOUBLE_H
#define DL_BASE_SHORT_DOUBLE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether number, which is not negative, is the double that whole / 10^behind reads as, with
 * at most 15 digits in whole and at most 15 of them behind the point; behind is the least.
 * These are then the shortest digits that read back as number. False tells nothing. */
bool dl_short_double(double number, uint64_t *whole, int *behind);

#endif
