/* SPDX-License-Identifier: MIT */
/*
 * Models: their fields in order, the tables that find a field by its name on the
 * wire and in Lua, and the text each field stands behind in JSON.
 */
#include "model/schema_internal.h"

enum { MODEL_MAX_FIELDS = 4000 };

/* Fields are few and chosen by the app, not by clients, so a cheap hash will do:
 * what a client sends can collide with them but never joins them. Letters hash
 * without their case so that header names find their field too. */
uint32_t dl_model_hash(dl_str name) {
  if (!name.len) return 0;
  uint32_t first = (uint8_t)name.ptr[0] | 0x20u, middle = (uint8_t)name.ptr[name.len / 2] | 0x20u, last = (uint8_t)name.ptr[name.len - 1] | 0x20u;
  return (uint32_t)name.len * 31u + first * 7u + middle * 131u + last * 17u;
}

const dl_field *dl_model_find(const dl_model *model, dl_str name, bool nocase) {
  for (uint32_t slot = dl_model_hash(name) & model->slot_mask;; slot = (slot + 1) & model->slot_mask) {
    if (!model->slots[slot]) return NULL;
    const dl_field *field = &model->fields[model->slots[slot] - 1];
    if (nocase ? dl_str_equal_nocase(field->wire, name) : dl_field_is(field, name)) return field;
  }
}

bool dl_model_would_shadow(const dl_model *model, dl_str name) {
  if (!model->inner) return false;
  uint32_t slot = dl_model_hash(name) & model->slot_mask;
  while (model->inner[slot] && !dl_str_equal(model->fields[model->inner[slot] - 1].name, name)) slot = (slot + 1) & model->slot_mask;
  return model->inner[slot] != 0;
}

static void build_slots(dl_compilation *compilation, dl_model *model) {
  uint32_t slots = 4;
  while (slots < model->field_count * 2) slots *= 2;
  model->slot_mask = slots - 1;
  model->slots = dl_arena_zalloc(compilation->arena, slots, sizeof(*model->slots));
}

static bool add_slot(dl_compilation *compilation, dl_model *model, uint32_t i) {
  dl_field *field = &model->fields[i];
  uint32_t slot = dl_model_hash(field->wire) & model->slot_mask;
  for (; model->slots[slot]; slot = (slot + 1) & model->slot_mask)
    if (dl_str_equal(model->fields[model->slots[slot] - 1].wire, field->wire))
      return dl_compile_fail(compilation, "two fields are called \"%.*s\" by clients; rename one, or give it another alias",
                             DL_STR_ARGS(field->wire));
  model->slots[slot] = (uint16_t)(i + 1);
  return true;
}

/* A kept field goes into the same table as the declared ones, under the name it came by. */
static void build_inner(dl_compilation *compilation, dl_model *model) {
  for (uint32_t i = 0; model->extra == DL_EXTRA_ALLOW && i < model->field_count; i++) {
    const dl_field *field = &model->fields[i];
    if (dl_field_is(field, field->name)) continue;
    if (!model->inner) model->inner = dl_arena_zalloc(compilation->arena, model->slot_mask + 1u, sizeof(*model->inner));
    uint32_t slot = dl_model_hash(field->name) & model->slot_mask;
    while (model->inner[slot]) slot = (slot + 1) & model->slot_mask;
    model->inner[slot] = (uint16_t)(i + 1);
  }
}

static dl_str fragment_of(dl_compilation *compilation, dl_str wire) {
  dl_buffer buffer = {0};
  dl_buffer_append_char(&buffer, ',');
  dl_buffer_append_json_string(&buffer, wire);
  dl_buffer_append_char(&buffer, ':');
  dl_str fragment = dl_arena_copy(compilation->arena, dl_buffer_str(&buffer));
  dl_buffer_free(&buffer);
  return fragment;
}

static bool compile_field_schema(dl_compilation *compilation, int entry, dl_field *field) {
  dl_step here = {compilation->step, dl_arena_format(compilation->arena, ".%.*s", DL_STR_ARGS(field->name))};
  compilation->step = &here;
  dl_option_push(compilation, entry, "schema");
  int description = lua_gettop(compilation->L);
  field->schema = dl_compile_description(compilation, description);
  field->wire = field->name;
  bool ok = field->schema && dl_option_string(compilation, description, "alias", &field->wire);
  lua_pop(compilation->L, 1);
  compilation->step = here.up;
  return ok;
}

