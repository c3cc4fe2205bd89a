/* SPDX-License-Identifier: MIT */
/*
 * Sealing: one pass over the text that knows strings, quoted names, comments
 * and casts well enough to find every parameter and nothing else. What SQLite
 * would read differently is refused here rather than guessed.
 */
#include "data/statement.h"

#include "base/utf8.h"

/* What the last token was, as far as a list parameter has to know. */
typedef enum last_token { LAST_OTHER, LAST_IN, LAST_IN_OPEN } last_token;

typedef struct sealer {
  dl_arena *arena;
  dl_statement *statement;
  const char *part; /* "the statement", "filter 'role'": for messages */
  dl_fragment *fragment;
  bool base;
  dl_str filled;
  dl_str text;
  size_t at;
  size_t kept; /* text before this index is in pieces already */
  size_t piece_room, parameter_room;
  uint8_t list_count;
  int depth; /* open parentheses */
  last_token last;
  bool seen_word, seen_filters, seen_order;
  bool writes;      /* it begins with INSERT or UPDATE */
  bool upserts;     /* ON CONFLICT, INSERT OR REPLACE */
  bool in_condition, filled_in_condition;
  const char *error;
} sealer;

static bool refuse(sealer *s, size_t at, const char *what) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < at && i < s->text.len; i++) {
    column = s->text.ptr[i] == '\n' ? 1 : column + 1;
    line += s->text.ptr[i] == '\n';
  }
  s->error = dl_arena_format(s->arena, "%.*s: %s, line %zu column %zu: %s", DL_STR_ARGS(s->statement->source), s->part, line, column, what);
  return false;
}

static char peek(const sealer *s, size_t ahead) { return s->at + ahead < s->text.len ? s->text.ptr[s->at + ahead] : '\0'; }
static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name_start(char c) { return (dl_ascii_lower(c) >= 'a' && dl_ascii_lower(c) <= 'z') || c == '_'; }
static bool is_name(char c) { return is_name_start(c) || is_digit(c); }
static bool is_word(char c) { return is_name(c) || (unsigned char)c >= 0x80; }

static dl_piece *add_piece(sealer *s, dl_piece_kind kind) {
  dl_fragment *fragment = s->fragment;
  if (fragment->piece_count == s->piece_room) {
    s->piece_room = s->piece_room ? s->piece_room * 2 : 8;
    dl_piece *wider = dl_arena_zalloc(s->arena, s->piece_room, sizeof(*wider));
    if (fragment->piece_count) memcpy(wider, fragment->pieces, fragment->piece_count * sizeof(*wider));
    fragment->pieces = wider;
  }
  dl_piece *piece = &fragment->pieces[fragment->piece_count++];
  *piece = (dl_piece){.kind = kind};
  return piece;
}

/* Puts the text since the last piece, up to here, into a piece of its own. */
static void keep_text(sealer *s) {
  if (s->at > s->kept) add_piece(s, DL_PIECE_TEXT)->text = dl_str_from(s->text.ptr + s->kept, s->at - s->kept);
  s->kept = s->at;
}

/* 'text', "name" and `name` double their quote to hold it; [name] cannot. */
static bool scan_quoted(sealer *s, char close) {
  size_t opened = s->at++;
  for (; s->at < s->text.len; s->at++) {
    if (s->text.ptr[s->at] != close) continue;
    if (close != ']' && peek(s, 1) == close) {
      s->at++;
      continue;
    }
    s->at++;
    s->last = LAST_OTHER;
    return true;
  }
  return refuse(s, opened, "a quote is opened and never closed");
}

