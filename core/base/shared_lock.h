/* SPDX-License-Identifier: MIT */
/*
 * A lock in memory that processes share which need not trust each other: a number,
 * and nothing that leads anywhere. (A robust mutex of the C library keeps its list of
 * locks in the locks: whoever may write there makes every other process write where he
 * likes.) A holder that dies leaves the lock to the next, by the kernel's robust
 * futexes. Who scribbles over it can make others wait, no longer than they said, or
 * hold it with another.
 *
 * Needs of the system: futex(2), gettid(2); get_robust_list(2) once in each thread.
 */
#ifndef DL_BASE_SHARED_LOCK_H
#define DL_BASE_SHARED_LOCK_H

#include <stdint.h>

/* All zero: free. */
typedef struct dl_shared_lock {
  uint32_t word;
} dl_shared_lock;

typedef enum dl_lock_result {
  DL_LOCK_BUSY,     /* somebody else has it still */
  DL_LOCK_TAKEN,
  DL_LOCK_INHERITED /* taken, from a process that died with it in hand */
} dl_lock_result;

/* Before the sandbox, in the thread that will take locks or the one that forks it:
 * without it, and behind a wall, a lock of a thread that dies is never inherited. */
void dl_shared_lock_prepare(void);

/* Waits that long at most; 0: not at all. A thread that dies leaves the newest lock
 * that it took: take one at a time. */
dl_lock_result dl_shared_lock_take(dl_shared_lock *lock, uint32_t wait_ms);

void dl_shared_lock_give(dl_shared_lock *lock);

#endif
