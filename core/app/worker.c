/* SPDX-License-Identifier: MIT */
#include "app/worker.h"

#include "app/crowd.h"
#include "app/measure.h"
#include "base/memory.h"

#include <sys/random.h>

enum { SWEEP_MS = 250, LATE_SWEEP_MS = 500, STOP_PATIENCE_US = 15000000, KEPT_BYTES = 1048576, MANY_EXCHANGES = 256, GIVES_WAY_US = 1000000 };

/* --- generations that were replaced ------------------------------------------------------ */

static void on_replaced_stopped(void *owner, const char *error) {
  dl_generation *generation = owner;
  dl_loop *loop = dl_bridge_loop(dl_lua_state(generation->lua));
  if (error) dl_log_text(&loop->log, DL_LOG_ERROR, "stopping generation %llu failed: %s", (unsigned long long)generation->number, error);
  generation->state = DL_GENERATION_STOPPED; /* freed by the next sweep: this is still called from inside its Lua */
}

static bool is_over(dl_worker *worker, dl_generation *generation) {
  uint64_t now_us = worker->loop->clock.monotonic_us;
  if (generation->exchange_count > 0) return false;
  if (generation->state == DL_GENERATION_LIVE) {
    generation->state = DL_GENERATION_STOPPING;
    generation->stop_began_us = now_us;
    dl_generation_stop(generation, on_replaced_stopped, generation);
  }
  if (generation->state == DL_GENERATION_STOPPED) return true;
  if (now_us < generation->stop_began_us + STOP_PATIENCE_US) return false;
  dl_log_text(&worker->loop->log, DL_LOG_WARNING, "stopping generation %llu took too long and was given up", (unsigned long long)generation->number);
  return true;
}

static void end_generation(dl_worker *worker, dl_generation *generation) {
  dl_metrics_keep(worker, generation);
  dl_generation_end(generation);
  dl_generation_free(generation);
}

static void sweep_replaced(dl_worker *worker) {
  for (dl_generation **place = &worker->replaced; *place;) {
    dl_generation *generation = *place;
    if (!is_over(worker, generation)) {
      place = &generation->next;
      continue;
    }
    *place = generation->next;
    end_generation(worker, generation);
  }
}

void dl_worker_forget_generation(dl_worker *worker, dl_generation *generation) {
  generation->next = worker->replaced;
  worker->replaced = generation;
}

void dl_worker_replace_generation(dl_worker *worker, dl_generation *generation) {
  dl_worker_forget_generation(worker, worker->generation);
  worker->generation = generation;
  dl_exchange_free_idle(worker); /* of the one before */
  dl_token_cache_clear(worker->tokens); /* keys may have been withdrawn */
}

void dl_worker_end_replaced(dl_worker *worker) {
  while (worker->replaced) {
    dl_generation *generation = worker->replaced;
    worker->replaced = generation->next;
    end_generation(worker, generation);
  }
}

static void on_sweep(uv_timer_t *timer);

/* --- the worker ---------------------------------------------------------------------------- */

/* What kept the loop from turning was no client's fault: what they sent meanwhile is read
 * before they are judged. Once only, for a loop that is always late has to judge as well. */
static bool lets_others_first(dl_worker *worker, uint64_t now_us) {
  bool late = now_us - worker->swept_us > (uint64_t)LATE_SWEEP_MS * 1000;
  worker->sweep_put_off = late && !worker->sweep_put_off;
  if (worker->sweep_put_off) uv_timer_start(&worker->sweep_timer, on_sweep, 1, SWEEP_MS);
  else worker->swept_us = now_us;
  return worker->sweep_put_off;
}

/* Neither one large answer nor many clients at once make the worker large for good. Both buffers are in use only within a call. */
static void give_back(dl_worker *worker) {
  if (dl_exchange_give_back(worker) > MANY_EXCHANGES) dl_memory_trim();
  if (worker->scratch.cap > KEPT_BYTES) dl_buffer_free(&worker->scratch);
  if (worker->out.cap > KEPT_BYTES && !worker->out_owner) dl_buffer_free(&worker->out);
}

