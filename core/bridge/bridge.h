/* SPDX-License-Identifier: MIT */
/*
 * What Lua may call. `require "demilune.core"` gives one table; each file of this
 * folder adds its functions to it with one dl_bridge_<subject>(L), called with
 * the table on top of the stack and leaving it there. The modules under
 * lua/demilune are the only callers; apps see those.
 */
#ifndef DL_BRIDGE_BRIDGE_H
#define DL_BRIDGE_BRIDGE_H

#include "base/arena.h"
#include "base/file_set.h"
#include "base/needs.h"
#include "crypto/crypto.h"
#include "data/opened.h"
#include "guard/password_pool.h"
#include "limit/counter.h"
#include "net/loop.h"

#include <lua.h>

/* A lua_State with the core table, our Lua modules (from the binary) and nothing
 * of an app yet. One per generation. */
typedef struct dl_lua dl_lua;
dl_lua *dl_lua_new(dl_loop *loop);
/* Where the app's files come from; NULL: its folder. Borrowed until dl_lua_end. */
void dl_lua_use_files(dl_lua *lua, dl_file_set *files);
/* Where its databases note, as those of that generation, which files they are; NULL: nowhere. Borrowed as long as there is one of them. */
void dl_lua_use_opened(dl_lua *lua, const dl_opened *opened, uint64_t generation);
lua_State *dl_lua_state(const dl_lua *lua);
/* Frees what nothing reaches any more, where Lua has run out of memory. */
void dl_lua_collect(dl_lua *lua);
/* Where its limits are counted; stays after the end, for what closes a store. */
dl_limit_counter *dl_lua_limits(dl_lua *lua);
/* Ends it while the loop still turns: nothing of Lua runs again, whatever still
 * answers a wait finds nobody, and what it held (databases) closes by the loop. */
void dl_lua_end(dl_lua *lua);
/* Ends it if it has not ended. What still answers its tasks (a database that closes)
 * keeps their memory, and the last of these gives it back. */
void dl_lua_free(dl_lua *lua);

/* Compiles our Lua modules once, for every dl_lua_new from then on, in this process and in those that it forks. Without it each compiles
 * them itself: 316 KB of text. They are kept until the process ends. */
void dl_lua_modules_compile(void);

/* While an app loads, LuaJIT's compiler is off: what runs once is not worth compiling, and a third of a reload's time on the loop; and where memory
 * ends in machine code, LuaJIT may read what is no address. From resume on it is on, unless the app said jit.off(). */
void dl_lua_pause_compiler(dl_lua *lua);
void dl_lua_resume_compiler(dl_lua *lua);

/* From set to clear, Lua that still runs after so many seconds gets an error at the app's line. The compiler must be off meanwhile. */
void dl_lua_set_load_deadline(dl_lua *lua, unsigned seconds);
void dl_lua_clear_load_deadline(dl_lua *lua);

/* From here on nothing is declared any more. In tasks nothing is at any time. */
void dl_lua_set_loaded(dl_lua *lua);

/* For metrics. */
typedef struct dl_lua_stats {
  uint64_t memory_bytes;      /* of Lua's heap */
  uint32_t tasks, idle_tasks; /* coroutines there are; of these, waiting for work in the pool */
  uint32_t traces;            /* compiled by LuaJIT since its cache of them was last emptied */
} dl_lua_stats;
dl_lua_stats dl_lua_read_stats(dl_lua *lua);

/* The worker's loop, and the arena that lives as long as this lua_State. */
dl_loop *dl_bridge_loop(lua_State *L);
dl_arena *dl_bridge_arena(lua_State *L);
/* What compiles guards, and where all passwords of this generation are computed. */
const dl_crypto *dl_bridge_crypto_of(lua_State *L);
dl_password_pool *dl_bridge_passwords(lua_State *L);
dl_limit_counter *dl_bridge_limits(lua_State *L);

void dl_bridge_model(lua_State *L);    /* schema_compile, has_loaded */
/* The schema in the userdata at index; raises a Lua error for anything else. */
const struct dl_schema *dl_bridge_schema_check(lua_State *L, int index);
void dl_bridge_json(lua_State *L);     /* json_encode, json_decode, null, array_type */
void dl_bridge_secret(lua_State *L);   /* secret, secret_equal ... */
void dl_bridge_database(lua_State *L); /* database_open ... */
void dl_bridge_task(lua_State *L);     /* sleep, spawn */
void dl_bridge_log(lua_State *L);      /* log, now */
/* The text at an index, as long as it lies there; a number becomes one. */
dl_str dl_lua_text(lua_State *L, int index);
/* Takes the error from the top of co (which may be L) and pushes onto L what it says: text as it is, what has a
 * __tostring by that, run protected, another table as JSON. What failed deep down may have no room left on its stack. */
void dl_bridge_take_error(lua_State *L, lua_State *co);
void dl_bridge_request(lua_State *L);  /* response_type, abort_type, replay_type, field_fault */
void dl_bridge_embedded(lua_State *L); /* embedded_docs */
void dl_bridge_files(lua_State *L);    /* app_file */
void dl_bridge_guard(lua_State *L);    /* key_set, sealer */
void dl_bridge_crypto(lua_State *L);   /* password_hash, password_verify, random, sha256_hex; after dl_bridge_request */
void dl_bridge_limit(lua_State *L);    /* limit_count */
void dl_bridge_time(lua_State *L);     /* time_seconds, time_text */
void dl_bridge_idempotency(lua_State *L); /* idempotency_of, keep_answer */

/* Pushes the SHA-256 of bytes as 64 hexadecimal digits. */
void dl_bridge_push_sha256(lua_State *L, dl_str bytes);

extern const dl_needs dl_bridge_needs;

#endif
