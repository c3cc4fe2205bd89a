/* SPDX-License-Identifier: MIT */
/* The JSON reader: what it accepts and refuses, where errors point, its limits. The Lua side is in test_json_lua.c. */
#include "unit.h"

#include "model/json.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct reading {
  dl_arena arena;
  dl_value value;
  dl_json_error error;
  bool accepted;
} reading;

static reading read_limited(dl_str text, dl_json_limits limits) {
  reading r = {0};
  dl_arena_init(&r.arena, 0);
  /* A copy of exactly the text's length, so that the sanitizer sees one byte too many. */
  char *copy = malloc(text.len ? text.len : 1);
  assert_non_null(copy);
  if (text.len) memcpy(copy, text.ptr, text.len);
  dl_value value = {0};
  r.accepted = dl_json_read(&r.arena, dl_str_from(copy, text.len), &limits, &value, &r.error);
  /* The value's strings point into the text: keep one that lives as long as the arena. */
  if (r.accepted) r.accepted = dl_json_read(&r.arena, dl_arena_copy(&r.arena, text), &limits, &r.value, &r.error);
  free(copy);
  return r;
}

static reading read_text(dl_str text) { return read_limited(text, (dl_json_limits){0}); }

static void assert_refused(const char *text, size_t offset) {
  reading r = read_text(dl_str_of(text));
  if (r.accepted) fail_msg("accepted: %s", text);
  if (r.error.offset != offset) fail_msg("%s: offset %zu, not %zu (%s)", text, r.error.offset, offset, r.error.message);
  dl_arena_free(&r.arena);
}

/* Reads text and compares what is written back. */
static void assert_reads_as(const char *text, const char *written) {
  reading r = read_text(dl_str_of(text));
  if (!r.accepted) fail_msg("%s: %s at %zu", text, r.error.message, r.error.offset);
  dl_buffer out = {0};
  dl_value_write(&out, &r.value);
  assert_str(dl_buffer_str(&out), written);
  dl_buffer_free(&out);
  dl_arena_free(&r.arena);
}

static void values_come_back_as_they_were_sent(void **state) {
  (void)state;
  static const struct {
    const char *text, *written;
  } rows[] = {
      {" null ", "null"},
      {"true", "true"},
      {"\t\r\n false", "false"},
      {"\"\"", "\"\""},
      {"[]", "[]"},
      {"{ }", "{}"},
      {"[ 1 , [ ] , { \"a\" : [ { } ] } ]", "[1,[],{\"a\":[{}]}]"},
      {"{\"b\":1,\"a\":{\"b\":2}}", "{\"b\":1,\"a\":{\"b\":2}}"},
      {"{\"\":0}", "{\"\":0}"},
      {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"a\\\"\\\\/\\b\\f\\n\\r\\t\""},
      {"\"\\u00e9\\u20AC\\ud83C\\udf19 end\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x99 end\""},
      {"\"sixteen bytes and more \xc3\xa9\xe2\x82\xac then plain text again\"",
       "\"sixteen bytes and more \xc3\xa9\xe2\x82\xac then plain text again\""},
      {"{\"\\u0061b\":\"c\"}", "{\"ab\":\"c\"}"},
      {"\"\\uffff\\udbff\\udfff\"", "\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\""},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_reads_as(rows[i].text, rows[i].written);
}

static void a_stop_is_found_at_every_place_of_a_long_string(void **state) {
  (void)state;
  static const char *const stops[] = {"\"", "\x01", "\x1f", "\xff", "\x80", "\\x"};
  for (size_t length = 0; length < 70; length++)
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
      char text[160];
      snprintf(text, sizeof(text), "\"%.*s%s%s", (int)length, "abcdefghijklmnopqrstuvwxyz~ !#[]^_abcdefghijklmnopqrstuvwxyz0123456789", stops[i],
               i ? "tail\"" : "");
      reading r = read_text(dl_str_of(text));
      assert_int_equal(r.accepted, i == 0);
      if (i == 0) assert_int_equal(r.value.len, length);
      else assert_int_equal(r.error.offset, length + 1);
      dl_arena_free(&r.arena);
    }
}

static void strings_without_escapes_are_slices_of_the_text(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_str text = DL_STR("{\"plain\":\"slice\",\"x\":\"esc\\naped\"}");
  dl_value value;
  dl_json_error error;
  assert_true(dl_json_read(&arena, text, NULL, &value, &error));
  assert_ptr_equal(value.members[0].key.string, text.ptr + 2);
  assert_ptr_equal(value.members[0].value.string, text.ptr + 10);
  assert_str(dl_value_str(&value.members[1].value), "esc\naped");
  dl_arena_free(&arena);
}

