/* SPDX-License-Identifier: MIT */
/* Functions of SQL that have a bound in our connections: they give what SQLite's own give, and begin no work that takes too long. */
#include "unit.h"

#include "data/internal.h"
#include "fault_vfs.h"

#include <stdlib.h>

typedef struct world {
  sqlite3 *plain, *ours; /* with SQLite's functions, with ours */
  dl_functions *functions;
} world;

#define NUMBERS "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "

static int open_world(void **state) {
  world *w = calloc(1, sizeof *w);
  assert_int_equal(sqlite3_open(":memory:", &w->plain), SQLITE_OK);
  assert_int_equal(sqlite3_open(":memory:", &w->ours), SQLITE_OK);
  w->functions = dl_functions_add(w->ours);
  assert_non_null(w->functions);
  *state = w;
  return 0;
}

static int close_world(void **state) {
  world *w = *state;
  assert_int_equal(sqlite3_close(w->plain), SQLITE_OK);
  assert_int_equal(sqlite3_close(w->ours), SQLITE_OK);
  dl_functions_free(w->functions);
  free(w);
  return 0;
}

static void read_value(sqlite3_stmt *statement, char out[256]) {
  int type = sqlite3_column_type(statement, 0);
  const char *text = (const char *)sqlite3_column_text(statement, 0);
  snprintf(out, 256, "%d %s", type, text ? text : "NULL");
}

/* The value and its type, or the error. */
static void ask(sqlite3 *handle, const char *sql, char out[256]) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
  if (sqlite3_step(statement) != SQLITE_ROW) snprintf(out, 256, "error: %s", sqlite3_errmsg(handle));
  else read_value(statement, out);
  sqlite3_finalize(statement);
}

static bool has(sqlite3 *handle, const char *call) {
  sqlite3_stmt *statement = NULL;
  bool good = sqlite3_prepare_v2(handle, call, -1, &statement, NULL) == SQLITE_OK;
  sqlite3_finalize(statement);
  return good;
}

static const char *const values[] = {"NULL", "''", "'a'", "'aab'", "'ab'", "'b'", "'größer'", "'ß'", "'ö'", "'ßer'", "'€ 5'", "5", "1.5", "x''", "x'61'", "x'6162'",
                                     "x'9f'", "x'c39f'", "CAST(x'9f61' AS TEXT)", "CAST(x'9f' AS TEXT)", "'xaaabaab'", "'aaaa'", "'{}'", "'{\"a\":1}'",
                                     "'{\"a\":null,\"b\":{\"c\":[1]}}'", "'{'", "'[1]'", "x'7b7d'", "x'4c17611331'"};
enum { VALUES = sizeof values / sizeof *values };

static void they_give_what_the_originals_give(void **state) {
  static const char *const calls[] = {"instr(%s, %s)", "replace(%s, %s, 'x')", "trim(%s, %s)", "ltrim(%s, %s)", "rtrim(%s, %s)", "json_patch(%s, %s)",
                                      "json_array(json_patch(%s, %s))"};
  world *w = *state;
  char sql[256], expected[256], got[256];
  for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
    for (size_t i = 0; i < VALUES * VALUES; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      int length = snprintf(sql, sizeof sql, "SELECT ");
      snprintf(sql + length, sizeof sql - (size_t)length, calls[call], values[i / VALUES], values[i % VALUES]);
#pragma GCC diagnostic pop
      ask(w->plain, sql, expected);
      ask(w->ours, sql, got);
      if (strcmp(expected, got) != 0) fail_msg("%s: %s instead of %s", sql, got, expected);
    }
}

