/* SPDX-License-Identifier: MIT */
/*
 * Bytes in, through everything: a real server on loopback, a client that sends the
 * input in one or many pieces and then says that it will send no more. What comes
 * back must be whole responses, no more of them than there were heads, and then
 * the end of the connection. Or the client resets, having sent it all and read
 * nothing. Either way nothing of the connection may be left in the worker.
 */
#include "base/buffer.h"
#include "server/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_MAX = 65536, TURNS_MAX = 20000 };

static const char app_text[] =
    "local demilune = require 'demilune'\n"
    "local model, guard = demilune.model, demilune.guard\n"
    "local app = demilune.app { title = 'fuzz', version = '1', guard = guard.public, limits = { max_body = 20000 } }\n"
    "local Thing = model 'Thing' { name = model.string { max_length = 20 }, age = model.integer { ge = 0 }, mail = model.optional(model.email()) }\n"
    "app:get('/', function() return 'root' end)\n"
    "app:get('/items/{id}', { path = { id = model.integer() }, query = { q = model.optional(model.string()) } }, function(req) return { id = req.path.id } end)\n"
    "app:post('/things', { body = Thing, returns = Thing, status = 201 }, function(req) return req.body end)\n"
    "app:post('/form', { form = { a = model.integer() } }, function(req) return { a = req.form.a } end)\n"
    "app:put('/raw', { body = model.raw() }, function(req) return { length = #req.body } end)\n"
    "app:get('/stream', function() return demilune.stream(function(write) write('one') write('two') end) end)\n"
    "app:get('/fails', function() error('on purpose') end)\n"
    "local held = app:dependency(function() demilune.sleep(0) return 1, { finish = function() end, release = function() demilune.sleep(0) end } end)\n"
    "app:get('/wait', function() demilune.sleep(0) return 'waited' end)\n"
    "app:post('/wait', function(req) demilune.sleep(0) return req.body end)\n"
    "app:get('/held', { needs = { held = held } }, function(req) req:after_response(function() error('after') end) return 'held' end)\n"
    "app:get('/held-fails', { needs = { held = held } }, function() demilune.abort(409, 'no') end)\n"
    "app:get('/held-stream', { needs = { held = held } }, function()\n"
    "  return demilune.stream(function(write) demilune.sleep(0) write('one') demilune.sleep(0) end)\n"
    "end)\n"
    "app:get('/large', function() return ('x'):rep(300000) end)\n"
    "app:get('/large-stream', function() return demilune.stream(function(write) for _ = 1, 5 do write(('x'):rep(100000)) end end) end)\n"
    "app:get('/cookie', { cookie = { a = model.integer() }, header = { x_b = model.optional(model.array(model.string())) } },\n"
    "  function(req) return { a = req.cookie.a, b = req.header.x_b } end)\n"
    "return app\n";

static demilune_server *server;

/* Lua's heap is not searched for pointers, so all it holds would count as leaked;
 * the end-to-end specs, whose servers end in order, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  char folder[] = "/tmp/demilune-fuzz-XXXXXX", path[64];
  char *error = NULL;
  (void)count;
  (void)arguments;
  if (!mkdtemp(folder)) abort();
  snprintf(path, sizeof path, "%s/app.lua", folder);
  FILE *file = fopen(path, "w");
  if (!file || fputs(app_text, file) < 0 || fclose(file) != 0) abort();
  demilune_options options = {.folder = folder, .access_log = DEMILUNE_ACCESS_LOG_OFF};
  server = dl_server_new(&options, "serve", NULL, &error);
  if (!server) fprintf(stderr, "%s\n", error);
  if (!server) abort();
  unlink(path);
  rmdir(folder);
  server->loop.log.level = DL_LOG_ERROR + 1; /* the failing route would fill the terminal */
  return 0;
}

static int connect_client(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)demilune_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)) abort();
  return fd;
}

/* False at the end of the stream, or when the server reset the connection. */
static bool take(int fd, dl_buffer *received) {
  char bytes[16384];
  ssize_t got = recv(fd, bytes, sizeof bytes, 0);
  if (got > 0) dl_buffer_append(received, bytes, (size_t)got);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN));
}

