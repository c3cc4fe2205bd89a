/* SPDX-License-Identifier: MIT */
/*
 * Steps 12 to 14: the route's function in a task, its deadline, its stream if it
 * is one, and afterwards the functions that wait for the end of the response.
 */
#include "app/access.h"
#include "app/ask.h"

#include <lauxlib.h>

enum { STREAM_AHEAD_BYTES = 65536, STREAM_TURN_BYTES = 262144, STREAM_PIECE_BYTES = 1024 /* what a piece costs beside its own */ };

static const char gone[] = "the client went away before the stream ended";

static void run_afters(dl_exchange *exchange);
static void on_done(dl_task *task, int status, void *owner);

/* From now on the handler has as long as its route gives. */
static void limit_handler(dl_exchange *exchange) {
  dl_worker *worker = exchange->worker;
  dl_deadline_set(&worker->handler_deadlines, &exchange->deadline, worker->loop->clock.monotonic_us + exchange->route->timeout_us);
}

/* --- the end ----------------------------------------------------------------------- */

static void finish(dl_exchange *exchange) {
  dl_connection *connection = exchange->connection;
  dl_deadline_clear(&exchange->deadline);
  dl_request_close(dl_lua_state(exchange->generation->lua), &exchange->view);
  dl_task_release(exchange->task);
  exchange->task = NULL;
  dl_connection_finished(connection);
}

/* release functions run once the last byte is out, or never can be. */
static void respond_done(dl_exchange *exchange) {
  exchange->phase = DL_PHASE_AFTER;
  if (exchange->view.has_functions) {
    dl_connection *connection = exchange->connection;
    dl_connection_flush(connection, (dl_str){0});
    exchange->waits_for_drain = connection->stream.unsent_bytes > 0 && !connection->broken;
    if (exchange->waits_for_drain) return;
  }
  run_afters(exchange);
}

/* The newest release first, then the after_response functions in their order; also those that one of them adds. */
static bool push_next_after(dl_exchange *exchange, lua_State *co) {
  dl_request_view *view = &exchange->view;
  lua_settop(co, 0);
  if (view->release_count > 0) dl_request_push_release(co, view, --view->release_count);
  else if (exchange->after_done < view->after_count) dl_request_push_after(co, view, exchange->after_done++);
  else return false;
  return true;
}

static bool run_next_after(dl_exchange *exchange) {
  lua_State *co = dl_task_state(exchange->task);
  if (!push_next_after(exchange, co)) return false;
  lua_pushboolean(co, exchange->succeeded);
  exchange->timed_out = false;
  dl_clock_update(&exchange->worker->loop->clock); /* what ran before may have taken long */
  limit_handler(exchange);
  exchange->after_ended = false;
  dl_task_run(exchange->task, 1);
  return true;
}

/* A request may have as many as its body has items: those that do not wait run in this loop, not inside each other. */
static void run_afters(dl_exchange *exchange) {
  exchange->after_ended = true;
  if (exchange->runs_afters) return;
  exchange->runs_afters = true;
  bool over = false;
  while (!over && exchange->after_ended) over = !run_next_after(exchange);
  exchange->runs_afters = false;
  if (over) finish(exchange);
}

/* --- the function and what it gave --------------------------------------------------- */

static void log_failure(dl_exchange *exchange, lua_State *co, const char *what) {
  lua_State *L = dl_lua_state(exchange->generation->lua);
  dl_bridge_take_error(L, co);
  luaL_traceback(L, co, NULL, 0);
  dl_log *log = &exchange->worker->loop->log;
  if (dl_log_begin(log, DL_LOG_ERROR, dl_str_of(what))) {
    dl_request_log(&exchange->view, log);
    dl_log_field(log, "route", exchange->view.route);
    dl_log_field(log, "source", exchange->route->source);
    dl_log_field(log, "error", dl_lua_text(L, -2));
    dl_log_field(log, "traceback", dl_lua_text(L, -1));
    dl_log_end(log);
  }
  lua_pop(L, 2);
}

static void name_task(dl_exchange *exchange) {
  dl_task_set_request(exchange->task, &exchange->view);
  dl_task_set_watch(exchange->task, exchange->route->label, exchange->route->timeout_us + DL_STUCK_GRACE_US);
}

/* A coroutine that failed, or was left where it stood, cannot be used again: a fresh one goes on. */
static void replace_task(dl_exchange *exchange) {
  dl_task_release(exchange->task);
  exchange->task = dl_task_new(dl_lua_state(exchange->generation->lua), on_done, exchange);
  name_task(exchange);
}

static dl_exchange *exchange_of_handle(lua_State *L, int index) {
  void **handle = lua_touserdata(L, index);
  return handle ? *handle : NULL; /* the view is the exchange's first member */
}

/* Waits while too much of what was written has not been taken by the client, and
 * now and then for the others: a client that takes all at once must not keep the worker. */
