/* SPDX-License-Identifier: MIT */
/*
 * The walls of the operating system behind the Lua sandbox: what remains forbidden
 * when somebody's native code runs in a worker. Raised once per process, after fork
 * and after sockets, certificates and log are open, before any Lua runs; none can be
 * taken down again. README.md has a row for each wall.
 */
#ifndef DL_SANDBOX_SANDBOX_H
#define DL_SANDBOX_SANDBOX_H

#include "base/needs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dl_sandbox_level {
  DL_SANDBOX_OFF,   /* nothing is raised */
  DL_SANDBOX_ON,    /* what this kernel has; what is missing is reported */
  DL_SANDBOX_STRICT /* all of it, or no start */
} dl_sandbox_level;

/* All is borrowed for the call. Lists end in NULL; a NULL list is empty. */
typedef struct dl_sandbox_options {
  dl_sandbox_level level;
  const char *user;              /* name, or number with an account, to become; NULL to stay who we are */
  const char *app_folder;        /* read */
  const char *data_folder;       /* made before; read and written by whoever we become */
  const char *const *read_paths; /* more to read, such as a folder of certificates */
  const dl_needs *const *needs;  /* the sum of these is let through */
  const uint16_t *ports;         /* TCP ports that may be connected to, if the needs have sockets */
  size_t port_count;
  bool any_port;                 /* ... or all ports, since they are not known yet */
  bool narrows;                  /* dl_sandbox_narrow will follow */
  uint64_t max_memory;           /* bytes of private memory; 0 for as much as there is */
} dl_sandbox_options;

typedef enum dl_wall_name { DL_WALL_LIMITS, DL_WALL_USER, DL_WALL_PRIVILEGES, DL_WALL_MEMORY, DL_WALL_FILES, DL_WALL_CALLS, DL_WALL_COUNT } dl_wall_name;

typedef enum dl_wall_state {
  DL_WALL_NOT_ASKED,
  DL_WALL_UP,
  DL_WALL_PARTLY, /* up but for what detail says */
  DL_WALL_MISSING /* detail says why */
} dl_wall_state;

typedef struct dl_wall {
  const char *name; /* "landlock" */
  dl_wall_state state;
  char detail[128]; /* may be empty */
} dl_wall;

typedef struct dl_sandbox_report {
  dl_wall walls[DL_WALL_COUNT];
  char error[512]; /* a sentence when the process must not go on */
} dl_sandbox_report;

/* Raises the walls in this process. False, with report->error, when it must not go
 * on: the user cannot be become, the data folder is not that user's, or level is
 * strict and a wall is not wholly up. Call it while there is only one thread: the
 * kernel's file wall would not hold for others. */
bool dl_sandbox_apply(const dl_sandbox_options *options, dl_sandbox_report *report);

/* Takes away what the first call had to grant before the app was known: calls that
 * the (now smaller) needs leave out, and all ports but those named. Only files and
 * calls are looked at. As dl_sandbox_apply, after one with narrows set; may be called
 * once more for each later time, and never gives anything back. */
bool dl_sandbox_narrow(const dl_sandbox_options *options, dl_sandbox_report *report);

/* The one wall for a process that goes on to fork, to start programs and to open files:
 * nobody but root reads its memory, environment and descriptors, or its core. Children
 * have it too, a program that it starts has not. Nothing with DL_SANDBOX_OFF. */
void dl_sandbox_hide(dl_sandbox_level level);

/* "user up, landlock up (ABI 7), seccomp missing (...)": what was asked. */
void dl_sandbox_describe(const dl_sandbox_report *report, char *out, size_t size);

/* Whether a wall that was asked for is missing or not whole. */
bool dl_sandbox_is_whole(const dl_sandbox_report *report);

#endif
