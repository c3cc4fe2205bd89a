/* SPDX-License-Identifier: MIT */
#include "crypto/jwt.h"

#include "crypto/base64.h"

#include <jansson.h>
#include <math.h>

static const char *const reasons[DL_JWT_RESULT_COUNT] = {
#define DL_JWT_REASON(name, reason) reason,
    DL_JWT_RESULTS(DL_JWT_REASON)
#undef DL_JWT_REASON
};

const char *dl_jwt_reason(dl_jwt_result result) { return reasons[result]; }

/* A token's three parts, and the first two with their dot: what was signed. */
typedef struct parts {
  dl_str header, claims, signature, signed_bytes;
} parts;

static bool split(dl_str token, parts *out) {
  const char *first = token.len ? memchr(token.ptr, '.', token.len) : NULL;
  if (!first) return false;
  out->header = dl_str_from(token.ptr, (size_t)(first - token.ptr));
  dl_str rest = dl_str_skip(token, out->header.len + 1);
  const char *second = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
  if (!second) return false;
  out->claims = dl_str_from(rest.ptr, (size_t)(second - rest.ptr));
  out->signature = dl_str_skip(rest, out->claims.len + 1);
  out->signed_bytes = dl_str_from(token.ptr, out->header.len + 1 + out->claims.len);
  return out->header.len && out->claims.len && out->signature.len;
}

/* An object from a part; duplicate members, NUL and bad UTF-8 refuse. */
static json_t *decode_object(dl_str part) {
  unsigned char bytes[DL_JWT_MAX];
  size_t length;
  if (dl_base64_decode(DL_BASE64URL, part, bytes, &length) != DL_BASE64_OK) return NULL;
  json_t *object = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object(object)) return object;
  json_decref(object);
  return NULL;
}

static dl_str text_of(const json_t *member) {
  return json_is_string(member) ? dl_str_from(json_string_value(member), json_string_length(member)) : (dl_str){0};
}

/* Members that change how a token is read, or that say that others must be
 * understood (RFC 7515 4.1.11, RFC 7797, RFC 7516 4.1.3). A reader that knows one
 * sees other claims than a reader that does not. */
