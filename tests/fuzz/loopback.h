/* SPDX-License-Identifier: MIT */
/* A real server on loopback in the fuzzer's own process, a way to reach it, and to read what it answers. */
#ifndef DL_TESTS_LOOPBACK_H
#define DL_TESTS_LOOPBACK_H

#include "client.h"

#include "server/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

/* Lua's heap is not searched for pointers, so all it holds would count as leaked;
 * the end-to-end specs, whose servers end in order, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

static inline void write_file(const char *folder, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  if (!file || fputs(text, file) < 0 || fclose(file) != 0) abort();
}

static inline demilune_server *server_open(const char *folder, bool announces) {
  char *error = NULL;
  demilune_options options = {.folder = folder, .access_log = DEMILUNE_ACCESS_LOG_OFF, .log_file = "/dev/null", .proxy_protocol = announces};
  if (announces) options.trusted_proxies = "127.0.0.1";
  demilune_server *server = dl_server_new(&options, "serve", NULL, &error);
  if (!server) fprintf(stderr, "%s\n", error);
  if (!server) abort();
  server->loop.log.level = DL_LOG_ERROR + 1; /* failing routes would fill the terminal */
  return server;
}

/* narrow: it takes little at once, in segments so small that the system does not wait for room. */
static inline int connect_client(const demilune_server *server, bool narrow) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)demilune_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (narrow && fd >= 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &(int){536}, sizeof(int));
  }
  if (fd < 0 || (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)) abort();
  return fd;
}

/* --- what came back ------------------------------------------------------------------- */

/* A field's value in a head; name has the line feed before it and the colon with its space. */
static inline dl_str field_of(dl_str head, const char *name) {
  const char *at = memmem(head.ptr, head.len, name, strlen(name));
  if (!at) return (dl_str){0};
  const char *value = at + strlen(name), *end = memchr(value, '\r', (size_t)(head.ptr + head.len - value));
  return end ? dl_str_from(value, (size_t)(end - value)) : (dl_str){0};
}

/* Takes a response's head off the front. */
static inline dl_str take_head(dl_str *rest) {
  const char *end = memmem(rest->ptr, rest->len, "\r\n\r\n", 4);
  require(end && dl_str_starts(*rest, DL_STR("HTTP/1.1 ")), "what comes back is responses");
  dl_str head = dl_str_from(rest->ptr, (size_t)(end - rest->ptr) + 4);
  *rest = dl_str_skip(*rest, head.len);
  return head;
}

#endif
