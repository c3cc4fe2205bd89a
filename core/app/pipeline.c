/* SPDX-License-Identifier: MIT */
/*
 * The life of a request, in the one order there is. dl_pipeline_admit walks the
 * steps that need the head alone, so that a request that is refused never has its
 * body read; dl_pipeline_serve the ones that need the body.
 */
#include "app/access.h"
#include "app/client.h"
#include "app/idempotency.h"
#include "app/redirect.h"
#include "http/text.h"

enum { PAIRS_MAX = 256 };

/* --- before the body --------------------------------------------------------------- */

static dl_admission refuse_stranger(dl_exchange *exchange) {
  dl_respond_error(exchange, 400, DL_STR("dev answers to localhost and to addresses; name other hosts in allowed_hosts of demilune.app"), (dl_str){0});
  return DL_REFUSED;
}

/* A Host that is not ours is a name for someone else's site (or a rebinding
 * attack): nothing of this app may answer under it. */
static dl_admission step_host(dl_exchange *exchange) {
  dl_str host = exchange->view.host.len ? exchange->view.host : dl_http_request_header(&exchange->request, DL_HEADER_HOST);
  bool local = exchange->worker->local;
  if (local && dl_plan_is_local_host(host)) return DL_ADMITTED;
  if (local && exchange->plan->allowed_host_count == 0) return refuse_stranger(exchange);
  if (dl_plan_allows_host(exchange->plan, host)) return DL_ADMITTED;
  dl_respond_error(exchange, 400, DL_STR("Host is not one this server answers to"), (dl_str){0});
  return DL_REFUSED;
}

/* That there is no such path, or no such method, is so for everybody: a cache may keep it. */
static void answer_allow(dl_exchange *exchange, int status) {
  dl_buffer fields = {0};
  dl_http_header_line(&fields, DL_STR("Allow"), exchange->match.allow);
  dl_respond(exchange, status, DL_STR("application/json"), dl_buffer_str(&fields), DL_STR("{\"detail\":\"Method Not Allowed\"}"));
  dl_buffer_free(&fields);
}

static void answer_not_found(dl_exchange *exchange) {
  dl_respond(exchange, 404, DL_STR("application/json"), (dl_str){0}, DL_STR("{\"detail\":\"Not Found\"}"));
}

static dl_admission step_route(dl_exchange *exchange) {
  switch (dl_router_find(exchange->plan->router, exchange->request.method, exchange->request.path, &exchange->match)) {
    case DL_ROUTE_FOUND:
      exchange->route = exchange->match.route;
      exchange->view.route = exchange->route->path;
      exchange->view.source = exchange->route->source;
      exchange->view.returns = exchange->route->returns;
      exchange->view.status = exchange->route->status;
      return DL_ADMITTED;
    case DL_ROUTE_METHOD: answer_allow(exchange, 405); return DL_REFUSED;
    case DL_ROUTE_OPTIONS: answer_allow(exchange, 204); return DL_REFUSED;
    default: answer_not_found(exchange); return DL_REFUSED;
  }
}

/* Known before a byte of the body is read; a chunked one is counted as it comes. */
static dl_admission step_size(dl_exchange *exchange) {
  if (exchange->request.content_length <= exchange->route->max_body_bytes) return DL_ADMITTED;
  dl_respond_error(exchange, 413, DL_STR("The body is too large"), (dl_str){0});
  return DL_REFUSED;
}

/* Compressed bodies are refused: what they unpack to cannot be bounded cheaply. */
static dl_admission step_encoding(dl_exchange *exchange) {
  dl_str encoding = dl_http_request_find(&exchange->request, DL_STR("content-encoding"), &exchange->arena);
  if (encoding.len == 0 || dl_str_equal_nocase(encoding, DL_STR("identity"))) return DL_ADMITTED;
  dl_respond_error(exchange, 415, DL_STR("Content-Encoding is not supported; send the body as it is"), DL_STR("Accept-Encoding: identity\r\n"));
  return DL_REFUSED;
}