static void errors_say_where_they_are(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t offset;
  } rows[] = {
      {"", 0},
      {"  ", 2},
      {"\xef\xbb\xbf{}", 0},
      {"nul", 0},
      {"[1,]", 3},
      {"[,1]", 1},
      {"[1 2]", 3},
      {"[1}", 2},
      {"[1", 2},
      {"[", 1},
      {"{", 1},
      {"{]", 1},
      {"{\"a\"", 4},
      {"{\"a\" 1}", 5},
      {"{\"a\":}", 5},
      {"{\"a\":1,}", 7},
      {"{\"a\":1 \"b\":2}", 7},
      {"{a:1}", 1},
      {"{'a':1}", 1},
      {"{\"a\":1]", 6},
      {"[1]x", 3},
      {"{} {}", 3},
      {"\"abc", 4},
      {"\"abc\\", 4},
      {"\"a\\x\"", 2},
      {"\"\\u12g4\"", 1},
      {"\"\\u12", 1},
      {"\"ab\\u0000\"", 3},
      {"\"\\ud800\"", 1},
      {"\"\\ud800x\"", 1},
      {"\"\\ud800\\u0041\"", 1},
      {"\"\\ud800\\n.....\"", 1},
      {"\"\\ud800......\"", 1},
      {"\"\\ud800\\ue000\"", 1},
      {"\"\\udbff\\uffff\"", 1},
      {"\"\\udc00\\ud800\"", 1},
      {"\"\\ud800\\", 1},
      {"\"a\nb\"", 2},
      {"\"a\xc3\"", 2},
      {"\"a\xc3\xa9", 4},
      {"\"\xed\xa0\x80\"", 1},
      {"\"\xc0\x80\"", 1},
      {"\"\xf4\x90\x80\x80\"", 1},
      {"-", 1},
      {"-a", 1},
      {"+1", 0},
      {"[01]", 1},
      {"-012", 1},
      {"1.", 2},
      {"1.e5", 2},
      {".5", 0},
      {"1e", 2},
      {"1e+", 2},
      {"0x10", 1},
      {"[NaN]", 1},
      {"[-Infinity]", 2},
      {"[1e400]", 1},
      {"[9223372036854775808]", 1},
      {"{\"a\":1,\"b\":2,\"a\":3}", 13},
      {"{\"a\":1,\"\\u0061\":2}", 17},
      {"{\"\\u0061\":1,\"a\":2}", 12},
      {"[{\"a\":1},{\"\":1,\"\":2}]", 15},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) assert_refused(rows[i].text, rows[i].offset);
}

static void a_nul_byte_is_refused_wherever_it_stands(void **state) {
  (void)state;
  static const dl_str texts[] = {{"\"a\0b\"", 5}, {"1\0", 2}, {"\0", 1}, {"[\0]", 3}, {"{\"\0\":1}", 7}, {"{\"a\"\0:1}", 8}, {"[1\0]", 4}};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    reading r = read_text(texts[i]);
    assert_false(r.accepted);
    assert_int_equal(r.error.offset, (const char *)memchr(texts[i].ptr, 0, texts[i].len) - texts[i].ptr);
    dl_arena_free(&r.arena);
  }
}

static void numbers_are_exact_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t integer;
  } integers[] = {{"0", 0},
                  {"-0", 0},
                  {"9007199254740993", 9007199254740993},
                  {"9223372036854775807", INT64_MAX},
                  {"-9223372036854775808", INT64_MIN},
                  {"1000000000000000000", 1000000000000000000}};
  for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
    reading r = read_text(dl_str_of(integers[i].text));
    assert_true(r.accepted);
    assert_int_equal(r.value.kind, DL_VALUE_INTEGER);
    assert_true(r.value.integer == integers[i].integer);
    dl_arena_free(&r.arena);
  }
  static const char *const too_large[] = {
      "9223372036854775808",    "-9223372036854775809",  "18446744073709551616", "99999999999999999999999", "1e309", "-1e309",
      "1e99999999999999999999", "17976931348623159e292", "10000000000000000000"};
  for (size_t i = 0; i < sizeof(too_large) / sizeof(too_large[0]); i++) assert_refused(too_large[i], 0);
}

