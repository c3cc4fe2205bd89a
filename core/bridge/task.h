/* SPDX-License-Identifier: MIT */
/*
 * Tasks: Lua code in pooled coroutines that may wait. A handler is a task, so is
 * an on_start function or a release. Whatever waits (SQL, sleep) takes a ticket,
 * yields, and is woken on the loop thread with the ticket; a ticket whose task
 * was cancelled or has ended meanwhile is stale, and waking it does nothing.
 */
#ifndef DL_BRIDGE_TASK_H
#define DL_BRIDGE_TASK_H

#include "net/loop.h"

#include <lua.h>

typedef struct dl_task dl_task;
struct dl_request_view;

typedef struct dl_ticket {
  dl_task *task;
  uint64_t serial;
} dl_ticket;

/* Pushes what a wait gave onto L and says how many values; it may raise a Lua error. */
typedef int (*dl_task_push)(lua_State *L, void *data);

/* For C functions called from Lua: a ticket for the running task. Raises a Lua
 * error with the app's line ("... can wait only inside a handler, ...") when L is not a
 * task's own coroutine, e.g. while the app loads or inside a coroutine the app made itself. */
dl_ticket dl_task_wait(lua_State *L, const char *what);

/* Called once if the wait ends otherwise than by being woken: cancelled, or given
 * up with its task. data stays the caller's. */
void dl_task_on_cancel(dl_ticket ticket, void (*cancelled)(void *data), void *data);

/* The last line of such a function: return dl_task_yield(L). What the waker
 * pushes becomes the function's results. A wake that fails raises its message
 * as a Lua error at the caller. */
int dl_task_yield(lua_State *L);

/* Instead, when there is nothing to wait for: what push pushes is the result at once. */
int dl_task_give(lua_State *L, dl_task_push push, void *data);

/* Instead: waits only until others had their turn of the loop. */
int dl_task_yield_turn(lua_State *L, const char *what);

/* Loop thread only. Resumes the task; push may be NULL for no values. data stays
 * the caller's. False when the ticket was stale (push was not called). */
bool dl_task_wake(dl_ticket ticket, dl_task_push push, void *data);
bool dl_task_fail(dl_ticket ticket, const char *message);

/* Pushes fn as Lua is to see it when fn waits: every C function that ends in
 * dl_task_yield is registered through this, or its result never arrives. Such a
 * function may also give its results at once: true, then nothing more. The closure
 * form takes that many values off the stack as fn's upvalues. */
void dl_task_push_waiting(lua_State *L, lua_CFunction fn);
void dl_task_push_waiting_closure(lua_State *L, lua_CFunction fn, int upvalues);

/* --- for those who start tasks ----------------------------------------------- */

/* Called when the task's function has returned (status 0, results 1..top on its
 * stack) or failed (the error object on top, the stack still there for a
 * traceback). The task is then idle: run it again or release it. */
typedef void (*dl_task_done)(dl_task *task, int status, void *owner);

/* A coroutine from the pool of L's state. */
dl_task *dl_task_new(lua_State *L, dl_task_done done, void *owner);
lua_State *dl_task_state(const dl_task *task);

/* Runs the function and the arguments that were pushed onto the task's stack;
 * may call done before it returns. */
void dl_task_run(dl_task *task, int arguments);

/* Makes what the task waits for fail with message, as a Lua error at the caller,
 * so that its cleaning up runs. Does nothing when it is not waiting. */
void dl_task_cancel(dl_task *task, const char *message);

/* The request that this task runs for, whose id and trace its log lines carry; NULL
 * outside requests. It is the owner's and must stay as long as the task runs. */
void dl_task_set_request(dl_task *task, struct dl_request_view *request);
struct dl_request_view *dl_task_request(lua_State *L);

/* What is told about the task when it runs for longer than limit_us without waiting.
 * The label's bytes are the owner's, as those of the request id. */
void dl_task_set_watch(dl_task *task, dl_str label, uint64_t limit_us);

/* Back into the pool, whatever state the coroutine is in. */
void dl_task_release(dl_task *task);

#endif
