/* SPDX-License-Identifier: MIT */
/*
 * Step 8, sessions that are kept in a store: whether the one that the guard opened still
 * lives, before anything is counted for whose it is. Lua asks, in a task that may wait, for
 * a store may be the app's own. It sees the request as the handler will, but for values that
 * are not read yet; nothing of that stays.
 */
#include "app/access.h"

#include <lauxlib.h>

static void on_answer(dl_task *task, int status, void *owner) {
  (void)task;
  dl_exchange *exchange = owner;
  bool at_once = exchange->session == DL_SESSION_ASKING;
  if (!exchange->session_task) return; /* nobody waits for it any more */
  exchange->session = status == 0 ? DL_SESSION_LIVES : DL_SESSION_REFUSED;
  if (at_once) return;
  dl_clock_update(&exchange->worker->loop->clock);
  dl_connection_readmit(exchange->connection);
}

static void ask(dl_exchange *exchange) {
  const dl_route *route = exchange->route;
  dl_worker *worker = exchange->worker;
  dl_task *task = dl_task_new(dl_lua_state(exchange->generation->lua), on_answer, exchange);
  exchange->session_task = task;
  exchange->session = DL_SESSION_ASKING;
  dl_task_set_request(task, &exchange->view);
  dl_task_set_watch(task, route->label, route->timeout_us + DL_STUCK_GRACE_US);
  dl_deadline_set(&worker->handler_deadlines, &exchange->deadline, worker->loop->clock.monotonic_us + route->timeout_us);
  lua_State *co = dl_task_state(task);
  lua_rawgeti(co, LUA_REGISTRYINDEX, route->lives_reference);
  dl_request_push(co, &exchange->view);
  dl_task_run(task, 1);
  if (exchange->session == DL_SESSION_ASKING) exchange->session = DL_SESSION_ASKED;
}

static void stop_asking(dl_exchange *exchange, dl_task *task) {
  dl_deadline_clear(&exchange->deadline);
  dl_request_close(dl_lua_state(exchange->generation->lua), &exchange->view);
  dl_task_release(task);
}

/* A refusal lies on the task's stack. */
static dl_admission take_answer(dl_exchange *exchange) {
  dl_task *task = exchange->session_task;
  exchange->session_task = NULL;
  if (exchange->session == DL_SESSION_REFUSED) dl_result_send_error(exchange, dl_task_state(task));
  stop_asking(exchange, task);
  return exchange->session == DL_SESSION_LIVES ? DL_ADMITTED : DL_REFUSED;
}

dl_admission dl_step_session(dl_exchange *exchange) {
  if (exchange->route->lives_reference == LUA_NOREF || !dl_str_equal(exchange->view.principal.guard, DL_STR("session"))) return DL_ADMITTED;
  if (exchange->session == DL_SESSION_UNASKED) ask(exchange);
  if (exchange->session == DL_SESSION_ASKED) return DL_UNDECIDED;
  if (exchange->session != DL_SESSION_LATE) return take_answer(exchange);
  dl_respond_error(exchange, 504, DL_STR("Whether the session lives could not be found out in time"), (dl_str){0});
  return DL_REFUSED;
}

/* What it waits for fails, so that it gives back what it holds; if it then goes on waiting, it is left where it stands. */
void dl_session_forgo(dl_exchange *exchange) {
  dl_task *task = exchange->session_task;
  if (!task) return;
  exchange->session_task = NULL;
  dl_task_cancel(task, "nobody waits any more to hear whether the session lives");
  stop_asking(exchange, task);
}

void dl_session_expired(dl_exchange *exchange) {
  dl_worker *worker = exchange->worker;
  dl_metrics_count(&worker->metrics, DL_COUNTER_HANDLER_TIMEOUTS);
  dl_log_text(&worker->loop->log, DL_LOG_WARNING,
              "%.*s took longer than its deadline to find out whether a session lives; request %.*s was cancelled", DL_STR_ARGS(exchange->view.route),
              DL_STR_ARGS(exchange->view.id));
  dl_session_forgo(exchange);
  exchange->session = DL_SESSION_LATE;
  dl_connection_readmit(exchange->connection);
}
