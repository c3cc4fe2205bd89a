/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "net/proxy_protocol.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

/* What the header says, and that every shorter piece of it asks for more. */
static dl_proxy_result read_whole(dl_str header, dl_address *client) {
  char bytes[DL_PROXY_HEADER_MAX_BYTES + 16];
  size_t consumed;
  for (size_t length = 0; length < header.len; length++) assert_int_equal(dl_proxy_protocol_read(dl_str_from(header.ptr, length), &consumed, client), DL_PROXY_MORE);
  memcpy(bytes, header.ptr, header.len);
  memcpy(bytes + header.len, "GET / HTTP/1.1\r\n", 16);
  dl_proxy_result result = dl_proxy_protocol_read(dl_str_from(bytes, header.len + 16), &consumed, client);
  assert_int_equal(consumed, header.len);
  assert_int_equal(dl_proxy_protocol_read(header, &consumed, client), result);
  assert_int_equal(consumed, header.len);
  return result;
}

static void expect_client(dl_str header, const char *expected) {
  dl_address client = {0};
  char text[DL_ADDRESS_TEXT_BYTES];
  assert_int_equal(read_whole(header, &client), DL_PROXY_CLIENT);
  dl_address_write(&client, text);
  assert_string_equal(text, expected);
}

static void expect_error(dl_str bytes) {
  dl_address client;
  size_t consumed;
  if (dl_proxy_protocol_read(bytes, &consumed, &client) != DL_PROXY_ERROR) fail_msg("\"%.*s\" was taken", DL_STR_ARGS(bytes));
}

static void text_headers_name_the_client(void **state) {
  (void)state;
  expect_client(DL_STR("PROXY TCP4 192.0.2.43 198.51.100.17 56324 443\r\n"), "192.0.2.43");
  expect_client(DL_STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255");
  expect_client(DL_STR("PROXY TCP6 2001:db8:cafe::17 ::1 0 80\r\n"), "2001:db8:cafe::17");
  expect_client(DL_STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  expect_client(DL_STR("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "192.0.2.1");
}

static void text_headers_may_know_no_client(void **state) {
  (void)state;
  dl_address client;
  assert_int_equal(read_whole(DL_STR("PROXY UNKNOWN\r\n"), &client), DL_PROXY_UNKNOWN);
  assert_int_equal(read_whole(DL_STR("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), &client), DL_PROXY_UNKNOWN);
}

static void text_headers_are_exact(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "GET / HTTP/1.1\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXYTCP4", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4  1\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
      "PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4 ::1 1 1\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY \r\n",
      "PROXY UNKNOWNX\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\rX", "PROXY TCP4\t1.2.3.4", "PROXY UNKNOWN \x01", "PROXY UNKNOWN \xff"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) expect_error(dl_str_of(wrong[i]));
  expect_error(DL_STR("PROXY UNKNOWN \0\r\n"));
}

static void text_headers_end_within_107_bytes(void **state) {
  (void)state;
  char bytes[200];
  dl_address client;
  size_t consumed;
  memset(bytes, 'x', sizeof bytes);
  memcpy(bytes, "PROXY UNKNOWN ", 14);
  memcpy(bytes + 105, "\r\n", 2);
  assert_int_equal(dl_proxy_protocol_read(dl_str_from(bytes, 107), &consumed, &client), DL_PROXY_UNKNOWN);
  memcpy(bytes + 105, "x\r\n", 3);
  assert_int_equal(dl_proxy_protocol_read(dl_str_from(bytes, 106), &consumed, &client), DL_PROXY_MORE);
  assert_int_equal(dl_proxy_protocol_read(dl_str_from(bytes, 107), &consumed, &client), DL_PROXY_ERROR);
  assert_int_equal(dl_proxy_protocol_read(dl_str_from(bytes, 108), &consumed, &client), DL_PROXY_ERROR);
}

static void binary_headers_name_the_client(void **state) {
  (void)state;
  expect_client(DL_STR(V2 "\x21\x11\0\x0c\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01\xbb"), "192.0.2.43");
  expect_client(DL_STR(V2 "\x21\x21\0\x24\x20\x01\x0d\xb8\xca\xfe\0\0\0\0\0\0\0\0\0\x17\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xdc\x04\x01\xbb"), "2001:db8:cafe::17");
  expect_client(DL_STR(V2 "\x21\x11\0\x10\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01\xbb\x04\0\x01x"), "192.0.2.43"); /* a TLV behind it */
  char unix_header[16 + 216] = V2 "\x21\x31\0\xd8/run/client";
  expect_client(dl_str_from(unix_header, sizeof unix_header), "unix");
}

static void binary_headers_may_name_nobody(void **state) {
  (void)state;
  dl_address client;
  assert_int_equal(read_whole(DL_STR(V2 "\x20\0\0\0"), &client), DL_PROXY_SELF);
  assert_int_equal(read_whole(DL_STR(V2 "\x20\x11\0\x0c\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01\xbb"), &client), DL_PROXY_SELF);
  assert_int_equal(read_whole(DL_STR(V2 "\x21\0\0\0"), &client), DL_PROXY_UNKNOWN);
  assert_int_equal(read_whole(DL_STR(V2 "\x21\0\0\x03" "abc"), &client), DL_PROXY_UNKNOWN);
}

static void binary_headers_are_exact(void **state) {
  (void)state;
  expect_error(DL_STR(V2 "\x11\x11\0\x0c\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01\xbb")); /* another version */
  expect_error(DL_STR(V2 "\x22\x11\0\x0c\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01\xbb")); /* another command */
  expect_error(DL_STR(V2 "\x21\x11\0\x0b\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01"));     /* too short for its family */
  expect_error(DL_STR(V2 "\x21\x12\0\x0c\xc0\0\x02\x2b\xc6\x33\x64\x11\xdc\x04\x01\xbb")); /* datagrams */
  expect_error(DL_STR(V2 "\x21\x41\0\0"));
  expect_error(DL_STR(V2 "\x21\x11\x10\x01")); /* longer than we wait for */
  expect_error(DL_STR("\r\n\r\n\0\r\nQUIT\r"));
  expect_error(DL_STR("\r\nGET"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_headers_name_the_client),
      cmocka_unit_test(text_headers_may_know_no_client),
      cmocka_unit_test(text_headers_are_exact),
      cmocka_unit_test(text_headers_end_within_107_bytes),
      cmocka_unit_test(binary_headers_name_the_client),
      cmocka_unit_test(binary_headers_may_name_nobody),
      cmocka_unit_test(binary_headers_are_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
