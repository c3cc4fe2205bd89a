/* SPDX-License-Identifier: MIT */
/*
 * Schemas: what a model, or one field, compiles to at load. Immutable; they live
 * as long as their generation's arena. Validation works on values in place and
 * gathers every error; pushing makes the Lua table a handler sees; serialising
 * writes a handler's value as JSON and lets nothing out that the model does not name.
 */
#ifndef DL_MODEL_SCHEMA_H
#define DL_MODEL_SCHEMA_H

#include "base/needs.h"
#include "model/convert.h"
#include "model/json.h"

struct dl_log;

typedef struct dl_schema dl_schema;

/* Compiles the description table at index (lua/demilune/model.lua says its form).
 * NULL with *error in the arena, naming the field ("CreateUser.age: ge is above
 * le"). References to Lua functions (check, default_factory) and the key table
 * stay in L's registry; a schema is used only with the lua_State it came from. */
dl_schema *dl_schema_compile(struct lua_State *L, int index, dl_arena *arena, const char **error);

dl_kind dl_schema_kind(const dl_schema *schema);

/* Text as it came: STRING, or BYTES, which no text field takes, where it is no UTF-8 or has a NUL. */
dl_value dl_schema_text(dl_str text);

/* Pairs into the OBJECT that dl_schema_validate takes: a name given twice, or one
 * whose field is an array, becomes an ARRAY of STRINGs. header: names compare
 * ASCII case-insensitively, and an array's values are lists. A model schema only. */
dl_value dl_schema_collect(const dl_schema *schema, const dl_pair *pairs, size_t count, bool header, dl_arena *arena);

typedef struct dl_model_error dl_model_error;

/* What patterns were counted on so far. */
typedef struct dl_pattern_account {
  int64_t work;
  size_t bytes, longest; /* of texts */
} dl_pattern_account;

typedef struct dl_validation {
  dl_arena *arena;
  struct lua_State *L; /* runs check and default_factory */
  dl_mode mode;        /* STRICT for JSON bodies, TEXT for everything that came as text; a
                          schema with strict = false turns STRICT into LAX below it */
  bool echo_input;     /* dev: errors carry "input", never for secret fields */
  bool output;         /* a response: write_only fields are not named, read_only ones are */
  const dl_str *roles; /* of who asked, for a response: what is visible to others is left out */
  uint32_t role_count;
  const char *source;  /* first part of loc: "body", "query", "path", "header", "cookie" */
  dl_model_error *first_error, *last_error;
  uint32_t error_count; /* stops gathering at 100 */
  struct dl_log *log;   /* may be NULL: told, once, when a pattern ran into its match limit */
  const char *fault;    /* set when a check or default_factory broke (raised an error): the answer is a
                           500, not a 422, and this, message and traceback in the arena, is for the log.
                           There is an error as well, so that nobody takes it for a pass */
  bool starved;         /* there was no memory, for the value or, with a fault, for its check: what that left in Lua is for the caller to collect */
  const void *frame;    /* internal: the place being checked */
  uint32_t depth;       /* internal: models and arrays it is in */
  uint32_t attempts;    /* internal: values looked at for union members */
  struct dl_map *known; /* internal: what unions inside others made of values; NULL: nothing yet */
  dl_pattern_account patterns; /* internal */
  bool pattern_told;           /* internal: the log was told that one gave up */
  uint32_t fields_set;         /* internal: model fields found, which tell union members apart */
  uint8_t fit;                 /* internal: how exactly the values fitted */
  bool attempting;             /* internal: inside a union member that may yet be refused */
  bool conceal;                /* internal: beside a secret, so that no input is echoed */
} dl_validation;

/* Checks and converts *value in place. Call it for each source with the same
 * dl_validation (zeroed, then the fields above "first_error" filled) to gather all
 * errors. False when this call found an error, or fault is set. */
bool dl_schema_validate(const dl_schema *schema, dl_value *value, dl_validation *validation);

/* Records an error that was found elsewhere, e.g. ("json_invalid", offset) or a
 * missing body; context may be NULL. */
void dl_validation_fail(dl_validation *validation, const char *type, dl_str message, const dl_value *context);

/* Appends {"detail":[{"type":..,"loc":[..],"msg":..,"ctx":{..}}]}. */
void dl_validation_write(const dl_validation *validation, dl_buffer *buffer);

/* The errors as that "detail" holds them: an ARRAY of OBJECTs in the arena. */
dl_value dl_validation_detail(const dl_validation *validation);

/* The first errors as one line for the log: "body.name: needs at least 1 character". */
void dl_validation_summary(const dl_validation *validation, dl_buffer *buffer);

/* Pushes a validated value as a handler sees it. L may not be a coroutine that has yielded. */
void dl_schema_push(struct lua_State *L, const dl_schema *schema, const dl_value *value);

/* Appends the Lua value at index as JSON by the schema, checking it as it goes
 * (required fields, kinds, constraints); unknown fields, and
 * those visible to other roles than validation's, are left out. False with
 * errors recorded in validation (loc begins with "response") and the buffer as it was. */
bool dl_schema_serialise(const dl_schema *schema, struct lua_State *L, int index, dl_buffer *buffer, dl_validation *validation);

extern const dl_needs dl_model_needs;

#endif
