/* SPDX-License-Identifier: MIT */
/* The demilune program: finds the command and runs it. */
#include "cli/cli.h"
#include "cli/nearest.h"

#include <stdio.h>
#include <string.h>

static int command_version(int count, char **arguments) {
  (void)count;
  (void)arguments;
  puts("demilune " DEMILUNE_VERSION);
  return 0;
}

static int command_help(int count, char **arguments);

static const struct {
  const char *name, *arguments, *summary;
  int (*run)(int count, char **arguments);
  unsigned flags;
  const char *more; /* help of this command alone; NULL: nothing */
} commands[] = {
    {"dev", "[APP]", "serve on loopback with tracebacks and a docs page, for writing an app", dl_command_dev, DL_FLAGS_SERVING, NULL},
    {"serve", "[APP]", "serve by production rules", dl_command_serve, DL_FLAGS_SERVING, NULL},
    {"reload", "[APP]", "load an app's files anew in the server that serves it, and say how that went", dl_command_reload, DL_FLAGS_RELOAD, NULL},
    {"new", "NAME", "make an app with a passing spec", dl_command_new, DL_FLAGS_NONE, "NAME is the folder to make."},
    {"migration", "KIND [APP]", "write the next migration, with a table that demilune keeps", dl_command_migration, DL_FLAGS_NONE,
     "KIND is accounts, for the refresh tokens of demilune.accounts, api_keys, for a guard.api_key with a database,\nidempotency, for the answers of app:idempotency, "
     "or sessions, for a guard.session with a database. The file's path is printed.\nAPP is a folder with an app.lua; the current folder when left out."},
    {"check", "[APP]", "load an app and say what is wrong with it", dl_command_check, DL_FLAGS_LISTING,
     "Migrations and statements are tried on an empty database in memory.\nIt exits with 1 when there is something to mend: the app does not load, would not in production, or would be warned of."},
    {"routes", "[APP]", "list the routes, who may call them and what they take", dl_command_routes, DL_FLAGS_LISTING, NULL},
    {"openapi", "[APP]", "print the OpenAPI 3.1 document", dl_command_openapi, DL_FLAGS_OPENAPI, NULL},
    {"test", "[APP]", "run the app's specs inside the server", dl_command_test, DL_FLAGS_NONE, "What follows APP goes to busted: --filter=TEXT, --output=TAP, files."},
    {"secret", "[BYTES]", "print a new random secret", dl_command_secret, DL_FLAGS_NONE, "demilune secret BYTES makes it of so many bytes, 16 to 256; otherwise of 32."},
    {"hash", "", "hash a password from standard input by Argon2id", dl_command_hash, DL_FLAGS_NONE, NULL},
    {"token", "[APP]", "print a signed token, for trying an app by hand", dl_command_token, DL_FLAGS_NONE, NULL},
    {"version", "", "print the version", command_version, DL_FLAGS_NONE, NULL},
    {"help", "[COMMAND]", "print this, or what one command takes", command_help, DL_FLAGS_NONE, NULL},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const char about_app[] = "APP is a folder with an app.lua; the current folder when left out.";

/* COMMANDS: there is none of that name. */
static size_t command_named(const char *name) {
  size_t at = 0;
  while (at < COMMANDS && strcmp(name, commands[at].name) != 0) at++;
  return at;
}

static int no_command(const char *name) {
  dl_nearest nearest = {.written = dl_str_of(name)};
  for (size_t i = 0; i < COMMANDS; i++) dl_nearest_offer(&nearest, commands[i].name);
  if (nearest.name) fprintf(stderr, "demilune: there is no command \"%s\"; did you mean %s? See demilune help\n", name, nearest.name);
  else fprintf(stderr, "demilune: there is no command \"%s\"; see demilune help\n", name);
  return 2;
}

static void help_of_all(void) {
  printf("Usage: demilune COMMAND [APP] [FLAGS]\n\n%s\n\nCommands:\n", about_app);
  for (size_t i = 0; i < COMMANDS; i++) printf("  %-9s %-10s  %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
  puts("\nFlags of dev and serve (each also as a variable, e.g. DEMILUNE_PORT):");
  dl_flags_print(DL_FLAGS_SERVING);
  puts("\nFlags of reload:");
  dl_flags_print(DL_FLAGS_RELOAD);
  puts("\nFlags of check and routes:");
  dl_flags_print(DL_FLAGS_LISTING);
  puts("\nFlags of openapi:");
  dl_flags_print(DL_FLAGS_OPENAPI);
  puts("\nThose of token are in demilune help token.");
}

static void help_of(size_t command) {
  bool is_token = commands[command].run == dl_command_token;
  unsigned flags = commands[command].flags;
  const char *arguments = commands[command].arguments;
  printf("Usage: demilune %s%s%s%s\n\n%s\n", commands[command].name, *arguments ? " " : "", arguments, flags || is_token ? " [FLAGS]" : "",
         commands[command].summary);
  if (commands[command].more) puts(commands[command].more);
  if (strcmp(arguments, "[APP]") == 0) puts(about_app);
  if (flags || is_token) puts(flags & DL_FLAGS_SERVING ? "\nFlags (each also as a variable, e.g. DEMILUNE_PORT):" : "\nFlags:");
  dl_flags_print(flags);
  if (is_token) dl_token_print_flags();
}

static int command_help(int count, char **arguments) {
  size_t command = count > 0 ? command_named(arguments[0]) : COMMANDS;
  if (count > 0 && command == COMMANDS) return no_command(arguments[0]);
  if (count > 0) help_of(command);
  else help_of_all();
  return 0;
}

static bool asks_for_help(int count, char **arguments) {
  for (int i = 0; i < count && strcmp(arguments[i], "--") != 0; i++)
    if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) return true;
  return false;
}

int main(int count, char **arguments) {
  const char *name = count > 1 ? arguments[1] : "help";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
  if (strcmp(name, "--version") == 0) name = "version";
  size_t command = command_named(name);
  int given = count > 2 ? count - 2 : 0;
  if (command == COMMANDS) return no_command(name);
  if (commands[command].run == command_help || !asks_for_help(given, arguments + 2)) return commands[command].run(given, arguments + 2);
  help_of(command);
  return 0;
}
