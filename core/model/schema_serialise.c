/* SPDX-License-Identifier: MIT */
/*
 * Handlers' values as JSON by their schema, straight from Lua into the buffer: a
 * filter, since a field that the model does not name is never looked at, and a
 * check, since what breaks the model is an error and not a response. Runs for
 * each response.
 */
#include "model/schema_internal.h"

#include "base/hash.h"
#include "base/scan.h"
#include "base/utf8.h"
#include "model/value_lua.h"

typedef struct writer {
  lua_State *L;
  dl_buffer *buffer;
  dl_validation *validation;
  uint64_t left; /* values that may still be met */
  int keys;      /* stack index of the table of field names */
  dl_str plain;  /* the scalar on top, where it is text that needs no escapes */
} writer;

static bool write_top(writer *w, const dl_schema *schema, int type);

static bool refuse(writer *w, const dl_schema *schema, const char *type, const char *message) {
  return dl_validation_refuse(w->validation, schema, type, dl_str_of(message), (dl_value){0}, NULL);
}

static bool refuse_because(writer *w, const dl_schema *schema, const char *reason) {
  dl_str message = dl_str_of(reason);
  return dl_validation_refuse(w->validation, schema, "value_error", message, dl_context(w->validation->arena, "error", dl_value_string(message)),
                              NULL);
}

/* What a union tries over and over has a bound of its own. */
static bool may_meet(writer *w, const dl_schema *schema, uint32_t count) {
  if (w->validation->attempting) return true;
  if (count > w->left) return refuse(w, schema, "recursion_loop", "holds " DL_LUA_TOO_MANY);
  w->left -= count;
  return true;
}

/* type is that of the value on top, asked for once and handed down. */
static inline bool null_on_top(writer *w, int type) { return type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && !lua_touserdata(w->L, -1)); }

/* ---- scalars ---- */

