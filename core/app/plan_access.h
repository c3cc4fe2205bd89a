/* SPDX-License-Identifier: MIT */
/* Limits and origins of a route, as the pipeline reads them; part of the plan. */
#ifndef DL_APP_PLAN_ACCESS_H
#define DL_APP_PLAN_ACCESS_H

#include "http/cors.h"
#include "limit/counter.h"
#include "net/cidr.h"

struct lua_State;

typedef struct dl_route_limits {
  dl_limit_group client;    /* counted before the guard */
  dl_limit_group principal; /* counted after it, */
  dl_limit_group api_key;   /* as these */
  dl_str policy;            /* the RateLimit-Policy line */
} dl_route_limits;

/* Each reads the field of its name from the table at index. NULL, and *out (NULL
 * when nothing is declared), or a sentence in the arena. A limit by a function gets
 * its group as the field of that name, for core.limit_count. */
const char *dl_plan_compile_limits(struct lua_State *L, int route_table, dl_str scope, dl_arena *arena, const dl_route_limits **out);
const char *dl_plan_compile_cors(struct lua_State *L, int table, dl_arena *arena, const dl_cors **out);
const char *dl_plan_compile_trusted(struct lua_State *L, int table, dl_arena *arena, const dl_trusted **out);

#endif
