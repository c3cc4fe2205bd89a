/* SPDX-License-Identifier: MIT */
/* What hangs on a lua_State of ours; inside this folder only. */
#ifndef DL_BRIDGE_STATE_H
#define DL_BRIDGE_STATE_H

#include "bridge/bridge.h"
#include "bridge/task.h"
#include "crypto/crypto.h"
#include "guard/password_pool.h"
#include "limit/counter.h"
#include "net/turn.h"

typedef struct dl_spawned dl_spawned;

struct dl_lua {
  lua_State *L;
  uint64_t string_key; /* of its texts, see string_hash.h */
  dl_loop *loop;      /* borrowed */
  dl_file_set *files; /* borrowed; NULL: the app is read from its folder */
  const dl_opened *opened; /* borrowed; NULL: its databases are nobody else's */
  uint64_t generation;     /* whose they are, there */
  dl_arena arena;     /* what was compiled at load */
  dl_crypto *crypto;  /* outlives the keys that Lua holds */
  dl_password_pool *passwords;
  dl_limit_counter limits; /* its store is opened and closed by the generation */
  dl_task *idle_tasks;
  dl_task *all_tasks;
  dl_task *running;    /* NULL between tasks */
  dl_spawned *spawned; /* what has not begun yet */
  dl_turns turns;      /* tasks and spawned functions that go on when others had theirs */
  int collect_reference; /* of a function that collects all garbage */
  int trace_count_reference; /* of one that counts the traces */
  uint32_t held;       /* things that still answer tasks of ours: databases */
  uint64_t load_deadline_ns; /* on uv_hrtime */
  unsigned load_seconds;
  bool loaded;         /* the app; not set while it is tested */
  bool compiles;       /* the app did not say jit.off() */
  bool orphan;         /* freed by its owner: the last one to let go frees it */
  uint32_t task_count, idle_task_count, trace_count;
};

static inline dl_lua *dl_lua_of(lua_State *L) { return lua_getexdata(L); }

/* Registry keys are the addresses of these. */
extern const char dl_lua_waiting_key;

/* What answers from the loop keeps the tasks' memory until it is gone. */
void dl_lua_hold(dl_lua *lua);
void dl_lua_let_go(void *lua);

/* Adds what loads our Lua modules to the table on top of the stack, package.preload. */
void dl_lua_modules_preload(lua_State *L);

void dl_task_prepare(lua_State *L);
void dl_task_end_all(dl_lua *lua);
void dl_task_free_all(dl_lua *lua);

#endif
