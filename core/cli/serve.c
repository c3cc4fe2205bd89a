/* SPDX-License-Identifier: MIT */
/* demilune dev, demilune serve. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static void announce(const demilune_server *server, const dl_flags *flags) {
  if (flags->options.unix_path) {
    fprintf(stderr, "demilune: listening on unix:%s\n", flags->options.unix_path);
    return;
  }
  const char *host = flags->options.host ? flags->options.host : "127.0.0.1";
  fprintf(stderr, "demilune: listening on http://%s:%d\n", host, demilune_server_port(server));
  if (flags->options.mode == DEMILUNE_DEV) fprintf(stderr, "demilune: documentation on http://%s:%d/docs; Ctrl-C ends\n", host, demilune_server_port(server));
}

static int run(const char *command, dl_flags *flags, int count, char **arguments) {
  char *error = NULL;
  flags->options.port = 8000;
  if (!dl_flags_read(flags, command, count, arguments)) return 2;
  demilune_server *server = demilune_server_new(&flags->options, &error);
  if (!server) {
    fprintf(stderr, "demilune: %s\n", error);
    free(error);
    return 1;
  }
  announce(server, flags);
  int status = demilune_server_run(server);
  demilune_server_free(server);
  return status;
}

int dl_command_dev(int count, char **arguments) {
  dl_flags flags = {.options = {.mode = DEMILUNE_DEV, .access_log = DEMILUNE_ACCESS_LOG_TEXT}};
  return run("dev", &flags, count, arguments);
}

int dl_command_serve(int count, char **arguments) {
  dl_flags flags = {.options = {.mode = DEMILUNE_SERVE, .access_log = DEMILUNE_ACCESS_LOG_JSON}};
  return run("serve", &flags, count, arguments);
}
