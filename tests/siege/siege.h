/* SPDX-License-Identifier: MIT */
/*
 * What the clients of the siege share: reading flags, the clock, an address to
 * connect from, the signals that end them early. Included by one file a program.
 */
#ifndef SIEGE_H
#define SIEGE_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* A flag --NAME=VALUE, or --NAME alone for a switch. `value` points to what its kind says. */
typedef struct siege_flag {
  const char *name;
  enum { SIEGE_COUNT /* uint64_t */, SIEGE_SECONDS /* double */, SIEGE_TEXT /* const char *, borrowed */, SIEGE_SWITCH /* bool */ } kind;
  void *value;
} siege_flag;

static bool siege_read_flag(const siege_flag *flag, const char *value) {
  char *end = NULL;
  if (flag->kind == SIEGE_SWITCH) {
    *(bool *)flag->value = true;
    return !value;
  }
  if (!value || !*value) return false;
  switch (flag->kind) {
  case SIEGE_COUNT: *(uint64_t *)flag->value = strtoul(value, &end, 10); return *end == 0;
  case SIEGE_SECONDS: *(double *)flag->value = strtod(value, &end); return *end == 0;
  default: *(const char **)flag->value = value; return true;
  }
}

/* PORT, then flags; `flags` ends with one without a name. Ends the program with status 2, saying what is wrong, when they cannot be read. */
static int siege_read_arguments(int count, char **arguments, const siege_flag *flags, const char *usage) {
  int port = count > 1 ? atoi(arguments[1]) : 0;
  bool right = port > 0 && port <= UINT16_MAX;
  const char *wrong = count > 1 ? arguments[1] : "no port";
  for (int i = 2; right && i < count; i++) {
    const char *equals = strchr(arguments[i], '='), *value = equals ? equals + 1 : NULL;
    size_t length = equals ? (size_t)(equals - arguments[i]) : strlen(arguments[i]);
    const siege_flag *flag = flags;
    while (flag->name && (strncmp(flag->name, arguments[i], length) != 0 || flag->name[length] != 0)) flag++;
    right = flag->name && siege_read_flag(flag, value);
    wrong = arguments[i];
  }
  if (right) return port;
  fprintf(stderr, "%s: cannot read %s\n%s\n", arguments[0], wrong, usage);
  exit(2);
}

static uint64_t siege_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* `number` on loopback, in host order: 127.0.0.1 is 0x7f000001. */
static struct sockaddr_in siege_loopback(uint32_t number, int port) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(number)};
}

static volatile sig_atomic_t siege_asked_to_end;

static void siege_on_signal(int number) {
  (void)number;
  siege_asked_to_end = 1;
}

/* SIGTERM and SIGINT set siege_asked_to_end, and interrupt what waits. */
static void siege_heed_signals(void) {
  struct sigaction action = {.sa_handler = siege_on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
}

#endif
