/* SPDX-License-Identifier: MIT */
#ifndef DL_BRIDGE_TEST_CLIENT_H
#define DL_BRIDGE_TEST_CLIENT_H

#include <lua.h>

/* Adds test_connect (to 127.0.0.1 at port), clock_move and wait to the core table. */
void dl_bridge_test_client(lua_State *L, int port);

#endif
