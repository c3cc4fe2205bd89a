/* SPDX-License-Identifier: MIT */
/*
 * The constraints whose violation a statement answers with a text of its own: whether
 * the database has one of that name, so that a mistyped one is found at start and not
 * by the first row that is there already. Named as SQLite names them in its message.
 */
#include "data/internal.h"

#include "base/buffer.h"

enum { NAMES_TOLD = 12 };

/*
 * Of an index its columns, in their order, or its own name where it has an expression. The rowid is no index: it is named by the column that is
 * another name for it, which is the key that no index stands for, and where there is none by itself.
 */
static const char names_sql[] =
    "WITH tables AS (SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    "   AND substr(name, 1, 7) <> 'sqlite_' AND name <> 'demilune_migrations'),"
    " columns AS (SELECT t.name AS place, i.name AS index_name, c.seqno, c.name AS column_name"
    "   FROM tables t, pragma_index_list(t.name) i, pragma_index_info(i.name) c WHERE i.\"unique\")"
    " SELECT CASE WHEN count(column_name) OVER whole < count(*) OVER whole THEN replace(index_name, '''', '''''')"
    "   ELSE group_concat(place || '.' || column_name, ', ') OVER whole END FROM columns"
    "   WINDOW whole AS (PARTITION BY place, index_name ORDER BY seqno ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    " UNION SELECT t.name || '.' || coalesce((SELECT k.name FROM pragma_table_info(t.name) k WHERE k.pk > 0"
    "   AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) WHERE origin = 'pk')), 'rowid') FROM tables t WHERE NOT t.wr"
    " ORDER BY 1";

static dl_str name_at(sqlite3_stmt *names) {
  const char *text = (const char *)sqlite3_column_text(names, 0);
  return text ? dl_str_from(text, (size_t)sqlite3_column_bytes(names, 0)) : (dl_str){0};
}

/* SQLITE_ROW: it is there; SQLITE_DONE: it is not. */
static int look_for(sqlite3_stmt *names, dl_str wanted) {
  int code;
  do code = sqlite3_step(names);
  while (code == SQLITE_ROW && !dl_str_equal(name_at(names), wanted));
  return code;
}

static void tell(sqlite3_stmt *names, const dl_statement *statement, dl_str wanted, dl_arena *arena, dl_problem *problem) {
  dl_buffer there = {0};
  for (int told = 0; told <= NAMES_TOLD && sqlite3_step(names) == SQLITE_ROW; told++) {
    dl_str name = name_at(names);
    if (told == NAMES_TOLD) DL_BUFFER_LITERAL(&there, ", ...");
    else dl_buffer_printf(&there, "%s\"%.*s\"", told ? ", " : "", DL_STR_ARGS(name));
  }
  dl_problem_set(problem, DL_PROBLEM_FAILED, arena, "%.*s: unique: the database has no constraint \"%.*s\" that a row could violate; %s%.*s",
                 DL_STR_ARGS(statement->source), DL_STR_ARGS(wanted), there.len ? "it has " : "it has none", DL_STR_ARGS(dl_buffer_str(&there)));
  dl_buffer_free(&there);
}

bool dl_constraints_check(dl_sqlite *connection, const dl_statement *statement, dl_arena *arena, dl_problem *problem) {
  sqlite3_stmt *names = NULL;
  if (statement->constraint_count == 0) return true;
  int code = sqlite3_prepare_v2(connection->handle, names_sql, sizeof(names_sql), &names, NULL) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;
  for (size_t i = 0; code == SQLITE_ROW && i < statement->constraint_count; i++) {
    code = look_for(names, statement->constraints[i]);
    if (code == SQLITE_ROW || code == SQLITE_DONE) sqlite3_reset(names);
    if (code == SQLITE_DONE) tell(names, statement, statement->constraints[i], arena, problem);
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) dl_problem_read(problem, connection->handle, statement->source, arena);
  sqlite3_finalize(names);
  return code == SQLITE_ROW;
}