static void reals_are_those_of_strtod_to_the_last_bit(void **state) {
  (void)state;
  static const char *const texts[] = {
      "0.0",
      "-0.0",
      "0e999",
      "0.1",
      "1.5",
      "1e0",
      "1E+2",
      "123456789012345678",
      "0.30000000000000004",
      "9007199254740993.0",
      "9007199254740991e22",
      "9007199254740992.5e-22",
      "1e22",
      "1e23",
      "1e-22",
      "1e-23",
      "1.7976931348623157e308",
      "5e-324",
      "2e-324",
      "1e-400",
      "1e-99999999999999999999",
      "2.2250738585072011e-308",
      "2.2250738585072014e-308",
      "179769313486231570793e288",
      "0.000000000000000000000000000000000000000000000000000000000000001",
      "0.1000000000000000055511151231257827021181583404541015625",
      "8.41e21",
      "9.007199254740993e15",
      "4.35",
      "100000000000000000000000.0",
      "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890.5e-20"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    reading r = read_text(dl_str_of(texts[i]));
    if (!r.accepted) fail_msg("%s: %s", texts[i], r.error.message);
    double expected = strtod(texts[i], NULL), got = r.value.kind == DL_VALUE_INTEGER ? (double)r.value.integer : r.value.number;
    if (memcmp(&expected, &got, sizeof(got)) != 0) fail_msg("%s: %.17g, not %.17g", texts[i], got, expected);
    dl_arena_free(&r.arena);
  }
  /* A seeded walk over doubles, printed in the ways people print them. */
  uint64_t random = 0x9e3779b97f4a7c15u;
  for (int i = 0; i < 200000; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t bits = random ^ random >> 29;
    double expected;
    memcpy(&expected, &bits, sizeof(expected));
    if (!isfinite(expected)) continue;
    char text[400];
    int length = snprintf(text, sizeof(text), i & 1 ? "%.17g" : "%.8e", expected);
    expected = strtod(text, NULL);
    if (!isfinite(expected) || !strpbrk(text, ".e")) continue;
    dl_arena arena;
    dl_arena_init(&arena, 0);
    dl_value value;
    dl_json_error error;
    assert_true(dl_json_read(&arena, dl_str_from(text, (size_t)length), NULL, &value, &error));
    assert_memory_equal(&value.number, &expected, sizeof(expected));
    dl_arena_free(&arena);
  }
}

static void depth_has_its_limit(void **state) {
  (void)state;
  char text[300];
  for (size_t depth = 1; depth <= 70; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    reading r = read_limited(dl_str_from(text, depth * 2), (dl_json_limits){0});
    assert_int_equal(r.accepted, depth <= 64);
    if (!r.accepted) assert_int_equal(r.error.offset, 64);
    dl_arena_free(&r.arena);
    r = read_limited(dl_str_from(text, depth * 2), (dl_json_limits){.max_depth = 3});
    assert_int_equal(r.accepted, depth <= 3);
    dl_arena_free(&r.arena);
  }
  assert_reads_as("[[[]],[[]],{\"a\":[]}]", "[[[]],[[]],{\"a\":[]}]");
  /* Closed ones do not count: many side by side at a limit of two. */
  reading r = read_limited(DL_STR("[[],{},[],[1],{\"a\":1},[]]"), (dl_json_limits){.max_depth = 2});
  assert_true(r.accepted);
  dl_arena_free(&r.arena);
}

static void depth_costs_no_c_stack(void **state) {
  (void)state;
  size_t depth = 1000000;
  char *text = malloc(depth * 2);
  assert_non_null(text);
  memset(text, '[', depth);
  memset(text + depth, ']', depth);
  reading r = read_limited(dl_str_from(text, depth * 2), (dl_json_limits){.max_depth = 2000000, .max_nodes = 2000000});
  assert_true(r.accepted);
  dl_arena_free(&r.arena);
  free(text);
}

static void the_number_of_values_has_its_limit(void **state) {
  (void)state;
  reading r = read_limited(DL_STR("[1,{\"a\":2},3]"), (dl_json_limits){.max_nodes = 5});
  assert_true(r.accepted);
  dl_arena_free(&r.arena);
  r = read_limited(DL_STR("[1,{\"a\":2},3]"), (dl_json_limits){.max_nodes = 4});
  assert_false(r.accepted);
  assert_int_equal(r.error.offset, 11);
  dl_arena_free(&r.arena);
}

