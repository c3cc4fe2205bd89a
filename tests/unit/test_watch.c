/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "server/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct app {
  char path[64];
  dl_watch watch;
  uint64_t now_us;
} app;

static void in_app(const app *of, char path[256], const char *name) { snprintf(path, 256, "%s/%s", of->path, name); }

static void put(const app *of, const char *name) {
  char path[256];
  in_app(of, path, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fclose(file);
}

static void make(const app *of, const char *name) {
  char path[256];
  in_app(of, path, name);
  assert_int_equal(mkdir(path, 0700), 0);
}

static void take_away(const app *of, const char *name) {
  char path[256];
  in_app(of, path, name);
  assert_int_equal(remove(path), 0);
}

static void link_to(const app *of, const char *name, const char *target) {
  char path[256];
  in_app(of, path, name);
  assert_int_equal(symlink(target, path), 0);
}

static bool sees(app *of) {
  dl_watch_read(&of->watch, of->now_us);
  return dl_watch_changed(&of->watch, of->now_us += 1000000);
}

static bool sees_saved(app *of, const char *name) {
  put(of, name);
  return sees(of);
}

static void begin(app *of) {
  *of = (app){.path = "/tmp/demilune-watch-XXXXXX", .watch.fd = -1, .now_us = 1};
  assert_non_null(mkdtemp(of->path));
}

static void watch(app *of) { assert_true(dl_watch_open(&of->watch, of->path)); }

static void end(app *of) {
  char command[128];
  dl_watch_close(&of->watch);
  snprintf(command, sizeof command, "rm -rf '%s'", of->path);
  assert_int_equal(system(command), 0);
}

static void what_an_app_loads_is_seen_and_nothing_else(void **state) {
  (void)state;
  static const char *const loaded[] = {"app.lua", ".env", "0001_a.sql", "a.json", "a.pem", "a.key", "a.crt", "a.jwk", "a.jwks"};
  static const char *const others[] = {"a.db", "a.db-wal", "app.lua~", ".app.lua.swp", "4913", "notes.txt", "keys"};
  app of;
  begin(&of);
  watch(&of);
  for (size_t i = 0; i < sizeof loaded / sizeof *loaded; i++) assert_true(sees_saved(&of, loaded[i]));
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(sees_saved(&of, others[i]));
  end(&of);
}

static void folders_behind_links_are_seen(void **state) {
  (void)state;
  app of, shared, other;
  begin(&of);
  begin(&shared);
  begin(&other);
  make(&shared, "deep");
  link_to(&of, "shared", shared.path);
  link_to(&of, "self", ".");
  watch(&of);
  put(&shared, "deep/names.lua");
  assert_true(sees(&of));
  take_away(&of, "shared");
  assert_true(sees(&of));
  link_to(&of, "shared", other.path);
  assert_true(sees(&of));
  put(&other, "names.lua");
  assert_true(sees(&of));
  put(&shared, "names.lua");
  assert_false(sees(&of));
  end(&of);
  end(&shared);
  end(&other);
}

static void folders_made_anew_take_no_places(void **state) {
  (void)state;
  app of;
  begin(&of);
  watch(&of);
  for (int i = 0; i <= DL_WATCH_FOLDERS_MAX; i++) {
    make(&of, "routes");
    assert_true(sees(&of));
    if (i == DL_WATCH_FOLDERS_MAX) break;
    take_away(&of, "routes");
    assert_true(sees(&of));
  }
  assert_int_equal(of.watch.count, 2);
  assert_true(sees_saved(&of, "routes/users.lua"));
  end(&of);
}

static void a_folder_that_is_moved_is_seen_where_it_is(void **state) {
  (void)state;
  app of;
  char from[256], to[256];
  begin(&of);
  make(&of, "old");
  make(&of, "old/deep");
  watch(&of);
  in_app(&of, from, "old");
  in_app(&of, to, "new");
  assert_int_equal(rename(from, to), 0);
  assert_true(sees(&of));
  make(&of, "new/deep/deeper");
  assert_true(sees(&of));
  assert_true(sees_saved(&of, "new/deep/deeper/a.lua"));
  end(&of);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_an_app_loads_is_seen_and_nothing_else),
      cmocka_unit_test(folders_behind_links_are_seen),
      cmocka_unit_test(folders_made_anew_take_no_places),
      cmocka_unit_test(a_folder_that_is_moved_is_seen_where_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
