/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/file_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct folder {
  char path[64];
} folder;

static void put(const folder *in, const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", in->path, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void make(const folder *in, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", in->path, name);
  assert_int_equal(mkdir(path, 0700), 0);
}

static void link_to(const folder *in, const char *name, const char *target) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", in->path, name);
  assert_int_equal(symlink(target, path), 0);
}

static void begin(folder *in) {
  strcpy(in->path, "/tmp/demilune-files-XXXXXX");
  assert_non_null(mkdtemp(in->path));
}

static void end(const folder *in) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", in->path);
  assert_int_equal(system(command), 0);
}

static dl_file_set *collect(const folder *in) {
  char message[256];
  int fd = dl_file_set_collect(in->path, message);
  assert_true(fd >= 0);
  char byte = 'x';
  assert_int_equal(pwrite(fd, &byte, 1, 0), -1); /* nobody changes what others load */
  dl_file_set *set = dl_file_set_open(fd);
  close(fd);
  return set;
}

static void a_set_keeps_what_was_there_whatever_comes_after(void **state) {
  (void)state;
  folder app;
  begin(&app);
  put(&app, "app.lua", "return 1");
  put(&app, "empty.lua", "");
  make(&app, "routes");
  put(&app, "routes/users.lua", "return 2");
  put(&app, ".env", "A=1");
  dl_file_set *set = collect(&app);
  put(&app, "app.lua", "return 3");
  put(&app, "new.lua", "return 4");
  assert_str(dl_file_set_get(set, DL_STR("app.lua")), "return 1");
  assert_str(dl_file_set_get(set, DL_STR("routes/users.lua")), "return 2");
  assert_str(dl_file_set_get(set, DL_STR(".env")), "A=1");
  assert_non_null(dl_file_set_get(set, DL_STR("empty.lua")).ptr);
  assert_null(dl_file_set_get(set, DL_STR("new.lua")).ptr);
  assert_null(dl_file_set_get(set, DL_STR("../app.lua")).ptr);
  dl_file_set_free(set);
  end(&app);
}

static void a_set_leaves_out_what_no_app_loads(void **state) {
  (void)state;
  folder app;
  begin(&app);
  make(&app, ".git");
  make(&app, "node_modules");
  put(&app, ".git/x.lua", "1");
  put(&app, "node_modules/x.lua", "1");
  put(&app, ".hidden.lua", "1");
  put(&app, "users.db", "1");
  char target[96];
  snprintf(target, sizeof target, "%s/pipe.lua", app.path);
  assert_int_equal(mkfifo(target, 0600), 0); /* opening it must not wait */
  dl_file_set *set = collect(&app);
  static const char *const left_out[] = {".git/x.lua", "node_modules/x.lua", ".hidden.lua", "users.db", "pipe.lua"};
  for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) assert_null(dl_file_set_get(set, dl_str_of(left_out[i])).ptr);
  dl_file_set_free(set);
  end(&app);
}

static void a_set_follows_links_wherever_they_lead(void **state) {
  (void)state;
  folder app, shared;
  begin(&app);
  begin(&shared);
  make(&shared, "deep");
  put(&shared, "deep/names.lua", "return 1");
  make(&app, "routes");
  put(&app, "routes/users.lua", "return 2");
  link_to(&app, "shared", shared.path);
  link_to(&app, "v1", "routes");
  link_to(&app, "one.lua", "routes/users.lua");
  link_to(&app, "nowhere", "/tmp/demilune-is-not-here");
  link_to(&app, ".hidden", "routes");
  link_to(&app, "routes/self", ".."); /* a folder that it lies in */
  dl_file_set *set = collect(&app);
  assert_str(dl_file_set_get(set, DL_STR("shared/deep/names.lua")), "return 1");
  assert_str(dl_file_set_get(set, DL_STR("v1/users.lua")), "return 2");
  assert_str(dl_file_set_get(set, DL_STR("one.lua")), "return 2");
  assert_str(dl_file_set_get(set, DL_STR("routes/users.lua")), "return 2");
  assert_null(dl_file_set_get(set, DL_STR(".hidden/users.lua")).ptr);
  assert_null(dl_file_set_get(set, DL_STR("routes/self/routes/users.lua")).ptr);
  dl_file_set_free(set);
  end(&app);
  end(&shared);
}

static void no_migration_is_passed_over(void **state) {
  (void)state;
  folder app;
  begin(&app);
  make(&app, "migrations");
  make(&app, "migrations/old");
  put(&app, "migrations/0001_first.sql", "SELECT 1;");
  put(&app, "migrations/0002_large.sql", "");
  put(&app, "migrations/old/0003_deep.sql", "");
  put(&app, "migrations.sql", "");
  char path[96];
  snprintf(path, sizeof path, "%s/migrations/0002_large.sql", app.path);
  assert_int_equal(truncate(path, (1 << 20) + 1), 0);
  dl_file_set *set = collect(&app);
  assert_ptr_equal(dl_file_set_hold(set), set);
  dl_file_set_free(set);
  assert_str(dl_file_set_get(set, DL_STR("migrations/0001_first.sql")), "SELECT 1;");
  assert_null(dl_file_set_get(set, DL_STR("migrations/0002_large.sql")).ptr);
  size_t at = 0, count = 0;
  for (dl_str name; dl_file_set_next(set, DL_STR("migrations"), &at, &name); count++)
    assert_true(dl_str_equal(name, DL_STR("0001_first.sql")) || dl_str_equal(name, DL_STR("0002_large.sql")));
  assert_int_equal(count, 2);
  dl_file_set_free(set);
  end(&app);
}

static void a_folder_that_is_not_there_has_no_files(void **state) {
  (void)state;
  folder nowhere = {"/tmp/demilune-is-not-here"};
  dl_file_set *set = collect(&nowhere);
  assert_null(dl_file_set_get(set, DL_STR("app.lua")).ptr);
  dl_file_set_free(set);
}

static void a_folder_with_too_much_in_it_is_refused(void **state) {
  (void)state;
  folder app;
  char name[32], message[256];
  begin(&app);
  for (int i = 0; i <= 4096; i++) {
    snprintf(name, sizeof name, "f%d.lua", i);
    put(&app, name, "");
  }
  assert_int_equal(dl_file_set_collect(app.path, message), -1);
  assert_non_null(strstr(message, "4,096 files"));
  end(&app);
}

/* Fourteen folders, each linked from all those before it, are 16,383 folders to look into. */
static void folders_without_end_are_refused(void **state) {
  (void)state;
  folder app;
  char name[32], target[32], message[256];
  begin(&app);
  for (int i = 0; i < 14; i++) {
    snprintf(name, sizeof name, "f%d", i);
    make(&app, name);
    for (int before = 0; before < i; before++) {
      snprintf(name, sizeof name, "f%d/to%d", before, i);
      snprintf(target, sizeof target, "../f%d", i);
      link_to(&app, name, target);
    }
  }
  assert_int_equal(dl_file_set_collect(app.path, message), -1);
  assert_non_null(strstr(message, "4,096 folders"));
  end(&app);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_set_keeps_what_was_there_whatever_comes_after),
      cmocka_unit_test(a_set_leaves_out_what_no_app_loads),
      cmocka_unit_test(a_set_follows_links_wherever_they_lead),
      cmocka_unit_test(no_migration_is_passed_over),
      cmocka_unit_test(a_folder_that_is_not_there_has_no_files),
      cmocka_unit_test(a_folder_with_too_much_in_it_is_refused),
      cmocka_unit_test(folders_without_end_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
