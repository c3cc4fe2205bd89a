/* SPDX-License-Identifier: MIT */
/*
 * What Lua has no type of its own for, and values need: 64-bit integers (LuaJIT's
 * int64 cdata), null, and the mark that makes an empty table an array. Also what
 * those who walk Lua tables share: the shape of a table, and how a place in it is named.
 */
#ifndef DL_MODEL_VALUE_LUA_H
#define DL_MODEL_VALUE_LUA_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"

#include <lua.h>

#include <stdint.h>

#define DL_LUA_TCDATA 10 /* what lua_type gives for cdata; lua.h has no name for it */
#define DL_LUA_MAX_DEPTH 64

/* Integers up to here are the same as doubles: 2^53 - 1. */
#define DL_LUA_SAFE_INTEGER INT64_C(9007199254740991)

/* Takes what the functions below need from LuaJIT's ffi library. dl_bridge_json
 * calls it, before a sandbox takes ffi away; calling it again does nothing. */
void dl_lua_prepare(lua_State *L);

/* Pushes integer as a number when a double holds it exactly and wide is false, else as int64 cdata. */
void dl_lua_push_integer(lua_State *L, int64_t integer, bool wide);

/* Pushes int64 cdata. */
void dl_lua_push_int64(lua_State *L, int64_t integer);

typedef enum dl_lua_wide { DL_LUA_NOT_WIDE, DL_LUA_INT64, DL_LUA_UINT64 } dl_lua_wide;

/* Whether the value at index is int64_t or uint64_t cdata, and its bits. */
dl_lua_wide dl_lua_get_wide(lua_State *L, int index, uint64_t *bits);

static inline void dl_lua_push_null(lua_State *L) { lua_pushlightuserdata(L, NULL); }
static inline bool dl_lua_is_null(lua_State *L, int index) { return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index); }

/* Pushes the metatable that marks a table as an array (demilune.array sets it). */
void dl_lua_push_array_type(lua_State *L);

/* Pushes an empty table so marked. */
void dl_lua_push_empty_array(lua_State *L);

typedef enum dl_lua_shape {
  DL_LUA_ARRAY,  /* keys 1..length and no others; length 0: marked as an array */
  DL_LUA_OBJECT, /* the others, the empty table too; its keys have not been looked at */
  DL_LUA_HOLES,  /* keys are numbers, but not 1..length */
  DL_LUA_MIXED   /* 1..length and names */
} dl_lua_shape;

/* The shape of the table at index; *length is that of an array. */
dl_lua_shape dl_lua_table_shape(lua_State *L, int index, uint32_t *length);

/* How many values a walk may meet before it has met some more than once: each has a
 * place of its own in Lua's memory. Tables that hold the same one twice, and so on for
 * thirty levels, are few and come to a billion values; a million more may be met. */
uint64_t dl_lua_values_max(lua_State *L);

/* Makes room in the buffer for the scalar at index as JSON, but for what its escapes
 * take: false when there is no such memory. Answers are as large as clients ask for. */
bool dl_lua_reserve(lua_State *L, int index, int type, dl_buffer *buffer);

#define DL_LUA_TOO_MANY "more values than there are, for the same tables are held over and over"
#define DL_LUA_TOO_LARGE "more than there is memory for"

/* A place inside the table that is walked; chained on the C stack, turned into
 * text only when something is wrong there. */
typedef struct dl_lua_place {
  const struct dl_lua_place *outer; /* NULL at the top */
  dl_str key;
  uint32_t index; /* 1-based; 0 when key says the place */
  uint32_t depth; /* tables above this place */
} dl_lua_place;

/* "<what> at .users[3].name<advice>" in the arena. */
const char *dl_lua_place_error(dl_arena *arena, const dl_lua_place *place, const char *what, const char *advice);

/* The same for a value of Lua that JSON has nothing for ("a function"), and for
 * tables that are neither arrays nor objects. */
const char *dl_lua_type_error(dl_arena *arena, const dl_lua_place *place, const char *type_name);
const char *dl_lua_shape_error(dl_arena *arena, const dl_lua_place *place, dl_lua_shape shape);
const char *dl_lua_key_error(dl_arena *arena, const dl_lua_place *place, const char *type_name);
const char *dl_lua_depth_error(dl_arena *arena, const dl_lua_place *place);
const char *dl_lua_count_error(dl_arena *arena, const dl_lua_place *place);
const char *dl_lua_number_error(dl_arena *arena, const dl_lua_place *place);

#endif
