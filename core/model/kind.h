/* SPDX-License-Identifier: MIT */
/*
 * The kinds of fields a model can have, in one table: the name Lua writes, and
 * the constant the core switches on. Adding a kind is adding a row here, a
 * conversion in convert.c and its line in lua/demilune/model.lua.
 */
#ifndef DL_MODEL_KIND_H
#define DL_MODEL_KIND_H

/* Scalars first: dl_convert handles exactly those up to DL_KIND_FILE. */
#define DL_KINDS(X)      \
  X(STRING, "string")    \
  X(INTEGER, "integer")  \
  X(INT64, "int64")      \
  X(NUMBER, "number")    \
  X(DECIMAL, "decimal")  \
  X(BOOLEAN, "boolean")  \
  X(EMAIL, "email")      \
  X(URL, "url")          \
  X(UUID, "uuid")        \
  X(DATE, "date")        \
  X(TIME, "time")        \
  X(DATETIME, "datetime")\
  X(DURATION, "duration")\
  X(IPV4, "ipv4")        \
  X(IPV6, "ipv6")        \
  X(CIDR, "cidr")        \
  X(BYTES, "bytes")      \
  X(SECRET, "secret")    \
  X(FILE, "file")        \
  X(LITERAL, "literal")  \
  X(ANY, "any")          \
  X(JSON, "json")        \
  X(ARRAY, "array")      \
  X(MAP, "map")          \
  X(MODEL, "model")      \
  X(UNION, "union")

typedef enum dl_kind {
#define DL_KIND_CONSTANT(constant, name) DL_KIND_##constant,
  DL_KINDS(DL_KIND_CONSTANT)
#undef DL_KIND_CONSTANT
  DL_KIND_COUNT
} dl_kind;

#endif
