/* SPDX-License-Identifier: MIT */
/*
 * core.database_open: a handle on a database of core/data. Parameters go from a
 * table into a call, rows come back as tables; what is wrong comes back as a
 * table for lua/demilune/database.lua to raise.
 */
#include "bridge/request.h"
#include "bridge/state.h"
#include "data/database.h"
#include "model/secret_lua.h"
#include "model/value_lua.h"

#include <lauxlib.h>
#include <sys/stat.h>

#define HANDLE "demilune.database"
#define TRANSACTION "demilune.transaction"

typedef struct handle {
  dl_database *database;
  dl_call *draft;   /* filled by prepare, sent by execute */
  dl_ticket event;  /* who waits for start or stop */
  dl_beat *opening; /* where it is counted among what opens; NULL where it is not */
} handle;

/* Transactions are made after their handle and die before it, by collection order. */
typedef struct transaction_box {
  dl_transaction *transaction;
} transaction_box;

static handle *check_handle(lua_State *L) { return luaL_checkudata(L, 1, HANDLE); }

static dl_str string_at(lua_State *L, int index) {
  dl_str s;
  s.ptr = lua_tolstring(L, index, &s.len);
  return s.ptr ? s : (dl_str){0};
}

/* The string in a field of the table at index; its bytes stay while the table does. */
static dl_str string_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  dl_str s = string_at(L, -1);
  lua_pop(L, 1);
  return s;
}

/* --- problems and rows to Lua -------------------------------------------------- */

static int push_problem(lua_State *L, const dl_problem *problem) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, dl_problem_name(problem->kind));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, problem->message);
  lua_setfield(L, -2, "message");
  if (problem->constraint.len) {
    lua_pushlstring(L, problem->constraint.ptr, problem->constraint.len);
    lua_setfield(L, -2, "constraint");
  }
  return 1;
}

/* A database NULL is an absent field; names holds the columns' names on the stack. */
static void push_row(lua_State *L, const dl_call *call, size_t row, int names) {
  lua_createtable(L, 0, (int)call->column_count);
  for (size_t i = 0; i < call->column_count; i++) {
    const dl_value *cell = &call->cells[row * call->column_count + i];
    if (cell->kind == DL_VALUE_NULL) continue;
    lua_pushvalue(L, names + (int)i);
    dl_value_push(L, cell);
    lua_rawset(L, -3);
  }
}

static int push_names(lua_State *L, const dl_call *call) {
  int names = lua_gettop(L) + 1;
  luaL_checkstack(L, (int)call->column_count + 8, "a row with too many columns");
  for (size_t i = 0; i < call->column_count; i++) lua_pushlstring(L, call->columns[i].ptr, call->columns[i].len);
  return names;
}

static void push_rows(lua_State *L, const dl_call *call) {
  if (!call->row_count) {
    dl_lua_push_empty_array(L);
    return;
  }
  int names = push_names(L, call);
  lua_createtable(L, (int)call->row_count, 0);
  for (size_t row = 0; row < call->row_count; row++) {
    push_row(L, call, row, names);
    lua_rawseti(L, -2, (int)row + 1);
  }
}

