/* SPDX-License-Identifier: MIT */
/* The Redis store against servers that answer what no Redis would, and against addresses that are none. */
#include "redis_world.h"

#define SHA "$40\r\n0123456789012345678901234567890123456789\r\n"

/* --- a server that says what a test wants ------------------------------------------- */

typedef struct script_server {
  const char *greeting; /* to the first bytes that come */
  const char *answer;   /* to all later ones, with their number for a %d; NULL: closes */
  size_t answer_repeats;
} script_server;

static void serve_one(int client, const script_server *script) {
  char bytes[65536];
  int number = 0;
  if (read(client, bytes, sizeof(bytes)) <= 0) return;
  if (write(client, script->greeting, strlen(script->greeting)) < 0) return;
  while (read(client, bytes, sizeof(bytes)) > 0) {
    if (!script->answer) return;
    if (strstr(script->answer, "%d") && dprintf(client, script->answer, ++number) > 0) continue;
    for (size_t i = 0; i < script->answer_repeats; i++)
      if (write(client, script->answer, strlen(script->answer)) < 0) return;
  }
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
  unlink(path);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
  assert_int_equal(listen(listener, 16), 0);
  return listener;
}

static void serve(world *w, script_server script) {
  int listener = listen_at(w->socket);
  w->server = fork_bound();
  if (w->server == 0) {
    for (;;) {
      int client = accept(listener, NULL, NULL);
      serve_one(client, &script);
      close(client);
    }
  }
  close(listener);
}

/* --- answers -------------------------------------------------------------------------- */

static const char *const nonsense[] = {
    "+OK\r\n",
    ":1\r\n",
    ":-1\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "$5\r\nhello\r\n",
    "*1\r\n:1\r\n",
    "*3\r\n:1\r\n:1\r\n:0\r\n",
    "*5\r\n:1\r\n:1\r\n:0\r\n:0\r\n:0\r\n",
    "*4\r\n:2\r\n:1\r\n:0\r\n:0\r\n",                   /* neither yes nor no */
    "*4\r\n:-1\r\n:1\r\n:0\r\n:0\r\n",
    "*4\r\n:1\r\n:-1\r\n:0\r\n:0\r\n",                  /* counts below nothing */
    "*4\r\n:1\r\n:1\r\n:-5\r\n:0\r\n",
    "*4\r\n:1\r\n:1\r\n:0\r\n:-1\r\n",                  /* before the window */
    "*4\r\n:1\r\n:1\r\n:0\r\n:60000000\r\n",            /* after it */
    "*4\r\n:1\r\n:9223372036854775807\r\n:0\r\n:0\r\n",
    "*4\r\n:1\r\n:1000001\r\n:0\r\n:0\r\n",
    "*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n",                   /* refuses without a reason */
    "*4\r\n:1\r\n$1\r\n1\r\n:0\r\n:0\r\n",              /* a string for a number */
    "*4\r\n:1\r\n$-1\r\n:0\r\n:0\r\n",
    "*4\r\n*1\r\n:1\r\n:1\r\n:0\r\n:0\r\n",             /* a list for a number */
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    "*100000000\r\n",                                   /* more than memory should be spent on */
    "*2147483647\r\n:1\r\n",
    "*4294967297\r\n:1\r\n",
    "*99999999999999999999\r\n",
    "$99999999999999999999\r\n",
    "$-2\r\n",
    "*4\r\n:1\r\n:1x\r\n:0\r\n:0\r\n",
    ":\r\n",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "\r\n\r\n",
    "\x16\x03\x01\x02",
    "-\r\n",
    "-ERR\r\n",
    "-MOVED 1234 10.0.0.1:6379\r\n",
    "-NOSCRIPT No matching script. Please use EVAL.\r\n", /* to EVAL as well */
    "-\x1b[31mred\x07\r\n",
};

