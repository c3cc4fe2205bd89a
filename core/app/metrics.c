/* SPDX-License-Identifier: MIT */
/*
 * The shared block. Stores and loads are atomic but relaxed, and no store needs a
 * locked instruction, since each number has one writer. Only what gets a place by its
 * name is under a lock, which is robust: its holder may die.
 */
#include "app/metrics.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_WAIT_S = 2, REASON_OTHER = 0 };

typedef struct name {
  uint8_t len;
  char bytes[DL_METRICS_NAME_BYTES];
} name;

/* The places in [0, count) are never changed again. */
typedef struct name_list {
  uint32_t count;
  name *places;
  uint32_t max;
} name_list;

typedef struct dl_metrics_slot {
  pid_t pid;
  uint32_t ready;
  uint64_t counters[DL_COUNTER_COUNT], gauges[DL_GAUGE_COUNT], reasons[DL_METRICS_REASONS_MAX];
  dl_metrics_series series[DL_SERIES_MAX];
} __attribute__((aligned(4096))) dl_metrics_slot; /* no two workers write the same line or page */

struct dl_metrics {
  size_t bytes;
  uint32_t slot_count, phase;
  uint64_t events[DL_EVENT_COUNT];
  pthread_mutex_t lock; /* of what follows, for adding */
  name_list routes, reasons;
  name route_places[DL_METRICS_ROUTES_MAX], reason_places[DL_METRICS_REASONS_MAX];
  dl_metrics_slot slots[];
};

/* --- numbers ------------------------------------------------------------------------- */

static uint64_t load(const uint64_t *number) { return __atomic_load_n(number, __ATOMIC_RELAXED); }
static void store(uint64_t *number, uint64_t value) { __atomic_store_n(number, value, __ATOMIC_RELAXED); }
static void add(uint64_t *number, uint64_t more) { store(number, load(number) + more); }

/* --- names --------------------------------------------------------------------------- */

static uint32_t find_name(const name_list *names, dl_str wanted) {
  uint32_t count = __atomic_load_n(&names->count, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < count; i++)
    if (dl_str_equal(dl_str_from(names->places[i].bytes, names->places[i].len), wanted)) return i;
  return UINT32_MAX;
}

/* Who died while adding had not raised the count: the place is written anew. */
static bool take_lock(dl_metrics *metrics, bool patiently) {
  struct timespec until;
  int error = pthread_mutex_trylock(&metrics->lock);
  if (error == EBUSY && patiently) {
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOCK_WAIT_S;
    error = pthread_mutex_clocklock(&metrics->lock, CLOCK_MONOTONIC, &until);
  }
  if (error == EOWNERDEAD) error = pthread_mutex_consistent(&metrics->lock);
  return error == 0;
}