/* nil and the answer by shape, or the problem. */
static int push_answer(lua_State *L, void *data) {
  const dl_call *call = data;
  if (call->problem.kind != DL_PROBLEM_NONE) return push_problem(L, &call->problem);
  switch (call->shape) {
  case DL_SHAPE_RUN:
    lua_pushnil(L);
    lua_pushnumber(L, (double)call->changes);
    if (!call->last_id) return 2;
    dl_lua_push_integer(L, call->last_id, false);
    return 3;
  case DL_SHAPE_MANY: push_rows(L, call); break;
  case DL_SHAPE_ONE:
    if (call->row_count) push_row(L, call, 0, push_names(L, call));
    else lua_pushnil(L);
    break;
  case DL_SHAPE_VALUE:
    if (call->row_count && call->cells[0].kind != DL_VALUE_NULL) dl_value_push(L, &call->cells[0]);
    else lua_pushnil(L);
    break;
  }
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* --- waiting ------------------------------------------------------------------- */

static void on_answer(dl_call *call) {
  bool heard = dl_task_wake(*(dl_ticket *)call->owner, push_answer, call);
  /* Its task was cancelled; nobody would end the transaction it stood in. */
  if (!heard && call->transaction) dl_transaction_abandon(call->transaction);
}

static void give_up(void *call) { dl_call_give_up(call); }

/* Marks the running task as waiting for the call. May raise: the call is then
 * still the handle's draft. */
static void wait_for(lua_State *L, dl_call *call, void (*done)(dl_call *call)) {
  dl_ticket *ticket = dl_arena_alloc(&call->arena, sizeof(*ticket));
  *ticket = dl_task_wait(L, "a database");
  dl_task_on_cancel(*ticket, give_up, call);
  const dl_request_view *request = dl_task_request(L);
  call->share = request ? request->share : 0;
  call->owner = ticket;
  call->done = done;
}

static dl_call *new_draft(handle *self, const dl_statement *statement, dl_shape shape) {
  if (self->draft) dl_call_drop(self->draft);
  return self->draft = dl_call_new(self->database, statement, shape);
}

static void check_open(lua_State *L, const handle *self) {
  if (!dl_database_is_open(self->database))
    luaL_error(L,
               "the database is not open: it is opened when the app starts; run statements in app:on_start or in a handler");
}

/* What the app left running may ask on while the app ends, and is told so as by a database that is being stopped. Raises where the app is still loading. */
static bool has_closed(lua_State *L, const handle *self) {
  if (dl_database_has_closed(self->database)) return true;
  check_open(L, self);
  return false;
}

static int push_closed(lua_State *L, void *nothing) {
  (void)nothing;
  return push_problem(L, &(dl_problem){.kind = DL_PROBLEM_STOPPED, .message = "the database was closed: the app has stopped, or was loaded anew"});
}

/* --- parameters ----------------------------------------------------------------- */

static const char *not_a_value(dl_call *call, const dl_parameter *parameter, const char *what) {
  return dl_arena_format(&call->arena, "%.*s: the statement's parameter '%.*s' %s", DL_STR_ARGS(call->statement->source),
                         DL_STR_ARGS(parameter->name), what);
}

/* What is wrong with the table on top of the stack for a parameter, or NULL. */
static const char *fault_of_table(lua_State *L, const dl_parameter *parameter) {
  uint32_t length;
  if (!parameter->list) return "is a table: give a single value, or store the table as JSON text";
  return dl_lua_table_shape(L, -1, &length) == DL_LUA_HOLES ? "is a list with holes: leave out what is nil" : NULL;
}

/* Takes the value on top of the stack; gives what is wrong with it, or NULL. */
static const char *take_value(lua_State *L, dl_call *call, const dl_parameter *parameter, dl_value *out) {
  switch (lua_type(L, -1)) {
  case LUA_TNIL: return NULL;
  case LUA_TBOOLEAN: *out = dl_value_boolean(lua_toboolean(L, -1)); return NULL;
  case LUA_TSTRING: *out = dl_value_string(dl_arena_copy(&call->arena, string_at(L, -1))); return NULL;
  default: break;
  }
  /* What is stored can be read by whoever reads the file. */
  if (dl_secret_get(L, -1, NULL))
    return not_a_value(call, parameter, dl_arena_format(&call->arena, "is a secret: store a digest of it, as in %.*s = demilune.password.hash(...)",
                                                        DL_STR_ARGS(parameter->name)));
  const char *error = lua_istable(L, -1) ? fault_of_table(L, parameter) : NULL;
  if (error) return not_a_value(call, parameter, error);
  if (dl_value_from_lua(L, -1, &call->arena, out, &error)) return NULL;
  return not_a_value(call, parameter, dl_arena_format(&call->arena, "cannot be stored: %s", error));
}

static const char *unknown_name(lua_State *L, dl_call *call, int params) {
  const dl_statement *statement = call->statement;
  for (lua_pushnil(L); lua_next(L, params); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING && dl_statement_parameter(statement, string_at(L, -2)) >= 0) continue;
    lua_pushvalue(L, -2);
    dl_str name = dl_arena_copy(&call->arena, string_at(L, -1));
    lua_pop(L, 3);
    dl_buffer known = {0};
    for (size_t i = 0; i < statement->parameter_count; i++)
      dl_buffer_printf(&known, "%s%.*s", i ? ", " : "", DL_STR_ARGS(statement->parameters[i].name));
    const char *message = dl_arena_format(&call->arena, "%.*s: the statement has no parameter '%.*s'; %s%.*s", DL_STR_ARGS(statement->source),
                                          DL_STR_ARGS(name), known.len ? "it has " : "it has none", DL_STR_ARGS(dl_buffer_str(&known)));
    dl_buffer_free(&known);
    return message;
  }
  return NULL;
}

