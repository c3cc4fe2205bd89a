/* SPDX-License-Identifier: MIT */
/*
 * Files that live inside the binary: the Lua layer, the docs page. The build
 * makes the tables (core/cmake/embed.cmake).
 */
#ifndef DL_BASE_EMBEDDED_H
#define DL_BASE_EMBEDDED_H

#include "base/str.h"

typedef struct dl_embedded {
  const char *name; /* NULL closes a table */
  const char *begin, *end;
} dl_embedded;

static inline dl_str dl_embedded_bytes(const dl_embedded *file) { return dl_str_from(file->begin, (size_t)(file->end - file->begin)); }

#endif
