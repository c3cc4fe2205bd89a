/* SPDX-License-Identifier: MIT */
/* Files of TLS: what is taken, what is refused with which sentence, who is served by which certificate. */
#include "tls_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char message[DL_TLS_MESSAGE_BYTES];

static void assert_says(const char *text) {
  if (!strstr(message, text)) fail_msg("\"%s\" does not say \"%s\"", message, text);
}

static void assert_refused(dl_tls_material *material, const char *text) {
  message[0] = 0;
  assert_null(dl_tls_context_new(material, NULL, NULL, message));
  assert_says(text);
  dl_tls_material_free(material);
}

/* --- files ------------------------------------------------------------------------ */

static char folder[] = "/tmp/demilune-tls-XXXXXX";

static const char *write_file(const char *name, const char *bytes, size_t len, mode_t mode) {
  static char paths[8][128];
  static size_t next;
  char *path = paths[next++ % 8];
  snprintf(path, 128, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fwrite(bytes, 1, len, file);
  fclose(file);
  chmod(path, mode);
  return path;
}

static bool read_pair(const char *certificate, const char *key, dl_tls_material *material, dl_log *log) {
  const char *certificates[] = {certificate, NULL}, *keys[] = {key, NULL};
  return dl_tls_material_read(&(dl_tls_files){certificates, keys, NULL, NULL}, material, log, message);
}

static void names_the_file_that_cannot_be_read(void **state) {
  dl_tls_material material;
  (void)state;
  assert_false(read_pair("/nowhere/a.pem", "/nowhere/a.key", &material, NULL));
  assert_says("cannot read the certificate /nowhere/a.pem: No such file");
  const char *some = write_file("some", "x", 1, 0600);
  assert_false(read_pair(some, folder, &material, NULL));
  assert_says("cannot read the key /tmp/demilune-tls-");
  assert_says("Is a directory");
  assert_false(read_pair(some, write_file("empty", "", 0, 0600), &material, NULL));
  assert_says("empty: it is empty");
  assert_false(read_pair(some, NULL, &material, NULL));
  assert_says("one key for each certificate");
}

static void refuses_a_file_that_is_too_large(void **state) {
  dl_tls_material material;
  (void)state;
  char *bytes = dl_calloc(1, DL_TLS_FILE_BYTES_MAX + 1);
  assert_false(read_pair(write_file("large", bytes, DL_TLS_FILE_BYTES_MAX + 1, 0600), "x", &material, NULL));
  assert_says("more than a mebibyte");
  dl_free(bytes);
}

static void warns_of_a_key_that_everybody_may_read(void **state) {
  dl_tls_material material;
  dl_clock clock = {0};
  dl_log log;
  (void)state;
  const char *certificate = write_file("certificate", "c", 1, 0644), *key = write_file("key", "k", 1, 0644);
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  dl_log_init(&log, pipes[1], DL_LOG_TEXT, DL_LOG_INFO, &clock);
  assert_true(read_pair(certificate, key, &material, &log));
  dl_log_flush(&log);
  char text[512] = "";
  assert_true(read(pipes[0], text, sizeof text - 1) > 0);
  assert_non_null(strstr(text, "can read the key"));
  assert_null(strstr(text, "certificate\n"));
  dl_tls_material_free(&material);
  dl_log_free(&log);
  close(pipes[0]);
  close(pipes[1]);
}

/* --- what is in them ------------------------------------------------------------------ */

static void refuses_what_is_no_certificate(void **state) {
  test_identity one = test_identify((test_subject){.common_name = "one"});
  dl_tls_material material = {.pair_count = 1};
  (void)state;
  material.certificates[0] = test_file("a.pem", "hello", 5);
  material.keys[0] = test_key_pem("a.key", one.key, NULL);
  assert_refused(&material, "the certificate a.pem: there is no certificate in it");
  material = (dl_tls_material){0};
  test_add(&material, &one, "b.pem", "b.key");
  material.certificates[0].len /= 2;
  assert_refused(&material, "the certificate b.pem: certificate 1 in it cannot be read");
  assert_refused(&(dl_tls_material){0}, "TLS needs a certificate");
  test_forget(&one);
}

static void refuses_keys_that_cannot_serve(void **state) {
  test_identity one = test_identify((test_subject){.common_name = "one"}), other = test_identify((test_subject){.common_name = "other"});
  dl_tls_material material = {0};
  (void)state;
  test_add(&material, &one, "a.pem", "a.key");
  dl_tls_file own = material.keys[0];
  material.keys[0] = test_key_pem("other.key", other.key, NULL);
  assert_refused(&material, "the key other.key does not belong to the certificate a.pem");
  test_add(&material, &one, "a.pem", "a.key");
  dl_tls_file second = material.keys[0];
  material.keys[0] = test_key_pem("locked.key", one.key, "secret");
  assert_refused(&material, "the key locked.key is encrypted");
  test_add(&material, &one, "a.pem", "a.key");
  dl_tls_file third = material.keys[0];
  material.keys[0] = test_file("c.key", "-----BEGIN NOTHING-----", 20);
  assert_refused(&material, "the key c.key: there is no private key in it");
  dl_tls_file *owned[] = {&own, &second, &third};
  for (int i = 0; i < 3; i++) {
    dl_free(owned[i]->name);
    dl_free(owned[i]->bytes);
  }
  EVP_PKEY *small = EVP_RSA_gen(1024);
  EVP_PKEY_free(one.key);
  one.key = small;
  X509_set_pubkey(one.certificate, small);
  X509_sign(one.certificate, small, EVP_sha256());
  test_add(&material, &one, "small.pem", "small.key");
  assert_refused(&material, "the key small.key has 1024 bits");
  test_forget(&one);
  test_forget(&other);
}

static void refuses_client_authorities_that_are_none(void **state) {
  test_identity one = test_identify((test_subject){.common_name = "one"});
  test_identity bound = test_identify((test_subject){.common_name = "leaf", .names = "DNS:leaf"});
  (void)state;
  test_extension(bound.certificate, bound.certificate, NID_basic_constraints, "critical,CA:FALSE");
  dl_tls_material material = {0};
  test_add(&material, &one, "a.pem", "a.key");
  material.client_ca = test_file("ca.pem", "nothing", 7);
  assert_refused(&material, "the client CA ca.pem: there is no certificate in it");
  test_add(&material, &one, "a.pem", "a.key");
  material.client_ca = test_pem("ca.pem", bound.certificate, NULL);
  assert_refused(&material, "the client CA ca.pem: certificate 1 in it is no CA's");
  test_forget(&one);
  test_forget(&bound);
}

static void refuses_staples_of_other_certificates(void **state) {
  test_identity one = test_identify((test_subject){.common_name = "one"});
  dl_tls_material material = {.staple_count = 1};
  (void)state;
  test_add(&material, &one, "a.pem", "a.key");
  material.staples[0] = test_file("a.ocsp", "no DER", 6);
  assert_refused(&material, "the OCSP response a.ocsp cannot be read");
  test_forget(&one);
}

/* --- names ------------------------------------------------------------------------------ */

static void serves_each_name_by_its_certificates(void **state) {
  test_identity first = test_identify((test_subject){.common_name = "ignored.example", .names = "DNS:example.com,DNS:WWW.example.com"});
  test_identity wild = test_identify((test_subject){.common_name = "x", .names = "DNS:*.example.com"});
  test_identity rsa = test_identify((test_subject){.common_name = "x", .names = "DNS:example.com,DNS:rsa.example.com", .rsa = true});
  test_identity named = test_identify((test_subject){.common_name = "named.example"});
  test_identity address = test_identify((test_subject){.common_name = "x", .names = "IP:127.0.0.1,IP:::1"});
  dl_tls_material material = {0};
  (void)state;
  test_add(&material, &first, "first", "k");
  test_add(&material, &wild, "wild", "k");
  test_add(&material, &rsa, "rsa", "k");
  test_add(&material, &named, "named", "k");
  test_add(&material, &address, "address", "k");
  dl_tls_context *context = dl_tls_context_new(&material, NULL, NULL, message);
  dl_tls_material_free(&material);
  if (!context) fail_msg("%s", message);
  static const struct {
    const char *name;
    int ec, rsa;
  } rows[] = {{"", 0, 2},           {"example.com", 0, 2},      {"EXAMPLE.com", 0, 2}, {"example.com.", 0, 2},  {"www.example.com", 0, -1},
              {"a.example.com", 1, -1}, {"rsa.example.com", 1, 2}, {"a.b.example.com", 0, 2}, {"named.example", 3, -1}, {"other.example", 0, 2},
              {"ignored.example", 0, 2}, {".example.com", 0, 2}, {".", 0, 2}, {"*.example.com", 1, -1}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const dl_tls_choice *choice = dl_tls_hosts_find(context, dl_str_of(rows[i].name));
    if (choice->certificate[DL_TLS_KEY_EC] != rows[i].ec || choice->certificate[DL_TLS_KEY_RSA] != rows[i].rsa)
      fail_msg("%s is served by %d and %d", rows[i].name, choice->certificate[DL_TLS_KEY_EC], choice->certificate[DL_TLS_KEY_RSA]);
  }
  char endless[300];
  memset(endless, 'a', sizeof endless);
  assert_ptr_equal(dl_tls_hosts_find(context, dl_str_from(endless, sizeof endless)), &context->choices[0]);
  assert_true(dl_tls_context_covers(context, DL_STR("q.example.com")));
  assert_true(dl_tls_context_covers(context, DL_STR("127.0.0.1")));
  assert_true(dl_tls_context_covers(context, DL_STR("[::1]")));
  assert_false(dl_tls_context_covers(context, DL_STR("[::2]")));
  assert_false(dl_tls_context_covers(context, DL_STR("evil.example")));
  assert_false(dl_tls_context_covers(context, DL_STR("")));
  assert_false(dl_tls_context_covers(context, DL_STR("a.b.example.com")));
  dl_tls_context_drop(context);
  test_identity *all[] = {&first, &wild, &rsa, &named, &address};
  for (int i = 0; i < 5; i++) test_forget(all[i]);
}

/* --- handing on -------------------------------------------------------------------------- */

static dl_tls_material some_material(const test_identity *one, const test_identity *two) {
  dl_tls_material material = {.staple_count = 1};
  test_add(&material, one, "one.pem", "one.key");
  test_add(&material, two, "two.pem", "two.key");
  material.staples[0] = test_file("one.ocsp", "staple", 6);
  material.client_ca = test_pem("ca.pem", one->certificate, NULL);
  return material;
}

static void hands_on_all_its_files(void **state) {
  test_identity one = test_identify((test_subject){.common_name = "one"}), two = test_identify((test_subject){.common_name = "two"});
  dl_tls_material material = some_material(&one, &two), got;
  (void)state;
  int fd = dl_tls_material_pack(&material);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "x", 1), -1); /* sealed */
  assert_true(dl_tls_material_unpack(fd, &got));
  assert_int_equal(got.pair_count, 2);
  assert_string_equal(got.keys[1].name, "two.key");
  assert_int_equal(got.keys[1].len, material.keys[1].len);
  assert_memory_equal(got.keys[1].bytes, material.keys[1].bytes, got.keys[1].len);
  assert_memory_equal(got.staples[0].bytes, "staple", 6);
  assert_string_equal(got.client_ca.name, "ca.pem");
  dl_tls_material_free(&got);
  dl_tls_material_free(&material);
  close(fd);
  test_forget(&one);
  test_forget(&two);
}

