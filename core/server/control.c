/* SPDX-License-Identifier: MIT */
#include "server/control.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char name_prefix[] = "demilune.";

enum {
  PATIENCE_S = 5,      /* with another process that may be a master */
  LISTENS = 0x00010000 /* of the flags in /proc/net/unix: not a connection to such a socket, which has its name too */
};

static socklen_t write_name(struct sockaddr_un *address, unsigned user, long pid) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "%s%u.%ld", name_prefix, user, pid);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

/* --- the master's side --------------------------------------------------------------------- */

void dl_control_open(dl_control *control, const char *folder) {
  struct sockaddr_un address;
  char real[PATH_MAX];
  socklen_t length = write_name(&address, (unsigned)geteuid(), (long)getpid());
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++) control->clients[i] = (dl_control_client){.fd = -1};
  snprintf(control->folder, sizeof control->folder, "%s", realpath(folder, real) ? real : folder);
  control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (control->fd < 0) return;
  if (bind(control->fd, (struct sockaddr *)&address, length) == 0 && listen(control->fd, DL_CONTROL_CLIENTS_MAX) == 0) return;
  close(control->fd);
  control->fd = -1;
}

static bool is_allowed(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* A message of its own, whole or not at all. */
static bool say(int fd, const char *text) {
  ssize_t sent;
  do sent = send(fd, text, strlen(text), MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

static dl_control_client *free_place(dl_control *control) {
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++)
    if (control->clients[i].fd < 0) return &control->clients[i];
  return NULL;
}

bool dl_control_has_room(dl_control *control) { return control->fd >= 0 && free_place(control); }

void dl_control_accept(dl_control *control) {
  while (dl_control_has_room(control)) {
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (is_allowed(fd)) *free_place(control) = (dl_control_client){.fd = fd};
    else close(fd);
  }
}

static void let_go(dl_control_client *client) {
  close(client->fd);
  *client = (dl_control_client){.fd = -1};
}

bool dl_control_read(dl_control *control, dl_control_client *client, bool busy) {
  char question[64];
  ssize_t length = recv(client->fd, question, sizeof question - 1, 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  question[length > 0 ? length : 0] = 0;
  if (strcmp(question, "folder") == 0) {
    if (!say(client->fd, control->folder)) let_go(client);
    return false;
  }
  if (strcmp(question, "reload") != 0) {
    let_go(client);
    return false;
  }
  client->waits = !busy;
  client->later = busy;
  return true;
}

void dl_control_answer(dl_control *control, const char *outcome, bool again) {
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++) {
    dl_control_client *client = &control->clients[i];
    if (client->waits) {
      say(client->fd, outcome); /* who left needs no answer */
      let_go(client);
    } else if (client->later && again) {
      client->waits = true;
      client->later = false;
    }
  }
}

void dl_control_close(dl_control *control) {
  if (control->fd >= 0) close(control->fd);
  control->fd = -1;
  for (size_t i = 0; i < DL_CONTROL_CLIENTS_MAX; i++)
    if (control->clients[i].fd >= 0) let_go(&control->clients[i]);
}

/* --- the asking side -------------------------------------------------------------------------- */

typedef struct found {
  long pids[DL_CONTROL_CLIENTS_MAX];
  int count;
} found;

/* Whether who listens is who the name says: anybody can take a name. */
static bool is_genuine(int fd, unsigned user, long pid) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == user && peer.pid == pid;
}

/* Anybody may take a name and then let everybody wait, and so does a server that is stopped: connecting, or the answer, fails after that time. */
static void bound(int fd, int option) { setsockopt(fd, SOL_SOCKET, option, &(struct timeval){.tv_sec = PATIENCE_S}, sizeof(struct timeval)); }

static int connect_to(unsigned user, long pid) {
  struct sockaddr_un address;
  socklen_t length = write_name(&address, user, pid);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bound(fd, SO_SNDTIMEO);
  if (connect(fd, (struct sockaddr *)&address, length) == 0 && is_genuine(fd, user, pid)) return fd;
  close(fd);
  return -1;
}

static ssize_t ask(int fd, const char *question, char *answer, size_t room) {
  if (!say(fd, question)) return -1;
  ssize_t length = recv(fd, answer, room - 1, 0);
  if (length >= 0) answer[length] = 0;
  return length;
}

static bool is_there(unsigned user, long pid) {
  int fd = connect_to(user, pid);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static bool serves(unsigned user, long pid, const char *folder) {
  char answer[PATH_MAX];
  int fd = connect_to(user, pid);
  if (fd < 0) return false;
  bound(fd, SO_RCVTIMEO);
  bool same = ask(fd, "folder", answer, sizeof answer) > 0 && strcmp(answer, folder) == 0;
  close(fd);
  return same;
}

/* Those who answer to us: anybody else could say that he serves the folder, and so keep us from who does. */
static bool may_ask(unsigned owner) { return geteuid() == 0 || owner == geteuid(); }

/* Every master of anybody's has a line in /proc/net/unix, which a service that sees nothing but processes
 * there does not see: one of ours that is named needs no looking up. */
static void find(found *out, const char *folder, long pid, unsigned *user) {
  char line[512];
  if (pid && is_there(geteuid(), pid)) {
    *out = (found){.pids = {pid}, .count = 1};
    *user = geteuid();
    return;
  }
  FILE *list = fopen("/proc/net/unix", "re");
  while (list && fgets(line, sizeof line, list)) {
    unsigned owner, flags;
    long master;
    const char *name = strchr(line, '@');
    if (!name || strncmp(name + 1, name_prefix, sizeof name_prefix - 1) != 0) continue;
    if (sscanf(name + 1 + sizeof name_prefix - 1, "%u.%ld", &owner, &master) != 2) continue;
    if (sscanf(line, "%*s %*s %*s %x", &flags) != 1 || !(flags & LISTENS) || !may_ask(owner)) continue;
    if (pid ? master != pid || !is_there(owner, master) : !serves(owner, master, folder)) continue;
    bool known = false;
    for (int i = 0; i < out->count; i++) known = known || out->pids[i] == master;
    if (known || out->count == DL_CONTROL_CLIENTS_MAX) continue;
    out->pids[out->count++] = master;
    *user = owner;
  }
  if (list) fclose(list);
}

static int tell_how_many(const found *masters, const char *folder, long pid) {
  if (masters->count == 0 && pid) {
    fprintf(stderr, "demilune reload: process %ld is no demilune server of yours\n", pid);
  } else if (masters->count == 0) {
    fprintf(stderr, "demilune reload: nothing of yours serves %s; name the app's folder, or the process: --pid NUMBER\n", folder);
  } else {
    fprintf(stderr, "demilune reload: several servers serve %s; name one of them:", folder);
    for (int i = 0; i < masters->count; i++) fprintf(stderr, " --pid %ld", masters->pids[i]);
    fputc('\n', stderr);
  }
  return 1;
}

int dl_control_ask_reload(const char *folder, long pid) {
  char real[PATH_MAX], answer[DL_CONTROL_ANSWER_BYTES];
  found masters = {0};
  unsigned user = 0;
  if (!realpath(folder, real)) {
    fprintf(stderr, "demilune reload: %s: %s\n", folder, strerror(errno));
    return 1;
  }
  find(&masters, real, pid, &user);
  if (masters.count != 1) return tell_how_many(&masters, real, pid);
  int fd = connect_to(user, masters.pids[0]);
  ssize_t length = fd < 0 ? -1 : ask(fd, "reload", answer, sizeof answer);
  if (fd >= 0) close(fd);
  if (length <= 0) {
    fprintf(stderr, "demilune reload: the server ended, or is not yours to reload\n");
    return 1;
  }
  fprintf(*answer == '+' ? stdout : stderr, "demilune: %s%s\n", *answer == '-' ? "not reloaded: " : "", answer + 1);
  return *answer == '+' ? 0 : 1;
}
