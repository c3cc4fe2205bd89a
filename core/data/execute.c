/* SPDX-License-Identifier: MIT */
/*
 * One execution: values in, rows out, all of it in the call's arena. Runs on the
 * thread that has the connection. What goes wrong is said in the call's problem.
 */
#include "data/internal.h"

#include "base/utf8.h"

#include <math.h>

#define EXACT_INTEGER INT64_C(9007199254740991) /* 2^53 - 1: beyond it doubles skip integers */

typedef struct run {
  dl_sqlite *connection;
  dl_call *call;
  const dl_statement *statement;
  sqlite3_stmt *handle;
  bool *booleans; /* per column: declared BOOLEAN */
  size_t row_room;
  size_t given_bytes; /* of the call's arena, by its values and by what it gave when it ran before */
} run;

static bool fail(run *r, dl_problem_kind kind, const char *name, const char *what) {
  dl_problem_set(&r->call->problem, kind, &r->call->arena, "%.*s: %s %s", DL_STR_ARGS(r->statement->source), name, what);
  return false;
}

static bool fail_sqlite(run *r) {
  dl_problem_read_executed(&r->call->problem, r->connection->handle, r->statement, &r->call->arena);
  return false;
}

/* --- values in -------------------------------------------------------------------- */

static bool fail_parameter(run *r, const dl_parameter *parameter, const char *what) {
  return fail(r, DL_PROBLEM_PARAMETER, dl_arena_format(&r->call->arena, "the statement's parameter '%.*s'", DL_STR_ARGS(parameter->name)), what);
}

static int bind_number(sqlite3_stmt *handle, int place, double number) {
  if (number == floor(number) && fabs(number) <= (double)EXACT_INTEGER) return sqlite3_bind_int64(handle, place, (sqlite3_int64)number);
  return sqlite3_bind_double(handle, place, number);
}

static bool is_bound(run *r, int code) { return code == SQLITE_OK || fail_sqlite(r); }

/* The bytes stay in the call's arena until the statement is reset: no copies. */
static bool bind_string(run *r, const dl_parameter *parameter, int place, const dl_value *value) {
  if (parameter->bytes || value->kind == DL_VALUE_BYTES)
    return is_bound(r, sqlite3_bind_blob64(r->handle, place, value->len ? value->string : "", value->len, SQLITE_STATIC));
  dl_str text = dl_value_str(value);
  if (!dl_utf8_valid(text) || (text.len && memchr(text.ptr, '\0', text.len)))
    return fail_parameter(r, parameter,
                          "is not text (valid UTF-8 without NUL): for bytes name it in the statement's options, as in { bytes = { \"digest\" } }");
  return is_bound(r, sqlite3_bind_text64(r->handle, place, text.len ? text.ptr : "", text.len, SQLITE_STATIC, SQLITE_UTF8));
}

static bool bind_value(run *r, const dl_parameter *parameter, uint32_t number, const dl_value *value) {
  int place = (int)number;
  switch ((dl_value_kind)value->kind) {
  case DL_VALUE_ABSENT:
  case DL_VALUE_NULL: return is_bound(r, sqlite3_bind_null(r->handle, place));
  case DL_VALUE_BOOLEAN: return is_bound(r, sqlite3_bind_int(r->handle, place, value->boolean));
  case DL_VALUE_INTEGER: return is_bound(r, sqlite3_bind_int64(r->handle, place, value->integer));
  case DL_VALUE_NUMBER: return is_bound(r, bind_number(r->handle, place, value->number));
  case DL_VALUE_STRING:
  case DL_VALUE_BYTES: return bind_string(r, parameter, place, value);
  default: return fail_parameter(r, parameter, "is a table: give a single value, or store the table as JSON text");
  }
}

