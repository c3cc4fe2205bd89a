/* SPDX-License-Identifier: MIT */
/* Questions that steps before the handler put to Lua: ask.c. */
#ifndef DL_APP_ASK_H
#define DL_APP_ASK_H

#include "app/exchange.h"

struct dl_question {
  int (*push)(dl_exchange *exchange, lua_State *co);           /* the function and its arguments; gives how many */
  dl_admission (*take)(dl_exchange *exchange, lua_State *co);  /* its results, from 1 on */
  const char *what;    /* "whether a session lives", in the log */
  dl_str late;         /* detail of the 504 when the route's timeout has passed */
  const char *forgone; /* what its waiting fails with when nobody wants to know any more */
};

/* Admits or refuses as take says, or with what the function raised; undecided while it waits: the step asks the same again. */
dl_admission dl_ask(dl_exchange *exchange, const dl_question *question);

void dl_ask_forgo(dl_exchange *exchange); /* does nothing when nothing is asked */
void dl_ask_expired(dl_exchange *exchange);

#endif
