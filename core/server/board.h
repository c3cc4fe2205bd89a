/* SPDX-License-Identifier: MIT */
/*
 * What the master's children tell it in memory, each in pages of its own: signs of life
 * (base/beat.h), and which databases are open (data/opened.h). The master sees all; a
 * child keeps its own alone, since by another's it would speak for that one, and have the
 * master end it or keep it from starting.
 */
#ifndef DL_SERVER_BOARD_H
#define DL_SERVER_BOARD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct dl_board {
  char *memory; /* shared with the processes that are forked; NULL: none */
  size_t count, stride;
} dl_board;

/* Room for so many of so many bytes, all zero. False when the system has no memory. */
bool dl_board_open(dl_board *board, size_t count, size_t bytes);
void dl_board_close(dl_board *board);

void *dl_board_at(const dl_board *board, size_t index);

/* In a child, which has no way back to what it gives up: all but index; count gives up all. */
void dl_board_keep(const dl_board *board, size_t index);

#endif
