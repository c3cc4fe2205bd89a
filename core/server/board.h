/* SPDX-License-Identifier: MIT */
/*
 * Signs of life of the master's children (base/beat.h), each in pages of its own. The
 * master sees all, and ends whose work does not come back; a child keeps its own alone,
 * since whoever can write another's sign has the master end that process.
 */
#ifndef DL_SERVER_BOARD_H
#define DL_SERVER_BOARD_H

#include "base/beat.h"

#include <stddef.h>

typedef struct dl_board {
  char *memory; /* shared with the processes that are forked; NULL: none */
  size_t count, stride;
} dl_board;

/* Room for so many, all at rest. False when the system has no memory. */
bool dl_board_open(dl_board *board, size_t count);
void dl_board_close(dl_board *board);

dl_beat *dl_board_beat(const dl_board *board, size_t index);

/* In a child, which has no way back to what it gives up: all but index; count gives up all. */
void dl_board_keep(const dl_board *board, size_t index);

#endif
