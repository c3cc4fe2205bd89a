/* SPDX-License-Identifier: MIT */
/*
 * Functions of SQLite's that compare all of one argument with all of another. Between
 * two steps of a statement nothing looks at the clock, so each has a bound on the work
 * of one call; within it SQLite's own does it, on a connection of its own. instr, by
 * which apps search, is done anew here and takes no longer than reading the text.
 */
#include "data/internal.h"

#include "base/memory.h"

#include <stdio.h>

#ifndef SQLITE_RESULT_SUBTYPE
#define SQLITE_RESULT_SUBTYPE 0 /* before 3.45 nothing has to be said of it */
#endif

/* What one call compares at most, where the worst ones take some tenths of a second. */
static const struct {
  const char *name;
  int arguments;
  uint64_t most; /* bytes of the first argument times bytes of the second; of JSON as is_too_much_merging says */
  bool json;     /* its result is JSON, and not just a text, to the function around it */
  bool merges;
} bounded[] = {
    {.name = "replace", .arguments = 3, .most = UINT64_C(1) << 33},
    {.name = "trim", .arguments = 2, .most = UINT64_C(1) << 26},
    {.name = "ltrim", .arguments = 2, .most = UINT64_C(1) << 26},
    {.name = "rtrim", .arguments = 2, .most = UINT64_C(1) << 26},
    {.name = "unhex", .arguments = 2, .most = UINT64_C(1) << 26}, /* from SQLite 3.41 on */
    {.name = "json_patch", .arguments = 2, .most = UINT64_C(1) << 26, .json = true, .merges = true},
    {.name = "jsonb_patch", .arguments = 2, .most = UINT64_C(1) << 26, .merges = true}, /* from SQLite 3.45 on */
};

enum { BOUNDED = sizeof bounded / sizeof *bounded };

/* One of them, for whoever calls it. */
typedef struct function {
  dl_functions *all;
  size_t index;
  sqlite3_stmt *original; /* NULL until it is called */
} function;

struct dl_functions {
  sqlite3 *plain; /* has SQLite's own; NULL until one is called */
  function each[BOUNDED];
};

/* --- those with a bound ------------------------------------------------------------------- */

static int prepare_call(sqlite3 *handle, size_t index, sqlite3_stmt **out) {
  char sql[64];
  snprintf(sql, sizeof sql, "SELECT %s(%s)", bounded[index].name, bounded[index].arguments == 3 ? "?1, ?2, ?3" : "?1, ?2");
  return sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

static int prepare(function *called, sqlite3 *caller) {
  dl_functions *all = called->all;
  int code = all->plain ? SQLITE_OK : sqlite3_open_v2(":memory:", &all->plain, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (code != SQLITE_OK) return code;
  sqlite3_limit(all->plain, SQLITE_LIMIT_LENGTH, sqlite3_limit(caller, SQLITE_LIMIT_LENGTH, -1));
  return prepare_call(all->plain, called->index, &called->original);
}

static uint64_t count_colons(dl_str text) {
  uint64_t count = 0;
  for (size_t i = 0; i < text.len; i++) count += text.ptr[i] == ':';
  return count;
}

/* Those in arrays do not count: a patch puts an array in place whole. Where a quote or a
 * comment of JSON5 stands, which newer SQLites take, each colon counts as a member. */
static uint64_t count_members(dl_str text) {
  uint64_t count = 0, arrays = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '\\') i++;
    else if (c == '"') quoted = !quoted;
    else if (quoted) continue;
    else if (c == '\'' || c == '/') return count_colons(text);
    else if (c == '[') arrays++;
    else if (c == ']' && arrays) arrays--;
    else count += c == ':' && !arrays;
  }
  return count;
}

/* In JSONB a member's name and value have a byte each at least. A blob is not read as
 * a text: it would be one to SQLite from then on. */
static uint64_t most_members(sqlite3_value *value) {
  if (sqlite3_value_type(value) == SQLITE_BLOB) return (uint64_t)sqlite3_value_bytes(value) / 2;
  const char *text = (const char *)sqlite3_value_text(value);
  return text ? count_members(dl_str_from(text, (size_t)sqlite3_value_bytes(value))) : 0;
}

/* Each member that is merged in is compared with all that are there, also with those that were
 * merged in before it; names may be long and alike, and newer SQLites move all that stands behind it. */
static bool is_too_much_merging(uint64_t most, sqlite3_value **values) {
  enum { BYTES_AS_A_MEMBER = 64 };
  uint64_t merged = most_members(values[1]), bytes = (uint64_t)sqlite3_value_bytes(values[0]) + (uint64_t)sqlite3_value_bytes(values[1]);
  return merged * (most_members(values[0]) + merged + bytes / BYTES_AS_A_MEMBER) > most;
}

