/* SPDX-License-Identifier: MIT */
/*
 * Clients that are slow: each sends one byte a second of a head that never ends, from
 * an address of its own in 127.0.0.0/8, a new one in place of each that is thrown out.
 * For tests/siege/run.
 *
 *   siege_slow PORT CLIENTS SECONDS
 *
 * SIGTERM ends it early; it prints "name value" lines.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 16384, ROUNDS = 100, ROUND_US = 1000000 / ROUNDS };

static const char head[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";

typedef struct slow {
  int fds[CLIENTS_MAX];
  uint32_t sent[CLIENTS_MAX];
  int port;
  unsigned clients;
  unsigned long connects, thrown_out, refused, bytes;
} slow;

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number) {
  (void)number;
  asked_to_end = 1;
}

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void open_client(slow *s, unsigned i) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + i)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0) {
    perror("siege_slow");
    exit(2);
  }
  s->connects++;
  s->sent[i] = 0;
  s->fds[i] = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
  if (s->fds[i] >= 0) return;
  s->refused++;
  close(fd);
}

/* One byte more; what the server says or does about it is looked at first. */
static void push(slow *s, unsigned i) {
  char answer[512];
  uint32_t at = s->sent[i]++;
  ssize_t got = recv(s->fds[i], answer, sizeof answer, MSG_DONTWAIT);
  bool alive = got < 0 && errno == EAGAIN;
  if (alive && send(s->fds[i], at < sizeof head - 1 ? head + at : "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) {
    s->bytes++;
    return;
  }
  s->thrown_out++;
  close(s->fds[i]);
  s->fds[i] = -1;
}

/* A hundredth of the clients at a time, so that their bytes come evenly. */
static void round_of(slow *s, unsigned share) {
  for (unsigned i = share; i < s->clients; i += ROUNDS) {
    if (s->fds[i] < 0) open_client(s, i);
    if (s->fds[i] >= 0) push(s, i);
  }
}

int main(int count, char **arguments) {
  static slow s;
  s.port = count == 4 ? atoi(arguments[1]) : 0;
  s.clients = count == 4 ? (unsigned)atoi(arguments[2]) : 0;
  if (s.port <= 0 || s.clients == 0 || s.clients > CLIENTS_MAX) {
    fprintf(stderr, "siege_slow PORT CLIENTS SECONDS\n");
    return 2;
  }
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  uint64_t end_us = now_us() + (uint64_t)(strtod(arguments[3], NULL) * 1e6);
  for (unsigned i = 0; i < s.clients; i++) open_client(&s, i);
  printf("connected %lu\n", s.connects - s.refused);
  fflush(stdout);
  for (unsigned turn = 0; now_us() < end_us && !asked_to_end; turn++) {
    uint64_t began = now_us();
    round_of(&s, turn % ROUNDS);
    uint64_t took = now_us() - began;
    if (took < ROUND_US) usleep((useconds_t)(ROUND_US - took));
  }
  unsigned held = 0;
  for (unsigned i = 0; i < s.clients; i++) held += s.fds[i] >= 0;
  printf("held %u\nconnects %lu\nthrown_out %lu\nrefused %lu\nbytes %lu\n", held, s.connects, s.thrown_out, s.refused, s.bytes);
  return 0;
}
