/* SPDX-License-Identifier: MIT */
/*
 * What SQLite's result codes mean to an app. Messages name the statement and the
 * constraint and never hold a value: they end in logs.
 */
#include "data/internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *dl_problem_name(dl_problem_kind kind) {
  static const char *const names[] = {
#define DL_PROBLEM_NAME(name, text) text,
      DL_PROBLEMS(DL_PROBLEM_NAME)
#undef DL_PROBLEM_NAME
  };
  return names[kind];
}

void dl_problem_set(dl_problem *problem, dl_problem_kind kind, dl_arena *arena, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  *problem = (dl_problem){.kind = kind, .message = dl_arena_copy(arena, dl_str_of(text)).ptr};
}

static const struct {
  int code; /* extended, or primary when no extended one is listed before it */
  dl_problem_kind kind;
} kinds[] = {
    {SQLITE_CONSTRAINT_UNIQUE, DL_PROBLEM_UNIQUE},
    {SQLITE_CONSTRAINT_PRIMARYKEY, DL_PROBLEM_UNIQUE},
    {SQLITE_CONSTRAINT_ROWID, DL_PROBLEM_UNIQUE},
    {SQLITE_CONSTRAINT_FOREIGNKEY, DL_PROBLEM_FOREIGN_KEY},
    {SQLITE_CONSTRAINT_CHECK, DL_PROBLEM_CHECK},
    {SQLITE_CONSTRAINT_NOTNULL, DL_PROBLEM_NOT_NULL},
    {SQLITE_CONSTRAINT_DATATYPE, DL_PROBLEM_TYPE},
    {SQLITE_CONSTRAINT, DL_PROBLEM_CHECK}, /* a trigger's RAISE and the like */
    {SQLITE_MISMATCH, DL_PROBLEM_TYPE},
    {SQLITE_INTERRUPT, DL_PROBLEM_TIMEOUT},
    {SQLITE_BUSY, DL_PROBLEM_LOCKED},
    {SQLITE_LOCKED, DL_PROBLEM_LOCKED},
    {SQLITE_TOOBIG, DL_PROBLEM_TOO_MUCH},
};

_Static_assert(DL_LIKE_PATTERN_MAX == 256, "what is said below names it");

/* What no time limit would end is not begun. SQLite has no code for it. */
static const char *refused_work(const char *message) {
  if (strcmp(message, "LIKE or GLOB pattern too complex") == 0) return "a pattern of LIKE or GLOB has over 256 bytes";
  if (strcmp(message, DL_TOO_MUCH_TO_COMPARE) == 0) return "replace, trim, unhex or json_patch has too much to compare";
  return NULL;
}

static dl_problem_kind kind_of(int code) {
  for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
    if (kinds[i].code == code || kinds[i].code == (code & 0xff)) return kinds[i].kind;
  return DL_PROBLEM_FAILED;
}

/* SQLite says "UNIQUE constraint failed: users.email" or "...: index 'by_email'". */
static dl_str constraint_in(dl_str message) {
  const char *found = memmem(message.ptr, message.len, " constraint failed: ", 20);
  if (!found) return (dl_str){0};
  dl_str name = dl_str_skip(message, (size_t)(found + 20 - message.ptr));
  if (dl_str_starts(name, DL_STR("index '")) && name.ptr[name.len - 1] == '\'') name = dl_str_from(name.ptr + 7, name.len - 8);
  return name;
}

static const char *advice(dl_problem_kind kind) {
  switch (kind) {
  case DL_PROBLEM_LOCKED: return ": another process or a tool holds the database's lock for too long";
  case DL_PROBLEM_TIMEOUT: return ": the statement ran past its time limit";
  default: return "";
  }
}

/* What is wrong with a path in JSON or a search in FTS is said with words of it, in quotes or
 * behind a colon. What the statement says itself may stay. */
static dl_str without_value(dl_str message, dl_str sql) {
  for (size_t i = dl_str_starts(message, DL_STR("fts5: ")) ? 6 : 0; i < message.len; i++) {
    char c = message.ptr[i];
    size_t begin = c == '\'' || c == '"' ? i + 1 : c == ':' ? i + 2 : 0, end = message.len;
    if (!begin || begin > end) continue;
    while (end > begin && memchr("'\")]", message.ptr[end - 1], 4)) end--;
    return end > begin && memmem(sql.ptr, sql.len, message.ptr + begin, end - begin) ? message : dl_str_from(message.ptr, i);
  }
  return message;
}

static void read_problem(dl_problem *problem, sqlite3 *handle, dl_str place, const dl_statement *executed, dl_arena *arena) {
  int code = sqlite3_extended_errcode(handle);
  dl_problem_kind kind = kind_of(code);
  dl_str message = dl_arena_copy(arena, dl_str_of(sqlite3_errmsg(handle)));
  if (executed && (code & 0xff) == SQLITE_ERROR) message = without_value(message, executed->sql);
  const char *refused = refused_work(sqlite3_errmsg(handle));
  if (refused) dl_problem_set(problem, DL_PROBLEM_TOO_MUCH, arena, "%.*s: %s: give what a client may send a max_length", DL_STR_ARGS(place), refused);
  else dl_problem_set(problem, kind, arena, "%.*s: %.*s%s", DL_STR_ARGS(place), DL_STR_ARGS(message), advice(kind));
  problem->constraint = constraint_in(message);
}

void dl_problem_read(dl_problem *problem, sqlite3 *handle, dl_str place, dl_arena *arena) { read_problem(problem, handle, place, NULL, arena); }

void dl_problem_read_executed(dl_problem *problem, sqlite3 *handle, const dl_statement *statement, dl_arena *arena) {
  read_problem(problem, handle, statement->source, statement, arena);
}
