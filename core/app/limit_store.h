/* SPDX-License-Identifier: MIT */
/*
 * The Redis store of one generation, as the plan's table limit_store says (plan.lua):
 * checked at load, connected at start, closed when the generation ends. Another
 * generation has another connection, so neither waits for the other.
 */
#ifndef DL_APP_LIMIT_STORE_H
#define DL_APP_LIMIT_STORE_H

#include "app/plan.h"
#include "bridge/bridge.h"

/* NULL, or a sentence in the arena about an address that is none. otherwise is the
 * address for an app that names none; NULL: such an app counts in the table alone. */
const char *dl_limit_store_check(struct lua_State *L, int plan_table, const char *otherwise, dl_arena *arena);

/* Begins to connect, and calls settled once it is known whether that works; at once
 * when there is no store. */
void dl_limit_store_open(struct lua_State *L, const char *otherwise, void (*settled)(void *owner), void *owner);

/* Disconnects; nothing may wait for it any more. */
void dl_limit_store_close(dl_limit_counter *counter);

/* Whether the app of a loaded state has a store, and the TCP port it is at (0: a unix
 * socket). */
bool dl_limit_store_where(struct lua_State *L, const char *otherwise, uint16_t *port);

#endif