/* A comment leaves a space: kept, it could swallow what is put behind it. */
static bool scan_comment(sealer *s) {
  keep_text(s);
  size_t opened = s->at;
  bool block = peek(s, 0) == '/';
  s->at += 2;
  for (;; s->at++) {
    if (s->at >= s->text.len) {
      if (block) return refuse(s, opened, "a comment is opened and never closed");
      break;
    }
    if (!block && peek(s, 0) == '\n') break;
    if (block && peek(s, 0) == '*' && peek(s, 1) == '/') {
      s->at += 2;
      break;
    }
    if (block && peek(s, 0) == '/' && peek(s, 1) == '*') return refuse(s, s->at, "a comment inside a comment: SQL dialects differ on where it ends");
  }
  add_piece(s, DL_PIECE_TEXT)->text = DL_STR(" ");
  s->kept = s->at;
  return true;
}

/* A filter applies when its parameters are given, and that one never is. */
static bool check_filled(sealer *s, size_t at, bool list) {
  if (list) return refuse(s, at, "the server fills this parameter in with one value: it is no list");
  if (!s->base && !s->statement->is_filled)
    return refuse(s, at,
                  "the server fills this parameter in, and a filter applies only to calls that give its parameters: "
                  "write the condition into the statement itself");
  s->statement->is_filled = true;
  s->filled_in_condition |= s->in_condition;
  return true;
}

static bool find_parameter(sealer *s, size_t at, dl_str name, char suffix, uint32_t *index) {
  dl_statement *statement = s->statement;
  if (dl_str_equal(name, s->filled) && !check_filled(s, at, suffix == '*')) return false;
  bool list = suffix == '*';
  int known = dl_statement_parameter(statement, name);
  if (known >= 0) {
    dl_parameter *parameter = &statement->parameters[known];
    if (parameter->list != list) return refuse(s, at, "the parameter is a list in one place and a single value in another: use two names");
    parameter->optional |= suffix == '?';
    parameter->base |= s->base;
    *index = (uint32_t)known;
    return true;
  }
  if (statement->parameter_count == DL_STATEMENT_PARAMETERS_MAX) return refuse(s, at, "more than 1000 parameters");
  if (list && s->list_count == DL_STATEMENT_LISTS_MAX) return refuse(s, at, "more than 4 list parameters");
  if (statement->parameter_count == s->parameter_room) {
    s->parameter_room = s->parameter_room ? s->parameter_room * 2 : 8;
    dl_parameter *wider = dl_arena_zalloc(s->arena, s->parameter_room, sizeof(*wider));
    if (statement->parameter_count) memcpy(wider, statement->parameters, statement->parameter_count * sizeof(*wider));
    statement->parameters = wider;
  }
  *index = (uint32_t)statement->parameter_count++;
  statement->parameters[*index] = (dl_parameter){.name = name, .list = list, .optional = suffix == '?', .base = s->base};
  if (list) statement->parameters[*index].list_number = s->list_count++;
  return true;
}

static bool list_stands_alone(const sealer *s, size_t after) {
  while (after < s->text.len && is_space(s->text.ptr[after])) after++;
  return s->last == LAST_IN_OPEN && after < s->text.len && s->text.ptr[after] == ')';
}

static bool scan_colon(sealer *s) {
  if (peek(s, 1) == ':') { /* a cast */
    s->at += 2;
    return true;
  }
  size_t begin = s->at + 1, end = begin;
  if (!is_name_start(peek(s, 1))) return refuse(s, s->at, "a colon begins a parameter, as in :name");
  while (end < s->text.len && is_name(s->text.ptr[end])) end++;
  char suffix = end < s->text.len ? s->text.ptr[end] : '\0';
  bool marked = suffix == '*' || suffix == '?';
  if (end < s->text.len && (unsigned char)suffix >= 0x80) return refuse(s, s->at, "a parameter's name is ASCII letters, digits and underscores");
  if (suffix == '*' && !list_stands_alone(s, end + 1))
    return refuse(s, s->at, "a list parameter stands alone after IN, as in: id IN (:ids*); for a product put a space before the *");
  keep_text(s);
  uint32_t index = 0;
  if (!find_parameter(s, s->at, dl_str_from(s->text.ptr + begin, end - begin), marked ? suffix : '\0', &index)) return false;
  add_piece(s, suffix == '*' ? DL_PIECE_LIST : DL_PIECE_PARAMETER)->parameter = index;
  s->at = s->kept = end + marked;
  s->seen_word |= !s->base;
  s->last = LAST_OTHER;
  return true;
}

