/* SPDX-License-Identifier: MIT */
/*
 * A client of a server in the fuzzer's own process, which plays one connection with
 * it: what it sends, in pieces, and what comes back until the end.
 */
#ifndef DL_TESTS_CLIENT_H
#define DL_TESTS_CLIENT_H

#include "fuzz.h"

#include "base/buffer.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { TURNS_MAX = 20000 };

/* False at the end of the stream, or when the server reset the connection. */
static inline bool take(int fd, dl_buffer *received) {
  char bytes[16384];
  ssize_t got = recv(fd, bytes, sizeof bytes, 0);
  if (got > 0) dl_buffer_append(received, bytes, (size_t)got);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN));
}

/* Sends all bytes, piece by piece, says that no more will come, and takes what is
 * answered until the server, on the loop uv, closes. */
static inline void play(uv_loop_t *uv, int fd, dl_str bytes, size_t piece, dl_buffer *received) {
  bool open = true, shut = false;
  for (int turn = 0; open; turn++) {
    require(turn < TURNS_MAX, "the server answers, or closes");
    if (bytes.len) {
      ssize_t sent = send(fd, bytes.ptr, bytes.len < piece ? bytes.len : piece, MSG_NOSIGNAL);
      if (sent > 0) bytes = dl_str_skip(bytes, (size_t)sent);
      else if (errno != EAGAIN && errno != ENOTCONN) bytes.len = 0;
    } else if (!shut) {
      shut = shutdown(fd, SHUT_WR) == 0 || errno != ENOTCONN;
    }
    uv_run(uv, UV_RUN_NOWAIT);
    if (shut) poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1);
    open = take(fd, received);
  }
}

#endif
