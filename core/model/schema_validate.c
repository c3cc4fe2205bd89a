/* SPDX-License-Identifier: MIT */
/*
 * Values against schemas, in place: every error is gathered, and what passes has
 * the canonical form of its kind. Runs for each request, so plain strings,
 * numbers and booleans take a short way.
 */
#include "model/schema_internal.h"

#include "base/hash.h"
#include "model/formats.h"
#include "model/value_lua.h"

static void lower_fit(dl_validation *validation, uint8_t fit) {
  if (fit < validation->fit) validation->fit = fit;
}

static bool refuse_type(const dl_schema *schema, const char *type, dl_str message, const dl_value *value, dl_validation *validation) {
  return dl_validation_refuse(validation, schema, type, message, (dl_value){0}, value);
}

/* ---- scalars ---- */

/* True when the value is of the kind as JSON wrote it. */
static inline bool natural(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  switch ((dl_kind)schema->kind) {
  case DL_KIND_STRING: return value->kind == DL_VALUE_STRING;
  case DL_KIND_BOOLEAN: return value->kind == DL_VALUE_BOOLEAN;
  case DL_KIND_INTEGER: return value->kind == DL_VALUE_INTEGER && value->integer <= DL_LUA_SAFE_INTEGER && value->integer >= -DL_LUA_SAFE_INTEGER;
  case DL_KIND_INT64:
    if (value->kind != DL_VALUE_INTEGER) return false;
    value->flags |= DL_VALUE_WIDE;
    return true;
  case DL_KIND_NUMBER:
    if (value->kind == DL_VALUE_NUMBER) return true;
    if (value->kind != DL_VALUE_INTEGER || value->integer > DL_LUA_SAFE_INTEGER || value->integer < -DL_LUA_SAFE_INTEGER) return false;
    *value = dl_value_number((double)value->integer);
    lower_fit(validation, DL_FIT_STRICT);
    return true;
  default: return false;
  }
}

/* Of text an array is a name that came again, which says nothing against either value. */
static bool came_again(const dl_value *value, const dl_validation *validation) {
  return value->kind == DL_VALUE_ARRAY && validation->mode == DL_MODE_TEXT;
}

#define ONLY_ONCE DL_STR("should come only once")

static bool convert_in(const dl_schema *schema, dl_mode mode, dl_value *value, dl_conversion *conversion) {
  return schema->utc ? dl_convert_utc(mode, value, conversion) : dl_convert((dl_kind)schema->kind, mode, value, conversion);
}

static bool convert(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  dl_conversion conversion = {.arena = validation->arena};
  /* Among union members it matters whether the strict table would have done. */
  if (validation->attempting && validation->mode != DL_MODE_STRICT) {
    if (convert_in(schema, DL_MODE_STRICT, value, &conversion)) {
      lower_fit(validation, DL_FIT_STRICT);
      return true;
    }
  }
  if (convert_in(schema, validation->mode, value, &conversion)) {
    lower_fit(validation, validation->mode == DL_MODE_STRICT ? DL_FIT_STRICT : DL_FIT_LAX);
    return true;
  }
  if (value->kind == DL_VALUE_BYTES) return refuse_type(schema, "string_unicode", DL_STR("should be UTF-8 without NUL"), NULL, validation);
  if (came_again(value, validation)) return refuse_type(schema, conversion.type, ONLY_ONCE, value, validation);
  return dl_validation_refuse(validation, schema, conversion.type, conversion.message, conversion.context, value);
}

static void tidy_text(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  dl_str text = dl_value_str(value);
  if (schema->strip) text = dl_format_trim(text);
  if (schema->lower) text = dl_text_lower(text, schema->home->locale, validation->arena);
  value->string = text.ptr;
  value->len = (uint32_t)text.len;
}

bool dl_validate_scalar(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  if (!natural(schema, value, validation) && !convert(schema, value, validation)) return false;
  return !schema->has_rules || dl_rules_check(schema, value, validation);
}

/* ---- literals ---- */

static bool literal_is(const dl_value *literal, const dl_str *json, const dl_value *value, bool text) {
  if (literal->kind == DL_VALUE_STRING) return value->kind == DL_VALUE_STRING && dl_str_equal(dl_value_str(literal), dl_value_str(value));
  if (value->kind == DL_VALUE_STRING) return text && dl_str_equal(*json, dl_value_str(value));
  return value->kind == literal->kind && dl_value_equal(literal, value);
}

