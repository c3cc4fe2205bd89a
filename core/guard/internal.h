/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the compiled form of a guard, one attempt to
 * pass it, and where credentials are found in a request. Nobody outside includes it,
 * but their tests.
 */
#ifndef DL_GUARD_INTERNAL_H
#define DL_GUARD_INTERNAL_H

#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "crypto/seal.h"
#include "guard/guard.h"

#include <lua.h>

enum {
  DL_GUARD_NESTING_MAX = 8, /* role inside scope inside any ... */
  DL_GUARD_LEAVES_MAX = 8,  /* alternatives in one guard */
  DL_GUARD_CLAIMS_DEPTH_MAX = 32,
  DL_GUARD_COOKIES_MAX = 256,
  DL_GUARD_API_KEY_MAX = 1024 /* bytes a client may present as one */
};

typedef struct dl_guard_node dl_guard_node;

/* --- an attempt to pass ----------------------------------------------------------- */

/* Why not, the weakest first: of several alternatives the strongest is answered. */
typedef enum dl_guard_error {
  DL_GUARD_ERROR_ABSENT,       /* no credentials of that kind */
  DL_GUARD_ERROR_INVALID,      /* credentials, but not good ones */
  DL_GUARD_ERROR_INSUFFICIENT, /* good ones, of someone who may not */
  DL_GUARD_ERROR_MALFORMED,    /* broken in their form, or several */
  DL_GUARD_ERROR_COUNT
} dl_guard_error;

typedef struct dl_guard_attempt {
  dl_guard_context *context;
  const dl_guard_node *passed;  /* the leaf whose credentials were good, the last of several */
  const dl_guard_node *refuser; /* who refused most strongly so far, or NULL */
  dl_guard_error error;
  const char *reason;
  dl_str insufficient; /* challenge of the first scope that lacked */
} dl_guard_attempt;

/* Notes a refusal; gives its result, to be returned. */
dl_guard_result dl_guard_refuse(dl_guard_attempt *attempt, const dl_guard_node *node, dl_guard_error error, const char *reason);

/* Notes the leaf whose credentials are good. ambient: a browser adds them by itself. */
void dl_guard_accept(dl_guard_attempt *attempt, const dl_guard_node *leaf, bool ambient);

/* What an error comes to. */
dl_guard_result dl_guard_result_of(dl_guard_error error);

/* --- kinds ------------------------------------------------------------------------- */

typedef struct dl_guard_compiler {
  lua_State *L;
  const dl_crypto *crypto;
  dl_arena *arena;
  const char *error;
  int depth;
} dl_guard_compiler;

/* One row for each kind of guard. A leaf looks at credentials, the others at leaves. */
typedef struct dl_guard_kind_row {
  dl_str name;
  /* Reads the description at table into the node. False with compiler->error. */
  bool (*compile)(dl_guard_compiler *compiler, int table, dl_guard_node *node);
  /* Writes *out only when it passes, or when a role or scope is all that lacks. */
  dl_guard_result (*check)(const dl_guard_node *node, dl_guard_attempt *attempt, dl_principal *out);
  /* Appends a leaf's challenge, without field name and CRLF; NULL for the others. */
  void (*challenge)(const dl_guard_node *node, dl_guard_error error, dl_buffer *out);
} dl_guard_kind_row;

extern const dl_guard_kind_row dl_guard_kind_client_certificate;
extern const dl_guard_kind_row dl_guard_kind_bearer, dl_guard_kind_api_key, dl_guard_kind_session, dl_guard_kind_basic;
extern const dl_guard_kind_row dl_guard_kind_public, dl_guard_kind_any, dl_guard_kind_role, dl_guard_kind_scope;

typedef struct dl_api_key {
  dl_str name;
  unsigned char digest[32];
  const dl_str *roles, *scopes;
  uint32_t role_count, scope_count;
  int64_t expires_s; /* INT64_MAX: never */
} dl_api_key;

typedef struct dl_basic_user {
  dl_str name, stored;
} dl_basic_user;

/* Which name in a certificate says who the client is. */
typedef enum dl_client_name { DL_CLIENT_COMMON_NAME, DL_CLIENT_DISTINGUISHED_NAME, DL_CLIENT_DNS, DL_CLIENT_EMAIL, DL_CLIENT_URI } dl_client_name;

typedef struct dl_client {
  dl_str name;
  const dl_str *roles;
  uint32_t role_count;
} dl_client;

struct dl_guard_node {
  const dl_guard_kind_row *kind;
  const dl_guard *guard; /* made when a route names this very node */
  uint64_t tag;          /* drawn at random: what tells this node's cache entries from others' */
  dl_str place;          /* a principal's, of this guard */
  dl_str realm;          /* bearer, basic */
  dl_str header;         /* api_key */
  dl_str cookie;         /* api_key, session; bearer when it may come in one too */
  union {
    struct {
      const dl_key_set *keys; /* Lua's, kept by a registry reference */
      dl_jwt_rules rules;
      dl_str roles_claim, scope_claim;
      dl_str metadata; /* URL of the resource's (RFC 9728), or empty */
    } bearer;
    struct {
      const dl_api_key *keys;
      size_t count;
      int find; /* registry reference of the function that asks a store, in place of keys; else LUA_NOREF */
      const dl_crypto *crypto;
    } api_key;
    struct {
      dl_sealer *sealer; /* as the keys */
      int64_t lifetime_s;
    } session;
    struct {
      const dl_basic_user *users;
      size_t count;
      const dl_str *roles;
      uint32_t role_count;
      const dl_crypto *crypto;
    } basic;
    struct {
      dl_client_name subject;
      dl_str issuer; /* empty: any that the server trusts */
      const dl_client *clients;
      size_t count; /* 0: all that the authority vouches for */
      const dl_str *roles;
      uint32_t role_count;
    } client;
    struct {
      const dl_guard_node **members;
      size_t count;
    } any;
    struct {
      const dl_str *names;
      uint32_t count;
      bool all;
      const dl_guard_node *member;
      const dl_guard *below; /* of the member */
      dl_str *insufficient;  /* scope: the challenge for each leaf below; NULL for role */
    } names;
  };
};

