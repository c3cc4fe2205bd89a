/* SPDX-License-Identifier: MIT */
#include "bridge/request.h"
#include "bridge/state.h"

#include "base/forget.h"
#include "base/memory.h"

#include <lauxlib.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum { LIMIT_US = 30000000 /* of what belongs to no request */, DESCRIPTION_BYTES = 512 };

static const char OUT_OF_MEMORY[] = "not enough memory"; /* LuaJIT's words */

struct dl_task {
  lua_State *co;
  int co_reference; /* keeps the coroutine alive in the registry */
  bool waiting;
  int answers_before_yield; /* to a wait whose yield has not come yet; 0: none */
  uint64_t serial;  /* of the current wait; older tickets are stale */
  dl_task_done done;
  void *owner;
  struct dl_request_view *request;
  dl_str label;      /* what it does, for whoever watches */
  uint64_t limit_us; /* how long it may run without waiting */
  uv_timer_t *timer; /* what will wake it, while that is a timer */
  dl_turn turn;      /* or that others had theirs */
  dl_task_push push; /* what the wait gave; never on the coroutine's stack, where an app could put something else */
  void *push_data;
  void (*cancelled)(void *data); /* of the current wait */
  void *cancelled_data;
  dl_task *next_idle, *next_in_all;
};

const char dl_lua_waiting_key = 'w';

/* --- timers -------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle) { dl_free(handle); }

static void stop_sleeping(dl_task *task) {
  dl_turn_clear(&task->turn);
  if (!task->timer) return;
  uv_close((uv_handle_t *)task->timer, on_timer_closed);
  task->timer = NULL;
}

/* What it waits for may stop working: nobody will hear the answer. */
static void forgo_wait(dl_task *task) {
  if (task->waiting && task->cancelled) task->cancelled(task->cancelled_data);
  task->cancelled = NULL;
  stop_sleeping(task);
}

static void wake(dl_task *task) { dl_task_wake((dl_ticket){task, task->serial}, NULL, NULL); }

static void on_turn(dl_turn *turn) { wake((dl_task *)(void *)((char *)turn - offsetof(dl_task, turn))); }

static void on_sleep_over(uv_timer_t *timer) {
  dl_task *task = timer->data;
  dl_clock_update(&dl_lua_of(task->co)->loop->clock);
  wake(task);
}

/* libuv counts from the turn's beginning, and what ran since then may have taken long. */
static uint64_t since_turn_began_ms(const dl_loop *loop) {
  uint64_t now_ms = uv_hrtime() / 1000000, began_ms = uv_now(loop->uv);
  return now_ms > began_ms ? now_ms - began_ms : 0;
}

static void sleep_for(dl_task *task, uint64_t milliseconds) {
  dl_lua *lua = dl_lua_of(task->co);
  if (milliseconds == 0) {
    dl_turn_wait(&lua->turns, &task->turn, on_turn);
    return;
  }
  task->timer = dl_malloc(sizeof *task->timer);
  uv_timer_init(lua->loop->uv, task->timer);
  task->timer->data = task;
  uv_timer_start(task->timer, on_sleep_over, since_turn_began_ms(lua->loop) + milliseconds, 0);
}

/* --- the pool ---------------------------------------------------------------- */

static void give_coroutine(dl_task *task, lua_State *L) {
  task->co = lua_newthread(L);
  task->co_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_setexdata2(task->co, task); /* tells a task's own coroutine from others */
}

/* A coroutine that failed or was abandoned is left to the collector and not reset:
 * what it made may live on and shares variables with its stack, which would then
 * be another request's. */
static void let_go_of_coroutine(dl_task *task) {
  lua_setexdata2(task->co, NULL);
  luaL_unref(dl_lua_of(task->co)->L, LUA_REGISTRYINDEX, task->co_reference);
}

static void replace_coroutine(dl_task *task) {
  lua_State *L = dl_lua_of(task->co)->L;
  let_go_of_coroutine(task);
  give_coroutine(task, L);
}

/* Whose it was, what it last waited for and what that gave. */
static void forget_owner(dl_task *task) {
  dl_forget(&task->answers_before_yield, sizeof task->answers_before_yield);
  dl_forget(&task->done, offsetof(dl_task, timer) - offsetof(dl_task, done));
  dl_forget(&task->push, offsetof(dl_task, next_idle) - offsetof(dl_task, push));
}

