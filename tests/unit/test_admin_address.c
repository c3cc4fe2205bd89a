/* SPDX-License-Identifier: MIT */
/* Where the admin listener may listen, and under which names it answers. */
#include "unit.h"

#include "server/admin.h"

static void addresses_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text, *host, *unix_path;
    int port;
    bool loopback;
  } cases[] = {
      {"9090", "127.0.0.1", NULL, 9090, true},          {"0", "127.0.0.1", NULL, 0, true},       {"65535", "127.0.0.1", NULL, 65535, true},
      {"127.0.0.1:1", "127.0.0.1", NULL, 1, true},      {"127.9.9.9:1", "127.9.9.9", NULL, 1, true}, {"localhost:90", "127.0.0.1", NULL, 90, true},
      {"0.0.0.0:90", "0.0.0.0", NULL, 90, false},       {"10.0.0.1:90", "10.0.0.1", NULL, 90, false}, {"[::1]:90", "::1", NULL, 90, true},
      {"[::]:90", "::", NULL, 90, false},               {"[2001:db8::1]:0", "2001:db8::1", NULL, 0, false},
      {"unix:/run/a.sock", "127.0.0.1", "/run/a.sock", 0, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dl_admin_address address;
    const char *problem = dl_admin_address_read(cases[i].text, &address);
    if (problem) fail_msg("%s: %s", cases[i].text, problem);
    assert_string_equal(address.host, cases[i].host);
    assert_int_equal(address.port, cases[i].port);
    assert_int_equal(address.loopback, cases[i].loopback);
    assert_string_equal(address.unix_path, cases[i].unix_path ? cases[i].unix_path : "");
  }
}

static void what_is_no_address_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {"",        "65536",          "-1",           "99999999999999999999", "9090 ",   ":9090",    "host:9090",
                                      "1.2.3:1", "10.0.0.1",       "10.0.0.1:",    "10.0.0.1:x",           "::1:90",  "[::1]",    "[::1]90",
                                      "[:90",    "[127.0.0.1]:90", "127.0.0.1:-1", "256.0.0.1:80",         "unix:",   "[]:80",    "localhost",
                                      "127.0.0.1:65536", "0x7f.1:80", "[::1%lo]:80", "http://127.0.0.1:80"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    dl_admin_address address;
    if (!dl_admin_address_read(texts[i], &address)) fail_msg("\"%s\" was taken", texts[i]);
  }
}

static void only_plain_hosts_are_answered(void **state) {
  (void)state;
  static const char *const plain[] = {"127.0.0.1", "127.0.0.1:9090", "10.1.2.3:1", "[::1]", "[::1]:9090", "localhost", "LocalHost:80", "[2001:db8::1]:443"};
  static const char *const others[] = {"", "evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:", "::1",
                                       "localhost:x", "[::1", "[::1]x:80", "user@localhost", "localhost:80:80", "0", "2130706433"};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    if (!dl_admin_host_is_plain(dl_str_of(plain[i]))) fail_msg("%s was refused", plain[i]);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (dl_admin_host_is_plain(dl_str_of(others[i]))) fail_msg("%s was answered", others[i]);
  assert_false(dl_admin_host_is_plain((dl_str){0}));
  assert_false(dl_admin_host_is_plain(DL_STR("127.0.0.1\0.evil.example")));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_are_read), cmocka_unit_test(what_is_no_address_is_refused),
                                     cmocka_unit_test(only_plain_hosts_are_answered)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
