/* SPDX-License-Identifier: MIT */
/*
 * The shared block. Stores and loads are atomic but relaxed, and no store needs a
 * locked instruction, since each number has one writer. Only what gets a place by its
 * name is under a lock, which is robust: its holder may die.
 */
#include "app/metrics_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 2000, REASON_OTHER = 0 };

/* --- numbers ------------------------------------------------------------------------- */

static uint64_t load(const uint64_t *number) { return __atomic_load_n(number, __ATOMIC_RELAXED); }
static void store(uint64_t *number, uint64_t value) { __atomic_store_n(number, value, __ATOMIC_RELAXED); }
static void add(uint64_t *number, uint64_t more) { store(number, load(number) + more); }

/* --- names --------------------------------------------------------------------------- */

/* One of the two lists. */
typedef struct name_list {
  uint32_t *count, max;
  dl_metrics_name *places;
} name_list;

static name_list routes_of(const dl_metrics *metrics) { return (name_list){&metrics->block->route_count, DL_METRICS_ROUTES_MAX, metrics->block->routes}; }
static name_list reasons_of(const dl_metrics *metrics) { return (name_list){&metrics->block->reason_count, DL_METRICS_REASONS_MAX, metrics->block->reasons}; }

static uint32_t count_of(name_list names) {
  uint32_t count = __atomic_load_n(names.count, __ATOMIC_ACQUIRE);
  return count < names.max ? count : names.max;
}

static dl_str name_at(name_list names, uint32_t at) {
  uint8_t len = __atomic_load_n(&names.places[at].len, __ATOMIC_RELAXED);
  return dl_str_from(names.places[at].bytes, len < DL_METRICS_NAME_BYTES ? len : DL_METRICS_NAME_BYTES);
}

static uint32_t find_name(name_list names, dl_str wanted) {
  uint32_t count = count_of(names);
  for (uint32_t i = 0; i < count; i++)
    if (dl_str_equal(name_at(names, i), wanted)) return i;
  return UINT32_MAX;
}

/* UINT32_MAX when there is no place, or another process holds the lock too long. Who
 * died while adding had not raised the count: the place is written anew. */
static uint32_t place_name(const dl_metrics *metrics, name_list names, dl_str wanted, bool patiently) {
  dl_shared_lock *lock = &metrics->block->lock;
  uint32_t found = find_name(names, wanted), count;
  if (found != UINT32_MAX || wanted.len > DL_METRICS_NAME_BYTES) return found;
  if (dl_shared_lock_take(lock, patiently ? LOCK_WAIT_MS : 0) == DL_LOCK_BUSY) return found;
  found = find_name(names, wanted);
  if (found == UINT32_MAX && (count = count_of(names)) < names.max) {
    dl_metrics_name *place = &names.places[count];
    found = count;
    place->len = (uint8_t)wanted.len;
    memcpy(place->bytes, wanted.ptr, wanted.len);
    __atomic_store_n(names.count, count + 1, __ATOMIC_RELEASE);
  }
  dl_shared_lock_give(lock);
  return found;
}

uint32_t dl_metrics_route(dl_metrics *metrics, dl_method method, dl_str path) {
  char text[DL_METRICS_NAME_BYTES];
  dl_str verb = dl_method_name(method);
  if (verb.len + 1 + path.len > sizeof text) return DL_SERIES_OTHER;
  memcpy(text, verb.ptr, verb.len);
  text[verb.len] = ' ';
  if (path.len) memcpy(text + verb.len + 1, path.ptr, path.len);
  uint32_t place = place_name(metrics, routes_of(metrics), dl_str_from(text, verb.len + 1 + path.len), true);
  return place == UINT32_MAX ? DL_SERIES_OTHER : DL_SERIES_ROUTES + place;
}

/* --- making it ----------------------------------------------------------------------- */

