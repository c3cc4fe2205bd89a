/* SPDX-License-Identifier: MIT */
/* URLs and email addresses, good and bad. */
#include "conversion.h"

typedef struct text_case {
  const char *text, *strict, *lax; /* lax NULL: as strict */
} text_case;

#define SAME NULL
#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const text_case urls[] = {
    {"http://example.com", "http://example.com/", SAME},
    {"HTTPS://EXAMPLE.com/A", "https://example.com/A", SAME},
    {"http://example.com:80", "http://example.com/", SAME},
    {"https://example.com:443/", "https://example.com/", SAME},
    {"https://example.com:80/", "https://example.com:80/", SAME},
    {"http://example.com:0080/", "http://example.com/", SAME},
    {"http://example.com:08080/", "http://example.com:8080/", SAME},
    {"http://example.com:/", "http://example.com/", SAME},
    {"http://example.com:0/", "http://example.com:0/", SAME},
    {"http://example.com?x=1", "http://example.com/?x=1", SAME},
    {"http://example.com#top", "http://example.com/#top", SAME},
    {"http://example.com/a?b=c&d[]=1#f", "http://example.com/a?b=c&d[]=1#f", SAME},
    {"http://example.com/?", "http://example.com/?", SAME},
    {"http://example.com/a/../b", "http://example.com/b", SAME},
    {"http://example.com/../../b", "http://example.com/b", SAME},
    {"http://example.com/a/b/..", "http://example.com/a/", SAME},
    {"http://example.com/a/b/.", "http://example.com/a/b/", SAME},
    {"http://example.com/./a//b/", "http://example.com/a//b/", SAME},
    {"http://example.com/a/%2e%2E/b", "http://example.com/b", SAME},
    {"http://example.com/a/.%2e/b", "http://example.com/b", SAME},
    {"http://example.com/...", "http://example.com/...", SAME},
    {"http://example.com/.hidden", "http://example.com/.hidden", SAME},
    {"http://example.com/%41", "http://example.com/%41", SAME},
    {"http://example.com/\xc3\xa9?\xc3\xa9#\xc3\xa9", "http://example.com/%C3%A9?%C3%A9#%C3%A9", SAME},
    {"http://user:pass@example.com", "http://user:pass@example.com/", SAME},
    {"http://user@example.com", "http://user@example.com/", SAME},
    {"http://:pass@example.com", "http://:pass@example.com/", SAME},
    {"http://user:@example.com", "http://user@example.com/", SAME},
    {"http://@example.com", "http://example.com/", SAME},
    {"http://127.0.0.1:8000/", "http://127.0.0.1:8000/", SAME},
    {"http://[::1]", "http://[::1]/", SAME},
    {"http://[2001:DB8::0001]:80/", "http://[2001:db8::1]/", SAME},
    {"http://[::ffff:1.2.3.4]:81/", "http://[::ffff:102:304]:81/", SAME},
    {"http://localhost:3000", "http://localhost:3000/", SAME},
    {"http://my_host-1.example.", "http://my_host-1.example./", SAME},
    {"http://xn--mller-kva.de", "http://xn--mller-kva.de/", SAME},
    {"http://1.example", "http://1.example/", SAME},
    {"http://0xg", "http://0xg/", SAME},
    {"http://" LABEL_63 ".com", "http://" LABEL_63 ".com/", SAME},
    /* What lax mode encodes. */
    {"http://example.com/a b", "!url_syntax_violation", "http://example.com/a%20b"},
    {"http://example.com/%zz", "!url_syntax_violation", "http://example.com/%zz"},
    {"http://example.com/100%", "!url_syntax_violation", "http://example.com/100%"},
    {"http://example.com/\"<>`{}|^", "!url_syntax_violation", "http://example.com/%22%3C%3E%60%7B%7D%7C%5E"},
    {"http://example.com/?a\\b", "!url_syntax_violation", "http://example.com/?a%5Cb"},
    {"http://example.com/#a#b", "!url_syntax_violation", "http://example.com/#a%23b"},
    {"http://us er@example.com", "!url_syntax_violation", "http://us%20er@example.com/"},
    {"http://a:b:c@example.com", "!url_syntax_violation", "http://a:b%3Ac@example.com/"},
    /* What parsers read differently. */
    {"http:\\\\example.com", "!url_syntax_violation", SAME},
    {"http://example.com\\@evil.example", "!url_syntax_violation", SAME},
    {"http://a@b@example.com", "!url_syntax_violation", SAME},
    {"http:example.com", "!url_syntax_violation", SAME},
    {"http:/example.com", "!url_syntax_violation", SAME},
    {"http://exam\nple.com", "!url_syntax_violation", SAME},
    {"http://example.com/\t", "!url_syntax_violation", SAME},
    {"http://example.com/\x7f", "!url_syntax_violation", SAME},
    {" http://example.com", "!url_syntax_violation", SAME},
    {"http://example.com ", "!url_syntax_violation", SAME},
    {"http://127.1", "!url_parsing", SAME},
    {"http://0x7f.0.0.1", "!url_parsing", SAME},
    {"http://2130706433", "!url_parsing", SAME},
    {"http://0x", "!url_parsing", SAME},
    {"http://256.1.1.1", "!url_parsing", SAME},
    {"http://1.2.3.4.5", "!url_parsing", SAME},
    {"http://010.0.0.1", "!url_parsing", SAME},
    {"http://127.0.0.1.", "!url_parsing", SAME},
    {"http://example.1", "!url_parsing", SAME},
    {"http://%65xample.com", "!url_parsing", SAME},
    {"http://m\xc3\xbcller.de", "!url_parsing", SAME},
    {"http://\xef\xbc\x91"
     "27.0.0.1",
     "!url_parsing", SAME},
    /* What is no URL. */
    {"", "!url_parsing", SAME},
    {"x", "!url_parsing", SAME},
    {"//example.com", "!url_parsing", SAME},
    {"1http://x", "!url_parsing", SAME},
    {":", "!url_parsing", SAME},
    {"http://", "!url_parsing", SAME},
    {"http:///a", "!url_parsing", SAME},
    {"http://:80", "!url_parsing", SAME},
    {"http://user@", "!url_parsing", SAME},
    {"http://exa mple.com", "!url_parsing", SAME},
    {"http://exa|mple.com", "!url_parsing", SAME},
    {"http://*.example.com", "!url_parsing", SAME},
    {"http://a..b", "!url_parsing", SAME},
    {"http://.a", "!url_parsing", SAME},
    {"http://.", "!url_parsing", SAME},
    {"http://a" LABEL_63 ".com", "!url_parsing", SAME},
    {"http://" LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, "!url_parsing", SAME},
    {"http://example.com:65536", "!url_parsing", SAME},
    {"http://example.com:99999999999", "!url_parsing", SAME},
    {"http://example.com:80a", "!url_parsing", SAME},
    {"http://example.com:+80", "!url_parsing", SAME},
    {"http://example.com:80:80", "!url_parsing", SAME},
    {"http://example.com:80:80", "!url_parsing", SAME},
    {"http://example.com/%4g", "!url_syntax_violation", "http://example.com/%4g"},
    {"http://example.com/%g4", "!url_syntax_violation", "http://example.com/%g4"},
    {"http://example.0x", "!url_parsing", SAME},
    {"http://example.0xfg", "http://example.0xfg/", SAME},
    {"http://example.0a", "http://example.0a/", SAME},
    {"http://[::1", "!url_parsing", SAME},
    {"http://[::1]a", "!url_parsing", SAME},
    {"http://a[::1]", "!url_parsing", SAME},
    {"http://[::1]:x", "!url_parsing", SAME},
    {"http://[fe80::1%25eth0]/", "!url_parsing", SAME},
    {"http://[1.2.3.4]", "!url_parsing", SAME},
    {"http://[]", "!url_parsing", SAME},
    {"ftp://example.com", "!url_scheme", SAME},
    {"javascript:alert(1)", "!url_scheme", SAME},
    {"file:///etc/passwd", "!url_scheme", SAME},
};