/* Fills the call from the table at params. */
static const char *take_values(lua_State *L, dl_call *call, int params) {
  const dl_statement *statement = call->statement;
  if (lua_isnoneornil(L, params)) return NULL;
  size_t taken = 0, given = 0;
  for (size_t i = 0; i < statement->parameter_count; i++) {
    lua_pushlstring(L, statement->parameters[i].name.ptr, statement->parameters[i].name.len);
    lua_rawget(L, params);
    taken += !lua_isnil(L, -1);
    const char *error = take_value(L, call, &statement->parameters[i], &call->values[i]);
    lua_pop(L, 1);
    if (error) return error;
  }
  for (lua_pushnil(L); lua_next(L, params); lua_pop(L, 1)) given++;
  return given == taken ? NULL : unknown_name(L, call, params);
}

static const char *take_order(lua_State *L, dl_call *call, int index) {
  const dl_statement *statement = call->statement;
  if (lua_isnoneornil(L, index)) return NULL;
  dl_str name = string_at(L, index);
  call->order = dl_statement_order(statement, name);
  if (call->order >= 0) return NULL;
  return dl_arena_format(&call->arena, "%.*s: the statement has no order of that name: let a client choose among them by model.literal",
                         DL_STR_ARGS(statement->source));
}

static int bad_parameter(lua_State *L, const char *message) {
  return push_problem(L, &(dl_problem){.kind = DL_PROBLEM_PARAMETER, .message = message});
}

/* handle:prepare(statement, shape, params, order, max, transaction) → nil or a problem. */
static int handle_prepare(lua_State *L) {
  static const char *const shapes[] = {[DL_SHAPE_RUN] = "run", [DL_SHAPE_ONE] = "one", [DL_SHAPE_VALUE] = "value", [DL_SHAPE_MANY] = "many", NULL};
  handle *self = check_handle(L);
  if (has_closed(L, self)) return push_closed(L, NULL);
  const dl_statement *statement = dl_database_statement(self->database, (size_t)luaL_checkinteger(L, 2));
  luaL_argcheck(L, statement, 2, "no statement of this database");
  lua_settop(L, 7);
  if (!lua_isnil(L, 4)) luaL_checktype(L, 4, LUA_TTABLE);
  dl_call *call = new_draft(self, statement, (dl_shape)luaL_checkoption(L, 3, NULL, shapes));
  if (!lua_isnil(L, 6)) call->row_max = (size_t)luaL_checkinteger(L, 6);
  if (!lua_isnil(L, 7)) call->transaction = ((transaction_box *)luaL_checkudata(L, 7, TRANSACTION))->transaction;
  const char *error = take_values(L, call, 4);
  if (!error) error = take_order(L, call, 5);
  return error ? bad_parameter(L, error) : 0;
}

/* handle:execute() → nil and the answer, or a problem. Waits. */
static int handle_execute(lua_State *L) {
  handle *self = check_handle(L);
  check_open(L, self);
  luaL_argcheck(L, self->draft && self->draft->statement, 1, "nothing was prepared");
  wait_for(L, self->draft, on_answer);
  dl_call *call = self->draft;
  self->draft = NULL;
  dl_call_submit(call);
  return dl_task_yield(L);
}

/* --- transactions ----------------------------------------------------------------- */