dl_admission dl_pipeline_admit(dl_exchange *exchange) {
  static dl_admission (*const steps[])(dl_exchange *exchange) = {
      dl_step_client,          /* first: all that counts or logs asks who it is */
      dl_step_secure,          /* nothing is served on the port that only sends to https */
      step_host,               /* before anything about this app is told */
      dl_step_cors,            /* before routing: a preflight asks for no route */
      step_route,              /* what is asked for decides every later step */
      dl_step_limit_client,    /* before the guard: guessing credentials is what it slows down */
      dl_step_guard,           /* who asks: before the body, so that strangers cost nothing */
      dl_step_session,         /* ended ones are nobody's: before they could use up what is the user's */
      dl_step_origin,          /* whose page asks: before it could use up what is the user's */
      dl_step_limit_principal, /* before roles: trying doors is counted too */
      dl_step_limit_api_key,
      dl_step_role,
      step_size,
      step_encoding,
  };
  for (; exchange->step < sizeof steps / sizeof *steps; exchange->step++) {
    dl_admission admission = steps[exchange->step](exchange);
    if (admission != DL_ADMITTED) return admission;
  }
  return DL_ADMITTED;
}

/* --- validation ---------------------------------------------------------------------- */

static void fail_source(dl_exchange *exchange, const char *source, const char *type, dl_str message) {
  exchange->validation.source = source;
  dl_validation_fail(&exchange->validation, type, message, NULL);
}

static void validate_pairs(dl_exchange *exchange, dl_source source, const char *name, const char *problem, const dl_pair *pairs, uint32_t count) {
  const dl_schema *schema = exchange->route->schemas[source];
  if (problem) {
    fail_source(exchange, name, "string_unicode", dl_str_of(problem));
    return;
  }
  dl_value *value = &exchange->view.values[source];
  *value = dl_schema_collect(schema, pairs, count, source == DL_SOURCE_HEADER, &exchange->arena);
  exchange->validation.source = name;
  exchange->validation.mode = DL_MODE_TEXT;
  dl_schema_validate(schema, value, &exchange->validation);
}

static void validate_path(dl_exchange *exchange) {
  dl_pair pairs[DL_ROUTER_MAX_PARAMETERS];
  for (uint32_t i = 0; i < exchange->match.parameter_count; i++) pairs[i] = (dl_pair){exchange->route->parameter_names[i], exchange->match.parameters[i]};
  validate_pairs(exchange, DL_SOURCE_PATH, "path", NULL, pairs, exchange->match.parameter_count);
}

static void validate_query(dl_exchange *exchange) {
  dl_pair *pairs = NULL;
  uint32_t count = 0;
  const char *problem = dl_http_query(exchange->request.query, PAIRS_MAX, &exchange->arena, &pairs, &count);
  validate_pairs(exchange, DL_SOURCE_QUERY, "query", problem, pairs, count);
}

static void validate_header(dl_exchange *exchange) {
  uint32_t count = exchange->request.header_count;
  dl_pair *pairs = dl_arena_alloc(&exchange->arena, count * sizeof *pairs + 1);
  for (uint32_t i = 0; i < count; i++) pairs[i] = (dl_pair){exchange->request.headers[i].name, exchange->request.headers[i].value};
  validate_pairs(exchange, DL_SOURCE_HEADER, "header", NULL, pairs, count);
}

static void validate_cookie(dl_exchange *exchange) {
  dl_pair *pairs = NULL;
  uint32_t count = 0;
  dl_str field = dl_http_request_find(&exchange->request, DL_STR("cookie"), &exchange->arena);
  const char *problem = dl_http_cookies(field, PAIRS_MAX, &exchange->arena, &pairs, &count);
  validate_pairs(exchange, DL_SOURCE_COOKIE, "cookie", problem, pairs, count);
}

