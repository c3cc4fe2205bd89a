/* SPDX-License-Identifier: MIT */
/*
 * Queries, forms, cookies, headers and path parameters into the object that a
 * model is checked against.
 */
#include "model/schema_internal.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "http/text.h"

typedef struct collection {
  const dl_model *model;
  dl_arena *arena;
  dl_member *members; /* one for each distinct name, in the order they came */
  uint32_t count;
  uint32_t *of_field; /* member index + 1 of each field */
  dl_map unknown;     /* name to member, for names that are no field's */
} collection;

dl_value dl_schema_text(dl_str text) {
  dl_value value = dl_value_string(text);
  if (!dl_utf8_valid(text) || (text.len && memchr(text.ptr, 0, text.len))) value.kind = DL_VALUE_BYTES;
  return value;
}

static dl_member *member_of(collection *to, const dl_field *field, dl_str name) {
  if (field) {
    uint32_t *at = &to->of_field[field - to->model->fields];
    if (*at) return &to->members[*at - 1];
    *at = to->count + 1;
  } else {
    dl_member *known = dl_map_get(&to->unknown, name);
    if (known) return known;
    dl_map_put(&to->unknown, name, &to->members[to->count]);
  }
  dl_member *member = &to->members[to->count++];
  *member = (dl_member){.key = dl_value_string(field ? field->wire : name)};
  return member;
}

/* Arrays grow by doubling: how often a name comes is the client's choice. */
static void append_item(collection *to, dl_value *array, dl_value item) {
  if ((array->len & (array->len - 1)) == 0) {
    dl_value *items = dl_arena_alloc(to->arena, (array->len ? array->len * 2u : 1u) * sizeof(*items));
    if (array->len) memcpy(items, array->items, array->len * sizeof(*items));
    array->items = items;
  }
  array->items[array->len++] = item;
}

static void add_value(collection *to, const dl_field *field, dl_member *member, dl_value item) {
  dl_value *value = &member->value;
  bool array = field && field->schema->kind == DL_KIND_ARRAY;
  if (value->kind == DL_VALUE_ABSENT && !array) {
    *value = item;
    return;
  }
  if (value->kind != DL_VALUE_ARRAY) {
    dl_value first = *value;
    *value = (dl_value){.kind = DL_VALUE_ARRAY};
    if (first.kind != DL_VALUE_ABSENT) append_item(to, value, first);
  }
  append_item(to, value, item);
}

/* A header's array is one list, over however many lines its sender, or who passed it on, has spread it (RFC 9110 5.3). */
static void add_list(collection *to, const dl_field *field, dl_member *member, dl_str list) {
  if (member->value.kind == DL_VALUE_ABSENT) member->value = (dl_value){.kind = DL_VALUE_ARRAY};
  for (dl_str element; dl_http_list_next(&list, &element);)
    if (element.len) add_value(to, field, member, dl_schema_text(element));
}

dl_value dl_schema_collect(const dl_schema *schema, const dl_pair *pairs, size_t count, bool header, dl_arena *arena) {
  collection to = {.model = &schema->model, .arena = arena};
  dl_map_init(&to.unknown, arena);
  to.members = dl_arena_alloc(arena, (count + 1) * sizeof(*to.members));
  to.of_field = dl_arena_zalloc(arena, to.model->field_count + 1u, sizeof(*to.of_field));
  for (size_t i = 0; i < count; i++) {
    const dl_field *field = dl_model_find(to.model, pairs[i].name, header);
    if (!field && to.model->extra == DL_EXTRA_IGNORE) continue;
    dl_member *member = member_of(&to, field, pairs[i].name);
    if (header && field && field->schema->kind == DL_KIND_ARRAY) add_list(&to, field, member, pairs[i].value);
    else add_value(&to, field, member, dl_schema_text(pairs[i].value));
  }
  return (dl_value){.kind = DL_VALUE_OBJECT, .len = to.count, .members = to.members};
}