dl_task *dl_task_new(lua_State *L, dl_task_done done, void *owner) {
  dl_lua *lua = dl_lua_of(L);
  dl_task *task = lua->idle_tasks;
  if (task) {
    lua->idle_tasks = task->next_idle;
    lua->idle_task_count--;
  } else {
    task = dl_calloc(1, sizeof *task);
    give_coroutine(task, lua->L);
    forget_owner(task);
    task->next_in_all = lua->all_tasks;
    lua->all_tasks = task;
    lua->task_count++;
  }
  task->done = done;
  task->owner = owner;
  task->request = NULL;
  task->push = NULL;
  task->label = DL_STR("a function of the app");
  task->limit_us = LIMIT_US;
  return task;
}

lua_State *dl_task_state(const dl_task *task) { return task->co; }

void dl_task_set_request(dl_task *task, struct dl_request_view *request) { task->request = request; }

void dl_task_set_watch(dl_task *task, dl_str label, uint64_t limit_us) {
  task->label = label;
  task->limit_us = limit_us;
}

struct dl_request_view *dl_task_request(lua_State *L) {
  const dl_task *task = dl_lua_of(L)->running; /* not who made the coroutine: that may have been another request's */
  return task ? task->request : NULL;
}

void dl_task_release(dl_task *task) {
  dl_lua *lua = dl_lua_of(task->co);
  task->serial++;
  forgo_wait(task);
  if (task->waiting || lua_status(task->co) != 0) replace_coroutine(task);
  else lua_settop(task->co, 0);
  task->waiting = false;
  forget_owner(task);
  task->next_idle = lua->idle_tasks;
  lua->idle_tasks = task;
  lua->idle_task_count++;
}

void dl_task_free_all(dl_lua *lua) {
  for (dl_task *next, *task = lua->all_tasks; task; task = next) {
    next = task->next_in_all;
    dl_free(task);
  }
}

/* --- running and waiting ----------------------------------------------------- */

/* The error on top, after the place in the app where it was if it names none. Takes no memory of Lua's. */
static void describe(lua_State *co, int status, char out[DESCRIPTION_BYTES]) {
  lua_Debug place;
  const char *message = lua_tostring(co, -1);
  int length = 0;
  for (int level = 0; status == LUA_ERRMEM && lua_getstack(co, level, &place); level++) {
    lua_getinfo(co, "Sl", &place);
    if (place.linedefined <= 0) continue; /* not the app's */
    length = snprintf(out, DESCRIPTION_BYTES, "%s:%d: ", place.short_src, place.currentline > 0 ? place.currentline : place.linedefined);
    break;
  }
  snprintf(out + length, DESCRIPTION_BYTES - (size_t)length, "%s", message ? message : OUT_OF_MEMORY);
}

/* These words alone, behind places in the app ("app.lua:5: ") and before a traceback: a client's text
 * may hold them too, and is no reason to collect. */
static bool says_out_of_memory(const char *text) {
  size_t len = strcspn(text, "\n"), words = sizeof OUT_OF_MEMORY - 1, before = len - words;
  if (len < words || memcmp(text + before, OUT_OF_MEMORY, words) != 0) return false;
  for (size_t i = 0; i < before; i++)
    if (text[i] == ' ' && (i < 2 || text[i - 1] != ':' || text[i - 2] < '0' || text[i - 2] > '9')) return false;
  return before == 0 || text[before - 1] == ' ';
}

/* Also where a coroutine of the app's passes it on, or a function that adds a traceback. */
static bool is_out_of_memory(lua_State *co, int status) {
  return status == LUA_ERRMEM || (status == LUA_ERRRUN && lua_type(co, -1) == LUA_TSTRING && says_out_of_memory(lua_tostring(co, -1)));
}

/* LuaJIT collects nothing when it runs out of memory, and telling of it takes some: what
 * the coroutine alone held goes at once, and a fresh one says what happened. */
