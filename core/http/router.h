/* SPDX-License-Identifier: MIT */
/*
 * Method and path to route. Paths without parameters are found by one hash
 * lookup, others in a tree of segments; what is literal wins over a parameter.
 * Built at load, read-only afterwards.
 */
#ifndef DL_HTTP_ROUTER_H
#define DL_HTTP_ROUTER_H

#include "base/arena.h"
#include "http/method.h"

#include <stdint.h>

enum { DL_ROUTER_MAX_PARAMETERS = 16 };

typedef struct dl_router dl_router;

typedef struct dl_route_match {
  void *route;        /* what was added, when FOUND */
  dl_method method;   /* the method it was added with: GET for a HEAD request */
  uint32_t parameter_count;
  dl_str parameters[DL_ROUTER_MAX_PARAMETERS]; /* slices of path, in pattern order */
  dl_str allow;       /* "GET, HEAD, OPTIONS": for 405 and OPTIONS, made at load */
} dl_route_match;

typedef enum dl_route_result { DL_ROUTE_FOUND, DL_ROUTE_NOT_FOUND, DL_ROUTE_METHOD, DL_ROUTE_OPTIONS } dl_route_result;

dl_router *dl_router_new(dl_arena *arena);

/* pattern: "/users/{id}", "/files/{path:path}" (the rest of the path, last
 * segment only). route must not be NULL. NULL on success, else a sentence in the
 * arena: a pattern that is malformed, or that matches the same requests as one
 * already there (names of parameters do not tell patterns apart). */
const char *dl_router_add(dl_router *router, dl_method method, dl_str pattern, void *route);

/* The route that the last refused add would have taken requests from; NULL when it was refused for another reason. */
void *dl_router_twin(const dl_router *router);

/* After the last add: builds what find reads. */
void dl_router_finish(dl_router *router);

/* path is decoded; method may be DL_METHOD_COUNT, which no route has. A parameter never matches an empty segment. HEAD finds the GET
 * route when there is no HEAD one. OPTIONS without a route of its own gives
 * DL_ROUTE_OPTIONS with allow. "/users/" is not "/users". */
dl_route_result dl_router_find(const dl_router *router, dl_method method, dl_str path, dl_route_match *match);

#endif
