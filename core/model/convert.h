/* SPDX-License-Identifier: MIT */
/*
 * One scalar value into the kind a field wants, by Pydantic v2's conversion
 * table: strict for JSON bodies, lax for JSON when asked, lax for text (path,
 * query, header, cookie, form). No constraints here; those are the schema's.
 */
#ifndef DL_MODEL_CONVERT_H
#define DL_MODEL_CONVERT_H

#include "model/kind.h"
#include "model/value.h"

typedef enum dl_mode { DL_MODE_STRICT, DL_MODE_LAX, DL_MODE_TEXT } dl_mode;

typedef struct dl_conversion {
  dl_arena *arena; /* where converted text goes */
  /* Filled when dl_convert gives false. */
  const char *type; /* Pydantic v2's error type: "int_parsing" */
  dl_str message;   /* our own sentence, static or in the arena: "should be a whole number" */
  dl_value context; /* OBJECT for the error's ctx, or ABSENT */
} dl_conversion;

/* Converts *value in place to the kind's canonical form; false, with the value
 * untouched, when the table says so. Canonical forms:
 *   string STRING; integer INTEGER within +-(2^53 - 1); int64 INTEGER|WIDE;
 *   number NUMBER (finite); decimal STRING ("12.50", no exponent); boolean BOOLEAN;
 *   email STRING with the domain in lower case; url STRING normalised as WHATWG
 *   URLs are for scheme and host; uuid STRING lower case with hyphens;
 *   date "2026-11-24"; time "10:00:00[.ffffff][Z|+hh:mm]"; datetime RFC 3339
 *   "2026-11-24T10:00:00[.ffffff][Z|+hh:mm]" (no offset stays without one);
 *   duration NUMBER of seconds; ipv4, ipv6, cidr STRING canonical (RFC 5952);
 *   bytes BYTES (base64 or base64url decoded); secret STRING|SECRET; file never converts. */
bool dl_convert(dl_kind kind, dl_mode mode, dl_value *value, dl_conversion *conversion);

/* As dl_convert for a url field that names its schemes (lower case); count 0
 * takes any. dl_convert takes "http" and "https". */
bool dl_convert_url(const dl_str *schemes, size_t count, dl_mode mode, dl_value *value, dl_conversion *conversion);

/* As dl_convert for a datetime field with utc: gives "2026-11-24T10:00:00Z", always in
 * UTC and in whole seconds, so that texts are in the order of their moments; what is
 * finer is dropped. Refuses one without an offset (timezone_aware). */
bool dl_convert_utc(dl_mode mode, dl_value *value, dl_conversion *conversion);

/* Seconds since 1970-01-01T00:00:00Z of a datetime text, with their fraction; refuses as dl_convert_utc does. */
bool dl_datetime_seconds(dl_str text, double *seconds, dl_conversion *conversion);

/* The other way, in the form of dl_convert_utc; 20 bytes, no NUL. False outside the years 1 to 9999. */
enum { DL_UTC_TEXT = 20 };
bool dl_datetime_write(double seconds, char text[DL_UTC_TEXT]);

/* Appends a duration of seconds as ISO 8601 ("P1DT2H3.5S"), to the microsecond;
 * what reaches a billion days is written as the longest duration there is. */
void dl_duration_write(dl_buffer *buffer, double seconds);

#endif