static void takes_nothing_that_is_not_whole(void **state) {
  test_identity one = test_identify((test_subject){.common_name = "one"}), two = test_identify((test_subject){.common_name = "two"});
  dl_tls_material material = some_material(&one, &two), got;
  char bytes[16384];
  (void)state;
  int fd = dl_tls_material_pack(&material);
  ssize_t len = pread(fd, bytes, sizeof bytes, 0);
  assert_true(len > 0 && (size_t)len < sizeof bytes);
  for (ssize_t cut = 0; cut < len; cut++) {
    int part = memfd_create("part", MFD_CLOEXEC);
    assert_int_equal(write(part, bytes, (size_t)cut), cut);
    assert_false(dl_tls_material_unpack(part, &got));
    assert_int_equal(got.pair_count, 0);
    close(part);
  }
  assert_false(dl_tls_material_unpack(-1, &got));
  dl_tls_material_free(&material);
  close(fd);
  test_forget(&one);
  test_forget(&two);
}

/* --- ticket keys -------------------------------------------------------------------------- */

static void forgets_a_ticket_key_after_two_periods(void **state) {
  dl_tls_ticket_keys keys = {0};
  dl_tls_ticket_key first, found;
  (void)state;
  assert_false(dl_tls_ticket_keys_current(&keys, &first));
  assert_false(dl_tls_ticket_keys_find(&keys, (const unsigned char[16]){0}, &found)); /* what was never made opens nothing */
  assert_true(dl_tls_ticket_keys_rotate(&keys));
  assert_true(dl_tls_ticket_keys_current(&keys, &first));
  assert_false(dl_tls_ticket_keys_find(&keys, (const unsigned char[16]){0}, &found));
  assert_true(dl_tls_ticket_keys_rotate(&keys));
  assert_true(dl_tls_ticket_keys_find(&keys, first.name, &found));
  assert_memory_equal(&found, &first, sizeof first);
  assert_true(dl_tls_ticket_keys_current(&keys, &found));
  assert_memory_not_equal(&found, &first, sizeof first);
  assert_true(dl_tls_ticket_keys_rotate(&keys));
  assert_false(dl_tls_ticket_keys_find(&keys, first.name, &found));
  assert_null(memmem(&keys, sizeof keys, first.cipher, sizeof first.cipher));
  for (int i = 0; i < 20; i++) {
    assert_true(dl_tls_ticket_keys_current(&keys, &first));
    assert_true(dl_tls_ticket_keys_rotate(&keys));
    assert_true(dl_tls_ticket_keys_find(&keys, first.name, &found));
  }
}

