/* SPDX-License-Identifier: MIT */
#include "net/client_counts_internal.h"

#include "base/hash.h"
#include "base/memory.h"

#include <sys/mman.h>
#include <sys/random.h>

dl_client_table *dl_client_table_new(size_t rows) {
  uint64_t key[2];
  if (getrandom(key, sizeof key, 0) != sizeof key) return NULL;
  dl_client_row *memory = mmap(NULL, rows * sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  dl_client_table *table = dl_malloc(sizeof *table);
  *table = (dl_client_table){.key = {key[0], key[1]}, .count = rows, .rows = memory};
  return table;
}

/* Only pages that were used are looked at again. */
void dl_client_table_clear(dl_client_table *table, size_t index) {
  dl_client_row *cleared = &table->rows[index];
  if (atomic_exchange(&cleared->all, 0) == 0) return;
  for (size_t i = 0; i < DL_CLIENT_BUCKETS; i++)
    if (atomic_load_explicit(&cleared->buckets[i], memory_order_relaxed)) atomic_store_explicit(&cleared->buckets[i], 0, memory_order_relaxed);
}

void dl_client_table_free(dl_client_table *table) {
  if (table) munmap(table->rows, table->count * sizeof *table->rows);
  dl_free(table);
}

/* --- a worker's row ------------------------------------------------------------------------- */

/* A worker may be killed between any two stores: no bucket ever has one that all has not,
 * or nobody would clear it. */

uint64_t dl_client_counts_hash(const dl_client_counts *counts, dl_str client) {
  uint64_t hash[2];
  dl_hash128(counts->table->key, client, hash);
  return hash[0];
}

static void move(_Atomic uint32_t *number, uint32_t by) {
  atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + by, memory_order_relaxed);
}

uint32_t dl_client_counts_add(dl_client_counts *counts, uint64_t hash) {
  dl_client_table *table = counts->table;
  uint32_t sum = 0;
  move(&table->rows[counts->row].all, 1);
  atomic_signal_fence(memory_order_seq_cst);
  move(&table->rows[counts->row].buckets[hash % DL_CLIENT_BUCKETS], 1);
  for (size_t i = 0; i < table->count; i++) sum += atomic_load_explicit(&table->rows[i].buckets[hash % DL_CLIENT_BUCKETS], memory_order_relaxed);
  return sum;
}

void dl_client_counts_remove(dl_client_counts *counts, uint64_t hash) {
  dl_client_row *own = &counts->table->rows[counts->row];
  move(&own->buckets[hash % DL_CLIENT_BUCKETS], (uint32_t)-1);
  atomic_signal_fence(memory_order_seq_cst);
  move(&own->all, (uint32_t)-1);
}

uint32_t dl_client_counts_all(const dl_client_counts *counts) {
  uint32_t sum = 0;
  for (size_t i = 0; i < counts->table->count; i++) sum += atomic_load_explicit(&counts->table->rows[i].all, memory_order_relaxed);
  return sum;
}
