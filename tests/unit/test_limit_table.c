/* SPDX-License-Identifier: MIT */
/*
 * The shared table where it can be hurt: many processes and threads on one key,
 * processes killed and stopped in the middle of a check, more keys than it holds.
 * Children report by exit status or shared memory, and never by cmocka's asserts.
 */
#include "unit.h"

#include "limit/internal.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { SECOND = 1000000, START_US = 1000 * SECOND };

typedef struct world {
  dl_limit_table *table;
  dl_limit limits[DL_LIMIT_WINDOWS_MAX];
  size_t count;
  uint64_t now_us;
} world;

static size_t rule(dl_limit *limits, const char *text, const char *scope) {
  char error[DL_LIMIT_ERROR_BYTES];
  size_t count = dl_limit_parse(dl_str_of(text), &(dl_limit_options){.scope = dl_str_of(scope)}, limits, error);
  if (!count) fail_msg("%s", error);
  return count;
}

static world begin(const char *text, size_t bytes) {
  world w = {.table = dl_limit_table_new(bytes), .now_us = START_US};
  assert_non_null(w.table);
  w.count = rule(w.limits, text, "GET / client");
  return w;
}

static bool hit_with(const world *w, const dl_limit *limits, size_t count, uint64_t key) {
  return dl_limit_check(w->table, limits, count, dl_str_from((const char *)&key, sizeof(key)), w->now_us).allowed;
}

static bool hit(const world *w, uint64_t key) { return hit_with(w, w->limits, w->count, key); }

static size_t slots_of(const dl_limit_table *table) { return (size_t)(table->shard_mask + 1) * table->sets_per_shard * DL_SET_SLOTS; }

/* Memory that children and parent share. */
static void *shared(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  return memory;
}

static void wait_for(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- exact ------------------------------------------------------------------------- */

enum { PROCESSES = 8, THREADS = 8, TRIES = 500, KEYS = 20 };

typedef struct crowd {
  const world *w;
  uint64_t *admitted; /* for each key */
} crowd;

static void *hammer(void *data) {
  const crowd *c = data;
  for (uint32_t i = 0; i < TRIES; i++)
    for (uint64_t key = 0; key < KEYS; key++)
      if (hit(c->w, key)) __atomic_fetch_add(&c->admitted[key], 1, __ATOMIC_RELAXED);
  return NULL;
}

/* 8 processes with 8 threads each, all at the same keys. */
static void hammer_together(const world *w, uint64_t *admitted) {
  pid_t children[PROCESSES];
  crowd c = {w, admitted};
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork_bound();
    if (children[i]) continue;
    pthread_t threads[THREADS];
    for (int j = 0; j < THREADS; j++)
      if (pthread_create(&threads[j], NULL, hammer, &c) != 0) _exit(1);
    for (int j = 0; j < THREADS; j++) pthread_join(threads[j], NULL);
    _exit(0);
  }
  for (int i = 0; i < PROCESSES; i++) wait_for(children[i]);
}

static void admits_exactly_the_count_whoever_asks_at_once(void **state) {
  (void)state;
  static const struct {
    const char *rule;
    uint64_t expected;
  } rows[] = {{"5/minute", 5}, {"1/day", 1}, {"1000/minute", 1000}, {"100/second;7/hour;50/minute", 7}};
  uint64_t *admitted = shared(KEYS * sizeof(*admitted));
  for (size_t row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
    world w = begin(rows[row].rule, 1 << 16);
    memset(admitted, 0, KEYS * sizeof(*admitted));
    hammer_together(&w, admitted);
    for (uint64_t key = 0; key < KEYS; key++) assert_int_equal(admitted[key], rows[row].expected);
    dl_limit_table_free(w.table);
  }
  munmap(admitted, KEYS * sizeof(*admitted));
}

/* --- killed ------------------------------------------------------------------------ */

enum { KILLS = 150, KILLED_KEYS = 400 };

