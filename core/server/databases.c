/* SPDX-License-Identifier: MIT */
/*
 * What the master knows of the workers' databases (data/opened.h): it takes a file from a
 * worker that has started and served nobody yet, and of a reload what all workers have
 * loaded and lies at its path, so that nothing a worker writes later changes it.
 */
#include "data/database.h"
#include "server/master.h"

#include <stdio.h>

static dl_opened_files *of_worker(const dl_master *master, size_t index) { return dl_board_at(&master->opened, index); }

static uint64_t serving(const dl_master *master) { return master->generation ? master->generation : 1; }

static void warn(void *owner, const char *exposure) { dl_log_text(&((dl_master *)owner)->log, DL_LOG_WARNING, "%s", exposure); }

/* In dev its folder is mostly the app's, where others may work on it. */
static void look_for_exposures(void *owner, const char *path) {
  const dl_master *master = owner;
  if (master->options->mode != DEMILUNE_DEV) dl_database_each_exposure_at(path, warn, owner);
}

static void take(dl_master *master, size_t index, uint64_t generation) {
  if (dl_known_take(&master->known, of_worker(master, index), generation, look_for_exposures, master) || master->told_crowded) return;
  master->told_crowded = true;
  dl_log_text(&master->log, DL_LOG_WARNING,
              "more than %d databases are open: of those beyond, nobody notices when a file is gone or another lies in its place, and a worker that takes "
              "another's place may begin an empty one",
              DL_OPENED_MAX);
}

void dl_master_databases_begin(dl_master *master, size_t index) {
  master->workers[index].lost_database = dl_opened_any_lost(of_worker(master, index), serving(master));
  dl_opened_reset(of_worker(master, index));
}

void dl_master_databases_started(dl_master *master, dl_child *worker) {
  worker->lost_database = false;
  take(master, (size_t)(worker - master->workers), serving(master));
}

bool dl_master_databases_loaded(dl_master *master, char problem[DL_DATABASES_MESSAGE_BYTES]) {
  char path[PATH_MAX];
  for (size_t i = 0; i < master->worker_count; i++) {
    if (master->workers[i].state != DL_CHILD_READY || dl_opened_all_lie(of_worker(master, i), master->reload.number, path)) continue;
    snprintf(problem, DL_DATABASES_MESSAGE_BYTES,
             "the database's file %s was moved, deleted or replaced while the workers opened it: reload again once the right one lies there", path);
    return false;
  }
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].state == DL_CHILD_READY) take(master, i, master->reload.number);
  return true;
}

bool dl_master_databases_agree(const dl_master *master, const dl_child *worker) {
  uint64_t generation = master->reload.state == DL_RELOAD_SWAPPING ? master->reload.number : serving(master);
  return dl_known_agrees(&master->known, of_worker(master, (size_t)(worker - master->workers)), generation);
}

void dl_master_databases_keep(dl_master *master) { dl_known_keep(&master->known, master->generation); }

/* No request is answered by a database that is gone, and nobody takes the place of a worker that ends. */
static bool any_lost(const dl_master *master) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].lost_database || dl_opened_any_lost(of_worker(master, i), serving(master))) return true;
  return false;
}

void dl_master_databases_tick(const dl_master *master) {
  if (master->announced && !master->stopping) dl_metrics_set_phase(master->metrics, any_lost(master) ? DL_SERVICE_LOST_DATABASE : DL_SERVICE_SERVING);
}
