/* SPDX-License-Identifier: MIT */
/*
 * Landlock: which files may be opened, which TCP ports connected to, which processes
 * signalled. By raw system calls; Debian 12's header stops at version 2 of the
 * interface while kernels go on, so the bits stand here (linux/landlock.h, UAPI).
 */
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  FS_EXECUTE = 1 << 0, FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3, FS_REMOVE_DIR = 1 << 4, FS_REMOVE_FILE = 1 << 5,
  FS_MAKE_CHAR = 1 << 6, FS_MAKE_DIR = 1 << 7, FS_MAKE_REG = 1 << 8, FS_MAKE_SOCK = 1 << 9, FS_MAKE_FIFO = 1 << 10, FS_MAKE_BLOCK = 1 << 11,
  FS_MAKE_SYM = 1 << 12,
  FS_REFER = 1 << 13,     /* from version 2 */
  FS_TRUNCATE = 1 << 14,  /* 3 */
  FS_IOCTL_DEV = 1 << 15, /* 5 */

  FS_ALL_1 = FS_REFER - 1,
  FS_READ = FS_READ_FILE | FS_READ_DIR,
  FS_WRITE = FS_READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_TRUNCATE,
  FS_OF_FILES = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE, /* what a rule on a file, rather than a folder, may hold */

  NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1, /* 4 */
  SCOPE_ABSTRACT_UNIX = 1 << 0, SCOPE_SIGNAL = 1 << 1, /* 6 */

  RULE_PATH = 1, RULE_PORT = 2,
  CREATE_VERSION = 1,
  VERSION_REFER = 2, VERSION_TRUNCATE = 3, VERSION_NET = 4, VERSION_IOCTL = 5, VERSION_SCOPE = 6,
};

typedef struct ruleset_attributes {
  uint64_t files, net, scope;
} ruleset_attributes;

typedef struct __attribute__((packed)) path_rule {
  uint64_t allowed;
  int32_t folder;
} path_rule;

typedef struct port_rule {
  uint64_t allowed, port;
} port_rule;

/* The same numbers on every architecture but alpha. */
enum { CALL_CREATE = 444, CALL_ADD = 445, CALL_RESTRICT = 446 };

static int version(void) { return (int)syscall(CALL_CREATE, NULL, (size_t)0, CREATE_VERSION); }

/* The structure grew with the interface; an older kernel refuses a longer one. */
static int create(const ruleset_attributes *attributes, int abi) {
  size_t size = abi < VERSION_NET ? sizeof(uint64_t) : abi < VERSION_SCOPE ? 2 * sizeof(uint64_t) : sizeof *attributes;
  return (int)syscall(CALL_CREATE, attributes, size, 0);
}

static uint64_t file_rights(int abi) {
  uint64_t rights = FS_ALL_1;
  if (abi >= VERSION_REFER) rights |= FS_REFER;
  if (abi >= VERSION_TRUNCATE) rights |= FS_TRUNCATE;
  if (abi >= VERSION_IOCTL) rights |= FS_IOCTL_DEV;
  return rights;
}

/* A path that is not there needs no rule. */
static bool allow_path(int rules, const char *path, uint64_t rights, uint64_t handled) {
  struct stat what;
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT || errno == EACCES || errno == ENOTDIR;
  bool fine = fstat(fd, &what) == 0;
  if (fine && !S_ISDIR(what.st_mode)) rights &= FS_OF_FILES;
  path_rule rule = {rights & handled, fd};
  fine = fine && syscall(CALL_ADD, rules, RULE_PATH, &rule, 0) == 0;
  close(fd);
  return fine;
}

static bool allow_paths(int rules, const char *const *paths, uint64_t handled) {
  for (; paths && *paths; paths++)
    if (!allow_path(rules, *paths, FS_READ, handled)) return false;
  return true;
}

