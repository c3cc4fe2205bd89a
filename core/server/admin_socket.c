/* SPDX-License-Identifier: MIT */
/*
 * The admin listener's socket: made once, by whoever holds the service together, so
 * that the process that answers on it may be replaced, and the program too.
 */
#include "server/admin.h"

#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static void describe(const dl_admin_address *address, char out[160]) {
  if (address->unix_path[0]) snprintf(out, 160, "unix:%s", address->unix_path);
  else snprintf(out, 160, strchr(address->host, ':') ? "http://[%s]:%d" : "http://%s:%d", address->host, address->port);
}

static const char *complain(const dl_admin_address *address, char message[256]) {
  char where[160];
  int error = uv_translate_sys_error(errno);
  describe(address, where);
  snprintf(message, 256, "the admin listener cannot listen on %s: %s", where, uv_strerror(error));
  return message;
}

static bool listens(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

static void read_port(dl_admin_socket *out) {
  struct sockaddr_storage bound = {0};
  socklen_t length = sizeof bound;
  if (getsockname(out->fd, (struct sockaddr *)&bound, &length) != 0) return;
  if (bound.ss_family == AF_INET) out->address.port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
  if (bound.ss_family == AF_INET6) out->address.port = ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
}

static const char *bind_tcp(dl_admin_socket *out, char message[256]) {
  struct sockaddr_storage address = {0};
  int yes = 1;
  socklen_t length = sizeof(struct sockaddr_in);
  if (uv_ip4_addr(out->address.host, out->address.port, (struct sockaddr_in *)&address) != 0) {
    uv_ip6_addr(out->address.host, out->address.port, (struct sockaddr_in6 *)&address);
    length = sizeof(struct sockaddr_in6);
  }
  out->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (out->fd < 0) return complain(&out->address, message);
  setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  return bind(out->fd, (struct sockaddr *)&address, length) == 0 ? NULL : complain(&out->address, message);
}

static const char *bind_and_listen(dl_admin_socket *out, char message[256]) {
  const char *problem = out->address.unix_path[0] ? dl_listener_unix_bind(out->address.unix_path, &out->fd, message) : bind_tcp(out, message);
  if (!problem && listen(out->fd, BACKLOG) != 0) problem = complain(&out->address, message);
  if (!problem) return NULL;
  if (out->fd >= 0) close(out->fd);
  out->fd = -1;
  out->address.unix_path[0] = 0; /* what lies there is not ours to remove */
  return problem;
}

const char *dl_admin_socket_open(dl_admin_socket *out, const char *text, char message[256]) {
  const char *passed = getenv("DEMILUNE_ADMIN_SOCKET");
  long fd = passed ? strtol(passed, NULL, 10) : -1;
  unsetenv("DEMILUNE_ADMIN_SOCKET");
  *out = (dl_admin_socket){.fd = -1};
  if (!text) return NULL;
  const char *problem = dl_admin_address_read(text, &out->address);
  if (problem) {
    *out = (dl_admin_socket){.fd = -1};
    snprintf(message, 256, "the admin address \"%.60s\" %s", text, problem);
    return message;
  }
  out->inherited = fd > STDERR_FILENO && fd <= INT32_MAX && listens((int)fd);
  if (out->inherited) {
    out->fd = (int)fd;
    fcntl(out->fd, F_SETFD, FD_CLOEXEC);
  } else if ((problem = bind_and_listen(out, message))) {
    return problem;
  }
  read_port(out);
  return NULL;
}

void dl_admin_socket_announce(const dl_admin_socket *admin_socket, dl_log *log) {
  char where[160];
  if (admin_socket->fd < 0) return;
  describe(&admin_socket->address, where);
  dl_log_text(log, DL_LOG_INFO, "admin: /livez, /readyz and /metrics on %s", where);
  if (!admin_socket->address.loopback)
    dl_log_text(log, DL_LOG_WARNING, "the admin listener on %s is open to other machines and tells whoever asks about routes and load: bind it to loopback or a "
                                     "unix socket, or see to it that only who should reaches it", where);
}

void dl_admin_socket_close(dl_admin_socket *admin_socket, bool keep_path) {
  if (admin_socket->fd >= 0) close(admin_socket->fd);
  admin_socket->fd = -1;
  if (admin_socket->address.unix_path[0] && !keep_path) unlink(admin_socket->address.unix_path);
  admin_socket->address.unix_path[0] = 0;
}
