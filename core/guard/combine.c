/* SPDX-License-Identifier: MIT */
/* Guards made of guards: any of several, a role or a scope on top of one; and public. */
#include "guard/internal.h"

#include <lauxlib.h>

/* --- public ------------------------------------------------------------------------------ */

static bool compile_public(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  (void)compiler, (void)table, (void)node;
  return true;
}

static dl_guard_result check_public(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  (void)node, (void)attempt, (void)out;
  return DL_GUARD_PASS;
}

const dl_guard_kind_row dl_guard_kind_public = {DL_STR("public"), compile_public, check_public, NULL};

/* --- any ----------------------------------------------------------------------------------- */

/* The list of members on top of the stack. */
static bool compile_members(dl_guard_compiler *compiler, dl_guard_node *node) {
  size_t count = lua_istable(compiler->L, -1) ? lua_objlen(compiler->L, -1) : 0;
  if (!count || count > DL_GUARD_LEAVES_MAX)
    return dl_guard_fail(compiler, "guard.any should have 1 to %d guards to choose from", DL_GUARD_LEAVES_MAX);
  node->any.members = dl_arena_zalloc(compiler->arena, count, sizeof(*node->any.members));
  for (; node->any.count < count; node->any.count++) {
    lua_rawgeti(compiler->L, -1, (int)node->any.count + 1);
    const dl_guard_node *member = dl_guard_compile_node(compiler);
    if (!member) return false;
    if (member->kind == &dl_guard_kind_public)
      return dl_guard_fail(compiler, "guard.any with guard.public lets everybody pass: write guard.public by itself, or leave it out");
    node->any.members[node->any.count] = member;
  }
  return true;
}

static bool compile_any(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  lua_pushliteral(compiler->L, "members");
  lua_rawget(compiler->L, table);
  bool compiled = compile_members(compiler, node);
  lua_pop(compiler->L, 1);
  return compiled;
}

/* In the order declared: the first that passes says who it is. Credentials that are
 * broken in their form end it, since nobody can say what they were meant to be. */
static dl_guard_result check_any(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  for (size_t i = 0; i < node->any.count; i++) {
    dl_guard_result result = node->any.members[i]->kind->check(node->any.members[i], attempt, out);
    if (result != DL_GUARD_UNAUTHENTICATED && result != DL_GUARD_FORBIDDEN) return result;
  }
  return dl_guard_result_of(attempt->error);
}

const dl_guard_kind_row dl_guard_kind_any = {DL_STR("any"), compile_any, check_any, NULL};

/* --- role, scope ------------------------------------------------------------------------------ */

static bool compile_names(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  lua_State *L = compiler->L;
  if (!dl_guard_texts(compiler, table, "names", &node->names.names, &node->names.count)) return false;
  if (!node->names.count) return dl_guard_fail(compiler, "a guard for roles or scopes should name one at least");
  lua_pushliteral(L, "all");
  lua_rawget(L, table);
  node->names.all = lua_toboolean(L, -1);
  lua_pop(L, 1);
  lua_pushliteral(L, "member");
  lua_rawget(L, table);
  node->names.member = dl_guard_compile_node(compiler);
  if (!node->names.member) return false;
  if (node->names.member->kind == &dl_guard_kind_public)
    return dl_guard_fail(
        compiler, "guard.public finds nobody who could have a role or a scope: name the guard that does, such as guard.role(\"admin\", bearer)");
  node->names.below = dl_guard_of_node(compiler, node->names.member);
  return node->names.below != NULL;
}

static dl_guard_result check_names(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out,
                                   bool (*has)(const dl_principal *principal, dl_str name), const char *reason) {
  dl_guard_result result = node->names.member->kind->check(node->names.member, attempt, out);
  if (result != DL_GUARD_PASS) return result;
  uint32_t held = 0;
  for (uint32_t i = 0; i < node->names.count; i++) held += has(out, node->names.names[i]);
  if (held == node->names.count || (held && !node->names.all)) return DL_GUARD_PASS;
  return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INSUFFICIENT, reason);
}

static dl_guard_result check_role(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  return check_names(node, attempt, out, dl_principal_has_role, "the principal has not the role");
}

const dl_guard_kind_row dl_guard_kind_role = {DL_STR("role"), compile_names, check_role, NULL};

/* A scope stands in a challenge between quotes, with spaces around it (RFC 6749 3.3). */
static bool is_scope(dl_str name) {
  for (size_t i = 0; i < name.len; i++)
    if (name.ptr[i] <= 0x20 || name.ptr[i] > 0x7e || name.ptr[i] == '"' || name.ptr[i] == '\\') return false;
  return name.len > 0;
}

static bool append_wanted(dl_guard_compiler *compiler, const dl_guard_node *node, dl_buffer *wanted) {
  DL_BUFFER_LITERAL(wanted, ", scope=\"");
  for (uint32_t i = 0; i < node->names.count; i++) {
    dl_str name = node->names.names[i];
    if (!is_scope(name)) return dl_guard_fail(compiler, "the scope \"%.*s\" should be ASCII without spaces, \" and \\", DL_STR_ARGS(name));
    if (i) dl_buffer_append_char(wanted, ' ');
    dl_buffer_append_str(wanted, name);
  }
  dl_buffer_append_char(wanted, '"');
  return true;
}

/* Only those who came with a token could come back with a wider one. */
static void make_insufficient(dl_guard_node *node, dl_str wanted, dl_arena *arena) {
  const dl_guard *below = node->names.below;
  node->names.insufficient = dl_arena_zalloc(arena, below->leaf_count, sizeof(dl_str));
  for (size_t i = 0; i < below->leaf_count; i++) {
    dl_buffer line = {0};
    if (below->leaves[i]->kind != &dl_guard_kind_bearer) continue;
    dl_guard_append_challenge(&line, below->leaves[i], DL_GUARD_ERROR_INSUFFICIENT, wanted);
    node->names.insufficient[i] = dl_arena_copy(arena, dl_buffer_str(&line));
    dl_buffer_free(&line);
  }
}

static bool compile_scope(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  dl_buffer wanted = {0};
  bool compiled = compile_names(compiler, table, node) && append_wanted(compiler, node, &wanted);
  if (compiled) make_insufficient(node, dl_buffer_str(&wanted), compiler->arena);
  dl_buffer_free(&wanted);
  return compiled;
}

static dl_guard_result check_scope(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  dl_guard_result result = check_names(node, attempt, out, dl_principal_has_scope, "the principal has not the scope");
  if (attempt->refuser != node) return result;
  for (size_t i = 0; i < node->names.below->leaf_count; i++)
    if (node->names.below->leaves[i] == attempt->passed) attempt->insufficient = node->names.insufficient[i];
  return result;
}

const dl_guard_kind_row dl_guard_kind_scope = {DL_STR("scope"), compile_scope, check_scope, NULL};