static bool compile_field(dl_compilation *compilation, int fields, uint32_t i, dl_model *model) {
  lua_State *L = compilation->L;
  dl_field *field = &model->fields[i];
  lua_rawgeti(L, fields, (int)i + 1);
  int entry = lua_gettop(L);
  if (lua_type(L, entry) != LUA_TTABLE) return dl_compile_fail(compilation, "fields should be a list of { name = \"email\", schema = description }");
  if (!dl_option_string(compilation, entry, "name", &field->name)) return false;
  if (!field->name.ptr || !field->name.len) return dl_compile_fail(compilation, "field %u has no name", i + 1);
  if (!compile_field_schema(compilation, entry, field)) return false;
  for (uint32_t earlier = 0; earlier < i; earlier++)
    if (dl_str_equal(model->fields[earlier].name, field->name))
      return dl_compile_fail(compilation, "has two fields called \"%.*s\"; rename one", DL_STR_ARGS(field->name));
  field->key = dl_compile_key(compilation, field->name);
  field->fragment = fragment_of(compilation, field->wire);
  lua_pop(L, 1);
  return add_slot(compilation, model, i);
}

static bool compile_extra(dl_compilation *compilation, int index, dl_model *model) {
  static const char *const words[] = {[DL_EXTRA_FORBID] = "forbid", [DL_EXTRA_IGNORE] = "ignore", [DL_EXTRA_ALLOW] = "allow"};
  dl_str word = DL_STR("forbid");
  if (!dl_option_string(compilation, index, "extra", &word)) return false;
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    if (!dl_str_equal(word, dl_str_of(words[i]))) continue;
    model->extra = (dl_extra)i;
    return true;
  }
  return dl_compile_fail(compilation, "extra is \"%.*s\"; write \"forbid\", \"ignore\" or \"allow\"", DL_STR_ARGS(word));
}

static bool compile_fields(dl_compilation *compilation, int index, dl_model *model) {
  lua_State *L = compilation->L;
  if (dl_option_push(compilation, index, "fields") != LUA_TTABLE) return dl_compile_fail(compilation, "a model needs its fields, a list");
  int fields = lua_gettop(L);
  size_t count = lua_objlen(L, fields);
  if (count > MODEL_MAX_FIELDS) return dl_compile_fail(compilation, "has %zu fields; a model may have at most %d", count, MODEL_MAX_FIELDS);
  model->field_count = (uint32_t)count;
  model->fields = dl_arena_zalloc(compilation->arena, count + 1, sizeof(dl_field));
  build_slots(compilation, model);
  for (uint32_t i = 0; i < count; i++)
    if (!compile_field(compilation, fields, i, model)) return false;
  build_inner(compilation, model);
  lua_pop(L, 1);
  return true;
}

/* A field's name as a key in Lua source, whatever bytes it has. */
static void append_key(dl_buffer *source, dl_str name) {
  DL_BUFFER_LITERAL(source, "[\"");
  for (size_t i = 0; i < name.len; i++) dl_buffer_printf(source, "\\%03u", (unsigned)(uint8_t)name.ptr[i]);
  DL_BUFFER_LITERAL(source, "\"]=");
}

/* Compiles the model's constructor. One call of it makes the table with all its
 * keys from a template, which costs a third less than setting them one by one. */
static bool build_constructor(dl_compilation *compilation, dl_model *model) {
  lua_State *L = compilation->L;
  if (model->field_count == 0 || model->field_count > DL_SCHEMA_CONSTRUCTOR_FIELDS) return true;
  dl_buffer source = {0};
  DL_BUFFER_LITERAL(&source, "return function(");
  for (uint32_t i = 0; i < model->field_count; i++) dl_buffer_printf(&source, "%sv%u", i ? "," : "", i);
  DL_BUFFER_LITERAL(&source, ") return {");
  for (uint32_t i = 0; i < model->field_count; i++) {
    append_key(&source, model->fields[i].name);
    dl_buffer_printf(&source, "v%u,", i);
  }
  DL_BUFFER_LITERAL(&source, "} end");
  bool ok = luaL_loadbuffer(L, source.data, source.len, "=demilune") == 0 && lua_pcall(L, 0, 1, 0) == 0;
  dl_buffer_free(&source);
  if (!ok) return dl_compile_fail(compilation, "its constructor does not compile: %s", lua_tostring(L, -1));
  model->constructor = luaL_ref(L, LUA_REGISTRYINDEX);
  return true;
}

bool dl_compile_model(dl_compilation *compilation, int index, dl_schema *schema) {
  dl_model *model = &schema->model;
  if (!dl_option_string(compilation, index, "name", &model->name)) return false;
  /* A named model starts the path anew: "User.email", wherever User is used. */
  dl_step named = {NULL, model->name.ptr};
  const dl_step *outer = compilation->step;
  if (model->name.len) {
    schema->label = model->name.ptr;
    schema->path = model->name.ptr;
    compilation->step = &named;
  }
  model->unknown = (dl_refusal){"extra_forbidden", DL_STR("is not a field here"), {0}};
  model->constructor = LUA_NOREF;
  bool ok = compile_extra(compilation, index, model) && compile_fields(compilation, index, model) && build_constructor(compilation, model);
  compilation->step = outer;
  return ok;
}