static int push_transaction(lua_State *L, void *data) {
  const dl_call *call = data;
  if (call->problem.kind != DL_PROBLEM_NONE) return push_problem(L, &call->problem);
  lua_pushnil(L);
  transaction_box *box = lua_newuserdata(L, sizeof(*box));
  box->transaction = call->transaction;
  luaL_getmetatable(L, TRANSACTION);
  lua_setmetatable(L, -2);
  return 2;
}

static void on_begun(dl_call *call) {
  bool heard = dl_task_wake(*(dl_ticket *)call->owner, push_transaction, call);
  if (!heard && call->problem.kind == DL_PROBLEM_NONE) dl_transaction_release(call->transaction);
}

static dl_call *new_end(lua_State *L, handle *self, void (*done)(dl_call *call)) {
  dl_call *call = new_draft(self, NULL, DL_SHAPE_RUN);
  wait_for(L, call, done);
  self->draft = NULL;
  return call;
}

/* handle:begin() → nil and a transaction, or a problem. Waits. */
static int handle_begin(lua_State *L) {
  handle *self = check_handle(L);
  if (has_closed(L, self)) return dl_task_give(L, push_closed, NULL);
  dl_transaction_begin(new_end(L, self, on_begun));
  return dl_task_yield(L);
}

/* handle:commit(transaction), handle:rollback(transaction) → nil or a problem. Wait. */
static int handle_commit(lua_State *L) {
  handle *self = check_handle(L);
  if (has_closed(L, self)) return dl_task_give(L, push_closed, NULL);
  dl_transaction *transaction = ((transaction_box *)luaL_checkudata(L, 2, TRANSACTION))->transaction;
  dl_transaction_commit(new_end(L, self, on_answer), transaction);
  return dl_task_yield(L);
}

static int handle_rollback(lua_State *L) {
  handle *self = check_handle(L);
  if (has_closed(L, self)) return dl_task_give(L, push_closed, NULL);
  dl_transaction *transaction = ((transaction_box *)luaL_checkudata(L, 2, TRANSACTION))->transaction;
  dl_transaction_rollback(new_end(L, self, on_answer), transaction);
  return dl_task_yield(L);
}

static int transaction_collect(lua_State *L) {
  dl_transaction_release(((transaction_box *)luaL_checkudata(L, 1, TRANSACTION))->transaction);
  return 0;
}

/* --- statements --------------------------------------------------------------------- */

/* A list of { name, text } in a field; the strings stay while the table does. */
static dl_pair *pairs_field(lua_State *L, dl_arena *arena, const char *name, size_t *count) {
  lua_getfield(L, 2, name);
  *count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  dl_pair *pairs = dl_arena_alloc(arena, (*count + 1) * sizeof(*pairs));
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    pairs[i] = (dl_pair){string_at(L, -2), string_at(L, -1)};
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return pairs;
}

