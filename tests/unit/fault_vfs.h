/* SPDX-License-Identifier: MIT */
/*
 * A disk that fails on command: SQLite's default VFS with the n-th operation of a
 * kind failing, once or from then on, or killing the process in its midst; and its
 * allocator, likewise. Syncing is left out, so that hundreds of runs take seconds: power is never cut here.
 * fault_install once, then fault_arm and fault_lift around what is to suffer.
 */
#ifndef DL_TESTS_FAULT_VFS_H
#define DL_TESTS_FAULT_VFS_H

#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum {
  FAULT_OPEN = 1,
  FAULT_READ = 2,
  FAULT_WRITE = 4,
  FAULT_SYNC = 8,
  FAULT_TRUNCATE = 16,
  FAULT_DELETE = 32,
  FAULT_LOCK = 64,
  FAULT_MAP = 128, /* of the log's index in shared memory */
  FAULT_SIZE = 256,
  FAULT_MEMORY = 512, /* SQLite's; code says nothing here */
  FAULT_CHANGES = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE | FAULT_DELETE
};

typedef struct fault_rule {
  int operations;
  int code;     /* what SQLite is told; 0: the process is killed */
  bool torn;    /* a write that fails has written its first half */
  bool lasting; /* all behind the n-th fail as well */
} fault_rule;

/* Any thread: the writer and the readers are SQLite's callers. */
static struct {
  sqlite3_vfs vfs, *real;
  sqlite3_mem_methods memory;
  fault_rule rule;
  long at, count; /* the n-th fails; how many came */
  bool armed;
} fault;

typedef struct fault_file {
  sqlite3_file base;
  sqlite3_file *real;
} fault_file;

static inline void fault_arm(fault_rule rule, long at) {
  fault.rule = rule;
  fault.at = at;
  __atomic_store_n(&fault.count, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&fault.armed, true, __ATOMIC_SEQ_CST);
}

/* Whether anything failed. */
static inline bool fault_lift(void) {
  __atomic_store_n(&fault.armed, false, __ATOMIC_SEQ_CST);
  return __atomic_load_n(&fault.count, __ATOMIC_SEQ_CST) >= fault.at;
}

static inline bool fault_strikes(int operation) {
  if (!__atomic_load_n(&fault.armed, __ATOMIC_SEQ_CST) || !(fault.rule.operations & operation)) return false;
  long count = __atomic_add_fetch(&fault.count, 1, __ATOMIC_SEQ_CST);
  return fault.rule.lasting ? count >= fault.at : count == fault.at;
}

static inline int fault_strike(void) {
  if (!fault.rule.code) kill(getpid(), SIGKILL);
  return fault.rule.code;
}

#define FAULT_REAL(file) (((fault_file *)(file))->real)

static int fault_close(sqlite3_file *file) { return FAULT_REAL(file)->pMethods->xClose(FAULT_REAL(file)); }

static int fault_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at) {
  if (fault_strikes(FAULT_READ)) return fault_strike();
  return FAULT_REAL(file)->pMethods->xRead(FAULT_REAL(file), bytes, len, at);
}

static int fault_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at) {
  bool strikes = fault_strikes(FAULT_WRITE);
  if (strikes && fault.rule.torn) FAULT_REAL(file)->pMethods->xWrite(FAULT_REAL(file), bytes, len / 2, at);
  if (strikes) return fault_strike();
  return FAULT_REAL(file)->pMethods->xWrite(FAULT_REAL(file), bytes, len, at);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size) {
  if (fault_strikes(FAULT_TRUNCATE)) return fault_strike();
  return FAULT_REAL(file)->pMethods->xTruncate(FAULT_REAL(file), size);
}

static int fault_sync(sqlite3_file *file, int flags) {
  (void)file, (void)flags;
  return fault_strikes(FAULT_SYNC) ? fault_strike() : SQLITE_OK;
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size) {
  if (fault_strikes(FAULT_SIZE)) return fault_strike();
  return FAULT_REAL(file)->pMethods->xFileSize(FAULT_REAL(file), size);
}

static int fault_lock(sqlite3_file *file, int level) {
  if (fault_strikes(FAULT_LOCK)) return fault_strike();
  return FAULT_REAL(file)->pMethods->xLock(FAULT_REAL(file), level);
}

static int fault_unlock(sqlite3_file *file, int level) { return FAULT_REAL(file)->pMethods->xUnlock(FAULT_REAL(file), level); }

static int fault_is_reserved(sqlite3_file *file, int *out) { return FAULT_REAL(file)->pMethods->xCheckReservedLock(FAULT_REAL(file), out); }

static int fault_control(sqlite3_file *file, int what, void *data) { return FAULT_REAL(file)->pMethods->xFileControl(FAULT_REAL(file), what, data); }

static int fault_sector(sqlite3_file *file) { return FAULT_REAL(file)->pMethods->xSectorSize(FAULT_REAL(file)); }

static int fault_character(sqlite3_file *file) { return FAULT_REAL(file)->pMethods->xDeviceCharacteristics(FAULT_REAL(file)); }

static int fault_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
  if (fault_strikes(FAULT_MAP)) return fault_strike();
  return FAULT_REAL(file)->pMethods->xShmMap(FAULT_REAL(file), region, size, extend, out);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
  if (flags & SQLITE_SHM_LOCK && fault_strikes(FAULT_LOCK)) return fault_strike();
  return FAULT_REAL(file)->pMethods->xShmLock(FAULT_REAL(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file) { FAULT_REAL(file)->pMethods->xShmBarrier(FAULT_REAL(file)); }

static int fault_shm_unmap(sqlite3_file *file, int erase) { return FAULT_REAL(file)->pMethods->xShmUnmap(FAULT_REAL(file), erase); }

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2, /* with shared memory, without mapped pages: each read is seen */
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_is_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_character,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  fault_file *own = (fault_file *)file;
  own->base.pMethods = NULL; /* nothing to close until it is open */
  own->real = (sqlite3_file *)(own + 1);
  if (fault_strikes(FAULT_OPEN)) return fault_strike();
  int code = fault.real->xOpen(fault.real, name, own->real, flags, out_flags);
  if (code == SQLITE_OK) own->base.pMethods = &fault_methods;
  return code;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
  (void)vfs, (void)sync_folder;
  if (fault_strikes(FAULT_DELETE)) return fault_strike();
  return fault.real->xDelete(fault.real, name, 0);
}

static void *fault_malloc(int bytes) { return fault_strikes(FAULT_MEMORY) ? NULL : fault.memory.xMalloc(bytes); }

static void *fault_realloc(void *old, int bytes) { return fault_strikes(FAULT_MEMORY) ? NULL : fault.memory.xRealloc(old, bytes); }

/* Before anything else of SQLite is used. */
static inline bool fault_install(void) {
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.memory) != SQLITE_OK) return false;
  sqlite3_mem_methods memory = fault.memory;
  memory.xMalloc = fault_malloc;
  memory.xRealloc = fault_realloc;
  if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK) return false;
  fault.real = sqlite3_vfs_find(NULL);
  fault.vfs = *fault.real;
  fault.vfs.zName = "faults";
  fault.vfs.szOsFile = (int)sizeof(fault_file) + fault.real->szOsFile;
  fault.vfs.xOpen = fault_open;
  fault.vfs.xDelete = fault_delete;
  return sqlite3_vfs_register(&fault.vfs, 1) == SQLITE_OK;
}

#endif
