/* SPDX-License-Identifier: MIT */
#include "base/file_set.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 4096, DEPTH_MAX = 16, FILE_BYTES_MAX = 1 << 20, ALL_BYTES_MAX = 64 << 20 };

/* In the memory: a record for each file, its path and its bytes behind it. */
typedef struct record {
  uint32_t path_length, length;
} record;

struct dl_file_set {
  const char *bytes;
  size_t length;
};

/* --- collecting ----------------------------------------------------------------------------- */

typedef struct collector {
  dl_buffer out;
  size_t root_length; /* of the folder's own path */
  unsigned count;
  char *message;
} collector;

static bool fail(collector *all, const char *what) {
  if (!*all->message) snprintf(all->message, 256, "%s", what);
  return false;
}

static bool ends_in(const char *name, const char *ending) {
  size_t length = strlen(name), tail = strlen(ending);
  return length > tail && strcmp(name + length - tail, ending) == 0;
}

static bool is_wanted(const char *name) {
  static const char *const endings[] = {".lua", ".pem", ".key", ".crt", ".json", ".jwk", ".jwks"};
  if (strcmp(name, ".env") == 0) return true;
  for (size_t i = 0; *name != '.' && i < sizeof endings / sizeof *endings; i++)
    if (ends_in(name, endings[i])) return true;
  return false;
}

/* What cannot be read is left out: whoever asks for it is told that it is not there. */
static bool add_file(collector *all, const char *path) {
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return true;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_BYTES_MAX) {
    close(fd);
    return true;
  }
  const char *name = path + all->root_length + 1;
  record head = {(uint32_t)strlen(name), (uint32_t)info.st_size};
  size_t begin = all->out.len;
  dl_buffer_append(&all->out, (const char *)&head, sizeof head);
  dl_buffer_append(&all->out, name, head.path_length);
  char *room = dl_malloc((size_t)info.st_size + 1);
  ssize_t got, done = 0;
  while (done < info.st_size && (got = read(fd, room + done, (size_t)(info.st_size - done))) > 0) done += got;
  close(fd);
  head.length = (uint32_t)done;
  memcpy(all->out.data + begin, &head, sizeof head);
  dl_buffer_append(&all->out, room, (size_t)done);
  dl_free(room);
  if (++all->count > FILES_MAX) return fail(all, "the app's folder holds more than 4,096 files that an app can load; move what is not the app's elsewhere");
  if (all->out.len > ALL_BYTES_MAX) return fail(all, "the app's folder holds more than 64 MiB of files that an app can load; move what is not the app's elsewhere");
  return true;
}

static bool add_folder(collector *all, const char *folder, int depth) {
  char path[PATH_MAX];
  struct dirent *entry;
  bool ok = true;
  DIR *listing = depth <= DEPTH_MAX ? opendir(folder) : NULL;
  while (ok && listing && (entry = readdir(listing))) {
    if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path) continue;
    bool is_folder = entry->d_type == DT_DIR;
    if (is_folder && *entry->d_name != '.' && strcmp(entry->d_name, "node_modules") != 0) ok = add_folder(all, path, depth + 1);
    else if (!is_folder && is_wanted(entry->d_name)) ok = add_file(all, path);
  }
  if (listing) closedir(listing);
  return ok;
}

/* Sealed: nobody who is given it changes what the others read. */
static int seal(const dl_buffer *bytes, char message[256]) {
  int fd = memfd_create("demilune-app", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  size_t done = 0;
  while (fd >= 0 && done < bytes->len) {
    ssize_t wrote = write(fd, bytes->data + done, bytes->len - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      close(fd);
      fd = -1;
      break;
    }
    done += (size_t)wrote;
  }
  if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0) return fd;
  if (fd >= 0) close(fd);
  snprintf(message, 256, "the system has no memory for the app's files: %s", strerror(errno));
  return -1;
}

int dl_file_set_collect(const char *folder, char message[256]) {
  collector all = {.root_length = strlen(folder), .message = message};
  *message = 0;
  int fd = add_folder(&all, folder, 0) ? seal(&all.out, message) : -1;
  dl_buffer_free(&all.out);
  return fd;
}

/* --- reading -------------------------------------------------------------------------------- */

dl_file_set *dl_file_set_open(int fd) {
  struct stat info;
  void *bytes = NULL;
  if (fstat(fd, &info) != 0) return NULL;
  if (info.st_size > 0) bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) return NULL;
  dl_file_set *set = dl_malloc(sizeof *set);
  *set = (dl_file_set){bytes, (size_t)info.st_size};
  return set;
}

dl_str dl_file_set_get(const dl_file_set *set, dl_str path) {
  for (size_t at = 0; at + sizeof(record) <= set->length;) {
    record head;
    memcpy(&head, set->bytes + at, sizeof head);
    at += sizeof head;
    if (head.path_length > set->length - at || head.length > set->length - at - head.path_length) break;
    if (dl_str_equal(dl_str_from(set->bytes + at, head.path_length), path)) return dl_str_from(set->bytes + at + head.path_length, head.length);
    at += head.path_length + head.length;
  }
  return (dl_str){0};
}

void dl_file_set_free(dl_file_set *set) {
  if (!set) return;
  if (set->bytes) munmap((void *)(uintptr_t)set->bytes, set->length);
  dl_free(set);
}
