/* SPDX-License-Identifier: MIT */
/*
 * The plan: what an app's declarations compile to. Made once at load from the
 * table that lua/demilune/boot.lua gives, never changed afterwards. Everything a
 * request needs that does not depend on the request is prepared here.
 */
#ifndef DL_APP_PLAN_H
#define DL_APP_PLAN_H

#include "app/plan_access.h"
#include "bridge/request.h"
#include "guard/guard.h"
#include "http/parser.h"
#include "http/router.h"

typedef enum dl_body_kind { DL_BODY_NONE, DL_BODY_JSON, DL_BODY_FORM, DL_BODY_TEXT, DL_BODY_BYTES } dl_body_kind;

/* Something served as it is: the OpenAPI document, the docs page. */
typedef struct dl_file {
  dl_str content_type, body;
  dl_str encoding; /* "gzip" or empty */
  dl_str etag;
  bool live; /* not these bytes but how the last reload went (respond.c) */
} dl_file;

typedef struct dl_route {
  dl_method method;
  dl_str path;   /* the pattern as declared */
  dl_str source; /* "app.lua:40" */
  dl_str label;  /* "GET /users/{user_id}" */
  const struct dl_route *next; /* in the plan's list */
  uint32_t number;             /* 0 to route_count - 1 */
  const dl_file *file;
  int run_reference;   /* the Lua function, in the registry */
  int lives_reference; /* likewise, of sessions that are kept in a store; LUA_NOREF: none is */
  const dl_schema *schemas[DL_SOURCE_COUNT];
  const dl_schema *returns;
  dl_str parameter_names[DL_ROUTER_MAX_PARAMETERS];
  uint32_t parameter_count;
  dl_body_kind body_kind;
  bool body_optional;
  bool own_hsts;  /* its fields say Strict-Transport-Security themselves */
  bool varies;    /* and Vary */
  bool validates; /* whether any schema is declared */
  bool special;   /* a file, or idempotent */
  bool hides_path; /* a parameter of it is a secret: the log has the pattern in place of what was sent */
  bool key_optional; /* of an idempotent route: who sends no Idempotency-Key is answered as elsewhere */
  int status;     /* of a handler's plain return */
  uint64_t max_body_bytes;
  uint64_t timeout_us;
  const dl_guard *guard;         /* NULL, of our own files: everybody passes */
  const dl_route_limits *limits; /* NULL: none */
  const dl_cors *cors;           /* NULL: no page of another origin may read, whatever the plan says of other paths */
  dl_str fields;                 /* header lines of what this route answers, CRLF ended */
  dl_http_validators validators; /* among these */
  dl_str refusal_fields;         /* of refusals and failures: the same, but no cache may keep them */
  dl_str json_head;              /* status line, content type and fields for `status` */
} dl_route;

typedef struct dl_plan_limits {
  dl_http_limits http;
  uint64_t max_body_bytes;
  uint32_t max_depth;
  uint64_t header_timeout_us, body_timeout_us, idle_timeout_us, send_timeout_us, handler_timeout_us;
  uint64_t min_body_rate; /* bytes a second a body must keep up on average */
  uint32_t max_requests;     /* of a worker, in their handlers at a time; 0: no cap */
  uint32_t max_queue;        /* that wait for their turn */
  uint64_t queue_timeout_us; /* and for how long */
  uint32_t max_connections, max_connections_per_client; /* 0: no cap */
} dl_plan_limits;

typedef struct dl_plan {
  dl_str title, version;
  dl_router *router;
  dl_plan_limits limits;
  const dl_str *allowed_hosts;
  uint32_t allowed_host_count; /* 0: any host */
  const dl_trusted *trusted;  /* proxies that may say for whom they speak; NULL: none */
  bool docs;
  const dl_cors *cors; /* of paths without a route; NULL: no page of another origin may read */
  bool route_cors;     /* a route has some */
  bool hides_paths;    /* a route hides its path */
  const dl_route *routes; /* all, the last declared first */
  uint32_t route_count;
  dl_str fields;         /* header lines of what belongs to no route: that there is none, and which methods there are */
  dl_str refusal_fields; /* of what was refused before its route was known: no cache may keep it */
  dl_str page_fields;  /* of pages of our own, which bring their styles with them */
  int start_reference, stop_reference;
} dl_plan;

/* Compiles the table on top of L's stack; leaves it there. Everything lives in the
 * arena. NULL with *error, which says what to write instead. */
const dl_plan *dl_plan_compile(struct lua_State *L, dl_arena *arena, const char **error);

/* Whether a Host field's value (port included) is one the app answers to. */
bool dl_plan_allows_host(const dl_plan *plan, dl_str host);

/* Whether a Host names this machine, and can be made to by nobody else: an address or
 * localhost (RFC 6761 6.3), or nothing. */
bool dl_plan_is_local_host(dl_str host);

#endif