/* Which ones there are depends on the library. */
static void what_sqlite_has_in_newer_versions_is_bounded_where_it_is_there(void **state) {
  static const struct {
    const char *there, *same, *too_much;
  } calls[] = {
      {"SELECT unhex('', '')", "SELECT hex(unhex('61-62', '-'))", "SELECT unhex(printf('%.*c', 1000000, '-'), printf('%.*c-', 16000, '+'))"},
      {"SELECT jsonb_patch('{}', '{}')", "SELECT json(jsonb_patch('{\"a\":1,\"b\":2}', '{\"a\":null,\"c\":{\"d\":3}}'))",
       NUMBERS "SELECT jsonb_patch('{}', json_group_object('k' || i, i)) FROM n"},
      {"SELECT jsonb('{}')", "SELECT json_patch(jsonb('{\"a\":1,\"b\":2}'), jsonb('{\"a\":null,\"c\":{\"d\":3}}'))",
       NUMBERS "SELECT json_patch('{}', jsonb_group_object('k' || i, i)) FROM n"},
  };
  world *w = *state;
  char expected[256], got[256];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    bool there = has(w->plain, calls[i].there);
    assert_int_equal(has(w->ours, calls[i].there), there);
    if (!there) continue;
    ask(w->plain, calls[i].same, expected);
    ask(w->ours, calls[i].same, got);
    assert_string_equal(got, expected);
    ask(w->ours, calls[i].too_much, got);
    assert_string_equal(got, "error: " DL_TOO_MUCH_TO_COMPARE);
  }
}

/* A megabyte, and what is as long: SQLite's own would be at it for many seconds. */
static void what_takes_too_long_is_not_begun(void **state) {
  static const char *const calls[] = {
      "SELECT replace(printf('%.*c', 1000000, 'a'), printf('%.*cb', 500000, 'a'), '')",
      "SELECT trim(printf('%.*c', 1000000, 'a'), printf('%.*ca', 16000, 'b'))",
      "SELECT ltrim(printf('%.*c', 1000000, 'a'), printf('%.*ca', 16000, 'b'))",
      "SELECT rtrim(printf('%.*c', 1000000, 'a'), printf('%.*ca', 16000, 'b'))",
      NUMBERS "SELECT json_patch('{}', json_group_object('k' || i, i)) FROM n",
  };
  world *w = *state;
  char got[256];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    ask(w->ours, calls[i], got);
    assert_string_equal(got, "error: " DL_TOO_MUCH_TO_COMPARE);
  }
  ask(w->ours, "SELECT length(replace(printf('%.*c', 1000000, 'a'), 'a', 'bb'))", got);
  assert_string_equal(got, "1 2000000");
  ask(w->ours, "SELECT length(json_patch('{}', json_object('text', printf('%.*c', 1000000, 'a'))))", got);
  assert_string_equal(got, "1 1000011");
}

/* Colons in texts and in arrays, which take the place of what was there, are compared with nothing. */
static void what_a_patch_only_puts_in_place_has_no_bound(void **state) {
  static const char *const calls[] = {
      NUMBERS "SELECT json_patch('{\"k\":1}', json_object('p', json_group_array(json_object('x', i, 'y', json_array(i))))) FROM n",
      NUMBERS "SELECT json_patch('{\"k\":1}', json_object('p', group_concat('\":\\', ':'))) FROM n",
      NUMBERS "SELECT json_patch(json_group_array(json_object('x', i)), json_group_array(json_object('x', i))) FROM n",
  };
  world *w = *state;
  char expected[256], got[256];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    ask(w->plain, calls[i], expected);
    ask(w->ours, calls[i], got);
    assert_string_equal(got, expected);
    assert_memory_equal(got, "3 ", 2);
  }
}

/* Names of 1,000 bytes that differ at their ends; members behind arrays and texts; and, where
 * SQLite reads JSON5, behind what only seems to begin a text. */
static void what_a_patch_merges_has_a_bound_wherever_it_stands(void **state) {
  static const char *const calls[] = {
      NUMBERS "SELECT json_patch(json_group_object(printf('%.*c%d', 1000, 'k', i), i), json_group_object(printf('%.*c%d', 1000, 'k', -i), i))"
              " FROM n WHERE i < 3000",
      NUMBERS "SELECT json_patch('{}', json_object('l', json_array('[', json_object()), '\"', '\\', 'o', json_group_object('k' || i, i))) FROM n",
      NUMBERS "SELECT json_patch('{}', '{''\"'':1,' || substr(json_group_object('k' || i, i), 2)) FROM n",
      NUMBERS "SELECT json_patch('{}', '{/* \" */' || substr(json_group_object('k' || i, i), 2)) FROM n",
  };
  world *w = *state;
  char got[256];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    ask(w->ours, calls[i], got);
    assert_string_equal(got, "error: " DL_TOO_MUCH_TO_COMPARE);
  }
}