static bool bind_list(run *r, const dl_parameter *parameter, uint32_t number, uint32_t places, const dl_value *list) {
  for (uint32_t i = 0; i < places; i++) {
    const dl_value *item = &list->items[i < list->len ? i : list->len - 1];
    /* x NOT IN (1, NULL) is never true: a null in a list hides all rows. */
    if (item->kind == DL_VALUE_NULL) return fail_parameter(r, parameter, "holds a null: a list parameter has values only");
    if (!bind_value(r, parameter, number + i, item)) return false;
  }
  return true;
}

static bool bind_all(run *r, const dl_prepared *prepared, const dl_variant *variant) {
  for (size_t i = 0; i < r->statement->parameter_count; i++) {
    const dl_parameter *parameter = &r->statement->parameters[i];
    uint32_t number = prepared->numbers[i];
    if (!number) continue;
    bool good = parameter->list ? bind_list(r, parameter, number, dl_variant_places(variant, parameter), &r->call->values[i])
                                : bind_value(r, parameter, number, &r->call->values[i]);
    if (!good) return false;
  }
  return true;
}

/* --- rows out --------------------------------------------------------------------- */

static bool read_columns(run *r) {
  dl_call *call = r->call;
  call->column_count = (size_t)sqlite3_column_count(r->handle);
  if (call->shape == DL_SHAPE_VALUE && call->column_count != 1)
    return fail(r, DL_PROBLEM_TOO_MUCH, ":value", "is for statements that give one column: use :one and take the field");
  call->columns = dl_arena_zalloc(&call->arena, call->column_count, sizeof(*call->columns));
  r->booleans = dl_arena_zalloc(&call->arena, call->column_count, sizeof(*r->booleans));
  for (size_t i = 0; i < call->column_count; i++) {
    call->columns[i] = dl_arena_copy(&call->arena, dl_str_of(sqlite3_column_name(r->handle, (int)i)));
    dl_str declared = dl_str_of(sqlite3_column_decltype(r->handle, (int)i));
    r->booleans[i] = dl_str_equal_nocase(declared, DL_STR("BOOLEAN")) || dl_str_equal_nocase(declared, DL_STR("BOOL"));
  }
  return true;
}

static bool fail_cell(run *r, size_t column, const char *what) {
  return fail(r, DL_PROBLEM_DATA, dl_arena_format(&r->call->arena, "the column '%.*s'", DL_STR_ARGS(r->call->columns[column])), what);
}

static bool read_integer(run *r, size_t column, dl_value *cell) {
  sqlite3_int64 integer = sqlite3_column_int64(r->handle, (int)column);
  if (r->booleans[column]) {
    *cell = dl_value_boolean(integer != 0);
    return true;
  }
  *cell = dl_value_integer(integer);
  if (integer > EXACT_INTEGER || integer < -EXACT_INTEGER) cell->flags = DL_VALUE_WIDE;
  return true;
}

static bool read_string(run *r, size_t column, bool text, dl_value *cell) {
  const char *bytes = text ? (const char *)sqlite3_column_text(r->handle, (int)column) : sqlite3_column_blob(r->handle, (int)column);
  dl_str value = dl_str_from(bytes, (size_t)sqlite3_column_bytes(r->handle, (int)column));
  if (text && (!dl_utf8_valid(value) || (value.len && memchr(value.ptr, '\0', value.len))))
    return fail_cell(r, column, "holds text that is not valid UTF-8 or has a NUL in it: store bytes as a BLOB");
  *cell = dl_value_string(dl_arena_copy(&r->call->arena, value));
  if (!text) cell->kind = DL_VALUE_BYTES;
  return true;
}

static bool read_cell(run *r, size_t column, dl_value *cell) {
  switch (sqlite3_column_type(r->handle, (int)column)) {
  case SQLITE_INTEGER: return read_integer(r, column, cell);
  case SQLITE_FLOAT:
    *cell = dl_value_number(sqlite3_column_double(r->handle, (int)column));
    return isfinite(cell->number) || fail_cell(r, column, "holds an infinite number");
  case SQLITE_TEXT: return read_string(r, column, true, cell);
  case SQLITE_BLOB: return read_string(r, column, false, cell);
  default: *cell = dl_value_null(); return true;
  }
}

