/* SPDX-License-Identifier: MIT */
/*
 * Unions: their members, the tags that choose among them, and the numbering that
 * lets one small number in a value say which member it became, through unions
 * that stand in unions.
 */
#include "model/schema_internal.h"

static const char *discriminator_example = "discriminator = \"type\", with type = model.literal { \"cat\" } in each member";

bool dl_compile_union(dl_compilation *compilation, int index, dl_schema *schema) {
  lua_State *L = compilation->L;
  dl_alternatives *alternatives = &schema->alternatives;
  if (!dl_option_string(compilation, index, "discriminator", &alternatives->discriminator)) return false;
  if (dl_option_push(compilation, index, "members") != LUA_TTABLE || lua_objlen(L, -1) == 0)
    return dl_compile_fail(compilation, "a union needs its members: a list of one description or more");
  int members = lua_gettop(L);
  alternatives->count = (uint32_t)lua_objlen(L, members);
  alternatives->members = dl_arena_zalloc(compilation->arena, alternatives->count, sizeof(*alternatives->members));
  alternatives->bases = dl_arena_zalloc(compilation->arena, alternatives->count + 1, sizeof(*alternatives->bases));
  for (uint32_t i = 0; i < alternatives->count; i++) {
    dl_step here = {compilation->step, dl_arena_format(compilation->arena, "(member %u)", i + 1)};
    compilation->step = &here;
    lua_rawgeti(L, members, (int)i + 1);
    alternatives->members[i] = dl_compile_description(compilation, lua_gettop(L));
    lua_pop(L, 1);
    compilation->step = here.up;
    if (!alternatives->members[i]) return false;
  }
  lua_pop(L, 1);
  return true;
}

static const dl_field *tag_field(const dl_schema *member, dl_str name) {
  if (member->kind != DL_KIND_MODEL) return NULL;
  for (uint32_t i = 0; i < member->model.field_count; i++)
    if (dl_str_equal(member->model.fields[i].name, name)) return &member->model.fields[i];
  return NULL;
}

static bool add_tags(dl_compilation *compilation, dl_alternatives *alternatives, uint32_t member, const dl_schema *literal) {
  for (uint32_t i = 0; i < literal->literal.count; i++) {
    for (uint32_t earlier = 0; earlier < alternatives->tag_count; earlier++)
      if (dl_value_equal(&alternatives->tags[earlier], &literal->literal.values[i]))
        return dl_compile_fail(compilation, "members %u and %u both have the tag %.*s; each tag may choose one",
                               alternatives->tag_members[earlier] + 1u, member + 1, DL_STR_ARGS(literal->literal.json[i]));
    alternatives->tags[alternatives->tag_count] = literal->literal.values[i];
    alternatives->tag_members[alternatives->tag_count++] = (uint16_t)member;
  }
  return true;
}

static bool allocate_tags(dl_compilation *compilation, dl_alternatives *alternatives, dl_str *wire) {
  size_t total = 0;
  dl_str name = alternatives->discriminator;
  for (uint32_t i = 0; i < alternatives->count; i++) {
    const dl_field *field = tag_field(alternatives->members[i], name);
    if (!field || field->schema->kind != DL_KIND_LITERAL)
      return dl_compile_fail(compilation, "member %u (%s) has no literal field called \"%.*s\"; write %s", i + 1, alternatives->members[i]->label,
                             DL_STR_ARGS(name), discriminator_example);
    if (i && !dl_str_equal(field->wire, *wire))
      return dl_compile_fail(compilation, "members call the discriminator \"%.*s\" and \"%.*s\"; give it one alias in all of them",
                             DL_STR_ARGS(*wire), DL_STR_ARGS(field->wire));
    *wire = field->wire;
    total += field->schema->literal.count;
  }
  alternatives->tags = dl_arena_zalloc(compilation->arena, total, sizeof(dl_value));
  alternatives->tag_members = dl_arena_zalloc(compilation->arena, total, sizeof(uint16_t));
  return true;
}

static bool compile_tags(dl_compilation *compilation, dl_alternatives *alternatives) {
  dl_arena *arena = compilation->arena;
  dl_str wire = {0}, name = alternatives->discriminator;
  alternatives->tag_count = 0;
  if (!allocate_tags(compilation, alternatives, &wire)) return false;
  for (uint32_t i = 0; i < alternatives->count; i++)
    if (!add_tags(compilation, alternatives, i, tag_field(alternatives->members[i], name)->schema)) return false;
  const char *list = "";
  for (uint32_t i = 0; i < alternatives->tag_count; i++) {
    dl_buffer text = {0};
    if (alternatives->tags[i].kind == DL_VALUE_STRING) dl_buffer_append_str(&text, dl_value_str(&alternatives->tags[i]));
    else dl_value_write(&text, &alternatives->tags[i]);
    list = dl_arena_format(arena, "%s%s'%.*s'", list, i ? ", " : "", DL_STR_ARGS(dl_buffer_str(&text)));
    dl_buffer_free(&text);
  }
  alternatives->expected_tags = dl_str_of(list);
  alternatives->discriminator_key = dl_compile_key(compilation, name);
  alternatives->wire = wire;
  const char *quoted = dl_arena_format(arena, "'%.*s'", DL_STR_ARGS(wire));
  alternatives->no_tag = (dl_refusal){"union_tag_not_found", dl_str_of(dl_arena_format(arena, "needs the field %s, which says what it is", quoted)),
                                      dl_context(arena, "discriminator", dl_value_string(dl_str_of(quoted)))};
  return true;
}

enum { RUNS_IN_A_CIRCLE = 0, TOO_MANY = UINT16_MAX + 1 };

/* How many members a schema counts for in its union, or one of the above. */
static uint32_t leaves_of(dl_schema *schema) {
  if (schema->kind != DL_KIND_UNION) return 1;
  dl_alternatives *alternatives = &schema->alternatives;
  if (alternatives->bases[alternatives->count]) return alternatives->bases[alternatives->count];
  if (schema->numbering) return RUNS_IN_A_CIRCLE;
  schema->numbering = true;
  uint32_t total = 0;
  for (uint32_t i = 0; i < alternatives->count; i++) {
    uint32_t leaves = leaves_of(alternatives->members[i]);
    if (leaves == RUNS_IN_A_CIRCLE) return RUNS_IN_A_CIRCLE;
    if (total + leaves >= TOO_MANY) return TOO_MANY;
    alternatives->bases[i] = (uint16_t)total;
    total += leaves;
  }
  alternatives->bases[alternatives->count] = (uint16_t)total;
  return total;
}

bool dl_compile_union_finish(dl_compilation *compilation, dl_schema *schema) {
  if (schema->kind != DL_KIND_UNION) return true;
  dl_step step = {NULL, schema->path};
  compilation->step = &step;
  compilation->source = schema->source;
  uint32_t leaves = leaves_of(schema);
  bool ok = leaves != RUNS_IN_A_CIRCLE || dl_compile_fail(compilation, "the union is a member of itself; put a model or an array between");
  if (leaves == TOO_MANY)
    ok = dl_compile_fail(compilation, "the union has over %d members, counting those of the unions in it; put models or arrays between", UINT16_MAX);
  if (ok && schema->alternatives.discriminator.ptr) ok = compile_tags(compilation, &schema->alternatives);
  compilation->step = NULL;
  return ok;
}
