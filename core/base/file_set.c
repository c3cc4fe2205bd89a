/* SPDX-License-Identifier: MIT */
#include "base/file_set.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 4096, FOLDERS_MAX = 4096, DEPTH_MAX = 16, FILE_BYTES_MAX = 1 << 20, ALL_BYTES_MAX = 64 << 20 };

/* In the memory: a record for each file, its path and its bytes behind it. */
typedef struct record {
  uint32_t path_length, length; /* NAME_ONLY: no bytes */
} record;

static const uint32_t NAME_ONLY = UINT32_MAX;

struct dl_file_set {
  const char *bytes;
  size_t length;
  unsigned holders;
};

/* --- collecting ----------------------------------------------------------------------------- */

typedef struct collector {
  dl_buffer out;
  size_t root_length; /* of the folder's own path */
  unsigned count, folders;
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

bool dl_file_set_wants(const char *name) {
  static const char *const endings[] = {".lua", ".pem", ".key", ".crt", ".json", ".jwk", ".jwks", ".sql"};
  if (strcmp(name, ".env") == 0) return true;
  for (size_t i = 0; *name != '.' && i < sizeof endings / sizeof *endings; i++)
    if (ends_in(name, endings[i])) return true;
  return false;
}

bool dl_file_set_enters(const char *name) { return *name != '.' && strcmp(name, "node_modules") != 0; }

/* Not every file system says what a name is, and a link is what it leads to. */
bool dl_file_set_is_folder(DIR *listing, const struct dirent *entry) {
  struct stat info;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
  return fstatat(dirfd(listing), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

static int open_fitting(const char *path, struct stat *info) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || (fstat(fd, info) == 0 && S_ISREG(info->st_mode) && info->st_size <= FILE_BYTES_MAX)) return fd;
  close(fd);
  return -1;
}

/* What cannot be read is left out: whoever asks for it is told that it is not there. A
 * migration must not be passed over like that: whoever looks for them reads it then. */
static bool add_file(collector *all, const char *path) {
  struct stat info;
  int fd = open_fitting(path, &info);
  if (fd < 0 && !ends_in(path, ".sql")) return true;
  if (fd < 0) info.st_size = 0;
  const char *name = path + all->root_length + 1;
  record head = {(uint32_t)strlen(name), NAME_ONLY};
  size_t begin = all->out.len;
  dl_buffer_append(&all->out, (const char *)&head, sizeof head);
  dl_buffer_append(&all->out, name, head.path_length);
  char *room = dl_malloc((size_t)info.st_size + 1);
  ssize_t got, done = 0;
  while (done < info.st_size && (got = read(fd, room + done, (size_t)(info.st_size - done))) > 0) done += got;
  if (fd >= 0) close(fd);
  if (fd >= 0) head.length = (uint32_t)done;
  memcpy(all->out.data + begin, &head, sizeof head);
  dl_buffer_append(&all->out, room, (size_t)done);
  dl_free(room);
  if (++all->count > FILES_MAX)
    return fail(all, "the app's folder holds more than 4,096 files that an app can load; move what is not the app's elsewhere");
  if (all->out.len > ALL_BYTES_MAX)
    return fail(all, "the app's folder holds more than 64 MiB of files that an app can load; move what is not the app's elsewhere");
  return true;
}

/* A folder that is being read, and those around it. */
typedef struct place {
  const struct place *around;
  dev_t device;
  ino_t inode;
  int depth;
} place;

/* A link may lead to a folder that it lies in. */
static bool is_within(const place *here, const struct stat *info) {
  for (; here; here = here->around)
    if (here->device == info->st_dev && here->inode == info->st_ino) return true;
  return false;
}

static bool add_folder(collector *all, const char *folder, const place *around) {
  char path[PATH_MAX];
  struct stat info;
  struct dirent *entry;
  if (stat(folder, &info) != 0 || is_within(around, &info)) return true;
  if (++all->folders > FOLDERS_MAX)
    return fail(all, "the app's folder holds more than 4,096 folders; move what is not the app's elsewhere, and links to such folders");
  place here = {around, info.st_dev, info.st_ino, around ? around->depth + 1 : 0};
  bool ok = true;
  DIR *listing = here.depth <= DEPTH_MAX ? opendir(folder) : NULL;
  while (ok && listing && (entry = readdir(listing))) {
    if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path) continue;
    if (dl_file_set_is_folder(listing, entry)) ok = !dl_file_set_enters(entry->d_name) || add_folder(all, path, &here);
    else if (dl_file_set_wants(entry->d_name)) ok = add_file(all, path);
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
  int fd = add_folder(&all, folder, NULL) ? seal(&all.out, message) : -1;
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
  *set = (dl_file_set){bytes, (size_t)info.st_size, 1};
  return set;
}

/* The record at *at, which is moved behind it. */
static bool read_record(const dl_file_set *set, size_t *at, dl_str *path, dl_str *bytes) {
  record head;
  if (set->length - *at < sizeof head) return false;
  memcpy(&head, set->bytes + *at, sizeof head);
  size_t begin = *at + sizeof head, left = set->length - begin, length = head.length == NAME_ONLY ? 0 : head.length;
  if (head.path_length > left || length > left - head.path_length) return false;
  *path = dl_str_from(set->bytes + begin, head.path_length);
  *bytes = head.length == NAME_ONLY ? (dl_str){0} : dl_str_from(path->ptr + path->len, length);
  *at = begin + path->len + length;
  return true;
}

dl_str dl_file_set_get(const dl_file_set *set, dl_str path) {
  dl_str each, bytes;
  for (size_t at = 0; read_record(set, &at, &each, &bytes);)
    if (dl_str_equal(each, path)) return bytes;
  return (dl_str){0};
}

bool dl_file_set_next(const dl_file_set *set, dl_str folder, size_t *at, dl_str *name) {
  dl_str path, bytes;
  while (read_record(set, at, &path, &bytes)) {
    if (path.len <= folder.len || !dl_str_starts(path, folder) || path.ptr[folder.len] != '/') continue;
    *name = dl_str_skip(path, folder.len + 1);
    if (!memchr(name->ptr, '/', name->len)) return true;
  }
  return false;
}

dl_file_set *dl_file_set_hold(dl_file_set *set) {
  if (set) set->holders++;
  return set;
}

void dl_file_set_free(dl_file_set *set) {
  if (!set || --set->holders) return;
  if (set->bytes) munmap((void *)(uintptr_t)set->bytes, set->length);
  dl_free(set);
}
