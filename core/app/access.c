/* SPDX-License-Identifier: MIT */
/*
 * Steps 5, 8 and 10 of the pipeline: which page may read the answer, who asks, from
 * whose page, and whether they may.
 */
#include "app/access.h"

#include "app/ask.h"
#include "http/cross_origin.h"

#include <lauxlib.h>

/* --- step 5: origins ----------------------------------------------------------------- */

static void answer_preflight(dl_exchange *exchange, const dl_cors *cors, dl_str origin, dl_str method) {
  const dl_http_request *request = &exchange->request;
  dl_cors_answer answer = dl_cors_preflight(cors, origin, method, dl_http_request_header(request, DL_HEADER_ACCESS_CONTROL_REQUEST_HEADERS),
                                            dl_http_request_header(request, DL_HEADER_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK), &exchange->arena);
  dl_request_add_access_fields(&exchange->view, answer.fields);
  if (answer.allowed) dl_respond(exchange, 204, (dl_str){0}, (dl_str){0}, (dl_str){0});
  else dl_respond_error(exchange, 403, dl_str_of(answer.reason), (dl_str){0});
}

/* The route that the real request would reach says what its preflight is told. */
static const dl_cors *cors_of(const dl_exchange *exchange, dl_method method) {
  dl_route_match match;
  const dl_plan *plan = exchange->plan;
  if (dl_router_find(plan->router, method, exchange->request.path, &match) != DL_ROUTE_FOUND) return plan->cors;
  const dl_route *route = match.route;
  return route->cors;
}

dl_admission dl_step_cors(dl_exchange *exchange) {
  const dl_plan *plan = exchange->plan;
  if (!plan->cors && !plan->route_cors) return DL_ADMITTED;
  dl_str origin = dl_http_request_header(&exchange->request, DL_HEADER_ORIGIN);
  dl_str asked = dl_http_request_header(&exchange->request, DL_HEADER_ACCESS_CONTROL_REQUEST_METHOD);
  bool preflight = exchange->request.method == DL_METHOD_OPTIONS && origin.len && asked.len;
  const dl_cors *cors = cors_of(exchange, preflight ? dl_method_of(asked) : exchange->request.method);
  if (!cors) return DL_ADMITTED;
  if (preflight) {
    answer_preflight(exchange, cors, origin, asked);
    return DL_REFUSED;
  }
  dl_request_add_access_fields(&exchange->view, dl_cors_origin(cors, origin, &exchange->arena));
  return DL_ADMITTED;
}

/* --- steps 8 and 10: who asks ------------------------------------------------------------ */

/* Who asked, unless that exchange has ended meanwhile: the pool cannot take back what
 * it was given, and another exchange may lie where that one was. */
static dl_exchange *find_asker(const dl_worker *worker, uint64_t serial) {
  for (dl_connection *connection = worker->connections; connection; connection = connection->next)
    if (connection->exchange && connection->exchange->password_serial == serial) return connection->exchange;
  return NULL;
}

static void on_password(const dl_password_answer *answer, void *owner, uint64_t serial) {
  dl_exchange *exchange = find_asker(owner, serial);
  if (!exchange) return;
  exchange->password_serial = 0;
  exchange->guard.password.answer = answer->result;
  exchange->guard.password.answered = !answer->gave_way;
  exchange->password_refused = answer->gave_way;
  dl_connection_readmit(exchange->connection);
}

