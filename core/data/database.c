/* SPDX-License-Identifier: MIT */
/*
 * The loop's side of a database: its life, its calls, and the way their answers
 * come back. The writer's and the readers' sides are in files of their own.
 */
#include "data/internal.h"

#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* --- making -------------------------------------------------------------------------- */

static void set_defaults(dl_database_options *options) {
  struct {
    unsigned *field, value;
  } defaults[] = {{&options->readers, 3},          {&options->queue_max, 1000},      {&options->queue_ms, 5000},          {&options->lock_ms, 5000},
                  {&options->statement_ms, 10000}, {&options->transaction_ms, 5000}, {&options->migration_lock_ms, 75000}};
  for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
    if (!*defaults[i].field) *defaults[i].field = defaults[i].value;
  if (options->readers > DL_READERS_MAX) options->readers = DL_READERS_MAX;
  if (!options->result_bytes) options->result_bytes = (size_t)32 << 20;
  if (!options->folder) options->folder = ".";
}

static const char *path_in(dl_database *database, dl_str name) {
  const char *slash = memrchr(name.ptr, '/', name.len);
  if (slash && database->options.place == DL_PLACE_FOLDER)
    return dl_arena_format(&database->arena, "%s/%016" PRIx64 "-%.*s", database->options.folder, dl_hash(name),
                           (int)(name.ptr + name.len - slash - 1), slash + 1);
  if (name.ptr[0] == '/') return dl_arena_copy(&database->arena, name).ptr;
  return dl_arena_format(&database->arena, "%s/%.*s", database->options.folder, DL_STR_ARGS(name));
}

/* What is wrong with a url, NULL when it is one we know. */
static const char *refusal(dl_str url) {
  if (!dl_str_starts(url, DL_STR("sqlite:"))) return "only SQLite is supported, so that a database's url begins with sqlite:, as in \"sqlite:users.db\"";
  dl_str name = dl_str_skip(url, 7);
  if (!name.len) return "the url names no file: write one, as in \"sqlite:users.db\"";
  if (dl_str_starts(name, DL_STR("//")))
    return "the url has slashes: write a relative path as \"sqlite:users.db\", an absolute one as \"sqlite:/var/lib/users/users.db\"";
  if (memchr(name.ptr, '?', name.len)) return "the url has a question mark: options are given beside it, as in app:database(url, { readers = 2 })";
  if (memchr(name.ptr, '\0', name.len)) return "the url has a NUL in it";
  return NULL;
}

dl_database *dl_database_new(dl_loop *loop, dl_str url, const dl_database_options *options, const char **error) {
  if ((*error = refusal(url))) return NULL;
  dl_database *database = dl_calloc(1, sizeof(*database));
  dl_str name = dl_str_skip(url, 7);
  database->loop = loop;
  dl_arena_init(&database->arena, 0);
  if (options) database->options = *options;
  dl_database_options *own = &database->options;
  set_defaults(own);
  own->folder = dl_arena_copy(&database->arena, dl_str_of(own->folder)).ptr;
  if (own->migrations) own->migrations = dl_arena_copy(&database->arena, dl_str_of(own->migrations)).ptr;
  if (own->files) own->files_folder = dl_arena_copy(&database->arena, dl_str_of(own->files_folder)).ptr;
  dl_file_set_hold(own->files);
  database->in_memory = own->place == DL_PLACE_MEMORY || dl_str_equal(name, DL_STR(":memory:"));
  database->home = dl_str_equal(name, DL_STR(":memory:")) ? NULL : path_in(database, name);
  database->path = database->in_memory ? ":memory:" : database->home;
  uv_mutex_init(&database->mutex);
  uv_cond_init(&database->work);
  return database;
}

const dl_statement *dl_database_seal(dl_database *database, const dl_statement_text *text, const char **error) {
  if (database->state != DL_DATABASE_NEW) {
    *error = "statements are sealed while the app loads, so that no request can become SQL: declare this one beside the others";
    return NULL;
  }
  dl_statement *statement = dl_statement_seal(&database->arena, text, error);
  if (!statement) return NULL;
  if (database->statement_count == database->statement_room) {
    database->statement_room = database->statement_room ? database->statement_room * 2 : 16;
    database->statements = dl_realloc(database->statements, database->statement_room * sizeof(*database->statements));
  }
  statement->index = (uint32_t)database->statement_count;
  database->statements[database->statement_count++] = statement;
  return statement;
}

const dl_statement *dl_database_statement(const dl_database *database, size_t index) {
  return index < database->statement_count ? database->statements[index] : NULL;
}

/* --- calls ----------------------------------------------------------------------------- */

