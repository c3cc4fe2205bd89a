/* SPDX-License-Identifier: MIT */
/*
 * Cross-origin resource sharing (WHATWG Fetch 3.3): which pages of other origins
 * may read what this server answers. Compiled at load from what the app declares;
 * at run time an origin is either on the list, and gets its block of fields, or
 * gets none. Nothing here guards the server: a request that is not from a browser
 * never asks.
 */
#ifndef DL_HTTP_CORS_H
#define DL_HTTP_CORS_H

#include "base/arena.h"

#include <stdint.h>

/* What an app may say. Lists may be empty; slices are read during compile only. An
 * origin is written as browsers send it ("https://a.example", with a port only when
 * it is not the scheme's own); "*." in place of the first labels of the host stands
 * for one label or more; "*" alone is any origin, without credentials. */
typedef struct dl_cors_options {
  const dl_str *origins;
  size_t origin_count;
  const dl_str *methods; /* empty: GET, HEAD, POST */
  size_t method_count;
  const dl_str *headers; /* beside those of Fetch 2.2.2 that need no leave; "*" without credentials */
  size_t header_count;
  const dl_str *expose; /* response fields that scripts may read; "*" without credentials */
  size_t expose_count;
  bool credentials;         /* cookies, Authorization, client certificates */
  uint32_t max_age_seconds; /* how long a browser may remember a preflight; 0: 600; at most 86,400 */
} dl_cors_options;

typedef struct dl_cors dl_cors;

/* NULL when the options are refused, with *fault a sentence in the arena that says
 * which value, why, and what to write instead. Read-only afterwards. */
dl_cors *dl_cors_compile(const dl_cors_options *options, dl_arena *arena, const char **fault);

/* Whether a page of that origin may read. An empty origin may not. */
bool dl_cors_allows(const dl_cors *cors, dl_str origin);

/* Whether it may also do so as the user who sits before it: with their cookies,
 * password or client certificate. */
bool dl_cors_allows_credentials(const dl_cors *cors, dl_str origin);

/* The block of fields for an ordinary response, each line with its CRLF. Always has
 * "Vary: Origin", and for an origin that may not read has nothing else. A copy in
 * the arena only where the list has a pattern ("*.") for the origin. */
dl_str dl_cors_origin(const dl_cors *cors, dl_str origin, dl_arena *arena);

typedef struct dl_cors_answer {
  bool allowed;
  dl_str fields;      /* block of fields for the answer (204 when allowed, else 403) */
  const char *reason; /* static, when not allowed: for the answer's body */
} dl_cors_answer;

/* The answer to a preflight: an OPTIONS request with Origin and
 * Access-Control-Request-Method. headers: the value of
 * Access-Control-Request-Headers, or empty; private_network: that of
 * Access-Control-Request-Private-Network, which is never granted. */
dl_cors_answer dl_cors_preflight(const dl_cors *cors, dl_str origin, dl_str method, dl_str headers, dl_str private_network, dl_arena *arena);

#endif