static bool too_many_rows(run *r, size_t most) {
  dl_call *call = r->call;
  if (call->shape == DL_SHAPE_MANY)
    return fail(r, DL_PROBLEM_TOO_MUCH, "the statement gives",
                dl_arena_format(&call->arena,
                                "more than %zu rows: put a LIMIT in it, or raise the bound where it is called, as in :many(params, { max = %zu })",
                                most, most * 10));
  return fail(r, DL_PROBLEM_TOO_MUCH, "the statement gives", "more than one row, so one of them would be lost: put LIMIT 1 in it, or use :many");
}

static bool read_row(run *r) {
  dl_call *call = r->call;
  if (call->shape == DL_SHAPE_RUN) return true;
  size_t most = call->shape == DL_SHAPE_MANY ? call->row_max : 1;
  if (call->row_count == most) return too_many_rows(r, most);
  if (call->row_count == r->row_room) {
    size_t cells = call->row_count * call->column_count;
    r->row_room = r->row_room ? r->row_room * 2 : (call->shape == DL_SHAPE_MANY ? 16 : 1);
    dl_value *wider = dl_arena_alloc(&call->arena, r->row_room * call->column_count * sizeof(*wider));
    if (cells) memcpy(wider, call->cells, cells * sizeof(*wider));
    call->cells = wider;
  }
  dl_value *row = call->cells + call->row_count * call->column_count;
  for (size_t i = 0; i < call->column_count; i++)
    if (!read_cell(r, i, &row[i])) return false;
  call->row_count++;
  size_t most_bytes = r->connection->database->options.result_bytes;
  if (call->arena.used_bytes - r->given_bytes > most_bytes)
    return fail(r, DL_PROBLEM_TOO_MUCH, "the statement gives",
                dl_arena_format(&call->arena, "more than %zu MiB: ask for fewer rows or columns", most_bytes >> 20));
  return true;
}

static bool step_all(run *r) {
  dl_call *call = r->call;
  sqlite3 *handle = r->connection->handle;
  if (r->statement->writes) sqlite3_set_last_insert_rowid(handle, 0);
  for (bool first = true;; first = false) {
    int code = sqlite3_step(r->handle);
    /* Columns are read behind the first step: it may have prepared the statement
     * anew because another process changed the schema. */
    if ((code == SQLITE_ROW || code == SQLITE_DONE) && first && sqlite3_column_count(r->handle) && !read_columns(r)) return false;
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) return fail_sqlite(r);
    if (!read_row(r)) return false;
  }
  if (r->statement->writes) {
    call->changes = sqlite3_changes64(handle);
    call->last_id = sqlite3_last_insert_rowid(handle);
  }
  return true;
}

void dl_execute_reset(dl_call *call) {
  call->problem = (dl_problem){0};
  call->columns = NULL;
  call->cells = NULL;
  call->column_count = call->row_count = 0;
  call->changes = call->last_id = 0;
}

void dl_execute(dl_sqlite *connection, dl_call *call) {
  run r = {.connection = connection, .call = call, .statement = call->statement, .given_bytes = call->arena.used_bytes};
  dl_variant variant;
  dl_execute_reset(call);
  const char *wrong = dl_statement_choose(call->statement, call->values, call->order, &call->arena, &variant);
  if (wrong) {
    call->problem = (dl_problem){.kind = DL_PROBLEM_PARAMETER, .message = wrong};
    return;
  }
  dl_prepared *prepared = dl_sqlite_prepare(connection, call->statement, &variant, &call->arena, &call->problem);
  if (!prepared) return;
  r.handle = prepared->handle;
  connection->running = call;
  if (bind_all(&r, prepared, &variant)) step_all(&r);
  connection->running = NULL;
  sqlite3_reset(r.handle);
  sqlite3_clear_bindings(r.handle);
}