static void on_sweep(uv_timer_t *timer) {
  dl_worker *worker = timer->data;
  dl_clock_update(&worker->loop->clock);
  uint64_t now_us = worker->loop->clock.monotonic_us;
  if (lets_others_first(worker, now_us)) return;
  dl_deadlines_sweep(&worker->head_deadlines, now_us);
  dl_deadlines_sweep(&worker->body_deadlines, now_us);
  dl_deadlines_sweep(&worker->idle_deadlines, now_us);
  dl_deadlines_sweep(&worker->linger_deadlines, now_us);
  dl_deadlines_sweep(&worker->last_call_deadlines, now_us);
  dl_deadlines_sweep(&worker->send_deadlines, now_us);
  dl_deadlines_sweep(&worker->handler_deadlines, now_us);
  dl_deadlines_sweep(&worker->queue.deadlines, now_us);
  sweep_replaced(worker);
  dl_metrics_publish(worker);
  dl_stream_pool_sweep(&worker->buffers, now_us);
  give_back(worker);
  dl_memory_keep_reserve();
}

void dl_worker_init(dl_worker *worker, dl_loop *loop, dl_generation *generation) {
  *worker = (dl_worker){.loop = loop, .generation = generation};
  if (getrandom(&worker->id_prefix, sizeof worker->id_prefix, 0) != sizeof worker->id_prefix) worker->id_prefix = (uint32_t)uv_hrtime();
  dl_random_seed(&worker->random);
  worker->tokens = dl_token_cache_new();
  dl_deadlines_init(&worker->head_deadlines, dl_connection_head_expired);
  dl_deadlines_init(&worker->send_deadlines, dl_connection_send_expired);
  dl_deadlines_init(&worker->idle_deadlines, dl_connection_idle_expired);
  dl_deadlines_init(&worker->linger_deadlines, dl_connection_idle_expired);
  dl_deadlines_init(&worker->last_call_deadlines, dl_connection_idle_expired);
  dl_deadlines_init(&worker->body_deadlines, dl_connection_body_expired);
  dl_deadlines_init(&worker->handler_deadlines, dl_handle_expired);
  dl_queue_init(worker);
  dl_turns_init(&worker->turns, loop);
  uv_timer_init(loop->uv, &worker->sweep_timer);
  worker->sweep_timer.data = worker;
  worker->swept_us = loop->clock.monotonic_us;
  uv_timer_start(&worker->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
  uv_unref((uv_handle_t *)&worker->sweep_timer);
  dl_memory_keep_reserve();
}

void dl_worker_use_tls(dl_worker *worker, dl_tls_context *context) {
  dl_stream_pool_use_tls(&worker->buffers, worker->loop);
  dl_tls_context_drop(worker->tls);
  worker->tls = context;
}

void dl_worker_accept(dl_listener *listener, int fd) { dl_connection_accept(listener->owner, listener, fd); }

/* Not who came a moment ago, and may not have been read yet: who waits outside loses nothing. */
void dl_worker_pause(dl_listener *listener) {
  dl_worker *worker = listener->owner;
  dl_metrics_count(&worker->metrics, DL_COUNTER_ACCEPT_PAUSES);
  dl_crowd_make_room(worker, GIVES_WAY_US);
}

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

bool dl_worker_is_idle(const dl_worker *worker) {
  const dl_connection *connection = worker->connections;
  while (connection && dl_connection_is_idle(connection)) connection = connection->next;
  return !connection;
}

void dl_worker_abort_connections(dl_worker *worker) {
  for (dl_connection *next, *connection = worker->connections; connection; connection = next) {
    next = connection->next;
    if (!connection->stream.closing) dl_connection_abort(connection);
  }
  dl_turns_end(&worker->turns);
}

void dl_worker_free(dl_worker *worker) {
  dl_exchange_free_idle(worker);
  dl_stream_pool_free(&worker->buffers);
  dl_buffer_free(&worker->out);
  dl_buffer_free(&worker->scratch);
  dl_buffer_free(&worker->spare_body);
  dl_token_cache_free(worker->tokens);
  dl_free(worker->reload_problem);
  dl_free(worker->trusted);
  dl_tls_context_drop(worker->tls);
}
