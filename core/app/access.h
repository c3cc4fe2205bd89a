/* SPDX-License-Identifier: MIT */
/* Steps of the pipeline that need the head alone, and no Lua but for what ask.c asks. */
#ifndef DL_APP_ACCESS_H
#define DL_APP_ACCESS_H

#include "app/exchange.h"

/* access.c */
dl_admission dl_step_cors(dl_exchange *exchange);
dl_admission dl_step_guard(dl_exchange *exchange);
dl_admission dl_step_origin(dl_exchange *exchange);
dl_admission dl_step_role(dl_exchange *exchange);

/* session.c */
dl_admission dl_step_session(dl_exchange *exchange);

/* limits.c */
dl_admission dl_step_limit_client(dl_exchange *exchange);
dl_admission dl_step_limit_principal(dl_exchange *exchange);
dl_admission dl_step_limit_api_key(dl_exchange *exchange);

#endif