static void validate_form(dl_exchange *exchange) {
  dl_pair *pairs = NULL;
  uint32_t count = 0;
  const char *problem = dl_http_query(exchange->body_bytes, PAIRS_MAX, &exchange->arena, &pairs, &count);
  validate_pairs(exchange, DL_SOURCE_FORM, "body", problem, pairs, count);
}

static void validate_json(dl_exchange *exchange) {
  const dl_schema *schema = exchange->route->schemas[DL_SOURCE_BODY];
  dl_value *value = &exchange->view.values[DL_SOURCE_BODY];
  dl_json_limits limits = {.max_depth = exchange->plan->limits.max_depth};
  dl_json_error error;
  *value = (dl_value){0};
  if (exchange->body_bytes.len == 0) {
    if (!exchange->route->body_optional) fail_source(exchange, "body", "missing", DL_STR("is required"));
    return;
  }
  if (!dl_json_read(&exchange->arena, exchange->body_bytes, &limits, value, &error)) {
    dl_member *context = dl_arena_alloc(&exchange->arena, sizeof *context);
    *context = (dl_member){dl_value_string(DL_STR("error")), dl_value_string(dl_str_of(error.message))};
    dl_value object = {.kind = DL_VALUE_OBJECT, .len = 1, .members = context};
    exchange->validation.source = "body";
    exchange->validation.starved = error.starved;
    dl_str message = dl_str_of(dl_arena_format(&exchange->arena, "is not valid JSON at byte %zu: %s", error.offset, error.message));
    dl_validation_fail(&exchange->validation, "json_invalid", message, &object);
    return;
  }
  exchange->validation.source = "body";
  exchange->validation.mode = DL_MODE_STRICT;
  dl_schema_validate(schema, value, &exchange->validation);
}

static void validate_text(dl_exchange *exchange) {
  dl_value *value = &exchange->view.values[DL_SOURCE_BODY];
  *value = exchange->route->body_kind == DL_BODY_BYTES
             ? (dl_value){.kind = DL_VALUE_BYTES, .len = (uint32_t)exchange->body_bytes.len, .string = exchange->body_bytes.ptr}
             : dl_schema_text(exchange->body_bytes);
  exchange->validation.source = "body";
  exchange->validation.mode = DL_MODE_TEXT;
  dl_schema_validate(exchange->route->schemas[DL_SOURCE_BODY], value, &exchange->validation);
}

/* --- media types ----------------------------------------------------------------------- */

static bool matches_kind(dl_body_kind kind, dl_str type, dl_str charset) {
  bool utf8 = charset.len == 0 || dl_str_equal_nocase(charset, DL_STR("utf-8")) || dl_str_equal_nocase(charset, DL_STR("us-ascii"));
  switch (kind) {
    case DL_BODY_JSON: return utf8 && dl_http_is_json(type);
    case DL_BODY_FORM: return utf8 && dl_str_equal(type, DL_STR("application/x-www-form-urlencoded"));
    case DL_BODY_TEXT: return utf8 && dl_str_starts(type, DL_STR("text/"));
    default: return true;
  }
}

static dl_str wanted_type(dl_body_kind kind) {
  switch (kind) {
    case DL_BODY_FORM: return DL_STR("Content-Type must be application/x-www-form-urlencoded; multipart forms are not read");
    case DL_BODY_TEXT: return DL_STR("Content-Type must be text/plain, or another text type, in UTF-8");
    default: return DL_STR("Content-Type must be application/json");
  }
}

/* A JSON body under another name is refused: a browser may send text/plain across
 * origins without asking, and a form could then pass for JSON. */