static void start_anew(dl_task *task, int status) {
  char description[DESCRIPTION_BYTES];
  dl_lua *lua = dl_lua_of(task->co);
  describe(task->co, status, description);
  let_go_of_coroutine(task);
  dl_lua_collect(lua);
  give_coroutine(task, lua->L);
  lua_pushstring(task->co, description);
}

void dl_task_run(dl_task *task, int arguments) {
  dl_lua *lua = dl_lua_of(task->co);
  dl_task *before = lua->running;
  dl_beat_enter(lua->loop->beat, lua->loop->clock.monotonic_us, task->label, task->limit_us);
  lua->running = task;
  int status = lua_resume(task->co, arguments);
  lua->running = before;
  if (is_out_of_memory(task->co, status)) start_anew(task, status);
  if (status == LUA_YIELD) {
    if (task->waiting) return;
    replace_coroutine(task);
    lua_pushliteral(task->co, "a yield that nothing would ever resume");
    status = LUA_ERRRUN;
  }
  task->done(task, status, task->owner);
}

/* The app's line that runs on co, which is the first that is not in a module of ours; false when there is none. */
static bool find_place(lua_State *co, lua_Debug *place) {
  static const char own[] = "[demilune]";
  for (int level = 0; lua_getstack(co, level, place); level++) {
    lua_getinfo(co, "Sl", place);
    if (place->currentline >= 0 && strncmp(place->short_src, own, sizeof own - 1) != 0) return true;
  }
  return false;
}

/* Raises at the app's line. */
static void refuse_wait(lua_State *L, const char *what, const char *why) {
  lua_Debug place;
  if (find_place(L, &place)) lua_pushfstring(L, "%s:%d: ", place.short_src, place.currentline);
  else lua_pushliteral(L, "");
  lua_pushfstring(L, "%s%s %s", lua_tostring(L, -1), what, why);
  lua_error(L);
}

/* A coroutine that is nothing but what waits, as coroutine.wrap(demilune.sleep) makes it or a tail call leaves it, has no
 * line of the app's: then it is the one that resumed it or, where that is gone by a tail call too, the handler's. */
static const char *push_whose(lua_State *L, const dl_task *running) {
  lua_Debug place;
  if (find_place(L, &place)) return "";
  if (find_place(running->co, &place)) return lua_pushfstring(L, ", resumed at %s:%d", place.short_src, place.currentline);
  dl_str source = running->request ? running->request->source : (dl_str){0};
  if (!source.len) return "";
  lua_pushlstring(L, source.ptr, source.len);
  return lua_pushfstring(L, ", in the handler at %s", lua_tostring(L, -1));
}

static void refuse_without_task(lua_State *L, const char *what) {
  const dl_task *running = dl_lua_of(L)->running;
  if (!running) refuse_wait(L, what, "can wait only inside a handler, a dependency, on_start or on_stop, not while the app loads");
  refuse_wait(L, what, lua_pushfstring(L, "cannot wait inside a coroutine of the app's own%s; call it outside, in the handler itself, or let "
                                          "demilune.spawn(function() ... end) do beside it what waits", push_whose(L, running)));
}

dl_ticket dl_task_wait(lua_State *L, const char *what) {
  dl_task *task = lua_getexdata2(L);
  if (!task || task->co != L) refuse_without_task(L, what);
  if (!lua_isyieldable(L))
    refuse_wait(L, what, "cannot wait inside a function that C calls back, such as one given to table.sort or string.gsub, a metamethod or a check");
  task->waiting = true;
  task->answers_before_yield = 0;
  task->cancelled = NULL;
  task->serial++;
  return (dl_ticket){task, task->serial};
}

void dl_task_on_cancel(dl_ticket ticket, void (*cancelled)(void *data), void *data) {
  ticket.task->cancelled = cancelled;
  ticket.task->cancelled_data = data;
}

int dl_task_yield(lua_State *L) {
  dl_task *task = lua_getexdata2(L);
  int answers = task->answers_before_yield;
  task->answers_before_yield = 0;
  return answers ? answers : lua_yield(L, 0);
}

int dl_task_give(lua_State *L, dl_task_push push, void *data) {
  dl_task *task = lua_getexdata2(L);
  if (!task || task->co != L) return luaL_error(L, "this can only be called in a handler's own coroutine");
  task->push = push;
  task->push_data = data;
  lua_pushboolean(L, 1);
  return 1;
}