/* {"k0":0,...,"k<count-1>":n} with the key at second given the name of the one at first. */
static void write_object(dl_buffer *out, size_t count, size_t first, size_t second) {
  dl_buffer_clear(out);
  DL_BUFFER_LITERAL(out, "{");
  for (size_t i = 0; i < count; i++) dl_buffer_printf(out, "%s\"k%zu\":%zu", i ? "," : "", i == second ? first : i, i);
  DL_BUFFER_LITERAL(out, "}");
}

static void a_key_sent_twice_is_refused_in_objects_of_any_size(void **state) {
  (void)state;
  static const size_t counts[] = {2, 3, 15, 16, 17, 18, 31, 33, 64, 1000};
  dl_buffer text = {0};
  for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
    size_t count = counts[c], pairs[][2] = {{0, count - 1}, {0, 1}, {count - 2, count - 1}, {count / 2 - 1, count / 2}};
    write_object(&text, count, 0, count);
    reading r = read_text(dl_buffer_str(&text));
    assert_true(r.accepted);
    assert_int_equal(r.value.len, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(r.value.members[i].value.integer, i);
    dl_arena_free(&r.arena);
    for (size_t p = 0; p < 4; p++) {
      write_object(&text, count, pairs[p][0], pairs[p][1]);
      r = read_text(dl_buffer_str(&text));
      assert_false(r.accepted);
      char second[32];
      int length = snprintf(second, sizeof(second), "\"k%zu\":%zu", pairs[p][0], pairs[p][1]);
      assert_memory_equal(text.data + r.error.offset, second, (size_t)length);
      dl_arena_free(&r.arena);
    }
  }
  /* Large objects one after the other and inside each other share the scratch. */
  dl_buffer nested = {0};
  write_object(&text, 40, 0, 40);
  dl_buffer_printf(&nested, "[%.*s,{\"x\":%.*s,\"k1\":[%.*s]}]", (int)text.len, text.data, (int)text.len, text.data, (int)text.len, text.data);
  reading r = read_text(dl_buffer_str(&nested));
  assert_true(r.accepted);
  dl_arena_free(&r.arena);
  dl_buffer_free(&nested);
  dl_buffer_free(&text);
}

static void equality_is_that_of_json(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    bool equal;
  } rows[] = {
      {"1", "1.0", true},
      {"0", "-0.0", true},
      {"9007199254740993", "9007199254740992.0", false},
      {"9223372036854775807", "9223372036854775808.0", false},
      {"-9223372036854775808", "-9223372036854775808.0", true},
      {"1", "1.5", false},
      {"1", "true", false},
      {"null", "false", false},
      {"null", "false", false},
      {"null", "null", true},
      {"1", "1e300", false},
      {"1", "-1e300", false},
      {"1.5", "true", false},
      {"\"a\"", "\"a\"", true},
      {"\"a\"", "\"b\"", false},
      {"\"a\"", "\"ab\"", false},
      {"\"\"", "\"\"", true},
      {"[1,2]", "[1,2]", true},
      {"[1,2]", "[2,1]", false},
      {"[1]", "[1,1]", false},
      {"[]", "{}", false},
      {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true},
      {"{\"a\":1}", "{\"b\":1}", false},
      {"{\"a\":1}", "{\"a\":2}", false},
      {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    reading a = read_text(dl_str_of(rows[i].a)), b = read_text(dl_str_of(rows[i].b));
    if (dl_value_equal(&a.value, &b.value) != rows[i].equal || dl_value_equal(&b.value, &a.value) != rows[i].equal)
      fail_msg("%s and %s are %s", rows[i].a, rows[i].b, rows[i].equal ? "equal" : "not equal");
    dl_arena_free(&a.arena);
    dl_arena_free(&b.arena);
  }
}

static void large_objects_are_equal_in_any_order(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_value a = {.kind = DL_VALUE_OBJECT, .len = COUNT, .members = dl_arena_zalloc(&arena, COUNT, sizeof(dl_member))}, b = a;
  b.members = dl_arena_zalloc(&arena, COUNT, sizeof(dl_member));
  for (int i = 0; i < COUNT; i++) {
    a.members[i] = (dl_member){dl_value_string(dl_str_of(dl_arena_format(&arena, "%d", i))), dl_value_integer(i)};
    b.members[COUNT - 1 - i] = a.members[i];
  }
  assert_true(dl_value_equal(&a, &b));
  b.members[7].value.integer++;
  assert_false(dl_value_equal(&a, &b));
  b.members[7].value.integer--;
  b.members[7].key = dl_value_string(DL_STR("other"));
  assert_false(dl_value_equal(&a, &b));
  dl_arena_free(&arena);
}

