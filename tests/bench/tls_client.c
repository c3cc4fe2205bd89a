/* SPDX-License-Identifier: MIT */
/*
 * Connects over and over, each time with a handshake (full, or resuming the session
 * of the first), one small request and an end in order. The load of tests/bench/tls.
 *   bench_tls_client PORT full|resume SECONDS|TIMESx
 * prints how many connections there were, and how many of them were resumed.
 */
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET /plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static _Noreturn void broken(const char *what) {
  fprintf(stderr, "tls_client: cannot %s\n", what);
  exit(1);
}

static double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) broken("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return fd;
}

/* One connection; gives the session that its tickets made. */
static SSL_SESSION *visit(SSL_CTX *context, int port, SSL_SESSION *session, bool *reused) {
  char answer[4096];
  int fd = connect_to(port);
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (session) {
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    SSL_set_session(ssl, copy);
    SSL_SESSION_free(copy);
  }
  if (SSL_connect(ssl) != 1) broken("make a handshake");
  if (SSL_write(ssl, request, sizeof request - 1) <= 0) broken("send a request");
  int got, total = 0;
  while ((got = SSL_read(ssl, answer, sizeof answer)) > 0) total += got;
  if (total == 0 || memcmp(answer, "HTTP/1.1 ", 9) != 0) broken("get an answer");
  *reused = SSL_session_reused(ssl);
  SSL_SESSION *made = SSL_get1_session(ssl);
  SSL_shutdown(ssl);
  SSL_free(ssl);
  close(fd);
  return made;
}

int main(int count, char **arguments) {
  if (count != 4) broken("do without PORT, full or resume, SECONDS or TIMESx");
  int port = atoi(arguments[1]);
  bool resume = strcmp(arguments[2], "resume") == 0, reused;
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_SESSION *session = visit(context, port, NULL, &reused);
  bool counts = arguments[3][strlen(arguments[3]) - 1] == 'x';
  double until = counts ? 0 : now_s() + atof(arguments[3]);
  long visits = 0, resumed = 0, wanted = counts ? atol(arguments[3]) : 0;
  while (counts ? visits < wanted : now_s() < until) {
    SSL_SESSION_free(visit(context, port, resume ? session : NULL, &reused));
    visits++;
    resumed += reused;
  }
  printf("%ld %ld\n", visits, resumed);
  SSL_SESSION_free(session);
  SSL_CTX_free(context);
  return 0;
}
