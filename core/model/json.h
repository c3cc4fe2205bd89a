/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259) in and out. The reader refuses what two parsers could read
 * differently: duplicate keys, invalid UTF-8, NUL (raw or \u0000), lone
 * surrogates, integers outside int64, numbers that overflow a double, nesting
 * over the limit, anything after the value, and a byte order mark.
 */
#ifndef DL_MODEL_JSON_H
#define DL_MODEL_JSON_H

#include "model/value.h"

typedef struct dl_json_limits {
  uint32_t max_depth; /* arrays and objects open at once; 0 means 64 */
  uint32_t max_nodes; /* values in all; 0 means 1,000,000 */
} dl_json_limits;

typedef struct dl_json_error {
  size_t offset;       /* bytes from the start of the text */
  const char *message; /* static text: "expected a comma or a closing brace" */
  bool starved;        /* nothing is wrong with the text, but there is no memory for its values */
} dl_json_error;

/* Reads the whole text into *out. The nodes live in the arena, unescaped strings
 * point into text: both must outlive the value. False with *error filled. */
bool dl_json_read(dl_arena *arena, dl_str text, const dl_json_limits *limits, dl_value *out, dl_json_error *error);

/* Appends the Lua value at index as JSON without a schema: the walker for
 * handlers that declare no response model, logs and json.encode. Tables with
 * keys 1..n are arrays, an empty table is {} unless it has the metatable that
 * demilune.array sets, demilune.null is null, int64 cdata are integers, secrets
 * "secret(redacted)". False with *error (static or in the arena, naming the
 * place, e.g. "a function at .users[3].name") and the buffer as it was; also when few
 * tables, held over and over, come to more than Lua's memory holds. */
bool dl_json_from_lua(struct lua_State *L, int index, dl_arena *arena, dl_buffer *buffer, const char **error);

/* The same as a part of something larger, which may meet *left values yet; those that it met are taken off. */
bool dl_json_part_from_lua(struct lua_State *L, int index, dl_arena *arena, dl_buffer *buffer, uint64_t *left, const char **error);

#endif