static void fails_every_check_that_is_answered_with_nonsense(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
    world w;
    world_make(&w);
    serve(&w, (script_server){SHA, nonsense[i], 1});
    store_open(&w, (dl_limit_redis_options){.command_ms = 500, .backoff_ms = 5});
    for (int round = 0; round < 2; round++) {
      answer a;
      store_wait(&w);
      assert_true(send_check(&w, "a", &a));
      if (!turn(&w, 5000, has_come, &a)) fail_msg("%s: not answered", nonsense[i]);
      if (!a.failed) fail_msg("%s: taken for a result", nonsense[i]);
      assert_int_equal(a.came, 1);
    }
    assert_int_equal(logged(&w, "\x1b"), 0);
    /* Who answers with anything but an error may be answering something else: the next is asked by a connection of its own. */
    uint64_t connections = dl_limit_redis_read_stats(w.redis).connections;
    if (nonsense[i][0] != '-' && connections < 2) fail_msg("%s: the connection is used again", nonsense[i]);
    world_end(&w);
  }
}

/* hiredis' asynchronous half ends the process when there is more than was asked for. */
static void more_answers_than_questions_end_the_connection_only(void **state) {
  (void)state;
  static const char *const answers[] = {"*4\r\n:1\r\n:1\r\n:0\r\n:0\r\n", "+OK\r\n", "-ERR max number of clients reached\r\n"};
  for (size_t i = 0; i < 3; i++) {
    world w;
    world_make(&w);
    serve(&w, (script_server){SHA, answers[i], 3});
    store_open(&w, (dl_limit_redis_options){.command_ms = 500, .backoff_ms = 1});
    answer a;
    for (int round = 0; round < 3; round++) {
      store_wait(&w);
      if (!send_check(&w, "a", &a)) continue;
      assert_true(turn(&w, 5000, has_come, &a));
      assert_int_equal(a.failed, i != 0);
      turn(&w, 30, NULL, NULL);
    }
    assert_true(dl_limit_redis_read_stats(w.redis).connections > 1);
    world_end(&w);
  }
}

/* An answer without end is cut off long before memory is. */
static void an_endless_answer_is_cut_off(void **state) {
  (void)state;
  world w;
  world_make(&w);
  static char megabyte[(1 << 20) + 32];
  int head = snprintf(megabyte, sizeof(megabyte), "$500000000\r\n");
  memset(megabyte + head, 'x', 1 << 20);
  serve(&w, (script_server){SHA, megabyte, 400});
  store_open(&w, (dl_limit_redis_options){.command_ms = 5000, .backoff_ms = 1000});
  store_wait(&w);
  answer a;
  assert_true(send_check(&w, "a", &a));
  assert_true(turn(&w, 5000, has_come, &a));
  assert_true(a.failed);
  assert_int_equal(logged(&w, "more than 64 KiB"), 1);
  world_end(&w);
}

static void a_greeting_that_is_none_never_makes_it_ready(void **state) {
  (void)state;
  static const char *const greetings[] = {
      "+OK\r\n", "$3\r\nabc\r\n", ":1\r\n", "$-1\r\n", "*0\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "-LOADING Redis is loading the dataset in memory\r\n",
      "-NOAUTH Authentication required.\r\n", "", "*100000000\r\n",
  };
  for (size_t i = 0; i < sizeof(greetings) / sizeof(*greetings); i++) {
    world w;
    world_make(&w);
    serve(&w, (script_server){greetings[i], NULL, 0});
    store_open(&w, (dl_limit_redis_options){.connect_ms = 50, .backoff_ms = 5});
    wait_for_lines(&w, "on_store_failure decides", 1);
    if (turn(&w, 150, is_ready, w.redis)) fail_msg("%s: ready", greetings[i]);
    world_end(&w);
  }
}

