/* SPDX-License-Identifier: MIT */
/* Sealing of SQL text: what is found in it, what is refused, and the SQL that each choice gives. */
#include "unit.h"

#include "data/statement.h"

#include <stdio.h>

static dl_arena arena;

static int setup(void **state) {
  (void)state;
  dl_arena_init(&arena, 0);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  dl_arena_free(&arena);
  return 0;
}

static dl_statement_text plain(const char *sql) { return (dl_statement_text){.sql = dl_str_of(sql), .source = DL_STR("app.lua:7")}; }

static dl_statement *seal(const dl_statement_text *text) {
  const char *error = NULL;
  dl_statement *statement = dl_statement_seal(&arena, text, &error);
  if (error) print_error("%s\n", error);
  assert_non_null(statement);
  return statement;
}

static const char *refusal(const dl_statement_text *text) {
  const char *error = NULL;
  assert_null(dl_statement_seal(&arena, text, &error));
  assert_non_null(error);
  assert_non_null(strstr(error, "app.lua:7"));
  return error;
}

static const char *sql_of(const dl_statement *statement, const dl_variant *variant) {
  dl_buffer out = {0};
  uint32_t numbers[16];
  dl_statement_write(statement, variant, &out, numbers);
  dl_str copy = dl_arena_copy(&arena, dl_buffer_str(&out));
  dl_buffer_free(&out);
  return copy.ptr;
}

static const char *sealed_sql(const char *sql) {
  dl_statement_text text = plain(sql);
  return sql_of(seal(&text), &(dl_variant){0});
}

static void finds_each_parameter_once_by_name(void **state) {
  (void)state;
  dl_statement_text text = plain("UPDATE users SET name = :name, email = :email WHERE id = :id AND name <> :name");
  dl_statement *statement = seal(&text);
  assert_int_equal(statement->parameter_count, 3);
  assert_str(statement->parameters[0].name, "name");
  assert_int_equal(dl_statement_parameter(statement, DL_STR("id")), 2);
  assert_int_equal(dl_statement_parameter(statement, DL_STR("other")), -1);
  assert_string_equal(sql_of(statement, &(dl_variant){0}), "UPDATE users SET name = ?1 , email = ?2  WHERE id = ?3  AND name <> ?1 ");
}

static void leaves_strings_names_casts_and_operators_alone(void **state) {
  (void)state;
  static const char *const same[] = {"SELECT ':a', 'it''s :b ?', \"x:y\"\"?\", `:c`, [:d ?]", "SELECT a::text, '{\"k\":1}' ->> 'k' FROM t",
                                     "SELECT x'ab', 1e5, 0x1F, a - -b, a / b FROM t", "VALUES (1, 'é;')", "SELECT \"é\", étage FROM t"};
  for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) assert_string_equal(sealed_sql(same[i]), same[i]);
}

static void drops_comments_and_one_trailing_semicolon(void **state) {
  (void)state;
  assert_string_equal(sealed_sql("SELECT 1 -- :a ; '\n + 2"), "SELECT 1  \n + 2");
  assert_string_equal(sealed_sql("/* :a ; */ SELECT 1 ;\n -- done"), "  SELECT 1  ");
  assert_string_equal(sealed_sql("SELECT 1;"), "SELECT 1");
}

static void a_place_never_runs_into_what_follows(void **state) {
  (void)state;
  assert_string_equal(sealed_sql("SELECT :a?5"), "SELECT ?1 5");
}