static int wait_to_write(dl_exchange *exchange, lua_State *L) {
  exchange->turn_bytes = 0;
  if (exchange->connection->stream.unsent_bytes <= STREAM_AHEAD_BYTES) return dl_task_yield_turn(L, "write");
  exchange->write_ticket = dl_task_wait(L, "write");
  dl_deadline_clear(&exchange->deadline); /* the sender's deadline judges the client; the handler is not late */
  return dl_task_yield(L);
}

/* Told at the line of the app that called write, behind the function that waits for it. */
static int refuse_piece(lua_State *L) {
  const char *given = lua_isnoneornil(L, 1) ? "nothing" : luaL_typename(L, 1);
  luaL_where(L, 2);
  lua_pushfstring(L, "write takes a piece of the body as text, not %s; write(demilune.json.encode(value)) sends a value", given);
  lua_concat(L, 2);
  return lua_error(L);
}

/* write(piece): gives a piece of the body to the client. */
static int stream_write(lua_State *L) {
  dl_exchange *exchange = exchange_of_handle(L, lua_upvalueindex(1));
  if (!lua_isstring(L, 1)) return refuse_piece(L);
  size_t len;
  const char *piece = lua_tolstring(L, 1, &len);
  if (!exchange || exchange->phase != DL_PHASE_STREAM) return luaL_error(L, "write was called after its stream ended");
  if (L != dl_task_state(exchange->task)) return luaL_error(L, "write can be called only by its stream's own function, not in a coroutine or beside it");
  if (exchange->connection->broken) return luaL_error(L, gone);
  dl_respond_stream_write(exchange, dl_str_from(piece, len));
  if (exchange->connection->broken) return luaL_error(L, gone);
  /* A stream may last as long as it likes, as long as it goes on. */
  exchange->timed_out = false;
  limit_handler(exchange);
  if (exchange->turn_bytes < STREAM_TURN_BYTES) exchange->turn_bytes += STREAM_PIECE_BYTES + (uint32_t)(len < STREAM_TURN_BYTES ? len : STREAM_TURN_BYTES);
  bool others_wait = exchange->turn_bytes >= STREAM_TURN_BYTES && lua_isyieldable(L);
  if (exchange->connection->stream.unsent_bytes > STREAM_AHEAD_BYTES || others_wait) return wait_to_write(exchange, L);
  return dl_task_give(L, NULL, NULL);
}

/* The stream's function lies on top: call it with write. */
static void run_stream(dl_exchange *exchange, lua_State *co) {
  dl_connection *connection = exchange->connection;
  exchange->phase = DL_PHASE_STREAM;
  lua_replace(co, 1);
  lua_settop(co, 1);
  lua_rawgeti(co, LUA_REGISTRYINDEX, exchange->view.slots_reference);
  lua_rawgeti(co, -1, 1);
  lua_remove(co, -2);
  dl_task_push_waiting_closure(co, stream_write, 1);
  dl_task_run(exchange->task, 1);
  /* It may wait long before its first piece; the head need not. */
  if (connection->worker->out_owner == connection) dl_connection_flush(connection, (dl_str){0});
}

/* Without its last chunk the client knows that the body is not whole; where the end of
 * the connection would be the end of the body, by a reset. */
static void cut_stream(dl_exchange *exchange) {
  exchange->succeeded = false;
  exchange->connection->broken = true;
  if (!exchange->chunked) dl_stream_cut(&exchange->connection->stream);
}

static void end_stream(dl_exchange *exchange, int status, lua_State *co) {
  exchange->succeeded = status == 0 && !exchange->connection->broken;
  if (exchange->succeeded) {
    dl_respond_stream_end(exchange);
    return;
  }
  if (!exchange->connection->broken) {
    log_failure(exchange, co, "a stream failed; the connection was closed before the body's end");
    /* Whose connection ends without a byte may send his request again by himself. */
    dl_connection_flush(exchange->connection, (dl_str){0});
  }
  cut_stream(exchange);
}

/* --- answers that are kept -------------------------------------------------------------- */

/* Nobody is told the answer before it is kept: who was told must be told the same again. */
static void keep_answer(dl_exchange *exchange) {
  const dl_answer *answer = &exchange->answer;
  dl_worker *worker = exchange->worker;
  lua_State *co = dl_task_state(exchange->task);
  exchange->phase = DL_PHASE_KEEP;
  exchange->timed_out = false;
  dl_clock_update(&worker->loop->clock);
  dl_deadline_set(&worker->handler_deadlines, &exchange->deadline, worker->loop->clock.monotonic_us + DL_KEEP_US);
  lua_settop(co, 0);
  dl_request_push_keeper(co, &exchange->view);
  lua_pushinteger(co, answer->status);
  lua_pushlstring(co, answer->fields.ptr, answer->fields.len);
  lua_pushlstring(co, answer->body.len ? answer->body.ptr : "", answer->body.len);
  dl_task_run(exchange->task, 3);
}

