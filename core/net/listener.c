/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  BACKLOG = 4096,
  BATCH = 64, /* connections in one turn, so that those that are there are not kept waiting */
  RETRY_MS = 100
};

static const uint64_t TELL_AGAIN_US = 60000000;

/* --- pauses ------------------------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void tell(dl_listener *listener, int error) {
  dl_loop *loop = listener->loop;
  dl_clock_update(&loop->clock);
  uint64_t now = loop->clock.monotonic_us;
  if (listener->paused) listener->paused(listener);
  if (loop->pause_told_us && now - loop->pause_told_us < TELL_AGAIN_US) return;
  loop->pause_told_us = now;
  const char *help = error == EMFILE ? "raise the limit of open files (ulimit -n, LimitNOFILE= of systemd) or lower max_connections" : "the machine has too little for all that runs on it";
  dl_log_text(&loop->log, DL_LOG_WARNING, "no connection can be taken (%s), so clients wait until other connections end: %s", uv_strerror(uv_translate_sys_error(error)), help);
}

static void resume(dl_listener *listener) {
  listener->is_paused = false;
  uv_timer_stop(&listener->retry);
  uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

void dl_listener_resume(dl_loop *loop) {
  while (loop->paused) {
    dl_listener *listener = loop->paused;
    loop->paused = listener->next_paused;
    resume(listener);
  }
}

static void on_retry(uv_timer_t *retry) { dl_listener_resume(((dl_listener *)retry->data)->loop); }

/* Polling would say at once, and over and over, that somebody waits. */
static void pause_accepting(dl_listener *listener, int error) {
  if (listener->is_paused) return;
  listener->is_paused = true;
  listener->next_paused = listener->loop->paused;
  listener->loop->paused = listener;
  uv_poll_stop(&listener->poll);
  uv_timer_start(&listener->retry, on_retry, RETRY_MS, 0);
  tell(listener, error);
}

static void forget_pause(dl_listener *listener) {
  for (dl_listener **at = &listener->loop->paused; *at; at = &(*at)->next_paused) {
    if (*at != listener) continue;
    *at = listener->next_paused;
    return;
  }
}

/* --- accepting ------------------------------------------------------------------------ */

/* What went wrong with this one connection before it was taken (accept(2)): not with the next. */
static bool is_of_one(int error) {
  static const int errors[] = {ECONNABORTED, EINTR, EPROTO, EPERM, ENOPROTOOPT, ENETDOWN, ENETUNREACH, ENONET, EHOSTDOWN, EHOSTUNREACH, ETIMEDOUT, EOPNOTSUPP};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i] == error) return true;
  return false;
}

static void accept_some(dl_listener *listener, unsigned most) {
  for (unsigned taken = 0; taken < most && !listener->closing; taken++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0) {
      listener->incoming(listener, fd);
    } else if (error == EAGAIN) {
      return;
    } else if (!is_of_one(error)) {
      pause_accepting(listener, error);
      return;
    }
  }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events;
  accept_some(poll->data, BATCH);
  if (status < 0) pause_accepting(poll->data, -status); /* libuv polls no more by itself */
}

/* --- opening -------------------------------------------------------------------------- */

static const char *complain(char message[256], const char *what, const char *where, int error) {
  snprintf(message, 256, "cannot %s %.160s: %s", what, where, uv_strerror(error));
  return message;
}

/* Enough for closing it, whatever fails. */
static void prepare(dl_listener *listener, dl_loop *loop) {
  listener->loop = loop;
  listener->fd = -1;
  uv_timer_init(loop->uv, &listener->retry);
  listener->retry.data = listener->poll.data = listener;
}

/* Whoever bound it may have begun already, and behind the sandbox's walls nobody can. */
static bool listens(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

static const char *listen_on(dl_listener *listener, const char *where, char message[256]) {
  if (!listens(listener->fd) && listen(listener->fd, BACKLOG) != 0) return complain(message, "listen on", where, uv_translate_sys_error(errno));
  int error = uv_poll_init(listener->loop->uv, &listener->poll, listener->fd); /* which makes fd non-blocking */
  if (error) return complain(message, "wait for connections on", where, error);
  listener->polled = true;
  error = uv_poll_start(&listener->poll, UV_READABLE, on_readable);
  return error ? complain(message, "wait for connections on", where, error) : NULL;
}

/* 0 or an errno. */
static int bind_tcp(dl_listener *listener, const struct sockaddr_storage *address) {
  int yes = 1;
  socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  listener->fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0) return errno;
  setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return bind(listener->fd, (const struct sockaddr *)address, len) == 0 ? 0 : errno;
}

