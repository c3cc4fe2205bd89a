/* SPDX-License-Identifier: MIT */
#include "app/worker.h"

#include "app/exchange.h"
#include "base/memory.h"

#include <sys/random.h>

enum { SWEEP_MS = 250 };

static void on_sweep(uv_timer_t *timer) {
  dl_worker *worker = timer->data;
  dl_clock_update(&worker->loop->clock);
  uint64_t now_us = worker->loop->clock.monotonic_us;
  dl_deadlines_sweep(&worker->head_deadlines, now_us);
  dl_deadlines_sweep(&worker->body_deadlines, now_us);
  dl_deadlines_sweep(&worker->idle_deadlines, now_us);
  dl_deadlines_sweep(&worker->linger_deadlines, now_us);
  dl_deadlines_sweep(&worker->send_deadlines, now_us);
  dl_deadlines_sweep(&worker->handler_deadlines, now_us);
}

void dl_worker_init(dl_worker *worker, dl_loop *loop, dl_generation *generation) {
  *worker = (dl_worker){.loop = loop, .generation = generation};
  if (getrandom(&worker->id_prefix, sizeof worker->id_prefix, 0) != sizeof worker->id_prefix) worker->id_prefix = (uint32_t)uv_hrtime();
  worker->tokens = dl_token_cache_new();
  dl_deadlines_init(&worker->head_deadlines, true, dl_connection_head_expired);
  dl_deadlines_init(&worker->send_deadlines, true, dl_connection_send_expired);
  dl_deadlines_init(&worker->idle_deadlines, true, dl_connection_idle_expired);
  dl_deadlines_init(&worker->linger_deadlines, true, dl_connection_idle_expired);
  dl_deadlines_init(&worker->body_deadlines, false, dl_connection_body_expired);
  dl_deadlines_init(&worker->handler_deadlines, false, dl_handle_expired);
  uv_timer_init(loop->uv, &worker->sweep_timer);
  worker->sweep_timer.data = worker;
  uv_timer_start(&worker->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
  uv_unref((uv_handle_t *)&worker->sweep_timer);
}

void dl_worker_accept(dl_listener *listener) { dl_connection_accept(listener->owner, &listener->uv.stream); }

void dl_worker_drain(dl_worker *worker, void (*drained)(dl_worker *worker, void *owner), void *owner) {
  worker->draining = true;
  worker->drained = drained;
  worker->owner = owner;
  if (worker->connection_count == 0) {
    drained(worker, owner);
    return;
  }
  for (dl_connection *next, *connection = worker->connections; connection; connection = next) {
    next = connection->next;
    dl_connection_drain(connection);
  }
}

void dl_worker_abort_connections(dl_worker *worker) {
  for (dl_connection *next, *connection = worker->connections; connection; connection = next) {
    next = connection->next;
    if (!connection->stream.closing) dl_connection_abort(connection);
  }
}

void dl_worker_free(dl_worker *worker) {
  for (dl_exchange *next, *exchange = worker->idle_exchanges; exchange; exchange = next) {
    next = exchange->next_idle;
    dl_arena_free(&exchange->arena);
    dl_buffer_free(&exchange->body);
    dl_free(exchange);
  }
  worker->idle_exchanges = NULL;
  dl_stream_pool_free(&worker->buffers);
  dl_buffer_free(&worker->out);
  dl_buffer_free(&worker->scratch);
  dl_client_counts_free(&worker->clients);
  dl_token_cache_free(worker->tokens);
}
