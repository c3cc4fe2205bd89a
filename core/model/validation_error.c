/* SPDX-License-Identifier: MIT */
/*
 * Errors of validation: recorded with the place they were found at, and written
 * in FastAPI's shape with Pydantic v2's type names, the sentence our own.
 */
#include "model/schema_internal.h"

enum { MAX_PLACES = DL_SCHEMA_MAX_DEPTH * 2 + 2, SUMMARY_ERRORS = 5, ECHO_LARGEST = 1024 };

/* Bytes. What a client chose, such as a map's keys, each error would repeat, however long it is; and so it would what is
 * long of the app's, such as a list of all countries. */
enum { NAME_LONGEST = 128, DETAIL_LARGEST = 65536 };

struct dl_model_error {
  dl_model_error *next;
  const char *type;
  dl_str message;
  dl_value context; /* OBJECT or ABSENT */
  dl_value input;   /* ABSENT where it is not echoed */
  dl_value *places; /* STRING or INTEGER, outermost first, without the source */
  uint32_t place_count;
  const char *source;
};

static void copy_places(dl_model_error *error, const dl_validation *validation) {
  const dl_place *place = validation->frame;
  uint32_t count = dl_validation_places(validation);
  error->places = dl_arena_alloc(validation->arena, (count + 1) * sizeof(dl_value));
  error->place_count = count;
  for (uint32_t i = count; i > 0; i--, place = place->up)
    error->places[i - 1] = place->name.ptr ? dl_value_string(place->name) : dl_value_integer(place->index);
}

uint32_t dl_validation_places(const dl_validation *validation) {
  uint32_t count = 0;
  for (const dl_place *place = validation->frame; place; place = place->up) count++;
  return count < MAX_PLACES ? count : MAX_PLACES;
}

static bool may_echo(const dl_validation *validation, const dl_schema *schema, const dl_value *input) {
  if (!validation->echo_input || validation->conceal || !input || (schema && schema->conceals)) return false;
  return input->kind != DL_VALUE_ABSENT && input->kind != DL_VALUE_RECORD && input->kind != DL_VALUE_BYTES && !(input->flags & DL_VALUE_SECRET);
}

bool dl_validation_refuse(dl_validation *validation, const dl_schema *schema, const char *type, dl_str message, dl_value context,
                          const dl_value *input) {
  if (validation->error_count >= DL_SCHEMA_MAX_ERRORS) return false;
  dl_model_error *error = dl_arena_zalloc(validation->arena, 1, sizeof(*error));
  error->type = type;
  error->message = message;
  error->context = context;
  error->source = validation->source;
  if (may_echo(validation, schema, input)) error->input = *input;
  copy_places(error, validation);
  if (validation->last_error) validation->last_error->next = error;
  else validation->first_error = error;
  validation->last_error = error;
  validation->error_count++;
  return false;
}

const dl_model_error *dl_validation_first_since(const dl_validation *validation, const dl_model_error *last_error) {
  return last_error ? last_error->next : validation->first_error;
}

void dl_validation_repeat(dl_validation *validation, const dl_model_error *error, uint32_t place_count) {
  dl_model_error *last = validation->last_error;
  dl_validation_refuse(validation, NULL, error->type, error->message, error->context, NULL);
  dl_model_error *again = validation->last_error;
  if (again == last) return;
  uint32_t before = again->place_count, behind = error->place_count > place_count ? error->place_count - place_count : 0;
  dl_value *places = dl_arena_alloc(validation->arena, (before + behind + 1u) * sizeof(*places));
  memcpy(places, again->places, before * sizeof(*places));
  if (behind) memcpy(places + before, error->places + place_count, behind * sizeof(*places));
  again->places = places;
  again->place_count = before + behind;
  again->input = error->input;
}

void dl_validation_forget(dl_validation *validation, dl_model_error *last_error, uint32_t error_count) {
  if (last_error) last_error->next = NULL;
  else validation->first_error = NULL;
  validation->last_error = last_error;
  validation->error_count = error_count;
}

void dl_validation_fail(dl_validation *validation, const char *type, dl_str message, const dl_value *context) {
  dl_validation_refuse(validation, NULL, type, message, context ? *context : (dl_value){0}, NULL);
}

/* A name as it is, or its beginning and that there is more. */
static dl_value shortened(dl_value name, dl_arena *arena) {
  if (name.kind != DL_VALUE_STRING || name.len <= NAME_LONGEST) return name;
  uint32_t len = NAME_LONGEST;
  while (len && ((unsigned char)name.string[len] & 0xc0) == 0x80) len--; /* no half characters */
  return dl_value_string(dl_str_of(dl_arena_format(arena, "%.*s...", (int)len, name.string)));
}

