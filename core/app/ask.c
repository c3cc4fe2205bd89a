/* SPDX-License-Identifier: MIT */
/*
 * What a step before the handler asks a store of the app's: Lua answers, in a task that may
 * wait, for a store may be anything. It has the request as the handler will, but for values
 * that are not read yet; nothing of that stays.
 */
#include "app/ask.h"

#include <lauxlib.h>

static void on_answer(dl_task *task, int status, void *owner) {
  (void)task;
  dl_exchange *exchange = owner;
  bool at_once = exchange->asking == DL_ASKING_BEGINS;
  if (!exchange->ask_task) return; /* nobody waits for it any more */
  exchange->asking = status == 0 ? DL_ASKING_ANSWERED : DL_ASKING_FAILED;
  if (at_once) return;
  dl_clock_update(&exchange->worker->loop->clock);
  dl_connection_readmit(exchange->connection);
}

static void begin(dl_exchange *exchange, const dl_question *question) {
  const dl_route *route = exchange->route;
  dl_worker *worker = exchange->worker;
  dl_task *task = dl_task_new(dl_lua_state(exchange->generation->lua), on_answer, exchange);
  exchange->ask_task = task;
  exchange->question = question;
  exchange->asking = DL_ASKING_BEGINS;
  dl_task_set_request(task, &exchange->view);
  dl_task_set_watch(task, route->label, route->timeout_us + DL_STUCK_GRACE_US);
  dl_deadline_set(&worker->handler_deadlines, &exchange->deadline, worker->loop->clock.monotonic_us + route->timeout_us);
  dl_task_run(task, question->push(exchange, dl_task_state(task)));
  if (exchange->asking == DL_ASKING_BEGINS) exchange->asking = DL_ASKING_WAITS;
}

static void stop(dl_exchange *exchange, dl_task *task) {
  dl_deadline_clear(&exchange->deadline);
  dl_request_close(dl_lua_state(exchange->generation->lua), &exchange->view);
  dl_task_release(task);
}

/* An answer lies on the task's stack, as a refusal does. */
static dl_admission take_answer(dl_exchange *exchange) {
  dl_task *task = exchange->ask_task;
  bool answered = exchange->asking == DL_ASKING_ANSWERED;
  exchange->ask_task = NULL;
  exchange->asking = DL_ASKING_NOTHING;
  dl_admission admission = answered ? exchange->question->take(exchange, dl_task_state(task)) : DL_REFUSED;
  if (!answered) dl_result_send_error(exchange, dl_task_state(task));
  exchange->question = NULL;
  stop(exchange, task);
  return admission;
}

dl_admission dl_ask(dl_exchange *exchange, const dl_question *question) {
  if (exchange->asking == DL_ASKING_NOTHING) begin(exchange, question);
  if (exchange->asking == DL_ASKING_WAITS) return DL_UNDECIDED;
  if (exchange->asking != DL_ASKING_LATE) return take_answer(exchange);
  dl_respond_error(exchange, 504, question->late, (dl_str){0});
  return DL_REFUSED;
}

/* What it waits for fails, so that it gives back what it holds; if it then goes on waiting, it is left where it stands. */
void dl_ask_forgo(dl_exchange *exchange) {
  dl_task *task = exchange->ask_task;
  if (!task) return;
  exchange->ask_task = NULL;
  dl_task_cancel(task, exchange->question->forgone);
  exchange->question = NULL;
  stop(exchange, task);
}

void dl_ask_expired(dl_exchange *exchange) {
  dl_worker *worker = exchange->worker;
  dl_metrics_count(&worker->metrics, DL_COUNTER_HANDLER_TIMEOUTS);
  dl_log_text(&worker->loop->log, DL_LOG_WARNING, "%.*s took longer than its deadline to find out %s; request %.*s was cancelled",
              DL_STR_ARGS(exchange->view.route), exchange->question->what, DL_STR_ARGS(exchange->view.id));
  dl_ask_forgo(exchange);
  exchange->asking = DL_ASKING_LATE;
  dl_connection_readmit(exchange->connection);
}
