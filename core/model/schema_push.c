/* SPDX-License-Identifier: MIT */
/*
 * Checked values into Lua, as handlers see them: tables made at their final size,
 * with field names that are interned already. Calls nothing of an app's.
 */
#include "model/schema_internal.h"

#include "model/value_lua.h"

static void push(lua_State *L, int keys, const dl_schema *schema, const dl_value *value);

static void push_extra(lua_State *L, const dl_value *extra) {
  for (uint32_t i = 0; i < extra->len; i++) {
    dl_str key = dl_value_str(&extra->members[i].key);
    lua_pushlstring(L, key.ptr, key.len);
    dl_value_push(L, &extra->members[i].value);
    lua_rawset(L, -3);
  }
}

static void push_by_constructor(lua_State *L, int keys, const dl_model *model, const dl_value *value) {
  luaL_checkstack(L, (int)model->field_count + 8, "a model");
  lua_rawgeti(L, LUA_REGISTRYINDEX, model->constructor);
  for (uint32_t i = 0; i < value->len; i++) {
    if (value->items[i].kind == DL_VALUE_ABSENT) lua_pushnil(L);
    else push(L, keys, model->fields[i].schema, &value->items[i]);
  }
  lua_call(L, (int)value->len, 1);
}

static void push_by_fields(lua_State *L, int keys, const dl_model *model, const dl_value *value) {
  luaL_checkstack(L, 8, "a model");
  lua_createtable(L, 0, (int)model->field_count);
  for (uint32_t i = 0; i < value->len; i++) {
    if (value->items[i].kind == DL_VALUE_ABSENT) continue;
    lua_rawgeti(L, keys, model->fields[i].key);
    push(L, keys, model->fields[i].schema, &value->items[i]);
    lua_rawset(L, -3);
  }
}

static void push_record(lua_State *L, int keys, const dl_model *model, const dl_value *value) {
  if (model->constructor != LUA_NOREF) push_by_constructor(L, keys, model, value);
  else push_by_fields(L, keys, model, value);
  if (value->flags & DL_VALUE_EXTRA) push_extra(L, &value->items[value->len]);
}

static void push_array(lua_State *L, int keys, const dl_schema *items, const dl_value *value) {
  luaL_checkstack(L, 8, "an array");
  if (!value->len) {
    dl_lua_push_empty_array(L);
    return;
  }
  lua_createtable(L, (int)value->len, 0);
  for (uint32_t i = 0; i < value->len; i++) {
    push(L, keys, items, &value->items[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_map(lua_State *L, int keys, const dl_schema *values, const dl_value *value) {
  luaL_checkstack(L, 8, "a map");
  lua_createtable(L, 0, (int)value->len);
  for (uint32_t i = 0; i < value->len; i++) {
    dl_str key = dl_value_str(&value->members[i].key);
    lua_pushlstring(L, key.ptr, key.len);
    push(L, keys, values, &value->members[i].value);
    lua_rawset(L, -3);
  }
}

/* What is pushed most goes first: literals' strings are interned already. A check may have put any value in the place of a checked one; that has no
 * records inside and is pushed as it is. */
static void push(lua_State *L, int keys, const dl_schema *schema, const dl_value *value) {
  if (schema->kind == DL_KIND_LITERAL && value->kind == DL_VALUE_STRING && value->aux) {
    lua_rawgeti(L, keys, schema->literal.keys[value->aux - 1]);
    return;
  }
  if (value->kind == DL_VALUE_STRING && !(value->flags & DL_VALUE_SECRET)) {
    lua_pushlstring(L, value->string, value->len);
    return;
  }
  if (value->kind == DL_VALUE_INTEGER) {
    dl_lua_push_integer(L, value->integer, value->flags & DL_VALUE_WIDE);
    return;
  }
  uint16_t aux = value->aux;
  while (schema->kind == DL_KIND_UNION) {
    const dl_alternatives *alternatives = &schema->alternatives;
    uint32_t chosen = dl_union_chosen(alternatives, aux);
    aux = (uint16_t)(aux - alternatives->bases[chosen]);
    schema = alternatives->members[chosen];
  }
  if (value->kind == DL_VALUE_RECORD && schema->kind == DL_KIND_MODEL) push_record(L, keys, &schema->model, value);
  else if (value->kind == DL_VALUE_ARRAY && schema->kind == DL_KIND_ARRAY) push_array(L, keys, schema->array.items, value);
  else if (value->kind == DL_VALUE_OBJECT && schema->kind == DL_KIND_MAP) push_map(L, keys, schema->map.values, value);
  else dl_value_push(L, value);
}

void dl_schema_push(lua_State *L, const dl_schema *schema, const dl_value *value) {
  luaL_checkstack(L, 8, "a value");
  lua_rawgeti(L, LUA_REGISTRYINDEX, schema->home->keys);
  push(L, lua_gettop(L), schema, value);
  lua_remove(L, -2);
}
