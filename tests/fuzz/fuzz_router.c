/* SPDX-License-Identifier: MIT */
/*
 * Routes and paths: the input's first lines are "METHOD PATTERN" to be added, then
 * an empty line, then "METHOD PATH" to be found. A router that knows nothing but
 * lists, and tries patterns one after the other, says what must be found, with which
 * parameters, and which methods there are.
 */
#include "fuzz.h"

#include "http/router.h"

enum { ROUTES_MAX = 24, PATHS_MAX = 24 };

typedef struct route {
  dl_method method;
  dl_str pattern;
} route;

/* DL_METHOD_COUNT where it is none of ours. */
static dl_method read_method(dl_str *line) { return dl_method_of(take_until(line, ' ')); }

/* --- the slow router --------------------------------------------------------------------- */

static dl_str next_segment(dl_str *rest, bool *last) {
  *last = !rest->len || !memchr(rest->ptr, '/', rest->len);
  return take_until(rest, '/');
}

/* A letter for each segment: what is literal sorts before a parameter, and that before a rest. */
static bool matches(dl_str pattern, dl_str path, char shape[], dl_str parameters[], uint32_t *count) {
  bool pattern_last = false, path_last = false;
  size_t at = 0;
  *count = 0;
  if (!path.len || path.ptr[0] != '/') return false;
  pattern = dl_str_skip(pattern, 1);
  path = dl_str_skip(path, 1);
  while (true) {
    dl_str left = path, wanted = next_segment(&pattern, &pattern_last);
    bool braced = wanted.len && wanted.ptr[0] == '{', rest = braced && memchr(wanted.ptr, ':', wanted.len);
    if (rest) {
      parameters[(*count)++] = left;
      shape[at++] = 'c';
      shape[at] = 0;
      return left.len > 0;
    }
    dl_str segment = next_segment(&path, &path_last);
    if (braced ? !segment.len : !dl_str_equal(segment, wanted)) return false;
    if (braced) parameters[(*count)++] = segment;
    shape[at++] = braced ? 'b' : 'a';
    shape[at] = 0;
    if (pattern_last || path_last) return pattern_last && path_last;
  }
}

typedef struct expectation {
  const route *found;
  uint32_t methods; /* of all patterns that match */
  uint32_t count;
  dl_str parameters[DL_ROUTER_MAX_PARAMETERS];
} expectation;

static void search(const route *routes, size_t route_count, dl_method method, dl_str path, expectation *out) {
  char best[1024] = "", shape[1024];
  dl_str parameters[DL_ROUTER_MAX_PARAMETERS];
  uint32_t count;
  *out = (expectation){0};
  for (size_t i = 0; i < route_count; i++) {
    if (!matches(routes[i].pattern, path, shape, parameters, &count)) continue;
    out->methods |= 1u << routes[i].method;
    bool exact = routes[i].method == method, as_get = method == DL_METHOD_HEAD && routes[i].method == DL_METHOD_GET;
    if (!exact && !as_get) continue;
    int order = out->found ? strcmp(shape, best) : -1;
    if (order > 0 || (order == 0 && !exact)) continue;
    strcpy(best, shape);
    out->found = &routes[i];
    out->count = count;
    memcpy(out->parameters, parameters, sizeof parameters);
  }
  if (out->methods & 1u << DL_METHOD_GET) out->methods |= 1u << DL_METHOD_HEAD;
}

/* --- the comparison ------------------------------------------------------------------------ */

static bool names(dl_str allow, dl_method method) {
  dl_str wanted = dl_method_name(method);
  while (allow.len) {
    dl_str word = take_until(&allow, ',');
    if (dl_str_equal(dl_str_trim(word), wanted)) return true;
  }
  return false;
}

static void check_path(const dl_router *router, const route *routes, size_t route_count, dl_method method, dl_str path) {
  dl_route_match match;
  expectation wanted;
  char *bytes = exact_copy(path);
  path.ptr = bytes;
  search(routes, route_count, method, path, &wanted);
  dl_route_result result = dl_router_find(router, method, path, &match);
  require((result == DL_ROUTE_FOUND) == (wanted.found != NULL), "a path is found when a pattern matches it");
  if (result == DL_ROUTE_FOUND) {
    require(match.route == wanted.found, "the most literal pattern wins");
    require(match.method == wanted.found->method, "the match has the route's method");
    require(match.parameter_count == wanted.count, "there is a parameter for each in the pattern");
    for (uint32_t i = 0; i < wanted.count; i++)
      require(match.parameters[i].ptr == wanted.parameters[i].ptr && match.parameters[i].len == wanted.parameters[i].len, "parameters are slices of the path");
  } else if (path.len && path.ptr[0] == '/') {
    require((result == DL_ROUTE_NOT_FOUND) == (wanted.methods == 0), "a path that only other methods have is not unknown");
    for (int i = 0; result != DL_ROUTE_NOT_FOUND && i < DL_METHOD_COUNT; i++)
      if (i != DL_METHOD_OPTIONS) require(names(match.allow, (dl_method)i) == !!(wanted.methods & 1u << i), "Allow names the methods there are");
  }
  free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static route routes[ROUTES_MAX];
  size_t count = 0;
  dl_arena arena;
  dl_str rest = dl_str_from((const char *)data, size);
  if (size > 1000) return 0;
  dl_arena_init(&arena, 0);
  dl_router *router = dl_router_new(&arena);
  while (rest.len) {
    dl_str line = take_until(&rest, '\n');
    if (!line.len) break;
    dl_method method = read_method(&line);
    if (count == ROUTES_MAX || method == DL_METHOD_COUNT) continue;
    routes[count] = (route){method, line};
    const char *fault = dl_router_add(router, method, line, &routes[count]);
    if (!fault) count++;
  }
  dl_router_finish(router);
  for (int i = 0; rest.len && i < PATHS_MAX; i++) {
    dl_str line = take_until(&rest, '\n');
    dl_method method = read_method(&line);
    check_path(router, routes, count, method, line);
  }
  dl_arena_free(&arena);
  return 0;
}
