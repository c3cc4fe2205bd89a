/* SPDX-License-Identifier: MIT */
#include "server/sockets.h"

#include "net/listener.h"
#include "server/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_PASSED = 3, BACKLOG = 4096 }; /* SD_LISTEN_FDS_START */

static const char OF_SYSTEMD[] = "systemd:"; /* before a list: who keeps them, also after the program that takes them */

static const char *complain(char message[256], const char *what, const char *where) {
  snprintf(message, 256, "cannot %s %.160s: %s", what, where, uv_strerror(uv_translate_sys_error(errno)));
  return message;
}

/* --- passed on by others --------------------------------------------------------------- */

/* Whether the descriptor is a listening stream socket; notes its port, or that it is a unix socket. */
static bool look_at(dl_sockets *sockets, int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  struct sockaddr_storage address;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || !listening) return false;
  length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return false;
  if (address.ss_family == AF_UNIX) sockets->any_unix = true;
  if (address.ss_family == AF_INET) sockets->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
  if (address.ss_family == AF_INET6) sockets->port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return true;
}

static bool take(dl_sockets *sockets, int fd) {
  if (sockets->count == DL_SOCKETS_MAX || !look_at(sockets, fd)) return false;
  sockets->fds[sockets->count++] = fd;
  return true;
}

/* Both give the descriptor that is no socket, or -1. */
static int take_list(dl_sockets *sockets, const char *list) {
  sockets->of_systemd = strncmp(list, OF_SYSTEMD, sizeof OF_SYSTEMD - 1) == 0;
  if (sockets->of_systemd) list += sizeof OF_SYSTEMD - 1;
  for (const char *at = list; *at;) {
    char *end;
    long fd = strtol(at, &end, 10);
    if (end == at || fd < 0) break;
    if (!take(sockets, (int)fd)) return (int)fd;
    sockets->inherited = true;
    at = *end == ',' ? end + 1 : end;
  }
  return -1;
}

static int take_systemd(dl_sockets *sockets) {
  const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
  if (!pid || !count || strtol(pid, NULL, 10) != getpid()) return -1;
  long last = FIRST_PASSED + strtol(count, NULL, 10);
  for (int fd = FIRST_PASSED; fd < last; fd++)
    if (!take(sockets, fd)) return fd;
  sockets->of_systemd = sockets->count > 0;
  return -1;
}

static const char *take_passed(dl_sockets *sockets, char message[256]) {
  const char *list = getenv("DEMILUNE_SOCKETS");
  int refused = list ? take_list(sockets, list) : take_systemd(sockets);
  unsetenv("DEMILUNE_SOCKETS");
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  if (refused < 0) return NULL;
  snprintf(message, 256, "descriptor %d was passed to this program, but is no listening stream socket", refused);
  return message;
}

/* --- by address ---------------------------------------------------------------------------- */

static socklen_t name_of(int fd, struct sockaddr_storage *name) {
  socklen_t length = sizeof *name;
  *name = (struct sockaddr_storage){0};
  return getsockname(fd, (struct sockaddr *)name, &length) == 0 ? length : 0;
}

static bool is_of_same_address(int a, int b) {
  struct sockaddr_storage of_a, of_b;
  socklen_t length = name_of(a, &of_a);
  return length == name_of(b, &of_b) && memcmp(&of_a, &of_b, length) == 0;
}

void dl_sockets_describe(int fd, const char *scheme, char out[DL_PLACE_BYTES]) {
  struct sockaddr_storage name;
  socklen_t length = name_of(fd, &name);
  char host[INET6_ADDRSTRLEN] = "?";
  if (name.ss_family == AF_UNIX) {
    const char *path = ((struct sockaddr_un *)&name)->sun_path;
    int size = (int)(length - offsetof(struct sockaddr_un, sun_path));
    bool is_file = size <= 0 || *path;
    snprintf(out, DL_PLACE_BYTES, "unix:%s%.*s", is_file ? "" : "@", is_file ? size : size - 1, is_file ? path : path + 1);
  } else if (name.ss_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&name;
    inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
    snprintf(out, DL_PLACE_BYTES, "%s://[%s]:%d", scheme, host, ntohs(six->sin6_port));
  } else {
    const struct sockaddr_in *four = (const struct sockaddr_in *)&name;
    inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
    snprintf(out, DL_PLACE_BYTES, "%s://%s:%d", scheme, host, ntohs(four->sin_port));
  }
}

static void group(dl_sockets *sockets) {
  for (size_t i = 0; i < sockets->count; i++) {
    sockets->place[i] = sockets->same[i] = 0;
    for (size_t j = 0; j < sockets->count; j++) {
      if (j != i && !is_of_same_address(sockets->fds[i], sockets->fds[j])) continue;
      sockets->same[i]++;
      if (j < i) sockets->place[i]++;
    }
  }
}

/* --- our own ------------------------------------------------------------------------------ */

static const char *read_address(const char *host, int port, struct sockaddr_storage *address, socklen_t *length, char message[256]) {
  const char *numeric = !host ? "127.0.0.1" : strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
  *length = sizeof(struct sockaddr_in);
  if (uv_ip4_addr(numeric, port, (struct sockaddr_in *)address) == 0) return NULL;
  *length = sizeof(struct sockaddr_in6);
  if (uv_ip6_addr(numeric, port, (struct sockaddr_in6 *)address) == 0) return NULL;
  snprintf(message, 256, "cannot listen on \"%.100s\": write an IPv4 or IPv6 address, such as 127.0.0.1 or ::", host);
  return message;
}

static int bound_socket(const struct sockaddr_storage *address, socklen_t length, bool shared) {
  int yes = 1, fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr *)address, length) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Sockets that share a port would share it with any other program of this user too,
 * which then got half of the connections: first one that shares must succeed. */
