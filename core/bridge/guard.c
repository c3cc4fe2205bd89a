/* SPDX-License-Identifier: MIT */
/*
 * core.key_set and core.sealer: keys as Lua holds them, for guards to take and for
 * issuing tokens and sealing cookies. Their bytes never come back out. And whom the
 * guard found, for statements.
 */
#include "bridge/bridge.h"
#include "bridge/request.h"
#include "bridge/task.h"

#include "crypto/jwt.h"
#include "guard/handles.h"
#include "model/json.h"
#include "model/secret_lua.h"

#include <lauxlib.h>

/* A secret, or text: what apps give for keys. */
static bool take_bytes(lua_State *L, int index, dl_str *out) {
  if (lua_type(L, index) == LUA_TSTRING) {
    out->ptr = lua_tolstring(L, index, &out->len);
    return true;
  }
  return dl_secret_get(L, index, out);
}

/* Pushes the field and gives its bytes, valid while it is on the stack; empty when nil. */
static dl_str push_bytes(lua_State *L, int table, const char *field, const char *place) {
  dl_str bytes = {0};
  lua_getfield(L, table, field);
  if (!lua_isnil(L, -1) && !take_bytes(L, -1, &bytes))
    luaL_error(L, "%s: %s should be text or a secret, not a %s", place, field, luaL_typename(L, -1));
  return bytes;
}

/* Adds a metatable that apps can neither see nor replace. */
static void make_metatable(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction collect) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

static void push_handle(lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
}

/* --- key sets ---------------------------------------------------------------------------- */

static dl_key_algorithm take_algorithm(lua_State *L, int table, const char *place) {
  dl_key_algorithm algorithm = DL_KEY_UNSTATED;
  dl_str name = push_bytes(L, table, "algorithm", place);
  if (name.len && !dl_key_algorithm_named(name, &algorithm))
    luaL_error(L, "%s: there is no algorithm \"%s\"; it should be one of HS256 to HS512, RS256 to RS512, PS256 to PS512, ES256 to ES512 and EdDSA",
               place, name.ptr);
  return algorithm;
}

/* Adds what the description at table says; NULL or what is wrong. */
static const char *add_key(lua_State *L, dl_key_set *set, int table, const char *place) {
  const dl_crypto *crypto = dl_bridge_crypto_of(L);
  const char *error = "it should have a secret, a pem or a jwks";
  dl_key_algorithm algorithm = take_algorithm(L, table, place);
  dl_str kid = push_bytes(L, table, "kid", place), secret = push_bytes(L, table, "secret", place);
  dl_str pem = push_bytes(L, table, "pem", place), jwks = push_bytes(L, table, "jwks", place);
  if ((secret.ptr != NULL) + (pem.ptr != NULL) + (jwks.ptr != NULL) > 1) return "it should have one of secret, pem and jwks, not several";
  if (jwks.ptr) return dl_key_set_add_jwks(set, crypto, algorithm, jwks, &error) ? NULL : error;
  dl_key *key = secret.ptr ? dl_key_from_secret(crypto, algorithm, secret, kid, &error)
                : pem.ptr  ? dl_key_from_pem(crypto, algorithm, pem, kid, &error)
                           : NULL;
  return key && dl_key_set_add(set, key, &error) ? NULL : error;
}

/* key_set{ { secret =, algorithm =, kid = } | { pem =, algorithm =, kid = } | { jwks =, algorithm = }, ... } */
static int bridge_key_set(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int count = (int)lua_objlen(L, 1);
  luaL_argcheck(L, count > 0, 1, "expected a list of keys");
  dl_key_set *set = lua_newuserdata(L, sizeof(*set));
  *set = (dl_key_set){0};
  push_handle(L, DL_KEY_SET_METATABLE);
  for (int i = 1; i <= count; i++) {
    const char *place = lua_pushfstring(L, "key %d", i);
    lua_rawgeti(L, 1, i);
    if (!lua_istable(L, -1)) return luaL_error(L, "%s: expected a table, not a %s", place, luaL_typename(L, -1));
    const char *problem = add_key(L, set, lua_gettop(L), place);
    if (problem) return luaL_error(L, "%s: %s", place, problem);
    lua_settop(L, 2);
  }
  return 1;
}

static dl_key_set *check_key_set(lua_State *L) { return luaL_checkudata(L, 1, DL_KEY_SET_METATABLE); }

static int key_set_collect(lua_State *L) {
  dl_key_set_free(check_key_set(L));
  return 0;
}

/* The key of that kid, or without one the first that signs. */
static dl_key *signing_key(lua_State *L, const dl_key_set *set) {
  dl_str kid = {0};
  bool named = !lua_isnoneornil(L, 3);
  if (named) kid.ptr = luaL_checklstring(L, 3, &kid.len);
  for (size_t i = 0; i < set->count; i++)
    if (dl_key_can_sign(set->keys[i]) && (!named || dl_str_equal(dl_key_kid(set->keys[i]), kid))) return set->keys[i];
  luaL_error(L, named ? "no key of this set signs under the kid \"%s\"" : "this set has only public keys, which cannot sign: give it the private one",
             kid.ptr);
  return NULL;
}

