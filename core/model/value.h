/* SPDX-License-Identifier: MIT */
/*
 * A value: what a body, a query or a database row is between its bytes and Lua.
 * Sixteen bytes a node, in the request's arena; strings are slices of the input
 * unless escapes made a copy necessary. The reader makes values, the schemas
 * check and convert them in place, and only what has passed is pushed to Lua.
 */
#ifndef DL_MODEL_VALUE_H
#define DL_MODEL_VALUE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"

#include <stdint.h>

struct lua_State;

typedef enum dl_value_kind {
  DL_VALUE_ABSENT, /* no value at all: a field that was not sent and has no default */
  DL_VALUE_NULL,
  DL_VALUE_BOOLEAN,
  DL_VALUE_INTEGER, /* int64 */
  DL_VALUE_NUMBER,  /* finite double */
  DL_VALUE_STRING,  /* UTF-8 without NUL */
  DL_VALUE_BYTES,   /* any bytes (what base64 said, an SQLite blob) */
  DL_VALUE_ARRAY,   /* items[len] */
  DL_VALUE_OBJECT,  /* members[len], in the order they came, keys distinct */
  DL_VALUE_RECORD   /* items[len] in the field order of the model that made it */
} dl_value_kind;

/* In flags. */
enum {
  DL_VALUE_EXTRA = 1, /* RECORD: items[len] is an OBJECT of the unknown fields that extra = "allow" kept */
  DL_VALUE_WIDE = 2,  /* INTEGER of an int64 field: becomes an int64 cdata in Lua, not a double */
  DL_VALUE_SECRET = 4 /* STRING or BYTES: becomes a secret userdata in Lua, is never echoed or logged */
};

typedef struct dl_value dl_value;
typedef struct dl_member dl_member;

struct dl_value {
  uint8_t kind;  /* dl_value_kind */
  uint8_t flags;
  uint16_t aux;  /* index of the union member that was chosen, set by validation */
  uint32_t len;  /* bytes, items or members */
  union {
    bool boolean;
    int64_t integer;
    double number;
    const char *string; /* STRING and BYTES */
    dl_value *items;
    dl_member *members;
  };
};

struct dl_member {
  dl_value key; /* STRING */
  dl_value value;
};

static inline dl_str dl_value_str(const dl_value *value) { return dl_str_from(value->string, value->len); }
static inline dl_value dl_value_string(dl_str s) { return (dl_value){.kind = DL_VALUE_STRING, .len = (uint32_t)s.len, .string = s.ptr}; }
static inline dl_value dl_value_integer(int64_t integer) { return (dl_value){.kind = DL_VALUE_INTEGER, .integer = integer}; }
static inline dl_value dl_value_number(double number) { return (dl_value){.kind = DL_VALUE_NUMBER, .number = number}; }
static inline dl_value dl_value_boolean(bool boolean) { return (dl_value){.kind = DL_VALUE_BOOLEAN, .boolean = boolean}; }
static inline dl_value dl_value_null(void) { return (dl_value){.kind = DL_VALUE_NULL}; }

/* Deep equality as JSON sees it: 1 equals 1.0; member order does not matter. Two RECORDs have been checked by one schema. */
bool dl_value_equal(const dl_value *a, const dl_value *b);

/* Appends the value as JSON text. BYTES become base64, RECORD may not occur. */
void dl_value_write(dl_buffer *buffer, const dl_value *value);

/* Pushes one Lua value: null is lightuserdata NULL, WIDE integers and those that a
 * double cannot hold are int64 cdata, SECRET ones secret userdata; arrays and
 * objects become tables, an empty array one marked by demilune.array. RECORD
 * may not occur here (dl_schema_push knows its names). Grows the stack itself. */
void dl_value_push(struct lua_State *L, const dl_value *value);

/* The Lua value at index as a value, copying strings into the arena: tables with
 * keys 1..n are arrays, others objects with string keys; a string that is not UTF-8
 * or holds NUL is BYTES, int64 cdata a WIDE integer. False with *error (a
 * plain sentence naming the place) for functions, NaN, cycles over 64 deep and
 * the like. */
bool dl_value_from_lua(struct lua_State *L, int index, dl_arena *arena, dl_value *out, const char **error);

#endif
