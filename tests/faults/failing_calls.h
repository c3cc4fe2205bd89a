/* SPDX-License-Identifier: MIT */
/*
 * What a test and the preloaded failing_calls.c share: the file $FAILING_CALLS, mapped
 * by every process of the server. spec/support/faults.lua knows the same layout.
 */
#ifndef TESTS_FAULTS_FAILING_CALLS_H
#define TESTS_FAULTS_FAILING_CALLS_H

#include <stdatomic.h>
#include <stdint.h>

enum { FAIL_HEAP = 1, FAIL_LUA = 2, FAIL_MAPPING = 4, FAIL_PROCESS = 8 };

enum { FAILING_CALLS_NOTED = 1 << 16 };

typedef struct failing_calls {
  _Atomic uint64_t kinds;   /* FAIL_...: which calls are counted, and may fail; 0: none */
  _Atomic uint64_t calls;   /* counted so far */
  _Atomic uint64_t from;    /* the first that fails, counted from 1 */
  _Atomic uint64_t to;      /* the first after it that does not */
  _Atomic uint64_t failed;  /* how many have failed */
  _Atomic uint64_t newborn; /* 1: from a process's beginning; 0: once it has taken a connection, so that who replaces another begins in peace */
  char who[16];             /* in processes of this name alone: "demilune" is the master, "demilune-worker", ... */
  _Atomic uint64_t notes;   /* 1: the first FAILING_CALLS_NOTED calls are noted */
  uint64_t places[FAILING_CALLS_NOTED]; /* of call n at n - 1: a hash of the functions that led to it */
} failing_calls;

#endif