typedef struct signing {
  dl_arena arena;
  dl_buffer claims, token;
  dl_key *key;
} signing;

/* Claims come as a table, or as the text of a JSON object. */
static const char *take_claims(lua_State *L, int index, signing *s) {
  const char *problem = NULL;
  dl_str text;
  dl_value value;
  dl_json_error error;
  if (lua_type(L, index) != LUA_TSTRING) {
    if (!dl_json_from_lua(L, index, &s->arena, &s->claims, &problem)) return problem;
  } else {
    text.ptr = lua_tolstring(L, index, &text.len);
    dl_buffer_append_str(&s->claims, text);
  }
  if (!dl_json_read(&s->arena, dl_buffer_str(&s->claims), NULL, &value, &error)) return error.message;
  return value.kind == DL_VALUE_OBJECT ? NULL : "they are no object";
}

/* Protected, so that the buffers are freed even when Lua has no memory left. */
static int sign_protected(lua_State *L) {
  signing *s = lua_touserdata(L, 2);
  const char *problem = take_claims(L, 1, s);
  if (problem) return luaL_error(L, "the claims cannot be signed: %s", problem);
  dl_jwt_sign(s->key, dl_buffer_str(&s->claims), &s->token);
  lua_pushlstring(L, s->token.data, s->token.len);
  return 1;
}

/* key_set:sign(claims [, kid]) → token */
static int key_set_sign(lua_State *L) {
  signing s = {.key = signing_key(L, check_key_set(L))};
  luaL_checkany(L, 2);
  dl_arena_init(&s.arena, 0);
  lua_pushcfunction(L, sign_protected);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, &s);
  int failed = lua_pcall(L, 2, 1, 0);
  dl_arena_free(&s.arena);
  dl_buffer_free(&s.claims);
  dl_buffer_free(&s.token);
  return failed ? lua_error(L) : 1;
}

/* A token of the key's that a set takes if it has the key. */
static bool verifies(const dl_key_set *set, dl_key *key) {
  static const dl_jwt_rules rules = {0};
  dl_buffer token = {0};
  dl_jwt jwt;
  bool taken = dl_jwt_sign(key, DL_STR("{\"exp\":1}"), &token) && dl_jwt_verify(set, &rules, 0, dl_buffer_str(&token), &jwt) == DL_JWT_OK;
  if (taken) dl_jwt_free(&jwt);
  dl_buffer_free(&token);
  return taken;
}

/* key_set:takes(other) → whether the signatures that the other set makes are good here; false of one that makes none */
static int key_set_takes(lua_State *L) {
  const dl_key_set *set = check_key_set(L), *other = luaL_checkudata(L, 2, DL_KEY_SET_METATABLE);
  size_t first = 0;
  while (first < other->count && !dl_key_can_sign(other->keys[first])) first++;
  lua_pushboolean(L, first < other->count && verifies(set, other->keys[first]));
  return 1;
}

/* key_set:algorithms() → { "HS256", ... }, each once */
static int key_set_algorithms(lua_State *L) {
  const dl_key_set *set = check_key_set(L);
  bool seen[DL_KEY_ALGORITHM_COUNT] = {0};
  lua_newtable(L);
  for (size_t i = 0; i < set->count; i++) {
    dl_key_algorithm algorithm = dl_key_algorithm_of(set->keys[i]);
    if (seen[algorithm]) continue;
    seen[algorithm] = true;
    dl_str name = dl_key_algorithm_name(algorithm);
    lua_pushlstring(L, name.ptr, name.len);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
  }
  return 1;
}

static const luaL_Reg key_set_methods[] = {{"sign", key_set_sign}, {"takes", key_set_takes}, {"algorithms", key_set_algorithms}, {NULL, NULL}};

/* --- sealers ------------------------------------------------------------------------------ */

/* sealer{ secret, ... }, the newest first */
static int bridge_sealer(lua_State *L) {
  dl_str secrets[DL_SEAL_KEYS_MAX];
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t count = lua_objlen(L, 1);
  if (!count || count > DL_SEAL_KEYS_MAX) return luaL_error(L, "a sealer takes a list of 1 to %d secrets, the newest first", DL_SEAL_KEYS_MAX);
  dl_sealer_handle *handle = lua_newuserdata(L, sizeof(*handle));
  *handle = (dl_sealer_handle){0};
  push_handle(L, DL_SEALER_METATABLE);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    if (!take_bytes(L, -1, &secrets[i])) return luaL_error(L, "secret %d should be a secret, not a %s", (int)i + 1, luaL_typename(L, -1));
    if (secrets[i].len < DL_SEAL_SECRET_MIN)
      return luaL_error(L, "secret %d should have %d bytes at least: `demilune secret` makes one", (int)i + 1, DL_SEAL_SECRET_MIN);
  }
  handle->sealer = dl_sealer_new(dl_bridge_crypto_of(L), secrets, count);
  lua_settop(L, 2);
  return 1;
}

