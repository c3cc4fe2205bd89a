/* SPDX-License-Identifier: MIT */
#include "net/tls_material.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(char *message, const char *what, const char *name, const char *why) {
  snprintf(message, DL_TLS_MESSAGE_BYTES, "cannot read the %s %.300s: %s", what, name, why);
  return false;
}

/* The size is not asked beforehand: a credential may come through a pipe. */
static ssize_t read_all(int fd, char *bytes, size_t size) {
  size_t len = 0;
  while (len < size) {
    ssize_t got = read(fd, bytes + len, size - len);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    len += (size_t)got;
  }
  return (ssize_t)len;
}

static void wipe(char *bytes, size_t len) {
  if (bytes) explicit_bzero(bytes, len);
  dl_free(bytes);
}

static bool take_bytes(const char *what, int fd, dl_tls_file *file, char *message) {
  char *bytes = dl_malloc(DL_TLS_FILE_BYTES_MAX + 1);
  ssize_t len = read_all(fd, bytes, DL_TLS_FILE_BYTES_MAX + 1);
  bool ok = len > 0 && len <= DL_TLS_FILE_BYTES_MAX;
  if (ok) {
    file->len = (size_t)len;
    file->bytes = dl_malloc(file->len);
    memcpy(file->bytes, bytes, file->len);
  } else {
    complain(message, what, file->name, len < 0 ? strerror(errno) : len == 0 ? "it is empty" : "it has more than a mebibyte; is it the right file?");
  }
  wipe(bytes, len > 0 ? (size_t)len : 0);
  return ok;
}

static bool read_file(const char *what, const char *name, bool secret, dl_tls_file *file, dl_log *log, char *message) {
  struct stat info;
  int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return complain(message, what, name, strerror(errno));
  file->name = dl_strdup(name);
  if (secret && log && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH))
    dl_log_text(log, DL_LOG_WARNING, "every user of this machine can read the key %s: chmod 600 it, and give its owner or group alone the right", name);
  bool ok = take_bytes(what, fd, file, message);
  close(fd);
  return ok;
}

static bool read_list(const char *what, const char *const *names, bool secret, dl_tls_file *files, size_t *count, dl_log *log, char *message) {
  for (*count = 0; names && *count < DL_TLS_FILES_MAX && names[*count]; ++*count)
    if (!read_file(what, names[*count], secret, &files[*count], log, message)) return false;
  return true;
}

static bool read_everything(const dl_tls_files *names, dl_tls_material *out, dl_log *log, char *message) {
  size_t keys = 0;
  if (!read_list("certificate", names->certificates, false, out->certificates, &out->pair_count, log, message)) return false;
  if (!read_list("key", names->keys, true, out->keys, &keys, log, message)) return false;
  if (keys != out->pair_count) {
    snprintf(message, DL_TLS_MESSAGE_BYTES, "%zu times --tls-cert and %zu times --tls-key: give one key for each certificate, in the same order", out->pair_count, keys);
    return false;
  }
  if (!read_list("OCSP response", names->staples, false, out->staples, &out->staple_count, log, message)) return false;
  return !names->client_ca || read_file("client CA", names->client_ca, false, &out->client_ca, log, message);
}

bool dl_tls_material_read(const dl_tls_files *files, dl_tls_material *out, dl_log *log, char message[DL_TLS_MESSAGE_BYTES]) {
  *out = (dl_tls_material){0};
  if (read_everything(files, out, log, message)) return true;
  dl_tls_material_free(out);
  return false;
}

/* --- handing on ------------------------------------------------------------------------ */

/* A row for each list, in the order in which they are packed. */
typedef struct file_list {
  dl_tls_file *files;
  size_t *count;
} file_list;

enum { LISTS = 4 };

static void lists_of(dl_tls_material *material, size_t *key_count, size_t *ca_count, file_list out[LISTS]) {
  out[0] = (file_list){material->certificates, &material->pair_count};
  out[1] = (file_list){material->keys, key_count};
  out[2] = (file_list){material->staples, &material->staple_count};
  out[3] = (file_list){&material->client_ca, ca_count};
}

static bool write_all(int fd, const void *bytes, size_t len) {
  const char *at = bytes;
  while (len) {
    ssize_t done = write(fd, at, len);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    len -= (size_t)done;
  }
  return true;
}

static bool pack_file(int fd, const dl_tls_file *file) {
  uint64_t head[2] = {strlen(file->name), file->len};
  return write_all(fd, head, sizeof head) && write_all(fd, file->name, head[0]) && write_all(fd, file->bytes, file->len);
}

int dl_tls_material_pack(const dl_tls_material *material) {
  size_t key_count = material->pair_count, ca_count = material->client_ca.name != NULL;
  file_list lists[LISTS];
  int fd = memfd_create("demilune-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  bool ok = fd >= 0;
  lists_of((dl_tls_material *)(uintptr_t)material, &key_count, &ca_count, lists);
  for (size_t i = 0; ok && i < LISTS; i++) {
    uint64_t count = *lists[i].count;
    ok = write_all(fd, &count, sizeof count);
    for (size_t at = 0; ok && at < count; at++) ok = pack_file(fd, &lists[i].files[at]);
  }
  if (ok) ok = fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  if (ok || fd < 0) return fd;
  close(fd);
  return -1;
}

static bool take(dl_str *from, void *out, size_t len) {
  if (from->len < len) return false;
  memcpy(out, from->ptr, len);
  *from = dl_str_skip(*from, len);
  return true;
}

static bool unpack_file(dl_str *from, dl_tls_file *file) {
  uint64_t head[2];
  if (!take(from, head, sizeof head) || head[0] > from->len || head[1] > from->len - head[0]) return false;
  file->name = dl_strndup(from->ptr, head[0]);
  *from = dl_str_skip(*from, head[0]);
  file->len = head[1];
  file->bytes = dl_malloc(file->len + 1);
  return take(from, file->bytes, file->len);
}

static bool unpack(dl_str from, dl_tls_material *out) {
  size_t key_count = 0, ca_count = 0;
  file_list lists[LISTS];
  lists_of(out, &key_count, &ca_count, lists);
  for (size_t i = 0; i < LISTS; i++) {
    uint64_t count;
    if (!take(&from, &count, sizeof count) || count > (i == LISTS - 1 ? 1 : DL_TLS_FILES_MAX)) return false;
    *lists[i].count = count;
    for (size_t at = 0; at < count; at++)
      if (!unpack_file(&from, &lists[i].files[at])) return false;
  }
  return key_count == out->pair_count && from.len == 0;
}

bool dl_tls_material_unpack(int fd, dl_tls_material *out) {
  struct stat info;
  *out = (dl_tls_material){0};
  if (fd < 0 || fstat(fd, &info) != 0 || info.st_size <= 0) return false;
  size_t len = (size_t)info.st_size;
  void *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) return false;
  bool ok = unpack(dl_str_from(bytes, len), out);
  munmap(bytes, len);
  if (!ok) dl_tls_material_free(out);
  return ok;
}

/* --- the end ----------------------------------------------------------------------------- */

static void free_files(dl_tls_file *files, size_t count) {
  for (size_t i = 0; i < count; i++) {
    wipe(files[i].bytes, files[i].len);
    dl_free(files[i].name);
    files[i] = (dl_tls_file){0};
  }
}

void dl_tls_material_free(dl_tls_material *material) {
  free_files(material->certificates, DL_TLS_FILES_MAX);
  free_files(material->keys, DL_TLS_FILES_MAX);
  free_files(material->staples, DL_TLS_FILES_MAX);
  free_files(&material->client_ca, 1);
  *material = (dl_tls_material){0};
}
