/* SPDX-License-Identifier: MIT */
/*
 * What `demilune test` gives to specs, and no other command does: connections from
 * the spec to the server it runs inside of, the clock, and a way to run what
 * waits. The spec is not a task: it turns the loop itself while it waits.
 */
#include "bridge/test_client.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "bridge/state.h"
#include "bridge/test_watch.h"

#include <lauxlib.h>
#include <stdio.h>

enum { CONNECT_LIMIT_S = 30, ASKED_BYTES = 120 };

static const char metatable_name[] = "demilune.test_connection";

typedef struct client {
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_timer_t limit;
  dl_buffer received;
  char chunk[16384];
  int error; /* libuv's, UV_EOF after the last byte */
  double seconds;    /* that what it waits for may take */
  uint64_t until_ns; /* on uv_hrtime: when it is late */
  char asked[ASKED_BYTES]; /* what that is */
  bool connected, timed_out;
  int handles; /* still open */
} client;

/* --- the loop's side ----------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) {
  client *self = handle->data;
  if (--self->handles > 0) return;
  dl_buffer_free(&self->received);
  dl_free(self);
}

/* When the loop was closed before Lua was, the handles are gone already. */
static void close_client(client *self) {
  if (uv_is_closing((uv_handle_t *)&self->tcp)) {
    dl_buffer_free(&self->received);
    dl_free(self);
    return;
  }
  uv_close((uv_handle_t *)&self->tcp, on_closed);
  uv_close((uv_handle_t *)&self->limit, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
  (void)suggested;
  client *self = handle->data;
  *out = uv_buf_init(self->chunk, sizeof self->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  client *self = stream->data;
  if (count > 0) dl_buffer_append(&self->received, buffer->base, (size_t)count);
  else if (count < 0) self->error = (int)count;
}

static void on_connected(uv_connect_t *request, int status) {
  client *self = request->handle->data;
  self->connected = true;
  self->error = status;
  if (status == 0) uv_read_start((uv_stream_t *)&self->tcp, on_alloc, on_read);
}

static void on_limit(uv_timer_t *timer) { ((client *)timer->data)->timed_out = true; }

typedef struct sending {
  uv_write_t request;
  char bytes[];
} sending;

static void on_sent(uv_write_t *request, int status) {
  (void)status;
  dl_free(request);
}

/* --- Lua's side ------------------------------------------------------------------- */

static client *check(lua_State *L) {
  client **box = luaL_checkudata(L, 1, metatable_name);
  if (!*box) luaL_error(L, "this connection was closed");
  return *box;
}

static void wait_for(client *self, const char *what, double seconds) {
  self->seconds = seconds;
  self->until_ns = uv_hrtime() + (uint64_t)(seconds * 1e9);
  snprintf(self->asked, sizeof self->asked, "%s", what);
}

/* Turns the loop, which runs the server, for as long as that was given; whether it came in time. A handler that does
 * not come back keeps the loop, and nothing but a signal ends that. */
static bool spin(lua_State *L, client *self, bool (*waiting)(const client *)) {
  uv_loop_t *loop = dl_bridge_loop(L)->uv;
  uint64_t now_ns = uv_hrtime(), left_ms = now_ns < self->until_ns ? (self->until_ns - now_ns) / 1000000u + 1 : 0;
  self->timed_out = false;
  uv_update_time(loop); /* the spec may have taken its time since the last turn */
  uv_timer_start(&self->limit, on_limit, left_ms, 0);
  dl_test_watch_begin(self->asked, self->seconds, left_ms);
  while (waiting(self) && !self->timed_out) uv_run(loop, UV_RUN_ONCE);
  dl_test_watch_end();
  uv_timer_stop(&self->limit);
  return !waiting(self);
}

static bool is_connecting(const client *self) { return !self->connected; }
static bool is_silent(const client *self) { return self->received.len == 0 && self->error == 0; }

/* A loopback address to come from: another client, to limits and to connection caps. */
static int bind_to(client *self, const char *from) {
  struct sockaddr_in address;
  int error = uv_ip4_addr(from, 0, &address);
  return error ? error : uv_tcp_bind(&self->tcp, (struct sockaddr *)&address, 0);
}

/* test_connect([from]) */
static int test_connect(lua_State *L) {
  struct sockaddr_in address;
  const char *from = luaL_optstring(L, 1, NULL);
  uv_loop_t *loop = dl_bridge_loop(L)->uv;
  client **box = lua_newuserdata(L, sizeof *box);
  *box = NULL;
  luaL_getmetatable(L, metatable_name);
  lua_setmetatable(L, -2);
  client *self = dl_calloc(1, sizeof *self);
  self->handles = 2;
  uv_tcp_init(loop, &self->tcp);
  uv_timer_init(loop, &self->limit);
  self->tcp.data = self->limit.data = self;
  *box = self;
  uv_ip4_addr("127.0.0.1", (int)lua_tointeger(L, lua_upvalueindex(1)), &address);
  self->error = from ? bind_to(self, from) : 0;
  if (self->error == 0) self->error = uv_tcp_connect(&self->connect, &self->tcp, (struct sockaddr *)&address, on_connected);
  wait_for(self, "a connection", CONNECT_LIMIT_S);
  if (self->error == 0 && !spin(L, self, is_connecting)) self->error = UV_ETIMEDOUT;
  if (self->error) return luaL_error(L, "cannot connect to the server under test: %s", uv_strerror(self->error));
  return 1;
}

/* connection:send(bytes, asked, seconds): what the bytes ask for, and how long all of the answer may take. */
static int connection_send(lua_State *L) {
  client *self = check(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  wait_for(self, luaL_checkstring(L, 3), luaL_checknumber(L, 4));
  sending *write = dl_malloc(sizeof *write + len);
  memcpy(write->bytes, bytes, len);
  uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned)len);
  if (uv_write(&write->request, (uv_stream_t *)&self->tcp, &buffer, 1, on_sent) != 0) dl_free(write);
  return 0;
}

/* What has arrived, waiting for something; nil once the server has closed, false when the time is over. */
static int connection_receive(lua_State *L) {
  client *self = check(L);
  if (!spin(L, self, is_silent) || uv_hrtime() > self->until_ns) {
    lua_pushboolean(L, false);
    return 1;
  }
  if (self->received.len == 0) return 0;
  lua_pushlstring(L, self->received.data, self->received.len);
  dl_buffer_clear(&self->received);
  return 1;
}

static int connection_close(lua_State *L) {
  client **box = luaL_checkudata(L, 1, metatable_name);
  if (*box) close_client(*box);
  *box = NULL;
  return 0;
}

static int clock_move(lua_State *L) {
  dl_clock_move(&dl_bridge_loop(L)->clock, (int64_t)luaL_checknumber(L, 1));
  return 0;
}

typedef struct waited {
  bool over;
  int status;
} waited;

static void on_wait_done(dl_task *task, int status, void *owner) {
  (void)task;
  waited *state = owner;
  state->over = true;
  state->status = status;
}

/* wait(fn): fn in a task, its results or its error here. */
static int core_wait(lua_State *L) {
  waited state = {0};
  luaL_checktype(L, 1, LUA_TFUNCTION);
  dl_task *task = dl_task_new(L, on_wait_done, &state);
  lua_State *co = dl_task_state(task);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  dl_task_run(task, 0);
  while (!state.over) uv_run(dl_bridge_loop(L)->uv, UV_RUN_ONCE);
  int results = state.status == 0 ? lua_gettop(co) : 1;
  lua_xmove(co, L, results);
  dl_task_release(task);
  return state.status == 0 ? results : lua_error(L);
}

void dl_bridge_test_client(lua_State *L, int port) {
  static const luaL_Reg methods[] = {
      {"send", connection_send},
      {"receive", connection_receive},
      {"close", connection_close},
      {NULL, NULL},
  };
  luaL_newmetatable(L, metatable_name);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, connection_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "demilune.core");
  lua_call(L, 1, 1);
  lua_pushinteger(L, port);
  lua_pushcclosure(L, test_connect, 1);
  lua_setfield(L, -2, "test_connect");
  lua_pushcfunction(L, clock_move);
  lua_setfield(L, -2, "clock_move");
  lua_pushcfunction(L, core_wait);
  lua_setfield(L, -2, "wait");
  lua_pop(L, 1);
}
