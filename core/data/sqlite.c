/* SPDX-License-Identifier: MIT */
/*
 * One SQLite connection: opened hardened and durable, with its prepared
 * statements. Used by one thread at a time, so SQLite's own mutexes are off.
 * Needs: read, write and create in the database's folder.
 */
#include "data/internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  VARIANTS_MAX = 32,        /* prepared at once, of one statement on one connection */
  PROGRESS_OPCODES = 50,    /* between looks at the clock: a few rows, each of which may cost a search through a long text */
  LENGTH_MAX = 128 << 20    /* bytes of one value or row */
};

/* --- locks and time ------------------------------------------------------------ */

static int on_locked(void *data, int times) {
  const dl_sqlite *connection = data;
  if (uv_hrtime() >= connection->lock_deadline) return 0;
  /* Short naps: the other side holds the lock for one commit, and SQLite's own
   * handler would sleep up to 100 ms while it is passed from hand to hand. */
  usleep(times < 20 ? 250 : 2000);
  return 1;
}

/* Some milliseconds old at most, and so cheap that looking often costs nothing. */
static uint64_t coarse_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int on_progress(void *data) {
  const dl_sqlite *connection = data;
  return coarse_time() >= connection->statement_deadline || (connection->running && __atomic_load_n(&connection->running->given_up, __ATOMIC_RELAXED));
}

void dl_sqlite_lock_deadline(dl_sqlite *connection, unsigned lock_ms) { connection->lock_deadline = uv_hrtime() + (uint64_t)lock_ms * 1000000u; }

void dl_sqlite_deadlines(dl_sqlite *connection, unsigned lock_ms, unsigned statement_ms) {
  dl_sqlite_lock_deadline(connection, lock_ms);
  connection->statement_deadline = uv_hrtime() + (uint64_t)statement_ms * 1000000u;
}

/* --- opening ------------------------------------------------------------------- */

static const struct {
  int option, value;
} guards[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},      /* no writes to the schema's or shadow tables */
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, /* a planted view or trigger calls no risky function */
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
    {SQLITE_DBCONFIG_DQS_DML, 0}, /* "text" is a name, never a string by mistake */
    {SQLITE_DBCONFIG_DQS_DDL, 0},
    {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
};

static const char common_pragmas[] = "PRAGMA synchronous = FULL;"   /* each commit is on disk before it is answered */
                                     "PRAGMA cell_size_check = ON;" /* a damaged page is noticed when it is read */
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA cache_size = -8000;"
                                     "PRAGMA journal_size_limit = 67108864;";

/* The file is made here so that only its owner may read it; SQLite gives its
 * companions the same rights. One that exists is not touched: closing any other
 * descriptor of it would drop the locks this process holds on it. */
static bool make_file(const char *path, dl_arena *arena, dl_problem *problem) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) fchmod(fd, 0600); /* a umask may have taken its owner's rights */
  if (fd >= 0) close(fd);
  if (fd >= 0 || errno == EEXIST) return true;
  dl_problem_set(problem, DL_PROBLEM_FAILED, arena,
                 "the database %s cannot be made: %s; its folder must exist and be writable, and in the sandbox be the data folder (DEMILUNE_DATA) or lie in it",
                 path, strerror(errno));
  return false;
}

static int read_first_word(void *word, int columns, char **values, char **names) {
  (void)names;
  if (columns && values[0]) snprintf(word, 16, "%s", values[0]);
  return 0;
}

/* Entering WAL wants a lock for which SQLite does not wait, so several processes
 * that start together have to try again. */
static int enter_wal(dl_sqlite *connection) {
  char mode[16] = "";
  int code;
  while ((code = sqlite3_exec(connection->handle, "PRAGMA journal_mode = WAL", read_first_word, mode, NULL)) == SQLITE_BUSY ||
         (code & 0xff) == SQLITE_BUSY) {
    if (uv_hrtime() >= connection->lock_deadline) return code;
    usleep(2000);
  }
  return code != SQLITE_OK ? code : strcmp(mode, "wal") == 0 || connection->database->in_memory ? SQLITE_OK : SQLITE_NOLFS;
}

static int prepare_steps(dl_sqlite *connection) {
  static const char *const sql[DL_STEP_COUNT] = {"BEGIN IMMEDIATE",    "COMMIT",           "ROLLBACK",
                                                 "SAVEPOINT demilune", "RELEASE demilune", "ROLLBACK TO demilune"};
  for (int i = 0; i < DL_STEP_COUNT; i++) {
    int code = sqlite3_prepare_v3(connection->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &connection->steps[i], NULL);
    if (code != SQLITE_OK) return code;
  }
  return SQLITE_OK;
}