static dl_str *strings_field(lua_State *L, dl_arena *arena, const char *name, size_t *count) {
  lua_getfield(L, 2, name);
  *count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  dl_str *strings = dl_arena_alloc(arena, (*count + 1) * sizeof(*strings));
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    strings[i] = string_at(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return strings;
}

/* handle:seal{ sql, source, filters, orders, default_order, bytes, constraints, filled } → statement's number, whether it has the parameter that is
 * filled in, whether it weighs by it what others name, how many it has | nil, message */
static int handle_seal(lua_State *L) {
  handle *self = check_handle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  dl_arena arena;
  dl_arena_init(&arena, 0);
  dl_statement_text text = {.sql = string_field(L, 2, "sql"),
                            .source = string_field(L, 2, "source"),
                            .default_order = string_field(L, 2, "default_order"),
                            .filled = string_field(L, 2, "filled")};
  text.filters = pairs_field(L, &arena, "filters", &text.filter_count);
  text.orders = pairs_field(L, &arena, "orders", &text.order_count);
  text.bytes = strings_field(L, &arena, "bytes", &text.byte_count);
  text.constraints = strings_field(L, &arena, "constraints", &text.constraint_count);
  const char *error = NULL;
  const dl_statement *statement = dl_database_seal(self->database, &text, &error);
  dl_arena_free(&arena);
  if (statement) {
    lua_pushinteger(L, (lua_Integer)statement->index);
    lua_pushboolean(L, statement->is_filled);
    lua_pushboolean(L, statement->weighs_filled);
    lua_pushinteger(L, (lua_Integer)statement->parameter_count);
    return 4;
  }
  lua_pushnil(L);
  lua_pushstring(L, error);
  return 2;
}

/* --- life ------------------------------------------------------------------------------ */

static int push_text(lua_State *L, void *text) {
  if (!text) return 0;
  lua_pushstring(L, text);
  return 1;
}

static void on_event(void *owner, const char *error) {
  handle *self = owner;
  dl_task_wake(self->event, push_text, (void *)(uintptr_t)error);
}

static void end_opening(handle *self) {
  dl_beat_end_opening(self->opening);
  self->opening = NULL;
}

static void on_started(void *owner, const char *error) {
  end_opening(owner);
  on_event(owner, error);
}

/* handle:start() → nil, or what is wrong. Waits. */
static int handle_start(lua_State *L) {
  handle *self = check_handle(L);
  if (!dl_database_is_new(self->database)) return luaL_error(L, "the database was started before");
  self->event = dl_task_wait(L, "a database");
  self->opening = dl_lua_of(L)->loop->beat;
  dl_beat_begin_opening(self->opening);
  dl_database_start(self->database, on_started, self);
  return dl_task_yield(L);
}

/* handle:stop(). Waits; must be open. */
static int handle_stop(lua_State *L) {
  handle *self = check_handle(L);
  check_open(L, self);
  self->event = dl_task_wait(L, "a database");
  dl_database_stop(self->database, on_event, self);
  return dl_task_yield(L);
}

typedef struct problem_list {
  lua_State *L;
  int count;
} problem_list;

static void add_problem(void *owner, const char *problem) {
  problem_list *list = owner;
  lua_pushstring(list->L, problem);
  lua_rawseti(list->L, -2, ++list->count);
}

/* handle:try() → a list of what would be wrong at start; of a database in memory. Waits for nothing. */
static int handle_try(lua_State *L) {
  handle *self = check_handle(L);
  if (!dl_database_is_new(self->database)) return luaL_error(L, "the database was started before");
  problem_list list = {.L = L};
  lua_newtable(L);
  dl_database_try(self->database, add_problem, &list);
  return 1;
}

/* handle:exposures() → a list of who else may get at the file that its url names. Waits for nothing. */
static int handle_exposures(lua_State *L) {
  problem_list list = {.L = L};
  handle *self = check_handle(L);
  lua_newtable(L);
  dl_database_each_exposure(self->database, add_problem, &list);
  return 1;
}

static int handle_is_open(lua_State *L) {
  lua_pushboolean(L, dl_database_is_open(check_handle(L)->database));
  return 1;
}

static int handle_is_new(lua_State *L) {
  lua_pushboolean(L, dl_database_is_new(check_handle(L)->database));
  return 1;
}

/* handle:writes(statement) → whether it may change something; of a database that has been started. */
static int handle_writes(lua_State *L) {
  const dl_statement *statement = dl_database_statement(check_handle(L)->database, (size_t)luaL_checkinteger(L, 2));
  luaL_argcheck(L, statement, 2, "no statement of this database");
  lua_pushboolean(L, statement->writes);
  return 1;
}

static int handle_is_ending(lua_State *L) {
  lua_pushboolean(L, dl_database_is_ending(check_handle(L)->database));
  return 1;
}

static int handle_collect(lua_State *L) {
  handle *self = check_handle(L);
  if (self->draft) dl_call_drop(self->draft);
  end_opening(self); /* nobody is told any more that it has opened */
  dl_database_free(self->database);
  return 0;
}

static const struct {
  const char *name;
  size_t offset;
} numbers[] = {
    {"readers", offsetof(dl_database_options, readers)},           {"queue_max", offsetof(dl_database_options, queue_max)},
    {"queue_ms", offsetof(dl_database_options, queue_ms)},         {"lock_ms", offsetof(dl_database_options, lock_ms)},
    {"statement_ms", offsetof(dl_database_options, statement_ms)}, {"transaction_ms", offsetof(dl_database_options, transaction_ms)},
};

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool has_migrations(const dl_database_options *options) {
  size_t at = 0;
  dl_str name;
  if (options->files && dl_file_set_next(options->files, dl_str_of(options->files_folder), &at, &name)) return true;
  return options->migrations && is_folder(options->migrations);
}

static dl_database_place place_field(lua_State *L, int index) {
  dl_str place = string_field(L, index, "place");
  return dl_str_equal(place, DL_STR("folder")) ? DL_PLACE_FOLDER : dl_str_equal(place, DL_STR("memory")) ? DL_PLACE_MEMORY : DL_PLACE_OF_URL;
}

/* database_open(url, { folder, place, is_draft, migrations, migrations_name, migrations_may_miss, readers, ... }) → handle | nil, message */
static int database_open(lua_State *L) {
  size_t length;
  const char *url = luaL_checklstring(L, 1, &length);
  luaL_checktype(L, 2, LUA_TTABLE);
  dl_database_options options = {
      .folder = string_field(L, 2, "folder").ptr, .place = place_field(L, 2), .migrations = string_field(L, 2, "migrations").ptr,
      .opened = dl_lua_of(L)->opened, .generation = dl_lua_of(L)->generation};
  lua_getfield(L, 2, "is_draft");
  options.is_draft = lua_toboolean(L, -1);
  options.files_folder = string_field(L, 2, "migrations_name").ptr;
  if (options.files_folder) options.files = dl_lua_of(L)->files;
  lua_getfield(L, 2, "migrations_may_miss");
  if (lua_toboolean(L, -1) && !has_migrations(&options)) options.migrations = NULL;
  for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
    lua_getfield(L, 2, numbers[i].name);
    unsigned number = (unsigned)lua_tointeger(L, -1);
    memcpy((char *)&options + numbers[i].offset, &number, sizeof(number));
  }
  const char *error = NULL;
  dl_database *database = dl_database_new(dl_bridge_loop(L), dl_str_from(url, length), &options, &error);
  if (!database) {
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
  }
  handle *self = lua_newuserdata(L, sizeof(*self));
  *self = (handle){.database = database};
  dl_lua_hold(dl_lua_of(L));
  dl_database_on_freed(database, dl_lua_let_go, dl_lua_of(L));
  luaL_getmetatable(L, HANDLE);
  lua_setmetatable(L, -2);
  return 1;
}

