/* SPDX-License-Identifier: MIT */
/*
 * A reload: first a process that only tries whether the app loads, then all workers
 * beside what they run, then all of them swap. Whatever fails before that leaves the
 * old generation as it was.
 */
#include "base/file_set.h"
#include "server/master.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const uint64_t LIMIT_US = 60000000, PROBE_END_US = 1000000;

/* One that is gone is buried by and by. */
static void load_in(dl_child *child, uint64_t generation, int files) {
  bool told = dl_channel_send(child->channel, DL_MESSAGE_LOAD, generation, NULL, files);
  if (told) child->loads++;
  child->step = told ? DL_STEP_LOADING : DL_STEP_UNTOLD;
}

static bool swap_in(dl_child *child) {
  child->step = DL_STEP_SWAPPING;
  return dl_channel_send(child->channel, DL_MESSAGE_SWAP, child->loads, NULL, -1);
}

static void drop_in(dl_child *child) {
  dl_channel_send(child->channel, DL_MESSAGE_DROP, 0, NULL, -1);
  child->step = DL_STEP_NONE;
}

static bool all_are(const dl_master *master, dl_reload_step step) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].state == DL_CHILD_READY && master->workers[i].step != step) return false;
  return true;
}

static bool any_serves(const dl_master *master) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].state == DL_CHILD_READY) return true;
  return false;
}

static bool workers_are_told(const dl_master *master) {
  return master->reload.state == DL_RELOAD_LOADING || master->reload.state == DL_RELOAD_SWAPPING;
}

static void let_serve(dl_child *child) {
  child->serves = dl_channel_send(child->channel, DL_MESSAGE_SERVE, 0, NULL, -1);
}

/* --- the end ------------------------------------------------------------------------------- */

static void begin_next(dl_master *master) {
  if (!master->reload.again || master->stopping) return;
  master->reload.again = false;
  dl_master_reload(master);
}

/* From the swap on some serve the new generation: whoever asked is not told that nothing has changed. */
static void tell_failure(dl_master *master, const char *problem, char outcome[DL_CONTROL_ANSWER_BYTES]) {
  unsigned long long before = master->generation, next = master->reload.number;
  if (master->reload.state == DL_RELOAD_SWAPPING) {
    snprintf(outcome, DL_CONTROL_ANSWER_BYTES,
             "!%s in the midst of the reload, while its workers change to generation %llu; the next start loads the files anew", problem, next);
    dl_log_text(&master->log, DL_LOG_WARNING, "%s", outcome + 1);
    return;
  }
  dl_log_text(&master->log, DL_LOG_ERROR, "the reload failed and generation %llu goes on: %s", before, problem);
  snprintf(outcome, DL_CONTROL_ANSWER_BYTES, "-%s", problem);
}

/* problem NULL: all went well. */
static void finish(dl_master *master, const char *problem) {
  dl_reload *reload = &master->reload;
  double milliseconds = (double)(master->clock.monotonic_us - reload->began_us) / 1e3;
  char outcome[DL_CONTROL_ANSWER_BYTES];
  if (!problem) {
    int before = master->files;
    master->files = reload->files;
    reload->files = before;
  }
  if (reload->files >= 0) close(reload->files);
  reload->files = -1;
  dl_metrics_count_event(master->metrics, problem ? DL_EVENT_RELOAD_FAILED : DL_EVENT_RELOAD_OK);
  bool told = workers_are_told(master);
  if (problem) {
    for (size_t i = 0; told && i < master->worker_count; i++)
      if (master->workers[i].step != DL_STEP_NONE) drop_in(&master->workers[i]);
    tell_failure(master, problem, outcome);
  } else {
    master->generation = reload->number;
    for (size_t i = 0; i < master->worker_count; i++) master->workers[i].lost_database = false; /* that was one of before */
    dl_log_text(&master->log, DL_LOG_INFO, "reloaded: generation %llu serves, after %.0f ms", (unsigned long long)master->generation, milliseconds);
    snprintf(outcome, sizeof outcome, "+generation %llu serves, after %.0f ms", (unsigned long long)master->generation, milliseconds);
  }
  dl_master_databases_keep(master);
  for (size_t i = 0; i < master->worker_count; i++) {
    dl_child *child = &master->workers[i];
    if (told) child->step = DL_STEP_NONE;
    if (child->channel >= 0) dl_channel_send(child->channel, DL_MESSAGE_NOTE, 0, problem, -1);
    if (told && child->state == DL_CHILD_READY && !child->serves && !master->stopping) load_in(child, master->generation, master->files);
  }
  reload->state = DL_RELOAD_NONE;
  if (!master->handed_on) dl_notify_send(&master->notify, "READY=1"); /* else it is said of the new program already */
  dl_control_answer(&master->control, outcome, reload->again);
  begin_next(master);
}