int dl_literal_find(const dl_schema *schema, const dl_value *value, bool text) {
  for (uint32_t i = 0; i < schema->literal.count; i++)
    if (literal_is(&schema->literal.values[i], &schema->literal.json[i], value, text)) return (int)i;
  return -1;
}

static bool validate_literal(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  if (came_again(value, validation)) return refuse_type(schema, "literal_error", ONLY_ONCE, value, validation);
  int found = dl_literal_find(schema, value, validation->mode == DL_MODE_TEXT);
  if (found < 0) return dl_validation_refusal(validation, schema, &schema->literal.refusal, value);
  if (value->kind != schema->literal.values[found].kind) lower_fit(validation, DL_FIT_LAX);
  *value = schema->literal.values[found];
  return true;
}

/* ---- containers ---- */

/* Counts what is looked at for union members. Ambiguous unions inside one another
 * multiply their work, and a client may choose how deep. */
bool dl_validation_may_go_on(const dl_schema *schema, uint32_t count, dl_validation *validation) {
  if (validation->depth >= DL_SCHEMA_MAX_DEPTH) return refuse_type(schema, "recursion_loop", DL_STR("is too many levels deep"), NULL, validation);
  if (!validation->attempting) return true;
  validation->attempts += count + 1;
  if (validation->attempts <= DL_SCHEMA_MAX_ATTEMPTS) return true;
  return refuse_type(schema, "recursion_loop", DL_STR("fits too many alternatives to be told apart"), NULL, validation);
}

/* How many models and arrays there are is the client's choice. */
static bool starve(const dl_schema *schema, dl_validation *validation) {
  validation->starved = true;
  return refuse_type(schema, "recursion_loop", DL_STR("is more than there is memory for at the moment"), NULL, validation);
}

/* A member that may yet be refused must leave the next one the value as it came. NULL when there is no memory. */
static void *own_copy(const void *items, size_t bytes, dl_validation *validation) {
  void *copy = dl_arena_try_alloc(validation->arena, bytes + 1);
  if (copy && bytes) memcpy(copy, items, bytes);
  return copy;
}

static bool validate_array(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  if (value->kind != DL_VALUE_ARRAY) return refuse_type(schema, "list_type", DL_STR("should be an array"), value, validation);
  if (!dl_validation_may_go_on(schema, value->len, validation) || !dl_rules_item_count(schema, value->len, validation)) return false;
  if (validation->attempting) value->items = own_copy(value->items, value->len * sizeof(dl_value), validation);
  if (!value->items && value->len) return starve(schema, validation);
  dl_place here = {.up = validation->frame};
  validation->frame = &here;
  validation->depth++;
  bool ok = true;
  for (uint32_t i = 0; i < value->len && (ok || !dl_validation_is_over(validation)); i++) {
    here.index = i;
    ok &= dl_validate_value(schema->array.items, &value->items[i], validation);
  }
  validation->depth--;
  validation->frame = here.up;
  return ok && (!schema->unique_items || dl_rules_unique(schema, value, validation));
}

/* Keys are text whatever they stand for, so a literal's stay as they came. */
static bool validate_key(const dl_schema *keys, dl_value *key, dl_map *seen, dl_validation *validation) {
  dl_value text = *key;
  dl_mode mode = validation->mode;
  if (keys->kind == DL_KIND_LITERAL) validation->mode = DL_MODE_TEXT;
  bool ok = dl_validate_value(keys, key, validation);
  validation->mode = mode;
  if (!ok) return false;
  if (keys->kind == DL_KIND_LITERAL && key->kind != DL_VALUE_STRING) *key = text;
  if (key->kind != DL_VALUE_STRING) {
    if (!validation->fault) validation->fault = "the check of a map's keys gave what is no text; keys are text in JSON and here";
    return false;
  }
  if (!seen || !dl_map_put(seen, dl_value_str(key), seen)) return true;
  static const char message[] = "is the same key as another one, written otherwise; send each key once";
  return dl_validation_refuse(validation, keys, "value_error", dl_str_of(message),
                              dl_context(validation->arena, "error", dl_value_string(dl_str_of(message))), &text);
}

static bool validate_map_member(const dl_schema *schema, dl_member *member, dl_map *seen, dl_validation *validation) {
  dl_place here = {.up = validation->frame, .name = dl_value_str(&member->key)};
  dl_place key = {.up = &here, .name = DL_STR("[key]")};
  bool ok = true;
  if (schema->map.keys) {
    validation->frame = &key;
    ok = validate_key(schema->map.keys, &member->key, seen, validation);
  }
  validation->frame = &here;
  ok &= dl_validate_value(schema->map.values, &member->value, validation);
  validation->frame = here.up;
  return ok;
}

