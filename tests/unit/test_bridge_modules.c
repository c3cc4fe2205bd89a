/* SPDX-License-Identifier: MIT */
/* Our Lua modules, as text and compiled once for all; and LuaJIT's compiler, which rests while an app loads. */
#include "bridge_world.h"

#define SAME_NAMES                                                                                                                                   \
  "local loaded = 0 for name in pairs(package.preload) do if name:find '^demilune' and name ~= 'demilune.core' then loaded = loaded + 1"             \
  " local module = package.preload[name](name) if type(module) == 'table' then for _, member in pairs(module) do"                                    \
  " local info = type(member) == 'function' and debug.getinfo(member, 'S')"                                                                          \
  " assert(not info or info.what == 'C' or info.source:find '^=%[demilune%]/demilune/[%w_]+%.lua$', info and info.source)"                       \
  " end end end end assert(loaded > 20, loaded)"

#define TELL_PLACES                                                                                                                                  \
  "local model = require 'demilune.model' local ok, message = pcall(model.string, { min_lenght = 1 })"                                              \
  " assert(not ok and message:find 'min_lenght') local info = debug.getinfo(model.string, 'Sl') assert(info.linedefined > 1 and"                     \
  " info.source == '=[demilune]/demilune/model.lua', info.source)"

/* Text first: from then on this process has them compiled. */
static void modules_are_the_same_as_text_and_compiled(void **state) {
  run(*state, SAME_NAMES);
  run(*state, TELL_PLACES);
  dl_lua_modules_compile();
  dl_lua_modules_compile();
  close_world(state);
  open_world(state);
  run(*state, SAME_NAMES);
  run(*state, TELL_PLACES);
}

static void the_compiler_rests_while_an_app_loads(void **state) {
  bridge_world *world = *state;
  dl_lua_pause_compiler(world->lua);
  run(world, "assert(not jit.status())");
  dl_lua_resume_compiler(world->lua);
  run(world, "assert(jit.status())");
}

static void an_app_that_turns_the_compiler_off_keeps_it_off(void **state) {
  bridge_world *world = *state;
  dl_lua_pause_compiler(world->lua);
  run(world, "require('jit').off(function() end) local function f() jit.off(true) jit.off(true, true) end f()");
  dl_lua_resume_compiler(world->lua);
  run(world, "assert(jit.status())");
  dl_lua_pause_compiler(world->lua);
  run(world, "jit.off()");
  dl_lua_resume_compiler(world->lua);
  run(world, "assert(not jit.status()) jit.on() assert(jit.status())");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(modules_are_the_same_as_text_and_compiled, open_world, close_world),
      cmocka_unit_test_setup_teardown(the_compiler_rests_while_an_app_loads, open_world, close_world),
      cmocka_unit_test_setup_teardown(an_app_that_turns_the_compiler_off_keeps_it_off, open_world, close_world),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