/* --- the steps -------------------------------------------------------------------------------- */

void dl_master_reload(dl_master *master) {
  dl_reload *reload = &master->reload;
  char message[DL_TLS_MESSAGE_BYTES];
  if (reload->state != DL_RELOAD_NONE || reload->probe.pid) { /* that of the one before has its place until it is buried */
    reload->again = true;
    return;
  }
  dl_notify_reloading(&master->notify, master->clock.monotonic_us);
  reload->number = master->generation + 1;
  dl_master_databases_keep(master); /* what a program before this one had no longer counts */
  reload->began_us = master->clock.monotonic_us;
  reload->state = DL_RELOAD_PROBING;
  reload->files = dl_file_set_collect(master->options->folder, message);
  if (reload->files < 0 || !dl_master_tls_reread(master, message)) finish(master, message);
  else if (!dl_master_start_probe(master)) finish(master, "the system gives no process to try the app in");
}

static void load_all(dl_master *master) {
  master->reload.state = DL_RELOAD_LOADING;
  if (!any_serves(master)) {
    finish(master, "no worker serves at the moment; try again when one does");
    return;
  }
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].state == DL_CHILD_READY) load_in(&master->workers[i], master->reload.number, master->reload.files);
}

/* Those that wait for the next one are told as well. */
void dl_master_end_reload(dl_master *master) {
  static const char outcome[] = "-the server is stopping";
  if (master->reload.state != DL_RELOAD_NONE) finish(master, outcome + 1);
  dl_control_answer(&master->control, outcome, false);
  dl_control_close(&master->control);
}

static void go_on(dl_master *master) {
  dl_reload *reload = &master->reload;
  char problem[DL_DATABASES_MESSAGE_BYTES];
  if (reload->state == DL_RELOAD_LOADING && all_are(master, DL_STEP_LOADED)) {
    if (!dl_master_databases_loaded(master, problem)) {
      finish(master, problem);
      return;
    }
    reload->state = DL_RELOAD_SWAPPING;
    reload->swap_us = master->clock.monotonic_us;
    dl_master_tls_commit(master);
    for (size_t i = 0; i < master->worker_count; i++)
      if (master->workers[i].state == DL_CHILD_READY) swap_in(&master->workers[i]);
  }
  if (reload->state == DL_RELOAD_SWAPPING && all_are(master, DL_STEP_NONE)) finish(master, NULL);
}

/* A worker that can serve now does so, if what it loaded is what the others serve. While
 * they load, it loads as well. One that began to start before a reload whose generation
 * serves by now changes to that first: nobody is answered by the old one any more. */
static void join(dl_master *master, dl_child *child, const dl_message *message) {
  const dl_reload *reload = &master->reload;
  if (reload->state != DL_RELOAD_SWAPPING && message->number >= master->generation) let_serve(child);
  if (workers_are_told(master)) load_in(child, reload->number, reload->files);
  else if (!child->serves) load_in(child, master->generation, master->files);
}

/* The others swap already, or have: this one follows, or is replaced. */
static void join_swap(const dl_master *master, dl_child *child, const dl_message *message) {
  if (message->kind != DL_MESSAGE_LOADED || !dl_master_databases_agree(master, child) || !swap_in(child)) kill(child->pid, SIGKILL);
}

