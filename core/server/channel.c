/* SPDX-License-Identifier: MIT */
#include "server/channel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES = 16 };
_Static_assert(offsetof(dl_message, text) == HEAD_BYTES, "the head of a message is sent as it lies in memory");

bool dl_channel_open(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0; }

typedef union control_room {
  struct cmsghdr head;
  char bytes[CMSG_SPACE(sizeof(int))];
} control_room;

static void attach(struct msghdr *packet, control_room *room, int fd) {
  memset(room, 0, sizeof *room);
  packet->msg_control = room->bytes;
  packet->msg_controllen = sizeof room->bytes;
  struct cmsghdr *head = CMSG_FIRSTHDR(packet);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
}

bool dl_channel_send(int channel, dl_message_kind kind, uint64_t number, const char *text, int fd) {
  size_t length = text ? strlen(text) : 0;
  if (length >= DL_MESSAGE_TEXT_BYTES) length = DL_MESSAGE_TEXT_BYTES - 1;
  struct {
    uint32_t kind, length;
    uint64_t number;
  } head = {(uint32_t)kind, (uint32_t)length, number};
  struct iovec parts[2] = {{&head, HEAD_BYTES}, {(void *)(uintptr_t)text, length}};
  struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
  control_room room;
  if (fd >= 0) attach(&packet, &room, fd);
  ssize_t sent;
  do sent = sendmsg(channel, &packet, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

int dl_channel_receive(int channel, dl_message *message, int *fd) {
  struct iovec part = {message, sizeof *message - 1};
  control_room room;
  /* CMSG_SPACE has room for two: whoever sent two would leave one open here. */
  struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = CMSG_LEN(sizeof(int))};
  ssize_t count;
  *fd = -1;
  do count = recvmsg(channel, &packet, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN ? 0 : -1;
  for (struct cmsghdr *head = CMSG_FIRSTHDR(&packet); head; head = CMSG_NXTHDR(&packet, head))
    if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(head), sizeof *fd);
  if (count < HEAD_BYTES || message->length > (size_t)count - HEAD_BYTES) return -1;
  message->text[message->length] = 0;
  return 1;
}