static bool step_media_type(dl_exchange *exchange) {
  dl_str field = dl_http_request_header(&exchange->request, DL_HEADER_CONTENT_TYPE);
  dl_str type = {0}, charset = {0};
  dl_body_kind kind = exchange->route->body_kind;
  if (kind == DL_BODY_NONE || kind == DL_BODY_BYTES || exchange->body_bytes.len == 0) return true;
  if (field.ptr && dl_http_media_type(field, &exchange->arena, &type, &charset) && matches_kind(kind, type, charset)) return true;
  dl_respond_error(exchange, 415, wanted_type(kind), (dl_str){0});
  return false;
}

/* As a body for whose bytes there was none. */
static void refuse_starved(dl_exchange *exchange) {
  dl_log *log = &exchange->worker->loop->log;
  if (dl_log_begin(log, DL_LOG_WARNING, DL_STR("there was no memory for a request's body; it was answered 503"))) {
    dl_request_log(&exchange->view, log);
    dl_log_field_int(log, "body_bytes", (int64_t)exchange->body_bytes.len);
    dl_log_end(log);
  }
  dl_respond_error(exchange, 503, DL_STR("The server has no memory for this body at the moment"), (dl_str){0});
}

/* All sources, all errors: a client mends a request once, not once per field. */
static bool step_validate(dl_exchange *exchange) {
  const dl_route *route = exchange->route;
  dl_validation *validation = &exchange->validation;
  for (int source = 0; source < DL_SOURCE_COUNT; source++) exchange->view.schemas[source] = route->schemas[source];
  exchange->view.body = exchange->body_bytes;
  exchange->view.raw_body = !route->schemas[DL_SOURCE_BODY] && route->body_kind != DL_BODY_FORM;
  *validation = (dl_validation){.arena = &exchange->arena,
                                .L = dl_lua_state(exchange->generation->lua),
                                .log = &exchange->worker->loop->log,
                                .echo_input = exchange->worker->development};
  if (!route->validates) return true;
  if (route->schemas[DL_SOURCE_PATH]) validate_path(exchange);
  if (route->schemas[DL_SOURCE_QUERY]) validate_query(exchange);
  if (route->schemas[DL_SOURCE_HEADER]) validate_header(exchange);
  if (route->schemas[DL_SOURCE_COOKIE]) validate_cookie(exchange);
  if (route->schemas[DL_SOURCE_FORM]) validate_form(exchange);
  if (route->schemas[DL_SOURCE_BODY]) (route->body_kind == DL_BODY_JSON ? validate_json : validate_text)(exchange);
  if (validation->error_count == 0) return true;
  if (validation->starved && validation->fault) dl_lua_collect(exchange->generation->lua);
  else if (validation->starved) {
    refuse_starved(exchange);
    return false;
  }
  if (validation->fault) { /* a check or a default of the app's broke: no mistake of the client's */
    dl_result_send_failure(exchange, dl_str_of(validation->fault), (dl_str){0});
    return false;
  }
  dl_buffer *scratch = &exchange->worker->scratch;
  dl_buffer_clear(scratch);
  dl_validation_write(validation, scratch);
  dl_respond_refusal(exchange, 422, DL_STR("application/json"), (dl_str){0}, dl_buffer_str(scratch));
  return false;
}

/* Of a file of ours nothing more is asked, of an idempotent route one thing more. */
static bool step_special(dl_exchange *exchange) {
  if (!exchange->route->special) return true;
  if (!exchange->route->file) return dl_step_idempotency(exchange);
  dl_respond_file(exchange, exchange->route->file);
  return false;
}

/* Checks of models are Lua too, and may never come back. */
static void watch(dl_exchange *exchange) {
  dl_loop *loop = exchange->worker->loop;
  dl_beat_enter(loop->beat, loop->clock.monotonic_us, exchange->route->label, exchange->route->timeout_us + DL_STUCK_GRACE_US);
}

void dl_pipeline_serve(dl_exchange *exchange) {
  watch(exchange);
  if (step_special(exchange) && step_media_type(exchange) && step_validate(exchange)) dl_queue_enter(exchange); /* and then dl_handle */
  else dl_connection_finished(exchange->connection);
}
