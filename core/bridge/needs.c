/* SPDX-License-Identifier: MIT */
/* What running Lua needs: LuaJIT's machine code, whose pages turn from writable to
 * executable and back, never both at once. The app's files come from the master. */
#include "bridge/bridge.h"

#include <stddef.h>

const dl_needs dl_bridge_needs = {.folder = "bridge", .rights = DL_RIGHT_MACHINE_CODE};
