/* SPDX-License-Identifier: MIT */
/*
 * Children that the program around an embedded server forks. libuv's handlers of signals
 * go on in them, and write to pipes that they have in common with their parent: who ends
 * such a child by SIGTERM would stop the parent's server instead, and a terminal's Ctrl-C,
 * which all processes hear of, would tell it twice, which ends what is in flight.
 */
#ifndef DL_SERVER_FORKED_H
#define DL_SERVER_FORKED_H

/* To be called once a server catches SIGTERM, SIGINT and SIGUSR1: in children that are
 * forked while one does, these do what the system does by default. */
void dl_forked_give_signals_back(void);

#endif
