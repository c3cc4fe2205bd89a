/* SPDX-License-Identifier: MIT */
/*
 * The kernel's protocol of robust futexes (linux/futex.h): the word holds the holder's
 * thread, a bit for those who wait, and a bit that the kernel sets when the holder
 * dies. It looks at the locks that a thread lists; ours is only ever named as the one
 * that is being taken or given back, which lies in the thread's own memory.
 */
#include "base/shared_lock.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Thread_local struct {
  struct robust_list_head *list; /* the C library's; in this thread's own memory, and there after a fork too */
  uint32_t id;                   /* 0: not asked for */
} self;

static void forget_id(void) { self.id = 0; }
static void watch_forks(void) { pthread_atfork(NULL, NULL, forget_id); }

void dl_shared_lock_prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  size_t size;
  pthread_once(&once, watch_forks);
  if (!self.list && syscall(SYS_get_robust_list, 0, &self.list, &size) != 0) self.list = NULL;
  if (!self.id) self.id = (uint32_t)gettid();
}

/* What is looked at when this thread dies. */
static void name_lock(dl_shared_lock *lock) {
  if (!self.list) return;
  struct robust_list *entry = lock ? (struct robust_list *)((char *)&lock->word - self.list->futex_offset) : NULL;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  *(struct robust_list *volatile *)&self.list->list_op_pending = entry;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static struct timespec later(uint32_t wait_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += wait_ms / 1000;
  until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  return until;
}

static bool is_over(const struct timespec *until) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

static bool exchange(dl_shared_lock *lock, uint32_t *seen, uint32_t wanted) {
  return __atomic_compare_exchange_n(&lock->word, seen, wanted, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Says that somebody waits, and waits. Whoever gave the lock back wakes one. */
static void wait_for(dl_shared_lock *lock, uint32_t seen, const struct timespec *until) {
  if (!(seen & FUTEX_WAITERS) && !exchange(lock, &seen, seen | FUTEX_WAITERS)) return;
  syscall(SYS_futex, &lock->word, FUTEX_WAIT_BITSET, seen | FUTEX_WAITERS, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Others may wait still: who took it after waiting wakes the next one to be sure. The
 * clock is looked at first, so that what was given back while we were stopped is ours, and
 * who goes without leaves word that others wait: he may have been woken in their place. */
static dl_lock_result take_patiently(dl_shared_lock *lock, uint32_t seen, uint32_t wait_ms) {
  struct timespec until = later(wait_ms);
  bool over;
  do {
    over = is_over(&until);
    uint32_t found = seen;
    if (found & FUTEX_TID_MASK) {
      if (!wait_ms) return DL_LOCK_BUSY;
      wait_for(lock, found, &until);
      seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
    } else if (exchange(lock, &seen, self.id | FUTEX_WAITERS)) {
      return found & FUTEX_OWNER_DIED ? DL_LOCK_INHERITED : DL_LOCK_TAKEN;
    }
  } while (!over);
  return DL_LOCK_BUSY;
}

dl_lock_result dl_shared_lock_take(dl_shared_lock *lock, uint32_t wait_ms) {
  uint32_t seen = 0;
  if (!self.id) dl_shared_lock_prepare();
  name_lock(lock);
  if (exchange(lock, &seen, self.id)) return DL_LOCK_TAKEN;
  dl_lock_result result = take_patiently(lock, seen, wait_ms);
  if (result == DL_LOCK_BUSY) name_lock(NULL);
  return result;
}

void dl_shared_lock_give(dl_shared_lock *lock) {
  uint32_t held = __atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE);
  if (held & FUTEX_WAITERS) syscall(SYS_futex, &lock->word, FUTEX_WAKE, 1, NULL, NULL, 0);
  name_lock(NULL);
}
