/* SPDX-License-Identifier: MIT */
/* Order among values: bounds and multiples of each kind that has them, items that are the same, and what counts as length. */
#include "schema_world.h"

static void decimals_are_ordered_exactly_whatever_their_sign_and_length(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'decimal', ge = '-1.5' }", "\"-1.49\"", "\"-1.49\""},
      {"{ kind = 'decimal', ge = '-1.5' }", "\"-1.50\"", "\"-1.50\""},
      {"{ kind = 'decimal', ge = '-1.5' }", "\"-1.51\"", "!greater_than_equal body{\"ge\":\"-1.5\"}"},
      {"{ kind = 'decimal', ge = '-1.5' }", "\"-10\"", "!greater_than_equal body{\"ge\":\"-1.5\"}"},
      {"{ kind = 'decimal', ge = '-1.5' }", "\"0.001\"", "\"0.001\""},
      {"{ kind = 'decimal', ge = '0' }", "\"-0.01\"", "!greater_than_equal body{\"ge\":\"0\"}"},
      {"{ kind = 'decimal', ge = '0' }", "\"-0\"", "\"0\""},
      {"{ kind = 'decimal', gt = '-0.00' }", "\"0\"", "!greater_than body{\"gt\":\"0.00\"}"},
      {"{ kind = 'decimal', ge = 0 }", "\"-0.000\"", "\"0.000\""},
      {"{ kind = 'decimal', le = '-1' }", "\"1\"", "!less_than_equal body{\"le\":\"-1\"}"},
      {"{ kind = 'decimal', lt = '10' }", "\"9.99\"", "\"9.99\""},
      {"{ kind = 'decimal', lt = '10' }", "\"100\"", "!less_than body{\"lt\":\"10\"}"},
      {"{ kind = 'decimal', gt = '0.5' }", "\"0.50\"", "!greater_than body{\"gt\":\"0.5\"}"},
      {"{ kind = 'decimal', gt = '0.5' }", "\"0.500000000000000000000000000001\"", "\"0.500000000000000000000000000001\""},
      {"{ kind = 'decimal', gt = '0.55' }", "\"0.5\"", "!greater_than body{\"gt\":\"0.55\"}"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void a_multiple_leaves_nothing_behind(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'decimal', multiple_of = '0.25' }", "\"0.125\"", "!multiple_of body{\"multiple_of\":\"0.25\"}"},
      {"{ kind = 'decimal', multiple_of = '0.25' }", "\"-1\"", "\"-1\""},
      {"{ kind = 'decimal', multiple_of = '2.5' }", "\"7.5\"", "\"7.5\""},
      {"{ kind = 'decimal', multiple_of = '2.5' }", "\"8\"", "!multiple_of body{\"multiple_of\":\"2.5\"}"},
      {"{ kind = 'decimal', multiple_of = 3 }", "\"10\"", "!multiple_of body{\"multiple_of\":\"3\"}"},
      {"{ kind = 'decimal', multiple_of = '0.05' }", "\"0\"", "\"0\""},
      {"{ kind = 'number', multiple_of = 0.25 }", "0.5", "0.5"},
      {"{ kind = 'number', multiple_of = 0.25 }", "0.6", "!multiple_of body{\"multiple_of\":0.25}"},
      {"{ kind = 'int64', multiple_of = 3 }", "-9007199254740993", "-9007199254740993"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

static void dates_and_times_are_ordered_by_the_moment_they_mean(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'date', gt = '2000-02-28' }", "\"2000-02-29\"", "\"2000-02-29\""},
      {"{ kind = 'date', gt = '2000-02-29' }", "\"2000-02-29\"", "!greater_than body{\"gt\":\"2000-02-29\"}"},
      {"{ kind = 'date', lt = '1970-01-01' }", "\"1969-12-31\"", "\"1969-12-31\""},
      {"{ kind = 'date', ge = '1900-03-01' }", "\"1900-02-28\"", "!greater_than_equal body{\"ge\":\"1900-03-01\"}"},
      {"{ kind = 'time', le = '12:00:00' }", "\"13:00:00.5+02:00\"", "\"13:00:00.500000+02:00\""},
      {"{ kind = 'time', le = '12:00:00' }", "\"11:30:00.25-01:00\"", "!less_than_equal body{\"le\":\"12:00:00\"}"},
      {"{ kind = 'time', le = '12:00:00.000001' }", "\"12:00:00.000001\"", "\"12:00:00.000001\""},
      {"{ kind = 'datetime', le = '2026-01-01T00:00:00.5Z' }", "\"2026-01-01T00:00:00.500001Z\"",
       "!less_than_equal body{\"le\":\"2026-01-01T00:00:00.500000Z\"}"},
      {"{ kind = 'datetime', le = '2026-01-01T00:00:00.5Z' }", "\"2026-01-01T02:00:00.4+02:00\"", "\"2026-01-01T02:00:00.400000+02:00\""},
      {"{ kind = 'duration', ge = 'PT1M' }", "\"PT59S\"", "!greater_than_equal body{\"ge\":60}"},
      {"{ kind = 'duration', ge = 'PT1M', lt = 90.5 }", "\"PT1M30S\"", "\"PT1M30S\""},
      {"{ kind = 'duration', lt = 90.5 }", "\"PT1M30.5S\"", "!less_than body{\"lt\":90.5}"},
  };
  schema_world *world = *state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const dl_schema *schema = world_compile(world, rows[i].description);
    dl_value value = world_read(world, rows[i].input);
    world_begin(world, DL_MODE_STRICT);
    bool taken = dl_schema_validate(schema, &value, &world->validation);
    assert_int_equal(taken, rows[i].expected[0] != '!');
    if (taken) continue;
    dl_buffer_append_char(&world->text, '!');
    world_describe_errors(world);
    world_expect(world, &rows[i], dl_buffer_str(&world->text), false);
  }
}