static const text_case emails[] = {
    {"ann@example.com", "ann@example.com", SAME},
    {"Ann.Other+tag@EXAMPLE.Com", "Ann.Other+tag@example.com", SAME},
    {"a@b.co", "a@b.co", SAME},
    {"!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", SAME},
    {"a@xn--mller-kva.de", "a@xn--mller-kva.de", SAME},
    {"a@AB-cd.com", "a@ab-cd.com", SAME},
    {"a@abc-d.com", "a@abc-d.com", SAME},
    {"A1@example.com", "A1@example.com", SAME},
    {"j\xc3\xbc"
     "1!{@example.com",
     "j\xc3\xbc"
     "1!{@example.com",
     SAME},
    {"a@example.c{", "!value_error", SAME},
    {"a@example.COm1", "!value_error", SAME},
    {"a@b.a" LABEL_63, "!value_error", SAME},
    {"j\xc3\xbcrgen@m\xc3\xbcller.DE", "j\xc3\xbcrgen@m\xc3\xbcller.de", SAME},
    {"a@1.example", "a@1.example", SAME},
    {"a@example.c1x", "a@example.c1x", SAME},
    {"a@example.c1", "!value_error", SAME},
    {"a@xn--m\xc3\xbcller.de", "!value_error", SAME},
    {"\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe5\xad\x90.\xe5\xb9\xbf\xe5\x91\x8a",
     "\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe5\xad\x90.\xe5\xb9\xbf\xe5\x91\x8a", SAME},
    {"a" LABEL_63 "@example.com", "a" LABEL_63 "@example.com", SAME},
    {"aa" LABEL_63 "@example.com", "!value_error", SAME},
    {"a@" LABEL_63 ".com", "a@" LABEL_63 ".com", SAME},
    {"a@a" LABEL_63 ".com", "!value_error", SAME},
    {"a@" LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, "!value_error", SAME},
    {"", "!value_error", SAME},
    {"@", "!value_error", SAME},
    {"ann", "!value_error", SAME},
    {"ann@", "!value_error", SAME},
    {"@example.com", "!value_error", SAME},
    {"ann@localhost", "!value_error", SAME},
    {"a@b@example.com", "!value_error", SAME},
    {".a@example.com", "!value_error", SAME},
    {"a.@example.com", "!value_error", SAME},
    {"a..b@example.com", "!value_error", SAME},
    {"a b@example.com", "!value_error", SAME},
    {" a@example.com", "!value_error", SAME},
    {"a@example.com ", "!value_error", SAME},
    {"a@example.com\n", "!value_error", SAME},
    {"a@example.com\r\nBcc: b@example.com", "!value_error", SAME},
    {"a,b@example.com", "!value_error", SAME},
    {"a;b@example.com", "!value_error", SAME},
    {"\"a b\"@example.com", "!value_error", SAME},
    {"a(comment)@example.com", "!value_error", SAME},
    {"Ann <ann@example.com>", "!value_error", SAME},
    {"<ann@example.com>", "!value_error", SAME},
    {"a@[192.0.2.1]", "!value_error", SAME},
    {"a@192.0.2.1", "!value_error", SAME},
    {"a@example..com", "!value_error", SAME},
    {"a@.example.com", "!value_error", SAME},
    {"a@example.com.", "!value_error", SAME},
    {"a@-example.com", "!value_error", SAME},
    {"a@example-.com", "!value_error", SAME},
    {"a@ab--cd.com", "!value_error", SAME},
    {"a@xn--.com", "!value_error", SAME},
    {"a@exa_mple.com", "!value_error", SAME},
    {"a@exa mple.com", "!value_error", SAME},
    {"a@example.com/x", "!value_error", SAME},
    {"a\xe2\x80\x8b@example.com", "!value_error", SAME}, /* zero width space */
    {"a@example\xe3\x80\x82"
     "com",
     "!value_error", SAME}, /* an ideographic full stop, a dot to IDNA */
    {"a@\xef\xbc\x85"
     "example.com",
     "!value_error", SAME},                              /* a wide form */
    {"a\xe2\x80\xae@example.com", "!value_error", SAME}, /* right-to-left override */
    {"a@example.com\xc2\xa0", "!value_error", SAME},
    {"a@\xe2\x85\xbd" ".com", "!value_error", SAME}, /* a small Roman hundred, a c to IDNA */
    {"a@\xe2\x84\xaa" ".com", "!value_error", SAME}, /* the Kelvin sign */
    {"a@\xf0\x9d\x90\x9a" ".com", "!value_error", SAME}, /* a bold letter */
    {"a@\xef\xac\x81" ".com", "!value_error", SAME}, /* a ligature */
    {"a@\xe2\x93\x90" ".com", "!value_error", SAME}, /* in a circle */
    {"a@\xc2\xb2" ".com", "!value_error", SAME}, /* a superscript */
    {"\xc2\xaa@stra\xc3\x9f" "e.de", "\xc2\xaa@stra\xc3\x9f" "e.de", SAME},
};

