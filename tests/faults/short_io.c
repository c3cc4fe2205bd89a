/* SPDX-License-Identifier: MIT */
/*
 * Input and output at their least obliging, preloaded into the real program: what POSIX
 * lets happen and a quiet machine never shows. By a sequence that $SHORT_IO seeds,
 * calls return EINTR, take or give less than they were asked to, and say EAGAIN where
 * the descriptor does not block. Kept to what a kernel may do: a packet is whole, a
 * small write to a pipe is whole and EAGAIN from a pipe means that it is full, an eventfd
 * is neither; a regular file interrupts nobody but may take less.
 *
 * $SHORT_IO_BROKEN breaks connections as well: one in so many writes to a stream
 * gets EPIPE or ECONNRESET, and from then on that is what its peer sees too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t seed, broken_in;
static _Atomic uint64_t turn;

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("SHORT_IO"), *broken = getenv("SHORT_IO_BROKEN");
  seed = text ? strtoull(text, NULL, 10) : 0;
  broken_in = broken ? strtoull(broken, NULL, 10) : 0;
}

/* The function of that name behind ours, as real_NAME. */
#define NEXT(name)                                                                                                                                   \
  static __typeof__(&name) real_##name;                                                                                                              \
  if (!real_##name) {                                                                                                                                \
    void *found = dlsym(RTLD_NEXT, #name);                                                                                                           \
    memcpy(&real_##name, &found, sizeof found);                                                                                                      \
  }

/* --- what happens to a call ------------------------------------------------------------ */

typedef enum kind { OTHER, STREAM, PIPE, REGULAR } kind;

static kind kind_of(int fd) {
  struct stat what;
  int type;
  socklen_t size = sizeof type;
  if (!seed || fstat(fd, &what) != 0) return OTHER;
  if (S_ISREG(what.st_mode)) return REGULAR;
  if (S_ISFIFO(what.st_mode)) return PIPE;
  if (!S_ISSOCK(what.st_mode) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return OTHER;
  return type == SOCK_STREAM ? STREAM : OTHER;
}

/* splitmix64 of the seed and the number of the call. */
static uint64_t draw(void) {
  uint64_t x = seed + ++turn * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static bool one_in(uint64_t count) { return seed && count && draw() % count == 0; }

static bool interrupted(void) {
  if (!one_in(6)) return false;
  errno = EINTR;
  return true;
}

static bool not_ready(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || !(flags & O_NONBLOCK) || !one_in(6)) return false;
  errno = EAGAIN;
  return true;
}

static bool breaks(int fd) {
  if (!one_in(broken_in)) return false;
  shutdown(fd, SHUT_RDWR);
  errno = draw() & 1 ? EPIPE : ECONNRESET;
  return true;
}

static bool refuses_read(int fd, kind what) { return what == OTHER || what == REGULAR ? false : interrupted() || (what == STREAM && not_ready(fd)); }
static bool refuses_write(int fd, kind what) { return what == STREAM ? interrupted() || not_ready(fd) || breaks(fd) : what == PIPE && interrupted(); }

/* How much of it, at least one byte. */
static size_t some(size_t bytes) { return bytes > 1 && one_in(3) ? 1 + draw() % (bytes - 1) : bytes; }
/* A pipe gives what small writes put there piece by piece whole, where there is room for it; libuv's pipe of signals relies on that. */
static size_t some_read(kind what, size_t bytes) { return what == OTHER || what == PIPE ? bytes : some(bytes); }
static size_t some_write(kind what, size_t bytes) { return what == OTHER || (what == PIPE && bytes <= PIPE_BUF) ? bytes : some(bytes); }

/* The first so many bytes of several pieces: how many pieces that are, the last cut. */
static int cut(struct iovec *out, const struct iovec *pieces, int count, kind what, bool writes) {
  size_t total = 0, left;
  for (int i = 0; i < count; i++) total += pieces[i].iov_len;
  left = writes ? some_write(what, total) : some_read(what, total);
  for (int i = 0; i < count; i++) {
    out[i] = pieces[i];
    if (out[i].iov_len >= left) {
      out[i].iov_len = left;
      return i + 1;
    }
    left -= out[i].iov_len;
  }
  return count;
}

/* --- reading ------------------------------------------------------------------------------ */

ssize_t read(int fd, void *bytes, size_t len) {
  NEXT(read)
  kind what = kind_of(fd);
  return refuses_read(fd, what) ? -1 : real_read(fd, bytes, some_read(what, len));
}

ssize_t recv(int fd, void *bytes, size_t len, int flags) {
  NEXT(recv)
  kind what = kind_of(fd);
  return refuses_read(fd, what) ? -1 : real_recv(fd, bytes, some_read(what, len), flags);
}

ssize_t readv(int fd, const struct iovec *pieces, int count) {
  NEXT(readv)
  struct iovec fewer[IOV_MAX];
  kind what = kind_of(fd);
  if (refuses_read(fd, what)) return -1;
  if (count <= 0 || count > IOV_MAX) return real_readv(fd, pieces, count);
  return real_readv(fd, fewer, cut(fewer, pieces, count, what, false));
}

/* Packets between master and workers come here, descriptors with them: whole, but not at once. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  NEXT(recvmsg)
  if (interrupted() || not_ready(fd)) return -1;
  return real_recvmsg(fd, message, flags);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t at) {
  NEXT(pread64)
  return real_pread64(fd, bytes, some_read(kind_of(fd), len), at);
}

/* --- writing ------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *bytes, size_t len) {
  NEXT(write)
  kind what = kind_of(fd);
  return refuses_write(fd, what) ? -1 : real_write(fd, bytes, some_write(what, len));
}

ssize_t send(int fd, const void *bytes, size_t len, int flags) {
  NEXT(send)
  kind what = kind_of(fd);
  return refuses_write(fd, what) ? -1 : real_send(fd, bytes, some_write(what, len), flags);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
  NEXT(writev)
  struct iovec fewer[IOV_MAX];
  kind what = kind_of(fd);
  if (refuses_write(fd, what)) return -1;
  if (count <= 0 || count > IOV_MAX) return real_writev(fd, pieces, count);
  return real_writev(fd, fewer, cut(fewer, pieces, count, what, true));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  NEXT(sendmsg)
  struct iovec fewer[IOV_MAX];
  struct msghdr less = *message;
  kind what = kind_of(fd);
  if (what == OTHER) return interrupted() ? -1 : real_sendmsg(fd, message, flags);
  if (refuses_write(fd, what)) return -1;
  if (message->msg_iovlen == 0 || message->msg_iovlen > IOV_MAX) return real_sendmsg(fd, message, flags);
  less.msg_iovlen = (size_t)cut(fewer, message->msg_iov, (int)message->msg_iovlen, what, true);
  less.msg_iov = fewer;
  return real_sendmsg(fd, &less, flags);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
  NEXT(pwrite64)
  return real_pwrite64(fd, bytes, some_write(kind_of(fd), len), at);
}

/* --- waiting and connecting -------------------------------------------------------------------- */

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags) {
  NEXT(accept4)
  if (interrupted() || not_ready(fd)) return -1;
  return real_accept4(fd, address, size, flags);
}

/* What is ready stays so: those that are left out come the next time. */
int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask) {
  NEXT(epoll_pwait)
  if (interrupted()) return -1;
  return real_epoll_pwait(fd, events, count > 1 && one_in(3) ? 1 : count, timeout, mask);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout) {
  NEXT(epoll_wait)
  if (interrupted()) return -1;
  return real_epoll_wait(fd, events, count > 1 && one_in(3) ? 1 : count, timeout);
}

int poll(struct pollfd *watched, nfds_t count, int timeout) {
  NEXT(poll)
  return interrupted() ? -1 : real_poll(watched, count, timeout);
}

/* As poll, in programs that were built with checks of bounds. */
int __poll_chk(struct pollfd *watched, nfds_t count, int timeout, size_t bytes) {
  if (bytes / sizeof *watched < count) abort();
  return poll(watched, count, timeout);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  NEXT(connect)
  return interrupted() ? -1 : real_connect(fd, address, size);
}
