/* SPDX-License-Identifier: MIT */
#include "guard/principal.h"

#include "base/buffer.h"
#include "model/value_lua.h"

#include <lauxlib.h>

static bool has(const dl_str *names, uint32_t count, dl_str name) {
  for (uint32_t i = 0; i < count; i++)
    if (dl_str_equal(names[i], name)) return true;
  return false;
}

bool dl_principal_has_role(const dl_principal *principal, dl_str role) { return has(principal->roles, principal->role_count, role); }
bool dl_principal_has_scope(const dl_principal *principal, dl_str scope) { return has(principal->scopes, principal->scope_count, scope); }

/* Lengths in front, so that no choice of subject makes another principal's key; a place has no colon. Texts as they are: a NUL ends none. */
static dl_str key_of(const dl_principal *principal, dl_str who, dl_arena *arena) {
  dl_buffer text = {0};
  if (!principal->guard.len) return (dl_str){0};
  dl_buffer_printf(&text, "%.*s%s%.*s:%zu:", DL_STR_ARGS(principal->guard), principal->place.len ? "#" : "", DL_STR_ARGS(principal->place),
                   principal->issuer.len);
  dl_buffer_append_str(&text, principal->issuer);
  dl_buffer_append_char(&text, ':');
  dl_buffer_append_str(&text, who);
  dl_str key = dl_arena_copy(arena, dl_buffer_str(&text));
  dl_buffer_free(&text);
  return key;
}

dl_str dl_principal_key(const dl_principal *principal, dl_arena *arena) {
  return key_of(principal, principal->subject.len ? principal->subject : principal->name, arena);
}

dl_str dl_principal_name_key(const dl_principal *principal, dl_arena *arena) { return key_of(principal, principal->name, arena); }

/* --- copying ----------------------------------------------------------------------- */

static dl_str copy_text(dl_str s, dl_arena *arena) {
  char *copy;
  if (!s.len) return (dl_str){0};
  copy = dl_arena_alloc(arena, s.len);
  memcpy(copy, s.ptr, s.len);
  return dl_str_from(copy, s.len);
}

static const dl_str *copy_names(const dl_str *names, uint32_t count, dl_arena *arena) {
  dl_str *copies = count ? dl_arena_alloc(arena, count * sizeof(*copies)) : NULL;
  for (uint32_t i = 0; i < count; i++) copies[i] = copy_text(names[i], arena);
  return copies;
}

static dl_value copy_value(const dl_value *value, dl_arena *arena) {
  dl_value copy = *value;
  switch ((dl_value_kind)value->kind) {
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: copy.string = copy_text(dl_value_str(value), arena).ptr; break;
  case DL_VALUE_ARRAY:
    copy.items = value->len ? dl_arena_alloc(arena, value->len * sizeof(*copy.items)) : NULL;
    for (uint32_t i = 0; i < value->len; i++) copy.items[i] = copy_value(&value->items[i], arena);
    break;
  case DL_VALUE_OBJECT:
    copy.members = value->len ? dl_arena_alloc(arena, value->len * sizeof(*copy.members)) : NULL;
    for (uint32_t i = 0; i < value->len; i++)
      copy.members[i] = (dl_member){copy_value(&value->members[i].key, arena), copy_value(&value->members[i].value, arena)};
    break;
  default: break;
  }
  return copy;
}

dl_principal dl_principal_copy(const dl_principal *principal, dl_arena *arena) {
  dl_principal copy = *principal; /* guard is static */
  copy.subject = copy_text(principal->subject, arena);
  copy.issuer = copy_text(principal->issuer, arena);
  copy.place = copy_text(principal->place, arena);
  copy.name = copy_text(principal->name, arena);
  copy.roles = copy_names(principal->roles, principal->role_count, arena);
  copy.scopes = copy_names(principal->scopes, principal->scope_count, arena);
  if (principal->claims) {
    dl_value *claims = dl_arena_alloc(arena, sizeof(*claims));
    *claims = copy_value(principal->claims, arena);
    copy.claims = claims;
  }
  return copy;
}

/* --- Lua --------------------------------------------------------------------------- */

static void push_text(lua_State *L, dl_str text) {
  if (text.len) lua_pushlstring(L, text.ptr, text.len);
  else lua_pushnil(L);
}

static void push_names(lua_State *L, const dl_str *names, uint32_t count) {
  if (!count) dl_lua_push_empty_array(L);
  else lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_pushlstring(L, names[i].ptr, names[i].len);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_guard(lua_State *L, const dl_principal *principal) { push_text(L, principal->guard); }
static void push_subject(lua_State *L, const dl_principal *principal) { push_text(L, principal->subject); }
static void push_issuer(lua_State *L, const dl_principal *principal) { push_text(L, principal->issuer); }
static void push_name(lua_State *L, const dl_principal *principal) { push_text(L, principal->name); }
static void push_roles(lua_State *L, const dl_principal *principal) { push_names(L, principal->roles, principal->role_count); }
static void push_scopes(lua_State *L, const dl_principal *principal) { push_names(L, principal->scopes, principal->scope_count); }

static void push_claims(lua_State *L, const dl_principal *principal) {
  if (principal->claims) dl_value_push(L, principal->claims);
  else lua_pushnil(L);
}

static const struct {
  dl_str name;
  void (*push)(lua_State *L, const dl_principal *principal);
} fields[] = {
    {DL_STR("subject"), push_subject}, {DL_STR("roles"), push_roles}, {DL_STR("scopes"), push_scopes}, {DL_STR("guard"), push_guard},
    {DL_STR("name"), push_name},       {DL_STR("issuer"), push_issuer}, {DL_STR("claims"), push_claims}, /* last: see dl_principal_push */
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

bool dl_principal_push_field(lua_State *L, const dl_principal *principal, dl_str name) {
  luaL_checkstack(L, 4, "a principal");
  for (size_t i = 0; i < FIELDS; i++)
    if (dl_str_equal(name, fields[i].name)) {
      fields[i].push(L, principal);
      return true;
    }
  return false;
}

void dl_principal_push(lua_State *L, const dl_principal *principal, bool with_claims) {
  luaL_checkstack(L, 4, "a principal");
  if (!principal->guard.len) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, FIELDS);
  for (size_t i = 0; i < (with_claims ? FIELDS : FIELDS - 1); i++) {
    lua_pushlstring(L, fields[i].name.ptr, fields[i].name.len);
    fields[i].push(L, principal);
    if (lua_isnil(L, -1)) lua_pop(L, 2);
    else lua_rawset(L, -3);
  }
}