static void starts_over_when_the_count_of_turns_ends(void **state) {
  dl_tls_ticket_keys keys = {0};
  dl_tls_ticket_key before, found;
  (void)state;
  dl_tls_ticket_keys_rotate(&keys);
  atomic_store(&keys.turn, UINT32_MAX - 3); /* in step with the first slot but two */
  for (int i = 0; i < 8; i++) {
    dl_tls_ticket_keys_rotate(&keys);
    assert_true(dl_tls_ticket_keys_current(&keys, &before));
    dl_tls_ticket_keys_rotate(&keys);
    assert_true(dl_tls_ticket_keys_find(&keys, before.name, &found));
  }
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  static const char *const names[] = {"some", "empty", "large", "certificate", "key"};
  char path[128];
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_the_file_that_cannot_be_read),      cmocka_unit_test(refuses_a_file_that_is_too_large),
      cmocka_unit_test(warns_of_a_key_that_everybody_may_read),  cmocka_unit_test(refuses_what_is_no_certificate),
      cmocka_unit_test(refuses_keys_that_cannot_serve),          cmocka_unit_test(refuses_client_authorities_that_are_none),
      cmocka_unit_test(refuses_staples_of_other_certificates),   cmocka_unit_test(serves_each_name_by_its_certificates),
      cmocka_unit_test(hands_on_all_its_files),                  cmocka_unit_test(takes_nothing_that_is_not_whole),
      cmocka_unit_test(forgets_a_ticket_key_after_two_periods),  cmocka_unit_test(starts_over_when_the_count_of_turns_ends),
  };
  return cmocka_run_group_tests_name("tls context", tests, make_folder, remove_folder);
}
