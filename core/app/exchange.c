/* SPDX-License-Identifier: MIT */
#include "app/exchange.h"
#include "app/measure.h"

#include "base/forget.h"
#include "base/memory.h"

#include <lauxlib.h>
#include <stdio.h>

enum { STALE_US = 50000, ARENA_BLOCK_BYTES = 4096, BODY_KEPT_BYTES = 65536, SPARE_BODY_BYTES = 1048576, IDLE_KEPT = 16 };

static const char hex_digits[] = "0123456789abcdef";

/* Sixteen hexadecimal digits: which worker's life, and which request of it. */
static void write_id(dl_exchange *exchange) {
  uint64_t id = (uint64_t)exchange->worker->id_prefix << 32 | (uint32_t)++exchange->worker->request_count;
  for (int i = 15; i >= 0; i--, id >>= 4) exchange->id_text[i] = hex_digits[id & 15];
  exchange->view.id = dl_str_from(exchange->id_text, 16);
}

static dl_exchange *take_idle(dl_worker *worker) {
  dl_exchange *exchange = worker->idle_exchanges;
  worker->idle_exchanges = exchange->next_idle;
  if (--worker->idle_exchange_count < worker->least_idle_exchanges) worker->least_idle_exchanges = worker->idle_exchange_count;
  return exchange;
}

/* What it was; room that is empty now and its table in Lua stay. */
static void forget(dl_exchange *exchange) {
  dl_arena arena = exchange->arena;
  dl_buffer body = exchange->body;
  dl_deadline deadline = exchange->deadline;
  int slots_reference = exchange->view.slots_reference;
  dl_forget(exchange, sizeof *exchange);
  exchange->arena = arena;
  exchange->body = body;
  exchange->deadline = deadline;
  exchange->view.slots_reference = slots_reference;
}

dl_exchange *dl_exchange_begin(dl_worker *worker, dl_connection *connection) {
  dl_exchange *exchange;
  if (worker->idle_exchanges) {
    exchange = take_idle(worker);
  } else {
    exchange = dl_calloc(1, sizeof *exchange);
    dl_arena_init(&exchange->arena, ARENA_BLOCK_BYTES);
    exchange->view.slots_reference = LUA_NOREF;
    forget(exchange);
  }
  worker->exchange_count++;
  exchange->worker = worker;
  exchange->connection = connection;
  exchange->generation = worker->generation;
  exchange->generation->exchange_count++;
  exchange->plan = worker->generation->plan;
  exchange->route = NULL;
  exchange->task = NULL;
  exchange->body_bytes = (dl_str){0};
  exchange->limit_query = NULL;
  exchange->question = NULL;
  exchange->ask_task = NULL;
  exchange->asking = DL_ASKING_NOTHING;
  exchange->password_serial = 0;
  exchange->step = 0;
  exchange->counting = DL_COUNTING_NOT_ASKED;
  exchange->guard = (dl_guard_context){0};
  exchange->view.principal = (dl_principal){0};
  memset(exchange->limit_results, 0, sizeof exchange->limit_results);
  exchange->sent_bytes = 0;
  exchange->turn_bytes = 0;
  exchange->after_done = 0;
  exchange->runs_afters = exchange->after_ended = false;
  exchange->status = 0;
  exchange->write_ticket = (dl_ticket){0};
  exchange->head_only = exchange->close = exchange->refusal_lingers = exchange->body_complete = exchange->body_came = false;
  exchange->password_refused = exchange->queued = exchange->in_handler = exchange->starved = exchange->sets_cookie = false;
  exchange->forbidden = exchange->succeeded = exchange->streaming = exchange->chunked = exchange->timed_out = exchange->waits_for_drain = false;
  exchange->phase = DL_PHASE_HANDLER;
  exchange->started_us = worker->loop->clock.monotonic_us;
  exchange->view.http = &exchange->request;
  exchange->view.arena = &exchange->arena;
  exchange->view.client = dl_str_from(connection->client, connection->client_len);
  exchange->view.share = connection->client_hash;
  exchange->view.scheme = dl_stream_is_secure(&connection->stream) ? DL_STR("https") : DL_STR("http");
  exchange->view.host = (dl_str){0};
  exchange->view.random = &worker->random;
  exchange->view.is_traced = false;
  exchange->view.keeps_answer = false;
  exchange->view.route = exchange->view.source = (dl_str){0};
  exchange->view.raw_body = false;
  exchange->view.foreign = false;
  exchange->view.access_fields = (dl_str){0};
  exchange->view.limit_table = worker->limits;
  exchange->view.handle = NULL;
  write_id(exchange);
  return exchange;
}

