/* SPDX-License-Identifier: MIT */
/* The demilune program: finds the command and runs it. */
#include "cli/cli.h"

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
} commands[] = {
    {"dev", "[APP]", "serve on loopback with tracebacks and a docs page, for writing an app", dl_command_dev},
    {"serve", "[APP]", "serve by production rules", dl_command_serve},
    {"reload", "[APP]", "load an app's files anew in the server that serves it, and say how that went", dl_command_reload},
    {"new", "NAME", "make an app with a passing spec", dl_command_new},
    {"check", "[APP]", "load an app and say what is wrong with it", dl_command_check},
    {"routes", "[APP]", "list the routes, who may call them and what they take", dl_command_routes},
    {"openapi", "[APP]", "print the OpenAPI 3.1 document", dl_command_openapi},
    {"test", "[APP]", "run the app's specs inside the server", dl_command_test},
    {"secret", "", "print a new random secret", dl_command_secret},
    {"hash", "", "hash a password from standard input by Argon2id", dl_command_hash},
    {"token", "", "print a signed token, for trying an app by hand", dl_command_token},
    {"version", "", "print the version", command_version},
    {"help", "", "print this", command_help},
};

static int command_help(int count, char **arguments) {
  (void)count;
  (void)arguments;
  puts("Usage: demilune COMMAND [APP] [FLAGS]\n\nAPP is a folder with an app.lua; the current folder when left out.\n\nCommands:");
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) printf("  %-8s %-6s  %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
  puts("\nFlags of dev and serve (each also as a variable, e.g. DEMILUNE_PORT):\n"
       "  --host ADDRESS               listen on this address (127.0.0.1)\n"
       "  --port NUMBER                listen on this port (8000; 0 lets the system choose)\n"
       "  --unix PATH                  listen on a unix socket instead\n"
       "  --access-log off|json|text   a line for each request (dev: text, serve: json)\n"
       "  --workers NUMBER             processes that serve (dev: 1, serve: one for each core)\n"
       "  --redis URL                  count limits there, where the app names no store\n"
       "  --log-file PATH              add the log to this file; SIGUSR1 opens it again\n"
       "  --admin PORT|ADDRESS:PORT|unix:PATH\n"
       "                               answer /livez, /readyz and /metrics there (a port alone: on loopback)\n"
       "  --trusted-proxies LIST       who may say for whom they speak: 10.0.0.0/8,unix\n"
       "  --proxy-protocol             they begin each connection with a PROXY header\n"
       "  --tls-cert FILE              serve by TLS with this certificate (PEM, with its chain); may come again\n"
       "  --tls-key FILE               the key of the certificate in the same place (PEM)\n"
       "  --tls-ocsp FILE              an OCSP response to staple (DER); may come again\n"
       "  --tls-client-ca FILE         ask clients for certificates that these vouch for (PEM)\n"
       "  --http-redirect [ADDRESS:]PORT   a port without TLS that sends readers to https\n"
       "  --hsts VALUE|off             what Strict-Transport-Security says (serve: max-age=31536000)\n"
       "  --sandbox off|on|strict      walls of the operating system (dev: off, serve: on; strict: all or no start)\n"
       "  --user NAME                  become this account once the sockets are open\n"
       "  --max-memory SIZE            private memory of each worker in the sandbox, such as 512M\n\n"
       "Flags of reload:\n"
       "  --pid NUMBER                 the server's process, where several serve the app\n\n"
       "Flags of check and routes:\n"
       "  --json                       print JSON for other programs");
  return 0;
}

int main(int count, char **arguments) {
  const char *name = count > 1 ? arguments[1] : "help";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
  if (strcmp(name, "--version") == 0) name = "version";
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(name, commands[i].name) == 0) return commands[i].run(count > 2 ? count - 2 : 0, arguments + 2);
  fprintf(stderr, "demilune: there is no command \"%s\"; see demilune help\n", name);
  return 2;
}
