/* SPDX-License-Identifier: MIT */
/*
 * Clients that are slow, each from an address of its own in 127.0.0.0/8, a new one in
 * place of each that is thrown out. For tests/siege/run.
 *
 *   siege_slow PORT [--clients=1000] [--seconds=10] [--kind=head] [--first=0]
 *
 * --kind: `head` sends a byte a second of a head that never ends, `body` the same of a
 * body, `read` asks for /big and takes 100 bytes of it a second, for 15 seconds: then it
 * leaves, since what the kernel holds for it would outlive a killed worker. --first
 * numbers the first address. SIGTERM and SIGINT end it early; it prints "name value" lines.
 */
#include "siege.h"

#include <errno.h>
#include <unistd.h>

enum { CLIENTS_MAX = 16384, ROUNDS = 100, ROUND_US = 1000000 / ROUNDS, WINDOW_BYTES = 4096, READ_BYTES = 100, READS_MAX = 15 };

static const char usage[] = "siege_slow PORT [--clients=1000] [--seconds=10] [--kind=head|body|read] [--first=0]";

/* What is sent at once, then what is sent byte by byte, the last byte over and over. */
typedef struct slow_kind {
  const char *name, *at_once, *slowly;
} slow_kind;

static const slow_kind kinds[] = {
    {"head", "", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: a"},
    {"body", "POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50000\r\n\r\n", "a"},
    {"read", "GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", NULL},
};

typedef struct slow {
  const slow_kind *kind;
  int fds[CLIENTS_MAX];
  uint32_t sent[CLIENTS_MAX], first;
  int port;
  uint64_t clients;
  unsigned long connects, thrown_out, told_why, left, refused, bytes;
} slow;

static void open_client(slow *s, uint64_t i) {
  struct sockaddr_in to = siege_loopback(INADDR_LOOPBACK, s->port);
  struct sockaddr_in from = siege_loopback(0x7f010001u + s->first + (uint32_t)i, 0);
  int window = WINDOW_BYTES, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0) {
    perror("siege_slow");
    exit(2);
  }
  if (!s->kind->slowly) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
  s->connects++;
  s->sent[i] = 0;
  s->fds[i] = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
  if (s->fds[i] < 0) {
    s->refused++;
    close(fd);
  } else if (*s->kind->at_once) {
    send(fd, s->kind->at_once, strlen(s->kind->at_once), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

static void end_client(slow *s, uint64_t i, unsigned long *count) {
  (*count)++;
  close(s->fds[i]);
  s->fds[i] = -1;
}

/* One byte more; what the server says or does about it is looked at first. */
static void push(slow *s, uint64_t i) {
  char answer[512];
  size_t at = s->sent[i]++, last = strlen(s->kind->slowly) - 1;
  ssize_t got = recv(s->fds[i], answer, sizeof answer, MSG_DONTWAIT);
  if (got > 0) s->told_why++;
  bool alive = got < 0 && errno == EAGAIN;
  if (alive && send(s->fds[i], s->kind->slowly + (at < last ? at : last), 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) s->bytes++;
  else end_client(s, i, &s->thrown_out);
}

/* A little of the answer. */
static void pull(slow *s, uint64_t i) {
  char answer[READ_BYTES];
  ssize_t got = recv(s->fds[i], answer, sizeof answer, MSG_DONTWAIT);
  if (got > 0) s->bytes += (unsigned long)got;
  bool ended = got == 0 || (got < 0 && errno != EAGAIN);
  if (ended) end_client(s, i, &s->thrown_out);
  else if (++s->sent[i] == READS_MAX) end_client(s, i, &s->left);
}

/* A hundredth of the clients at a time, so that their bytes come evenly. */
static void round_of(slow *s, unsigned share) {
  for (uint64_t i = share; i < s->clients; i += ROUNDS) {
    if (s->fds[i] < 0) open_client(s, i);
    if (s->fds[i] < 0) continue;
    if (s->kind->slowly) push(s, i);
    else pull(s, i);
  }
}

int main(int count, char **arguments) {
  static slow s = {.clients = 1000};
  double seconds = 10;
  uint64_t first = 0;
  const char *kind = "head";
  const siege_flag flags[] = {{"--clients", SIEGE_COUNT, &s.clients},
                              {"--seconds", SIEGE_SECONDS, &seconds},
                              {"--kind", SIEGE_TEXT, &kind},
                              {"--first", SIEGE_COUNT, &first},
                              {NULL, SIEGE_SWITCH, NULL}};
  s.port = siege_read_arguments(count, arguments, flags, usage);
  s.first = (uint32_t)first;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i].name, kind) == 0) s.kind = &kinds[i];
  if (!s.kind || s.clients == 0 || s.clients > CLIENTS_MAX) {
    fprintf(stderr, "siege_slow: at most %d clients, of a kind that there is\n%s\n", CLIENTS_MAX, usage);
    return 2;
  }
  siege_heed_signals();
  uint64_t end_us = siege_now_us() + (uint64_t)(seconds * 1e6);
  for (uint64_t i = 0; i < s.clients; i++) open_client(&s, i);
  printf("connected %lu\n", s.connects - s.refused);
  fflush(stdout);
  for (unsigned turn = 0; siege_now_us() < end_us && !siege_asked_to_end; turn++) {
    uint64_t began = siege_now_us();
    round_of(&s, turn % ROUNDS);
    uint64_t took = siege_now_us() - began;
    if (took < ROUND_US) usleep((useconds_t)(ROUND_US - took));
  }
  unsigned held = 0;
  for (uint64_t i = 0; i < s.clients; i++) held += s.fds[i] >= 0;
  printf("held %u\nconnects %lu\nthrown_out %lu\ntold_why %lu\nleft %lu\nrefused %lu\nbytes %lu\n", held, s.connects, s.thrown_out, s.told_why,
         s.left, s.refused, s.bytes);
  return 0;
}
