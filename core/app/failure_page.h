/* SPDX-License-Identifier: MIT */
/* What a developer sees when a handler fails; never compiled into a production answer. */
#ifndef DL_APP_FAILURE_PAGE_H
#define DL_APP_FAILURE_PAGE_H

#include "app/exchange.h"

/* Answers 500 with message and traceback: a page when Accept prefers HTML, else JSON. */
void dl_failure_page(dl_exchange *exchange, dl_str message, dl_str traceback);

#endif
