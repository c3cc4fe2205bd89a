/* SPDX-License-Identifier: MIT */
/*
 * The admin listener: the input is what a visitor sends, in one or in many pieces
 * (the first byte), over TCP or over a unix socket, and then no more. There is one
 * response at most, whole and with its length, and then the end; nobody is left.
 */
#include "client.h"
#include "socket_path.h"

#include "server/admin.h"

#include <netinet/in.h>
#include <sys/un.h>

static uv_loop_t uv;
static dl_loop loop = {.uv = &uv};
static dl_metrics *metrics;
static struct sockaddr_un local = {.sun_family = AF_UNIX};
static struct sockaddr_in remote = {.sin_family = AF_INET};

static void start(const char *where, dl_admin_socket *admin_socket) {
  char message[256];
  const char *problem = dl_admin_socket_open(admin_socket, where, message);
  require(!problem, "there is an admin socket");
  dl_admin_source source = {.metrics = metrics};
  require(dl_admin_start(&loop, admin_socket, &source, message) != NULL, "the admin listener starts");
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  char where[128];
  dl_admin_socket over_tcp, over_unix;
  (void)count;
  (void)arguments;
  require(uv_loop_init(&uv) == 0, "there is a loop");
  dl_clock_update(&loop.clock);
  dl_log_init(&loop.log, STDERR_FILENO, DL_LOG_JSON, DL_LOG_ERROR + 1, &loop.clock);
  metrics = dl_metrics_new(1);
  snprintf(local.sun_path, sizeof local.sun_path, "%s", make_socket_path());
  snprintf(where, sizeof where, "unix:%s", local.sun_path);
  start(where, &over_unix);
  start("0", &over_tcp);
  remote.sin_port = htons((uint16_t)over_tcp.address.port);
  remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return 0;
}

static int visit(bool over_unix) {
  int fd = socket(over_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int result = over_unix ? connect(fd, (struct sockaddr *)&local, sizeof local) : connect(fd, (struct sockaddr *)&remote, sizeof remote);
  require(fd >= 0 && (result == 0 || errno == EINPROGRESS), "the admin listener takes visitors");
  return fd;
}

static void check_answer(dl_str answer, bool head_only) {
  if (!answer.len) return;
  const char *end = memmem(answer.ptr, answer.len, "\r\n\r\n", 4);
  require(dl_str_starts(answer, DL_STR("HTTP/1.1 ")) && end, "what comes back is a response");
  dl_str head = dl_str_from(answer.ptr, (size_t)(end - answer.ptr) + 4);
  require(memmem(head.ptr, head.len, "\r\nConnection: close\r\n", 21) != NULL, "there is one request for each visit");
  const char *length = memmem(head.ptr, head.len, "\r\nContent-Length: ", 18);
  require(length != NULL, "a response has a length");
  size_t bytes = strtoul(length + 18, NULL, 10);
  require(answer.len - head.len == (head_only ? 0 : bytes), "a body is as long as its head says, and nothing comes behind it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_buffer received = {0};
  if (size < 2 || size > 20000) return 0;
  dl_str input = dl_str_from((const char *)data + 1, size - 1);
  int fd = visit(data[0] & 1);
  play(&uv, fd, input, data[0] < 128 ? input.len : (size_t)(data[0] & 0x3f) + 1, &received);
  close(fd);
  dl_str text = input;
  while (text.len && (text.ptr[0] == '\r' || text.ptr[0] == '\n')) text = dl_str_skip(text, 1);
  bool head_only = dl_str_starts(text, DL_STR("HEAD ")) && received.len;
  dl_buffer_append_char(&received, 0); /* strtoul stops there */
  dl_str answer = dl_str_from(received.data, received.len - 1);
  if (head_only && memmem(answer.ptr, answer.len, "\r\n\r\n{", 5)) head_only = false; /* a head that could not be read asks for nothing */
  check_answer(answer, head_only);
  dl_buffer_free(&received);
  for (int i = 0; i < 3; i++) uv_run(&uv, UV_RUN_NOWAIT);
  return 0;
}