static bool validate_map(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  if (value->kind != DL_VALUE_OBJECT) return refuse_type(schema, "dict_type", DL_STR("should be an object"), value, validation);
  if (!dl_validation_may_go_on(schema, value->len, validation) || !dl_rules_item_count(schema, value->len, validation)) return false;
  if (validation->attempting) value->members = own_copy(value->members, value->len * sizeof(dl_member), validation);
  if (!value->members && value->len) return starve(schema, validation);
  validation->depth++;
  bool ok = true;
  dl_map seen;
  dl_map_init(&seen, validation->arena);
  for (uint32_t i = 0; i < value->len && (ok || !dl_validation_is_over(validation)); i++)
    ok &= validate_map_member(schema, &value->members[i], dl_keys_may_meet(schema->map.keys) ? &seen : NULL, validation);
  validation->depth--;
  return ok;
}

/* ---- models ---- */

/* Whether this side may name the field at all: clients not what is read_only,
 * responses not what is write_only. */
static inline bool hidden(const dl_field *field, const dl_validation *validation) {
  return validation->output ? field->schema->write_only : field->schema->read_only;
}

/* Members to the places of their fields. Gives how many had none. Most clients
 * send fields in the order they are declared, so the next one is tried first. */
static uint32_t distribute(const dl_model *model, const dl_value *object, dl_value *items, dl_validation *validation) {
  uint32_t next = 0, unknown = 0;
  for (uint32_t i = 0; i < object->len; i++) {
    dl_str name = dl_value_str(&object->members[i].key);
    bool in_order = next < model->field_count && dl_field_is(&model->fields[next], name);
    const dl_field *field = in_order ? &model->fields[next] : dl_model_find(model, name, false);
    if (!field || hidden(field, validation)) {
      unknown++;
      continue;
    }
    uint32_t at = (uint32_t)(field - model->fields);
    items[at] = object->members[i].value;
    next = at + 1;
  }
  validation->fields_set += object->len - unknown;
  return unknown;
}

static bool absent_field(const dl_schema *schema, dl_value *item, const dl_field *field, dl_validation *validation) {
  if (schema->has_default) {
    *item = schema->default_value;
    return true;
  }
  if (schema->default_factory != LUA_NOREF) return dl_call_default_factory(schema, item, validation);
  if (schema->optional || hidden(field, validation)) return true;
  return refuse_type(schema, "missing", DL_STR("is required"), NULL, validation);
}

static bool validate_fields(const dl_model *model, dl_value *items, dl_validation *validation) {
  dl_place here = {.up = validation->frame};
  validation->frame = &here;
  validation->depth++;
  bool ok = true;
  for (uint32_t i = 0; i < model->field_count; i++) {
    const dl_field *field = &model->fields[i];
    here.name = field->wire;
    if (items[i].kind != DL_VALUE_ABSENT) ok &= dl_validate_value(field->schema, &items[i], validation);
    else ok &= absent_field(field->schema, &items[i], field, validation);
  }
  validation->depth--;
  validation->frame = here.up;
  return ok;
}

/* A read_only field is refused even where unknown ones are kept, and so is what a
 * field is called in Lua alone: else a field could be set by the back door, without
 * its checks. */
static bool refuse_unknown(const dl_schema *schema, const dl_member *member, bool known, dl_validation *validation) {
  dl_place here = {.up = validation->frame, .name = dl_value_str(&member->key)};
  validation->frame = &here;
  if (known) refuse_type(schema, "extra_forbidden", DL_STR("is set by the server and may not be sent"), &member->value, validation);
  else if (schema->model.extra == DL_EXTRA_ALLOW)
    refuse_type(schema, "extra_forbidden", DL_STR("is not what clients call this field"), &member->value, validation);
  else dl_validation_refusal(validation, schema, &schema->model.unknown, &member->value);
  validation->frame = here.up;
  return false;
}

/* Members without a field: refused, left out, or kept behind the fields. */
static bool unknown_members(const dl_schema *schema, const dl_value *object, uint32_t unknown, dl_value *extra, dl_validation *validation) {
  const dl_model *model = &schema->model;
  if (model->extra == DL_EXTRA_IGNORE || (validation->output && model->extra == DL_EXTRA_FORBID)) return true;
  dl_member *kept = model->extra == DL_EXTRA_ALLOW ? dl_arena_alloc(validation->arena, unknown * sizeof(*kept)) : NULL;
  uint32_t count = 0;
  bool ok = true;
  for (uint32_t i = 0; i < object->len; i++) {
    dl_str name = dl_value_str(&object->members[i].key);
    const dl_field *field = dl_model_find(model, name, false);
    if (field && (!hidden(field, validation) || validation->output)) continue;
    if (kept && !field && !dl_model_would_shadow(model, name)) kept[count++] = object->members[i];
    else ok = refuse_unknown(schema, &object->members[i], field != NULL, validation);
  }
  if (kept) *extra = (dl_value){.kind = DL_VALUE_OBJECT, .len = count, .members = kept};
  return ok;
}

