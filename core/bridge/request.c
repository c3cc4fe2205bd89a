/* SPDX-License-Identifier: MIT */
#include "bridge/request.h"

#include "bridge/state.h"
#include "http/response.h"
#include "http/text.h"
#include "model/json.h"

#include <lauxlib.h>

/* Places in the slots table; the sources follow from SLOT_SOURCES on. */
enum { SLOT_HANDLE = 1, SLOT_FIELDS, SLOT_AFTER, SLOT_RELEASE, SLOT_SOURCES };
enum { SLOT_PRINCIPAL = SLOT_SOURCES + DL_SOURCE_COUNT, SLOT_TRACE, SLOT_KEEPER };
enum { RAW_PAIRS_MAX = 256 };

static const char metatable_key = 'm', response_key = 'r', abort_key = 'a', replay_key = 'k';

static void push_registered(lua_State *L, const char *key) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

static void push_slots(lua_State *L, dl_request_view *view) {
  if (view->slots_reference == LUA_NOREF) {
    lua_createtable(L, SLOT_TRACE, 0);
    lua_pushvalue(L, -1);
    view->slots_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  } else {
    lua_rawgeti(L, LUA_REGISTRYINDEX, view->slots_reference);
  }
}

static dl_request_view *view_at(lua_State *L, int index) {
  void **handle = lua_touserdata(L, index);
  if (!handle || !*handle) luaL_error(L, "this request is over; copy what is needed later out of req while the handler runs");
  return *handle;
}

/* Whatever an app passes to a method of req's: only a request is read as one. */
dl_request_view *dl_request_view_of(lua_State *L) {
  bool is_request = lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1);
  if (is_request) {
    push_registered(L, &metatable_key);
    is_request = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  if (!is_request) luaL_argerror(L, 1, "expected the request; call its functions with a colon: req:get_header(name)");
  return view_at(L, 1);
}

void dl_request_add_access_fields(dl_request_view *view, dl_str fields) {
  dl_str before = view->access_fields;
  if (!before.len || !fields.len) {
    view->access_fields = before.len ? before : fields;
    return;
  }
  char *joined = dl_arena_alloc(view->arena, before.len + fields.len);
  memcpy(joined, before.ptr, before.len);
  memcpy(joined + before.len, fields.ptr, fields.len);
  view->access_fields = dl_str_from(joined, before.len + fields.len);
}

/* --- fields ------------------------------------------------------------------- */

static const struct {
  dl_str name;
  dl_source source;
} source_names[] = {
    {DL_STR("path"), DL_SOURCE_PATH},     {DL_STR("query"), DL_SOURCE_QUERY}, {DL_STR("header"), DL_SOURCE_HEADER},
    {DL_STR("cookie"), DL_SOURCE_COOKIE}, {DL_STR("form"), DL_SOURCE_FORM},   {DL_STR("body"), DL_SOURCE_BODY},
};

dl_str dl_request_host(const dl_request_view *view) { return view->host.len ? view->host : dl_http_request_header(view->http, DL_HEADER_HOST); }

static dl_str field_method(const dl_request_view *view) { return view->http->method_text; }
static dl_str field_target(const dl_request_view *view) { return view->http->target; }
static dl_str field_client(const dl_request_view *view) { return view->client; }
static dl_str field_scheme(const dl_request_view *view) { return view->scheme; }
static dl_str field_id(const dl_request_view *view) { return view->id; }
static dl_str field_route(const dl_request_view *view) { return view->route; }

static const struct {
  dl_str name;
  dl_str (*read)(const dl_request_view *view);
} text_fields[] = {
    {DL_STR("method"), field_method}, {DL_STR("target"), field_target}, {DL_STR("client"), field_client},
    {DL_STR("id"), field_id},         {DL_STR("route"), field_route},   {DL_STR("scheme"), field_scheme},
    {DL_STR("host"), dl_request_host},
};

/* A name that comes again makes a list of its values. */
static void add_raw(lua_State *L, dl_str name, dl_str value, bool lower) {
  char key[128];
  if (lower && name.len <= sizeof key) {
    for (size_t i = 0; i < name.len; i++) key[i] = dl_ascii_lower(name.ptr[i]);
    name.ptr = key;
  }
  lua_pushlstring(L, name.ptr, name.len);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushlstring(L, value.ptr, value.len);
    lua_rawset(L, -3);
    return;
  }
  if (!lua_istable(L, -1)) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
  }
  lua_pushlstring(L, value.ptr, value.len);
  lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
  lua_rawset(L, -3);
}

