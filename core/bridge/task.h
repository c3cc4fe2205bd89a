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

typedef struct dl_ticket {
  dl_task *task;
  uint64_t serial;
} dl_ticket;

/* Pushes what a wait gave onto L and says how many values; it may raise a Lua error. */
typedef int (*dl_task_push)(lua_State *L, void *data);

/* For C functions called from Lua: a ticket for the running task. Raises a Lua
 * error ("... can only wait inside a handler, ...") when L is not a task's own
 * coroutine, e.g. while the app loads or inside a coroutine the app made itself. */
dl_ticket dl_task_wait(lua_State *L, const char *what);

/* The last line of such a function: return dl_task_yield(L). What the waker
 * pushes becomes the function's results. A wake that fails raises its message
 * as a Lua error at the caller. */
int dl_task_yield(lua_State *L);

/* Loop thread only. Resumes the task; push may be NULL for no values. data stays
 * the caller's. False when the ticket was stale (push was not called). */
bool dl_task_wake(dl_ticket ticket, dl_task_push push, void *data);
bool dl_task_fail(dl_ticket ticket, const char *message);

#endif
