/* SPDX-License-Identifier: MIT */
/*
 * What comes from our own processes, of which one may have been taken over: the first
 * byte chooses. "m": a message on the channel between master and worker, as the bytes
 * lie in the packet, with as many descriptors as the second byte says. "c": a question
 * on the control socket. "f": an app's files as one piece of memory, with the path that
 * is asked for behind a NUL. Nothing is taken that is not whole, and no descriptor
 * stays open.
 */
#include "fuzz.h"

#include "base/file_set.h"
#include "base/memory.h"
#include "server/channel.h"
#include "server/control.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 4 };

/* The number of the last of some new descriptors: the same before and after, or one is left open. */
static int last_descriptor(void) {
  int fds[DESCRIPTORS_MAX + 2];
  for (int i = 0; i < DESCRIPTORS_MAX + 2; i++) fds[i] = dup(0);
  for (int i = 0; i < DESCRIPTORS_MAX + 2; i++) require(fds[i] >= 0 && close(fds[i]) == 0, "there are descriptors");
  return fds[DESCRIPTORS_MAX + 1];
}

/* --- channel ---------------------------------------------------------------------------- */

static void send_packet(int channel, dl_str bytes, size_t descriptors) {
  union {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
  } room;
  struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};
  struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptors) {
    memset(&room, 0, sizeof room);
    packet.msg_control = room.bytes;
    packet.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
    *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(descriptors * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    for (size_t i = 0; i < descriptors; i++) memcpy(CMSG_DATA(head) + i * sizeof(int), &(int){channel}, sizeof(int));
  }
  require(sendmsg(channel, &packet, MSG_NOSIGNAL) == (ssize_t)bytes.len, "a packet is sent");
}

static void check_message(dl_str bytes, size_t descriptors) {
  static dl_message message;
  int ends[2], fd;
  uint32_t length = 0;
  require(dl_channel_open(ends), "there are channels");
  send_packet(ends[0], bytes, descriptors);
  if (bytes.len >= 8) memcpy(&length, bytes.ptr + 4, sizeof length);
  int before = last_descriptor();
  bool whole = bytes.len >= 16 && length <= bytes.len - 16 && length < DL_MESSAGE_TEXT_BYTES;
  require((dl_channel_receive(ends[1], &message, &fd) == 1) == whole, "a message is taken when it is whole");
  if (whole)
    require(message.length == length && memcmp(message.text, bytes.ptr + 16, length) == 0 && message.text[length] == 0, "the text is what was sent");
  require((fd >= 0) == (descriptors > 0), "a descriptor that came is given");
  if (fd >= 0) close(fd);
  require(last_descriptor() == before, "no descriptor is left over");
  close(ends[0]);
  close(ends[1]);
}

/* --- control ------------------------------------------------------------------------------ */

static void check_question(dl_str bytes, bool busy) {
  static dl_control control = {.fd = -1, .folder = "/srv/app"};
  char answer[64];
  int ends[2];
  require(dl_channel_open(ends), "there are channels");
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++) control.clients[i].fd = -1;
  dl_control_client *client = &control.clients[0];
  client->fd = ends[1];
  require(send(ends[0], bytes.ptr, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len, "a question is sent");
  bool reloads = dl_control_read(&control, client, busy), folder = bytes.len == 6 && memcmp(bytes.ptr, "folder", 6) == 0;
  if (reloads) {
    require(bytes.len >= 6 && memcmp(bytes.ptr, "reload", 6) == 0 && (bytes.len == 6 || bytes.ptr[6] == 0), "only who asks for a reload gets one");
    require(client->waits == !busy && client->later == busy, "who comes while a reload is under way waits for the next");
  }
  if (folder) require(recv(ends[0], answer, sizeof answer, 0) == 8 && memcmp(answer, "/srv/app", 8) == 0, "the folder is answered");
  dl_control_answer(&control, "+done", true);
  dl_control_answer(&control, "+done", false);
  if (reloads) require(recv(ends[0], answer, sizeof answer, 0) == 5 && client->fd < 0, "a reload is answered once");
  dl_control_close(&control);
  close(ends[0]);
}

/* --- files ---------------------------------------------------------------------------------- */

static void check_files(dl_str bytes) {
  dl_str path = take_until(&bytes, 0);
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  require(fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len, "there is memory for files");
  dl_file_set *set = dl_file_set_open(fd);
  close(fd);
  require(set != NULL, "memory is mapped");
  dl_str found = dl_file_set_get(set, path);
  require(found.len <= bytes.len, "a file lies inside the memory");
  if (found.len) {
    char *copy = exact_copy(found); /* every byte of it can be read */
    require(memmem(bytes.ptr, bytes.len, copy, found.len) != NULL, "a file's bytes are those of the memory");
    free(copy);
  }
  dl_str name;
  for (size_t at = 0; dl_file_set_next(set, path, &at, &name);) require(at <= bytes.len && name.len < bytes.len, "names lie inside the memory");
  dl_file_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3 || size > 20000) return 0;
  dl_str rest = dl_str_from((const char *)data + 2, size - 2);
  if (data[0] == 'm') check_message(rest, data[1] % (DESCRIPTORS_MAX + 1));
  if (data[0] == 'c') check_question(rest, data[1] & 1);
  if (data[0] == 'f') check_files(rest);
  return 0;
}