static void check_texts(dl_kind kind, const text_case *cases, size_t count) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  for (size_t i = 0; i < count; i++) {
    char *text = malloc(strlen(cases[i].text) + !*cases[i].text);
    memcpy(text, cases[i].text, strlen(cases[i].text));
    for (int mode = DL_MODE_STRICT; mode <= DL_MODE_TEXT; mode++) {
      const char *expected = mode == DL_MODE_STRICT || !cases[i].lax ? cases[i].strict : cases[i].lax;
      dl_value value = dl_value_string(dl_str_from(text, strlen(cases[i].text)));
      check_conversion(&arena, kind, (dl_mode)mode, value, cases[i].text, expected);
    }
    free(text);
  }
  dl_arena_free(&arena);
}

static void reads_urls(void **state) {
  (void)state;
  check_texts(DL_KIND_URL, urls, sizeof(urls) / sizeof(urls[0]));
}

static void reads_email_addresses(void **state) {
  (void)state;
  check_texts(DL_KIND_EMAIL, emails, sizeof(emails) / sizeof(emails[0]));
}

static void urls_and_emails_stay_bounded(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  char text[4096];
  memset(text, 'a', sizeof(text));
  memcpy(text, "http://a.example/", 17);
  dl_value value = dl_value_string(dl_str_from(text, 2083));
  assert_int_not_equal(convert_to_text(&arena, DL_KIND_URL, DL_MODE_STRICT, value)[0], '!');
  value.len = 2084;
  check_conversion(&arena, DL_KIND_URL, DL_MODE_STRICT, value, "2084 bytes", "!url_too_long");
  memset(text + 17, ' ', 1000);
  text[1016] = 'x';
  value.len = 1017;
  check_conversion(&arena, DL_KIND_URL, DL_MODE_LAX, value, "1000 spaces, each three bytes when encoded", "!url_too_long");
  memset(text, 'a', 64);
  text[64] = '@';
  memset(text + 65, 'b', 300);
  for (size_t i = 65 + 60; i < 250; i += 60) text[i] = '.';
  value.len = 254;
  assert_int_not_equal(convert_to_text(&arena, DL_KIND_EMAIL, DL_MODE_STRICT, value)[0], '!');
  value.len = 255;
  check_conversion(&arena, DL_KIND_EMAIL, DL_MODE_STRICT, value, "255 bytes", "!value_error");
  dl_arena_free(&arena);
}

