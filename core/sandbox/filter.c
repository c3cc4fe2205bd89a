/* SPDX-License-Identifier: MIT */
/*
 * seccomp: which system calls there are. What the needs name is let through, with
 * bounded arguments where those decide; what only an attacker makes ends the process;
 * the rest does not exist for us (EPERM). libseccomp, since it knows each
 * architecture's numbers and closes the other ABIs of the same machine (x32, 32 bits),
 * where a filter by hand goes wrong.
 */
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

/* No part of this server makes them, on no path: a process that does is somebody else's already. */
static const char *const fatal[] = {
    "execve", "execveat",
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp",
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr",
    "setns", "unshare",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "bpf", "perf_event_open", "userfaultfd",
    "keyctl", "add_key", "request_key",
    "swapon", "swapoff", "acct", "quotactl", "settimeofday", "clock_settime", "sethostname", "setdomainname",
    "iopl", "ioperm", "modify_ldt", "name_to_handle_at", "open_by_handle_at",
    NULL};

/* Raising a second, narrower filter and ruleset; neither can widen anything. */
static const char *const narrowing[] = {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", NULL};

/* Newer than the library's tables; the same number on every architecture we run on. */
static const struct {
  const char *name;
  int number;
} newer[] = {
    {"landlock_create_ruleset", 444}, {"landlock_add_rule", 445}, {"landlock_restrict_self", 446}, {"memfd_secret", 447},
    {"process_mrelease", 448}, {"futex_waitv", 449},
};

static int resolve(const char *name) {
  int number = seccomp_syscall_resolve_name(name);
  for (size_t i = 0; number == __NR_SCMP_ERROR && i < sizeof newer / sizeof *newer; i++)
    if (strcmp(newer[i].name, name) == 0) number = newer[i].number;
  return number;
}

/* Allows a call when all conditions hold; several calls of this are alternatives. */
static bool allow_if(scmp_filter_ctx filter, const char *name, unsigned count, const struct scmp_arg_cmp *conditions) {
  int number = resolve(name);
  if (number == __NR_SCMP_ERROR) return true;
  int status = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count, conditions);
  return status == 0 || status == -EEXIST;
}

static bool allow_equal(scmp_filter_ctx filter, const char *name, unsigned argument, uint64_t value) {
  struct scmp_arg_cmp same = SCMP_CMP(argument, SCMP_CMP_EQ, value, 0);
  return allow_if(filter, name, 1, &same);
}

static bool allow_masked(scmp_filter_ctx filter, const char *name, unsigned argument, uint64_t mask, uint64_t value) {
  struct scmp_arg_cmp masked = SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, mask, value);
  return allow_if(filter, name, 1, &masked);
}

/* An argument that has to be so where the mask has bits, which are those that the kernel reads; none: any. */
typedef struct bound {
  unsigned argument;
  uint64_t mask, value;
} bound;

/* Calls that the needs name and whose arguments decide as well; rows of one name are alternatives. */
static const struct {
  const char *name;
  bound first, second;
} bounded[] = {
    /* Fast open connects, and Landlock is not asked. */
    {"sendto", {3, MSG_FASTOPEN, 0}, {0}}, {"sendmsg", {2, MSG_FASTOPEN, 0}, {0}}, {"sendmmsg", {3, MSG_FASTOPEN, 0}, {0}},
    /* F_SETOWN and F_SETSIG have the kernel send any signal to any process of the same user. */
    {"fcntl", {1, UINT32_MAX, F_DUPFD}, {0}}, {"fcntl", {1, UINT32_MAX, F_DUPFD_CLOEXEC}, {0}}, {"fcntl", {1, UINT32_MAX, F_GETFD}, {0}},
    {"fcntl", {1, UINT32_MAX, F_SETFD}, {0}}, {"fcntl", {1, UINT32_MAX, F_GETFL}, {0}}, {"fcntl", {1, UINT32_MAX, F_SETFL}, {0}},
    {"fcntl", {1, UINT32_MAX, F_GETLK}, {0}}, {"fcntl", {1, UINT32_MAX, F_SETLK}, {0}}, {"fcntl", {1, UINT32_MAX, F_SETLKW}, {0}},
    /* Of a socket that is listened on, which others hold too, a filter would drop the clients, and the one of
     * SO_REUSEPORT would have all of them come here. What it says of SO_LINGER is undone where a client is accepted.
     * The last two are the C library's, for name servers. */
    {"setsockopt", {1, UINT32_MAX, SOL_SOCKET}, {2, UINT32_MAX, SO_LINGER}},
    {"setsockopt", {1, UINT32_MAX, IPPROTO_TCP}, {2, UINT32_MAX, TCP_NODELAY}}, {"setsockopt", {1, UINT32_MAX, IPPROTO_IP}, {2, UINT32_MAX, IP_RECVERR}},
    {"setsockopt", {1, UINT32_MAX, IPPROTO_IPV6}, {2, UINT32_MAX, IPV6_RECVERR}},
    /* The receiving side of such a socket is everybody's. */
    {"shutdown", {1, UINT32_MAX, SHUT_WR}, {0}},
};

