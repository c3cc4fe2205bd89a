/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "net/cidr.h"

static dl_address address(const char *text) {
  dl_address read;
  if (!dl_address_read(dl_str_of(text), &read)) fail_msg("%s is an address", text);
  return read;
}

static void addresses_are_read_and_written_as_they_are_known(void **state) {
  (void)state;
  static const char *const same[] = {"0.0.0.0", "192.0.2.43", "255.255.255.255", "1.10.100.200", "9.99.109.0", "::", "::1", "2001:db8:cafe::17", "64:ff9b::c000:201"};
  char text[DL_ADDRESS_TEXT_BYTES];
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    dl_address read = address(same[i]);
    assert_int_equal(dl_address_write(&read, text), strlen(same[i]));
    assert_string_equal(text, same[i]);
  }
  dl_address mapped = address("::ffff:192.0.2.1"), dotted = address("192.0.2.1");
  assert_true(dl_address_equal(&mapped, &dotted));
  dl_address_write(&mapped, text);
  assert_string_equal(text, "192.0.2.1");
  dl_address other = {.kind = DL_ADDRESS_UNIX}, nobody = {0};
  dl_address_write(&other, text);
  assert_string_equal(text, "unix");
  dl_address_write(&nobody, text);
  assert_string_equal(text, "unknown");
  assert_false(dl_address_equal(&other, &nobody));
}

static void what_is_no_address_is_not_read(void **state) {
  (void)state;
  static const char *const wrong[] = {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4:80", "[::1]", "::1%lo", "fe80::1%eth0",
                                      ":::", "1::2::3", "12345::", "g::", "unix", "localhost", "0x7f.0.0.1", "2130706433", "127.1"};
  dl_address read;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (dl_address_read(dl_str_of(wrong[i]), &read)) fail_msg("\"%s\" was read", wrong[i]);
  assert_false(dl_address_read(dl_str_from("1.2.3.4\0x", 9), &read));
  assert_false(dl_address_read(dl_str_of("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"), &read));
}

static void networks_hold_their_own_and_nobody_else(void **state) {
  (void)state;
  static const struct {
    const char *network, *address;
    bool inside;
  } cases[] = {
      {"10.0.0.0/8", "10.255.255.255", true},     {"10.0.0.0/8", "11.0.0.0", false},          {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      {"::ffff:10.0.0.0/104", "10.1.2.3", true},  {"192.0.2.128/25", "192.0.2.127", false},   {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.1", "192.0.2.1", true},           {"192.0.2.1", "192.0.2.2", false},          {"192.0.2.1/32", "192.0.2.1", true},
      {"2001:db8::/32", "2001:db8:ffff::1", true}, {"2001:db8::/32", "2001:db9::1", false},    {"fe80::/10", "febf::1", true},
      {"fe80::/10", "fec0::1", false},            {"fd00::/8", "fd12::1", true},              {"::1", "::1", true},
      {"::1/128", "::2", false},                  {"::/8", "10.0.0.1", false},                {"::/8", "::2", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dl_trusted trusted = {0};
    const char *problem = dl_trusted_add(&trusted, dl_str_of(cases[i].network));
    if (problem) fail_msg("%s %s", cases[i].network, problem);
    dl_address asked = address(cases[i].address);
    if (dl_trusted_has(&trusted, &asked) != cases[i].inside) fail_msg("%s in %s", cases[i].address, cases[i].network);
  }
}

static void nobody_is_trusted_who_was_not_named(void **state) {
  (void)state;
  dl_trusted trusted = {0};
  dl_address other = {.kind = DL_ADDRESS_UNIX}, nobody = {0}, zero = address("0.0.0.0");
  assert_false(dl_trusted_has(&trusted, &other) || dl_trusted_has(&trusted, &nobody) || dl_trusted_has(&trusted, &zero));
  assert_null(dl_trusted_add(&trusted, DL_STR("unix")));
  assert_true(dl_trusted_has(&trusted, &other));
  assert_false(dl_trusted_has(&trusted, &nobody) || dl_trusted_has(&trusted, &zero));
}

static void everybody_is_no_proxy(void **state) {
  (void)state;
  static const char *const refused[] = {"*", "0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "::ffff:0:0/96", "::ffff:0.0.0.0/96", "::/6", "2000::/3", "16.0.0.0/7"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    dl_trusted trusted = {0};
    const char *problem = dl_trusted_add(&trusted, dl_str_of(refused[i]));
    if (!problem || !strstr(problem, "write the networks your proxies are in")) fail_msg("%s: %s", refused[i], problem ? problem : "taken");
    assert_int_equal(trusted.count, 0);
  }
}

static void what_is_no_network_is_told(void **state) {
  (void)state;
  static const char *const wrong[] = {"",           "/",          "10.0.0.0/",     "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08",       "10.0.0.0/8x",  "10.0.0.1/8",
                                      "2001:db8::1/32", "2001:db8::/129", "example.com", "10.0.0.0/255.0.0.0", "10.0.0.0 /8", "[::1]", "fe80::%eth0/64", "UNIX"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    dl_trusted trusted = {0};
    const char *problem = dl_trusted_add(&trusted, dl_str_of(wrong[i]));
    if (!problem || !strstr(problem, "write ")) fail_msg("%s: %s", wrong[i], problem ? problem : "taken");
  }
}

static void a_list_names_what_is_wrong_in_it(void **state) {
  (void)state;
  dl_trusted trusted = {0};
  dl_str wrong;
  assert_null(dl_trusted_add_list(&trusted, DL_STR("10.0.0.0/8, unix ,2001:db8::/32"), &wrong));
  assert_int_equal(trusted.count, 2);
  assert_true(trusted.unix_sockets);
  assert_non_null(dl_trusted_add_list(&trusted, DL_STR("10.0.0.0/8,somewhere,::1"), &wrong));
  assert_str(wrong, "somewhere");
  assert_non_null(dl_trusted_add_list(&trusted, DL_STR("10.0.0.0/8,"), &wrong));
  assert_str(wrong, "");
}

static void a_list_has_an_end(void **state) {
  (void)state;
  dl_trusted trusted = {0};
  for (int i = 0; i < DL_TRUSTED_MAX; i++) assert_null(dl_trusted_add(&trusted, DL_STR("10.0.0.0/8")));
  assert_non_null(dl_trusted_add(&trusted, DL_STR("10.0.0.0/8")));
  assert_int_equal(trusted.count, DL_TRUSTED_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_read_and_written_as_they_are_known),
      cmocka_unit_test(what_is_no_address_is_not_read),
      cmocka_unit_test(networks_hold_their_own_and_nobody_else),
      cmocka_unit_test(nobody_is_trusted_who_was_not_named),
      cmocka_unit_test(everybody_is_no_proxy),
      cmocka_unit_test(what_is_no_network_is_told),
      cmocka_unit_test(a_list_names_what_is_wrong_in_it),
      cmocka_unit_test(a_list_has_an_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