int dl_request_abort(lua_State *L, int status) {
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "detail");
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  push_registered(L, &abort_key);
  lua_setmetatable(L, -2);
  return lua_error(L);
}

/* Whoever sends what cannot be read makes no error of the app's. */
static void refuse_unreadable(lua_State *L, const char *problem) {
  lua_pushfstring(L, "The request's parameters cannot be read: %s", problem);
  dl_request_abort(L, 400);
}

static void push_pairs(lua_State *L, const char *problem, const dl_pair *pairs, uint32_t count) {
  if (problem) refuse_unreadable(L, problem);
  lua_createtable(L, 0, (int)count);
  for (uint32_t i = 0; i < count; i++) add_raw(L, pairs[i].name, pairs[i].value, false);
}

/* Undeclared sources come as they were sent: tables of strings. */
static void push_raw(lua_State *L, dl_request_view *view, dl_source source) {
  const char *problem;
  dl_pair *pairs = NULL;
  uint32_t count = 0;
  switch (source) {
    case DL_SOURCE_QUERY:
      problem = dl_http_query(view->http->query, RAW_PAIRS_MAX, view->arena, &pairs, &count);
      push_pairs(L, problem, pairs, count);
      break;
    case DL_SOURCE_COOKIE:
      problem = dl_http_cookies(dl_http_request_find(view->http, DL_STR("cookie"), view->arena), RAW_PAIRS_MAX, view->arena, &pairs, &count);
      push_pairs(L, problem, pairs, count);
      break;
    case DL_SOURCE_HEADER:
      lua_createtable(L, 0, (int)view->http->header_count);
      for (uint32_t i = 0; i < view->http->header_count; i++) add_raw(L, view->http->headers[i].name, view->http->headers[i].value, true);
      break;
    case DL_SOURCE_BODY:
      if (view->raw_body) lua_pushlstring(L, view->body.ptr, view->body.len);
      else lua_pushnil(L);
      break;
    default: lua_pushnil(L);
  }
}

static void push_source(lua_State *L, dl_request_view *view, dl_source source) {
  push_slots(L, view);
  if (view->pushed & (1u << source)) {
    lua_rawgeti(L, -1, SLOT_SOURCES + (int)source);
    return;
  }
  if (view->schemas[source] && view->values[source].kind != DL_VALUE_ABSENT) dl_schema_push(L, view->schemas[source], &view->values[source]);
  else if (view->schemas[source]) lua_pushnil(L);
  else push_raw(L, view, source);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, SLOT_SOURCES + (int)source);
  view->pushed |= 1u << source;
}

/* principal.claims, made when they are asked for, which most handlers never do. */
static int principal_index(lua_State *L) {
  static const dl_str claims = DL_STR("claims");
  dl_str key = {0};
  if (lua_type(L, 2) == LUA_TSTRING) key.ptr = lua_tolstring(L, 2, &key.len);
  if (!dl_str_equal(key, claims)) return 0;
  dl_principal_push_field(L, &view_at(L, lua_upvalueindex(1))->principal, claims);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 1);
  return 1;
}

/* The request is at 1. */
static void push_principal(lua_State *L, dl_request_view *view) {
  push_slots(L, view);
  if (view->pushed & 1u << DL_SOURCE_COUNT) {
    lua_rawgeti(L, -1, SLOT_PRINCIPAL);
    return;
  }
  dl_principal_push(L, &view->principal, false);
  if (view->principal.claims) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, principal_index, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, SLOT_PRINCIPAL);
  view->pushed |= 1u << DL_SOURCE_COUNT;
}

/* --- the trace -------------------------------------------------------------------- */

const dl_trace *dl_request_trace(dl_request_view *view) {
  if (!view->is_traced) dl_trace_begin(&view->trace, dl_http_request_find(view->http, DL_STR("traceparent"), view->arena), view->random);
  view->is_traced = true;
  return &view->trace;
}

void dl_request_log(dl_request_view *view, dl_log *log) {
  dl_log_field(log, "request_id", view->id);
  if (log->format != DL_LOG_JSON) return;
  const dl_trace *trace = dl_request_trace(view);
  dl_log_field(log, "trace_id", dl_str_from(trace->trace_id, sizeof trace->trace_id));
  dl_log_field(log, "span_id", dl_str_from(trace->span_id, sizeof trace->span_id));
}

static void set_text(lua_State *L, const char *name, const char *text, size_t length) {
  lua_pushlstring(L, text, length);
  lua_setfield(L, -2, name);
}