static bool scan_mark(sealer *s) {
  static const struct {
    dl_str text;
    dl_piece_kind kind;
  } marks[] = {{DL_STR("{filters}"), DL_PIECE_FILTERS}, {DL_STR("{order}"), DL_PIECE_ORDER}};
  dl_str rest = dl_str_skip(s->text, s->at);
  for (size_t i = 0; s->base && i < sizeof(marks) / sizeof(*marks); i++) {
    if (!dl_str_starts(rest, marks[i].text)) continue;
    bool filters = marks[i].kind == DL_PIECE_FILTERS;
    if (filters && !s->statement->filter_count)
      return refuse(s, s->at, "{filters} has no filters: give some, as in { filters = { role = \"role = :role\" } }");
    if (!filters && !s->statement->order_count)
      return refuse(s, s->at, "{order} has no orders: give some, as in { orders = { newest = \"id DESC\" } }");
    keep_text(s);
    add_piece(s, marks[i].kind);
    s->at = s->kept = s->at + marks[i].text.len;
    s->seen_filters |= filters;
    s->seen_order |= !filters;
    s->last = LAST_OTHER;
    return true;
  }
  return refuse(s, s->at, s->base ? "only {filters} and {order} may stand in braces" : "a mark may stand only in the statement itself");
}

/* A sealed statement reads or changes rows. Transactions belong to db:transaction,
 * and a COMMIT in here would end one that other requests share. */
static bool scan_first_word(sealer *s, dl_str word) {
  static const dl_str allowed[] = {DL_STR("SELECT"),  DL_STR("WITH"),   DL_STR("VALUES"), DL_STR("INSERT"),
                                   DL_STR("REPLACE"), DL_STR("UPDATE"), DL_STR("DELETE")};
  s->seen_word = true;
  if (!s->base) return true;
  s->writes = dl_str_equal_nocase(word, DL_STR("INSERT")) || dl_str_equal_nocase(word, DL_STR("UPDATE"));
  for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
    if (dl_str_equal_nocase(word, allowed[i])) return true;
  return refuse(s, s->at - word.len,
                "a statement begins with SELECT, WITH, VALUES, INSERT, REPLACE, UPDATE or DELETE; "
                "tables are made in migrations, and transactions with db:transaction");
}

/* Where a parameter stands: what is written comes before the conditions. */
static void note_word(sealer *s, dl_str word) {
  if (!s->base) return;
  s->upserts |= dl_str_equal_nocase(word, DL_STR("CONFLICT")) || dl_str_equal_nocase(word, DL_STR("REPLACE"));
  s->in_condition |= dl_str_equal_nocase(word, DL_STR("WHERE")) || dl_str_equal_nocase(word, DL_STR("ON"));
}

static bool scan_word(sealer *s) {
  size_t begin = s->at;
  while (s->at < s->text.len && is_word(s->text.ptr[s->at])) s->at++;
  dl_str word = dl_str_from(s->text.ptr + begin, s->at - begin);
  s->last = dl_str_equal_nocase(word, DL_STR("IN")) ? LAST_IN : LAST_OTHER;
  note_word(s, word);
  if (peek(s, 0) == '\'' && dl_str_equal_nocase(word, DL_STR("E")))
    return refuse(s, begin, "strings with backslash escapes are not taken: write a plain '...' with '' for a quote, or use a parameter");
  return s->seen_word || scan_first_word(s, word);
}

static bool scan_semicolon(sealer *s) {
  if (!s->base) return refuse(s, s->at, "a semicolon does not belong here");
  size_t found = s->at;
  keep_text(s);
  s->at++;
  while (s->at < s->text.len) {
    char c = peek(s, 0);
    if (is_space(c)) s->at++;
    else if ((c == '-' && peek(s, 1) == '-') || (c == '/' && peek(s, 1) == '*')) {
      s->kept = s->at;
      if (!scan_comment(s)) return false;
    } else return refuse(s, found, "several statements in one text: seal each with a db:statement of its own");
  }
  s->kept = s->at;
  return true;
}

