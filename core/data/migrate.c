/* SPDX-License-Identifier: MIT */
/*
 * Migrations: a folder of numbered .sql files, each applied once, in order, in a
 * transaction of its own, and remembered with its SHA-256. What was applied must
 * stay as it is: a file that changed afterwards stops the start. A server's workers
 * read them from the files that the app was loaded from, so that one which is replaced
 * applies nothing that lies on the disk for a reload to come.
 * Runs on the writer's thread. Needs: read in the migrations folder.
 */
#include "data/internal.h"

#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { NUMBER_DIGITS = 4, NUMBERS_MAX = 9999, FILE_MAX = 16 << 20, HASH_TEXT = 65 };

typedef struct migrator {
  dl_sqlite *connection;
  const char *folder;
  const dl_file_set *files; /* NULL: the folder on the disk */
  dl_str files_folder;
  dl_arena *arena;
  dl_problem *problem;
  char **names; /* by number - 1 */
  size_t count;
  dl_buffer applied;
} migrator;

__attribute__((format(printf, 2, 3))) static bool refuse(migrator *m, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  dl_problem_set(m->problem, DL_PROBLEM_FAILED, m->arena, "%s", text);
  return false;
}

/* --- the folder ------------------------------------------------------------------------ */

/* "0001_users.sql": four digits, an underscore, small letters. 0 when it is not. */
static size_t number_of(const char *name) {
  size_t number = 0, at = 0;
  for (; at < NUMBER_DIGITS; at++) {
    if (name[at] < '0' || name[at] > '9') return 0;
    number = number * 10 + (size_t)(name[at] - '0');
  }
  size_t words = strspn(name + at, "abcdefghijklmnopqrstuvwxyz0123456789_");
  return name[at] == '_' && words > 1 && strcmp(name + at + words, ".sql") == 0 ? number : 0;
}

static bool take_name(migrator *m, const char *name) {
  size_t length = strlen(name);
  if (name[0] == '.' || length < 4 || strcmp(name + length - 4, ".sql") != 0) return true;
  size_t number = number_of(name);
  if (!number)
    return refuse(m, "%s/%s: a migration's name is four digits from 0001 on, an underscore and small letters, as in 0001_users.sql", m->folder, name);
  if (m->names[number - 1])
    return refuse(m, "%s: %s and %s have the same number: give one the next free number", m->folder, m->names[number - 1], name);
  m->names[number - 1] = dl_arena_format(m->arena, "%s", name);
  if (number > m->count) m->count = number;
  return true;
}

static bool read_disk(migrator *m) {
  DIR *folder = opendir(m->folder);
  if (!folder) return refuse(m, "the migrations folder %s cannot be read: %s", m->folder, strerror(errno));
  bool good = true;
  for (struct dirent *entry; good && (entry = readdir(folder));) good = take_name(m, entry->d_name);
  closedir(folder);
  return good;
}

/* One that the files do not have, as where it is a link, is read from the disk. */
static bool read_names(migrator *m) {
  bool good = true;
  dl_str name;
  for (size_t at = 0; m->files && good && dl_file_set_next(m->files, m->files_folder, &at, &name);)
    good = take_name(m, dl_arena_copy(m->arena, name).ptr);
  if (!good || m->count) return good;
  m->files = NULL;
  return read_disk(m);
}

static bool read_folder(migrator *m) {
  bool good = read_names(m);
  for (size_t i = 0; good && i < m->count; i++)
    if (!m->names[i])
      return refuse(m, "%s: there is no migration %04zu, though there is %s: number them without gaps", m->folder, i + 1, m->names[m->count - 1]);
  return good;
}

size_t dl_migrations_next(const char *path) {
  size_t highest = 0;
  DIR *folder = opendir(path);
  if (!folder) return 1;
  for (struct dirent *entry; (entry = readdir(folder));) {
    size_t number = number_of(entry->d_name);
    if (number > highest) highest = number;
  }
  closedir(folder);
  return highest + 1;
}

static bool read_disk_file(migrator *m, const char *path, dl_buffer *text) {
  FILE *file = fopen(path, "rbe");
  if (!file) return refuse(m, "the migration %s cannot be read: %s", path, strerror(errno));
  size_t got;
  do {
    dl_buffer_reserve(text, 65536);
    got = fread(text->data + text->len, 1, 65536, file);
    text->len += got;
  } while (got && text->len <= FILE_MAX);
  bool failed = ferror(file) != 0;
  fclose(file);
  return failed ? refuse(m, "the migration %s cannot be read", path) : true;
}

