/* SPDX-License-Identifier: MIT */
/*
 * What the schema files of this folder share: the compiled form of a schema, the
 * place a check is at, and the calls between compiling, checking, pushing and
 * writing. Nobody outside core/model includes it.
 */
#ifndef DL_MODEL_SCHEMA_INTERNAL_H
#define DL_MODEL_SCHEMA_INTERNAL_H

#include "model/schema.h"

#include <lauxlib.h>
#include <lua.h>

enum {
  DL_SCHEMA_MAX_DEPTH = 256,        /* models and arrays inside one another, in and out */
  DL_SCHEMA_MAX_ERRORS = 100,       /* gathered for one answer */
  DL_SCHEMA_MAX_ATTEMPTS = 1000000, /* values looked at on behalf of union members, so that nested unions stay linear */
  DL_SCHEMA_DEFAULT_MAX_ITEMS = 10000,
  DL_SCHEMA_CONSTRUCTOR_FIELDS = 24, /* models up to here are made by a Lua function of their own; times the depth it fits Lua's stack */
  DL_SCHEMA_MATCH_LIMIT = 10000      /* PCRE2's count of tries before a pattern gives up */
};

/* How well a union member fits, worst first. */
enum { DL_FIT_LAX, DL_FIT_STRICT, DL_FIT_EXACT };

typedef enum dl_extra { DL_EXTRA_FORBID, DL_EXTRA_IGNORE, DL_EXTRA_ALLOW } dl_extra;
typedef enum dl_strictness { DL_STRICTNESS_INHERIT, DL_STRICTNESS_LAX, DL_STRICTNESS_STRICT } dl_strictness;

/* An error made ready at load: refusing a request formats nothing. */
typedef struct dl_refusal {
  const char *type;
  dl_str message;
  dl_value context; /* OBJECT or ABSENT */
} dl_refusal;

typedef enum dl_comparison { DL_COMPARE_GE, DL_COMPARE_GT, DL_COMPARE_LE, DL_COMPARE_LT, DL_COMPARE_MULTIPLE_OF } dl_comparison;

typedef struct dl_bound {
  dl_comparison comparison;
  double number; /* integer, number, duration */
  int64_t wide;  /* int64 */
  dl_str text;   /* decimal, date, time, datetime, canonical */
  dl_refusal refusal;
} dl_bound;

typedef struct dl_pattern dl_pattern;
typedef struct dl_pattern_room dl_pattern_room;
typedef struct dl_locale dl_locale;

typedef enum dl_pattern_verdict { DL_PATTERN_DIFFERS, DL_PATTERN_MATCHES, DL_PATTERN_GAVE_UP } dl_pattern_verdict;

/* What belongs to one lua_State: lives in a userdata of its registry. */
typedef struct dl_schema_home {
  int keys; /* registry reference: field names by number and numbers by name */
  int memo; /* registry reference: description table to schema */
  int key_count;
  dl_pattern_room *room; /* match data and stack that all patterns share */
  dl_locale *locale;     /* for lower; NULL where the system has no UTF-8 locale: ASCII only */
} dl_schema_home;

typedef struct dl_field {
  dl_str name;     /* in Lua */
  dl_str wire;     /* in JSON, a query, a header: the alias or the name */
  dl_str fragment; /* `,"wire":` */
  int key;         /* of the name in the keys table */
  const dl_schema *schema;
} dl_field;

typedef struct dl_model {
  dl_str name;
  dl_field *fields;
  uint32_t field_count;
  uint32_t slot_mask; /* slots - 1, a power of two less one */
  uint16_t *slots;    /* field index + 1, 0 where empty; open addressing by dl_model_hash */
  uint16_t *inner;    /* the same by the names in Lua, of fields that clients call otherwise, where unknown ones are kept; NULL: there are none */
  dl_extra extra;
  dl_refusal unknown; /* extra_forbidden */
  int constructor;    /* registry reference of function(a, b) return { ["x"] = a, ["y"] = b } end, or LUA_NOREF */
} dl_model;

