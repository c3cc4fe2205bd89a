/* SPDX-License-Identifier: MIT */
/* Two threads that count without asking each other: what tests/races/run has to hear of, or it would hear of nothing. */
#include <pthread.h>
#include <stddef.h>

static volatile long count;

static void *work(void *unused) {
  (void)unused;
  for (int i = 0; i < 100000; i++) count++;
  return NULL;
}

int main(void) {
  pthread_t other;
  if (pthread_create(&other, NULL, work, NULL) != 0) return 1;
  work(NULL);
  return pthread_join(other, NULL);
}