/* Checks keys of its own until it is killed, and tells of each that passed. */
static void check_until_killed(const world *w, uint64_t *admitted) {
  for (uint64_t i = 0;; i++)
    if (hit(w, i % KILLED_KEYS)) __atomic_fetch_add(&admitted[i % KILLED_KEYS], 1, __ATOMIC_RELAXED);
}

/* In a table so small that most checks place and evict; the check goes on in the
 * parent after each kill, with the child's lock if it died holding one. */
static void a_process_killed_in_the_middle_leaves_the_table_usable(void **state) {
  (void)state;
  world w = begin("3/second;1000/hour", 8192);
  uint64_t *admitted = shared(KILLED_KEYS * sizeof(*admitted));
  unsigned seed = (unsigned)time(NULL);
  print_message("seed %u\n", seed);
  srand(seed);
  for (int round = 0; round < KILLS; round++) {
    memset(admitted, 0, KILLED_KEYS * sizeof(*admitted));
    w.now_us += 4 * SECOND; /* every window of a second is over, and every floor below it */
    pid_t pids[2];
    for (int i = 0; i < 2; i++)
      if ((pids[i] = fork_bound()) == 0) check_until_killed(&w, admitted);
    usleep((useconds_t)(rand() % 3000));
    for (int i = 0; i < 2; i++) {
      kill(pids[i], SIGKILL);
      waitpid(pids[i], NULL, 0);
    }
    /* Nobody is left who could hold a lock; while they lived, one may have had it for long without a processor. */
    uint64_t stuck = dl_limit_table_read_stats(w.table).stuck;
    for (uint64_t key = 0; key < KILLED_KEYS; key++) {
      for (int i = 0; i < 5; i++) admitted[key] += hit(&w, key);
      if (admitted[key] > 3) fail_msg("round %d: key %d passed %d times", round, (int)key, (int)admitted[key]);
    }
    assert_int_equal(dl_limit_table_read_stats(w.table).stuck, stuck);
  }
  dl_limit_table_stats stats = dl_limit_table_read_stats(w.table);
  print_message("%d kills, %d locks taken over, %d evictions\n", 2 * KILLS, (int)stats.repaired, (int)stats.evicted);
  assert_true(stats.evicted > 0);
  w.now_us += 4000ull * SECOND * 3;
  for (uint64_t key = 1000000; key < 1000010; key++) assert_true(hit(&w, key));
  munmap(admitted, KILLED_KEYS * sizeof(*admitted));
  dl_limit_table_free(w.table);
}

/* The lock itself: somebody dies while holding each of them. */
static void a_lock_is_passed_on_when_its_holder_dies(void **state) {
  (void)state;
  world w = begin("5/minute", 8192);
  uint32_t shards = w.table->shard_mask + 1;
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < shards; i++) {
      pid_t pid = fork_bound();
      if (pid == 0) {
        dl_shared_lock_take(&w.table->locks[i].lock, 0);
        kill(getpid(), SIGKILL);
      }
      int status;
      waitpid(pid, &status, 0);
      assert_true(WIFSIGNALED(status));
    }
    for (uint64_t key = 0; key < 50; key++) assert_int_equal(hit(&w, key), true);
  }
  dl_limit_table_stats stats = dl_limit_table_read_stats(w.table);
  assert_int_equal(stats.repaired, 3 * shards);
  assert_int_equal(stats.stuck, 0);
  dl_limit_table_free(w.table);
}

