/* SPDX-License-Identifier: MIT */
#include "sandbox/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char *const wall_names[DL_WALL_COUNT] = {
    [DL_WALL_LIMITS] = "rlimits",         [DL_WALL_USER] = "user",      [DL_WALL_PRIVILEGES] = "no_new_privs",
    [DL_WALL_MEMORY] = "not dumpable",    [DL_WALL_FILES] = "landlock", [DL_WALL_CALLS] = "seccomp",
};

void dl_wall_set(dl_wall *wall, dl_wall_state state, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(wall->detail, sizeof wall->detail, format, arguments);
  va_end(arguments);
  wall->state = state;
}

unsigned dl_sandbox_rights(const dl_sandbox_options *options) {
  unsigned rights = 0;
  for (const dl_needs *const *needs = options->needs; needs && *needs; needs++) rights |= (*needs)->rights;
  return rights;
}

void dl_wall_privileges(dl_wall *wall) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) dl_wall_set(wall, DL_WALL_UP, "%s", "");
  else dl_wall_set(wall, DL_WALL_MISSING, "this kernel has none");
}

/* Siblings run as the same user: without this they could read our memory, environment
 * and descriptors through /proc. Becoming another user sets it back, so it comes after. */
void dl_wall_memory(dl_wall *wall) {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) dl_wall_set(wall, DL_WALL_UP, "%s", "");
  else dl_wall_set(wall, DL_WALL_MISSING, "refused by the system");
}

static void begin(dl_sandbox_report *report) {
  *report = (dl_sandbox_report){0};
  for (size_t i = 0; i < DL_WALL_COUNT; i++) report->walls[i].name = wall_names[i];
}

bool dl_sandbox_is_whole(const dl_sandbox_report *report) {
  for (size_t i = 0; i < DL_WALL_COUNT; i++)
    if (report->walls[i].state == DL_WALL_MISSING || report->walls[i].state == DL_WALL_PARTLY) return false;
  return true;
}

void dl_sandbox_describe(const dl_sandbox_report *report, char *out, size_t size) {
  static const char *const states[] = {"not asked", "up", "partly up", "missing"};
  size_t used = 0;
  for (size_t i = 0; i < DL_WALL_COUNT && used < size; i++) {
    const dl_wall *wall = &report->walls[i];
    if (wall->state == DL_WALL_NOT_ASKED) continue;
    bool told = wall->detail[0] != 0;
    int len = snprintf(out + used, size - used, "%s%s %s%s%s%s", used ? ", " : "", wall->name, states[wall->state], told ? " (" : "", wall->detail, told ? ")" : "");
    used += len > 0 ? (size_t)len : 0;
  }
  if (used == 0 && size) snprintf(out, size, "off");
}

/* What strict promises is all of it: half a wall is no wall to build on. */
static bool judge(const dl_sandbox_options *options, dl_sandbox_report *report) {
  if (options->level != DL_SANDBOX_STRICT || dl_sandbox_is_whole(report)) return true;
  char walls[400];
  dl_sandbox_describe(report, walls, sizeof walls);
  snprintf(report->error, sizeof report->error, "--sandbox=strict wants every wall, and has: %s; --sandbox=on starts with what there is", walls);
  return false;
}

bool dl_sandbox_apply(const dl_sandbox_options *options, dl_sandbox_report *report) {
  begin(report);
  dl_wall *walls = report->walls;
  if (options->level == DL_SANDBOX_OFF) return !options->user || dl_wall_user(options, &walls[DL_WALL_USER], report->error);
  dl_wall_limits(options, &walls[DL_WALL_LIMITS]);
  if (!dl_wall_user(options, &walls[DL_WALL_USER], report->error)) return false;
  dl_wall_privileges(&walls[DL_WALL_PRIVILEGES]);
  dl_wall_memory(&walls[DL_WALL_MEMORY]);
  dl_wall_files(options, &walls[DL_WALL_FILES]);
  dl_wall_calls(options, &walls[DL_WALL_CALLS]); /* last: it forbids what raised the others */
  return judge(options, report);
}

void dl_sandbox_hide(dl_sandbox_level level) {
  dl_wall memory;
  if (level != DL_SANDBOX_OFF) dl_wall_memory(&memory);
}

bool dl_sandbox_narrow(const dl_sandbox_options *options, dl_sandbox_report *report) {
  begin(report);
  if (options->level == DL_SANDBOX_OFF) return true;
  dl_wall_ports(options, &report->walls[DL_WALL_FILES]);
  dl_wall_calls(options, &report->walls[DL_WALL_CALLS]);
  return judge(options, report);
}
