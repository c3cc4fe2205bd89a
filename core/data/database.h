/* SPDX-License-Identifier: MIT */
/*
 * A database behind sealed statements. Reads run on libuv's thread pool, each on
 * a connection of its own; writes run on one writer thread, where all that wait
 * share one commit and none is answered before that commit is on disk. Nothing
 * here waits on the loop thread, and nothing here knows Lua.
 * Every function is for the loop thread.
 */
#ifndef DL_DATA_DATABASE_H
#define DL_DATA_DATABASE_H

#include "base/fair_queue.h"
#include "base/file_set.h"
#include "base/needs.h"
#include "data/opened.h"
#include "data/statement.h"
#include "net/loop.h"

typedef struct dl_database dl_database;
typedef struct dl_transaction dl_transaction;
typedef struct dl_call dl_call;

/* What can be wrong with a call; the names are those that apps see. */
#define DL_PROBLEMS(X)                                                                                                                               \
  X(NONE, "none")                                                                                                                                    \
  X(UNIQUE, "unique_violation") /* a constraint, as are the next three */                                                                            \
  X(FOREIGN_KEY, "foreign_key_violation")                                                                                                            \
  X(CHECK, "check_violation")                                                                                                                        \
  X(NOT_NULL, "not_null_violation")                                                                                                                  \
  X(TYPE, "type_mismatch")      /* a value that its column does not take */                                                                          \
  X(PARAMETER, "bad_parameter") /* missing, unknown to SQL, or not valid UTF-8 */                                                                    \
  X(DATA, "bad_data")           /* a stored value that has no Lua form */                                                                            \
  X(TOO_MUCH, "too_much")       /* more rows, columns or bytes than were asked for, or than one may search by */                                     \
  X(BUSY, "busy")               /* too many calls wait, or it waited too long */                                                                     \
  X(LOCKED, "locked")           /* another process holds the lock */                                                                                 \
  X(TIMEOUT, "timeout")         /* the statement took too long */                                                                                    \
  X(ENDED, "transaction_ended") /* the transaction was rolled back meanwhile */                                                                      \
  X(STOPPED, "stopped")         /* the database is not started, or stops */                                                                          \
  X(FAILED, "failed")           /* everything else: disk, corruption, SQL */

typedef enum dl_problem_kind {
#define DL_PROBLEM_KIND(name, text) DL_PROBLEM_##name,
  DL_PROBLEMS(DL_PROBLEM_KIND)
#undef DL_PROBLEM_KIND
} dl_problem_kind;

typedef struct dl_problem {
  dl_problem_kind kind;
  const char *message; /* a sentence that names the statement and holds no value of a call */
  dl_str constraint;   /* "users.email", an index' or a check's name; empty when unknown */
} dl_problem;

const char *dl_problem_name(dl_problem_kind kind);

/* Where its file lies. */
typedef enum dl_database_place {
  DL_PLACE_OF_URL, /* where the url says */
  DL_PLACE_FOLDER, /* in the folder, whatever path the url has: another path is another file there */
  DL_PLACE_MEMORY  /* nowhere: in memory, whatever the url says */
} dl_database_place;

/* Zero fields mean the default in brackets. */
typedef struct dl_database_options {
  const char *folder;         /* what a relative path in the url starts from [.] */
  dl_database_place place;    /* [DL_PLACE_OF_URL] */
  const char *migrations;     /* folder of numbered .sql files, from the working folder [none] */
  dl_file_set *files;         /* where they are read instead if it has the folder; held until the database is freed [none] */
  const char *files_folder;   /* the same folder in files */
  bool is_draft;              /* its data may be lost, which messages then offer, and a reload begins it anew where it is gone [false] */
  const dl_opened *opened;    /* what the server's workers have open; held until the database is freed [none] */
  uint64_t generation;        /* that it belongs to, there */
  unsigned readers;           /* connections that read [3] */
  unsigned queue_max;         /* calls that may wait for a reader, or for the writer [1,000] */
  unsigned queue_ms;          /* how long one may wait there [5,000] */
  unsigned lock_ms;           /* how long to wait for a lock that another process holds [5,000] */
  unsigned statement_ms;      /* how long one statement may run [10,000] */
  unsigned transaction_ms;    /* how long an interactive transaction may take [5,000] */
  unsigned migration_lock_ms; /* how long to wait for another process that migrates; longer than a reload, which then says why [75,000] */
  size_t result_bytes;        /* how much one result may hold [32 MiB] */
} dl_database_options;

/* The number that the next migration in this folder has; 1 when there is none. */
size_t dl_migrations_next(const char *folder);

/* Prepares a database; nothing is opened. NULL with *error (static or owned by
 * nobody: copy it before the next call) when the url is none we know. */
dl_database *dl_database_new(dl_loop *loop, dl_str url, const dl_database_options *options, const char **error);

/* Seals a statement; it lives as long as the database. NULL with *error (lives as
 * long too) when the text is refused or the database was started already. */
