/* SPDX-License-Identifier: MIT */
/*
 * Conversions against Pydantic's published table (../shared/data, when it is
 * there), and what JSON's own kinds become. test_formats.c has the texts.
 */
#include "conversion.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define TABLE DL_SOURCE_DIR "/../shared/data/pydantic-conversions.json"

/* What the table calls a type, and an example of ours for rows that have none. */
static const struct {
  const char *field_type, *input_type, *json;
  dl_kind kind;
} samples[] = {
    {"str", "str", "\"text\"", DL_KIND_STRING},
    {"bytes", "str", "\"aGk=\"", DL_KIND_BYTES},
    {"int", "int", "12", DL_KIND_INTEGER},
    {"int", "float", "2.0", DL_KIND_INTEGER},
    {"int", "bool", "true", DL_KIND_INTEGER},
    {"int", "str", "\"12\"", DL_KIND_INTEGER},
    {"float", "float", "1.5", DL_KIND_NUMBER},
    {"float", "int", "1", DL_KIND_NUMBER},
    {"float", "str", "\"1.5\"", DL_KIND_NUMBER},
    {"float", "bool", "true", DL_KIND_NUMBER},
    {"bool", "bool", "true", DL_KIND_BOOLEAN},
    {"bool", "int", "1", DL_KIND_BOOLEAN},
    {"bool", "float", "1.0", DL_KIND_BOOLEAN},
    {"bool", "str", "\"yes\"", DL_KIND_BOOLEAN},
    {"date", "str", "\"2017-05-05\"", DL_KIND_DATE},
    {"date", "int", "1493942400", DL_KIND_DATE},
    {"date", "float", "1493942400.0", DL_KIND_DATE},
    {"datetime", "str", "\"2017-05-05T10:10:10\"", DL_KIND_DATETIME},
    {"datetime", "int", "1493979010", DL_KIND_DATETIME},
    {"datetime", "float", "1493979010.5", DL_KIND_DATETIME},
    {"time", "str", "\"10:10\"", DL_KIND_TIME},
    {"time", "int", "3720", DL_KIND_TIME},
    {"time", "float", "3720.5", DL_KIND_TIME},
    {"timedelta", "str", "\"P1D\"", DL_KIND_DURATION},
    {"timedelta", "int", "90", DL_KIND_DURATION},
    {"timedelta", "float", "1.5", DL_KIND_DURATION},
    {"Decimal", "int", "12", DL_KIND_DECIMAL},
    {"Decimal", "str", "\"12.50\"", DL_KIND_DECIMAL},
    {"Decimal", "float", "1.5", DL_KIND_DECIMAL},
    {"UUID", "str", "\"2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1\"", DL_KIND_UUID},
    {"IPv4Address", "str", "\"192.0.2.1\"", DL_KIND_IPV4},
    {"IPv6Address", "str", "\"2001:db8::1\"", DL_KIND_IPV6},
    {"IPv4Network", "str", "\"192.0.2.0/24\"", DL_KIND_CIDR},
    {"IPv6Network", "str", "\"2001:db8::/32\"", DL_KIND_CIDR},
};

/* Rows about what is no scalar kind of ours: the schemas' matter, or Python's. */
static const char *const elsewhere[] = {"None",       "dict",     "TypedDict", "list",  "tuple",         "set",
                                        "frozenset",  "deque",    "Any",       "Enum",  "IntEnum",       "typing.NamedTuple",
                                        "Sequence",   "Iterable", "Pattern",   "Path",  "ByteSize",      "collections.namedtuple",
                                        "InstanceOf", "callable", "IPv4Interface", "IPv6Interface"};

static const dl_value *member(const dl_value *object, const char *name) {
  for (uint32_t i = 0; i < object->len; i++)
    if (dl_str_equal(dl_value_str(&object->members[i].key), dl_str_of(name))) return &object->members[i].value;
  return NULL;
}

static bool is_elsewhere(dl_str field_type) {
  for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
    if (dl_str_equal(field_type, dl_str_of(elsewhere[i]))) return true;
  return false;
}

static bool converts(dl_arena *arena, dl_kind kind, dl_mode mode, dl_value value) { return convert_to_text(arena, kind, mode, value)[0] != '!'; }