static bool is_too_much(size_t index, sqlite3_value **values) {
  if (bounded[index].merges) return is_too_much_merging(bounded[index].most, values);
  return (uint64_t)sqlite3_value_bytes(values[0]) * (uint64_t)sqlite3_value_bytes(values[1]) > bounded[index].most;
}

/* SQLITE_ROW, or what went wrong. An argument for which there is no memory would be NULL to the original. */
static int run(function *called, sqlite3 *caller, int count, sqlite3_value **values) {
  int code = called->original ? SQLITE_OK : prepare(called, caller);
  for (int i = 0; code == SQLITE_OK && i < count; i++) code = sqlite3_bind_value(called->original, i + 1, values[i]);
  return code == SQLITE_OK ? sqlite3_step(called->original) : code;
}

static void call_bounded(sqlite3_context *context, int count, sqlite3_value **values) {
  function *called = sqlite3_user_data(context);
  if (is_too_much(called->index, values)) {
    sqlite3_result_error(context, DL_TOO_MUCH_TO_COMPARE, -1);
    return;
  }
  int code = run(called, sqlite3_context_db_handle(context), count, values);
  if (code == SQLITE_ROW) sqlite3_result_value(context, sqlite3_column_value(called->original, 0));
  else {
    sqlite3_result_error(context, sqlite3_errmsg(called->all->plain), -1);
    sqlite3_result_error_code(context, code); /* the message makes it SQLITE_ERROR */
  }
  if (bounded[called->index].json) sqlite3_result_subtype(context, 'J'); /* or it would be a text to the function around it */
  if (!called->original) return;
  sqlite3_reset(called->original);
  sqlite3_clear_bindings(called->original);
}

/* --- instr -------------------------------------------------------------------------------- */

static bool continues(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

/* Where it stands, from 1 on, or 0. In text characters are counted, and none is cut. */
static int64_t place_of(dl_str wanted, dl_str text, bool characters) {
  if (wanted.len == 0) return 1;
  if (characters && continues(wanted.ptr[0])) return dl_str_starts(text, wanted); /* no character begins so */
  const char *found = text.len ? memmem(text.ptr, text.len, wanted.ptr, wanted.len) : NULL;
  if (!found) return 0;
  if (!characters) return found - text.ptr + 1;
  int64_t place = 1;
  for (const char *at = text.ptr + 1; at <= found; at++) place += !continues(*at);
  return place;
}

static void call_instr(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  bool first_blob = sqlite3_value_type(values[0]) == SQLITE_BLOB, second_blob = sqlite3_value_type(values[1]) == SQLITE_BLOB;
  dl_str parts[2];
  if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
  for (int i = 0; i < 2; i++) {
    const void *bytes = first_blob && second_blob ? sqlite3_value_blob(values[i]) : sqlite3_value_text(values[i]);
    int length = sqlite3_value_bytes(values[i]);
    if (!bytes && length) {
      sqlite3_result_error_nomem(context);
      return;
    }
    parts[i] = dl_str_from(bytes, (size_t)length);
  }
  sqlite3_result_int64(context, place_of(parts[1], parts[0], !(first_blob && second_blob)));
}

/* --- a connection's ------------------------------------------------------------------------- */

enum { LIKE_THE_ORIGINALS = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS };

/* What the library at hand does not have stays unknown, so that a statement that calls it is refused as the app loads. */
static int add_bounded(sqlite3 *handle, function *added) {
  const char *name = bounded[added->index].name;
  sqlite3_stmt *original = NULL;
  int code = prepare_call(handle, added->index, &original);
  sqlite3_finalize(original);
  if (code != SQLITE_OK) return code == SQLITE_ERROR ? SQLITE_OK : code;
  int flags = LIKE_THE_ORIGINALS | (bounded[added->index].json ? SQLITE_RESULT_SUBTYPE : 0);
  return sqlite3_create_function_v2(handle, name, bounded[added->index].arguments, flags, added, call_bounded, NULL, NULL, NULL);
}

dl_functions *dl_functions_add(sqlite3 *handle) {
  dl_functions *all = dl_calloc(1, sizeof *all);
  int code = sqlite3_create_function_v2(handle, "instr", 2, LIKE_THE_ORIGINALS, NULL, call_instr, NULL, NULL, NULL);
  for (size_t i = 0; code == SQLITE_OK && i < BOUNDED; i++) {
    all->each[i] = (function){.all = all, .index = i};
    code = add_bounded(handle, &all->each[i]);
  }
  if (code == SQLITE_OK) return all;
  dl_functions_free(all);
  return NULL;
}

void dl_functions_free(dl_functions *all) {
  if (!all) return;
  for (size_t i = 0; i < BOUNDED; i++) sqlite3_finalize(all->each[i].original);
  sqlite3_close(all->plain);
  dl_free(all);
}