const dl_statement *dl_database_seal(dl_database *database, const dl_statement_text *text, const char **error);
const dl_statement *dl_database_statement(const dl_database *database, size_t index);

/* error is NULL on success and lives during the call. */
typedef void (*dl_database_event)(void *owner, const char *error);

/* Opens, migrates, and prepares every statement; done is called later. */
void dl_database_start(dl_database *database, dl_database_event done, void *owner);

/* What start would do to an empty database: found is called with each thing that is wrong,
 * statement by statement, or with the migration that fails, before this returns. Of one
 * in memory that is not started, which it leaves as it was. */
void dl_database_try(dl_database *database, dl_database_event found, void *owner);

/* Who else on this machine may read or change the file that the url names, or put another in its place: found is called with a sentence for
 * each of its files and for its folder. start says the same in the log, but for a server's, whose master says it once. */
void dl_database_each_exposure(const dl_database *database, dl_database_event found, void *owner);
void dl_database_each_exposure_at(const char *path, dl_database_event found, void *owner);

/* Refuses new calls, answers those that wait, checkpoints, closes; done is called
 * later, or at once when nothing was started. A transaction that is open may go on
 * until its deadline. */
void dl_database_stop(dl_database *database, dl_database_event done, void *owner);

/* Frees what was never started, failed to start, or has stopped. Otherwise nobody
 * is answered any more, and it stops and frees itself as the loop runs on. */
void dl_database_free(dl_database *database);

/* freed is called once, when the database is gone and calls nobody any more. */
void dl_database_on_freed(dl_database *database, void (*freed)(void *owner), void *owner);

typedef enum dl_shape {
  DL_SHAPE_RUN,   /* no rows kept */
  DL_SHAPE_ONE,   /* at most one row; a second one is a problem */
  DL_SHAPE_VALUE, /* as ONE, of one column */
  DL_SHAPE_MANY   /* at most row_max rows; one more is a problem */
} dl_shape;

/* One execution. Made by dl_call_new, filled, submitted; then it is the
 * database's until done, and taken back when done returns. */
struct dl_call {
  dl_arena arena; /* the values' bytes and the answer */
  const dl_statement *statement;
  dl_value *values; /* one per parameter of the statement; ABSENT until set */
  dl_shape shape;
  int order;                   /* index, or -1 */
  size_t row_max;              /* of MANY [1,000] */
  dl_transaction *transaction; /* NULL: a write of its own, or a read of what is committed */
  void (*done)(dl_call *call);
  void *owner;    /* for done */
  uint64_t share; /* whose it is: who has many waiting delays its own. 0: the app's */

  /* the answer */
  dl_problem problem; /* kind NONE: it succeeded, and what it wrote is on disk (or in its transaction) */
  dl_str *columns;    /* column_count names */
  size_t column_count, row_count;
  dl_value *cells; /* row after row; NULL for a database NULL */
  int64_t changes; /* rows inserted, updated or deleted */
  int64_t last_id; /* rowid of the last row inserted, 0 when it inserted none */

  /* the database's own */
  dl_database *database;
  dl_call *next;
  dl_fair_node place; /* among those that wait */
  uint64_t deadline; /* on uv_hrtime: when it has waited too long */
  uint8_t work;
  bool settled;
  bool given_up; /* atomic: set by the loop, read by whoever works on it */
};

/* A call with its defaults, for one statement of the database; statement is NULL
 * for those that begin and end transactions. */
dl_call *dl_call_new(dl_database *database, const dl_statement *statement, dl_shape shape);

/* Takes back a call that was not submitted. */
void dl_call_drop(dl_call *call);

/* done is called later, from the loop, always. The database must be open. */
void dl_call_submit(dl_call *call);

/* Nobody waits for it any more: if it has not begun it does not, and a statement
 * that runs is interrupted. Only before done, which is still called. */
void dl_call_give_up(dl_call *call);

/* Open: between start and the end of stop (calls may still be refused with a
 * problem). New: before start. Ending: from stop on. Closed: no longer open, or
 * its start failed. */
bool dl_database_is_open(const dl_database *database);
bool dl_database_is_new(const dl_database *database);
bool dl_database_is_ending(const dl_database *database);
bool dl_database_has_closed(const dl_database *database);

/* An interactive transaction: the writer is kept for its calls until it ends, or
 * until its deadline. Each of the three takes a call without a statement and
 * answers through its done. When begin's has no problem, call->transaction is the
 * transaction, and who asked for it must release it some time. */
void dl_transaction_begin(dl_call *call);
void dl_transaction_commit(dl_call *call, dl_transaction *transaction);
void dl_transaction_rollback(dl_call *call, dl_transaction *transaction);

/* Gives up: what is not committed is rolled back, and nobody is told. The pointer
 * stays good until dl_transaction_release, which gives up as well; call->transaction
 * of a call that was submitted, until its done has returned. */
void dl_transaction_abandon(dl_transaction *transaction);
void dl_transaction_release(dl_transaction *transaction);

extern const dl_needs dl_data_needs;

#endif
