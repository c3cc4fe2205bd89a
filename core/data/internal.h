/* SPDX-License-Identifier: MIT */
/* What the files of this folder share: connections, queues, and who may touch what. */
#ifndef DL_DATA_INTERNAL_H
#define DL_DATA_INTERNAL_H

#include "data/database.h"

#include <sqlite3.h>

/* --- sqlite.c: one SQLite connection, used by one thread at a time -------- */

/* A variant of a statement, prepared. Each statement's hang in a list, the last
 * used first. */
typedef struct dl_prepared {
  struct dl_prepared *next;
  uint64_t key;
  sqlite3_stmt *handle;
  uint32_t numbers[]; /* per parameter: its first place, 0 when unused */
} dl_prepared;

/* The statements that make and end transactions, prepared once. */
typedef enum dl_step { DL_STEP_BEGIN, DL_STEP_COMMIT, DL_STEP_ROLLBACK, DL_STEP_SAVE, DL_STEP_KEEP, DL_STEP_UNDO, DL_STEP_COUNT } dl_step;

enum { DL_LIKE_PATTERN_MAX = 256 }; /* bytes of a pattern of LIKE and GLOB */

typedef struct dl_functions dl_functions;

typedef struct dl_sqlite {
  sqlite3 *handle;
  dl_functions *functions;
  const dl_database *database; /* options and statements: neither changes once started */
  dl_prepared **prepared;      /* by statement index */
  size_t statement_count;
  sqlite3_stmt *steps[DL_STEP_COUNT];
  uint64_t lock_deadline, statement_deadline; /* on uv_hrtime */
  const dl_call *running;                     /* interrupted when it is given up */
  int restart_at;                             /* frames in the log at which it is to begin anew */
} dl_sqlite;

/* NULL with a problem whose message is in arena. reader: it can change nothing. */
dl_sqlite *dl_sqlite_open(const dl_database *database, bool reader, dl_arena *arena, dl_problem *problem);
void dl_sqlite_close(dl_sqlite *connection);
/* A new writer in place of this one, which is closed: nothing that was set for the connection alone, and no temporary table, goes over.
 * NULL with a problem. */
dl_sqlite *dl_sqlite_renew(dl_sqlite *connection, dl_arena *arena, dl_problem *problem);

/* The prepared variant, from the cache or new. NULL with a problem. */
dl_prepared *dl_sqlite_prepare(dl_sqlite *connection, const dl_statement *statement, const dl_variant *variant, dl_arena *arena, dl_problem *problem);

/* Prepares each part of the statement once, so that what SQLite does not know (a
 * column, a table) is found at start and not by the first request; notes whether it writes. */
bool dl_sqlite_check(dl_sqlite *connection, dl_statement *statement, dl_arena *arena, dl_problem *problem);

/* Whether the constraints that it names are there. False with a problem. */
bool dl_constraints_check(dl_sqlite *connection, const dl_statement *statement, dl_arena *arena, dl_problem *problem);

/* Lets locks be waited for and the next statement run until then. */
void dl_sqlite_deadlines(dl_sqlite *connection, unsigned lock_ms, unsigned statement_ms);
void dl_sqlite_lock_deadline(dl_sqlite *connection, unsigned lock_ms);

/* An SQLite result code; the problem, when not OK or DONE, is dl_problem_read's. */
int dl_sqlite_step(dl_sqlite *connection, dl_step step);

/* --- functions.c --------------------------------------------------------------- */

#define DL_TOO_MUCH_TO_COMPARE "too much to compare" /* what the error of a statement says */

/* Puts ours in the place of those of SQLite's that no deadline would end. NULL: there is no memory. */
dl_functions *dl_functions_add(sqlite3 *handle);
/* Once their connection is closed. NULL is fine. */
void dl_functions_free(dl_functions *functions);

/* --- problem.c ----------------------------------------------------------------- */

