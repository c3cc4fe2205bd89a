/* SPDX-License-Identifier: MIT */
/*
 * The principal: who a guard found behind a request. Lives in the request's arena.
 * Handlers see it as a table, limits count by its key.
 */
#ifndef DL_GUARD_PRINCIPAL_H
#define DL_GUARD_PRINCIPAL_H

#include "model/value.h"

typedef struct dl_principal {
  dl_str guard;   /* the kind that let it pass: "bearer", "api_key", "session", "basic", "client_certificate"; empty behind guard.public */
  dl_str subject; /* sub, the name of a basic guard's user or of a certificate, whose an API key of a store is; empty for API keys that are given at load */
  dl_str issuer;  /* iss: the same subject of two issuers is two principals */
  dl_str place;   /* which guard of its kind knows the subject; empty where names are the app's own or an issuer's */
  dl_str name;    /* an API key's; the id of one of a store */
  const dl_str *roles, *scopes;
  uint32_t role_count, scope_count;
  const dl_value *claims; /* OBJECT, or NULL where a guard has none */
} dl_principal;

bool dl_principal_has_role(const dl_principal *principal, dl_str role);
bool dl_principal_has_scope(const dl_principal *principal, dl_str scope);

/* Bytes that are the same for the same principal and for no other behind any guard of the app,
 * in every worker and after a restart: guard, place, issuer and subject, or name where there is none. Empty for nobody. */
dl_str dl_principal_key(const dl_principal *principal, dl_arena *arena);

/* Likewise of the API key by which it came: its owner's others have other ones. */
dl_str dl_principal_name_key(const dl_principal *principal, dl_arena *arena);

/* Everything copied into the arena: a copy lives as long as that. */
dl_principal dl_principal_copy(const dl_principal *principal, dl_arena *arena);

/* Pushes { guard, subject, issuer, name, roles = {...}, scopes = {...}, claims = {...} };
 * what is empty is nil, but roles and scopes are always lists. Without claims it
 * costs a third. Pushes nil for nobody. */
void dl_principal_push(struct lua_State *L, const dl_principal *principal, bool with_claims);

/* Pushes one field of that table, for those who make the others only when asked:
 * claims cost more than the rest together. False, and nothing pushed, for other names. */
bool dl_principal_push_field(struct lua_State *L, const dl_principal *principal, dl_str name);

#endif