/* It was carried out, or not: the next request with the key is told that nobody knows. */
static void answer_unkept(dl_exchange *exchange) {
  exchange->succeeded = false;
  dl_respond_error(exchange, 500, DL_STR("The answer could not be kept, so it is not told; find out what was done before you send it again"),
                   (dl_str){0});
}

/* The handler has given its answer, or the answer is kept. */
static void go_on_keeping(dl_exchange *exchange) {
  if (exchange->phase == DL_PHASE_HANDLER) {
    keep_answer(exchange);
    return;
  }
  dl_respond_answer(exchange, false);
  respond_done(exchange);
}

/* The handler, its answer's keeping, its stream or a function after the response is over. */
static void go_on(dl_exchange *exchange) {
  if (exchange->phase == DL_PHASE_AFTER) run_afters(exchange);
  else if (exchange->view.keeps_answer) go_on_keeping(exchange);
  else respond_done(exchange);
}

static void on_done(dl_task *task, int status, void *owner) {
  dl_exchange *exchange = owner;
  lua_State *co = dl_task_state(task);
  switch ((dl_phase)exchange->phase) {
    case DL_PHASE_HANDLER:
      dl_queue_leave(exchange);
      exchange->succeeded = status == 0 && !exchange->timed_out;
      if (exchange->timed_out) dl_respond_error(exchange, 504, DL_STR("The handler took too long"), (dl_str){0});
      else if (status != 0) dl_result_send_error(exchange, co);
      else if (!dl_result_send(exchange, co) && !exchange->head_only) {
        run_stream(exchange, co);
        return;
      }
      break;
    case DL_PHASE_KEEP:
      if (status == 0) break;
      log_failure(exchange, co, "the answer of an idempotent request could not be kept");
      answer_unkept(exchange);
      break;
    case DL_PHASE_STREAM: end_stream(exchange, status, co); break;
    case DL_PHASE_AFTER:
      if (status != 0) log_failure(exchange, co, "a function that ran after the response failed");
      break;
  }
  if (status != 0) replace_task(exchange);
  go_on(exchange);
}

void dl_handle(dl_exchange *exchange) {
  exchange->task = dl_task_new(dl_lua_state(exchange->generation->lua), on_done, exchange);
  name_task(exchange);
  lua_State *co = dl_task_state(exchange->task);
  lua_rawgeti(co, LUA_REGISTRYINDEX, exchange->route->run_reference);
  dl_request_push(co, &exchange->view);
  limit_handler(exchange);
  dl_task_run(exchange->task, 1);
}

/* --- waiting for the client, and not for ever ------------------------------------------ */

void dl_handle_drained(dl_exchange *exchange) {
  if (exchange->waits_for_drain) {
    exchange->waits_for_drain = false;
    run_afters(exchange);
    return;
  }
  dl_ticket ticket = exchange->write_ticket;
  if (!ticket.task) return;
  exchange->write_ticket = (dl_ticket){0};
  limit_handler(exchange);
  if (exchange->connection->broken) dl_task_fail(ticket, gone);
  else dl_task_wake(ticket, NULL, NULL);
}

/* First the wait fails, so that what the handler holds is given back by its own
 * code; a handler that then goes on waiting is left where it stands. */
void dl_handle_expired(dl_deadline *deadline) {
  dl_exchange *exchange = (dl_exchange *)(void *)((char *)deadline - offsetof(dl_exchange, deadline));
  dl_worker *worker = exchange->worker;
  if (exchange->ask_task) {
    dl_ask_expired(exchange);
    return;
  }
  if (exchange->waits_for_drain) return;
  if (!exchange->timed_out) {
    exchange->timed_out = true;
    dl_metrics_count(&worker->metrics, DL_COUNTER_HANDLER_TIMEOUTS);
    dl_log_text(&worker->loop->log, DL_LOG_WARNING, "%.*s took longer than its deadline; request %.*s was cancelled", DL_STR_ARGS(exchange->view.route),
                DL_STR_ARGS(exchange->view.id));
    dl_deadline_set(&worker->handler_deadlines, deadline, worker->loop->clock.monotonic_us + DL_HANDLER_GRACE_US);
    dl_task_cancel(exchange->task, "the request's deadline passed");
    return;
  }
  if (exchange->phase == DL_PHASE_HANDLER) {
    dl_queue_leave(exchange);
    dl_respond_error(exchange, 504, DL_STR("The handler took too long"), (dl_str){0});
  }
  if (exchange->phase == DL_PHASE_KEEP) answer_unkept(exchange);
  if (exchange->phase == DL_PHASE_STREAM) cut_stream(exchange);
  replace_task(exchange);
  go_on(exchange);
}

void dl_handle_abort(dl_exchange *exchange) {
  dl_connection *connection = exchange->connection;
  connection->broken = true;
  if (exchange->waits_for_drain) dl_handle_drained(exchange);
  else dl_task_cancel(exchange->task, "the server is stopping");
  if (connection->exchange != exchange) return;
  finish(exchange);
}