static bool somebody_listens(const struct sockaddr_storage *address, socklen_t length) {
  int fd = bound_socket(address, length, false);
  if (fd < 0) return true;
  int listening = listen(fd, 1);
  int error = errno;
  close(fd);
  errno = error;
  return listening != 0;
}

static const char *open_tcp(dl_sockets *sockets, const demilune_options *options, size_t workers, char message[256]) {
  struct sockaddr_storage address = {0};
  socklen_t length;
  char where[140];
  const char *host = options->host ? options->host : "127.0.0.1";
  snprintf(where, sizeof where, strchr(host, ':') ? "[%.120s]:%d" : "%.120s:%d", host, options->port);
  const char *problem = read_address(options->host, options->port, &address, &length, message);
  if (problem) return problem;
  if (options->port && somebody_listens(&address, length)) return complain(message, "listen on", where);
  while (sockets->count < workers) {
    int fd = bound_socket(&address, length, true);
    if (fd < 0) return complain(message, "bind", where);
    sockets->fds[sockets->count++] = fd;
    getsockname(fd, (struct sockaddr *)&address, &length); /* the next ones take the port that the system chose */
    if (listen(fd, BACKLOG) != 0) return complain(message, "listen on", where);
  }
  look_at(sockets, sockets->fds[0]);
  return NULL;
}

static const char *open_unix(dl_sockets *sockets, const demilune_options *options, char message[256]) {
  const char *problem = dl_listener_unix_bind(options->unix_path, &sockets->fds[0], message);
  if (problem) return problem;
  sockets->count = 1;
  sockets->any_unix = true;
  return listen(sockets->fds[0], BACKLOG) == 0 ? NULL : complain(message, "listen on", options->unix_path);
}

const char *dl_sockets_open(dl_sockets *sockets, const demilune_options *options, size_t workers, char message[256]) {
  *sockets = (dl_sockets){0};
  const char *problem = take_passed(sockets, message);
  if (!problem && !sockets->count)
    problem = options->unix_path ? open_unix(sockets, options, message)
                                 : dl_options_explain_port(open_tcp(sockets, options, workers, message), "--port or DEMILUNE_PORT", message);
  group(sockets);
  return problem;
}

/* --- the port without TLS ------------------------------------------------------------------ */

/* "8080", "127.0.0.1:8080", "[::1]:8080". */
static bool split_address(const char *text, const char *host_else, char host[DL_HOST_BYTES], int *port) {
  const char *colon = strrchr(text, ':'), *number = colon ? colon + 1 : text;
  size_t len = colon ? (size_t)(colon - text) : 0;
  char *end;
  long value = strtol(number, &end, 10);
  if (*number < '0' || *number > '9' || *end || value > 65535 || len >= DL_HOST_BYTES) return false;
  if (len > 2 && text[0] == '[' && text[len - 1] == ']') snprintf(host, DL_HOST_BYTES, "%.*s", (int)len - 2, text + 1);
  else if (len) snprintf(host, DL_HOST_BYTES, "%.*s", (int)len, text);
  else snprintf(host, DL_HOST_BYTES, "%s", host_else ? host_else : "127.0.0.1");
  *port = (int)value;
  return true;
}

const char *dl_sockets_redirect_address(const demilune_options *options, char host[DL_HOST_BYTES], int *port, char message[256]) {
  if (split_address(options->http_redirect, options->host, host, port)) return NULL;
  snprintf(message, 256, "--http-redirect=%.100s is not understood; write a port, or an address and a port: 80, 127.0.0.1:80, [::]:80", options->http_redirect);
  return message;
}

const char *dl_sockets_open_redirect(dl_sockets *sockets, const demilune_options *options, size_t workers, char message[256]) {
  char host[DL_HOST_BYTES];
  demilune_options there = {.host = host};
  const char *list = getenv("DEMILUNE_REDIRECT_SOCKETS"), *problem = dl_sockets_redirect_address(options, host, &there.port, message);
  *sockets = (dl_sockets){0};
  if (problem) return problem;
  if (list) take_list(sockets, list);
  unsetenv("DEMILUNE_REDIRECT_SOCKETS");
  if (!sockets->count)
    problem = dl_options_explain_port(open_tcp(sockets, &there, workers, message), "--http-redirect or DEMILUNE_HTTP_REDIRECT", message);
  group(sockets);
  return problem;
}


bool dl_sockets_is_for(const dl_sockets *sockets, size_t socket, size_t index, size_t workers) {
  size_t step = workers < sockets->same[socket] ? workers : sockets->same[socket];
  return sockets->place[socket] % step == index % step;
}

void dl_sockets_write(const dl_sockets *sockets, char *out, size_t room) {
  size_t used = (size_t)snprintf(out, room, "%s", sockets->of_systemd ? OF_SYSTEMD : "");
  for (size_t i = 0; i < sockets->count && used < room; i++) used += (size_t)snprintf(out + used, room - used, i ? ",%d" : "%d", sockets->fds[i]);
}

/* The byte of a TCP header's flags; a segment with SYN is dropped, so that its client
 * tries once more in a second, when the port is closed. */
void dl_sockets_bar(const dl_sockets *sockets) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  for (size_t i = 0; i < sockets->count; i++)
    if (!dl_listener_is_unix(sockets->fds[i])) setsockopt(sockets->fds[i], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void dl_sockets_listen_again(const dl_sockets *sockets) {
  for (size_t i = 0; i < sockets->count; i++) listen(sockets->fds[i], BACKLOG);
}

void dl_sockets_close(dl_sockets *sockets) {
  for (size_t i = 0; i < sockets->count; i++) close(sockets->fds[i]);
  sockets->count = 0;
}
