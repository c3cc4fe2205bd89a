/* SPDX-License-Identifier: MIT */
/*
 * Native code inside a server: what an attacker has who found a hole in a parser. The
 * library is preloaded into the real program (spec/e2e/walls_spec.lua); on SIGURG it
 * tries what $INTRUDER names, separated by spaces, and says on standard error how each
 * went: "intruder: NAME: done" is a wall that does not stand.
 *   $INTRUDER_FILE    somebody else's file
 *   $INTRUDER_FOLDER  somebody else's folder that everybody may write to
 *   $INTRUDER_APP     the app's folder
 *   $INTRUDER_DATA    the folder of the databases
 *   $INTRUDER_PORT    a port on this machine where somebody listens
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DONE, STOPPED };

static int opens(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) return STOPPED;
  close(fd);
  return DONE;
}

static int is_stopped(long result) { return result < 0 ? STOPPED : DONE; }

static int in_folder(const char *variable, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", getenv(variable), name);
  return opens(path, O_WRONLY | O_CREAT);
}

/* --- files ------------------------------------------------------------------------- */

static int read_a_file(void) { return opens(getenv("INTRUDER_FILE"), O_RDONLY); }
static int read_accounts(void) { return opens("/etc/passwd", O_RDONLY); }
static int write_outside(void) { return in_folder("INTRUDER_FOLDER", "left-by-an-intruder"); }
static int write_the_app(void) { return in_folder("INTRUDER_APP", "left-by-an-intruder.lua"); }
static int change_the_app(void) { return in_folder("INTRUDER_APP", "app.lua"); }
static int truncate_a_file(void) { return is_stopped(truncate(getenv("INTRUDER_FILE"), 0)); }
static int remove_a_file(void) { return is_stopped(unlink(getenv("INTRUDER_FILE"))); }
static int make_a_link(void) { return is_stopped(symlink("/etc/passwd", "/tmp/left-by-an-intruder")); }
static int list_the_root(void) { return opens("/", O_RDONLY | O_DIRECTORY); }
static int read_own_memory_file(void) { return opens("/proc/self/mem", O_RDWR); }

static int of_parent(const char *what) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", getppid(), what);
  return opens(path, O_RDONLY);
}
static int read_parents_memory(void) { return of_parent("mem"); }
static int read_parents_environment(void) { return of_parent("environ"); }

/* --- network ------------------------------------------------------------------------- */

static int connect_out(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(getenv("INTRUDER_PORT"))), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return STOPPED;
  int outcome = is_stopped(connect(fd, (struct sockaddr *)&address, sizeof address));
  close(fd);
  return outcome;
}