static void refuses_what_is_not_one_readable_statement(void **state) {
  (void)state;
  static const struct {
    const char *sql, *says;
  } cases[] = {
      {"SELECT 1; SELECT 2", "several statements"},
      {"SELECT 1; -- x\n DELETE FROM t", "several statements"},
      {"SELECT ?", ":name instead of ?"},
      {"SELECT ?1", ":name instead of ?"},
      {"SELECT @a", "written with a colon"},
      {"SELECT $1", "written with a colon"},
      {"SELECT $$a$$", "written with a colon"},
      {"SELECT #a", "written with a colon"},
      {"SELECT :1", "begins a parameter"},
      {"SELECT a := 1", "begins a parameter"},
      {"SELECT :n\xc3\xa9", "ASCII letters"},
      {"SELECT 'open", "line 1 column 8: a quote"},
      {"SELECT\n \"open", "line 2 column 2: a quote"},
      {"SELECT [open", "a quote"},
      {"SELECT /* open", "a comment is opened"},
      {"SELECT /* a /* b */ c */ 1", "comment inside a comment"},
      {"SELECT (1", "never closed"},
      {"SELECT 1)", "never opened"},
      {"SELECT {x}", "only {filters} and {order}"},
      {"SELECT 1 WHERE {filters}", "{filters} has no filters"},
      {"SELECT 1 ORDER BY {order}", "{order} has no orders"},
      {"SELECT 1}", "a brace is closed"},
      {"SELECT E'a\\'b'", "backslash escapes"},
      {"SELECT a \\ b", "backslash"},
      {"SELECT a \x01 b", "control character"},
      {"SELECT '\xff'", "UTF-8"},
      {"", "empty"},
      {" -- nothing", "empty"},
      {";", "empty"},
      {"COMMIT", "begins with SELECT"},
      {"begin immediate", "begins with SELECT"},
      {"PRAGMA journal_mode = DELETE", "begins with SELECT"},
      {"ATTACH 'x' AS y", "begins with SELECT"},
      {"CREATE TABLE t (a)", "migrations"},
      {"DROP TABLE t", "migrations"},
      {"SELECT * FROM t WHERE id = :ids*", "IN (:ids*)"},
      {"SELECT :price*:count", "space before the *"},
      {"SELECT * FROM t WHERE id IN (1, :ids*)", "IN (:ids*)"},
      {"SELECT * FROM t WHERE id IN (:ids*, 1)", "IN (:ids*)"},
      {"SELECT * FROM t WHERE id IN (:id) AND id IN (:id*)", "use two names"},
      {"SELECT 1 IN (:a*) IN (:b*) IN (:c*) IN (:d*) IN (:e*)", "more than 4 list"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    dl_statement_text text = plain(cases[i].sql);
    const char *error = refusal(&text);
    if (!strstr(error, cases[i].says)) fail_msg("%s: %s", cases[i].sql, error);
  }
  dl_statement_text with_nul = plain("");
  with_nul.sql = DL_STR("SELECT 'a\0b'");
  assert_non_null(strstr(refusal(&with_nul), "NUL"));
}

static const char *choose(const dl_statement *statement, const dl_value *values, int order) {
  dl_variant variant;
  const char *error = dl_statement_choose(statement, values, order, &arena, &variant);
  return error ? error : sql_of(statement, &variant);
}

static void a_missing_parameter_is_named_and_an_optional_one_is_not_missed(void **state) {
  (void)state;
  dl_statement_text text = plain("INSERT INTO t VALUES (:a, :b?)");
  dl_statement *statement = seal(&text);
  dl_value values[2] = {dl_value_integer(1), {0}};
  assert_string_equal(choose(statement, values, -1), "INSERT INTO t VALUES (?1 , ?2 )");
  values[0] = (dl_value){0};
  const char *error = choose(statement, values, -1);
  assert_non_null(strstr(error, "app.lua:7"));
  assert_non_null(strstr(error, "'a' is missing"));
}

static void lists_have_room_in_powers_of_two(void **state) {
  (void)state;
  dl_statement_text text = plain("SELECT * FROM t WHERE a = :a AND id IN ( :ids* ) AND other IN (:ids*)");
  dl_statement *statement = seal(&text);
  dl_value items[5] = {0};
  dl_value values[2] = {dl_value_integer(1), {.kind = DL_VALUE_ARRAY, .items = items, .len = 0}};
  assert_string_equal(choose(statement, values, -1), "SELECT * FROM t WHERE a = ?1  AND id IN (   ) AND other IN ( )");
  values[1].len = 1;
  assert_string_equal(choose(statement, values, -1), "SELECT * FROM t WHERE a = ?1  AND id IN ( ?2  ) AND other IN (?2 )");
  values[1].len = 3;
  assert_string_equal(choose(statement, values, -1), "SELECT * FROM t WHERE a = ?1  AND id IN ( ?2,?3,?4,?5  ) AND other IN (?2,?3,?4,?5 )");
  dl_variant variant;
  values[1].len = DL_STATEMENT_LIST_ITEMS_MAX;
  assert_null(dl_statement_choose(statement, values, -1, &arena, &variant));
  assert_int_equal(dl_variant_places(&variant, &statement->parameters[1]), 4096);
  values[1].len++;
  assert_non_null(strstr(choose(statement, values, -1), "send them in parts"));
  values[1] = dl_value_integer(3);
  assert_non_null(strstr(choose(statement, values, -1), "is a list"));
}

static void filters_apply_when_their_parameters_are_given(void **state) {
  (void)state;
  const dl_pair filters[] = {{DL_STR("role"), DL_STR("role = :role OR owner = :owner")},
                             {DL_STR("age"), DL_STR("age BETWEEN :from AND :to -- years")}};
  dl_statement_text text = plain("SELECT * FROM t WHERE owner = :owner AND {filters}");
  text.filters = filters;
  text.filter_count = 2;
  dl_statement *statement = seal(&text);
  dl_value values[4] = {dl_value_integer(1)};
  assert_int_equal(dl_statement_parameter(statement, DL_STR("to")), 3);
  assert_string_equal(choose(statement, values, -1), "SELECT * FROM t WHERE owner = ?1  AND  TRUE ");
  values[1] = dl_value_null();
  assert_string_equal(choose(statement, values, -1), "SELECT * FROM t WHERE owner = ?1  AND  ((role = ?2  OR owner = ?1 )) ");
  values[2] = dl_value_integer(3);
  assert_non_null(strstr(choose(statement, values, -1), "'to' is missing: the filter 'age'"));
  values[3] = dl_value_integer(3);
  assert_string_equal(choose(statement, values, -1),
                      "SELECT * FROM t WHERE owner = ?1  AND  ((role = ?2  OR owner = ?1 ) AND (age BETWEEN ?3  AND ?4   )) ");
}

static void an_order_is_chosen_by_name(void **state) {
  (void)state;
  const dl_pair orders[] = {{DL_STR("name"), DL_STR("name, id")}, {DL_STR("newest"), DL_STR("id DESC")}};
  dl_statement_text text = plain("SELECT * FROM t ORDER BY {order} LIMIT 5");
  text.orders = orders;
  text.order_count = 2;
  dl_statement *statement = seal(&text);
  assert_non_null(strstr(choose(statement, NULL, -1), "choose one"));
  assert_string_equal(choose(statement, NULL, dl_statement_order(statement, DL_STR("newest"))), "SELECT * FROM t ORDER BY  id DESC  LIMIT 5");
  assert_int_equal(dl_statement_order(statement, DL_STR("id; DROP TABLE t")), -1);
  text.default_order = DL_STR("name");
  assert_string_equal(choose(seal(&text), NULL, -1), "SELECT * FROM t ORDER BY  name, id  LIMIT 5");
  text.default_order = DL_STR("nam");
  assert_non_null(strstr(refusal(&text), "names none of the orders"));
}

static void alternatives_that_make_no_sense_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *sql, *filter, *order, *says;
  } cases[] = {
      {"SELECT 1", "a = :a", NULL, "no {filters}"},
      {"SELECT 1", NULL, "a", "no {order}"},
      {"SELECT 1 WHERE {filters}", "a = 1", NULL, "no parameter of its own"},
      {"SELECT :a WHERE {filters}", "a = :a", NULL, "no parameter of its own"},
      {"SELECT 1 WHERE {filters}", "a = :a) OR (1 = 1", NULL, "never opened"},
      {"SELECT 1 WHERE {filters}", "a = :a; DROP TABLE t", NULL, "semicolon"},
      {"SELECT 1 WHERE {filters}", "{filters} = :a", NULL, "only in the statement itself"},
      {"SELECT 1 WHERE {filters}", "", NULL, "filter 'f'"},
      {"SELECT 1 ORDER BY {order}", NULL, ":a", "an order has no parameters"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    dl_statement_text text = plain(cases[i].sql);
    dl_pair filter = {DL_STR("f"), dl_str_of(cases[i].filter)}, order = {DL_STR("o"), dl_str_of(cases[i].order)};
    if (cases[i].filter) text.filters = &filter, text.filter_count = 1;
    if (cases[i].order) text.orders = &order, text.order_count = 1;
    const char *error = refusal(&text);
    if (!strstr(error, cases[i].says)) fail_msg("%s: %s", cases[i].sql, error);
  }
}

