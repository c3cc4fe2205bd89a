/* SPDX-License-Identifier: MIT */
/*
 * Ends `demilune test` where a handler does not come back: the spec that asks for it runs in the same thread, so that neither
 * the loop's timers nor the spec's own deadline are ever looked at. Whatever ends it, its data folder is removed.
 */
#ifndef DL_BRIDGE_TEST_WATCH_H
#define DL_BRIDGE_TEST_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* The folder is removed once this process ends, however it ends: by a process that is begun here, before there are threads. False
 * where none can be begun. */
bool dl_test_watch_folder(const char *folder);

/* Has it removed, and comes back when it is gone. */
void dl_test_watch_remove(void);

/* From here until the end is told the loop may turn for what is left of those seconds, and some more; then the process ends with
 * status 1 and a sentence on standard error about what was asked, such as "GET /users". One at a time. */
void dl_test_watch_begin(const char *asked, double seconds, uint64_t left_ms);
void dl_test_watch_end(void);

#endif
