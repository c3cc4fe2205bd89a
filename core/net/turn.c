/* SPDX-License-Identifier: MIT */
#include "net/turn.h"

#include "base/memory.h"

static void init_list(dl_turn *head) { head->previous = head->next = head; }

static bool is_empty(const dl_turn *head) { return head->next == head; }

static void append(dl_turn *head, dl_turn *turn) {
  turn->previous = head->previous;
  turn->next = head;
  head->previous->next = turn;
  head->previous = turn;
}

void dl_turn_clear(dl_turn *turn) {
  if (!turn->next) return;
  turn->previous->next = turn->next;
  turn->next->previous = turn->previous;
  turn->previous = turn->next = NULL;
}

/* Whose turn it is moves to a list of its own: who waits again waits for the next one. */
static void on_turn(uv_idle_t *idle) {
  dl_turns *turns = idle->data;
  dl_turn due;
  init_list(&due);
  dl_clock_update(&turns->loop->clock);
  for (dl_turn *turn; !is_empty(&turns->head);) {
    turn = turns->head.next;
    dl_turn_clear(turn);
    append(&due, turn);
  }
  while (!is_empty(&due)) {
    dl_turn *turn = due.next;
    dl_turn_clear(turn);
    turn->run(turn);
  }
  turns = idle->data; /* NULL: they were ended meanwhile, and may be gone */
  if (turns && is_empty(&turns->head)) uv_idle_stop(idle);
}

static void on_closed(uv_handle_t *handle) { dl_free(handle); }

void dl_turns_init(dl_turns *turns, dl_loop *loop) {
  *turns = (dl_turns){.loop = loop};
  init_list(&turns->head);
}

void dl_turns_end(dl_turns *turns) {
  turns->ended = true;
  if (!turns->idle) return;
  turns->idle->data = NULL;
  uv_close((uv_handle_t *)turns->idle, on_closed);
  turns->idle = NULL;
}

void dl_turn_wait(dl_turns *turns, dl_turn *turn, void (*run)(dl_turn *turn)) {
  dl_turn_clear(turn);
  if (turns->ended) return;
  if (!turns->idle) {
    turns->idle = dl_malloc(sizeof *turns->idle);
    uv_idle_init(turns->loop->uv, turns->idle);
    turns->idle->data = turns;
  }
  turn->run = run;
  append(&turns->head, turn);
  uv_idle_start(turns->idle, on_turn);
}