static dl_sealer *check_sealer(lua_State *L) { return ((dl_sealer_handle *)luaL_checkudata(L, 1, DL_SEALER_METATABLE))->sealer; }

static int sealer_collect(lua_State *L) {
  dl_sealer_free(check_sealer(L));
  return 0;
}

static int push_sealed(lua_State *L) {
  const dl_buffer *out = lua_touserdata(L, 1);
  lua_pushlstring(L, out->data, out->len);
  return 1;
}

static int run_sealer(lua_State *L, bool opens) {
  dl_sealer *sealer = check_sealer(L);
  dl_str purpose, text;
  dl_buffer out = {0};
  purpose.ptr = luaL_checklstring(L, 2, &purpose.len);
  text.ptr = luaL_checklstring(L, 3, &text.len);
  bool done = opens ? dl_unseal(sealer, purpose, text, &out, NULL) : dl_seal(sealer, purpose, text, &out);
  lua_pushcfunction(L, push_sealed);
  lua_pushlightuserdata(L, &out);
  int failed = done ? lua_pcall(L, 1, 1, 0) : 0;
  dl_buffer_free(&out);
  if (failed) return lua_error(L);
  if (!done && !opens) return luaL_error(L, "a text to seal should have at most %d bytes", DL_SEAL_PLAIN_MAX);
  if (!done) lua_pushnil(L);
  return 1;
}

/* sealer:seal(purpose, text) → text */
static int sealer_seal(lua_State *L) { return run_sealer(L, false); }

/* sealer:unseal(purpose, text) → text | nil */
static int sealer_unseal(lua_State *L) { return run_sealer(L, true); }

static const luaL_Reg sealer_methods[] = {{"seal", sealer_seal}, {"unseal", sealer_unseal}, {NULL, NULL}};

/* principal_subject() → text | false in a request whose principal has none | nil outside requests */
static int principal_subject(lua_State *L) {
  const dl_request_view *request = dl_task_request(L);
  if (!request) lua_pushnil(L);
  else if (!request->principal.subject.len) lua_pushboolean(L, false);
  else lua_pushlstring(L, request->principal.subject.ptr, request->principal.subject.len);
  return 1;
}

/* principal() → { guard =, subject =, name =, roles =, scopes = } of the request, without claims | nil for nobody, or outside requests */
static int principal(lua_State *L) {
  const dl_request_view *request = dl_task_request(L);
  if (request) dl_principal_push(L, &request->principal, false);
  else lua_pushnil(L);
  return 1;
}

/* principal_place() → which guard it was that found the request's principal, as text | nil where names are the app's own or an issuer's, or
 * outside requests */
static int principal_place(lua_State *L) {
  const dl_request_view *request = dl_task_request(L);
  if (!request || !request->principal.place.len) lua_pushnil(L);
  else lua_pushlstring(L, request->principal.place.ptr, request->principal.place.len);
  return 1;
}

/* set_roles(names): those that the request's principal has from here on, in place of what its credentials say. */
static int set_roles(lua_State *L) {
  dl_request_view *request = dl_task_request(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!request) return luaL_error(L, "set_roles: there is no request");
  uint32_t count = (uint32_t)lua_objlen(L, 1);
  dl_str *roles = dl_arena_zalloc(request->arena, count + 1, sizeof(*roles));
  for (uint32_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    size_t length;
    const char *name = luaL_checklstring(L, -1, &length);
    roles[i] = dl_arena_copy(request->arena, dl_str_from(name, length));
    lua_pop(L, 1);
  }
  request->principal.roles = roles;
  request->principal.role_count = count;
  return 0;
}

/* foreign_page() → whether the request comes from a page that may not act as the user; false outside requests */
static int foreign_page(lua_State *L) {
  const dl_request_view *request = dl_task_request(L);
  lua_pushboolean(L, request && request->foreign);
  return 1;
}

static const luaL_Reg functions[] = {
    {"key_set", bridge_key_set},
    {"sealer", bridge_sealer},
    {"principal", principal},
    {"principal_subject", principal_subject},
    {"principal_place", principal_place},
    {"set_roles", set_roles},
    {"foreign_page", foreign_page},
    {NULL, NULL},
};

void dl_bridge_guard(lua_State *L) {
  make_metatable(L, DL_KEY_SET_METATABLE, key_set_methods, key_set_collect);
  make_metatable(L, DL_SEALER_METATABLE, sealer_methods, sealer_collect);
  luaL_register(L, NULL, functions);
}