/* Trouble that stays is told once, not at each attempt. */
static void a_store_that_stays_away_is_told_of_once(void **state) {
  (void)state;
  world w;
  world_make(&w);
  serve(&w, (script_server){"-LOADING Redis is loading the dataset in memory\r\n", NULL, 0});
  store_open(&w, (dl_limit_redis_options){.connect_ms = 50, .backoff_ms = 1});
  wait_for_lines(&w, "LOADING", 1);
  turn(&w, 300, NULL, NULL);
  assert_int_equal(logged(&w, "LOADING"), 1);
  world_end(&w);
}

typedef struct closing_server {
  int listener, came;
} closing_server;

static bool eight_came(void *data) {
  closing_server *server = data;
  int client = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK);
  if (client >= 0) close(client);
  server->came += client >= 0;
  return server->came >= 8;
}

/* Eight attempts have seven pauses between them, of 2, 4, 8, ... and 128 ms at least. */
static void a_store_that_stays_away_is_tried_less_and_less_often(void **state) {
  (void)state;
  world w;
  world_make(&w);
  closing_server server = {.listener = listen_at(w.socket)};
  fcntl(server.listener, F_SETFL, O_NONBLOCK);
  uint64_t begun_ms = world_now_ms();
  store_open(&w, (dl_limit_redis_options){.backoff_ms = 2});
  assert_true(turn(&w, 60000, eight_came, &server));
  assert_true(world_now_ms() - begun_ms >= 240); /* a timer may be some ms early by the loop's clock */
  close(server.listener);
  world_end(&w);
}

/* The whole script is what a check is sent with once more, and then no other time. */
static void a_script_that_is_unknown_twice_is_not_sent_for_ever(void **state) {
  (void)state;
  world w;
  world_make(&w);
  serve(&w, (script_server){SHA, "-NOSCRIPT %d\r\n", 1});
  store_open(&w, (dl_limit_redis_options){.command_ms = 30000, .connect_ms = 60000});
  store_wait(&w);
  assert_true(ask(&w, "a").failed);
  assert_int_equal(logged(&w, "NOSCRIPT 2"), 1);
  assert_int_equal(logged(&w, "NOSCRIPT"), 1);
  world_end(&w);
}

/* One that refuses goes on to be asked, and every check would be a line. */
static void what_a_store_refuses_with_is_told_of_once(void **state) {
  (void)state;
  static const struct {
    const char *answer;
    int most;
  } rows[] = {
      {"-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk. Commands that may modify the data set "
       "are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails.\r\n",
       1},
      {"-MOVED %d 10.0.0.1:6379\r\n", 5},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    world w;
    world_make(&w);
    serve(&w, (script_server){SHA, rows[i].answer, 1});
    store_open(&w, (dl_limit_redis_options){.command_ms = 5000});
    store_wait(&w);
    for (int check = 0; check < 20; check++) assert_true(ask(&w, "a").failed);
    assert_int_equal(logged(&w, "on_store_failure decides"), rows[i].most);
    world_end(&w);
  }
}

/* --- addresses ------------------------------------------------------------------------ */

