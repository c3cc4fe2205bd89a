/* SPDX-License-Identifier: MIT */
/*
 * The normal client beside a siege: on each connection it writes a row with an id that
 * nobody else has, reads rows that were acknowledged, waits, and goes on. It writes down
 * every acknowledged row and every failure with the port it failed on, so that whoever
 * began the siege can tell why. For tests/siege/run.
 *
 *   siege_normal PORT [--tls] [--connections=8] [--seconds=10] [--pause=20] [--each=200]
 *                [--writes=4] [--name=n] [--records=FILE] [--patience=20] [--progress=0]
 *
 * --pause waits milliseconds behind an answer, --each reconnects after so many requests,
 * every --writes-th request writes, --progress prints a line every so many seconds. A
 * request's time holds its connecting, where it had to connect. FILE gets lines
 * "ack ID" and "fail OPENED ENDED PORT KIND", times in seconds since 1970.
 */
#include "siege.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, BUFFER_BYTES = 4096, ID_BYTES = 48, KNOWN_MAX = 64, SAMPLES_MAX = 2000000 };
enum { READS, WRITES, KINDS };

static const char usage[] = "siege_normal PORT [--tls] [--connections=8] [--seconds=10] [--pause=20] [--each=200] [--writes=4] [--name=n]\n"
                            "  [--records=FILE] [--patience=20] [--progress=0]";

typedef struct samples {
  uint32_t *us;
  size_t count, told; /* told: those of earlier progress lines */
} samples;

static struct {
  bool tls;
  double seconds, progress;
  uint64_t connections, pause_ms, each, writes, patience, end_us;
  const char *name, *records;
  int port;
  SSL_CTX *context;
  pthread_mutex_t lock; /* of all that follows */
  FILE *file;
  samples samples[KINDS];
  unsigned long asked, acknowledged, failed, idle_closed, connects;
} normal = {
    .seconds = 10, .connections = 8, .pause_ms = 20, .each = 200, .writes = 4, .patience = 20, .name = "n", .lock = PTHREAD_MUTEX_INITIALIZER};

typedef struct visitor {
  unsigned number;
  int fd; /* -1: none */
  SSL *ssl;
  int local_port;
  double opened;
  uint64_t answered, written, asked;
  uint32_t random;
  char known[KNOWN_MAX][ID_BYTES]; /* acknowledged rows, the newest ones */
  char answer[BUFFER_BYTES];
} visitor;

static double wall_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- what became of it ------------------------------------------------------------------- */

static void fail(visitor *v, const char *kind) {
  pthread_mutex_lock(&normal.lock);
  normal.failed++;
  if (normal.file) fprintf(normal.file, "fail %.6f %.6f %d %s\n", v->opened, wall_clock(), v->local_port, kind);
  pthread_mutex_unlock(&normal.lock);
}

static void succeed(int kind, uint64_t took_us, const char *acknowledged) {
  pthread_mutex_lock(&normal.lock);
  samples *of = &normal.samples[kind];
  if (of->count < SAMPLES_MAX) of->us[of->count++] = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
  if (acknowledged) {
    normal.acknowledged++;
    if (normal.file) fprintf(normal.file, "ack %s\n", acknowledged);
  }
  pthread_mutex_unlock(&normal.lock);
}

static const char *why(void) {
  switch (errno) {
  case ECONNREFUSED: return "refused";
  case EAGAIN: return "late";
  case ECONNRESET:
  case EPIPE: return "reset";
  default: return "cut";
  }
}

/* --- connections ---------------------------------------------------------------------------- */

static void leave(visitor *v) {
  if (v->ssl) SSL_free(v->ssl);
  if (v->fd >= 0) close(v->fd);
  v->ssl = NULL;
  v->fd = -1;
}

static ssize_t receive(visitor *v, char *to, size_t size) {
  errno = 0;
  return v->ssl ? SSL_read(v->ssl, to, (int)size) : recv(v->fd, to, size, 0);
}

static bool transmit(visitor *v, const char *bytes, size_t length) {
  errno = 0;
  return (v->ssl ? SSL_write(v->ssl, bytes, (int)length) : send(v->fd, bytes, length, MSG_NOSIGNAL)) == (ssize_t)length;
}

