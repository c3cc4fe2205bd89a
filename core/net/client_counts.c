/* SPDX-License-Identifier: MIT */
#include "net/client_counts.h"

#include "base/hash.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { BUCKETS = 65536 };

typedef struct row {
  _Atomic uint32_t all;
  _Atomic uint32_t buckets[BUCKETS];
} row;

struct dl_client_table {
  uint64_t key[2];
  size_t count;
  row rows[]; /* memory is taken as it is used */
};

static size_t bytes_of(size_t rows) { return sizeof(dl_client_table) + rows * sizeof(row); }

dl_client_table *dl_client_table_new(size_t rows) {
  dl_client_table *table = mmap(NULL, bytes_of(rows), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (table == MAP_FAILED) return NULL;
  table->count = rows;
  if (getrandom(table->key, sizeof table->key, 0) == sizeof table->key) return table;
  munmap(table, bytes_of(rows));
  return NULL;
}

/* Only pages that were used are looked at again. */
void dl_client_table_clear(dl_client_table *table, size_t index) {
  row *cleared = &table->rows[index];
  if (atomic_exchange(&cleared->all, 0) == 0) return;
  for (size_t i = 0; i < BUCKETS; i++)
    if (atomic_load_explicit(&cleared->buckets[i], memory_order_relaxed)) atomic_store_explicit(&cleared->buckets[i], 0, memory_order_relaxed);
}

void dl_client_table_free(dl_client_table *table) {
  if (table) munmap(table, bytes_of(table->count));
}

/* --- a worker's row ------------------------------------------------------------------------- */

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
  move(&table->rows[counts->row].buckets[hash % BUCKETS], 1);
  for (size_t i = 0; i < table->count; i++) sum += atomic_load_explicit(&table->rows[i].buckets[hash % BUCKETS], memory_order_relaxed);
  return sum;
}

void dl_client_counts_remove(dl_client_counts *counts, uint64_t hash) {
  row *own = &counts->table->rows[counts->row];
  move(&own->all, (uint32_t)-1);
  move(&own->buckets[hash % BUCKETS], (uint32_t)-1);
}

uint32_t dl_client_counts_all(const dl_client_counts *counts) {
  uint32_t sum = 0;
  for (size_t i = 0; i < counts->table->count; i++) sum += atomic_load_explicit(&counts->table->rows[i].all, memory_order_relaxed);
  return sum;
}