static int harden(dl_sqlite *connection) {
  sqlite3 *handle = connection->handle;
  sqlite3_extended_result_codes(handle, 1);
  for (size_t i = 0; i < sizeof(guards) / sizeof(*guards); i++) {
    int code = sqlite3_db_config(handle, guards[i].option, guards[i].value, NULL);
    if (code != SQLITE_OK) return code;
  }
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
  /* A match takes pattern times text, and no deadline interrupts it: 20 KB against 1 MB took minutes. */
  sqlite3_limit(handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, DL_LIKE_PATTERN_MAX);
  connection->functions = dl_functions_add(handle);
  if (!connection->functions) return SQLITE_NOMEM;
  sqlite3_busy_handler(handle, on_locked, connection);
  sqlite3_progress_handler(handle, PROGRESS_OPCODES, on_progress, connection);
  return SQLITE_OK;
}

static int set_up(dl_sqlite *connection, bool reader) {
  int code = harden(connection);
  if (code == SQLITE_OK && !reader) code = enter_wal(connection);
  if (code == SQLITE_OK) code = sqlite3_exec(connection->handle, common_pragmas, NULL, NULL, NULL);
  if (code == SQLITE_OK && reader) code = sqlite3_exec(connection->handle, "PRAGMA query_only = ON", NULL, NULL, NULL);
  if (code == SQLITE_OK && !reader) code = prepare_steps(connection);
  if (code == SQLITE_OK && !reader) dl_sqlite_keep_log_short(connection);
  return code;
}