static bool read_file(migrator *m, const char *name, dl_buffer *text) {
  const char *path = dl_arena_format(m->arena, "%s/%s", m->folder, name);
  dl_str kept = {0};
  if (m->files) kept = dl_file_set_get(m->files, dl_str_of(dl_arena_format(m->arena, "%s/%s", m->files_folder.ptr, name)));
  dl_buffer_clear(text);
  if (kept.ptr) dl_buffer_append(text, kept.ptr, kept.len);
  else if (!read_disk_file(m, path, text)) return false;
  if (text->len > FILE_MAX) return refuse(m, "the migration %s is over 16 MiB: load data from the app, not from a migration", path);
  if (!dl_utf8_valid(dl_buffer_str(text)) || (text->len && memchr(text->data, '\0', text->len)))
    return refuse(m, "the migration %s is not valid UTF-8, or holds a NUL", path);
  dl_buffer_append_char(text, '\0');
  text->len--;
  return true;
}

static bool hash(migrator *m, dl_str text, char out[HASH_TEXT]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (EVP_Digest(text.ptr, text.len, digest, &length, EVP_sha256(), NULL) != 1) return refuse(m, "OpenSSL gives no SHA-256");
  for (unsigned int i = 0; i < length; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
  return true;
}

/* --- one file --------------------------------------------------------------------------- */

/* A migration may do anything inside its transaction and nothing to it. */
static int authorize(void *data, int action, const char *a, const char *b, const char *c, const char *d) {
  (void)data, (void)a, (void)b, (void)c, (void)d;
  return action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT || action == SQLITE_ATTACH || action == SQLITE_DETACH ? SQLITE_DENY : SQLITE_OK;
}

/* Where the statement's own words begin, behind blanks and comments. */
static const char *skip_to_words(const char *at) {
  for (;;) {
    at += strspn(at, " \t\r\n");
    const char *end = strncmp(at, "/*", 2) == 0 ? strstr(at + 2, "*/") : NULL;
    if (strncmp(at, "--", 2) == 0) at += strcspn(at, "\n");
    else if (end) at = end + 2;
    else return at;
  }
}

static size_t line_of(const char *text, const char *at) {
  size_t line = 1;
  for (const char *c = text; c < at; c++) line += *c == '\n';
  return line;
}

static bool refuse_sql(migrator *m, const char *name, const char *text, const char *statement) {
  sqlite3 *handle = m->connection->handle;
  int offset = sqlite3_error_offset(handle);
  const char *message = sqlite3_errcode(handle) == SQLITE_AUTH
                            ? "transactions, savepoints and other databases do not belong in a migration: each runs in a transaction of its own"
                            : sqlite3_errmsg(handle);
  return refuse(m, "%s/%s:%zu: %s", m->folder, name, line_of(text, offset > 0 ? statement + offset : skip_to_words(statement)), message);
}

/* Nobody gives it a value, and NULL would stand for it. */
static bool has_parameter(migrator *m, const char *name, const char *text, const char *at, sqlite3_stmt *statement) {
  if (!statement || sqlite3_bind_parameter_count(statement) == 0) return false;
  const char *parameter = sqlite3_bind_parameter_name(statement, 1);
  refuse(m, "%s/%s:%zu: the statement has a parameter %s, and a migration is given none: write the value, or a text in single quotes", m->folder,
         name, line_of(text, skip_to_words(at)), parameter ? parameter : "?");
  return true;
}

static bool run_sql(migrator *m, const char *name, const char *text) {
  for (const char *at = text, *tail; *at; at = tail) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(m->connection->handle, at, -1, &statement, &tail);
    bool has_values = code != SQLITE_OK || !has_parameter(m, name, text, at, statement);
    while (has_values && code == SQLITE_OK && statement && (code = sqlite3_step(statement)) == SQLITE_ROW) code = SQLITE_OK;
    bool good = has_values && (code == SQLITE_OK || code == SQLITE_DONE);
    if (has_values && !good) refuse_sql(m, name, text, at);
    sqlite3_finalize(statement);
    if (!good) return false;
  }
  return true;
}