static void numbers_keep_to_the_range_that_lua_has_exactly(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'integer', ge = 5, le = 5 }", "5", "5"},
      {"{ kind = 'integer' }", "-9007199254740991", "-9007199254740991"},
      {"{ kind = 'integer' }", "-9007199254740993", "!int_parsing_size body"},
      {"{ kind = 'int64' }", "-9223372036854775808", "-9223372036854775808"},
      {"{ kind = 'number' }", "9007199254740993", "9007199254740992"},
      {"{ kind = 'number' }", "-9007199254740993", "-9007199254740992"},
      {"{ kind = 'literal', values = { 1.5, false } }", "1.5", "1.5"},
      {"{ kind = 'literal', values = { 1.5, false } }", "true", "!literal_error body{\"expected\":\"1.5 or false\"}"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

#define UNIQUE(items) "{ kind = 'array', unique_items = true, items = { " items " } }"
#define OPEN "kind = 'model', extra = 'allow', fields = {}"
#define NAMED(field) "{ kind = 'model', fields = { { name = '" field "', schema = { kind = 'integer' } } } }"
#define EITHER "kind = 'union', members = { " NAMED("a") ", " NAMED("b") " }"
#define TWICE(second, first) "!value_error body{\"error\":\"should have no item twice; item " #second " repeats item " #first "\"}"

static void items_are_the_same_by_their_values(void **state) {
  static const schema_row rows[] = {
      {UNIQUE("kind = 'any'"), "[true,false,null,0,\"\",[],{}]", "[true,false,null,0,\"\",[],{}]"},
      {UNIQUE("kind = 'any'"), "[true,false,true]", TWICE(2, 0)},
      {UNIQUE("kind = 'any'"), "[null,null]", TWICE(1, 0)},
      {UNIQUE("kind = 'any'"), "[[1,[2]],[1,[3]],[1,[2.0]]]", TWICE(2, 0)},
      {UNIQUE("kind = 'any'"), "[0,-0.0]", TWICE(1, 0)},
      {UNIQUE("kind = 'any'"), "[9007199254740992,9007199254740993]", "[9007199254740992,9007199254740993]"}, /* one double, two integers */
      {UNIQUE("kind = 'bytes'"), "[\"YQ==\",\"Yg==\",\"YQ==\"]", TWICE(2, 0)},
      {UNIQUE(OPEN), "[{\"a\":1},{\"a\":2},{\"a\":1}]", TWICE(2, 0)},
      {UNIQUE("kind = 'any'"), "[9007199254740994,9007199254740996,9007199254740994.0]", TWICE(2, 0)},
      {UNIQUE("kind = 'model', fields = { { name = 'a', schema = { kind = 'integer', optional = true } } }"), "[{},{\"a\":1},{}]", TWICE(2, 0)},
      {UNIQUE("kind = 'model', fields = { { name = 'in', schema = { " OPEN " } } }"), "[{\"in\":{\"a\":1}},{\"in\":{\"a\":2}}]",
       "[{\"in\":{\"a\":1}},{\"in\":{\"a\":2}}]"},
      {UNIQUE(EITHER), "[{\"a\":1},{\"b\":1}]", "[{\"a\":1},{\"b\":1}]"},
      {UNIQUE(EITHER), "[{\"a\":1},{\"b\":1},{\"a\":1}]", TWICE(2, 0)},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

/* The linker puts this around what compares two items. */
bool __real_dl_value_equal(const dl_value *a, const dl_value *b);
bool __wrap_dl_value_equal(const dl_value *a, const dl_value *b);
static size_t comparisons;

bool __wrap_dl_value_equal(const dl_value *a, const dl_value *b) {
  comparisons++;
  return __real_dl_value_equal(a, b);
}

/* True where a place has an even number of bits, or where it has an odd one: weighted by the powers of an odd number, and summed modulo 2^64, both
 * are the same. */
static void append_balanced(dl_buffer *text, unsigned odd) {
  for (unsigned place = 0; place < 1024; place++)
    dl_buffer_append_str(text, ((unsigned)__builtin_popcount(place) & 1u) == odd ? DL_STR("true,") : DL_STR("false,"));
}

static void append_balanced_items(dl_buffer *text) {
  for (unsigned item = 0; item < 32; item++) {
    dl_buffer_append_char(text, '[');
    for (unsigned part = 0; part < 5; part++) append_balanced(text, item >> part & 1u);
    dl_buffer_append_str(text, DL_STR("null],"));
  }
}

static void append_open_items(dl_buffer *text) {
  for (unsigned item = 0; item < 32; item++) dl_buffer_printf(text, "{\"a\":%u},", item);
}

static void append_wide_items(dl_buffer *text) {
  for (unsigned item = 0; item < 32; item++) dl_buffer_printf(text, "%lld,", (1ll << 62) + item);
}

static void items_that_differ_are_told_apart_without_comparing_them(void **state) {
  static const struct {
    const char *description;
    void (*append)(dl_buffer *text);
  } rows[] = {{UNIQUE("kind = 'any'"), append_balanced_items}, {UNIQUE(OPEN), append_open_items}, {UNIQUE("kind = 'int64'"), append_wide_items}};
  schema_world *world = *state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const dl_schema *schema = world_compile(world, rows[i].description);
    dl_buffer text = {0};
    dl_buffer_append_char(&text, '[');
    rows[i].append(&text);
    text.data[text.len - 1] = ']'; /* in place of the last comma */
    dl_buffer_append_char(&text, '\0');
    world_begin(world, DL_MODE_STRICT);
    dl_value value = world_read(world, text.data);
    comparisons = 0;
    assert_true(dl_schema_validate(schema, &value, &world->validation));
    assert_int_equal(comparisons, 0);
    dl_buffer_free(&text);
  }
}

static void text_is_brought_to_its_form_before_it_is_measured(void **state) {
  static const schema_row rows[] = {
      {"{ kind = 'string', lower = true }",
       "\"\xe1\xba\x9e\xf0\x90\x90\x80\xc8\xba\xe2\x82\xac"
       "A\"",
       "\"\xc3\x9f\xf0\x90\x90\xa8\xe2\xb1\xa5\xe2\x82\xac"
       "a\""}, /* U+1E9E, U+10400, U+023A */
      {"{ kind = 'string', strip = true, max_length = 1 }",
       "\"\xe1\x9a\x80\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xafx\xe2\x81\x9f\xe3\x80\x80\xc2\x85\\t\"", "\"x\""},
      {"{ kind = 'string', strip = true }", "\"\xe2\x80\x8bx\xe2\x80\x8b\"", "\"\xe2\x80\x8bx\xe2\x80\x8b\""}, /* zero width is no white space */
      {"{ kind = 'string', pattern = '^$' }", "\"\"", "\"\""},
      {"{ kind = 'string', strip = true, lower = true }", "5", "!string_type body"},
  };
  world_check_rows(*state, DL_MODE_STRICT, ROWS(rows));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEMA_TEST(decimals_are_ordered_exactly_whatever_their_sign_and_length),
      SCHEMA_TEST(a_multiple_leaves_nothing_behind),
      SCHEMA_TEST(dates_and_times_are_ordered_by_the_moment_they_mean),
      SCHEMA_TEST(numbers_keep_to_the_range_that_lua_has_exactly),
      SCHEMA_TEST(items_are_the_same_by_their_values),
      SCHEMA_TEST(items_that_differ_are_told_apart_without_comparing_them),
      SCHEMA_TEST(text_is_brought_to_its_form_before_it_is_measured),
  };
  return cmocka_run_group_tests_name("schema bounds", tests, NULL, NULL);
}