void dl_problem_set(dl_problem *problem, dl_problem_kind kind, dl_arena *arena, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What the connection's last error was, said about a place ("app.lua:7", "commit"). */
void dl_problem_read(dl_problem *problem, sqlite3 *handle, dl_str place, dl_arena *arena);
/* The same, said about a statement that was executed, without the values that SQLite may quote. */
void dl_problem_read_executed(dl_problem *problem, sqlite3 *handle, const dl_statement *statement, dl_arena *arena);

/* --- execute.c ----------------------------------------------------------------- */

/* Binds, steps and collects; the answer or the problem is in the call. */
void dl_execute(dl_sqlite *connection, dl_call *call);
/* Forgets an answer, so that the call can run again. */
void dl_execute_reset(dl_call *call);

/* --- migrate.c ----------------------------------------------------------------- */

/* Applies what is new in the folder; applied gets a text for the log (in arena). The connection is another one then, or NULL with a problem. */
bool dl_migrate(dl_sqlite **connection, dl_arena *arena, const char **applied, dl_problem *problem);

/* --- checkpoint.c ---------------------------------------------------------------- */

void dl_sqlite_keep_log_short(dl_sqlite *connection);

/* --- moved.c --------------------------------------------------------------------- */

typedef struct dl_file_mark {
  dev_t device;
  ino_t inode;
} dl_file_mark;

/* Which file lies at that path; false: none. */
bool dl_file_look(const char *path, dl_file_mark *mark);
/* Remembers which files the writer has opened. */
bool dl_database_mark(dl_database *database, const dl_sqlite *writer, dl_arena *arena, dl_problem *problem);
/* Whether they are the ones that lie at their paths; false with a problem. Any thread, while the writer has them open. */
bool dl_database_in_place(const dl_database *database, dl_arena *arena, dl_problem *problem);
/* Whether the log's index that is open here is one that others do not find any more. */
bool dl_database_lost_index(const dl_database *database);

/* --- opened.c -------------------------------------------------------------------- */

enum { DL_OPENED_FREE, DL_OPENED_WRITTEN, DL_OPENED_TAKEN }; /* states of a place */

/* Whether what lies at the path is what the server's other workers have; false with a problem. Before it is opened, which may make one. */
bool dl_database_may_open(const dl_database *database, dl_arena *arena, dl_problem *problem);
/* Tells the master of the file that was marked. */
void dl_database_note_opened(dl_database *database);
/* Loop thread, from when it is ready until the writer is to end: looks once a second whether it still lies there, and tells the master. */
void dl_opened_watch(dl_database *database);
/* Loop thread, when nothing looks any more. */
void dl_opened_let_go(dl_database *database);

/* --- rights.c -------------------------------------------------------------------- */

enum { DL_EXPOSURES_MAX = 4 };
/* Sentences about who else may read or change the database at this path, or put another there; how many. */
size_t dl_database_exposures_at(const char *path, dl_arena *arena, const char *out[DL_EXPOSURES_MAX]);

/* --- database.c, writer.c, reader.c -------------------------------------------- */

typedef struct dl_queue {
  dl_call *first, *last;
  unsigned count;
} dl_queue;

static inline void dl_queue_put(dl_queue *queue, dl_call *call) {
  call->next = NULL;
  if (queue->last) queue->last->next = call;
  else queue->first = call;
  queue->last = call;
  queue->count++;
}

static inline dl_call *dl_queue_take(dl_queue *queue) {
  dl_call *call = queue->first;
  if (!call) return NULL;
  queue->first = call->next;
  if (!queue->first) queue->last = NULL;
  queue->count--;
  call->next = NULL;
  return call;
}

/* NULL when nobody waits. */
static inline dl_call *dl_call_at(dl_fair_node *place) { return place ? (dl_call *)(void *)((char *)place - offsetof(dl_call, place)) : NULL; }

enum { DL_WORK_STATEMENT, DL_WORK_BEGIN, DL_WORK_COMMIT, DL_WORK_ROLLBACK };

typedef enum dl_transaction_state { DL_TRANSACTION_WAITS, DL_TRANSACTION_OPEN, DL_TRANSACTION_ENDED } dl_transaction_state;

/* Everything but database under the database's mutex. */
struct dl_transaction {
  dl_database *database;
  dl_transaction_state state;
  bool abandoned;
  unsigned holders; /* who began it, the writer until it has ended, and each of its calls until it is answered */
  const char *why;  /* it ended, for calls that come too late; static */
  dl_queue calls;
};

typedef struct dl_reader {
  uv_work_t work;
  dl_database *database;
  dl_sqlite *connection; /* opened on first use, by the pool's thread */
  bool busy;             /* from uv_queue_work to its end on the loop; loop thread */
} dl_reader;

typedef enum dl_database_state {
  DL_DATABASE_NEW,
  DL_DATABASE_STARTING,
  DL_DATABASE_READY,
  DL_DATABASE_STOPPING,
  DL_DATABASE_STOPPED
} dl_database_state;

enum { DL_READERS_MAX = 16, DL_SPARE_CALLS_MAX = 64 };

struct dl_database {
  dl_loop *loop;
  dl_arena arena;   /* statements and what else lives as long; loop thread until start, then read only */
  const char *path; /* of the file; ":memory:" */
  const char *home; /* where the url says that the file is; NULL: in memory */
  bool in_memory;   /* one connection for all: another would see another database */
  dl_database_options options;
  dl_statement **statements;
  size_t statement_count, statement_room;

  /* the writer's until it is ready, then read only */
  dl_file_mark file, log, index;
  bool has_log, has_index;
  dl_opened_file *place; /* where the master is told of it; NULL: nobody is told */
  const char *log_path; /* of the write-ahead log; the writer's connection has it */
  char *index_path;     /* of the log's index in shared memory; malloc */

  /* loop thread */
  dl_database_state state;
  bool orphan; /* dl_database_free came too early */
  bool wakes;  /* async and thread exist */
  size_t unanswered;
  dl_call *spare_calls;
  size_t spare_count;
  dl_database_event started, stopped;
  void *started_owner, *stopped_owner;
  void (*freed)(void *owner);
  void *freed_owner;
  dl_reader readers[DL_READERS_MAX];
  uv_async_t answer;
  uv_prepare_t before_sleep; /* tells the writer, once a turn, that there is work */
  uv_timer_t look;           /* whether the files still lie at their paths */
  uv_timer_t overdue;        /* when the first that waits is late, or one that was answered since would have been */
  unsigned open_handles;
  uv_thread_t writer;

  /* between threads, under mutex */
  uv_mutex_t mutex;
  uv_cond_t work; /* for the writer */
  dl_fair_queue reads, writes;
  dl_queue answers;
  bool leave;        /* the writer is to end */
  bool ready, gone;  /* the writer's news: start succeeded; it has ended */
  char *start_error; /* malloc; why it has ended without being ready */
  char *applied;     /* malloc; migrations, for the log */
  char *exposures[DL_EXPOSURES_MAX]; /* malloc; who else may get at it, for the log */
};

void dl_writer_main(void *database);
/* Gives unstarted reads to idle readers. */
void dl_readers_run(dl_database *database);
bool dl_readers_idle(const dl_database *database);
/* A reader came back: the database may be waiting for that to stop. */
void dl_database_settle(dl_database *database);
/* Any thread, mutex held: the call goes back to the loop. */
void dl_answer_locked(dl_database *database, dl_call *call);
/* The same, mutex held, of a transaction that has ended and all that its calls still ask for;
 * last: the call that ended it, or NULL. The writer's hold on it is over. */
void dl_transaction_end_locked(dl_transaction *transaction, const char *why, dl_call *last);
/* Any thread, mutex held: answers one that was taken from reads or writes and has its problem. */
void dl_call_refuse_locked(dl_database *database, dl_call *call);
/* Loop thread: a call waits in reads or writes, and is to fail when it waited too long. */
void dl_overdue_watch(dl_database *database);
/* Marks a call that was given up; it is then not to be run. */
bool dl_call_unwanted(dl_call *call);
/* The same, and of one that waited past its deadline. */
bool dl_call_expired(dl_call *call);

#endif
