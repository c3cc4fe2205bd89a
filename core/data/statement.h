/* SPDX-License-Identifier: MIT */
/*
 * Statements: SQL text that is read once, while the app loads, and never again.
 * Sealing finds the parameters (:name, :name? and :name*), refuses what could
 * not be one statement, and keeps the choices a call may make (which filters,
 * which order, how long a list). No text that comes with a call ever becomes SQL.
 */
#ifndef DL_DATA_STATEMENT_H
#define DL_DATA_STATEMENT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"
#include "model/value.h"

enum {
  DL_STATEMENT_SQL_MAX = 65536, /* bytes of one text */
  DL_STATEMENT_PARAMETERS_MAX = 1000,
  DL_STATEMENT_FILTERS_MAX = 16,
  DL_STATEMENT_ORDERS_MAX = 255,
  DL_STATEMENT_LISTS_MAX = 4, /* :name* parameters of one statement */
  DL_STATEMENT_LIST_ITEMS_MAX = 4096
};

/* What an app wrote. All slices need to live only during dl_statement_seal. */
typedef struct dl_statement_text {
  dl_str sql;
  dl_str source; /* where: "app.lua:31" */
  const dl_pair *filters;
  size_t filter_count; /* name, condition: stands at {filters} when its parameters are given */
  const dl_pair *orders;
  size_t order_count;   /* name, what follows ORDER BY: the chosen one stands at {order} */
  dl_str default_order; /* name, or empty: each call must choose */
  const dl_str *bytes;
  size_t byte_count; /* parameters that are bytes, not text */
  const dl_str *constraints;
  size_t constraint_count; /* whose violation has a text of its own */
  dl_str filled;           /* a parameter that no call gives, since the server fills it in; empty: none */
} dl_statement_text;

typedef struct dl_parameter {
  dl_str name;
  bool list;     /* :name* */
  bool optional; /* :name? binds NULL when it is not given */
  bool bytes;    /* a string binds as a blob */
  bool base;     /* stands in the statement itself, not only in filters */
  uint8_t list_number;
} dl_parameter;

typedef enum dl_piece_kind { DL_PIECE_TEXT, DL_PIECE_PARAMETER, DL_PIECE_LIST, DL_PIECE_FILTERS, DL_PIECE_ORDER } dl_piece_kind;

typedef struct dl_piece {
  dl_piece_kind kind;
  uint32_t parameter; /* PARAMETER, LIST */
  dl_str text;        /* TEXT */
} dl_piece;

/* A run of pieces: the statement, one filter or one order. */
typedef struct dl_fragment {
  dl_str name; /* empty for the statement itself */
  dl_piece *pieces;
  size_t piece_count;
} dl_fragment;

typedef struct dl_statement {
  dl_str sql, source;
  dl_parameter *parameters;
  size_t parameter_count;
  dl_fragment base;
  dl_fragment *filters, *orders;
  size_t filter_count, order_count;
  int default_order; /* index, or -1 */
  dl_str *constraints;
  size_t constraint_count;
  bool is_filled;     /* it has the parameter that the server fills in */
  bool weighs_filled; /* and by it chooses among what another one names; what an INSERT or an UPDATE only writes finds nothing */
  uint32_t index;     /* among the statements of its database */
  bool writes;        /* found when the database prepares it at start */
} dl_statement;

/* Seals text into arena. NULL with *error (in arena: source, what is wrong,
 * where in the text, what to write instead) when it is refused. */
dl_statement *dl_statement_seal(dl_arena *arena, const dl_statement_text *text, const char **error);

/* Index of a parameter or an order by name, -1 when there is none. */
int dl_statement_parameter(const dl_statement *statement, dl_str name);
int dl_statement_order(const dl_statement *statement, dl_str name);

/* What one call chose. Equal keys have equal SQL. */
typedef struct dl_variant {
  uint16_t filters;                      /* bit per filter */
  uint8_t order;                         /* index */
  uint8_t lists[DL_STATEMENT_LISTS_MAX]; /* 0: empty, else 1 + log2 of the places the SQL has */
} dl_variant;

static inline uint64_t dl_variant_key(const dl_variant *variant) {
  uint64_t key = ((uint64_t)variant->filters << 8) | variant->order;
  for (int i = 0; i < DL_STATEMENT_LISTS_MAX; i++) key = (key << 4) | variant->lists[i];
  return key;
}

/* Places that the SQL of the variant has for a list; the items beyond the
 * list's own repeat its last, which changes nothing inside IN (...). */
static inline uint32_t dl_variant_places(const dl_variant *variant, const dl_parameter *list) {
  uint8_t size = variant->lists[list->list_number];
  return size ? 1u << (size - 1) : 0;
}

/* Chooses by values: one per parameter, ABSENT for what was not given, ARRAY for
 * lists. order -1 means the default. Gives NULL, or what is wrong (in arena). */
const char *dl_statement_choose(const dl_statement *statement, const dl_value *values, int order, dl_arena *arena, dl_variant *variant);

/* Appends the variant's SQL, with parameters as ?1, ?2 ...; numbers gets for each
 * parameter the number of its first place, 0 when the variant does not use it.
 * Gives how many places there are. */
uint32_t dl_statement_write(const dl_statement *statement, const dl_variant *variant, dl_buffer *out, uint32_t *numbers);

#endif
