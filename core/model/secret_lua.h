/* SPDX-License-Identifier: MIT */
/*
 * A secret as Lua holds it: a userdata that prints "secret(redacted)", compares
 * only in constant time and wipes its bytes on collection. An app has no way to
 * the bytes; C takes them with dl_secret_get.
 */
#ifndef DL_MODEL_SECRET_LUA_H
#define DL_MODEL_SECRET_LUA_H

#include "base/str.h"

#include <lua.h>

#define DL_SECRET_METATABLE "demilune.secret"
#define DL_SECRET_PRINTED "secret(redacted)"

/* Pushes a secret holding a copy of bytes; the caller wipes its own. */
void dl_secret_push(lua_State *L, dl_str bytes);

/* Whether the value at index is a secret. *out (may be NULL) is valid while Lua
 * keeps the userdata. */
bool dl_secret_get(lua_State *L, int index, dl_str *out);

#endif
