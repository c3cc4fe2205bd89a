/* SPDX-License-Identifier: MIT */
/*
 * LuaJIT keeps each text once, in a table by its hash. OpenResty's branch hashes with
 * the processor's CRC-32, whose seed changes nothing: texts that have one hash are
 * written down by hand, whoever sends some ten thousand of them in a body has each
 * compared with all before it, and the worker stands still. Here a state is made whose
 * texts are hashed under a key. States of others in the same process keep what they have.
 */
#ifndef DL_BRIDGE_STRING_HASH_H
#define DL_BRIDGE_STRING_HASH_H

#include <lua.h>
#include <stdint.h>

/* As luaL_newstate, from any thread. *key is what the state's hashes are known by. */
lua_State *dl_keyed_state_new(uint64_t *key);

/* As lua_close. */
void dl_keyed_state_close(lua_State *L, uint64_t key);

#endif