/* Somebody waits for it already: he is woken, by the kernel. */
static void who_waits_has_the_lock_as_soon_as_its_holder_is_dead(void **state) {
  (void)state;
  dl_shared_lock *lock = shared(sizeof *lock);
  int ready[2];
  char byte;
  assert_int_equal(pipe(ready), 0);
  pid_t pid = fork_bound();
  if (pid == 0) {
    dl_shared_lock_take(lock, 0);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    usleep(300000);
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  assert_int_equal(dl_shared_lock_take(lock, 0), DL_LOCK_BUSY);
  uint64_t begun_ms = now_ms();
  assert_int_equal(dl_shared_lock_take(lock, 60000), DL_LOCK_INHERITED);
  assert_true(now_ms() - begun_ms < 30000);
  waitpid(pid, NULL, 0);
  dl_shared_lock_give(lock);
  assert_int_equal(lock->word, 0);
  close(ready[0]);
  close(ready[1]);
  munmap(lock, sizeof *lock);
}

/* Started and stopped while it waits, for as long as it would have waited: its end, or 0 when it had ended before it was stopped. */
static int end_of_who_was_stopped(dl_shared_lock *lock, uint32_t wait_ms) {
  int status;
  assert_int_equal(dl_shared_lock_take(lock, 0), DL_LOCK_TAKEN);
  pid_t pid = fork_bound();
  if (pid == 0) _exit(1 + (int)dl_shared_lock_take(lock, wait_ms));
  while (!(__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & FUTEX_WAITERS) && waitpid(pid, &status, WNOHANG) == 0) usleep(1000);
  kill(pid, SIGSTOP);
  if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) return 0;
  dl_shared_lock_give(lock);
  usleep((wait_ms + 50) * 1000);
  kill(pid, SIGCONT);
  waitpid(pid, &status, 0);
  lock->word = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void who_waited_too_long_takes_a_lock_that_is_free_all_the_same(void **state) {
  (void)state;
  dl_shared_lock *lock = shared(sizeof *lock);
  int end = 0;
  for (uint32_t wait_ms = 200; !end && wait_ms < 60000; wait_ms *= 4) {
    lock->word = 0;
    end = end_of_who_was_stopped(lock, wait_ms);
  }
  assert_int_equal(end, 1 + DL_LOCK_TAKEN);
  munmap(lock, sizeof *lock);
}

/* A stopped process cannot be told from one that will go on, so its lock cannot be
 * taken: its clients are refused for the moment, and the loop waits no longer than that. */
static void a_stopped_holder_costs_a_refusal_and_not_the_loop(void **state) {
  (void)state;
  world w = begin("5/minute", 8192);
  pid_t pid = fork_bound();
  if (pid == 0) {
    for (uint32_t i = 0; i <= w.table->shard_mask; i++) dl_shared_lock_take(&w.table->locks[i].lock, 0);
    raise(SIGSTOP);
    for (uint32_t i = 0; i <= w.table->shard_mask; i++) dl_shared_lock_give(&w.table->locks[i].lock);
    _exit(0);
  }
  int status;
  waitpid(pid, &status, WUNTRACED);
  assert_true(WIFSTOPPED(status));
  uint64_t key = 7, begun_ms = now_ms();
  dl_limit_result result = dl_limit_check(w.table, w.limits, w.count, dl_str_from((const char *)&key, sizeof(key)), w.now_us);
  assert_in_range(now_ms() - begun_ms, DL_LOCK_WAIT_MS - 1, 100 * DL_LOCK_WAIT_MS);
  assert_false(result.allowed);
  assert_ptr_equal(result.limit, w.limits);
  assert_int_equal(result.retry_after_s, 1);
  begun_ms = now_ms();
  for (int i = 0; i < 1000; i++) assert_false(hit(&w, key)); /* nobody waits a second time */
  assert_true(now_ms() - begun_ms < 100 * DL_LOCK_WAIT_MS);
  kill(pid, SIGCONT);
  wait_for(pid);
  assert_true(hit(&w, key));
  assert_int_equal(dl_limit_table_read_stats(w.table).stuck, 1001);
  dl_limit_table_free(w.table);
}

/* --- flooded ----------------------------------------------------------------------- */

static void block(const world *w, uint64_t first, uint64_t count) {
  for (uint64_t key = first; key < first + count; key++)
    while (hit(w, key));
}

static uint64_t passing(const world *w, uint64_t first, uint64_t count) {
  uint64_t passed = 0;
  for (uint64_t key = first; key < first + count; key++) passed += hit(w, key);
  return passed;
}

/* A hundred times more keys than the table holds, while a hundred others are blocked. */
static void a_flood_of_keys_resets_nobody(void **state) {
  (void)state;
  world w = begin("5/minute", 32768);
  block(&w, 0, 100);
  for (uint64_t i = 0; i < 100 * slots_of(w.table); i++) {
    hit(&w, 1000 + i);
    if (i % 97 == 0) assert_int_equal(passing(&w, i / 97 % 100, 1), 0);
  }
  assert_int_equal(passing(&w, 0, 100), 0);
  w.now_us += 59 * SECOND;
  assert_int_equal(passing(&w, 0, 100), 0);
  dl_limit_table_free(w.table);
}

/* No key passes more often than its limit says, in whatever order it comes back. */
static void a_flooder_gets_no_more_than_his_share(void **state) {
  (void)state;
  world w = begin("5/minute", 16384);
  size_t keys = 4 * slots_of(w.table);
  unsigned char *passed = calloc(keys, 1);
  uint64_t total = 0;
  srand(11);
  for (size_t i = 0; i < 60 * keys; i++) {
    size_t key = (size_t)rand() % keys;
    bool allowed = hit(&w, key);
    passed[key] = (unsigned char)(passed[key] + allowed);
    total += allowed;
    if (passed[key] > 5) fail_msg("key %zu passed %d times", key, passed[key]);
  }
  print_message("%zu keys on %zu slots: %.2f requests each\n", keys, slots_of(w.table), (double)total / (double)keys);
  assert_true(total >= slots_of(w.table)); /* a table that refuses all would pass the rest of this test */
  free(passed);
  dl_limit_table_free(w.table);
}

/* The same over time: two rules, windows that end, keys that come and go, against
 * a list of every request that passed. */
static void no_window_of_the_length_holds_more_than_twice_the_count(void **state) {
  (void)state;
  enum { FLOOD_KEYS = 600, REQUESTS = 400000, COUNT = 4 };
  world w = begin("4/second", 8192);
  static uint64_t passed[FLOOD_KEYS][2 * COUNT];
  static uint32_t next[FLOOD_KEYS];
  srand(12);
  uint64_t total = 0;
  for (size_t i = 0; i < REQUESTS; i++) {
    w.now_us += (uint64_t)(rand() % 1000);
    uint64_t key = (uint64_t)(rand() % FLOOD_KEYS);
    if (!hit(&w, key)) continue;
    uint64_t *oldest = &passed[key][next[key]++ % (2 * COUNT)];
    if (*oldest && *oldest + SECOND > w.now_us) fail_msg("key %d passed %d times in less than a second", (int)key, 2 * COUNT);
    *oldest = w.now_us;
    total++;
  }
  assert_true(total > 1000);
  assert_true(dl_limit_table_read_stats(w.table).evicted > 1000);
  dl_limit_table_free(w.table);
}

/* Whoever asked in the window before is counted in this one, and nobody's place is free until he is not. */
static void a_crowd_makes_nobody_of_the_window_before_forgotten(void **state) {
  (void)state;
  world w = begin("10/minute", 8192);
  unsigned passed = 0;
  for (int i = 0; i < 10; i++) assert_true(hit(&w, 0));
  w.now_us += 66u * SECOND;
  for (uint64_t key = 1; key <= 2 * slots_of(w.table); key++) hit(&w, key);
  for (int i = 0; i < 10; i++) passed += hit(&w, 0);
  assert_in_range(passed, 0, 2); /* of ten nine tenths, less one, still count */
  dl_limit_table_free(w.table);
}

/* A flood of one limit's keys is that limit's own affair. */
static void a_flood_against_one_limit_leaves_the_others_alone(void **state) {
  (void)state;
  world w = begin("5/minute", 32768);
  dl_limit other[DL_LIMIT_WINDOWS_MAX];
  size_t other_count = rule(other, "10/minute", "GET /other client");
  for (uint64_t key = 0; key < 40; key++)
    for (int i = 0; i < 7; i++) assert_true(hit_with(&w, other, other_count, key));
  for (uint64_t i = 0; i < 50 * slots_of(w.table); i++) hit(&w, 1000 + i);
  /* Known to the other limit: exactly what was left. */
  for (uint64_t key = 0; key < 40; key++) {
    for (int i = 0; i < 3; i++) assert_true(hit_with(&w, other, other_count, key));
    assert_false(hit_with(&w, other, other_count, key));
  }
  /* New to it: a place is found in a full table, and a whole count with it. Where
   * the table's own secret puts a newcomer beside others of the same limit only, it
   * inherits what one of those had used: seldom, and never more than the count. */
  int whole = 0;
  for (uint64_t key = 500; key < 540; key++) {
    int admitted = 0;
    while (admitted <= 10 && hit_with(&w, other, other_count, key)) admitted++;
    assert_true(admitted <= 10);
    whole += admitted == 10;
  }
  assert_true(whole >= 36);
  dl_limit_table_free(w.table);
}

/* One place, full of keys of this limit that used so much; a stranger of another limit comes. */
static void throw_one_out(dl_shard *shard, dl_place place, const dl_limit *limit, const dl_limit *other, uint32_t used) {
  for (size_t i = 0; i < 2 * DL_SET_SLOTS; i++) {
    place.sets[i / DL_SET_SLOTS]->tags[i % DL_SET_SLOTS] = i + 1;
    place.sets[i / DL_SET_SLOTS]->records[i % DL_SET_SLOTS] =
        (dl_record){.window = {.start_us = shard->now_us, .current = used}, .group = (uint32_t)limit->id, .seconds = 60};
  }
  place.tag = 100;
  assert_non_null(dl_shard_insert(shard, place, other));
}

static void a_floor_keeps_what_was_used_in_three_turns(void **state) {
  (void)state;
  static dl_limit_table_stats stats;
  static dl_limit_table table = {.stats = &stats};
  static dl_shard_lock lock;
  static dl_floor floors[DL_SHARD_FLOORS];
  static dl_set sets[2];
  dl_limit limit[DL_LIMIT_WINDOWS_MAX], other[DL_LIMIT_WINDOWS_MAX];
  rule(limit, "5/minute", "GET / client");
  rule(other, "5/minute", "GET /other client");
  dl_shard shard = {.table = &table, .lock = &lock, .floors = floors, .sets = sets};
  dl_place place = {.sets = {&sets[0], &sets[1]}};
  static const uint32_t used[] = {4, 2, 1, 0}, heights[] = {4, 4, 4, 2, 1, 0};
  for (uint64_t turn = 0; turn < 6; turn++) {
    shard.now_us = (100 + turn) * 60 * SECOND;
    if (used[turn < 3 ? turn : 3]) throw_one_out(&shard, place, limit, other, used[turn]);
    assert_int_equal(dl_shard_floor(&shard, limit), heights[turn]);
    shard.now_us += 60 * SECOND - 1;
    assert_int_equal(dl_shard_floor(&shard, limit), heights[turn]);
    assert_int_equal(dl_shard_floor(&shard, other), 0);
  }
}

/* Half of the places are each limit's, in either order: the newcomer's own limit pays for him. */
static void of_limits_that_crowd_as_much_the_newcomers_own_gives_way(void **state) {
  (void)state;
  for (size_t own = 0; own < 2; own++) {
    dl_limit_table_stats stats = {0};
    dl_limit_table table = {.stats = &stats};
    dl_shard_lock lock = {0};
    dl_floor floors[DL_SHARD_FLOORS] = {0};
    dl_set sets[2] = {0};
    dl_limit limits[2][DL_LIMIT_WINDOWS_MAX];
    rule(limits[0], "5/minute", "GET / client");
    rule(limits[1], "5/minute", "GET /other client");
    dl_shard shard = {.table = &table, .lock = &lock, .floors = floors, .sets = sets, .now_us = 6000ull * SECOND};
    dl_place place = {.tag = 100, .sets = {&sets[0], &sets[1]}};
    for (size_t i = 0; i < 2 * DL_SET_SLOTS; i++) {
      uint32_t group = (uint32_t)limits[i / DL_SET_SLOTS]->id;
      sets[i / DL_SET_SLOTS].tags[i % DL_SET_SLOTS] = i + 1;
      sets[i / DL_SET_SLOTS].records[i % DL_SET_SLOTS] = (dl_record){.window = {.start_us = shard.now_us, .current = 3}, .group = group, .seconds = 60};
    }
    assert_non_null(dl_shard_insert(&shard, place, limits[own]));
    assert_int_equal(dl_shard_floor(&shard, limits[own]), 3);
    assert_int_equal(dl_shard_floor(&shard, limits[1 - own]), 0);
  }
}

/* Thrown out for another limit's strangers: the count is there when its owner comes
 * back, in this window or, as far as it still bears on it, in the next. */
static void who_lost_his_place_finds_his_count_again(void **state) {
  (void)state;
  static const struct {
    uint64_t later_s;
    uint32_t most; /* requests that may pass then, beside four that did */
  } rows[] = {{0, 1}, {59, 1}, {75, 3}, {90, 4}};
  for (size_t row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
    world w = begin("5/minute", 8192);
    dl_limit other[DL_LIMIT_WINDOWS_MAX];
    rule(other, "5/minute", "GET /other client");
    uint64_t keys = slots_of(w.table) / 2, flood = 6 * slots_of(w.table);
    for (uint64_t key = 0; key < keys; key++)
      for (int i = 0; i < 4; i++) assert_true(hit(&w, key));
    for (uint64_t key = 0; key < flood; key++) hit_with(&w, other, 1, 5000 + key);
    assert_true(dl_limit_table_read_stats(w.table).evicted > keys / 2);
    w.now_us += rows[row].later_s * SECOND;
    for (uint64_t key = 0; key < keys; key++) {
      uint32_t passed = 0;
      while (hit(&w, key)) passed++;
      if (passed > rows[row].most) fail_msg("%d seconds later key %d passed %d times more", (int)rows[row].later_s, (int)key, (int)passed);
    }
    dl_limit_table_free(w.table);
  }
}

/* A full table refuses strangers to the flooded limit, says for how long, and is
 * itself again when the flood's windows are over. */
static void a_full_table_refuses_strangers_and_recovers(void **state) {
  (void)state;
  world w = begin("2/minute", 8192);
  for (uint64_t i = 0; i < 100 * slots_of(w.table); i++) hit(&w, i);
  uint64_t key = 1u << 30;
  dl_limit_result result = dl_limit_check(w.table, w.limits, w.count, dl_str_from((const char *)&key, sizeof(key)), w.now_us);
  assert_false(result.allowed);
  assert_ptr_equal(result.limit, w.limits);
  assert_in_range(result.retry_after_s, 60, 120);
  assert_true(dl_limit_table_read_stats(w.table).evicted > 0);
  w.now_us += 180ull * SECOND;
  for (key = 1u << 30; key < (1u << 30) + 100; key++) {
    assert_true(hit(&w, key));
    assert_true(hit(&w, key));
    assert_false(hit(&w, key));
  }
  dl_limit_table_free(w.table);
}

/* When every place is held by a blocked client, nobody is thrown out for a stranger. */
static void blocked_clients_keep_their_places(void **state) {
  (void)state;
  world w = begin("2/minute", 8192);
  uint64_t keys = 20 * slots_of(w.table);
  block(&w, 0, keys);
  assert_int_equal(passing(&w, 0, keys), 0);
  assert_true(dl_limit_table_read_stats(w.table).crowded > 0);
  dl_limit_table_free(w.table);
}

/* With more flooded limits than a shard has floors, the count of one that would be
 * thrown out could not be kept: then nobody is. */
static void more_flooded_limits_than_floors_fail_closed(void **state) {
  (void)state;
  enum { LIMITS = 3 * DL_SHARD_FLOORS };
  world w = begin("2/minute", 8192);
  static dl_limit limits[LIMITS][DL_LIMIT_WINDOWS_MAX];
  for (int i = 0; i < LIMITS; i++) {
    char scope[32];
    snprintf(scope, sizeof(scope), "GET /%d", i);
    rule(limits[i], "2/minute", scope);
    for (uint64_t key = 0; key < 2; key++)
      while (hit_with(&w, limits[i], 1, key));
  }
  for (uint64_t key = 10; key < 10 + 10 * slots_of(w.table); key++)
    for (int i = 0; i < LIMITS; i++) hit_with(&w, limits[i], 1, key);
  for (int i = 0; i < LIMITS; i++)
    for (uint64_t key = 0; key < 2; key++) assert_false(hit_with(&w, limits[i], 1, key));
  assert_true(dl_limit_table_read_stats(w.table).crowded > 0);
  dl_limit_table_free(w.table);
}

/* Several windows of which the last finds no place: the others give back what they took. */
static void a_request_without_a_place_takes_nothing(void **state) {
  (void)state;
  world w = begin("1000/minute", 8192);
  static dl_limit full[DL_LIMIT_WINDOWS_MAX], both[DL_LIMIT_WINDOWS_MAX];
  rule(full, "1/hour", "GET /full");
  both[0] = w.limits[0], both[1] = full[0];
  uint64_t victim = 3;
  assert_true(hit(&w, victim));
  for (uint64_t key = 10; key < 10 + 10 * slots_of(w.table); key++) hit_with(&w, full, 1, key);
  for (int i = 0; i < 20; i++) assert_false(hit_with(&w, both, 2, victim));
  dl_limit_result result = dl_limit_check(w.table, w.limits, 1, dl_str_from((const char *)&victim, sizeof(victim)), w.now_us);
  assert_true(result.allowed);
  assert_int_equal(result.remaining, 998);
  dl_limit_table_free(w.table);
}

static void counts_every_key_while_there_is_room(void **state) {
  (void)state;
  world w = begin("2/minute", 1 << 22);
  uint64_t keys = slots_of(w.table) / 3; /* at half a table in 700 has two full sets for a key, whose key is chance */
  for (int i = 0; i < 2; i++) assert_int_equal(passing(&w, 0, keys), keys);
  assert_int_equal(passing(&w, 0, keys), 0);
  assert_int_equal(dl_limit_table_read_stats(w.table).evicted, 0);
  dl_limit_table_free(w.table);
}

static void two_tables_spread_the_same_keys_differently(void **state) {
  (void)state;
  world one = begin("2/minute", 8192), other = begin("2/minute", 8192);
  assert_true(memcmp(one.table->key, other.table->key, sizeof(one.table->key)) != 0);
  dl_limit_table_free(one.table);
  dl_limit_table_free(other.table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(admits_exactly_the_count_whoever_asks_at_once),
      cmocka_unit_test(a_process_killed_in_the_middle_leaves_the_table_usable),
      cmocka_unit_test(a_lock_is_passed_on_when_its_holder_dies),
      cmocka_unit_test(who_waits_has_the_lock_as_soon_as_its_holder_is_dead),
      cmocka_unit_test(who_waited_too_long_takes_a_lock_that_is_free_all_the_same),
      cmocka_unit_test(a_stopped_holder_costs_a_refusal_and_not_the_loop),
      cmocka_unit_test(a_flood_of_keys_resets_nobody),
      cmocka_unit_test(a_flooder_gets_no_more_than_his_share),
      cmocka_unit_test(no_window_of_the_length_holds_more_than_twice_the_count),
      cmocka_unit_test(a_crowd_makes_nobody_of_the_window_before_forgotten),
      cmocka_unit_test(a_flood_against_one_limit_leaves_the_others_alone),
      cmocka_unit_test(a_floor_keeps_what_was_used_in_three_turns),
      cmocka_unit_test(of_limits_that_crowd_as_much_the_newcomers_own_gives_way),
      cmocka_unit_test(who_lost_his_place_finds_his_count_again),
      cmocka_unit_test(a_full_table_refuses_strangers_and_recovers),
      cmocka_unit_test(blocked_clients_keep_their_places),
      cmocka_unit_test(more_flooded_limits_than_floors_fail_closed),
      cmocka_unit_test(a_request_without_a_place_takes_nothing),
      cmocka_unit_test(counts_every_key_while_there_is_room),
      cmocka_unit_test(two_tables_spread_the_same_keys_differently),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
