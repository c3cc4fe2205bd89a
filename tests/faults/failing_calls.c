/* SPDX-License-Identifier: MIT */
/*
 * Calls that fail when a test says so, preloaded into the real program: memory from the
 * heap, from Lua's own allocator and from mmap; threads and processes. Each process
 * counts in the block of failing_calls.h; a call whose number is between from and to
 * gets what the system gives when there is nothing left: NULL, ENOMEM or EAGAIN.
 * OpenSSL, SQLite, jansson, libuv and the rest get their memory here too.
 */
#include "failing_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <unwind.h>

static failing_calls *control;
static char own_name[16] = "demilune";
static bool serves = true; /* the master does */
static __thread bool is_spared;

/* Before main begins there is no control block, and nothing fails. By system calls alone: a
 * sanitizer stands between us and the C library, and may not have begun yet. */
__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAILING_CALLS");
  int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  long mapped = syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
  syscall(SYS_close, fd);
  if (mapped != -1) control = (failing_calls *)mapped;
}

static _Unwind_Reason_Code add_caller(struct _Unwind_Context *context, void *hash) {
  *(uint64_t *)hash = (*(uint64_t *)hash ^ _Unwind_GetIP(context)) * 0x100000001b3u;
  return _URC_NO_REASON;
}

/* By which way the program came here: FNV-1a of the addresses it returns to. Not for Lua's
 * own calls: nothing unwinds its machine code, and they would all be one place. */
static uint64_t place(void) {
  uint64_t hash = 0xcbf29ce484222325u;
  is_spared = true;
  _Unwind_Backtrace(add_caller, &hash);
  is_spared = false;
  return hash;
}

static bool fails(uint64_t kind) {
  if (!control || !(control->kinds & kind) || strncmp(control->who, own_name, sizeof own_name) != 0) return false;
  if (is_spared || (!serves && !control->newborn)) return false;
  uint64_t number = ++control->calls;
  if (control->notes && number <= FAILING_CALLS_NOTED) control->places[number - 1] = kind == FAIL_LUA ? number : place();
  if (number < control->from || number >= control->to) return false;
  control->failed++;
  return true;
}

static void *next_of(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

/* The function of that name behind ours, as real_NAME. */
#define NEXT(name)                                                                                                                                   \
  static __typeof__(&name) real_##name;                                                                                                              \
  if (!real_##name) {                                                                                                                                \
    void *found = next_of(#name);                                                                                                                    \
    memcpy(&real_##name, &found, sizeof found);                                                                                                      \
  }

/* --- the heap ------------------------------------------------------------------------ */

/* dlsym itself may ask for memory before the real functions are known. */
static char early[65536];
static size_t early_used;
static __thread bool is_looking;

static void *early_bytes(size_t bytes) {
  size_t at = early_used;
  early_used += (bytes + 15) & ~(size_t)15;
  if (early_used > sizeof early) abort();
  return early + at;
}

static bool is_early(const void *piece) { return (const char *)piece >= early && (const char *)piece < early + sizeof early; }

typedef struct heap {
  void *(*malloc)(size_t bytes);
  void *(*calloc)(size_t count, size_t bytes);
  void *(*realloc)(void *old, size_t bytes);
  void (*free)(void *piece);
  int (*posix_memalign)(void **out, size_t alignment, size_t bytes);
  void *(*aligned_alloc)(size_t alignment, size_t bytes);
} heap;

static heap real;

/* False while the real ones are being looked for. */
static bool found_heap(void) {
  static const char *const names[] = {"malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc"};
  if (real.aligned_alloc) return true;
  if (is_looking) return false;
  is_looking = true;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    void *found = next_of(names[i]);
    memcpy((char *)&real + i * sizeof found, &found, sizeof found);
  }
  is_looking = false;
  return true;
}

static bool heap_fails(void) {
  if (!fails(FAIL_HEAP)) return false;
  errno = ENOMEM;
  return true;
}

void *malloc(size_t bytes) {
  if (!found_heap()) return early_bytes(bytes);
  return heap_fails() ? NULL : real.malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
  if (!found_heap()) return early_bytes(count * bytes);
  return heap_fails() ? NULL : real.calloc(count, bytes);
}

void *realloc(void *old, size_t bytes) {
  if (!found_heap()) return early_bytes(bytes);
  if (is_early(old)) {
    void *moved = real.malloc(bytes);
    size_t there = (size_t)(early + sizeof early - (char *)old);
    if (moved) memcpy(moved, old, bytes < there ? bytes : there);
    return moved;
  }
  return heap_fails() ? NULL : real.realloc(old, bytes);
}

void free(void *piece) {
  if (!is_early(piece) && found_heap()) real.free(piece);
}

int posix_memalign(void **out, size_t alignment, size_t bytes) {
  if (!found_heap() || heap_fails()) return ENOMEM;
  return real.posix_memalign(out, alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  if (!found_heap() || heap_fails()) return NULL;
  return real.aligned_alloc(alignment, bytes);
}

/* --- mappings, threads, processes ------------------------------------------------------- */

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  NEXT(mmap)
  if (fails(FAIL_MAPPING)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return real_mmap(address, bytes, protection, flags, fd, offset);
}

pid_t fork(void) {
  NEXT(fork)
  if (fails(FAIL_PROCESS)) {
    errno = EAGAIN;
    return -1;
  }
  return real_fork();
}

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*begin)(void *), void *restrict data) {
  NEXT(pthread_create)
  return fails(FAIL_PROCESS) ? EAGAIN : real_pthread_create(thread, attributes, begin, data);
}

/* A process says here what it is. */
int prctl(int option, ...) {
  NEXT(prctl)
  va_list list;
  va_start(list, option);
  unsigned long first = va_arg(list, unsigned long), second = va_arg(list, unsigned long), third = va_arg(list, unsigned long),
                fourth = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_NAME) {
    strncpy(own_name, (const char *)first, sizeof own_name - 1);
    serves = false;
  }
  return real_prctl(option, first, second, third, fourth);
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags) {
  NEXT(accept4)
  int connection = real_accept4(fd, address, size, flags);
  if (connection >= 0) serves = true;
  return connection;
}