static const char *url_of(dl_arena *arena, const dl_str *schemes, size_t count, const char *text) {
  dl_conversion conversion = {.arena = arena};
  dl_value value = dl_value_string(dl_str_of(text));
  if (dl_convert_url(schemes, count, DL_MODE_STRICT, &value, &conversion)) return value_as_text(arena, &value);
  return dl_arena_format(arena, "!%s", conversion.type);
}

static void a_field_may_name_its_schemes(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  static const dl_str databases[] = {DL_STR("postgres"), DL_STR("sqlite"), DL_STR("redis")};
  assert_string_equal(url_of(&arena, databases, 3, "Postgres://U:p@DB.example:5432/App"), "postgres://U:p@db.example:5432/App");
  assert_string_equal(url_of(&arena, databases, 3, "sqlite:///var/lib/../app.db"), "sqlite:///var/app.db");
  assert_string_equal(url_of(&arena, databases, 3, "sqlite:users.db"), "sqlite:users.db");
  assert_string_equal(url_of(&arena, databases, 3, "http://a"), "!url_scheme");
  assert_string_equal(url_of(&arena, NULL, 0, "mailto:ann@example.com"), "mailto:ann@example.com");
  assert_string_equal(url_of(&arena, NULL, 0, "foo://bar"), "foo://bar");
  assert_string_equal(url_of(&arena, NULL, 0, "foo:"), "foo:");
  assert_string_equal(url_of(&arena, NULL, 0, "foo://user@/"), "!url_parsing");
  assert_string_equal(url_of(&arena, NULL, 0, "foo://:80/"), "!url_parsing");
  assert_string_equal(url_of(&arena, NULL, 0, "Git+SSH-2.0://bar"), "git+ssh-2.0://bar");
  assert_string_equal(url_of(&arena, NULL, 0, "+git://bar"), "!url_parsing");
  assert_string_equal(url_of(&arena, NULL, 0, "foo:a b"), "!url_syntax_violation");
  dl_conversion conversion = {.arena = &arena};
  dl_value value = dl_value_string(DL_STR("x:y"));
  assert_false(dl_convert_url(databases, 3, DL_MODE_LAX, &value, &conversion));
  assert_string_equal(conversion.context.members[0].key.string, "expected_schemes");
  assert_str(dl_value_str(&conversion.context.members[0].value), "'postgres', 'sqlite' or 'redis'");
  dl_arena_free(&arena);
}

