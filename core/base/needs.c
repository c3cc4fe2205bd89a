/* SPDX-License-Identifier: MIT */
/* What the C library, the log and the clock need: no part works without these. */
#include "base/needs.h"

#include <stddef.h>

/* Memory that may be executed, threads, signals and limits are not here: their arguments
 * decide, and core/sandbox/filter.c lets through what touches this process alone. */
static const char *const calls[] = {
    "brk", "munmap", "mremap", "madvise",                                                        /* the heap */
    "futex", "futex_waitv", "set_robust_list", "rseq", "set_tid_address", "sched_yield",         /* locks; what a new thread begins with */
    "sched_getaffinity", "sysinfo", "uname", "getrusage",                                        /* how many cores, how much memory */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",          /* signals as they come */
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",                     /* who we are */
    "clock_gettime", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",     /* the clock, where the vDSO does not answer */
    "read", "readv", "write", "writev", "close", "fcntl",                                        /* the log, and whatever is open */
    "openat", "open", "lseek", "fstat", "newfstatat", "stat", "lstat", "statx",                  /* files: Landlock says which */
    "getrandom",                                                                                 /* the seed of hash tables */
    "exit", "exit_group",
    NULL};

/* The local time of os.date. */
static const char *const read_paths[] = {"/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom", NULL};

const dl_needs dl_base_needs = {.folder = "base", .calls = calls, .read_paths = read_paths};
