/* SPDX-License-Identifier: MIT */
/*
 * Steps 5, 7 and 9 of the pipeline: which page may read the answer, and how often
 * who asks may ask. Both leave fields for whatever response follows.
 */
#include "app/access.h"

#include "limit/table.h"

/* --- step 5: origins ----------------------------------------------------------------- */

static void add_fields(dl_exchange *exchange, dl_str fields) {
  dl_str before = exchange->access_fields;
  if (!before.len || !fields.len) {
    exchange->access_fields = before.len ? before : fields;
    return;
  }
  char *joined = dl_arena_alloc(&exchange->arena, before.len + fields.len);
  memcpy(joined, before.ptr, before.len);
  memcpy(joined + before.len, fields.ptr, fields.len);
  exchange->access_fields = dl_str_from(joined, before.len + fields.len);
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
bool dl_step_limit_principal(dl_exchange *exchange) {
  const dl_route_limits *limits = exchange->route->limits;
  char bytes[DL_LIMIT_KEY_BYTES];
  if (!limits) return true;
  if (limits->principal.count > 0) {
    dl_str key = dl_principal_key(&exchange->view.principal, &exchange->arena);
    if (key.len == 0) key = dl_limit_client_key(exchange->view.client, bytes);
    if (!check_limits(exchange, &limits->principal, key, 1)) return false;
  }
  dl_buffer fields = {0};
  dl_limit_write_fields(&fields, exchange->limit_results, DL_LIMIT_PLACES);
  add_fields(exchange, dl_arena_copy(&exchange->arena, dl_buffer_str(&fields)));
  dl_buffer_free(&fields);
  return true;
}

/* --- steps 8 and 10: who asks ------------------------------------------------------------ */

static void on_password(const dl_password_answer *answer, void *owner, uint64_t serial) {
  dl_exchange *exchange = owner;
  (void)serial; /* a connection stays as long as its request is undecided */
  exchange->guard.password.answer = answer->result;
  exchange->guard.password.answered = true;
  dl_connection_decided(exchange->connection, dl_pipeline_identify(exchange));
}

static dl_admission verify_password(dl_exchange *exchange) {
  const dl_guard_password *password = &exchange->guard.password;
  dl_password_pool *pool = dl_bridge_passwords(dl_lua_state(exchange->generation->lua));
  if (dl_password_pool_verify(pool, password->stored, password->presented, on_password, exchange, 0)) return DL_UNDECIDED;
  dl_respond_error(exchange, 503, DL_STR("Too many passwords are being verified"), DL_STR("Retry-After: 1\r\n"));
  return DL_REFUSED;
}

/* The client learns that it was refused; why is for the log. */
static dl_admission refuse(dl_exchange *exchange, int status, dl_str detail) {
  dl_log *log = &exchange->worker->loop->log;
  if (exchange->guard.reason && dl_log_begin(log, DL_LOG_INFO, DL_STR("a guard refused"))) {
    dl_request_log(&exchange->view, log);
    dl_log_field(log, "route", exchange->view.route);
    dl_log_field(log, "client", exchange->view.client);
    dl_log_field(log, "reason", dl_str_of(exchange->guard.reason));
    dl_log_end(log);
  }
  dl_respond_error(exchange, status, detail, exchange->guard.challenge);
  return DL_REFUSED;
}

dl_admission dl_step_guard(dl_exchange *exchange) {
  const dl_guard *guard = exchange->route->guard;
  dl_guard_context *context = &exchange->guard;
  if (!guard || dl_guard_is_public(guard)) return DL_ADMITTED;
  context->request = &exchange->request;
  context->arena = &exchange->arena;
  context->tokens = exchange->worker->tokens;
  context->now_s = exchange->worker->loop->clock.wall_ms / 1000;
  switch (dl_guard_check(guard, context, &exchange->view.principal)) {
    case DL_GUARD_PASS: return DL_ADMITTED;
    case DL_GUARD_WAIT: return verify_password(exchange);
    case DL_GUARD_FORBIDDEN: exchange->forbidden = true; return DL_ADMITTED; /* as far as step 10 */
    case DL_GUARD_BAD_REQUEST: return refuse(exchange, 400, DL_STR("The credentials are malformed"));
    default: return refuse(exchange, 401, DL_STR("Not authenticated"));
  }
}

bool dl_step_role(dl_exchange *exchange) {
  if (exchange->forbidden) refuse(exchange, 403, DL_STR("Forbidden"));
  return !exchange->forbidden;
}
