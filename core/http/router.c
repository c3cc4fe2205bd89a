/* SPDX-License-Identifier: MIT */
/*
 * Finding a route. A path without parameters is one look into the table; any
 * other goes down the tree, literal before parameter before rest, and comes back
 * up when the more literal way has no route for the method.
 */
#include "http/router_internal.h"

/* Routes are the app's own and few, so the hash wants speed, not a key: a client
 * can look keys up but never put one in. */
static uint32_t hash_text(const dl_router_node *from, dl_str text) {
  uint64_t hash = 0x9e3779b97f4a7c15u * ((from ? from->number : 0u) + text.len + 1u), word;
  const char *at = text.ptr;
  size_t left = text.len;
  for (; left >= 8; at += 8, left -= 8) {
    memcpy(&word, at, 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  for (word = 0; left; left--) word = word << 8 | (unsigned char)*at++;
  hash = (hash ^ word) * 0xff51afd7ed558ccdu;
  return (uint32_t)(hash >> 32);
}

dl_router_node *dl_router_table_get(const dl_router_table *table, const dl_router_node *from, dl_str text) {
  if (!table->slots) return NULL;
  uint32_t hash = hash_text(from, text);
  for (uint32_t at = hash & table->mask; table->slots[at].to; at = (at + 1) & table->mask) {
    const dl_router_edge *edge = &table->slots[at];
    if (edge->hash == hash && edge->from == from && dl_str_equal(edge->text, text)) return edge->to;
  }
  return NULL;
}

static void put(dl_router_table *table, dl_router_edge edge) {
  uint32_t at = edge.hash & table->mask;
  while (table->slots[at].to) at = (at + 1) & table->mask;
  table->slots[at] = edge;
  table->count++;
}

void dl_router_table_put(dl_router_table *table, dl_arena *arena, const dl_router_node *from, dl_str text, dl_router_node *to) {
  dl_router_table old = *table;
  if (!old.slots || old.count >= old.mask / 2) {
    uint32_t capacity = old.slots ? (old.mask + 1) * 2 : 16;
    *table = (dl_router_table){dl_arena_zalloc(arena, capacity, sizeof(*table->slots)), capacity - 1, 0};
    for (uint32_t i = 0; old.slots && i <= old.mask; i++)
      if (old.slots[i].to) put(table, old.slots[i]);
  }
  put(table, (dl_router_edge){from, text, to, hash_text(from, text)});
}

typedef struct route_search {
  const dl_router *router;
  dl_method method;
  uint32_t seen; /* methods of the nodes that matched without having ours */
  dl_route_match *match;
} route_search;

/* Whether a node where the path ends has a route for the method. */
static bool node_takes(route_search *search, const dl_router_node *node, uint32_t parameters) {
  dl_method method = search->method;
  if (method == DL_METHOD_HEAD && !node->routes[DL_METHOD_HEAD]) method = DL_METHOD_GET;
  if (method >= DL_METHOD_COUNT || !node->routes[method]) {
    search->seen |= node->methods;
    return false;
  }
  search->match->route = node->routes[method];
  search->match->method = method;
  search->match->parameter_count = parameters;
  return true;
}

/* Visits no node twice: a tree has one way to each, so the work is bounded by the
 * number of patterns, whatever the path. */
static bool descend(route_search *search, const dl_router_node *node, dl_str path, uint32_t parameters) {
  dl_str after = path;
  bool last;
  dl_str segment = dl_router_segment(&after, &last);
  const dl_router_node *literal = node->has_literals ? dl_router_table_get(&search->router->table, node, segment) : NULL;
  if (literal && (last ? node_takes(search, literal, parameters) : descend(search, literal, after, parameters))) return true;
  if (node->parameter && segment.len) {
    search->match->parameters[parameters] = segment;
    if (last ? node_takes(search, node->parameter, parameters + 1) : descend(search, node->parameter, after, parameters + 1)) return true;
  }
  if (!node->rest || !path.len) return false;
  search->match->parameters[parameters] = path;
  return node_takes(search, node->rest, parameters + 1);
}

static dl_route_result not_taken(const dl_router *router, dl_method method, uint32_t seen, dl_route_match *match) {
  if (!seen) return DL_ROUTE_NOT_FOUND;
  match->allow = router->allow[seen | 1u << DL_METHOD_OPTIONS];
  return method == DL_METHOD_OPTIONS ? DL_ROUTE_OPTIONS : DL_ROUTE_METHOD;
}

dl_route_result dl_router_find(const dl_router *router, dl_method method, dl_str path, dl_route_match *match) {
  route_search search = {.router = router, .method = method, .match = match};
  match->route = NULL;
  match->method = method;
  match->parameter_count = 0;
  match->allow = (dl_str){0};
  if (!path.len || path.ptr[0] != '/')
    return not_taken(router, method, method == DL_METHOD_OPTIONS ? router->methods | 1u << DL_METHOD_OPTIONS : 0, match);
  const dl_router_node *whole = dl_router_table_get(&router->table, NULL, path);
  if (whole && node_takes(&search, whole, 0)) return DL_ROUTE_FOUND;
  if (descend(&search, router->root, dl_str_skip(path, 1), 0)) return DL_ROUTE_FOUND;
  return not_taken(router, method, search.seen, match);
}
