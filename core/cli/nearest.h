/* SPDX-License-Identifier: MIT */
/* The name that somebody meant who wrote another one. */
#ifndef DL_CLI_NEAREST_H
#define DL_CLI_NEAREST_H

#include "base/str.h"

typedef struct dl_nearest {
  dl_str written;
  const char *name; /* the most like it of those that were offered; NULL while none is like it at all */
  size_t steps;
} dl_nearest;

/* Offers a name, which must outlive it. */
void dl_nearest_offer(dl_nearest *nearest, const char *name);

#endif
