/* SPDX-License-Identifier: MIT */
/*
 * Two real servers on loopback in the fuzzer's own process, of one app, and what is
 * asked of a connection with either.
 */
#ifndef DL_TESTS_CONNECTION_WORLD_H
#define DL_TESTS_CONNECTION_WORLD_H

#include "client.h"

#include "server/server.h"

#include <netinet/in.h>

/* The target's app.lua. */
extern const char app_text[];

/* The second one's clients are trusted proxies that speak the PROXY protocol. */
static demilune_server *plain, *announced;

/* Lua's heap is not searched for pointers, so all it holds would count as leaked;
 * the end-to-end specs, whose servers end in order, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

static inline demilune_server *server_open(bool announces) {
  char folder[] = "/tmp/demilune-fuzz-XXXXXX", path[64];
  char *error = NULL;
  if (!mkdtemp(folder)) abort();
  snprintf(path, sizeof path, "%s/app.lua", folder);
  FILE *file = fopen(path, "w");
  if (!file || fputs(app_text, file) < 0 || fclose(file) != 0) abort();
  demilune_options options = {.folder = folder, .access_log = DEMILUNE_ACCESS_LOG_OFF, .proxy_protocol = announces};
  if (announces) options.trusted_proxies = "127.0.0.1";
  demilune_server *server = dl_server_new(&options, "serve", NULL, &error);
  if (!server) fprintf(stderr, "%s\n", error);
  if (!server) abort();
  unlink(path);
  rmdir(folder);
  server->loop.log.level = DL_LOG_ERROR + 1; /* failing routes would fill the terminal */
  return server;
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count;
  (void)arguments;
  setenv("FUZZ_SECRET", "fuzz-secret-0123456789-0123456789", 1);
  plain = server_open(false);
  announced = server_open(true);
  return 0;
}

static inline int connect_client(const demilune_server *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)demilune_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)) abort();
  return fd;
}

/* What still runs for a client that has left ends by itself, and soon. */
static inline void settle(demilune_server *server) {
  for (int turn = 0; server->worker.connection_count > 0; turn++) {
    require(turn < TURNS_MAX, "a connection whose client has left ends");
    uv_run(&server->uv, UV_RUN_NOWAIT);
    poll(NULL, 0, turn > 10);
  }
  require(!server->worker.exchange_count, "no request is left behind");
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