dl_metrics *dl_metrics_new(uint32_t workers) {
  assert(workers >= 1 && workers <= DL_METRICS_WORKERS_MAX);
  size_t bytes = sizeof(dl_metrics_block) + workers * sizeof(dl_metrics_slot);
  dl_metrics_block *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return NULL;
  dl_metrics *metrics = dl_malloc(sizeof *metrics);
  *metrics = (dl_metrics){bytes, workers, block};
  dl_shared_lock_prepare();
  if (place_name(metrics, reasons_of(metrics), DL_STR("other"), true) == REASON_OTHER) return metrics;
  dl_metrics_free(metrics);
  return NULL;
}

void dl_metrics_free(dl_metrics *metrics) {
  if (metrics) munmap(metrics->block, metrics->bytes);
  dl_free(metrics);
}

/* --- the master's part ----------------------------------------------------------------- */

void dl_metrics_count_event(dl_metrics *metrics, dl_event event) { add(&metrics->block->events[event], 1); }
void dl_metrics_set_phase(dl_metrics *metrics, dl_service_phase phase) { __atomic_store_n(&metrics->block->phase, (uint32_t)phase, __ATOMIC_RELAXED); }

static void clear_gauges(dl_metrics_slot *slot) {
  __atomic_store_n(&slot->ready, 0, __ATOMIC_RELAXED);
  for (size_t i = 0; i < DL_GAUGE_COUNT; i++) store(&slot->gauges[i], 0);
}

void dl_metrics_worker_gone(dl_metrics *metrics, uint32_t slot) {
  assert(slot < metrics->slot_count);
  clear_gauges(&metrics->block->slots[slot]);
  __atomic_store_n(&metrics->block->slots[slot].pid, 0, __ATOMIC_RELAXED);
}

/* --- a worker's part --------------------------------------------------------------------- */

void dl_metrics_open(dl_metrics_writer *writer, dl_metrics *metrics, uint32_t slot) {
  assert(slot < metrics->slot_count);
  *writer = (dl_metrics_writer){.metrics = metrics, .slot = &metrics->block->slots[slot]};
  clear_gauges(writer->slot);
  __atomic_store_n(&writer->slot->pid, getpid(), __ATOMIC_RELAXED);
}

void dl_metrics_set_ready(dl_metrics_writer *writer, bool ready) {
  if (writer->slot) __atomic_store_n(&writer->slot->ready, ready, __ATOMIC_RELAXED);
}

void dl_metrics_count(dl_metrics_writer *writer, dl_counter counter) {
  if (writer->slot) add(&writer->slot->counters[counter], 1);
}

void dl_metrics_follow(dl_metrics_writer *writer, dl_counter counter, uint64_t value) {
  if (!writer->slot) return;
  uint64_t known = writer->followed[counter] <= value ? writer->followed[counter] : 0;
  add(&writer->slot->counters[counter], value - known);
  writer->followed[counter] = value;
}

void dl_metrics_set(dl_metrics_writer *writer, dl_gauge gauge, uint64_t value) {
  if (writer->slot) store(&writer->slot->gauges[gauge], value);
}

/* Found by its address; by its text only when it is met for the first time. */
void dl_metrics_count_reason(dl_metrics_writer *writer, const char *reason) {
  uint32_t place = REASON_OTHER + 1;
  if (!writer->slot) return;
  while (place < DL_METRICS_REASONS_MAX && writer->reasons[place] != reason) place++;
  if (place == DL_METRICS_REASONS_MAX) {
    place = place_name(writer->metrics, reasons_of(writer->metrics), dl_str_of(reason), false);
    if (place == UINT32_MAX) place = REASON_OTHER;
    else writer->reasons[place] = reason;
  }
  add(&writer->slot->reasons[place], 1);
}

static uint32_t status_place(int status) {
  enum { FIRST = 200, LAST = 504 };
  static const uint8_t exact[LAST - FIRST + 1] = {
#define ROW(status) [status - FIRST] = DL_METRICS_STATUS_##status,
      DL_METRICS_STATUSES(ROW)
#undef ROW
  };
  if (status >= FIRST && status <= LAST && exact[status - FIRST]) return exact[status - FIRST];
  return status >= 100 && status <= 599 ? DL_METRICS_STATUS_CLASS + (uint32_t)status / 100 : DL_METRICS_STATUS_NONE;
}

