/* SPDX-License-Identifier: MIT */
/*
 * Bytes in: the parser may not care in which pieces they come, and what it gives
 * lies inside them (tests/unit/http_replay.h aborts otherwise). The first byte
 * chooses the cut and the limits.
 */
#include "../unit/http_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  dl_http_limits limits = {
      .max_head_bytes = data[0] & 0x80 ? 96 : 16384, .max_target_bytes = data[0] & 0x40 ? 8 : 8192, .max_headers = data[0] & 0x20 ? 2 : 100};
  size_t step = (size_t)(data[0] & 0x1f) + 1;
  dl_str bytes = dl_str_from((const char *)data + 1, size - 1);
  dl_buffer whole = {0}, cut = {0};
  replay_all(bytes, &limits, bytes.len, 1, &whole);
  replay_all(bytes, &limits, step, step, &cut);
  if (!dl_str_equal(dl_buffer_str(&whole), dl_buffer_str(&cut))) abort();
  dl_buffer_clear(&cut);
  replay_all(bytes, &limits, 1, 1, &cut);
  if (!dl_str_equal(dl_buffer_str(&whole), dl_buffer_str(&cut))) abort();
  dl_buffer_free(&whole);
  dl_buffer_free(&cut);
  return 0;
}