static bool allow_bounded(scmp_filter_ctx filter, const char *name, bool *is_bounded) {
  *is_bounded = false;
  for (size_t i = 0; i < sizeof bounded / sizeof *bounded; i++) {
    const bound *first = &bounded[i].first, *second = &bounded[i].second;
    if (strcmp(bounded[i].name, name) != 0) continue;
    *is_bounded = true;
    struct scmp_arg_cmp both[] = {SCMP_CMP(first->argument, SCMP_CMP_MASKED_EQ, first->mask, first->value),
                                  SCMP_CMP(second->argument, SCMP_CMP_MASKED_EQ, second->mask, second->value)};
    if (!allow_if(filter, name, second->mask ? 2 : 1, both)) return false;
  }
  return true;
}

static bool add(scmp_filter_ctx filter, uint32_t action, const char *const *names) {
  for (; names && *names; names++) {
    int number = resolve(*names);
    bool is_bounded = false;
    if (number == __NR_SCMP_ERROR) continue;
    if (action == SCMP_ACT_ALLOW && !allow_bounded(filter, *names, &is_bounded)) return false;
    int status = is_bounded ? 0 : seccomp_rule_add(filter, action, number, 0);
    if (status != 0 && status != -EEXIST) return false;
  }
  return true;
}

/* Memory of anybody; executable only where a compiler of ours runs, and never out of
 * a file, so that no library can be loaded. */
static bool allow_memory(scmp_filter_ctx filter, unsigned rights) {
  enum { PROTECTION = 2, FLAGS = 3 };
  bool fine = allow_masked(filter, "mmap", PROTECTION, PROT_EXEC, 0) && allow_masked(filter, "mprotect", PROTECTION, PROT_EXEC, 0);
  if (!(rights & DL_RIGHT_MACHINE_CODE)) return fine;
  struct scmp_arg_cmp anonymous[] = {SCMP_CMP(PROTECTION, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC),
                                     SCMP_CMP(FLAGS, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)};
  return fine && allow_if(filter, "mmap", 2, anonymous) && allow_masked(filter, "mprotect", PROTECTION, PROT_EXEC, PROT_EXEC);
}

/* Threads, and no namespace with them. clone3 keeps its flags in memory, where a
 * filter cannot look: it "does not exist", and the C library falls back to clone. */
static bool allow_threads(scmp_filter_ctx filter, unsigned rights) {
  const uint64_t watched = CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  int clone3 = resolve("clone3");
  if (clone3 != __NR_SCMP_ERROR && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), clone3, 0) != 0) return false;
  return !(rights & DL_RIGHT_THREADS) || allow_masked(filter, "clone", 0, watched, CLONE_THREAD);
}

/* The type is left free: flags are in it, and raw sockets need a privilege that is gone.
 * As root it is not, so raw is left out by its number. Of the protocols only those that
 * Landlock knows: it looks at TCP's ports, and at none of MPTCP's or SCTP's. */
