/* SPDX-License-Identifier: MIT */
/* The port without TLS beside one with it: it answers no request, it says where to ask. */
#ifndef DL_APP_REDIRECT_H
#define DL_APP_REDIRECT_H

#include "app/exchange.h"

/* Admitted when the request came where requests are served; else answered. Before
 * anything else of the app is told. */
dl_admission dl_step_secure(dl_exchange *exchange);

#endif