/* Adds to *told roughly the bytes it takes. */
static dl_value location_of(const dl_model_error *error, dl_arena *arena, size_t *told) {
  dl_value *items = dl_arena_alloc(arena, (error->place_count + 1u) * sizeof(*items));
  uint32_t count = 0;
  if (error->source) items[count++] = dl_value_string(dl_str_of(error->source));
  for (uint32_t i = 0; i < error->place_count; i++) {
    items[count] = shortened(error->places[i], arena);
    *told += items[count].kind == DL_VALUE_STRING ? items[count].len : 1;
    count++;
  }
  return (dl_value){.kind = DL_VALUE_ARRAY, .len = count, .items = items};
}

/* Roughly the bytes a value takes as JSON, counted no further than the most. */
static size_t weight_of(const dl_value *value, size_t most) {
  size_t weight = value->kind == DL_VALUE_STRING ? value->len : 1;
  for (uint32_t i = 0; i < value->len && weight <= most; i++) {
    if (value->kind == DL_VALUE_ARRAY) weight += weight_of(&value->items[i], most - weight);
    else if (value->kind == DL_VALUE_OBJECT) weight += value->members[i].key.len + weight_of(&value->members[i].value, most - weight);
    else break;
  }
  return weight;
}

/* What a check refuses may hold models that were checked before: they have no names any more. */
static bool holds_record(const dl_value *value) {
  bool holds = value->kind == DL_VALUE_RECORD;
  for (uint32_t i = 0; i < value->len && !holds; i++) {
    if (value->kind == DL_VALUE_ARRAY) holds = holds_record(&value->items[i]);
    else if (value->kind == DL_VALUE_OBJECT) holds = holds_record(&value->members[i].value);
    else break;
  }
  return holds;
}

static dl_value error_value(const dl_model_error *error, dl_arena *arena, size_t *told) {
  dl_member *members = dl_arena_alloc(arena, 5 * sizeof(*members));
  uint32_t count = 0;
  *told += error->message.len + weight_of(&error->context, DETAIL_LARGEST);
  members[count++] = (dl_member){dl_value_string(DL_STR("type")), dl_value_string(dl_str_of(error->type))};
  members[count++] = (dl_member){dl_value_string(DL_STR("loc")), location_of(error, arena, told)};
  members[count++] = (dl_member){dl_value_string(DL_STR("msg")), dl_value_string(error->message)};
  if (error->context.kind != DL_VALUE_ABSENT) members[count++] = (dl_member){dl_value_string(DL_STR("ctx")), error->context};
  /* In dev only: enough of the input to recognise it. */
  if (error->input.kind != DL_VALUE_ABSENT && weight_of(&error->input, ECHO_LARGEST) <= ECHO_LARGEST && !holds_record(&error->input))
    members[count++] = (dl_member){dl_value_string(DL_STR("input")), error->input};
  return (dl_value){.kind = DL_VALUE_OBJECT, .len = count, .members = members};
}

dl_value dl_validation_detail(const dl_validation *validation) {
  dl_value *items = dl_arena_alloc(validation->arena, (validation->error_count + 1u) * sizeof(*items));
  uint32_t count = 0;
  size_t told = 0;
  for (const dl_model_error *error = validation->first_error; error && told < DETAIL_LARGEST; error = error->next)
    items[count++] = error_value(error, validation->arena, &told);
  return (dl_value){.kind = DL_VALUE_ARRAY, .len = count, .items = items};
}

void dl_validation_write(const dl_validation *validation, dl_buffer *buffer) {
  dl_value detail = dl_validation_detail(validation);
  DL_BUFFER_LITERAL(buffer, "{\"detail\":");
  dl_value_write(buffer, &detail);
  dl_buffer_append_char(buffer, '}');
}

void dl_validation_summary(const dl_validation *validation, dl_buffer *buffer) {
  uint32_t shown = 0;
  for (const dl_model_error *error = validation->first_error; error && shown < SUMMARY_ERRORS; error = error->next, shown++) {
    if (shown) DL_BUFFER_LITERAL(buffer, "; ");
    if (error->source) dl_buffer_append_str(buffer, dl_str_of(error->source));
    for (uint32_t i = 0; i < error->place_count; i++) {
      if (i || error->source) dl_buffer_append_char(buffer, '.');
      if (error->places[i].kind == DL_VALUE_STRING) dl_buffer_append_str(buffer, dl_value_str(&error->places[i]));
      else dl_value_write(buffer, &error->places[i]);
    }
    DL_BUFFER_LITERAL(buffer, ": ");
    dl_buffer_append_str(buffer, error->message);
  }
  if (validation->error_count > shown) dl_buffer_printf(buffer, "; and %u more", validation->error_count - shown);
}