static void push_new_trace(lua_State *L, dl_request_view *view) {
  const dl_trace *trace = dl_request_trace(view);
  char traceparent[DL_TRACEPARENT_BYTES];
  dl_trace_write(trace, traceparent);
  lua_createtable(L, 0, 6);
  set_text(L, "id", trace->trace_id, sizeof trace->trace_id);
  set_text(L, "span_id", trace->span_id, sizeof trace->span_id);
  set_text(L, "traceparent", traceparent, sizeof traceparent);
  lua_pushboolean(L, trace->sampled);
  lua_setfield(L, -2, "sampled");
  if (!trace->has_parent) return;
  set_text(L, "parent_id", trace->parent_id, sizeof trace->parent_id);
  dl_str state = dl_http_request_find(view->http, DL_STR("tracestate"), view->arena);
  if (state.len > 0 && dl_tracestate_valid(state)) set_text(L, "tracestate", state.ptr, state.len);
}

static void push_trace(lua_State *L, dl_request_view *view) {
  push_slots(L, view);
  if (view->pushed & 1u << (SLOT_TRACE - SLOT_SOURCES)) {
    lua_rawgeti(L, -1, SLOT_TRACE);
    return;
  }
  push_new_trace(L, view);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, SLOT_TRACE);
  view->pushed |= 1u << (SLOT_TRACE - SLOT_SOURCES);
}

/* --- looking up ------------------------------------------------------------------- */

/* What other frameworks call it would be nil here, and the mistake told elsewhere. */
static int refuse_name_of_others(lua_State *L, dl_str key) {
  static const struct {
    dl_str name;
    const char *instead;
  } names[] = {
      {DL_STR("headers"), "req.header.name, or req:get_header(\"name\")"},
      {DL_STR("params"), "req.path.name, or req.query.name"},
      {DL_STR("path_params"), "req.path.name"},
      {DL_STR("query_params"), "req.query.name"},
      {DL_STR("cookies"), "req.cookie.name"},
      {DL_STR("json"), "req.body, of a route that declares body = { ... }"},
      {DL_STR("url"), "req.target"},
      {DL_STR("ip"), "req.client"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (dl_str_equal(key, names[i].name)) return luaL_error(L, "there is no req.%s; write %s", names[i].name.ptr, names[i].instead);
  return 0;
}

static int request_index(lua_State *L) {
  dl_request_view *view = view_at(L, 1);
  dl_str key = {0};
  if (lua_type(L, 2) == LUA_TSTRING) key.ptr = lua_tolstring(L, 2, &key.len);
  for (size_t i = 0; i < sizeof source_names / sizeof *source_names; i++)
    if (dl_str_equal(key, source_names[i].name)) {
      push_source(L, view, source_names[i].source);
      return 1;
    }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (!lua_isnil(L, -1)) return 1;
  for (size_t i = 0; i < sizeof text_fields / sizeof *text_fields; i++)
    if (dl_str_equal(key, text_fields[i].name)) {
      dl_str text = text_fields[i].read(view);
      lua_pushlstring(L, text.ptr, text.len);
      return 1;
    }
  if (dl_str_equal(key, DL_STR("principal"))) {
    push_principal(L, view);
    return 1;
  }
  if (dl_str_equal(key, DL_STR("trace"))) {
    push_trace(L, view);
    return 1;
  }
  if (view->has_fields) {
    push_slots(L, view);
    lua_rawgeti(L, -1, SLOT_FIELDS);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1)) return 1;
  }
  return refuse_name_of_others(L, key);
}

static bool is_builtin(dl_str key) {
  if (dl_str_equal(key, DL_STR("principal")) || dl_str_equal(key, DL_STR("trace"))) return true;
  for (size_t i = 0; i < sizeof source_names / sizeof *source_names; i++)
    if (dl_str_equal(key, source_names[i].name)) return true;
  for (size_t i = 0; i < sizeof text_fields / sizeof *text_fields; i++)
    if (dl_str_equal(key, text_fields[i].name)) return true;
  return false;
}

/* Fields of the app's own travel with the request, e.g. from a dependency. */
static int request_newindex(lua_State *L) {
  dl_request_view *view = view_at(L, 1);
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "a field of req has a name, such as req.user, and not a %s", luaL_typename(L, 2));
  const char *key = lua_tolstring(L, 2, &len);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (!lua_isnil(L, -1) || is_builtin(dl_str_from(key, len))) return luaL_error(L, "req.%s cannot be replaced; keep your own value under another name", key);
  push_slots(L, view);
  lua_rawgeti(L, -1, SLOT_FIELDS);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, SLOT_FIELDS);
    view->has_fields = true;
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