static bool scan_parenthesis(sealer *s, char c) {
  s->depth += c == '(' ? 1 : -1;
  s->last = c == '(' && s->last == LAST_IN ? LAST_IN_OPEN : LAST_OTHER;
  if (s->depth < 0) return refuse(s, s->at, "a parenthesis is closed that was never opened");
  s->at++;
  return true;
}

/* Bytes that no sealed statement holds outside strings, and what to write instead. */
static const char *forbidden(char c) {
  switch (c) {
  case '?': return "parameters have names: write :name instead of ?";
  case '@':
  case '$':
  case '#': return "parameters are written with a colon, as in :name";
  case '\\': return "a backslash means nothing in SQL";
  case '}': return "a brace is closed that was never opened";
  default: return (unsigned char)c < 0x20 || c == 0x7f ? "a control character" : NULL;
  }
}

static bool scan_token(sealer *s) {
  char c = peek(s, 0), next = peek(s, 1);
  if (is_space(c)) return s->at++, true;
  if (c == '\'' || c == '"' || c == '`') return scan_quoted(s, c);
  if (c == '[') return scan_quoted(s, ']');
  if ((c == '-' && next == '-') || (c == '/' && next == '*')) return scan_comment(s);
  if (c == ':') return scan_colon(s);
  if (c == '{') return scan_mark(s);
  if (c == ';') return scan_semicolon(s);
  if (c == '(' || c == ')') return scan_parenthesis(s, c);
  if (is_word(c)) return scan_word(s);
  const char *why = forbidden(c);
  if (why) return refuse(s, s->at, why);
  s->last = LAST_OTHER;
  s->at++;
  return true;
}

static bool seal_fragment(sealer *s, dl_fragment *fragment, dl_str sql, const char *part) {
  s->text = dl_arena_copy(s->arena, sql);
  s->part = part;
  s->fragment = fragment;
  s->at = s->kept = s->piece_room = 0;
  s->depth = 0;
  s->last = LAST_OTHER;
  s->seen_word = false;
  if (sql.len > DL_STATEMENT_SQL_MAX) return refuse(s, 0, "the text is over 64 KiB");
  if (!dl_utf8_valid(sql) || (sql.len && memchr(sql.ptr, '\0', sql.len))) return refuse(s, 0, "the text is not valid UTF-8 or holds a NUL");
  while (s->at < s->text.len)
    if (!scan_token(s)) return false;
  keep_text(s);
  if (s->depth) return refuse(s, s->at, "a parenthesis is opened and never closed");
  if (!s->seen_word) return refuse(s, 0, "the text is empty");
  return true;
}

static bool seal_filters(sealer *s, const dl_statement_text *text) {
  dl_statement *statement = s->statement;
  for (size_t i = 0; i < text->filter_count; i++) {
    dl_fragment *filter = &statement->filters[i];
    filter->name = dl_arena_copy(s->arena, text->filters[i].name);
    if (!seal_fragment(s, filter, text->filters[i].value, dl_arena_format(s->arena, "filter '%.*s'", DL_STR_ARGS(filter->name)))) return false;
    bool own = false;
    for (size_t p = 0; p < filter->piece_count; p++)
      own |= filter->pieces[p].kind != DL_PIECE_TEXT && !statement->parameters[filter->pieces[p].parameter].base;
    if (!own) return refuse(s, 0, "a filter applies when its parameters are given, and this one has no parameter of its own");
  }
  return true;
}

