/* SPDX-License-Identifier: MIT */
/* What cors_compile.c makes and cors.c reads. */
#ifndef DL_HTTP_CORS_INTERNAL_H
#define DL_HTTP_CORS_INTERNAL_H

#include "base/hash.h"
#include "http/cors.h"

/* The blocks of one exact origin. */
typedef struct dl_cors_blocks {
  dl_str response, preflight;
} dl_cors_blocks;

/* An origin with "*." in it: what stands before and, from the dot on, behind the "*". */
typedef struct dl_cors_pattern {
  dl_str before, behind;
} dl_cors_pattern;

struct dl_cors {
  bool any_origin, any_header, credentials;
  dl_map exact; /* origin to dl_cors_blocks */
  dl_cors_blocks any;
  const dl_cors_pattern *patterns;
  size_t pattern_count;
  dl_cors_blocks tails; /* a block without its Access-Control-Allow-Origin line */
  uint32_t methods;     /* bit per dl_method */
  const dl_str *headers;
  size_t header_count;
};

#define DL_CORS_ALLOW_ORIGIN "Access-Control-Allow-Origin: "

#endif
