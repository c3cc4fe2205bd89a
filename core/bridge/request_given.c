/* SPDX-License-Identifier: MIT */
/* What a handler gives: one value goes out, and what stands behind it would be lost; what of a response goes by its route's model. */
#include "bridge/request.h"

#include "bridge/bridge.h"
#include "http/response.h"
#include "http/text.h"

#include <lauxlib.h>

const char DL_REQUEST_NO_BODY[] = "the route's status has no body, yet the handler returned a value; return nothing, or declare another status";

static const char prepared_key = 'p'; /* in a response; a key that no app can make */

const char *dl_request_slip_of(lua_State *L, int first) {
  if (dl_request_is_abort(L, first))
    return "the handler gave what demilune.abort had raised, as pcall hands it on, which would be a 200; raise it again: error(problem, 0)";
  if (lua_isnoneornil(L, first + 1)) return NULL;
  if (lua_isnil(L, first))
    return "the handler gave nil and something behind it, which nobody is told; write demilune.abort(404, \"what is wrong\"), or return one value";
  if (lua_isboolean(L, first) && (lua_type(L, first + 1) == LUA_TSTRING || lua_istable(L, first + 1)))
    return "the handler gave true or false and something behind it, as pcall does, which nobody is told; write demilune.abort(400, \"why\")";
  if (lua_istable(L, first) && lua_type(L, first + 1) == LUA_TNUMBER)
    return "the handler gave a table and a number behind it, which has no effect; write demilune.response { status = 201, body = value }";
  return NULL;
}

int dl_request_single(lua_State *L) {
  lua_settop(L, 2);
  const char *slip = dl_request_slip_of(L, 1);
  if (slip) return lua_pushstring(L, slip), lua_error(L);
  return lua_settop(L, 1), 1;
}

dl_str dl_request_content_type(lua_State *L, int headers) {
  dl_str type = {0};
  if (!lua_istable(L, headers)) return type;
  for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
    size_t len = 0;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
    if (!name || !dl_str_equal_nocase(dl_str_from(name, len), DL_STR("content-type"))) continue;
    type = lua_type(L, -1) == LUA_TSTRING ? dl_str_from(lua_tostring(L, -1), lua_objlen(L, -1)) : DL_STR("");
  }
  return type;
}

bool dl_request_is_by_model(const dl_schema *model, dl_str content_type, dl_arena *arena) {
  dl_str type, charset;
  return model && (!content_type.len || (dl_http_media_type(content_type, arena, &type, &charset) && dl_http_is_json(type)));
}

void dl_request_mark_prepared(lua_State *L, int response) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&prepared_key);
  lua_pushboolean(L, 1);
  lua_rawset(L, response);
}

bool dl_request_is_prepared(lua_State *L, int response) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&prepared_key);
  lua_rawget(L, response);
  bool prepared = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return prepared;
}

/* --- header fields from Lua ------------------------------------------------------------ */

static bool is_ours(dl_str name) {
  static const dl_str reserved[] = {
      {"content-length", 14}, {"transfer-encoding", 17}, {"connection", 10}, {"date", 4}, {"keep-alive", 10}, {"upgrade", 7}, {"trailer", 7},
  };
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
    if (dl_str_equal_nocase(name, reserved[i])) return true;
  return false;
}

enum { SHOWN_MAX = 64 }; /* bytes of a name that may be a client's */

/* Which page may read an answer is said by cors, once, and not by a handler beside it. */
static bool is_for_origins(dl_str name) {
  static const dl_str prefix = {"access-control-", 15};
  return name.len > prefix.len && dl_str_equal_nocase(dl_str_from(name.ptr, prefix.len), prefix);
}

