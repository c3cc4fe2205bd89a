/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static bool take_spare(dl_listener *listener) {
  uv_os_fd_t server;
  if (uv_fileno(&listener->uv.handle, &server) == 0) listener->spare = fcntl(server, F_DUPFD_CLOEXEC, 0);
  return listener->spare >= 0;
}

static void on_refill(uv_prepare_t *refill) {
  if (take_spare(refill->data)) uv_prepare_stop(refill);
}

/* libuv does the same with a descriptor that it opens on "/"; behind the sandbox it
 * cannot open a second one, and would ask a full process over and over. The place that
 * became free stays so for this turn: only then does accept tell that nobody is left. */
static void hang_up(dl_listener *listener) {
  uv_os_fd_t server;
  if (listener->spare < 0 || uv_fileno(&listener->uv.handle, &server) != 0) return;
  close(listener->spare);
  listener->spare = -1;
  for (int fd; (fd = accept4(server, NULL, NULL, SOCK_CLOEXEC)) >= 0;) close(fd);
  uv_prepare_start(&listener->refill, on_refill);
}

static void on_connection(uv_stream_t *server, int status) {
  dl_listener *listener = server->data;
  if (status == 0) listener->incoming(listener);
  else if (status == UV_EMFILE || status == UV_ENFILE) hang_up(listener);
}

static const char *complain(char message[256], const char *what, const char *where, int error) {
  snprintf(message, 256, "cannot %s %.160s: %s", what, where, uv_strerror(error));
  return message;
}

/* Both handles are there from the first, so that closing needs to know nothing. */
static void prepare(dl_listener *listener, dl_loop *loop) {
  listener->spare = -1;
  uv_prepare_init(loop->uv, &listener->refill);
  uv_unref((uv_handle_t *)&listener->refill);
  listener->refill.data = listener;
}

static const char *listen_on(dl_listener *listener, const char *where, char message[256]) {
  listener->uv.handle.data = listener;
  int error = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
  if (error) return complain(message, "listen on", where, error);
  take_spare(listener);
  return NULL;
}

const char *dl_listener_tcp(dl_listener *listener, dl_loop *loop, const char *host, int port, char message[256]) {
  struct sockaddr_storage address;
  char where[140];
  snprintf(where, sizeof where, strchr(host, ':') ? "[%.120s]:%d" : "%.120s:%d", host, port);
  const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
  prepare(listener, loop);
  uv_tcp_init(loop->uv, &listener->uv.tcp);
  if (uv_ip4_addr(numeric, port, (struct sockaddr_in *)&address) != 0 && uv_ip6_addr(numeric, port, (struct sockaddr_in6 *)&address) != 0) {
    snprintf(message, 256, "cannot listen on \"%.100s\": write an IPv4 or IPv6 address, such as 127.0.0.1 or ::", host);
    return message;
  }
  int error = uv_tcp_bind(&listener->uv.tcp, (struct sockaddr *)&address, 0);
  if (error) return complain(message, "bind", where, error);
  const char *problem = listen_on(listener, where, message);
  if (problem) return problem;
  int len = sizeof address;
  uv_tcp_getsockname(&listener->uv.tcp, (struct sockaddr *)&address, &len);
  in_port_t bound = address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port;
  listener->port = ntohs(bound);
  return NULL;
}

/* Whether somebody answers at the path: then it is not ours to take. */
static bool socket_is_live(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return false;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool live = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  close(fd);
  return live;
}

const char *dl_listener_unix_bind(const char *path, int *fd, char message[256]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat what;
  if (socket_is_live(path)) return complain(message, "listen on", path, UV_EADDRINUSE);
  if (strlen(path) >= sizeof address.sun_path) {
    snprintf(message, 256, "cannot listen on \"%.100s\": a unix socket's path has at most %zu bytes", path, sizeof address.sun_path - 1);
    return message;
  }
  if (lstat(path, &what) == 0 && !S_ISSOCK(what.st_mode)) {
    snprintf(message, 256, "cannot listen on \"%.160s\": there is something else of that name, which is left alone", path);
    return message;
  }
  unlink(path);
  strcpy(address.sun_path, path);
  *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*fd < 0) return complain(message, "open", path, uv_translate_sys_error(errno));
  if (bind(*fd, (struct sockaddr *)&address, sizeof address) == 0) return NULL;
  int error = errno;
  close(*fd);
  return complain(message, "bind", path, uv_translate_sys_error(error));
}

const char *dl_listener_unix(dl_listener *listener, dl_loop *loop, const char *path, char message[256]) {
  int fd;
  const char *problem = dl_listener_unix_bind(path, &fd, message);
  return problem ? problem : dl_listener_adopt(listener, loop, fd, true, message);
}

const char *dl_listener_adopt(dl_listener *listener, dl_loop *loop, int fd, bool unix_domain, char message[256]) {
  int error;
  prepare(listener, loop);
  if (unix_domain) {
    uv_pipe_init(loop->uv, &listener->uv.pipe, 0);
    error = uv_pipe_open(&listener->uv.pipe, fd);
  } else {
    uv_tcp_init(loop->uv, &listener->uv.tcp);
    error = uv_tcp_open(&listener->uv.tcp, fd);
  }
  if (error) return complain(message, "use", "the socket that was handed on", error);
  listener->port = 0;
  return listen_on(listener, "the socket that was handed on", message);
}

void dl_listener_close(dl_listener *listener, uv_close_cb closed) {
  if (uv_is_closing(&listener->uv.handle)) return;
  if (listener->spare >= 0) close(listener->spare);
  listener->spare = -1;
  uv_close((uv_handle_t *)&listener->refill, NULL);
  uv_close(&listener->uv.handle, closed);
}

size_t dl_listener_peer(const uv_stream_t *stream, char out[46]) {
  struct sockaddr_storage address;
  int len = sizeof address;
  if (stream->type != UV_TCP) {
    memcpy(out, "unix", 5);
    return 4;
  }
  if (uv_tcp_getpeername((const uv_tcp_t *)stream, (struct sockaddr *)&address, &len) != 0) {
    memcpy(out, "gone", 5); /* reset before it was accepted */
    return 4;
  }
  if (address.ss_family == AF_INET6) {
    const struct in6_addr *in6 = &((struct sockaddr_in6 *)&address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(in6)) inet_ntop(AF_INET, in6->s6_addr + 12, out, 46);
    else inet_ntop(AF_INET6, in6, out, 46);
  } else {
    inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, out, 46);
  }
  return strlen(out);
}