void dl_master_reload_heard(dl_master *master, dl_child *child, const dl_message *message) {
  dl_reload *reload = &master->reload;
  bool of_probe = child == &reload->probe;
  if (message->kind == DL_MESSAGE_READY) {
    join(master, child, message);
  } else if (reload->state == DL_RELOAD_PROBING && of_probe) {
    child->state = DL_CHILD_STOPPING;
    child->began_us = master->clock.monotonic_us;
    if (message->kind == DL_MESSAGE_LOADED) load_all(master);
    else finish(master, message->text);
  } else if (message->number != child->loads) {
    return; /* it speaks of a load that another one has followed */
  } else if (reload->state != DL_RELOAD_LOADING && child->step == DL_STEP_LOADING) {
    join_swap(master, child, message);
  } else if (reload->state == DL_RELOAD_LOADING && child->step == DL_STEP_LOADING) {
    if (message->kind == DL_MESSAGE_FAILED) {
      finish(master, message->text);
      return;
    }
    if (message->kind == DL_MESSAGE_LOADED) child->step = DL_STEP_LOADED;
    go_on(master);
  } else if (reload->state != DL_RELOAD_LOADING && message->kind == DL_MESSAGE_SWAPPED) {
    child->step = DL_STEP_NONE;
    let_serve(child);
    go_on(master);
  }
}

void dl_master_reload_lost(dl_master *master, dl_child *child) {
  dl_reload *reload = &master->reload;
  if (child == &reload->probe) {
    if (reload->state == DL_RELOAD_PROBING) finish(master, child->stuck ? "loading the app did not come to an end" : "the process that tried the app crashed");
    else if (reload->state == DL_RELOAD_NONE) begin_next(master);
    return;
  }
  if (reload->state == DL_RELOAD_LOADING && !any_serves(master)) finish(master, "every worker ended while the app was loaded");
  else go_on(master);
}

/* The others serve the new generation already: there is no way back, and it must not
 * serve the old one for ever. Its end goes on with this. */
static void end_those_that_do_not_swap(dl_master *master) {
  for (size_t i = 0; i < master->worker_count; i++) {
    dl_child *child = &master->workers[i];
    if (child->state != DL_CHILD_READY || child->step == DL_STEP_NONE || child->stuck) continue;
    dl_log_text(&master->log, DL_LOG_ERROR, "worker %zu (process %d) did not change to generation %llu in time and is replaced", i + 1, (int)child->pid,
                (unsigned long long)master->reload.number);
    child->stuck = true;
    kill(child->pid, SIGKILL);
  }
}

/* A worker that is told to drop what it loads drops it, but for what a database's writer has begun: a migration is carried through. */
static const char *why_late(const dl_master *master) {
  for (size_t i = 0; i < master->worker_count; i++)
    if (master->workers[i].step == DL_STEP_LOADING && dl_beat_is_opening(dl_board_at(&master->board, i)))
      return "a database was still being opened after a minute, where a migration may be under way: that goes on beside the code from before, and is "
             "applied whole or not at all, which the log tells; other writes wait for it. Reload again then; what takes so long belongs to a start";
  return "a worker did not finish loading in time";
}

void dl_master_reload_tick(dl_master *master) {
  dl_reload *reload = &master->reload;
  /* It has said what it knows; what the app began while it loaded may keep it for ever, and with it the next reload. */
  if (reload->probe.state == DL_CHILD_STOPPING && master->clock.monotonic_us >= reload->probe.began_us + PROBE_END_US) kill(reload->probe.pid, SIGKILL);
  if (reload->state == DL_RELOAD_SWAPPING && master->clock.monotonic_us >= reload->swap_us + LIMIT_US) end_those_that_do_not_swap(master);
  if (reload->state == DL_RELOAD_NONE || master->clock.monotonic_us < reload->began_us + LIMIT_US) return;
  if (reload->state == DL_RELOAD_PROBING && reload->probe.pid) {
    reload->probe.stuck = true;
    kill(reload->probe.pid, SIGKILL); /* its end finishes this */
  } else if (reload->state == DL_RELOAD_LOADING) {
    finish(master, why_late(master));
  }
}
