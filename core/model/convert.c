/* SPDX-License-Identifier: MIT */
#include "model/convert.h"

#include "model/formats.h"

#include <math.h>

bool dl_format_refuse(dl_conversion *conversion, const char *type, const char *message) {
  conversion->type = type;
  conversion->message = dl_str_of(message);
  conversion->context = (dl_value){.kind = DL_VALUE_ABSENT};
  return false;
}

bool dl_format_refuse_with(dl_conversion *conversion, const char *type, const char *message, const char *key, dl_value context) {
  dl_format_refuse(conversion, type, message);
  dl_member *member = dl_arena_alloc(conversion->arena, sizeof(*member));
  *member = (dl_member){.key = dl_value_string(dl_str_of(key)), .value = context};
  conversion->context = (dl_value){.kind = DL_VALUE_OBJECT, .len = 1, .members = member};
  return false;
}

bool dl_format_refuse_because(dl_conversion *conversion, const char *type, const char *wanted, const char *key, const char *reason) {
  const char *message = dl_arena_format(conversion->arena, "%s: %s", wanted, reason);
  return dl_format_refuse_with(conversion, type, message, key, dl_value_string(dl_str_of(reason)));
}

bool dl_format_accept(dl_value *value, dl_str text, dl_conversion *conversion) {
  if (value->kind == DL_VALUE_STRING && dl_str_equal(dl_value_str(value), text)) return true;
  *value = dl_value_string(dl_arena_copy(conversion->arena, text));
  return true;
}

/* Length of the white space (Unicode's White_Space property) at p, or 0. */
static size_t space_length(const char *p, size_t available) {
  const unsigned char *u = (const unsigned char *)p;
  if (available >= 1 && (u[0] == ' ' || (u[0] >= '\t' && u[0] <= '\r'))) return 1;
  if (available >= 2 && u[0] == 0xc2 && (u[1] == 0x85 || u[1] == 0xa0)) return 2;
  if (available < 3) return 0;
  uint32_t three = (uint32_t)u[0] << 16 | (uint32_t)u[1] << 8 | u[2];
  if (three >= 0xe28080 && three <= 0xe2808a) return 3;                                            /* U+2000-200A */
  if (three == 0xe19a80 || three == 0xe280a8 || three == 0xe280a9 || three == 0xe280af) return 3;  /* U+1680, 2028, 2029, 202F */
  return three == 0xe2819f || three == 0xe38080 ? 3 : 0;                                           /* U+205F, 3000 */
}

dl_str dl_format_trim(dl_str text) {
  size_t length;
  while (text.len && (length = space_length(text.ptr, text.len))) text = dl_str_skip(text, length);
  while (text.len) {
    size_t back = 1;
    while (back < 3 && back < text.len && ((unsigned char)text.ptr[text.len - back] & 0xc0) == 0x80) back++;
    if (space_length(text.ptr + text.len - back, back) != back) break;
    text.len -= back;
  }
  return text;
}

static bool convert_string(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode; /* Pydantic's lax mode makes no string of a number either */
  return value->kind == DL_VALUE_STRING || dl_format_refuse(conversion, "string_type", "should be a string");
}

static bool convert_secret(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  if (!convert_string(mode, value, conversion)) return false;
  value->flags |= DL_VALUE_SECRET;
  return true;
}

static bool accept_boolean(dl_value *value, bool boolean) {
  *value = dl_value_boolean(boolean);
  return true;
}

static bool refuse_boolean(dl_conversion *conversion) {
  return dl_format_refuse(conversion, "bool_parsing", "should be true or false; also taken are 1 and 0, on and off, yes and no, y and n, t and f");
}

static bool boolean_from_text(dl_value *value, dl_conversion *conversion) {
  static const struct {
    dl_str text;
    bool boolean;
  } words[] = {
      {DL_STR("true"), true},   {DL_STR("false"), false}, {DL_STR("1"), true},    {DL_STR("0"), false}, {DL_STR("on"), true},  {DL_STR("off"), false},
      {DL_STR("yes"), true},    {DL_STR("no"), false},    {DL_STR("y"), true},    {DL_STR("n"), false}, {DL_STR("t"), true},   {DL_STR("f"), false},
  };
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    if (dl_str_equal_nocase(dl_value_str(value), words[i].text)) return accept_boolean(value, words[i].boolean);
  return refuse_boolean(conversion);
}

static bool convert_boolean(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  if (value->kind == DL_VALUE_BOOLEAN) return true;
  if (mode != DL_MODE_STRICT) {
    if (value->kind == DL_VALUE_STRING) return boolean_from_text(value, conversion);
    if (value->kind == DL_VALUE_INTEGER && (value->integer == 0 || value->integer == 1)) return accept_boolean(value, value->integer == 1);
    if (value->kind == DL_VALUE_INTEGER) return refuse_boolean(conversion);
    if (value->kind == DL_VALUE_NUMBER && (value->number == 0 || value->number == 1)) return accept_boolean(value, value->number == 1);
    if (value->kind == DL_VALUE_NUMBER && value->number == floor(value->number)) return refuse_boolean(conversion);
  }
  return dl_format_refuse(conversion, "bool_type", "should be true or false");
}

static bool convert_file(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode;
  (void)value;
  static const char message[] = "should be a file, uploaded as a part of a multipart form";
  return dl_format_refuse_with(conversion, "value_error", message, "error", dl_value_string(DL_STR("not an uploaded file")));
}

static const dl_format formats[] = {
    [DL_KIND_STRING] = convert_string,        [DL_KIND_INTEGER] = dl_format_integer, [DL_KIND_INT64] = dl_format_int64,
    [DL_KIND_NUMBER] = dl_format_number,      [DL_KIND_DECIMAL] = dl_format_decimal, [DL_KIND_BOOLEAN] = convert_boolean,
    [DL_KIND_EMAIL] = dl_format_email,        [DL_KIND_URL] = dl_format_url,         [DL_KIND_UUID] = dl_format_uuid,
    [DL_KIND_DATE] = dl_format_date,          [DL_KIND_TIME] = dl_format_time,       [DL_KIND_DATETIME] = dl_format_datetime,
    [DL_KIND_DURATION] = dl_format_duration,  [DL_KIND_IPV4] = dl_format_ipv4,       [DL_KIND_IPV6] = dl_format_ipv6,
    [DL_KIND_CIDR] = dl_format_cidr,          [DL_KIND_BYTES] = dl_format_bytes,     [DL_KIND_SECRET] = convert_secret,
    [DL_KIND_FILE] = convert_file,
};

bool dl_convert(dl_kind kind, dl_mode mode, dl_value *value, dl_conversion *conversion) { return formats[kind](mode, value, conversion); }