static int bound_port(int fd) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port);
}

const char *dl_listener_tcp(dl_listener *listener, dl_loop *loop, const char *host, int port, char message[256]) {
  struct sockaddr_storage address = {0};
  char where[140];
  snprintf(where, sizeof where, strchr(host, ':') ? "[%.120s]:%d" : "%.120s:%d", host, port);
  const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
  prepare(listener, loop);
  if (uv_ip4_addr(numeric, port, (struct sockaddr_in *)&address) != 0 && uv_ip6_addr(numeric, port, (struct sockaddr_in6 *)&address) != 0) {
    snprintf(message, 256, "cannot listen on \"%.100s\": write an IPv4 or IPv6 address, such as 127.0.0.1 or ::", host);
    return message;
  }
  int error = bind_tcp(listener, &address);
  if (error) return complain(message, "bind", where, uv_translate_sys_error(error));
  listener->port = bound_port(listener->fd);
  return listen_on(listener, where, message);
}

/* Whether a socket lies at the path that nobody answers on, and so can be replaced. One whose
 * queue is full is somebody's, and so is one of another kind. */
static bool socket_is_dead(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  bool dead = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
  close(fd);
  return dead;
}

const char *dl_listener_unix_bind(const char *path, int *fd, char message[256]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat what;
  if (strlen(path) >= sizeof address.sun_path) {
    snprintf(message, 256, "cannot listen on \"%.100s\": a unix socket's path has at most %zu bytes", path, sizeof address.sun_path - 1);
    return message;
  }
  strcpy(address.sun_path, path);
  bool is_there = lstat(path, &what) == 0;
  if (is_there && !S_ISSOCK(what.st_mode)) {
    snprintf(message, 256, "cannot listen on \"%.160s\": there is something else of that name, which is left alone", path);
    return message;
  }
  if (is_there && !socket_is_dead(&address)) return complain(message, "listen on", path, UV_EADDRINUSE);
  if (is_there) unlink(path);
  *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*fd < 0) return complain(message, "open", path, uv_translate_sys_error(errno));
  if (bind(*fd, (struct sockaddr *)&address, sizeof address) == 0) return NULL;
  int error = errno;
  close(*fd);
  return complain(message, "bind", path, uv_translate_sys_error(error));
}

const char *dl_listener_unix(dl_listener *listener, dl_loop *loop, const char *path, char message[256]) {
  int fd = -1;
  const char *problem = dl_listener_unix_bind(path, &fd, message);
  if (!problem) return dl_listener_adopt(listener, loop, fd, message);
  prepare(listener, loop);
  return problem;
}

bool dl_listener_is_unix(int fd) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  return getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_UNIX;
}

/* Each is asked for itself: those that are handed on together may be of both kinds, and
 * a client of a unix socket is trusted with more. */
const char *dl_listener_adopt(dl_listener *listener, dl_loop *loop, int fd, char message[256]) {
  prepare(listener, loop);
  listener->fd = fd;
  listener->unix_domain = dl_listener_is_unix(fd);
  listener->port = 0;
  return listen_on(listener, "the socket that was handed on", message);
}

void dl_listener_background(dl_listener *listener) {
  uv_unref((uv_handle_t *)&listener->poll);
  uv_unref((uv_handle_t *)&listener->retry);
}

/* --- the end -------------------------------------------------------------------------- */

void dl_listener_last_call(dl_listener *listener) { accept_some(listener, BACKLOG); }

static void on_retry_closed(uv_handle_t *handle) {
  dl_listener *listener = handle->data;
  if (listener->closed) listener->closed(listener);
}

/* One after the other, so that closed is called when both are gone. */
static void on_poll_closed(uv_handle_t *handle) {
  uv_handle_t *retry = (uv_handle_t *)&((dl_listener *)handle->data)->retry;
  if (!uv_is_closing(retry)) uv_close(retry, on_retry_closed);
}

void dl_listener_close(dl_listener *listener, void (*closed)(dl_listener *listener)) {
  if (listener->closing) return;
  listener->closing = true;
  listener->closed = closed;
  forget_pause(listener);
  if (listener->polled) uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
  else uv_close((uv_handle_t *)&listener->retry, on_retry_closed);
  if (listener->fd >= 0) close(listener->fd);
  listener->fd = -1;
}

/* --- clients -------------------------------------------------------------------------- */

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
