/* SPDX-License-Identifier: MIT */
/*
 * Which of a statement's sealed alternatives a call means, and its SQL. Runs on
 * the thread that executes the call; touches nothing but its arguments.
 */
#include "data/statement.h"

static bool given(const dl_value *value) { return value->kind != DL_VALUE_ABSENT; }

static const char *wrong(dl_arena *arena, const dl_statement *statement, const dl_parameter *parameter, const char *what) {
  return dl_arena_format(arena, "%.*s: the statement's parameter '%.*s' %s", DL_STR_ARGS(statement->source), DL_STR_ARGS(parameter->name), what);
}

static uint8_t list_size(size_t items) {
  uint8_t size = 0;
  if (items == 0) return 0;
  while (((size_t)1 << size) < items) size++;
  return (uint8_t)(size + 1);
}

static const char *choose_list(const dl_statement *statement, const dl_parameter *parameter, const dl_value *value, dl_arena *arena,
                               dl_variant *variant) {
  /* An empty Lua table may have become an object: it has no key that tells. */
  bool empty_object = value->kind == DL_VALUE_OBJECT && value->len == 0;
  if (value->kind != DL_VALUE_ARRAY && !empty_object)
    return wrong(arena, statement, parameter, "is a list: give it an array, as in { ids = { 1, 2 } }");
  if (value->len > DL_STATEMENT_LIST_ITEMS_MAX)
    return wrong(
        arena, statement, parameter,
        dl_arena_format(arena, "has %u items, more than the %d a list may have: send them in parts", value->len, DL_STATEMENT_LIST_ITEMS_MAX));
  variant->lists[parameter->list_number] = list_size(value->len);
  return NULL;
}

static bool filter_applies(const dl_statement *statement, const dl_fragment *filter, const dl_value *values) {
  for (size_t i = 0; i < filter->piece_count; i++) {
    const dl_piece *piece = &filter->pieces[i];
    if (piece->kind != DL_PIECE_TEXT && !statement->parameters[piece->parameter].base && given(&values[piece->parameter])) return true;
  }
  return false;
}

static const char *choose_filter(const dl_statement *statement, size_t index, const dl_value *values, dl_arena *arena, dl_variant *variant) {
  const dl_fragment *filter = &statement->filters[index];
  if (!filter_applies(statement, filter, values)) return NULL;
  variant->filters |= (uint16_t)(1u << index);
  for (size_t i = 0; i < filter->piece_count; i++) {
    const dl_piece *piece = &filter->pieces[i];
    if (piece->kind == DL_PIECE_TEXT || given(&values[piece->parameter])) continue;
    const dl_parameter *parameter = &statement->parameters[piece->parameter];
    if (!parameter->optional)
      return wrong(arena, statement, parameter,
                   dl_arena_format(arena, "is missing: the filter '%.*s' needs all of its parameters or none", DL_STR_ARGS(filter->name)));
  }
  return NULL;
}

const char *dl_statement_choose(const dl_statement *statement, const dl_value *values, int order, dl_arena *arena, dl_variant *variant) {
  *variant = (dl_variant){0};
  if (order < 0) order = statement->default_order;
  if (statement->order_count && order < 0)
    return dl_arena_format(arena, "%.*s: the statement has several orders and no default_order: choose one, as in { order = \"%.*s\" }",
                           DL_STR_ARGS(statement->source), DL_STR_ARGS(statement->orders[0].name));
  if (order > 0) variant->order = (uint8_t)order;
  for (size_t i = 0; i < statement->parameter_count; i++) {
    const dl_parameter *parameter = &statement->parameters[i];
    if (!given(&values[i])) {
      if (parameter->base && !parameter->optional)
        return wrong(
            arena, statement, parameter,
            dl_arena_format(arena, "is missing: give it, or write :%.*s? in the SQL to let NULL stand for it", DL_STR_ARGS(parameter->name)));
    } else if (parameter->list) {
      const char *error = choose_list(statement, parameter, &values[i], arena, variant);
      if (error) return error;
    }
  }
  for (size_t i = 0; i < statement->filter_count; i++) {
    const char *error = choose_filter(statement, i, values, arena, variant);
    if (error) return error;
  }
  return NULL;
}

typedef struct text {
  const dl_statement *statement;
  const dl_variant *variant;
  dl_buffer *out;
  uint32_t *numbers;
  uint32_t places;
} text;

static void write_places(text *sql, const dl_piece *piece) {
  uint32_t wanted = piece->kind == DL_PIECE_LIST ? dl_variant_places(sql->variant, &sql->statement->parameters[piece->parameter]) : 1;
  uint32_t *first = &sql->numbers[piece->parameter];
  if (!*first && wanted) {
    *first = sql->places + 1;
    sql->places += wanted;
  }
  for (uint32_t i = 0; i < wanted; i++) {
    if (i) dl_buffer_append_char(sql->out, ',');
    dl_buffer_append_char(sql->out, '?');
    dl_buffer_append_uint(sql->out, *first + i);
  }
  /* ":a?5" must not become the place ?15. */
  dl_buffer_append_char(sql->out, ' ');
}

static void write_fragment(text *sql, const dl_fragment *fragment);

static void write_filters(text *sql) {
  if (!sql->variant->filters) {
    DL_BUFFER_LITERAL(sql->out, " TRUE ");
    return;
  }
  const char *before = " ((";
  for (size_t i = 0; i < sql->statement->filter_count; i++) {
    if (!(sql->variant->filters & (1u << i))) continue;
    dl_buffer_append_str(sql->out, dl_str_of(before));
    write_fragment(sql, &sql->statement->filters[i]);
    before = ") AND (";
  }
  DL_BUFFER_LITERAL(sql->out, ")) ");
}

static void write_order(text *sql) {
  dl_buffer_append_char(sql->out, ' ');
  write_fragment(sql, &sql->statement->orders[sql->variant->order]);
  dl_buffer_append_char(sql->out, ' ');
}

static void write_fragment(text *sql, const dl_fragment *fragment) {
  for (size_t i = 0; i < fragment->piece_count; i++) {
    const dl_piece *piece = &fragment->pieces[i];
    switch (piece->kind) {
    case DL_PIECE_TEXT: dl_buffer_append_str(sql->out, piece->text); break;
    case DL_PIECE_PARAMETER:
    case DL_PIECE_LIST: write_places(sql, piece); break;
    case DL_PIECE_FILTERS: write_filters(sql); break;
    case DL_PIECE_ORDER: write_order(sql); break;
    }
  }
}

uint32_t dl_statement_write(const dl_statement *statement, const dl_variant *variant, dl_buffer *out, uint32_t *numbers) {
  text sql = {.statement = statement, .variant = variant, .out = out, .numbers = numbers};
  if (statement->parameter_count) memset(numbers, 0, statement->parameter_count * sizeof(*numbers));
  write_fragment(&sql, &statement->base);
  return sql.places;
}