/* Not zero when one of eight bytes cannot be written as it is. */
static inline uint64_t stops_in(uint64_t word) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\'), rubout = word ^ (ones * 0x7f);
  return (((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((rubout - ones) & ~rubout) | word) & tops;
}

/* Whether JSON writes these bytes as they are: ASCII without anything to escape.
 * Most strings are short, and the ends of blocks may overlap. */
static bool plain_text(dl_str text) {
  const char *end = text.ptr + text.len;
  uint64_t first = 0x6161616161616161u, last;
  if (text.len >= 16) {
    const char *whole = text.ptr + (text.len & ~(size_t)15);
    return dl_scan_plain(text.ptr, whole) == whole && dl_scan_plain(end - 16, end) == end;
  }
  if (text.len >= 8) {
    memcpy(&first, text.ptr, 8);
    memcpy(&last, end - 8, 8);
    return !(stops_in(first) | stops_in(last));
  }
  for (const char *p = text.ptr; p < end; p++) first = first << 8 | (uint8_t)*p;
  return !stops_in(first);
}

/* A string whose plainness is known. */
static void write_known_text(writer *w, dl_str text, bool plain) {
  if (!plain) {
    dl_buffer_append_json_string(w->buffer, text);
    return;
  }
  dl_buffer_reserve(w->buffer, text.len + 2);
  char *out = w->buffer->data + w->buffer->len;
  *out++ = '"';
  memcpy(out, text.ptr, text.len);
  out[text.len] = '"';
  w->buffer->len += text.len + 2;
}

static void write_text(writer *w, dl_str text) { write_known_text(w, text, plain_text(text)); }

static dl_str text_on_top(writer *w) {
  dl_str text;
  text.ptr = lua_tolstring(w->L, -1, &text.len);
  return text;
}

/* The scalar on top as a value that borrows Lua's string. What no scalar can be
 * is an object, which every conversion refuses. */
static dl_value scalar_on_top(writer *w, int type) {
  double number;
  uint64_t bits;
  dl_str text;
  switch (type) {
  case LUA_TSTRING:
    text = text_on_top(w);
    if (text.len > UINT32_MAX) return (dl_value){.kind = DL_VALUE_OBJECT};
    w->plain = plain_text(text) ? text : (dl_str){0};
    return (dl_value){.kind = w->plain.ptr || dl_utf8_valid(text) ? DL_VALUE_STRING : DL_VALUE_BYTES, .len = (uint32_t)text.len, .string = text.ptr};
  case LUA_TNUMBER:
    number = lua_tonumber(w->L, -1);
    if (number >= -(double)DL_LUA_SAFE_INTEGER && number <= (double)DL_LUA_SAFE_INTEGER && (double)(int64_t)number == number)
      return dl_value_integer((int64_t)number);
    return dl_value_number(number);
  case LUA_TBOOLEAN: return dl_value_boolean(lua_toboolean(w->L, -1));
  case LUA_TTABLE: return (dl_value){.kind = DL_VALUE_OBJECT};
  case DL_LUA_TCDATA:
    if (dl_lua_get_wide(w->L, -1, &bits) == DL_LUA_INT64) return dl_value_integer((int64_t)bits);
    return (dl_value){.kind = DL_VALUE_OBJECT};
  default: return null_on_top(w, type) ? dl_value_null() : (dl_value){.kind = DL_VALUE_OBJECT};
  }
}

static bool write_string(writer *w, const dl_schema *schema, int type) {
  if (type != LUA_TSTRING) return refuse(w, schema, "string_type", "should be a string");
  dl_str text = text_on_top(w);
  bool plain = plain_text(text);
  if (!plain && !dl_utf8_valid(text)) return refuse(w, schema, "string_unicode", "should be UTF-8; bytes are written by model.bytes()");
  dl_value value = dl_value_string(text);
  if (schema->has_rules && !dl_rules_check(schema, &value, w->validation)) return false;
  write_known_text(w, text, plain);
  return true;
}

/* Kinds whose form in Lua is not their form in JSON, each with what becomes of it. */
static void from_lua_form(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  bool whole = value->kind == DL_VALUE_INTEGER;
  switch ((dl_kind)schema->kind) {
  case DL_KIND_BYTES:
    if (value->kind == DL_VALUE_STRING) value->kind = DL_VALUE_BYTES;
    return;
  case DL_KIND_DURATION:
    if (whole) *value = dl_value_number((double)value->integer);
    return;
  case DL_KIND_BOOLEAN: /* SQL has no booleans: SQLite's rows say 0 and 1 */
    if (!whole || (value->integer != 0 && value->integer != 1)) return;
    *value = dl_value_boolean(value->integer == 1);
    validation->fit = DL_FIT_LAX;
    return;
  default: return;
  }
}

static void write_value(writer *w, dl_kind kind, const dl_value *value) {
  if (kind == DL_KIND_DURATION) {
    dl_buffer_append_char(w->buffer, '"');
    dl_duration_write(w->buffer, value->number);
    dl_buffer_append_char(w->buffer, '"');
  } else if (value->kind == DL_VALUE_STRING) {
    dl_str text = dl_value_str(value);
    write_known_text(w, text, (text.ptr == w->plain.ptr && text.len == w->plain.len) || plain_text(text));
  } else {
    dl_value_write(w->buffer, value);
  }
}

static bool write_scalar(writer *w, const dl_schema *schema, int type) {
  dl_value value = scalar_on_top(w, type);
  bool finite = value.kind != DL_VALUE_NUMBER || (value.number - value.number == 0);
  if (!finite) return refuse(w, schema, "finite_number", "should be a finite number: JSON has no NaN and no infinity");
  from_lua_form(schema, &value, w->validation);
  bool done = (schema->kind == DL_KIND_BYTES && value.kind == DL_VALUE_BYTES) || (schema->kind == DL_KIND_DURATION && value.kind == DL_VALUE_NUMBER);
  if (!done && value.kind == DL_VALUE_BYTES) return refuse(w, schema, "string_unicode", "should be UTF-8; bytes are written by model.bytes()");
  /* What lax mode took for a URL is one, though strict mode wants a lone % encoded. */
  if (schema->kind == DL_KIND_URL) w->validation->mode = DL_MODE_LAX;
  bool ok = done ? !schema->has_rules || dl_rules_check(schema, &value, w->validation) : dl_validate_scalar(schema, &value, w->validation);
  w->validation->mode = DL_MODE_STRICT;
  if (!ok) return false;
  write_value(w, (dl_kind)schema->kind, &value);
  return true;
}

/* The short way for what most numbers are. */
static bool write_integer(writer *w, const dl_schema *schema, int type) {
  double number = type == LUA_TNUMBER ? lua_tonumber(w->L, -1) : 0.5;
  bool whole = number >= -(double)DL_LUA_SAFE_INTEGER && number <= (double)DL_LUA_SAFE_INTEGER && (double)(int64_t)number == number;
  if (!whole) return write_scalar(w, schema, type);
  dl_value value = dl_value_integer((int64_t)number);
  if (schema->has_rules && !dl_rules_check(schema, &value, w->validation)) return false;
  dl_buffer_append_int(w->buffer, value.integer);
  return true;
}

static bool write_literal(writer *w, const dl_schema *schema, int type) {
  /* Bytes that equal a literal's are as good as it is: no look at their UTF-8. */
  dl_value value = type == LUA_TSTRING ? dl_value_string(text_on_top(w)) : scalar_on_top(w, type);
  int found = dl_literal_find(schema, &value, false);
  if (found < 0) return dl_validation_refusal(w->validation, schema, &schema->literal.refusal, NULL);
  dl_buffer_append_str(w->buffer, schema->literal.json[found]);
  return true;
}

static bool write_any(writer *w, const dl_schema *schema) {
  const char *error = NULL;
  uint64_t tried = w->left;
  uint64_t *left = w->validation->attempting ? &tried : &w->left;
  return dl_json_part_from_lua(w->L, lua_gettop(w->L), w->validation->arena, w->buffer, left, &error) || refuse_because(w, schema, error);
}

/* ---- containers ---- */

static bool take_table(writer *w, const dl_schema *schema, int type, const char *error_type, const char *message) {
  if (type != LUA_TTABLE) return refuse(w, schema, error_type, message);
  /* Each level leaves a table, a key and a value behind; room for eight at once. */
  if (w->validation->depth % 8 == 0) luaL_checkstack(w->L, 32, "a response");
  return dl_validation_may_go_on(schema, 0, w->validation);
}

static bool is_array(writer *w, uint32_t *count) {
  dl_lua_shape shape = dl_lua_table_shape(w->L, -1, count);
  if (shape != DL_LUA_OBJECT || *count) return shape == DL_LUA_ARRAY;
  lua_pushnil(w->L);
  if (!lua_next(w->L, -2)) return true;
  lua_pop(w->L, 2);
  return false;
}

/* Uniqueness needs the items as values, which only this rare case makes. */
static bool items_unique(writer *w, const dl_schema *schema) {
  const char *error = NULL;
  dl_value value;
  if (!dl_value_from_lua(w->L, lua_gettop(w->L), w->validation->arena, &value, &error)) return refuse_because(w, schema, error);
  return value.kind != DL_VALUE_ARRAY || dl_rules_unique(schema, &value, w->validation);
}

static bool write_array(writer *w, const dl_schema *schema, int type) {
  if (!take_table(w, schema, type, "list_type", "should be an array")) return false;
  uint32_t count = 0;
  if (!is_array(w, &count)) return refuse(w, schema, "list_type", "should be an array: a table with the keys 1 to n and no others");
  if (!dl_rules_item_count(schema, count, w->validation) || !may_meet(w, schema, count)) return false;
  dl_place here = {.up = w->validation->frame};
  w->validation->frame = &here;
  w->validation->depth++;
  bool ok = true;
  dl_buffer_append_char(w->buffer, '[');
  for (uint32_t i = 0; i < count && (ok || !dl_validation_is_over(w->validation)); i++) {
    if (i) dl_buffer_append_char(w->buffer, ',');
    here.index = i;
    lua_rawgeti(w->L, -1, (int)i + 1);
    ok &= write_top(w, schema->array.items, lua_type(w->L, -1));
    lua_pop(w->L, 1);
  }
  dl_buffer_append_char(w->buffer, ']');
  w->validation->depth--;
  w->validation->frame = here.up;
  return ok && (!schema->unique_items || items_unique(w, schema));
}

static bool write_map_member(writer *w, const dl_schema *schema, dl_map *seen) {
  if (lua_type(w->L, -2) != LUA_TSTRING) return refuse(w, schema, "invalid_key", "has a key that is not a string");
  dl_str name;
  name.ptr = lua_tolstring(w->L, -2, &name.len);
  dl_value key = dl_value_string(name);
  dl_place here = {.up = w->validation->frame, .name = dl_arena_copy(w->validation->arena, name)};
  const dl_schema *keys = schema->map.keys;
  w->validation->frame = &here;
  bool ok = dl_utf8_valid(name) || refuse(w, schema, "string_unicode", "should have keys in UTF-8");
  if (ok && keys && keys->kind == DL_KIND_LITERAL)
    ok = dl_literal_find(keys, &key, true) >= 0 || dl_validation_refusal(w->validation, keys, &keys->literal.refusal, NULL);
  else if (ok && keys) ok = dl_validate_scalar(keys, &key, w->validation);
  ok = ok && may_meet(w, schema, 1);
  if (ok && !dl_lua_reserve(w->L, -2, LUA_TSTRING, w->buffer)) ok = refuse_because(w, schema, DL_LUA_TOO_LARGE);
  if (ok && seen && dl_map_put(seen, dl_value_str(&key), seen)) ok = refuse_because(w, keys, "is the same key as another one, written otherwise");
  if (ok) {
    write_text(w, dl_value_str(&key));
    dl_buffer_append_char(w->buffer, ':');
    ok = write_top(w, schema->map.values, lua_type(w->L, -1));
  }
  w->validation->frame = here.up;
  return ok;
}

static bool write_map(writer *w, const dl_schema *schema, int type) {
  if (!take_table(w, schema, type, "dict_type", "should be a table with string keys")) return false;
  uint32_t count = 0;
  bool ok = true;
  dl_map seen;
  dl_map_init(&seen, w->validation->arena);
  w->validation->depth++;
  dl_buffer_append_char(w->buffer, '{');
  for (lua_pushnil(w->L); lua_next(w->L, -2); lua_pop(w->L, 1)) {
    if (count++) dl_buffer_append_char(w->buffer, ',');
    ok &= write_map_member(w, schema, dl_keys_may_meet(schema->map.keys) ? &seen : NULL);
  }
  dl_buffer_append_char(w->buffer, '}');
  w->validation->depth--;
  return dl_rules_item_count(schema, count, w->validation) && ok;
}

/* ---- models ---- */

/* As validation does: a member of an untagged union may take it. */
static bool takes_null(const dl_schema *schema) {
  if (schema->nullable || schema->kind == DL_KIND_ANY || schema->kind == DL_KIND_JSON) return true;
  if (schema->kind != DL_KIND_UNION || schema->alternatives.discriminator.ptr) return false;
  for (uint32_t i = 0; i < schema->alternatives.count; i++)
    if (takes_null(schema->alternatives.members[i])) return true;
  return false;
}

/* Nil and null are one to a nullable field: a database's NULL arrives as nil. */
static bool write_absent_field(writer *w, const dl_field *field, bool nil) {
  const dl_schema *schema = field->schema;
  if (schema->nullable || (takes_null(schema) && !(nil && schema->optional))) {
    dl_buffer_append_str(w->buffer, field->fragment);
    DL_BUFFER_LITERAL(w->buffer, "null");
    return true;
  }
  if (nil && schema->has_default) {
    dl_buffer_append_str(w->buffer, field->fragment);
    dl_buffer_append_str(w->buffer, schema->default_json);
    return true;
  }
  if (schema->optional) return true;
  return refuse(w, schema, "missing", "is required, and the handler gave none");
}

/* Nobody sees what is write_only, and each only what is visible to a role of theirs. */
static bool is_shown(const dl_schema *schema, const dl_validation *validation) {
  if (schema->write_only || !schema->visible_to) return !schema->write_only;
  for (uint32_t i = 0; i < schema->visible_to_count; i++)
    for (uint32_t role = 0; role < validation->role_count; role++)
      if (dl_str_equal(schema->visible_to[i], validation->roles[role])) return true;
  return false;
}

static bool write_model(writer *w, const dl_schema *schema, int table_type) {
  if (!take_table(w, schema, table_type, "model_attributes_type", "should be a table with the model's fields")) return false;
  const dl_model *model = &schema->model;
  dl_place here = {.up = w->validation->frame};
  w->validation->frame = &here;
  w->validation->depth++;
  size_t start = w->buffer->len;
  bool ok = true;
  for (uint32_t i = 0; i < model->field_count && (ok || !dl_validation_is_over(w->validation)); i++) {
    const dl_field *field = &model->fields[i];
    if (!is_shown(field->schema, w->validation)) continue;
    here.name = field->wire;
    lua_rawgeti(w->L, w->keys, field->key);
    lua_rawget(w->L, -2);
    int type = lua_type(w->L, -1);
    if (!dl_buffer_try_reserve(w->buffer, field->fragment.len + field->schema->default_json.len + 64)) {
      ok = refuse_because(w, field->schema, DL_LUA_TOO_LARGE);
    } else if (null_on_top(w, type)) {
      ok &= write_absent_field(w, field, type == LUA_TNIL);
    } else {
      dl_buffer_append_str(w->buffer, field->fragment);
      w->validation->fields_set++;
      ok &= may_meet(w, field->schema, 1) && write_top(w, field->schema, type);
    }
    lua_pop(w->L, 1);
  }
  w->validation->depth--;
  w->validation->frame = here.up;
  /* Every fragment begins with a comma; the first one's place is the brace's. */
  if (w->buffer->len == start) dl_buffer_append_char(w->buffer, '{');
  else w->buffer->data[start] = '{';
  dl_buffer_append_char(w->buffer, '}');
  return ok;
}

/* ---- unions ---- */

static bool write_member(writer *w, const dl_schema *schema, uint32_t member, dl_str label, int type) {
  dl_place here = {.up = w->validation->frame, .name = label};
  w->validation->frame = &here;
  bool ok = write_top(w, schema->alternatives.members[member], type);
  w->validation->frame = here.up;
  return ok;
}

static bool write_tagged(writer *w, const dl_schema *schema, int type) {
  const dl_alternatives *alternatives = &schema->alternatives;
  if (!take_table(w, schema, type, "model_attributes_type", "should be a table with the model's fields")) return false;
  lua_rawgeti(w->L, w->keys, alternatives->discriminator_key);
  lua_rawget(w->L, -2);
  int tag_type = lua_type(w->L, -1);
  dl_value tag = scalar_on_top(w, tag_type);
  lua_pop(w->L, 1); /* the table keeps the tag's string alive */
  if (tag.kind == DL_VALUE_NULL) return dl_validation_refusal(w->validation, schema, &alternatives->no_tag, NULL);
  int member = dl_union_member_of_tag(alternatives, &tag);
  if (tag.kind == DL_VALUE_STRING) tag = dl_value_string(dl_arena_copy(w->validation->arena, dl_value_str(&tag)));
  if (member < 0) return dl_union_refuse_tag(schema, &tag, w->validation);
  dl_str label = tag.kind == DL_VALUE_STRING ? dl_value_str(&tag) : dl_str_of(alternatives->members[member]->label);
  return write_member(w, schema, (uint32_t)member, label, type);
}

/* The member that won before, alone: its text was somewhere else. */
static bool write_again(writer *w, const dl_schema *schema, const dl_union_answer *answer, int type) {
  if (!answer->found) return dl_union_refuse_again(answer, w->validation);
  return write_member(w, schema, answer->member, dl_str_of(schema->alternatives.members[answer->member]->label), type);
}

/* Each member writes behind the best text so far; a better one moves into its place. */
static bool write_untagged(writer *w, const dl_schema *schema, int type) {
  const dl_alternatives *alternatives = &schema->alternatives;
  const void *whole = type == LUA_TTABLE ? lua_topointer(w->L, -1) : NULL;
  const dl_union_answer *answer = dl_union_recall(schema, whole, w->validation);
  if (answer) return write_again(w, schema, answer, type);
  dl_union_trial trial = dl_union_begin(w->validation);
  size_t start = w->buffer->len, best_end = start;
  for (uint32_t i = 0; i < alternatives->count && !dl_union_decided(&trial); i++) {
    dl_union_try(w->validation);
    bool fits = write_member(w, schema, i, dl_str_of(alternatives->members[i]->label), type);
    if (dl_union_tried(&trial, i, fits, w->validation)) {
      size_t length = w->buffer->len - best_end;
      memmove(w->buffer->data + start, w->buffer->data + best_end, length);
      best_end = start + length;
    }
    w->buffer->len = best_end;
  }
  bool found = dl_union_end(&trial, w->validation);
  dl_union_remember(schema, whole, &trial, NULL, w->validation);
  return found;
}

/* ---- any kind ---- */

static bool write_top(writer *w, const dl_schema *schema, int type) {
  if (!dl_lua_reserve(w->L, -1, type, w->buffer)) return refuse_because(w, schema, DL_LUA_TOO_LARGE);
  if (null_on_top(w, type) && takes_null(schema)) {
    DL_BUFFER_LITERAL(w->buffer, "null");
    return true;
  }
  switch ((dl_kind)schema->kind) {
  case DL_KIND_STRING: return write_string(w, schema, type);
  case DL_KIND_INTEGER: return write_integer(w, schema, type);
  case DL_KIND_LITERAL: return write_literal(w, schema, type);
  case DL_KIND_ANY:
  case DL_KIND_JSON: return write_any(w, schema);
  case DL_KIND_ARRAY: return write_array(w, schema, type);
  case DL_KIND_MAP: return write_map(w, schema, type);
  case DL_KIND_MODEL: return write_model(w, schema, type);
  case DL_KIND_UNION: return schema->alternatives.discriminator.ptr ? write_tagged(w, schema, type) : write_untagged(w, schema, type);
  case DL_KIND_SECRET:
    return refuse_because(w, schema, "is a secret, and a secret never leaves; mark the field write_only or leave it out of the response model");
  default: return write_scalar(w, schema, type);
  }
}

bool dl_schema_serialise(const dl_schema *schema, lua_State *L, int index, dl_buffer *buffer, dl_validation *validation) {
  size_t before = buffer->len;
  int top = lua_gettop(L);
  bool conceal = validation->conceal;
  dl_mode mode = validation->mode;
  if (index < 0) index = top + 1 + index;
  luaL_checkstack(L, 16, "a response");
  /* Values borrow Lua's strings here, so an error could not keep one. */
  validation->conceal = true;
  validation->mode = DL_MODE_STRICT;
  validation->frame = NULL;
  validation->depth = 0;
  validation->known = NULL;
  writer w = {.L = L, .buffer = buffer, .validation = validation, .left = dl_lua_values_max(L), .keys = top + 1};
  lua_rawgeti(L, LUA_REGISTRYINDEX, schema->home->keys);
  lua_pushvalue(L, index);
  bool ok = write_top(&w, schema, lua_type(L, -1));
  lua_settop(L, top);
  validation->conceal = conceal;
  validation->mode = mode;
  if (!ok) buffer->len = before;
  if (!ok && !before) dl_buffer_free(buffer); /* it may be large, and what tells of it needs some */
  return ok;
}
