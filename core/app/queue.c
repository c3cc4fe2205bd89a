/* SPDX-License-Identifier: MIT */
#include "app/exchange.h"

enum { STARTS_A_TURN = 64, TURN_US = 1000, TELL_AGAIN_US = 10000000 };

static bool has_room(const dl_exchange *exchange) {
  uint32_t most = exchange->plan->limits.max_requests;
  return most == 0 || exchange->worker->queue.running < most;
}

static void start(dl_exchange *exchange) {
  exchange->in_handler = true;
  exchange->worker->queue.running++;
  dl_handle(exchange);
}

/* --- the line ------------------------------------------------------------------------------ */

static dl_exchange *exchange_at(dl_fair_node *place) { return place ? (dl_exchange *)(void *)((char *)place - offsetof(dl_exchange, queue_place)) : NULL; }

static void put(dl_exchange *exchange) {
  dl_worker *worker = exchange->worker;
  exchange->queued = true;
  dl_fair_queue_put(&worker->queue.line, &exchange->queue_place, exchange->view.share);
  dl_deadline_set(&worker->queue.deadlines, &exchange->deadline, worker->loop->clock.monotonic_us + exchange->plan->limits.queue_timeout_us);
}

static void waits_no_more(dl_exchange *exchange) {
  dl_deadline_clear(&exchange->deadline);
  exchange->queued = false;
}

static void take_out(dl_queue *queue, dl_exchange *exchange) {
  dl_fair_queue_remove(&queue->line, &exchange->queue_place);
  waits_no_more(exchange);
}

/* --- refusing ------------------------------------------------------------------------------ */

/* An overload refuses thousands; the log hears of it now and then. */
static void tell(dl_worker *worker) {
  dl_queue *queue = &worker->queue;
  dl_log *log = &worker->loop->log;
  uint64_t now_us = worker->loop->clock.monotonic_us;
  queue->refused++;
  if (queue->told_us && now_us < queue->told_us + TELL_AGAIN_US) return;
  queue->told_us = now_us;
  if (dl_log_begin(log, DL_LOG_WARNING, DL_STR("more requests came than handlers could take; some were answered 503"))) {
    dl_log_field_int(log, "refused", (int64_t)queue->refused);
    dl_log_field_int(log, "running", queue->running);
    dl_log_field_int(log, "waiting", queue->line.count);
    dl_log_end(log);
  }
  queue->refused = 0;
}

/* Those who wait now will be through by then. */
static void refuse(dl_exchange *exchange) {
  uint64_t seconds = (exchange->plan->limits.queue_timeout_us + 999999) / 1000000;
  const char *fields = dl_arena_format(&exchange->arena, "Retry-After: %llu\r\n", (unsigned long long)seconds);
  tell(exchange->worker);
  dl_metrics_count(&exchange->worker->metrics, DL_COUNTER_QUEUE_REFUSALS);
  dl_respond_error(exchange, 503, DL_STR("The server is busy; try again in a moment"), dl_str_of(fields));
  dl_connection_finished(exchange->connection);
}

static void on_expired(dl_deadline *deadline) {
  dl_exchange *exchange = (dl_exchange *)(void *)((char *)deadline - offsetof(dl_exchange, deadline));
  take_out(&exchange->worker->queue, exchange);
  refuse(exchange);
}

/* --- coming and going ------------------------------------------------------------------------ */

/* Of a client that has fewer waiting than another the next one waits in place of that one's last. */
static void wait_or_refuse(dl_exchange *exchange) {
  dl_queue *queue = &exchange->worker->queue;
  dl_exchange *out = NULL;
  if (queue->line.count >= exchange->plan->limits.max_queue) {
    out = exchange_at(dl_fair_queue_who_gives_way(&queue->line, exchange->view.share));
    if (!out) {
      refuse(exchange);
      return;
    }
    take_out(queue, out);
  }
  put(exchange);
  if (out) refuse(out); /* whose connection may have the next one ready */
}

void dl_queue_enter(dl_exchange *exchange) {
  if (!exchange->worker->queue.line.first && has_room(exchange)) start(exchange);
  else if (exchange->connection->stream.ended) refuse(exchange);
  else wait_or_refuse(exchange);
}

/* Handlers that answer at once end inside the loop below, not inside each other. */
static void on_turn(uv_idle_t *idle) {
  dl_worker *worker = idle->data;
  dl_queue *queue = &worker->queue;
  dl_clock *clock = &worker->loop->clock;
  dl_clock_update(clock);
  uint64_t until_us = clock->monotonic_us + TURN_US; /* others have their turn as well */
  dl_exchange *exchange;
  for (int started = 0; started < STARTS_A_TURN && (exchange = exchange_at(queue->line.first)) && has_room(exchange); started++) {
    if (started && dl_clock_monotonic_now_us(clock) > until_us) break;
    dl_fair_queue_take(&queue->line);
    waits_no_more(exchange);
    start(exchange);
  }
  exchange = exchange_at(queue->line.first);
  if (!exchange || !has_room(exchange)) uv_idle_stop(idle);
}

void dl_queue_leave(dl_exchange *exchange) {
  dl_queue *queue = &exchange->worker->queue;
  if (!exchange->in_handler) return;
  exchange->in_handler = false;
  queue->running--;
  if (queue->line.first && !uv_is_closing((uv_handle_t *)&queue->turn)) uv_idle_start(&queue->turn, on_turn);
}

bool dl_queue_forgo(dl_exchange *exchange) {
  if (!exchange->queued) return false;
  take_out(&exchange->worker->queue, exchange);
  return true;
}

void dl_queue_client_ended(dl_exchange *exchange) {
  if (dl_queue_forgo(exchange)) refuse(exchange);
}

void dl_queue_init(dl_worker *worker) {
  dl_deadlines_init(&worker->queue.deadlines, on_expired);
  uv_idle_init(worker->loop->uv, &worker->queue.turn);
  worker->queue.turn.data = worker;
}
