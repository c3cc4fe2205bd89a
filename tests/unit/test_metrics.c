/* SPDX-License-Identifier: MIT */
/*
 * The shared block as master and workers use it: processes that add the same routes,
 * write their own slots, die at any moment and are replaced. Children report by exit
 * status or through the block, never by cmocka's asserts.
 */
#include "unit.h"

#include "app/metrics.h"
#include "server/prometheus.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static dl_metrics *begin(uint32_t workers) {
  dl_metrics *metrics = dl_metrics_new(workers);
  assert_non_null(metrics);
  return metrics;
}

static void expect_end(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static uint32_t route(dl_metrics *metrics, const char *path) { return dl_metrics_route(metrics, DL_METHOD_GET, dl_str_of(path)); }

static uint32_t numbered_route(dl_metrics *metrics, unsigned number) {
  char path[32];
  snprintf(path, sizeof path, "/r%u/{id}", number);
  return route(metrics, path);
}

static dl_metrics_series read_series(const dl_metrics *metrics, uint32_t series) {
  dl_metrics_series counts;
  dl_metrics_read_series(metrics, series, &counts);
  return counts;
}

static void a_route_has_one_series_whoever_asks(void **state) {
  (void)state;
  char room[DL_METRICS_NAME_BYTES];
  dl_metrics *metrics = begin(1);
  uint32_t users = route(metrics, "/users/{id}");
  assert_int_equal(users, DL_SERIES_ROUTES);
  assert_int_equal(dl_metrics_route(metrics, DL_METHOD_POST, DL_STR("/users/{id}")), users + 1);
  assert_int_equal(route(metrics, "/users/{id}"), users);
  assert_str(dl_metrics_series_name(metrics, users + 1, room), "POST /users/{id}");
  dl_metrics_free(metrics);
}

/* Each in another order, so that they meet at different places. */
static void processes_that_add_routes_at_once_agree_on_them(void **state) {
  (void)state;
  enum { PROCESSES = 4, ROUTES = 200 };
  dl_metrics *metrics = begin(PROCESSES);
  pid_t pids[PROCESSES];
  for (unsigned p = 0; p < PROCESSES; p++) {
    pids[p] = fork_bound();
    if (pids[p]) continue;
    dl_metrics_writer writer;
    dl_metrics_open(&writer, metrics, p);
    for (unsigned i = 0; i < ROUTES; i++) {
      unsigned number = (i * 7 + p * 50) % ROUTES;
      dl_metrics_count_request(&writer, numbered_route(metrics, number), 200, number);
    }
    _exit(0);
  }
  for (unsigned p = 0; p < PROCESSES; p++) expect_end(pids[p]);
  assert_int_equal(dl_metrics_series_count(metrics), DL_SERIES_ROUTES + ROUTES);
  for (unsigned number = 0; number < ROUTES; number++) {
    dl_metrics_series counts = read_series(metrics, numbered_route(metrics, number));
    assert_int_equal(counts.statuses[DL_METRICS_STATUS_200], PROCESSES);
    assert_int_equal(counts.sum_us, PROCESSES * number);
  }
  dl_metrics_free(metrics);
}

static void a_process_killed_while_it_adds_routes_hinders_nobody(void **state) {
  (void)state;
  for (unsigned round = 0; round < 20; round++) {
    dl_metrics *metrics = begin(2);
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork_bound();
    if (pid == 0) {
      for (unsigned i = 0;; i = (i + 1) % DL_METRICS_ROUTES_MAX) {
        numbered_route(metrics, i);
        if (i == round && write(ready[1], "x", 1) != 1) _exit(1);
      }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ready[0]);
    close(ready[1]);
    for (unsigned i = 0; i < DL_METRICS_ROUTES_MAX; i++) assert_int_not_equal(numbered_route(metrics, i), DL_SERIES_OTHER);
    assert_int_equal(dl_metrics_series_count(metrics), DL_SERIES_MAX);
    dl_metrics_free(metrics);
  }
}

static void what_finds_no_place_counts_as_other(void **state) {
  (void)state;
  dl_metrics *metrics = begin(1);
  char path[200] = "/";
  memset(path + 1, 'x', sizeof path - 2);
  path[sizeof path - 1] = 0;
  assert_int_equal(route(metrics, path), DL_SERIES_OTHER);
  path[DL_METRICS_NAME_BYTES - 4] = 0; /* "GET " before it */
  assert_int_equal(route(metrics, path), DL_SERIES_ROUTES);
  for (unsigned i = 1; i < DL_METRICS_ROUTES_MAX; i++) assert_int_equal(numbered_route(metrics, i), DL_SERIES_ROUTES + i);
  for (unsigned i = 0; i < 1000; i++) assert_int_equal(numbered_route(metrics, 1000 + i), DL_SERIES_OTHER);
  assert_int_equal(numbered_route(metrics, 17), DL_SERIES_ROUTES + 17);
  assert_int_equal(dl_metrics_series_count(metrics), DL_SERIES_MAX);
  dl_metrics_free(metrics);
}

static void a_replaced_worker_goes_on_with_its_predecessors_numbers(void **state) {
  (void)state;
  dl_metrics *metrics = begin(2);
  for (unsigned life = 1; life <= 3; life++) {
    pid_t pid = fork_bound();
    if (pid == 0) {
      dl_metrics_writer writer;
      dl_metrics_open(&writer, metrics, 1);
      uint32_t series = route(metrics, "/a");
      for (unsigned i = 0; i < 10; i++) dl_metrics_count_request(&writer, series, 404, 0);
      dl_metrics_count(&writer, DL_COUNTER_CONNECTIONS_ACCEPTED);
      dl_metrics_follow(&writer, DL_COUNTER_BYTES_IN, 60);
      dl_metrics_follow(&writer, DL_COUNTER_BYTES_IN, 100); /* since this process began */
      dl_metrics_count_reason(&writer, "there is no Authorization field");
      dl_metrics_set(&writer, DL_GAUGE_CONNECTIONS, 7);
      dl_metrics_set_ready(&writer, true);
      raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(dl_metrics_read_pid(metrics, 1), pid);
    assert_int_equal(dl_metrics_read_gauge(metrics, 1, DL_GAUGE_CONNECTIONS), 7);
    dl_metrics_worker_gone(metrics, 1);
    assert_int_equal(dl_metrics_read_pid(metrics, 1), 0);
    assert_int_equal(dl_metrics_read_gauge(metrics, 1, DL_GAUGE_CONNECTIONS), 0);
    assert_int_equal(read_series(metrics, route(metrics, "/a")).statuses[DL_METRICS_STATUS_404], 10 * life);
    assert_int_equal(dl_metrics_read_counter(metrics, DL_COUNTER_CONNECTIONS_ACCEPTED), life);
    assert_int_equal(dl_metrics_read_counter(metrics, DL_COUNTER_BYTES_IN), 100 * life);
    assert_int_equal(dl_metrics_reason_count(metrics), 2);
    assert_int_equal(dl_metrics_read_reason(metrics, 1), life);
  }
  dl_metrics_free(metrics);
}

static void a_counter_that_begins_anew_goes_on(void **state) {
  (void)state;
  dl_metrics *metrics = begin(1);
  dl_metrics_writer writer;
  dl_metrics_open(&writer, metrics, 0);
  static const uint64_t values[] = {5, 5, 8, 2, 3};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) dl_metrics_follow(&writer, DL_COUNTER_REDIS_ANSWERED, values[i]);
  assert_int_equal(dl_metrics_read_counter(metrics, DL_COUNTER_REDIS_ANSWERED), 11);
  dl_metrics_free(metrics);
}

static void workers_are_added_up_exactly(void **state) {
  (void)state;
  enum { PROCESSES = 3, REQUESTS = 20000 };
  dl_metrics *metrics = begin(PROCESSES);
  uint32_t series = route(metrics, "/");
  pid_t pids[PROCESSES];
  for (unsigned p = 0; p < PROCESSES; p++) {
    pids[p] = fork_bound();
    if (pids[p]) continue;
    dl_metrics_writer writer;
    dl_metrics_open(&writer, metrics, p);
    for (unsigned i = 0; i < REQUESTS; i++) {
      dl_metrics_count_request(&writer, series, i % 2 ? 200 : 503, 1000);
      dl_metrics_count(&writer, DL_COUNTER_LIMITED_CLIENT);
    }
    _exit(0);
  }
  for (unsigned p = 0; p < PROCESSES; p++) expect_end(pids[p]);
  dl_metrics_series counts = read_series(metrics, series);
  assert_int_equal(counts.statuses[DL_METRICS_STATUS_200], PROCESSES * REQUESTS / 2);
  assert_int_equal(counts.statuses[DL_METRICS_STATUS_503], PROCESSES * REQUESTS / 2);
  assert_int_equal(counts.buckets[0], PROCESSES * REQUESTS);
  assert_int_equal(counts.sum_us, (uint64_t)PROCESSES * REQUESTS * 1000);
  assert_int_equal(dl_metrics_read_counter(metrics, DL_COUNTER_LIMITED_CLIENT), PROCESSES * REQUESTS);
  dl_metrics_free(metrics);
}

static void statuses_fall_to_their_own_place_or_to_their_class(void **state) {
  (void)state;
  static const struct {
    int status;
    unsigned place;
  } cases[] = {{200, DL_METRICS_STATUS_200}, {504, DL_METRICS_STATUS_504}, {431, DL_METRICS_STATUS_431}, {101, 1}, {206, 2}, {302, 3}, {418, 4}, {599, 5},
               {502, 5}, {0, DL_METRICS_STATUS_NONE}, {99, DL_METRICS_STATUS_NONE}, {600, DL_METRICS_STATUS_NONE}, {-200, DL_METRICS_STATUS_NONE}};
  dl_metrics *metrics = begin(1);
  dl_metrics_writer writer;
  dl_metrics_open(&writer, metrics, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t before = read_series(metrics, DL_SERIES_OTHER).statuses[cases[i].place];
    dl_metrics_count_request(&writer, DL_SERIES_OTHER, cases[i].status, 0);
    assert_int_equal(read_series(metrics, DL_SERIES_OTHER).statuses[cases[i].place], before + 1);
  }
  dl_metrics_free(metrics);
}

static void a_duration_falls_into_the_bucket_whose_end_it_does_not_pass(void **state) {
  (void)state;
  static const uint64_t bounds[] = DL_METRICS_BOUNDS_US;
  dl_metrics *metrics = begin(1);
  dl_metrics_writer writer;
  dl_metrics_open(&writer, metrics, 0);
  for (unsigned i = 0; i < DL_METRICS_BUCKETS; i++) {
    dl_metrics_count_request(&writer, DL_SERIES_OTHER, 200, bounds[i]);
    dl_metrics_count_request(&writer, DL_SERIES_OTHER, 200, bounds[i] + 1);
    dl_metrics_series counts = read_series(metrics, DL_SERIES_OTHER);
    assert_int_equal(counts.buckets[i], i == 0 ? 1 : 2);
    assert_int_equal(counts.buckets[i + 1], 1);
  }
  dl_metrics_free(metrics);
}

static void reasons_beyond_their_places_count_as_other(void **state) {
  (void)state;
  enum { REASONS = 100 };
  static char texts[REASONS][32];
  dl_metrics *metrics = begin(1);
  dl_metrics_writer writer;
  dl_metrics_open(&writer, metrics, 0);
  for (unsigned round = 0; round < 2; round++)
    for (unsigned i = 0; i < REASONS; i++) {
      snprintf(texts[i], sizeof texts[i], "reason %u", i);
      dl_metrics_count_reason(&writer, texts[i]);
    }
  assert_int_equal(dl_metrics_reason_count(metrics), DL_METRICS_REASONS_MAX);
  assert_int_equal(dl_metrics_read_reason(metrics, 1), 2);
  assert_int_equal(dl_metrics_read_reason(metrics, 0), 2 * (REASONS - DL_METRICS_REASONS_MAX + 1));
  dl_metrics_free(metrics);
}

static void a_writer_that_is_zeroed_counts_nothing(void **state) {
  (void)state;
  dl_metrics_writer writer = {0};
  dl_metrics_count(&writer, DL_COUNTER_BYTES_IN);
  dl_metrics_follow(&writer, DL_COUNTER_BYTES_IN, 5);
  dl_metrics_set(&writer, DL_GAUGE_TASKS, 5);
  dl_metrics_set_ready(&writer, true);
  dl_metrics_count_reason(&writer, "any");
  dl_metrics_count_request(&writer, DL_SERIES_OTHER, 200, 5);
}

static void the_service_is_ready_while_it_serves_and_a_worker_is(void **state) {
  (void)state;
  dl_metrics *metrics = begin(2);
  dl_metrics_writer writer;
  assert_string_equal(dl_metrics_unready(metrics), "starting");
  dl_metrics_set_phase(metrics, DL_SERVICE_SERVING);
  assert_string_equal(dl_metrics_unready(metrics), "no worker is ready");
  dl_metrics_open(&writer, metrics, 1);
  dl_metrics_set_ready(&writer, true);
  assert_null(dl_metrics_unready(metrics));
  dl_metrics_worker_gone(metrics, 1);
  assert_string_equal(dl_metrics_unready(metrics), "no worker is ready");
  dl_metrics_set_phase(metrics, DL_SERVICE_DRAINING);
  assert_string_equal(dl_metrics_unready(metrics), "draining");
  dl_metrics_free(metrics);
}

/* --- exposition ---------------------------------------------------------------------- */

static char *exposition(const dl_metrics *metrics) {
  dl_buffer out = {0};
  dl_prometheus_write(&out, metrics, NULL);
  dl_buffer_append_char(&out, 0);
  return out.data;
}

static void label_values_are_escaped_and_valid_utf8(void **state) {
  (void)state;
  dl_buffer out = {0};
  dl_prometheus_label_value(&out, DL_STR("a\"b\\c\nd\x80\xc3\xa9\xc3"));
  assert_str(dl_buffer_str(&out), "a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
  dl_buffer_free(&out);
}

static void a_histogram_is_cumulative_and_agrees_with_its_count(void **state) {
  (void)state;
  dl_metrics *metrics = begin(1);
  dl_metrics_writer writer;
  dl_metrics_open(&writer, metrics, 0);
  uint32_t series = route(metrics, "/say/\"{x}\"");
  dl_metrics_count_request(&writer, series, 200, 900);
  dl_metrics_count_request(&writer, series, 200, 3000);
  dl_metrics_count_request(&writer, series, 503, 20000001);
  char *text = exposition(metrics);
#define LABELS "{method=\"GET\",route=\"/say/\\\"{x}\\\"\""
  assert_non_null(strstr(text, "demilune_http_requests_total" LABELS ",status=\"200\"} 2\n"));
  assert_non_null(strstr(text, "demilune_http_requests_total" LABELS ",status=\"503\"} 1\n"));
  assert_non_null(strstr(text, "_bucket" LABELS ",le=\"0.001\"} 1\n"));
  assert_non_null(strstr(text, "_bucket" LABELS ",le=\"0.005\"} 2\n"));
  assert_non_null(strstr(text, "_bucket" LABELS ",le=\"10\"} 2\n"));
  assert_non_null(strstr(text, "_bucket" LABELS ",le=\"+Inf\"} 3\n"));
  assert_non_null(strstr(text, "_sum" LABELS "} 20.003901\n"));
  assert_non_null(strstr(text, "_count" LABELS "} 3\n"));
#undef LABELS
  free(text);
  dl_metrics_free(metrics);
}

static void what_is_written_twice_is_the_same(void **state) {
  (void)state;
  dl_metrics *metrics = begin(3);
  dl_metrics_writer writer;
  dl_metrics_open(&writer, metrics, 2);
  for (unsigned i = 0; i < 30; i++) dl_metrics_count_request(&writer, numbered_route(metrics, i), 200 + (int)i * 10, i * 1000);
  char *first = exposition(metrics), *second = exposition(metrics);
  char *memory[2] = {strstr(first, "\ndemilune_worker_resident"), strstr(second, "\ndemilune_worker_resident")};
  assert_non_null(memory[0]);
  assert_non_null(memory[1]);
  *memory[0] = *memory[1] = 0; /* that one may differ */
  assert_string_equal(first, second);
  free(first);
  free(second);
  dl_metrics_free(metrics);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_route_has_one_series_whoever_asks),
      cmocka_unit_test(processes_that_add_routes_at_once_agree_on_them),
      cmocka_unit_test(a_process_killed_while_it_adds_routes_hinders_nobody),
      cmocka_unit_test(what_finds_no_place_counts_as_other),
      cmocka_unit_test(a_replaced_worker_goes_on_with_its_predecessors_numbers),
      cmocka_unit_test(a_counter_that_begins_anew_goes_on),
      cmocka_unit_test(workers_are_added_up_exactly),
      cmocka_unit_test(statuses_fall_to_their_own_place_or_to_their_class),
      cmocka_unit_test(a_duration_falls_into_the_bucket_whose_end_it_does_not_pass),
      cmocka_unit_test(reasons_beyond_their_places_count_as_other),
      cmocka_unit_test(a_writer_that_is_zeroed_counts_nothing),
      cmocka_unit_test(the_service_is_ready_while_it_serves_and_a_worker_is),
      cmocka_unit_test(label_values_are_escaped_and_valid_utf8),
      cmocka_unit_test(a_histogram_is_cumulative_and_agrees_with_its_count),
      cmocka_unit_test(what_is_written_twice_is_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