dl_call *dl_call_new(dl_database *database, const dl_statement *statement, dl_shape shape) {
  dl_call *call = database->spare_calls;
  if (call) {
    database->spare_calls = call->next;
    database->spare_count--;
  } else {
    call = dl_malloc(sizeof(*call));
    dl_arena_init(&call->arena, 0);
  }
  dl_arena arena = call->arena;
  *call = (dl_call){.arena = arena, .database = database, .statement = statement, .shape = shape, .order = -1, .row_max = 1000};
  call->values = statement && statement->parameter_count ? dl_arena_zalloc(&call->arena, statement->parameter_count, sizeof(*call->values)) : NULL;
  return call;
}

static void free_call(dl_call *call) {
  dl_arena_free(&call->arena);
  dl_free(call);
}

void dl_call_drop(dl_call *call) {
  dl_database *database = call->database;
  if (database->spare_count >= DL_SPARE_CALLS_MAX) {
    free_call(call);
    return;
  }
  dl_arena_reset(&call->arena);
  call->next = database->spare_calls;
  database->spare_calls = call;
  database->spare_count++;
}

void dl_answer_locked(dl_database *database, dl_call *call) {
  bool first = !database->answers.first;
  dl_queue_put(&database->answers, call);
  if (first) uv_async_send(&database->answer);
}

bool dl_database_is_open(const dl_database *database) { return database->wakes; }

bool dl_database_is_new(const dl_database *database) { return database->state == DL_DATABASE_NEW; }

bool dl_database_is_ending(const dl_database *database) {
  return database->state == DL_DATABASE_STOPPING || database->state == DL_DATABASE_STOPPED;
}

bool dl_database_has_closed(const dl_database *database) { return database->state != DL_DATABASE_NEW && !database->wakes; }

void dl_call_give_up(dl_call *call) { __atomic_store_n(&call->given_up, true, __ATOMIC_RELAXED); }

bool dl_call_unwanted(dl_call *call) {
  if (!__atomic_load_n(&call->given_up, __ATOMIC_RELAXED)) return false;
  dl_problem_set(&call->problem, DL_PROBLEM_STOPPED, &call->arena, "the call was given up before it began");
  return true;
}

bool dl_call_expired(dl_call *call) {
  if (dl_call_unwanted(call)) return true;
  if (uv_hrtime() < call->deadline) return false;
  dl_problem_set(&call->problem, DL_PROBLEM_BUSY, &call->arena, "the database is busy: the call waited too long to be begun");
  return true;
}

/* Whether it may be begun at all; false with a problem. Mutex held. */
static bool may_begin(const dl_database *database, dl_call *call) {
  const dl_transaction *transaction = call->transaction;
  if (transaction && call->work != DL_WORK_BEGIN) {
    if (transaction->state == DL_TRANSACTION_OPEN) return true;
    dl_problem_set(&call->problem, DL_PROBLEM_ENDED, &call->arena, "%s", transaction->why ? transaction->why : "the transaction has not begun");
    return false;
  }
  if (database->state == DL_DATABASE_READY) return true;
  dl_problem_set(&call->problem, DL_PROBLEM_STOPPED, &call->arena, "the database is being opened or stopped");
  return false;
}

static void refuse_for_many(dl_call *call, uint32_t waiting) {
  dl_problem_set(&call->problem, DL_PROBLEM_BUSY, &call->arena, "the database is busy: %u calls wait already", waiting);
}

/* Waits for its turn, where there is room or another makes some; false with a problem. Mutex held. */
static bool put_in_line(dl_database *database, dl_fair_queue *queue, dl_call *call) {
  if (queue->count >= database->options.queue_max) {
    dl_call *out = dl_call_at(dl_fair_queue_who_gives_way(queue, call->share));
    refuse_for_many(out ? out : call, queue->count);
    if (!out) return false;
    dl_fair_queue_remove(queue, &out->place);
    dl_call_refuse_locked(database, out);
  }
  dl_fair_queue_put(queue, &call->place, call->share);
  return true;
}

/* Writes of one turn of the loop reach the writer together, so that they share a
 * commit: told of the first at once, it would begin with that one alone. */
static void on_before_sleep(uv_prepare_t *prepare) {
  dl_database *database = prepare->data;
  uv_prepare_stop(prepare);
  uv_mutex_lock(&database->mutex);
  uv_cond_signal(&database->work);
  uv_mutex_unlock(&database->mutex);
}

/* What a transaction asks for goes to the writer that has it open. */
static void submit_within(dl_database *database, dl_call *call) {
  uv_mutex_lock(&database->mutex);
  call->transaction->holders++; /* deliver gives it back */
  bool waits = may_begin(database, call);
  if (waits) dl_queue_put(&call->transaction->calls, call);
  else dl_answer_locked(database, call);
  if (waits) uv_cond_signal(&database->work);
  uv_mutex_unlock(&database->mutex);
}

