/* SPDX-License-Identifier: MIT */
#include "app/measure.h"

#include "limit/counter.h"
#include "net/tls.h"

void dl_metrics_attach(dl_metrics *metrics, dl_generation *generation) {
  const dl_plan *plan = generation->plan;
  uint16_t *series = dl_arena_zalloc(dl_bridge_arena(dl_lua_state(generation->lua)), plan->route_count + 1, sizeof *series);
  for (const dl_route *route = plan->routes; route; route = route->next) series[route->number] = (uint16_t)dl_metrics_route(metrics, route->method, route->path);
  generation->series = series;
}

static uint32_t series_of(const dl_exchange *exchange) {
  const uint16_t *series = exchange->generation->series;
  if (exchange->route) return series ? series[exchange->route->number] : DL_SERIES_OTHER;
  /* A head that could not be read has no method. */
  return DL_SERIES_UNMATCHED + (exchange->request.method_text.len ? (uint32_t)exchange->request.method : DL_METHOD_COUNT);
}

/* Which wall it was. Everything is known from the exchange, so that the steps of the
 * pipeline need not say it themselves; a status of the handler's own has left no traces. */
static void __attribute__((noinline)) record_refusal(dl_exchange *exchange) {
  dl_metrics_writer *metrics = &exchange->worker->metrics;
  static const dl_counter counters[DL_LIMIT_PLACES] = {DL_COUNTER_LIMITED_CLIENT, DL_COUNTER_LIMITED_PRINCIPAL, DL_COUNTER_LIMITED_API_KEY};
  const dl_limit_result *limits = exchange->limit_results;
  if (exchange->status == 429) {
    for (size_t i = 0; i < DL_LIMIT_PLACES; i++)
      if (limits[i].limit && !limits[i].allowed) dl_metrics_count(metrics, counters[i]);
  } else if (exchange->guard.reason) {
    dl_metrics_count_reason(metrics, exchange->guard.reason);
  } else if (exchange->status == 422 && exchange->validation.error_count) {
    dl_metrics_count(metrics, DL_COUNTER_VALIDATION_REFUSALS);
  }
}

void dl_metrics_record(dl_exchange *exchange) {
  dl_metrics_writer *metrics = &exchange->worker->metrics;
  if (!metrics->slot) return;
  dl_metrics_count_request(metrics, series_of(exchange), exchange->status, exchange->elapsed_us);
  if (exchange->status >= 400) record_refusal(exchange);
}

/* Each generation has a store of its own, which counts from 0. */
static void add_store(dl_limit_redis_stats *sum, const dl_generation *generation) {
  const dl_limit_redis *redis = dl_lua_limits(generation->lua)->redis;
  if (!redis) return;
  dl_limit_redis_stats stats = dl_limit_redis_read_stats(redis);
  sum->answered += stats.answered;
  sum->failed += stats.failed;
  sum->unavailable += stats.unavailable;
  sum->connections += stats.connections;
}

void dl_metrics_keep(dl_worker *worker, const dl_generation *generation) { add_store(&worker->ended_stores, generation); }

/* One that was replaced goes on until its last request is over. */
static void publish_stores(dl_worker *worker) {
  dl_metrics_writer *metrics = &worker->metrics;
  dl_limit_redis_stats sum = worker->ended_stores;
  add_store(&sum, worker->generation);
  for (const dl_generation *replaced = worker->replaced; replaced; replaced = replaced->next) add_store(&sum, replaced);
  dl_metrics_follow(metrics, DL_COUNTER_REDIS_ANSWERED, sum.answered);
  dl_metrics_follow(metrics, DL_COUNTER_REDIS_FAILED, sum.failed);
  dl_metrics_follow(metrics, DL_COUNTER_REDIS_UNAVAILABLE, sum.unavailable);
  dl_metrics_follow(metrics, DL_COUNTER_REDIS_CONNECTIONS, sum.connections);
}

static void publish_tls(dl_worker *worker) {
  dl_metrics_writer *metrics = &worker->metrics;
  const dl_tls_hub *tls = worker->buffers.tls;
  if (!tls) return;
  dl_metrics_follow(metrics, DL_COUNTER_TLS_FULL, tls->handshakes - tls->resumptions);
  dl_metrics_follow(metrics, DL_COUNTER_TLS_RESUMED, tls->resumptions);
  dl_metrics_follow(metrics, DL_COUNTER_TLS_FAILED, tls->failures);
}

void dl_metrics_publish(dl_worker *worker) {
  dl_metrics_writer *metrics = &worker->metrics;
  if (!metrics->slot) return;
  dl_lua_stats lua = dl_lua_read_stats(worker->generation->lua);
  uint64_t generations = 1;
  for (const dl_generation *replaced = worker->replaced; replaced; replaced = replaced->next) generations++;
  dl_metrics_set(metrics, DL_GAUGE_CONNECTIONS, worker->connection_count);
  dl_metrics_set(metrics, DL_GAUGE_REQUESTS, worker->exchange_count);
  dl_metrics_set(metrics, DL_GAUGE_QUEUED, worker->queue.line.count);
  dl_metrics_set(metrics, DL_GAUGE_TASKS, lua.tasks);
  dl_metrics_set(metrics, DL_GAUGE_TASKS_IDLE, lua.idle_tasks);
  dl_metrics_set(metrics, DL_GAUGE_LUA_BYTES, lua.memory_bytes);
  dl_metrics_set(metrics, DL_GAUGE_TRACES, lua.traces);
  dl_metrics_set(metrics, DL_GAUGE_GENERATIONS, generations);
  dl_metrics_follow(metrics, DL_COUNTER_BYTES_IN, worker->buffers.received_bytes);
  dl_metrics_follow(metrics, DL_COUNTER_BYTES_OUT, worker->buffers.sent_bytes);
  dl_metrics_follow(metrics, DL_COUNTER_LOG_LINES_LOST, worker->loop->log.lost_ever);
  publish_tls(worker);
  publish_stores(worker);
}
