/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/memory.h"
#include "net/turn.h"

/* Three who wait, and a word of what happened: each adds its letter, the loop a dot for each turn. */
typedef struct world {
  uv_loop_t uv;
  dl_loop loop;
  dl_turns turns;
  uv_prepare_t prepare;
  struct waiter {
    dl_turn turn;
    struct world *world;
    char letter;
    int times;
    struct waiter *clears;
    bool ends;
  } a, b, c;
  char word[32];
} world;

static void add(world *w, char letter) {
  size_t len = strlen(w->word);
  if (len + 1 < sizeof w->word) w->word[len] = letter;
}

static void on_prepare(uv_prepare_t *prepare) { add(prepare->data, '.'); }

static void run(dl_turn *turn) {
  struct waiter *waiter = (struct waiter *)turn;
  add(waiter->world, waiter->letter);
  if (waiter->clears) dl_turn_clear(&waiter->clears->turn);
  if (waiter->ends) dl_turns_end(&waiter->world->turns);
  if (--waiter->times > 0) dl_turn_wait(&waiter->world->turns, turn, run);
}

static void begin(world *w) {
  *w = (world){.a = {.letter = 'a', .times = 1}, .b = {.letter = 'b', .times = 1}, .c = {.letter = 'c', .times = 1}};
  w->a.world = w->b.world = w->c.world = w;
  uv_loop_init(&w->uv);
  w->loop.uv = &w->uv;
  dl_turns_init(&w->turns, &w->loop);
  uv_prepare_init(&w->uv, &w->prepare);
  w->prepare.data = w;
  uv_prepare_start(&w->prepare, on_prepare);
  uv_unref((uv_handle_t *)&w->prepare);
}

static void wait_all(world *w) {
  dl_turn_wait(&w->turns, &w->a.turn, run);
  dl_turn_wait(&w->turns, &w->b.turn, run);
  dl_turn_wait(&w->turns, &w->c.turn, run);
}

/* Runs until nobody waits, and compares the word. */
static void expect(world *w, const char *word) {
  uv_run(&w->uv, UV_RUN_DEFAULT);
  assert_string_equal(w->word, word);
  dl_turns_end(&w->turns);
  uv_close((uv_handle_t *)&w->prepare, NULL);
  uv_run(&w->uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w->uv), 0);
}

static void they_run_in_their_order_and_once(void **state) {
  (void)state;
  world w;
  begin(&w);
  wait_all(&w);
  expect(&w, "abc.");
}

static void who_waits_again_waits_for_the_next_turn(void **state) {
  (void)state;
  world w;
  begin(&w);
  w.b.times = 3;
  wait_all(&w);
  expect(&w, "abc.b.b.");
}

static void who_waits_twice_runs_once_and_last(void **state) {
  (void)state;
  world w;
  begin(&w);
  wait_all(&w);
  dl_turn_wait(&w.turns, &w.a.turn, run);
  expect(&w, "bca.");
}

static void who_is_cleared_does_not_run(void **state) {
  (void)state;
  world w;
  begin(&w);
  w.a.clears = &w.c; /* whose turn it would be in this same one */
  wait_all(&w);
  expect(&w, "ab.");
}

static void a_wait_after_the_end_is_not_heard(void **state) {
  (void)state;
  world w;
  begin(&w);
  w.a.times = 2;
  w.a.ends = true;
  dl_turn_wait(&w.turns, &w.a.turn, run);
  expect(&w, "a.");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(they_run_in_their_order_and_once),
      cmocka_unit_test(who_waits_again_waits_for_the_next_turn),
      cmocka_unit_test(who_waits_twice_runs_once_and_last),
      cmocka_unit_test(who_is_cleared_does_not_run),
      cmocka_unit_test(a_wait_after_the_end_is_not_heard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