static void reads_addresses(void **state) {
  (void)state;
  static const struct {
    const char *url, *host, *path, *user, *password;
    uint32_t port, database;
  } rows[] = {
      {"redis://127.0.0.1", "127.0.0.1", NULL, NULL, NULL, 6379, 0},
      {"redis://127.0.0.1/", "127.0.0.1", NULL, NULL, NULL, 6379, 0},
      {"redis://cache.internal:7000/12", "cache.internal", NULL, NULL, NULL, 7000, 12},
      {"redis://[::1]:7000/1", "::1", NULL, NULL, NULL, 7000, 1},
      {"redis://[::1]", "::1", NULL, NULL, NULL, 6379, 0},
      {"redis://:secret@host", "host", NULL, NULL, "secret", 6379, 0},
      {"redis://app:p%40ss%2Fw%3a%25@host:1", "host", NULL, "app", "p@ss/w:%", 1, 0},
      {"redis://app:a:b@host", "host", NULL, "app", "a:b", 6379, 0},
      {"redis+unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, 0},
      {"redis+unix:///run/re%20dis@1.sock?db=3", NULL, "/run/re dis@1.sock", NULL, NULL, 0, 3},
      {"redis+unix://:secret@/run/redis.sock", NULL, "/run/redis.sock", NULL, "secret", 0, 0},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    dl_redis_address address;
    const char *error = dl_redis_address_parse(dl_str_of(rows[i].url), &address);
    if (error) fail_msg("%s: %s", rows[i].url, error);
    const char *const expected[] = {rows[i].host, rows[i].path, rows[i].user, rows[i].password};
    const char *const actual[] = {address.host, address.path, address.user, address.password};
    for (size_t j = 0; j < 4; j++) {
      assert_int_equal(expected[j] != NULL, actual[j] != NULL);
      if (expected[j]) assert_string_equal(actual[j], expected[j]);
    }
    assert_int_equal(address.port, rows[i].port);
    assert_int_equal(address.database, rows[i].database);
    dl_redis_address_free(&address);
  }
}

static void says_what_is_wrong_with_an_address(void **state) {
  (void)state;
  static const struct {
    const char *url, *instead;
  } rows[] = {
      {"", "redis://127.0.0.1:6379/0"},
      {"127.0.0.1:6379", "redis://127.0.0.1:6379/0"},
      {"http://host", "redis://127.0.0.1:6379/0"},
      {"rediss://host", "to a tunnel on this machine"},
      {"redis://", "redis://host:port"},
      {"redis://:6379", "redis://host:port"},
      {"redis://[::1", "redis://host:port"},
      {"redis://[::1]x", "port"},
      {"redis://host:", "from 1 to 65535"},
      {"redis://host:0", "from 1 to 65535"},
      {"redis://host:65536", "from 1 to 65535"},
      {"redis://host:99999999999999999999", "from 1 to 65535"},
      {"redis://host:12a", "from 1 to 65535"},
      {"redis://host/first", "redis://127.0.0.1:6379/0"},
      {"redis://host/-1", "redis://127.0.0.1:6379/0"},
      {"redis://user@host", "redis://user:password@host"},
      {"redis://user:pass@word@host", "write %40"},
      {"redis://user:%zz@host", "write %25"},
      {"redis://user:%4@host", "write %25"},
      {"redis://user:a%00b@host", "write %25"},
      {"redis://ho st", "%20"},
      {"redis+unix://", "redis+unix:///path"},
      {"redis+unix://relative.sock", "redis+unix:///path"},
      {"redis+unix:///run/redis.sock?database=1", "?db=0"},
      {"redis+unix:///run/redis.sock?db=x", "?db=0"},
      {"redis+unix:///0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789", "up to 107 bytes"},
  };
  world w;
  world_make(&w);
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    const char *error = NULL;
    assert_null(dl_limit_redis_new(&w.loop, w.crypto, dl_str_of(rows[i].url), &(dl_limit_redis_options){0}, &error));
    if (!strstr(error, rows[i].instead)) fail_msg("%s: %s", rows[i].url, error);
    assert_string_equal(dl_limit_redis_problem(dl_str_of(rows[i].url)), error);
  }
  assert_null(dl_limit_redis_problem(dl_str_of(w.url)));
  world_end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fails_every_check_that_is_answered_with_nonsense),
      cmocka_unit_test(more_answers_than_questions_end_the_connection_only),
      cmocka_unit_test(an_endless_answer_is_cut_off),
      cmocka_unit_test(a_greeting_that_is_none_never_makes_it_ready),
      cmocka_unit_test(a_store_that_stays_away_is_told_of_once),
      cmocka_unit_test(a_store_that_stays_away_is_tried_less_and_less_often),
      cmocka_unit_test(a_script_that_is_unknown_twice_is_not_sent_for_ever),
      cmocka_unit_test(what_a_store_refuses_with_is_told_of_once),
      cmocka_unit_test(reads_addresses),
      cmocka_unit_test(says_what_is_wrong_with_an_address),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