static void free_exchange(dl_exchange *exchange) {
  dl_arena_free(&exchange->arena);
  dl_buffer_free(&exchange->body);
  dl_free(exchange);
}

void dl_exchange_free_idle(dl_worker *worker) {
  while (worker->idle_exchanges) free_exchange(take_idle(worker));
}

bool dl_exchange_reserve_body(dl_exchange *exchange, size_t more) {
  dl_buffer *body = &exchange->body, *spare = &exchange->worker->spare_body, larger = *spare;
  if (body->len + more <= body->cap || body->len + more > spare->cap) return dl_buffer_try_reserve(body, more);
  *spare = (dl_buffer){0};
  exchange->worker->spare_body_used = true;
  dl_buffer_append_str(&larger, dl_buffer_str(body));
  dl_buffer_free(body);
  *body = larger;
  return true;
}

/* Of a body's room what is small stays with the exchange. */
static void clear_body(dl_exchange *exchange) {
  dl_buffer *body = &exchange->body, *spare = &exchange->worker->spare_body;
  dl_buffer_clear(body);
  if (body->cap <= BODY_KEPT_BYTES) return;
  if (body->cap <= SPARE_BODY_BYTES && body->cap > spare->cap) {
    dl_buffer_free(spare);
    *spare = *body;
    *body = (dl_buffer){0};
  }
  dl_buffer_free(body);
}

uint32_t dl_exchange_give_back(dl_worker *worker) {
  if (!worker->spare_body_used) dl_buffer_free(&worker->spare_body);
  worker->spare_body_used = false;
  uint32_t spare = worker->least_idle_exchanges > IDLE_KEPT ? worker->least_idle_exchanges - IDLE_KEPT : 0;
  for (uint32_t i = 0; i < spare; i++) {
    dl_exchange *exchange = take_idle(worker);
    luaL_unref(dl_lua_state(worker->generation->lua), LUA_REGISTRYINDEX, exchange->view.slots_reference);
    free_exchange(exchange);
  }
  worker->least_idle_exchanges = worker->idle_exchange_count;
  return spare;
}

/* The slots of its view lie in the Lua of its generation: another one cannot use it. */
/* The loop's clock is of the turn's beginning: too old to measure what ran since, and
 * for the deadlines that follow when that took long. */
void dl_exchange_measure(dl_exchange *exchange) {
  dl_clock *clock = &exchange->worker->loop->clock;
  uint64_t now_us = dl_clock_monotonic_now_us(clock);
  if (now_us > clock->monotonic_us + STALE_US) dl_clock_update(clock);
  exchange->elapsed_us = now_us > exchange->started_us ? now_us - exchange->started_us : 0;
  dl_access_log_write(exchange);
  dl_metrics_record(exchange);
}

void dl_exchange_end(dl_exchange *exchange) {
  dl_worker *worker = exchange->worker;
  dl_deadline_clear(&exchange->deadline);
  dl_queue_leave(exchange);
  exchange->generation->exchange_count--;
  worker->exchange_count--;
  if (exchange->generation != worker->generation) {
    free_exchange(exchange);
    return;
  }
  clear_body(exchange);
  dl_arena_reset(&exchange->arena);
  forget(exchange);
  exchange->next_idle = worker->idle_exchanges;
  worker->idle_exchanges = exchange;
  worker->idle_exchange_count++;
}