static void what_the_server_fills_in_stands_in_the_statement_itself(void **state) {
  (void)state;
  static const struct {
    const char *sql, *filter, *says; /* NULL: sealed */
    bool filled;
  } cases[] = {
      {"SELECT 1 WHERE a = :subject", NULL, NULL, true},
      {"SELECT 1 WHERE a = :subject AND {filters}", "b = :b AND c = :subject", NULL, true},
      {"SELECT 1 WHERE a = :subject_x -- :subject\n AND b = ':subject'", NULL, NULL, false},
      {"SELECT 1 WHERE {filters}", "a = :subject", "filter 'f', line 1 column 5: the server fills this parameter in, and a filter", false},
      {"SELECT 1 WHERE {filters}", "a = :subject? OR b = :b", "write the condition into the statement itself", false},
      {"SELECT 1 WHERE a IN (:subject*)", NULL, "it is no list", false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    dl_statement_text text = plain(cases[i].sql);
    dl_pair filter = {DL_STR("f"), dl_str_of(cases[i].filter)};
    text.filled = DL_STR("subject");
    if (cases[i].filter) text.filters = &filter, text.filter_count = 1;
    if (!cases[i].says) assert_int_equal(seal(&text)->is_filled, cases[i].filled);
    else if (!strstr(refusal(&text), cases[i].says)) fail_msg("%s: %s", cases[i].sql, refusal(&text));
  }
}

static void what_the_server_fills_in_may_decide_about_what_a_call_names(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    bool weighs;
  } cases[] = {
      {"SELECT 1 FROM a WHERE b = :subject AND c = :c", true},
      {"SELECT 1 FROM a WHERE c = :c", false},
      {"SELECT 1 FROM a WHERE b = :subject OR c = :subject", false},
      {"UPDATE a SET b = :b WHERE c = :subject", true},
      {"UPDATE a SET c = :subject WHERE b = :b", false},
      {"UPDATE a SET c = :subject WHERE b = :b AND c = :subject", true},
      {"INSERT INTO a (b, c) SELECT b, :subject FROM d WHERE b = :b", false},
      {"INSERT INTO a (b, c) SELECT d.b, :subject FROM d JOIN e ON e.c = :subject WHERE d.b = :b", true},
      {"SELECT c = :subject AS own FROM a WHERE b = :b", true},
      {"INSERT INTO a (b, c) VALUES (:b, :subject)", false},
      {"insert into a (b, c) values (:b, :subject) -- SELECT ON CONFLICT\n RETURNING 'SELECT'", false},
      {"INSERT INTO a (b, c) VALUES (:b, :subject) ON CONFLICT DO NOTHING", true},
      {"INSERT OR REPLACE INTO a (b, c) VALUES (:b, :subject)", true},
      {"INSERT INTO a (b, c) SELECT b, c FROM d WHERE b = :b AND c = :subject", true},
      {"REPLACE INTO a (b, c) VALUES (:b, :subject)", true},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    dl_statement_text text = plain(cases[i].sql);
    text.filled = DL_STR("subject");
    if (seal(&text)->weighs_filled != cases[i].weighs) fail_msg("%s", cases[i].sql);
  }
}

