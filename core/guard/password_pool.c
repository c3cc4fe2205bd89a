/* SPDX-License-Identifier: MIT */
#include "guard/password_pool.h"

#include "base/memory.h"
#include "crypto/secret.h"

#include <stdlib.h>

typedef struct job {
  uv_work_t work;
  dl_password_pool *pool; /* NULL once nobody listens */
  void (*compute)(struct job *job);
  char *stored, *password;
  size_t stored_length, password_length;
  char made[DL_PASSWORD_TEXT];
  dl_password_answer answer;
  dl_password_done done;
  void *owner;
  uint64_t serial;
  dl_fair_node place; /* while it waits */
  struct job *next;
} job;

struct dl_password_pool {
  uv_loop_t *uv;
  job *running, *refused; /* in no order; those that gave way are told when the next one has run, not from within who came */
  dl_fair_queue waiting;
  uint32_t running_count;
  bool *freed; /* while they are told */
};

static job *job_at(dl_fair_node *place) { return place ? (job *)(void *)((char *)place - offsetof(job, place)) : NULL; }

dl_password_pool *dl_password_pool_new(uv_loop_t *uv) {
  dl_password_pool *pool = dl_calloc(1, sizeof(*pool));
  pool->uv = uv;
  return pool;
}

static bool is_full(const dl_password_pool *pool) { return pool->waiting.count >= DL_PASSWORDS_WAITING_MAX; }

bool dl_password_pool_refuses(const dl_password_pool *pool, uint64_t share) {
  return is_full(pool) && !dl_fair_queue_who_gives_way(&pool->waiting, share);
}

static void job_free(job *ended) {
  dl_secret_free(ended->password, ended->password_length);
  dl_free(ended->stored);
  dl_free(ended);
}

void dl_password_pool_free(dl_password_pool *pool) {
  if (!pool) return;
  if (pool->freed) *pool->freed = true;
  for (job *waiting; (waiting = job_at(dl_fair_queue_take(&pool->waiting)));) job_free(waiting);
  for (job *next, *refused = pool->refused; refused; refused = next) {
    next = refused->next;
    job_free(refused);
  }
  for (job *running = pool->running; running; running = running->next) running->pool = NULL;
  dl_free(pool);
}

/* --- on the thread pool ------------------------------------------------------------------ */

static void compute_hash(job *asked) {
  static const dl_password_cost cost = DL_PASSWORD_COST;
  asked->answer.result = dl_password_hash(dl_str_from(asked->password, asked->password_length), &cost, asked->made);
  if (asked->answer.result == DL_PASSWORD_OK) asked->answer.text = asked->made;
}

static void compute_verify(job *asked) {
  static const dl_password_cost cost = DL_PASSWORD_COST;
  dl_str stored = dl_str_from(asked->stored, asked->stored_length), password = dl_str_from(asked->password, asked->password_length);
  dl_password_result result = stored.len ? dl_password_verify(stored, password) : dl_password_verify_nobody(password, &cost);
  /* Who has no password takes as long as who does not exist. */
  if (result == DL_PASSWORD_MALFORMED && dl_password_verify_nobody(password, &cost) == DL_PASSWORD_FAILED) result = DL_PASSWORD_FAILED;
  asked->answer.result = result;
  asked->answer.outdated = asked->answer.result == DL_PASSWORD_OK && dl_password_outdated(stored, &cost);
}

static void on_work(uv_work_t *work) {
  job *asked = work->data;
  asked->compute(asked);
}

/* --- on the loop --------------------------------------------------------------------------- */

static void start_waiting(dl_password_pool *pool);

/* Whoever is told may free the pool. */
static void tell(dl_password_pool *pool, const job *ended) {
  bool freed = false;
  pool->freed = &freed;
  ended->done(&ended->answer, ended->owner, ended->serial);
  for (job *gone; !freed && (gone = pool->refused);) {
    pool->refused = gone->next;
    gone->done(&(dl_password_answer){.result = DL_PASSWORD_FAILED, .gave_way = true}, gone->owner, gone->serial);
    job_free(gone);
  }
  if (!freed) pool->freed = NULL;
}

static void on_worked(uv_work_t *work, int status) {
  job *ended = work->data;
  dl_password_pool *pool = ended->pool;
  if (status != 0) ended->answer = (dl_password_answer){.result = DL_PASSWORD_FAILED};
  if (pool) {
    job **place = &pool->running;
    while (*place != ended) place = &(*place)->next;
    *place = ended->next;
    pool->running_count--;
    start_waiting(pool);
    tell(pool, ended);
  }
  job_free(ended);
}

static void start_waiting(dl_password_pool *pool) {
  while (pool->waiting.first && pool->running_count < DL_PASSWORDS_AT_ONCE) {
    job *next = job_at(dl_fair_queue_take(&pool->waiting));
    pool->running_count++;
    next->next = pool->running;
    pool->running = next;
    if (uv_queue_work(pool->uv, &next->work, on_work, on_worked) != 0) abort(); /* only without a callback */
  }
}

static void make_room(dl_password_pool *pool, uint64_t share) {
  job *gone = job_at(dl_fair_queue_who_gives_way(&pool->waiting, share));
  dl_fair_queue_remove(&pool->waiting, &gone->place);
  gone->next = pool->refused;
  pool->refused = gone;
}

static bool submit(dl_password_pool *pool, uint64_t share, const job *asked, dl_str stored, dl_str password) {
  if (dl_password_pool_refuses(pool, share)) return false;
  if (is_full(pool)) make_room(pool, share);
  job *waiting = dl_malloc(sizeof(*waiting));
  *waiting = *asked;
  waiting->pool = pool;
  waiting->work.data = waiting;
  /* What is longer is no password, and is not worth its copy. */
  password.len = password.len > DL_PASSWORD_LENGTH_MAX ? DL_PASSWORD_LENGTH_MAX + 1 : password.len;
  waiting->password = dl_secret_new(password);
  waiting->password_length = password.len;
  waiting->stored = dl_strndup(stored.len ? stored.ptr : "", stored.len);
  waiting->stored_length = stored.len;
  dl_fair_queue_put(&pool->waiting, &waiting->place, share);
  start_waiting(pool);
  return true;
}

bool dl_password_pool_hash(dl_password_pool *pool, uint64_t share, dl_str password, dl_password_done done, void *owner, uint64_t serial) {
  return submit(pool, share, &(job){.compute = compute_hash, .done = done, .owner = owner, .serial = serial}, (dl_str){0}, password);
}

bool dl_password_pool_verify(dl_password_pool *pool, uint64_t share, dl_str stored, dl_str password, dl_password_done done, void *owner,
                             uint64_t serial) {
  return submit(pool, share, &(job){.compute = compute_verify, .done = done, .owner = owner, .serial = serial}, stored, password);
}