static void refusals_carry_the_context_of_their_type(void **state) {
  (void)state;
  dl_arena arena;
  dl_arena_init(&arena, 0);
  static const struct {
    dl_kind kind;
    const char *text, *key;
  } cases[] = {
      {DL_KIND_EMAIL, "x", "reason"},      {DL_KIND_URL, "x", "error"},  {DL_KIND_URL, "x:y", "expected_schemes"}, {DL_KIND_UUID, "x", "error"},
      {DL_KIND_DATE, "x", "error"},        {DL_KIND_TIME, "x", "error"}, {DL_KIND_DATETIME, "x", "error"},         {DL_KIND_DURATION, "x", "error"},
      {DL_KIND_DECIMAL, "1e999", "max_digits"}, {DL_KIND_BYTES, "!", "encoding"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    dl_conversion conversion = {.arena = &arena};
    dl_value value = dl_value_string(dl_str_of(cases[i].text));
    assert_false(dl_convert(cases[i].kind, DL_MODE_LAX, &value, &conversion));
    assert_int_equal(conversion.context.kind, DL_VALUE_OBJECT);
    assert_str(dl_value_str(&conversion.context.members[0].key), cases[i].key);
  }
  dl_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_urls),
      cmocka_unit_test(reads_email_addresses),
      cmocka_unit_test(urls_and_emails_stay_bounded),
      cmocka_unit_test(a_field_may_name_its_schemes),
      cmocka_unit_test(refusals_carry_the_context_of_their_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
