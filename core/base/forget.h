/* SPDX-License-Identifier: MIT */
/*
 * Memory that is given back without being freed: arenas, buffers, pools. What lies there is
 * another request's, and whoever reads it before writing it is mistaken. A build for valgrind
 * (DEMILUNE_MEMCHECK) tells memcheck so; in others this is nothing.
 */
#ifndef DL_BASE_FORGET_H
#define DL_BASE_FORGET_H

#include <stddef.h>

#ifdef DL_MEMCHECK
#include <valgrind/memcheck.h>
#endif

static inline void dl_forget(const void *memory, size_t bytes) {
#ifdef DL_MEMCHECK
  if (bytes) (void)VALGRIND_MAKE_MEM_UNDEFINED(memory, bytes);
#endif
  (void)memory;
  (void)bytes;
}

#endif
