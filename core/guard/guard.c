/* SPDX-License-Identifier: MIT */
/* Compiling a description by its kind, and checking a request against what came of it. */
#include "guard/guard.h"

#include "crypto/random.h"
#include "guard/internal.h"

#include <lauxlib.h>

static const dl_guard_kind_row *const kinds[] = {
    &dl_guard_kind_public, &dl_guard_kind_bearer, &dl_guard_kind_api_key, &dl_guard_kind_session,
    &dl_guard_kind_basic,  &dl_guard_kind_any,    &dl_guard_kind_role,    &dl_guard_kind_scope, &dl_guard_kind_client_certificate,
};

static const dl_guard_kind_row *kind_named(dl_str name) {
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
    if (dl_str_equal(name, kinds[i]->name)) return kinds[i];
  return NULL;
}

/* --- compiling ------------------------------------------------------------------------ */

/* Registry key of the table from descriptions to nodes. */
static const char memo_key = 'g';

static void push_memo(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&memo_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&memo_key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

static dl_guard_node *remembered(lua_State *L, int table) {
  push_memo(L);
  lua_pushvalue(L, table);
  lua_rawget(L, -2);
  dl_guard_node *node = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return node;
}

static void remember(lua_State *L, int table, dl_guard_node *node) {
  push_memo(L);
  lua_pushvalue(L, table);
  lua_pushlightuserdata(L, node);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static dl_guard_node *compile_table(dl_guard_compiler *compiler, int table) {
  dl_str kind;
  dl_guard_node *node = remembered(compiler->L, table);
  if (node) return node;
  if (compiler->depth == DL_GUARD_NESTING_MAX) {
    dl_guard_fail(compiler, "a guard is nested over %d deep", DL_GUARD_NESTING_MAX);
    return NULL;
  }
  if (!dl_guard_text(compiler, table, "kind", &kind)) return NULL;
  node = dl_arena_zalloc(compiler->arena, 1, sizeof(*node));
  node->kind = kind_named(kind);
  if (!node->kind) {
    dl_guard_fail(compiler, "there is no guard of kind \"%.*s\"", DL_STR_ARGS(kind));
    return NULL;
  }
  dl_random_bytes(&node->tag, sizeof(node->tag));
  compiler->depth++;
  bool compiled = dl_guard_text(compiler, table, "place", &node->place) && node->kind->compile(compiler, table, node);
  compiler->depth--;
  if (!compiled) return NULL;
  remember(compiler->L, table, node);
  return node;
}

const dl_guard_node *dl_guard_compile_node(dl_guard_compiler *compiler) {
  lua_State *L = compiler->L;
  dl_guard_node *node = NULL;
  luaL_checkstack(L, 12, "a guard nested too deep");
  if (lua_istable(L, -1)) node = compile_table(compiler, lua_gettop(L));
  else dl_guard_fail(compiler, "expected a guard, not a %s", luaL_typename(L, -1));
  lua_pop(L, 1);
  return node;
}

/* --- alternatives and their challenges ------------------------------------------------------ */

static bool collect_leaves(dl_guard_compiler *compiler, const dl_guard_node *node, dl_guard *guard) {
  if (node->kind == &dl_guard_kind_any) {
    for (size_t i = 0; i < node->any.count; i++)
      if (!collect_leaves(compiler, node->any.members[i], guard)) return false;
    return true;
  }
  if (node->kind == &dl_guard_kind_role || node->kind == &dl_guard_kind_scope) return collect_leaves(compiler, node->names.member, guard);
  for (size_t i = 0; i < guard->leaf_count; i++)
    if (guard->leaves[i] == node) return true;
  if (guard->leaf_count == DL_GUARD_LEAVES_MAX) return dl_guard_fail(compiler, "a guard has over %d alternatives", DL_GUARD_LEAVES_MAX);
  guard->leaves[guard->leaf_count++] = node;
  return true;
}

void dl_guard_append_challenge(dl_buffer *lines, const dl_guard_node *leaf, dl_guard_error error, dl_str more) {
  size_t begin = lines->len;
  if (!leaf->kind->challenge) return;
  DL_BUFFER_LITERAL(lines, "WWW-Authenticate: ");
  leaf->kind->challenge(leaf, error, lines);
  dl_buffer_append_str(lines, more);
  DL_BUFFER_LITERAL(lines, "\r\n");
  /* Two bearers of one realm are one challenge. */
  dl_str line = dl_str_from(lines->data + begin, lines->len - begin);
  for (size_t at = 0; at + line.len <= begin; at++)
    if (memcmp(lines->data + at, line.ptr, line.len) == 0) lines->len = begin;
}

static dl_str make_lines(const dl_guard *guard, const dl_guard_node *faulty, dl_guard_error error, dl_arena *arena) {
  dl_buffer lines = {0};
  for (size_t i = 0; i < guard->leaf_count; i++)
    dl_guard_append_challenge(&lines, guard->leaves[i], guard->leaves[i] == faulty ? error : DL_GUARD_ERROR_ABSENT, (dl_str){0});
  dl_str made = lines.len ? dl_arena_copy(arena, dl_buffer_str(&lines)) : (dl_str){0};
  dl_buffer_free(&lines);
  return made;
}

/* A password takes the context's one place for an answer, and so does a key that a store knows. */
static bool one_of_each(dl_guard_compiler *compiler, const dl_guard *guard) {
  size_t basics = 0, stores = 0;
  for (size_t i = 0; i < guard->leaf_count; i++) {
    basics += guard->leaves[i]->kind == &dl_guard_kind_basic;
    stores += guard->leaves[i]->kind == &dl_guard_kind_api_key && guard->leaves[i]->api_key.find != LUA_NOREF;
  }
  if (basics > 1) return dl_guard_fail(compiler, "a guard should have one basic guard among its members, not several: put all users into one");
  return stores < 2 || dl_guard_fail(compiler, "a guard should have one guard among its members whose API keys a store knows, not several: "
                                               "keep all keys in one table");
}

static const dl_guard *make_guard(dl_guard_compiler *compiler, const dl_guard_node *node) {
  dl_guard *guard = dl_arena_zalloc(compiler->arena, 1, sizeof(*guard));
  guard->node = node;
  if (!collect_leaves(compiler, node, guard) || !one_of_each(compiler, guard)) return NULL;
  guard->lines[0] = make_lines(guard, NULL, DL_GUARD_ERROR_ABSENT, compiler->arena);
  for (size_t i = 0; i < guard->leaf_count; i++) {
    guard->lines[1 + 2 * i] = make_lines(guard, guard->leaves[i], DL_GUARD_ERROR_INVALID, compiler->arena);
    guard->lines[2 + 2 * i] = make_lines(guard, guard->leaves[i], DL_GUARD_ERROR_MALFORMED, compiler->arena);
  }
  return guard;
}

const dl_guard *dl_guard_of_node(dl_guard_compiler *compiler, const dl_guard_node *node) {
  if (!node->guard) ((dl_guard_node *)(uintptr_t)node)->guard = make_guard(compiler, node);
  return node->guard;
}

const dl_guard *dl_guard_compile(lua_State *L, int index, const dl_crypto *crypto, dl_arena *arena, const char **error) {
  dl_guard_compiler compiler = {.L = L, .crypto = crypto, .arena = arena};
  lua_pushvalue(L, index);
  const dl_guard_node *node = dl_guard_compile_node(&compiler);
  const dl_guard *guard = node ? dl_guard_of_node(&compiler, node) : NULL;
  *error = compiler.error;
  return guard;
}

bool dl_guard_is_public(const dl_guard *guard) { return guard->node->kind == &dl_guard_kind_public; }

/* --- checking ----------------------------------------------------------------------------- */

bool dl_guard_is_shown_key(const dl_guard *guard, const dl_http_request *request) {
  dl_str key;
  const char *reason;
  for (size_t i = 0; i < guard->leaf_count; i++) {
    dl_str header = guard->leaves[i]->header;
    if (header.len && dl_credential_field(request, header, &key, &reason) != DL_CREDENTIAL_ABSENT) return true;
  }
  return false;
}

static const dl_guard_result results[DL_GUARD_ERROR_COUNT] = {
    [DL_GUARD_ERROR_ABSENT] = DL_GUARD_UNAUTHENTICATED,
    [DL_GUARD_ERROR_INVALID] = DL_GUARD_UNAUTHENTICATED,
    [DL_GUARD_ERROR_INSUFFICIENT] = DL_GUARD_FORBIDDEN,
    [DL_GUARD_ERROR_MALFORMED] = DL_GUARD_BAD_REQUEST,
};

dl_guard_result dl_guard_result_of(dl_guard_error error) { return results[error]; }

dl_guard_result dl_guard_refuse(dl_guard_attempt *attempt, const dl_guard_node *node, dl_guard_error error, const char *reason) {
  if (!attempt->refuser || error > attempt->error) {
    attempt->refuser = node;
    attempt->error = error;
    attempt->reason = reason;
  }
  return results[error];
}

void dl_guard_accept(dl_guard_attempt *attempt, const dl_guard_node *leaf, bool ambient) {
  attempt->passed = leaf;
  attempt->context->ambient = ambient;
}

/* A missing scope names itself to those who came with a token; a missing role is
 * nothing that another token could bring (RFC 6750 3.1). */
static dl_str challenge_of(const dl_guard *guard, const dl_guard_attempt *attempt) {
  if (attempt->error == DL_GUARD_ERROR_ABSENT) return guard->lines[0];
  if (attempt->error == DL_GUARD_ERROR_INSUFFICIENT) return attempt->insufficient;
  for (size_t i = 0; i < guard->leaf_count; i++)
    if (guard->leaves[i] == attempt->refuser) return guard->lines[1 + 2 * i + (attempt->error == DL_GUARD_ERROR_MALFORMED)];
  return guard->lines[0];
}

dl_guard_result dl_guard_check(const dl_guard *guard, dl_guard_context *context, dl_principal *out) {
  dl_guard_attempt attempt = {.context = context};
  *out = (dl_principal){0};
  dl_guard_result result = guard->node->kind->check(guard->node, &attempt, out);
  if (out->guard.len && attempt.passed) out->place = attempt.passed->place;
  if (result == DL_GUARD_WAIT || result == DL_GUARD_ASK) *out = (dl_principal){0}; /* who lacks a role is still nobody: others are asked */
  if (result == DL_GUARD_PASS || result == DL_GUARD_WAIT || result == DL_GUARD_ASK) return result;
  context->challenge = challenge_of(guard, &attempt);
  context->reason = attempt.reason;
  return result;
}