static void check_mode(dl_arena *arena, size_t row, dl_kind kind, dl_mode mode, const dl_value *example, bool valid) {
  if (converts(arena, kind, mode, *example) != valid) fail_msg("row %zu: %s should %s", row, mode_names[mode], valid ? "convert" : "refuse");
}

/* What is valid in strict is so in lax; what lax refuses, strict refuses. */
static void check_example(dl_arena *arena, size_t row, dl_kind kind, const dl_value *example, bool text, bool strict, bool valid) {
  if (strict || !valid) check_mode(arena, row, kind, DL_MODE_STRICT, example, valid);
  if (strict && !valid) return;
  check_mode(arena, row, kind, DL_MODE_LAX, example, valid);
  if (text) check_mode(arena, row, kind, DL_MODE_TEXT, example, valid);
}

static void check_examples(dl_arena *arena, size_t row, dl_kind kind, const dl_value *object, const char *name, bool text, bool strict, bool valid) {
  const dl_value *examples = member(object, name);
  /* Where the list is Python source, converts_what_json_can_say has what JSON can say of it. */
  if (!examples || examples->kind != DL_VALUE_ARRAY) return;
  for (uint32_t i = 0; i < examples->len; i++) check_example(arena, row, kind, &examples->items[i], text, strict, valid);
}

/* Whether the table has a strict row for the pair. */
static bool strict_elsewhere(const dl_value *table, dl_str field_type, dl_str input_type) {
  for (uint32_t i = 0; i < table->len; i++) {
    const dl_value *row = &table->items[i];
    if (dl_str_equal(dl_value_str(member(row, "field_type")), field_type) && dl_str_equal(dl_value_str(member(row, "input_type")), input_type) &&
        member(row, "strict"))
      return true;
  }
  return false;
}

static void check_row(dl_arena *arena, size_t number, const dl_value *table) {
  const dl_value *row = &table->items[number];
  dl_str field_type = dl_value_str(member(row, "field_type")), input_type = dl_value_str(member(row, "input_type"));
  if (is_elsewhere(field_type)) return;
  bool found = false, strict = strict_elsewhere(table, field_type, input_type);
  for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
    if (!dl_str_equal(field_type, dl_str_of(samples[i].field_type)) || !dl_str_equal(input_type, dl_str_of(samples[i].input_type))) continue;
    found = true;
    bool text = dl_str_equal(input_type, DL_STR("str"));
    dl_value sample = value_of_json(arena, samples[i].json);
    /* The table leaves out that strict mode takes times from strings: JSON has no other way. */
    bool time = text && samples[i].kind >= DL_KIND_DATE && samples[i].kind <= DL_KIND_DURATION;
    check_example(arena, number, samples[i].kind, &sample, text, strict || time, true);
    if (!strict && !time) check_mode(arena, number, samples[i].kind, DL_MODE_STRICT, &sample, false);
    bool strict_row = member(row, "strict");
    check_examples(arena, number, samples[i].kind, row, "valid_examples", text, strict_row, true);
    check_examples(arena, number, samples[i].kind, row, "invalid_examples", text, strict_row, false);
  }
  if (!found) fail_msg("row %zu: no sample for %.*s from %.*s", number, DL_STR_ARGS(field_type), DL_STR_ARGS(input_type));
}

static void converts_as_pydantics_table_says(void **state) {
  (void)state;
  FILE *file = fopen(TABLE, "rb");
  if (!file) {
    print_message("skipped: %s is not there\n", TABLE);
    skip();
  }
  static char text[65536];
  size_t length = fread(text, 1, sizeof(text) - 1, file);
  fclose(file);
  text[length] = '\0';
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_value table = value_of_json(&arena, text);
  assert_int_equal(table.kind, DL_VALUE_ARRAY);
  assert_int_equal(table.len, 70);
  for (uint32_t i = 0; i < table.len; i++) check_row(&arena, i, &table);
  dl_arena_free(&arena);
}

/* JSON text, what strict gives, what lax gives. */
typedef struct json_case {
  dl_kind kind;
  const char *json, *strict, *lax;
} json_case;

