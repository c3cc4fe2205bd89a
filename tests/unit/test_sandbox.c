/* SPDX-License-Identifier: MIT */
/* The sandbox: rights beside need. Each taken away stops its own part, and no other. */
#include "sandbox_world.h"

#include "bridge/bridge.h"
#include "crypto/secret.h"
#include "data/database.h"
#include "guard/guard.h"
#include "limit/redis.h"
#include "model/schema.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <netdb.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/resource.h>

static const dl_needs *const all_needs[] = {&dl_base_needs,  &dl_crypto_needs, &dl_net_needs,    &dl_limit_redis_needs, &dl_data_needs,
                                            &dl_model_needs, &dl_guard_needs,  &dl_bridge_needs, NULL};
enum { NEEDS_COUNT = sizeof all_needs / sizeof *all_needs - 1 };

static dl_sandbox_options options_of(const world *w, const dl_needs *const *needs) {
  return (dl_sandbox_options){
      .level = DL_SANDBOX_ON, .app_folder = w->app, .data_folder = w->data, .needs = needs, .ports = &w->port, .port_count = 1};
}

/* --- parts: each does what its folder does, and gives 0 if it went well ------------- */

static int keep_a_secret(const world *w) {
  (void)w;
  return dl_secret_memory_init() != DL_SECRET_MEMORY_LOCKED;
}

static void on_tick(uv_timer_t *timer) { *(int *)timer->data = 0; }

static int turn_a_loop(const world *w) {
  (void)w;
  uv_loop_t loop;
  uv_timer_t timer;
  if (uv_loop_init(&loop) != 0) return 1;
  int failed = 1;
  uv_timer_init(&loop, &timer);
  timer.data = &failed;
  uv_timer_start(&timer, on_tick, 1, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  return failed;
}

static int write_a_database(const world *w) {
  char path[128];
  sqlite3 *database;
  snprintf(path, sizeof path, "%s/%d.db", w->data, getpid());
  if (sqlite3_open(path, &database) != SQLITE_OK) return 1;
  static const char text[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA wal_checkpoint(TRUNCATE)";
  bool fine = sqlite3_exec(database, text, NULL, NULL, NULL) == SQLITE_OK;
  return sqlite3_close(database) != SQLITE_OK || !fine;
}

static int connect_out(const world *w) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0;
}

static int find_a_name(const world *w) {
  (void)w;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
  return getaddrinfo("localhost", NULL, &hints, &found) != 0 || !found;
}

static void *add_one(void *number) {
  ++*(int *)number;
  return NULL;
}

static int start_a_thread(const world *w) {
  (void)w;
  pthread_t thread;
  int number = 1;
  if (pthread_create(&thread, NULL, add_one, &number) != 0) return 1;
  return pthread_join(thread, NULL) != 0 || number != 2;
}

/* LuaJIT without machine code ends the process in a panic; what is asked is whether it goes well. */
static int compile_lua(const world *w) {
  (void)w;
  static const char text[] = "local sum = 0 for i = 1, 1e5 do sum = sum + i % 3 end "
                             "for n = 1, 50 do local f = loadstring('local s = 0 for i = 1, 500 do s = s + i end return s') assert(f() == 125250) end";
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  return luaL_dostring(L, text) != 0;
}

static int read_the_app(const world *w) {
  FILE *file = fopen(w->file, "r");
  return !file || fgetc(file) != 'r';
}

static int write_a_line(const world *w) {
  (void)w;
  int ends[2];
  return pipe2(ends, O_CLOEXEC) != 0 || write(ends[1], "line\n", 5) != 5;
}

static const struct {
  const char *name;
  int (*run)(const world *w);
} parts[] = {
    {"secrets", keep_a_secret},       {"loop", turn_a_loop},           {"database", write_a_database}, {"connection", connect_out},
    {"name lookup", find_a_name},     {"threads", start_a_thread},     {"machine code", compile_lua},  {"migrations", read_the_app},
};
enum { PARTS_COUNT = sizeof parts / sizeof *parts };

/* --- taking away ---------------------------------------------------------------------- */

static bool skips_calls(void) {
  if (SANITIZED) skip();
  return SANITIZED;
}

static void every_part_works_with_the_sum_of_all_needs(void **state) {
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  for (size_t i = 0; i < PARTS_COUNT; i++) {
    int status = behind_walls(w, &options, parts[i].run);
    if (status != 0) fail_msg("%s: %d", parts[i].name, status);
  }
  assert_int_equal(behind_walls(w, &options, write_a_line), 0);
}

/* What fails when needs are these: exactly the parts that are named. */
static void only_these_fail(const world *w, const dl_needs *const *needs, const char *taken, const char *failing) {
  dl_sandbox_options options = options_of(w, needs);
  for (size_t i = 0; i < PARTS_COUNT; i++) {
    bool failed = behind_walls(w, &options, parts[i].run) != 0, named = strstr(failing, parts[i].name) != NULL;
    if (failed != named) fail_msg("without %s, %s %s", taken, parts[i].name, failed ? "fails" : "works");
  }
}

static void a_folder_without_its_needs_fails_and_no_other(void **state) {
  static const struct {
    const dl_needs *taken;
    const char *failing;
  } rows[] = {
      {&dl_crypto_needs, "secrets"},
      {&dl_net_needs, "loop"},
      {&dl_data_needs, "database, migrations"},
      {&dl_limit_redis_needs, "connection, name lookup"},
  };
  if (skips_calls()) return;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const dl_needs *left[NEEDS_COUNT + 1] = {0};
    size_t count = 0;
    for (size_t j = 0; j < NEEDS_COUNT; j++)
      if (all_needs[j] != rows[i].taken) left[count++] = all_needs[j];
    only_these_fail(*state, left, rows[i].taken->folder, rows[i].failing);
  }
}