static const char *add_field(lua_State *L, dl_arena *arena, dl_given *given, dl_str name) {
  if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER) return "a header's value must be a string or a list of strings";
  dl_str value = dl_lua_text(L, -1);
  if (is_ours(name)) return "Content-Length, Transfer-Encoding, Connection, Date and Trailer are written by the server; leave them out";
  if (is_for_origins(name)) return "Access-Control- fields are written by the server, for the origins that cors names; leave them out";
  if (dl_str_equal_nocase(name, DL_STR("content-type"))) {
    given->content_type = dl_arena_copy(arena, value);
    dl_buffer probe = {0};
    bool ok = dl_http_header_line(&probe, name, value);
    dl_buffer_free(&probe);
    return ok ? NULL : "the Content-Type holds a character that a header cannot";
  }
  const char *fault = dl_http_validators_note(&given->validators, name, value);
  if (fault) return fault;
  given->sets_cookie |= dl_str_equal_nocase(name, DL_STR("set-cookie"));
  if (dl_http_app_header_line(&given->fields, name, value)) return NULL;
  return dl_arena_format(arena, "the header \"%.*s\" holds a character that a header cannot, in its name or its value (a line break, perhaps)",
                         (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), name.ptr);
}

const char *dl_request_read_fields(lua_State *L, int headers, dl_arena *arena, dl_given *given) {
  const char *problem = NULL;
  if (lua_isnil(L, headers)) return NULL;
  if (!lua_istable(L, headers)) return "headers must be a table of names and values";
  int top = lua_gettop(L);
  lua_pushnil(L);
  while (!problem && lua_next(L, headers)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      problem = "a header's name must be a string";
    } else if (lua_istable(L, -1)) {
      for (int i = 1; !problem && i <= (int)lua_objlen(L, -1); i++) {
        lua_rawgeti(L, -1, i);
        problem = add_field(L, arena, given, dl_lua_text(L, -3));
        lua_pop(L, 1);
      }
    } else {
      problem = add_field(L, arena, given, dl_lua_text(L, -2));
    }
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return problem;
}

int dl_request_field_fault(lua_State *L) {
  dl_http_validators none = {0};
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_pushstring(L, dl_http_validators_note(&none, dl_lua_text(L, 1), dl_lua_text(L, 2)));
  return 1;
}

/* --- demilune.response ------------------------------------------------------------------ */

/* Raw: nobody is there to catch what a metamethod of the app's would raise. */
void dl_request_push_field(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

int dl_request_field_status(lua_State *L, int table, int otherwise) {
  dl_request_push_field(L, table, "status");
  double status = lua_isnil(L, -1) ? otherwise : lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
  lua_pop(L, 1);
  return status >= 200 && status <= 599 ? (int)status : -1;
}

static const char *stream_problem(const dl_request_view *view, const dl_given *given) {
  if (view->keeps_answer) return "an idempotent route cannot answer with a stream, for its answer is kept before it is sent; return the whole body";
  if (!dl_http_status_has_body(given->status)) return "a stream needs a status that has a body, unlike 204, 205 and 304";
  if (given->is_by_model && given->content_type.len)
    return "a stream of JSON goes out past the route's returns, which is to say what may be seen; return the value, or leave returns out";
  return NULL;
}

/* What would be lost without a word. An empty text is nothing, as who hands on another service's answer has it. */
static const char *body_problem(lua_State *L, int response) {
  dl_request_push_field(L, response, "body");
  bool is_empty = lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TSTRING && lua_objlen(L, -1) == 0);
  return is_empty ? NULL : "a response of status 204, 205 or 304 has no body, and this one was given one; leave it out, or write another status";
}

const char *dl_request_read_response(lua_State *L, int response, dl_request_view *view, dl_given *given) {
  int top = lua_gettop(L);
  given->status = dl_request_field_status(L, response, view->status);
  if (given->status < 0) return "the status of a response must be a number from 200 to 599";
  dl_request_push_field(L, response, "stream");
  given->is_stream = lua_isfunction(L, -1);
  dl_request_push_field(L, response, "headers");
  const char *problem = dl_request_read_fields(L, top + 2, view->arena, given);
  given->model = dl_request_is_prepared(L, response) ? NULL : dl_request_model_for(view, given->status);
  given->is_by_model = dl_request_is_by_model(given->model, given->content_type, view->arena);
  if (!problem && given->is_stream) problem = stream_problem(view, given);
  else if (!problem && !dl_http_status_has_body(given->status)) problem = body_problem(L, response);
  lua_settop(L, top);
  return problem;
}