/* Foreign keys are off while a table is rebuilt; what a migration leaves behind
 * must satisfy them. */
static bool check_keys(migrator *m, const char *name) {
  sqlite3_stmt *check = NULL;
  int code = sqlite3_prepare_v2(m->connection->handle, "PRAGMA foreign_key_check", -1, &check, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(check);
  if (code == SQLITE_ROW)
    refuse(m, "%s/%s: leaves rows in %s that point at no row of %s", m->folder, name, (const char *)sqlite3_column_text(check, 0),
           (const char *)sqlite3_column_text(check, 2));
  else if (code != SQLITE_DONE) dl_problem_read(m->problem, m->connection->handle, dl_str_of(name), m->arena);
  sqlite3_finalize(check);
  return code == SQLITE_DONE;
}

/* number: of the file that a failure is told of; 0: it is nobody's. */
static bool execute(migrator *m, size_t number, const char *sql) {
  if (sqlite3_exec(m->connection->handle, sql, NULL, NULL, NULL) == SQLITE_OK) return true;
  const char *source = number ? dl_arena_format(m->arena, "%s/%s", m->folder, m->names[number - 1]) : "migrations";
  dl_problem_read(m->problem, m->connection->handle, dl_str_of(source), m->arena);
  return false;
}

static bool remember(migrator *m, size_t number, const char *name, const char *digest) {
  char *sql =
      sqlite3_mprintf("INSERT INTO demilune_migrations VALUES (%d, %Q, %Q, strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', 'now'))", (int)number, name, digest);
  if (!sql) return refuse(m, "%s/%s: SQLite has no memory", m->folder, name);
  bool good = execute(m, number, sql);
  sqlite3_free(sql);
  return good;
}

/* The digest that number was applied with; empty when it was not. */
static bool applied_digest(migrator *m, size_t number, char out[HASH_TEXT]) {
  sqlite3_stmt *find = NULL;
  out[0] = '\0';
  int code = sqlite3_prepare_v2(m->connection->handle, "SELECT sha256 FROM demilune_migrations WHERE number = ?", -1, &find, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_int64(find, 1, (sqlite3_int64)number);
  if (code == SQLITE_OK) code = sqlite3_step(find);
  if (code == SQLITE_ROW) snprintf(out, HASH_TEXT, "%s", (const char *)sqlite3_column_text(find, 0));
  else if (code != SQLITE_DONE) dl_problem_read(m->problem, m->connection->handle, DL_STR("demilune_migrations"), m->arena);
  sqlite3_finalize(find);
  return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* What else may be done about a migration that was applied, where a database may be made anew. */
static const char *way_out(const migrator *m, const char *name) {
  const dl_database *database = m->connection->database;
  if (!database->options.is_draft) return "";
  return dl_arena_format(m->arena,
                         "; in dev you may also stop the server, delete %s with all that is in it, and start again. A draft under another name, such "
                         "as %s.draft, is not applied",
                         database->path, name);
}

/* Whether the file is still to be applied; fails when another one was applied under its number. */
static bool compare(migrator *m, size_t number, const char *digest, bool *is_new) {
  char known[HASH_TEXT];
  if (!applied_digest(m, number, known)) return false;
  *is_new = !known[0];
  if (*is_new || strcmp(known, digest) == 0) return true;
  const char *name = m->names[number - 1];
  return refuse(m, "%s/%s was changed after it was applied to this database: put it back as it was, and write the change as migration %04zu%s",
                m->folder, name, m->count + 1, way_out(m, name));
}

static bool apply(migrator *m, size_t number, const char *text, const char *digest) {
  const char *name = m->names[number - 1];
  bool is_new;
  if (!compare(m, number, digest, &is_new)) return false;
  if (!is_new) return true; /* another process was first */
  sqlite3_set_authorizer(m->connection->handle, authorize, m);
  bool good = run_sql(m, name, text);
  sqlite3_set_authorizer(m->connection->handle, NULL, NULL);
  if (!good || !check_keys(m, name) || !remember(m, number, name, digest)) return false;
  dl_buffer_printf(&m->applied, "%s%s", m->applied.len ? ", " : "", name);
  return true;
}

/* No limit on how long a migration runs: rebuilding a large table takes its time. */
static void renew_deadlines(migrator *m) { dl_sqlite_deadlines(m->connection, m->connection->database->options.migration_lock_ms, UINT32_MAX); }

static bool apply_in_transaction(migrator *m, size_t number, const char *text, const char *digest) {
  renew_deadlines(m);
  if (!execute(m, 0, "BEGIN EXCLUSIVE")) return false;
  bool good = apply(m, number, text, digest) && execute(m, number, "COMMIT");
  if (!good && !sqlite3_get_autocommit(m->connection->handle)) sqlite3_exec(m->connection->handle, "ROLLBACK", NULL, NULL, NULL);
  return good;
}

/* A file that an editor has only made is not one yet: once it was applied, what is written into it would be a change. */
static bool is_written(migrator *m, size_t number, const char *text) {
  if (text[strspn(text, " \t\r\n")]) return true;
  const char *name = m->names[number - 1];
  return refuse(m, "%s/%s: the file is empty: write its SQL, or keep it under another name until it is written, such as %s.draft", m->folder, name, name);
}

/* Nobody who writes is waited for unless there is something to apply. */
static bool apply_once(migrator *m, size_t number, dl_buffer *text) {
  char digest[HASH_TEXT];
  bool is_new;
  if (!read_file(m, m->names[number - 1], text) || !hash(m, dl_buffer_str(text), digest) || !compare(m, number, digest, &is_new)) return false;
  return !is_new || (is_written(m, number, text->data) && apply_in_transaction(m, number, text->data, digest));
}

/* --- all of them ------------------------------------------------------------------------- */

/* Only reads where there is one. */
static bool make_table(migrator *m) {
  return execute(m, 0,
                 "CREATE TABLE IF NOT EXISTS demilune_migrations "
                 "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT");
}

/* A reload may have applied what these files do not have yet, and have failed behind it. */
static bool is_newer(const migrator *m, const char *name) {
  return m->files && access(dl_arena_format(m->arena, "%s/%s", m->folder, name), F_OK) == 0;
}

static bool none_is_missing(migrator *m) {
  sqlite3_stmt *find = NULL;
  int code =
      sqlite3_prepare_v2(m->connection->handle, "SELECT name FROM demilune_migrations WHERE number > ? ORDER BY number LIMIT 1", -1, &find, NULL);
  if (code == SQLITE_OK) code = sqlite3_bind_int64(find, 1, (sqlite3_int64)m->count);
  if (code == SQLITE_OK) code = sqlite3_step(find);
  if (code == SQLITE_ROW && is_newer(m, (const char *)sqlite3_column_text(find, 0))) code = SQLITE_DONE;
  if (code == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(find, 0);
    refuse(m, "%s: %s was applied to this database and is not in the folder: this app is older than its database%s", m->folder, name,
           way_out(m, name));
  } else if (code != SQLITE_DONE) dl_problem_read(m->problem, m->connection->handle, DL_STR("demilune_migrations"), m->arena);
  sqlite3_finalize(find);
  return code == SQLITE_DONE;
}

static bool apply_all(migrator *m) {
  dl_buffer text = {0};
  renew_deadlines(m);
  bool good = make_table(m) && none_is_missing(m);
  for (size_t number = 1; good && number <= m->count; number++) good = apply_once(m, number, &text);
  dl_buffer_free(&text);
  return good;
}

bool dl_migrate(dl_sqlite **connection, dl_arena *arena, const char **applied, dl_problem *problem) {
  const dl_database_options *options = &(*connection)->database->options;
  migrator m = {.connection = *connection, .folder = options->migrations, .files = options->files, .arena = arena, .problem = problem};
  if (m.files) m.files_folder = dl_str_of(options->files_folder);
  m.names = dl_arena_zalloc(arena, NUMBERS_MAX, sizeof(*m.names));
  bool good = read_folder(&m) && execute(&m, 0, "PRAGMA foreign_keys = OFF") && apply_all(&m) && execute(&m, 0, "PRAGMA foreign_keys = ON");
  if (good && m.applied.len) {
    *applied = dl_arena_copy(arena, dl_buffer_str(&m.applied)).ptr;
    *connection = dl_sqlite_renew(*connection, arena, problem); /* the next start's will have none of what a PRAGMA in them set for theirs */
  }
  dl_buffer_free(&m.applied);
  return good && *connection;
}
