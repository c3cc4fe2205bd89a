/* SPDX-License-Identifier: MIT */
/* core.schema_compile and schema:validate, as our own Lua modules call them. */
#include "bridge_world.h"

#define PREPARE                                                                                                                                      \
  "local core = require 'demilune.core'"                                                                                                             \
  " local schema = core.schema_compile { kind = 'model', name = 'User', fields = { { name = 'age', schema = { kind = 'integer', ge = 0 } },"         \
  " { name = 'id', schema = { kind = 'integer', read_only = true } }, { name = 'pin', schema = { kind = 'string', write_only = true, optional = "    \
  "true } } } } "

static void validate_gives_the_value_or_every_error(void **state) {
  run(*state, PREPARE "local user = schema:validate { age = 3, pin = 'x' } assert(user.age == 3 and user.pin == 'x' and user.id == nil)"
                      " local none, errors = schema:validate({ age = -1, id = 5 }, { source = 'body' })"
                      " assert(none == nil and #errors == 2 and errors[1].type == 'greater_than_equal' and errors[1].ctx.ge == 0)"
                      " assert(errors[1].loc[1] == 'body' and errors[1].loc[2] == 'age' and errors[1].msg == 'should be at least 0')"
                      " assert(errors[2].type == 'extra_forbidden' and errors[2].input == nil)");
}

static void validate_has_modes_and_an_output_side(void **state) {
  run(*state, PREPARE "assert(schema:validate({ age = '3' }) == nil) assert(schema:validate({ age = '3' }, { mode = 'lax' }).age == 3)"
                      " assert(schema:validate({ age = '3' }, { mode = 'text' }).age == 3)"
                      " local out = schema:validate({ age = 3, id = 5, pin = 'x', other = 1 }, { output = true })"
                      " assert(out.id == 5 and out.pin == nil and out.other == nil)"
                      " assert(not pcall(schema.validate, schema, {}, { mode = 'loose' }))");
}

static void mistakes_are_raised_with_their_place(void **state) {
  run(*state, "local core = require 'demilune.core'"
              " local ok, message = pcall(core.schema_compile, { kind = 'integer', ge = 2, le = 1, source = 'app.lua:7' })"
              " assert(not ok and message:find('^app.lua:7: ge is above le'), message)"
              " assert(not pcall(core.schema_compile, 5))");
}

static void a_broken_check_is_raised_and_a_function_is_no_value(void **state) {
  run(*state, "local core = require 'demilune.core'"
              " local schema = core.schema_compile { kind = 'any', check = function(v) error('oh') end }"
              " local ok, message = pcall(schema.validate, schema, 1) assert(not ok and message:find 'oh' and message:find 'traceback')"
              " ok, message = pcall(schema.validate, schema, print) assert(not ok and message:find 'function')"
              " assert(not pcall(schema.validate, {}, 1)) assert(not pcall(schema.validate, schema))");
}

static void a_check_that_refuses_while_another_schema_validates_is_its_own_call(void **state) {
  run(*state,
      "local core = require 'demilune.core'"
      " local inner = core.schema_compile { kind = 'integer', le = 3 }"
      " local outer = core.schema_compile { kind = 'array', items = { kind = 'any', check = function(v) if not inner:validate(v) then return nil, "
      "'no' end end } }"
      " local none, errors = outer:validate { 1, 9, 2, 'x' } assert(not none and #errors == 2 and errors[1].loc[2] == 1 and errors[2].loc[2] == 3)");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(validate_gives_the_value_or_every_error, open_world, close_world),
      cmocka_unit_test_setup_teardown(validate_has_modes_and_an_output_side, open_world, close_world),
      cmocka_unit_test_setup_teardown(mistakes_are_raised_with_their_place, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_broken_check_is_raised_and_a_function_is_no_value, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_check_that_refuses_while_another_schema_validates_is_its_own_call, open_world, close_world),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