static bool seal_orders(sealer *s, const dl_statement_text *text) {
  dl_statement *statement = s->statement;
  for (size_t i = 0; i < text->order_count; i++) {
    dl_fragment *order = &statement->orders[i];
    order->name = dl_arena_copy(s->arena, text->orders[i].name);
    if (!seal_fragment(s, order, text->orders[i].value, dl_arena_format(s->arena, "order '%.*s'", DL_STR_ARGS(order->name)))) return false;
    for (size_t p = 0; p < order->piece_count; p++)
      if (order->pieces[p].kind != DL_PIECE_TEXT) return refuse(s, 0, "an order has no parameters");
  }
  statement->default_order = text->default_order.len ? dl_statement_order(statement, text->default_order) : -1;
  s->part = "default_order";
  s->text = text->default_order;
  if (text->default_order.len && statement->default_order < 0) return refuse(s, 0, "names none of the orders");
  return true;
}

static bool seal_bytes(sealer *s, const dl_statement_text *text) {
  for (size_t i = 0; i < text->byte_count; i++) {
    int index = dl_statement_parameter(s->statement, text->bytes[i]);
    s->part = "bytes";
    s->text = text->bytes[i];
    if (index < 0) return refuse(s, 0, dl_arena_format(s->arena, "the statement has no parameter '%.*s'", DL_STR_ARGS(text->bytes[i])));
    s->statement->parameters[index].bytes = true;
  }
  return true;
}

static void keep_constraints(sealer *s, const dl_statement_text *text) {
  s->statement->constraint_count = text->constraint_count;
  s->statement->constraints = dl_arena_zalloc(s->arena, text->constraint_count + 1, sizeof(dl_str));
  for (size_t i = 0; i < text->constraint_count; i++) s->statement->constraints[i] = dl_arena_copy(s->arena, text->constraints[i]);
}

static bool seal_all(sealer *s, const dl_statement_text *text) {
  dl_statement *statement = s->statement;
  s->part = "the statement";
  if (text->filter_count > DL_STATEMENT_FILTERS_MAX) return refuse(s, 0, "more than 16 filters");
  if (text->order_count > DL_STATEMENT_ORDERS_MAX) return refuse(s, 0, "more than 255 orders");
  statement->filter_count = text->filter_count;
  statement->order_count = text->order_count;
  if (text->filter_count) statement->filters = dl_arena_zalloc(s->arena, text->filter_count, sizeof(dl_fragment));
  if (text->order_count) statement->orders = dl_arena_zalloc(s->arena, text->order_count, sizeof(dl_fragment));
  s->base = true;
  if (!seal_fragment(s, &statement->base, text->sql, "the statement")) return false;
  if (text->filter_count && !s->seen_filters)
    return refuse(s, s->at, "has filters, but no {filters} that says where they stand, as in WHERE {filters}");
  if (text->order_count && !s->seen_order) return refuse(s, s->at, "has orders, but no {order} that says where it stands, as in ORDER BY {order}");
  s->base = false;
  keep_constraints(s, text);
  if (!seal_filters(s, text) || !seal_orders(s, text) || !seal_bytes(s, text)) return false;
  statement->weighs_filled = statement->is_filled && statement->parameter_count > 1 && (!s->writes || s->upserts || s->filled_in_condition);
  return true;
}

dl_statement *dl_statement_seal(dl_arena *arena, const dl_statement_text *text, const char **error) {
  dl_statement *statement = dl_arena_zalloc(arena, 1, sizeof(*statement));
  statement->sql = dl_arena_copy(arena, text->sql);
  statement->source = dl_arena_copy(arena, text->source);
  sealer s = {.arena = arena, .statement = statement, .filled = text->filled};
  if (seal_all(&s, text)) return statement;
  *error = s.error;
  return NULL;
}

int dl_statement_parameter(const dl_statement *statement, dl_str name) {
  for (size_t i = 0; i < statement->parameter_count; i++)
    if (dl_str_equal(statement->parameters[i].name, name)) return (int)i;
  return -1;
}

int dl_statement_order(const dl_statement *statement, dl_str name) {
  for (size_t i = 0; i < statement->order_count; i++)
    if (dl_str_equal(statement->orders[i].name, name)) return (int)i;
  return -1;
}