/* Several folders may need the same; taken from all of them it is gone. */
static void a_right_that_is_taken_away_stops_what_uses_it_and_no_other(void **state) {
  static const struct {
    dl_right taken;
    const char *name, *failing;
  } rows[] = {
      {DL_RIGHT_THREADS, "threads", "threads"},           {DL_RIGHT_MACHINE_CODE, "machine code", "machine code"},
      {DL_RIGHT_SOCKETS, "sockets", "connection"},        {DL_RIGHT_READ_APP, "the app's folder", "migrations"},
      {DL_RIGHT_WRITE_DATA, "the data folder", "database"},
  };
  if (skips_calls()) return;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    dl_needs copies[NEEDS_COUNT];
    const dl_needs *left[NEEDS_COUNT + 1] = {0};
    for (size_t j = 0; j < NEEDS_COUNT; j++) {
      copies[j] = *all_needs[j];
      copies[j].rights &= ~(unsigned)rows[i].taken;
      left[j] = &copies[j];
    }
    only_these_fail(*state, left, rows[i].name, rows[i].failing);
  }
}

/* --- ports, narrowing ------------------------------------------------------------------ */

static bool watches_ports(void) { return syscall(444, NULL, (size_t)0, 1) >= 4; } /* landlock_create_ruleset: its version */

static void only_the_ports_that_are_named_can_be_connected_to(void **state) {
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  uint16_t another = (uint16_t)(w->port == 1024 ? 1025 : w->port - 1);
  if (!watches_ports()) skip();
  options.ports = &another;
  assert_int_equal(behind_walls(w, &options, connect_out), 1);
  options.any_port = true;
  assert_int_equal(behind_walls(w, &options, connect_out), 0);
  options.any_port = false;
  options.port_count = 0;
  assert_int_equal(behind_walls(w, &options, connect_out), 1);
}

static struct sockaddr_in loopback(const world *w) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Landlock looks at connect(2) of TCP alone: these go beside it. */
static int connect_by_another_protocol(const world *w) {
  static const int protocols[] = {IPPROTO_MPTCP, IPPROTO_SCTP};
  struct sockaddr_in address = loopback(w);
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocols[i]);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return 0;
  }
  return 1;
}