static bool asks_for_more(const json_t *header) {
  static const char *const names[] = {"crit", "b64", "zip"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (json_object_get(header, names[i])) return true;
  return false;
}

/* One issuer signs tokens of many kinds with one key, and those for something else say
 * so (RFC 8725 3.11). Ours are JWT, or the access tokens of RFC 9068 2.1; "application/"
 * may stand before (RFC 7515 4.1.9). */
static bool is_for_access(const json_t *header) {
  static const dl_str prefix = DL_STR("application/");
  const json_t *member = json_object_get(header, "typ");
  dl_str type = text_of(member);
  if (!member) return true;
  if (type.len > prefix.len && dl_str_equal_nocase(dl_str_from(type.ptr, prefix.len), prefix)) type = dl_str_skip(type, prefix.len);
  return dl_str_equal_nocase(type, DL_STR("JWT")) || dl_str_equal_nocase(type, DL_STR("at+jwt"));
}

/* What a header says of the key: no more is looked at. */
typedef struct wanted_key {
  json_t *header; /* owns the texts; NULL when a key does */
  bool has_kid;
  dl_str kid, algorithm;
} wanted_key;

static dl_jwt_result read_header(const dl_key_set *keys, dl_str part, wanted_key *out) {
  *out = (wanted_key){0};
  /* Our own tokens begin as their key's do: no JSON to read. */
  for (size_t i = 0; i < keys->count; i++)
    if (dl_str_equal(part, dl_key_header(keys->keys[i]))) {
      out->kid = dl_key_kid(keys->keys[i]);
      out->has_kid = out->kid.len > 0;
      out->algorithm = dl_key_algorithm_name(dl_key_algorithm_of(keys->keys[i]));
      return DL_JWT_OK;
    }
  out->header = decode_object(part);
  const json_t *kid = json_object_get(out->header, "kid");
  out->has_kid = kid != NULL;
  out->kid = text_of(kid);
  out->algorithm = text_of(json_object_get(out->header, "alg"));
  if (!out->algorithm.len || (kid && !json_is_string(kid))) return DL_JWT_MALFORMED;
  if (asks_for_more(out->header)) return DL_JWT_CRITICAL;
  return is_for_access(out->header) ? DL_JWT_OK : DL_JWT_KIND;
}

static bool fits(const dl_key *key, const wanted_key *wanted) {
  dl_str kid = dl_key_kid(key);
  return (!wanted->has_kid || !kid.len || dl_str_equal(kid, wanted->kid)) &&
         dl_str_equal(wanted->algorithm, dl_key_algorithm_name(dl_key_algorithm_of(key)));
}

/* Tries the keys that fit, a bounded number. */
static dl_jwt_result try_keys(const dl_key_set *keys, const wanted_key *wanted, const parts *token, dl_str signature, const dl_key **used) {
  size_t tried = 0;
  for (size_t i = 0; i < keys->count && tried < DL_KEY_SET_NAMELESS_MAX; i++) {
    if (!fits(keys->keys[i], wanted)) continue;
    tried++;
    if (!dl_key_verify(keys->keys[i], token->signed_bytes, signature)) continue;
    *used = keys->keys[i];
    return DL_JWT_OK;
  }
  return tried ? DL_JWT_SIGNATURE : DL_JWT_UNKNOWN_KEY;
}

static dl_jwt_result check_signature(const dl_key_set *keys, const parts *token, const dl_key **used) {
  unsigned char bytes[DL_JWT_MAX];
  size_t length;
  if (dl_base64_decode(DL_BASE64URL, token->signature, bytes, &length) != DL_BASE64_OK) return DL_JWT_MALFORMED;
  dl_str signature = dl_str_from((const char *)bytes, length);
  wanted_key wanted;
  dl_jwt_result result = read_header(keys, token->header, &wanted);
  if (result == DL_JWT_OK) result = try_keys(keys, &wanted, token, signature, used);
  json_decref(wanted.header);
  return result;
}

/* A NumericDate (RFC 7519 2) as seconds. False when it is there and none. */
static bool read_time(const json_t *claims, const char *name, bool *present, double *seconds) {
  const json_t *claim = json_object_get(claims, name);
  *present = claim != NULL;
  if (!claim) return true;
  *seconds = json_is_number(claim) ? json_number_value(claim) : (double)NAN;
  return fabs(*seconds) < 1e15; /* and no NaN */
}

static dl_jwt_result check_times(const json_t *claims, const dl_jwt_rules *rules, int64_t now_s, int64_t *expires_s) {
  double expires = 0, not_before = 0, issued = 0, now = (double)now_s;
  double leeway = rules->leeway_s < DL_JWT_LEEWAY_MAX_S ? rules->leeway_s : DL_JWT_LEEWAY_MAX_S;
  bool has_expiry, has_not_before, has_issued;
  if (!read_time(claims, "exp", &has_expiry, &expires) || !read_time(claims, "nbf", &has_not_before, &not_before) ||
      !read_time(claims, "iat", &has_issued, &issued))
    return DL_JWT_CLAIMS;
  if (!has_expiry) return DL_JWT_NO_EXPIRY;
  if (now >= expires + leeway) return DL_JWT_EXPIRED;
  /* Without an iat nobody knows how long it has lived; what is left of it is known always. */
  if (rules->lifetime_s && expires - (has_issued && issued < now ? issued : now) > rules->lifetime_s + leeway) return DL_JWT_TOO_LIVED;
  if ((has_not_before && not_before > now + leeway) || (has_issued && issued > now + leeway)) return DL_JWT_NOT_YET;
  *expires_s = (int64_t)floor(expires);
  return DL_JWT_OK;
}

static bool is_audience(const dl_jwt_rules *rules, const json_t *name) {
  for (size_t i = 0; i < rules->audience_count; i++)
    if (json_is_string(name) && dl_str_equal(text_of(name), rules->audiences[i])) return true;
  return false;
}

static dl_jwt_result check_audience(const json_t *claims, const dl_jwt_rules *rules) {
  const json_t *audience = json_object_get(claims, "aud"), *name;
  size_t index;
  bool ours = json_is_string(audience) && is_audience(rules, audience);
  if (json_is_array(audience)) {
    json_array_foreach(audience, index, name) {
      if (!json_is_string(name)) return DL_JWT_CLAIMS;
      ours = ours || is_audience(rules, name);
    }
  } else if (audience && !json_is_string(audience)) return DL_JWT_CLAIMS;
  return ours || (!audience && !rules->audience_count) ? DL_JWT_OK : DL_JWT_AUDIENCE;
}

static dl_jwt_result check_claims(const json_t *claims, const dl_jwt_rules *rules, int64_t now_s, dl_jwt *jwt) {
  const json_t *issuer = json_object_get(claims, "iss"), *subject = json_object_get(claims, "sub");
  dl_jwt_result result = check_times(claims, rules, now_s, &jwt->expires_s);
  if (result != DL_JWT_OK) return result;
  /* RFC 7800 3: it is for who proves that he has a key, so that a stolen one is of no use. */
  if (json_object_get(claims, "cnf")) return DL_JWT_BOUND;
  if ((issuer && !json_is_string(issuer)) || (subject && !json_is_string(subject))) return DL_JWT_CLAIMS;
  if (rules->issuer.len && !(issuer && dl_str_equal(text_of(issuer), rules->issuer))) return DL_JWT_ISSUER;
  jwt->subject = text_of(subject);
  return check_audience(claims, rules);
}

dl_jwt_result dl_jwt_verify(const dl_key_set *keys, const dl_jwt_rules *rules, int64_t now_s, dl_str token, dl_jwt *jwt) {
  parts token_parts;
  dl_jwt found = {0};
  if (token.len > DL_JWT_MAX) return DL_JWT_TOO_LONG;
  if (!split(token, &token_parts)) return DL_JWT_MALFORMED;
  dl_jwt_result result = check_signature(keys, &token_parts, &found.key);
  if (result != DL_JWT_OK) return result;
  /* Nothing of the claims is read before the signature is known to be ours. */
  found.claims = decode_object(token_parts.claims);
  result = found.claims ? check_claims(found.claims, rules, now_s, &found) : DL_JWT_MALFORMED;
  if (result == DL_JWT_OK) *jwt = found;
  else json_decref(found.claims);
  return result;
}

void dl_jwt_free(dl_jwt *jwt) {
  json_decref(jwt->claims);
  *jwt = (dl_jwt){0};
}

static void append_base64url(dl_buffer *out, dl_str bytes) {
  size_t length = dl_base64_encoded_length(bytes.len);
  dl_buffer_reserve(out, length);
  dl_base64_encode(DL_BASE64URL, bytes, out->data + out->len);
  out->len += length;
}

bool dl_jwt_sign(dl_key *key, dl_str claims, dl_buffer *token) {
  if (!dl_key_can_sign(key)) return false;
  dl_buffer signature = {0};
  size_t begin = token->len;
  dl_buffer_append_str(token, dl_key_header(key));
  dl_buffer_append_char(token, '.');
  append_base64url(token, claims);
  dl_key_sign(key, dl_str_from(token->data + begin, token->len - begin), &signature);
  dl_buffer_append_char(token, '.');
  append_base64url(token, dl_buffer_str(&signature));
  dl_buffer_free(&signature);
  return true;
}
