/* SPDX-License-Identifier: MIT */
#include "server/walls.h"

#include "bridge/bridge.h"
#include "data/database.h"
#include "guard/guard.h"
#include "limit/redis.h"
#include "model/schema.h"
#include "server/orphan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_BYTES = 512 };

static dl_sandbox_options describe(const demilune_options *options, const dl_needs *const *needs) {
  const char *data = getenv("DEMILUNE_DATA");
  return (dl_sandbox_options){
      .level = (dl_sandbox_level)options->sandbox,
      .user = options->user,
      .app_folder = options->folder,
      .data_folder = data ? data : options->folder,
      .needs = needs,
      .max_memory = options->max_memory,
  };
}

/* The server, whose log this will be, is not made before the walls stand. */
static void tell(const demilune_options *options, const dl_sandbox_report *report, int fd) {
  char walls[REPORT_BYTES];
  dl_clock clock = {0};
  dl_log log;
  dl_clock_update(&clock);
  dl_log_init(&log, fd, options->mode == DEMILUNE_SERVE ? DL_LOG_JSON : DL_LOG_TEXT, DL_LOG_INFO, &clock);
  dl_sandbox_describe(report, walls, sizeof walls);
  dl_log_text(&log, dl_sandbox_is_whole(report) ? DL_LOG_INFO : DL_LOG_WARNING, "sandbox: %s", walls);
  if (options->sandbox != DEMILUNE_SANDBOX_OFF && report->walls[DL_WALL_FILES].state != DL_WALL_MISSING && !getenv("DEMILUNE_DATA"))
    dl_log_text(&log, DL_LOG_INFO, "sandbox: the app's folder is writable, since it is the data folder too; DEMILUNE_DATA names another");
  dl_log_flush(&log);
  dl_log_free(&log);
}

static bool finish(bool fine, const dl_sandbox_report *report, char error[512]) {
  if (!fine) memcpy(error, report->error, sizeof report->error);
  return fine;
}

bool dl_walls_raise(const demilune_options *options, int tells, char error[512]) {
  static const dl_needs *const all[] = {&dl_base_needs,  &dl_crypto_needs, &dl_net_needs,    &dl_limit_redis_needs, &dl_data_needs,
                                        &dl_model_needs, &dl_guard_needs,  &dl_bridge_needs, &dl_orphan_needs, NULL};
  if (options->sandbox == DEMILUNE_SANDBOX_OFF && !options->user) return true;
  dl_sandbox_options sandbox = describe(options, all);
  dl_sandbox_report report;
  sandbox.any_port = sandbox.narrows = true;
  bool fine = dl_sandbox_apply(&sandbox, &report);
  if (fine && tells >= 0) tell(options, &report, tells);
  return finish(fine, &report, error);
}

void dl_walls_hide(const demilune_options *options) { dl_sandbox_hide((dl_sandbox_level)options->sandbox); }

/* How much memory a process uses stands in /proc; nobody's secrets do, since workers
 * that are not dumpable show theirs to root alone. */
bool dl_walls_raise_admin(const demilune_options *options, char error[512]) {
  static const dl_needs *const needs[] = {&dl_base_needs, &dl_net_needs, NULL};
  static const char *const read_paths[] = {"/proc", NULL};
  if (options->sandbox == DEMILUNE_SANDBOX_OFF && !options->user) return true;
  dl_sandbox_options sandbox = describe(options, needs);
  dl_sandbox_report report;
  sandbox.app_folder = NULL;
  sandbox.read_paths = read_paths;
  return finish(dl_sandbox_apply(&sandbox, &report), &report, error);
}

bool dl_walls_narrow(const demilune_options *options, const dl_outside *outside, dl_log *log, char error[512]) {
  dl_needs redis = dl_limit_redis_needs;
  redis.rights &= ~(unsigned)(DL_RIGHT_SOCKETS | DL_RIGHT_UNIX_SOCKETS);
  if (outside->port_count) redis.rights |= DL_RIGHT_SOCKETS;
  if (outside->unix_sockets) redis.rights |= DL_RIGHT_UNIX_SOCKETS;
  bool connects = outside->port_count || outside->unix_sockets;
  if (options->sandbox == DEMILUNE_SANDBOX_OFF) return true;
  const dl_needs *const needs[] = {&dl_base_needs,  &dl_crypto_needs, &dl_net_needs, &dl_data_needs, &dl_model_needs,
                                   &dl_guard_needs, &dl_bridge_needs, &dl_orphan_needs, connects ? &redis : NULL, NULL};
  dl_sandbox_options sandbox = describe(options, needs);
  dl_sandbox_report report;
  sandbox.ports = outside->ports;
  sandbox.port_count = outside->port_count;
  bool fine = dl_sandbox_narrow(&sandbox, &report);
  bool taken = report.walls[DL_WALL_FILES].state != DL_WALL_MISSING && report.walls[DL_WALL_CALLS].state != DL_WALL_MISSING;
  if (fine && !taken) dl_log_text(log, DL_LOG_WARNING, "sandbox: what the app does not use could not be taken away");
  return finish(fine, &report, error);
}
