/* SPDX-License-Identifier: MIT */
#include "cli/nearest.h"

enum { LENGTH_MAX = 31 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many letters must change to make one of the other (Levenshtein). */
static size_t distance(dl_str a, dl_str b) {
  size_t row[LENGTH_MAX + 1];
  for (size_t j = 0; j <= b.len; j++) row[j] = j;
  for (size_t i = 1; i <= a.len; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.len; j++) {
      size_t changed = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
      diagonal = row[j];
      row[j] = least(changed, least(row[j], row[j - 1]) + 1);
    }
  }
  return row[b.len];
}

/* Two letters, or one of a short name: what fingers do, and not another word. */
void dl_nearest_offer(dl_nearest *nearest, const char *name) {
  dl_str written = nearest->written, offered = dl_str_of(name);
  if (written.len > LENGTH_MAX || offered.len > LENGTH_MAX) return;
  size_t steps = distance(written, offered);
  if (steps > (written.len > 3 ? 2 : 1) || (nearest->name && steps >= nearest->steps)) return;
  nearest->name = name;
  nearest->steps = steps;
}
