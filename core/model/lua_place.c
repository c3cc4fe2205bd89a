/* SPDX-License-Identifier: MIT */
/* Names places in Lua tables for messages, and says what was wrong there. Called only when something was. */
#include "model/value_lua.h"

#include "base/buffer.h"

static bool is_name(dl_str key) {
  if (!key.len || (key.ptr[0] >= '0' && key.ptr[0] <= '9')) return false;
  for (size_t i = 0; i < key.len; i++) {
    char lower = dl_ascii_lower(key.ptr[i]);
    if ((lower < 'a' || lower > 'z') && (lower < '0' || lower > '9') && lower != '_') return false;
  }
  return true;
}

static void append_place(dl_buffer *text, const dl_lua_place *place) {
  if (!place->outer) return;
  append_place(text, place->outer);
  if (place->index) dl_buffer_printf(text, "[%u]", place->index);
  else if (is_name(place->key)) dl_buffer_printf(text, ".%.*s", DL_STR_ARGS(place->key));
  else {
    dl_buffer_append_char(text, '[');
    dl_buffer_append_json_string(text, place->key);
    dl_buffer_append_char(text, ']');
  }
}

const char *dl_lua_place_error(dl_arena *arena, const dl_lua_place *place, const char *what, const char *advice) {
  dl_buffer text = {0};
  dl_buffer_append_str(&text, dl_str_of(what));
  dl_buffer_append_str(&text, place->outer ? DL_STR(" at ") : DL_STR(" at the top"));
  append_place(&text, place);
  dl_buffer_append_str(&text, dl_str_of(advice));
  const char *message = dl_arena_copy(arena, dl_buffer_str(&text)).ptr;
  dl_buffer_free(&text);
  return message;
}

const char *dl_lua_type_error(dl_arena *arena, const dl_lua_place *place, const char *type_name) {
  return dl_lua_place_error(arena, place, dl_arena_format(arena, "a %s", type_name),
                            ", which JSON has nothing for; give a string, a number, a boolean, a table or demilune.null");
}

const char *dl_lua_shape_error(dl_arena *arena, const dl_lua_place *place, dl_lua_shape shape) {
  if (shape == DL_LUA_MIXED)
    return dl_lua_place_error(arena, place, "a table with both numbers and names as keys", "; make it an array or an object");
  return dl_lua_place_error(arena, place, "an array with holes", "; write demilune.null where nothing stands, or make the keys strings");
}

const char *dl_lua_key_error(dl_arena *arena, const dl_lua_place *place, const char *type_name) {
  return dl_lua_place_error(arena, place, dl_arena_format(arena, "a %s as a key", type_name), "; names in JSON are strings: use tostring(key)");
}

const char *dl_lua_depth_error(dl_arena *arena, const dl_lua_place *place) {
  return dl_lua_place_error(arena, place, "tables nested over 64 deep", "; does one hold itself?");
}

const char *dl_lua_count_error(dl_arena *arena, const dl_lua_place *place) { return dl_lua_place_error(arena, place, DL_LUA_TOO_MANY, ""); }

const char *dl_lua_number_error(dl_arena *arena, const dl_lua_place *place) {
  return dl_lua_place_error(arena, place, "a number that is infinite or not a number",
                            ", which JSON has nothing for; give demilune.null or a string");
}