void dl_call_submit(dl_call *call) {
  dl_database *database = call->database;
  assert(database->wakes);
  if (!database->unanswered++) uv_ref((uv_handle_t *)&database->answer);
  call->deadline = uv_hrtime() + (uint64_t)database->options.queue_ms * 1000000u;
  if (call->transaction && call->work != DL_WORK_BEGIN) {
    submit_within(database, call);
    return;
  }
  bool writes = call->work == DL_WORK_BEGIN || call->statement->writes || database->in_memory;
  uv_mutex_lock(&database->mutex);
  bool waits = may_begin(database, call) && put_in_line(database, writes ? &database->writes : &database->reads, call);
  if (!waits) dl_answer_locked(database, call);
  if (!waits && call->work == DL_WORK_BEGIN) call->transaction->holders--; /* the writer's */
  uv_mutex_unlock(&database->mutex);
  if (!waits) return;
  dl_overdue_watch(database);
  if (writes) uv_prepare_start(&database->before_sleep, on_before_sleep);
  else dl_readers_run(database);
}

/* --- answers and news -------------------------------------------------------------------- */

static void let_go(dl_transaction *transaction) {
  dl_database *database = transaction->database;
  uv_mutex_lock(&database->mutex);
  bool last = --transaction->holders == 0;
  uv_mutex_unlock(&database->mutex);
  if (last) dl_free(transaction);
}

static void deliver(dl_database *database) {
  uv_mutex_lock(&database->mutex);
  dl_queue answers = database->answers;
  database->answers = (dl_queue){0};
  uv_mutex_unlock(&database->mutex);
  for (dl_call *call; (call = dl_queue_take(&answers));) {
    database->unanswered--;
    if (!database->orphan) call->done(call);
    /* One that never began, or that nobody is left to hold. */
    bool began = call->work == DL_WORK_BEGIN && call->problem.kind == DL_PROBLEM_NONE;
    if (call->work == DL_WORK_BEGIN && (database->orphan || !began)) dl_transaction_release(call->transaction);
    else if (call->work != DL_WORK_BEGIN && call->transaction) let_go(call->transaction);
    dl_call_drop(call);
  }
}

static void free_database(dl_database *database) {
  for (dl_call *next, *call = database->spare_calls; call; call = next) {
    next = call->next;
    free_call(call);
  }
  uv_cond_destroy(&database->work);
  uv_mutex_destroy(&database->mutex);
  dl_file_set_free(database->options.files);
  dl_arena_free(&database->arena);
  dl_free(database->statements);
  dl_free(database->index_path);
  dl_free(database->start_error);
  dl_free(database->applied);
  for (size_t i = 0; i < DL_EXPOSURES_MAX; i++) dl_free(database->exposures[i]);
  void (*freed)(void *owner) = database->freed;
  void *owner = database->freed_owner;
  dl_free(database);
  if (freed) freed(owner);
}

void dl_database_on_freed(dl_database *database, void (*freed)(void *owner), void *owner) {
  database->freed = freed;
  database->freed_owner = owner;
}

/* The last thing that happens to a database that was started. */
static void on_closed(uv_handle_t *handle) {
  dl_database *database = handle->data;
  if (--database->open_handles) return;
  dl_database_event stopped = database->stopped;
  database->stopped = NULL;
  database->wakes = false;
  database->state = DL_DATABASE_STOPPED;
  if (database->orphan) free_database(database);
  else if (stopped) stopped(database->stopped_owner, NULL);
}

static void close_handles(dl_database *database) {
  dl_opened_let_go(database);
  database->open_handles = 4;
  uv_close((uv_handle_t *)&database->answer, on_closed);
  uv_close((uv_handle_t *)&database->overdue, on_closed);
  uv_close((uv_handle_t *)&database->look, on_closed);
  uv_close((uv_handle_t *)&database->before_sleep, on_closed);
}

static void report_start(dl_database *database, const char *error) {
  dl_database_event started = database->started;
  database->started = NULL;
  /* Of one that a reload gave up, too: it has changed what the code from before works on. */
  if (database->applied) dl_log_text(&database->loop->log, DL_LOG_INFO, "migrations applied: %s", database->applied);
  for (size_t i = 0; !error && !database->orphan && i < DL_EXPOSURES_MAX && database->exposures[i]; i++)
    dl_log_text(&database->loop->log, DL_LOG_WARNING, "%s", database->exposures[i]);
  if (started && !database->orphan) started(database->started_owner, error);
}

