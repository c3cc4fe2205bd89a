/* SPDX-License-Identifier: MIT */
/*
 * Building the router: reads a pattern, refuses one that is malformed or that
 * another already covers, grows the tree. Runs at load only.
 */
#include "http/router_internal.h"

#include "base/utf8.h"

typedef enum segment_kind { LITERAL, PARAMETER, REST } segment_kind;

dl_router *dl_router_new(dl_arena *arena) {
  dl_router *router = dl_arena_zalloc(arena, 1, sizeof(*router));
  router->arena = arena;
  return router;
}

static dl_router_node *node_new(dl_router *router) {
  dl_router_node *node = dl_arena_zalloc(router->arena, 1, sizeof(*node));
  node->number = ++router->node_count;
  node->next = router->nodes;
  router->nodes = node;
  return node;
}

static bool is_name(dl_str s) {
  for (size_t i = 0; i < s.len; i++) {
    char lower = dl_ascii_lower(s.ptr[i]);
    if (!(lower >= 'a' && lower <= 'z') && lower != '_' && !(i > 0 && lower >= '0' && lower <= '9')) return false;
  }
  return s.len > 0;
}

/* Takes "{name}" or "{name:path}" apart. A static sentence when it is neither. */
static const char *parameter_read(dl_str segment, dl_str *name, segment_kind *kind) {
  if (segment.ptr[0] != '{' || segment.ptr[segment.len - 1] != '}') return "a parameter is a whole segment, as in \"/users/{id}\"";
  *name = dl_str_from(segment.ptr + 1, segment.len - 2);
  const char *colon = name->len ? memchr(name->ptr, ':', name->len) : NULL;
  dl_str converter = colon ? dl_str_skip(*name, (size_t)(colon - name->ptr) + 1) : (dl_str){0};
  if (colon) name->len = (size_t)(colon - name->ptr);
  if (colon && !dl_str_equal(converter, DL_STR("path")))
    return "a parameter has no type here but \":path\"; declare its type in the route's path model";
  if (!is_name(*name)) return "a parameter's name is letters, digits and \"_\", and begins with no digit";
  *kind = colon ? REST : PARAMETER;
  return NULL;
}

static const char *segment_read(dl_str segment, bool last, dl_str *name, segment_kind *kind) {
  *kind = LITERAL;
  if (!segment.len) return last ? NULL : "it has an empty segment (\"//\")";
  if (memchr(segment.ptr, '{', segment.len) || memchr(segment.ptr, '}', segment.len)) {
    const char *fault = parameter_read(segment, name, kind);
    return fault || *kind != REST || last ? fault : "a \":path\" parameter takes the rest of the path, so it must be the last segment";
  }
  if (dl_str_equal(segment, DL_STR(".")) || dl_str_equal(segment, DL_STR(".."))) return "\".\" and \"..\" never reach a route";
  for (size_t i = 0; i < segment.len; i++)
    if ((unsigned char)segment.ptr[i] < 0x20 || strchr("?#%\\\x7f", segment.ptr[i]))
      return "\"?\", \"#\", \"%\", \"\\\" and control characters cannot be in it; write it as it reads when decoded";
  return NULL;
}

/* The whole pattern before anything is built, so that a refused one leaves no trace. */
static const char *pattern_fault(dl_str pattern) {
  if (!pattern.len || pattern.ptr[0] != '/') return "it must begin with \"/\"";
  if (!dl_utf8_valid(pattern)) return "it is not UTF-8";
  dl_str names[DL_ROUTER_MAX_PARAMETERS], name = {0};
  uint32_t count = 0;
  bool last = false;
  for (dl_str rest = dl_str_skip(pattern, 1); !last;) {
    segment_kind kind;
    dl_str segment = dl_router_segment(&rest, &last);
    const char *fault = segment_read(segment, last, &name, &kind);
    if (fault) return fault;
    if (kind == LITERAL) continue;
    if (count == DL_ROUTER_MAX_PARAMETERS) return "it has more than 16 parameters";
    for (uint32_t i = 0; i < count; i++)
      if (dl_str_equal(names[i], name)) return "two of its parameters have the same name";
    names[count++] = name;
  }
  return NULL;
}

static dl_router_node *child(dl_router *router, dl_router_node *node, dl_str segment, segment_kind kind) {
  if (kind == LITERAL) {
    dl_router_node *literal = dl_router_table_get(&router->table, node, segment);
    if (literal) return literal;
    literal = node_new(router);
    node->has_literals = true;
    dl_router_table_put(&router->table, router->arena, node, segment, literal);
    return literal;
  }
  dl_router_node **slot = kind == REST ? &node->rest : &node->parameter;
  if (!*slot) *slot = node_new(router);
  return *slot;
}

const char *dl_router_add(dl_router *router, dl_method method, dl_str pattern, void *route) {
  dl_str method_name = dl_method_name(method);
  const char *fault = pattern_fault(pattern);
  router->twin = NULL;
  if (fault)
    return dl_arena_format(router->arena, "the path \"%.*s\" of a %.*s route is refused: %s", DL_STR_ARGS(pattern), DL_STR_ARGS(method_name), fault);
  if (!router->root) router->root = node_new(router);
  dl_router_node *node = router->root;
  bool last = false, literal = true;
  pattern = dl_arena_copy(router->arena, pattern);
  for (dl_str rest = dl_str_skip(pattern, 1), name; !last;) {
    segment_kind kind;
    dl_str segment = dl_router_segment(&rest, &last);
    segment_read(segment, last, &name, &kind);
    literal &= kind == LITERAL;
    node = child(router, node, segment, kind);
  }
  if ((router->twin = node->routes[method]))
    return dl_arena_format(router->arena, "%.*s %.*s and %.*s %.*s match the same requests; remove one, or give it another method or path",
                           DL_STR_ARGS(method_name), DL_STR_ARGS(node->patterns[method]), DL_STR_ARGS(method_name), DL_STR_ARGS(pattern));
  if (literal && !dl_router_table_get(&router->table, NULL, pattern)) dl_router_table_put(&router->table, router->arena, NULL, pattern, node);
  node->routes[method] = route;
  node->patterns[method] = pattern;
  node->methods |= 1u << method;
  return NULL;
}

void *dl_router_twin(const dl_router *router) { return router->twin; }

static dl_str allow_text(dl_router *router, uint32_t methods) {
  char text[64];
  size_t length = 0;
  for (unsigned method = 0; method < DL_METHOD_COUNT; method++) {
    if (!(methods & 1u << method)) continue;
    dl_str name = dl_method_name((dl_method)method);
    if (length) length = (size_t)((char *)mempcpy(text + length, ", ", 2) - text);
    length = (size_t)((char *)mempcpy(text + length, name.ptr, name.len) - text);
  }
  return dl_arena_copy(router->arena, dl_str_from(text, length));
}

void dl_router_finish(dl_router *router) {
  if (!router->root) router->root = node_new(router);
  for (dl_router_node *node = router->nodes; node; node = node->next) {
    if (node->routes[DL_METHOD_GET]) node->methods |= 1u << DL_METHOD_HEAD;
    router->methods |= node->methods;
  }
  for (uint32_t methods = 0; methods < 1u << DL_METHOD_COUNT; methods++) router->allow[methods] = allow_text(router, methods);
}