static bool allow_files(int rules, const dl_sandbox_options *options, uint64_t handled) {
  static const char *const sanitizer_paths[] = {"/proc", "/proc/self/exe", "/usr", "/lib", "/lib64", NULL};
  unsigned rights = dl_sandbox_rights(options);
  if ((rights & DL_RIGHT_READ_APP) && options->app_folder && !allow_path(rules, options->app_folder, FS_READ, handled)) return false;
  if ((rights & DL_RIGHT_WRITE_DATA) && options->data_folder && !allow_path(rules, options->data_folder, FS_WRITE, handled)) return false;
  for (const dl_needs *const *needs = options->needs; needs && *needs; needs++)
    if (!allow_paths(rules, (*needs)->read_paths, handled)) return false;
  if (DL_SANDBOX_SANITIZED && !allow_paths(rules, sanitizer_paths, handled)) return false;
  return allow_paths(rules, options->read_paths, handled);
}

/* Name servers answer over TCP what does not fit into a datagram. */
static bool allow_ports(int rules, const dl_sandbox_options *options) {
  enum { DNS = 53 };
  port_rule rule = {NET_CONNECT_TCP, DNS};
  if (options->port_count && syscall(CALL_ADD, rules, RULE_PORT, &rule, 0) != 0) return false;
  for (size_t i = 0; i < options->port_count; i++) {
    rule.port = options->ports[i];
    if (syscall(CALL_ADD, rules, RULE_PORT, &rule, 0) != 0) return false;
  }
  return true;
}

static bool enforce(int rules, bool ready, dl_wall *wall) {
  bool fine = ready && syscall(CALL_RESTRICT, rules, 0) == 0;
  if (!fine) dl_wall_set(wall, DL_WALL_MISSING, "%s", strerror(errno));
  close(rules);
  return fine;
}

static bool find_version(dl_wall *wall, int *abi) {
  *abi = version();
  if (*abi >= 1) return true;
  if (errno == EOPNOTSUPP) dl_wall_set(wall, DL_WALL_MISSING, "the kernel has it, but was started without");
  else if (errno == ENOSYS) dl_wall_set(wall, DL_WALL_MISSING, "the kernel is older than 5.13, or built without");
  else dl_wall_set(wall, DL_WALL_MISSING, "%s", strerror(errno));
  return false;
}

static bool watches_ports(const dl_sandbox_options *options) { return !options->any_port || !(dl_sandbox_rights(options) & DL_RIGHT_SOCKETS); }

/* What an older kernel lacks is named, in the order in which it came. */
static void tell(dl_wall *wall, int abi) {
  if (abi >= VERSION_SCOPE) {
    dl_wall_set(wall, DL_WALL_UP, "ABI %d", abi);
    return;
  }
  dl_wall_set(wall, DL_WALL_PARTLY, "ABI %d: no scope for signals%s%s%s", abi, abi < VERSION_IOCTL ? ", no device control" : "",
              abi < VERSION_NET ? ", no TCP ports" : "", abi < VERSION_TRUNCATE ? ", no truncation" : "");
}

void dl_wall_files(const dl_sandbox_options *options, dl_wall *wall) {
  int abi;
  if (!find_version(wall, &abi)) return;
  ruleset_attributes handled = {file_rights(abi), NET_BIND_TCP | (watches_ports(options) ? NET_CONNECT_TCP : 0), SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL};
  int rules = create(&handled, abi);
  if (rules < 0) {
    dl_wall_set(wall, DL_WALL_MISSING, "%s", strerror(errno));
    return;
  }
  bool ready = allow_files(rules, options, handled.files) && (abi < VERSION_NET || !watches_ports(options) || allow_ports(rules, options));
  if (enforce(rules, ready, wall)) tell(wall, abi);
}

void dl_wall_ports(const dl_sandbox_options *options, dl_wall *wall) {
  int abi;
  if (!find_version(wall, &abi)) return;
  if (abi < VERSION_NET) {
    tell(wall, abi);
    return;
  }
  ruleset_attributes handled = {0, NET_CONNECT_TCP, 0};
  int rules = create(&handled, abi);
  if (rules < 0) {
    dl_wall_set(wall, DL_WALL_MISSING, "%s", strerror(errno));
    return;
  }
  if (enforce(rules, allow_ports(rules, options), wall)) tell(wall, abi);
}
