/* SPDX-License-Identifier: MIT */
/*
 * core.limit_count: a limit whose key a function of the app's gave is counted where
 * the pipeline counts the others, once dependencies are there and before the handler.
 */
#include "bridge/bridge.h"

#include "bridge/request.h"
#include "bridge/task.h"

#include <lauxlib.h>

/* One count under way. It lies in the request's arena, which stays as long as the
 * task waits. */
typedef struct counting {
  dl_request_view *view;
  const dl_limit_counter *counter;
  const dl_limit_group *group;
  dl_loop *loop;
  dl_str key;
  dl_limit_query *query;
  dl_ticket ticket;
  dl_limit_result result;
  bool counted;
} counting;

static void count_here(counting *self) {
  self->counted =
      dl_limit_count_here(self->counter, self->view->limit_table, self->group, self->key, self->loop->clock.monotonic_us, &self->result);
}

/* true: passes. false: refused, and the response will say when to come back. nil:
 * nobody may pass uncounted. */
static int push_verdict(lua_State *L, void *data) {
  counting *self = data;
  dl_buffer fields = {0};
  if (!self->counted) return 0;
  dl_limit_write_fields(&fields, &self->result, 1);
  if (fields.len) dl_request_add_access_fields(self->view, dl_arena_copy(self->view->arena, dl_buffer_str(&fields)));
  dl_buffer_free(&fields);
  lua_pushboolean(L, self->result.allowed);
  return 1;
}

static void on_answer(void *owner, const dl_limit_result *result) {
  counting *self = owner;
  self->query = NULL;
  dl_clock_update(&self->loop->clock);
  self->counted = result != NULL;
  if (result) self->result = *result;
  else count_here(self);
  dl_task_wake(self->ticket, push_verdict, self);
}

static void on_cancelled(void *data) {
  counting *self = data;
  if (self->query) dl_limit_query_cancel(self->query);
}

/* limit_count(request, group, key) -> true, false or nil. Waits when a store is asked. */
static int bridge_limit_count(lua_State *L) {
  dl_request_view *view = dl_request_view_of(L);
  dl_str key;
  luaL_checktype(L, 2, LUA_TLIGHTUSERDATA);
  key.ptr = luaL_checklstring(L, 3, &key.len);
  counting *self = dl_arena_zalloc(view->arena, 1, sizeof *self);
  *self = (counting){.view = view, .counter = dl_bridge_limits(L), .group = lua_touserdata(L, 2), .loop = dl_bridge_loop(L)};
  self->key = dl_arena_copy(view->arena, key);
  if (!self->counter->redis || !dl_limit_redis_ready(self->counter->redis)) {
    count_here(self);
    return dl_task_give(L, push_verdict, self);
  }
  self->ticket = dl_task_wait(L, "limit");
  dl_task_on_cancel(self->ticket, on_cancelled, self);
  self->query = dl_limit_ask_store(self->counter, self->group, self->key, on_answer, self); /* ready: it is sent */
  return dl_task_yield(L);
}

void dl_bridge_limit(lua_State *L) {
  dl_task_push_waiting(L, bridge_limit_count);
  lua_setfield(L, -2, "limit_count");
}
