/* SPDX-License-Identifier: MIT */
#include "bridge/string_hash.h"

#include "base/hash.h"
#include "base/memory.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>

typedef uint32_t string_hash(uint64_t seed, const char *bytes, uint32_t length);

/* LuaJIT's variable, which all its states use. Where its processor has no CRC-32 there is
 * none, and its hash is one that knows when it is attacked. */
extern string_hash *hash_sparse __attribute__((weak));

static string_hash *hash_of_others;

/* Seeds of our states. LuaJIT draws one for each state, and they are all that a hash is
 * told of whose text it is for. Places are never given back, but used again. */
typedef struct seed_place {
  _Atomic uint64_t seed; /* 0: free; a state whose seed that is has LuaJIT's hash */
  struct seed_place *next;
} seed_place;

static _Atomic(seed_place *) places;

/* While this thread makes a state of ours: the first text says its seed. */
static _Thread_local bool making;
static _Thread_local uint64_t made_seed;

static seed_place *find(uint64_t seed) {
  seed_place *place = atomic_load_explicit(&places, memory_order_acquire);
  while (place && atomic_load_explicit(&place->seed, memory_order_relaxed) != seed) place = place->next;
  return place;
}

static void remember(uint64_t seed) {
  for (seed_place *place = atomic_load(&places); place; place = place->next) {
    uint64_t none = 0;
    if (atomic_compare_exchange_strong(&place->seed, &none, seed)) return;
  }
  seed_place *added = dl_calloc(1, sizeof *added);
  atomic_init(&added->seed, seed);
  added->next = atomic_load(&places);
  while (!atomic_compare_exchange_weak(&places, &added->next, added)) {}
}

static void forget(uint64_t seed) {
  seed_place *place = seed ? find(seed) : NULL;
  if (place) atomic_store(&place->seed, 0);
}

static uint32_t hash_string(uint64_t seed, const char *bytes, uint32_t length) {
  if (making && !made_seed && seed) remember(made_seed = seed);
  if (!seed || !find(seed)) return hash_of_others(seed, bytes, length);
  const uint64_t key[2] = {seed, 0};
  return (uint32_t)dl_hash_under(key, dl_str_from(bytes, length));
}

/* LuaJIT may be there longer than we, where a program loads and unloads what we are in. */
static void stay_loaded(void) {
  Dl_info info;
  struct link_map *map = NULL;
  bool known = dladdr1((const void *)hash_string, &info, (void **)&map, RTLD_DL_LINKMAP) != 0;
  if (known && map && *map->l_name) dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE); /* the program itself has no name */
}

static void replace_hash(void) {
  if (!&hash_sparse) return;
  stay_loaded();
  hash_of_others = hash_sparse;
  __atomic_store_n(&hash_sparse, hash_string, __ATOMIC_RELEASE);
}

lua_State *dl_keyed_state_new(uint64_t *key) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, replace_hash);
  making = true;
  made_seed = 0;
  lua_State *L = luaL_newstate();
  making = false;
  *key = made_seed;
  if (!L) forget(made_seed);
  return L;
}

void dl_keyed_state_close(lua_State *L, uint64_t key) {
  lua_close(L);
  forget(key);
}
