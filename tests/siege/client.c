/* SPDX-License-Identifier: MIT */
/*
 * Many clients that ask without pause and count exactly what became of each request:
 * answered, cut off, reset, refused, late. For tests/siege/run and for specs that must
 * know of a single lost request. It trusts the server: bodies have a Content-Length.
 *
 *   siege_client PORT [--connections=64] [--seconds=1] [--requests=0] [--each=0]
 *                [--path=/] [--source=127.0.0.1] [--patience=20] [--pause=0] [--tally]
 *
 * --requests ends after so many, --each reconnects after so many on one connection,
 * --pause waits milliseconds between an answer and the next request, --tally counts bodies.
 * SIGTERM and SIGINT end it early; it prints "name value" lines.
 */
#include "siege.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16384, BUFFER_BYTES = 8192, SAMPLES_MAX = 4000000, BODIES_MAX = 64, BODY_BYTES = 48, EVENTS = 256, RETRY_US = 2000 };

static const char usage[] = "siege_client PORT [--connections=64] [--seconds=1] [--requests=0] [--each=0] [--path=/] [--source=127.0.0.1]\n"
                            "  [--patience=20] [--pause=0] [--tally]";

typedef struct connection {
  int fd; /* -1: none */
  bool connecting, asking;
  uint32_t answered;
  size_t have;
  uint64_t asked_us, retry_us, next_us;
  char buffer[BUFFER_BYTES];
} connection;

typedef struct body_count {
  char text[BODY_BYTES];
  uint64_t count;
} body_count;

typedef struct siege {
  int epoll, port;
  uint64_t connections, requests_max, each, patience_us, pause_us, end_us;
  struct in_addr source;
  bool tally, over;
  char request[512];
  connection *all;
  uint64_t asked, answered, cut, reset, refused, late, odd, reconnects;
  uint64_t statuses[600];
  uint32_t *samples_us;
  size_t sample_count;
  body_count bodies[BODIES_MAX];
} siege;

/* --- connections ------------------------------------------------------------------------ */

static void drop(connection *c, uint64_t retry_us) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  c->connecting = c->asking = false;
  c->have = 0;
  c->answered = 0;
  c->next_us = 0;
  c->retry_us = retry_us;
}

static void watch(siege *s, connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(s->epoll, operation, c->fd, &event);
}

/* What was asked and not wholly answered is a request lost: by a reset, or cut off. */
static void lost(siege *s, connection *c, int error) {
  bool counts = c->asking || c->connecting;
  if (c->connecting && error == ECONNREFUSED) s->refused++;
  else if (counts && (error == ECONNRESET || error == EPIPE)) s->reset++;
  else if (counts) s->cut++;
  drop(c, siege_now_us() + (c->connecting ? RETRY_US : 0));
}

static void ask(siege *s, connection *c) {
  if (s->over || (s->requests_max && s->asked >= s->requests_max)) {
    drop(c, UINT64_MAX);
    return;
  }
  size_t length = strlen(s->request);
  s->asked++;
  c->asking = true;
  c->have = 0;
  c->asked_us = siege_now_us();
  ssize_t sent = send(c->fd, s->request, length, MSG_NOSIGNAL);
  if (sent != (ssize_t)length) lost(s, c, sent < 0 ? errno : EPROTO);
}

static void open_connection(siege *s, connection *c) {
  struct sockaddr_in to = siege_loopback(INADDR_LOOPBACK, s->port);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = s->source};
  int yes = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) {
    perror("siege_client: socket");
    exit(2);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  bind(c->fd, (struct sockaddr *)&from, sizeof from);
  s->reconnects++;
  c->connecting = true;
  c->asked_us = siege_now_us();
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) lost(s, c, errno);
  else watch(s, c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* --- answers ------------------------------------------------------------------------------ */

static void count_body(siege *s, const char *body, size_t length) {
  char text[BODY_BYTES] = {0};
  memcpy(text, body, length < BODY_BYTES - 1 ? length : BODY_BYTES - 1);
  for (size_t i = 0; i < BODIES_MAX; i++) {
    body_count *entry = &s->bodies[i];
    if (entry->count && strcmp(entry->text, text) != 0) continue;
    memcpy(entry->text, text, BODY_BYTES);
    entry->count++;
    return;
  }
}

/* One answer in the buffer: its length, 0 while it is not whole, -1 when it is none. */
static ssize_t measure(const connection *c, int *status, size_t *head_bytes) {
  const char *end = memmem(c->buffer, c->have, "\r\n\r\n", 4);
  if (c->have >= 12 && sscanf(c->buffer, "HTTP/1.1 %3d", status) != 1) return -1;
  if (!end) return c->have == BUFFER_BYTES - 1 ? -1 : 0;
  *head_bytes = (size_t)(end - c->buffer) + 4;
  const char *field = strcasestr(c->buffer, "\r\ncontent-length:");
  size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
  if (*head_bytes + body >= BUFFER_BYTES) return -1;
  return c->have < *head_bytes + body ? 0 : (ssize_t)(*head_bytes + body);
}

static void answer(siege *s, connection *c, int status, size_t head, size_t length) {
  uint64_t took_us = siege_now_us() - c->asked_us;
  const char *field = strcasestr(c->buffer, "\r\nconnection: close");
  bool close_after = field && field < c->buffer + head;
  s->answered++;
  s->statuses[status < 600 ? status : 0]++;
  if (s->sample_count < SAMPLES_MAX) s->samples_us[s->sample_count++] = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
  if (s->tally) count_body(s, c->buffer + head, length - head);
  c->asking = false;
  c->answered++;
  if (close_after || (s->each && c->answered >= s->each)) drop(c, 0);
  else if (s->pause_us) c->next_us = siege_now_us() + s->pause_us;
  else ask(s, c);
}

static void read_answer(siege *s, connection *c) {
  int status = 0;
  size_t head = 0;
  ssize_t got = recv(c->fd, c->buffer + c->have, BUFFER_BYTES - 1 - c->have, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    lost(s, c, got < 0 ? errno : 0);
    return;
  }
  c->have += (size_t)got;
  c->buffer[c->have] = 0;
  ssize_t length = measure(c, &status, &head);
  if (length == 0) return;
  if (length > 0 && (size_t)length == c->have) {
    answer(s, c, status, head, (size_t)length);
    return;
  }
  s->odd++; /* bytes that are no answer, or more than one */
  drop(c, 0);
}

static void on_event(siege *s, connection *c) {
  if (c->fd < 0) return;
  if (!c->connecting) {
    read_answer(s, c);
    return;
  }
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error) {
    lost(s, c, error);
    return;
  }
  c->connecting = false;
  watch(s, c, EPOLL_CTL_MOD, EPOLLIN);
  ask(s, c);
}