static int connect_by_sending(const world *w) {
  struct sockaddr_in address = loopback(w);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 || sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) != 1;
}

static int connect_by_sending_messages(const world *w) {
  struct sockaddr_in address = loopback(w);
  struct iovec part = {(char[]){"x"}, 1};
  struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
  struct mmsghdr messages = {.msg_hdr = message};
  int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (one >= 0 && sendmsg(one, &message, MSG_FASTOPEN | MSG_NOSIGNAL) == 1) return 0;
  return other < 0 || sendmmsg(other, &messages, 1, MSG_FASTOPEN | MSG_NOSIGNAL) != 1;
}

static int listen_unbound(const world *w) {
  (void)w;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 || listen(fd, 1) != 0;
}

static int own_signals(const world *w) {
  (void)w;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 2;
  struct f_owner_ex owner = {F_OWNER_PID, getppid()};
  return fcntl(ends[0], F_SETOWN, getppid()) != 0 && fcntl(ends[0], F_SETOWN_EX, &owner) != 0 && fcntl(ends[0], F_SETSIG, SIGKILL) != 0;
}

static void no_port_is_reached_or_opened_by_a_way_that_landlock_does_not_watch(void **state) {
  static const struct {
    const char *name;
    int (*go)(const world *w);
  } ways[] = {{"another protocol", connect_by_another_protocol}, {"fast open", connect_by_sending}, {"fast open of messages", connect_by_sending_messages},
              {"listening without a bind", listen_unbound}};
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  uint16_t another = (uint16_t)(w->port == 1024 ? 1025 : w->port - 1);
  if (skips_calls()) return;
  options.ports = &another;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    if (behind_walls(w, &options, ways[i].go) == 0) fail_msg("%s works", ways[i].name);
}

static void nobody_else_is_signalled_by_way_of_a_descriptor(void **state) {
  dl_sandbox_options options = options_of(*state, all_needs);
  if (skips_calls()) return;
  assert_int_equal(behind_walls(*state, &options, own_signals), 1);
}

static int narrow_and_connect(const world *w) {
  static const dl_needs *const fewer[] = {&dl_base_needs, &dl_net_needs, NULL};
  dl_sandbox_options options = options_of(w, fewer);
  dl_sandbox_report report;
  options.port_count = 0;
  if (connect_out(w) != 0 || !dl_sandbox_narrow(&options, &report) || !dl_sandbox_is_whole(&report)) return 2;
  return connect_out(w) == 0;
}

static int narrow_to_another_port(const world *w) {
  dl_sandbox_options options = options_of(w, all_needs);
  dl_sandbox_report report;
  uint16_t another = (uint16_t)(w->port - 1);
  options.ports = &another;
  if (connect_out(w) != 0 || !dl_sandbox_narrow(&options, &report)) return 2;
  return connect_out(w) == 0;
}

static int narrow_then_widen(const world *w) {
  static const dl_needs *const fewer[] = {&dl_base_needs, &dl_net_needs, NULL};
  dl_sandbox_options options = options_of(w, fewer);
  dl_sandbox_report report;
  options.port_count = 0;
  if (!dl_sandbox_narrow(&options, &report)) return 2;
  options = options_of(w, all_needs);
  options.any_port = true;
  dl_sandbox_narrow(&options, &report);
  return connect_out(w) == 0;
}

static void what_an_app_does_not_use_is_taken_away_once_that_is_known(void **state) {
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  if (SANITIZED || !watches_ports()) skip();
  options.any_port = options.narrows = true;
  assert_int_equal(behind_walls(w, &options, narrow_and_connect), 0);
  assert_int_equal(behind_walls(w, &options, narrow_to_another_port), 0);
  assert_int_equal(behind_walls(w, &options, narrow_then_widen), 0);
}

/* --- report ------------------------------------------------------------------------------ */

