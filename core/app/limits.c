/* SPDX-License-Identifier: MIT */
/*
 * Steps 7 and 9 of the pipeline: how often who asks may ask. Where a store counts,
 * a step is undecided until it has answered, or failed to in time. Both leave fields
 * for whatever response follows.
 */
#include "app/access.h"
#include "app/ask.h"

/* --- the store -------------------------------------------------------------------------- */

static void on_answer(void *owner, const dl_limit_result *result) {
  dl_exchange *exchange = owner;
  dl_clock_update(&exchange->worker->loop->clock);
  exchange->limit_query = NULL;
  exchange->counting = result ? DL_COUNTING_ANSWERED : DL_COUNTING_FAILED;
  if (result) exchange->limit_answer = *result;
  dl_connection_readmit(exchange->connection);
}

void dl_pipeline_forgo(dl_exchange *exchange) {
  exchange->password_serial = 0;
  if (exchange->limit_query) dl_limit_query_cancel(exchange->limit_query);
  exchange->limit_query = NULL;
  dl_ask_forgo(exchange);
  dl_queue_forgo(exchange);
}

/* --- counting --------------------------------------------------------------------------- */

static dl_admission refuse(dl_exchange *exchange) {
  dl_buffer fields = {0};
  dl_limit_write_fields(&fields, exchange->limit_results, DL_LIMIT_PLACES);
  dl_respond_error(exchange, 429, DL_STR("Too many requests"), dl_buffer_str(&fields));
  dl_buffer_free(&fields);
  return DL_REFUSED;
}

/* What the store said, or the table says; false: nobody may pass uncounted. */
static bool take_result(dl_exchange *exchange, const dl_limit_counter *counter, const dl_limit_group *group, dl_str key, dl_limit_result *result) {
  bool answered = exchange->counting == DL_COUNTING_ANSWERED;
  exchange->counting = DL_COUNTING_NOT_ASKED;
  if (answered) *result = exchange->limit_answer;
  return answered || dl_limit_count_here(counter, exchange->worker->limits, group, key, exchange->worker->loop->clock.monotonic_us, result);
}

static dl_admission count(dl_exchange *exchange, const dl_limit_group *group, dl_str key, size_t place) {
  const dl_limit_counter *counter = dl_lua_limits(exchange->generation->lua);
  if (exchange->counting == DL_COUNTING_NOT_ASKED) {
    exchange->limit_query = dl_limit_ask_store(counter, group, key, on_answer, exchange);
    if (exchange->limit_query) return DL_UNDECIDED;
  }
  if (!take_result(exchange, counter, group, key, &exchange->limit_results[place])) {
    dl_respond_error(exchange, 503, DL_STR("Requests cannot be counted at the moment"), DL_STR("Retry-After: 1\r\n"));
    return DL_REFUSED;
  }
  return exchange->limit_results[place].allowed ? DL_ADMITTED : refuse(exchange);
}

/* --- steps ------------------------------------------------------------------------------ */

dl_admission dl_step_limit_client(dl_exchange *exchange) {
  const dl_route_limits *limits = exchange->route->limits;
  char bytes[DL_LIMIT_KEY_BYTES];
  if (!limits) return DL_ADMITTED;
  if (exchange->counting == DL_COUNTING_NOT_ASKED) dl_request_add_access_fields(&exchange->view, limits->policy);
  if (limits->client.count == 0) return DL_ADMITTED;
  return count(exchange, &limits->client, dl_limit_client_key(exchange->view.client, bytes), 0);
}

dl_admission dl_step_limit_principal(dl_exchange *exchange) {
  const dl_route_limits *limits = exchange->route->limits;
  char bytes[DL_LIMIT_KEY_BYTES];
  if (!limits || limits->principal.count == 0) return DL_ADMITTED;
  dl_str key = dl_principal_key(&exchange->view.principal, &exchange->arena);
  if (key.len == 0) key = dl_limit_client_key(exchange->view.client, bytes); /* the route is public */
  return count(exchange, &limits->principal, key, 1);
}

/* An owner may have many keys: by principal all of them count as one. */
dl_admission dl_step_limit_api_key(dl_exchange *exchange) {
  const dl_route_limits *limits = exchange->route->limits;
  if (!limits) return DL_ADMITTED;
  dl_str key = limits->api_key.count ? dl_principal_name_key(&exchange->view.principal, &exchange->arena) : (dl_str){0};
  dl_admission admission = key.len ? count(exchange, &limits->api_key, key, 2) : DL_ADMITTED;
  if (admission != DL_ADMITTED) return admission;
  dl_buffer fields = {0};
  dl_limit_write_fields(&fields, exchange->limit_results, DL_LIMIT_PLACES);
  dl_request_add_access_fields(&exchange->view, dl_arena_copy(&exchange->arena, dl_buffer_str(&fields)));
  dl_buffer_free(&fields);
  return DL_ADMITTED;
}
