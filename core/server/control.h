/* SPDX-License-Identifier: MIT */
/*
 * How `demilune reload` reaches a running master: a socket in the kernel's own name
 * space, not on the disk, which answers only to the same user and to root. Its name
 * holds the user and the process, so that nothing is left behind and all of them
 * can be found.
 */
#ifndef DL_SERVER_CONTROL_H
#define DL_SERVER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

enum { DL_CONTROL_CLIENTS_MAX = 8, DL_CONTROL_ANSWER_BYTES = 16384 };

typedef struct dl_control_client {
  int fd; /* -1: free */
  bool waits; /* for the outcome of the reload that is under way */
  bool later; /* for that of the next one: it asked when files had been read already */
} dl_control_client;

typedef struct dl_control {
  int fd; /* listening; -1 when it could not be made */
  char folder[4096]; /* the app's, as realpath gives it */
  dl_control_client clients[DL_CONTROL_CLIENTS_MAX];
} dl_control;

void dl_control_open(dl_control *control, const char *folder);

/* Takes clients that are us, or root, as long as there is room; others are closed.
 * Where there is none, whoever comes waits in the queue and must not wake us. */
void dl_control_accept(dl_control *control);
bool dl_control_has_room(dl_control *control);

/* Reads a client's question, and answers what can be answered at once. True when a
 * reload is asked for; busy: one is under way, and the client waits for the next. */
bool dl_control_read(dl_control *control, dl_control_client *client, bool busy);

/* The outcome, "+..." (all went well), "-..." (nothing was changed) or "!..." (something else, which it says), for those
 * that wait for it. again: another reload follows at once, for those that came later. */
void dl_control_answer(dl_control *control, const char *outcome, bool again);

void dl_control_close(dl_control *control);

/* --- the other side ------------------------------------------------------------------------- */

/* Asks the master that serves folder to reload, or the one whose process is pid
 * (0: whichever serves the folder), and waits. The exit status, after a line on
 * standard output or standard error. Waits for the reload as long as it takes, but not
 * for a process that only has a master's name, or is stopped. */
int dl_control_ask_reload(const char *folder, long pid);

#endif
