/* SPDX-License-Identifier: MIT */
#include "server/board.h"

#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

bool dl_board_open(dl_board *board, size_t count, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  *board = (dl_board){.count = count, .stride = (bytes + page - 1) / page * page};
  void *memory = mmap(NULL, count * board->stride, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) board->memory = memory;
  return board->memory;
}

void dl_board_close(dl_board *board) {
  if (board->memory) munmap(board->memory, board->count * board->stride);
  *board = (dl_board){0};
}

void *dl_board_at(const dl_board *board, size_t index) { return board->memory + index * board->stride; }

/* Who cannot give them up does not go on with them. */
static void give_up(const dl_board *board, size_t first, size_t behind) {
  size_t bytes = (behind - first) * board->stride;
  if (bytes && munmap(board->memory + first * board->stride, bytes) != 0) dl_memory_exhausted(bytes);
}

void dl_board_keep(const dl_board *board, size_t index) {
  give_up(board, 0, index);
  if (index < board->count) give_up(board, index + 1, board->count);
}