static const char *visit(visitor *v) {
  struct sockaddr_in to = siege_loopback(INADDR_LOOPBACK, normal.port), own;
  struct timeval patience = {.tv_sec = (time_t)normal.patience};
  socklen_t length = sizeof own;
  int yes = 1;
  v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  v->opened = wall_clock();
  v->answered = 0;
  v->local_port = 0;
  setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(v->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(v->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(v->fd, (struct sockaddr *)&to, sizeof to) != 0) return why();
  if (getsockname(v->fd, (struct sockaddr *)&own, &length) == 0) v->local_port = ntohs(own.sin_port);
  pthread_mutex_lock(&normal.lock);
  normal.connects++;
  pthread_mutex_unlock(&normal.lock);
  if (!normal.tls) return NULL;
  v->ssl = SSL_new(normal.context);
  SSL_set_fd(v->ssl, v->fd);
  errno = 0;
  return SSL_connect(v->ssl) == 1 ? NULL : why();
}

/* A connection that the server ended between two requests is no failure: nothing was asked. Bytes that come unasked are TLS's word of the end. */
static bool is_closed(visitor *v) {
  char byte;
  return recv(v->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* --- a request -------------------------------------------------------------------------------- */

/* Reads a whole answer; its status, or 0 with `kind` why there is none. */
static int read_answer(visitor *v, const char **kind) {
  size_t have = 0, whole = 0;
  int status = 0;
  while (!whole || have < whole) {
    ssize_t got = have + 1 < BUFFER_BYTES ? receive(v, v->answer + have, BUFFER_BYTES - 1 - have) : 0;
    if (got <= 0) {
      *kind = why();
      return 0;
    }
    have += (size_t)got;
    v->answer[have] = 0;
    const char *end = strstr(v->answer, "\r\n\r\n"), *field = strcasestr(v->answer, "\r\ncontent-length:");
    if (end) whole = (size_t)(end - v->answer) + 4 + (field && field < end ? strtoul(field + 17, NULL, 10) : 0);
  }
  if (have == whole && sscanf(v->answer, "HTTP/1.1 %3d", &status) == 1) return status;
  *kind = "no_answer";
  return 0;
}

static const char *ask(visitor *v, const char *request, size_t length, const char *id, int expected) {
  static const char *const classes[] = {"status_0xx", "status_1xx", "status_2xx", "status_3xx", "status_4xx", "status_5xx"};
  const char *kind = NULL;
  if (v->fd >= 0 && is_closed(v)) {
    pthread_mutex_lock(&normal.lock);
    normal.idle_closed++;
    pthread_mutex_unlock(&normal.lock);
    leave(v);
  }
  if (v->fd < 0 && (kind = visit(v))) return kind;
  if (!transmit(v, request, length)) return why();
  int status = read_answer(v, &kind);
  if (kind) return kind;
  if (status == 404) return "row_lost";
  if (status != expected) return status < 600 ? classes[status / 100] : "no_answer";
  return strstr(v->answer, id) ? NULL : "wrong_answer";
}

static void one_request(visitor *v) {
  char request[512], id[ID_BYTES], body[128];
  bool writes = v->asked++ % normal.writes == 0;
  if (writes) {
    snprintf(id, sizeof id, "%s-%u-%lu", normal.name, v->number, v->asked);
    int length = snprintf(body, sizeof body, "{\"id\":\"%s\"}", id);
    snprintf(request, sizeof request, "POST /rows HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
             length, body);
  } else if (v->written) {
    v->random = v->random * 1103515245u + 12345u;
    uint64_t held = v->written < KNOWN_MAX ? v->written : KNOWN_MAX;
    memcpy(id, v->known[(v->random >> 16) % held], sizeof id);
    snprintf(request, sizeof request, "GET /rows/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", id);
  } else {
    return; /* no row of ours is acknowledged yet */
  }
  pthread_mutex_lock(&normal.lock);
  normal.asked++;
  pthread_mutex_unlock(&normal.lock);
  uint64_t began_us = siege_now_us();
  const char *kind = ask(v, request, strlen(request), id, writes ? 201 : 200);
  if (kind) {
    fail(v, kind);
    leave(v);
    return;
  }
  succeed(writes ? WRITES : READS, siege_now_us() - began_us, writes ? id : NULL);
  if (writes) memcpy(v->known[v->written++ % KNOWN_MAX], id, sizeof id);
  if (++v->answered >= normal.each) leave(v);
}

static bool is_over(void) { return siege_asked_to_end || siege_now_us() >= normal.end_us; }

static void *live(void *argument) {
  visitor *v = argument;
  usleep((useconds_t)(normal.pause_ms * 1000 * v->number / normal.connections)); /* not all at once */
  while (!is_over()) {
    one_request(v);
    if (normal.pause_ms) usleep((useconds_t)(normal.pause_ms * 1000));
  }
  leave(v);
  return NULL;
}

/* --- telling ------------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

static uint32_t quantile(const uint32_t *sorted, size_t count, double share) { return count ? sorted[(size_t)((double)(count - 1) * share)] : 0; }

/* Quantiles of the samples from `from` on, as "PREFIXp50_us NUMBER" with `between` after each. */
static void print_quantiles(const samples *of, size_t from, const char *prefix, char between) {
  static const struct {
    const char *name;
    double share;
  } rows[] = {{"p50_us", .5}, {"p99_us", .99}, {"p999_us", .999}, {"max_us", 1}};
  size_t count = of->count - from;
  uint32_t *sorted = malloc((count + 1) * sizeof *sorted);
  if (!sorted) return;
  memcpy(sorted, of->us + from, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, by_size);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) printf("%s%s %u%c", prefix, rows[i].name, quantile(sorted, count, rows[i].share), between);
  free(sorted);
}

static void print_progress(void) {
  pthread_mutex_lock(&normal.lock);
  printf("progress requests %lu failed %lu ", normal.asked, normal.failed);
  print_quantiles(&normal.samples[READS], normal.samples[READS].told, "read_", ' ');
  print_quantiles(&normal.samples[WRITES], normal.samples[WRITES].told, "write_", ' ');
  for (int kind = 0; kind < KINDS; kind++) normal.samples[kind].told = normal.samples[kind].count;
  pthread_mutex_unlock(&normal.lock);
  printf("\n");
  fflush(stdout);
}

static void wait_for_end(uint64_t began_us) {
  double told = 1;
  while (!is_over()) {
    usleep(10000);
    if (normal.progress <= 0 || (double)(siege_now_us() - began_us) < told * normal.progress * 1e6) continue;
    print_progress();
    told++;
  }
  if (normal.progress > 0) print_progress();
}

static void prepare(int count, char **arguments) {
  const siege_flag flags[] = {
      {"--tls", SIEGE_SWITCH, &normal.tls},
      {"--connections", SIEGE_COUNT, &normal.connections},
      {"--seconds", SIEGE_SECONDS, &normal.seconds},
      {"--pause", SIEGE_COUNT, &normal.pause_ms},
      {"--each", SIEGE_COUNT, &normal.each},
      {"--writes", SIEGE_COUNT, &normal.writes},
      {"--name", SIEGE_TEXT, &normal.name},
      {"--records", SIEGE_TEXT, &normal.records},
      {"--patience", SIEGE_COUNT, &normal.patience},
      {"--progress", SIEGE_SECONDS, &normal.progress},
      {NULL, SIEGE_SWITCH, NULL},
  };
  normal.port = siege_read_arguments(count, arguments, flags, usage);
  if (!normal.connections || normal.connections > CONNECTIONS_MAX || !normal.writes) {
    fprintf(stderr, "siege_normal: 1 to %d connections, and a number of requests to a write\n%s\n", CONNECTIONS_MAX, usage);
    exit(2);
  }
  if (normal.records && !(normal.file = fopen(normal.records, "w"))) {
    perror(normal.records);
    exit(2);
  }
  for (int kind = 0; kind < KINDS; kind++) normal.samples[kind].us = calloc(SAMPLES_MAX, sizeof(uint32_t));
  normal.context = SSL_CTX_new(TLS_client_method());
  normal.end_us = siege_now_us() + (uint64_t)(normal.seconds * 1e6);
  siege_heed_signals();
  signal(SIGPIPE, SIG_IGN);
}

int main(int count, char **arguments) {
  static visitor visitors[CONNECTIONS_MAX];
  pthread_t threads[CONNECTIONS_MAX];
  prepare(count, arguments);
  uint64_t began_us = siege_now_us();
  for (unsigned i = 0; i < normal.connections; i++) {
    visitors[i].number = i;
    visitors[i].fd = -1;
    visitors[i].random = i;
    if (pthread_create(&threads[i], NULL, live, &visitors[i]) != 0) return 2;
  }
  wait_for_end(began_us);
  for (unsigned i = 0; i < normal.connections; i++) pthread_join(threads[i], NULL);
  printf("requests %lu\nfailed %lu\nacknowledged %lu\nidle_closed %lu\nconnects %lu\nreads %zu\nwrites %zu\n", normal.asked, normal.failed,
         normal.acknowledged, normal.idle_closed, normal.connects, normal.samples[READS].count, normal.samples[WRITES].count);
  print_quantiles(&normal.samples[READS], 0, "read_", '\n');
  print_quantiles(&normal.samples[WRITES], 0, "write_", '\n');
  if (normal.file) fclose(normal.file);
  return 0;
}