/* UINT32_MAX when there is no place, or another process holds the lock too long. */
static uint32_t place_name(dl_metrics *metrics, name_list *names, dl_str wanted, bool patiently) {
  uint32_t found = find_name(names, wanted);
  if (found != UINT32_MAX || wanted.len > DL_METRICS_NAME_BYTES || !take_lock(metrics, patiently)) return found;
  found = find_name(names, wanted);
  if (found == UINT32_MAX && names->count < names->max) {
    found = names->count;
    name *place = &names->places[found];
    place->len = (uint8_t)wanted.len;
    memcpy(place->bytes, wanted.ptr, wanted.len);
    __atomic_store_n(&names->count, found + 1, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&metrics->lock);
  return found;
}

static dl_str name_at(const name_list *names, uint32_t at) { return dl_str_from(names->places[at].bytes, names->places[at].len); }

uint32_t dl_metrics_route(dl_metrics *metrics, dl_method method, dl_str path) {
  char text[DL_METRICS_NAME_BYTES];
  dl_str verb = dl_method_name(method);
  if (verb.len + 1 + path.len > sizeof text) return DL_SERIES_OTHER;
  memcpy(text, verb.ptr, verb.len);
  text[verb.len] = ' ';
  if (path.len) memcpy(text + verb.len + 1, path.ptr, path.len);
  uint32_t place = place_name(metrics, &metrics->routes, dl_str_from(text, verb.len + 1 + path.len), true);
  return place == UINT32_MAX ? DL_SERIES_OTHER : DL_SERIES_ROUTES + place;
}

/* --- making it ----------------------------------------------------------------------- */

static bool init_lock(pthread_mutex_t *lock) {
  pthread_mutexattr_t kind;
  if (pthread_mutexattr_init(&kind) != 0) return false;
  bool ok = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0 && pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0 &&
            pthread_mutex_init(lock, &kind) == 0;
  pthread_mutexattr_destroy(&kind);
  return ok;
}

dl_metrics *dl_metrics_new(uint32_t workers) {
  assert(workers >= 1 && workers <= DL_METRICS_WORKERS_MAX);
  size_t bytes = sizeof(dl_metrics) + workers * sizeof(dl_metrics_slot);
  dl_metrics *metrics = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (metrics == MAP_FAILED) return NULL;
  metrics->bytes = bytes;
  metrics->slot_count = workers;
  metrics->routes = (name_list){.places = metrics->route_places, .max = DL_METRICS_ROUTES_MAX};
  metrics->reasons = (name_list){.places = metrics->reason_places, .max = DL_METRICS_REASONS_MAX};
  if (init_lock(&metrics->lock) && place_name(metrics, &metrics->reasons, DL_STR("other"), true) == REASON_OTHER) return metrics;
  munmap(metrics, bytes);
  return NULL;
}

void dl_metrics_free(dl_metrics *metrics) {
  if (metrics) munmap(metrics, metrics->bytes);
}

/* --- the master's part ----------------------------------------------------------------- */

void dl_metrics_count_event(dl_metrics *metrics, dl_event event) { add(&metrics->events[event], 1); }
void dl_metrics_set_phase(dl_metrics *metrics, dl_service_phase phase) { __atomic_store_n(&metrics->phase, (uint32_t)phase, __ATOMIC_RELAXED); }

static void clear_gauges(dl_metrics_slot *slot) {
  __atomic_store_n(&slot->ready, 0, __ATOMIC_RELAXED);
  for (size_t i = 0; i < DL_GAUGE_COUNT; i++) store(&slot->gauges[i], 0);
}

void dl_metrics_worker_gone(dl_metrics *metrics, uint32_t slot) {
  assert(slot < metrics->slot_count);
  clear_gauges(&metrics->slots[slot]);
  __atomic_store_n(&metrics->slots[slot].pid, 0, __ATOMIC_RELAXED);
}

/* --- a worker's part --------------------------------------------------------------------- */

void dl_metrics_open(dl_metrics_writer *writer, dl_metrics *metrics, uint32_t slot) {
  assert(slot < metrics->slot_count);
  *writer = (dl_metrics_writer){.metrics = metrics, .slot = &metrics->slots[slot]};
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
    place = place_name(writer->metrics, &writer->metrics->reasons, dl_str_of(reason), false);
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
uint64_t dl_metrics_read_event(const dl_metrics *metrics, dl_event event) { return load(&metrics->events[event]); }
uint64_t dl_metrics_read_gauge(const dl_metrics *metrics, uint32_t slot, dl_gauge gauge) { return load(&metrics->slots[slot].gauges[gauge]); }
pid_t dl_metrics_read_pid(const dl_metrics *metrics, uint32_t slot) { return __atomic_load_n(&metrics->slots[slot].pid, __ATOMIC_RELAXED); }

uint64_t dl_metrics_read_counter(const dl_metrics *metrics, dl_counter counter) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < metrics->slot_count; i++) sum += load(&metrics->slots[i].counters[counter]);
  return sum;
}

uint32_t dl_metrics_series_count(const dl_metrics *metrics) { return DL_SERIES_ROUTES + __atomic_load_n(&metrics->routes.count, __ATOMIC_ACQUIRE); }

dl_str dl_metrics_series_name(const dl_metrics *metrics, uint32_t series) {
  return series < DL_SERIES_ROUTES ? (dl_str){0} : name_at(&metrics->routes, series - DL_SERIES_ROUTES);
}

void dl_metrics_read_series(const dl_metrics *metrics, uint32_t series, dl_metrics_series *out) {
  *out = (dl_metrics_series){0};
  for (uint32_t i = 0; i < metrics->slot_count; i++) {
    const dl_metrics_series *counts = &metrics->slots[i].series[series];
    for (size_t k = 0; k < DL_METRICS_STATUS_COUNT; k++) out->statuses[k] += load(&counts->statuses[k]);
    for (size_t k = 0; k <= DL_METRICS_BUCKETS; k++) out->buckets[k] += load(&counts->buckets[k]);
    out->sum_us += load(&counts->sum_us);
  }
}

uint32_t dl_metrics_reason_count(const dl_metrics *metrics) { return __atomic_load_n(&metrics->reasons.count, __ATOMIC_ACQUIRE); }
dl_str dl_metrics_reason_name(const dl_metrics *metrics, uint32_t reason) { return name_at(&metrics->reasons, reason); }

uint64_t dl_metrics_read_reason(const dl_metrics *metrics, uint32_t reason) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < metrics->slot_count; i++) sum += load(&metrics->slots[i].reasons[reason]);
  return sum;
}

const char *dl_metrics_unready(const dl_metrics *metrics) {
  switch ((dl_service_phase)__atomic_load_n(&metrics->phase, __ATOMIC_RELAXED)) {
    case DL_SERVICE_STARTING: return "starting";
    case DL_SERVICE_DRAINING: return "draining";
    default: break;
  }
  for (uint32_t i = 0; i < metrics->slot_count; i++)
    if (__atomic_load_n(&metrics->slots[i].ready, __ATOMIC_RELAXED)) return NULL;
  return "no worker is ready";
}