static dl_admission verify_password(dl_exchange *exchange) {
  const dl_guard_password *password = &exchange->guard.password;
  dl_password_pool *pool = dl_bridge_passwords(dl_lua_state(exchange->generation->lua));
  uint64_t serial = ++exchange->worker->password_count;
  if (!exchange->password_refused &&
      dl_password_pool_verify(pool, exchange->view.share, password->stored, password->presented, on_password, exchange->worker, serial)) {
    exchange->password_serial = serial;
    return DL_UNDECIDED;
  }
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

/* Whose authority was taken away by a reload is nobody here, and comes anew if he can. */
static const dl_tls_peer *peer_of(dl_exchange *exchange) {
  bool disowned;
  const dl_tls_peer *peer = dl_stream_peer(&exchange->connection->stream, exchange->worker->tls, &disowned);
  exchange->close |= disowned;
  return peer;
}

static int push_digest(dl_exchange *exchange, lua_State *co) {
  const dl_guard_key *key = &exchange->guard.key;
  lua_rawgeti(co, LUA_REGISTRYINDEX, key->find);
  lua_pushlstring(co, key->digest.ptr, key->digest.len);
  return 1;
}

static dl_admission take_owner(dl_exchange *exchange, lua_State *co) {
  if (dl_guard_take_key(&exchange->guard, co, 1)) return DL_ADMITTED;
  dl_result_send_failure(exchange, DL_STR("a guard's find gave neither nil nor a name, a subject, roles and scopes"), (dl_str){0});
  return DL_REFUSED;
}

static const dl_question whose_key_it_is = {
    push_digest,
    take_owner,
    "whose an API key is",
    DL_STR("Whose the API key is could not be found out in time"),
    "nobody waits any more to hear whose the API key is",
};

dl_admission dl_step_guard(dl_exchange *exchange) {
  const dl_guard *guard = exchange->route->guard;
  dl_guard_context *context = &exchange->guard;
  if (!guard || dl_guard_is_public(guard)) return DL_ADMITTED;
  context->request = &exchange->request;
  context->arena = &exchange->arena;
  context->tokens = exchange->worker->tokens;
  context->peer = peer_of(exchange);
  context->now_s = exchange->worker->loop->clock.wall_ms / 1000;
  /* Who asked a store takes its answer first: what let nobody in then may by now, and the question would be left open. */
  bool asks = exchange->asking != DL_ASKING_NOTHING;
  dl_guard_result result = asks ? DL_GUARD_ASK : dl_guard_check(guard, context, &exchange->view.principal);
  if (result == DL_GUARD_ASK) {
    dl_admission admission = dl_ask(exchange, &whose_key_it_is);
    if (admission != DL_ADMITTED) return admission;
    result = dl_guard_check(guard, context, &exchange->view.principal);
  }
  switch (result) {
    case DL_GUARD_PASS: return DL_ADMITTED;
    case DL_GUARD_WAIT: return verify_password(exchange);
    case DL_GUARD_FORBIDDEN: exchange->forbidden = true; return DL_ADMITTED; /* as far as step 10 */
    case DL_GUARD_BAD_REQUEST: return refuse(exchange, 400, DL_STR("The credentials are malformed"));
    default: return refuse(exchange, 401, DL_STR("Not authenticated"));
  }
}

/* --- step 8, from whose page ---------------------------------------------------------------- */

static const char from_another_page[] = "a page of another origin sent it with the user's own credentials; where it may, name it in cors with credentials = true";
_Static_assert(sizeof from_another_page <= DL_METRICS_NAME_BYTES + 1, "a longer one is counted as other");

/* Those that RFC 9110 9.2.1 calls safe change nothing, and their answers are CORS' matter.
 * What they may do is begin a session, at the end of a link: whoever sends mails with
 * such links, or to an identity provider, has to know the browser again. */
static bool is_safe(dl_method method) { return method == DL_METHOD_GET || method == DL_METHOD_HEAD || method == DL_METHOD_OPTIONS; }

/* A browser adds cookies, passwords and certificates to what any page sends, and no
 * preflight comes before a form. SameSite keeps cookies from other sites only: a page
 * of another port or subdomain is of the same site. */
dl_admission dl_step_origin(dl_exchange *exchange) {
  const dl_http_request *request = &exchange->request;
  bool https = dl_str_equal(exchange->view.scheme, DL_STR("https"));
  if (!dl_http_cross_origin(request, exchange->view.host, https)) return DL_ADMITTED;
  const dl_cors *cors = exchange->route->cors;
  if (cors && dl_cors_allows_credentials(cors, dl_http_request_header(request, DL_HEADER_ORIGIN))) return DL_ADMITTED;
  bool safe = is_safe(request->method);
  exchange->view.foreign = !safe || !dl_http_navigation(request, &exchange->arena);
  if (safe || !exchange->guard.ambient) return DL_ADMITTED;
  exchange->guard.reason = from_another_page;
  return refuse(exchange, 403, DL_STR("A page of another origin may not do this with the user's credentials"));
}

dl_admission dl_step_role(dl_exchange *exchange) {
  return exchange->forbidden ? refuse(exchange, 403, DL_STR("Forbidden")) : DL_ADMITTED;
}
