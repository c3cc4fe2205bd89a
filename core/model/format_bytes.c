/* SPDX-License-Identifier: MIT */
/*
 * bytes: base64 (RFC 4648 4) or base64url (5), one alphabet at a time, padded
 * wholly or not at all. No white space, and no bits that say nothing: two texts
 * never mean the same bytes but for alphabet and padding.
 */
#include "crypto/base64.h"
#include "model/formats.h"

static bool refuse(const char *reason, dl_conversion *conversion) {
  static const char message[] = "should be bytes as base64 or base64url, like \"aGk=\"";
  dl_format_refuse_because(conversion, "bytes_invalid_encoding", message, "encoding_error", reason);
  dl_member *members = dl_arena_alloc(conversion->arena, 2 * sizeof(*members));
  members[0] = (dl_member){.key = dl_value_string(DL_STR("encoding")), .value = dl_value_string(DL_STR("base64"))};
  members[1] = conversion->context.members[0];
  conversion->context.members = members;
  conversion->context.len = 2;
  return false;
}

/* Why a text does not decode, by dl_base64_result. */
static const char *const reasons[] = {
    [DL_BASE64_LENGTH] = "its length is that of no bytes",
    [DL_BASE64_CHARACTER] = "it holds a character that its alphabet does not have",
    [DL_BASE64_STRAY_BITS] = "its last character holds stray bits",
};

/* The text without its padding; false when that is not whole. */
static bool strip_padding(dl_str *text) {
  size_t padding = 0;
  while (padding < 2 && padding < text->len && text->ptr[text->len - 1 - padding] == '=') padding++;
  if (padding && text->len % 4) return false;
  text->len -= padding;
  return true;
}

static bool has_url_character(dl_str text) { return text.len && (memchr(text.ptr, '-', text.len) || memchr(text.ptr, '_', text.len)); }

bool dl_format_bytes(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode;
  if (value->kind == DL_VALUE_BYTES) return true;
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "bytes_type", "should be bytes, as a string of base64");
  dl_str text = dl_value_str(value);
  if (!strip_padding(&text)) return refuse("its padding is not whole", conversion);
  size_t length;
  unsigned char *bytes = dl_arena_alloc(conversion->arena, dl_base64_decoded_max(text.len) + 1);
  dl_base64_result result = dl_base64_decode(has_url_character(text) ? DL_BASE64URL : DL_BASE64, text, bytes, &length);
  if (result != DL_BASE64_OK) return refuse(reasons[result], conversion);
  *value = (dl_value){.kind = DL_VALUE_BYTES, .len = (uint32_t)length, .string = (const char *)bytes};
  return true;
}