/* --- methods ------------------------------------------------------------------- */

static int request_get_header(lua_State *L) {
  dl_request_view *view = dl_request_view_of(L);
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  dl_str value = dl_http_request_find(view->http, dl_str_from(name, len), view->arena);
  if (!value.ptr) return 0;
  lua_pushlstring(L, value.ptr, value.len);
  return 1;
}

static void add_function(lua_State *L, dl_request_view *view, int slot, uint32_t *count) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  push_slots(L, view);
  lua_rawgeti(L, -1, slot);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, slot);
  }
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (int)++*count);
  view->has_functions = true;
}

static int request_after_response(lua_State *L) {
  dl_request_view *view = dl_request_view_of(L);
  add_function(L, view, SLOT_AFTER, &view->after_count);
  return 0;
}

static int request_release(lua_State *L) {
  dl_request_view *view = dl_request_view_of(L);
  add_function(L, view, SLOT_RELEASE, &view->release_count);
  return 0;
}

static void push_function(lua_State *L, dl_request_view *view, int slot, uint32_t n) {
  push_slots(L, view);
  lua_rawgeti(L, -1, slot);
  lua_rawgeti(L, -1, (int)n + 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void dl_request_push_after(lua_State *L, dl_request_view *view, uint32_t n) { push_function(L, view, SLOT_AFTER, n); }
void dl_request_push_release(lua_State *L, dl_request_view *view, uint32_t n) { push_function(L, view, SLOT_RELEASE, n); }

int dl_request_keep_answer(lua_State *L) {
  dl_request_view *view = dl_request_view_of(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  push_slots(L, view);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, SLOT_KEEPER);
  view->pushed |= 1u << (SLOT_KEEPER - SLOT_SOURCES);
  view->keeps_answer = true;
  return 0;
}

void dl_request_push_keeper(lua_State *L, dl_request_view *view) {
  push_slots(L, view);
  lua_rawgeti(L, -1, SLOT_KEEPER);
  lua_remove(L, -2);
}

/* --- life ----------------------------------------------------------------------- */

void dl_request_push(lua_State *L, dl_request_view *view) {
  void **handle = lua_newuserdata(L, sizeof *handle);
  *handle = view;
  view->handle = handle;
  view->pushed = 0;
  view->has_fields = false;
  view->has_functions = false;
  view->after_count = view->release_count = 0;
  push_registered(L, &metatable_key);
  lua_setmetatable(L, -2);
  push_slots(L, view);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, SLOT_HANDLE);
  lua_pop(L, 1);
}

void dl_request_close(lua_State *L, dl_request_view *view) {
  if (!view->handle) return;
  *view->handle = NULL;
  view->handle = NULL;
  push_slots(L, view);
  /* Nearly always one slot or two were used: only those are emptied. */
  uint32_t used = view->pushed << SLOT_SOURCES | 1u << SLOT_HANDLE;
  if (view->has_functions) used |= 1u << SLOT_AFTER | 1u << SLOT_RELEASE;
  if (view->has_fields) used |= 1u << SLOT_FIELDS;
  for (int slot = SLOT_HANDLE; used >> slot; slot++) {
    if (!(used >> slot & 1)) continue;
    lua_pushnil(L);
    lua_rawseti(L, -2, slot);
  }
  lua_pop(L, 1);
}

/* --- results --------------------------------------------------------------------- */

static bool has_metatable(lua_State *L, int index, const char *key) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  push_registered(L, key);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

bool dl_request_is_response(lua_State *L, int index) { return has_metatable(L, index, &response_key); }
bool dl_request_is_abort(lua_State *L, int index) { return has_metatable(L, index, &abort_key); }
bool dl_request_is_replay(lua_State *L, int index) { return has_metatable(L, index, &replay_key); }

const dl_schema *dl_request_model_for(const dl_request_view *view, int status) { return status == view->status || status / 100 == 2 ? view->returns : NULL; }

void dl_request_describe_breach(lua_State *L, int index, const dl_validation *validation, dl_buffer *text) {
  bool nothing = lua_isnoneornil(L, index);
  dl_buffer_append_str(text, nothing ? DL_STR("the handler gave nothing, which breaks the route's response model: ")
                                     : DL_STR("the handler's value breaks the route's response model: "));
  dl_validation_summary(validation, text);
  if (nothing) dl_buffer_append_str(text, DL_STR("; is there a return?"));
}

static bool serialise(lua_State *L, dl_request_view *view, int index, const dl_schema *schema, dl_buffer *json) {
  const char *problem = NULL;
  if (!schema) {
    if (dl_json_from_lua(L, index, view->arena, json, &problem)) return true;
    lua_pushfstring(L, "the handler's value is not JSON: %s", problem);
    return false;
  }
  dl_validation validation = {.arena = view->arena, .L = L, .output = true, .source = "response",
                              .roles = view->principal.roles, .role_count = view->principal.role_count};
  if (dl_schema_serialise(schema, L, index, json, &validation)) return true;
  dl_buffer_clear(json);
  dl_request_describe_breach(L, index, &validation, json);
  lua_pushlstring(L, json->data, json->len);
  return false;
}

/* The value at index in a new response with its JSON, which replaces it. */
static int push_prepared(lua_State *L, dl_request_view *view, int index, const dl_schema *schema) {
  dl_buffer json = {0};
  bool ok = serialise(L, view, index, schema, &json);
  if (ok) lua_pushlstring(L, json.data, json.len);
  dl_buffer_free(&json);
  if (!ok) return lua_error(L);
  return 1;
}

/* A new table of the same fields, which an app's own are not changed through. */
static void push_copy(lua_State *L, int table) {
  lua_createtable(L, 0, 4);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
}

/* The JSON on top of the stack becomes a response: as the one at index, or of its own at 0. */
static void push_json_response(lua_State *L, int index) {
  int json = lua_gettop(L);
  if (index) push_copy(L, index);
  else lua_createtable(L, 0, 2);
  int response = lua_gettop(L);
  lua_pushvalue(L, json);
  lua_setfield(L, response, "body");
  lua_getfield(L, response, "headers");
  if (lua_istable(L, -1)) push_copy(L, lua_gettop(L));
  else lua_createtable(L, 0, 1);
  if (!dl_request_content_type(L, lua_gettop(L)).ptr) {
    lua_pushliteral(L, "application/json");
    lua_setfield(L, -2, "Content-Type");
  }
  lua_setfield(L, response, "headers");
  lua_settop(L, response);
  dl_request_mark_prepared(L, response);
  push_registered(L, &response_key);
  lua_setmetatable(L, response);
}

static int prepare_response(lua_State *L, dl_request_view *view) {
  dl_given given = {0};
  const char *problem = dl_request_read_response(L, 2, view, &given);
  dl_buffer_free(&given.fields);
  if (problem) return lua_pushstring(L, problem), lua_error(L);
  dl_request_push_field(L, 2, "body");
  if (lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TSTRING && !given.is_by_model)) return lua_settop(L, 2), 1;
  push_prepared(L, view, lua_gettop(L), given.model);
  push_json_response(L, 2);
  return 1;
}