static void play(int fd, dl_str bytes, size_t piece, dl_buffer *received) {
  bool open = true, shut = false;
  for (int turn = 0; open; turn++) {
    if (turn == TURNS_MAX) abort(); /* the server neither answers nor closes */
    if (bytes.len) {
      ssize_t sent = send(fd, bytes.ptr, bytes.len < piece ? bytes.len : piece, MSG_NOSIGNAL);
      if (sent > 0) bytes = dl_str_skip(bytes, (size_t)sent);
      else if (errno != EAGAIN && errno != ENOTCONN) bytes.len = 0;
    } else if (!shut) {
      shut = shutdown(fd, SHUT_WR) == 0 || errno != ENOTCONN;
    }
    uv_run(&server->uv, UV_RUN_NOWAIT);
    if (shut) poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1);
    open = take(fd, received);
  }
}

/* Sends what the system takes at once, turns the loop a few times, and is gone. */
static void play_reset(int fd, dl_str bytes, int turns) {
  uv_run(&server->uv, UV_RUN_NOWAIT);
  if (send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOTCONN) abort();
  while (turns-- > 0) uv_run(&server->uv, UV_RUN_NOWAIT);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
}

/* What still runs for a client that has left ends by itself, and soon. */
static void settle(void) {
  for (int turn = 0; server->worker.connection_count > 0; turn++) {
    if (turn == TURNS_MAX) abort();
    uv_run(&server->uv, UV_RUN_NOWAIT);
    poll(NULL, 0, turn > 10);
  }
  if (server->worker.exchange_count) abort();
}

/* --- what came back ------------------------------------------------------------------- */

static dl_str field(dl_str head, const char *name) {
  const char *at = memmem(head.ptr, head.len, name, strlen(name));
  if (!at) return (dl_str){0};
  const char *value = at + strlen(name), *end = memchr(value, '\r', (size_t)(head.ptr + head.len - value));
  return end ? dl_str_from(value, (size_t)(end - value)) : (dl_str){0};
}

static dl_str skip_chunks(dl_str rest) {
  while (true) {
    char *end;
    size_t size = strtoul(rest.ptr, &end, 16), head = (size_t)(end - rest.ptr) + 2;
    if (end == rest.ptr || head + size + 2 > rest.len) abort();
    rest = dl_str_skip(rest, head + size + 2);
    if (size == 0) return rest;
  }
}

/* Takes one response off; a head whose body does not follow was HEAD's. */
static dl_str skip_response(dl_str rest) {
  static const char start[] = "HTTP/1.1 ";
  const char *end = memmem(rest.ptr, rest.len, "\r\n\r\n", 4);
  if (!dl_str_starts(rest, DL_STR("HTTP/1.1 ")) || !end) abort();
  dl_str head = dl_str_from(rest.ptr, (size_t)(end - rest.ptr) + 4);
  dl_str length = field(head, "\r\nContent-Length: ");
  rest = dl_str_skip(rest, head.len);
  if (rest.len == 0 || dl_str_starts(rest, dl_str_of(start))) return rest;
  if (field(head, "\r\nTransfer-Encoding: ").len) return skip_chunks(rest);
  if (!length.len) return dl_str_skip(rest, rest.len); /* HTTP/1.0: a stream that the end ends */
  size_t bytes = strtoul(length.ptr, NULL, 10);
  if (bytes > rest.len) abort();
  return dl_str_skip(rest, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_buffer received = {0};
  if (size < 2 || size > INPUT_MAX) return 0;
  int fd = connect_client();
  dl_str input = dl_str_from((const char *)data + 1, size - 1);
  bool resets = (data[0] & 0xc0) == 0x40;
  if (resets) play_reset(fd, input, data[0] & 0xf);
  else play(fd, input, data[0] < 128 ? INPUT_MAX : (size_t)(data[0] & 0x3f) + 1, &received);
  close(fd);
  settle();
  dl_buffer_append_char(&received, 0); /* strtoul stops there */
  size_t responses = 0, lines = 1;
  for (size_t i = 0; i < input.len; i++) lines += input.ptr[i] == '\n';
  for (dl_str rest = dl_str_from(received.data, received.len - 1); rest.len; responses++) rest = skip_response(rest);
  if (responses > lines) abort();
  dl_buffer_free(&received);
  return 0;
}