static void become_ready(dl_database *database) {
  database->state = DL_DATABASE_READY;
  dl_opened_watch(database);
}

static void on_answer(uv_async_t *async) {
  dl_database *database = async->data;
  uv_mutex_lock(&database->mutex);
  bool ready = database->ready, gone = database->gone;
  uv_mutex_unlock(&database->mutex);
  deliver(database);
  if (ready && database->state == DL_DATABASE_STARTING) become_ready(database);
  if (ready && database->started) report_start(database, NULL);
  if (gone && database->wakes) {
    uv_thread_join(&database->writer);
    database->wakes = false;
    deliver(database); /* to those who asked again when they were answered just now */
    if (!ready) report_start(database, database->start_error);
    close_handles(database);
    return;
  }
  dl_database_settle(database);
}

/* --- start and stop ------------------------------------------------------------------------- */

void dl_database_settle(dl_database *database) {
  if (!database->wakes) return;
  bool idle = !database->unanswered && dl_readers_idle(database);
  if (database->state == DL_DATABASE_STOPPING && idle) {
    uv_timer_stop(&database->look); /* the log's path is the writer's connection's */
    uv_mutex_lock(&database->mutex);
    database->leave = true;
    uv_cond_signal(&database->work);
    uv_mutex_unlock(&database->mutex);
  } else if (database->state == DL_DATABASE_READY && idle) {
    /* A database that nobody waits for does not keep the loop alive. */
    uv_unref((uv_handle_t *)&database->answer);
  }
}

void dl_database_start(dl_database *database, dl_database_event done, void *owner) {
  assert(database->state == DL_DATABASE_NEW);
  database->state = DL_DATABASE_STARTING;
  database->started = done;
  database->started_owner = owner;
  dl_loop_expect(uv_async_init(database->loop->uv, &database->answer, on_answer), "a way to be woken");
  uv_prepare_init(database->loop->uv, &database->before_sleep);
  uv_unref((uv_handle_t *)&database->before_sleep);
  uv_timer_init(database->loop->uv, &database->overdue);
  uv_timer_init(database->loop->uv, &database->look);
  uv_unref((uv_handle_t *)&database->look);
  uv_unref((uv_handle_t *)&database->overdue); /* answer keeps the loop alive for who waits */
  database->answer.data = database->before_sleep.data = database->overdue.data = database->look.data = database;
  database->wakes = true;
  if (uv_thread_create(&database->writer, dl_writer_main, database) == 0) return;
  database->wakes = false;
  report_start(database, "the database's writer thread cannot be started: the system has no room for a thread");
  close_handles(database);
}

void dl_database_stop(dl_database *database, dl_database_event done, void *owner) {
  assert(!database->stopped);
  database->stopped = done;
  database->stopped_owner = owner;
  if (!database->wakes) {
    database->stopped = NULL;
    done(owner, NULL);
    return;
  }
  database->state = DL_DATABASE_STOPPING;
  uv_ref((uv_handle_t *)&database->answer);
  dl_database_settle(database);
}

void dl_database_free(dl_database *database) {
  if (!database) return;
  database->orphan = true;
  if (database->state == DL_DATABASE_NEW || database->state == DL_DATABASE_STOPPED) {
    free_database(database);
    return;
  }
  if (database->state == DL_DATABASE_STOPPING || !database->wakes) return; /* on_closed frees it */
  database->state = DL_DATABASE_STOPPING;
  uv_ref((uv_handle_t *)&database->answer);
  dl_database_settle(database);
}

/* --- transactions ------------------------------------------------------------------------------ */

static void submit_work(dl_call *call, dl_transaction *transaction, uint8_t work) {
  assert(!call->statement);
  call->work = work;
  call->transaction = transaction;
  dl_call_submit(call);
}

void dl_transaction_begin(dl_call *call) {
  dl_transaction *transaction = dl_calloc(1, sizeof(*transaction));
  transaction->database = call->database;
  transaction->holders = 2;
  submit_work(call, transaction, DL_WORK_BEGIN);
}

void dl_transaction_commit(dl_call *call, dl_transaction *transaction) { submit_work(call, transaction, DL_WORK_COMMIT); }

void dl_transaction_rollback(dl_call *call, dl_transaction *transaction) { submit_work(call, transaction, DL_WORK_ROLLBACK); }

void dl_transaction_abandon(dl_transaction *transaction) {
  dl_database *database = transaction->database;
  uv_mutex_lock(&database->mutex);
  transaction->abandoned = true;
  uv_cond_signal(&database->work);
  uv_mutex_unlock(&database->mutex);
}

void dl_transaction_release(dl_transaction *transaction) {
  dl_transaction_abandon(transaction);
  let_go(transaction);
}