/* prepare(req, result): the result with its JSON made and all of it checked, so that what
 * must finish before the response leaves (a commit) learns whether there is one.
 * Raises when the result breaks its model, or cannot be sent. */
static int core_prepare(lua_State *L) {
  dl_request_view *view = dl_request_view_of(L);
  lua_settop(L, 2);
  if (dl_request_is_response(L, 2)) return prepare_response(L, view);
  if (!dl_http_status_has_body(view->status) && !lua_isnil(L, 2)) return lua_pushstring(L, DL_REQUEST_NO_BODY), lua_error(L);
  bool is_text = lua_isnil(L, 2) || lua_type(L, 2) == LUA_TSTRING;
  if ((!view->returns && is_text) || !dl_http_status_has_body(view->status)) return 1;
  push_prepared(L, view, 2, view->returns);
  push_json_response(L, 0);
  return 1;
}

/* A metatable that Lua sets and C knows again by identity. */
static void add_type(lua_State *L, const char *field, const char *key) {
  lua_createtable(L, 0, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_setfield(L, -2, field);
}

void dl_bridge_request(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get_header", request_get_header},
      {"after_response", request_after_response},
      {"release", request_release},
      {"precondition", dl_request_precondition},
      {NULL, NULL},
  };
  add_type(L, "response_type", &response_key);
  add_type(L, "abort_type", &abort_key);
  add_type(L, "replay_type", &replay_key);
  static const luaL_Reg functions[] = {
      {"single", dl_request_single}, {"prepare", core_prepare}, {"field_fault", dl_request_field_fault}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&metatable_key);
  lua_createtable(L, 0, 4);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, request_index, 1);
  lua_setfield(L, -3, "__index");
  lua_pushcclosure(L, request_newindex, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushliteral(L, "demilune.request");
  lua_setfield(L, -2, "__metatable");
  lua_rawset(L, LUA_REGISTRYINDEX);
}
