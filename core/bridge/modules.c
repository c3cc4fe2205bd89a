/* SPDX-License-Identifier: MIT */
/*
 * Our Lua modules. They lie in the binary as text. A process that will have children
 * compiles them once, and whoever makes a lua_State in a child finds bytecode: a
 * tenth of the time, at each start of a worker and at each reload.
 */
#include "base/buffer.h"
#include "base/embedded.h"
#include "base/memory.h"
#include "bridge/state.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

extern const dl_embedded dl_lua_modules[];

/* One for each of dl_lua_modules, in their order; NULL before they are compiled. */
static dl_str *compiled;

static int push_chunk(lua_State *L, size_t index, dl_str code) {
  lua_pushfstring(L, "=[demilune]/%s", dl_lua_modules[index].name);
  int status = luaL_loadbuffer(L, code.ptr, code.len, lua_tostring(L, -1));
  lua_remove(L, -2);
  return status;
}

static int load_module(lua_State *L) {
  size_t index = (size_t)lua_tointeger(L, lua_upvalueindex(1));
  if (push_chunk(L, index, compiled ? compiled[index] : dl_embedded_bytes(&dl_lua_modules[index])) != 0) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* "demilune/model.lua" as "demilune.model"; "demilune/init.lua" as "demilune". */
static void push_module_name(lua_State *L, const char *file) {
  char name[128];
  size_t len = strlen(file) - strlen(".lua");
  if (len >= sizeof name) abort();
  for (size_t i = 0; i < len; i++) name[i] = file[i] == '/' ? '.' : file[i];
  name[len] = 0;
  if (len > 5 && strcmp(name + len - 5, ".init") == 0) len -= 5;
  lua_pushlstring(L, name, len);
}

void dl_lua_modules_preload(lua_State *L) {
  for (size_t i = 0; dl_lua_modules[i].name; i++) {
    push_module_name(L, dl_lua_modules[i].name);
    lua_pushinteger(L, (lua_Integer)i);
    lua_pushcclosure(L, load_module, 1);
    lua_rawset(L, -3);
  }
}

static int append(lua_State *L, const void *bytes, size_t len, void *to) {
  (void)L;
  dl_buffer_append(to, bytes, len);
  return 0;
}

/* Text that does not compile stays text: who loads it says what is wrong with it. */
static dl_str compile(lua_State *L, size_t index) {
  dl_buffer code = {0};
  dl_str text = dl_embedded_bytes(&dl_lua_modules[index]);
  bool done = push_chunk(L, index, text) == 0 && lua_dump(L, append, &code) == 0;
  lua_pop(L, 1);
  if (done) return dl_buffer_str(&code);
  dl_buffer_free(&code);
  return text;
}

void dl_lua_modules_compile(void) {
  size_t count = 0;
  while (dl_lua_modules[count].name) count++;
  lua_State *L = compiled ? NULL : luaL_newstate();
  if (!L) return;
  dl_str *codes = dl_calloc(count, sizeof *codes);
  for (size_t i = 0; i < count; i++) codes[i] = compile(L, i);
  compiled = codes;
  lua_close(L);
}
