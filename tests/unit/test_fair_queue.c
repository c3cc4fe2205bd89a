/* SPDX-License-Identifier: MIT */
/* Fair queueing: who waits, in what order, and who gives way. */
#include "unit.h"

#include "base/fair_queue.h"

enum { SHARES = 5, MANY = 400 };

static void put_all(dl_fair_queue *queue, dl_fair_node *nodes, const char *shares) {
  for (size_t i = 0; shares[i]; i++) dl_fair_queue_put(queue, &nodes[i], (uint64_t)shares[i]);
}

/* The shares of those that come out, in their order; empty afterwards. */
static const char *taken(dl_fair_queue *queue) {
  static char text[64];
  size_t length = 0;
  for (dl_fair_node *node; (node = dl_fair_queue_take(queue));) text[length++] = (char)node->share;
  text[length] = '\0';
  assert_int_equal(queue->count, 0);
  return text;
}

static void one_of_each_comes_in_turn(void **state) {
  (void)state;
  static const struct {
    const char *put, *taken;
  } rows[] = {
      {"", ""}, {"a", "a"}, {"aaa", "aaa"}, {"ab", "ab"}, {"aaaab", "abaaa"}, {"aaabbc", "abcaba"}, {"abcabc", "abcabc"}, {"aabbbbba", "ababbabb"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    dl_fair_queue queue = {0};
    dl_fair_node nodes[16];
    put_all(&queue, nodes, rows[i].put);
    assert_string_equal(taken(&queue), rows[i].taken);
  }
}

static void who_comes_later_waits_for_two_of_each_at_most(void **state) {
  (void)state;
  dl_fair_queue queue = {0};
  dl_fair_node nodes[16], late, later;
  put_all(&queue, nodes, "aaaaaabb");
  assert_ptr_equal(dl_fair_queue_take(&queue), &nodes[0]);
  assert_ptr_equal(dl_fair_queue_take(&queue), &nodes[6]);
  assert_ptr_equal(dl_fair_queue_take(&queue), &nodes[1]);
  dl_fair_queue_put(&queue, &late, 'c');
  dl_fair_queue_put(&queue, &later, 'c');
  assert_string_equal(taken(&queue), "bacacaa");
}

static void who_was_served_does_not_wait_longer_for_that(void **state) {
  (void)state;
  dl_fair_queue queue = {0};
  dl_fair_node nodes[16], again;
  for (int i = 0; i < 9; i++) {
    dl_fair_queue_put(&queue, &again, 'a');
    assert_ptr_equal(dl_fair_queue_take(&queue), &again);
  }
  put_all(&queue, nodes, "abab");
  assert_string_equal(taken(&queue), "abab");
}

static void the_last_of_who_has_most_gives_way(void **state) {
  (void)state;
  dl_fair_queue queue = {0};
  dl_fair_node nodes[16];
  assert_null(dl_fair_queue_who_gives_way(&queue, 'a'));
  put_all(&queue, nodes, "aabbbac");
  assert_null(dl_fair_queue_who_gives_way(&queue, 'a'));
  assert_null(dl_fair_queue_who_gives_way(&queue, 'b'));
  assert_ptr_equal(dl_fair_queue_who_gives_way(&queue, 'c'), &nodes[5]);
  dl_fair_queue_remove(&queue, &nodes[5]);
  assert_ptr_equal(dl_fair_queue_who_gives_way(&queue, 'd'), &nodes[4]);
  dl_fair_queue_remove(&queue, &nodes[4]);
  assert_ptr_equal(dl_fair_queue_who_gives_way(&queue, 'd'), &nodes[3]);
  dl_fair_queue_remove(&queue, &nodes[3]);
  dl_fair_queue_remove(&queue, &nodes[1]);
  assert_null(dl_fair_queue_who_gives_way(&queue, 'd'));
  assert_string_equal(taken(&queue), "abc");
}

/* Of no other share more than two are taken while one waits: its one of this round, and of the next. */
static void nobody_waits_for_many_of_another(void **state) {
  (void)state;
  static dl_fair_node nodes[MANY];
  uint64_t seed = 88172645463325252u;
  for (int trial = 0; trial < 200; trial++) {
    dl_fair_queue queue = {0};
    size_t in[SHARES] = {0}, out[SHARES] = {0}, order[SHARES][MANY], since[SHARES][SHARES] = {0};
    uint32_t count = 0;
    for (size_t i = 0; i < MANY;) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      if (seed % 3 || !count) { /* the first share puts most */
        size_t share = seed / 3 % 16 < 12 ? 0 : 1 + seed / 48 % (SHARES - 1);
        if (in[share] == out[share]) memset(since[share], 0, sizeof(since[share]));
        dl_fair_queue_put(&queue, &nodes[i], share);
        order[share][in[share]++] = i++;
        count++;
      } else {
        const dl_fair_node *node = dl_fair_queue_take(&queue);
        size_t share = node->share;
        assert_ptr_equal(node, &nodes[order[share][out[share]]]);
        for (size_t other = 0; other < SHARES; other++) assert_true(other == share || in[other] == out[other] || ++since[other][share] <= 2);
        memset(since[share], 0, sizeof(since[share]));
        out[share]++;
        count--;
      }
      assert_int_equal(queue.count, count);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_of_each_comes_in_turn),
      cmocka_unit_test(who_comes_later_waits_for_two_of_each_at_most),
      cmocka_unit_test(who_was_served_does_not_wait_longer_for_that),
      cmocka_unit_test(the_last_of_who_has_most_gives_way),
      cmocka_unit_test(nobody_waits_for_many_of_another),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
