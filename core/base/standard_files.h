/* SPDX-License-Identifier: MIT */
/*
 * Standard input, output and error: a program that closed them, as some do that go to the
 * background, gives their numbers to whatever is opened next. The log would then be
 * written into a socket, a database or a pipe of the event loop.
 */
#ifndef DL_BASE_STANDARD_FILES_H
#define DL_BASE_STANDARD_FILES_H

/* Those that are closed are /dev/null from now on. To be called before anything is opened. */
void dl_standard_files_hold(void);

#endif