static const json_case json_cases[] = {
    {DL_KIND_STRING, "1", "!string_type", "!string_type"},
    {DL_KIND_STRING, "true", "!string_type", "!string_type"},
    {DL_KIND_STRING, "null", "!string_type", "!string_type"},
    {DL_KIND_STRING, "[]", "!string_type", "!string_type"},
    {DL_KIND_SECRET, "1", "!string_type", "!string_type"},
    {DL_KIND_INTEGER, "1", "1", "1"},
    {DL_KIND_INTEGER, "1.0", "!int_type", "1"},
    {DL_KIND_INTEGER, "-0.0", "!int_type", "0"},
    {DL_KIND_INTEGER, "1e2", "!int_type", "100"},
    {DL_KIND_INTEGER, "1.5", "!int_type", "!int_from_float"},
    {DL_KIND_INTEGER, "true", "!int_type", "1"},
    {DL_KIND_INTEGER, "false", "!int_type", "0"},
    {DL_KIND_INTEGER, "null", "!int_type", "!int_type"},
    {DL_KIND_INTEGER, "{}", "!int_type", "!int_type"},
    {DL_KIND_INTEGER, "9007199254740991", "9007199254740991", "9007199254740991"},
    {DL_KIND_INTEGER, "-9007199254740991", "-9007199254740991", "-9007199254740991"},
    {DL_KIND_INTEGER, "9007199254740992", "!int_parsing_size", "!int_parsing_size"},
    {DL_KIND_INTEGER, "-9007199254740992", "!int_parsing_size", "!int_parsing_size"},
    {DL_KIND_INTEGER, "1e300", "!int_type", "!int_parsing_size"},
    {DL_KIND_INT64, "9223372036854775807", "9223372036854775807", "9223372036854775807"},
    {DL_KIND_INT64, "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
    {DL_KIND_INT64, "9007199254740992.0", "!int_type", "!int_parsing_size"},
    {DL_KIND_INT64, "true", "!int_type", "1"},
    {DL_KIND_NUMBER, "1", "1", "1"},
    {DL_KIND_NUMBER, "-0.0", "-0.0", "-0.0"},
    {DL_KIND_NUMBER, "true", "!float_type", "1"},
    {DL_KIND_NUMBER, "\"1.5\"", "!float_type", "1.5"},
    {DL_KIND_NUMBER, "null", "!float_type", "!float_type"},
    {DL_KIND_BOOLEAN, "0", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "1", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "2", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, "-1", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, "1.0", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "0.0", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "5.0", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, "1.5", "!bool_type", "!bool_type"},
    {DL_KIND_BOOLEAN, "null", "!bool_type", "!bool_type"},
    {DL_KIND_DECIMAL, "12", "12", "12"},
    {DL_KIND_DECIMAL, "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
    {DL_KIND_DECIMAL, "1.50", "1.5", "1.5"},
    {DL_KIND_DECIMAL, "0.1", "0.1", "0.1"},
    {DL_KIND_DECIMAL, "-0.0", "0", "0"},
    {DL_KIND_DECIMAL, "1e3", "1000", "1000"},
    {DL_KIND_DECIMAL, "1e-7", "0.0000001", "0.0000001"},
    {DL_KIND_DECIMAL, "123456789.123", "123456789.123", "123456789.123"},
    {DL_KIND_DECIMAL, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"},
    {DL_KIND_DECIMAL, "1e99", "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
     "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"},
    {DL_KIND_DECIMAL, "1e-100", "0.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
     "0.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"},
    {DL_KIND_DECIMAL, "9.9e-101", "!decimal_max_digits", "!decimal_max_digits"},
    {DL_KIND_DECIMAL, "1e100", "!decimal_max_digits", "!decimal_max_digits"},
    {DL_KIND_DECIMAL, "5e-324", "!decimal_max_digits", "!decimal_max_digits"},
    {DL_KIND_DECIMAL, "1e300", "!decimal_max_digits", "!decimal_max_digits"},
    {DL_KIND_DECIMAL, "true", "!decimal_type", "!decimal_type"},
    {DL_KIND_DECIMAL, "null", "!decimal_type", "!decimal_type"},
    {DL_KIND_DATE, "1493942400", "!date_type", "2017-05-05"},
    {DL_KIND_DATE, "1493942400000", "!date_type", "2017-05-05"},
    {DL_KIND_DATE, "1493942400.0", "!date_type", "2017-05-05"},
    {DL_KIND_DATE, "1493942401", "!date_type", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "1493942400.5", "!date_type", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "0", "!date_type", "1970-01-01"},
    {DL_KIND_DATE, "-86400", "!date_type", "1969-12-31"},
    {DL_KIND_DATE, "-62135596800000", "!date_type", "0001-01-01"},
    {DL_KIND_DATE, "-62135683200000", "!date_type", "!date_parsing"},
    {DL_KIND_DATE, "253402214400000", "!date_type", "9999-12-31"},
    {DL_KIND_DATE, "253402300800000", "!date_type", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "-1e300", "!date_type", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "951782400", "!date_type", "2000-02-29"},
    {DL_KIND_DATE, "-2203977600", "!date_type", "1900-02-28"},
    {DL_KIND_DATE, "-2203891200", "!date_type", "1900-03-01"},
    {DL_KIND_DATE, "true", "!date_type", "!date_type"},
    {DL_KIND_DATE, "null", "!date_type", "!date_type"},
    {DL_KIND_DATETIME, "1493979010", "!datetime_type", "2017-05-05T10:10:10Z"},
    {DL_KIND_DATETIME, "1493979010123", "!datetime_type", "2017-05-05T10:10:10.123000Z"},
    {DL_KIND_DATETIME, "1493979010.5", "!datetime_type", "2017-05-05T10:10:10.500000Z"},
    {DL_KIND_DATETIME, "1493979010.1234567", "!datetime_type", "2017-05-05T10:10:10.123457Z"},
    {DL_KIND_DATETIME, "-0.5", "!datetime_type", "1969-12-31T23:59:59.500000Z"},
    {DL_KIND_DATETIME, "20000000000", "!datetime_type", "2603-10-11T11:33:20Z"},
    {DL_KIND_DATETIME, "20000000001", "!datetime_type", "1970-08-20T11:33:20.001000Z"},
    {DL_KIND_DATETIME, "253402300799999", "!datetime_type", "9999-12-31T23:59:59.999000Z"},
    {DL_KIND_DATETIME, "253402300800000", "!datetime_type", "!datetime_parsing"},
    {DL_KIND_DATETIME, "-62135596800001", "!datetime_type", "!datetime_parsing"},
    {DL_KIND_DATETIME, "9223372036854775807", "!datetime_type", "!datetime_parsing"},
    {DL_KIND_DATETIME, "false", "!datetime_type", "!datetime_type"},
    {DL_KIND_TIME, "3720", "!time_type", "01:02:00Z"},
    {DL_KIND_TIME, "3720.0002", "!time_type", "01:02:00.000200Z"},
    {DL_KIND_TIME, "86399.9", "!time_type", "23:59:59.900000Z"},
    {DL_KIND_TIME, "86400", "!time_type", "!time_parsing"},
    {DL_KIND_TIME, "86399.9999999", "!time_type", "!time_parsing"},
    {DL_KIND_TIME, "-1", "!time_type", "!time_parsing"},
    {DL_KIND_TIME, "null", "!time_type", "!time_type"},
    {DL_KIND_DURATION, "90", "!time_delta_type", "90"},
    {DL_KIND_DURATION, "-1.5", "!time_delta_type", "-1.5"},
    {DL_KIND_DURATION, "0.0000001", "!time_delta_type", "0"},
    {DL_KIND_DURATION, "86399999999999", "!time_delta_type", "86399999999999"},
    {DL_KIND_DURATION, "86400000000000", "!time_delta_type", "!time_delta_parsing"},
    {DL_KIND_DURATION, "-1e300", "!time_delta_type", "!time_delta_parsing"},
    {DL_KIND_DURATION, "true", "!time_delta_type", "!time_delta_type"},
    {DL_KIND_EMAIL, "1", "!string_type", "!string_type"},
    {DL_KIND_URL, "1", "!url_type", "!url_type"},
    {DL_KIND_UUID, "1", "!uuid_type", "!uuid_type"},
    {DL_KIND_IPV4, "1", "!string_type", "!ip_v4_address"},
    {DL_KIND_IPV6, "null", "!string_type", "!ip_v6_address"},
    {DL_KIND_CIDR, "1", "!ip_any_network", "!ip_any_network"},
    {DL_KIND_BYTES, "1", "!bytes_type", "!bytes_type"},
    {DL_KIND_FILE, "\"x\"", "!value_error", "!value_error"},
};

static void converts_what_json_can_say(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (size_t i = 0; i < sizeof(json_cases) / sizeof(json_cases[0]); i++) {
    const json_case *c = &json_cases[i];
    dl_value value = value_of_json(&arena, c->json);
    check_conversion(&arena, c->kind, DL_MODE_STRICT, value, c->json, c->strict);
    check_conversion(&arena, c->kind, DL_MODE_LAX, value, c->json, c->lax);
  }
  dl_arena_free(&arena);
}

static void refuses_every_kind_of_value_that_is_no_scalar(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  static const char *const jsons[] = {"null", "[]", "{}", "[\"1\"]", "{\"a\":1}"};
  for (int kind = 0; kind <= DL_KIND_FILE; kind++)
    for (size_t i = 0; i < sizeof(jsons) / sizeof(jsons[0]); i++)
      for (int mode = DL_MODE_STRICT; mode <= DL_MODE_TEXT; mode++)
        assert_int_equal(convert_to_text(&arena, (dl_kind)kind, (dl_mode)mode, value_of_json(&arena, jsons[i]))[0], '!');
  dl_arena_free(&arena);
}

static void refuses_what_is_not_finite(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  static const double numbers[] = {(double)INFINITY, (double)-INFINITY, (double)NAN};
  for (int kind = 0; kind <= DL_KIND_FILE; kind++)
    for (size_t i = 0; i < 3; i++) {
      dl_conversion conversion = {.arena = &arena};
      dl_value value = dl_value_number(numbers[i]);
      assert_false(dl_convert((dl_kind)kind, DL_MODE_LAX, &value, &conversion));
    }
  dl_arena_free(&arena);
}

/* As JSON writes it, wherever that has no exponent. */
static void a_number_becomes_the_shortest_decimal_that_reads_back(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (uint64_t i = 1; i < 300000; i += 7) {
    uint64_t digits = i * i * i % 1000000000000000000u;
    double number = (double)digits / pow(10, (double)(i % 19));
    if (number < 0.0001 || number >= 1e15) continue;
    number = i % 2 ? number : nextafter(-number, 0);
    dl_value value = dl_value_number(number);
    check_conversion(&arena, DL_KIND_DECIMAL, DL_MODE_STRICT, value, "a double", value_as_text(&arena, &value));
    dl_arena_reset(&arena);
  }
  dl_arena_free(&arena);
}

static void marks_wide_integers_and_secrets(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_conversion conversion = {.arena = &arena};
  dl_value value = dl_value_integer(5);
  assert_true(dl_convert(DL_KIND_INT64, DL_MODE_STRICT, &value, &conversion));
  assert_int_equal(value.flags, DL_VALUE_WIDE);
  value = dl_value_string(DL_STR("5"));
  assert_true(dl_convert(DL_KIND_INTEGER, DL_MODE_TEXT, &value, &conversion));
  assert_int_equal(value.flags, 0);
  value = dl_value_string(DL_STR("hunter2"));
  assert_true(dl_convert(DL_KIND_SECRET, DL_MODE_STRICT, &value, &conversion));
  assert_int_equal(value.kind, DL_VALUE_STRING);
  assert_int_equal(value.flags, DL_VALUE_SECRET);
  value = (dl_value){.kind = DL_VALUE_BYTES, .len = 2, .string = "\xff\x00"};
  assert_true(dl_convert(DL_KIND_BYTES, DL_MODE_STRICT, &value, &conversion));
  assert_int_equal(value.len, 2);
  dl_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(converts_as_pydantics_table_says),
      cmocka_unit_test(converts_what_json_can_say),
      cmocka_unit_test(refuses_every_kind_of_value_that_is_no_scalar),
      cmocka_unit_test(refuses_what_is_not_finite),
      cmocka_unit_test(a_number_becomes_the_shortest_decimal_that_reads_back),
      cmocka_unit_test(marks_wide_integers_and_secrets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