static void searching_a_text_is_done_anew(void **state) {
  world *w = *state;
  char got[256];
  ask(w->ours, "SELECT min(builtin) FROM pragma_function_list WHERE name = 'instr'", got);
  assert_string_equal(got, "1 0");
  ask(w->ours, "SELECT instr(printf('%.*c', 1000000, 'a'), printf('%.*cb', 500000, 'a'))", got);
  assert_string_equal(got, "1 0");
  ask(w->ours, "SELECT instr(printf('%.*cb', 1000000, 'a'), printf('%.*cb', 500000, 'a'))", got);
  assert_string_equal(got, "1 500001");
}

static void a_text_that_is_too_long_is_told_as_by_the_originals(void **state) {
  static const char call[] = "SELECT length(replace(printf('%.*c', 1000, 'a'), 'a', 'bb'))";
  world *w = *state;
  char expected[256], got[256];
  sqlite3_limit(w->plain, SQLITE_LIMIT_LENGTH, 1500);
  sqlite3_limit(w->ours, SQLITE_LIMIT_LENGTH, 1500);
  ask(w->plain, call, expected);
  ask(w->ours, call, got);
  assert_string_equal(got, expected);
  assert_int_equal(sqlite3_errcode(w->ours), SQLITE_TOOBIG);
}

/* Each piece of memory in turn is not to be had: a call then gives its value or fails, and the next one gives it. */
static void without_memory_a_call_fails_and_gives_no_other_value(void **state) {
  static const char *const calls[] = {
      "SELECT length(replace(printf('%.*c', 100000, 'a'), 'a', 'bb'))",
      "SELECT length(trim(printf('%.*c', 100000, 'a'), 'b'))",
      "SELECT length(json_patch('{\"k\":1}', json_object('text', printf('%.*c', 100000, 'a'))))",
      "SELECT instr(printf('%.*cb', 100000, 'a'), 'b')",
  };
  world *w = *state;
  char expected[256], got[256];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    sqlite3_stmt *statement;
    bool struck = true;
    long at = 1;
    ask(w->plain, calls[i], expected);
    assert_int_equal(sqlite3_prepare_v2(w->ours, calls[i], -1, &statement, NULL), SQLITE_OK);
    for (; struck; at++) {
      fault_arm((fault_rule){.operations = FAULT_MEMORY, .code = SQLITE_NOMEM}, at);
      int code = sqlite3_step(statement);
      struck = fault_lift();
      if (code == SQLITE_ROW) read_value(statement, got);
      else assert_int_equal(code, SQLITE_NOMEM);
      if (code == SQLITE_ROW && strcmp(got, expected) != 0) fail_msg("%s, without allocation %ld: %s instead of %s", calls[i], at, got, expected);
      sqlite3_reset(statement);
    }
    assert_true(at > 3);
    sqlite3_finalize(statement);
    ask(w->ours, calls[i], got);
    assert_string_equal(got, expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(they_give_what_the_originals_give, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_sqlite_has_in_newer_versions_is_bounded_where_it_is_there, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_takes_too_long_is_not_begun, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_a_patch_only_puts_in_place_has_no_bound, open_world, close_world),
      cmocka_unit_test_setup_teardown(what_a_patch_merges_has_a_bound_wherever_it_stands, open_world, close_world),
      cmocka_unit_test_setup_teardown(searching_a_text_is_done_anew, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_text_that_is_too_long_is_told_as_by_the_originals, open_world, close_world),
      cmocka_unit_test_setup_teardown(without_memory_a_call_fails_and_gives_no_other_value, open_world, close_world),
  };
  if (!fault_install()) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
