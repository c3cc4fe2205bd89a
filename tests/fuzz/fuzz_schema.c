/* SPDX-License-Identifier: MIT */
/*
 * Documents against a schema that has every kind: read, check, push, write. What
 * passes can be written by the same schema, and what is written passes again and
 * is written the same: a dog's unknown fields are kept, and one that passed for a
 * declared field would break this. What does not pass has errors that are JSON. The first
 * byte chooses strict, lax or text; text is "name=value&name=value".
 */
#include "model/schema.h"
#include "model/value_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static const char descriptions[] =
    "local kinds = { 'int64', 'number', 'decimal', 'boolean', 'url', 'uuid', 'date', 'time', 'datetime', 'duration', 'ipv4', 'ipv6', 'cidr', "
    "'bytes', 'any', 'json' }\n"
    "local rich = { kind = 'model', name = 'Rich', extra = 'ignore', fields = {\n"
    "  { name = 'email', schema = { kind = 'email' } },\n"
    "  { name = 'name', schema = { kind = 'string', min_length = 1, max_length = 20, pattern = [[^[a-zA-Z\\s]+$]], strip = true, lower = true } },\n"
    "  { name = 'role', schema = { kind = 'literal', values = { 'user', 'editor', 3, true }, default = 'user' } },\n"
    "  { name = 'age', schema = { kind = 'integer', ge = 0, lt = 150, multiple_of = 3, nullable = true, default = null } },\n"
    "  { name = 'price', schema = { kind = 'decimal', gt = '0.01', multiple_of = '0.05', optional = true } },\n"
    "  { name = 'since', schema = { kind = 'datetime', ge = '2000-01-01T00:00:00Z', optional = true } },\n"
    "  { name = 'password', schema = { kind = 'secret', min_bytes = 2, write_only = true, optional = true } },\n"
    "  { name = 'tags', schema = { kind = 'array', items = { kind = 'string', max_length = 5 }, max_items = 4, unique_items = true, default = {} } "
    "},\n"
    "  { name = 'map', schema = { kind = 'map', keys = { kind = 'string', lower = true }, values = { kind = 'integer' }, optional = true } },\n"
    "  { name = 'made', schema = { kind = 'integer', alias = 'the made', default_factory = function() return 5 end, check = function(v) if v == 6 "
    "then return nil, 'six' end end } },\n"
    "} }\n"
    "for _, kind in ipairs(kinds) do table.insert(rich.fields, { name = kind, schema = { kind = kind, optional = true } }) end\n"
    "local cat = { kind = 'model', name = 'Cat', fields = { { name = 'type', schema = { kind = 'literal', values = { 'cat' } } }, { name = 'lives', "
    "schema = { kind = 'integer' } } } }\n"
    "local dog = { kind = 'model', name = 'Dog', extra = 'allow', fields = { { name = 'type', schema = { kind = 'literal', values = { 'dog' } } },\n"
    "  { name = 'barks', schema = { kind = 'integer', ge = 0, le = 9, alias = 'the barks', optional = true } },\n"
    "  { name = 'chip', schema = { kind = 'boolean', read_only = true, alias = 'the chip', optional = true } } } }\n"
    "table.insert(rich.fields, { name = 'pet', schema = { kind = 'union', discriminator = 'type', members = { cat, dog }, optional = true } })\n"
    "local one = { kind = 'model', name = 'One', extra = 'ignore', fields = { { name = 'a', schema = { kind = 'integer' } } } }\n"
    "local two = { kind = 'model', name = 'Two', fields = { { name = 'a', schema = { kind = 'integer' } }, { name = 'b', schema = { kind = 'any' } } "
    "} }\n"
    "local either = { kind = 'union', members = { { kind = 'boolean' }, { kind = 'string' }, one, two } }\n"
    "table.insert(either.members, { kind = 'array', items = either })\n"
    "table.insert(rich.fields, { name = 'either', schema = { kind = 'ref', get = function() return either end, optional = true } })\n"
    "table.insert(rich.fields, { name = 'next', schema = { kind = 'ref', get = function() return rich end, nullable = true, optional = true } })\n"
    "local query = { kind = 'model', name = 'Query', fields = { { name = 'n', schema = { kind = 'integer', optional = true } },\n"
    "  { name = 'tag', schema = { kind = 'array', items = { kind = 'string', pattern = '^.+$' }, optional = true } }, { name = 'on', schema = { kind "
    "= 'boolean', optional = true } } } }\n"
    "return rich, query\n";

/* Lua's heap is not searched for pointers, so all it holds would count as leaked;
 * the unit tests, which close their lua_State, show leaks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void); /* a shared sanitizer looks for it */
int __lsan_is_turned_off(void) { return 1; }

static lua_State *L;
static dl_arena generation, request;
static dl_schema *rich, *query;

static _Noreturn void broken(const char *what, dl_str with) {
  fprintf(stderr, "%s: %.*s\n", what, DL_STR_ARGS(with));
  abort();
}

