/* SPDX-License-Identifier: MIT */
/* What passwords need: the thread pool, so that hashing does not hold the loop. */
#include "guard/guard.h"

#include <stddef.h>

const dl_needs dl_guard_needs = {.folder = "guard", .rights = DL_RIGHT_THREADS};
