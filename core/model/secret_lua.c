/* SPDX-License-Identifier: MIT */
#include "model/secret_lua.h"

#include "crypto/secret.h"

#include <lauxlib.h>

enum { COUNTED_BYTES = 1024 };

typedef struct secret_box {
  char *bytes; /* NULL once collected */
  size_t length;
} secret_box;

static secret_box *secret_at(lua_State *L, int index) {
  secret_box *box = lua_touserdata(L, index);
  if (!box || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, DL_SECRET_METATABLE);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? box : NULL;
}

bool dl_secret_get(lua_State *L, int index, dl_str *out) {
  const secret_box *box = secret_at(L, index);
  if (!box) return false;
  if (out) *out = dl_str_from(box->bytes, box->length);
  return true;
}

static const secret_box *check_secret(lua_State *L) {
  const secret_box *box = secret_at(L, 1);
  if (!box) luaL_argerror(L, 1, "expected a secret; call its functions with a colon: secret:equal(other)");
  return box;
}

/* secret:equal(other), other a secret or a string: what is asked about is the
 * presented side, so a string of a client's cannot measure the secret. */
static int secret_equal(lua_State *L) {
  const secret_box *box = check_secret(L);
  dl_str other;
  if (!dl_secret_get(L, 2, &other)) other.ptr = luaL_checklstring(L, 2, &other.len);
  lua_pushboolean(L, dl_crypto_equal(other.ptr, other.len, box->bytes, box->length));
  return 1;
}

static int secret_length(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_secret(L)->length);
  return 1;
}

static int secret_tostring(lua_State *L) {
  lua_pushliteral(L, DL_SECRET_PRINTED);
  return 1;
}

static int secret_collect(lua_State *L) {
  secret_box *box = secret_at(L, 1);
  if (box && box->bytes) {
    dl_secret_free(box->bytes, box->length);
    *box = (secret_box){0};
  }
  return 0;
}

static const luaL_Reg secret_methods[] = {{"equal", secret_equal}, {"length", secret_length}, {NULL, NULL}};

static const luaL_Reg secret_metamethods[] = {{"__tostring", secret_tostring}, {"__eq", secret_equal}, {"__gc", secret_collect}, {NULL, NULL}};

static void push_metatable(lua_State *L) {
  if (!luaL_newmetatable(L, DL_SECRET_METATABLE)) return;
  luaL_register(L, NULL, secret_metamethods);
  lua_createtable(L, 0, 2);
  luaL_register(L, NULL, secret_methods);
  lua_setfield(L, -2, "__index");
  /* What getmetatable gives an app, and what makes setmetatable fail: without it
   * an app could call __gc and read freed memory, or replace equal. */
  lua_pushliteral(L, DL_SECRET_METATABLE);
  lua_setfield(L, -2, "__metatable");
}

void dl_secret_push(lua_State *L, dl_str bytes) {
  luaL_checkstack(L, 4, "a secret");
  secret_box *box = lua_newuserdata(L, sizeof(*box));
  *box = (secret_box){0};
  push_metatable(L);
  lua_setmetatable(L, -2);
  box->length = bytes.len;
  box->bytes = dl_secret_new(bytes);
  /* The collector sees a box of some bytes, and would let a thousand of them lie before it looks. */
  if (bytes.len >= COUNTED_BYTES) lua_gc(L, LUA_GCSTEP, (int)(bytes.len / 1024));
}