void dl_metrics_count_request(dl_metrics_writer *writer, uint32_t series, int status, uint64_t microseconds) {
  static const uint32_t bounds_us[DL_METRICS_BUCKETS] = DL_METRICS_BOUNDS_US;
  uint32_t bucket = 0;
  if (!writer->slot) return;
  dl_metrics_series *counts = &writer->slot->series[series];
  while (bucket < DL_METRICS_BUCKETS && microseconds > bounds_us[bucket]) bucket++;
  add(&counts->statuses[status_place(status)], 1);
  add(&counts->buckets[bucket], 1);
  add(&counts->sum_us, microseconds);
}

/* --- reading ----------------------------------------------------------------------------- */

uint32_t dl_metrics_slot_count(const dl_metrics *metrics) { return metrics->slot_count; }
uint64_t dl_metrics_read_event(const dl_metrics *metrics, dl_event event) { return load(&metrics->block->events[event]); }
uint64_t dl_metrics_read_gauge(const dl_metrics *metrics, uint32_t slot, dl_gauge gauge) { return load(&metrics->block->slots[slot].gauges[gauge]); }
pid_t dl_metrics_read_pid(const dl_metrics *metrics, uint32_t slot) { return __atomic_load_n(&metrics->block->slots[slot].pid, __ATOMIC_RELAXED); }

uint64_t dl_metrics_read_counter(const dl_metrics *metrics, dl_counter counter) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < metrics->slot_count; i++) sum += load(&metrics->block->slots[i].counters[counter]);
  return sum;
}

/* A copy: what was found fit to be shown is what is shown. */
static dl_str read_name(name_list names, uint32_t at, char room[DL_METRICS_NAME_BYTES]) {
  dl_str shared = name_at(names, at);
  memcpy(room, shared.ptr, shared.len);
  return dl_str_from(room, shared.len);
}

uint32_t dl_metrics_series_count(const dl_metrics *metrics) { return DL_SERIES_ROUTES + count_of(routes_of(metrics)); }

dl_str dl_metrics_series_name(const dl_metrics *metrics, uint32_t series, char room[DL_METRICS_NAME_BYTES]) {
  return series < DL_SERIES_ROUTES ? (dl_str){0} : read_name(routes_of(metrics), series - DL_SERIES_ROUTES, room);
}

void dl_metrics_read_series(const dl_metrics *metrics, uint32_t series, dl_metrics_series *out) {
  *out = (dl_metrics_series){0};
  for (uint32_t i = 0; i < metrics->slot_count; i++) {
    const dl_metrics_series *counts = &metrics->block->slots[i].series[series];
    for (size_t k = 0; k < DL_METRICS_STATUS_COUNT; k++) out->statuses[k] += load(&counts->statuses[k]);
    for (size_t k = 0; k <= DL_METRICS_BUCKETS; k++) out->buckets[k] += load(&counts->buckets[k]);
    out->sum_us += load(&counts->sum_us);
  }
}

uint32_t dl_metrics_reason_count(const dl_metrics *metrics) { return count_of(reasons_of(metrics)); }
dl_str dl_metrics_reason_name(const dl_metrics *metrics, uint32_t reason, char room[DL_METRICS_NAME_BYTES]) {
  return read_name(reasons_of(metrics), reason, room);
}

uint64_t dl_metrics_read_reason(const dl_metrics *metrics, uint32_t reason) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < metrics->slot_count; i++) sum += load(&metrics->block->slots[i].reasons[reason]);
  return sum;
}

const char *dl_metrics_unready(const dl_metrics *metrics) {
  switch ((dl_service_phase)__atomic_load_n(&metrics->block->phase, __ATOMIC_RELAXED)) {
    case DL_SERVICE_STARTING: return "starting";
    case DL_SERVICE_DRAINING: return "draining";
    case DL_SERVICE_LOST_DATABASE: return "a database's file is not the one that the server started with; the log says which";
    default: break;
  }
  for (uint32_t i = 0; i < metrics->slot_count; i++)
    if (__atomic_load_n(&metrics->block->slots[i].ready, __ATOMIC_RELAXED)) return NULL;
  return "no worker is ready";
}
