/* SPDX-License-Identifier: MIT */
/*
 * Client certificates: TLS has verified the certificate against --tls-client-ca and
 * that the client holds its key; here it becomes a principal. Which name in it says
 * who that is, is the guard's to choose: they are not equally trustworthy in every
 * authority's hands.
 */
#include "guard/internal.h"

#include <lauxlib.h>

enum { CLIENTS_MAX = 4096 };

/* --- compiling ------------------------------------------------------------------------ */

static const struct {
  dl_str name;
  dl_client_name kind;
} sources[] = {
    {DL_STR("common_name"), DL_CLIENT_COMMON_NAME}, {DL_STR("distinguished_name"), DL_CLIENT_DISTINGUISHED_NAME},
    {DL_STR("dns"), DL_CLIENT_DNS},                 {DL_STR("email"), DL_CLIENT_EMAIL},
    {DL_STR("uri"), DL_CLIENT_URI},
};

static bool compile_source(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  dl_str name;
  if (!dl_guard_text(compiler, table, "subject", &name)) return false;
  if (!name.len) return true; /* the first */
  for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
    if (!dl_str_equal(name, sources[i].name)) continue;
    node->client.subject = sources[i].kind;
    return true;
  }
  return dl_guard_fail(compiler, "subject should be common_name, distinguished_name, dns, email or uri, not \"%.*s\"", DL_STR_ARGS(name));
}

static bool compile_client(dl_guard_compiler *compiler, int table, dl_client *client) {
  if (!dl_guard_text(compiler, table, "name", &client->name)) return false;
  if (!client->name.len) return dl_guard_fail(compiler, "each of clients should have a name, as it stands in the certificate");
  return dl_guard_texts(compiler, table, "roles", &client->roles, &client->role_count);
}

/* The list of clients on top of the stack, or nil: everybody the authority vouches for. */
static bool compile_clients(dl_guard_compiler *compiler, dl_guard_node *node) {
  lua_State *L = compiler->L;
  if (lua_isnil(L, -1)) return true;
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  if (!count || count > CLIENTS_MAX) return dl_guard_fail(compiler, "clients should be a list of 1 to %d clients, each { name = ..., roles = ... }", CLIENTS_MAX);
  dl_client *clients = dl_arena_zalloc(compiler->arena, count, sizeof(*clients));
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    bool compiled = lua_istable(L, -1) ? compile_client(compiler, lua_gettop(L), &clients[i]) : dl_guard_fail(compiler, "each of clients should be a table");
    lua_pop(L, 1);
    if (!compiled) return false;
  }
  node->client.clients = clients;
  node->client.count = count;
  return true;
}

static bool compile_client_certificate(dl_guard_compiler *compiler, int table, dl_guard_node *node) {
  if (!compile_source(compiler, table, node)) return false;
  if (!dl_guard_text(compiler, table, "issuer", &node->client.issuer)) return false;
  if (!dl_guard_texts(compiler, table, "roles", &node->client.roles, &node->client.role_count)) return false;
  lua_pushliteral(compiler->L, "clients");
  lua_rawget(compiler->L, table);
  bool compiled = compile_clients(compiler, node);
  lua_pop(compiler->L, 1);
  return compiled;
}

/* No scheme is registered for certificates, but a 401 has to have one (RFC 9110 15.5.2). */
static void append_challenge(const dl_guard_node *node, dl_guard_error error, dl_buffer *out) {
  (void)node;
  (void)error;
  DL_BUFFER_LITERAL(out, "ClientCertificate");
}

/* --- checking --------------------------------------------------------------------------- */

static const dl_client *client_named(const dl_guard_node *node, dl_str name) {
  for (size_t i = 0; i < node->client.count; i++)
    if (dl_str_equal(node->client.clients[i].name, name)) return &node->client.clients[i];
  return NULL;
}

/* Of several names of a kind, the first that is on the list, or else the first. */
static dl_str subject_of(const dl_guard_node *node, const dl_tls_peer *peer) {
  static const dl_tls_name_kind kinds[] = {[DL_CLIENT_DNS] = DL_TLS_NAME_DNS, [DL_CLIENT_EMAIL] = DL_TLS_NAME_EMAIL, [DL_CLIENT_URI] = DL_TLS_NAME_URI};
  dl_str first = {0};
  if (node->client.subject == DL_CLIENT_COMMON_NAME) return peer->common_name;
  if (node->client.subject == DL_CLIENT_DISTINGUISHED_NAME) return peer->subject;
  for (uint32_t i = 0; i < peer->name_count; i++) {
    if (peer->names[i].kind != kinds[node->client.subject]) continue;
    if (client_named(node, peer->names[i].text)) return peer->names[i].text;
    if (!first.len) first = peer->names[i].text;
  }
  return first;
}