static void bytes_are_written_as_base64(void **state) {
  (void)state;
  static const char *const expected[] = {"\"\"", "\"/w==\"", "\"/wA=\"", "\"/wB+\"", "\"/wB+gA==\""};
  dl_buffer out = {0};
  for (uint32_t length = 0; length < 5; length++) {
    dl_buffer_clear(&out);
    dl_value_write(&out, &(dl_value){.kind = DL_VALUE_BYTES, .len = length, .string = "\xff\x00\x7e\x80"});
    assert_str(dl_buffer_str(&out), expected[length]);
  }
  dl_buffer_free(&out);
}

static void secrets_are_never_written(void **state) {
  (void)state;
  dl_buffer out = {0};
  dl_value secret = dl_value_string(DL_STR("hunter2"));
  secret.flags = DL_VALUE_SECRET;
  dl_value_write(&out, &(dl_value){.kind = DL_VALUE_ARRAY, .len = 1, .items = &secret});
  assert_str(dl_buffer_str(&out), "[\"secret(redacted)\"]");
  dl_buffer_free(&out);
}

/* Documents of the published set that a parser should accept and we refuse, each by a rule that json.h states. */
static const struct {
  const char *name, *rule;
} stricter[] = {
    {"y_object_duplicated_key.json", "duplicate keys"},
    {"y_object_duplicated_key_and_value.json", "duplicate keys"},
    {"y_object_escaped_null_in_key.json", "NUL"},
    {"y_string_null_escape.json", "NUL"},
};

/* Of those that a parser may accept, the ones that we do: a number nearest to zero and depth within the limit given. */
static const char *const accepted_of_either[] = {"i_number_double_huge_neg_exp.json", "i_number_real_underflow.json"};

static bool expected_of(const char *name) {
  if (name[0] == 'y') {
    for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++)
      if (strcmp(name, stricter[i].name) == 0) return false;
    return true;
  }
  for (size_t i = 0; i < sizeof(accepted_of_either) / sizeof(accepted_of_either[0]); i++)
    if (strcmp(name, accepted_of_either[i]) == 0) return true;
  return false;
}

static dl_str read_file(const char *folder, const char *name) {
  char path[1024];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  long size = ftell(file);
  assert_true(size >= 0);
  rewind(file);
  char *bytes = malloc((size_t)size + 1);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
  fclose(file);
  return dl_str_from(bytes, (size_t)size);
}

static void the_published_documents_fare_as_their_names_say(void **state) {
  (void)state;
  const char *folder = DL_SOURCE_DIR "/../shared/data/json-parsing";
  DIR *directory = opendir(folder);
  if (!directory) {
    print_message("skipped: the documents of the JSON parsing set are not beside this checkout (shared/data/json-parsing)\n");
    skip();
  }
  size_t seen = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (!strchr("yni", entry->d_name[0]) || !strstr(entry->d_name, ".json")) continue;
    dl_str text = read_file(folder, entry->d_name);
    reading r = read_text(text);
    if (r.accepted != expected_of(entry->d_name)) fail_msg("%s was %s", entry->d_name, r.accepted ? "accepted" : r.error.message);
    dl_arena_free(&r.arena);
    free((char *)(uintptr_t)text.ptr);
    seen++;
  }
  closedir(directory);
  assert_true(seen >= 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_come_back_as_they_were_sent),
      cmocka_unit_test(a_stop_is_found_at_every_place_of_a_long_string),
      cmocka_unit_test(strings_without_escapes_are_slices_of_the_text),
      cmocka_unit_test(errors_say_where_they_are),
      cmocka_unit_test(a_nul_byte_is_refused_wherever_it_stands),
      cmocka_unit_test(numbers_are_exact_or_refused),
      cmocka_unit_test(reals_are_those_of_strtod_to_the_last_bit),
      cmocka_unit_test(depth_has_its_limit),
      cmocka_unit_test(depth_costs_no_c_stack),
      cmocka_unit_test(the_number_of_values_has_its_limit),
      cmocka_unit_test(a_key_sent_twice_is_refused_in_objects_of_any_size),
      cmocka_unit_test(equality_is_that_of_json),
      cmocka_unit_test(large_objects_are_equal_in_any_order),
      cmocka_unit_test(bytes_are_written_as_base64),
      cmocka_unit_test(secrets_are_never_written),
      cmocka_unit_test(the_published_documents_fare_as_their_names_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