typedef struct dl_alternatives {
  dl_schema **members;
  uint32_t count;
  uint16_t *bases;      /* member i has the aux values bases[i] .. bases[i + 1] - 1, so that a union may stand in a union */
  dl_str discriminator; /* the field's name; NULL for an untagged union */
  dl_str wire;          /* what clients call it */
  int discriminator_key;
  dl_value *tags; /* the literals that choose, with the member each chooses beside it */
  uint16_t *tag_members;
  uint32_t tag_count;
  dl_str expected_tags;
  dl_refusal no_tag; /* union_tag_not_found */
} dl_alternatives;

struct dl_schema {
  uint8_t kind;       /* dl_kind */
  uint8_t strictness; /* dl_strictness */
  bool optional, nullable, read_only, write_only;
  bool strip, lower, utc, unique_items;
  bool has_rules; /* bounds, lengths or a pattern to look at after conversion */
  bool has_default;
  bool conceals;  /* is a secret or holds one: its input is never echoed */
  bool complete;  /* compiled to the end; a half-made one is forgotten */
  bool resolving; /* guards references that lead back to themselves */
  bool numbering; /* the same for unions */
  bool is_reference;
  dl_str *visible_to; /* roles that a response shows it to; NULL: all */
  uint32_t visible_to_count;
  uint8_t bound_count;
  uint32_t min_length, max_length; /* characters, bytes or items; UINT32_MAX: no limit */
  dl_refusal too_short, too_long;  /* not for arrays and maps, which name what they have */
  const dl_bound *bounds;
  dl_pattern *pattern;
  dl_refusal mismatch;
  int check, default_factory; /* registry references or LUA_NOREF */
  dl_value default_value;
  dl_str default_json; /* what stands in a response when the handler gave nothing */
  const char *label;   /* in loc below a union: the kind, or the model's name */
  dl_schema_home *home;
  dl_schema *next_made;      /* the chain of one compilation */
  int get;                   /* of a reference: registry reference of its function */
  const char *path, *source; /* for load errors found at the end of compilation */
  union {
    dl_model model;
    dl_alternatives alternatives;
    struct {
      dl_schema *items;
    } array;
    struct {
      dl_schema *keys, *values;
    } map;
    struct {
      dl_value *values;
      dl_str *json; /* each as it is written */
      int *keys;    /* of the strings in the keys table, which has them interned; 0 for others */
      uint32_t count;
      dl_refusal refusal;
    } literal;
  };
};

/* Where a check is: the chain becomes loc. Lives on the C stack. */
typedef struct dl_place {
  const struct dl_place *up;
  dl_str name; /* ptr NULL: an index */
  uint32_t index;
} dl_place;

/* ---- compiling ---- */

typedef struct dl_step {
  const struct dl_step *up;
  const char *text;
} dl_step;

typedef struct dl_compilation {
  lua_State *L;
  dl_arena *arena;
  dl_schema_home *home;
  const dl_step *step;
  const char *source; /* "app.lua:12" of the nearest description that says */
  const char *error;
  dl_schema *made; /* newest first */
  int depth;
} dl_compilation;

