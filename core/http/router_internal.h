/* SPDX-License-Identifier: MIT */
/*
 * The router's two tables, shared by what builds them (router_pattern.c) and what
 * reads them (router.c): nodes, and edges from a node by a literal segment.
 */
#ifndef DL_HTTP_ROUTER_INTERNAL_H
#define DL_HTTP_ROUTER_INTERNAL_H

#include "http/router.h"

/* A place in the tree of segments: the root is "/", before any segment. */
typedef struct dl_router_node {
  void *routes[DL_METHOD_COUNT];    /* of patterns that end here */
  dl_str patterns[DL_METHOD_COUNT]; /* their text, for messages */
  uint32_t methods;                 /* bit per method that answers here, HEAD for GET included */
  uint32_t number;                  /* part of the key of its edges */
  bool has_literals;
  struct dl_router_node *parameter; /* "{name}" */
  struct dl_router_node *rest;      /* "{name:path}": takes all that is left */
  struct dl_router_node *next;      /* all nodes of the router */
} dl_router_node;

/* An open-addressed table: from a node by a segment, or (from NULL) by a whole path. */
typedef struct dl_router_edge {
  const dl_router_node *from;
  dl_str text;
  dl_router_node *to; /* NULL marks an empty slot */
  uint32_t hash;
} dl_router_edge;

typedef struct dl_router_table {
  dl_router_edge *slots;
  uint32_t mask;
  uint32_t count;
} dl_router_table;

struct dl_router {
  dl_arena *arena; /* borrowed */
  dl_router_node *root;
  dl_router_node *nodes;
  uint32_t node_count;
  void *twin; /* of what was refused last */
  uint32_t methods; /* that any route has: for "OPTIONS *" */
  dl_router_table table;
  dl_str allow[1u << DL_METHOD_COUNT]; /* the Allow value for each set of methods */
};

dl_router_node *dl_router_table_get(const dl_router_table *table, const dl_router_node *from, dl_str text);
void dl_router_table_put(dl_router_table *table, dl_arena *arena, const dl_router_node *from, dl_str text, dl_router_node *to);

/* The slice up to the next "/", taken off the front of *path with it; *last when
 * there was none. */
static inline dl_str dl_router_segment(dl_str *path, bool *last) {
  size_t length = 0;
  while (length < path->len && path->ptr[length] != '/') length++;
  dl_str segment = dl_str_from(path->ptr, length);
  *last = length == path->len;
  *path = dl_str_skip(*path, *last ? length : length + 1);
  return segment;
}

#endif