static bool validate_model(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  const dl_model *model = &schema->model;
  if (value->kind != DL_VALUE_OBJECT) return refuse_type(schema, "model_attributes_type", DL_STR("should be an object"), value, validation);
  if (!dl_validation_may_go_on(schema, value->len, validation)) return false;
  bool keeps = model->extra == DL_EXTRA_ALLOW;
  size_t count = model->field_count + (keeps ? 1u : 0u);
  dl_value *items = dl_arena_try_alloc(validation->arena, (count + 1) * sizeof(*items));
  if (!items) return starve(schema, validation);
  memset(items, 0, count * sizeof(*items));
  if (keeps) items[model->field_count] = (dl_value){.kind = DL_VALUE_OBJECT};
  uint32_t unknown = distribute(model, value, items, validation);
  bool ok = validate_fields(model, items, validation);
  if (unknown) ok &= unknown_members(schema, value, unknown, &items[model->field_count], validation);
  *value = (dl_value){.kind = DL_VALUE_RECORD, .flags = keeps ? DL_VALUE_EXTRA : 0, .len = model->field_count, .items = items};
  return ok;
}

/* ---- any value ---- */

static bool validate_json(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  if (value->kind == DL_VALUE_BYTES) return refuse_type(schema, "string_unicode", DL_STR("should be UTF-8 without NUL"), NULL, validation);
  if (value->kind != DL_VALUE_STRING) return true;
  dl_value parsed;
  dl_json_error error;
  if (dl_json_read(validation->arena, dl_value_str(value), NULL, &parsed, &error)) {
    *value = parsed;
    return true;
  }
  if (error.starved) return starve(schema, validation);
  const char *message = dl_arena_format(validation->arena, "%s, at byte %zu", error.message, error.offset);
  return dl_validation_refuse(validation, schema, "json_invalid", dl_str_of(dl_arena_format(validation->arena, "should hold JSON text: %s", message)),
                              dl_context(validation->arena, "error", dl_value_string(dl_str_of(message))), value);
}

static bool validate_kind(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  switch ((dl_kind)schema->kind) {
  case DL_KIND_LITERAL: return validate_literal(schema, value, validation);
  case DL_KIND_ANY: return true;
  case DL_KIND_JSON: return validate_json(schema, value, validation);
  case DL_KIND_ARRAY: return validate_array(schema, value, validation);
  case DL_KIND_MAP: return validate_map(schema, value, validation);
  case DL_KIND_MODEL: return validate_model(schema, value, validation);
  case DL_KIND_UNION: return dl_validate_union(schema, value, validation);
  default:
    if ((schema->strip | schema->lower) && value->kind == DL_VALUE_STRING) tidy_text(schema, value, validation);
    return dl_validate_scalar(schema, value, validation);
  }
}

/* What is strict or lax by its own word is so down to the next word. Text stays
 * text: without conversion nothing but strings could ever arrive that way. */
static bool validate_in_own_mode(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  dl_mode outer = validation->mode;
  if (outer != DL_MODE_TEXT) validation->mode = schema->strictness == DL_STRICTNESS_LAX ? DL_MODE_LAX : DL_MODE_STRICT;
  bool ok = validate_kind(schema, value, validation);
  validation->mode = outer;
  return ok;
}

bool dl_validate_value(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  if (value->kind == DL_VALUE_NULL && schema->nullable) return true;
  bool ok = schema->strictness == DL_STRICTNESS_INHERIT ? validate_kind(schema, value, validation) : validate_in_own_mode(schema, value, validation);
  return ok && (schema->check == LUA_NOREF || dl_call_check(schema, value, validation));
}

bool dl_schema_validate(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  validation->frame = NULL;
  validation->depth = 0;
  validation->known = NULL;
  bool ok = dl_validate_value(schema, value, validation);
  if (!validation->fault) return ok;
  /* A caller who asks for errors alone must not take a broken check for a pass. */
  if (!validation->error_count) refuse_type(schema, "value_error", DL_STR("could not be checked"), NULL, validation);
  return false;
}