/* The schema of the description at index, or NULL with compilation->error. */
dl_schema *dl_compile_description(dl_compilation *compilation, int index);
/* Sets the error, naming the place; always false. */
bool dl_compile_fail(dl_compilation *compilation, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *dl_compile_path(dl_compilation *compilation);
/* Number of a name in the keys table, which keeps it interned. */
int dl_compile_key(dl_compilation *compilation, dl_str name);
const char *dl_kind_name(dl_kind kind);
/* Refuses options that the kind does not have (compile_options.c). */
bool dl_compile_check_options(dl_compilation *compilation, int index, dl_kind kind, bool reference);
bool dl_compile_common(dl_compilation *compilation, int index, dl_schema *schema);
bool dl_compile_rules(dl_compilation *compilation, int index, dl_schema *schema);
bool dl_compile_literal(dl_compilation *compilation, int index, dl_schema *schema);
bool dl_compile_model(dl_compilation *compilation, int index, dl_schema *schema);
bool dl_compile_union(dl_compilation *compilation, int index, dl_schema *schema);
/* Once references are resolved: tags and the numbering of members. */
bool dl_compile_union_finish(dl_compilation *compilation, dl_schema *schema);

/* Options of the description at index. False only on a wrong type; absent leaves *out. */
bool dl_option_boolean(dl_compilation *compilation, int index, const char *name, bool *out);
bool dl_option_count(dl_compilation *compilation, int index, const char *name, uint32_t *out);
/* The bytes are copied into the arena. */
bool dl_option_string(dl_compilation *compilation, int index, const char *name, dl_str *out);
bool dl_option_function(dl_compilation *compilation, int index, const char *name, int *out);
/* Pushes desc[name] raw; gives its Lua type. */
int dl_option_push(dl_compilation *compilation, int index, const char *name);

/* {name: value} in the arena, for an error's ctx. */
dl_value dl_context(dl_arena *arena, const char *name, dl_value value);

/* ---- text ---- */

dl_pattern_room *dl_pattern_room_new(void);
void dl_pattern_room_free(dl_pattern_room *room);
/* NULL with *error; text is in the generation's arena, with a NUL behind it: PCRE2 10.42 looks there when "(*LIMIT_MATCH=" ends it. */
dl_pattern *dl_pattern_compile(lua_State *L, dl_schema_home *home, dl_str text, dl_arena *arena, const char **error);
/* text must be valid UTF-8: the machine code does not look. account, zeroed at first, bounds what the texts of one
 * request cost together. */
dl_pattern_verdict dl_pattern_match(const dl_pattern *pattern, dl_str text, dl_pattern_account *account);
dl_str dl_pattern_text(const dl_pattern *pattern);

dl_locale *dl_locale_new(void);
void dl_locale_free(dl_locale *locale);
dl_str dl_text_lower(dl_str text, dl_locale *locale, dl_arena *arena);

/* ---- checking ---- */

/* Records an error at the current place. input may be NULL; it is kept only in
 * dev and never when the schema conceals. Always false. */
bool dl_validation_refuse(dl_validation *validation, const dl_schema *schema, const char *type, dl_str message, dl_value context,
                          const dl_value *input);
static inline bool dl_validation_refusal(dl_validation *validation, const dl_schema *schema, const dl_refusal *refusal, const dl_value *input) {
  return dl_validation_refuse(validation, schema, refusal->type, refusal->message, refusal->context, input);
}

/* Whether a walk may end early: it has failed already, and says no more. Not
 * among union members, whose errors may yet be forgotten. */
static inline bool dl_validation_is_over(const dl_validation *validation) {
  return validation->starved || (validation->error_count >= DL_SCHEMA_MAX_ERRORS && !validation->attempting);
}

bool dl_validate_value(const dl_schema *schema, dl_value *value, dl_validation *validation);
/* A scalar kind: conversion and rules. */
bool dl_validate_scalar(const dl_schema *schema, dl_value *value, dl_validation *validation);
/* Refuses what is too deep, or costs too much among union members. */
bool dl_validation_may_go_on(const dl_schema *schema, uint32_t count, dl_validation *validation);
/* Takes back the errors recorded since last_error was the last of error_count. */
void dl_validation_forget(dl_validation *validation, dl_model_error *last_error, uint32_t error_count);
bool dl_validate_union(const dl_schema *schema, dl_value *value, dl_validation *validation);
/* The index of the member that the tag chooses, or -1. */
int dl_union_member_of_tag(const dl_alternatives *alternatives, const dl_value *tag);
/* Refuses a tag that chooses nothing. */
bool dl_union_refuse_tag(const dl_schema *schema, const dl_value *tag, dl_validation *validation);

/* The members of an untagged union, tried one by one: begin; for each, until
 * decided, try and tried, which says whether it is the best so far; end, which
 * drops the errors of the others and says whether any fitted. */
typedef struct dl_union_trial {
  bool found;
  uint8_t fit;
  uint32_t member, fields_set;
  dl_model_error *last_error;
  uint32_t error_count, outer_fields_set;
  uint8_t outer_fit;
  bool outer_attempting;
} dl_union_trial;

dl_union_trial dl_union_begin(dl_validation *validation);
void dl_union_try(dl_validation *validation);
bool dl_union_tried(dl_union_trial *trial, uint32_t member, bool fits, const dl_validation *validation);
bool dl_union_end(const dl_union_trial *trial, dl_validation *validation);
static inline bool dl_union_decided(const dl_union_trial *trial) { return trial->found && trial->fit == DL_FIT_EXACT && !trial->fields_set; }

/* What a union inside another one made of an array, an object or a table. Each member of
 * the outer one asks the inner one again, and so from level to level: answered anew, the
 * work would double with each level that a client adds. */
typedef struct dl_union_answer {
  struct {
    const dl_schema *schema;
    const void *whole; /* its items or members; of a response, Lua's table */
    uint64_t how;      /* it was asked in which mode, and whether beside a secret */
  } key;
  bool found;
  uint8_t fit;
  uint32_t member, fields_set;
  dl_value value;              /* as it was checked; not of a response */
  const dl_model_error *error; /* the first, when none was found; may be NULL */
  uint32_t place_count;        /* of the place it was asked at */
} dl_union_answer;

/* The answer of before, or NULL. */
const dl_union_answer *dl_union_recall(const dl_schema *schema, const void *whole, const dl_validation *validation);
/* After dl_union_end, of a union inside another one. value may be NULL. */
void dl_union_remember(const dl_schema *schema, const void *whole, const dl_union_trial *trial, const dl_value *value, dl_validation *validation);
/* Records what was wrong the last time, at the current place. Always false. */
bool dl_union_refuse_again(const dl_union_answer *answer, dl_validation *validation);

/* How many places the current one has, and an error of before that lay behind as many, again behind it. */
uint32_t dl_validation_places(const dl_validation *validation);
void dl_validation_repeat(dl_validation *validation, const dl_model_error *error, uint32_t place_count);
/* The first of the errors recorded since last_error was the last, or NULL. */
const dl_model_error *dl_validation_first_since(const dl_validation *validation, const dl_model_error *last_error);

/* Which literal the value is, or -1; text: "3" is 3 and "true" is true. */
int dl_literal_find(const dl_schema *schema, const dl_value *value, bool text);

/* Bounds, lengths and the pattern of a converted scalar. */
bool dl_rules_check(const dl_schema *schema, const dl_value *value, dl_validation *validation);
bool dl_rules_item_count(const dl_schema *schema, uint32_t count, dl_validation *validation);
bool dl_rules_unique(const dl_schema *schema, const dl_value *value, dl_validation *validation);
/* Less than, equal or greater than 0, by the kind's order; canonical texts. */
int dl_compare_text(dl_kind kind, dl_str a, dl_str b);
bool dl_decimal_is_multiple(dl_str value, dl_str divisor);

/* A value that Lua gave becomes what the kind has: int64 wide, secrets secret, {} an array. */
void dl_value_suit(const dl_schema *schema, dl_value *value);
/* Lua's part: false when it refused (error recorded) or broke (validation->fault). */
bool dl_call_check(const dl_schema *schema, dl_value *value, dl_validation *validation);
bool dl_call_default_factory(const dl_schema *schema, dl_value *value, dl_validation *validation);

/* The field of that name on the wire, or NULL. */
const dl_field *dl_model_find(const dl_model *model, dl_str name, bool nocase);
/* Whether a kept field of that name would lie in Lua where a declared one does, which clients call otherwise. */
bool dl_model_would_shadow(const dl_model *model, dl_str name);
uint32_t dl_model_hash(dl_str name);

static inline bool dl_field_is(const dl_field *field, dl_str name) {
  return field->wire.len == name.len && memcmp(field->wire.ptr, name.ptr, name.len) == 0;
}

/* Whether keys of a map that differ may be the same once they are converted. */
static inline bool dl_keys_may_meet(const dl_schema *keys) {
  return keys && (keys->strip || keys->lower || keys->check != LUA_NOREF || (keys->kind != DL_KIND_STRING && keys->kind != DL_KIND_LITERAL));
}

/* The member that a validated value's aux stands for; the rest of aux is the member's own. */
static inline uint32_t dl_union_chosen(const dl_alternatives *alternatives, uint16_t aux) {
  uint32_t i = 0;
  while (i + 1 < alternatives->count && alternatives->bases[i + 1] <= aux) i++;
  return i;
}

#endif
