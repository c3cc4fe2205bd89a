/* SPDX-License-Identifier: MIT */
/* The step of idempotent routes. What follows from it is lua/demilune/idempotency.lua's, beside the handler. */
#ifndef DL_APP_IDEMPOTENCY_H
#define DL_APP_IDEMPOTENCY_H

#include "app/exchange.h"

/* Takes the key out of the head. False: a 400 was sent instead. */
bool dl_step_idempotency(dl_exchange *exchange);

#endif
