/* SPDX-License-Identifier: MIT */
/*
 * Step 8, sessions that are kept in a store: whether the one that the guard opened still
 * lives, before anything is counted for whose it is.
 */
#include "app/access.h"
#include "app/ask.h"

#include <lauxlib.h>

static int push_question(dl_exchange *exchange, lua_State *co) {
  lua_rawgeti(co, LUA_REGISTRYINDEX, exchange->route->lives_reference);
  dl_request_push(co, &exchange->view);
  return 1;
}

/* One that has ended was refused by an error. */
static dl_admission take_answer(dl_exchange *exchange, lua_State *co) {
  (void)exchange, (void)co;
  return DL_ADMITTED;
}

static const dl_question whether_it_lives = {
    push_question,
    take_answer,
    "whether a session lives",
    DL_STR("Whether the session lives could not be found out in time"),
    "nobody waits any more to hear whether the session lives",
};

dl_admission dl_step_session(dl_exchange *exchange) {
  if (exchange->route->lives_reference == LUA_NOREF || !dl_str_equal(exchange->view.principal.guard, DL_STR("session"))) return DL_ADMITTED;
  return dl_ask(exchange, &whether_it_lives);
}
