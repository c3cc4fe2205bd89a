/* SPDX-License-Identifier: MIT */
/* The walls, one file each. Each fills its row; false only where going on would be worse. */
#ifndef DL_SANDBOX_INTERNAL_H
#define DL_SANDBOX_INTERNAL_H

#include "sandbox/sandbox.h"

/* LeakSanitizer stops its threads with a process of its own and ptrace, and the reports
 * of all need the program's files. Their builds are for tests; they get walls with these holes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* gcc's words for it */
#define DL_SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#define DL_SANDBOX_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)) /* clang's */
#else
#define DL_SANDBOX_SANITIZED 0
#endif

void dl_wall_set(dl_wall *wall, dl_wall_state state, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Rights of all needs together. */
unsigned dl_sandbox_rights(const dl_sandbox_options *options);

void dl_wall_limits(const dl_sandbox_options *options, dl_wall *wall);
bool dl_wall_user(const dl_sandbox_options *options, dl_wall *wall, char error[512]);
void dl_wall_privileges(dl_wall *wall);
void dl_wall_memory(dl_wall *wall);
void dl_wall_files(const dl_sandbox_options *options, dl_wall *wall);
void dl_wall_ports(const dl_sandbox_options *options, dl_wall *wall); /* narrowing the same */
void dl_wall_calls(const dl_sandbox_options *options, dl_wall *wall);

#endif
