/* SPDX-License-Identifier: MIT */
/*
 * Steps 5, 7 and 9 of the pipeline: which page may read the answer, and how often
 * who asks may ask. Both leave fields for whatever response follows.
 */
#include "app/access.h"

#include "limit/table.h"

/* --- step 5: origins ----------------------------------------------------------------- */

static void add_fields(dl_exchange *exchange, dl_str fields) {
  if (!exchange->access_fields.len) exchange->access_fields = fields;
  else exchange->access_fields = dl_str_of(dl_arena_format(&exchange->arena, "%.*s%.*s", DL_STR_ARGS(exchange->access_fields), DL_STR_ARGS(fields)));
}

static void answer_preflight(dl_exchange *exchange, const dl_cors *cors, dl_str origin, dl_str method) {
  const dl_http_request *request = &exchange->request;
  dl_cors_answer answer = dl_cors_preflight(cors, origin, method, dl_http_request_header(request, DL_HEADER_ACCESS_CONTROL_REQUEST_HEADERS),
                                            dl_http_request_header(request, DL_HEADER_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK), &exchange->arena);
  add_fields(exchange, answer.fields);
  if (answer.allowed) dl_respond(exchange, 204, (dl_str){0}, (dl_str){0}, (dl_str){0});
  else dl_respond_error(exchange, 403, dl_str_of(answer.reason), (dl_str){0});
}

/* The route that the real request would reach says what its preflight is told. */
static const dl_cors *cors_of(const dl_exchange *exchange, dl_method method) {
  dl_route_match match;
  const dl_plan *plan = exchange->plan;
  if (!plan->route_cors || dl_router_find(plan->router, method, exchange->request.path, &match) != DL_ROUTE_FOUND) return plan->cors;
  const dl_route *route = match.route;
  return route->cors ? route->cors : plan->cors;
}

bool dl_step_cors(dl_exchange *exchange) {
  const dl_plan *plan = exchange->plan;
  if (!plan->cors && !plan->route_cors) return true;
  dl_str origin = dl_http_request_header(&exchange->request, DL_HEADER_ORIGIN);
  dl_str asked = dl_http_request_header(&exchange->request, DL_HEADER_ACCESS_CONTROL_REQUEST_METHOD);
  bool preflight = exchange->request.method == DL_METHOD_OPTIONS && origin.len && asked.len;
  const dl_cors *cors = cors_of(exchange, preflight ? dl_method_of(asked) : exchange->request.method);
  if (!cors) return true;
  if (preflight) {
    answer_preflight(exchange, cors, origin, asked);
    return false;
  }
  add_fields(exchange, dl_cors_origin(cors, origin, &exchange->arena));
  return true;
}

/* --- steps 7 and 9: limits -------------------------------------------------------------- */

static bool check_limits(dl_exchange *exchange, const dl_limit_group *group, dl_str key, size_t place) {
  dl_limit_result *results = exchange->limit_results;
  results[place] = dl_limit_check(exchange->worker->limits, group->limits, group->count, key, exchange->worker->loop->clock.monotonic_us);
  if (results[place].allowed) return true;
  dl_buffer fields = {0};
  dl_limit_write_fields(&fields, results, DL_LIMIT_PLACES);
  dl_respond_error(exchange, 429, DL_STR("Too many requests"), dl_buffer_str(&fields));
  dl_buffer_free(&fields);
  return false;
}

bool dl_step_limit_client(dl_exchange *exchange) {
  const dl_route_limits *limits = exchange->route->limits;
  char bytes[DL_LIMIT_KEY_BYTES];
  if (!limits) return true;
  add_fields(exchange, limits->policy);
  if (limits->client.count == 0) return true;
  return check_limits(exchange, &limits->client, dl_limit_client_key(exchange->view.client, bytes), 0);
}

/* What is counted by principal is counted by client where the route is public. */
bool dl_step_limit_principal(dl_exchange *exchange, dl_str principal) {
  const dl_route_limits *limits = exchange->route->limits;
  char bytes[DL_LIMIT_KEY_BYTES];
  if (!limits) return true;
  if (limits->principal.count > 0) {
    dl_str key = principal.len ? principal : dl_limit_client_key(exchange->view.client, bytes);
    if (!check_limits(exchange, &limits->principal, key, 1)) return false;
  }
  dl_buffer fields = {0};
  dl_limit_write_fields(&fields, exchange->limit_results, DL_LIMIT_PLACES);
  add_fields(exchange, dl_arena_copy(&exchange->arena, dl_buffer_str(&fields)));
  dl_buffer_free(&fields);
  return true;
}
