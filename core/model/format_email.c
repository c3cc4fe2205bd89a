/* SPDX-License-Identifier: MIT */
/*
 * email: one addr-spec as it is used on the Internet (RFC 5321 4.1.2, with the
 * dot-atom of RFC 5322 and UTF-8 of RFC 6531). Refused, though a standard may
 * allow them: quoted local parts, comments, address literals, display names, and
 * domains without a dot. The domain becomes lower case where it is ASCII; the
 * local part stays as it is, since only its own server may say what is the same.
 * Nothing is mapped or looked up: UTF-8 labels stand as they came.
 */
#include "model/formats.h"

#include "base/utf8.h"

enum { EMAIL_MAX = 254, LOCAL_MAX = 64, LABEL_MAX = 63 }; /* no domain in 254 bytes has more than the 253 it may */

static bool refuse(const char *reason, dl_conversion *conversion) {
  return dl_format_refuse_because(conversion, "value_error", "should be an email address like \"ann@example.com\"", "reason", reason);
}

/* Code points beyond ASCII that would hide in an address or part it: controls,
 * spaces, joiners, direction marks, the dot and the wide forms that IDNA reads as
 * ASCII, private use, specials, tags. Pairs of first and last. */
static const uint32_t hidden[][2] = {
    {0x80, 0xa0},     {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},   {0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5},
    {0x180b, 0x180f}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3002, 0x3002},
    {0x3164, 0x3164}, {0xd800, 0xf8ff}, {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xff00, 0xffff}, {0xe0000, 0x10ffff},
};

/* What IDNA takes for ASCII letters and digits (RFC 5892 2.4; UAX 15): superscripts,
 * ligatures, modifiers, letterlike symbols, number forms, enclosed and squared ones,
 * presentation forms, mathematical letters. In a domain they spell another's name. */
static const uint32_t disguised[][2] = {
    {0xaa, 0xaa},       {0xb2, 0xb3},       {0xb9, 0xba},       {0x132, 0x133},     {0x17f, 0x17f},   {0x1c7, 0x1cc},   {0x1f1, 0x1f3},
    {0x2b0, 0x2b8},     {0x2e0, 0x2e4},     {0x37e, 0x37e},     {0x1d2c, 0x1d6a},   {0x1d9b, 0x1dbf}, {0x1e9e, 0x1e9e}, {0x1fef, 0x1fef},
    {0x2024, 0x2026},   {0x203c, 0x203c},   {0x2047, 0x2049},   {0x2070, 0x209c},   {0x20a8, 0x20a8}, {0x2100, 0x218b}, {0x2460, 0x24ff},
    {0x2a74, 0x2a76},   {0x2c7c, 0x2c7d},   {0x3200, 0x33ff},   {0xa7f2, 0xa7f4},   {0xfb00, 0xfb06}, {0xfb29, 0xfb29}, {0xfe10, 0xfe6b},
    {0x107a5, 0x107a5}, {0x1d400, 0x1d7ff}, {0x1f100, 0x1f190}, {0x1fbf0, 0x1fbf9},
};

static uint32_t decode(const char *p, size_t length) {
  uint32_t point = (unsigned char)p[0] & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) point = point << 6 | ((unsigned char)p[i] & 0x3f);
  return point;
}

static bool is_among(uint32_t point, const uint32_t (*ranges)[2], size_t count) {
  for (size_t i = 0; i < count; i++)
    if (point >= ranges[i][0] && point <= ranges[i][1]) return true;
  return false;
}

/* Length of the visible character beyond ASCII at p, or 0. */
static size_t visible(const char *p, size_t available, bool in_domain) {
  size_t length = dl_utf8_sequence(p, available);
  if (length < 2) return 0;
  uint32_t point = decode(p, length);
  if (is_among(point, hidden, sizeof hidden / sizeof *hidden)) return 0;
  return in_domain && is_among(point, disguised, sizeof disguised / sizeof *disguised) ? 0 : length;
}

static bool atom_char(char c) { return dl_format_letter(c) || dl_format_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c)); }