/* AddressSanitizer asks where the stack of each new thread is, and ends the process where there is no memory to tell. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes) {
  NEXT(pthread_getattr_np)
  is_spared = true;
  int error = real_pthread_getattr_np(thread, attributes);
  is_spared = false;
  return error;
}

/* libgcc, which LuaJIT tells of new machine code, uses what it did not get. Nobody can mend that from here. */
void __register_frame(void *table);
void __register_frame(void *table) {
  NEXT(__register_frame)
  is_spared = true;
  real___register_frame(table);
  is_spared = false;
}

/* libseccomp 2.5 walks in a circle where it has no memory for a block of its filter. A process that does not start is ended after its time. */
int seccomp_load(void *context);
int seccomp_load(void *context) {
  NEXT(seccomp_load)
  is_spared = true;
  int result = real_seccomp_load(context);
  is_spared = false;
  return result;
}

/* --- Lua ------------------------------------------------------------------------------------ */

typedef struct lua_State lua_State;
typedef void *(*lua_allocator)(void *data, void *old, size_t old_bytes, size_t bytes);
extern lua_allocator lua_getallocf(lua_State *L, void **data) __attribute__((weak));
extern void lua_setallocf(lua_State *L, lua_allocator allocator, void *data) __attribute__((weak));

static lua_allocator lua_real; /* LuaJIT's own, the same for every state */

/* Giving back, and making smaller, never fails: LuaJIT counts on it. */
static void *lua_sometimes(void *data, void *old, size_t old_bytes, size_t bytes) {
  if (bytes > old_bytes && fails(FAIL_LUA)) return NULL;
  return lua_real(data, old, old_bytes, bytes);
}

lua_State *luaL_newstate(void) {
  NEXT(luaL_newstate)
  void *data;
  lua_State *L = real_luaL_newstate();
  if (!L || !control) return L;
  lua_real = lua_getallocf(L, &data);
  lua_setallocf(L, lua_sometimes, data);
  return L;
}

/* LeakSanitizer asks for it: what OpenSSL 3.0 forgets where it has no memory to learn the name of an algorithm. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libcrypto\n"; } /* no symbolizer runs behind the walls */
