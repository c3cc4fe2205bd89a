/* SPDX-License-Identifier: MIT */
/*
 * Every format's texts, good and bad. Where Pydantic v2 decides, it decided here
 * too; rows that differ from it on purpose say "ours:".
 */
#include "conversion.h"

#include <math.h>

/* The text, what strict gives, what lax and text give (NULL: as strict). */
typedef struct text_case {
  dl_kind kind;
  const char *text, *strict, *lax;
} text_case;

#define SAME NULL

static const text_case number_cases[] = {
    {DL_KIND_INTEGER, "12", "!int_type", "12"},
    {DL_KIND_INTEGER, " 12 ", "!int_type", "12"},
    {DL_KIND_INTEGER, "\t12\n", "!int_type", "12"},
    {DL_KIND_INTEGER,
     "\xc2\xa0"
     "12\xe3\x80\x80",
     "!int_type", "12"},
    {DL_KIND_INTEGER, "+12", "!int_type", "12"},
    {DL_KIND_INTEGER, "-12", "!int_type", "-12"},
    {DL_KIND_INTEGER, "-0", "!int_type", "0"},
    {DL_KIND_INTEGER, "0012", "!int_type", "12"},
    {DL_KIND_INTEGER, "1_000", "!int_type", "1000"},
    {DL_KIND_INTEGER, "1.0", "!int_type", "1"},
    {DL_KIND_INTEGER, "1_0.000", "!int_type", "10"},
    {DL_KIND_INTEGER, "9007199254740991", "!int_type", "9007199254740991"},
    {DL_KIND_INTEGER, "9007199254740992", "!int_type", "!int_parsing_size"}, /* ours: a Lua number would round it */
    {DL_KIND_INTEGER, "-9007199254740992", "!int_type", "!int_parsing_size"},
    {DL_KIND_INTEGER, "11111111111111111111111111111111111111111111111111", "!int_type", "!int_parsing_size"},
    {DL_KIND_INTEGER, "", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "  ", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "-", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "+-1", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "- 1", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "_1", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1_", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1__0", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1.", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, ".0", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1.5", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1.0_0", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1e3", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "0x10", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1,000", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "1 2", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "\xef\xbc\x91", "!int_type", "!int_parsing"},
    {DL_KIND_INTEGER, "99999999999999999999x", "!int_type", "!int_parsing"},
    {DL_KIND_INT64, "9223372036854775807", "!int_type", "9223372036854775807"},
    {DL_KIND_INT64, "-9223372036854775808", "!int_type", "-9223372036854775808"},
    {DL_KIND_INT64, "9223372036854775808", "!int_type", "!int_parsing_size"},
    {DL_KIND_INT64, "-9223372036854775809", "!int_type", "!int_parsing_size"},
    {DL_KIND_INT64, "18446744073709551617", "!int_type", "!int_parsing_size"},
    {DL_KIND_NUMBER, "1.5", "!float_type", "1.5"},
    {DL_KIND_NUMBER, " 1.5\r\n", "!float_type", "1.5"},
    {DL_KIND_NUMBER, "+1.5", "!float_type", "1.5"},
    {DL_KIND_NUMBER, "-0", "!float_type", "-0.0"},
    {DL_KIND_NUMBER, "1e3", "!float_type", "1000"},
    {DL_KIND_NUMBER, "1E-3", "!float_type", "0.001"},
    {DL_KIND_NUMBER, "1_000.5", "!float_type", "1000.5"},
    {DL_KIND_NUMBER, ".5", "!float_type", "0.5"},
    {DL_KIND_NUMBER, "5.", "!float_type", "5"},
    {DL_KIND_NUMBER, "-.5e1", "!float_type", "-5"},
    {DL_KIND_NUMBER, "0.1", "!float_type", "0.1"},
    {DL_KIND_NUMBER, "123456789012345678901234567890", "!float_type", "1.2345678901234568e+29"},
    {DL_KIND_NUMBER, "2.2250738585072011e-308", "!float_type", "2.225073858507201e-308"},
    {DL_KIND_NUMBER, "1e-400", "!float_type", "0"},
    {DL_KIND_NUMBER, "0e999999999999", "!float_type", "0"},
    {DL_KIND_NUMBER, "1e400", "!float_type", "!finite_number"}, /* ours: JSON has no infinity */
    {DL_KIND_NUMBER, "1e999999999999", "!float_type", "!finite_number"},
    {DL_KIND_NUMBER, "inf", "!float_type", "!finite_number"},
    {DL_KIND_NUMBER, "-Infinity", "!float_type", "!finite_number"},
    {DL_KIND_NUMBER, "NaN", "!float_type", "!finite_number"},
    {DL_KIND_NUMBER, "", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, ".", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "1e", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "e1", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "1e+", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "0x1p3", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "1,5", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "1.5f", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "1__0", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "1._5", "!float_type", "!float_parsing"}, /* ours: a digit on both sides of an underscore */
    {DL_KIND_NUMBER, "nan(1)", "!float_type", "!float_parsing"},
    {DL_KIND_NUMBER, "infinit", "!float_type", "!float_parsing"},
    {DL_KIND_DECIMAL, "12.50", "12.50", SAME},
    {DL_KIND_DECIMAL, " +012.50 ", "12.50", SAME},
    {DL_KIND_DECIMAL, "-.5", "-0.5", SAME},
    {DL_KIND_DECIMAL, "5.", "5", SAME},
    {DL_KIND_DECIMAL, "0", "0", SAME},
    {DL_KIND_DECIMAL, "-0.00", "0.00", SAME},
    {DL_KIND_DECIMAL, "000", "0", SAME},
    {DL_KIND_DECIMAL, "1e3", "1000", SAME},
    {DL_KIND_DECIMAL, "1.5e3", "1500", SAME},
    {DL_KIND_DECIMAL, "1.5e1", "15", SAME},
    {DL_KIND_DECIMAL, "12.345e1", "123.45", SAME},
    {DL_KIND_DECIMAL, "12e-5", "0.00012", SAME},
    {DL_KIND_DECIMAL, "1_000.000_1", "1000.0001", SAME},
    {DL_KIND_DECIMAL, "12345678901234567890.123456789", "12345678901234567890.123456789", SAME},
    {DL_KIND_DECIMAL, "0e5", "0", SAME},
    {DL_KIND_DECIMAL, "1e1000000000000", "!decimal_max_digits", SAME}, /* ours: it would be written out */
    {DL_KIND_DECIMAL, "1e-101", "!decimal_max_digits", SAME},
    {DL_KIND_DECIMAL, "NaN", "!finite_number", SAME},
    {DL_KIND_DECIMAL, "-Infinity", "!finite_number", SAME},
    {DL_KIND_DECIMAL, "sNaN", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1 2", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "--1", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "3.141x", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "_1", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1_", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1__0", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1_.5", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1e", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1e5x", "!decimal_parsing", SAME},
    {DL_KIND_DECIMAL, "1e+-5", "!decimal_parsing", SAME},
    {DL_KIND_BOOLEAN, "true", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "False", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "oN", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "OFF", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "yes", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "No", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "y", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "N", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "T", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "f", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "1", "!bool_type", "true"},
    {DL_KIND_BOOLEAN, "0", "!bool_type", "false"},
    {DL_KIND_BOOLEAN, "1.0", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, " true", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, "tru", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, "", "!bool_type", "!bool_parsing"},
    {DL_KIND_BOOLEAN, "2", "!bool_type", "!bool_parsing"},
    {DL_KIND_STRING, "", "", SAME},
    {DL_KIND_STRING, " \xc3\xa9 ", " \xc3\xa9 ", SAME},
    {DL_KIND_SECRET, "hunter2", "hunter2", SAME},
};

static const text_case time_cases[] = {
    {DL_KIND_DATE, "2017-05-05", "2017-05-05", SAME},
    {DL_KIND_DATE, "2016-02-29", "2016-02-29", SAME},
    {DL_KIND_DATE, "2000-02-29", "2000-02-29", SAME},
    {DL_KIND_DATE, "0001-01-01", "0001-01-01", SAME},
    {DL_KIND_DATE, "9999-12-31", "9999-12-31", SAME},
    {DL_KIND_DATE, "2017-02-29", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "1900-02-29", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-04-31", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-13-01", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-00-01", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-01-00", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "0000-01-01", "!date_parsing", "!date_parsing"},
    {DL_KIND_DATE, "2017-5-5", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017/05/05", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05/05", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-xx", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-05T00:01:00", "!date_parsing", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "2017-05-05T00:00:00.5", "!date_parsing", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "2017-05-05T00:00:00.", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-05T00:00:00.x", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "253402214400000", "!date_parsing", "9999-12-31"},
    {DL_KIND_DATE, "253402300800000", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "-62135596800000", "!date_parsing", "0001-01-01"},
    {DL_KIND_DATE, "-62135683200000", "!date_parsing", "!date_parsing"},
    {DL_KIND_DATE, "-90000000000000", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, " 2017-05-05", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-05 ", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-05x", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "+2017-05-05", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "-001-05-05", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "2017-05-05T00:00:00", "!date_parsing", "2017-05-05"},
    {DL_KIND_DATE, "2017-05-05 00:00+01:00", "!date_parsing", "2017-05-05"},
    {DL_KIND_DATE, "2017-05-05T00:00:01", "!date_parsing", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "2017-05-05T24:00", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "1493942400", "!date_parsing", "2017-05-05"}, /* ours: strict takes no numbers as text */
    {DL_KIND_DATE, "1493942400.0", "!date_parsing", "2017-05-05"},
    {DL_KIND_DATE, "1493942401", "!date_parsing", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "20170505", "!date_parsing", "!date_from_datetime_inexact"},
    {DL_KIND_DATE, "1e3", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_DATE, "1_000", "!date_parsing", "!date_from_datetime_parsing"},
    {DL_KIND_TIME, "10:10", "10:10:00", SAME},
    {DL_KIND_TIME, "00:00:00", "00:00:00", SAME},
    {DL_KIND_TIME, "23:59:59.999999", "23:59:59.999999", SAME},
    {DL_KIND_TIME, "10:10:10.0002", "10:10:10.000200", SAME},
    {DL_KIND_TIME, "10:10:10.1234567", "10:10:10.123456", SAME},
    {DL_KIND_TIME, "10:10:10.000", "10:10:10", SAME},
    {DL_KIND_TIME, "10:10:10,5", "10:10:10.500000", SAME},
    {DL_KIND_TIME, "10:10:10z", "10:10:10Z", SAME},
    {DL_KIND_TIME, "10:10+00:00", "10:10:00Z", SAME},
    {DL_KIND_TIME, "10:10-00:00", "10:10:00Z", SAME},
    {DL_KIND_TIME, "10:10:10+0130", "10:10:10+01:30", SAME},
    {DL_KIND_TIME, "10:10:10-23:59", "10:10:10-23:59", SAME},
    {DL_KIND_TIME,
     "10:10:10\xe2\x88\x92"
     "01:00",
     "10:10:10-01:00", SAME},
    {DL_KIND_TIME, "24:00", "!time_parsing", SAME},
    {DL_KIND_TIME, "23:60", "!time_parsing", SAME},
    {DL_KIND_TIME, "23:59:60", "!time_parsing", SAME},
    {DL_KIND_TIME, "1:1:1", "!time_parsing", SAME},
    {DL_KIND_TIME, "10", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10.", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10 ", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10+24:00", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10+01:60", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10+01", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10+", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10\xe2\x88", "!time_parsing", SAME},
    {DL_KIND_TIME, "10:10:10Zx", "!time_parsing", SAME},
    {DL_KIND_TIME, "T10:10", "!time_parsing", SAME},
    {DL_KIND_TIME, "3720", "!time_parsing", SAME},
    {DL_KIND_DATETIME, "2017-05-05T10:10:10", "2017-05-05T10:10:10", SAME},
    {DL_KIND_DATETIME, "2017-05-05 10:10", "2017-05-05T10:10:00", SAME},
    {DL_KIND_DATETIME, "2017-05-05t10:10:10z", "2017-05-05T10:10:10Z", SAME},
    {DL_KIND_DATETIME, "2017-05-05_10:10:10.5+01:30", "2017-05-05T10:10:10.500000+01:30", SAME},
    {DL_KIND_DATETIME, "0001-01-01T00:00+01:00", "0001-01-01T00:00:00+01:00", SAME},
    {DL_KIND_DATETIME, "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z", SAME},
    {DL_KIND_DATETIME, "2017-05-05", "!datetime_parsing", "2017-05-05T00:00:00"},
    {DL_KIND_DATETIME, "1493979010", "!datetime_parsing", "2017-05-05T10:10:10Z"}, /* ours: strict takes no numbers as text */
    {DL_KIND_DATETIME, "1493979010123", "!datetime_parsing", "2017-05-05T10:10:10.123000Z"},
    {DL_KIND_DATETIME, "-0.5", "!datetime_parsing", "1969-12-31T23:59:59.500000Z"},
    {DL_KIND_DATETIME, "+1493979010.", "!datetime_parsing", "2017-05-05T10:10:10Z"},
    {DL_KIND_DATETIME, "99999999999999999", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "1e9", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05x10:10:10", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05T", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05T10", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05T24:00:00", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05T23:59:60Z", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05T10:10:10Z ", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "2017-05-05T10:10:10 +01:00", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "20170505T101010", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DATETIME, "0000-01-01T00:00", "!datetime_parsing", "!datetime_parsing"},
    {DL_KIND_DATETIME, "", "!datetime_parsing", "!datetime_from_date_parsing"},
    {DL_KIND_DURATION, "P1D", "86400", SAME},
    {DL_KIND_DURATION, "PT1H30M", "5400", SAME},
    {DL_KIND_DURATION, "P1DT2H3M4.5S", "93784.5", SAME},
    {DL_KIND_DURATION, "-P1D", "-86400", SAME},
    {DL_KIND_DURATION, "+PT1S", "1", SAME},
    {DL_KIND_DURATION, "P1Y2M3W4D", "38880000", SAME},
    {DL_KIND_DURATION, "P1.5D", "129600", SAME},
    {DL_KIND_DURATION, "PT1,5S", "1.5", SAME},
    {DL_KIND_DURATION, "PT0.0000005S", "1e-06", SAME},
    {DL_KIND_DURATION, "-PT0S", "0", SAME},
    {DL_KIND_DURATION, "P1DT", "86400", SAME},
    {DL_KIND_DURATION, "36:00", "129600", SAME},
    {DL_KIND_DURATION, "-10:10:10.5", "-36610.5", SAME},
    {DL_KIND_DURATION, "1 days 10:10", "123000", SAME},
    {DL_KIND_DURATION, "1d,10:10:10", "123010", SAME},
    {DL_KIND_DURATION, "2 DAYS", "172800", SAME},
    {DL_KIND_DURATION, "-1 day", "-86400", SAME},
    {DL_KIND_DURATION, "999999999 days", "86399999913600", SAME},
    {DL_KIND_DURATION, "999999999 days, 23:59:59.999999", "86399999999999.98", SAME}, /* as near as a double gets */
    {DL_KIND_DURATION, "1000000000 days", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P9999999999Y", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P99999999999D", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P1", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P1H", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT1D", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P-1D", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "P1.D", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT1HT1M", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT1.5H30M", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT5M5S5S", "310", SAME},
    {DL_KIND_DURATION, "p1d", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 10:10", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "123", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1.5", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "10:60", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 days 24:00", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 days -10:10", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 dayss", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, " P1D", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT0.1234567890123456789S", "0.123457", SAME},
    {DL_KIND_DURATION, "1 day 5", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 day 10", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 day 10;30", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 day 5;10", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "1 day x:10", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "10:10:10x", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "10:10:10.5.5", "!time_delta_parsing", SAME},
    {DL_KIND_DURATION, "PT1.5", "!time_delta_parsing", SAME},
};

static const text_case address_cases[] = {
    {DL_KIND_IPV4, "192.0.2.1", "192.0.2.1", SAME},
    {DL_KIND_IPV4, "0.0.0.0", "0.0.0.0", SAME},
    {DL_KIND_IPV4, "255.255.255.255", "255.255.255.255", SAME},
    {DL_KIND_IPV4, "01.2.3.4", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "1.2.3", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "1.2.3.4.5", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "1.2.3.256", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "1.2..4", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, " 1.2.3.4", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "1.2.3.4/32", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "2130706433", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "0x7f.0.0.1", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "::1", "!ip_v4_address", SAME},
    {DL_KIND_IPV4, "", "!ip_v4_address", SAME},
    {DL_KIND_IPV6, "::", "::", SAME},
    {DL_KIND_IPV6, "::1", "::1", SAME},
    {DL_KIND_IPV6, "2001:DB8:0:0:0:0:0:1", "2001:db8::1", SAME},
    {DL_KIND_IPV6, "2001:db8::1:0:0:1", "2001:db8::1:0:0:1", SAME},
    {DL_KIND_IPV6, "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", SAME},
    {DL_KIND_IPV6, "1:0:0:4:0:0:0:8", "1:0:0:4::8", SAME},
    {DL_KIND_IPV6, "1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8", SAME},
    {DL_KIND_IPV6, "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", SAME},
    {DL_KIND_IPV6, "0:0:1:2:3:4:0:0", "::1:2:3:4:0:0", SAME},
    {DL_KIND_IPV6, "::ffff:192.0.2.1", "::ffff:192.0.2.1", SAME},
    {DL_KIND_IPV6, "::ffff:c000:201", "::ffff:192.0.2.1", SAME},
    {DL_KIND_IPV6, "64:ff9b::1.2.3.4", "64:ff9b::102:304", SAME},
    {DL_KIND_IPV6, "fe80::1%eth0", "!ip_v6_address", SAME}, /* ours: a zone means something on one machine only */
    {DL_KIND_IPV6, ":::", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "1::2::3", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "12345::", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "1:2:3:4:5:6:7", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "1:2:3:4:5:6:7:8:9", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "[::1]", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "1.2.3.4", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "::1.2.3.04", "!ip_v6_address", SAME},
    {DL_KIND_IPV6, "", "!ip_v6_address", SAME},
    {DL_KIND_CIDR, "192.0.2.0/24", "192.0.2.0/24", SAME},
    {DL_KIND_CIDR, "0.0.0.0/0", "0.0.0.0/0", SAME},
    {DL_KIND_CIDR, "192.0.2.1", "192.0.2.1/32", SAME},
    {DL_KIND_CIDR, "2001:DB8::/32", "2001:db8::/32", SAME},
    {DL_KIND_CIDR, "::1", "::1/128", SAME},
    {DL_KIND_CIDR, "::/0", "::/0", SAME},
    {DL_KIND_CIDR, "192.0.2.1/24", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "192.0.2.128/24", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "2001:db8::1/64", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "192.0.2.0/33", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "::/129", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "192.0.2.0/", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "192.0.2.0/+4", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "192.0.2.0/024", "!ip_any_network", SAME},           /* ours: one way to write a network */
    {DL_KIND_CIDR, "192.0.2.0/255.255.255.0", "!ip_any_network", SAME}, /* ours */
    {DL_KIND_CIDR, "/24", "!ip_any_network", SAME},
    {DL_KIND_CIDR, "", "!ip_any_network", SAME},
    {DL_KIND_UUID, "2F5C7BD4-9d14-4e8a-9a56-2d3ce1ba4cb1", "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1", SAME},
    {DL_KIND_UUID, "2f5c7bd49d144e8a9a562d3ce1ba4cb1", "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1", SAME},
    {DL_KIND_UUID, "{2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1}", "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1", SAME},
    {DL_KIND_UUID, "urn:uuid:2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1", "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1", SAME},
    {DL_KIND_UUID, "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", SAME},
    {DL_KIND_UUID, "{2f5c7bd49d144e8a9a562d3ce1ba4cb1}", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "{2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1)", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "(2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1}", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd409d14-4e8a-9a56-2d3ce1ba4cb1", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd4-9d14-4e8a-9a5602d3ce1ba4cb1", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb/", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb@", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "URN:UUID:2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb1", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd4-9d144e8a9a56-2d3ce1ba4cb1", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd-49d14-4e8a-9a56-2d3ce1ba4cb1", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cbg", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "2f5c7bd4-9d14-4e8a-9a56-2d3ce1ba4cb", "!uuid_parsing", SAME},
    {DL_KIND_UUID, "", "!uuid_parsing", SAME},
    {DL_KIND_BYTES, "", "", SAME},
    {DL_KIND_BYTES, "aGk=", "hi", SAME},
    {DL_KIND_BYTES, "aGk", "hi", SAME},
    {DL_KIND_BYTES, "aA==", "h", SAME},
    {DL_KIND_BYTES, "aA", "h", SAME},
    {DL_KIND_BYTES, "-_-_", "\xfb\xff\xbf", SAME},
    {DL_KIND_BYTES, "+/+/", "\xfb\xff\xbf", SAME},
    {DL_KIND_BYTES, "+_+/", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aGk=\n", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aG k=", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aB==", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aGl=", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aA=", "!bytes_invalid_encoding", SAME}, /* ours: padded wholly or not at all */
    {DL_KIND_BYTES, "a", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "====", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aG=k", "!bytes_invalid_encoding", SAME},
    {DL_KIND_BYTES, "aGk!", "!bytes_invalid_encoding", SAME},
};

static void check_texts(const text_case *cases, size_t count) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (size_t i = 0; i < count; i++) {
    const text_case *c = &cases[i];
    const char *lax = c->lax ? c->lax : c->strict;
    /* On the heap at its exact length, so that a sanitizer sees a read behind its end. */
    char *text = malloc(strlen(c->text) + !*c->text);
    memcpy(text, c->text, strlen(c->text));
    dl_value value = dl_value_string(dl_str_from(text, strlen(c->text)));
    check_conversion(&arena, c->kind, DL_MODE_STRICT, value, c->text, c->strict);
    check_conversion(&arena, c->kind, DL_MODE_LAX, value, c->text, lax);
    check_conversion(&arena, c->kind, DL_MODE_TEXT, value, c->text, lax);
    free(text);
  }
  dl_arena_free(&arena);
}

#define CHECK_TEXTS(cases) check_texts((cases), sizeof(cases) / sizeof((cases)[0]))

static void reads_numbers_and_booleans(void **state) {
  (void)state;
  CHECK_TEXTS(number_cases);
}

static void reads_dates_times_and_durations(void **state) {
  (void)state;
  CHECK_TEXTS(time_cases);
}

static void reads_addresses_uuids_and_bytes(void **state) {
  (void)state;
  CHECK_TEXTS(address_cases);
}

static void every_day_of_four_centuries_reads_back(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  char previous[16] = "1969-12-31";
  for (int64_t day = 0; day < 146097; day++) {
    dl_value value = dl_value_integer(day * 86400000);
    dl_conversion conversion = {.arena = &arena};
    if (day * 86400000 <= 20000000000) value = dl_value_integer(day * 86400);
    assert_true(dl_convert(DL_KIND_DATE, DL_MODE_LAX, &value, &conversion));
    dl_value again = value;
    assert_true(dl_convert(DL_KIND_DATE, DL_MODE_STRICT, &again, &conversion));
    assert_true(memcmp(previous, value.string, 10) < 0);
    memcpy(previous, value.string, 10);
    dl_arena_reset(&arena);
  }
  assert_string_equal(previous, "2369-12-31");
  dl_arena_free(&arena);
}

/* The text, and what it is in UTC in strict and in lax mode (NULL: as strict). */
static void brings_datetimes_to_utc(void **state) {
  static const struct {
    const char *text, *strict, *lax;
  } cases[] = {
      {"2030-01-01T12:00:00+02:00", "2030-01-01T10:00:00Z", SAME},
      {"2030-01-01T10:00:00Z", "2030-01-01T10:00:00Z", SAME},
      {"2030-01-01 10:00z", "2030-01-01T10:00:00Z", SAME},
      {"2030-01-01T00:30:00+05:45", "2029-12-31T18:45:00Z", SAME},
      {"2028-02-28T23:30:00-00:30", "2028-02-29T00:00:00Z", SAME},
      {"1969-12-31T23:59:59.9-00:01", "1970-01-01T00:00:59Z", SAME},
      {"2030-01-01T10:00:00.999999Z", "2030-01-01T10:00:00Z", SAME},
      {"0001-01-01T01:00:00+01:00", "0001-01-01T00:00:00Z", SAME},
      {"0001-01-01T00:00:00+01:00", "!datetime_parsing", SAME},
      {"9999-12-31T23:59:59-00:01", "!datetime_parsing", SAME},
      {"2030-01-01T10:00:00", "!timezone_aware", SAME},
      {"2030-01-01", "!datetime_parsing", "!timezone_aware"},
      {"1893456000", "!datetime_parsing", "2030-01-01T00:00:00Z"},
      {"-0.5", "!datetime_parsing", "1969-12-31T23:59:59Z"},
      {"2030-02-30T10:00:00Z", "!datetime_parsing", "!datetime_from_date_parsing"},
  };
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    for (dl_mode mode = DL_MODE_STRICT; mode <= DL_MODE_TEXT; mode++) {
      dl_conversion conversion = {.arena = &arena};
      dl_value value = dl_value_string(dl_str_of(cases[i].text)), before = value;
      bool converts = dl_convert_utc(mode, &value, &conversion);
      const char *expected = mode == DL_MODE_STRICT || !cases[i].lax ? cases[i].strict : cases[i].lax;
      assert_string_equal(converts ? value_as_text(&arena, &value) : dl_arena_format(&arena, "!%s", conversion.type), expected);
      if (converts) continue;
      assert_memory_equal(&before, &value, sizeof(value));
      assert_refusal(&conversion);
    }
  }
  dl_arena_free(&arena);
}

static void datetimes_are_seconds_and_back(void **state) {
  static const struct {
    const char *text;
    double seconds;
    const char *written;
  } cases[] = {
      {"2030-01-01T00:00:00Z", 1893456000, "2030-01-01T00:00:00Z"},   {"2030-01-01T02:00:00.25+02:00", 1893456000.25, "2030-01-01T00:00:00Z"},
      {"1969-12-31T23:59:59.5Z", -0.5, "1969-12-31T23:59:59Z"},       {"0001-01-01T00:00:00Z", -62135596800, "0001-01-01T00:00:00Z"},
      {"9999-12-31T23:59:59Z", 253402300799, "9999-12-31T23:59:59Z"}, {"2000-02-29T12:00:00Z", 951825600, "2000-02-29T12:00:00Z"},
  };
  static const double outside[] = {-62135596801, 253402300800, 1e300, -1e300, (double)INFINITY, (double)NAN};
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_conversion conversion = {.arena = &arena};
  char text[DL_UTC_TEXT];
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    double seconds = 0;
    assert_true(dl_datetime_seconds(dl_str_of(cases[i].text), &seconds, &conversion));
    assert_true(seconds == cases[i].seconds);
    assert_true(dl_datetime_write(seconds, text));
    assert_memory_equal(text, cases[i].written, sizeof(text));
  }
  for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) assert_false(dl_datetime_write(outside[i], text));
  /* A double there is coarser than a microsecond, and the moment stays in its second. */
  double last = 0;
  assert_true(dl_datetime_seconds(dl_str_of("9994-12-31T23:59:59.999999-22:59"), &last, &conversion));
  assert_true(last < 253244617140 && last > 253244617139);
  double untouched = 7;
  assert_false(dl_datetime_seconds(dl_str_of("2030-01-01T10:00:00"), &untouched, &conversion));
  assert_string_equal(conversion.type, "timezone_aware");
  assert_false(dl_datetime_seconds(dl_str_of("1893456000"), &untouched, &conversion));
  assert_true(untouched == 7);
  dl_arena_free(&arena);
}

static void writes_durations(void **state) {
  (void)state;
  static const struct {
    double seconds;
    const char *text;
  } cases[] = {
      {0, "PT0S"},
      {1, "PT1S"},
      {90, "PT1M30S"},
      {3600, "PT1H"},
      {86400, "P1D"},
      {-86400, "-P1D"},
      {93784.5, "P1DT2H3M4.5S"},
      {0.000001, "PT0.000001S"},
      {-1.25, "-PT1.25S"},
      {1e-7, "PT0S"},
      {-1e-7, "PT0S"},
      {59.9999999, "PT1M"},
      {86399999999999.0, "P999999999DT23H59M59S"},
      {1e300, "P999999999DT23H59M59S"},
      {-1e300, "-P999999999DT23H59M59S"},
      {172860, "P2DT1M"},
  };
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    dl_buffer text = {0};
    dl_duration_write(&text, cases[i].seconds);
    assert_str(dl_buffer_str(&text), cases[i].text);
    dl_value value = dl_value_string(dl_buffer_str(&text));
    dl_conversion conversion = {.arena = &arena};
    assert_true(dl_convert(DL_KIND_DURATION, DL_MODE_STRICT, &value, &conversion));
    dl_buffer_free(&text);
  }
  dl_arena_free(&arena);
}

static void long_numbers_stay_bounded(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  static char digits[100000];
  memset(digits, '7', sizeof(digits));
  dl_value value = dl_value_string(dl_str_from(digits, sizeof(digits)));
  check_conversion(&arena, DL_KIND_INTEGER, DL_MODE_TEXT, value, "many digits", "!int_parsing_size");
  check_conversion(&arena, DL_KIND_NUMBER, DL_MODE_TEXT, value, "many digits", "!float_parsing");
  check_conversion(&arena, DL_KIND_DECIMAL, DL_MODE_TEXT, value, "many digits", "!decimal_parsing");
  check_conversion(&arena, DL_KIND_DATETIME, DL_MODE_TEXT, value, "many digits", "!datetime_from_date_parsing");
  check_conversion(&arena, DL_KIND_DURATION, DL_MODE_TEXT, value, "many digits", "!time_delta_parsing");
  value.len = 1024;
  check_conversion(&arena, DL_KIND_NUMBER, DL_MODE_TEXT, value, "1024 digits", "!finite_number");
  check_conversion(&arena, DL_KIND_DECIMAL, DL_MODE_TEXT, value, "1024 digits", "!decimal_max_digits");
  memset(digits, '0', 4000);
  digits[1] = '.';
  digits[4000] = '5';
  value.len = 4001;
  check_conversion(&arena, DL_KIND_NUMBER, DL_MODE_TEXT, value, "a small one", "0");
  dl_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_numbers_and_booleans),
      cmocka_unit_test(reads_dates_times_and_durations),
      cmocka_unit_test(reads_addresses_uuids_and_bytes),
      cmocka_unit_test(every_day_of_four_centuries_reads_back),
      cmocka_unit_test(brings_datetimes_to_utc),
      cmocka_unit_test(datetimes_are_seconds_and_back),
      cmocka_unit_test(writes_durations),
      cmocka_unit_test(long_numbers_stay_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