/* Challenges of all leaves: lines[0] is without an error, lines[1 + 2 * i] and the
 * one behind it are with that of leaf i being INVALID and MALFORMED. */
struct dl_guard {
  const dl_guard_node *node;
  const dl_guard_node *leaves[DL_GUARD_LEAVES_MAX];
  size_t leaf_count;
  dl_str lines[1 + 2 * DL_GUARD_LEAVES_MAX];
};

/* --- reading descriptions (describe.c) ---------------------------------------------- */

/* Sets the error; always false. */
bool dl_guard_fail(dl_guard_compiler *compiler, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The node of the description on top of the stack, which is popped; NULL with an error. */
const dl_guard_node *dl_guard_compile_node(dl_guard_compiler *compiler);

/* The guard that a node is by itself: its leaves and their challenges. NULL with an error. */
const dl_guard *dl_guard_of_node(dl_guard_compiler *compiler, const dl_guard_node *node);

/* Appends leaf's line with that error, unless it is there already. */
void dl_guard_append_challenge(dl_buffer *lines, const dl_guard_node *leaf, dl_guard_error error, dl_str more);

/* The text in a field, copied; empty when there is none. False when it is no text. */
bool dl_guard_text(dl_guard_compiler *compiler, int table, const char *field, dl_str *out);
/* A whole number of seconds in its bounds; otherwise where there is none. */
bool dl_guard_seconds(dl_guard_compiler *compiler, int table, const char *field, int64_t otherwise, int64_t max, int64_t *out);
/* A list of texts, or one text. */
bool dl_guard_texts(dl_guard_compiler *compiler, int table, const char *field, const dl_str **out, uint32_t *count);
/* As text; and one that may stand between the quotes of a challenge. */
bool dl_guard_quotable(dl_guard_compiler *compiler, int table, const char *field, dl_str *out);
/* As text; and a token (RFC 9110 5.6.2), as names of fields and cookies are. */
bool dl_guard_name(dl_guard_compiler *compiler, int table, const char *field, dl_str *out);
/* A userdata of that metatable, kept in the registry; NULL with an error that says what to give. */
void *dl_guard_userdata(dl_guard_compiler *compiler, int table, const char *field, const char *metatable, const char *wanted);

bool dl_guard_is_token(dl_str s);

/* --- credentials in a request (credentials.c) ---------------------------------------- */

typedef enum dl_credential { DL_CREDENTIAL_ABSENT, DL_CREDENTIAL_FOUND, DL_CREDENTIAL_MALFORMED } dl_credential;

/* What stands behind the scheme in Authorization (RFC 9110 11.4), not looked at. The
 * reason is set unless it was found; another scheme is ABSENT. */
dl_credential dl_credential_authorization(const dl_http_request *request, dl_str scheme, dl_str *out, const char **reason);
dl_credential dl_credential_field(const dl_http_request *request, dl_str name, dl_str *out, const char **reason);
dl_credential dl_credential_cookie(const dl_guard_context *context, dl_str name, dl_str *out, const char **reason);

/* Refuses by what was not found. */
dl_guard_result dl_credential_refuse(dl_guard_attempt *attempt, const dl_guard_node *node, dl_credential found, const char *reason);

/* --- claims (claims.c) ------------------------------------------------------------------ */

/* A tree of jansson's, copied into the arena. False when it is nested too deep. */
bool dl_guard_claims(const struct json_t *tree, dl_arena *arena, dl_value *out);

/* A member, or NULL. */
const dl_value *dl_guard_claim(const dl_value *claims, dl_str name);

/* The names in a claim: a list of texts, or one text; spaced: which has spaces between
 * its names, as RFC 8693 4.2 writes scopes. Anything else, and a list with anything
 * else in it, gives none. */
const dl_str *dl_guard_claim_names(const dl_value *claims, dl_str name, bool spaced, dl_arena *arena, uint32_t *count);

/* --- the cache (token_cache.c) ------------------------------------------------------------ */

uint64_t dl_token_cache_hash(uint64_t tag, dl_str token);

/* The hash is that of tag and token; tests make two the same. */
bool dl_token_cache_get(dl_token_cache *cache, uint64_t hash, uint64_t tag, dl_str token, int64_t now_s, dl_arena *arena, dl_principal *out);
void dl_token_cache_put(dl_token_cache *cache, uint64_t hash, uint64_t tag, dl_str token, int64_t now_s, int64_t until_s,
                        const dl_principal *principal);

#endif
