/* SPDX-License-Identifier: MIT */
/* demilune dev, serve and reload. */
#include "cli/cli.h"
#include "server/control.h"

static int run(const char *command, dl_flags *flags, int count, char **arguments) {
  flags->options.port = 8000;
  if (!dl_flags_read(flags, command, count, arguments)) return 2;
  return demilune_serve(&flags->options);
}

/* dev stays out of the sandbox unless asked: its app is being written, and a debugger,
 * a profiler or an editor's helper at the process is what one wants there. */
int dl_command_dev(int count, char **arguments) {
  dl_flags flags = {.taken = DL_FLAGS_SERVING, .options = {.mode = DEMILUNE_DEV, .access_log = DEMILUNE_ACCESS_LOG_TEXT}};
  return run("dev", &flags, count, arguments);
}

int dl_command_serve(int count, char **arguments) {
  dl_flags flags = {.taken = DL_FLAGS_SERVING, .options = {.mode = DEMILUNE_SERVE, .access_log = DEMILUNE_ACCESS_LOG_JSON, .sandbox = DEMILUNE_SANDBOX_ON}};
  return run("serve", &flags, count, arguments);
}

int dl_command_reload(int count, char **arguments) {
  dl_flags flags = {.taken = DL_FLAGS_RELOAD};
  if (!dl_flags_read(&flags, "reload", count, arguments)) return 2;
  return dl_control_ask_reload(flags.options.folder, flags.pid);
}
