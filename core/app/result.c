/* SPDX-License-Identifier: MIT */
/*
 * Step 13: what a handler gave, or raised, as a response. A value goes out by the
 * route's response model, which names all that may leave; whatever breaks it is a
 * 500 and a log line, never half an answer.
 */
#include "app/exchange.h"
#include "app/failure_page.h"

#include <lauxlib.h>

static dl_str text_at(lua_State *co, int index) {
  size_t len;
  const char *text = lua_tolstring(co, index, &len);
  return dl_str_from(text, len);
}

/* --- failures ------------------------------------------------------------------------ */

/* An error that was caught and raised again brings a traceback of its own. */
static void split_traceback(dl_str *message, dl_str *traceback) {
  static const char heading[] = "\nstack traceback:\n";
  const char *own = memmem(message->ptr, message->len, heading, sizeof heading - 1);
  if (!own) return;
  *traceback = dl_str_skip(*message, (size_t)(own + 1 - message->ptr));
  message->len = (size_t)(own - message->ptr);
}

void dl_result_send_failure(dl_exchange *exchange, dl_str message, dl_str traceback) {
  dl_log *log = &exchange->worker->loop->log;
  dl_buffer *scratch = &exchange->worker->scratch;
  split_traceback(&message, &traceback);
  if (dl_log_begin(log, DL_LOG_ERROR, DL_STR("a handler failed"))) {
    dl_request_log(&exchange->view, log);
    dl_log_field(log, "route", exchange->view.route);
    dl_log_field(log, "source", exchange->route->source); /* a tail call leaves no trace of the handler */
    dl_log_field(log, "error", message);
    if (traceback.len) dl_log_field(log, "traceback", traceback);
    dl_log_end(log);
  }
  exchange->succeeded = false;
  dl_buffer_clear(scratch);
  if (exchange->worker->development) {
    dl_failure_page(exchange, message, traceback);
    return;
  }
  DL_BUFFER_LITERAL(scratch, "{\"detail\":\"Internal server error\",\"request_id\":");
  dl_buffer_append_json_string(scratch, exchange->view.id);
  DL_BUFFER_LITERAL(scratch, "}");
  dl_respond_refusal(exchange, 500, DL_STR("application/json"), (dl_str){0}, dl_buffer_str(scratch));
}

