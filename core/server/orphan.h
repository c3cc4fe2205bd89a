/* SPDX-License-Identifier: MIT */
/*
 * A worker whose master was killed. It hears of that on its channel and finishes what is
 * in flight; but one that is stuck in Lua hears nothing, and nobody is left to replace
 * it. So the system tells it by a signal too, and from then on a timer looks, on
 * whatever the worker runs, whether it is stuck, as the master did.
 * Needs: setitimer.
 */
#ifndef DL_SERVER_ORPHAN_H
#define DL_SERVER_ORPHAN_H

#include "base/beat.h"
#include "base/needs.h"

#include <signal.h>

/* What the system is to send when the master is gone (PR_SET_PDEATHSIG). By default it
 * ends the process, which is right for one that does not serve yet. */
enum { DL_ORPHAN_SIGNAL = SIGALRM };

/* From now on the signal ends this process only once beat (not owned; lives as long as
 * the process) is stuck, or patience_us microseconds have passed since it came. */
void dl_orphan_watch(const dl_beat *beat, uint64_t patience_us);

extern const dl_needs dl_orphan_needs;

#endif
