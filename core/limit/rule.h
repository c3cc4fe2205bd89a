/* SPDX-License-Identifier: MIT */
/*
 * What an app writes ("5/minute", "10/second;100 per hour") and what it becomes:
 * an array of limits, one for each window. Compiled at load, read-only afterwards.
 */
#ifndef DL_LIMIT_RULE_H
#define DL_LIMIT_RULE_H

#include "base/str.h"

#include <stdint.h>

enum {
  DL_LIMIT_WINDOWS_MAX = 8,            /* in one rule */
  DL_LIMIT_COUNT_MAX = 1000000,        /* these two keep count x microseconds inside 64 bits */
  DL_LIMIT_SECONDS_MAX = 31 * 86400,
  DL_LIMIT_NAME_BYTES = 64,
  DL_LIMIT_ERROR_BYTES = 256,
};

/* One window of a rule. */
typedef struct dl_limit {
  uint64_t id;      /* of scope, window and kind, not of count: a reload that changes only the number keeps the hits */
  uint32_t count;   /* units that fit into a window, 1..DL_LIMIT_COUNT_MAX */
  uint32_t cost;    /* units of one request, 1..count */
  uint32_t seconds; /* length of the window, 1..DL_LIMIT_SECONDS_MAX */
  bool fixed;       /* fixed window; otherwise sliding window counter */
  char name[DL_LIMIT_NAME_BYTES]; /* in RateLimit fields: "client 5/minute"; printable, without quotes or backslashes */
} dl_limit;

typedef struct dl_limit_options {
  dl_str scope;  /* what is counted together: the route and whom it counts ("POST /users client"); any bytes */
  dl_str name;   /* begins the public names ("client"); up to 24 letters, digits, "-" and "_"; may be empty */
  uint32_t cost; /* units of one request; 0 means 1 */
  bool fixed;
} dl_limit_options;

/* Compiles text. Rules stand one behind the other, with ";" "," or "|" between:
 *   rule = count ("/" | "per") [n] ("second" | "minute" | "hour" | "day") ["s"]
 * in any case, blanks where one likes. This is what slowapi's `limits` reads,
 * without months and years, whose length nobody agrees on.
 * Gives how many limits were written to out; 0, and a sentence in error that says
 * what to write instead, when the text is not a rule. */
size_t dl_limit_parse(dl_str text, const dl_limit_options *options, dl_limit out[DL_LIMIT_WINDOWS_MAX], char error[DL_LIMIT_ERROR_BYTES]);

#endif