static bool take_ticket(dl_ticket ticket) {
  dl_task *task = ticket.task;
  if (!task || task->serial != ticket.serial || !task->waiting) return false;
  task->waiting = false;
  stop_sleeping(task);
  return true;
}

/* The answers are on the task's stack. What fails at once answers before its caller has
 * yielded: then there is nothing to resume, and dl_task_yield returns them. */
static void go_on(dl_task *task, int answers) {
  if (dl_lua_of(task->co)->running == task) task->answers_before_yield = answers;
  else dl_task_run(task, answers);
}

bool dl_task_wake(dl_ticket ticket, dl_task_push push, void *data) {
  if (!take_ticket(ticket)) return false;
  ticket.task->push = push;
  ticket.task->push_data = data;
  lua_pushboolean(ticket.task->co, 1);
  go_on(ticket.task, 1);
  return true;
}

bool dl_task_fail(dl_ticket ticket, const char *message) {
  if (!take_ticket(ticket)) return false;
  lua_pushboolean(ticket.task->co, 0);
  lua_pushstring(ticket.task->co, message);
  go_on(ticket.task, 2);
  return true;
}

void dl_task_cancel(dl_task *task, const char *message) {
  forgo_wait(task);
  dl_task_fail((dl_ticket){task, task->serial}, message);
}

/* --- what Lua sees ----------------------------------------------------------- */

/* The second half of every wait, inside the coroutine, where pushing may raise. */
static int collect(lua_State *L) {
  dl_task *task = lua_getexdata2(L);
  if (!task || task->co != L) return 0; /* a function that waits had its result at once */
  dl_task_push push = task->push;
  task->push = NULL;
  return push ? push(L, task->push_data) : 0;
}

static const char waiting_source[] =
    "local collect, error = ...\n"
    "local function finish(woken, problem)\n"
    "  if woken then return collect() end\n"
    "  error(problem, 0)\n"
    "end\n"
    "return function(raw)\n"
    "  return function(...) return finish(raw(...)) end\n"
    "end\n";

void dl_task_prepare(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dl_lua_waiting_key);
  if (luaL_loadbuffer(L, waiting_source, sizeof waiting_source - 1, "=[demilune]/waiting") != 0) lua_error(L);
  lua_pushcfunction(L, collect);
  lua_getglobal(L, "error");
  lua_call(L, 2, 1);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

void dl_task_push_waiting_closure(lua_State *L, lua_CFunction fn, int upvalues) {
  lua_pushcclosure(L, fn, upvalues);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dl_lua_waiting_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

void dl_task_push_waiting(lua_State *L, lua_CFunction fn) { dl_task_push_waiting_closure(L, fn, 0); }

/* --- sleep, spawn ------------------------------------------------------------ */

int dl_task_yield_turn(lua_State *L, const char *what) {
  sleep_for(dl_task_wait(L, what).task, 0);
  return dl_task_yield(L);
}

static int core_sleep(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 1, "sleeps between 0 and 86,400 seconds");
  sleep_for(dl_task_wait(L, "demilune.sleep").task, (uint64_t)ceil(seconds * 1000 - 1e-6));
  return dl_task_yield(L);
}

/* A function that runs on a later turn; kept in a list, so that a state that ends
 * takes what never ran with it. */
struct dl_spawned {
  dl_turn turn; /* first, so that one is the other */
  dl_lua *lua;
  int function_reference;
  dl_spawned *previous, *next;
};

static void spawned_end(dl_spawned *spawned) {
  if (spawned->previous) spawned->previous->next = spawned->next;
  else spawned->lua->spawned = spawned->next;
  if (spawned->next) spawned->next->previous = spawned->previous;
  dl_turn_clear(&spawned->turn);
  dl_free(spawned);
}

static void log_spawned(dl_lua *lua, lua_State *co) {
  dl_log *log = &lua->loop->log;
  dl_bridge_take_error(lua->L, co);
  luaL_traceback(lua->L, co, NULL, 0);
  if (dl_log_begin(log, DL_LOG_ERROR, DL_STR("a spawned function failed"))) {
    dl_log_field(log, "error", dl_lua_text(lua->L, -2));
    dl_log_field(log, "traceback", dl_lua_text(lua->L, -1));
    dl_log_end(log);
  }
  lua_pop(lua->L, 2);
}