static void prepare(void) {
  const char *error = "no memory";
  L = luaL_newstate();
  luaL_openlibs(L);
  dl_lua_prepare(L);
  dl_lua_push_null(L);
  lua_setglobal(L, "null");
  dl_arena_init(&generation, 0);
  dl_arena_init(&request, 0);
  if (luaL_dostring(L, descriptions)) broken("the descriptions", dl_str_of(lua_tostring(L, -1)));
  rich = dl_schema_compile(L, -2, &generation, &error);
  query = dl_schema_compile(L, -1, &generation, &error);
  if (!rich || !query) broken("the schemas", dl_str_of(error));
  lua_settop(L, 0);
}

static void check_errors(dl_validation *validation, bool json) {
  dl_buffer text = {0};
  dl_value value;
  dl_json_error error;
  if (validation->fault) broken("a fault", dl_str_of(validation->fault));
  if (!validation->error_count || !validation->first_error) broken("refused without an error", (dl_str){0});
  dl_validation_write(validation, &text);
  if (json && !dl_json_read(&request, dl_buffer_str(&text), NULL, &value, &error)) broken("errors that are no JSON", dl_buffer_str(&text));
  dl_validation_summary(validation, &text);
  dl_buffer_free(&text);
}

/* The value on top of the stack, popped, as its schema writes it. */
static void write_top(dl_buffer *text) {
  dl_validation validation = {.arena = &request, .L = L, .output = true, .source = "response"};
  bool ok = dl_schema_serialise(rich, L, -1, text, &validation);
  if (!ok) dl_validation_summary(&validation, text);
  if (!ok) broken("what passed cannot be written", dl_buffer_str(text));
  lua_pop(L, 1);
}

static void check_again(dl_str text, dl_mode mode, dl_buffer *out) {
  dl_value value;
  dl_json_error error;
  dl_validation validation = {.arena = &request, .L = L, .mode = mode, .source = "body"};
  if (!dl_json_read(&request, text, NULL, &value, &error)) broken(error.message, text);
  if (!dl_schema_validate(rich, &value, &validation)) {
    dl_validation_summary(&validation, out);
    fprintf(stderr, "%.*s\n", DL_STR_ARGS(dl_buffer_str(out)));
    broken("what was written does not pass", text);
  }
  dl_schema_push(L, rich, &value);
  write_top(out);
}

/* As JSON, not byte for byte: the members of an object that no model names lie in
 * a Lua table meanwhile, which keeps no order. */
static bool same_json(dl_str a, dl_str b) {
  dl_value first, second;
  dl_json_error error;
  if (!dl_json_read(&request, a, NULL, &first, &error) || !dl_json_read(&request, b, NULL, &second, &error)) return false;
  return dl_value_equal(&first, &second);
}

static void try_document(dl_str text, dl_mode mode) {
  dl_value value;
  dl_json_error error;
  if (!dl_json_read(&request, text, NULL, &value, &error)) return;
  dl_validation validation = {.arena = &request, .L = L, .mode = mode, .source = "body", .echo_input = true};
  if (!dl_schema_validate(rich, &value, &validation)) {
    check_errors(&validation, true);
    return;
  }
  dl_buffer once = {0}, twice = {0};
  dl_schema_push(L, rich, &value);
  write_top(&once);
  check_again(dl_buffer_str(&once), mode, &twice);
  if (!same_json(dl_buffer_str(&once), dl_buffer_str(&twice))) {
    fprintf(stderr, "%.*s\n", DL_STR_ARGS(dl_buffer_str(&once)));
    broken("written differently the second time", dl_buffer_str(&twice));
  }
  dl_buffer_free(&once);
  dl_buffer_free(&twice);
}

static void try_pairs(dl_str text) {
  dl_pair pairs[64];
  size_t count = 0;
  while (text.len && count < 64) {
    const char *end = memchr(text.ptr, '&', text.len);
    dl_str pair = dl_str_from(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
    const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
    size_t name = equals ? (size_t)(equals - pair.ptr) : pair.len;
    pairs[count++] = (dl_pair){dl_str_from(pair.ptr, name), equals ? dl_str_skip(pair, name + 1) : (dl_str){0}};
    text = dl_str_skip(text, end ? pair.len + 1 : pair.len);
  }
  dl_value value = dl_schema_collect(query, pairs, count, count % 2, &request);
  dl_validation validation = {.arena = &request, .L = L, .mode = DL_MODE_TEXT, .source = "query"};
  if (!dl_schema_validate(query, &value, &validation)) {
    check_errors(&validation, false);
    return;
  }
  dl_schema_push(L, query, &value);
  lua_pop(L, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!L) prepare();
  if (!size) return 0;
  dl_str text = dl_str_from((const char *)data + 1, size - 1);
  if (data[0] % 3 == 2) try_pairs(text);
  else try_document(text, data[0] % 3 ? DL_MODE_LAX : DL_MODE_STRICT);
  if (lua_gettop(L)) broken("left on the Lua stack", (dl_str){0});
  dl_arena_reset(&request);
  return 0;
}
