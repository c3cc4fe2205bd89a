/* SPDX-License-Identifier: MIT */
/*
 * Sealing any bytes as SQL, with SQLite as the oracle: where it takes the text
 * we made of them, it must see one statement, exactly our parameters, and no end
 * of the text that we did not see.
 */
#include "data/statement.h"

#include <sqlite3.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sqlite3 *database(void) {
  static sqlite3 *db;
  if (db) return db;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK) abort();
  if (sqlite3_exec(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b)", NULL, NULL, NULL) != SQLITE_OK) abort();
  return db;
}

static void check(const dl_statement *statement, dl_variant *variant) {
  dl_buffer sql = {0};
  uint32_t *numbers = calloc(statement->parameter_count + 1, sizeof(*numbers));
  uint32_t places = dl_statement_write(statement, variant, &sql, numbers);
  sqlite3_stmt *prepared = NULL;
  const char *tail = NULL;
  dl_buffer_append_char(&sql, '\0');
  if (sqlite3_prepare_v2(database(), sql.data, (int)sql.len, &prepared, &tail) == SQLITE_OK) {
    if (!prepared || *tail != '\0') abort();
    if (sqlite3_bind_parameter_count(prepared) != (int)places) abort();
    sqlite3_finalize(prepared);
  }
  free(numbers);
  dl_buffer_free(&sql);
}

/* The first line is a filter and the rest the statement, when a NUL divides them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_str input = dl_str_from((const char *)data, size);
  dl_pair filter = {.name = DL_STR("f")};
  dl_statement_text text = {.sql = input, .source = DL_STR("fuzz"), .filled = DL_STR("a")};
  const char *divide = size ? memchr(data, '\0', size) : NULL;
  if (divide) {
    filter.value = dl_str_from(input.ptr, (size_t)(divide - input.ptr));
    text.sql = dl_str_skip(input, filter.value.len + 1);
    text.filters = &filter;
    text.filter_count = 1;
  }
  const char *error = NULL;
  dl_statement *statement = dl_statement_seal(&arena, &text, &error);
  if (!statement && !error) abort();
  if (statement) {
    int filled = dl_statement_parameter(statement, text.filled);
    if (statement->is_filled != (filled >= 0) || (filled >= 0 && !statement->parameters[filled].base)) abort();
    for (unsigned filters = 0; filters <= (divide ? 1u : 0u); filters++)
      for (uint8_t list = 0; list < 3; list++) check(statement, &(dl_variant){.filters = (uint16_t)filters, .lists = {list, list, list, list}});
  }
  dl_arena_free(&arena);
  return 0;
}