static const char *check_local(dl_str local) {
  if (!local.len) return "nothing stands before the @";
  if (local.len > LOCAL_MAX) return "it has more than 64 bytes before the @";
  if (local.ptr[0] == '.' || local.ptr[local.len - 1] == '.') return "its part before the @ begins or ends with a dot";
  for (size_t i = 0, step; i < local.len; i += step) {
    step = (unsigned char)local.ptr[i] < 0x80 ? 1 : visible(local.ptr + i, local.len - i, false);
    if (local.ptr[i] == '.' && local.ptr[i + 1] == '.') return "it has two dots in a row";
    if (!step || (step == 1 && local.ptr[i] != '.' && !atom_char(local.ptr[i]))) return "it holds a character that may not stand before the @";
  }
  return NULL;
}

static const char *check_label(dl_str label) {
  if (!label.len) return "its domain has an empty label: a dot at an end, or two in a row";
  if (label.len > LABEL_MAX) return "its domain has a label of more than 63 bytes";
  if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-') return "its domain has a label that begins or ends with a hyphen";
  bool marked = label.len >= 4 && label.ptr[2] == '-' && label.ptr[3] == '-';
  bool ascii_form = marked && label.len > 4 && dl_str_equal_nocase(dl_str_from(label.ptr, 2), DL_STR("xn"));
  if (marked && !ascii_form) return "its domain has hyphens where only an international name in ASCII form has them";
  for (size_t i = 0, step; i < label.len; i += step) {
    char c = label.ptr[i];
    step = (unsigned char)c < 0x80 ? 1 : ascii_form ? 0 : visible(label.ptr + i, label.len - i, true);
    if (!step || (step == 1 && !dl_format_letter(c) && !dl_format_digit(c) && c != '-'))
      return "its domain should hold letters, digits, hyphens and dots";
  }
  return NULL;
}

static const char *check_domain(dl_str domain) {
  dl_str rest = domain, label = {0};
  size_t labels = 0;
  for (bool last = false; !last; labels++) {
    const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
    last = !dot;
    label = dot ? dl_str_from(rest.ptr, (size_t)(dot - rest.ptr)) : rest;
    const char *wrong = check_label(label);
    if (wrong) return wrong;
    if (dot) rest = dl_str_skip(rest, label.len + 1);
  }
  if (labels < 2) return "its domain has no dot";
  /* No top-level domain ends in a digit; what does so is a mistake or an address. */
  return dl_format_digit(label.ptr[label.len - 1]) ? "its domain ends in a digit" : NULL;
}

static bool plain_local(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
}
static bool plain_domain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/* Nearly every address passes here in one look at each byte: letters, digits and
 * the usual signs, the domain in lower case. What does not is looked at closely. */
static bool is_plain(dl_str text) {
  size_t i = 0, start, labels = 0;
  for (; i < text.len && text.ptr[i] != '@'; i++)
    if (!plain_local(text.ptr[i]) && !(text.ptr[i] == '.' && i > 0 && text.ptr[i - 1] != '.')) return false;
  if (i == 0 || i > LOCAL_MAX || i == text.len || text.ptr[i - 1] == '.') return false;
  start = ++i;
  for (; i < text.len; i++) {
    char c = text.ptr[i];
    if (plain_domain(c) || (c == '-' && i > start && i - start != 3)) continue;
    if (c != '.' || i == start || i - start > LABEL_MAX || text.ptr[i - 1] == '-') return false;
    labels++;
    start = i + 1;
  }
  char last = text.ptr[text.len - 1];
  return labels && text.len > start && text.len - start <= LABEL_MAX && last >= 'a' && last <= 'z';
}

bool dl_format_email(dl_mode mode, dl_value *value, dl_conversion *conversion) {
  (void)mode;
  if (value->kind != DL_VALUE_STRING) return dl_format_refuse(conversion, "string_type", "should be an email address, as a string");
  dl_str text = dl_value_str(value);
  if (text.len > EMAIL_MAX) return refuse("it has more than 254 bytes", conversion);
  if (is_plain(text)) return true;
  const char *at = text.len ? memchr(text.ptr, '@', text.len) : NULL;
  if (!at) return refuse("it has no @", conversion);
  dl_str local = dl_str_from(text.ptr, (size_t)(at - text.ptr));
  const char *wrong = check_local(local);
  if (!wrong) wrong = check_domain(dl_str_skip(text, local.len + 1));
  if (wrong) return refuse(wrong, conversion);
  char out[EMAIL_MAX];
  memcpy(out, text.ptr, text.len);
  for (size_t i = local.len; i < text.len; i++) out[i] = dl_ascii_lower(out[i]);
  return dl_format_accept(value, dl_str_from(out, text.len), conversion);
}
