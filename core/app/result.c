/* SPDX-License-Identifier: MIT */
/*
 * Step 13: what a handler gave, or raised, as a response. A value goes out by the
 * route's response model, which names all that may leave; whatever breaks it is a
 * 500 and a log line, never half an answer.
 */
#include "app/ask.h"
#include "app/exchange.h"
#include "app/failure_page.h"

#include <lauxlib.h>

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
  const dl_question *question = exchange->question;
  split_traceback(&message, &traceback);
  if (dl_log_begin(log, DL_LOG_ERROR, question ? DL_STR("a store failed") : DL_STR("a handler failed"))) {
    dl_request_log(&exchange->view, log);
    if (question) dl_log_field(log, "asked", dl_str_of(question->what));
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

/* --- versions that the client has (RFC 9110 13) --------------------------------------- */

/* What of a 200 the client is due. own: what the handler says of the version, in place of what its route does. */
static dl_http_due due_of(dl_exchange *exchange, int status, const dl_http_validators *own) {
  dl_http_validators validators = exchange->route->validators;
  if (own && own->etag.len) validators.etag = own->etag;
  if (own && own->last_modified.len) validators.last_modified = own->last_modified;
  if (status != 200 || !dl_http_validators_any(&validators)) return DL_HTTP_DUE_WHOLE;
  return dl_http_due_of(&exchange->request, &validators, exchange->worker->loop->clock.wall_ms / 1000, &exchange->arena);
}

/* A 304 has all fields that the 200 would have, but those that tell of its body (15.4.5). */
static void send_due(dl_exchange *exchange, dl_http_due due, dl_str fields) {
  if (due == DL_HTTP_DUE_REFUSAL) {
    dl_respond_other_version(exchange);
    return;
  }
  dl_buffer kept = {0};
  dl_http_header_lines_except(&kept, fields, DL_STR("Content-Encoding:\r\nContent-Language:\r\nContent-Range:\r\n"));
  dl_respond(exchange, 304, (dl_str){0}, dl_buffer_str(&kept), (dl_str){0});
  dl_buffer_free(&kept);
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
  dl_http_due due = due_of(exchange, route->status, NULL);
  if (due != DL_HTTP_DUE_WHOLE) {
    send_due(exchange, due, (dl_str){0});
    return;
  }
  if (!dl_http_status_has_body(route->status)) {
    if (!lua_isnoneornil(co, 1)) fail(exchange, "%s", DL_REQUEST_NO_BODY);
    else dl_respond_scratch_json(exchange);
    return;
  }
  if (!route->returns && lua_type(co, 1) == LUA_TSTRING) {
    dl_respond(exchange, route->status, DL_STR("text/plain; charset=utf-8"), (dl_str){0}, dl_lua_text(co, 1));
    return;
  }
  if (serialise(exchange, co, 1, route->returns)) dl_respond_scratch_json(exchange);
}

/* --- demilune.response ------------------------------------------------------------------ */

static void send_body(dl_exchange *exchange, lua_State *co, const dl_given *given) {
  dl_str fields = dl_buffer_str(&given->fields), type = given->content_type;
  if (lua_isnil(co, -1) || !dl_http_status_has_body(given->status)) {
    dl_respond(exchange, given->status, type, fields, (dl_str){0});
  } else if (lua_type(co, -1) == LUA_TSTRING && !given->is_by_model) {
    dl_respond(exchange, given->status, type.len ? type : DL_STR("text/plain; charset=utf-8"), fields, dl_lua_text(co, -1));
  } else if (serialise(exchange, co, lua_gettop(co), given->model)) {
    dl_respond(exchange, given->status, type.len ? type : DL_STR("application/json"), fields, dl_buffer_str(&exchange->worker->scratch));
  }
}

/* False when the response is a stream: its function is then on top. */
static bool send_response(dl_exchange *exchange, lua_State *co) {
  dl_given given = {0};
  const char *problem = dl_request_read_response(co, 1, &exchange->view, &given);
  dl_http_due due = problem ? DL_HTTP_DUE_WHOLE : due_of(exchange, given.status, &given.validators);
  exchange->sets_cookie = given.sets_cookie;
  if (problem) {
    fail(exchange, "%s", problem);
  } else if (due != DL_HTTP_DUE_WHOLE) {
    send_due(exchange, due, dl_buffer_str(&given.fields));
    given.is_stream = false;
  } else if (given.is_stream) {
    dl_http_header_line(&given.fields, DL_STR("Content-Type"), given.content_type.len ? given.content_type : DL_STR("application/octet-stream"));
    dl_respond_stream_begin(exchange, given.status, dl_buffer_str(&given.fields));
    dl_request_push_field(co, 1, "stream");
  } else {
    dl_request_push_field(co, 1, "body");
    send_body(exchange, co, &given);
  }
  dl_buffer_free(&given.fields);
  return problem || !given.is_stream;
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

static void send_abort(dl_exchange *exchange, lua_State *L) {
  dl_given given = {0};
  int error = lua_gettop(L);
  int status = dl_request_field_status(L, error, 500);
  dl_request_push_field(L, error, "headers");
  const char *problem =
      status < 0 ? "demilune.abort takes a status from 200 to 599" : dl_request_read_fields(L, lua_gettop(L), &exchange->arena, &given);
  exchange->sets_cookie = given.sets_cookie;
  dl_request_push_field(L, error, "detail");
  dl_buffer *scratch = &exchange->worker->scratch;
  dl_buffer_clear(scratch);
  DL_BUFFER_LITERAL(scratch, "{\"detail\":");
  if (!problem && lua_isnil(L, -1)) dl_buffer_append_json_string(scratch, dl_http_reason(status));
  else if (!problem) dl_json_from_lua(L, lua_gettop(L), &exchange->arena, scratch, &problem);
  DL_BUFFER_LITERAL(scratch, "}");
  /* A 304 refuses nothing, and says of what a cache has what the 200 would (RFC 9110 15.4.5). */
  if (problem) fail(exchange, "%s", problem);
  else
    (status == 304 ? dl_respond : dl_respond_refusal)(exchange, status, DL_STR("application/json"), dl_buffer_str(&given.fields), dl_buffer_str(scratch));
  dl_buffer_free(&given.fields);
}

/* An answer that was kept, again. Its bytes lie in the error's table. */
static void send_replay(dl_exchange *exchange, lua_State *L) {
  int kept = lua_gettop(L);
  exchange->answer.status = dl_request_field_status(L, kept, 0);
  dl_request_push_field(L, kept, "fields");
  dl_request_push_field(L, kept, "body");
  exchange->answer.fields = dl_lua_text(L, -2);
  exchange->answer.body = dl_lua_text(L, -1);
  dl_respond_answer(exchange, true);
}

static void send_raised(dl_exchange *exchange, lua_State *L, lua_State *co) {
  dl_bridge_take_error(L, L);
  dl_str message = dl_lua_text(L, -1);
  luaL_traceback(L, co, NULL, 0);
  dl_result_send_failure(exchange, message, dl_lua_text(L, -1));
}

/* The error is looked at where there is room: what raised it deep down may have left none on its own stack. */
void dl_result_send_error(dl_exchange *exchange, lua_State *co) {
  lua_State *L = dl_lua_state(exchange->generation->lua);
  int top = lua_gettop(L);
  lua_xmove(co, L, 1);
  if (dl_request_is_abort(L, top + 1)) send_abort(exchange, L);
  else if (dl_request_is_replay(L, top + 1)) send_replay(exchange, L);
  else send_raised(exchange, L, co);
  lua_settop(L, top);
}
