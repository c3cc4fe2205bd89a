/* SPDX-License-Identifier: MIT */
/* How a state of ours hashes its texts, and that states of others in the process are left alone. */
#include "bridge_world.h"

#include "bridge/string_hash.h"

typedef uint32_t string_hash(uint64_t seed, const char *bytes, uint32_t length);
extern string_hash *hash_sparse __attribute__((weak));

enum { TEXTS = 1024, TEXT_BYTES = 15, FREE_BITS = 4 * TEXT_BYTES };

/* --- texts of one CRC-32 ---------------------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const unsigned char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return crc;
}

/* The lower half of each letter is free. */
static void write_text(uint64_t bits, unsigned char upper_half, unsigned char out[TEXT_BYTES]) {
  for (int i = 0; i < TEXT_BYTES; i++) out[i] = (unsigned char)(upper_half | (bits >> 4 * i & 15));
}

/* What LuaJIT hashes of such a text, but for the seed: its first eight bytes, then its last. */
static uint32_t hash_of_bits(uint64_t bits) {
  unsigned char text[TEXT_BYTES];
  write_text(bits, 0, text);
  return crc32c(crc32c(0, text, 8), text + TEXT_BYTES - 8, 8);
}

/* A CRC is linear: differences that hash to 0, by elimination. Gives how many were found. */
static int find_differences(uint64_t out[FREE_BITS]) {
  uint32_t hashes[32] = {0};
  uint64_t bits_of[32];
  int count = 0;
  for (int i = 0; i < FREE_BITS; i++) {
    uint64_t bits = (uint64_t)1 << i;
    uint32_t hash = hash_of_bits(bits);
    while (hash && hashes[31 - __builtin_clz(hash)]) {
      int top = 31 - __builtin_clz(hash);
      hash ^= hashes[top];
      bits ^= bits_of[top];
    }
    if (!hash) {
      out[count++] = bits;
      continue;
    }
    hashes[31 - __builtin_clz(hash)] = hash;
    bits_of[31 - __builtin_clz(hash)] = bits;
  }
  return count;
}

static void make_texts(unsigned char texts[TEXTS][TEXT_BYTES]) {
  uint64_t differences[FREE_BITS];
  assert_true(find_differences(differences) >= 10);
  for (unsigned i = 0; i < TEXTS; i++) {
    uint64_t bits = 0;
    for (unsigned bit = 0; bit < 10; bit++) bits ^= i >> bit & 1 ? differences[bit] : 0;
    write_text(bits, 0x60, texts[i]);
  }
}

/* --- who is asked for hashes -------------------------------------------------------------- */

static string_hash *asked;
static uint32_t heard[TEXTS];
static size_t heard_count;

static uint32_t overhear(uint64_t seed, const char *bytes, uint32_t length) {
  uint32_t hash = asked(seed, bytes, length);
  if (length == TEXT_BYTES && heard_count < TEXTS) heard[heard_count++] = hash;
  return hash;
}

static int by_value(const void *a, const void *b) { return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : *(const uint32_t *)a > *(const uint32_t *)b; }

/* How many different hashes the state has for the texts. */
static size_t count_hashes(lua_State *L, unsigned char texts[TEXTS][TEXT_BYTES]) {
  size_t different = 1;
  heard_count = 0;
  asked = hash_sparse;
  hash_sparse = overhear;
  for (int i = 0; i < TEXTS; i++) {
    lua_pushlstring(L, (const char *)texts[i], TEXT_BYTES);
    lua_pop(L, 1);
  }
  hash_sparse = asked;
  assert_int_equal(heard_count, TEXTS);
  qsort(heard, TEXTS, sizeof *heard, by_value);
  for (int i = 1; i < TEXTS; i++) different += heard[i] != heard[i - 1];
  return different;
}

/* --- tests ---------------------------------------------------------------------------------- */

/* Elsewhere LuaJIT has another hash, and there is nothing to be kept from. A LuaJIT that
 * does not let its variable be found any more would take the CRC behind our back. */
static bool has_crc(void) {
#ifdef __x86_64__
  if (!__builtin_cpu_supports("sse4.2")) return false;
  assert_non_null(&hash_sparse);
  return true;
#else
  return false;
#endif
}

static void texts_of_one_crc_are_far_apart_in_our_states(void **state) {
  bridge_world *world = *state;
  static unsigned char texts[TEXTS][TEXT_BYTES];
  if (!has_crc()) skip();
  make_texts(texts);
  assert_true(count_hashes(dl_lua_state(world->lua), texts) > TEXTS - 8);
  run(world, "assert(({ long_name_of_a_field_1 = 1 })[('long_name_of_a_field_%d'):format(1)])");
}

static void states_of_others_keep_their_hashes(void **state) {
  (void)state;
  static unsigned char texts[TEXTS][TEXT_BYTES];
  uint64_t key, next_key;
  if (!has_crc()) skip();
  make_texts(texts);
  lua_State *before = luaL_newstate(), *ours = dl_keyed_state_new(&key), *after = luaL_newstate();
  assert_int_equal(count_hashes(before, texts), 1);
  assert_int_equal(count_hashes(after, texts), 1);
  lua_State *next = dl_keyed_state_new(&next_key);
  assert_true(count_hashes(ours, texts) > TEXTS - 8);
  assert_true(key != next_key);
  dl_keyed_state_close(ours, key);
  assert_true(count_hashes(next, texts) > TEXTS - 8);
  dl_keyed_state_close(next, next_key);
  lua_close(before);
  lua_close(after);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(texts_of_one_crc_are_far_apart_in_our_states, open_world, close_world),
      cmocka_unit_test(states_of_others_keep_their_hashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
