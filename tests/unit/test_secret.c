/* SPDX-License-Identifier: MIT */
/* Secrets in C and as Lua holds them: redacted, compared in constant time, wiped. */
#include "unit.h"

#include "bridge/bridge.h"
#include "crypto/secret.h"
#include "model/secret_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static bool equal(const char *presented, const char *kept) { return dl_crypto_equal(presented, strlen(presented), kept, strlen(kept)); }

static void equality_is_exact(void **state) {
  (void)state;
  assert_true(equal("", ""));
  assert_true(equal("a", "a"));
  assert_true(equal("correct horse battery staple", "correct horse battery staple"));
  assert_false(equal("a", "b"));
  assert_false(equal("a", ""));
  assert_false(equal("", "a"));
  assert_false(equal("aa", "a"));
  assert_false(equal("a", "aa"));
  assert_false(dl_crypto_equal("\0", 1, NULL, 0));
  assert_false(dl_crypto_equal("a\0", 2, "a", 1));
  assert_true(dl_crypto_equal("a\0b", 3, "a\0b", 3));
}

static void equality_sees_every_bit(void **state) {
  (void)state;
  unsigned char a[64], b[64];
  for (size_t i = 0; i < sizeof(a); i++) a[i] = b[i] = (unsigned char)(i * 37);
  for (size_t bit = 0; bit < sizeof(a) * 8; bit++) {
    b[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    assert_false(dl_crypto_equal(a, sizeof(a), b, sizeof(b)));
    b[bit / 8] ^= (unsigned char)(1u << (bit % 8));
  }
  assert_true(dl_crypto_equal(a, sizeof(a), b, sizeof(b)));
}

static void secrets_lie_in_their_own_pages(void **state) {
  (void)state;
  dl_secret_memory memory = dl_secret_memory_init();
  assert_true(memory == DL_SECRET_MEMORY_LOCKED || memory == DL_SECRET_MEMORY_UNLOCKED);
  char *secret = dl_secret_new(DL_STR("hunter2"));
  assert_memory_equal(secret, "hunter2", 7);
  assert_true(CRYPTO_secure_allocated(secret));
  dl_secret_free(secret, 7);
  char *empty = dl_secret_new((dl_str){0});
  assert_non_null(empty);
  dl_secret_free(empty, 0);
}

static void secrets_go_on_when_their_pages_are_full(void **state) {
  (void)state;
  static const char filler[4096] = {'x'};
  enum { COUNT = 100 };
  char *secrets[COUNT];
  size_t outside = 0;
  for (size_t i = 0; i < COUNT; i++) {
    secrets[i] = dl_secret_new(dl_str_from(filler, sizeof(filler)));
    assert_memory_equal(secrets[i], filler, sizeof(filler));
    if (!CRYPTO_secure_allocated(secrets[i])) outside++;
  }
  assert_true(outside > 0);
  for (size_t i = 0; i < COUNT; i++) dl_secret_free(secrets[i], sizeof(filler));
  char *again = dl_secret_new(dl_str_from(filler, sizeof(filler)));
  assert_true(CRYPTO_secure_allocated(again));
  dl_secret_free(again, sizeof(filler));
}

static void secrets_leave_openssl_its_part_of_the_pages(void **state) {
  (void)state;
  static const char filler[131072] = {'x'};
  enum { COUNT = 4000 };
  static char *secrets[COUNT];
  static size_t sizes[COUNT];
  /* Large ones and small ones, and every second let go, so that what is free lies in pieces. */
  for (size_t i = 0; i < COUNT; i++) {
    sizes[i] = i < 16 ? sizeof(filler) >> i : (size_t)1 << i % 7;
    secrets[i] = dl_secret_new(dl_str_from(filler, sizes[i]));
  }
  for (size_t i = 0; i < COUNT; i += 2) dl_secret_free(secrets[i], sizes[i]);
  static void *keys[1000];
  for (size_t i = 0; i < 1000; i++) {
    keys[i] = OPENSSL_secure_malloc(i % 2 ? 32 : 1024);
    assert_non_null(keys[i]);
  }
  for (size_t i = 0; i < 1000; i++) OPENSSL_secure_free(keys[i]);
  for (size_t i = 1; i < COUNT; i += 2) dl_secret_free(secrets[i], sizes[i]);
  char *again = dl_secret_new(dl_str_from(filler, sizeof(filler)));
  assert_true(CRYPTO_secure_allocated(again)); /* the share is as it was */
  dl_secret_free(again, sizeof(filler));
}

static void a_secret_larger_than_its_pages_is_kept_all_the_same(void **state) {
  (void)state;
  size_t size = 300000;
  char *filler = malloc(size);
  memset(filler, 'x', size);
  char *secret = dl_secret_new(dl_str_from(filler, size));
  assert_false(CRYPTO_secure_allocated(secret));
  assert_memory_equal(secret, filler, size);
  dl_secret_free(secret, size);
  free(filler);
}

static lua_State *new_lua(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_newtable(L);
  dl_bridge_secret(L);
  assert_int_equal(lua_gettop(L), 1);
  lua_setglobal(L, "core");
  return L;
}

/* Runs a chunk that must give true. */
static void assert_lua(lua_State *L, const char *chunk) {
  if (luaL_dostring(L, chunk)) fail_msg("%s\n%s", lua_tostring(L, -1), chunk);
  if (!lua_toboolean(L, -1)) fail_msg("not true: %s", chunk);
  lua_settop(L, 0);
}

static void lua_sees_no_bytes(void **state) {
  (void)state;
  lua_State *L = new_lua();
  assert_lua(L, "s = core.secret('hunter2'); return tostring(s) == 'secret(redacted)'");
  assert_lua(L, "return string.format('%s', s) == 'secret(redacted)'");
  assert_lua(L, "return type(s) == 'userdata' and getmetatable(s) == 'demilune.secret'");
  assert_lua(L, "return not pcall(setmetatable, s, {})");
  assert_lua(L, "return not pcall(function() return s .. '' end)");
  assert_lua(L, "return not pcall(function() s.equal = print end)");
  assert_lua(L, "return not pcall(function() for k in pairs(s) do end end)");
  assert_lua(L, "return s.bytes == nil and s.__gc == nil");
  assert_lua(L, "return core.secret_reveal(s) == 'hunter2'");
  assert_lua(L, "return core.secret_reveal(core.secret('a\\0b')) == 'a\\0b'");
  assert_lua(L, "return not pcall(core.secret_reveal, 'hunter2') and not pcall(core.secret, 5) and not pcall(core.secret)");
  lua_close(L);
}

static void lua_compares_secrets(void **state) {
  (void)state;
  lua_State *L = new_lua();
  assert_lua(L, "a, b, c = core.secret('x1'), core.secret('x1'), core.secret('x2'); return a == b and a ~= c and a ~= 'x1'");
  assert_lua(L, "return a:equal(b) and not a:equal(c) and a:equal('x1') and not a:equal('x') and not a:equal('')");
  assert_lua(L, "return a:length() == 2 and core.secret(''):length() == 0 and core.secret(''):equal('')");
  assert_lua(L, "return not pcall(a.equal, a) and not pcall(a.equal, 'x1', 'x1') and not pcall(a.length, {})");
  assert_lua(L, "return not pcall(a.equal, io.stdout, 'x1')");
  lua_close(L);
}

static void c_takes_a_secret_from_lua(void **state) {
  (void)state;
  lua_State *L = new_lua();
  dl_secret_push(L, DL_STR("key"));
  dl_str bytes;
  assert_true(dl_secret_get(L, -1, &bytes));
  assert_str(bytes, "key");
  assert_true(dl_secret_get(L, 1, NULL));
  lua_pushliteral(L, "key");
  assert_false(dl_secret_get(L, -1, &bytes));
  lua_newuserdata(L, 64);
  assert_false(dl_secret_get(L, -1, &bytes));
  luaL_newmetatable(L, "other");
  lua_setmetatable(L, -2);
  assert_false(dl_secret_get(L, -1, &bytes));
  assert_int_equal(lua_gettop(L), 3);
  lua_close(L);
}

static void collection_wipes_the_bytes(void **state) {
  (void)state;
  lua_State *L = new_lua();
  dl_secret_push(L, DL_STR("a secret that must not stay"));
  dl_str bytes;
  assert_true(dl_secret_get(L, -1, &bytes));
  assert_true(CRYPTO_secure_allocated(bytes.ptr));
  size_t used = CRYPTO_secure_used();
  const volatile char *was = bytes.ptr;
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
  assert_true(CRYPTO_secure_used() < used);
  /* The pages stay mapped; the allocator's free list uses the first bytes. */
  for (size_t i = 16; i < bytes.len; i++) assert_int_equal(was[i], 0);
  lua_close(L);
}

static void large_ones_are_collected_as_what_they_are(void **state) {
  (void)state;
  lua_State *L = new_lua();
  assert_lua(L, "text = ('x'):rep(1000000); return core.secret(text):length() == 1000000");
  size_t before = mallinfo2().hblkhd;
  assert_lua(L, "for _ = 1, 200 do core.secret(text) end return true");
  size_t after = mallinfo2().hblkhd;
  assert_true(after < before + 20000000);
  lua_close(L);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equality_is_exact),
      cmocka_unit_test(equality_sees_every_bit),
      cmocka_unit_test(secrets_lie_in_their_own_pages),
      cmocka_unit_test(secrets_go_on_when_their_pages_are_full),
      cmocka_unit_test(secrets_leave_openssl_its_part_of_the_pages),
      cmocka_unit_test(a_secret_larger_than_its_pages_is_kept_all_the_same),
      cmocka_unit_test(lua_sees_no_bytes),
      cmocka_unit_test(lua_compares_secrets),
      cmocka_unit_test(c_takes_a_secret_from_lua),
      cmocka_unit_test(large_ones_are_collected_as_what_they_are),
      cmocka_unit_test(collection_wipes_the_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