/* migrations_next(folder) → the number of the next one there */
static int migrations_next(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dl_migrations_next(luaL_checkstring(L, 1)));
  return 1;
}

static const luaL_Reg handle_methods[] = {
    {"seal", handle_seal}, {"prepare", handle_prepare}, {"is_open", handle_is_open}, {"is_new", handle_is_new}, {"is_ending", handle_is_ending}, {"writes", handle_writes},
    {"try", handle_try}, {"exposures", handle_exposures}, {NULL, NULL}};
static const luaL_Reg waiting_methods[] = {
    {"start", handle_start},       {"stop", handle_stop}, {"execute", handle_execute}, {"begin", handle_begin}, {"commit", handle_commit},
    {"rollback", handle_rollback}, {NULL, NULL}};

/* A metatable whose functions no method leads to: __gc is for the collector alone. */
static void new_metatable(lua_State *L, const char *name, lua_CFunction collect) {
  luaL_newmetatable(L, name);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
}

void dl_bridge_database(lua_State *L) {
  new_metatable(L, TRANSACTION, transaction_collect);
  lua_pop(L, 1);
  new_metatable(L, HANDLE, handle_collect);
  lua_newtable(L);
  luaL_register(L, NULL, handle_methods);
  for (const luaL_Reg *method = waiting_methods; method->name; method++) {
    dl_task_push_waiting(L, method->func);
    lua_setfield(L, -2, method->name);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, database_open);
  lua_setfield(L, -2, "database_open");
  lua_pushcfunction(L, migrations_next);
  lua_setfield(L, -2, "migrations_next");
}