static void fail(dl_exchange *exchange, const char *format, const char *what) {
  char *message = dl_arena_format(&exchange->arena, format, what);
  dl_result_send_failure(exchange, dl_str_of(message), (dl_str){0});
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

static const char *add_field(dl_exchange *exchange, lua_State *co, dl_buffer *fields, dl_str *content_type, dl_str name) {
  if (lua_type(co, -1) != LUA_TSTRING && lua_type(co, -1) != LUA_TNUMBER) return "a header's value must be a string or a list of strings";
  dl_str value = text_at(co, -1);
  if (is_ours(name)) return "Content-Length, Transfer-Encoding, Connection, Date and Trailer are written by the server; leave them out";
  if (is_for_origins(name)) return "Access-Control- fields are written by the server, for the origins that cors names; leave them out";
  if (dl_str_equal_nocase(name, DL_STR("content-type"))) {
    *content_type = dl_arena_copy(&exchange->arena, value);
    dl_buffer probe = {0};
    bool ok = dl_http_header_line(&probe, name, value);
    dl_buffer_free(&probe);
    return ok ? NULL : "the Content-Type holds a character that a header cannot";
  }
  if (dl_http_header_line(fields, name, value)) return NULL;
  return dl_arena_format(&exchange->arena, "the header \"%.*s\" holds a character that a header cannot, in its name or its value (a line break, perhaps)",
                         (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), name.ptr);
}

/* The headers table of a response or an abort, at the top of the stack. */
static const char *add_fields(dl_exchange *exchange, lua_State *co, dl_buffer *fields, dl_str *content_type) {
  const char *problem = NULL;
  if (lua_isnil(co, -1)) return NULL;
  if (!lua_istable(co, -1)) return "headers must be a table of names and values";
  int table = lua_gettop(co);
  lua_pushnil(co);
  while (!problem && lua_next(co, table)) {
    if (lua_type(co, -2) != LUA_TSTRING) {
      problem = "a header's name must be a string";
    } else if (lua_istable(co, -1)) {
      for (int i = 1; !problem && i <= (int)lua_objlen(co, -1); i++) {
        lua_rawgeti(co, -1, i);
        problem = add_field(exchange, co, fields, content_type, text_at(co, -3));
        lua_pop(co, 1);
      }
    } else {
      problem = add_field(exchange, co, fields, content_type, text_at(co, -2));
    }
    lua_pop(co, 1);
  }
  lua_settop(co, table);
  return problem;
}

/* --- values ------------------------------------------------------------------------------ */

/* The value at index into scratch: by the response model, or as it is. */
static bool serialise(dl_exchange *exchange, lua_State *co, int index, const dl_schema *schema) {
  dl_buffer *scratch = &exchange->worker->scratch;
  dl_buffer_clear(scratch);
  if (!schema) {
    const char *problem = NULL;
    if (dl_json_from_lua(co, index, &exchange->arena, scratch, &problem)) return true;
    fail(exchange, "the handler's value is not JSON: %s", problem);
    return false;
  }
  const dl_principal *principal = &exchange->view.principal;
  dl_validation validation = {.arena = &exchange->arena, .L = co, .output = true, .source = "response",
                              .roles = principal->roles, .role_count = principal->role_count};
  if (dl_schema_serialise(schema, co, index, scratch, &validation)) return true;
  dl_buffer summary = {0};
  dl_request_describe_breach(co, index, &validation, &summary);
  dl_buffer_append_char(&summary, 0);
  fail(exchange, "%s", summary.data);
  dl_buffer_free(&summary);
  return false;
}

static void send_value(dl_exchange *exchange, lua_State *co) {
  const dl_route *route = exchange->route;
  dl_buffer_clear(&exchange->worker->scratch);
  if (!dl_http_status_has_body(route->status)) {
    if (!lua_isnoneornil(co, 1)) fail(exchange, "%s", "the route's status has no body, yet the handler returned a value; return nothing, or declare another status");
    else dl_respond_scratch_json(exchange);
    return;
  }
  if (!route->returns && lua_type(co, 1) == LUA_TSTRING) {
    dl_respond(exchange, route->status, DL_STR("text/plain; charset=utf-8"), (dl_str){0}, text_at(co, 1));
    return;
  }
  if (serialise(exchange, co, 1, route->returns)) dl_respond_scratch_json(exchange);
}

/* --- demilune.response ------------------------------------------------------------------ */

/* Raw: nobody is there to catch what a metamethod of the app's would raise. */
static void push_field(lua_State *co, int table, const char *name) {
  lua_pushstring(co, name);
  lua_rawget(co, table);
}

static int field_status(lua_State *co, int table, int otherwise) {
  push_field(co, table, "status");
  double status = lua_isnil(co, -1) ? otherwise : lua_type(co, -1) == LUA_TNUMBER ? lua_tonumber(co, -1) : 0;
  lua_pop(co, 1);
  return status >= 200 && status <= 599 ? (int)status : -1;
}

/* False when the response is a stream: its function is then on top. */
static bool send_response(dl_exchange *exchange, lua_State *co) {
  dl_buffer fields = {0};
  dl_str content_type = {0};
  bool whole = true;
  const dl_route *route = exchange->route;
  int status = field_status(co, 1, route->status);
  const dl_schema *model = dl_request_is_prepared(co, 1) ? NULL : dl_request_model_for(&exchange->view, status);
  push_field(co, 1, "headers");
  const char *problem = status < 0 ? "the status of a response must be a number from 200 to 599" : add_fields(exchange, co, &fields, &content_type);
  push_field(co, 1, "stream");
  push_field(co, 1, "body");
  if (!problem && lua_isfunction(co, -2) && exchange->view.keeps_answer)
    problem = "an idempotent route cannot answer with a stream, for its answer is kept before it is sent; return the whole body";
  if (!problem && lua_isfunction(co, -2) && !dl_http_status_has_body(status)) problem = "a stream needs a status that has a body, unlike 204, 205 and 304";
  bool by_model = dl_request_is_by_model(model, content_type, &exchange->arena);
  if (!problem && lua_isfunction(co, -2) && by_model && content_type.len)
    problem = "a stream of JSON goes out past the route's returns, which is to say what may be seen; return the value, or leave returns out";
  if (problem) {
    fail(exchange, "%s", problem);
  } else if (lua_isfunction(co, -2)) {
    lua_pop(co, 1);
    dl_http_header_line(&fields, DL_STR("Content-Type"), content_type.len ? content_type : DL_STR("application/octet-stream"));
    dl_respond_stream_begin(exchange, status, dl_buffer_str(&fields));
    whole = false;
  } else if (lua_isnil(co, -1) || !dl_http_status_has_body(status)) {
    dl_respond(exchange, status, content_type, dl_buffer_str(&fields), (dl_str){0});
  } else if (lua_type(co, -1) == LUA_TSTRING && !by_model) {
    dl_respond(exchange, status, content_type.len ? content_type : DL_STR("text/plain; charset=utf-8"), dl_buffer_str(&fields), text_at(co, -1));
  } else if (serialise(exchange, co, lua_gettop(co), model)) {
    dl_respond(exchange, status, content_type.len ? content_type : DL_STR("application/json"), dl_buffer_str(&fields), dl_buffer_str(&exchange->worker->scratch));
  }
  dl_buffer_free(&fields);
  return whole;
}

bool dl_result_send(dl_exchange *exchange, lua_State *co) {
  const char *slip = dl_request_slip_of(co, 1);
  lua_settop(co, 1);
  if (slip) return fail(exchange, "%s", slip), true;
  if (dl_request_is_response(co, 1)) return send_response(exchange, co);
  send_value(exchange, co);
  return true;
}

/* --- errors ------------------------------------------------------------------------------- */

static void send_abort(dl_exchange *exchange, lua_State *co) {
  dl_buffer fields = {0};
  dl_str content_type = {0};
  int error = lua_gettop(co);
  int status = field_status(co, error, 500);
  push_field(co, error, "headers");
  const char *problem = status < 0 ? "demilune.abort takes a status from 200 to 599" : add_fields(exchange, co, &fields, &content_type);
  push_field(co, error, "detail");
  dl_buffer *scratch = &exchange->worker->scratch;
  dl_buffer_clear(scratch);
  DL_BUFFER_LITERAL(scratch, "{\"detail\":");
  if (!problem && lua_isnil(co, -1)) dl_buffer_append_json_string(scratch, dl_http_reason(status));
  else if (!problem) dl_json_from_lua(co, lua_gettop(co), &exchange->arena, scratch, &problem);
  DL_BUFFER_LITERAL(scratch, "}");
  /* A 304 refuses nothing, and says of what a cache has what the 200 would (RFC 9110 15.4.5). */
  if (problem) fail(exchange, "%s", problem);
  else
    (status == 304 ? dl_respond : dl_respond_refusal)(exchange, status, DL_STR("application/json"), dl_buffer_str(&fields), dl_buffer_str(scratch));
  dl_buffer_free(&fields);
}

/* An answer that was kept, again. Its bytes lie in the error's table. */
static void send_replay(dl_exchange *exchange, lua_State *co) {
  int kept = lua_gettop(co);
  exchange->answer.status = field_status(co, kept, 0);
  push_field(co, kept, "fields");
  push_field(co, kept, "body");
  exchange->answer.fields = text_at(co, -2);
  exchange->answer.body = text_at(co, -1);
  dl_respond_answer(exchange, true);
}

void dl_result_send_error(dl_exchange *exchange, lua_State *co) {
  lua_State *L = dl_lua_state(exchange->generation->lua);
  int top = lua_gettop(L);
  if (dl_request_is_abort(co, lua_gettop(co))) {
    send_abort(exchange, co);
    return;
  }
  if (dl_request_is_replay(co, lua_gettop(co))) {
    send_replay(exchange, co);
    return;
  }
  dl_bridge_push_error(L, co);
  dl_str message = text_at(L, -1);
  luaL_traceback(L, co, NULL, 0);
  dl_result_send_failure(exchange, message, text_at(L, -1));
  lua_settop(L, top);
}