static dl_value names_value(const dl_tls_peer *peer, dl_tls_name_kind kind, dl_arena *arena) {
  dl_value list = {.kind = DL_VALUE_ARRAY, .items = dl_arena_zalloc(arena, peer->name_count + 1, sizeof(dl_value))};
  for (uint32_t i = 0; i < peer->name_count; i++)
    if (peer->names[i].kind == kind) list.items[list.len++] = dl_value_string(dl_arena_copy(arena, peer->names[i].text));
  return list;
}

static const dl_value *claims_of(const dl_tls_peer *peer, dl_arena *arena) {
  const dl_member members[] = {
      {dl_value_string(DL_STR("fingerprint")), dl_value_string(dl_arena_copy(arena, dl_str_of(peer->fingerprint)))},
      {dl_value_string(DL_STR("serial")), dl_value_string(dl_arena_copy(arena, peer->serial))},
      {dl_value_string(DL_STR("distinguished_name")), dl_value_string(dl_arena_copy(arena, peer->subject))},
      {dl_value_string(DL_STR("common_name")), dl_value_string(dl_arena_copy(arena, peer->common_name))},
      {dl_value_string(DL_STR("dns")), names_value(peer, DL_TLS_NAME_DNS, arena)},
      {dl_value_string(DL_STR("emails")), names_value(peer, DL_TLS_NAME_EMAIL, arena)},
      {dl_value_string(DL_STR("uris")), names_value(peer, DL_TLS_NAME_URI, arena)},
      {dl_value_string(DL_STR("not_before")), dl_value_integer(peer->not_before_s)},
      {dl_value_string(DL_STR("not_after")), dl_value_integer(peer->not_after_s)},
  };
  dl_value *claims = dl_arena_alloc(arena, sizeof(*claims));
  *claims = (dl_value){.kind = DL_VALUE_OBJECT, .len = sizeof(members) / sizeof(members[0]), .members = dl_arena_alloc(arena, sizeof(members))};
  memcpy(claims->members, members, sizeof(members));
  return claims;
}

/* Roles of everybody, and the client's own. */
static const dl_str *roles_of(const dl_guard_node *node, const dl_client *client, dl_arena *arena, uint32_t *count) {
  *count = node->client.role_count;
  if (!client || !client->role_count) return node->client.roles;
  dl_str *roles = dl_arena_alloc(arena, (node->client.role_count + client->role_count) * sizeof(*roles));
  if (node->client.role_count) memcpy(roles, node->client.roles, node->client.role_count * sizeof(*roles));
  memcpy(roles + node->client.role_count, client->roles, client->role_count * sizeof(*roles));
  *count += client->role_count;
  return roles;
}

/* A connection, and the sessions it is resumed by, can outlive the certificate. */
static dl_guard_result check_client_certificate(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out) {
  dl_guard_context *context = attempt->context;
  const dl_tls_peer *peer = context->peer;
  if (!peer) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_ABSENT, "the connection has no client certificate; is the server started with --tls-client-ca?");
  if (context->now_s > peer->not_after_s || context->now_s < peer->not_before_s)
    return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the client certificate has expired");
  if (node->client.issuer.len && !dl_str_equal(node->client.issuer, peer->issuer))
    return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the client certificate is of another issuer");
  dl_str subject = subject_of(node, peer);
  if (!subject.len) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INVALID, "the client certificate has no name of the kind that the guard asks for");
  const dl_client *client = client_named(node, subject);
  *out = (dl_principal){.guard = node->kind->name,
                        .subject = dl_arena_copy(context->arena, subject),
                        .issuer = dl_arena_copy(context->arena, peer->issuer),
                        .claims = claims_of(peer, context->arena)};
  dl_guard_accept(attempt, node, true);
  if (node->client.count && !client) return dl_guard_refuse(attempt, node, DL_GUARD_ERROR_INSUFFICIENT, "the client certificate is none of the clients'");
  out->roles = roles_of(node, client, context->arena, &out->role_count);
  return DL_GUARD_PASS;
}

const dl_guard_kind_row dl_guard_kind_client_certificate = {DL_STR("client_certificate"), compile_client_certificate, check_client_certificate, append_challenge};
