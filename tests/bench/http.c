/* SPDX-License-Identifier: MIT */
/*
 * Nanoseconds per head parse and per route lookup, on this machine, now. Not a
 * test: figures on a shared machine swing by a tenth or more; the best of several
 * rounds is printed because noise only ever adds.
 */
#include "base/clock.h"
#include "http/parser.h"
#include "http/response.h"
#include "http/router.h"
#include "http/text.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 500, TURNS = 2000 };

static const dl_str nine_fields = {"GET /users/42?full=1 HTTP/1.1\r\n"
                                   "Host: localhost:8000\r\n"
                                   "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
                                   "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
                                   "Accept-Language: en-US,en;q=0.5\r\n"
                                   "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                                   "Connection: keep-alive\r\n"
                                   "Cookie: session=0123456789abcdef0123456789abcdef\r\n"
                                   "Content-Type: application/json\r\n"
                                   "Content-Length: 72\r\n\r\n",
                                   0};
static const dl_str one_field = {"GET /plain HTTP/1.1\r\nHost: localhost:8000\r\n\r\n", 0};

typedef struct world {
  dl_http_parser *parser;
  dl_router *router;
  dl_arena load, arena;
  dl_http_request request;
  dl_str head;
  dl_str path;
  dl_buffer out;
  const char *only;
  volatile size_t sum; /* keeps the work from being optimised away */
} world;

static void head_parse(world *w) {
  size_t consumed;
  if (dl_http_parser_head(w->parser, w->head, &w->arena, &w->request, &consumed) != DL_HTTP_DONE) abort();
  w->sum += consumed;
}

static void head_turn(world *w) {
  head_parse(w);
  dl_http_parser_reset(w->parser);
  dl_arena_reset(&w->arena);
}

static void route_turn(world *w) {
  dl_route_match match;
  w->sum += dl_router_find(w->router, DL_METHOD_GET, w->path, &match) + match.parameter_count;
}

static void find_turn(world *w) { w->sum += dl_http_request_find(&w->request, DL_STR("X-Request-Id"), &w->arena).len; }

static void known_turn(world *w) { w->sum += dl_http_request_find(&w->request, DL_STR("Content-Type"), &w->arena).len; }

static void query_turn(world *w) {
  dl_pair *pairs;
  uint32_t count;
  if (dl_http_query(DL_STR("page=2&size=50&sort=name&q=hello+world%21"), 100, &w->arena, &pairs, &count)) abort();
  w->sum += count;
  dl_arena_reset(&w->arena);
}

static void response_turn(world *w) {
  dl_buffer_clear(&w->out);
  dl_http_status_line(&w->out, 200);
  if (!dl_http_header_line(&w->out, DL_STR("X-Request-Id"), DL_STR("0123456789abcdef"))) abort();
  w->sum += w->out.len;
}

/* `bench_http WORD` measures only what has the word in its name. */
static void measure(const char *what, void (*turn)(world *), world *w) {
  if (w->only && !strstr(what, w->only)) return;
  dl_clock clock = {0};
  uint64_t best = UINT64_MAX;
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t begin = dl_clock_monotonic_now_us(&clock);
    for (int i = 0; i < TURNS; i++) turn(w);
    uint64_t spent = dl_clock_monotonic_now_us(&clock) - begin;
    if (spent < best) best = spent;
  }
  printf("%-34s %7.1f ns\n", what, (double)best * 1000.0 / TURNS);
}

static void routes_add(world *w) {
  static const char *const patterns[] = {"/",
                                         "/plain",
                                         "/users",
                                         "/users/{id}",
                                         "/users/{id}/posts",
                                         "/users/{id}/posts/{post}",
                                         "/users/me",
                                         "/health",
                                         "/login",
                                         "/logout",
                                         "/token",
                                         "/items",
                                         "/items/{id}",
                                         "/items/{id}/tags",
                                         "/admin/stats",
                                         "/admin/users",
                                         "/files/{name:path}",
                                         "/openapi.json",
                                         "/docs",
                                         "/reports/{year}/{month}",
                                         "/search"};
  for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
    if (dl_router_add(w->router, DL_METHOD_GET, dl_str_of(patterns[i]), w)) abort();
  dl_router_finish(w->router);
}

int main(int count, char **words) {
  dl_http_limits limits = {.max_head_bytes = 16384, .max_target_bytes = 8192, .max_headers = 100};
  world w = {.parser = dl_http_parser_new(&limits), .only = count > 1 ? words[1] : NULL};
  dl_arena_init(&w.load, 0);
  dl_arena_init(&w.arena, 0);
  w.router = dl_router_new(&w.load);
  routes_add(&w);
  w.head = dl_str_of(one_field.ptr);
  measure("head, 1 field", head_turn, &w);
  w.head = dl_str_of(nine_fields.ptr);
  measure("head, 9 fields", head_turn, &w);
  head_parse(&w); /* for the two that look into it */
  measure("field by known name", known_turn, &w);
  measure("field by other name, absent", find_turn, &w);
  w.path = DL_STR("/users/me");
  measure("route, literal", route_turn, &w);
  w.path = DL_STR("/users/42");
  measure("route, one parameter", route_turn, &w);
  w.path = DL_STR("/users/42/posts/7");
  measure("route, two parameters", route_turn, &w);
  w.path = DL_STR("/files/a/b/c.txt");
  measure("route, rest of the path", route_turn, &w);
  w.path = DL_STR("/none/such");
  measure("route, not found", route_turn, &w);
  measure("query of 4 pairs", query_turn, &w);
  measure("status line and one field", response_turn, &w);
  dl_http_parser_free(w.parser);
  dl_buffer_free(&w.out);
  dl_arena_free(&w.load);
  dl_arena_free(&w.arena);
  return 0;
}