static int has_socket(int family, int type, int protocol) {
  int fd = socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return STOPPED;
  close(fd);
  return DONE;
}
static int send_datagrams(void) { return has_socket(AF_INET, SOCK_DGRAM, 0); }
static int open_a_unix_socket(void) { return has_socket(AF_UNIX, SOCK_STREAM, 0); }
static int open_a_raw_socket(void) { return has_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static int open_a_netlink_socket(void) { return has_socket(AF_NETLINK, SOCK_RAW, 0); }
static int open_a_packet_socket(void) { return has_socket(AF_PACKET, SOCK_RAW, 0); }

/* --- processes ------------------------------------------------------------------------- */

static int signal_the_parent(void) { return is_stopped(kill(getppid(), SIGCONT)); }
static int signal_everybody(void) { return is_stopped(kill(-1, 0)); }
static int signal_a_thread_of_the_parent(void) { return is_stopped(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int become_root(void) { return is_stopped(setuid(0)); }
static int be_readable_again(void) { return is_stopped(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }

static int fork_by(long number, unsigned long flags) {
  long child = syscall(number, flags, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return is_stopped(child);
}
static int fork_a_process(void) { return fork_by(SYS_clone, SIGCHLD); }
static int clone_into_a_namespace(void) { return fork_by(SYS_clone, CLONE_NEWUSER | SIGCHLD); }
static int clone_by_the_newer_call(void) {
  unsigned long arguments[11] = {[4] = SIGCHLD};
  long child = syscall(435, arguments, 64);
  if (child == 0) _exit(0);
  return is_stopped(child);
}

/* --- memory and descriptors ------------------------------------------------------------- */

static int fill_memory(void) {
  enum { STEP = 64 << 20, STEPS = 64 };
  void *taken[STEPS];
  int count = 0;
  while (count < STEPS && (taken[count] = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED) count++;
  for (int i = 0; i < count; i++) munmap(taken[i], STEP);
  errno = ENOMEM;
  return count == STEPS ? DONE : STOPPED;
}

/* --- what is listened on, which other processes hold too ------------------------------ */

static int with_what_listens(int (*act)(int fd)) {
  int outcome = STOPPED, why = ENOENT;
  for (int fd = 3; fd < 256; fd++) {
    int listening = 0;
    socklen_t length = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || !listening) continue;
    if (act(fd) == 0) outcome = DONE;
    else why = errno;
  }
  errno = why;
  return outcome;
}

static int attach(int fd, int option) {
  struct sock_filter code = {.code = BPF_RET | BPF_K, .k = 0}; /* nothing passes; all go to the first of those that share the port */
  struct sock_fprog program = {1, &code};
  return setsockopt(fd, SOL_SOCKET, option, &program, sizeof program);
}

static int attach_filter(int fd) { return attach(fd, SO_ATTACH_FILTER); }
static int attach_chooser(int fd) { return attach(fd, SO_ATTACH_REUSEPORT_CBPF); }
static int shut_down(int fd) { return shutdown(fd, SHUT_RDWR); }
static int disconnect(int fd) { return connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)); }

static int drop_everybodys_clients(void) { return with_what_listens(attach_filter); }
static int take_everybodys_clients(void) { return with_what_listens(attach_chooser); }
static int shut_what_listens(void) { return with_what_listens(shut_down); }
static int disconnect_what_listens(void) { return with_what_listens(disconnect); }

static int fill_descriptors(void) {
  enum { COUNT = 100000 };
  static int taken[COUNT];
  int count = 0;
  while (count < COUNT && (taken[count] = dup(STDERR_FILENO)) >= 0) count++;
  int first = errno;
  while (count < COUNT && (taken[count] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0) count++;
  if (count < COUNT) first = errno;
  int outcome = count == COUNT ? DONE : STOPPED;
  while (count > 0) close(taken[--count]);
  errno = first;
  return outcome;
}

static int lift_the_limit_of_descriptors(void) {
  struct rlimit limit = {1 << 20, 1 << 20};
  return is_stopped(setrlimit(RLIMIT_NOFILE, &limit));
}

/* A library is a file made executable in memory. */
static int run_a_file_in_memory(void) {
  char path[512];
  snprintf(path, sizeof path, "%s/app.lua", getenv("INTRUDER_APP"));
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return STOPPED;
  void *pages = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  int error = errno;
  close(fd);
  errno = error;
  return pages == MAP_FAILED ? STOPPED : DONE;
}
static int load_a_library(void) { return dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL) ? DONE : STOPPED; }

/* --- the kernel's back doors -------------------------------------------------------------- */

static int set_up_io_uring(void) { return is_stopped(syscall(SYS_io_uring_setup, 8, (char[256]){0})); }
static int type_into_the_terminal(void) { return is_stopped(ioctl(STDERR_FILENO, TIOCSTI, "x")); }
static int make_a_file_in_memory(void) { return is_stopped(syscall(SYS_memfd_create, "x", 0)); }

/* Each of these ends the process. */
static int execute(void) { return is_stopped(execl("/bin/true", "true", (char *)NULL)); }
static int execute_by_descriptor(void) { return is_stopped(syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0)); }
static int trace_the_parent(void) { return is_stopped(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)); }
static int read_the_parent(void) {
  char bytes[8];
  struct iovec here = {bytes, sizeof bytes}, there = {&here, sizeof bytes};
  return is_stopped(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}
static int mount_a_folder(void) { return is_stopped(mount("none", "/no-such-folder", "tmpfs", 0, NULL)); }
static int leave_the_namespace(void) { return is_stopped(unshare(CLONE_NEWUSER)); }
static int enter_a_namespace(void) { return is_stopped(setns(STDERR_FILENO, 0)); }
static int load_bpf(void) { return is_stopped(syscall(SYS_bpf, 0, (char[128]){0}, 128)); }
static int read_keys(void) { return is_stopped(syscall(SYS_keyctl, 0, -3, 0)); }
static int handle_page_faults(void) { return is_stopped(syscall(SYS_userfaultfd, 0)); }
static int count_performance(void) { return is_stopped(syscall(SYS_perf_event_open, (char[128]){0}, 0, -1, -1, 0)); }
static int load_a_module(void) { return is_stopped(syscall(SYS_init_module, "", 0, "")); }
static int change_the_root(void) { return is_stopped(chroot("/")); }
static int restart_the_machine(void) { return is_stopped(syscall(SYS_reboot, 0, 0, 0, NULL)); } /* by magic numbers that do nothing */

/* --- memory that processes share ------------------------------------------------------------- */

enum { SHARED_MAX = 64 };
static struct { char *at; size_t bytes; } shared[SHARED_MAX]; /* as the master made it, before the walls */
static size_t shared_count;

void *mmap(void *wanted, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void *at = (void *)syscall(SYS_mmap, wanted, bytes, protection, flags, fd, offset);
  if (at != MAP_FAILED && flags & MAP_SHARED && flags & MAP_ANONYMOUS && shared_count < SHARED_MAX) {
    shared[shared_count].at = at;
    shared[shared_count++].bytes = bytes;
  }
  return at;
}

void *mmap64(void *wanted, size_t bytes, int protection, int flags, int fd, off_t offset) { return mmap(wanted, bytes, protection, flags, fd, offset); }

/* As core/base/beat.h has it. */
struct beat {
  uint64_t since_us, limit_us;
  uint32_t opening;
  char label[112];
};

static int is_beat(const struct beat *seen) { return seen->limit_us >= 1000000 && !seen->opening && strncmp(seen->label, "GET /", 5) == 0; }

/* By what the kernel can read, for what is not there any more cannot be looked at. */
static size_t beats_in(char *at, size_t bytes, struct beat *found[SHARED_MAX]) {
  enum { PIECE = 2048 };
  static char room[PIECE + sizeof(struct beat)];
  size_t count = 0;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 0;
  for (size_t from = 0; from < bytes && count < SHARED_MAX; from += PIECE) {
    size_t wanted = bytes - from < sizeof room ? bytes - from : sizeof room;
    ssize_t length = write(ends[1], at + from, wanted);
    if (length > 0) length = read(ends[0], room, (size_t)length);
    for (ssize_t i = 0; i + (ssize_t)sizeof(struct beat) <= length && i < PIECE && count < SHARED_MAX; i += 8)
      if (is_beat((const struct beat *)(const void *)(room + i))) found[count++] = (struct beat *)(void *)(at + from + (size_t)i);
  }
  close(ends[0]);
  close(ends[1]);
  return count;
}

/* Says for two seconds, in the place of all but the first worker, that they are stuck, so that the master ends them. */
static int have_the_others_ended(void) {
  struct beat *found[SHARED_MAX];
  size_t count = 0;
  for (size_t i = 0; i < shared_count && count < 2; i++) count = beats_in(shared[i].at, shared[i].bytes, found);
  for (int round = 0; count >= 2 && round < 2000; round++) {
    for (size_t i = 1; i < count; i++) found[i]->limit_us = 1, found[i]->since_us = 1;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  errno = EFAULT;
  return count >= 2 ? DONE : STOPPED;
}

/* Has the databases' files be others in whatever says which they are: each number of the file's in memory that is shared becomes another. */
static int change_which_databases_are_known(void) {
  struct stat info;
  char path[512];
  size_t count = 0;
  int ends[2];
  snprintf(path, sizeof path, "%s/notes.db", getenv("INTRUDER_DATA"));
  if (stat(path, &info) != 0 || pipe2(ends, O_CLOEXEC) != 0) return STOPPED;
  for (size_t i = 0; i < shared_count; i++)
    for (char *at = shared[i].at; at < shared[i].at + shared[i].bytes; at += 2048) {
      static uint64_t words[2048 / sizeof(uint64_t)];
      if (write(ends[1], at, sizeof words) != sizeof words || read(ends[0], words, sizeof words) != sizeof words) continue; /* not there any more */
      for (size_t word = 0; word < sizeof words / sizeof *words; word++)
        if (words[word] == info.st_ino) ((uint64_t *)(void *)at)[word]++, count++;
    }
  close(ends[0]);
  close(ends[1]);
  errno = ENOENT;
  return count ? DONE : STOPPED;
}

/* --- words --------------------------------------------------------------------------- */

/* Says READY to the master without end: until somebody makes the file "enough", or a minute is over. */
static int talk_without_end(void) {
  static const uint32_t ready[4] = {7, 0, 0, 0}; /* core/server/channel.h */
  char enough[512];
  time_t end = time(NULL) + 60;
  int channel = 3, type = 0;
  socklen_t size = sizeof type;
  while (channel < 256 && (getsockopt(channel, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)) channel++;
  snprintf(enough, sizeof enough, "%s/enough", getenv("INTRUDER_FOLDER"));
  for (unsigned said = 0; said % 4096 || (access(enough, F_OK) != 0 && time(NULL) < end); said++)
    if (send(channel, ready, sizeof ready, MSG_NOSIGNAL) < 0 && errno != EAGAIN) return STOPPED;
  return DONE;
}

static const struct {
  const char *name;
  int (*attempt)(void);
} attempts[] = {
    {"read_a_file", read_a_file},
    {"change_which_databases_are_known", change_which_databases_are_known},
    {"read_accounts", read_accounts},
    {"write_outside", write_outside},
    {"write_the_app", write_the_app},
    {"change_the_app", change_the_app},
    {"truncate_a_file", truncate_a_file},
    {"remove_a_file", remove_a_file},
    {"make_a_link", make_a_link},
    {"list_the_root", list_the_root},
    {"read_own_memory_file", read_own_memory_file},
    {"read_parents_memory", read_parents_memory},
    {"read_parents_environment", read_parents_environment},
    {"connect_out", connect_out},
    {"send_datagrams", send_datagrams},
    {"open_a_unix_socket", open_a_unix_socket},
    {"open_a_raw_socket", open_a_raw_socket},
    {"open_a_netlink_socket", open_a_netlink_socket},
    {"open_a_packet_socket", open_a_packet_socket},
    {"signal_the_parent", signal_the_parent},
    {"signal_everybody", signal_everybody},
    {"signal_a_thread_of_the_parent", signal_a_thread_of_the_parent},
    {"become_root", become_root},
    {"be_readable_again", be_readable_again},
    {"fork_a_process", fork_a_process},
    {"clone_into_a_namespace", clone_into_a_namespace},
    {"clone_by_the_newer_call", clone_by_the_newer_call},
    {"fill_memory", fill_memory},
    {"fill_descriptors", fill_descriptors},
    {"drop_everybodys_clients", drop_everybodys_clients},
    {"take_everybodys_clients", take_everybodys_clients},
    {"shut_what_listens", shut_what_listens},
    {"disconnect_what_listens", disconnect_what_listens},
    {"lift_the_limit_of_descriptors", lift_the_limit_of_descriptors},
    {"run_a_file_in_memory", run_a_file_in_memory},
    {"load_a_library", load_a_library},
    {"set_up_io_uring", set_up_io_uring},
    {"type_into_the_terminal", type_into_the_terminal},
    {"make_a_file_in_memory", make_a_file_in_memory},
    {"execute", execute},
    {"execute_by_descriptor", execute_by_descriptor},
    {"trace_the_parent", trace_the_parent},
    {"read_the_parent", read_the_parent},
    {"mount_a_folder", mount_a_folder},
    {"leave_the_namespace", leave_the_namespace},
    {"enter_a_namespace", enter_a_namespace},
    {"load_bpf", load_bpf},
    {"read_keys", read_keys},
    {"handle_page_faults", handle_page_faults},
    {"count_performance", count_performance},
    {"load_a_module", load_a_module},
    {"change_the_root", change_the_root},
    {"restart_the_machine", restart_the_machine},
    {"talk_without_end", talk_without_end},
    {"have_the_others_ended", have_the_others_ended},
};

/* In one write each, so that the log's lines stay whole. */
static void say(const char *name, const char *outcome) {
  char line[160];
  int length = snprintf(line, sizeof line, "intruder: %s: %s\n", name, outcome);
  if (write(STDERR_FILENO, line, (size_t)length) != length) abort();
}

static void on_signal(int number) {
  (void)number;
  const char *wanted = getenv("INTRUDER");
  for (size_t i = 0; wanted && i < sizeof attempts / sizeof *attempts; i++) {
    size_t length = strlen(attempts[i].name);
    for (const char *at = wanted; (at = strstr(at, attempts[i].name)); at += length) {
      if ((at > wanted && at[-1] != ' ') || (at[length] && at[length] != ' ')) continue;
      say(attempts[i].name, "tries");
      errno = 0;
      say(attempts[i].name, attempts[i].attempt() == DONE ? "done" : strerror(errno));
    }
  }
  say("all", "tried");
}

__attribute__((constructor)) static void come_in(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGURG, &action, NULL);
}
