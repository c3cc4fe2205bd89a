/* SPDX-License-Identifier: MIT */
#include "crypto/password.h"

#include "crypto/base64.h"
#include "crypto/random.h"
#include "crypto/secret.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <stdio.h>

enum { SALT_BYTES = 16, TAG_BYTES = 32, SALT_MIN = 8, TAG_MIN = 16, PART_MAX = 64, MEMORY_MAX_KIB = 4194304, PASSES_MAX = 64, LANES_MAX = 16 };

typedef struct stored_password {
  dl_password_cost cost;
  size_t salt_length, tag_length;
  unsigned char salt[PART_MAX], tag[PART_MAX];
} stored_password;

static bool cost_allowed(const dl_password_cost *cost) {
  return cost->lanes >= 1 && cost->lanes <= LANES_MAX && cost->passes >= 1 && cost->passes <= PASSES_MAX && cost->memory_kib >= 8 * cost->lanes &&
         cost->memory_kib <= MEMORY_MAX_KIB;
}

/* Fills tag_length bytes of stored->tag from its cost and salt. */
static bool compute(dl_str password, stored_password *stored) {
  argon2_context context = {
      .out = stored->tag,
      .outlen = (uint32_t)stored->tag_length,
      .pwd = (uint8_t *)password.ptr,
      .pwdlen = (uint32_t)password.len,
      .salt = stored->salt,
      .saltlen = (uint32_t)stored->salt_length,
      .t_cost = stored->cost.passes,
      .m_cost = stored->cost.memory_kib,
      .lanes = stored->cost.lanes,
      .threads = 1, /* the pool's thread does the work itself */
      .version = ARGON2_VERSION_13,
      .flags = ARGON2_DEFAULT_FLAGS,
  };
  return argon2id_ctx(&context) == ARGON2_OK;
}

dl_password_result dl_password_hash(dl_str password, const dl_password_cost *cost, char out[DL_PASSWORD_TEXT]) {
  if (password.len > DL_PASSWORD_LENGTH_MAX) return DL_PASSWORD_WRONG;
  stored_password stored = {.cost = *cost, .salt_length = SALT_BYTES, .tag_length = TAG_BYTES};
  dl_random_bytes(stored.salt, SALT_BYTES);
  if (!cost_allowed(cost) || !compute(password, &stored)) return DL_PASSWORD_FAILED;
  char salt[32] = {0}, tag[64] = {0};
  dl_base64_encode(DL_BASE64, dl_str_from((const char *)stored.salt, SALT_BYTES), salt);
  dl_base64_encode(DL_BASE64, dl_str_from((const char *)stored.tag, TAG_BYTES), tag);
  snprintf(out, DL_PASSWORD_TEXT, "$argon2id$v=19$m=%u,t=%u,p=%u$%s$%s", cost->memory_kib, cost->passes, cost->lanes, salt, tag);
  return DL_PASSWORD_OK;
}

/* Takes prefix off the text, or gives false. */
static bool take(dl_str *text, dl_str prefix) {
  if (!dl_str_starts(*text, prefix)) return false;
  *text = dl_str_skip(*text, prefix.len);
  return true;
}

/* A number without leading zeros, at most nine digits. */
static bool take_number(dl_str *text, uint32_t *out) {
  size_t digits = 0;
  for (*out = 0; digits < text->len && digits < 9 && text->ptr[digits] >= '0' && text->ptr[digits] <= '9'; digits++)
    *out = *out * 10 + (uint32_t)(text->ptr[digits] - '0');
  if (!digits || text->ptr[0] == '0') return false;
  *text = dl_str_skip(*text, digits);
  return true;
}

/* Base64 up to the next "$" or the end, least to PART_MAX bytes. */
static bool take_bytes(dl_str *text, size_t least, unsigned char out[PART_MAX], size_t *length) {
  const char *dollar = text->len ? memchr(text->ptr, '$', text->len) : NULL;
  dl_str part = dollar ? dl_str_from(text->ptr, (size_t)(dollar - text->ptr)) : *text;
  if (dl_base64_decoded_max(part.len) > PART_MAX || dl_base64_decode(DL_BASE64, part, out, length) != DL_BASE64_OK) return false;
  *text = dl_str_skip(*text, part.len);
  return *length >= least;
}

static bool read_stored(dl_str text, stored_password *out) {
  return take(&text, DL_STR("$argon2id$v=19$m=")) && take_number(&text, &out->cost.memory_kib) && take(&text, DL_STR(",t=")) &&
         take_number(&text, &out->cost.passes) && take(&text, DL_STR(",p=")) && take_number(&text, &out->cost.lanes) && take(&text, DL_STR("$")) &&
         take_bytes(&text, SALT_MIN, out->salt, &out->salt_length) && take(&text, DL_STR("$")) &&
         take_bytes(&text, TAG_MIN, out->tag, &out->tag_length) && text.len == 0 && cost_allowed(&out->cost);
}

dl_password_result dl_password_verify(dl_str stored, dl_str password) {
  stored_password expected;
  if (!read_stored(stored, &expected)) return DL_PASSWORD_MALFORMED;
  if (password.len > DL_PASSWORD_LENGTH_MAX) return DL_PASSWORD_WRONG;
  stored_password computed = expected;
  if (!compute(password, &computed)) return DL_PASSWORD_FAILED;
  bool equal = dl_crypto_equal(computed.tag, computed.tag_length, expected.tag, expected.tag_length);
  OPENSSL_cleanse(&computed, sizeof(computed));
  return equal ? DL_PASSWORD_OK : DL_PASSWORD_WRONG;
}

dl_password_result dl_password_verify_nobody(dl_str password, const dl_password_cost *cost) {
  stored_password nobody = {.cost = *cost, .salt_length = SALT_BYTES, .tag_length = TAG_BYTES};
  if (password.len > DL_PASSWORD_LENGTH_MAX) return DL_PASSWORD_WRONG;
  return cost_allowed(cost) && compute(password, &nobody) ? DL_PASSWORD_WRONG : DL_PASSWORD_FAILED;
}

bool dl_password_outdated(dl_str stored, const dl_password_cost *cost) {
  stored_password old;
  return !read_stored(stored, &old) || old.cost.memory_kib != cost->memory_kib || old.cost.passes != cost->passes || old.cost.lanes != cost->lanes ||
         old.salt_length != SALT_BYTES || old.tag_length != TAG_BYTES;
}