static void a_user_that_is_not_there_stops_the_start(void **state) {
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  dl_sandbox_report report;
  options.user = "no-such-account";
  assert_false(dl_sandbox_apply(&(dl_sandbox_options){.level = DL_SANDBOX_OFF, .user = "no-such-account"}, &report));
  assert_non_null(strstr(report.error, "there is no user no-such-account"));
  assert_int_equal(behind_walls(w, &options, write_a_line), 126);
  options.user = "root";
  assert_int_equal(behind_walls(w, &options, write_a_line), 126);
}

static int stay_nobody(const world *w) {
  (void)w;
  return geteuid() != 65534 || getegid() != 65534 || setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || getgroups(0, NULL) > 1;
}

static void root_becomes_the_user_for_good(void **state) {
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  if (geteuid() != 0) skip();
  assert_int_equal(chmod(w->folder, 0755) | chown(w->data, 65534, 65534), 0);
  options.user = "65534";
  assert_int_equal(behind_walls(w, &options, stay_nobody), 0);
  assert_int_equal(behind_walls(w, &options, write_a_database), 0);
  assert_int_equal(chown(w->data, 0, 0), 0);
  assert_int_equal(behind_walls(w, &options, stay_nobody), 126); /* a data folder that is not that user's */
}

static void the_report_names_each_wall(void **state) {
  (void)state;
  char text[256];
  dl_sandbox_report report = {.walls = {{"rlimits", DL_WALL_UP, ""}, {"user", DL_WALL_NOT_ASKED, ""}, {"landlock", DL_WALL_PARTLY, "ABI 3: no TCP ports"}}};
  for (size_t i = 3; i < DL_WALL_COUNT; i++) report.walls[i] = (dl_wall){"seccomp", DL_WALL_UP, ""};
  dl_sandbox_describe(&report, text, sizeof text);
  assert_string_equal(text, "rlimits up, landlock partly up (ABI 3: no TCP ports), seccomp up, seccomp up, seccomp up");
  assert_false(dl_sandbox_is_whole(&report));
  report.walls[2].state = DL_WALL_UP;
  assert_true(dl_sandbox_is_whole(&report));
  dl_sandbox_describe(&report, text, 10); /* cut, not overrun */
  assert_string_equal(text, "rlimits u");
}

static int limits_are_bounded(const world *w) {
  (void)w;
  struct rlimit files, core, memory;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || getrlimit(RLIMIT_CORE, &core) != 0 || getrlimit(RLIMIT_DATA, &memory) != 0) return 2;
  return files.rlim_max > 65536 || files.rlim_cur != files.rlim_max || core.rlim_max != 0 || memory.rlim_max != (rlim_t)1 << 30;
}

static void limits_are_set_and_stay(void **state) {
  const world *w = *state;
  dl_sandbox_options options = options_of(w, all_needs);
  if (skips_calls()) return;
  options.max_memory = 1ull << 30;
  assert_int_equal(behind_walls(w, &options, limits_are_bounded), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_part_works_with_the_sum_of_all_needs),
      cmocka_unit_test(a_folder_without_its_needs_fails_and_no_other),
      cmocka_unit_test(a_right_that_is_taken_away_stops_what_uses_it_and_no_other),
      cmocka_unit_test(only_the_ports_that_are_named_can_be_connected_to),
      cmocka_unit_test(no_port_is_reached_or_opened_by_a_way_that_landlock_does_not_watch),
      cmocka_unit_test(nobody_else_is_signalled_by_way_of_a_descriptor),
      cmocka_unit_test(what_an_app_does_not_use_is_taken_away_once_that_is_known),
      cmocka_unit_test(a_user_that_is_not_there_stops_the_start),
      cmocka_unit_test(root_becomes_the_user_for_good),
      cmocka_unit_test(the_report_names_each_wall),
      cmocka_unit_test(limits_are_set_and_stay),
  };
  return cmocka_run_group_tests(tests, open_world, close_world);
}