static void bytes_are_named_and_must_exist(void **state) {
  (void)state;
  const dl_str bytes[] = {DL_STR("digest")};
  dl_statement_text text = plain("SELECT :digest, :other");
  text.bytes = bytes;
  text.byte_count = 1;
  dl_statement *statement = seal(&text);
  assert_true(statement->parameters[0].bytes);
  assert_false(statement->parameters[1].bytes);
  text.sql = DL_STR("SELECT :other");
  assert_non_null(strstr(refusal(&text), "no parameter 'digest'"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_each_parameter_once_by_name),
      cmocka_unit_test(leaves_strings_names_casts_and_operators_alone),
      cmocka_unit_test(drops_comments_and_one_trailing_semicolon),
      cmocka_unit_test(a_place_never_runs_into_what_follows),
      cmocka_unit_test(refuses_what_is_not_one_readable_statement),
      cmocka_unit_test(a_missing_parameter_is_named_and_an_optional_one_is_not_missed),
      cmocka_unit_test(lists_have_room_in_powers_of_two),
      cmocka_unit_test(filters_apply_when_their_parameters_are_given),
      cmocka_unit_test(an_order_is_chosen_by_name),
      cmocka_unit_test(alternatives_that_make_no_sense_are_refused),
      cmocka_unit_test(what_the_server_fills_in_stands_in_the_statement_itself),
      cmocka_unit_test(what_the_server_fills_in_may_decide_about_what_a_call_names),
      cmocka_unit_test(bytes_are_named_and_must_exist),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
