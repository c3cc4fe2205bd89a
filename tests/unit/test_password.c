/* SPDX-License-Identifier: MIT */
/* Argon2id passwords: known strings, limits, rehashing. Costs are low to be quick. */
#include "unit.h"

#include "crypto/password.h"

#include <stdlib.h>

static const dl_password_cost quick = {64, 1, 1};

static void a_password_matches_its_own_hash_only(void **state) {
  (void)state;
  char text[DL_PASSWORD_TEXT], again[DL_PASSWORD_TEXT];
  assert_int_equal(dl_password_hash(DL_STR("correct horse"), &quick, text), DL_PASSWORD_OK);
  assert_int_equal(strncmp(text, "$argon2id$v=19$m=64,t=1,p=1$", 28), 0);
  assert_int_equal(dl_password_verify(dl_str_of(text), DL_STR("correct horse")), DL_PASSWORD_OK);
  assert_int_equal(dl_password_verify(dl_str_of(text), DL_STR("correct horsf")), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_verify(dl_str_of(text), DL_STR("")), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_verify(dl_str_of(text), DL_STR("correct horse\0")), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_hash(DL_STR("correct horse"), &quick, again), DL_PASSWORD_OK);
  assert_string_not_equal(text, again);
}

static void every_bit_of_the_tag_counts(void **state) {
  (void)state;
  char text[DL_PASSWORD_TEXT];
  assert_int_equal(dl_password_hash(DL_STR("x"), &quick, text), DL_PASSWORD_OK);
  size_t tag = (size_t)(strrchr(text, '$') - text) + 1, length = strlen(text);
  for (size_t i = tag; i < length; i++) {
    char was = text[i];
    text[i] = was == 'A' ? 'E' : 'A';
    assert_int_equal(dl_password_verify(dl_str_of(text), DL_STR("x")), DL_PASSWORD_WRONG);
    text[i] = was;
  }
}

/* Made by the reference implementation's command: printf PASSWORD | argon2 SALT -id
 * -m LOG2 -t PASSES -p LANES -l TAG -e */
static void strings_of_the_reference_implementation_verify(void **state) {
  (void)state;
  static const struct {
    const char *text, *password;
  } cases[] = {
      {"$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$FqGkmHNGCd0BRW2kBt6fPZ2pPmyGwwChL8FGUhTOSSI", "password"},
      {"$argon2id$v=19$m=1024,t=3,p=4$YS1sb25nZXItc2FsdC1vZi1ieXRlcw$P1p9+pwtOMWcE7DLLMlu5vYqxKNggoTs", "p@ss w\xc3\xb6rd"},
      {"$argon2id$v=19$m=256,t=1,p=2$c2FsdHNhbHQ$pBmw64XI5nboBX+JJayX+8WF/GDZ2TbR1Ht5Z3zxzCdVWVdN2drBJzvakWkvimPFXqcp66xd0phEwVjPRcBzmA", "x"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    assert_int_equal(dl_password_verify(dl_str_of(cases[i].text), dl_str_of(cases[i].password)), DL_PASSWORD_OK);
    assert_int_equal(dl_password_verify(dl_str_of(cases[i].text), DL_STR("wrong")), DL_PASSWORD_WRONG);
  }
}

static void malformed_strings_are_told_from_wrong_passwords(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "x",
      "$argon2id$",
      "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2d$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=064,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=4294967296,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=65,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=17$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64x,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64",
      "$argon2id$v=19$m=64,t=1",
      "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ=$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAB",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA$",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA ",
      "$argon2id$v=19$m=64,t=1,p=1,data=x$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=x,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64,t=1,p=$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=64",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    char *copy = malloc(strlen(texts[i]) + !*texts[i]);
    memcpy(copy, texts[i], strlen(texts[i]));
    dl_str text = dl_str_from(copy, strlen(texts[i]));
    if (dl_password_verify(text, DL_STR("x")) != DL_PASSWORD_MALFORMED) fail_msg("taken: %s", texts[i]);
    assert_true(dl_password_outdated(text, &quick));
    free(copy);
  }
  assert_int_equal(dl_password_verify(DL_STR("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"), DL_STR("x")), DL_PASSWORD_WRONG);
}

static void another_cost_asks_for_a_rehash(void **state) {
  (void)state;
  char text[DL_PASSWORD_TEXT];
  assert_int_equal(dl_password_hash(DL_STR("x"), &quick, text), DL_PASSWORD_OK);
  assert_false(dl_password_outdated(dl_str_of(text), &quick));
  assert_true(dl_password_outdated(dl_str_of(text), &DL_PASSWORD_COST));
  assert_true(dl_password_outdated(dl_str_of(text), &(dl_password_cost){64, 2, 1}));
  assert_true(dl_password_outdated(DL_STR("$argon2id$v=19$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &quick));
  /* A salt or a digest of fewer bytes than ours, at the same cost. */
  assert_true(dl_password_outdated(DL_STR("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"), &quick));
  assert_true(dl_password_outdated(DL_STR("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"), &quick));
  assert_true(dl_password_outdated(dl_str_of(text), &(dl_password_cost){64, 1, 2}));
}

static void costs_and_lengths_are_bounded(void **state) {
  (void)state;
  char text[DL_PASSWORD_TEXT], *long_password = calloc(1, DL_PASSWORD_LENGTH_MAX + 1);
  static const dl_password_cost bad[] = {{7, 1, 1}, {64, 0, 1}, {64, 65, 1}, {64, 1, 0}, {1024, 1, 17}, {15, 1, 2}, {4194305, 1, 1}};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(dl_password_hash(DL_STR("x"), &bad[i], text), DL_PASSWORD_FAILED);
    assert_int_equal(dl_password_verify_nobody(DL_STR("x"), &bad[i]), DL_PASSWORD_FAILED);
  }
  memset(long_password, 'p', DL_PASSWORD_LENGTH_MAX + 1);
  assert_int_equal(dl_password_hash(dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX), &quick, text), DL_PASSWORD_OK);
  assert_int_equal(dl_password_verify(dl_str_of(text), dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX)), DL_PASSWORD_OK);
  assert_int_equal(dl_password_verify(dl_str_of(text), dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX + 1)), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_hash(dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX + 1), &quick, text), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_verify_nobody(DL_STR("x"), &quick), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_verify_nobody(dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX + 1), &quick), DL_PASSWORD_WRONG);
  /* Of one that is too long nothing is computed: not even where somebody else's program made a string of it, and for nobody as for somebody,
   * since the time taken would tell them apart. */
  static const char of_long[] = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$y12YrXri/jlpLpF1DBeiW4vOhPYudvBsDlJPMiG140A";
  assert_int_equal(dl_password_verify(DL_STR(of_long), dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX + 1)), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_verify_nobody(dl_str_from(long_password, DL_PASSWORD_LENGTH_MAX + 1), &bad[0]), DL_PASSWORD_WRONG);
  assert_int_equal(dl_password_hash(DL_STR(""), &(dl_password_cost){4096, 1, 16}, text), DL_PASSWORD_OK);
  assert_true(strlen(text) < DL_PASSWORD_TEXT);
  free(long_password);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_password_matches_its_own_hash_only),
      cmocka_unit_test(every_bit_of_the_tag_counts),
      cmocka_unit_test(strings_of_the_reference_implementation_verify),
      cmocka_unit_test(malformed_strings_are_told_from_wrong_passwords),
      cmocka_unit_test(another_cost_asks_for_a_rehash),
      cmocka_unit_test(costs_and_lengths_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