/* --- the siege ------------------------------------------------------------------------------ */

static bool look_after(siege *s) {
  uint64_t now = siege_now_us();
  bool busy = false;
  for (uint64_t i = 0; i < s->connections; i++) {
    connection *c = &s->all[i];
    if (c->next_us && (s->over || now >= c->next_us)) {
      c->next_us = 0;
      ask(s, c);
    }
    if ((c->asking || c->connecting) && now > c->asked_us + s->patience_us) {
      s->late++;
      drop(c, 0);
    }
    bool wanted = !s->over && !(s->requests_max && s->asked >= s->requests_max);
    if (c->fd < 0 && wanted && now >= c->retry_us) open_connection(s, c);
    busy = busy || c->fd >= 0 || (c->fd < 0 && wanted);
  }
  return busy;
}

static void lay(siege *s) {
  struct epoll_event events[EVENTS];
  uint64_t looked_us = 0;
  bool busy = true;
  while (busy) {
    int count = epoll_wait(s->epoll, events, EVENTS, 2);
    for (int i = 0; i < count; i++) on_event(s, events[i].data.ptr);
    uint64_t now = siege_now_us();
    if (now >= s->end_us || siege_asked_to_end) s->over = true;
    if (now < looked_us + 1000) continue;
    looked_us = now;
    busy = look_after(s);
  }
}

static int by_size(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

static void print(siege *s) {
  static const double shares[] = {0.5, 0.99, 0.999, 1};
  static const char *const names[] = {"p50_us", "p99_us", "p999_us", "max_us"};
  printf("requests %lu\nanswered %lu\ncut %lu\nreset %lu\nrefused %lu\nlate %lu\nodd %lu\nconnects %lu\n", s->asked, s->answered, s->cut, s->reset,
         s->refused, s->late, s->odd, s->reconnects);
  printf("failed %lu\n", s->cut + s->reset + s->refused + s->late + s->odd);
  for (int status = 0; status < 600; status++)
    if (s->statuses[status]) printf("status_%d %lu\n", status, s->statuses[status]);
  qsort(s->samples_us, s->sample_count, sizeof *s->samples_us, by_size);
  for (size_t i = 0; i < 4 && s->sample_count; i++) printf("%s %u\n", names[i], s->samples_us[(size_t)((double)(s->sample_count - 1) * shares[i])]);
  for (size_t i = 0; i < BODIES_MAX && s->bodies[i].count; i++) printf("body %s %lu\n", s->bodies[i].text, s->bodies[i].count);
}

int main(int count, char **arguments) {
  static siege s = {.connections = 64};
  const char *path = "/", *source = "127.0.0.1";
  double seconds = 1;
  uint64_t patience = 20, pause_ms = 0;
  const siege_flag flags[] = {
      {"--connections", SIEGE_COUNT, &s.connections},
      {"--seconds", SIEGE_SECONDS, &seconds},
      {"--requests", SIEGE_COUNT, &s.requests_max},
      {"--each", SIEGE_COUNT, &s.each},
      {"--patience", SIEGE_COUNT, &patience},
      {"--pause", SIEGE_COUNT, &pause_ms},
      {"--source", SIEGE_TEXT, &source},
      {"--path", SIEGE_TEXT, &path},
      {"--tally", SIEGE_SWITCH, &s.tally},
      {NULL, SIEGE_SWITCH, NULL},
  };
  s.port = siege_read_arguments(count, arguments, flags, usage);
  if (!s.connections || s.connections > CONNECTIONS_MAX || inet_pton(AF_INET, source, &s.source) != 1) {
    fprintf(stderr, "siege_client: at most %d connections, from an IPv4 address\n%s\n", CONNECTIONS_MAX, usage);
    return 2;
  }
  s.end_us = siege_now_us() + (uint64_t)(seconds * 1e6);
  s.patience_us = patience * 1000000;
  s.pause_us = pause_ms * 1000;
  snprintf(s.request, sizeof s.request, "GET %.400s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
  siege_heed_signals();
  s.epoll = epoll_create1(EPOLL_CLOEXEC);
  s.all = calloc(s.connections, sizeof *s.all);
  s.samples_us = calloc(SAMPLES_MAX, sizeof *s.samples_us);
  if (!s.all || !s.samples_us || s.epoll < 0) return 2;
  for (uint64_t i = 0; i < s.connections; i++) s.all[i].fd = -1;
  lay(&s);
  print(&s);
  return 0;
}