static void on_spawned_done(dl_task *task, int status, void *owner) {
  (void)owner;
  lua_State *co = dl_task_state(task);
  if (status != 0) log_spawned(dl_lua_of(co), co);
  dl_task_release(task);
}

/* Ends a spawned function where it stands, with the state; elsewhere it does nothing. */
static int core_leave(lua_State *L) {
  const dl_task *task = dl_lua_of(L)->running;
  lua_pushboolean(L, 1); /* what waits and has its result at once says so */
  if (!task || task->done != on_spawned_done || task->co != L || !lua_isyieldable(L)) return 1;
  dl_task_wait(L, "a function of an app that has ended");
  return dl_task_yield(L);
}

static void on_spawn(dl_turn *turn) {
  dl_spawned *spawned = (dl_spawned *)turn;
  dl_lua *lua = spawned->lua;
  dl_task *task = dl_task_new(lua->L, on_spawned_done, NULL);
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, spawned->function_reference);
  luaL_unref(lua->L, LUA_REGISTRYINDEX, spawned->function_reference);
  spawned_end(spawned);
  dl_task_run(task, 0);
}

/* Runs on a later turn of the loop, so that the caller's own work comes first. */
static int core_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (dl_lua_of(L)->turns.ended) return 0; /* by a finalizer, while the state is closed */
  dl_spawned *spawned = dl_calloc(1, sizeof *spawned);
  spawned->lua = dl_lua_of(L);
  lua_settop(L, 1);
  spawned->function_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  spawned->next = spawned->lua->spawned;
  if (spawned->next) spawned->next->previous = spawned;
  spawned->lua->spawned = spawned;
  dl_turn_wait(&spawned->lua->turns, &spawned->turn, on_spawn);
  return 0;
}

void dl_task_end_all(dl_lua *lua) {
  while (lua->spawned) spawned_end(lua->spawned);
  for (dl_task *task = lua->all_tasks; task; task = task->next_in_all) {
    task->serial++;
    forgo_wait(task);
    task->waiting = false;
  }
  dl_turns_end(&lua->turns);
}

/* coroutine.yield() as apps have it: straight out of a handler nothing would ever
 * resume it, so there it is an error at the line that wrote it. */
static int guarded_yield(lua_State *L) {
  const dl_task *task = lua_getexdata2(L);
  if (task && task->co == L)
    return luaL_error(L, "coroutine.yield() outside a coroutine of the app's own; a handler waits by calling what waits, such as demilune.sleep");
  return lua_yield(L, lua_gettop(L));
}

static int is_task(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  const dl_task *task = co ? lua_getexdata2(co) : NULL;
  lua_pushboolean(L, task && task->co == co);
  return 1;
}

/* A task is resumed by what it waits for. By the app it would go on while its timer
 * or its statement is still under way, and be woken by that out of a later wait. */
static const char resume_source[] =
    "local is_task, resume = ...\n"
    "return function(co, ...)\n"
    "  if is_task(co) then return false, 'a handler\\'s own coroutine cannot be resumed; only what it waits for does that' end\n"
    "  return resume(co, ...)\n"
    "end\n";

/* coroutine.resume() as apps have it, for the library table on top of the stack. */
static void guard_resume(lua_State *L) {
  if (luaL_loadbuffer(L, resume_source, sizeof resume_source - 1, "=[demilune]/resume") != 0) lua_error(L);
  lua_pushcfunction(L, is_task);
  lua_getfield(L, -3, "resume");
  lua_call(L, 2, 1);
  lua_setfield(L, -2, "resume");
}

void dl_bridge_task(lua_State *L) {
  lua_getglobal(L, "coroutine");
  lua_pushcfunction(L, guarded_yield);
  lua_setfield(L, -2, "yield");
  guard_resume(L);
  lua_pop(L, 1);
  dl_task_push_waiting(L, core_sleep);
  lua_setfield(L, -2, "sleep");
  dl_task_push_waiting(L, core_leave);
  lua_setfield(L, -2, "leave");
  lua_pushcfunction(L, core_spawn);
  lua_setfield(L, -2, "spawn");
}