dl_sqlite *dl_sqlite_open(const dl_database *database, bool reader, dl_arena *arena, dl_problem *problem) {
  if (!reader && !database->in_memory && !make_file(database->path, arena, problem)) return NULL;
  dl_sqlite *connection = dl_calloc(1, sizeof(*connection));
  connection->database = database;
  connection->statement_count = database->statement_count;
  connection->prepared = dl_calloc(database->statement_count + 1, sizeof(*connection->prepared));
  dl_sqlite_deadlines(connection, database->options.lock_ms, database->options.statement_ms);
  int code = sqlite3_open_v2(database->path, &connection->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
  if (code == SQLITE_OK) code = set_up(connection, reader);
  if (code == SQLITE_OK) return connection;
  dl_problem_set(problem, DL_PROBLEM_FAILED, arena, "the database %s cannot be opened: %s", database->path,
                 code == SQLITE_NOLFS ? "its file system has no write-ahead log (SQLite's journal_mode = WAL); use a local disk"
                                      : sqlite3_errstr(code));
  dl_sqlite_close(connection);
  return NULL;
}

static void free_prepared(dl_prepared *prepared) {
  sqlite3_finalize(prepared->handle);
  dl_free(prepared);
}

void dl_sqlite_close(dl_sqlite *connection) {
  if (!connection) return;
  for (size_t i = 0; i < connection->statement_count; i++)
    for (dl_prepared *next, *prepared = connection->prepared[i]; prepared; prepared = next) {
      next = prepared->next;
      free_prepared(prepared);
    }
  for (int i = 0; i < DL_STEP_COUNT; i++) sqlite3_finalize(connection->steps[i]);
  sqlite3_close(connection->handle);
  dl_functions_free(connection->functions);
  dl_free(connection->prepared);
  dl_free(connection);
}

/* One in memory ends with its connection. */
static bool copy_memory(const dl_sqlite *from, const dl_sqlite *to, dl_arena *arena, dl_problem *problem) {
  sqlite3_backup *copy = sqlite3_backup_init(to->handle, "main", from->handle, "main");
  if (copy) sqlite3_backup_step(copy, -1);
  if (copy && sqlite3_backup_finish(copy) == SQLITE_OK) return true;
  dl_problem_read(problem, to->handle, DL_STR("the database in memory cannot be copied"), arena);
  return false;
}

dl_sqlite *dl_sqlite_renew(dl_sqlite *connection, dl_arena *arena, dl_problem *problem) {
  const dl_database *database = connection->database;
  dl_sqlite *fresh = database->in_memory ? dl_sqlite_open(database, false, arena, problem) : NULL;
  bool copied = fresh && copy_memory(connection, fresh, arena, problem);
  /* The log stays as it is: no other process has to wait, and what was noted of its file remains true. */
  sqlite3_db_config(connection->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  dl_sqlite_close(connection); /* first: a migration may have had it lock all others out */
  if (!database->in_memory) return dl_sqlite_open(database, false, arena, problem);
  if (copied) return fresh;
  dl_sqlite_close(fresh);
  return NULL;
}

/* None has a time limit: SQLite looks at it behind a commit as well, and would call one interrupted that is on the disk. */
int dl_sqlite_step(dl_sqlite *connection, dl_step step) {
  sqlite3_stmt *handle = connection->steps[step];
  uint64_t deadline = connection->statement_deadline;
  connection->statement_deadline = UINT64_MAX;
  sqlite3_step(handle);
  connection->statement_deadline = deadline;
  return sqlite3_reset(handle); /* gives what the step gave when it failed */
}

/* --- prepared statements -------------------------------------------------------- */

static void prepare_failed(dl_sqlite *connection, const dl_statement *statement, const char *sql, dl_arena *arena, dl_problem *problem) {
  int offset = sqlite3_error_offset(connection->handle);
  dl_problem_read(problem, connection->handle, statement->source, arena);
  if (offset >= 0) problem->message = dl_arena_format(arena, "%s, at \"%.40s\"", problem->message, sql + offset);
}

/* Rows are tables by column name in Lua: of two columns one would be lost. */
static bool columns_differ(sqlite3_stmt *handle, const dl_statement *statement, dl_arena *arena, dl_problem *problem) {
  int count = sqlite3_column_count(handle);
  for (int i = 1; i < count; i++)
    for (int j = 0; j < i; j++) {
      if (strcmp(sqlite3_column_name(handle, i), sqlite3_column_name(handle, j)) != 0) continue;
      dl_problem_set(problem, DL_PROBLEM_FAILED, arena,
                     "%.*s: the statement gives two columns called '%s': name the columns, and give one another name with AS",
                     DL_STR_ARGS(statement->source), sqlite3_column_name(handle, i));
      return false;
    }
  return true;
}

static bool prepare_text(dl_sqlite *connection, const dl_statement *statement, dl_prepared *prepared, dl_buffer *sql, uint32_t places,
                         dl_arena *arena, dl_problem *problem) {
  const char *tail = NULL;
  if (sqlite3_prepare_v3(connection->handle, sql->data, (int)sql->len, SQLITE_PREPARE_PERSISTENT, &prepared->handle, &tail) != SQLITE_OK) {
    prepare_failed(connection, statement, sql->data, arena, problem);
    return false;
  }
  /* Sealing read the text as SQLite does, or it is not run at all. */
  if (!prepared->handle || *tail || sqlite3_bind_parameter_count(prepared->handle) != (int)places) {
    dl_problem_set(problem, DL_PROBLEM_FAILED, arena, "%.*s: SQLite reads the statement otherwise than it was sealed: write it more plainly",
                   DL_STR_ARGS(statement->source));
    return false;
  }
  return columns_differ(prepared->handle, statement, arena, problem);
}

static dl_prepared *prepare_new(dl_sqlite *connection, const dl_statement *statement, const dl_variant *variant, dl_arena *arena,
                                dl_problem *problem) {
  dl_prepared *prepared = dl_calloc(1, sizeof(*prepared) + statement->parameter_count * sizeof(*prepared->numbers));
  dl_buffer sql = {0};
  prepared->key = dl_variant_key(variant);
  uint32_t places = dl_statement_write(statement, variant, &sql, prepared->numbers);
  dl_buffer_append_char(&sql, '\0');
  bool good = prepare_text(connection, statement, prepared, &sql, places, arena, problem);
  dl_buffer_free(&sql);
  if (good) return prepared;
  free_prepared(prepared);
  return NULL;
}

dl_prepared *dl_sqlite_prepare(dl_sqlite *connection, const dl_statement *statement, const dl_variant *variant, dl_arena *arena,
                               dl_problem *problem) {
  dl_prepared **list = &connection->prepared[statement->index];
  uint64_t key = dl_variant_key(variant);
  unsigned count = 0;
  for (dl_prepared **at = list; *at; at = &(*at)->next, count++) {
    dl_prepared *found = *at;
    if (found->key == key) {
      *at = found->next;
      found->next = *list;
      return *list = found;
    }
    if (count + 1 == VARIANTS_MAX) { /* the one least lately used */
      *at = NULL;
      free_prepared(found);
      break;
    }
  }
  dl_prepared *prepared = prepare_new(connection, statement, variant, arena, problem);
  if (!prepared) return NULL;
  prepared->next = *list;
  return *list = prepared;
}

static bool check_one(dl_sqlite *connection, dl_statement *statement, const dl_variant *variant, dl_arena *arena, dl_problem *problem) {
  dl_prepared *prepared = dl_sqlite_prepare(connection, statement, variant, arena, problem);
  if (prepared) statement->writes = !sqlite3_stmt_readonly(prepared->handle);
  return prepared != NULL;
}

bool dl_sqlite_check(dl_sqlite *connection, dl_statement *statement, dl_arena *arena, dl_problem *problem) {
  dl_variant variant = {0};
  for (int i = 0; i < DL_STATEMENT_LISTS_MAX; i++) variant.lists[i] = 1;
  for (size_t i = 0; i < statement->filter_count; i++) {
    variant.filters = (uint16_t)(1u << i);
    if (!check_one(connection, statement, &variant, arena, problem)) return false;
  }
  variant.filters = 0;
  for (size_t i = 1; i < statement->order_count; i++) {
    variant.order = (uint8_t)i;
    if (!check_one(connection, statement, &variant, arena, problem)) return false;
  }
  variant.order = 0;
  return check_one(connection, statement, &variant, arena, problem) && dl_constraints_check(connection, statement, arena, problem);
}