static bool allow_sockets(scmp_filter_ctx filter, unsigned rights) {
  static const struct {
    int family, type, protocol;
    unsigned right;
  } table[] = {
      {AF_INET, SOCK_STREAM, IPPROTO_TCP, DL_RIGHT_SOCKETS},  {AF_INET, SOCK_DGRAM, IPPROTO_UDP, DL_RIGHT_SOCKETS},
      {AF_INET6, SOCK_STREAM, IPPROTO_TCP, DL_RIGHT_SOCKETS}, {AF_INET6, SOCK_DGRAM, IPPROTO_UDP, DL_RIGHT_SOCKETS},
      {AF_UNIX, SOCK_STREAM, 0, DL_RIGHT_UNIX_SOCKETS},
  };
  const uint64_t type_bits = ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct scmp_arg_cmp all[] = {SCMP_CMP(0, SCMP_CMP_EQ, (uint64_t)table[i].family, 0), SCMP_CMP(1, SCMP_CMP_MASKED_EQ, type_bits, (uint64_t)table[i].type),
                                 SCMP_CMP(2, SCMP_CMP_EQ, 0, 0)};
    if (!(rights & table[i].right)) continue;
    if (!allow_if(filter, "socket", 3, all)) return false;
    all[2].datum_a = (uint64_t)table[i].protocol; /* by its own number, as getaddrinfo gives it */
    if (!allow_if(filter, "socket", 3, all)) return false;
  }
  return true;
}

/* What every process does, to itself and no other. */
static bool allow_self(scmp_filter_ctx filter) {
  uint64_t self = (uint64_t)getpid();
  struct scmp_arg_cmp reads_own_limit[] = {SCMP_CMP(0, SCMP_CMP_EQ, 0, 0), SCMP_CMP(2, SCMP_CMP_EQ, 0, 0)};
  if (!allow_equal(filter, "kill", 0, self) || !allow_equal(filter, "tgkill", 0, self)) return false;
  if (!allow_if(filter, "prlimit64", 2, reads_own_limit) || !allow_equal(filter, "prctl", 0, PR_SET_NAME)) return false;
  static const uint64_t requests[] = {FIONBIO, FIONREAD, FIOCLEX, TCGETS};
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
    if (!allow_equal(filter, "ioctl", 1, requests[i])) return false;
  return true;
}

static bool fill(scmp_filter_ctx filter, const dl_sandbox_options *options) {
  unsigned rights = dl_sandbox_rights(options);
  if (!add(filter, SCMP_ACT_KILL_PROCESS, fatal)) return false;
  for (const dl_needs *const *needs = options->needs; needs && *needs; needs++)
    if (!add(filter, SCMP_ACT_ALLOW, (*needs)->calls)) return false;
  if (options->narrows && !add(filter, SCMP_ACT_ALLOW, narrowing)) return false;
  return allow_memory(filter, rights) && allow_threads(filter, rights) && allow_sockets(filter, rights) && allow_self(filter);
}

/* For LeakSanitizer everything goes but what ends others: exec, mounts, modules. */
static bool fill_sanitized(scmp_filter_ctx filter) {
  for (const char *const *name = fatal; *name; name++) {
    const char *one[] = {*name, NULL};
    if (strcmp(*name, "ptrace") != 0 && !add(filter, SCMP_ACT_KILL_PROCESS, one)) return false;
  }
  return true;
}

void dl_wall_calls(const dl_sandbox_options *options, dl_wall *wall) {
  scmp_filter_ctx filter = seccomp_init(DL_SANDBOX_SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
  if (!filter) {
    dl_wall_set(wall, DL_WALL_MISSING, "libseccomp does not know this machine");
    return;
  }
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);      /* set already, and told on its own */
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: a call costs the logarithm of the list */
  bool ready = DL_SANDBOX_SANITIZED ? fill_sanitized(filter) : fill(filter, options);
  int status = ready ? seccomp_load(filter) : -EINVAL;
  seccomp_release(filter);
  if (status != 0) dl_wall_set(wall, DL_WALL_MISSING, "%s", ready ? strerror(-status) : "the rules cannot be written for this machine");
  else if (DL_SANDBOX_SANITIZED) dl_wall_set(wall, DL_WALL_PARTLY, "wide, for a sanitizer's build");
  else dl_wall_set(wall, DL_WALL_UP, "%s", "");
}
