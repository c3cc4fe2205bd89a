/* SPDX-License-Identifier: MIT */
/*
 * Who gives way where there are as many connections as there may be, by max_connections or
 * by what the system gives: a few clients that open all of them and ask nothing must not
 * keep everybody else out.
 */
#ifndef DL_APP_CROWD_H
#define DL_APP_CROWD_H

#include "app/exchange.h"

/* Closes the connection of the worker that has been silent for longest, and for silent_us
 * at least, of those from which a request, the rest of its head or of its body is waited
 * for. False: there is none. */
bool dl_crowd_make_room(dl_worker *worker, uint64_t silent_us);

#endif
