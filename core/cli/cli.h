/* SPDX-License-Identifier: MIT */
/* The commands of the demilune program: each takes what follows its name. */
#ifndef DL_CLI_CLI_H
#define DL_CLI_CLI_H

#include "demilune.h"

/* Each gives the exit status: 0 fine, 1 it did not work, 2 it was asked wrongly. */
int dl_command_dev(int count, char **arguments);
int dl_command_serve(int count, char **arguments);
int dl_command_reload(int count, char **arguments);
int dl_command_new(int count, char **arguments);
int dl_command_migration(int count, char **arguments);
int dl_command_check(int count, char **arguments);
int dl_command_routes(int count, char **arguments);
int dl_command_openapi(int count, char **arguments);
int dl_command_test(int count, char **arguments);
int dl_command_secret(int count, char **arguments);
int dl_command_hash(int count, char **arguments);
int dl_command_token(int count, char **arguments);

/* Prints the flags of `demilune token`, for its help. */
void dl_token_print_flags(void);

/* Which flags a command takes. */
enum { DL_FLAGS_NONE = 0, DL_FLAGS_SERVING = 1, DL_FLAGS_RELOAD = 2, DL_FLAGS_LISTING = 4, DL_FLAGS_OPENAPI = 8 };

/* What an app command was given: --name=value, --name value, DEMILUNE_NAME. */
typedef struct dl_flags {
  unsigned taken; /* which flags the command takes */
  demilune_options options;
  bool in_environment;      /* variables are being read, whose lists have commas */
  char variable_lists[3][2048]; /* lists that came from there, cut at their commas: a flag replaces them whole */
  bool json;
  long pid; /* of reload; 0: not given */
} dl_flags;

/* Reads the flags that flags->taken says, and the folder. False, after a message on standard error, for what is not understood. */
bool dl_flags_read(dl_flags *flags, const char *command, int count, char **arguments);

/* Prints a line for each of these flags. */
void dl_flags_print(unsigned taken);

#endif
