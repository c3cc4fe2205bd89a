/* SPDX-License-Identifier: MIT */
/*
 * The request as handlers see it: a small userdata whose fields are pushed when
 * they are first asked for. It outlives the request safely: once the request is
 * over every use of it says so.
 */
#ifndef DL_BRIDGE_REQUEST_H
#define DL_BRIDGE_REQUEST_H

#include "base/log.h"
#include "guard/principal.h"
#include "http/conditional.h"
#include "http/request.h"
#include "http/trace.h"
#include "model/schema.h"

#include <lua.h>

typedef enum dl_source { DL_SOURCE_PATH, DL_SOURCE_QUERY, DL_SOURCE_HEADER, DL_SOURCE_COOKIE, DL_SOURCE_FORM, DL_SOURCE_BODY, DL_SOURCE_COUNT } dl_source;

/* What the userdata reads. Filled by the pipeline; valid until dl_request_close. */
typedef struct dl_request_view {
  const dl_http_request *http;
  dl_arena *arena;
  dl_str client; /* its address, as trusted proxies say, else the connection's */
  uint64_t share; /* what stands for the client where things are scarce (base/fair_queue.h) */
  dl_str scheme; /* "http" or "https", likewise */
  dl_str host;   /* what the client asked for, as a trusted proxy says; empty: the Host field */
  dl_str id;     /* request id */
  dl_str route;  /* the route's path as declared */
  dl_str source; /* and where: "app.lua:40" */
  const dl_schema *schemas[DL_SOURCE_COUNT]; /* NULL: not declared */
  dl_value values[DL_SOURCE_COUNT];          /* validated, when declared */
  dl_str access_fields;      /* what origins and limits add to the response's head */
  struct dl_limit_table *limit_table;
  dl_principal principal; /* who the guard found; zeroed behind guard.public */
  const dl_schema *returns; /* the response model, or NULL */
  int status;          /* of a plain return */
  dl_str body;         /* raw bytes, when the route declares no body model */
  bool raw_body;       /* whether req.body is those bytes */
  uint32_t pushed;     /* which sources lie in the slots already */
  bool foreign;        /* a page of another origin sent it, which cors does not let act as the user */
  bool has_fields;     /* the app set fields of its own */
  bool is_traced;      /* trace is filled: the first who asks does that */
  bool keeps_answer;   /* the handler's answer is kept, and sent only then: an idempotent route's */
  dl_str idempotency_key; /* of an idempotent route alone, as the next one; empty: none was sent */
  uint64_t attempt_us;    /* after which its handler has surely ended and its answer is kept, or never will be */
  dl_trace trace;
  dl_random *random;   /* for the ids of a trace that begins here */
  int slots_reference; /* the Lua table that keeps what was pushed; LUA_NOREF at first */
  uint32_t after_count, release_count; /* of the functions that are to run; each of release is taken off */
  bool has_functions;  /* there were some */
  void **handle;       /* the userdata's pointer back to this view */
} dl_request_view;

/* The view of the request userdata at index 1; raises a Lua error when it is over. */
dl_request_view *dl_request_view_of(lua_State *L);

/* What the client asked for: as a trusted proxy says, else the Host field. */
dl_str dl_request_host(const dl_request_view *view);

/* Adds header lines to those of the response. They must live as long as the view's arena. */
void dl_request_add_access_fields(dl_request_view *view, dl_str fields);

/* Pushes a new request userdata for the view onto L. */
void dl_request_push(lua_State *L, dl_request_view *view);

/* Ends the userdata: it answers every later use with an error. Forgets what was
 * pushed. Call once the response's last byte is out and all functions have run. */
void dl_request_close(lua_State *L, dl_request_view *view);

/* The trace the request belongs to, begun here when it brought none. */
const dl_trace *dl_request_trace(dl_request_view *view);

/* Fields of a log line that belongs to the request: request_id, and for machines
 * trace_id and span_id. */
void dl_request_log(dl_request_view *view, dl_log *log);

/* Pushes the n-th function (from 0) given to req:release or req:after_response. */
void dl_request_push_release(lua_State *L, dl_request_view *view, uint32_t n);
void dl_request_push_after(lua_State *L, dl_request_view *view, uint32_t n);

/* The model of a response with that status, or NULL: a success is what the route's
 * model describes, by whatever number it goes out; what a failure says is the
 * handler's own. */
const dl_schema *dl_request_model_for(const dl_request_view *view, int status);

/* Appends what there is to say of the value at index that breaks the route's model. */
void dl_request_describe_breach(lua_State *L, int index, const dl_validation *validation, dl_buffer *text);

/* keep_answer(request, fn), for Lua: the handler's answer, whatever it will be, is sent
 * only when fn(status, fields, body) has returned: fields are header lines. */
int dl_request_keep_answer(lua_State *L);
void dl_request_push_keeper(lua_State *L, dl_request_view *view);

/* What is wrong with the values that a handler gave, the first of which stands at an index, or NULL: one goes out, and those behind it are lost. */
const char *dl_request_slip_of(lua_State *L, int first);
/* single(value, ...): the value alone. Raises where what stands behind it was meant for something. */
int dl_request_single(lua_State *L);
/* field_fault(name, value) → what is wrong with an ETag or a Last-Modified that is declared; nil where nothing is. */
int dl_request_field_fault(lua_State *L);
/* The Content-Type in a table of headers; an empty string without bytes where there is none. It is Lua's. */
dl_str dl_request_content_type(lua_State *L, int headers);
/* Whether a text is a value of the model, or goes out as it is: where there is none, or by a Content-Type that is no JSON. */
bool dl_request_is_by_model(const dl_schema *model, dl_str content_type, dl_arena *arena);
/* What a demilune.response says, read for sending it. */
typedef struct dl_given {
  int status;
  dl_str content_type; /* empty: it says none */
  dl_buffer fields;    /* header lines but that one; the caller frees them */
  dl_http_validators validators; /* among these; they are Lua's, as long as the response is */
  const dl_schema *model;
  bool is_by_model;
  bool is_stream;
  bool sets_cookie;
} dl_given;

/* Reads the response at an index into what was zeroed. NULL, or why it cannot be sent. */
const char *dl_request_read_response(lua_State *L, int response, dl_request_view *view, dl_given *given);
/* Adds what a table of headers says, or nil. NULL, or what is wrong with it. */
const char *dl_request_read_fields(lua_State *L, int headers, dl_arena *arena, dl_given *given);
/* Pushes a field of the table of a response or an abort; its status, or -1 where that is none. */
void dl_request_push_field(lua_State *L, int table, const char *name);
int dl_request_field_status(lua_State *L, int table, int otherwise);
extern const char DL_REQUEST_NO_BODY[];
/* Of a response whose JSON has been made and checked already. */
void dl_request_mark_prepared(lua_State *L, int response);
bool dl_request_is_prepared(lua_State *L, int response);
/* demilune.abort(status, detail), with the detail on top of the stack. */
int dl_request_abort(lua_State *L, int status);
/* req:precondition(etag), for handlers: raises a 412 where the client takes another version for the current one. */
int dl_request_precondition(lua_State *L);
/* What kind of object a handler gave or raised. */
bool dl_request_is_response(lua_State *L, int index);
bool dl_request_is_abort(lua_State *L, int index);
bool dl_request_is_replay(lua_State *L, int index);

#endif
